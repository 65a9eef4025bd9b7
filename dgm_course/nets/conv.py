"""Convolutional networks between images and grids of vectors, a field over grids, and two classifiers.

    x (B, 1, 28, 28)  ->  z (B, C, 7, 7)  ->  (B, 1, 28, 28)

* `GridEncoder`, `GridDecoder`: strided convolutions down, transposed convolutions up.  `TwoLevels` stacks two such grids.
* `GridField`: a field net(z, t, y) over grids, for latent models.
* `PatchCritic`: one number for each patch.  `DigitClassifier`: the 128 features in which generated digits are evaluated.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.checks import expect_network_input
from ..core.tensors import parameter_count
from .mlp import TimeFeatures, time_column, zero_init
from .unet import Block, ClassConditional


class Residual(nn.Module):
    """h + W₂ relu(conv(relu(h))).  (B, c, H, W) -> the same"""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.look, self.proj = nn.Conv2d(channels, channels, 3, padding=1), nn.Conv2d(channels, channels, 1)

    def forward(self, h: Tensor) -> Tensor:
        return h + self.proj(F.relu(self.look(F.relu(h))))


class GridEncoder(nn.Module):
    """x (B, inputs, H, W) -> (B, outputs, H / 2^n, W / 2^n): n = ``halvings`` convolutions of stride two, a `Residual`.

    outputs: the size of a vector of the grid, or the number of codes, for logits.  Integers (bits) become floats."""

    def __init__(self, outputs: int, channels: int = 32, halvings: int = 2, inputs: int = 1) -> None:
        super().__init__()
        _expect_positive(outputs=outputs, channels=channels, halvings=halvings, inputs=inputs)
        widths = [inputs] + [channels * 2**i for i in range(halvings)]
        self.down = nn.ModuleList(nn.Conv2d(i, o, 4, 2, 1) for i, o in zip(widths, widths[1:]))
        self.middle, self.out_proj = Residual(widths[-1]), nn.Conv2d(widths[-1], outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        expect_network_input(x, (self.down[0].in_channels, "H", "W"), "GridEncoder", multiple=2 ** len(self.down))
        h = x.to(self.out_proj.weight.dtype)
        for layer in self.down:
            h = F.relu(layer(h))
        return self.out_proj(F.relu(self.middle(h)))

    def extra_repr(self) -> str:
        side = 2 ** len(self.down)
        return f"one vector of {self.out_proj.out_channels} numbers for {side} x {side} pixels"


class GridDecoder(nn.Module):
    """z (B, inputs, h, w) -> (B, outputs, h · 2^n, w · 2^n): a `Residual`, n = ``doublings`` transposed convolutions."""

    def __init__(self, inputs: int, channels: int = 32, doublings: int = 2, outputs: int = 1) -> None:
        super().__init__()
        _expect_positive(inputs=inputs, channels=channels, doublings=doublings, outputs=outputs)
        widths = [channels * 2**i for i in reversed(range(doublings))] + [outputs]
        self.in_proj, self.middle = nn.Conv2d(inputs, widths[0], 3, padding=1), Residual(widths[0])
        self.up = nn.ModuleList(nn.ConvTranspose2d(i, o, 4, 2, 1) for i, o in zip(widths, widths[1:]))

    def forward(self, z: Tensor) -> Tensor:
        expect_network_input(z, (self.in_proj.in_channels, "h", "w"), "GridDecoder", name="z")
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
        side = 2 ** len(self.up)
        return f"{side} x {side} pixels from one vector of {self.in_proj.in_channels} numbers"


class TwoLevels(nn.Module):
    """The four maps between an image, a fine grid and a coarse grid of half its size.         (VQ-VAE-2, Razavi et al. 2019)

    features: x (B, 1, 28, 28) -> h (B, 2c, 7, 7);      top: h -> z_top (B, C, 4, 4);
    grow: z_top -> condition (B, 2c, 7, 7);             bottom: h and condition -> z_bottom (B, C, 7, 7)"""

    def __init__(self, dim: int, channels: int = 32) -> None:
        super().__init__()
        _expect_positive(dim=dim, channels=channels)
        self.wide = wide = 2 * channels
        self.features = GridEncoder(wide, channels)
        down, up = nn.Conv2d(wide, wide, 3, 2, 1), Residual(wide)
        self.top = nn.Sequential(nn.ReLU(), down, up, nn.ReLU(), nn.Conv2d(wide, dim, 1))
        wider = nn.Conv2d(dim, wide, 3, padding=1)
        self.grow = nn.Sequential(wider, nn.ReLU(), nn.ConvTranspose2d(wide, wide, 3, 2, 1))
        both = nn.Conv2d(2 * wide, wide, 3, padding=1)
        self.join = nn.Sequential(nn.ReLU(), both, nn.ReLU(), nn.Conv2d(wide, dim, 1))

    def bottom(self, h: Tensor, condition: Tensor) -> Tensor:
        """h, condition (B, 2c, 7, 7) -> z_bottom (B, C, 7, 7)"""
        return self.join(torch.cat([h, condition], 1))


class GridField(ClassConditional):
    """A field over grids (C, h, w): a convolution, `depth` blocks conditioned on time and class, a convolution.

    z (B, C, h, w), t () or (B,), y (B,) class numbers or None for "any class"; returns the shape of z.  As in `UNet`, a
    class has a vector for all blocks and a table (width, h, w).  The last layer starts at zero."""

    def __init__(self, grid: Sequence[int], width: int = 64, depth: int = 4, classes: int = 0) -> None:
        super().__init__()
        if len(tuple(grid)) != 3 or min(grid) < 1:
            raise ValueError(f"grid is {tuple(grid)}: expected channels, height and width, such as (4, 7, 7).")
        if width < 8 or width % 8 or depth < 1:
            raise ValueError(f"width is {width} and depth {depth}: expected a multiple of 8, and at least 1.")
        self.grid, self.width, self.classes = tuple(grid), width, classes
        channels, high, wide = self.grid
        self.time = nn.Sequential(TimeFeatures(64), nn.Linear(64, width), nn.SiLU())
        self.label = nn.Embedding(classes + 1, width)
        self.position = zero_init(nn.Embedding(classes + 1, width * high * wide))
        self.in_proj = nn.Conv2d(channels, width, 3, padding=1)
        self.blocks = nn.ModuleList(Block(width, width, width) for _ in range(depth))
        self.out_proj = zero_init(nn.Conv2d(width, channels, 3, padding=1))
        self.to(memory_format=torch.channels_last)

    def forward(self, z: Tensor, t: Tensor | float, y: Tensor | None = None) -> Tensor:
        expect_network_input(z, self.grid, "GridField", name="z")
        row = self.rows(z, y)
        c = self.time(time_column(t, z)[:, 0]) + self.label(row)
        h = self.in_proj(z)
        h = h + self.position(row).view(len(z), self.width, *self.grid[1:]).to(h.dtype)
        for block in self.blocks:
            h = block(h, c)
        return self.out_proj(h)

    def extra_repr(self) -> str:
        given = f", y in 0..{self.classes - 1}" if self.classes else ""
        domain = f"(z in R^({'x'.join(map(str, self.grid))}), t in [0, 1]{given})"
        return f"{domain} -> the same, {parameter_count(self):,} parameters"


class PatchCritic(nn.Module):
    """x (B, C, H, W) -> (B, H/4, W/4), any real numbers, each from 18 x 18 pixels.                       (VQGAN)

    No batch normalisation: a gradient penalty concerns one picture.  Weights start as N(0, 2/inputs): with torch's
    smaller ones the first gradients are too small for the adaptive λ."""

    def __init__(self, channels: int = 32, inputs: int = 1) -> None:
        super().__init__()
        if channels < 1 or inputs < 1:
            raise ValueError(f"channels is {channels} and inputs {inputs}: expected at least 1 of each.")
        self.inputs = inputs
        convs = [
            nn.Conv2d(inputs, channels, 4, 2, 1),
            nn.Conv2d(channels, 2 * channels, 4, 2, 1),
            nn.Conv2d(2 * channels, 1, 3, 1, 1),
        ]
        for conv in convs:
            nn.init.kaiming_normal_(conv.weight)
        self.layers = nn.Sequential(convs[0], nn.LeakyReLU(0.2), convs[1], nn.LeakyReLU(0.2), convs[2])

    def forward(self, x: Tensor) -> Tensor:
        expect_network_input(x, (self.inputs, "H", "W"), "PatchCritic", multiple=4)
        return self.layers(x)[:, 0]


class DigitClassifier(nn.Module):
    """x (B, 1, 28, 28) in [-1, 1] -> ten logits (B, 10); `features(x)` (B, 128) compare generated digits with real ones."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i, o in ((1, 16), (16, 32), (32, 64)):
            layers += [nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2)]
        self.convolutions = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * 3 * 3, 128))
        self.head = nn.Linear(128, 10)

    def features(self, x: Tensor) -> Tensor:
        expect_network_input(x, (1, 28, 28), "DigitClassifier", what="images")
        return F.relu(self.convolutions(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))

    def extra_repr(self) -> str:
        return f"(B, 1, 28, 28) -> features (B, 128) -> logits (B, 10), {parameter_count(self):,} parameters"


def _expect_positive(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 1:
            raise ValueError(f"{name} is {number}: expected at least 1.")
