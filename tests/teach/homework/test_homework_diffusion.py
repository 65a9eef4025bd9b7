"""The references and solutions of the homework on diffusion, held to oracles of another kind."""

from __future__ import annotations

import math

import pytest
import torch

from dgm_course.teach.homework import exercise

from .answers.diffusion import BANKS


def both(id):
    """The library's answer and the bank's."""
    return pytest.mark.parametrize("answer", [exercise(id).reference, BANKS[id].solution], ids=["library", "bank"])


def column(*values):
    return torch.tensor(values, dtype=torch.float64)[:, None]


@both("diff.vp_kernel")
def test_the_vp_kernel_solves_the_moments_of_its_sde(answer):
    """dx = −½ β x ds + √β dW: mean' = −½ β mean, variance' = β (1 − variance), by small midpoint steps."""
    s, low, high, n = column(0.05, 0.4, 1.0), 0.3, 7.0, 4000
    mean, variance, ds = torch.full_like(s, 1.7), torch.zeros_like(s), s / n
    for k in range(n):
        beta = low + (high - low) * (k + 0.5) * ds
        mean = mean * (1 - beta * ds / 4) / (1 + beta * ds / 4)
        variance = 1 - (1 - variance) * (1 - beta * ds / 2) / (1 + beta * ds / 2)
    came = answer(torch.full_like(s, 1.7), s, low, high)
    assert torch.allclose(came[0], mean, atol=1e-6) and torch.allclose(came[1] ** 2, variance, atol=1e-6)


@both("diff.ve_kernel")
def test_the_ve_kernel_collects_the_noise_of_its_sde(answer):
    """variance = ∫₀ˢ g², g² = dσ²/ds = 2 ln(σ_max/σ_min) σ², by the midpoint rule."""
    s, low, high, n = column(0.0, 0.1, 0.6, 1.0), 0.2, 5.0, 20_000
    places = (torch.arange(n).double() + 0.5) / n * s
    variance = (2 * math.log(high / low) * (low * (high / low) ** places) ** 2).mean(1, keepdim=True) * s
    mean, std = answer(torch.full_like(s, -1.2), s, low, high)
    assert torch.equal(mean, torch.full_like(s, -1.2)) and torch.allclose(std**2, variance, rtol=1e-6, atol=1e-12)


BETAS = torch.tensor([0.05, 0.3, 0.1, 0.2, 0.02, 0.4], dtype=torch.float64)


def joint():
    """Factors of x_0 and covariances of (x_0, ..., x_T) given x_0, from x_k = √(1 − β) x_{k−1} + √β ε, step by step."""
    size = len(BETAS) + 1
    factor, noise = torch.zeros(size, dtype=torch.float64), torch.zeros(size, size, dtype=torch.float64)
    factor[0] = 1
    for k, beta in enumerate(BETAS, start=1):
        factor[k], noise[k] = (1 - beta).sqrt() * factor[k - 1], (1 - beta).sqrt() * noise[k - 1]
        noise[k, k] = beta.sqrt()
    return factor, noise @ noise.T


def conditioned(j, k, x, data):
    """Mean and variance of x_j where x_k = x and x_0 = data, by the rule for joint Gaussians."""
    factor, covariance = joint()
    gain = covariance[j, k] / covariance[k, k]
    return factor[j] * data + gain * (x - factor[k] * data), covariance[j, j] - gain * covariance[j, k]


@both("diff.ddpm_posterior")
def test_the_posterior_of_one_step_by_conditioning_the_whole_chain(answer):
    k = torch.arange(1, len(BETAS) + 1)
    x, data = torch.linspace(-2, 2, len(k)).double()[:, None], torch.linspace(1, -1, len(k)).double()[:, None]
    mean, variance = answer(x, data, k, BETAS)
    for i, step in enumerate(k.tolist()):
        wanted = conditioned(step - 1, step, x[i], data[i])
        assert torch.allclose(mean[i], wanted[0]) and torch.allclose(variance[i], wanted[1], atol=1e-12)


@both("diff.strided_posterior")
def test_the_posterior_of_a_leap_by_conditioning_the_whole_chain(answer):
    bars = joint()[0] ** 2
    x, data = column(1.3), column(-0.4)
    for k in range(1, len(bars)):
        for j in range(k):
            mean, variance = answer(x, data, bars[k].view(1, 1), bars[j].view(1, 1))
            wanted = conditioned(j, k, x[0], data[0])
            assert torch.allclose(mean[0], wanted[0]) and torch.allclose(variance[0], wanted[1], atol=1e-12)


def two_points(x, sigma):
    """∇ log of ½ N(−1, σ²) + ½ N(1, σ²), and the mean of the data behind x."""
    x = x.detach().requires_grad_()
    log_parts = torch.stack([-((x - m) ** 2) / (2 * sigma**2) for m in (-1.0, 1.0)])
    score = torch.autograd.grad(log_parts.logsumexp(0).sum(), x)[0]
    share = log_parts.detach().softmax(0)
    return score, share[1] - share[0]


