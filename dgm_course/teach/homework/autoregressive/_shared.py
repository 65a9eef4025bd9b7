"""What several exercises share.

The questions of the homework on autoregressive models: kernels, images, tokens, causal networks, keys and values.

Everything causal here is causal by construction; whether an answer keeps it so is seen from its values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .. import Case, SameValues
from ..draws import NARROW, Rng, in_float32

LARGE = "Right on small batches alone: is a size fixed somewhere?"

SURE = (
    "Wrong only where logits are large: there a probability rounds to 0 or 1, its logarithm is lost (or "
    "clamped), or exp() overflows. Some functions of torch go from logits to logarithms without passing "
    "through probabilities."
)

LOUD = (
    "Wrong only where the scores q·k are large: either exp() overflows on the way, or places that are "
    "to be hidden get a number that is not low enough against such scores."
)

BITS = "Wrong for two symbols alone: is the number of symbols fixed somewhere, or read off the tokens?"


@dataclass(frozen=True)
class Ordinary(SameValues):
    """All cases are judged; but a mistake is recognised by those whose hint is not among these.

    What an answer does with extreme numbers, beside its mistake, is a question of its own."""

    extremes: tuple[str, ...] = (SURE, LOUD)

    def canonical(self, values: dict[str, np.ndarray], case: Case) -> dict[str, np.ndarray]:
        return {} if case.hint in self.extremes else values


def _sizes(rng: Rng) -> tuple[int, int]:
    """A batch and a length that differ from each other and from one."""
    return int(rng.integers(6, 11)), int(rng.integers(3, 6))


def _kind(name: str, args: dict[str, object]) -> dict[str, object]:
    return in_float32(args) if name == "float32" else args


def _tokens(rng: Rng, symbols: int, *shape: int) -> np.ndarray:
    """Tokens, the last of all K among them."""
    x = rng.integers(0, symbols, size=shape)
    x[0, 0] = symbols - 1
    return x


def _batches(rng: Rng) -> Iterator[tuple[str, tuple[int, int, int], str]]:
    """(name, (B, L, d), hint)"""
    side, (size, length) = int(rng.integers(4, 7)), _sizes(rng)  # three rows could be taken for three results
    width = int(rng.integers(6, 9))
    yield from (("B = L = d", (side, side, side), ""), ("a batch", (size, length, width), ""))
    yield from (("narrow heads", (size, length, 2), ""), ("float32", (size, length, width), ""))
    yield "large scores", (size, length, width), LOUD
    yield from (("B = 1", (1, length, width), NARROW), ("L = 1", (size, 1, width), NARROW))
    yield from (("L = d = 1", (size, 1, 1), NARROW), ("B = 40", (40, length, width), LARGE))


ZEROS = "Wrong only where p is 0: such a term counts as 0, for p log p vanishes with p; 0 times −∞ is NaN."

INFINITE = (
    "Wrong only where q is 0 and p is not: what p holds possible and q excludes costs infinitely much. "
    "Is an epsilon added, or the term left out?"
)

ONE = "Wrong only for a single symbol, where p = q = 1: is something squeezed, or divided by the number less one?"

MANY = "Right on small tables alone: is a size fixed somewhere?"

F_AT_ZERO = "Wrong only where p is 0: f is asked at t = 0 there, and knows its value."

AT_ZERO = (ZEROS, INFINITE, F_AT_ZERO)


def _table(rng: Rng, *shape: int, zeros: int = 0) -> np.ndarray:
    """Probabilities over all cells; the first ``zeros`` of them are 0."""
    counts = rng.integers(1, 20, size=shape).astype(float)
    counts.reshape(-1)[:zeros] = 0
    return counts / counts.sum()


def _shapes(rng: Rng) -> tuple[tuple[str, tuple[int, ...], str], ...]:
    symbols, rows = int(rng.integers(5, 10)), int(rng.integers(3, 6))
    return (
        *(("one axis", (symbols,), ""), ("two axes", (rows, rows + 2), ""), ("a square table", (rows, rows), "")),
        *(("words of three", (3, 3, 3), ""), ("float32", (symbols,), "")),
        *(("one symbol", (1,), ONE), ("40 symbols", (40,), MANY)),
    )
