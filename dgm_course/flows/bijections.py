"""Invertible layers without networks: z, ladj = layer(x) towards the noise, x = layer.inverse(z) back.

log p(x) = log p(f(x)) + log |det ∂f/∂x|                                  (lecture 5, NF-Based VAE Prior)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..core.checks import expect_batch, expect_some
from ..core.distributions import StandardNormal
from ..core.tensors import flat

Change = tuple[Tensor, Tensor]  # z (B, *event) and ladj (B,)


def as_base(base: Any) -> Any:
    """The density of z: N(0, I) over a shape such as 2 or (784,), otherwise base itself."""
    if isinstance(base, int):
        return StandardNormal(base)
    return StandardNormal(*base) if isinstance(base, (tuple, list)) else base


def total(values: Tensor) -> Tensor:
    """The sum over the event.  (B, *event) -> (B,)"""
    return flat(values).sum(1)


def expect_channels(x: Tensor, size: int, name: str) -> Tensor:
    """x where it is a batch (B, size, ...) without NaN, or a ValueError."""
    if expect_batch(x, name=name).ndim < 2 or x.shape[1] != size:
        raise ValueError(f"{name} has shape {tuple(x.shape)}: expected (B, {size}, ...).")
    return x


class Bijection(nn.Module):
    """z, ladj = f(x) and x = f⁻¹(z).  x, z (B, *event), ladj = log |det ∂f/∂x| (B,)

    A subclass gives ``forward``, ``inverse`` and ``event``, the shape it expects (None for any)."""

    event: Any = None

    def forward(self, x: Tensor) -> Change:
        raise NotImplementedError(f"{type(self).__name__} has no forward: expected it to define z = f(x).")

    def inverse(self, z: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} has no inverse: expected it to define x = f⁻¹(z).")

    def check_input(self, x: Tensor, name: str = "x") -> Tensor:
        """x where it is a batch of this layer's event without NaN, or a ValueError."""
        return expect_batch(x, self.event, name)


class Compose(Bijection):
    """f = f_L ∘ ... ∘ f_1; ladj is the sum of the layers'."""

    def __init__(self, layers: Sequence[Bijection]) -> None:
        super().__init__()
        for layer in layers:
            if not isinstance(layer, Bijection):
                raise TypeError(f"a layer is a {type(layer).__name__}: expected invertible layers (Bijection).")
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Change:
        ladj = x.new_zeros(len(x))
        for layer in self.layers:
            x, change = layer(x)
            ladj = ladj + change
        return x, ladj

    def iter_inverse(self, z: Tensor) -> Iterator[Tensor]:
        """z, and the result of each layer's inverse in turn."""
        yield z
        for layer in reversed(self.layers):
            z = layer.inverse(z)
            yield z

    def inverse(self, z: Tensor) -> Tensor:
        *_, x = self.iter_inverse(z)
        return x


class ActNorm(Bijection):
    """z = (x − shift) · exp(log_scale), ladj = Σ log_scale, over an event such as (2,) or (4, 14, 14)."""

    def __init__(self, *event: int) -> None:
        super().__init__()
        self.event = event
        self.shift, self.log_scale = nn.Parameter(torch.zeros(event)), nn.Parameter(torch.zeros(event))

    @torch.no_grad()
    def set_from(self, x: Tensor, least: float = 1e-3) -> ActNorm:
        """Set z to mean 0 and deviation 1 (deviations are at least ``least``) on x (B, *event), B > 1."""
        if len(expect_some(self.check_input(x))) < 2:
            raise ValueError("x holds one sample: expected two or more, which have a deviation.")
        self.shift.copy_(x.mean(0))
        self.log_scale.copy_(-x.std(0).clamp(min=least).log())
        return self

    def forward(self, x: Tensor) -> Change:
        return (self.check_input(x) - self.shift) * self.log_scale.exp(), self.log_scale.sum().expand(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        return self.check_input(z, "z") * (-self.log_scale).exp() + self.shift


class LULinear(Bijection):
    """z = L U x + shift, L lower triangular with ones on its diagonal, U upper; ladj = Σ log U_ii.   x (B, D)

    raw holds both triangles, with log U_ii on its diagonal, so every raw is invertible."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.event = (dim,)
        self.raw, self.shift = nn.Parameter(torch.zeros(dim, dim)), nn.Parameter(torch.zeros(dim))

    @property
    def factors(self) -> tuple[Tensor, Tensor]:
        """L and U, (D, D) each."""
        identity = torch.eye(len(self.raw)).to(self.raw)
        return self.raw.tril(-1) + identity, self.raw.triu(1) + torch.diag(self.raw.diagonal().exp())

    @property
    def matrix(self) -> Tensor:
        """L U, the Jacobian.  (D, D)"""
        lower, upper = self.factors
        return lower @ upper

    def forward(self, x: Tensor) -> Change:
        return self.check_input(x) @ self.matrix.T + self.shift, self.raw.diagonal().sum().expand(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        lower, upper = self.factors
        centred = (self.check_input(z, "z") - self.shift).T
        y = torch.linalg.solve_triangular(lower, centred, upper=False, unitriangular=True)
        return torch.linalg.solve_triangular(upper, y, upper=True).T


class Permutation(Bijection):
    """z_i = x_order[i] along the first axis of the event (coordinates, or channels); ladj = 0."""

    def __init__(self, order: Sequence[int] | Tensor) -> None:
        super().__init__()
        order = torch.as_tensor(order)
        if order.is_floating_point() or not torch.equal(order.sort().values, torch.arange(len(order))):
            raise ValueError(f"order is {order.tolist()}: expected a permutation of 0 to {len(order) - 1}.")
        self.register_buffer("order", order)

    def check_input(self, x: Tensor, name: str = "x") -> Tensor:
        return expect_channels(x, len(self.order), name)

    def forward(self, x: Tensor) -> Change:
        return self.check_input(x)[:, self.order], x.new_zeros(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        return self.check_input(z, "z")[:, self.order.argsort()]
