"""Blocks of pixels as symbols: the same image in fewer, richer steps."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..training.gpu import graph_safe
from .model import Autoregressive, Labels


class PatchModel(nn.Module):
    """A model of blocks as a model of their pixels: p(x) = p(symbols(x)), exactly, since the map is one to one.

    A block of ``side`` x ``side`` bits is a number 0 ... 2^(side²) − 1, its top left bit counting most.  Attention costs
    the square of the length: blocks of 2 x 2 make it 16 times cheaper.
    model: over symbols of shape (H / side, W / side).  Pixels: x (B, 1, H, W) of integers 0 and 1."""

    def __init__(self, model: Autoregressive, side: int = 2) -> None:
        super().__init__()
        if side < 1 or model.vocabulary != 2**side**2 or len(model.event) != 2:
            expected = f"2^({side}²) symbols in a shape (rows, columns)"
            raise ValueError(
                f"the model has {model.vocabulary} symbols in shape {model.event}: expected {expected}."
            )
        self.model, self.side = model, side
        self.event = (1, *(side * size for size in model.event))
        self.register_buffer("place_value", 2 ** torch.arange(side**2 - 1, -1, -1), persistent=False)

    @property
    def graph_safe(self) -> bool:
        """Whether a GPU may replay a training step: as for the model."""
        return graph_safe(self.model)

    def _blocks(self, x: Tensor) -> Tensor:
        """(B, 1, H, W) -> (B, H / side, W / side, side²)"""
        rows, columns = self.model.event
        return x.reshape(len(x), rows, self.side, columns, self.side).transpose(2, 3).flatten(3)

    def symbols(self, x: Tensor) -> Tensor:
        """The numbers of the blocks.  (B, 1, H, W) -> (B, H / side, W / side)"""
        if tuple(x.shape[1:]) != self.event or x.is_floating_point() or x.dtype == torch.bool:
            event = ", ".join(map(str, self.event))
            raise ValueError(
                f"x is {tuple(x.shape)}, {x.dtype}: expected black and white pixels, integers (B, {event})."
            )
        if x.numel() and x.device.type == "cpu" and (int(x.min()) < 0 or int(x.max()) > 1):
            raise ValueError(f"x runs from {int(x.min())} to {int(x.max())}: expected pixels 0 and 1.")
        return (self._blocks(x) * self.place_value).sum(-1)

    def pixels(self, symbols: Tensor) -> Tensor:
        """The blocks of the numbers.  (B, H / side, W / side) -> (B, 1, H, W)"""
        bits = symbols[..., None] // self.place_value % 2
        return bits.unflatten(-1, (self.side, self.side)).transpose(2, 3).reshape(len(symbols), *self.event)

    def log_prob(self, x: Tensor, y: Labels = None) -> Tensor:
        """log p(x | y) in nats.  x (B, 1, H, W) -> (B,)"""
        return self.model.log_prob(self.symbols(x), y)

    def loss(self, x: Tensor, y: Labels = None) -> Tensor:
        """−mean log p(x | y)"""
        return self.model.loss(self.symbols(x), y)

    def sample(
        self, n: int, y: Labels = None, temperature: float = 1.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """-> (n, 1, H, W)"""
        return self.pixels(self.model.sample(n, y, temperature, generator))

    def inpaint(self, x: Tensor, known: Tensor, y: Labels = None, **options: Any) -> Tensor:
        """A sample of p(the rest | the known pixels): whole blocks, first in the order.  known (1, H, W) booleans

        options: temperature and generator, as in ``sample``."""
        blocks = self._blocks(known[None])
        if bool((blocks.any(-1) != blocks.all(-1)).any()):
            raise ValueError(
                f"known cuts through a block of {self.side} x {self.side} pixels: expected whole ones."
            )
        return self.pixels(self.model.inpaint(self.symbols(x), blocks.all(-1), y, **options))

    def __repr__(self) -> str:
        return f"blocks of {self.side} x {self.side} pixels as symbols of {self.model!r}"
