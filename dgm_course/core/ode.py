"""ODE and SDE solvers: dx = field(x, t) dt + noise(t) dW along a grid of times ``ts``, up or down.

A *field* is a function field(x, t) of x (B, *event) and a scalar t that returns (B, *event).  A *method* is a function
step(field, x, t, dt) that returns x at t + dt.  Noise adds a Gaussian of variance noise² |dt| to each step: with
``euler`` this is Euler-Maruyama.  `solve` returns the whole trajectory.
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
    """Yield x (B, *event) at each time of ts (T,); ValueError unless ts is strictly monotone."""
    gaps = ts.diff() if isinstance(ts, Tensor) and ts.ndim == 1 else torch.zeros(0)
    if not len(gaps) or not ((gaps > 0).all() or (gaps < 0).all()):
        came = f"has shape {tuple(ts.shape)}" if isinstance(ts, Tensor) else f"is a {type(ts).__name__}"
        raise ValueError(
            f"ts {came} and is not a strictly monotone grid of two or more times: expected a tensor (T,), "
            "such as torch.linspace(0, 1, 51)."
        )
    yield x
    for t, dt in zip(ts, gaps):
        x = method(field, x, t, dt)
        if noise:
            x = x + (noise(t) if callable(noise) else noise) * dt.abs().sqrt() * torch.randn_like(x)
        yield x


def solve(
    field: Field, x: Tensor, ts: Tensor, noise: float | Callable[[Tensor], Tensor] = 0.0, method: Method = euler
) -> Tensor:
    """The trajectory of dx = field dt + noise dW from x.  x (B, *event), ts (T,) -> (T, B, *event)"""
    return torch.stack(list(iter_solve(field, x, ts, noise, method)))


class EvaluationCounter:
    """A field that counts its evaluations in ``calls``."""

    def __init__(self, field: Field) -> None:
        self.field, self.calls = field, 0

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        self.calls += 1
        return self.field(x, t)

    def __repr__(self) -> str:
        return f"field evaluated {self.calls} times"


def _with_graph(field: Field, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """x with a gradient, and field(x, t), which must depend on it."""
    x = x if x.requires_grad else x.detach().requires_grad_()
    f = field(x, t)
    if not f.requires_grad:
        raise ValueError(
            "the field's output has no gradient with respect to x (it is constant, or was computed under no_grad): "
            "expected a differentiable field."
        )
    return x, f


@torch.enable_grad()
def divergence(field: Field, x: Tensor, t: Tensor) -> Tensor:
    """div f = tr ∂f/∂x, exactly: one backward pass a coordinate.  x (B, D) -> (B,), differentiable"""
    x, f = _with_graph(field, x, t)
    rows = [torch.autograd.grad(f[:, i].sum(), x, create_graph=True)[0][:, i] for i in range(x.shape[1])]
    return torch.stack(rows).sum(0)


@torch.enable_grad()
def hutchinson(field: Field, x: Tensor, t: Tensor) -> Tensor:
    """An unbiased estimate of div f: εᵀ (∂f/∂x) ε with random signs ε.  x (B, *event) -> (B,)"""
    eps = torch.randint_like(x, 2) * 2 - 1
    x, f = _with_graph(field, x, t)
    product = torch.autograd.grad((f * eps).sum(), x, create_graph=True)[0]
    return (product * eps).flatten(1).sum(1)


@torch.no_grad()
def log_density(
    field: Field,
    x: Tensor,
    ts: Tensor,
    log_base: Callable[[Tensor], Tensor],
    trace: Callable[[Field, Tensor, Tensor], Tensor] = divergence,
) -> Tensor:
    """log p_1(x) = log p_0(x_0) − ∫ div f dt, along the flow backwards from x (B, D) -> (B,).  (lecture 14, KFP theorem)

    ts runs from data to noise, such as linspace(1, 0, 100); Heun for x, the trapezoid for the integral."""
    total, traces, before = torch.zeros_like(x[:, 0]), None, ts[0]
    for t, point in zip(ts, iter_solve(field, x, ts, method=heun)):
        now = trace(field, point, t).detach()
        if traces is not None:
            total = total + (t - before) / 2 * (now + traces)
        traces, before, last = now, t, point
    return log_base(last) + total


def langevin(score: Callable[[Tensor], Tensor], x: Tensor, step: float, steps: int) -> Tensor:
    """x ← x + step · score(x) + √(2 step) ε.  x (B, *event) -> the chain (steps + 1, B, *event)"""
    chain = [x]
    for _ in range(steps):
        chain.append(chain[-1] + step * score(chain[-1]) + math.sqrt(2 * step) * torch.randn_like(x))
    return torch.stack(chain)
