"""What can be inverted: z = f(x) with the logarithm of its change of volume, and the way back x = g(z).

    log p(x) = log p(f(x)) + log |det ∂f/∂x|                                  (lecture 5, NF-Based VAE Prior)

Every layer is called towards the noise, ``z, ladj = layer(x)``, and gives the way back as ``layer.inverse(z)``.  Here stand
the protocol and the plain layers, which know nothing but numbers: one coordinate at a time (`ActNorm`), a matrix (`LULinear`),
nothing but order (`Permutation`); those with networks inside are in `triangular`.
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
    """The density of z: N(0, I) where base is a shape, such as 2 or (784,), otherwise base itself."""
    if isinstance(base, int):
        return StandardNormal(base)
    return StandardNormal(*base) if isinstance(base, (tuple, list)) else base


def total(values: Tensor) -> Tensor:
    """The sum over the event.  (B, *event) -> (B,)"""
    return flat(values).sum(1)


class Bijection(nn.Module):
    """z, ladj = f(x) and x = g(z).  x, z (B, *event), ladj = log |det ∂f/∂x| (B,)

    A subclass gives ``forward`` and ``inverse``; ``event`` is the shape it expects, None where any will do."""

    event: tuple[int, ...] | None = None

    def forward(self, x: Tensor) -> Change:
        raise NotImplementedError(f"{type(self).__name__} does not say what f is: expected it to define forward.")

    def inverse(self, z: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} has no way back: expected it to define inverse.")

    def check_input(self, x: Tensor, name: str = "x") -> Tensor:
        """x where it is a batch of this layer's event without NaN, or a sentence."""
        return expect_batch(x, self.event, name)


class Compose(Bijection):
    """f = f_L ∘ ... ∘ f_1: the log-determinants add up, and the way back goes in the other order."""

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

    def back(self, z: Tensor) -> Iterator[Tensor]:
        """z, and what it becomes after each layer on the way to the data."""
        yield z
        for layer in reversed(self.layers):
            z = layer.inverse(z)
            yield z

    def inverse(self, z: Tensor) -> Tensor:
        for layer in reversed(self.layers):
            z = layer.inverse(z)
        return z


class ActNorm(Bijection):
    """z = (x − shift) · exp(log_scale), coordinate by coordinate; ladj = Σ log_scale.    (ActNorm, where set from data)

    event: such as (2,) or (4, 14, 14)."""

    def __init__(self, *event: int) -> None:
        super().__init__()
        self.event = event
        self.shift, self.log_scale = nn.Parameter(torch.zeros(event)), nn.Parameter(torch.zeros(event))

    @torch.no_grad()
    def set_from(self, x: Tensor, least: float = 1e-3) -> ActNorm:
        """Give the data mean 0 and deviation 1 (deviations below ``least`` count as that).  x (B, *event), B > 1"""
        if len(expect_some(self.check_input(x))) < 2:
            raise ValueError("x holds one sample: expected two or more, which have a deviation.")
        self.shift.copy_(x.mean(0))
        self.log_scale.copy_(-x.std(0).clamp(min=least).log())
        return self

    def forward(self, x: Tensor) -> Change:
        return (self.check_input(x) - self.shift) * self.log_scale.exp(), self.log_scale.sum().expand(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        return self.check_input(z, "z") * (-self.log_scale).exp() + self.shift

    def extra_repr(self) -> str:
        return f"z = (x - shift) exp(log_scale), {self.event}"


class LULinear(Bijection):
    """z = L U x + shift, L lower triangular with ones on its diagonal, U upper: log |det| = Σ log |U_ii|.   x (B, D)

    raw holds both triangles, and log U_ii on its diagonal: every choice of it can be inverted."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.event = (dim,)
        self.raw, self.shift = nn.Parameter(torch.zeros(dim, dim)), nn.Parameter(torch.zeros(dim))

    @property
    def factors(self) -> tuple[Tensor, Tensor]:
        """L and U, (D, D) each."""
        ones = torch.eye(len(self.raw), dtype=self.raw.dtype, device=self.raw.device)
        return self.raw.tril(-1) + ones, self.raw.triu(1) + torch.diag(self.raw.diagonal().exp())

    @property
    def matrix(self) -> Tensor:
        """L U, the Jacobian.  (D, D)"""
        lower, upper = self.factors
        return lower @ upper

    def forward(self, x: Tensor) -> Change:
        return self.check_input(x) @ self.matrix.T + self.shift, self.raw.diagonal().sum().expand(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        lower, upper = self.factors
        y = torch.linalg.solve_triangular(
            lower, (self.check_input(z, "z") - self.shift).T, upper=False, unitriangular=True
        )
        return torch.linalg.solve_triangular(upper, y, upper=True).T

    def extra_repr(self) -> str:
        return f"z = L U x + shift, {len(self.raw)} coordinates"


class Permutation(Bijection):
    """z_i = x_order[i] along the first axis of the event (coordinates, or channels); ladj = 0."""

    def __init__(self, order: Sequence[int] | Tensor) -> None:
        super().__init__()
        order = torch.as_tensor(order)
        if order.is_floating_point() or not torch.equal(order.sort().values, torch.arange(len(order))):
            raise ValueError(f"order is {order.tolist()}: expected a permutation of 0 to {len(order) - 1}.")
        self.register_buffer("order", order)  # saved: the weights mean nothing in another order

    def forward(self, x: Tensor) -> Change:
        return self._checked(x, "x")[:, self.order], x.new_zeros(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        return self._checked(z, "z")[:, self.order.argsort()]

    def _checked(self, x: Tensor, name: str) -> Tensor:
        if expect_batch(x, name=name).ndim < 2 or x.shape[1] != len(self.order):
            raise ValueError(f"{name} has shape {tuple(x.shape)}: expected (B, {len(self.order)}, ...).")
        return x

    def extra_repr(self) -> str:
        return f"order {self.order.tolist()}"
