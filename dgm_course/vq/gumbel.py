"""The Gumbel-softmax VAE: a discrete latent that is sampled with a gradient.      (lecture 5, discrete latent variables)

    g_k = −log(−log u_k)                 argmax_k (log q_k + g_k) ~ q, exactly               (Gumbel-max)
    y = softmax((log q + g) / τ)         one-hot as τ → 0, and differentiable at every τ > 0

All randomness is in g, so y is differentiable in the logits.  At τ > 0 the decoder is trained on mixtures of vectors.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..core.checks import expect_some
from ..core.tensors import parameter_count
from ..training.diagnostics import Diagnostic, posterior_collapse
from .quantize import expect_table, lookup


def gumbel_noise(like: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """g = −log(−log u), u uniform in (0, 1), in the shape of `like`."""
    u = torch.rand(like.shape, dtype=like.dtype, device=like.device, generator=generator)
    return -(-u.clamp(min=torch.finfo(u.dtype).tiny).log()).clamp(min=torch.finfo(u.dtype).tiny).log()


def gumbel_softmax(logits: Tensor, noise: Tensor, temperature: float | Tensor) -> Tensor:
    """softmax((logits + noise) / temperature) over the codes.  logits, noise (B, K, *grid) -> the same, rows sum to one"""
    if not 0 < float(temperature) < math.inf:
        raise ValueError(f"temperature is {float(temperature):g}: expected a finite number above 0.")
    if logits.shape != noise.shape:
        raise ValueError(
            f"logits are {tuple(logits.shape)} and the noise {tuple(noise.shape)}: expected one shape."
        )
    return ((logits + noise) / temperature).softmax(1)


def kl_to_uniform(logits: Tensor) -> Tensor:
    """KL(q ‖ Uniform) = log K − H(q), summed over the places.  logits (B, K, *grid) -> (B,)    (lecture 5, discrete ELBO)"""
    log_q = logits.log_softmax(1)
    return (math.log(logits.shape[1]) + (log_q.exp() * log_q).sum(1)).reshape(len(logits), -1).sum(1)


class Sides(NamedTuple):
    """The two terms of the discrete ELBO, in nats, one a sample: E_q log p(x|c), and KL(q(c|x) ‖ Uniform)."""

    reconstruction: Tensor
    kl: Tensor


class GumbelVAE(nn.Module):
    """E_q log p(x | c) − KL(q(c|x) ‖ Uniform), q a categorical at every place.       (lecture 5, discrete latent ELBO)

    encoder: x -> logits (B, K, *grid); decoder: (B, C, *grid) -> a distribution with ``log_prob`` and ``mean``;
    vectors (K, C): one for each code, trained with the rest; temperature: τ in training, above 0."""

    def __init__(
        self, encoder: nn.Module, decoder: Callable[[Tensor], Any], vectors: Tensor, temperature: float = 1.0
    ) -> None:
        super().__init__()
        expect_table(vectors)
        if not 0 < temperature < math.inf:
            raise ValueError(f"temperature is {temperature}: expected a finite number above 0.")
        self.encoder, self.decoder, self.vectors = encoder, decoder, nn.Parameter(vectors.detach().clone())
        self.register_buffer("temperature", torch.tensor(float(temperature)))

    def logits(self, x: Tensor) -> Tensor:
        """log q(c | x) up to a constant.  x (B, *event) -> (B, K, *grid)"""
        logits = self.encoder(x)
        size = len(self.vectors)
        if logits.ndim < 2 or logits.shape[1] != size:
            raise ValueError(
                f"the encoder gives {tuple(logits.shape)}: expected (B, {size}, ...), a logit a code."
            )
        return logits

    def encode(self, x: Tensor) -> Tensor:
        """The most likely codes.  x (B, *event) -> (B, *grid)"""
        return self.logits(x).argmax(1)

    def decode(self, codes: Tensor) -> Any:
        """p(x | c).  codes (B, *grid)"""
        return self.decoder(lookup(codes, self.vectors))

    def terms(self, x: Tensor) -> Sides:
        """Both terms with one soft sample, as in training: differentiable, but not the bound.  -> two of (B,)"""
        logits = self.logits(expect_some(x))
        y = gumbel_softmax(logits, gumbel_noise(logits), self.temperature)
        mixed = torch.einsum("bk...,kc->bc...", y, self.vectors)
        return Sides(self.decoder(mixed).log_prob(x), kl_to_uniform(logits))

    def loss(self, x: Tensor) -> Tensor:
        """mean of −log p(x | soft sample) + KL(q ‖ Uniform)."""
        reconstruction, kl = self.terms(x)
        return (kl - reconstruction).mean()

    def symptoms(self, x: Tensor) -> list[Diagnostic]:
        """Posterior collapse, where KL(q(c|x) ‖ Uniform) is near 0.  x (B, *event)"""
        return posterior_collapse(kl_to_uniform(self.logits(x)), "c")

    @torch.no_grad()
    def elbo(self, x: Tensor, n: int = 1) -> Tensor:
        """The bound, by n samples of hard codes: unbiased, at most log p(x) on average.  x (B, *event) -> (B,)"""
        if n < 1:
            raise ValueError(f"n is {n}: a mean over draws needs at least 1.")
        logits = self.logits(x)
        draws = [self.decode((logits + gumbel_noise(logits)).argmax(1)).log_prob(x) for _ in range(n)]
        return torch.stack(draws).mean(0) - kl_to_uniform(logits)

    def __repr__(self) -> str:
        return (
            f"Gumbel-softmax VAE: {len(self.vectors)} codes a place, temperature {float(self.temperature):g}, "
            f"{parameter_count(self):,} parameters"
        )
