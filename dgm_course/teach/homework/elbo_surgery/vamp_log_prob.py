"""3.5 The VampPrior."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ....core.distributions import DiagNormal
from .. import Exercise, ObserveSpec
from ..draws import Cases, Rng, points, sizes
from ..recipes import Encoder
from ._shared import ALONE, FAR, LOG_2PI, _batches, _case, _each, _log_q


def vamp_log_prob(z: Tensor, inputs: Tensor, encoder: Callable) -> Tensor:
    """The mixture of the encoder's answers."""
    mean, log_std = encoder(inputs)
    each = [DiagNormal(m, s).log_prob(z) for m, s in zip(mean, log_std.exp())]
    return torch.stack(each).logsumexp(0) - math.log(len(each))


def cases(rng: Rng) -> Cases:
    """Codes, K invented inputs of another size, and an encoder."""
    few = int(rng.integers(3, 6))
    rows = [
        ("B = K", (few, few - 1), ""),
        *_batches(rng),
        ("K = 1", sizes(rng), ALONE),
        ("far away", sizes(rng), FAR),
    ]
    for name, (size, dim), hint in rows:
        count, width = 1 if name == "K = 1" else few if name == "B = K" else int(rng.integers(3, 8)), dim + 2
        args = _mixture(rng, size, dim, count, width)
        while name == "far away" and not _clear(**args):
            args = _mixture(rng, size, dim, count, width, far=90.0)
        yield _case(name, args, hint, "z")


def _mixture(rng: Rng, size: int, dim: int, count: int, width: int, far: float = 0.0) -> dict[str, object]:
    z, inputs = points(rng, size, dim) + far, points(rng, count, width)
    return {"z": z, "inputs": inputs / 4 if far else inputs, "encoder": Encoder.random(rng, width, dim)}


def _clear(z: np.ndarray, inputs: np.ndarray, encoder: Encoder) -> bool:
    """Codes far away, each of one component alone: float32 rounds log-densities of -20,000, and so shares of two.

    Smaller inputs keep the encoder's tanh from its flat ends, where a slope is rounding alone."""
    inputs = torch.from_numpy(inputs)
    best, second = _log_q(torch.from_numpy(z), *encoder.build(inputs)(inputs)).topk(2, dim=1).values.unbind(1)
    return bool(z.min() > 50 and (best - second > 10).all())


def _of(z: Tensor, inputs: Tensor, encoder: Callable, each: Callable = _log_q) -> Tensor:
    return each(z, *encoder(inputs))


# fmt: off
MISTAKES = (
    ("log K is missing: the K posteriors are averaged, and without it p(z) integrates to K.",
     lambda z, inputs, encoder: _of(z, inputs, encoder).logsumexp(1)),
    ("log K is added where the average asks to divide.",
     lambda z, inputs, encoder: _of(z, inputs, encoder).logsumexp(1) + math.log(len(inputs))),
    ("This is the mean of the log-densities: average the densities, then take the logarithm.",
     lambda z, inputs, encoder: _of(z, inputs, encoder).mean(1)),
    ("The average input was encoded: encode each input on its own, and average the K densities.",
     lambda z, inputs, encoder: _of(z, inputs.mean(0, keepdim=True), encoder)[:, 0]),
    ("The parameters of the K posteriors are averaged: that makes one Gaussian, and a VampPrior is a mixture of "
     "K.",
     lambda z, inputs, encoder: (
         p := encoder(inputs),
         _log_q(z, *(part.mean(0, keepdim=True) for part in p))[:, 0],
     )[1]),
    ("The posteriors are averaged coordinate by coordinate: sum over the coordinates of z first.",
     lambda z, inputs, encoder: (_of(z, inputs, encoder, _each).logsumexp(1) - math.log(len(inputs))).sum(1)),
    ("Only the likeliest of the K posteriors counts here: all of them add up.",
     lambda z, inputs, encoder: _of(z, inputs, encoder).amax(1) - math.log(len(inputs))),
    ("log_std is read as the logarithm of the variance: the deviation itself is exp(log_std).",
     lambda z, inputs, encoder: (
         p := encoder(inputs),
         _log_q(z, p[0], p[1] / 2).logsumexp(1) - math.log(len(inputs)),
     )[1]),
    ("The deviations of the encoder are not used: each posterior has its own width.",
     lambda z, inputs, encoder: (
         p := encoder(inputs),
         _log_q(z, p[0], 0 * p[1]).logsumexp(1) - math.log(len(inputs)),
     )[1]),
    ("The invented inputs are used as if they were codes: they live in the space of the data, and q(z | u) is "
     "the encoder's answer to them.",
     lambda z, inputs, encoder: (
         p := encoder(inputs),
         _log_q(z, inputs[:, : z.shape[1]], p[1]).logsumexp(1) - math.log(len(inputs)),
     )[1]),
    ("The constant ½ log 2π, once a coordinate, is missing.",
     lambda z, inputs, encoder: (
         _of(z, inputs, encoder).logsumexp(1) - math.log(len(inputs)) + 0.5 * z.shape[1] * LOG_2PI
     )),
    ("The average is over the K inputs, and not over the codes: the wrong number is divided by.",
     lambda z, inputs, encoder: _of(z, inputs, encoder).logsumexp(1) - math.log(len(z))),
    ("− log σ is missing from the log-density.",
     lambda z, inputs, encoder: (
         p := encoder(inputs),
         (_log_q(z, *p) + p[1].sum(1)).logsumexp(1) - math.log(len(inputs)),
     )[1]),
    ("The ½ before the square is missing.",
     lambda z, inputs, encoder: (
         p := encoder(inputs),
         (_each(z, *p) - 0.5 * ((z[:, None] - p[0]) / p[1].exp()) ** 2).sum(-1).logsumexp(1)
         - math.log(len(inputs)),
     )[1]),
    ("The square is divided by the deviation, not by the variance.",
     lambda z, inputs, encoder: (
         p := encoder(inputs),
         (-0.5 * (z[:, None] - p[0]) ** 2 / p[1].exp() - p[1] - 0.5 * LOG_2PI).sum(-1).logsumexp(1)
         - math.log(len(inputs)),
     )[1]),
    ("The deviation used is log_std itself: the encoder gives its logarithm, so take the exponential.",
     lambda z, inputs, encoder: (
         p := encoder(inputs),
         _log_q(z, p[0], p[1].abs().log()).logsumexp(1) - math.log(len(inputs)),
     )[1]),
    ("The log-density of z is averaged over its coordinates: it is their sum.",
     lambda z, inputs, encoder: _of(z, inputs, encoder, _each).mean(-1).logsumexp(1) - math.log(len(inputs))),
    ("The constant ½ log 2π is counted once a code, and it belongs to each coordinate.",
     lambda z, inputs, encoder: (
         _of(z, inputs, encoder).logsumexp(1) - math.log(len(inputs)) + 0.5 * (z.shape[1] - 1) * LOG_2PI
     )),
    ("Only the first invented input is used.", lambda z, inputs, encoder: _of(z, inputs, encoder)[:, 0]),
)

EXERCISE = Exercise(
    id="surgery.vamp_log_prob", number="3.5", title="the VampPrior", points=2,
    prompt="the log-density of a VampPrior at each code, so that gradients reach the invented inputs",
    more="Call the encoder on the inputs, and you have K Gaussians; from there it is Exercise 3.1. Stay in "
         "torch, so that the inputs can learn.",
    cases=cases, reference=vamp_log_prob, mistakes=MISTAKES, watch=ObserveSpec(gradient=("inputs",), tensors=True),
)
