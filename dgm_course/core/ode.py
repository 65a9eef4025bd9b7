"""Things that move: one loop for every differential equation of the course.

    dx = field(x, t) dt + noise(t) dW

With noise = 0 this is the ODE of a flow, solved by the classical one-step methods; with noise it is an SDE, and each
step adds Gaussian noise of variance noise² dt (Euler-Maruyama, where the step is ``euler``).  Time runs along the grid
``ts``, up or down: a grid from 1 to 0 solves the same equation backwards.

A *field* is anything called as field(x, t) with x (B, *event) and a scalar t, that answers (B, *event): a network, an
exact answer, a lambda.  A *method* is a function step(field, x, t, dt) -> x at t + dt.  What is stated nowhere else in
the course: the whole trajectory is the result, since every picture here is a picture of one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

Field = Callable[[Tensor, Tensor], Tensor]
Method = Callable[[Field, Tensor, Tensor, Tensor], Tensor]


def euler(field: Field, x: Tensor, t: Tensor, dt: Tensor) -> Tensor:
    """x + dt f(x, t): one evaluation, global error O(dt)."""
    return x + dt * field(x, t)


def heun(field: Field, x: Tensor, t: Tensor, dt: Tensor) -> Tensor:
    """x + dt/2 (f(x, t) + f(x + dt f(x, t), t + dt)): two evaluations, global error O(dt²)."""
    slope = field(x, t)
    return x + dt / 2 * (slope + field(x + dt * slope, t + dt))


def rk4(field: Field, x: Tensor, t: Tensor, dt: Tensor) -> Tensor:
    """The classical Runge-Kutta step: four evaluations, global error O(dt⁴)."""
    a = field(x, t)
    b = field(x + dt / 2 * a, t + dt / 2)
    c = field(x + dt / 2 * b, t + dt / 2)
    d = field(x + dt * c, t + dt)
    return x + dt / 6 * (a + 2 * b + 2 * c + d)


def iter_solve(
    field: Field, x: Tensor, ts: Tensor, noise: float | Callable[[Tensor], Tensor] = 0.0, method: Method = euler
) -> Iterator[Tensor]:
    """x at each time of ts, in turn: the loop under ``solve``, for when only the last point is wanted.

    x (B, *event), ts (T,) monotone; ValueError where ts is not."""
    gaps = ts.diff() if isinstance(ts, Tensor) and ts.ndim == 1 else torch.zeros(0)
    if not len(gaps) or not ((gaps > 0).all() or (gaps < 0).all()):
        what = f"has shape {tuple(ts.shape)} and" if isinstance(ts, Tensor) else f"is a {type(ts).__name__} and"
        raise ValueError(
            f"ts {what} is not a strictly monotone grid of two or more times: expected a tensor (T,), "
            "such as torch.linspace(0, 1, 51)."
        )
    yield x
    for t, dt in zip(ts, gaps):
        x = method(field, x, t, dt)
        if noise:  # a function, or a number above 0
            x = x + (noise(t) if callable(noise) else noise) * dt.abs().sqrt() * torch.randn_like(x)
        yield x


def solve(
    field: Field, x: Tensor, ts: Tensor, noise: float | Callable[[Tensor], Tensor] = 0.0, method: Method = euler
) -> Tensor:
    """The trajectory of dx = field dt + noise dW from x over the grid.  x (B, *event), ts (T,) -> (T, B, *event)"""
    return torch.stack(list(iter_solve(field, x, ts, noise, method)))


class EvaluationCounter:
    """A field that counts its evaluations: ``counted = EvaluationCounter(field)``, then ``counted.calls``."""

    def __init__(self, field: Field) -> None:
        self.field, self.calls = field, 0

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        self.calls += 1
        return self.field(x, t)

    def __repr__(self) -> str:
        return f"field evaluated {self.calls} times"


def _traced(field: Field, x: Tensor, t: Tensor) -> Tensor:
    """field(x, t), still tied to x."""
    f = field(x, t)
    if not f.requires_grad:
        raise ValueError(
            "the field's answer is not tied to x by automatic differentiation (it is constant, or was "
            "computed under no_grad): expected a differentiable field, whose divergence can be taken."
        )
    return f


def divergence(field: Field, x: Tensor, t: Tensor) -> Tensor:
    """div f = tr ∂f/∂x, exactly: one backward pass a coordinate.  x (B, D) -> (B,), differentiable"""
    with torch.enable_grad():
        x = x if x.requires_grad else x.detach().requires_grad_()
        f = _traced(field, x, t)
        rows = [torch.autograd.grad(f[:, i].sum(), x, create_graph=True)[0][:, i] for i in range(x.shape[1])]
    return torch.stack(rows).sum(0)


def hutchinson(field: Field, x: Tensor, t: Tensor) -> Tensor:
    """An unbiased estimate of div f: εᵀ (∂f/∂x) ε with random signs ε.  x (B, *event) -> (B,)"""
    with torch.enable_grad():
        x = x if x.requires_grad else x.detach().requires_grad_()
        eps = torch.randint_like(x, 2) * 2 - 1
        product = torch.autograd.grad((_traced(field, x, t) * eps).sum(), x, create_graph=True)[0]
    return (product * eps).flatten(1).sum(1)


@torch.no_grad()
def log_density(
    field: Field,
    x: Tensor,
    ts: Tensor,
    log_base: Callable[[Tensor], Tensor],
    trace: Callable[[Field, Tensor, Tensor], Tensor] = divergence,
) -> Tensor:
    """log p_1(x) = log p_0(x_0) − ∫ div f dt, along the flow backwards from x.       (lecture 14, KFP theorem)

    ts runs from data to noise, such as linspace(1, 0, 100); Heun for x, the trapezoid for the integral.
    x (B, D) -> (B,)"""
    total, traces, before = torch.zeros_like(x[:, 0]), None, ts[0]
    for t, point in zip(ts, iter_solve(field, x, ts, method=heun)):
        now = trace(field, point, t).detach()  # the trace switches gradients on for itself alone
        if traces is not None:
            total = total + (t - before) / 2 * (now + traces)
        traces, before, last = now, t, point
    return log_base(last) + total


def langevin(score: Callable[[Tensor], Tensor], x: Tensor, step: float, steps: int) -> Tensor:
    """x ← x + step · score(x) + √(2 step) ε, the whole chain.  x (B, *event) -> (steps + 1, B, *event)"""
    chain = [x]
    for _ in range(steps):
        chain.append(chain[-1] + step * score(chain[-1]) + math.sqrt(2 * step) * torch.randn_like(x))
    return torch.stack(chain)
