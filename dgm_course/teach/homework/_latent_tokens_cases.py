"""The questions of the homework on models that write codes: rows to norm, pairs to turn, sides of grids, residuals."""

from __future__ import annotations

import numpy as np

from .cases import Case
from .draws import LARGE, NARROW, Cases, Rng, in_float32, numbers, odd_sizes, points, sizes

ALIKE = (
    "Wrong only where two scales have the same size: they are two scales all the same, and the later may not be seen by the "
    "earlier. What counts is which scale comes first, not how large it is."
)
ONE = "Wrong only where there is a single scale: all of its places see each other."
WHOLE = "Wrong only at the finest scale, where nothing is shrunk and nothing has to be raised."
SINGLE = "Wrong only at the coarsest scale, one vector for the whole picture: its mean is what has to be told."


def _case(name: str, args: dict[str, object], hint: str = "", batch: str = "") -> Case:
    return Case(name, in_float32(args) if name == "float32" else args, hint=hint, batch=batch)


def _batches(rng: Rng) -> list[tuple[str, tuple[int, int], str]]:
    """(name, (B, D), hint), the square batch first, where a wrong axis gives wrong values and not an error."""
    side = int(rng.integers(4, 7))
    return [("B = D", (side, side), ""), ("a batch", sizes(rng), ""), ("another batch", sizes(rng), ""),
            ("float32", sizes(rng), ""), *odd_sizes(rng)]


def rows(rng: Rng) -> Cases:
    """Features (B, C), a gain (C,), and an epsilon that is large enough to be seen."""
    for name, shape, hint in _batches(rng):
        renamed = {"B = D": "B = C", "D = 1": "C = 1"}.get(name, name)
        args = {"h": points(rng, *shape) + 0.7, "gain": numbers(rng, shape[1], low=0.4, high=2.5),
                "epsilon": float(np.round(rng.uniform(0.2, 0.6), 2) + 0.003)}
        yield _case(renamed, args, hint)


def pairs(rng: Rng) -> Cases:
    """The first and the second number of every pair (B, P), places (B,), speeds (P,)."""
    for name, shape, hint in _batches(rng):
        renamed = {"B = D": "B = P", "D = 1": "P = 1"}.get(name, name)
        args = {"x": points(rng, *shape), "y": points(rng, *shape), "places": rng.permutation(shape[0]) + 1.0,
                "speeds": numbers(rng, shape[1], low=0.12, high=0.98)}
        yield _case(renamed, args, hint)


def sides(rng: Rng) -> Cases:
    """Sides of the grids of all scales (S,), whole numbers."""
    some = np.sort(rng.choice(np.arange(2, 6), size=int(rng.integers(2, 4)), replace=False))
    yield Case(f"sides {', '.join(map(str, [1, *some]))}", {"sides": np.array([1, *some])})
    yield Case("sides 1, 2, 3", {"sides": np.array([1, 2, 3])})
    yield Case("two of a size", {"sides": np.array([1, 2, 2, int(rng.integers(3, 5))])}, hint=ALIKE)
    yield Case("one scale", {"sides": np.array([int(rng.integers(2, 5))])}, hint=ONE)
    many = np.sort(rng.integers(1, 3, size=40 + int(rng.integers(0, 9))))
    yield Case("forty scales or more", {"sides": many}, hint=ALIKE)


def residuals(rng: Rng) -> Cases:
    """What is left to tell (B, C, H, H), vectors (K, C), and the side of the scale."""
    few = int(rng.integers(2, 5))
    shapes = (("C = H", (few + 2, 5, 5, 5), 3, ""), ("7 to 3", (few, 3, 7, 7), 3, ""), ("6 to 4", (few + 1, 2, 6, 6), 4, ""),
              ("7 to 5, float32", (few, 2, 7, 7), 5, ""), ("the coarsest", (few, 3, 5, 5), 1, SINGLE),
              ("the finest", (few, 3, 4, 4), 4, WHOLE), ("B = 1", (1, few, 5, 5), 2, NARROW),
              ("C = 1, one place", (few + 2, 1, 1, 1), 1, NARROW), ("B = 40", (40, 2, 3, 3), 2, LARGE))
    for name, shape, side, hint in shapes:
        vectors = np.round(rng.normal(size=(int(rng.integers(5, 10)), shape[1])) * 1.2, 4)
        args = {"rest": points(rng, *shape), "vectors": vectors, "side": side}
        yield Case(name, in_float32(args) if "float32" in name else args, hint=hint)
