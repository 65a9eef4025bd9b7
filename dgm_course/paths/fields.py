"""What every model of a path does, learned or exact: a prediction becomes a velocity, a score and samples.

A subclass of ``PathField`` gives ``predict(xt, t)`` and ``start(n)``.  All sampling is ``ode.iter_solve`` with a method:
a solver of `ode` (``euler``, ``heun``, ...), which follows the velocity, or a sampler (``ddim``, ...) with ``predict``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ..core.distributions import DiagNormal
from ..core.ode import Method, divergence, iter_solve, log_density
from ..core.tensors import threads_for

Noise = float | Callable[[Tensor], Tensor]


class PathField(nn.Module):
    """A model of a path: velocity, score and samples from ``predict(xt, t)`` and ``start(n) -> x0 (n, *event)``."""

    path: Any
    predict: Callable[[Tensor, Tensor | float], Any]
    start: Callable[[int], Tensor]

    def forward(self, x: Tensor, t: Tensor | float) -> Tensor:
        """The marginal velocity u_t(x).  x (B, *event), t () or (B,) -> (B, *event)"""
        return self.predict(x, t).velocity

    velocity = forward

    def score(self, x: Tensor, t: Tensor | float) -> Tensor:
        """The marginal score ∇ log p_t(x)."""
        return self.predict(x, t).score

    def drift(self, noise: Noise) -> Callable[[Tensor, Tensor], Tensor]:
        """u_t + ½ noise² ∇ log p_t: the SDE with this drift and noise has the marginals of the ODE."""

        def field(x: Tensor, t: Tensor) -> Tensor:
            prediction, g = self.predict(x, t), noise(t) if callable(noise) else noise
            return prediction.velocity + g**2 / 2 * prediction.score

        return field if noise else self

    def times(self, steps: int | Tensor, like: Tensor) -> Tensor:
        """steps + 1 equal times over the path's span, or the given times (T,); dtype and device of ``like``."""
        dtype = like.dtype if like.is_floating_point() else None
        if isinstance(steps, Tensor):
            return steps.to(like.device, dtype)
        if steps < 1:
            raise ValueError(f"steps is {steps}: expected at least one.")
        return torch.linspace(*self.path.span, steps + 1, dtype=dtype, device=like.device)

    def _iter_solve(
        self, x0: Tensor | int, steps: int | Tensor, method: Method | None, noise: Noise
    ) -> Iterator[Tensor]:
        method = method or self.path.method
        x0 = self.start(x0) if isinstance(x0, int) else x0
        ts = self.times(steps, x0)
        with threads_for(self):
            yield from iter_solve(self.drift(noise), self.path.initial_state(x0, ts[0]), ts, noise, method)

    @torch.no_grad()
    def trajectory(
        self, x0: Tensor | int, steps: int | Tensor = 50, method: Method | None = None, noise: Noise = 0.0
    ) -> Tensor:
        """All points from the source x0, or from that many new source points.  -> (steps + 1, n, *event)

        steps: a number, or the times (T,).  method: default ``euler`` for Gaussian paths, ``ddim`` for masks."""
        return torch.stack(list(self._iter_solve(x0, steps, method, noise)))

    @torch.no_grad()
    def sample(
        self, n: int | Tensor, steps: int | Tensor = 50, method: Method | None = None, noise: Noise = 0.0
    ) -> Tensor:
        """The last point of ``trajectory``.  n, or the source points themselves -> (n, *event)"""
        for x in self._iter_solve(n, steps, method, noise):
            pass
        return x

    def elbo(self, x1: Tensor, steps: int | None = None, draws: int = 8) -> Tensor:
        """A lower bound of log p(x1), on a mask path.  x1 (B, *event) -> (B,)"""
        if not hasattr(self.path, "elbo"):
            raise ValueError(f"elbo needs a mask path, which this is not: {self.path!r}.  Expected log_prob(x).")
        return self.path.elbo(self, x1, steps, draws)

    def log_prob(self, x: Tensor, steps: int = 100) -> Tensor:
        """log p_1(x) by the continuity equation, exact trace.  x (B, D) -> (B,)"""
        if not self.path.gaussian:
            raise ValueError(
                f"log_prob needs a standard normal source x0, which this path has not: {self.path!r}.  Expected "
                "ode.log_density(..., log_base=source.log_prob), or on a mask path elbo(x)."
            )
        ts = self.times(steps, x).flip(0)
        base = DiagNormal(torch.zeros_like(x[0]), self.path.sigma(ts[-1]), x.ndim - 1)
        return log_density(self, x, ts, base.log_prob, divergence)
