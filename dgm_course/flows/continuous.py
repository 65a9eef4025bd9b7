"""Continuous normalizing flows: dx/dt = f(x, t), d log p_t(x(t)) / dt = −tr ∂f/∂x.  (lecture 14, 2024: continuity equation)

An ODE is invertible for every f.  The trace is exact (one derivative a coordinate) or Hutchinson's estimate (one with
random signs).  Each density takes many evaluations of f, and training differentiates through all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ..core.checks import expect_batch, expect_some
from ..core.ode import Field, Method, divergence, iter_solve, rk4, solve
from .bijections import as_base

Trace = Callable[[Field, Tensor, Tensor], Tensor]


class ContinuousFlow(nn.Module):
    """x(0) ~ base, dx/dt = f(x, t), x = x(1), with log p(x) = log p(x(0)) − ∫ tr ∂f/∂x dt.  x (B, D)

    field: f(x, t), such as `nets.MLP`.  base: as for `Flow`.  steps, method: of ``ode.iter_solve``.  trace:
    ``ode.divergence`` (exact) or ``ode.hutchinson``.  span: times of noise and data.  ``log_prob`` is differentiable."""

    def __init__(
        self,
        field: Field,
        base: Any,
        steps: int = 20,
        method: Method = rk4,
        trace: Trace = divergence,
        span=(0.0, 1.0),
    ) -> None:
        super().__init__()
        if steps < 1:
            raise ValueError(f"steps is {steps}: expected at least one.")
        self.field, self.steps, self.method, self.trace, self.span = field, steps, method, trace, tuple(span)
        self.base = as_base(base)

    def times(self, like: Tensor) -> Tensor:
        """steps + 1 equal times from noise to data, in x's dtype and on its device."""
        return torch.linspace(*self.span, self.steps + 1, dtype=like.dtype, device=like.device)

    def slope(self, state: Tensor, t: Tensor) -> Tensor:
        """(f, tr ∂f/∂x) with one evaluation of the field.  state (B, D + 1), the points and their log volumes"""
        with torch.enable_grad():
            x = state[:, :-1]
            x = x if x.requires_grad else x.detach().requires_grad_()
            f = self.field(x, t)
            change = self.trace(lambda *_: f, x, t)
        return torch.cat([f, change[:, None]], 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """z = x(0) and −∫ tr ∂f/∂x dt.  x (B, D) -> (B, D), (B,)"""
        start = torch.cat([expect_batch(x), torch.zeros_like(x[:, :1])], 1)
        for state in iter_solve(self.slope, start, self.times(x).flip(0), method=self.method):
            pass
        return state[:, :-1], state[:, -1]

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x(0)) − ∫ tr ∂f/∂x dt, in nats.  x (B, D) -> (B,)"""
        z, ladj = self(x)
        return self.base.log_prob(z) + ladj

    def loss(self, x: Tensor) -> Tensor:
        """−mean log p(x): maximum likelihood through the solver."""
        return -self.log_prob(expect_some(x)).mean()

    @torch.no_grad()
    def trajectory(self, z: Tensor) -> Tensor:
        """x(t) from z = x(0).  z (B, D) -> (steps + 1, B, D)"""
        return solve(self.field, z, self.times(z), method=self.method)

    def inverse(self, z: Tensor) -> Tensor:
        """x = x(1) from z = x(0)"""
        return self.trajectory(z)[-1]

    def sample(self, n: int) -> Tensor:
        """x(1), x(0) ~ base.  -> (n, D)"""
        return self.inverse(self.base.sample(n))
