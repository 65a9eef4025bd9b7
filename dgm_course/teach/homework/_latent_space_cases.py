"""The questions of the homework on latent spaces: codes of odd sizes, a decoder's last layer with its critic, fields."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from ._gan_cases import Judging
from .cases import Case, tensor_like
from .draws import LARGE, NARROW, Cases, Rng, in_float32, numbers, points

SMALL = "Wrong only where codes are small: an epsilon beside them, or a bound on the deviation?"
UNIT = "Wrong only where mean and deviation are not 0 and 1: the way back to the size of codes is missing or misplaced."
PLAIN = "Wrong only at weight 1, where guidance must change nothing: the answer is the field that was told the class."
WEAK = "Wrong only where the critic is flat: δ stands below the line, beside the norm, so that λ stays finite there."


def _case(name: str, args: dict[str, object], hint: str = "", batch: str = "", least: float = 0.0) -> Case:
    return Case(name, in_float32(args) if name == "float32" else args, hint=hint, batch=batch, least=least)


def _levels(rng: Rng, channels: int, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """A mean and a deviation a channel, all different and none of them usual."""
    mean = np.round(rng.permutation(np.arange(1, channels + 1)) * 1.7 * rng.choice([-1, 1], channels), 2)
    return mean * spread, np.round(0.4 + rng.permutation(np.arange(1, channels + 1)) * 0.9, 2) * spread


# --- rescaling


def codes(rng: Rng) -> Cases:
    """Codes to measure, and fresh ones to rescale; the case in which an axis cannot be told by its length comes first."""
    side, few = int(rng.integers(3, 6)), int(rng.integers(4, 8))
    for name, many, (size, channels, high, wide), hint in (
        ("C = H = W", few + 3, (few, side, side, side), ""),
        ("a batch", few + 5, (few + 1, int(rng.integers(2, 5)), 2, 3), ""),
        ("another batch", few, (few, 3, 4, 2), ""),
        ("float32", few + 2, (few, 2, 3, 3), ""),
        ("small codes", few + 4, (few, 2, 2, 2), SMALL),
        ("B = 1", few + 2, (1, 3, 2, 4), NARROW),
        ("C = 1, one place", few + 4, (few, 1, 1, 1), NARROW),
        ("B = 40", 50, (40, 2, 1, 2), LARGE),
    ):
        mean, std = _levels(rng, channels, 1e-4 if name == "small codes" else 1.0)
        known, other = (rng.normal(size=(n, channels, high, wide)) * std[:, None, None] for n in (many, size))
        args = {"codes": np.round(known + mean[:, None, None], 7),
                "fresh": np.round(1.3 * other + (1.4 * mean + 0.4 * std)[:, None, None], 7)}
        yield _case(name, args, hint, batch="fresh")


# --- the game's balance


@dataclass(frozen=True)
class Layer:
    """A decoder's last layer, x̂ = h W, its `weight` being an array (w, D)."""

    weight: np.ndarray

    def build(self, like: Tensor) -> nn.Module:
        return _Layer(tensor_like(self.weight, like))


class _Layer(nn.Module):
    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, h: Tensor) -> Tensor:
        if h.ndim != 2 or h.shape[1] != len(self.weight):
            raise ValueError(f"h has shape {tuple(h.shape)}: this layer expects (B, {len(self.weight)}).")
        return h @ self.weight


@dataclass(frozen=True)
class Patches:
    """A critic with three numbers a picture: tanh(x W + b) V + 1.7, so that their mean is never about zero."""

    weights: tuple[np.ndarray, np.ndarray, np.ndarray]

    @classmethod
    def random(cls, rng: Rng, dim: int, steep: float = 1.0) -> Patches:
        return cls((rng.normal(size=(dim, 6)) * 0.6, rng.normal(size=6), steep * rng.normal(size=(6, 3))))

    def build(self, like: Tensor) -> nn.Module:
        return Judging([tensor_like(w, like) for w in self.weights], offset=1.7)


def games(rng: Rng) -> Cases:
    """Pictures, what the last layer is given, the layer, a critic."""
    side, few = int(rng.integers(4, 7)), int(rng.integers(6, 10))
    for name, (size, dim), steep, hint in (
        ("B = D", (side, side), 1.0, ""),
        ("a game", (few, int(rng.integers(2, 5))), 1.0, ""),
        ("a loud critic", (few + 1, 3), 30.0, ""),
        ("a flat critic", (few, 4), 0.02, WEAK),
        ("float32", (few, 3), 1.0, ""),
        ("B = 1", (1, 3), 1.0, NARROW),
        ("D = 1", (few, 1), 1.0, NARROW),
        ("B = 40", (40, 2), 1.0, LARGE),
    ):
        width = dim + int(rng.integers(2, 4))
        args = {"x": points(rng, size, dim), "h": points(rng, size, width), "last": Layer(points(rng, width, dim)),
                "critic": Patches.random(rng, dim, steep), "strength": float(np.round(rng.uniform(0.3, 0.9), 2) + 0.004),
                "delta": float(np.round(rng.uniform(0.05, 0.3), 2) + 0.003)}
        yield _case(name, args, hint, least=1.0)  # two losses of opposite sign, each larger than 1, may cancel


# --- a look ahead


def previews(rng: Rng) -> Cases:
    """Half-finished codes of unit size, their times, two velocities, and the size of real codes."""
    side, few = int(rng.integers(3, 6)), int(rng.integers(4, 8))
    for name, (size, channels, high, wide), hint in (
        ("B = C = W", (side, side, 2, side), ""),
        ("a batch", (few, int(rng.integers(2, 4)), 2, 3), ""),
        ("another batch", (few + 1, 3, 4, 2), ""),
        ("float32", (few, 2, 3, 3), ""),
        ("no guidance", (few, 3, 2, 2), PLAIN),
        ("B = 1", (1, 3, 2, 4), NARROW),
        ("C = 1, one place", (few, 1, 1, 1), NARROW),
        ("B = 40", (40, 2, 1, 2), LARGE),
    ):
        shape, (mean, std) = (size, channels, high, wide), _levels(rng, channels)
        weight = 1.0 if name == "no guidance" else float(np.round(rng.uniform(1.3, 3.2), 1) + 0.03)
        args = {"zt": points(rng, *shape), "t": numbers(rng, size), "free": points(rng, *shape),
                "conditional": points(rng, *shape), "weight": weight, "mean": mean, "std": std}
        yield _case(name, args, hint)
