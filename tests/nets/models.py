"""Weights that hide nothing, images and tokens, for the tests of networks."""

from __future__ import annotations

import torch
from torch import nn


def stirred(net: nn.Module, amount: float = 0.1) -> nn.Module:
    """The net with every weight moved a little, so that a last layer of zeros hides nothing."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(amount * torch.randn(p.shape, generator=generator).to(p))
    return net.eval()


def images(n: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(n, 1, 28, 28, generator=torch.Generator().manual_seed(2)).to(dtype)


def tokens(vocabulary: int, n: int, *event: int) -> torch.Tensor:
    return torch.randint(vocabulary + 1, (n, *event), generator=torch.Generator().manual_seed(3))
