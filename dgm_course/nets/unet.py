"""Networks, and nothing but networks: no loss, no sampling, no training loop.

Every continuous-time model of the course asks one question of a network: *given a noisy point and how noisy
it is, what do you make of it?* The answer has the shape of the point (a velocity, a score, the noise, the
clean data: `paths` turns each into the others), so all networks here are called alike,

    net(x, t, y=None)      x (B, *event),  t () or (B,) in [0, 1],  y an optional condition.

* `MLP` for points of a plane: time is one more input column. Small tensors are bound by the number of
  operations and not by arithmetic, so nothing cleverer than `cat` is done.
* `UNet` for 28 x 28 digits: convolutions at two resolutions, all of them told the time and the class. `LightUNet` for a
  minute of a CPU; `DeepUNet` for long trainings: deeper where the picture is small, with a layer in which every place
  looks at every other.
* `TokenMLP` and `TokenUNet` for tokens: short sequences, and images of few values. They answer with logits.
* `DigitClassifier`: ten classes, and the 128 features in which generated digits are compared with real ones.

The last layer of `MLP` and `UNet` starts at zero: the untrained field stands still, x(t) = x0, which is a
better first guess than a random push.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.checks import expect_heads, expect_labels
from ..core.tensors import parameter_count
from .classifier import _expect_images
from .mlp import TimeFeatures, _column, _one_hot, _zero


class Block(nn.Module):
    """h -> skip(h) + SiLU((1 + a) * GroupNorm(conv(h)) + b), (a, b) = W c: a convolution that is told c.

    h (B, i, H, W); c (B, k), all the network knows besides the image; returns (B, o, H, W)."""

    def __init__(self, inputs: int, outputs: int, condition: int):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm = nn.GroupNorm(8, outputs, affine=False)
        self.condition = nn.Linear(condition, 2 * outputs)
        self.skip = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, h: Tensor, c: Tensor) -> Tensor:
        a, b = self.condition(c)[:, :, None, None].chunk(2, 1)
        return self.skip(h) + F.silu((1 + a) * self.norm(self.conv(h)) + b)


class LayerNorm2d(nn.Module):
    """(h - mean) / deviation over the channels of each place.  (B, C, H, W) -> the same

    Where the channels come last they are neighbours in memory; a `GroupNorm`, whose sums run through the whole image, takes
    about twice as long on a CPU."""

    def forward(self, h: Tensor) -> Tensor:
        return F.layer_norm(h.permute(0, 2, 3, 1), h.shape[1:2]).permute(0, 3, 1, 2)


class PlaceBlock(Block):
    """A `Block` that norms place by place."""

    def __init__(self, inputs: int, outputs: int, condition: int):
        super().__init__(inputs, outputs, condition)
        self.norm = LayerNorm2d()


class Upsample2x(nn.ConvTranspose2d):
    """A transposed convolution of kernel 6 and stride 2, from H x W to 2H x 2W, by an ordinary one.

    Of the 6 x 6 taps each output pixel meets 3 x 3, and which ones depends on whether its row and column are even.  So it
    is four convolutions of 3 x 3, one for each kind of pixel, whose answers are laid into one picture.  The numbers and the
    weights are those of ``nn.ConvTranspose2d``; on a CPU, whose libraries know convolutions better, it takes about
    half the time.                                                              (sub-pixel convolution, Shi et al. 2016)"""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, 6, stride=2, padding=2)

    def forward(self, h: Tensor) -> Tensor:
        i, o = self.weight.shape[:2]
        taps = self.weight.view(i, o, 3, 2, 3, 2).flip(2, 4).permute(1, 3, 5, 0, 2, 4).reshape(4 * o, i, 3, 3)
        return F.pixel_shuffle(F.conv2d(h, taps, self.bias.repeat_interleave(4), padding=1), 2)


class UNet(nn.Module):
    """A field on 28 x 28 images, shaped as a U: to 14 x 14 at once, to 7 x 7, and back up.

    x (B, C, 28, 28), t () or (B,), y (B,) class numbers or None for "any class"; returns (B, outputs, 28, 28). C is
    `inputs`; both are 1 for grey images.
    A class is told twice: `label`, one vector for all blocks, and `position`, a number per channel and position:
    where on the page strokes tend to be, which convolutions cannot know, treating all places alike. Both
    tables have K + 1 rows for `classes` = K; row K means "any class". In training a share `forget` of the
    labels becomes "any class": one network learns v(x, t | y) and v(x, t), as guidance needs (`guidance.Guided`)."""

    forget, block = 0.1, Block

    def __init__(self, channels: int = 32, classes: int = 0, inputs: int = 1, outputs: int = 1):
        super().__init__()
        if channels < 4 or channels % 4:
            raise ValueError(f"channels is {channels}: expected a multiple of 4, for norms in 8 groups.")
        self.channels, self.classes, self.inputs, self.outputs = channels, classes, inputs, outputs
        wide, wider, k = 2 * channels, 4 * channels, 4 * channels
        self.time = nn.Sequential(TimeFeatures(64), nn.Linear(64, k), nn.SiLU())
        self.label = nn.Embedding(classes + 1, k)
        self.position = _zero(nn.Embedding(classes + 1, 14 * 14 * wide))
        self.in_proj = nn.Conv2d(inputs, wide, 6, stride=2, padding=2)
        self.down, self.halve = self.block(wide, wide, k), nn.Conv2d(wide, wider, 3, stride=2, padding=1)
        self.middle = nn.ModuleList(self.block(wider, wider, k) for _ in range(2))
        self.up = self.block(wider + wide, wide, k)
        self.out_proj = _zero(Upsample2x(wide, outputs))
        self.to(memory_format=torch.channels_last)

    def rows(self, x: Tensor, y: Tensor | None) -> Tensor:
        """y as rows of the tables, (B,): the last for None and, in training, for a share of the labels."""
        if y is None:
            return torch.full((len(x),), self.classes, device=x.device)
        row = expect_labels(y, self.classes and self.classes + 1, len(x), x.device)  # the last row: any class
        if self.training:
            row = torch.where(torch.rand(len(x), device=x.device) < self.forget, self.classes, row)
        return row

    def forward(self, x: Tensor, t: Tensor | float, y: Tensor | None = None) -> Tensor:
        _expect_images(x, "UNet", self.inputs)
        row = self.rows(x, y)
        c = self.time(_column(t, x)[:, 0]) + self.label(row)
        position = self.position(row).view(len(x), 14, 14, 2 * self.channels).permute(0, 3, 1, 2)
        h = self.in_proj(x)
        fine = self.down(h + position.to(h.dtype), c)  # a float32 term would make all that follows float32
        h = self.halve(fine)
        for block in self.middle:
            h = block(h, c)
        return self.out_proj(self.up(self.join(h, fine), c))

    def join(self, h: Tensor, fine: Tensor) -> Tensor:
        """What comes up from 7 x 7, beside what went down: (B, 4C, 7, 7), (B, 2C, 14, 14) -> (B, 6C, 14, 14)"""
        return torch.cat([F.interpolate(h, scale_factor=2.0), fine], 1)

    def extra_repr(self) -> str:
        given = f", y in 0..{self.classes - 1}" if self.classes else ""
        return (
            f"(x in R^({self.inputs}x28x28), t in [0, 1]{given}) -> R^({self.outputs}x28x28), "
            f"{parameter_count(self):,} parameters"
        )


class SelfAttention(nn.Module):
    """h -> h + W softmax(q k^T / sqrt(d)) v, (q, k, v) = W' GroupNorm(h), in several heads: each place looks at all others.

    h (B, C, H, W) -> the same; W starts at zero. It is called as a `Block` is, and makes nothing of the condition."""

    def __init__(self, channels: int, heads: int = 4):
        super().__init__()
        self.heads, self.norm = expect_heads(channels, heads)[0], nn.GroupNorm(8, channels)
        self.qkv, self.out = nn.Conv2d(channels, 3 * channels, 1), _zero(nn.Conv2d(channels, channels, 1))

    def forward(self, h: Tensor, c: Tensor | None = None) -> Tensor:
        b, channels, height, width = h.shape
        parts = (
            self.qkv(self.norm(h))
            .permute(0, 2, 3, 1)
            .reshape(b, height * width, 3, self.heads, channels // self.heads)
        )
        seen = F.scaled_dot_product_attention(*parts.permute(2, 0, 3, 1, 4))
        return h + self.out(seen.transpose(1, 2).reshape(b, height, width, channels).permute(0, 3, 1, 2))


class AdditiveSkipUNet(UNet):
    """A `UNet` with a narrower way up: what comes from below is added to what went down, and not laid beside it."""

    def __init__(self, channels: int = 32, classes: int = 0, inputs: int = 1, outputs: int = 1):
        super().__init__(channels, classes, inputs, outputs)
        wide, wider, k = 2 * channels, 4 * channels, 4 * channels
        self.narrow, self.up = nn.Conv2d(wider, wide, 1), self.block(wide, wide, k)
        self.to(memory_format=torch.channels_last)

    def join(self, h: Tensor, fine: Tensor) -> Tensor:
        """The sum of both: (B, 4C, 7, 7), (B, 2C, 14, 14) -> (B, 2C, 14, 14)"""
        return F.interpolate(self.narrow(h), scale_factor=2.0) + fine


class LightUNet(AdditiveSkipUNet):
    """A `AdditiveSkipUNet` that norms place by place and halves in blocks of 2 x 2, for a minute of a CPU.

    A training step takes two thirds of the time of `UNet`'s."""

    block = PlaceBlock

    def __init__(self, channels: int = 32, classes: int = 0, inputs: int = 1, outputs: int = 1):
        super().__init__(channels, classes, inputs, outputs)
        self.halve = nn.Conv2d(2 * channels, 4 * channels, 2, stride=2)
        self.to(memory_format=torch.channels_last)


