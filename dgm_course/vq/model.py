"""The VQ-VAE: an autoencoder whose code is a grid of integers, and the bound that it maximises.

    log p(x) ≥ log p(x | z_q) − KL(q(c | x) ‖ p(c)),      q(c | x) = 1 at c = k*, 0 elsewhere            (lecture 5)

The posterior is certain: its KL to the uniform prior is log K a place, whatever the weights.  So the prior p(c) can be
chosen after training, such as an autoregressive model; the bound is then log p(x | z_q) + log p(c).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..core.checks import expect_some
from ..core.tensors import parameter_count
from ..training.diagnostics import Diagnostic, dead_codes
from .codebook import Codebook, Quantized
from .quantize import expect_codes


class UniformCodes:
    """p(c) = Π over the places of 1/K: what the ELBO of lecture 5 assumes.  size: K; grid: shape of the codes"""

    def __init__(self, size: int, grid: Sequence[int]) -> None:
        if size < 2 or not grid or min(grid) < 1:
            raise ValueError(f"size is {size} and grid {tuple(grid)}: expected at least 2 codes, and places.")
        self.size, self.event = size, torch.Size(grid)

    def log_prob(self, codes: Tensor) -> Tensor:
        """−(places) log K, for any codes.  codes (B, *grid) -> (B,)"""
        expect_codes(codes, self.size)
        if codes.shape[1:] != self.event:
            raise ValueError(f"codes have shape {tuple(codes.shape)}: expected {('B', *self.event)}.")
        return torch.full((len(codes),), -self.event.numel() * math.log(self.size), device=codes.device)

    def sample(self, n: int) -> Tensor:
        """-> (n, *grid)"""
        return torch.randint(self.size, (n, *self.event))

    def __repr__(self) -> str:
        nats = self.event.numel() * math.log(self.size)
        return f"uniform: {self.event.numel()} places, each one of {self.size} codes, {nats:.1f} nats"


class VQTerms(NamedTuple):
    """The three costs of a VQ-VAE, one number a sample: −log p(x | z_q), ‖sg[z_e] − e‖², ‖z_e − sg[e]‖²."""

    reconstruction: Tensor
    codebook: Tensor
    commitment: Tensor


class VQVAE(nn.Module):
    """x -> z_e -> codes -> z_q -> p(x | z_q).                                    (lecture 5, Vector Quantized VAE)

    encoder: x -> z_e (B, C, *grid); decoder: z_q -> a distribution with ``log_prob`` and ``mean`` (a head; the slides'
    squared error is a Gaussian with σ² = ½); commitment: β, the weight of ‖z_e − sg[e]‖²."""

    graph_safe = True  # a training step is the same operations each time

    def __init__(
        self, encoder: nn.Module, decoder: Callable[[Tensor], Any], codebook: Codebook, commitment: float = 0.25
    ) -> None:
        super().__init__()
        if not 0 <= commitment < math.inf:
            raise ValueError(f"commitment is {commitment}: expected a finite number, 0 or more.")
        self.encoder, self.decoder, self.codebook, self.commitment = encoder, decoder, codebook, commitment

    def quantize(self, x: Tensor) -> Quantized:
        """z_q with its codes and costs; in training mode the codebook learns from them.  x (B, *event)"""
        return self.codebook(self.encoder(_expect_images(x)))

    def encode(self, x: Tensor) -> Tensor:
        """The codes with q(c | x) = 1.  x (B, *event) -> codes (B, *grid)"""
        return self.codebook.codes(self.encoder(_expect_images(x)))

    def decode(self, codes: Tensor) -> Any:
        """p(x | e_c), one distribution a sample.  codes (B, *grid)"""
        return self.decoder(self.codebook.lookup(codes))

    @torch.no_grad()
    def picture(self, codes: Tensor) -> Tensor:
        """The mean of p(x | e_c), the image usually shown.  codes (B, *grid) -> (B, *event)"""
        return self.decode(codes).mean

    def terms(self, x: Tensor) -> VQTerms:
        """The costs of each sample.  x (B, *event) -> three of (B,)"""
        z = self.quantize(expect_some(x))
        return VQTerms(-self.decoder(z.z_q).log_prob(x), z.codebook, z.commitment)

    def loss(self, x: Tensor) -> Tensor:
        """mean of −log p(x|z_q) + ‖sg[z_e] − e‖² + β ‖z_e − sg[e]‖², each a sum.       (intro lecture, VQ-VAE)"""
        reconstruction, codebook, commitment = self.terms(x)
        return (reconstruction + codebook + self.commitment * commitment).mean()

    def symptoms(self, x: Tensor) -> list[Diagnostic]:
        """Dead codes, where nearly all outputs choose the same few.  x (B, *event)"""
        return dead_codes(self.encode(x), self.codebook.size)

    def elbo(self, x: Tensor, prior: Any = None, y: Tensor | int | None = None) -> Tensor:
        """log p(x | z_q) + log p(codes), at most log p(x).  x (B, *event) -> (B,)   (lecture 5, Deterministic Posterior)

        prior: anything with log_prob(codes), or log_prob(codes, y) if a label is given; None: uniform, −log K a place."""
        codes = self.encode(x)
        if prior is None:
            log_prior = -codes.shape[1:].numel() * math.log(self.codebook.size)
        else:
            log_prior = prior.log_prob(codes) if y is None else prior.log_prob(codes, y)
        return self.decode(codes).log_prob(x) + log_prior

    @torch.no_grad()
    def sample(self, n: int, prior: Any, y: Tensor | int | None = None) -> Tensor:
        """codes ~ p(c), then x ~ p(x | e_c).  -> (n, *event)"""
        codes = prior.sample(n) if y is None else prior.sample(n, y)
        return self.decode(codes.to(self.codebook.vectors.device)).sample()

    def __repr__(self) -> str:
        return f"VQ-VAE: {parameter_count(self):,} parameters, commitment {self.commitment:g}, {self.codebook}"


def _expect_images(x: Tensor) -> Tensor:
    """x where it is a tensor without NaN, or an error."""
    if not isinstance(x, Tensor):
        raise TypeError(f"x is a {type(x).__name__}: expected a torch tensor.")
    if x.is_floating_point() and x.device.type == "cpu" and bool(x.isnan().any()):
        raise ValueError(f"x contains NaN in {int(x.isnan().sum())} of {x.numel()} places.")
    return x
