"""What several exercises share.

The questions of the homework on games: densities, logits, tables, critics with their weights, feature maps.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from .. import Case
from ..draws import NARROW, Cases, Rng


class _Values:
    """Densities that are given by their values: log_prob of anything is their logarithm."""

    def __init__(self, values: Tensor) -> None:
        self.values = values

    def log_prob(self, x: Tensor) -> Tensor:
        return self.values.log()


LARGE = "Right on small batches alone: is the number of samples fixed somewhere?"

ENDS = "Wrong only where one of the densities is 0: is something clamped, added, or a logarithm taken of it?"

SURE = (
    "Wrong only where the critic is sure: sigmoid has rounded to 0 or 1 there, and log of 0 is −inf. "
    "Written in logits, −log sigmoid(l) = softplus(−l), nothing overflows."
)

UNEQUAL = (
    "Wrong only where the numbers of real and fake samples differ: each of the two terms is a mean of its own."
)


def _kind(name: str) -> type:
    return np.float32 if name == "float32" else np.float64


def _size(rng: Rng) -> int:
    return int(rng.integers(6, 12))


def _densities(rng: Rng, size: int) -> np.ndarray:
    return np.round(rng.uniform(0.05, 2.0, size=size), 3)


def _logits(rng: Rng, size: int) -> np.ndarray:
    return np.round(rng.normal(size=size) * 2 + 0.3, 2)


def two_batches(rng: Rng) -> Cases:
    for name, size, other, hint in (
        ("two batches", n := _size(rng), n, ""),
        ("two others", n := _size(rng), n, ""),
        ("float32", n := _size(rng), n, ""),
        ("a sure critic", n := _size(rng), n, SURE),
        ("unequal numbers", n := _size(rng), n + 3, UNEQUAL),
        ("B = 1", 1, 1, NARROW),
        ("B = 40", 40, 40, LARGE),
    ):
        real, fake = _logits(rng, size), _logits(rng, other)
        if name == "a sure critic":
            real[:2], fake[:2] = (70.0, -90.0), (80.0, -75.0)
        yield Case(name, {"real": real.astype(_kind(name)), "fake": fake.astype(_kind(name))}, hint=hint)
