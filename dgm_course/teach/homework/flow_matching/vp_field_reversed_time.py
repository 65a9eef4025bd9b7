"""8.8 The VP field in reversed time."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ....paths import GaussianPath
from .. import Case, Exercise
from ..draws import Cases, Rng, sizes
from ..draws import points as _points
from ._shared import _odd_sizes, _times


def vp_field(x: Tensor, x1: Tensor, t: Tensor, beta_min: float, beta_max: float) -> Tensor:
    """The library's path with this alpha, which differentiates it in the library's clock; β may fall, too."""

    def area(t: Tensor) -> Tensor:
        return (1 - t) * (beta_min + (beta_max - beta_min) * (1 - t) / 2)

    path = GaussianPath(lambda t: torch.exp(-area(t) / 2), lambda t: torch.sqrt(-torch.expm1(-area(t))), name="VP")
    return path.velocity(x, x1, t.reshape(-1))


def cases(rng: Rng) -> Cases:
    drawn = (round(float(rng.uniform(0.1, 2)), 2), round(float(rng.uniform(3, 15)), 2))
    for (low, high), name, hint in (
        ((0.1, 20.0), "β from 0.1 to 20", ""),
        ((0.5, 4.0), "β from 0.5 to 4", ""),
        (drawn, "another β", "Right for some β alone: are beta_min and beta_max used as they come?"),
        ((6.0, 0.5), "a falling β", "β may fall as well: beta_max < beta_min is allowed."),
    ):
        yield _reversed_time(rng, name, sizes(rng), (low, high), hint)
    ends = "Wrong only near the ends of time: is something clamped or added against a division by zero?"
    yield _reversed_time(rng, "t near 0 and 1", sizes(rng), (0.1, 20.0), ends)
    for name, size, dim, hint in _odd_sizes(rng):
        yield _reversed_time(rng, name, (size, dim), (0.2, 10.0), hint)


def _reversed_time(rng: Rng, name: str, batch: tuple[int, int], beta: tuple[float, float], hint: str) -> Case:
    t = _times(rng, batch[0], 1)
    if name == "t near 0 and 1":
        t = np.where(np.arange(batch[0])[:, None] % 2, 0.01 + 0.03 * t, 0.99 - 0.03 * t).round(3)
    points = {"x": _points(rng, *batch), "x1": _points(rng, *batch)}
    return Case(name, {**points, "t": t, "beta_min": beta[0], "beta_max": beta[1]}, hint=hint)


def _reversed(
    clock: Callable = lambda t: 1 - t,
    exponent: float = 0.5,
    slope: float = 1.0,
    below: Callable = lambda a: 1 - a**2,
    inner: bool = True,
    area: Callable = lambda s, low, high: low * s + (high - low) * s**2 / 2,
):
    """The slide's formula with one of its pieces exchanged."""

    def field(x: Tensor, x1: Tensor, t: Tensor, low: float, high: float) -> Tensor:
        s = clock(t)
        beta, alpha = low + (high - low) * s, torch.exp(-exponent * area(s, low, high))
        return slope * -exponent * beta * (alpha if inner else 1) / below(alpha) * (alpha * x - x1)

    return field


# fmt: off
MISTAKES = (
    ("The time is not reversed: the slide's α lives on s = 1 − t, yours is taken at t.",
     _reversed(clock=lambda t: t)),
    ("Below the line stands the variance 1 − α², not 1 − α.", _reversed(below=lambda a: 1 - a)),
    ("Below the line stands the variance 1 − α², not its root σ.",
     _reversed(below=lambda a: torch.sqrt(1 - a**2))),
    ("The ½ is missing: α(s) = exp(−½ ∫ β).", _reversed(exponent=1.0)),
    ("The derivative of α = exp(−½ ∫ β) is −½ β α: the inner α is missing.", _reversed(inner=False)),
    ("∫ β is taken as β(s)·s (the ½ of s²/2 is missing): integrate.",
     _reversed(area=lambda s, low, high: (low + (high - low) * s) * s)),
    ("β is taken at t; like α it lives on s = 1 − t.",
     lambda x, x1, t, low, high: (
         _reversed()(x, x1, t, low, high) * (low + (high - low) * t) / (low + (high - low) * (1 - t))
     )),
    ("In the bracket α multiplies x, not x1.", lambda x, x1, t, low, high: _reversed()(x1, x, t, low, high) * -1),
    ("x and x1 are exchanged.", lambda x, x1, t, low, high: _reversed()(x1, x, t, low, high)),
)

EXERCISE = Exercise(
    id="fm.vp_field_reversed_time", number="8.8", title="the VP field in reversed time", points=2,
    prompt="the slide's field at flow matching time t, for a β that is linear in the slide's own time",
    more="With s = 1 − t: ∫₀ˢ β = β_min s + (β_max − β_min) s²/2 and α' = −½ β(s) α(s).",
    cases=cases, reference=vp_field, mistakes=MISTAKES,
)