class DeepUNet(AdditiveSkipUNet):
    """A `AdditiveSkipUNet` for long trainings: three blocks and a `SelfAttention` at 7 x 7, where depth costs least.

    A step takes a fifth longer than `UNet`'s. After 5,000 steps of 32 digits (flow matching, guidance 1.3) its samples had
    precision 0.90 and Frechet distance 8.7, those of `UNet` 0.87 and 9.7."""

    def __init__(self, channels: int = 32, classes: int = 0, inputs: int = 1, outputs: int = 1):
        super().__init__(channels, classes, inputs, outputs)
        wider, k = 4 * channels, 4 * channels
        self.middle = nn.ModuleList(
            [Block(wider, wider, k), Block(wider, wider, k), SelfAttention(wider), Block(wider, wider, k)]
        )
        self.to(memory_format=torch.channels_last)


class TokenUNet(nn.Module):
    """What stands at every pixel of an image of few values: a `UNet` on unit vectors, and a close look beside it.

    x (B, 1, 28, 28) tokens 0 ... K, where K = `vocabulary` means masked; t () or (B,); y as for `UNet`; returns
    logits (B, 1, 28, 28, K). The U sees in steps of two pixels; `near` sees each pixel and its 5 x 5 neighbours."""

    def __init__(self, vocabulary: int = 2, channels: int = 32, classes: int = 0):
        super().__init__()
        self.vocabulary = vocabulary
        self.body = UNet(channels, classes, vocabulary + 1, channels)
        self.near = nn.Conv2d(vocabulary + 1, channels, 5, padding=2)
        self.tell = _zero(nn.Conv2d(channels, vocabulary, 3, padding=1))
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor, t: Tensor | float, y: Tensor | None = None) -> Tensor:
        _expect_images(x, "TokenUNet")
        seen = _one_hot(x[:, 0], self.vocabulary, self.tell.weight).permute(0, 3, 1, 2)
        return self.tell(F.silu(self.body(seen, t, y) + self.near(seen))).permute(0, 2, 3, 1)[:, None]

    def extra_repr(self) -> str:
        return (
            f"(tokens 0..{self.vocabulary}, 1x28x28) -> {self.vocabulary} logits a pixel, "
            f"{parameter_count(self):,} parameters"
        )
