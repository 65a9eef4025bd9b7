"""6.3 The change of variables."""

import math
from collections.abc import Callable

from torch import Tensor

from ....flows import StandardNormal
from .. import Case, Exercise, ObserveSpec
from ..draws import Cases, Rng, points, sizes
from ._shared import _typed, _usual


def log_density(z: Tensor, ladj: Tensor) -> Tensor:
    """The library's noise, and the change of volume."""
    return StandardNormal(z.shape[1]).to(z).log_prob(z) + ladj


FAR = "Wrong only for large numbers: is something clamped, or a logarithm taken of an exponential that overflows?"


def cases(rng: Rng) -> Cases:
    for name, (size, dim), hint in _usual(rng):
        args = {"z": points(rng, size, dim), "ladj": points(rng, size)}
        yield Case(name, _typed(name, args), hint=hint)
    size, dim = sizes(rng)
    yield Case("far away", {"z": 40 + points(rng, size, dim), "ladj": 100 * points(rng, size)}, hint=FAR)


LOG_2PI = math.log(2 * math.pi)


def _density(
    square: float = -0.5, constant: float = -0.5 * LOG_2PI, sign: float = 1.0, each: bool = True
) -> Callable:
    def form(z: Tensor, ladj: Tensor) -> Tensor:
        count = z.shape[1] if each else 1
        return square * (z**2).sum(1) + constant * count + sign * ladj

    return form


# fmt: off
MISTAKES = (
    ("The sign of the log-determinant: ladj is that of f, towards the noise, so it is added. (Where f "
     "stretches, the data were dense.)",
     _density(sign=-1.0)),
    ("The log-determinant is missing: that is the density of z, not of x.", _density(sign=0.0)),
    ("The constant of the normal is there for one coordinate only: −½ log 2π for each of the D.",
     _density(each=False)),
    ("The constant −½ log 2π of each coordinate is missing: without it the density does not integrate to one.",
     _density(constant=0.0)),
    ("log 2π without its ½: the normal has a root of 2π.", _density(constant=-LOG_2PI)),
    ("The ½ in front of the square is missing.", _density(square=-1.0)),
    ("The sign of the square: far from the middle the normal is small.", _density(square=0.5)),
    ("A mean over the coordinates: the density of independent coordinates is a product, its logarithm a sum.",
     lambda z, ladj: -0.5 * (z**2).mean(1) - 0.5 * LOG_2PI + ladj),
    ("exp(ladj) is added, the determinant itself: what belongs here is its logarithm, which ladj already is.",
     lambda z, ladj: _density()(z, ladj) - ladj + ladj.exp()),
    ("A second logarithm of the determinant: ladj is one already.",
     lambda z, ladj: _density()(z, ladj) - ladj + ladj.abs().log()),
)

EXERCISE = Exercise(
    id="flow.log_density", number="6.3", title="the change of variables",
    prompt="log p of each sample, from where the flow takes it, the log-determinant and a standard normal there",
    more="log p(x) = log N(z; 0, I) + ladj; the normal of D coordinates is a sum of D logarithms, constants and "
         "all.",
    cases=cases, reference=log_density, mistakes=MISTAKES,
    watch=ObserveSpec(outputs=("log_p",), gradient=("z", "ladj"), tensors=True),
)
