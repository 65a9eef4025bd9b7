"""What the questions of every lecture are drawn from: sizes, points and numbers, and where accidents show.

Numbers have two digits where they can, so that a reader can redo one by hand.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .cases import Case

Rng = np.random.Generator
Cases = Iterator[Case]

NARROW = "Wrong where an axis has length one: squeeze() takes such an axis away, and torch then makes all pairs."
LARGE = "Right on small batches alone: is the number of points fixed somewhere?"


def sizes(rng: Rng) -> tuple[int, int]:
    """A batch and a dimension that differ from each other and from one."""
    return int(rng.integers(6, 11)), int(rng.integers(2, 6))


def odd_sizes(rng: Rng) -> Iterator[tuple[str, tuple[int, int], str]]:
    """(name, (B, D), hint) where squeezing, broadcasting and truncation show."""
    size, dim = sizes(rng)
    yield from (("B = 1", (1, dim), NARROW), ("D = 1", (size, 1), NARROW), ("B = 40", (40, dim), LARGE))


def points(rng: Rng, *shape: int) -> np.ndarray:
    return np.round(rng.normal(size=shape) * 1.5, 2)


def numbers(rng: Rng, *shape: int, low: float = 0.1, high: float = 0.9) -> np.ndarray:
    return np.round(rng.uniform(low, high, size=shape), 2)


def in_float32(args: dict[str, object]) -> dict[str, object]:
    """The same arguments with their floating arrays in float32."""
    return {
        name: value.astype(np.float32) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value
        for name, value in args.items()
    }


SIZE = "Right for small steps alone: is `step` used as it comes?"


def case_of(name: str, args: dict[str, object], hint: str = "", batch: str = "") -> Case:
    """A case; the one called "float32" in that precision."""
    return Case(name, in_float32(args) if name == "float32" else args, hint=hint, batch=batch)


def square_first(rng: Rng) -> list[tuple[str, tuple[int, int], str]]:
    """(name, (B, D), hint), the square batch first, where a wrong axis gives wrong values and not an error."""
    side = int(rng.integers(4, 7))
    return [
        ("B = D", (side, side), ""),
        ("a batch", sizes(rng), ""),
        ("another batch", sizes(rng), ""),
        ("float32", sizes(rng), ""),
        *odd_sizes(rng),
    ]
