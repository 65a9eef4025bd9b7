"""Networks between images and grids of vectors: convolutions that halve, and convolutions that double.  No loss, no codes.

    x (B, 1, 28, 28)  ->  z (B, C, 7, 7)  ->  (B, 1, 28, 28)

Each vector of the grid has seen its own region of the image and its surroundings, and the decoder draws that region from
it: so what one code can mean is a piece of a stroke and where it lies, and not a whole digit.  `TwoLevels` stacks two such
grids: a coarse one, made of the finer one's features, is made first, and the fine one is told what it says.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Residual(nn.Module):
    """h + W₂ relu(conv(relu(h))): a look at the neighbours that may also say nothing.  (B, c, H, W) -> the same"""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.look, self.proj = nn.Conv2d(channels, channels, 3, padding=1), nn.Conv2d(channels, channels, 1)

    def forward(self, h: Tensor) -> Tensor:
        return h + self.proj(F.relu(self.look(F.relu(h))))


class GridEncoder(nn.Module):
    """x (B, inputs, H, W) -> (B, outputs, H / 2^n, W / 2^n), n = ``halvings`` convolutions of stride two, then a `Residual`.

    outputs: numbers in a vector of the grid, or logits of as many codes.  Integers (bits) are taken as numbers."""

    def __init__(self, outputs: int, channels: int = 32, halvings: int = 2, inputs: int = 1) -> None:
        super().__init__()
        _expect_sizes(outputs=outputs, channels=channels, halvings=halvings, inputs=inputs)
        widths = [inputs] + [channels * 2**i for i in range(halvings)]
        self.down = nn.ModuleList(nn.Conv2d(i, o, 4, 2, 1) for i, o in zip(widths, widths[1:]))
        self.middle, self.out_proj = Residual(widths[-1]), nn.Conv2d(widths[-1], outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        factor, inputs = 2 ** len(self.down), self.down[0].in_channels
        if x.ndim != 4 or x.shape[1] != inputs or x.shape[2] % factor or x.shape[3] % factor:
            raise ValueError(
                f"x has shape {tuple(x.shape)}: this GridEncoder expects (B, {inputs}, H, W), H and W "
                f"multiples of {factor}."
            )
        h = x.to(self.out_proj.weight.dtype)
        for layer in self.down:
            h = F.relu(layer(h))
        return self.out_proj(F.relu(self.middle(h)))

    def extra_repr(self) -> str:
        return f"one vector of {self.out_proj.out_channels} numbers for {2 ** len(self.down)} x {2 ** len(self.down)} pixels"


class GridDecoder(nn.Module):
    """z (B, inputs, h, w) -> (B, outputs, h · 2^n, w · 2^n): a `Residual`, then n transposed convolutions."""

    def __init__(self, inputs: int, channels: int = 32, doublings: int = 2, outputs: int = 1) -> None:
        super().__init__()
        _expect_sizes(inputs=inputs, channels=channels, doublings=doublings, outputs=outputs)
        widths = [channels * 2**i for i in reversed(range(doublings))] + [outputs]
        self.in_proj, self.middle = nn.Conv2d(inputs, widths[0], 3, padding=1), Residual(widths[0])
        self.up = nn.ModuleList(nn.ConvTranspose2d(i, o, 4, 2, 1) for i, o in zip(widths, widths[1:]))

    def forward(self, z: Tensor) -> Tensor:
        if z.ndim != 4 or z.shape[1] != self.in_proj.in_channels:
            raise ValueError(
                f"z has shape {tuple(z.shape)}: this GridDecoder expects (B, {self.in_proj.in_channels}, h, w)."
            )
        h = self.middle(self.in_proj(z))
        for layer in self.up:
            h = layer(F.relu(h))
        return h

    @torch.no_grad()
    def start_at(self, value: float) -> GridDecoder:
        """Set the last bias, so that the untrained network answers about `value` everywhere; returns itself."""
        self.up[-1].bias.fill_(value)
        return self

    def extra_repr(self) -> str:
        return f"{2 ** len(self.up)} x {2 ** len(self.up)} pixels from one vector of {self.in_proj.in_channels} numbers"


class TwoLevels(nn.Module):
    """The four maps between an image, a fine grid and a coarse grid of half its size.         (VQ-VAE-2, Razavi et al. 2019)

    features: x (B, 1, 28, 28) -> h (B, 2c, 7, 7);      top: h -> z_top (B, C, 4, 4);
    grow: z_top -> (B, 2c, 7, 7), what the coarse grid says to each fine place;  bottom: both -> z_bottom (B, C, 7, 7)"""

    def __init__(self, dim: int, channels: int = 32) -> None:
        super().__init__()
        _expect_sizes(dim=dim, channels=channels)
        wide = 2 * channels
        self.features = GridEncoder(wide, channels)
        self.top = nn.Sequential(
            nn.ReLU(), nn.Conv2d(wide, wide, 3, 2, 1), Residual(wide), nn.ReLU(), nn.Conv2d(wide, dim, 1)
        )
        self.grow = nn.Sequential(
            nn.Conv2d(dim, wide, 3, padding=1), nn.ReLU(), nn.ConvTranspose2d(wide, wide, 3, 2, 1)
        )
        self.join = nn.Sequential(
            nn.ReLU(), nn.Conv2d(2 * wide, wide, 3, padding=1), nn.ReLU(), nn.Conv2d(wide, dim, 1)
        )
        self.wide = wide

    def bottom(self, h: Tensor, condition: Tensor) -> Tensor:
        """h, told (B, 2c, 7, 7) -> z_bottom (B, C, 7, 7)"""
        return self.join(torch.cat([h, condition], 1))


def _expect_sizes(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 1:
            raise ValueError(f"{name} is {number}: expected at least 1.")
