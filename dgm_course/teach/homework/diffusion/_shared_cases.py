"""What several exercises share.

The questions of the homework on diffusion: noise levels, schedules, batches, drawn anew for every seed.

Each exercise is asked on ordinary batches first, and then where accidents show: one point, one coordinate,
many points, the first and the last step of a chain, both ends of time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from .. import Case
from ..draws import Cases, Rng, in_float32, numbers, odd_sizes, points, sizes

ENDS = "Wrong only near the ends of time: is something clamped, or added against a division by zero?"

FIRST = (
    "Only the first step k = 1 is wrong. Before it nothing is spoilt, abar_0 = 1 and no variance is "
    "left: does an index of −1 reach for the last entry, or is something clamped?"
)

LAST = "Only the last step k = T is wrong: which entry of betas, counted from 0, belongs to step T?"

ANY_BETAS = "Right on some schedules alone: the betas come as an argument, and need not rise."

LONG = (
    "Right on short schedules alone: is the number of steps fixed somewhere, or an epsilon added to small "
    "variances?"
)

TO_DATA = (
    "Wrong only where the step ends at the data, abar_next = 1: is something clamped or divided by zero there?"
)

NEIGHBOURS = (
    "Wrong only where the two alpha-bars lie close together: is something clamped, rounded, or an epsilon added?"
)


def _kernel(rng: Rng, batch: tuple[int, int], ends: dict[str, float]) -> dict[str, object]:
    return {"x": points(rng, *batch), "s": numbers(rng, batch[0], 1), **ends}


def _ends_of_time(rng: Rng, size: int) -> np.ndarray:
    """0, 1 and times near to them, in turn.  (B, 1)"""
    near = numbers(rng, size, 1, low=0.01, high=0.04)
    turns = np.arange(size)[:, None] % 4
    return np.select(
        [turns == 0, turns == 1, turns == 2], [np.zeros_like(near), np.ones_like(near), near], 1 - near
    )


def _kernels(rng: Rng, schedules: tuple, usual: dict[str, float]) -> Cases:
    for name, ends, hint in schedules:
        yield Case(name, _kernel(rng, sizes(rng), ends), hint=hint)
    yield Case("float32", in_float32(_kernel(rng, sizes(rng), usual)))
    args = _kernel(rng, sizes(rng), usual)
    yield Case("s near 0 and 1", args | {"s": _ends_of_time(rng, len(args["x"]))}, hint=ENDS)
    for name, batch, hint in odd_sizes(rng):
        yield Case(name, _kernel(rng, batch, usual), hint=hint)


def _betas(rng: Rng) -> np.ndarray:
    """A rising schedule of 12 to 20 steps.  (T,)"""
    return np.sort(np.round(rng.uniform(0.02, 0.3, size=int(rng.integers(12, 21))), 3))


def _schedules(rng: Rng) -> Iterator[tuple[str, np.ndarray, str]]:
    """(name, betas, hint): two ordinary ones first, on which neither k = 1 nor k = T is asked."""
    yield from (
        ("a schedule", _betas(rng), ""),
        ("another schedule", _betas(rng), ""),
        ("float32", _betas(rng), ""),
    )
    yield "a falling schedule", _betas(rng)[::-1].copy(), ANY_BETAS
    yield "the first step", _betas(rng), FIRST
    yield "the last step", _betas(rng), LAST
    yield "T = 1000", np.linspace(1e-4, 0.02, 1000), LONG


def _alpha_bars(betas: np.ndarray) -> np.ndarray:
    """abar_0 ... abar_T."""
    return np.concatenate([[1.0], np.cumprod(1 - betas)])


def _inner_steps(rng: Rng, betas: np.ndarray, size: int) -> np.ndarray:
    return rng.integers(2, len(betas), size=size)


def _scales_at(k: np.ndarray | int, betas: np.ndarray) -> dict[str, object]:
    """What a reader needs to redo an entry by hand."""
    bars = _alpha_bars(betas)
    found = {"beta_k": betas[k - 1], "abar_k": bars[k], "abar_(k-1)": bars[k - 1]}
    return {name: value[:, None] if isinstance(k, np.ndarray) else float(value) for name, value in found.items()}


def _two_bars(rng: Rng, size: int, name: str) -> dict[str, np.ndarray]:
    """abar_now < abar_next (B, 1): towards the data."""
    now = np.round(rng.uniform(0.05, 0.6, size=(size, 1)), 3)
    then = np.round(now + (0.95 - now) * rng.uniform(0.2, 0.9, size=(size, 1)), 3)
    if name == "abar_next = 1":
        then = np.where(np.arange(size)[:, None] % 2, then, 1.0)
    if name == "neighbours":
        then = now / (1 - rng.uniform(0.005, 0.03, size=(size, 1)))
    return {"abar_now": now, "abar_next": then}


def leaps(first: str, second: str) -> Callable[[Rng], Cases]:
    """Cases for a formula in (first, second, abar_now, abar_next)."""
    names = [("two alpha-bars", ""), ("two others", ""), ("float32", "")]
    names += [("neighbours", NEIGHBOURS), ("abar_next = 1", TO_DATA)]

    def cases(rng: Rng) -> Cases:
        for name, batch, hint in (*((name, sizes(rng), hint) for name, hint in names), *odd_sizes(rng)):
            args = {first: points(rng, *batch), second: points(rng, *batch), **_two_bars(rng, batch[0], name)}
            yield Case(name, in_float32(args) if name == "float32" else args, hint=hint)

    return cases
