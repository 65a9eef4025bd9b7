"""Codes at unit size: between an encoder that was never told how large its codes should be and a generator that is built
for numbers of about size one.                                                   (Rombach et al. 2022; lecture 14)

    z' = (z − mean) / std,        z = mean + std · z'

Noise of size 1 means nothing to codes of size 20 (the path sees noise only at its very end) and everything to codes of size
0.05.  So mean and std are *measured* on codes of training data, kept with the generator, and undone before decoding.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..core.checks import expect_batch
from ..training.gpu import graph_safe


class LatentScaler(nn.Module):
    """z' = (z − mean) / std, and back.  mean, std: of any shape that broadcasts over one code, such as () or (C, 1, 1)."""

    def __init__(self, mean: Tensor | float, std: Tensor | float) -> None:
        super().__init__()
        mean, std = torch.as_tensor(mean), torch.as_tensor(std)
        if mean.shape != std.shape or not bool((std > 0).all() & mean.isfinite().all() & std.isfinite().all()):
            raise ValueError(
                f"mean has shape {tuple(mean.shape)} and std {tuple(std.shape)}, the smallest "
                f"{float(mean.min()):.4g} and {float(std.min()):.4g}: expected one shape, finite numbers, and "
                "every std above 0."
            )
        self.register_buffer("mean", mean.clone())
        self.register_buffer("std", std.clone())

    @classmethod
    def of(cls, codes: Tensor, axes: Sequence[int] | None = None) -> LatentScaler:
        """Measured on codes (N, C, *grid): one mean and one std a channel.

        axes: over which of the codes' axes to average; by default all but the channels, (0, 2, 3); or all."""
        expect_batch(codes, name="codes")
        axes = [0, *range(2, codes.ndim)] if axes is None else sorted(axis % codes.ndim for axis in axes)
        if 0 not in axes:
            raise ValueError(f"axes are {tuple(axes)}: expected the batch, axis 0, among them.")
        if math.prod(codes.shape[axis] for axis in axes) < 2:
            raise ValueError(
                f"codes have shape {tuple(codes.shape)}: a standard deviation over the axes {tuple(axes)} "
                "needs at least 2 numbers."
            )
        var, mean = torch.var_mean(codes.detach(), axes, correction=0, keepdim=True)
        if not bool((var > 0).all()):
            raise ValueError(
                f"{int((var == 0).sum())} of {var.numel()} channels never vary: they carry nothing, and cannot "
                "be brought to unit size."
            )
        shape = mean.shape[1:] if mean.numel() > 1 else ()
        return cls(mean.reshape(shape), var.sqrt().reshape(shape))

    @classmethod
    def blank(cls, channels: int, axes: int = 2) -> LatentScaler:
        """One that changes nothing, in the shape of a measured one: to be loaded into.  (channels, 1, ..., 1)"""
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
            fits = torch.broadcast_shapes(codes.shape[1:], self.mean.shape) == codes.shape[1:]
        except RuntimeError:
            fits = False
        if not fits:
            raise ValueError(
                f"codes have shape {tuple(codes.shape)}: this rescaling has one mean for each of "
                f"{tuple(self.mean.shape)}."
            )
        return codes

    def extra_repr(self) -> str:
        if self.mean.numel() == 1:
            return f"mean {float(self.mean):.3g}, std {float(self.std):.3g}"
        low, high = (float(end) for end in torch.aminmax(self.std))
        return f"{self.mean.numel()} means, std {low:.3g} to {high:.3g}"


class ScaledModel(nn.Module):
    """A generator of codes of any size, made of a generator of numbers of unit size.

    generator: whatever learns and samples events of the codes' shape: its `loss` is asked about rescaled codes, and what it
    samples is scaled back.  `with_label` and `trajectory` are there where the generator has them."""

    def __init__(self, generator: nn.Module, rescaling: LatentScaler) -> None:
        super().__init__()
        self.generator, self.rescaling = generator, rescaling

    @property
    def graph_safe(self) -> bool:
        """Whether a GPU may replay a training step: where it may replay the generator's."""
        return graph_safe(self.generator)

    def loss(self, codes: Tensor, *condition: Any) -> Tensor:
        """The generator's loss on rescaled codes; `condition` (source, labels) goes through as it is.  codes (B, C, *grid)"""
        return self.generator.loss(self.rescaling(codes), *condition)

    def sample(self, *how: Any, **more: Any) -> Tensor:
        """The generator's sample, scaled back to the size of codes; its arguments are the generator's."""
        return self.rescaling.inverse(self.generator.sample(*how, **more))

    def trajectory(self, *how: Any, **more: Any) -> Tensor:
        """All points of the way, each scaled back.  -> (steps + 1, n, C, *grid)"""
        way = self.generator.trajectory(*how, **more)
        return self.rescaling.inverse(way.flatten(0, 1)).view(way.shape)

    def with_label(self, *condition: Any) -> ScaledModel:
        """The same with its class, and guidance, fixed; weights are shared."""
        twin = copy.copy(self)
        twin._modules = {**self._modules, "generator": self.generator.with_label(*condition)}
        return twin

    def __repr__(self) -> str:
        return f"{self.generator!r}; its codes {self.rescaling.extra_repr()}"
