"""A flow of infinitely many, infinitely thin layers: a vector field, and the integral of its trace.

    dx/dt = f(x, t),     d log p_t(x(t)) / dt = −tr ∂f/∂x            (lecture 14, 2024: KFP theorem, continuity equation)

Nothing has to be invertible by construction: an ODE runs back as well as forth, and no two of its roads meet.  Nor is there
a determinant, only a trace, exact (a derivative for each coordinate) or by Hutchinson (one, with random signs).  The price
is the solver: every density is many evaluations of the field, and training goes through all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..core.checks import expect_batch, expect_some
from ..core.ode import Field, Method, divergence, iter_solve, rk4, solve
from .bijections import as_base

Trace = Callable[[Field, Tensor, Tensor], Tensor]


class ContinuousFlow(nn.Module):
    """x(0) ~ base, dx/dt = f(x, t), x = x(1), with log p(x) = log p(x(0)) − ∫ tr ∂f/∂x dt.        (x (B, D))

    field: called f(x, t), such as `nets.MLP`.  base: as for `Flow`.  steps, method: of ``dynamics.iter_solve``.  trace:
    ``dynamics.divergence`` (exact) or ``dynamics.hutchinson``.  span: times of noise and data.

    ``log_prob`` can be differentiated through the solver, step by step: so such flows were trained before flow matching."""

    def __init__(
        self,
        field: Field,
        base: Any,
        steps: int = 20,
        method: Method = rk4,
        trace: Trace = divergence,
        span: Sequence[float] = (0.0, 1.0),
    ) -> None:
        super().__init__()
        if steps < 1:
            raise ValueError(f"steps is {steps}: expected at least one.")
        self.field, self.steps, self.method, self.trace, self.span = field, steps, method, trace, tuple(span)
        self.base = as_base(base)

    def times(self, like: Tensor) -> Tensor:
        """steps + 1 equal times from noise to data, as x needs them."""
        return torch.linspace(*self.span, self.steps + 1, dtype=like.dtype, device=like.device)

    def slope(self, state: Tensor, t: Tensor) -> Tensor:
        """(f, tr ∂f/∂x) of the points and their volumes: the field is asked once for both.  state (B, D + 1)"""
        with torch.enable_grad():
            x = state[:, :-1]
            x = x if x.requires_grad else x.detach().requires_grad_()
            f = self.field(x, t)
            change = self.trace(lambda *_: f, x, t)
        return torch.cat([f, change[:, None]], 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """z = x(0), the flow run back from the data, and −∫ tr ∂f/∂x dt.  x (B, D) -> (B, D), (B,)"""
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
        """The way of the noise to the data.  z (B, D) -> (steps + 1, B, D)"""
        return solve(self.field, z, self.times(z), method=self.method)

    def inverse(self, z: Tensor) -> Tensor:
        """x = x(1) from z = x(0), without its density."""
        return self.trajectory(z)[-1]

    def sample(self, n: int) -> Tensor:
        """x(1), x(0) ~ base.  -> (n, D)"""
        return self.inverse(self.base.sample(n))

    def extra_repr(self) -> str:
        how = getattr(self.trace, "__name__", "trace")
        return f"d log p / dt = -tr df/dx, {self.steps} steps of {self.method.__name__}, trace: {how}"
