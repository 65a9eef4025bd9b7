"""Laws: the two sides of an equation, each computed its own way, for ``verify`` and for the tests.

A law is worth something only where its sides do not share the formula under test: one side is the library, the other
is automatic differentiation, numerical integration or plain simulation.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..core.distributions import Mixture
from ..core.ode import divergence
from ..paths import ExactField, GaussianPath, MaskPath, PathField


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
    exponent = (
        -((x[:, None] - alpha * data.means) ** 2 / variance + torch.log(2 * torch.pi * variance)).sum(-1) / 2
    )
    return (data.weights.log() + exponent).logsumexp(1)


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

    Δp = p (‖∇ log p‖² + div ∇ log p), the divergences by automatic differentiation."""
    time, p_t = torch.tensor(t, dtype=x.dtype), field.marginal(t)
    drift, score = field.drift(noise), lambda y, s: p_t.score(y)
    p, s = p_t.log_prob(x).exp(), p_t.score(x)
    flux = divergence(drift, x, time) + (drift(x, time) * s).sum(1)
    laplacian = divergence(score, x, time) + (s**2).sum(1)
    return (p * (noise**2 / 2 * laplacian - flux)).detach()


def objective_by_quadrature(field: ExactField, model: Callable, ts: Tensor, nodes: Tensor, area: float) -> Tensor:
    """∫ dt ∫ dx p_t(x) ‖f(x, t) − model(x, t)‖², the flow-matching objective as a sum over times and a grid.  -> ()

    ts (T,): midpoints of equal intervals of [0, 1]; nodes (M, 2): grid points of ``area`` each"""
    total = [
        ((field(nodes, t) - model(nodes, t)) ** 2).sum(1) @ field.marginal(t).log_prob(nodes).exp() for t in ts
    ]
    return torch.stack(total).mean() * area


def time_derivative(function: Callable[[Tensor], Tensor], t: Tensor, h: float = 1e-4) -> Tensor:
    """(−f(t+2h) + 8 f(t+h) − 8 f(t−h) + f(t−2h)) / 12h: the derivative by differences, error O(h⁴), no autograd."""
    return (8 * (function(t + h) - function(t - h)) - (function(t + 2 * h) - function(t - 2 * h))) / (12 * h)


def gradients(loss: Callable[[int], Tensor], parameters: list[Tensor], chunks: int) -> Tensor:
    """The flattened gradient of loss(i) for i in 0..chunks−1: independent samples of a gradient.  -> (chunks, P)"""
    rows = [torch.cat([g.flatten() for g in torch.autograd.grad(loss(i), parameters)]) for i in range(chunks)]
    return torch.stack(rows)


# --- tokens: everything that can happen to a short sequence, one after the other


def visible_sets(length: int) -> Tensor:
    """All sets of visible places.  -> (2^L, L), bool; row i holds the binary digits of i"""
    return torch.arange(2**length)[:, None].bitwise_right_shift(torch.arange(length)).bitwise_and(1).bool()


def token_chances(field: PathField, x: Tensor, t: float) -> Tensor:
    """p(x_l | the visible tokens of x), as the model has it at t, for every set of visible places.  (N, L) -> (N, 2^L, L)"""
    sets, mask = visible_sets(x.shape[1]), field.path.mask_id
    hidden = torch.where(sets, x[:, None], mask)  # (N, 2^L, L)
    with torch.no_grad():
        chances = field.predict(hidden.flatten(0, 1), t).logits.softmax(-1).unflatten(0, hidden.shape[:2])
    return chances.gather(-1, x[:, None, :, None].expand(*hidden.shape, 1))[..., 0].double()


def chain_likelihood(field: PathField, x: Tensor, steps: int, chances: Tensor | None = None) -> Tensor:
    """p(x) under the chain of T steps, summed over every way in which its tokens can appear.  (N, L) -> (N,)

    No sampling and no bound: the probability of each set of visible places is carried from step to step.
    chances: what ``token_chances`` gives, for a model that does not look at the time; then it is asked once."""
    sets, ts = visible_sets(x.shape[1]), torch.linspace(0, 1, steps + 1)
    now, then = sets[:, None], sets[None]  # (2^L, 1, L), (1, 2^L, L)
    reached = torch.zeros(len(x), len(sets), dtype=torch.float64)
    reached[:, 0] = 1.0  # nothing visible
    for t, s in zip(ts, ts[1:]):
        u = float(field.path.unmask(t, s))
        chance = (
            u * (token_chances(field, x, float(t)) if chances is None else chances)[:, :, None]
        )  # (N, 2^L, 1, L)
        factor = torch.where(now, then.double(), torch.where(then, chance, 1 - u))
        reached = torch.einsum("ns,nsr->nr", reached, factor.prod(-1))
    return reached[:, -1]


def any_order_likelihood(field: PathField, x: Tensor, t: float = 0.5) -> Tensor:
    """p(x) where one token appears at a time, in an order drawn at random, summed over all orders.  (N, L) -> (N,)"""
    sets, chances = visible_sets(x.shape[1]), token_chances(field, x, t)
    reached = torch.zeros(len(x), len(sets), dtype=torch.float64)
    reached[:, 0] = 1.0
    for row in range(len(sets) - 1):  # a larger set has a larger number, so each is complete when its turn comes
        free = (~sets[row]).nonzero()[:, 0]
        for place in free.tolist():
            reached[:, row + 2**place] += reached[:, row] * chances[:, row, place] / len(free)
    return reached[:, -1]


def chain_bound(path: MaskPath, chances: Tensor, steps: int) -> Tensor:
    """The ELBO of the T-step chain, −Σ_k w_k E Σ_hidden −log p, its expectation summed over all sets of hidden places.

    chances (N, 2^L, L) as ``token_chances`` gives them, of a model that does not look at the time.  -> (N,)"""
    sets, ts = visible_sets(chances.shape[-1]), torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    surprise = torch.where(sets, 0.0, -chances.log()).sum(-1)  # (N, 2^L)
    alpha, count = path.alpha(ts[:-1])[:, None], sets.sum(1)
    probability = alpha**count * (1 - alpha) ** (sets.shape[1] - count)  # (T, 2^L)
    return -(path.unmask(ts[:-1], ts[1:]) @ probability) @ surprise.T
