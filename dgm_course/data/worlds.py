"""Toy distributions: Gaussian mixtures in [-4, 4]², each with its exact density.

Curves consist of 64 small Gaussians, which no sample distinguishes from the smooth curve (KL below 0.0003 nats).
"8 Gaussians" names at least six data sets in the literature, whose results are not comparable; see ``RINGS``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.distributions import Mixture


class ToyDistribution(Mixture):
    """A mixture of equal weights with a name and a description."""

    def __init__(self, name: str, description: str, means: Tensor, std: Tensor | float) -> None:
        super().__init__(torch.ones(len(means)), means, std, name)
        self.description = description

    def to(self, like: Tensor | torch.dtype | torch.device) -> ToyDistribution:
        """A copy in another dtype or on another device."""
        return ToyDistribution(self.name, self.description, self.means.to(like), self.stds.to(like))

    def __repr__(self) -> str:
        return f"{self.name}: {self.description} ({len(self.means)} Gaussians in 2-D, exact density and score)"


def _arc(radius: float, start: float, stop: float, count: int) -> Tensor:
    """``count`` equidistant points on an arc around 0, half a step from its ends.  Radians -> (count, 2)"""
    angle = start + (stop - start) * (torch.arange(count) + 0.5) / count
    return radius * torch.stack([angle.cos(), angle.sin()], 1)


def moons(std: float = 0.14) -> ToyDistribution:
    """Two interleaved half circles of radius 2: scikit-learn's make_moons, noise 0.07, centred, doubled."""
    upper = _arc(2.0, 0.0, math.pi, 32) + torch.tensor([-1.0, -0.5])
    lower = _arc(2.0, math.pi, 2 * math.pi, 32) + torch.tensor([1.0, 0.5])
    description = f"two interleaved half circles of radius 2, std {std:g} across"
    return ToyDistribution("moons", description, torch.cat([upper, lower]), std)


def spiral(std: float = 0.18) -> ToyDistribution:
    """One arm r = a·angle, a turn and a half, from radius 0.6 to 3.4, of even density along its length."""
    angle = torch.linspace(0, 3 * math.pi, 4001, dtype=torch.float64)
    radius = 0.6 + 2.8 * angle / (3 * math.pi)
    curve = torch.stack([radius * angle.cos(), radius * angle.sin()], 1)
    length = (curve[1:] - curve[:-1]).norm(dim=1).cumsum(0)
    index = torch.searchsorted(length, length[-1] * (torch.arange(64) + 0.5) / 64)
    description = f"one arm of a turn and a half, std {std:g} across"
    return ToyDistribution("spiral", description, curve[index].float(), std)


def rings(std: float = 0.2) -> ToyDistribution:
    """Two circles around 0, of radius 1 and 2.8, of even density along their length."""
    inner, outer = _arc(1.0, 0, 2 * math.pi, 17), _arc(2.8, 0, 2 * math.pi, 47)
    description = f"two circles of radius 1 and 2.8, std {std:g} across"
    return ToyDistribution("rings", description, torch.cat([inner, outer]), std)


def grid25(std: float = 0.1) -> ToyDistribution:
    """25 modes at {-3, -1.5, 0, 1.5, 3}².  PacGAN's grid has steps of 2 and std 0.05."""
    side = torch.linspace(-3, 3, 5)
    description = f"25 equal modes 1.5 apart, std {std:g}"
    return ToyDistribution("grid25", description, torch.cartesian_prod(side, side), std)


def checkerboard(std: float = 0.13) -> ToyDistribution:
    """Eight fields of side 1.8 of a 4 x 4 board, with edges of softness ``std``.

    A field is 6 x 6 Gaussians, each for a cell of side 0.3: variance std² + 0.3²/12."""
    field = (torch.arange(6) - 2.5) * 0.3
    corners = [(1.8 * (i - 1.5), 1.8 * (j - 1.5)) for i in range(4) for j in range(4) if (i + j) % 2]
    means = torch.cat([torch.cartesian_prod(field, field) + torch.tensor(centre) for centre in corners])
    description = f"eight fields of side 1.8, edges softened by std {std:g}"
    return ToyDistribution("checkerboard", description, means, math.hypot(std, 0.3 / math.sqrt(12)))


@dataclass(frozen=True)
class RingSpec:
    """A convention for "the 8 Gaussians": modes on a circle, and a caveat for comparisons."""

    radius: float
    std: float
    caveat: str
    angles: tuple[float, ...] = tuple(k / 8 for k in range(8))  # in turns


RINGS = {
    "course": RingSpec(3.0, 0.25, "fits the frame [-4, 4]², and no published table uses it"),
    "pacgan": RingSpec(1.0, 0.01, "PacGAN and VEEGAN; 'high quality' means within 0.03 of a mode"),
    "ffjord": RingSpec(4 / 2**0.5, 0.5 / 2**0.5, "the code says radius 4 and std 0.5, then divides by 1.414"),
    "torchcfm": RingSpec(5.0, 0.1**0.25, "torchcfm.utils with var=0.1 passes √var as covariance: not 0.316"),
    "torchcfm_runner": RingSpec(5.0, 1.0, "the published torchcfm and [SF]2M tables, not their tutorials"),
    "dsb": RingSpec(12.0, 1.5, "bridge papers, moons to 8 Gaussians; at n = 10,000 a W2 of 0.5 is only noise"),
}
RINGS["unrolled_seven"] = RingSpec(
    1.0,
    0.01,
    "linspace(0, 2π, 8) holds both ends: seven modes, one of double weight",
    tuple(k / 7 for k in range(8)),
)


def eight_gaussians(convention: str = "course") -> ToyDistribution:
    """Modes on a circle, by a convention of ``RINGS``."""
    if convention not in RINGS:
        raise ValueError(f"no convention {convention!r} of the 8 Gaussians: expected one of {', '.join(RINGS)}.")
    ring = RINGS[convention]
    angle = 2 * math.pi * torch.tensor(ring.angles)
    means = ring.radius * torch.stack([angle.cos(), angle.sin()], 1)
    description = f"radius {ring.radius:.4g}, std {ring.std:.3g}; {ring.caveat}"
    return ToyDistribution(f"eight_gaussians({convention!r})", description, means, ring.std)


_ALL = (moons, spiral, rings, grid25, checkerboard, eight_gaussians)
WORLDS: dict[str, Callable[[], ToyDistribution]] = {make.__name__: make for make in _ALL}
