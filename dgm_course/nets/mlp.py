"""Dense networks: time features, the MLP for points of the plane, and the MLP for tokens."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.tensors import expand_time, parameter_count


def _one_hot(x: Tensor, vocabulary: int, weight: Tensor) -> Tensor:
    """Tokens 0 ... vocabulary (the last is the mask) as unit vectors: (B, *event) -> (B, *event, vocabulary + 1)

    They have the dtype of the weights that they will meet."""
    if x.is_floating_point() or x.dtype == torch.bool:
        raise TypeError(
            f"x has dtype {x.dtype}: expected tokens, integers from 0 to {vocabulary} ({vocabulary}: masked)."
        )
    low, high = (int(x.min()), int(x.max())) if x.device.type == "cpu" and x.numel() else (0, 0)
    if low < 0 or high > vocabulary:
        raise ValueError(f"x runs from {low} to {high}: expected tokens 0 to {vocabulary} ({vocabulary}: masked).")
    return F.one_hot(x.long(), vocabulary + 1).to(weight.dtype)


def _column(t: Tensor | float, x: Tensor) -> Tensor:
    """One time a sample, () or (B,) -> (B, 1), in the dtype and on the device of x."""
    return expand_time(t, x.flatten(1)).expand(len(x), 1)


class TimeFeatures(nn.Module):
    """sin and cos of t at width/2 frequencies, geometric from 1 to 1000 rad: (B,) -> (B, width).

    A bare number t is hard for a network to be precise about; slow waves tell noise from data, fast waves
    tell neighbouring times apart (the sinusoidal embedding of the Transformer, for real t)."""

    def __init__(self, width: int):
        super().__init__()
        if width < 2 or width % 2:
            raise ValueError(f"width is {width}: expected an even number of at least 2, half sines, half cosines.")
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
            raise ValueError(f"x has shape {tuple(x.shape)}: this MLP expects (B, {self.dim}).")
        parts = [x, _column(t, x)]
        if self.context:
            y = x.new_zeros(len(x), self.context) if y is None else y
            if y.shape != (len(x), self.context):
                raise ValueError(f"y has shape {tuple(y.shape)}: expected {(len(x), self.context)}.")
            parts.append(y)
        elif y is not None:
            raise ValueError(
                "y was given, but this MLP knows no condition: build MLP(..., context=C) for y of shape (B, C)."
            )
        return self.layers(torch.cat(parts, 1))

    def extra_repr(self) -> str:
        given = f", y in R^{self.context}" if self.context else ""
        return f"(x in R^{self.dim}, t in [0, 1]{given}) -> R^{self.dim}, {parameter_count(self):,} parameters"


class TokenMLP(nn.Module):
    """What stands at every place of a short sequence: unit vectors, time -> hidden layers -> logits.

    x (B, L) tokens 0 ... K, where K = `vocabulary` means masked; t () or (B,); returns (B, L, K)."""

    def __init__(self, vocabulary: int, length: int, width: int = 128, depth: int = 2):
        super().__init__()
        self.vocabulary, self.length = vocabulary, length
        sizes = [length * (vocabulary + 1) + 1] + [width] * depth
        hidden = [m for i, o in pairwise(sizes) for m in (nn.Linear(i, o), nn.SiLU())]
        self.layers = nn.Sequential(*hidden, _zero(nn.Linear(sizes[-1], length * vocabulary)))

    def forward(self, x: Tensor, t: Tensor | float, y: None = None) -> Tensor:
        if x.dim() != 2 or x.shape[1] != self.length:
            raise ValueError(f"x has shape {tuple(x.shape)}: this TokenMLP expects (B, {self.length}).")
        if y is not None:
            raise ValueError("y was given, but this TokenMLP knows no condition.")
        seen = _one_hot(x, self.vocabulary, self.layers[-1].weight).flatten(1)
        return self.layers(torch.cat([seen, _column(t, seen)], 1)).view(*x.shape, self.vocabulary)

    def extra_repr(self) -> str:
        return (
            f"({self.length} tokens 0..{self.vocabulary}, t) -> {self.vocabulary} logits a place, "
            f"{parameter_count(self):,} parameters"
        )


def _zero(layer: nn.Module) -> nn.Module:
    """The layer with all its numbers at zero."""
    for p in layer.parameters():
        nn.init.zeros_(p)
    return layer
