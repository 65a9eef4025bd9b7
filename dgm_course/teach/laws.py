"""Laws: the two sides of an equation, each computed its own way, for ``verify`` and for the tests.

A law is worth something only where its sides do not share the formula under test: one side is the library, the other
is automatic differentiation, numerical integration or plain simulation.
"""
from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..distributions import Mixture
from ..dynamics import divergence
from ..paths import ExactField, GaussianPath


def grid(low: float = -4.0, high: float = 4.0, n: int = 81, dtype: torch.dtype = torch.float64) -> Tensor:
    """The points of an n × n grid over [low, high]², row by row.  -> (n², 2)"""
    line = torch.linspace(low, high, n, dtype=dtype)
    return torch.cartesian_prod(line, line)


def continuity(field: ExactField, x: Tensor, t: float) -> tuple[Tensor, Tensor]:
    """∂p_t/∂t (by automatic differentiation in t) and −div(f p_t) (in x), at the points.  x (B, D) -> two of (B,)"""
    time = torch.tensor(t, dtype=x.dtype)
    _, dlogp = torch.func.jvp(lambda s: _marginal_log_prob(field, x, s), (time,), (torch.ones_like(time),))
    p_t = field.marginal(t)
    p, f = p_t.log_prob(x).exp(), field(x, time)
    return p * dlogp, -p * (divergence(field, x, time) + (f * p_t.score(x)).sum(1)).detach()


def _marginal_log_prob(field: ExactField, x: Tensor, t: Tensor) -> Tensor:
    """log p_t(x) written out once more, from the definition x_t = alpha x1 + sigma x0 and a standard normal x0."""
    data, path = field.data, field.path
    alpha, sigma = path.alpha(t), path.sigma(t)
    variance = alpha**2 * data.stds**2 + sigma**2
    exponent = -((x[:, None] - alpha * data.means) ** 2 / variance + torch.log(2 * torch.pi * variance)).sum(-1) / 2
    return (data.weights.log() + exponent).logsumexp(1)


def field_by_quadrature(path: GaussianPath, data: Mixture, x: Tensor, t: float, nodes: Tensor) -> Tensor:
    """∫ f(x, x1, t) p_t(x|x1) p(x1) dx1 / p_t(x) as a sum over nodes x1 of a fine grid: the theorem, taken literally.

    x (B, D), nodes (M, D) -> (B, D); exact to rounding once the grid resolves the data's smallest deviation"""
    alpha, sigma, _, _ = path.at(torch.tensor(t, dtype=x.dtype))
    log_weight = -((x[:, None] - alpha * nodes) ** 2).sum(-1) / (2 * sigma**2) + data.log_prob(nodes)  # (B, M)
    weight = log_weight.softmax(1)
    velocities = path.velocity(x.repeat_interleave(len(nodes), 0), nodes.repeat(len(x), 1), t)
    return (weight[..., None] * velocities.view(len(x), len(nodes), -1)).sum(1)


def objective_by_quadrature(field: ExactField, model: Callable, ts: Tensor, nodes: Tensor, area: float) -> Tensor:
    """∫ dt ∫ dx p_t(x) ‖f(x, t) − model(x, t)‖², the flow-matching objective as a sum over times and a grid.  -> ()

    ts (T,): midpoints of equal intervals of [0, 1]; nodes (M, 2): grid points of ``area`` each"""
    total = [((field(nodes, t) - model(nodes, t)) ** 2).sum(1) @ field.marginal(t).log_prob(nodes).exp() for t in ts]
    return torch.stack(total).mean() * area


def time_derivative(function: Callable[[Tensor], Tensor], t: Tensor, h: float = 1e-4) -> Tensor:
    """(−f(t+2h) + 8 f(t+h) − 8 f(t−h) + f(t−2h)) / 12h: the derivative by differences, error O(h⁴), no autograd."""
    return (8 * (function(t + h) - function(t - h)) - (function(t + 2 * h) - function(t - 2 * h))) / (12 * h)


def gradients(loss: Callable[[int], Tensor], parameters: list[Tensor], chunks: int) -> Tensor:
    """The flattened gradient of loss(i) for i in 0..chunks−1: independent samples of a gradient.  -> (chunks, P)"""
    rows = [torch.cat([g.flatten() for g in torch.autograd.grad(loss(i), parameters)]) for i in range(chunks)]
    return torch.stack(rows)
