"""What several exercises share.

The questions of the introduction's homework: small data sets, densities of classes, mixtures with their noise.
"""

from __future__ import annotations

import numpy as np

from .. import Case
from ..draws import Rng, in_float32, odd_sizes, sizes


def _batches(rng: Rng) -> list[tuple[str, tuple[int, int], str]]:
    """(name, (B, D), hint); the square batch is where a wrong axis gives wrong values and not an error."""
    side = int(rng.integers(3, 6))
    return [
        ("B = D", (side, side), ""),
        ("a batch", sizes(rng), ""),
        ("another batch", sizes(rng), ""),
        ("float32", sizes(rng), ""),
        *odd_sizes(rng),
    ]


def _ordinary_first(rng: Rng) -> list[tuple[str, tuple[int, int], str]]:
    """The same, the square batch second: where a shape is wrong, it shows best where no two sizes are equal."""
    square, ordinary, *others = _batches(rng)
    return [ordinary, square, *others]


def _case(name: str, args: dict[str, object], hint: str = "", batch: str = "") -> Case:
    return Case(name, in_float32(args) if name == "float32" else args, hint=hint, batch=batch)


def _deviations(rng: Rng, count: int) -> np.ndarray:
    """Some clearly below one and some clearly above."""
    narrow = rng.uniform(0.4, 0.8, size=count)
    return np.round(np.where(rng.random(size=count) < 0.5, narrow, 1 + narrow), 2)


def _shares(rng: Rng, count: int) -> np.ndarray:
    """Probabilities that differ clearly from each other and from 1/K; they sum to one."""
    raw = rng.permutation(np.arange(1, count + 1) + rng.uniform(0, 0.4, size=count))
    return raw / raw.sum()
