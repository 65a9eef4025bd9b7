"""Both sides of an equation, each computed in its own way, for ``verify`` and for the tests.

One side is the library.  The other is automatic differentiation, quadrature, enumeration or simulation, and never uses
the formula under test.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..core.distributions import DiagNormal, Mixture
from ..core.ode import divergence
from ..paths import ExactField, GaussianPath, MaskPath, PathField


def grid(low: float = -4.0, high: float = 4.0, n: int = 81, dtype: torch.dtype = torch.float64) -> Tensor:
    """The points of an n × n grid over [low, high]², row by row.  -> (n², 2)"""
    line = torch.linspace(low, high, n, dtype=dtype)
    return torch.cartesian_prod(line, line)


def time_derivative(function: Callable[[Tensor], Tensor], t: Tensor, h: float = 1e-4) -> Tensor:
    """(−f(t+2h) + 8 f(t+h) − 8 f(t−h) + f(t−2h)) / 12h: the derivative by differences, error O(h⁴), no autograd."""
    return (8 * (function(t + h) - function(t - h)) - (function(t + 2 * h) - function(t - 2 * h))) / (12 * h)


def gradients(loss: Callable[[int], Tensor], parameters: list[Tensor], chunks: int) -> Tensor:
    """The flattened gradient of loss(i) for i in 0..chunks−1: independent samples of a gradient.  -> (chunks, P)"""
    rows = [torch.cat([g.flatten() for g in torch.autograd.grad(loss(i), parameters)]) for i in range(chunks)]
    return torch.stack(rows)


# --- Gaussian paths


def continuity(field: ExactField, x: Tensor, t: float) -> tuple[Tensor, Tensor]:
    """∂p_t/∂t (by automatic differentiation in t) and −div(f p_t) (in x), at the points.  x (B, D) -> two of (B,)"""
    time = torch.tensor(t, dtype=x.dtype)
    dlogp = torch.func.jvp(lambda s: _marginal_log_prob(field, x, s), (time,), (torch.ones_like(time),))[1]
    p_t = field.marginal(t)
    p, f = p_t.log_prob(x).exp(), field(x, time)
    return p * dlogp, -p * (divergence(field, x, time) + (f * p_t.score(x)).sum(1)).detach()


def _marginal_log_prob(field: ExactField, x: Tensor, t: Tensor) -> Tensor:
    """log p_t(x) from the definition x_t = alpha x1 + sigma x0 with a standard normal x0, differentiable in t."""
    data, alpha, sigma = field.data, field.path.alpha(t), field.path.sigma(t)
    variance = alpha**2 * data.stds**2 + sigma**2
    squares = (x[:, None] - alpha * data.means) ** 2 / variance + torch.log(2 * torch.pi * variance)
    return (data.weights.log() - squares.sum(-1) / 2).logsumexp(1)


def field_by_quadrature(
    path: GaussianPath, data: Mixture, x: Tensor, t: float, nodes: Tensor, conditional: Callable | None = None
) -> Tensor:
    """∫ f(x, x1, t) p_t(x|x1) p(x1) dx1 / p_t(x) as a sum over nodes x1 of a fine grid: the theorem, taken literally.

    x (B, D), nodes (M, D) -> (B, D); exact to rounding once the grid resolves the data's smallest deviation.
    conditional(x, x1, t): what is averaged, the path's velocity unless given"""
    alpha, sigma, _, _ = path.at(torch.tensor(t, dtype=x.dtype))
    log_weight = -((x[:, None] - alpha * nodes) ** 2).sum(-1) / (2 * sigma**2) + data.log_prob(nodes)  # (B, M)
    weight = log_weight.softmax(1)
    velocities = (conditional or path.velocity)(x.repeat_interleave(len(nodes), 0), nodes.repeat(len(x), 1), t)
    return (weight[..., None] * velocities.view(len(x), len(nodes), -1)).sum(1)


def fokker_planck(field: ExactField, x: Tensor, t: float, noise: float) -> Tensor:
    """−div(drift p) + ½ noise² Δp for the path's SDE with this noise: how fast its density changes.  x (B, D) -> (B,)

    Δp = p (‖∇ log p‖² + div ∇ log p), the divergences by automatic differentiation"""
    time, p_t = torch.tensor(t, dtype=x.dtype), field.marginal(t)
    drift, score = field.drift(noise), lambda y, s: p_t.score(y)
    p, s = p_t.log_prob(x).exp(), p_t.score(x)
    flux = divergence(drift, x, time) + (drift(x, time) * s).sum(1)
    laplacian = divergence(score, x, time) + (s**2).sum(1)
    return (p * (noise**2 / 2 * laplacian - flux)).detach()


def objective_by_quadrature(field: ExactField, model: Callable, ts: Tensor, nodes: Tensor, area: float) -> Tensor:
    """∫ dt ∫ dx p_t(x) ‖f(x, t) − model(x, t)‖², the flow-matching objective as a sum over times and a grid.  -> ()

    ts (T,): midpoints of equal intervals of [0, 1]; nodes (M, 2): grid points of ``area`` each"""
    errors = (
        ((field(nodes, t) - model(nodes, t)) ** 2).sum(1) @ field.marginal(t).log_prob(nodes).exp() for t in ts
    )
    return torch.stack(list(errors)).mean() * area


# --- tokens: sums over everything that can happen to a short sequence


def visible_sets(length: int) -> Tensor:
    """All sets of visible places.  -> (2^L, L), bool; row i holds the binary digits of i"""
    return torch.arange(2**length)[:, None].bitwise_right_shift(torch.arange(length)).bitwise_and(1).bool()


