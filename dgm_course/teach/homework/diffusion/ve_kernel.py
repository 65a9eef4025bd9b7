"""7.2 The variance-exploding kernel."""

import math
from collections.abc import Callable

from torch import Tensor

from ....paths import VE
from .. import Exercise, ObserveSpec
from ..draws import Cases, Rng
from ._shared_cases import _kernels


def ve_kernel(x: Tensor, s: Tensor, sigma_min: float, sigma_max: float) -> tuple[Tensor, Tensor]:
    """alpha x and sigma of the library's VE path, at its time 1 − s."""
    path = VE(sigma_min, sigma_max)
    return path.alpha(1 - s) * x, path.sigma(1 - s)


SOME_SIGMA = "Right for some σ alone: are sigma_min and sigma_max used as they come?"


def cases(rng: Rng) -> Cases:
    def ends(low: float, high: float) -> dict[str, float]:
        return {"sigma_min": low, "sigma_max": high}

    drawn = ends(round(float(rng.uniform(0.2, 0.9)), 2), round(float(rng.uniform(2, 9)), 2))
    schedules = (
        ("σ from 0.5 to 4", ends(0.5, 4.0), ""),
        ("σ from 0.01 to 10", ends(0.01, 10.0), ""),
        ("another σ", drawn, SOME_SIGMA),
        ("σ from 1.5 to 6", ends(1.5, 6.0), SOME_SIGMA),
    )
    return _kernels(rng, schedules, ends(0.3, 5.0))


def _level(s: Tensor, low: float, high: float) -> Tensor:
    """sigma(s), geometric from low to high."""
    return low * (high / low) ** s


def _ve(
    level: Callable = _level,
    deviation: Callable = lambda now, low: (now**2 - low**2).sqrt(),
    mean: Callable = lambda x, std: x,
) -> Callable:
    """The kernel with one of its pieces exchanged."""

    def kernel(x: Tensor, s: Tensor, low: float, high: float) -> tuple[Tensor, Tensor]:
        std = deviation(level(s, low, high), low)
        return mean(x, std), std

    return kernel


# fmt: off
MISTAKES = (
    ("σ(s) itself came for the deviation: at s = 0 the data are clean, and σ(0) is not yet 0.",
     _ve(deviation=lambda now, low: now)),
    ("The deviations are subtracted; of independent noises it is the variances that add and subtract.",
     _ve(deviation=lambda now, low: now - low)),
    ("The two variances are added; at s = 0 nothing may be left.",
     _ve(deviation=lambda now, low: (now**2 + low**2).sqrt())),
    ("Under the root, σ(0) lacks its square.", _ve(deviation=lambda now, low: (now**2 - low).sqrt())),
    ("Under the root, σ(s) and σ(0) lack their squares.", _ve(deviation=lambda now, low: (now - low).sqrt())),
    ("Time runs the other way: your largest noise is at s = 0, the slides' is at s = 1.",
     _ve(lambda s, low, high: _level(1 - s, low, high))),
    ("sigma grows along a straight line; the schedule is geometric, equal factors in equal times.",
     _ve(lambda s, low, high: low + (high - low) * s)),
    ("σ(s) lacks its factor σ_min: yours begins at 1.", _ve(lambda s, low, high: (high / low) ** s)),
    ("The ratio is upside down: your σ(s) falls, and the root is taken of a negative number.",
     _ve(lambda s, low, high: low * (low / high) ** s)),
    ("σ_min enters σ(s) under a root: σ(0) must be σ_min.",
     _ve(lambda s, low, high: low**0.5 * (high / low) ** s)),
    ("The exponent of the ratio is twice too large: σ(1) must be σ_max.",
     _ve(lambda s, low, high: low * (high / low) ** (2 * s))),
    ("The variance grows along a straight line in s; σ grows geometrically.",
     lambda x, s, low, high: (x, (s * (high**2 - low**2)).sqrt())),
    ("The coefficient of the SDE's noise at s came; asked is the deviation that has come together since s = 0.",
     _ve(lambda s, low, high: (2 * math.log(high / low)) ** 0.5 * _level(s, low, high), lambda g, low: g)),
    ("The ratio is multiplied by s; it is raised to the power s.",
     _ve(lambda s, low, high: low * (high / low) * s)),
    ("The variance came as what is still missing to σ_max; asked is what came in since s = 0.",
     lambda x, s, low, high: (x, (high**2 - _level(s, low, high) ** 2).sqrt())),
    ("The mean shrinks as on a variance-preserving path; VE adds noise and leaves the data as they are.",
     _ve(mean=lambda x, std: (1 - std**2).sqrt() * x)),
    ("The mean is divided as if data and noise were scaled to variance one; VE leaves the data as they are.",
     _ve(mean=lambda x, std: x / (1 + std**2).sqrt())),
    ("The mean is multiplied by the deviation; VE leaves the data as they are.", _ve(mean=lambda x, std: std * x)),
    ("A point displaced by one deviation came for the mean; VE leaves the data as they are.",
     _ve(mean=lambda x, std: x + std)),
)

EXERCISE = Exercise(
    id="diff.ve_kernel", number="7.2", title="the variance-exploding kernel",
    prompt="mean and standard deviation, at the slides' time s, of the variance-exploding process that started "
           "at x",
    more="σ(s) = σ_min (σ_max/σ_min)ˢ. The data stay, and the variance that came in since s = 0 is σ(s)² − σ(0)².",
    cases=cases, reference=ve_kernel, mistakes=MISTAKES, watch=ObserveSpec(outputs=("mean", "std")),
)
