"""Dense networks: time features, `MLP` for points, `TokenMLP` for tokens, `DenseNet` between data and latents.

`MLP` and `TokenMLP` are called as net(x, t, y=None), like every network of continuous time.  Their last layer starts at
zero: the untrained field is 0, so x(t) = x0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.checks import expect_labels, expect_network_input
from ..core.tensors import expand_time, parameter_count


def one_hot(x: Tensor, vocabulary: int, weight: Tensor) -> Tensor:
    """Tokens 0 ... vocabulary (the last one is the mask) as unit vectors of the weight's dtype.  -> (..., vocabulary + 1)"""
    if x.is_floating_point() or x.dtype == torch.bool:
        raise TypeError(
            f"x has dtype {x.dtype}: expected tokens, integers from 0 to {vocabulary} ({vocabulary}: masked)."
        )
    low, high = (int(x.min()), int(x.max())) if x.device.type == "cpu" and x.numel() else (0, 0)
    if low < 0 or high > vocabulary:
        raise ValueError(f"x runs from {low} to {high}: expected tokens 0 to {vocabulary} ({vocabulary}: masked).")
    return F.one_hot(x.long(), vocabulary + 1).to(weight.dtype)


def time_column(t: Tensor | float, x: Tensor) -> Tensor:
    """One time a sample, () or (B,) -> (B, 1), in the dtype and on the device of x."""
    return expand_time(t, x.flatten(1)).expand(len(x), 1)


def zero_init(layer: nn.Module) -> nn.Module:
    """The layer, with all its parameters set to zero."""
    for p in layer.parameters():
        nn.init.zeros_(p)
    return layer


def hidden_layers(sizes: Sequence[int], activation: type[nn.Module] = nn.SiLU) -> list[nn.Module]:
    """Linear, activation, Linear, activation, ... through the sizes."""
    return [layer for i, o in pairwise(sizes) for layer in (nn.Linear(i, o), activation())]


class TimeFeatures(nn.Module):
    """sin and cos of t at width/2 frequencies, geometric from 1 to 1000 rad: (B,) -> (B, width).

    The sinusoidal embedding of the Transformer, for real t: high frequencies separate neighbouring times."""

    def __init__(self, width: int) -> None:
        super().__init__()
        if width < 2 or width % 2:
            raise ValueError(f"width is {width}: expected an even number of at least 2, half sines, half cosines.")
        self.width = width
        self.register_buffer("frequencies", torch.logspace(0, 3, width // 2), persistent=False)

    def forward(self, t: Tensor) -> Tensor:
        angles = t[:, None] * self.frequencies.to(t.dtype)
        return torch.cat([angles.sin(), angles.cos()], 1)


class MLP(nn.Module):
    """A field on R^dim: cat[x, t, y] -> depth hidden layers of `width` SiLU units -> R^dim.

    x (B, dim), t () or (B,), y (B, context) or None for "no condition" (zeros); returns (B, dim)."""

    def __init__(self, dim: int, width: int = 64, depth: int = 3, context: int = 0) -> None:
        super().__init__()
        self.dim, self.width, self.depth, self.context = dim, width, depth, context
        sizes = [dim + 1 + context] + [width] * depth
        self.layers = nn.Sequential(*hidden_layers(sizes), zero_init(nn.Linear(sizes[-1], dim)))

    def forward(self, x: Tensor, t: Tensor | float, y: Tensor | None = None) -> Tensor:
        expect_network_input(x, (self.dim,), "MLP")
        parts = [x, time_column(t, x)]
        if self.context:
            y = x.new_zeros(len(x), self.context) if y is None else y
            if y.shape != (len(x), self.context):
                raise ValueError(f"y has shape {tuple(y.shape)}: expected {(len(x), self.context)}.")
            parts.append(y)
        elif y is not None:
            raise ValueError(
                "y was given, but this MLP knows no condition: build MLP(..., context=C) for y (B, C)."
            )
        return self.layers(torch.cat(parts, 1))

    def extra_repr(self) -> str:
        given = f", y in R^{self.context}" if self.context else ""
        return f"(x in R^{self.dim}, t in [0, 1]{given}) -> R^{self.dim}, {parameter_count(self):,} parameters"


class TokenMLP(nn.Module):
    """Logits for every place of a short sequence, from unit vectors and the time.

    x (B, L) tokens 0 ... K, where K = `vocabulary` means masked; t () or (B,); returns (B, L, K)."""

    def __init__(self, vocabulary: int, length: int, width: int = 128, depth: int = 2) -> None:
        super().__init__()
        self.vocabulary, self.length = vocabulary, length
        sizes = [length * (vocabulary + 1) + 1] + [width] * depth
        self.layers = nn.Sequential(*hidden_layers(sizes), zero_init(nn.Linear(sizes[-1], length * vocabulary)))

    def forward(self, x: Tensor, t: Tensor | float, y: None = None) -> Tensor:
        expect_network_input(x, (self.length,), "TokenMLP")
        if y is not None:
            raise ValueError("y was given, but this TokenMLP knows no condition.")
        seen = one_hot(x, self.vocabulary, self.layers[-1].weight).flatten(1)
        return self.layers(torch.cat([seen, time_column(t, seen)], 1)).view(*x.shape, self.vocabulary)

    def extra_repr(self) -> str:
        logits = f"{self.vocabulary} logits a place, {parameter_count(self):,} parameters"
        return f"({self.length} tokens 0..{self.vocabulary}, t) -> {logits}"


class DenseNet(nn.Module):
    """h = SiLU(W x + b + e_y), ..., out = V h + c: x (B, *event), flattened -> (B, *outputs).

    inputs: numbers in one x; outputs: a size or a shape; depth 0: one affine map; y (B,) labels if `classes` is above 0.
    Integers (bits) become floats."""

    def __init__(
        self, inputs: int, outputs: int | Sequence[int], width: int = 256, depth: int = 2, classes: int = 0
    ) -> None:
        super().__init__()
        self.inputs, self.classes = inputs, classes
        self.outputs = (outputs,) if isinstance(outputs, int) else tuple(outputs)
        sizes = [inputs, *[width] * depth, math.prod(self.outputs)]
        self.layers = nn.ModuleList(nn.Linear(i, o) for i, o in pairwise(sizes))
        self.label_embedding = nn.Embedding(classes, sizes[1]) if classes else None

    def forward(self, x: Tensor, y: Tensor | int | None = None) -> Tensor:
        x = x.reshape(len(x), math.prod(x.shape[1:])).to(self.layers[0].weight.dtype)
        if x.shape[1] != self.inputs:
            raise ValueError(f"x holds {x.shape[1]} numbers a sample: this DenseNet expects {self.inputs}.")
        label = expect_labels(y, self.classes, len(x), x.device)
        h = self.layers[0](x) + (0 if self.label_embedding is None else self.label_embedding(label))
        for layer in self.layers[1:]:
            h = layer(F.silu(h))
        return h.view(len(x), *self.outputs)

    @torch.no_grad()
    def start_at(self, output: Tensor) -> DenseNet:
        """Set the last bias, so that the untrained network answers about `output` (*outputs); returns itself."""
        self.layers[-1].bias.copy_(output.reshape(-1))
        return self

    def extra_repr(self) -> str:
        label = f", one of {self.classes} labels" if self.classes else ""
        sizes = f"{self.inputs} numbers{label} -> {' x '.join(map(str, self.outputs))}"
        return f"{sizes}, {parameter_count(self):,} parameters"
