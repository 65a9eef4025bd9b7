"""The questions of the homework on games: densities, logits, tables, critics with their weights, feature maps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from .cases import Case, tensor_like

Rng = np.random.Generator
Cases = Iterator[Case]

NARROW = "Wrong where an axis has length one: squeeze() takes such an axis away, and torch then makes all pairs."
LARGE = "Right on small batches alone: is the number of samples fixed somewhere?"
TINY = "Wrong only where both densities are tiny: an epsilon added below the line outweighs them."
ENDS = "Wrong only where one of the densities is 0: is something clamped, added, or a logarithm taken of it?"
SURE = (
    "Wrong only where the critic is sure: sigmoid has rounded to 0 or 1 there, and log of 0 is −inf. Written in logits, "
    "−log sigmoid(l) = softplus(−l), nothing overflows."
)
UNEQUAL = "Wrong only where the numbers of real and fake samples differ: each of the two terms is a mean of its own."
ZEROS = "Wrong only where a table holds a zero: 0 log 0 counts as 0 (torch.xlogy, or a sum over the positive entries)."


def _kind(name: str) -> type:
    return np.float32 if name == "float32" else np.float64


def _size(rng: Rng) -> int:
    return int(rng.integers(6, 12))


# --- densities


def _densities(rng: Rng, size: int) -> np.ndarray:
    return np.round(rng.uniform(0.05, 2.0, size=size), 3)


def densities(rng: Rng) -> Cases:
    for name, size, hint in (
        ("two densities", _size(rng), ""),
        ("two others", _size(rng), ""),
        ("float32", _size(rng), ""),
        ("no model there", _size(rng), ENDS),
        ("no data there", _size(rng), ENDS),
        ("far out", _size(rng), TINY),
        ("B = 1", 1, NARROW),
        ("B = 40", 40, LARGE),
    ):
        pi, p = _densities(rng, size), _densities(rng, size)
        pi, p = (pi * 1e-12, p * 1e-12) if name == "far out" else (pi, p)
        pi[1:3] = 0 if name == "no data there" else pi[1:3]
        p[1:3] = 0 if name == "no model there" else p[1:3]
        yield Case(name, {"pi": pi.astype(_kind(name)), "p": p.astype(_kind(name))}, hint=hint)


def targets(rng: Rng) -> Cases:
    for name, size, hint in (
        ("labels 0 and 1", _size(rng), ""),
        ("labels −1 and 1", _size(rng), ""),
        ("other labels", _size(rng), ""),
        ("float32", _size(rng), ""),
        ("no model there", _size(rng), ENDS),
        ("B = 1", 1, NARROW),
        ("B = 40", 40, LARGE),
    ):
        a, b = (float(v) for v in (np.round(rng.uniform(-3, -0.5), 1), np.round(rng.uniform(1.2, 3), 1)))
        a, b = {"labels 0 and 1": (0.0, 1.0), "labels −1 and 1": (-1.0, 1.0)}.get(name, (a, b))
        pi, p = _densities(rng, size), _densities(rng, size)
        p[1:3] = 0 if name == "no model there" else p[1:3]
        yield Case(name, {"pi": pi.astype(_kind(name)), "p": p.astype(_kind(name)), "a": a, "b": b}, hint=hint)


def tables(rng: Rng) -> Cases:
    """Rows that sum to one.  The square batch comes first, where a wrong axis gives wrong values and not an error."""
    side = int(rng.integers(5, 8))
    for name, size, symbols, hint in (
        ("B = K", side, side, ""),
        ("two tables", _size(rng), int(rng.integers(3, 6)), ""),
        ("float32", _size(rng), int(rng.integers(3, 6)), ""),
        ("a zero in one", _size(rng), 4, ZEROS),
        ("nothing in common", _size(rng), 4, ZEROS),
        ("B = 1", 1, 3, NARROW),
        ("K = 1", _size(rng), 1, NARROW),
        ("B = 40", 40, 3, LARGE),
    ):
        p, q = (rng.dirichlet(np.ones(symbols), size=size) * 0.9 + 0.1 / symbols for _ in range(2))
        if name == "a zero in one":
            p[:2, 0], q[1:3, 1] = 0, 0
        if name == "nothing in common":
            p[:, 2:], q[:, :2] = 0, 0
        p, q = (table / table.sum(1, keepdims=True) for table in (p, q))
        shown = {"row": np.arange(size)} | {f"p[{k}]": p[:, k] for k in range(min(3, symbols))}
        shown |= {f"q[{k}]": q[:, k] for k in range(min(3, symbols))}
        yield Case(name, {"p": p.astype(_kind(name)), "q": q.astype(_kind(name))}, shown, hint)


# --- logits


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


def heights(rng: Rng) -> Cases:
    """As ``two_batches``, of moderate size, since exponentials are taken of them."""
    for name, size, other, hint in (
        ("two batches", n := _size(rng), n, ""),
        ("two others", n := _size(rng), n, ""),
        ("float32", n := _size(rng), n, ""),
        ("unequal numbers", n := _size(rng), n + 3, UNEQUAL),
        ("B = 1", 1, 1, NARROW),
        ("B = 40", 40, 40, LARGE),
    ):
        real, fake = _logits(rng, size) / 2 + 0.5, _logits(rng, other) / 2
        args = {"real": real.astype(_kind(name)), "fake": fake.astype(_kind(name))}
        yield Case(name, args, hint=hint, least=0.1)  # two means, whose difference may be nearly nothing


def fakes(rng: Rng) -> Cases:
    for case in two_batches(rng):
        if case.name != "unequal numbers":
            yield Case(case.name.replace("two batches", "a batch").replace("two others", "another"),
                       {"fake": case.args["fake"]}, hint=case.hint)


# --- critics


@dataclass(frozen=True)
class SmallCritic:
    """A critic f(x) = tanh(x W + b) · v, its weights being arrays: (B, D) -> (B,)."""

    weights: tuple[np.ndarray, np.ndarray, np.ndarray]

    @classmethod
    def random(cls, rng: Rng, dim: int, steep: float = 1.0, width: int = 6) -> SmallCritic:
        shapes = ((dim, width), (width,), (width,))
        first, bias, last = (rng.normal(size=shape) for shape in shapes)
        return cls((first, bias, steep * last))

    def build(self, like: Tensor) -> nn.Module:
        return Judging([tensor_like(w, like) for w in self.weights])


class Judging(nn.Module):
    """tanh(x W + b) V + offset: one number a sample for a vector V, several for a matrix."""

    def __init__(self, weights: list[Tensor], offset: float = 0.0) -> None:
        super().__init__()
        self.weights, self.offset = nn.ParameterList(nn.Parameter(w) for w in weights), offset

    def forward(self, x: Tensor) -> Tensor:
        inner, bias, outer = self.weights
        if x.ndim != 2 or x.shape[1] != len(inner):
            raise ValueError(f"x has shape {tuple(x.shape)}: this critic expects (B, {len(inner)}).")
        return torch.tanh(x @ inner + bias) @ outer + self.offset


def critics(rng: Rng) -> Cases:
    side = int(rng.integers(5, 8))
    for name, size, dim, hint in (
        ("B = D", side, side, ""),
        ("a critic", _size(rng), int(rng.integers(2, 5)), ""),
        ("a steep critic", _size(rng), int(rng.integers(2, 5)), ""),
        ("a flat critic", _size(rng), int(rng.integers(2, 5)), "Wrong for flat critics alone: slopes below 1 count, too."),
        ("float32", _size(rng), 3, ""),
        ("B = 1", 1, 3, NARROW),
        ("D = 1", _size(rng), 1, NARROW),
        ("B = 40", 40, 2, LARGE),
    ):
        steep = {"a steep critic": 3.0, "a flat critic": 0.05}.get(name, 1.0)
        args = {
            "critic": SmallCritic.random(rng, dim, steep),
            "real": np.round(rng.normal(size=(size, dim)), 2).astype(_kind(name)),
            "fake": np.round(rng.normal(size=(size, dim)) * 0.7 + 1, 2).astype(_kind(name)),
            "u": np.round(rng.uniform(0.1, 0.9, size=size), 2).astype(_kind(name)),
        }
        yield Case(name, args, hint=hint)


# --- feature maps


def features(rng: Rng) -> Cases:
    side = int(rng.integers(4, 6))
    for name, (size, channels, high, wide), hint in (
        ("B = C", (side, side, 2, 3), ""),
        ("feature maps", (_size(rng), int(rng.integers(2, 5)), 3, 2), ""),
        ("float32", (_size(rng), int(rng.integers(2, 5)), 2, 4), ""),
        ("C = 1", (_size(rng), 1, 3, 3), NARROW),
        ("B = 1", (1, 3, 3, 4), NARROW),
        ("one row", (_size(rng), 3, 1, 7), NARROW),
        ("B = 40", (40, 2, 2, 2), LARGE),
    ):
        level, spread = rng.normal(size=(size, channels, 1, 1)) * 2, rng.uniform(0.7, 3, size=(size, channels, 1, 1))
        ramp = np.linspace(-1, 1, high * wide).reshape(1, 1, high, wide)  # so that no map is flat
        x = level + spread * (ramp + 0.5 * rng.normal(size=(size, channels, high, wide)))
        style = {"scale": np.round(rng.uniform(0.3, 2, size=(size, channels)), 2),
                 "bias": np.round(rng.normal(size=(size, channels)) + 0.2, 2)}
        args = {"x": np.round(x, 3)} | style
        yield Case(name, {key: value.astype(_kind(name)) for key, value in args.items()}, hint=hint, batch="scale")
