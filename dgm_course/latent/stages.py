"""First stages: what stands between pictures and codes, whatever its codes are.

    encode: x (B, *event) -> codes        decode: codes -> x (B, *event)        rebuild: x -> (its own loss, x̂)

A generator of codes needs the first two.  The adversarial game that sharpens a first stage needs the third, and the last
layer of the decoder.  `VAEStage` asks a VAE (its codes are real numbers, the means of q(z | x)), `VQStage` a VQ-VAE (its
codes are whole numbers); neither has weights of its own.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..core.checks import expect_batch, expect_some
from ..training.diagnostics import Diagnostic


class Rebuilt(NamedTuple):
    """A first stage's own loss on a batch, (), and the pictures that came back, (B, *event), both on one graph."""

    loss: Tensor
    picture: Tensor


class FirstStage(nn.Module):
    """An encoder and a decoder that are asked alike; `model` is the autoencoder that is passed in."""

    needs: tuple[str, ...] = ()  # what the model must offer

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        if lost := [name for name in self.needs if not hasattr(model, name)]:
            raise TypeError(
                f"{type(model).__name__} has no {', no '.join(lost)}: {type(self).__name__} expects {self.kind}."
            )
        self.model = model

    kind = "an autoencoder"

    def encode(self, x: Tensor) -> Tensor:
        """x (B, *event) -> codes (B, *grid)"""
        raise NotImplementedError

    def decode(self, codes: Tensor) -> Tensor:
        """codes (B, *grid) -> x (B, *event), the mean of p(x | codes)"""
        raise NotImplementedError

    def rebuild(self, x: Tensor) -> Rebuilt:
        """The model's own loss, and its reconstruction, with gradients.  x (B, *event)"""
        raise NotImplementedError

    def loss(self, x: Tensor) -> Tensor:
        """Its own loss alone: training without a game."""
        return self.rebuild(x).loss

    def symptoms(self, x: Tensor) -> list[Diagnostic]:
        """What ails the autoencoder, where it can say.  x (B, *event)"""
        return self.model.symptoms(x) if hasattr(self.model, "symptoms") else []

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        """x, through its codes and back; nothing is learned from it.  (B, *event) -> the same"""
        return self.decode(self.encode(x))

    @property
    def last(self) -> nn.Parameter:
        """The weights of the decoder's last layer: the last parameter with more than one axis."""
        return [p for p in self.model.decoder.parameters() if p.ndim > 1][-1]

    def __repr__(self) -> str:
        return f"{type(self).__name__} first stage: {self.model!r}"


class VAEStage(FirstStage):
    """A VAE, whose KL is usually weighed so low that its codes say nearly everything.       (latent diffusion, KL-reg)

    model: `encode(x)` and `decode(z)` give distributions, `kl(q, z)` and `kl_weight` are there, as for `vae.VAE`."""

    needs, kind = ("encode", "decode", "decoder", "kl", "kl_weight"), "a VAE"

    def encode(self, x: Tensor) -> Tensor:
        """The mean of q(z | x)."""
        return self.model.encode(x).mean

    def decode(self, codes: Tensor) -> Tensor:
        return self.model.decode(expect_batch(codes, name="codes")).mean

    def rebuild(self, x: Tensor) -> Rebuilt:
        """mean of −log p(x|z) + kl_weight · KL(q ‖ p), one draw of z each, and the picture of that draw."""
        q = self.model.encode(expect_some(x))
        z = q.rsample((1,))
        p = self.model.decode(z[0])
        return Rebuilt((self.model.kl_weight * self.model.kl(q, z) - p.log_prob(x)).mean(), p.mean)


class VQStage(FirstStage):
    """A VQ-VAE: codes are whole numbers, and the gradient steps over them.                         (lecture 5; VQGAN)

    model: `encode(x)` gives codes, `decode(codes)` a distribution, `quantize(x)` z_q and two costs, as for `vq.VQVAE`."""

    needs, kind = ("encode", "decode", "decoder", "quantize", "commitment"), "a VQ-VAE"

    def encode(self, x: Tensor) -> Tensor:
        return self.model.encode(x)

    def decode(self, codes: Tensor) -> Tensor:
        return self.model.decode(codes).mean

    def rebuild(self, x: Tensor) -> Rebuilt:
        """mean of −log p(x|z_q) + ‖sg[z_e] − e‖² + β ‖z_e − sg[e]‖², and x̂; the codebook learns in training mode."""
        found: Any = self.model.quantize(expect_some(x))
        p = self.model.decoder(found.z_q)
        costs = found.codebook + self.model.commitment * found.commitment
        return Rebuilt((costs - p.log_prob(x)).mean(), p.mean)
