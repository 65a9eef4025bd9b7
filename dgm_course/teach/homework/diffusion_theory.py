"""Homework of notebook 07, theory: four identities of the lecture, each written as a function and checked by numbers.

The slides' clocks, as in `diffusion`: s = 0 data, s = 1 noise.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ...core.ode import divergence, euler
from . import Exercise, ObserveSpec
from . import _diffusion_theory_cases as cases
from . import _diffusion_theory_slips as slips

# --- the library's own answers


def forward_covariance(cov: Tensor, abar: Tensor) -> Tensor:
    """The law of total variance, from a square root L of the data's covariance: x = √ᾱ L u + √(1 − ᾱ) v."""
    noise = torch.eye(cov.shape[-1], dtype=cov.dtype, device=cov.device)
    root = torch.cat([abar.sqrt() * torch.linalg.cholesky(cov), ((1 - abar).sqrt() * noise).expand_as(cov)], -1)
    return root @ root.mT


def implicit_score_matching(score_net: Callable, x: Tensor) -> Tensor:
    """Hyvärinen's objective, with the library's divergence."""
    trace = divergence(lambda y, t: score_net(y), x, torch.zeros((), dtype=x.dtype, device=x.device))
    return (trace + score_net(x).square().sum(1) / 2).mean()


def kfp_residual(p: Callable, f: Callable, g: Callable, x: Tensor, s: Tensor) -> Tensor:
    """∂p/∂s plus the divergence of the flux f p − ½ g² ∂p/∂x."""
    def flux(y: Tensor, at: Tensor) -> Tensor:
        density = p(y[:, 0], at)
        (slope,) = torch.autograd.grad(density.sum(), y, create_graph=True)
        return (f(y[:, 0], at) * density - g(at) ** 2 / 2 * slope[:, 0])[:, None]

    at = s.detach().clone().requires_grad_()
    with torch.enable_grad():
        (rate,) = torch.autograd.grad(p(x, at).sum(), at)
    return (rate + divergence(flux, x[:, None], s)).detach()


def reverse_sde_step(score: Callable, x: Tensor, beta: float, z: Tensor) -> Tensor:
    """Euler-Maruyama for the reverse of dx = −½ x dτ + dW, over a stretch of β."""
    back = euler(lambda y, t: y / 2 + score(y), x, torch.tensor(0.0), beta)
    return back + beta**0.5 * z


EXERCISES = (
    Exercise(
        "diff.forward_covariance",
        "7.11",
        "the covariance on the way to noise",
        "the covariance of the chain's points where the data have the covariance cov, for each alpha-bar",
        cases.covariances,
        forward_covariance,
        slips.COVARIANCE,
        1,
        "x_k = √ᾱ x_data + √(1 − ᾱ) ε with ε independent of the data: covariances of independent parts add, and where the "
        "vector has a factor its covariance has the square of it.",
    ),
    Exercise(
        "diff.implicit_score_matching",
        "7.12",
        "implicit score matching",
        "the mean over the batch of the trace of the network's Jacobian and half of its squared length",
        cases.networks,
        implicit_score_matching,
        slips.IMPLICIT,
        2,
        "The trace is Σ_i ∂s_i/∂x_i: one call of torch.autograd.grad for each coordinate, on s[:, i].sum(), of which entry "
        "i is kept. With create_graph=True the network can learn from it.",
        ObserveSpec(outputs=("loss",), gradient=("score_net",), tensors=True),
        gradient_mistakes=slips.IMPLICIT_CUTS,
    ),
    Exercise(
        "diff.kfp_residual",
        "7.13",
        "the Kolmogorov-Fokker-Planck equation",
        "by how much the rate of change of the density differs from what drift and diffusion make of it, at each point of "
        "the line",
        cases.densities,
        kfp_residual,
        slips.KFP,
        2,
        "∂p/∂s + ∂(f p)/∂x − ½ g² ∂²p/∂x². Each derivative by torch.autograd.grad of a sum, with create_graph=True where "
        "another one follows; f and p stand under the derivative together.",
    ),
    Exercise(
        "diff.reverse_sde_step",
        "7.14",
        "DDPM's step is a step of the reverse SDE",
        "the point one Euler-Maruyama step back in time, for the variance-preserving SDE over a stretch of beta and a given "
        "standard normal noise",
        cases.steps_back,
        reverse_sde_step,
        slips.STEP_BACK,
        1,
        "Forward dx = −½ β x ds + √β dw; back the drift is f − g² score, gone through with the sign turned: "
        "x + (½ x + score(x)) β + √β z.",
    ),
)
