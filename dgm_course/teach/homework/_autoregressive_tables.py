"""The questions of the homework on divergences, exercises 1.8 to 1.10: pairs of tables, and functions of their ratio.

Probabilities are whole numbers over their sum, so that a reader can redo a small table by hand.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .cases import Case
from .draws import Cases, Rng, in_float32

ZEROS = "Wrong only where p is 0: such a term counts as 0, for p log p vanishes with p; 0 times −∞ is NaN."
INFINITE = (
    "Wrong only where q is 0 and p is not: what p holds possible and q excludes costs infinitely much. Is an epsilon added, "
    "or the term left out?"
)
ONE = "Wrong only for a single symbol, where p = q = 1: is something squeezed, or divided by the number less one?"
MANY = "Right on small tables alone: is a size fixed somewhere?"
SOME_F = "Right for some f alone: f comes as an argument, and any convex f with f(1) = 0 may come."
F_AT_ZERO = "Wrong only where p is 0: f is asked at t = 0 there, and knows its value."
EQUAL = "Wrong only where p = q: the divergence is 0 there, and f(1) = 0."


AT_ZERO = (ZEROS, INFINITE, F_AT_ZERO)


# --- recipes

GENERATORS: dict[str, Callable[[Tensor], Tensor]] = {
    "f = t log t": lambda t: torch.xlogy(t, t),
    "f = −log t": lambda t: -torch.log(t),
    "f = (t − 1)²": lambda t: (t - 1) ** 2,
    "f = ½|t − 1|": lambda t: (t - 1).abs() / 2,
    "f = (√t − 1)²": lambda t: (t.sqrt() - 1) ** 2,
    "f = max(t − 2, 0)": lambda t: (t - 2).clamp(min=0),
    "f = t³ − 1": lambda t: t**3 - 1,
}


@dataclass(frozen=True)
class Generator:
    """A convex f with f(1) = 0 by its formula, elementwise."""

    formula: str

    def build(self, like: Tensor) -> Callable[[Tensor], Tensor]:
        return GENERATORS[self.formula]


# --- questions


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


def tables(rng: Rng) -> Cases:
    for name, shape, hint in _shapes(rng):
        args = {"p": _table(rng, *shape), "q": _table(rng, *shape)}
        yield Case(name, in_float32(args) if name == "float32" else args, {"cells": math.prod(shape)}, hint)
    symbols = int(rng.integers(5, 9))
    for name, p_zeros, q_zeros, hint in (
        *(("p has zeros", 2, 0, ZEROS), ("p and q have zeros at the same cells", 2, 2, ZEROS)),
        ("q has a zero where p has none", 0, 1, INFINITE),
    ):
        args = {"p": _table(rng, symbols, zeros=p_zeros), "q": _table(rng, symbols, zeros=q_zeros)}
        yield Case(name, args, {"cells": symbols}, hint)


def divergences(rng: Rng) -> Cases:
    """q is positive throughout, and p has zeros only where f(0) is finite."""
    shapes = [shape for _, shape, _ in _shapes(rng)[:4]]
    for formula, shape in zip(GENERATORS, (*shapes, *shapes)):
        hint = SOME_F if formula in ("f = max(t − 2, 0)", "f = t³ − 1") else ""
        q = _table(rng, *shape)
        q.reshape(-1)[0] /= 4  # so that some ratio is above 2
        q /= q.sum()
        yield Case(formula, {"f": Generator(formula), "p": _table(rng, *shape), "q": q}, {"cells": q.size}, hint)
    for name, formula, shape, zeros, hint in (
        *(("float32", "f = t log t", (6,), 0, ""), ("p has zeros", "f = t log t", (7,), 2, F_AT_ZERO)),
        *(("one symbol", "f = −log t", (1,), 0, ONE), ("40 symbols", "f = (t − 1)²", (40,), 0, MANY)),
    ):
        args = {"f": Generator(formula), "p": _table(rng, *shape, zeros=zeros), "q": _table(rng, *shape)}
        yield Case(name, in_float32(args) if name == "float32" else args, {"cells": math.prod(shape)}, hint)


def ratios(rng: Rng) -> Cases:
    """t = p/q for a batch of pairs of tables, (B, K); `shown` keeps the q by which f is averaged."""
    size, symbols = int(rng.integers(7, 11)), int(rng.integers(3, 7))
    for name, rows, cells, hint in (
        *(("pairs of tables", size, symbols, ""), ("other pairs", symbols, size, ""), ("float32", size, symbols, "")),
        *(("one pair", 1, symbols, ""), ("p = q = 1", size, 1, EQUAL), ("40 pairs", 40, symbols, MANY)),
    ):
        q = np.stack([_table(rng, cells) for _ in range(rows)])
        t = np.stack([_table(rng, cells) for _ in range(rows)]) / q
        args = {"t": t.astype(np.float32) if name == "float32" else t}
        yield Case(name, args, {"pair": np.arange(rows), "q": q}, hint)
