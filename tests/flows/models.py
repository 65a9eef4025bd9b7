"""Layers with random weights, seeded batches and a grid of the plane."""

from __future__ import annotations

import torch
from torch import nn

CHECKERS = torch.tensor([[[True, False], [False, True]]]).repeat(1, 2, 2)  # (1, 4, 4)


def stirred(layer: nn.Module, amount: float = 0.3) -> nn.Module:
    layer = layer.double()
    with torch.no_grad():
        for k, p in enumerate(layer.parameters()):
            p.add_(amount * torch.randn(p.shape, generator=seeded(k + p.numel())).double())
    return layer


def seeded(seed: int = 5) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(event, n: int = 7, seed: int = 1) -> torch.Tensor:
    return torch.randn(n, *event, generator=seeded(seed), dtype=torch.float64)


def grid(half: float, points: int) -> tuple[torch.Tensor, float]:
    """Midpoints of a square of cells and their area."""
    side = 2 * half / points
    line = -half + side * (torch.arange(points, dtype=torch.float64) + 0.5)
    return torch.cartesian_prod(line, line), side**2
