"""What every model of a path can do, learned or exact: guess, and so move, and so sample.

``PathField`` needs two things from a model, ``predict(xt, t)`` and ``start(n)``.  Sampling is ``dynamics.iter_solve``, the one loop
of the course, with a *method* that says how a guess becomes a step:

* ``euler``, ``heun`` ... use the guess as an arrow: flow matching, the probability-flow ODE, with ``noise`` the SDEs;
* ``ddim`` uses it as a place: stand between the guessed ends at the next time.  On a Gaussian path that is DDIM, on a
  mask path it is one step of unmasking;
* ``ancestral`` hops with as much fresh noise as the exact posterior has: DDPM;
* ``annealed_langevin`` uses its score and forgets the arrow: NCSN as first published;
* ``maskgit_step`` (in ``masked``) reveals the tokens that the model is surest of.
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
    """A model of a path: from ``predict`` follow velocity, score and samples.

    A subclass gives ``predict(xt, t)`` and ``start(n) -> x0 (n, *event)``.  Calling it is its velocity, so it can be handed
    to every solver, player and law."""

    path: Any

    def predict(self, xt: Tensor, t: Tensor | float) -> Any:
        raise NotImplementedError

    def start(self, n: int) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor, t: Tensor | float) -> Tensor:
        """The marginal velocity u_t(x).  x (B, *event), t () or (B,) -> (B, *event)"""
        return self.predict(x, t).velocity

    velocity = forward

    def score(self, x: Tensor, t: Tensor | float) -> Tensor:
        """The marginal score ∇ log p_t(x)."""
        return self.predict(x, t).score

    def drift(self, noise: Noise) -> Callable[[Tensor, Tensor], Tensor]:
        """u_t + ½ noise² ∇ log p_t: with this drift and that noise an SDE has the very marginals of the ODE."""

        def field(x: Tensor, t: Tensor) -> Tensor:
            prediction, g = self.predict(x, t), noise(t) if callable(noise) else noise
            return prediction.velocity + g**2 / 2 * prediction.score

        return field if noise else self

    def times(self, steps: int | Tensor, like: Tensor) -> Tensor:
        """steps + 1 equal times over the path's span, or the given ones; in the dtype and on the device of ``like``."""
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
        """All points of the way from source points, or from that many fresh ones.  -> (steps + 1, n, *event)

        steps: how many of equal length, or the times themselves (T,), from one end of the path's span to the other.
        method: the path's own unless given, Euler's for Gaussian paths and ``ddim`` for masks."""
        return torch.stack(list(self._iter_solve(x0, steps, method, noise)))

    @torch.no_grad()
    def sample(
        self, n: int | Tensor, steps: int | Tensor = 50, method: Method | None = None, noise: Noise = 0.0
    ) -> Tensor:
        """Where the way ends, without keeping it.  n, or the source points themselves -> (n, *event)"""
        for x in self._iter_solve(n, steps, method, noise):
            pass
        return x

    def elbo(self, x1: Tensor, steps: int | None = None, draws: int = 8) -> Tensor:
        """A lower bound of log p(x1), where the path has one (masks).  x1 (B, *event) -> (B,)"""
        if not hasattr(self.path, "elbo"):
            raise ValueError(
                f"the {self.path.name} path has a density by the continuity equation: expected log_prob(x), not elbo."
            )
        return self.path.elbo(self, x1, steps, draws)

    def log_prob(self, x: Tensor, steps: int = 100) -> Tensor:
        """log p_1(x) by the continuity equation, exact trace; for events (D,) and a standard normal source."""
        if not self.path.gaussian:
            raise ValueError(
                f"log_prob needs a standard normal source x0, which this has not: {self.path!r}. Expected the "
                "source's density as log_base= of dynamics.log_density, or on a mask path elbo(x)."
            )
        ts = self.times(steps, x).flip(0)
        sigma = self.path.sigma(ts[-1])
        base = DiagNormal(torch.zeros_like(x[0]), sigma, x.ndim - 1)
        return log_density(self, x, ts, base.log_prob, divergence)
