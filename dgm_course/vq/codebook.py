"""The codebook: K vectors, the rule by which they learn, and the reset of those that are never chosen.

    GradientUpdate   a step down on ‖sg[z] − e‖², like any other weight                    (intro lecture, VQ loss)
    EMAUpdate        N ← γ N + (1 − γ) n,  m ← γ m + (1 − γ) Σ z,  e = m / N               no loss, no gradient

Both are k-means: each vector moves to the mean of the outputs that chose it, and one that no output chooses does not move.
Such a code is *dead*, until a `DeadCodeReset` moves it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..core.checks import expect_some
from .quantize import expect_table, lookup, nearest, places, squared_error, straight_through

MEMORY = 0.99  # decay of the running shares: about a hundred batches


def choice_counts(codes: Tensor, like: Tensor) -> Tensor:
    """How often each code was chosen, as floats like ``like`` (K,).  (torch.bincount would sync a GPU.)  codes (N,)"""
    return torch.zeros_like(like).index_add_(0, codes, like.new_ones(len(codes)))


@dataclass(frozen=True)
class GradientUpdate:
    """e_k is a weight; its loss ‖sg[z_e] − e‖² pulls it towards the outputs that chose it, and not these towards it."""

    def install(self, codebook: Codebook, vectors: Tensor) -> None:
        """Give the codebook its `vectors`, as a parameter or as buffers.  (K, C)"""
        codebook.vectors = nn.Parameter(vectors)

    def loss(self, z: Tensor, e: Tensor) -> Tensor:
        """The vectors' term of the loss.  z, e (B, C, *grid) -> (B,)"""
        return squared_error(z.detach(), e)

    def update(self, codebook: Codebook, rows: Tensor, codes: Tensor) -> None:
        """The update after a batch of outputs (N, C) has chosen its codes (N,): none beside the optimizer's."""

    def set_vectors(self, codebook: Codebook, where: Tensor, vectors: Tensor) -> None:
        """Replace the vectors of some rows.  where (K, 1) bool, vectors (K, C)"""
        codebook.vectors.data.copy_(torch.where(where, vectors, codebook.vectors))


@dataclass(frozen=True)
class EMAUpdate:
    """e_k = m_k / N_k, running averages of the sum and the number of the outputs that chose k: k-means, batch by batch.

    decay: γ, in [0, 1); with 0 a step is one of Lloyd's.  A vector that no output chose stays where it is.
    Each forward pass in training mode is a batch: gradients accumulated over P microbatches make P updates."""

    decay: float = 0.99

    def __post_init__(self) -> None:
        if not 0 <= self.decay < 1:
            raise ValueError(f"decay is {self.decay}: expected at least 0 and below 1.")

    def install(self, codebook: Codebook, vectors: Tensor) -> None:
        codebook.register_buffer("vectors", vectors)
        codebook.register_buffer("counts", vectors.new_ones(len(vectors)))
        codebook.register_buffer("sums", vectors.clone())

    def loss(self, z: Tensor, e: Tensor) -> Tensor:
        return z.new_zeros(len(z))

    def update(self, codebook: Codebook, rows: Tensor, codes: Tensor) -> None:
        n = choice_counts(codes, codebook.counts)
        codebook.counts.lerp_(n, 1 - self.decay)
        codebook.sums.lerp_(torch.zeros_like(codebook.sums).index_add_(0, codes, rows), 1 - self.decay)
        means = codebook.sums / codebook.counts[:, None]
        codebook.vectors.copy_(torch.where(n[:, None] > 0, means, codebook.vectors))

    def set_vectors(self, codebook: Codebook, where: Tensor, vectors: Tensor) -> None:
        for table in (codebook.vectors, codebook.sums):
            table.copy_(torch.where(where, vectors, table))
        codebook.counts.masked_fill_(where[:, 0], 1.0)


@dataclass(frozen=True)
class DeadCodeReset:
    """Move a code with a running share below ``below`` / K onto a random output of the batch; it restarts with share 1/K.

    A row is drawn for every code, dead or not: counting the dead ones would sync a GPU."""

    below: float = 0.05

    def __post_init__(self) -> None:
        if not 0 < self.below < 1:
            raise ValueError(f"below is {self.below}: expected a part of the fair share, above 0 and below 1.")

    def __call__(self, codebook: Codebook, rows: Tensor) -> None:
        dead = codebook.share * codebook.size < self.below
        codebook.set_vectors(dead, rows[torch.randint(len(rows), (codebook.size,), device=rows.device)])


class Quantized(NamedTuple):
    """z (B, C, *grid) quantized: the decoder's input, the codes (B, *grid), and two costs, (B,) each."""

    z_q: Tensor
    codes: Tensor
    codebook: Tensor
    commitment: Tensor


class Codebook(nn.Module):
    """K vectors e_k, the nearest of which replaces z: z_q = e_k*, k* = argmin ‖z − e_k‖.    (lecture 5, Vector Quantization)

    vectors (K, C): where they start.  rule: `GradientUpdate()` or `EMAUpdate()`.  revival: `DeadCodeReset()`, or None.
    It learns only when it is called in training mode.  share (K,): the running share of the choices of each code."""

    def __init__(
        self, vectors: Tensor, rule: GradientUpdate | EMAUpdate | None = None, revival: DeadCodeReset | None = None
    ) -> None:
        super().__init__()
        expect_table(vectors)
        self.rule, self.revival = rule or GradientUpdate(), revival
        self.rule.install(self, vectors.detach().clone())
        self.register_buffer("share", vectors.new_full((len(vectors),), 1 / len(vectors)))

    @property
    def size(self) -> int:
        """K"""
        return len(self.vectors)

    @property
    def perplexity(self) -> float:
        """exp(−Σ share log share): the effective number of codes in use, 1 to K."""
        share = self.share.double() / self.share.double().sum()
        return float(torch.special.entr(share).sum().exp())

    def codes(self, z: Tensor) -> Tensor:
        """The numbers of the nearest vectors.  z (B, C, *grid) -> (B, *grid)"""
        return nearest(z, self.vectors)

    def lookup(self, codes: Tensor) -> Tensor:
        """The vectors of the numbers.  codes (B, *grid) -> (B, C, *grid)"""
        return lookup(codes, self.vectors)

    def forward(self, z: Tensor) -> Quantized:
        """Quantize, and in training mode learn from the batch.  z (B, C, *grid)"""
        codes = self.codes(expect_some(z, "z"))
        e = self.lookup(codes)
        quantized = Quantized(straight_through(z, e), codes, self.rule.loss(z, e), squared_error(z, e.detach()))
        if self.training:
            self.learn(places(z.detach()), codes.flatten())
        return quantized

    @torch.no_grad()
    def learn(self, rows: Tensor, codes: Tensor) -> None:
        """The rule's update, the running shares, and the reset where there is one.  rows (N, C), codes (N,)"""
        self.rule.update(self, rows, codes)
        self.share.lerp_(choice_counts(codes, self.share) / len(codes), 1 - MEMORY)
        if self.revival is not None:
            self.revival(self, rows)

    @torch.no_grad()
    def set_vectors(self, where: Tensor, vectors: Tensor) -> None:
        """Replace the vectors of some codes, whose running share becomes 1/K.  where (K,) bool, vectors (K, C)"""
        self.rule.set_vectors(self, where[:, None], vectors.to(self.vectors))
        self.share.masked_fill_(where, 1 / self.size)

    def extra_repr(self) -> str:
        reset = "" if self.revival is None else f", {self.revival}"
        return f"{self.size} vectors of {self.vectors.shape[1]} numbers, {self.rule}{reset}; {self.perplexity:.1f} used"
