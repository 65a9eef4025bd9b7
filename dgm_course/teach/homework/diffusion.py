"""Homework of notebook 07: score-based models and diffusion.

The slides' clocks: s = 0 data, s = 1 noise; k = 0 data, k = 1 ... T the steps of the chain.  The library's runs
the other way, t = 1 − s.  abar is DDPM's alpha-bar, the square of the library's alpha on such a path.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ...core.ode import euler
from ...paths import VE, VP, GaussianPath, Prediction
from . import Exercise, ObserveSpec
from . import _diffusion_cases as cases
from . import _diffusion_chains as chains
from . import _diffusion_kernels as kernels
from . import _diffusion_samplers as samplers
from . import _diffusion_scores as scores

# --- the library's own answers


def vp_kernel(x: Tensor, s: Tensor, beta_min: float, beta_max: float) -> tuple[Tensor, Tensor]:
    """alpha x and sigma of the library's VP path, at its time 1 − s."""
    path = VP(beta_min, beta_max)
    return path.alpha(1 - s) * x, path.sigma(1 - s)


def ve_kernel(x: Tensor, s: Tensor, sigma_min: float, sigma_max: float) -> tuple[Tensor, Tensor]:
    """alpha x and sigma of the library's VE path, at its time 1 − s."""
    path = VE(sigma_min, sigma_max)
    return path.alpha(1 - s) * x, path.sigma(1 - s)


def _leap(abar_now: Tensor, abar_next: Tensor) -> tuple[GaussianPath, Tensor, Tensor]:
    """A path that stands at the one alpha-bar at its time 0 and at the other at 1; and these two times, (B,)."""
    bar = lambda t: torch.where(t < 0.5, abar_now, abar_next)
    now = torch.zeros_like(abar_now[:, 0])
    return GaussianPath(lambda t: bar(t).sqrt(), lambda t: (1 - bar(t)).sqrt()), now, now + 1


def strided_posterior(x: Tensor, x_data: Tensor, abar_now: Tensor, abar_next: Tensor) -> tuple[Tensor, Tensor]:
    """The mean of the library's step with the posterior's own share of fresh noise, and the square of that share."""
    path, now, then = _leap(abar_now, abar_next)
    return _posterior(path, path.predict(x, now, data=x_data), then)


def _posterior(path: GaussianPath, endpoints: Prediction, then: Tensor) -> tuple[Tensor, Tensor]:
    """alpha x̂1 + √(sigma² − κ²) x̂0 and κ²: what ``GaussianPath.step`` draws from, at κ = ``posterior_std``."""
    alpha, sigma, _, _ = path.at(then, endpoints.x1)
    variance = path.posterior_std(endpoints, then) ** 2
    return alpha * endpoints.x1 + (sigma**2 - variance).clamp(min=0).sqrt() * endpoints.x0, variance


def _bars(betas: Tensor) -> Tensor:
    """abar_0 ... abar_T = the products of 1 − beta.  (T + 1,)"""
    return torch.cat([torch.ones_like(betas[:1]), (1 - betas).cumprod(0)])


def ddpm_posterior(xk: Tensor, x_data: Tensor, k: Tensor, betas: Tensor) -> tuple[Tensor, Tensor]:
    """The leap from k to k − 1, by its two alpha-bars alone."""
    return strided_posterior(xk, x_data, _bars(betas)[k][:, None], _bars(betas)[k - 1][:, None])


def dsm_loss(score_net: Callable, x_data: Tensor, eps: Tensor, sigma: Tensor) -> Tensor:
    """Weighted regression on the score of the pair (x_data, eps) on a path with alpha = 1."""
    one, zero = torch.ones_like(sigma), torch.zeros_like(sigma)
    endpoints = Prediction(x_data, eps, (one, sigma, zero, zero))
    return (sigma**2 * (score_net(x_data + sigma * eps, sigma) - endpoints.score) ** 2).mean()