def _nothing_visible(x: Tensor, sets: Tensor) -> Tensor:
    """The probability of each set at the start: 1 for the empty one.  -> (N, 2^L)"""
    reached = torch.zeros(len(x), len(sets), dtype=torch.float64)
    reached[:, 0] = 1.0
    return reached


def token_chances(field: PathField, x: Tensor, t: float) -> Tensor:
    """The model's p(x_l | the visible tokens of x) at t, for every set of visible places.  (N, L) -> (N, 2^L, L)"""
    sets, mask = visible_sets(x.shape[1]), field.path.mask_id
    hidden = torch.where(sets, x[:, None], mask)  # (N, 2^L, L)
    with torch.no_grad():
        chances = field.predict(hidden.flatten(0, 1), t).logits.softmax(-1).unflatten(0, hidden.shape[:2])
    return chances.gather(-1, x[:, None, :, None].expand(*hidden.shape, 1))[..., 0].double()


def chain_likelihood(field: PathField, x: Tensor, steps: int, chances: Tensor | None = None) -> Tensor:
    """p(x) under the chain of T steps, summed over every order in which its tokens can appear.  (N, L) -> (N,)

    The probability of each set of visible places is carried from step to step: no sampling and no bound.
    chances: from ``token_chances``, for a model that ignores the time"""
    sets, ts = visible_sets(x.shape[1]), torch.linspace(0, 1, steps + 1)
    now, then = sets[:, None], sets[None]  # (2^L, 1, L), (1, 2^L, L)
    reached = _nothing_visible(x, sets)
    for t, s in zip(ts, ts[1:]):
        u = float(field.path.unmask(t, s))
        one = token_chances(field, x, float(t)) if chances is None else chances
        appears = torch.where(then, u * one[:, :, None], 1 - u)  # (N, 2^L, 2^L, L)
        reached = torch.einsum("ns,nsr->nr", reached, torch.where(now, then.double(), appears).prod(-1))
    return reached[:, -1]


def any_order_likelihood(field: PathField, x: Tensor, t: float = 0.5) -> Tensor:
    """p(x) where one token appears at a time in a random order, summed over all orders.  (N, L) -> (N,)"""
    sets, chances = visible_sets(x.shape[1]), token_chances(field, x, t)
    reached = _nothing_visible(x, sets)
    for row in range(len(sets) - 1):  # a larger set has a larger number, so each row is complete before it is used
        free = (~sets[row]).nonzero()[:, 0]
        for place in free.tolist():
            reached[:, row + 2**place] += reached[:, row] * chances[:, row, place] / len(free)
    return reached[:, -1]


def chain_bound(path: MaskPath, chances: Tensor, steps: int) -> Tensor:
    """The ELBO of the T-step chain, −Σ_k w_k E Σ_hidden −log p, its expectation summed over all sets of hidden places.

    chances (N, 2^L, L) from ``token_chances``, for a model that ignores the time.  -> (N,)"""
    sets, ts = visible_sets(chances.shape[-1]), torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    cost = torch.where(sets, 0.0, -chances.log()).sum(-1)  # (N, 2^L)
    alpha, count = path.alpha(ts[:-1])[:, None], sets.sum(1)
    probability = alpha**count * (1 - alpha) ** (sets.shape[1] - count)  # (T, 2^L)
    return -(path.unmask(ts[:-1], ts[1:]) @ probability) @ cost.T


# --- latent variables: integrals over nodes (M, d), the midpoints of cells of size ``cell``


def lattice(dim: int, half: float = 8.0, points: int = 400) -> tuple[Tensor, float]:
    """Midpoints of cells over [-half, half]^dim, and the size of a cell.  -> (points^dim, dim) in float64, number"""
    side = 2 * half / points
    axis = -half + side * (torch.arange(points, dtype=torch.float64) + 0.5)
    return torch.cartesian_prod(*[axis] * dim).reshape(-1, dim), side**dim


def joint_on(nodes: Tensor, x: Tensor, decoder: Callable[[Tensor], Any], prior: Any) -> Tensor:
    """log p(x, z) = log p(x|z) + log p(z) at every node.  x (B, *event) -> (B, M)"""
    rows = [decoder(nodes).log_prob(one.expand(len(nodes), *one.shape)) for one in x]
    return torch.stack(rows) + prior.log_prob(nodes)


def log_marginal(joint: Tensor, cell: float) -> Tensor:
    """log ∫ p(x, z) dz.  (B, M) -> (B,)"""
    return joint.logsumexp(1) + math.log(cell)


def density_on(nodes: Tensor, q: DiagNormal) -> Tensor:
    """log q_i(z) at every node.  q of (B, d) -> (B, M)"""
    return q.log_prob(nodes[:, None]).T


def kl(log_q: Tensor, log_p: Tensor, cell: float) -> Tensor:
    """∫ q (log q − log p) dz, for rows of log-densities at the nodes.  (..., M) -> (...)"""
    return (log_q.exp() * (log_q - log_p)).sum(-1) * cell


def elbo(joint: Tensor, log_q: Tensor, cell: float) -> Tensor:
    """∫ q (log p(x, z) − log q) dz.  (B, M) twice -> (B,)"""
    return -kl(log_q, joint, cell)


def surgery(log_q: Tensor, log_p: Tensor, cell: float) -> tuple[Tensor, Tensor, Tensor]:
    """(mutual information, marginal KL, mean KL) of posteriors log q_i (N, M) and a prior log p (M,)."""
    log_agg = log_q.logsumexp(0) - math.log(len(log_q))
    return kl(log_q, log_agg, cell).mean(), kl(log_agg, log_p, cell), kl(log_q, log_p, cell).mean()
