"""Laws of latent variable models, by quadrature: what a bound, a posterior and a mutual information are, as plain sums.

``nodes`` (M, d) are midpoints of cells of size ``cell`` that cover a latent space of one or two dimensions (``lattice``).
Nothing here knows a closed form of what it is to be compared with.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..core.distributions import DiagNormal


def lattice(dim: int, half: float = 8.0, points: int = 400) -> tuple[Tensor, float]:
    """Midpoints over [-half, half]^dim and the size of a cell.  -> (points^dim, dim) in float64, number"""
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


def elbo(joint: Tensor, log_q: Tensor, cell: float) -> Tensor:
    """∫ q (log p(x, z) − log q) dz.  (B, M) twice -> (B,)"""
    return kl(log_q, joint, cell).neg()


def kl(log_q: Tensor, log_p: Tensor, cell: float) -> Tensor:
    """∫ q (log q − log p) dz, for rows of log-densities at the nodes.  (..., M) -> (...)"""
    return (log_q.exp() * (log_q - log_p)).sum(-1) * cell


def surgery(log_q: Tensor, log_p: Tensor, cell: float) -> tuple[Tensor, Tensor, Tensor]:
    """(mutual information, marginal KL, mean KL) of posteriors log q_i (N, M) and a prior log p (M,), all by quadrature."""
    log_agg = log_q.logsumexp(0) - math.log(len(log_q))
    return kl(log_q, log_agg, cell).mean(), kl(log_agg, log_p, cell), kl(log_q, log_p, cell).mean()
