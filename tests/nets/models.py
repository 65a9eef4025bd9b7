"""Networks with random weights, images, tokens, and the list of all fields, for the tests of networks."""

from __future__ import annotations

import torch
from torch import nn

from dgm_course.nets import MLP, DeepUNet, GridField, LightUNet, TokenMLP, TokenUNet, UNet


def stirred(net: nn.Module, amount: float = 0.1) -> nn.Module:
    """The net with noise added to every weight, since a last layer of zeros hides everything."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(amount * torch.randn(p.shape, generator=generator).to(p))
    return net.eval()


def images(n: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(n, 1, 28, 28, generator=torch.Generator().manual_seed(2)).to(dtype)


def tokens(vocabulary: int, n: int, *event: int) -> torch.Tensor:
    return torch.randint(vocabulary + 1, (n, *event), generator=torch.Generator().manual_seed(3))


FIELDS = {
    "mlp": (lambda: MLP(2, width=16), lambda n: torch.randn(n, 2)),
    "unet": (lambda: UNet(channels=8), images),
    "unet with classes": (lambda: UNet(channels=8, classes=10), images),
    "deep unet": (lambda: DeepUNet(channels=8, classes=10), images),
    "light unet": (lambda: LightUNet(channels=8, classes=10), images),
    "grid field": (lambda: GridField((4, 7, 7), 16, 2, classes=10), lambda n: torch.randn(n, 4, 7, 7)),
    "token mlp": (lambda: TokenMLP(3, 4, width=16), lambda n: tokens(3, n, 4)),
    "token unet": (lambda: TokenUNet(2, channels=8), lambda n: tokens(2, n, 1, 28, 28)),
    "token unet of five values": (lambda: TokenUNet(5, channels=8, classes=10), lambda n: tokens(5, n, 1, 28, 28)),
}
