"""5.1 The best discriminator."""

import torch
from torch import Tensor

from ....gan import OptimalDiscriminator
from .. import Case, Exercise
from ..draws import NARROW, Cases, Rng
from ._shared import ENDS, LARGE, _densities, _kind, _size, _Values


def optimal_discriminator(pi: Tensor, p: Tensor) -> Tensor:
    """The sigmoid of log π − log p."""
    return OptimalDiscriminator(_Values(pi), _Values(p))(pi).sigmoid()


TINY = "Wrong only where both densities are tiny: an epsilon added below the line outweighs them."


def cases(rng: Rng) -> Cases:
    for name, size, hint in (
        ("two densities", _size(rng), ""),
        ("two others", _size(rng), ""),
        ("float32", _size(rng), ""),
        ("no model there", _size(rng), ENDS),
        ("no data there", _size(rng), ENDS),
        ("far out", _size(rng), TINY),
        ("B = 1", 1, NARROW),
        ("B = 40", 40, LARGE),
    ):
        pi, p = _densities(rng, size), _densities(rng, size)
        pi, p = (pi * 1e-12, p * 1e-12) if name == "far out" else (pi, p)
        pi[1:3] = 0 if name == "no data there" else pi[1:3]
        p[1:3] = 0 if name == "no model there" else p[1:3]
        yield Case(name, {"pi": pi.astype(_kind(name)), "p": p.astype(_kind(name))}, hint=hint)


# fmt: off
MISTAKES = (
    ("That is the probability to be fake, 1 − D*: D is the probability that x is real.",
     lambda pi, p: p / (pi + p)),
    ("The ratio of the densities came: those are the odds D/(1 − D), and D itself lies between 0 and 1.",
     lambda pi, p: pi / p),
    ("Upside down, and the ratio of the densities only: D lies between 0 and 1.", lambda pi, p: p / pi),
    ("That is the logit, log π − log p: its sigmoid is asked.", lambda pi, p: pi.log() - p.log()),
    ("The sigmoid of the difference of the densities: it is the difference of their logarithms that is the logit.",
     lambda pi, p: torch.sigmoid(pi - p)),
    ("½ is the answer where the two densities are equal, and only there.", lambda pi, p: 0.5 + 0 * pi),
    ("The densities are squared: set the derivative of π log D + p log(1 − D) to zero, both appear to the first "
     "power.",
     lambda pi, p: pi**2 / (pi**2 + p**2)),
    ("All points are pooled: at each x the two densities there decide, and nothing else.",
     lambda pi, p: pi.sum() / (pi + p).sum() + 0 * pi),
    ("A decision, 0 or 1, came: the best discriminator says how sure one can be.", lambda pi, p: (pi > p).to(pi)),
)

EXERCISE = Exercise(
    id="gan.optimal_discriminator", number="5.1", title="the best discriminator",
    prompt="the probability that x is real, where both densities are known at x",
    more="At each x, π log D + p log(1 − D) is largest where π/D = p/(1 − D).",
    cases=cases, reference=optimal_discriminator, mistakes=MISTAKES,
)
