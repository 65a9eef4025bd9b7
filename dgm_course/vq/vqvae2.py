"""Two grids of codes, a coarse one (top) and a fine one (bottom) conditioned on it.                (lecture 5, VQ-VAE-2)

    c_top ∈ {1..K}^(4 × 4),  c_bottom ∈ {1..K}^(7 × 7);     q(c | x) = Π over all places, each certain;     p(c) uniform

For a share ``drop_prob`` of the training samples the decoder gets zeros in place of the bottom; so it decodes the top alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..core.checks import expect_some
from ..core.tensors import parameter_count
from ..training.diagnostics import Diagnostic, dead_codes
from .codebook import Codebook


class Levels(NamedTuple):
    """Codes of both grids: top (B, 4, 4), bottom (B, 7, 7)."""

    top: Tensor
    bottom: Tensor


class VQVAE2(nn.Module):
    """x -> (c_top, c_bottom) -> p(x | both).                                       (lecture 5, VQ-VAE-2; Razavi et al. 2019)

    nets: with features, top, grow and bottom (`nets.TwoLevels`); decoder: (B, wide + C, *grid) -> a distribution;
    top, bottom: codebooks; commitment: β of both; drop_prob: share of the training samples without a bottom"""

    graph_safe = True  # a training step is the same operations each time

    def __init__(
        self,
        nets: nn.Module,
        decoder: Callable[[Tensor], Any],
        top: Codebook,
        bottom: Codebook,
        commitment: float = 0.25,
        drop_prob: float = 0.2,
    ) -> None:
        super().__init__()
        if not 0 <= commitment < math.inf or not 0 <= drop_prob < 1:
            raise ValueError(
                f"commitment is {commitment} and drop_prob {drop_prob}: expected 0 or more, and below 1."
            )
        self.nets, self.decoder, self.top, self.bottom = nets, decoder, top, bottom
        self.commitment, self.drop_prob = commitment, drop_prob

    def encode(self, x: Tensor) -> Levels:
        """The codes of both grids; the bottom ones depend on the top ones.  x (B, *event)"""
        h = self.nets.features(x)
        top = self.top.codes(self.nets.top(h))
        condition = self.nets.grow(self.top.lookup(top))
        return Levels(top, self.bottom.codes(self.nets.bottom(h, condition)))

    def decode(self, top: Tensor, bottom: Tensor | None = None) -> Any:
        """p(x | both), or p(x | top) where the bottom is not given.  top (B, 4, 4), bottom (B, 7, 7)"""
        condition = self.nets.grow(self.top.lookup(top))
        if bottom is None:
            z = condition.new_zeros(len(condition), self.bottom.vectors.shape[1], *condition.shape[2:])
        else:
            z = self.bottom.lookup(bottom)
        return self.decoder(torch.cat([condition, z], 1))

    def loss(self, x: Tensor) -> Tensor:
        """mean of −log p(x | both) and, of both grids, ‖sg[z_e] − e‖² + β ‖z_e − sg[e]‖²."""
        h = self.nets.features(expect_some(x))
        top = self.top(self.nets.top(h))
        condition = self.nets.grow(top.z_q)
        bottom = self.bottom(self.nets.bottom(h, condition))
        seen = (torch.rand(len(x), device=x.device) >= self.drop_prob).to(condition)[:, None, None, None]
        nll = -self.decoder(torch.cat([condition, seen * bottom.z_q], 1)).log_prob(x)
        costs = top.codebook + bottom.codebook + self.commitment * (top.commitment + bottom.commitment)
        return (nll + costs).mean()

    def symptoms(self, x: Tensor) -> list[Diagnostic]:
        """Dead codes of either grid, where nearly all outputs choose the same few.  x (B, *event)"""
        codes = self.encode(x)
        top = dead_codes(codes.top, self.top.size, "top codebook")
        return top + dead_codes(codes.bottom, self.bottom.size, "bottom codebook")

    def elbo(self, x: Tensor) -> Tensor:
        """log p(x | both) − (places) log K of each grid: the posterior factorises and is certain.  x (B, *event) -> (B,)"""
        codes = self.encode(x)
        books = self.top, self.bottom
        nats = sum(part.shape[1:].numel() * math.log(book.size) for part, book in zip(codes, books))
        return self.decode(*codes).log_prob(x) - nats

    def __repr__(self) -> str:
        return f"VQ-VAE-2: {parameter_count(self):,} parameters, top {self.top}, bottom {self.bottom}"
