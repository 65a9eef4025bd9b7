"""What several exercises share.

The questions of the homework on absorbing diffusion: tokens, hours, schedules, and models of tokens.

Tokens are 0 ... K − 1 and the mask is K.  Chances have two digits and hours three, the last being a 5, so that
no hour ever equals a chance: below and not above says the same as below.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..draws import NARROW, Rng

LARGE = "Right on small batches alone: is the number of sequences fixed somewhere?"

ENDS = "Wrong only where the chance is 0 or 1: is something clamped, added, or divided by zero?"

BITS = "Wrong for two symbols alone: K comes in as an argument; is it fixed somewhere, or read off the tokens?"

MASK = "Wrong where the tokens do not tell what the mask is: it comes in as an argument, and is not read off them."


def _sizes(rng: Rng) -> tuple[int, int]:
    """A batch and a length that differ from each other and from one."""
    return int(rng.integers(6, 11)), int(rng.integers(3, 6))


def _square(rng: Rng) -> tuple[int, int]:
    side = int(rng.integers(6, 9))
    return side, side


def _odd_sizes(rng: Rng) -> Iterator[tuple[str, int, int, str]]:
    """(name, B, L, hint) where squeezing, broadcasting and truncation show."""
    size, length = _sizes(rng)
    yield from (("B = 1", 1, length, NARROW), ("L = 1", size, 1, NARROW), ("B = 40", 40, length, LARGE))


def _batches(rng: Rng) -> Iterator[tuple[str, int, int, str]]:
    """(name, B, L, hint); the square batch comes first, where a wrong axis gives wrong values and not an error."""
    yield ("B = L", *_square(rng), "")
    yield ("a batch", *_sizes(rng), "")
    yield ("float32", *_sizes(rng), "")
    yield ("two symbols", *_sizes(rng), BITS)
    yield ("chances 0 and 1", *_sizes(rng), ENDS)
    yield from _odd_sizes(rng)


def _symbols(rng: Rng, name: str) -> int:
    return 2 if name == "two symbols" else int(rng.integers(3, 8))


def _tokens(rng: Rng, symbols: int, *shape: int) -> np.ndarray:
    """Tokens, the last of all K among them."""
    x = rng.integers(0, symbols, size=shape)
    x[0, 0] = symbols - 1
    return x


def _hours(rng: Rng, *shape: int) -> np.ndarray:
    return (rng.integers(0, 100, size=shape) * 10 + 5) / 1000


def _chances(rng: Rng, *shape: int, low: float = 0.15, high: float = 0.85) -> np.ndarray:
    return np.round(rng.uniform(low, high, size=shape), 2)


def _step(rng: Rng, *shape: int) -> tuple[np.ndarray, np.ndarray]:
    """(survive_before, survive_now), the former larger by at least 0.05."""
    now = _chances(rng, *shape, low=0.1, high=0.8)
    return np.round(now + 0.05 + (0.93 - now) * rng.uniform(0, 1, size=shape), 2), now


def _kind(name: str) -> type:
    return np.float32 if name == "float32" else np.float64
