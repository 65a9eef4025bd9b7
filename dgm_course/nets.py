"""Networks, and nothing but networks: no loss, no sampling, no training loop.

Every continuous-time model of the course asks one question of a network: *given a noisy point and how noisy it
is, what do you make of it?* The answer is a tensor of the same shape as the point (a velocity, a score, the
noise, the clean data: `paths.py` turns each into the others), so all networks here share one signature,

    net(x, t, y=None)      x (B, *event),  t () or (B,) in [0, 1],  y an optional condition.

* `MLP` for points of a plane: time is one more input column. Small tensors are bound by the number of
  operations and not by arithmetic, so nothing cleverer than `cat` is done.
* `UNet` for 28 x 28 digits: convolutions at three resolutions, the time tells every block how to rescale itself.
* `DigitClassifier`: ten classes, and the 128 features in which generated digits are compared with real ones.

The last layer of `MLP` and `UNet` starts at zero: the untrained field stands still, x(t) = x0, which is a
better first guess than a random push.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def _times(t: Tensor | float, x: Tensor) -> Tensor:
    """One time per sample: () or (B,) -> (B,), in the dtype and on the device of x."""
    t = torch.as_tensor(t, dtype=x.dtype, device=x.device)
    if t.dim() > 1 or (t.dim() == 1 and len(t) not in (1, len(x))):
        raise ValueError(f"t has shape {tuple(t.shape)}; expected () or ({len(x)},), one time for each of the "
                         f"{len(x)} samples in x.")
    return t.expand(len(x))


class TimeFeatures(nn.Module):
    """sin and cos of t at width/2 frequencies, geometric from 1 to 1000 rad: (B,) -> (B, width).

    A bare number t is hard for a network to be precise about; slow waves tell noise from data, fast waves tell
    neighbouring times apart (lecture on diffusion: the sinusoidal embedding of the Transformer, for real t)."""

    def __init__(self, width: int):
        super().__init__()
        if width < 2 or width % 2:
            raise ValueError(f"TimeFeatures(width={width}): expected an even width of at least 2, half sines and "
                             "half cosines.")
        self.width = width
        self.register_buffer("frequencies", torch.logspace(0, 3, width // 2), persistent=False)

    def forward(self, t: Tensor) -> Tensor:
        angles = t[:, None] * self.frequencies.to(t.dtype)
        return torch.cat([angles.sin(), angles.cos()], 1)

    def extra_repr(self) -> str:
        return f"{self.width} features: sin and cos of t at {self.width // 2} frequencies, 1 to 1000 rad"


class MLP(nn.Module):
    """A field on R^dim: cat[x, t, y] -> depth hidden layers of `width` SiLU units -> R^dim.

    x (B, dim), t () or (B,), y (B, context) or None for "no condition" (zeros); returns (B, dim)."""

    def __init__(self, dim: int, width: int = 64, depth: int = 3, context: int = 0):
        super().__init__()
        self.dim, self.width, self.depth, self.context = dim, width, depth, context
        sizes = [dim + 1 + context] + [width] * depth
        hidden = [m for i, o in pairwise(sizes) for m in (nn.Linear(i, o), nn.SiLU())]
        self.layers = nn.Sequential(*hidden, _zero(nn.Linear(sizes[-1], dim)))

    def forward(self, x: Tensor, t: Tensor | float, y: Tensor | None = None) -> Tensor:
        if x.dim() != 2 or x.shape[1] != self.dim:
            raise ValueError(f"x has shape {tuple(x.shape)}; this MLP expects (batch, {self.dim}).")
        parts = [x, _times(t, x)[:, None]]
        if self.context:
            parts.append(x.new_zeros(len(x), self.context) if y is None else y)
        elif y is not None:
            raise ValueError("y was given, but this MLP was built without a condition; build MLP(..., context=C) "
                             "for conditions of shape (batch, C).")
        return self.layers(torch.cat(parts, 1))

    def extra_repr(self) -> str:
        given = f", y in R^{self.context}" if self.context else ""
        return f"(x in R^{self.dim}, t in [0, 1]{given}) -> R^{self.dim}, {_count(self):,} parameters"


class Block(nn.Module):
    """h -> h + SiLU(GroupNorm(conv(h)) + W c): a residual convolution told the time by c.  (B, i, H, W) -> (B, o, H, W)

    c (B, k) holds what the network knows besides the image: the time, and the class where there is one."""

    def __init__(self, inputs: int, outputs: int, condition: int):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm = nn.GroupNorm(8, outputs)
        self.shift = nn.Linear(condition, outputs)
        self.skip = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, h: Tensor, c: Tensor) -> Tensor:
        return self.skip(h) + F.silu(self.norm(self.conv(h)) + self.shift(c)[:, :, None, None])


class UNet(nn.Module):
    """A field on 28 x 28 images, as a U: down to 14 x 14 and 7 x 7, and up again with shortcuts across.

    x (B, 1, 28, 28), t () or (B,), y (B,) class numbers or None for "any class"; returns (B, 1, 28, 28).
    With `classes` = K the embedding has K + 1 rows: row K is the "no class" token that guidance needs."""

    def __init__(self, channels: int = 32, classes: int = 0):
        super().__init__()
        self.channels, self.classes = channels, classes
        a, b, c, k = channels, 2 * channels, 4 * channels, 4 * channels
        self.time = nn.Sequential(TimeFeatures(64), nn.Linear(64, k), nn.SiLU())
        self.label = nn.Embedding(classes + 1, k) if classes else None
        self.enter = nn.Conv2d(1, a, 3, padding=1)
        self.down1, self.half1 = Block(a, a, k), nn.Conv2d(a, b, 3, stride=2, padding=1)
        self.down2, self.half2 = Block(b, b, k), nn.Conv2d(b, c, 3, stride=2, padding=1)
        self.mid1, self.mid2 = Block(c, c, k), Block(c, c, k)
        self.up2, self.up1 = Block(c + b, b, k), Block(b + a, a, k)
        self.leave = _zero(nn.Conv2d(a, 1, 3, padding=1))
        self.to(memory_format=torch.channels_last)

    def condition(self, x: Tensor, t: Tensor | float, y: Tensor | None) -> Tensor:
        """What every block is told: features of t, plus the embedding of the class. (B, 4 * channels)"""
        c = self.time(_times(t, x))
        if self.label is None:
            if y is not None:
                raise ValueError("y was given, but this UNet was built without classes; build UNet(classes=10).")
            return c
        if y is None:
            y = torch.full((len(x),), self.classes, device=x.device)
        return c + self.label(y)

    def forward(self, x: Tensor, t: Tensor | float, y: Tensor | None = None) -> Tensor:
        _expect_images(x, "UNet")
        c = self.condition(x, t, y)
        h1 = self.down1(self.enter(x), c)
        h2 = self.down2(self.half1(h1), c)
        h = self.mid2(self.mid1(self.half2(h2), c), c)
        h = self.up2(torch.cat([_double(h), h2], 1), c)
        h = self.up1(torch.cat([_double(h), h1], 1), c)
        return self.leave(h)

    def extra_repr(self) -> str:
        given = f", y in 0..{self.classes - 1}" if self.classes else ""
        return f"(x in R^(1x28x28), t in [0, 1]{given}) -> R^(1x28x28), {_count(self):,} parameters"


class DigitClassifier(nn.Module):
    """Ten logits for a digit, and on the way 128 features: the eyes with which generated digits are judged.

    x (B, 1, 28, 28) in [-1, 1] -> logits (B, 10); `features(x)` -> (B, 128)."""

    def __init__(self):
        super().__init__()
        layers: list[nn.Module] = []
        for i, o in ((1, 16), (16, 32), (32, 64)):
            layers += [nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2)]
        self.convolutions = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * 3 * 3, 128))
        self.head = nn.Linear(128, 10)

    def features(self, x: Tensor) -> Tensor:
        _expect_images(x, "DigitClassifier")
        return F.relu(self.convolutions(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))

    def extra_repr(self) -> str:
        return f"(B, 1, 28, 28) in [-1, 1] -> features (B, 128) -> logits (B, 10), {_count(self):,} parameters"


def _expect_images(x: Tensor, who: str) -> None:
    if x.dim() != 4 or x.shape[1:] != (1, 28, 28):
        raise ValueError(f"x has shape {tuple(x.shape)}; {who} expects grey images of shape (batch, 1, 28, 28).")


def _double(h: Tensor) -> Tensor:
    """Twice as high and wide, each pixel repeated: (B, C, H, W) -> (B, C, 2H, 2W)."""
    return F.interpolate(h, scale_factor=2.0, mode="nearest")


def _zero(layer: nn.Linear | nn.Conv2d) -> nn.Module:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def _count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