def tweedie(score: Tensor, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """The data of the pair with this score, on a path whose scales do not move."""
    return GaussianPath(lambda t: alpha, lambda t: sigma).predict(x, torch.zeros_like(alpha[:, 0]), score=score).data


def ancestral_step(eps_hat: Tensor, xk: Tensor, k: int, betas: Tensor, z: Tensor) -> Tensor:
    """A draw from the posterior of the pair that the predicted noise names."""
    bars = _bars(betas).expand(len(xk), -1)
    path, now, then = _leap(bars[:, k, None], bars[:, k - 1, None])
    mean, variance = _posterior(path, path.predict(xk, now, noise=eps_hat), then)
    return mean + variance.sqrt() * z


def ddim_step(eps_hat: Tensor, x: Tensor, abar_now: Tensor, abar_next: Tensor) -> Tensor:
    """The library's step without fresh noise."""
    path, now, then = _leap(abar_now, abar_next)
    return path.step(path.predict(x, now, noise=eps_hat), then)


def guidance(free: Tensor, given: Tensor, weight: float) -> Tensor:
    """On the line through both predictions, at the weight."""
    return torch.lerp(free, given, weight)


def langevin_step(score: Callable, x: Tensor, step: float, z: Tensor) -> Tensor:
    """Euler-Maruyama for dx = ∇ log p dτ + √2 dW over the time `step`."""
    drifted = euler(lambda y, t: score(y), x, torch.tensor(0.0), step)
    return drifted + 2**0.5 * step**0.5 * z


POSTERIOR = ObserveSpec(outputs=("mean", "variance"))
KERNEL = ObserveSpec(outputs=("mean", "std"))

EXERCISES = (
    Exercise(
        "diff.vp_kernel",
        "7.1",
        "the variance-preserving kernel",
        "mean and standard deviation, at the slides' time s, of the variance-preserving process that started at x",
        cases.vp_kernels,
        vp_kernel,
        kernels.VP_KERNEL,
        1,
        "∫₀ˢ β = β_min s + (β_max − β_min) s²/2. With α = exp(−½ ∫₀ˢ β) the mean is α x and the variance 1 − α².",
        KERNEL,
    ),
    Exercise(
        "diff.ve_kernel",
        "7.2",
        "the variance-exploding kernel",
        "mean and standard deviation, at the slides' time s, of the variance-exploding process that started at x",
        cases.ve_kernels,
        ve_kernel,
        kernels.VE_KERNEL,
        1,
        "σ(s) = σ_min (σ_max/σ_min)ˢ. The data stay, and the variance that came in since s = 0 is σ(s)² − σ(0)².",
        KERNEL,
    ),
    Exercise(
        "diff.ddpm_posterior",
        "7.3",
        "the posterior of one step",
        "mean and variance of the chain one step before k, where the point at step k and the data are known",
        cases.posteriors,
        ddpm_posterior,
        chains.CHAIN,
        2,
        "Put 1 in front of the products of 1 − β: then entry k is ᾱ_k for k = 0 … T, while β_k is entry k − 1. The mean is "
        "(√ᾱ_{k−1} β_k x_data + √(1 − β_k) (1 − ᾱ_{k−1}) x_k) / (1 − ᾱ_k), the variance β_k (1 − ᾱ_{k−1})/(1 − ᾱ_k).",
        POSTERIOR,
    ),
    Exercise(
        "diff.dsm_loss",
        "7.4",
        "denoising score matching",
        "the mean, over batch and coordinates, of the squared error between the network's score at the noisy point "
        "and the score of the noise kernel there, weighted with the variance of the noise",
        cases.losses,
        dsm_loss,
        scores.DSM,
        2,
        "The noisy point is x_data + σ eps, and the score of its kernel there is −eps/σ. With the weight σ² inside the "
        "square, σ times the network's answer is compared with −eps.",
        ObserveSpec(outputs=("loss",), gradient=("score_net",), tensors=True),
    ),
    Exercise(
        "diff.tweedie",
        "7.5",
        "Tweedie's formula",
        "the mean of the data that could stand behind x, from the score at x and the scales of data and noise",
        cases.denoisings,
        tweedie,
        kernels.TWEEDIE,
        1,
        "x = α x̂ + σ ε̂ with the score −ε̂/σ: so the mean noise is −σ score, and what is left of x is α x̂.",
    ),
    Exercise(
        "diff.ancestral_step",
        "7.6",
        "one step of DDPM's sampler",
        "the point one step nearer to the data, from the predicted noise and a given fresh one, which comes in with the "
        "posterior's variance",
        cases.ancestral_steps,
        ancestral_step,
        samplers.ANCESTRAL,
        2,
        "x_{k−1} = (x_k − β_k/√(1 − ᾱ_k) eps_hat)/√(1 − β_k) + √β̃_k z, where β̃_k = β_k (1 − ᾱ_{k−1})/(1 − ᾱ_k) and "
        "ᾱ_0 = 1, so that β̃_1 = 0.",
    ),
    Exercise(
        "diff.ddim_step",
        "7.7",
        "one step of DDIM",
        "the point at the next noise level, nearer to the data, from the predicted noise and without any fresh one",
        cases.leaps("eps_hat", "x"),
        ddim_step,
        samplers.DDIM,
        1,
        "The guess of the data is x̂ = (x − √(1 − ᾱ_now) eps_hat)/√ᾱ_now; the next point is √ᾱ_next x̂ + √(1 − ᾱ_next) "
        "eps_hat.",
    ),
    Exercise(
        "diff.strided_posterior",
        "7.8",
        "the posterior of a leap",
        "mean and variance of the chain at any earlier step, where the point now and the data are known, from the two "
        "alpha-bars alone",
        cases.leaps("x", "x_data"),
        strided_posterior,
        chains.LEAP,
        2,
        "Many small steps of the chain are one large one, of β = 1 − ᾱ_now/ᾱ_next. With it the formula of one step holds, "
        "ᾱ_next in the place of ᾱ_{k−1}.",
        POSTERIOR,
    ),
    Exercise(
        "diff.guidance",
        "7.9",
        "classifier-free guidance",
        "the guided prediction: on the line from the free prediction at weight 0 through the conditional one at weight 1",
        cases.guidances,
        guidance,
        scores.GUIDANCE,
        1,
        "Start from the free prediction and go `weight` times the difference to the given one.",
    ),
    Exercise(
        "diff.langevin_step",
        "7.10",
        "one step of Langevin dynamics",
        "the next point of a Langevin chain whose step is the factor of the score, for a given standard normal noise",
        cases.langevin_steps,
        langevin_step,
        scores.LANGEVIN,
        1,
        "x + step · score(x) + √(2 step) z: the variance of the noise is twice the step.",
    ),
)
