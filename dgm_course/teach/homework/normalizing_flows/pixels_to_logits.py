"""6.4 From pixels to logits."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ....flows import Logit
from .. import Case, Exercise, ObserveSpec
from ..draws import Cases, Rng, numbers, sizes
from ._shared import _typed, _usual


def pixels_to_logits(k: Tensor, u: Tensor, levels: int, margin: float) -> tuple[Tensor, Tensor]:
    """The library's logit of the dequantised pixels, with the slope of the division."""
    z, ladj = Logit(margin)((k + u) / levels)
    return z, ladj - k.shape[1] * math.log(levels)


LEVELS = "Right for 256 grey values alone: the number of levels comes in as an argument."

MARGIN = "Wrong for another margin alone: it comes in as an argument; 0 is allowed, too."


def cases(rng: Rng) -> Cases:
    extra = (("two grey values", sizes(rng), LEVELS), ("no margin", sizes(rng), MARGIN))
    for name, (size, dim), hint in (*_usual(rng), *extra):
        levels = {"two grey values": 2, "another batch": int(rng.integers(4, 30))}.get(name, 256)
        margin = {"no margin": 0.0, "another batch": 0.01}.get(name, round(float(rng.uniform(0.03, 0.12)), 2))
        args = {
            "k": rng.integers(0, levels, size=(size, dim)).astype(float),
            "u": numbers(rng, size, dim),
            "levels": levels,
            "margin": margin,
        }
        yield Case(name, _typed(name, args), hint=hint)


def _inner(k: Tensor, u: Tensor, levels: int, margin: float) -> Tensor:
    return margin + (1 - 2 * margin) * (k + u) / levels


def _slope(s: Tensor, levels: int, margin: float) -> Tensor:
    return math.log((1 - 2 * margin) / levels) - s.log() - torch.log1p(-s)


def _logit(
    inner: Callable = _inner,
    z: Callable = lambda s: s.log() - torch.log1p(-s),
    ladj: Callable = lambda s, levels, margin: _slope(s, levels, margin).sum(1),
) -> Callable:
    def form(k: Tensor, u: Tensor, levels: int, margin: float) -> tuple[Tensor, Tensor]:
        s = inner(k, u, levels, margin)
        return z(s), ladj(s, levels, margin)

    return form


# fmt: off
MISTAKES = (
    ("256 grey values are taken for granted: the number of levels comes in as an argument.",
     lambda k, u, levels, margin: _logit()(k, u, 256, margin)),
    ("Divided by levels − 1: with the noise the pixel lies in [0, levels), so levels brings it into [0, 1).",
     _logit(lambda k, u, levels, margin: margin + (1 - 2 * margin) * (k + u) / (levels - 1))),
    ("The noise is not divided: it belongs to the pixel, (k + u)/levels, and fills one bin and not all of [0, 1].",
     _logit(lambda k, u, levels, margin: margin + (1 - 2 * margin) * (k / levels + u))),
    ("The noise is missing: without it the density of a grid of points is infinite, and a flow finds that out.",
     _logit(lambda k, u, levels, margin: _inner(k, 0 * u, levels, margin))),
    ("The margin is taken from one side only: margin + (1 − 2 margin) y leaves it at both ends.",
     _logit(lambda k, u, levels, margin: margin + (1 - margin) * (k + u) / levels)),
    ("The logit is log s − log(1 − s), and log s + log(1 − s) came.",
     _logit(z=lambda s: s.log() + torch.log1p(-s))),
    ("The sigmoid where its inverse, the logit, is asked.", _logit(z=torch.sigmoid)),
    ("The log-determinant lacks −log levels for each pixel: k + u was divided by it.",
     _logit(ladj=lambda s, levels, margin: _slope(s, 1, margin).sum(1))),
    ("The log-determinant lacks log(1 − 2 margin) for each pixel; it is a slope, too.",
     _logit(ladj=lambda s, levels, margin: _slope(s, levels, 0.0).sum(1))),
    ("The constants are counted once: each pixel has its own slope.",
     _logit(ladj=lambda s, levels, margin: _slope(s, 1, 0.0).sum(1) + math.log((1 - 2 * margin) / levels))),
    ("The slope of the sigmoid, s(1 − s), where that of the logit, its reciprocal, is asked.",
     _logit(
         ladj=lambda s, levels, margin: (math.log((1 - 2 * margin) / levels) + s.log() + torch.log1p(-s)).sum(1)
     )),
)

EXERCISE = Exercise(
    id="flow.pixels_to_logits", number="6.4", title="from pixels to logits", points=2,
    prompt="the logits of the dequantised grey values, kept off the ends by the margin, and the summed "
           "log-derivative",
    more="Three slopes a pixel by the chain rule: 1/levels, 1 − 2 margin, 1/(s(1 − s)) of the logit. Add their "
         "logarithms.",
    cases=cases, reference=pixels_to_logits, mistakes=MISTAKES,
    watch=ObserveSpec(outputs=("z", "ladj"), tensors=True),
)
