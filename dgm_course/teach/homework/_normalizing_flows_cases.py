"""The questions of the homework on flows: points, masks, networks with random weights, and where accidents show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .cases import Case, Network, tensor_like
from .draws import LARGE, NARROW, Cases, Rng, in_float32, numbers, odd_sizes, points, sizes

MASKS = "Wrong for one mask alone: any coordinates may be kept, not only the first half; the mask says which."
TURNED = "Wrong only where the determinant is negative: volumes have no sign, so its absolute value is asked."
LEVELS = "Right for 256 grey values alone: the number of levels comes in as an argument."
MARGIN = "Wrong for another margin alone: it comes in as an argument; 0 is allowed, too."
PROBES = "Right for one probe alone: the estimate is the mean over the probes."
FAR = "Wrong only for large numbers: is something clamped, or a logarithm taken of an exponential that overflows?"


# --- recipes


@dataclass(frozen=True)
class Causal:
    """x -> (m, a), each (B, D), where place i is answered from the places before it: strictly triangular weights."""

    weights: tuple[np.ndarray, np.ndarray]

    @classmethod
    def random(cls, rng: Rng, dim: int) -> Causal:
        return cls((0.8 * rng.normal(size=(2, dim, dim)), 0.5 * rng.normal(size=(2, dim))))

    def build(self, like: Tensor) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        matrices, biases = (tensor_like(weight, like) for weight in self.weights)
        before = matrices.tril(-1)

        def conditions(x: Tensor) -> tuple[Tensor, Tensor]:
            if x.ndim != 2 or x.shape[1] != before.shape[1]:
                raise ValueError(f"x has shape {tuple(x.shape)}: conditions expects whole points, (B, {before.shape[1]}).")
            m, a = torch.einsum("kij,bj->kbi", before, torch.tanh(x)) + biases[:, None]
            return m, a

        return conditions


# --- pieces


def _usual(rng: Rng) -> list[tuple[str, tuple[int, int], str]]:
    """(name, (B, D), hint): ordinary batches first, a square one where a wrong axis gives wrong values, then odd ones."""
    side = int(rng.integers(4, 7))
    return [("a batch", sizes(rng), ""), ("another batch", sizes(rng), ""), ("B = D", (side, side), ""),
            ("float32", sizes(rng), ""), *odd_sizes(rng)]


def _typed(name: str, args: dict[str, object]) -> dict[str, object]:
    return in_float32(args) if name == "float32" else args


def _mask(rng: Rng, dim: int) -> np.ndarray:
    """Ones and zeros, both there where there are two coordinates; one coordinate is changed."""
    mask = np.zeros(dim)
    mask[rng.permutation(dim)[: max(dim // 2, min(1, dim - 1))]] = 1.0
    return mask


def _first_half(dim: int) -> np.ndarray:
    return (np.arange(dim) < dim // 2).astype(float)


# --- 6.1 and 6.2


def couplings(first: str) -> Callable[[Rng], Cases]:
    """Cases of a coupling layer at the points called ``first``."""

    def cases(rng: Rng) -> Cases:
        for name, (size, dim), hint in _usual(rng):
            mask = _first_half(dim) if name == "a batch" else _mask(rng, dim)
            args = {first: points(rng, size, dim), "mask": mask,
                    "log_scale": Network.random(rng, dim), "shift": Network.random(rng, dim)}
            yield Case(name, _typed(name, args), hint=hint)
        dim = int(rng.integers(4, 6))
        mask = np.ones(dim)
        mask[rng.integers(dim)] = 0.0
        args = {first: points(rng, 6, dim), "mask": mask,
                "log_scale": Network.random(rng, dim), "shift": Network.random(rng, dim)}
        yield Case("all kept but one", args, hint=MASKS)

    return cases


# --- 6.3


def densities(rng: Rng) -> Cases:
    for name, (size, dim), hint in _usual(rng):
        args = {"z": points(rng, size, dim), "ladj": points(rng, size)}
        yield Case(name, _typed(name, args), hint=hint)
    size, dim = sizes(rng)
    yield Case("far away", {"z": 40 + points(rng, size, dim), "ladj": 100 * points(rng, size)}, hint=FAR)


# --- 6.4


def pixels(rng: Rng) -> Cases:
    extra = (("two grey values", sizes(rng), LEVELS), ("no margin", sizes(rng), MARGIN))
    for name, (size, dim), hint in (*_usual(rng), *extra):
        levels = {"two grey values": 2, "another batch": int(rng.integers(4, 30))}.get(name, 256)
        margin = {"no margin": 0.0, "another batch": 0.01}.get(name, round(float(rng.uniform(0.03, 0.12)), 2))
        args = {"k": rng.integers(0, levels, size=(size, dim)).astype(float), "u": numbers(rng, size, dim),
                "levels": levels, "margin": margin}
        yield Case(name, _typed(name, args), hint=hint)


# --- 6.5


def sequences(rng: Rng) -> Cases:
    for name, (size, dim), hint in _usual(rng):
        yield Case(name, _typed(name, {"z": points(rng, size, dim), "conditions": Causal.random(rng, dim)}), hint=hint)
    yield Case("twelve places", {"z": points(rng, 3, 12), "conditions": Causal.random(rng, 12)},
               hint="Right for a few places alone: every place needs a pass of its own.")


# --- 6.6


def planes(rng: Rng) -> Cases:
    """Where tanh is flat, log |det| is rounding alone: a single point is kept away from there."""
    for name, (size, dim), hint in (*_usual(rng), ("turned inside out", sizes(rng), TURNED)):
        w = numbers(rng, dim, low=0.4, high=1.2) * rng.choice([-1, 1], size=dim)
        u = numbers(rng, dim, low=0.3, high=1.0) * np.sign(w)
        x, b = points(rng, size, dim), round(float(rng.uniform(-0.5, 0.5)), 2)
        if name == "turned inside out":
            u, x = -6.0 * w, 0.05 * x
        elif name == "B = 1":
            x = np.round(x / (1 + np.abs(x @ w)), 2)
        yield Case(name, _typed(name, {"x": x, "w": w, "u": u, "b": b}), hint=hint)


# --- 6.7


def traces(rng: Rng) -> Cases:
    for k, (name, (size, dim), hint) in enumerate(_usual(rng)):
        count = (3, 1, 4, 2, 5, 3, 2)[k]
        args = {"field": Network.random(rng, dim), "x": points(rng, size, dim),
                "probes": rng.choice([-1.0, 1.0], size=(count, size, dim))}
        yield Case(name, _typed(name, args), hint=hint or (PROBES if count > 1 else ""))
    size, dim = sizes(rng)
    yield Case("probes of any length", {"field": Network.random(rng, dim), "x": points(rng, size, dim),
                                        "probes": points(rng, 2, size, dim)},
               hint="Wrong only where the probes are not signs: the formula is εᵀJε, whatever ε is.")


__all__ = ["LARGE", "NARROW", "Causal", "couplings", "densities", "pixels", "planes", "sequences", "traces"]
