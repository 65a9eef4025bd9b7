"""A flow: an invertible layer and a density of z."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..core.checks import expect_some
from ..core.tensors import parameter_count, threads_for
from .bijections import Bijection, Compose, as_base


class Flow(nn.Module):
    """log p(x) = log p(f(x)) + log |det ∂f/∂x|,   x = f⁻¹(z), z ~ base.            (lecture 5, NF-Based VAE Prior)

    layers: one `Bijection` or a list, towards the noise.  base: an object with log_prob and sample, or the shape of a
    standard normal: 2, or (784,)."""

    graph_safe = True  # every training step runs the same operations, so a GPU may replay it

    def __init__(self, layers: Bijection | Sequence[Bijection], base: Any) -> None:
        super().__init__()
        layers = [layers] if isinstance(layers, Bijection) and not isinstance(layers, Compose) else layers
        self.f = layers if isinstance(layers, Compose) else Compose(layers)
        self.base = as_base(base)
        if not hasattr(self.base, "log_prob") or not hasattr(self.base, "sample"):
            raise TypeError(f"base is a {type(base).__name__}: expected one with log_prob and sample, or a shape.")

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """z = f(x) and log |det ∂f/∂x|.  x (B, *event) -> (B, *latent), (B,)"""
        return self.f(x)

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(f(x)) + log |det ∂f/∂x|, in nats.  x (B, *event) -> (B,)"""
        z, ladj = self.f(x)
        return self.base.log_prob(z) + ladj

    def loss(self, x: Tensor) -> Tensor:
        """−mean log p(x): the forward KL up to the entropy of the data.  x (B, *event) -> ()"""
        return -self.log_prob(expect_some(x)).mean()

    @torch.no_grad()
    def sample(self, n: int, temperature: float = 1.0) -> Tensor:
        """f⁻¹(temperature · z), z ~ base.  -> (n, *event); below 1: likelier samples of less variety"""
        if not temperature > 0:
            raise ValueError(f"temperature is {temperature}: expected a number above 0 (1: as learned).")
        with threads_for(None):  # the operations are too small to share between cores
            return self.f.inverse(temperature * self.base.sample(n))

    @torch.no_grad()
    def stages(self, z: Tensor) -> Tensor:
        """z, and the result of each layer's inverse in turn.  z (B, D) -> (layers + 1, B, D)"""
        return torch.stack(list(self.f.iter_inverse(z)))

    def extra_repr(self) -> str:
        return f"log p(x) = log p(f(x)) + log |det f'(x)|, {len(self.f.layers)} layers, {parameter_count(self):,} parameters"
