"""First stages: one interface for autoencoders with real and with integer codes; they have no weights of their own.

    encode: x (B, *event) -> codes        decode: codes -> x (B, *event)        rebuild: x -> (its own loss, x̂)

A generator of codes needs the first two.  The adversarial loss needs the third, and the last layer of the decoder.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..core.checks import expect_batch, expect_some
from ..training.diagnostics import Diagnostic


class Rebuilt(NamedTuple):
    """A first stage's own loss on a batch, (), and its reconstruction, (B, *event), both on one graph."""

    loss: Tensor
    picture: Tensor


class FirstStage(nn.Module):
    """An encoder and a decoder; `model` is the autoencoder, with the attributes of ``needs``."""

    needs: tuple[str, ...] = ()
    kind = "an autoencoder"

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        if missing := [name for name in self.needs if not hasattr(model, name)]:
            lacks = ", no ".join(missing)
            raise TypeError(f"{type(model).__name__} has no {lacks}: {type(self).__name__} expects {self.kind}.")
        self.model = model

    def encode(self, x: Tensor) -> Tensor:
        """x (B, *event) -> codes (B, *grid)"""
        return self.model.encode(x)

    def decode(self, codes: Tensor) -> Tensor:
        """codes (B, *grid) -> x (B, *event), the mean of p(x | codes)"""
        return self.model.decode(codes).mean

    def rebuild(self, x: Tensor) -> Rebuilt:
        """The model's own loss, and its reconstruction, with gradients.  x (B, *event)"""
        raise NotImplementedError

    def loss(self, x: Tensor) -> Tensor:
        """The model's own loss, without a critic."""
        return self.rebuild(x).loss

    def symptoms(self, x: Tensor) -> list[Diagnostic]:
        """The autoencoder's diagnostics, where it has any.  x (B, *event)"""
        return self.model.symptoms(x) if hasattr(self.model, "symptoms") else []

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        """decode(encode(x)), without a gradient.  (B, *event) -> the same"""
        return self.decode(self.encode(x))

    @property
    def last(self) -> nn.Parameter:
        """The weights of the decoder's last layer: the last parameter with more than one axis."""
        return [p for p in self.model.decoder.parameters() if p.ndim > 1][-1]

    def __repr__(self) -> str:
        return f"{type(self).__name__} first stage: {self.model!r}"


class VAEStage(FirstStage):
    """A VAE with the interface of `vae.VAE`, usually of a small KL weight.       (latent diffusion, KL-reg)"""

    needs, kind = ("encode", "decode", "decoder", "kl", "kl_weight"), "a VAE"

    def encode(self, x: Tensor) -> Tensor:
        """The mean of q(z | x)."""
        return self.model.encode(x).mean

    def decode(self, codes: Tensor) -> Tensor:
        return super().decode(expect_batch(codes, name="codes"))

    def rebuild(self, x: Tensor) -> Rebuilt:
        """mean of −log p(x|z) + kl_weight · KL(q ‖ p), one z each, and the mean of p(x|z)."""
        q = self.model.encode(expect_some(x))
        z = q.rsample((1,))
        p = self.model.decode(z[0])
        return Rebuilt((self.model.kl_weight * self.model.kl(q, z) - p.log_prob(x)).mean(), p.mean)


class VQStage(FirstStage):
    """A VQ-VAE with the interface of `vq.VQVAE`, and a straight-through gradient.                  (lecture 5; VQGAN)"""

    needs, kind = ("encode", "decode", "decoder", "quantize", "commitment"), "a VQ-VAE"

    def rebuild(self, x: Tensor) -> Rebuilt:
        """mean of −log p(x|z_q) + ‖sg[z_e] − e‖² + β ‖z_e − sg[e]‖², and x̂; the codebook learns in training mode."""
        z: Any = self.model.quantize(expect_some(x))
        p = self.model.decoder(z.z_q)
        costs = z.codebook + self.model.commitment * z.commitment
        return Rebuilt((costs - p.log_prob(x)).mean(), p.mean)
