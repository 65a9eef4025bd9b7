"""Codes at unit size, between an encoder whose codes have any size and a generator of numbers of size one.

    z' = (z − mean) / std,        z = mean + std · z'                            (Rombach et al. 2022; lecture 14)

Noise of size 1 hides codes of size 0.05 and leaves codes of size 20 visible almost to the end of the path.  So mean and std
are *measured* on codes of training data, saved with the generator, and undone before decoding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..core.checks import expect_batch
from .model import GeneratorOfCodes


class LatentScaler(nn.Module):
    """z' = (z − mean) / std, and back.  mean, std: of any shape that broadcasts over one code, such as () or (C, 1, 1)."""

    def __init__(self, mean: Tensor | float, std: Tensor | float) -> None:
        super().__init__()
        mean, std = torch.as_tensor(mean), torch.as_tensor(std)
        if mean.shape != std.shape or not bool((std > 0).all() & mean.isfinite().all() & std.isfinite().all()):
            raise ValueError(
                f"mean is {mean.tolist()}, std {std.tolist()}: expected one shape, finite, and every std above 0."
            )
        self.register_buffer("mean", mean.clone())
        self.register_buffer("std", std.clone())

    @classmethod
    def of(cls, codes: Tensor, axes: Sequence[int] | None = None) -> LatentScaler:
        """Measured on codes (N, C, *grid): one mean and one std a channel.

        axes: over which of the codes' axes to average; by default all but the channels, (0, 2, 3)."""
        expect_batch(codes, name="codes")
        axes = [0, *range(2, codes.ndim)] if axes is None else sorted(axis % codes.ndim for axis in axes)
        if 0 not in axes:
            raise ValueError(f"axes are {tuple(axes)}: expected the batch, axis 0, among them.")
        if math.prod(codes.shape[axis] for axis in axes) < 2:
            raise ValueError(f"codes {tuple(codes.shape)}: a std over {tuple(axes)} needs at least 2 numbers.")
        var, mean = torch.var_mean(codes.detach(), axes, correction=0, keepdim=True)
        if not bool((var > 0).all()):
            raise ValueError(f"{int((var == 0).sum())} of {var.numel()} channels never vary: expected none.")
        shape = mean.shape[1:] if mean.numel() > 1 else ()
        return cls(mean.reshape(shape), var.sqrt().reshape(shape))

    @classmethod
    def blank(cls, channels: int, axes: int = 2) -> LatentScaler:
        """The identity in the shape of a measured scaler, for loading weights into.  (channels, 1, ..., 1)"""
        return cls(torch.zeros(channels, *[1] * axes), torch.ones(channels, *[1] * axes))

    def forward(self, codes: Tensor) -> Tensor:
        """(z − mean) / std.  (B, C, *grid) -> the same"""
        return (self._expect(codes) - self.mean) / self.std

    def inverse(self, scaled: Tensor) -> Tensor:
        """mean + std · z'.  (B, C, *grid) -> the same"""
        return self.mean + self.std * self._expect(scaled)

    def _expect(self, codes: Tensor) -> Tensor:
        expect_batch(codes, name="codes", on=self.mean.device)
        try:
            self.mean.expand(codes.shape[1:])
        except RuntimeError:
            shape = tuple(self.mean.shape)
            raise ValueError(f"codes are {tuple(codes.shape)}: expected them to fit the means, {shape}.") from None
        return codes

    def extra_repr(self) -> str:
        if self.mean.numel() == 1:
            return f"mean {float(self.mean):.3g}, std {float(self.std):.3g}"
        low, high = (float(end) for end in torch.aminmax(self.std))
        return f"{self.mean.numel()} means, std {low:.3g} to {high:.3g}"


class ScaledModel(GeneratorOfCodes):
    """A generator of codes of any size, made of a generator of numbers of unit size, which learns and samples scaled codes.

    `with_label` and `trajectory` are there where the generator has them."""

    def __init__(self, generator: nn.Module, rescaling: LatentScaler) -> None:
        super().__init__(generator)
        self.rescaling = rescaling

    def encode(self, x: Tensor) -> Tensor:
        """The scaled codes.  (B, C, *grid) -> the same"""
        return self.rescaling(x)

    def decode(self, codes: Tensor) -> Tensor:
        """The codes of the scaled ones.  (B, C, *grid) -> the same"""
        return self.rescaling.inverse(codes)

    def __repr__(self) -> str:
        return f"{self.generator!r}; its codes {self.rescaling.extra_repr()}"
