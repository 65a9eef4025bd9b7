"""Networks for latent space models: a field over small grids of vectors, and a critic that looks at patches.  No loss.

    GridField    (z (B, C, 7, 7), t, y) -> (B, C, 7, 7)      what a path model asks of a network, where pictures are codes
    PatchCritic  x (B, 1, 28, 28) -> (B, 7, 7)               one number for each patch: is this piece of it real?

The codes of an autoencoder are a picture of few places and many channels, so the network is plain: blocks of one resolution.
It has no strides, no second level and no large page, and that is where a latent model's speed comes from.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..core.checks import expect_labels
from ..core.tensors import expand_time, parameter_count
from .mlp import TimeFeatures
from .unet import Block


class GridField(nn.Module):
    """A field over grids (C, h, w): a convolution, `depth` blocks that are told time and class, a convolution.

    z (B, C, h, w), t () or (B,), y (B,) class numbers or None for "any class"; returns the shape of z.  As for ``UNet``, a
    class is told twice: by a vector for all blocks and by a page of its own, (width, h, w), and in training a share
    `forget` of the labels becomes "any class", as guidance needs.  The last layer starts at zero."""

    forget = 0.1

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
        self.position = nn.Embedding(classes + 1, width * high * wide)
        self.in_proj = nn.Conv2d(channels, width, 3, padding=1)
        self.blocks = nn.ModuleList(Block(width, width, width) for _ in range(depth))
        self.out_proj = nn.Conv2d(width, channels, 3, padding=1)
        for layer in (self.position, self.out_proj):
            for p in layer.parameters():
                nn.init.zeros_(p)
        self.to(memory_format=torch.channels_last)

    def rows(self, z: Tensor, y: Tensor | None) -> Tensor:
        """y as rows of the tables, (B,): the last for None and, in training, for a share of the labels."""
        if y is None:
            return torch.full((len(z),), self.classes, device=z.device)
        row = expect_labels(y, self.classes and self.classes + 1, len(z), z.device)  # the last row: any class
        if self.training:
            row = torch.where(torch.rand(len(z), device=z.device) < self.forget, self.classes, row)
        return row

    def forward(self, z: Tensor, t: Tensor | float, y: Tensor | None = None) -> Tensor:
        if tuple(z.shape[1:]) != self.grid:
            raise ValueError(
                f"z has shape {tuple(z.shape)}: this GridField expects (B, {', '.join(map(str, self.grid))})."
            )
        row = self.rows(z, y)
        c = self.time(expand_time(t, z.flatten(1)).expand(len(z), 1)[:, 0]) + self.label(row)
        h = self.in_proj(z)
        h = h + self.position(row).view(len(z), self.width, *self.grid[1:]).to(h.dtype)
        for block in self.blocks:
            h = block(h, c)
        return self.out_proj(h)

    def extra_repr(self) -> str:
        given = f", y in 0..{self.classes - 1}" if self.classes else ""
        return (
            f"(z in R^({'x'.join(map(str, self.grid))}), t in [0, 1]{given}) -> the same, "
            f"{parameter_count(self):,} parameters"
        )


class PatchCritic(nn.Module):
    """x (B, C, H, W) -> (B, H/4, W/4), any real numbers: each has seen 18 x 18 pixels and judges them alone.  (VQGAN)

    It cannot know whether the whole is a digit, only whether its strokes look like ink; so it asks for sharpness and leaves
    it to the other loss what is drawn.  No batch normalisation: a penalty on its slope is a matter of one picture.  Weights
    start as N(0, 2/inputs): with torch's smaller ones its first opinions are too faint for λ to make sense."""

    def __init__(self, channels: int = 32, inputs: int = 1) -> None:
        super().__init__()
        if channels < 1 or inputs < 1:
            raise ValueError(f"channels is {channels} and inputs {inputs}: expected at least 1 of each.")
        self.inputs = inputs
        self.layers = nn.Sequential(
            nn.Conv2d(inputs, channels, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(channels, 2 * channels, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * channels, 1, 3, 1, 1),
        )
        for layer in self.layers[::2]:
            nn.init.kaiming_normal_(layer.weight)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 4 or x.shape[1] != self.inputs or x.shape[2] % 4 or x.shape[3] % 4:
            raise ValueError(
                f"x has shape {tuple(x.shape)}: this PatchCritic expects (B, {self.inputs}, H, W), H and W "
                "multiples of 4."
            )
        return self.layers(x)[:, 0]

    def extra_repr(self) -> str:
        return f"{self.inputs} x H x W -> one number for 18 x 18 pixels, {parameter_count(self):,} parameters"
