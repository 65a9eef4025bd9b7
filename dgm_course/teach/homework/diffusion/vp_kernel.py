"""7.1 The variance-preserving kernel."""

from collections.abc import Callable

import torch
from torch import Tensor

from ....paths import VP
from .. import Exercise, ObserveSpec
from ..draws import Cases, Rng
from ._shared_cases import _kernels


def vp_kernel(x: Tensor, s: Tensor, beta_min: float, beta_max: float) -> tuple[Tensor, Tensor]:
    """alpha x and sigma of the library's VP path, at its time 1 − s."""
    path = VP(beta_min, beta_max)
    return path.alpha(1 - s) * x, path.sigma(1 - s)


SOME_BETA = "Right for some β alone: are beta_min and beta_max used as they come?"


def cases(rng: Rng) -> Cases:
    def ends(low: float, high: float) -> dict[str, float]:
        return {"beta_min": low, "beta_max": high}

    drawn, constant = (round(float(rng.uniform(*span)), 2) for span in ((0.1, 2), (1, 3)))
    schedules = (
        ("β from 0.1 to 20", ends(0.1, 20.0), ""),
        ("β from 0.5 to 4", ends(0.5, 4.0), ""),
        ("another β", ends(drawn, round(float(rng.uniform(3, 15)), 2)), SOME_BETA),
        ("a constant β", ends(constant, constant), SOME_BETA),
    )
    return _kernels(rng, schedules, ends(0.2, 10.0))


def _area(s: Tensor, low: float, high: float) -> Tensor:
    """∫₀ˢ β"""
    return low * s + (high - low) * s**2 / 2


def _vp(
    area: Callable = _area,
    mean: Callable = lambda a: torch.exp(-a / 2),
    deviation: Callable = lambda a: (1 - torch.exp(-a)).sqrt(),
) -> Callable:
    """The kernel with one of its pieces exchanged."""

    def kernel(x: Tensor, s: Tensor, low: float, high: float) -> tuple[Tensor, Tensor]:
        a = area(s, low, high)
        return mean(a) * x, deviation(a)

    return kernel


# fmt: off
MISTAKES = (
    ("∫ β is taken as β(s)·s (as if β had its last value all the way): β climbs, integrate it.",
     _vp(lambda s, low, high: (low + (high - low) * s) * s)),
    ("β(s) itself stands where its integral from 0 to s belongs.",
     _vp(lambda s, low, high: low + (high - low) * s)),
    ("The slope of β is taken as β_max; from β_min at s = 0 to β_max at s = 1 it is less.",
     _vp(lambda s, low, high: low * s + high * s**2 / 2)),
    ("β is taken to begin at 0: what β_min adds to the integral is missing.",
     _vp(lambda s, low, high: (high - low) * s**2 / 2)),
    ("β is taken as constant, its average over the whole of [0, 1]; up to s it was smaller on average.",
     _vp(lambda s, low, high: (low + high) / 2 * s)),
    ("The integral runs to 1, not to s: every time gives the same kernel.",
     _vp(lambda s, low, high: 0 * s + (low + high) / 2)),
    ("The ½ is missing in the exponent of alpha, and the deviation inherits it.", _vp(lambda *v: 2 * _area(*v))),
    ("The deviation is right; the mean shrinks by alpha² instead of alpha: the ½ in its exponent is missing.",
     _vp(mean=lambda a: torch.exp(-a))),
    ("The mean is right; the variance came as 1 − alpha, where alpha is not squared.",
     _vp(deviation=lambda a: (1 - torch.exp(-a / 2)).sqrt())),
    ("The mean is right; 1 − alpha came for the deviation. Here it is the squares of the two that add up to one.",
     _vp(deviation=lambda a: 1 - torch.exp(-a / 2))),
    ("The mean is right; the variance is the integral of β, as if no noise ever faded: it fades along with the "
     "data.",
     _vp(deviation=lambda a: a.sqrt())),
    ("The mean is right; alpha came for the deviation as well, which must be 0 at s = 0.",
     _vp(deviation=lambda a: torch.exp(-a / 2))),
    ("Time runs the other way: your data are at s = 1, the slides' at s = 0.",
     _vp(lambda s, low, high: _area(1 - s, low, high))),
    ("The ends of β are exchanged: β_min belongs to s = 0, β_max to s = 1.",
     _vp(lambda s, low, high: _area(s, high, low))),
    ("A minus is lost in the exponents: the data must fade with time, yours grow.", _vp(lambda *v: -_area(*v))),
    ("The deviation is right; the mean shrinks by the root of alpha: the exponent has one ½ too many.",
     _vp(mean=lambda a: torch.exp(-a / 4))),
    ("alpha alone came for the mean: how far x has shrunk, without x.",
     lambda x, s, low, high: _vp()(torch.ones_like(x), s, low, high)),
    ("The mean does not shrink: so it is on VE; here the data fade while noise comes in.",
     _vp(mean=torch.ones_like)),
)

EXERCISE = Exercise(
    id="diff.vp_kernel", number="7.1", title="the variance-preserving kernel",
    prompt="mean and standard deviation, at the slides' time s, of the variance-preserving process that started "
           "at x",
    more="∫₀ˢ β = β_min s + (β_max − β_min) s²/2. With α = exp(−½ ∫₀ˢ β) the mean is α x and the variance 1 − α².",
    cases=cases, reference=vp_kernel, mistakes=MISTAKES, watch=ObserveSpec(outputs=("mean", "std")),
)
