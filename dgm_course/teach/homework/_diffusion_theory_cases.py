"""The questions of the theory homework on diffusion, drawn anew for every seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from ._diffusion_cases import SIZE, Score
from .cases import Case, Network
from .draws import LARGE, NARROW, Cases, Rng, in_float32, numbers, odd_sizes, points, sizes

FULL = "Right where the coordinates are independent: is only the diagonal of the covariance touched?"
ENDS = "Wrong only at the ends, abar = 0 or 1: is something clamped, or divided by?"
MOVING = "Right where the density stands still, or the drift is one number: does a derivative miss what it acts on?"
STANDARD = "Right for one diffusion alone: g is a function of s, and its square counts."

# --- 7.11


def _covariance(rng: Rng, size: int, dim: int, full: bool = True) -> np.ndarray:
    """Symmetric, positive definite, of ordinary size.  (B, D, D)"""
    root = np.round(rng.normal(size=(size, dim, dim + 2)), 1)
    found = root @ root.swapaxes(1, 2) / 2 + 0.5 * np.eye(dim)
    return found if full else found * np.eye(dim)


def covariances(rng: Rng) -> Cases:
    usual = (("full covariances", sizes(rng), FULL), ("full ones again", sizes(rng), FULL), ("float32", sizes(rng), ""))
    special = (("independent coordinates", sizes(rng), ""), ("abar = 0 and 1", sizes(rng), ENDS))
    for name, (size, dim), hint in (*special[:1], *usual, *special[1:], *odd_sizes(rng)):
        abar = numbers(rng, size, 1, 1)
        if name == "abar = 0 and 1":
            abar = np.where(np.arange(size)[:, None, None] % 3 == 2, abar, np.arange(size)[:, None, None] % 3)
        args = {"cov": _covariance(rng, size, dim, full="independent" not in name), "abar": abar}
        yield Case(name, in_float32(args) if name == "float32" else args, hint=hint)


# --- 7.12


def networks(rng: Rng) -> Cases:
    usual = (("a small network", sizes(rng), ""), ("another", sizes(rng), ""), ("float32", sizes(rng), ""))
    for name, batch, hint in (*usual, *odd_sizes(rng)):
        args = {"x": points(rng, *batch)}
        args = in_float32(args) if name == "float32" else args
        yield Case(name, {"score_net": Network.random(rng, batch[1]), **args}, hint=hint)


# --- 7.13

DENSITIES: dict[str, Callable] = {
    "a Gaussian that spreads": lambda x, s: torch.exp(-(x**2) / (2 * (1 + s))) / (6.2832 * (1 + s)).sqrt(),
    "a Gaussian that wanders": lambda x, s: torch.exp(-((x - 2 * s) ** 2) / 2) / 2.5066,
    "two bumps that merge": lambda x, s: torch.exp(-((x - 1 + s) ** 2)) / 3.5449 + torch.exp(-((x + 1 - s) ** 2)) / 3.5449,
    "a Gaussian at rest": lambda x, s: torch.exp(-(x**2) / 2) / 2.5066 + 0 * s,
}
DRIFTS: dict[str, Callable] = {
    "f = −x/2": lambda x, s: -x / 2,
    "f = −s x": lambda x, s: -s * x,
    "f = sin 2x": lambda x, s: torch.sin(2 * x) + 0 * s,
    "f = 1": lambda x, s: torch.ones_like(x),
}
DIFFUSIONS: dict[str, Callable] = {
    "g = 1": lambda s: torch.ones_like(s),
    "g = 1 + 2s": lambda s: 1 + 2 * s,
    "g = 1/2": lambda s: torch.full_like(s, 0.5),
}


@dataclass(frozen=True)
class Formula:
    """A density (x, s), a drift (x, s) or a diffusion (s), by name; it answers for each entry by itself."""

    name: str

    def build(self, like: torch.Tensor) -> Callable:
        return (DENSITIES | DRIFTS | DIFFUSIONS)[self.name]


WORLDS = (
    ("a Gaussian that spreads", "f = −x/2", "g = 1", ""),
    ("two bumps that merge", "f = −x/2", "g = 1", ""),
    ("a Gaussian that wanders", "f = sin 2x", "g = 1", MOVING),
    ("two bumps that merge", "f = −s x", "g = 1 + 2s", STANDARD),
    ("a Gaussian that spreads", "f = sin 2x", "g = 1/2", STANDARD),
    ("a Gaussian at rest", "f = −x/2", "g = 1", ""),
)


def densities(rng: Rng) -> Cases:
    def case(name: str, size: int, world: tuple[str, ...], hint: str) -> Case:
        args = {"x": points(rng, size), "s": numbers(rng, size)}
        args = in_float32(args) if name == "float32" else args
        asked = {key: Formula(value) for key, value in zip(("p", "f", "g"), world, strict=True)} | args
        return Case(name, asked, hint=hint, least=0.1)  # at rest the terms cancel

    for *world, hint in WORLDS:
        yield case(f"{world[0]}, {world[1]}, {world[2]}", sizes(rng)[0], tuple(world), hint)
    first = WORLDS[1][:3]
    for name, size, hint in (("float32", sizes(rng)[0], ""), ("B = 1", 1, NARROW), ("B = 40", 40, LARGE)):
        yield case(name, size, first, hint)


# --- 7.14


def steps_back(rng: Rng) -> Cases:
    bumps = Score("score = 2 tanh(2x) − x")
    batch = sizes(rng)
    rows = [("two bumps", bumps, sizes(rng), ""), ("a network", Network.random(rng, batch[1]), batch, "")]
    rows += [("one blob", Score("score = 4(1 − x)"), sizes(rng), ""), ("float32", bumps, sizes(rng), "")]
    rows += [("a large step", bumps, sizes(rng), SIZE)]
    for name, score, batch, hint in (*rows, *((name, bumps, batch, hint) for name, batch, hint in odd_sizes(rng))):
        low, high = (0.5, 0.9) if name == "a large step" else (0.05, 0.3)
        noisy = {"x": points(rng, *batch), "beta": round(float(rng.uniform(low, high)), 4), "z": points(rng, *batch)}
        yield Case(name, {"score": score, **(in_float32(noisy) if name == "float32" else noisy)}, hint=hint)