@both("diff.dsm_loss")
def test_the_loss_is_least_at_the_marginal_score_and_one_there_less_the_score_itself(answer):
    """Data ±1, noise at 4001 quantiles: moving the exact score in any direction costs; its own loss is 1 − σ² E s²."""
    sigma = torch.full((8002, 1), 0.7, dtype=torch.float64)
    quantiles = torch.distributions.Normal(0, 1).icdf((torch.arange(4001).double() + 0.5) / 4001)
    eps, data = quantiles.repeat(2)[:, None], torch.tensor([-1.0, 1.0]).double().repeat_interleave(4001)[:, None]
    exact = lambda x, s: two_points(x, s)[0]
    least = answer(exact, data, eps, sigma).item()
    moved = lambda size, way: answer(lambda x, s: exact(x, s) + size * way(x), data, eps, sigma).item()
    for way in (lambda x: x, torch.sin, torch.ones_like, lambda x: x**2):
        assert min(moved(-0.05, way), moved(0.05, way)) > least
    square = (sigma**2 * exact(data + sigma * eps, sigma) ** 2).mean().item()
    assert least == pytest.approx(1 - square, abs=2e-3)


@both("diff.tweedie")
def test_tweedie_is_the_mean_by_bayes_rule(answer):
    """x = α x̂ + σ ε with x̂ = ±1: in y = x/α the noise is σ/α, and scores by x are scores by y over α."""
    x, alpha, sigma = column(-1.5, 0.2, 0.9), column(0.8, 0.5, 1.3), column(0.6, 0.4, 1.1)
    score, mean = two_points(x / alpha, sigma / alpha)
    assert torch.allclose(answer(score / alpha, x, alpha, sigma), mean)


@both("diff.ancestral_step")
def test_the_ancestral_chain_of_one_data_point_has_the_forward_marginals(answer):
    """x_k ~ N(√abar_k x, 1 − abar_k) goes in, N(√abar_{k−1} x, 1 − abar_{k−1}) comes out, and x itself at the end."""
    bars, data = joint()[0] ** 2, 1.4
    for k in range(len(BETAS), 0, -1):
        mean, spread = bars[k].sqrt() * data, (1 - bars[k]).sqrt()
        x, z = torch.stack([mean, mean + spread, mean])[:, None], column(0.0, 0.0, 1.0)
        came = answer((x - mean) / spread, x, k, BETAS, z)[:, 0]
        variance = (came[1] - came[0]) ** 2 + (came[2] - came[0]) ** 2
        assert torch.allclose(came[0], bars[k - 1].sqrt() * data)
        assert torch.allclose(variance, 1 - bars[k - 1], atol=1e-12)


@both("diff.ddim_step")
def test_ddim_in_many_steps_is_the_flow_between_gaussians(answer):
    """Data N(0, v): marginals N(0, abar v + 1 − abar), and the ODE keeps a particle at the same quantile."""
    v, x = 0.3, column(-1.0, 0.5)
    variance = lambda bar: bar * v + 1 - bar
    grid = torch.linspace(0.02, 0.999, 4001).double()
    start, end = variance(grid[0]).sqrt(), variance(grid[-1]).sqrt()
    y = x * start
    for now, then in zip(grid[:-1], grid[1:]):
        score = -y / variance(now)
        y = answer(-(1 - now).sqrt() * score, y, now.expand(2, 1), then.expand(2, 1))
    assert torch.allclose(y, x * end, rtol=3e-3)


@both("diff.guidance")
def test_guided_scores_belong_to_powers_of_the_two_densities(answer):
    """∇ log (p^(1−w) q^w) by autograd."""
    x = torch.linspace(-2, 2, 9).double()[:, None].requires_grad_()
    log_p, log_q = -(x**2) / 8, -((x - 1) ** 2) / 2 - x**4 / 10
    free, given = (torch.autograd.grad(part.sum(), x, retain_graph=True)[0] for part in (log_p, log_q))
    for weight in (0.0, 1.0, 2.5):
        wanted = torch.autograd.grad(((1 - weight) * log_p + weight * log_q).sum(), x, retain_graph=True)[0]
        assert torch.allclose(answer(free, given, weight), wanted)


@both("diff.langevin_step")
def test_langevin_settles_in_the_density_of_its_score(answer):
    """For N(1, ¼): mean' = A mean + b and variance' = A² variance + c², whose limits must be 1 and ¼ as the step shrinks."""
    for step, tolerance in ((0.01, 0.02), (0.001, 0.002)):
        here, there, moved = answer(lambda x: 4 * (1 - x), column(0.0, 1.0, 0.0), step, column(0.0, 0.0, 1.0))[
            :, 0
        ]
        slope, noise = there - here, moved - here
        assert (here / (1 - slope)).item() == pytest.approx(1)
        assert (noise**2 / (1 - slope**2)).item() == pytest.approx(0.25, rel=2 * tolerance)
