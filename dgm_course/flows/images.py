"""Flows for images: dequantisation, the logit, and couplings at two scales.           (Dinh et al. 2017, RealNVP)

    log P(x) ≥ E_u log p(x + u),   u ~ U[0, 1)^D

A pixel is a whole number 0 ... K − 1; with uniform noise it has a density, and P(x) is the integral of p over the cube of x.
`Squeeze` makes four channels of 2 x 2 pixels, `Split` sends half of the channels to the noise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.checks import expect_batch
from ..core.tensors import flat
from .bijections import ActNorm, Bijection, Change, Compose, Permutation, total
from .couplings import Coupling


class Dequantise(Bijection):
    """z = (k + u)/levels in [0, 1), u uniform, for pixels k = 0 ... levels − 1 given in [−1, 1]; ladj = −D log levels.

    Each call draws a new u; the inverse is the bin of z, in [−1, 1].  event: (C, H, W)"""

    def __init__(self, event: Sequence[int], levels: int = 256) -> None:
        super().__init__()
        if levels < 2:
            raise ValueError(f"levels is {levels}: expected at least 2 values of a pixel.")
        self.event, self.levels = tuple(event), levels

    def forward(self, x: Tensor) -> Change:
        k = (self.check_input(x) + 1) / 2 * (self.levels - 1)
        whole = k.round()
        odd = ((k - whole).abs() > 0.01) | (whole < 0) | (whole >= self.levels)
        if x.device.type == "cpu" and odd.any():
            low, high = float(x.min()), float(x.max())
            raise ValueError(
                f"x runs from {low:.4g} to {high:.4g}: expected pixels of {self.levels} values, -1 to 1."
            )
        z = (whole + torch.rand_like(x)) / self.levels
        return z, x.new_full((len(x),), -math.prod(self.event) * math.log(self.levels))

    def inverse(self, z: Tensor) -> Tensor:
        k = (self.check_input(z, "z") * self.levels).floor().clamp(0, self.levels - 1)
        return 2 * k / (self.levels - 1) - 1


class Logit(Bijection):
    """s = margin + (1 − 2 margin) x,  z = log s − log(1 − s);  ladj = Σ log(1 − 2 margin) − log s − log(1 − s).

    x in [0, 1], or in (0, 1) for margin 0.  margin: keeps s away from 0 and 1, where the logit is infinite."""

    def __init__(self, margin: float = 0.05) -> None:
        super().__init__()
        if not 0 <= margin < 0.5:
            raise ValueError(f"margin is {margin}: expected a number from 0 to below 0.5.")
        self.margin = margin

    def forward(self, x: Tensor) -> Change:
        s = self.margin + (1 - 2 * self.margin) * self._inside(x)
        rise, fall = s.log(), torch.log1p(-s)
        return rise - fall, total(math.log(1 - 2 * self.margin) - rise - fall)

    def inverse(self, z: Tensor) -> Tensor:
        return (torch.sigmoid(expect_batch(z, name="z")) - self.margin) / (1 - 2 * self.margin)

    def _inside(self, x: Tensor) -> Tensor:
        checked = expect_batch(x).numel() and x.device.type == "cpu"
        low, high = (float(end) for end in torch.aminmax(x.detach())) if checked else (0.5, 0.5)
        edge = 1e-6 if self.margin else 0.0
        if low < -edge or high > 1 + edge or not self.margin and (low <= 0 or high >= 1):
            interval = "[0, 1]" if self.margin else "(0, 1), ends excluded, as the logit of 0 or 1 is infinite"
            raise ValueError(f"x runs from {low:.4g} to {high:.4g}: expected numbers in {interval}.")
        return x


class Squeeze(Bijection):
    """2 x 2 pixels become four channels: upper left, upper right, lower left, lower right.  (C, H, W) -> (4C, H/2, W/2)"""

    def __init__(self, event: Sequence[int]) -> None:
        super().__init__()
        if len(event) != 3 or event[1] % 2 or event[2] % 2:
            raise ValueError(f"event is {tuple(event)}: expected (C, H, W) with H and W even.")
        self.event = tuple(event)

    def forward(self, x: Tensor) -> Change:
        channels, height, width = self.event
        blocks = self.check_input(x).reshape(len(x), channels, height // 2, 2, width // 2, 2)
        z = blocks.permute(0, 1, 3, 5, 2, 4).reshape(len(x), 4 * channels, height // 2, width // 2)
        return z, x.new_zeros(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        channels, height, width = self.event
        expect_batch(z, (4 * channels, height // 2, width // 2), "z")
        blocks = z.reshape(len(z), channels, 2, 2, height // 2, width // 2).permute(0, 1, 4, 2, 5, 3)
        return blocks.reshape(len(z), channels, height, width)


class Split(Bijection):
    """z = (x_first, rest(x_second)), flat, with the two halves of the channels.  (B, C, H, W) -> (B, D)

    rest: a layer for (C/2, H, W) whose z is flat, or None: z = x."""

    def __init__(self, event: Sequence[int], rest: Bijection | None = None) -> None:
        super().__init__()
        if rest is not None and event[0] % 2:
            raise ValueError(f"event is {tuple(event)}: expected an even number of channels, for two halves.")
        self.event, self.rest = tuple(event), rest

    def forward(self, x: Tensor) -> Change:
        if self.rest is None:
            return flat(self.check_input(x)), x.new_zeros(len(x))
        first, second = self.check_input(x).chunk(2, 1)
        z, ladj = self.rest(second)
        return torch.cat([flat(first), z], 1), ladj

    def inverse(self, z: Tensor) -> Tensor:
        size = math.prod(self.event)
        expect_batch(z, (size,), "z")
        if self.rest is None:
            return z.view(len(z), *self.event)
        first, second = z.split(size // 2, 1)
        first = first.reshape(len(z), self.event[0] // 2, *self.event[1:])
        return torch.cat([first, self.rest.inverse(second)], 1)


class CouplingCNN(nn.Module):
    """Three 3 x 3 convolutions, a bias for each pixel, a last layer that starts at zero.  (B, i, H, W) -> (B, o, H, W)"""

    def __init__(self, inputs: int, outputs: int, width: int, size: Sequence[int]) -> None:
        super().__init__()
        self.look, self.residual = nn.Conv2d(inputs, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        self.position = nn.Parameter(torch.zeros(width, *size))
        self.tell = nn.Conv2d(width, outputs, 3, padding=1)
        for p in self.tell.parameters():
            nn.init.zeros_(p)

    def forward(self, x: Tensor) -> Tensor:
        h = F.silu(self.look(x) + self.position)
        return self.tell(F.silu(h + self.residual(h)))


def scale(event: Sequence[int], count: int, width: int) -> list[Bijection]:
    """``count`` couplings, each half of the channels kept in turn, with a new permutation of channels for every two."""
    channels, *size = event
    generator = torch.Generator().manual_seed(channels)
    layers: list[Bijection] = []
    for k in range(count):
        if k % 2 == 0:
            checkerboard = channels == 4 and k == 0  # of the four pixels that `Squeeze` makes channels
            order = [0, 3, 1, 2] if checkerboard else torch.randperm(channels, generator=generator)
            layers.append(Permutation(order))
        kept = range(channels // 2) if k % 2 == 0 else range(channels // 2, channels)
        net = CouplingCNN(channels // 2, channels, width, size)
        layers += [ActNorm(*event), Coupling(kept, channels, net, 2.0)]
    return [*layers, ActNorm(*event)]


def multiscale_realnvp(
    event: Sequence[int] = (1, 28, 28),
    counts: tuple[int, int] = (8, 6),
    widths: tuple[int, int] = (32, 48),
    levels: int = 256,
    stretch: Bijection | None = None,
) -> Compose:
    """RealNVP for grey images: pixels -> [0, 1) -> the line -> couplings of 4 channels -> of 8, for half of them -> noise.

    (1, H, W) with H and W divisible by 4 -> (H·W,).  counts, widths: of the couplings at the two scales.  stretch: from
    [0, 1) to the line for each pixel; None for the paper's logit."""
    channels, height, width = event
    fine, coarse = (4 * channels, height // 2, width // 2), (8 * channels, height // 4, width // 4)
    rest = Compose([Squeeze((2 * channels, *fine[1:])), *scale(coarse, counts[1], widths[1]), Split(coarse)])
    first = [Dequantise(event, levels), stretch or Logit(), Squeeze(event)]
    return Compose([*first, *scale(fine, counts[0], widths[0]), Split(fine, rest)])


@torch.no_grad()
def set_scales(layer: Bijection, x: Tensor, least: float = 1e-3) -> Tensor:
    """Set every `ActNorm` in turn from its input for a batch of data x.  -> f(x)"""
    if isinstance(layer, Compose):
        for part in layer.layers:
            x = set_scales(part, x, least)
        return x
    if isinstance(layer, Split) and layer.rest is not None:
        set_scales(layer.rest, x.chunk(2, 1)[1], least)
    return (layer.set_from(x, least) if isinstance(layer, ActNorm) else layer)(x)[0]
