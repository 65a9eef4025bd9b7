"""Answers to the homework on diffusion, right and wrong."""

from __future__ import annotations

import math

import numpy as np
import torch

from dgm_course.core.ode import langevin
from dgm_course.paths import VE, VP

from . import Bank

# --- 7.1 the variance-preserving kernel


def vp_kernel(x, s, beta_min, beta_max):
    area = beta_min * s + (beta_max - beta_min) * s**2 / 2
    return torch.exp(-area / 2) * x, torch.sqrt(1 - torch.exp(-area))


def vp_kernel_stub(x, s, beta_min, beta_max):
    """q(x(s) | x(0) = x) = N(mean, std² I).   x (B, D), s (B, 1)  ->  (B, D), (B, 1)"""
    ...


def vp_by_quadrature(x, s, beta_min, beta_max):
    grid = torch.linspace(0, 1, 101).to(s) * s
    alpha = torch.exp(-0.5 * torch.trapezoid(beta_min + (beta_max - beta_min) * grid, grid, dim=1))[:, None]
    return alpha * x, (1 - alpha**2).sqrt()


def vp_by_loop(x, s, beta_min, beta_max):
    mean, std = torch.empty_like(x), torch.empty_like(s)
    for i in range(len(x)):
        time = float(s[i])
        alpha = math.exp(-0.25 * time**2 * (beta_max - beta_min) - 0.5 * time * beta_min)
        mean[i], std[i] = alpha * x[i], math.sqrt(1 - alpha**2)
    return mean, std


def vp_by_expm1(x, s, beta_min, beta_max):
    average = beta_min + (beta_max - beta_min) * s / 2
    return [x / torch.exp(average * s).sqrt(), (-torch.expm1(-average * s)).sqrt()]


def vp_of_library(x, s, beta_min, beta_max):
    alpha, sigma, _, _ = VP(beta_min, beta_max).at(1 - s[:, 0], x)
    return alpha * x, sigma


def vp_drawn(x, s, beta_min, beta_max):
    mean, std = vp_kernel(x, s, beta_min, beta_max)
    return mean + std * torch.randn_like(x), std


def vp_by_small_steps(x, s, beta_min, beta_max):
    """Many steps of the chain x ← √(1 − β ds) x + √(β ds) ε, in mean and variance: right to a few percent only."""
    mean, variance, ds = x, torch.zeros_like(s), s / 100
    for k in range(100):
        beta = (beta_min + (beta_max - beta_min) * k * ds) * ds
        mean, variance = (1 - beta).sqrt() * mean, (1 - beta) * variance + beta
    return mean, variance.sqrt()


def _vp(
    area=lambda s, a, b: a * s + (b - a) * s**2 / 2,
    mean=lambda a: (-a / 2).exp(),
    std=lambda a: (1 - (-a).exp()).sqrt(),
):
    def kernel(x, s, beta_min, beta_max):
        integral = area(s, beta_min, beta_max)
        return mean(integral) * x, std(integral)

    return kernel


# --- 7.2 the variance-exploding kernel


def ve_kernel(x, s, sigma_min, sigma_max):
    sigma = sigma_min * (sigma_max / sigma_min) ** s
    return x, torch.sqrt(sigma**2 - sigma_min**2)


def ve_kernel_stub(x, s, sigma_min, sigma_max):
    sigma = ...
    return x, sigma**2


def ve_by_logarithms(x, s, sigma_min, sigma_max):
    sigma = torch.exp((1 - s) * math.log(sigma_min) + s * math.log(sigma_max))
    return x.clone(), ((sigma - sigma_min) * (sigma + sigma_min)).sqrt()


def ve_by_expm1(x, s, sigma_min, sigma_max):
    return x, sigma_min * torch.expm1(2 * s * math.log(sigma_max / sigma_min)).sqrt()


def ve_by_rows(x, s, sigma_min, sigma_max):
    times = [float(time) for time in s]
    std = [[math.sqrt((sigma_min * (sigma_max / sigma_min) ** t) ** 2 - sigma_min**2)] for t in times]
    return x, torch.tensor(std, dtype=x.dtype)


def ve_in_numpy(x, s, sigma_min, sigma_max):
    levels = np.geomspace(sigma_min, sigma_max, 3)[0] * np.power(sigma_max / sigma_min, s.numpy())
    return x.numpy(), np.sqrt(levels**2 - sigma_min**2)


def ve_of_library(x, s, sigma_min, sigma_max):
    return x, VE(sigma_min, sigma_max).sigma(1 - s)


def _ve(level=lambda s, a, b: a * (b / a) ** s, std=lambda now, a: (now**2 - a**2).sqrt()):
    return lambda x, s, sigma_min, sigma_max: (x, std(level(s, sigma_min, sigma_max), sigma_min))


# --- 7.3 the posterior of one step


def ddpm_posterior(xk, x_data, k, betas):
    abar = torch.cat([torch.ones_like(betas[:1]), (1 - betas).cumprod(0)])
    beta, now, before = betas[k - 1][:, None], abar[k][:, None], abar[k - 1][:, None]
    mean = (before.sqrt() * beta * x_data + (1 - beta).sqrt() * (1 - before) * xk) / (1 - now)
    return mean, beta * (1 - before) / (1 - now)


def ddpm_posterior_stub(xk, x_data, k, betas):
    raise NotImplementedError


def posterior_by_precision(xk, x_data, k, betas):
    """Two Gaussians multiplied: precisions add; the prior of variance 0 at k = 1 through its gain."""
    abar = torch.cat([torch.ones(1).to(betas), (1 - betas).cumprod(0)])
    beta, before = betas[k - 1, None], abar[k - 1, None]
    prior, spread, a = before.sqrt() * x_data, 1 - before, (1 - beta).sqrt()
    gain = spread * a / (a**2 * spread + beta)
    return prior + gain * (xk - a * prior), (1 - gain * a) * spread


def posterior_by_loop(xk, x_data, k, betas):
    means, variances = [], []
    for x, data, step in zip(xk, x_data, k.tolist(), strict=True):
        bar = 1.0
        for j in range(step - 1):
            bar = bar * float(1 - betas[j])
        beta = float(betas[step - 1])
        now = bar * (1 - beta)
        means.append(math.sqrt(bar) * beta / (1 - now) * data + math.sqrt(1 - beta) * (1 - bar) / (1 - now) * x)
        variances.append([beta * (1 - bar) / (1 - now)])
    return torch.stack(means), torch.tensor(variances).to(xk)


def posterior_by_matrices(xk, x_data, k, betas):
    """Covariances of the chain: Cov(x_{k−1}, x_k) = √(1 − β) Var(x_{k−1}), then the usual conditioning."""
    abar = torch.nn.functional.pad((1 - betas).cumprod(0), (1, 0), value=1.0)
    now, before = abar[k].unsqueeze(1), abar[k - 1].unsqueeze(1)
    share = (now / before).sqrt() * (1 - before) / (1 - now)
    mean = before.sqrt() * x_data + share * (xk - now.sqrt() * x_data)
    return mean, (1 - before) - share**2 * (1 - now)


def posterior_through_noise(xk, x_data, k, betas):
    """DDPM's way to say the mean: by the noise that leads from the data to x_k."""
    alphas = 1 - betas
    abar, beta = alphas.cumprod(0)[k - 1][:, None], betas[k - 1][:, None]
    noise = (xk - abar.sqrt() * x_data) / (1 - abar).sqrt()
    mean = (xk - beta / (1 - abar).sqrt() * noise) / (1 - beta).sqrt()
    return mean, (1 - abar / (1 - beta)) / (1 - abar) * beta


def posterior_by_vmap(xk, x_data, k, betas):
    """The formula for one sample, spread over the batch."""
    log_bars = torch.nn.functional.pad(torch.log1p(-betas).cumsum(0), (1, 0))

    def one(x, data, k):
        now, before, beta = log_bars.take(k).exp(), log_bars.take(k - 1).exp(), betas.take(k - 1)
        share = (1 - before) / (1 - now)
        return before.sqrt() * beta / (1 - now) * data + (1 - beta).sqrt() * share * x, share * beta[None]

    return torch.func.vmap(one)(xk, x_data, k)


def posterior_from_first(xk, x_data, k, betas):
    """alpha-bars from the first on, and its first entry once more at k = 1."""
    bars = (1 - betas).cumprod(0)
    beta, now, before = betas[k - 1][:, None], bars[k - 1][:, None], bars[(k - 2).clamp(min=0)][:, None]
    mean = (before.sqrt() * beta * x_data + (1 - beta).sqrt() * (1 - before) * xk) / (1 - now)
    return mean, beta * (1 - before) / (1 - now)


def posterior_in_double(xk, x_data, k, betas):
    return ddpm_posterior(xk.double(), x_data.double(), k, betas.double())


def posterior_on_cpu(xk, x_data, k, betas):
    bars = [1.0]
    for beta in betas.tolist():
        bars.append(bars[-1] * (1 - beta))
    bars, betas = torch.tensor(bars), torch.tensor([0.0, *betas.tolist()])
    beta, now, before = (v.to(xk)[:, None] for v in (betas[k], bars[k], bars[k - 1]))
    mean = before.sqrt() * beta / (1 - now) * x_data + (1 - beta).sqrt() * (1 - before) / (1 - now) * xk
    return mean, beta * (1 - before) / (1 - now)


def posterior_of_thousand(xk, x_data, k, betas):
    return ddpm_posterior(xk, x_data, k, torch.linspace(1e-4, 0.02, 1000).to(betas))


def posterior_sorted(xk, x_data, k, betas):
    return ddpm_posterior(xk, x_data, k, betas.sort().values)


def posterior_clipped(xk, x_data, k, betas):
    mean, variance = ddpm_posterior(xk, x_data, k, betas)
    return mean, variance.clamp(min=1e-3)


def posterior_from_second(xk, x_data, k, betas):
    """The variance of k = 1 replaced by that of k = 2."""
    mean = ddpm_posterior(xk, x_data, k, betas)[0]
    return mean, ddpm_posterior(xk, x_data, k.clamp(min=2), betas)[1]


def posterior_with_epsilon(xk, x_data, k, betas):
    abar = torch.cat([torch.ones_like(betas[:1]), (1 - betas).cumprod(0)])
    beta, now, before = betas[k - 1][:, None], abar[k][:, None], abar[k - 1][:, None]
    mean = (before.sqrt() * beta * x_data + (1 - beta).sqrt() * (1 - before) * xk) / (1 - now + 1e-3)
    return mean, beta * (1 - before) / (1 - now + 1e-3)


def _posterior(mean=None, variance=None):
    """The posterior with another mean or variance, in (x, data, beta, now, before)."""

    def answer(xk, x_data, k, betas):
        bars = torch.cat([torch.ones_like(betas[:1]), (1 - betas).cumprod(0)])
        found = betas[k - 1][:, None], bars[k][:, None], bars[k - 1][:, None]
        right = ddpm_posterior(xk, x_data, k, betas)
        return mean(xk, x_data, *found) if mean else right[0], variance(*found) if variance else right[1]

    return answer


# --- 7.4 denoising score matching


def dsm_loss(score_net, x_data, eps, sigma):
    noisy = x_data + sigma * eps
    return ((sigma * score_net(noisy, sigma) + eps) ** 2).mean()


def dsm_loss_stub(score_net, x_data, eps, sigma):
    """mean ‖σ s(x + σ ε, σ) + ε‖²"""


def dsm_weighted(score_net, x_data, eps, sigma):
    noisy = x_data + sigma * eps
    return (sigma**2 * (score_net(noisy, sigma) + eps / sigma) ** 2).mean()


def dsm_through_kernel(score_net, x_data, eps, sigma):
    """The kernel's score by its formula −(noisy − x_data)/sigma², and a result of shape (1,)."""
    noisy = x_data + sigma * eps
    target = -(noisy - x_data) / sigma**2
    return ((score_net(noisy, sigma[:, 0]) - target) * sigma).square().mean().reshape(1)


def dsm_by_autograd(score_net, x_data, eps, sigma):
    """The kernel's score as the gradient of its log-density."""
    noisy = (x_data + sigma * eps).detach().requires_grad_()
    log_density = -((noisy - x_data) ** 2 / (2 * sigma**2)).sum()
    target = torch.autograd.grad(log_density, noisy)[0]
    return (sigma**2 * (score_net(noisy.detach(), sigma) - target) ** 2).mean()


def dsm_by_loop(score_net, x_data, eps, sigma):
    total = 0
    for i in range(len(x_data)):
        one = slice(i, i + 1)
        found = score_net(x_data[one] + sigma[i] * eps[one], sigma[one])
        total = total + ((sigma[i] * found + eps[one]) ** 2).sum() / x_data.numel()
    return total


def dsm_multiplied_out(score_net, x_data, eps, sigma):
    """Explicit in its three terms; the last knows nothing of the network."""
    score = score_net(x_data + sigma * eps, sigma)
    return (sigma**2 * score**2).mean() + 2 * (sigma * eps * score).mean() + (eps**2).mean()


def dsm_by_mse(score_net, x_data, eps, sigma):
    return torch.nn.functional.mse_loss(sigma * score_net(torch.addcmul(x_data, sigma, eps), sigma), -eps)


def dsm_in_double(score_net, x_data, eps, sigma):
    return (sigma * score_net(x_data + sigma * eps, sigma) + eps).pow(2).double().mean()


def dsm_own_noise(score_net, x_data, eps, sigma):
    return dsm_loss(score_net, x_data, torch.randn_like(x_data), sigma)


def dsm_own_levels(score_net, x_data, eps, sigma):
    return dsm_loss(score_net, x_data, eps, torch.rand_like(sigma) + 0.1)


def dsm_one_level(score_net, x_data, eps, sigma):
    return dsm_loss(score_net, x_data, eps, sigma.mean().expand_as(sigma))


def dsm_squeezed(score_net, x_data, eps, sigma):
    return ((sigma * score_net(x_data + sigma * eps, sigma).squeeze() + eps) ** 2).mean()


def dsm_of_table(score_net, x_data, eps, sigma):
    sigma = sigma[:, 0]
    return ((sigma * score_net(x_data + sigma * eps, sigma) + eps) ** 2).mean()


def dsm_backward(score_net, x_data, eps, sigma):
    loss = dsm_loss(score_net, x_data, eps, sigma)
    loss.backward()
    return loss


def dsm_half_detached(score_net, x_data, eps, sigma):
    error = sigma * score_net(x_data + sigma * eps, sigma) + eps
    return (error * error.detach()).mean()


def dsm_without_gradient(score_net, x_data, eps, sigma):
    with torch.no_grad():
        found = score_net(x_data + sigma * eps, sigma)
    return ((sigma * found + eps) ** 2).mean()


def _dsm(error, noisy=lambda x, eps, sigma: x + sigma * eps, weight=lambda sigma: sigma):
    return lambda net, x, eps, sigma: (error(net(noisy(x, eps, sigma), weight(sigma)), eps, sigma) ** 2).mean()


def _reduced(reduce):
    return lambda net, x, eps, sigma: reduce(sigma * net(x + sigma * eps, sigma) + eps)


def _compared(score, eps, sigma):
    return sigma * score + eps


# --- 7.5 Tweedie


def tweedie(score, x, alpha, sigma):
    return (x + sigma**2 * score) / alpha


def tweedie_stub(score, x, alpha, sigma):
    return ...


def tweedie_through_noise(score, x, alpha, sigma):
    noise = -sigma * score
    return (x - sigma * noise) / alpha


def tweedie_by_loop(score, x, alpha, sigma):
    rows = [(x[i] + sigma[i] * sigma[i] * score[i]).mul(1 / alpha[i]) for i in range(len(x))]
    return torch.stack(rows)


def tweedie_in_double(score, x, alpha, sigma):
    return x.double() / alpha.double() + score.double() / (alpha.double() / sigma.double() ** 2)


def tweedie_by_solving(score, x, alpha, sigma):
    """α x̂ + σ ε̂ = x and −ε̂/σ = score, as two linear equations for each row."""
    zero = torch.zeros_like(alpha)
    rows = torch.stack([torch.cat([alpha, sigma], 1), torch.cat([zero, -1 / sigma], 1)], 1)
    return torch.linalg.solve(rows, torch.stack([x, score], 1))[:, 0]


def tweedie_in_numpy(score, x, alpha, sigma):
    score, x, alpha, sigma = (v.numpy() for v in (score, x, alpha, sigma))
    return (x + np.square(sigma) * score) / alpha


def tweedie_of_known_paths(score, x, alpha, sigma):
    """sigma guessed from alpha: 1 − alpha where that fits, else √(1 − alpha²); VE by its alpha = 1."""
    if (alpha == 1).all():
        return x + sigma**2 * score
    conical = torch.allclose(alpha + sigma, torch.ones_like(alpha), atol=1e-5)
    return (x + ((1 - alpha) ** 2 if conical else 1 - alpha**2) * score) / alpha


# --- 7.6 DDPM's step


def ancestral_step(eps_hat, xk, k, betas, z):
    abar = torch.cat([torch.ones_like(betas[:1]), (1 - betas).cumprod(0)])
    beta, now, before = betas[k - 1], abar[k], abar[k - 1]
    mean = (xk - beta / (1 - now).sqrt() * eps_hat) / (1 - beta).sqrt()
    return mean + (beta * (1 - before) / (1 - now)).sqrt() * z


def ancestral_step_stub(eps_hat, xk, k, betas, z):
    # your code here
    pass


def ancestral_through_data(eps_hat, xk, k, betas, z):
    """The data guessed first, then the posterior of one step."""
    bars = (1 - betas).cumprod(0)
    now = bars[k - 1]
    data = (xk - (1 - now).sqrt() * eps_hat) / now.sqrt()
    steps = torch.full((len(xk),), k)
    mean, variance = ddpm_posterior(xk, data, steps, betas)
    return mean + variance.sqrt() * z


def ancestral_by_cases(eps_hat, xk, k, betas, z):
    alphas = 1 - betas
    now = alphas[:k].prod()
    mean = (xk - betas[k - 1] * eps_hat / torch.sqrt(1 - now)) / torch.sqrt(alphas[k - 1])
    if k == 1:
        return mean
    return mean + torch.sqrt(betas[k - 1] * (1 - alphas[: k - 1].prod()) / (1 - now)) * z


def ancestral_as_leap(eps_hat, xk, k, betas, z):
    """DDIM's step with as much fresh noise as the posterior has."""
    now, before = (1 - betas[:k]).prod(), (1 - betas[: k - 1]).prod()
    fresh = (1 - before) / (1 - now) * (1 - now / before)
    data = (xk - (1 - now).sqrt() * eps_hat) / now.sqrt()
    return before.sqrt() * data + (1 - before - fresh).sqrt() * eps_hat + fresh.sqrt() * z


def ancestral_in_numbers(eps_hat, xk, k, betas, z):
    """Plain Python numbers, and rows one by one."""
    bars = [1.0]
    for beta in betas.tolist():
        bars.append(bars[-1] * (1 - beta))
    beta = float(betas[k - 1])
    a, b, c = (
        1 / math.sqrt(1 - beta),
        beta / math.sqrt(1 - bars[k]),
        math.sqrt(beta * (1 - bars[k - 1]) / (1 - bars[k])),
    )
    return torch.stack([a * (x - b * e) + c * n for x, e, n in zip(xk, eps_hat, z, strict=True)])


def ancestral_in_double(*args):
    return ancestral_step(*(v.double() if isinstance(v, torch.Tensor) else v for v in args))


def ancestral_through_score(eps_hat, xk, k, betas, z):
    """One step of the reversed chain, x + β·score and the shrinking undone, for the score −eps/√(1 − abar)."""
    abar = (1 - betas).cumprod(0)
    score = -eps_hat / (1 - abar[k - 1]) ** 0.5
    before = abar[k - 1] / (1 - betas[k - 1])
    tilde = betas[k - 1] * (1 - before).clamp(min=0) / (1 - abar[k - 1])
    return (1 - betas[k - 1]) ** -0.5 * (xk + betas[k - 1] * score) + tilde**0.5 * z


def ancestral_own_noise(eps_hat, xk, k, betas, z):
    return ancestral_step(eps_hat, xk, k, betas, torch.randn_like(xk))


def ancestral_noisy_end(eps_hat, xk, k, betas, z):
    """At k = 1 the noise of k = 2 comes in."""
    mean = ancestral_step(eps_hat, xk, k, betas, 0 * z)
    return mean + ancestral_step(0 * xk, 0 * xk, max(k, 2), betas, z)


def ancestral_in_place(eps_hat, xk, k, betas, z):
    found = ancestral_step(eps_hat, xk, k, betas, z)
    xk.copy_(found)
    return xk


def ancestral_of_thousand(eps_hat, xk, k, betas, z):
    return ancestral_step(eps_hat, xk, k, torch.linspace(1e-4, 0.02, 1000).to(betas), z)


def ancestral_clipped(eps_hat, xk, k, betas, z):
    """The guess of the data cut to [−1, 1], as for pixels."""
    now = (1 - betas[:k]).prod()
    data = ((xk - (1 - now).sqrt() * eps_hat) / now.sqrt()).clamp(-1, 1)
    mean, variance = ddpm_posterior(xk, data, torch.full((len(xk),), k), betas)
    return mean + variance.sqrt() * z


# --- 7.7 DDIM's step


def ddim_step(eps_hat, x, abar_now, abar_next):
    data = (x - (1 - abar_now).sqrt() * eps_hat) / abar_now.sqrt()
    return abar_next.sqrt() * data + (1 - abar_next).sqrt() * eps_hat


def ddim_step_stub(eps_hat, x, abar_now, abar_next):
    data = ...
    return abar_next.sqrt() * data


def ddim_in_one_line(eps_hat, x, abar_now, abar_next):
    ratio = (abar_next / abar_now).sqrt()
    return ratio * x + ((1 - abar_next).sqrt() - ratio * (1 - abar_now).sqrt()) * eps_hat


def ddim_by_euler(eps_hat, x, abar_now, abar_next):
    """In x/√abar the step is Euler's, with √((1 − abar)/abar) for the time."""
    clock = [((1 - bar) / bar) ** 0.5 for bar in (abar_now, abar_next)]
    return abar_next**0.5 * (x * abar_now**-0.5 + (clock[1] - clock[0]) * eps_hat)


def ddim_by_angles(eps_hat, x, abar_now, abar_next):
    """√abar = cos φ: x turns in the plane of data and noise."""
    now, then = torch.acos(abar_now.sqrt()), torch.acos(abar_next.sqrt())
    return torch.cos(then) / torch.cos(now) * x + torch.sin(now - then) / -torch.cos(now) * eps_hat


def ddim_through_score(eps_hat, x, abar_now, abar_next):
    sigma, score = (1 - abar_now).sqrt(), -eps_hat / (1 - abar_now).sqrt()
    data = (x + sigma**2 * score) / abar_now.sqrt()
    noise = (x - abar_now.sqrt() * data) / sigma
    return abar_next.sqrt() * data + (1 - abar_next).sqrt() * noise


def ddim_by_rows(eps_hat, x, abar_now, abar_next):
    out = torch.zeros_like(x)
    for i, (now, then) in enumerate(zip(abar_now.flatten().tolist(), abar_next.flatten().tolist(), strict=True)):
        out[i] = (then / now) ** 0.5 * (x[i] - (1 - now) ** 0.5 * eps_hat[i]) + (1 - then) ** 0.5 * eps_hat[i]
    return out


def ddim_in_double(*args):
    return ddim_step(*(v.double() for v in args))


def ddim_with_noise(eps_hat, x, abar_now, abar_next):
    return ddim_step(eps_hat, x, abar_now, abar_next) + 0.1 * torch.randn_like(x)


def ddim_clamped(eps_hat, x, abar_now, abar_next):
    return ddim_step(eps_hat, x, abar_now, abar_next.clamp(max=0.999))


def ddim_transposed_scales(eps_hat, x, abar_now, abar_next):
    return ddim_step(eps_hat, x, abar_now[:, 0], abar_next[:, 0])


# --- 7.8 the posterior of a leap


def strided_posterior(x, x_data, abar_now, abar_next):
    beta = 1 - abar_now / abar_next
    mean = (abar_next.sqrt() * beta * x_data + (1 - beta).sqrt() * (1 - abar_next) * x) / (1 - abar_now)
    return mean, beta * (1 - abar_next) / (1 - abar_now)


def strided_posterior_stub(x, x_data, abar_now, abar_next):
    """q(x_j | x_k, x_data) for any j < k."""
    raise NotImplementedError("your code here")


def strided_by_gain(x, x_data, abar_now, abar_next):
    prior, spread, a = abar_next.sqrt() * x_data, 1 - abar_next, (abar_now / abar_next).sqrt()
    gain = spread * a / (1 - abar_now)
    return prior + gain * (x - a * prior), spread - gain**2 * (1 - abar_now)


def strided_by_noise(x, x_data, abar_now, abar_next):
    """DDIM's family: the share of fresh noise first, then what is kept of the old."""
    variance = (1 - abar_next) / (1 - abar_now) * (abar_next - abar_now) / abar_next
    noise = (x - abar_now.sqrt() * x_data) / (1 - abar_now).sqrt()
    return abar_next.sqrt() * x_data + (1 - abar_next - variance).clamp(min=0).sqrt() * noise, variance


def strided_by_precisions(x, x_data, abar_now, abar_next):
    """Precisions add, in double; the end at the data, of infinite precision, by hand."""
    x, x_data, now, then = (v.double() for v in (x, x_data, abar_now, abar_next))
    a = (now / then).sqrt()
    prior, step = 1 / (1 - then).clamp(min=1e-300), a**2 / (1 - a**2)
    variance = 1 / (prior + step)
    return variance * (prior * then.sqrt() * x_data + step * x / a), torch.where(then < 1, variance, 0.0)


def strided_by_rows(x, x_data, abar_now, abar_next):
    rows = [strided_posterior(*(v[i : i + 1] for v in (x, x_data, abar_now, abar_next))) for i in range(len(x))]
    return torch.cat([mean for mean, _ in rows]), torch.cat([variance for _, variance in rows])


def _strided(mean=None, variance=None, beta=lambda now, then: 1 - now / then):
    def answer(x, x_data, abar_now, abar_next):
        found = beta(abar_now, abar_next), abar_now, abar_next
        right = strided_posterior(x, x_data, abar_now, abar_next)
        return mean(x, x_data, *found) if mean else right[0], variance(*found) if variance else right[1]

    return answer


def _strided_of(beta):
    def mean(x, data, b, now, then):
        return (then.sqrt() * b * data + (1 - b).sqrt() * (1 - then) * x) / (1 - now)

    return _strided(mean, lambda b, now, then: b * (1 - then) / (1 - now), beta)


# --- 7.9 guidance


def guidance(free, given, weight):
    return free + weight * (given - free)


def guidance_stub(free, given, weight): ...


def guidance_as_blend(free, given, weight):
    return weight * given + (1 - weight) * free


def guidance_from_given(free, given, weight):
    """The paper's form, for its weight of one less."""
    w = weight - 1
    return (1 + w) * given - w * free


def guidance_rescaled(free, given, weight):
    """Brought back to the size of the conditional prediction, as some samplers do."""
    guided = guidance(free, given, weight)
    return guided * given.norm() / guided.norm()


def guidance_by_loop(free, given, weight):
    out = torch.empty_like(free)
    for i in range(free.shape[0]):
        for j in range(free.shape[1]):
            out[i, j] = free[i, j] + weight * (given[i, j] - free[i, j])
    return out


def guidance_in_double(free, given, weight):
    return torch.add(free.double(), given.double() - free.double(), alpha=weight)


def guidance_by_einsum(free, given, weight):
    return torch.einsum("p,pbd->bd", torch.tensor([1 - weight, weight]).to(free), torch.stack([free, given]))


# --- 7.10 Langevin


def langevin_step(score, x, step, z):
    return x + step * score(x) + (2 * step) ** 0.5 * z


def langevin_step_stub(score, x, step, z):
    return x + ... * score(x)


def langevin_in_two(score, x, step, z):
    drift = x + score(x) * step
    return drift + math.sqrt(2) * math.sqrt(step) * z


def langevin_by_euler(score, x, step, z):
    """dx = ∇ log p dτ + √2 dW, an increment of W being √step z."""
    return torch.add(x, score(x), alpha=step) + torch.tensor(2.0).to(x).sqrt() * (z * step**0.5)


def langevin_by_rows(score, x, step, z):
    return torch.cat(
        [x[i : i + 1] + step * score(x[i : i + 1]) + z[i : i + 1] * math.sqrt(step * 2) for i in range(len(x))]
    )


def langevin_without_gradient(score, x, step, z):
    with torch.no_grad():
        return x + step * score(x) + np.sqrt(2 * step) * z


def langevin_in_double(score, x, step, z):
    return x.double() + step * score(x).double() + math.sqrt(2 * step) * z.double()


def langevin_of_library(score, x, step, z):
    return langevin(score, x, step, 1)[-1]


def langevin_in_place(score, x, step, z):
    x += step * score(x)
    return x + (2 * step) ** 0.5 * z


def langevin_rejected(score, x, step, z):
    """Steps cut to one, as if larger ones were a mistake."""
    return langevin_step(score, x, min(step, 1.0), z)


BANKS = {
    "diff.vp_kernel": Bank(
        vp_kernel,
        vp_kernel_stub,
        {
            "variance": (_vp(std=lambda a: 1 - (-a).exp()), "Your value is the square of the expected one"),
            "known β": (
                lambda x, s, low, high: vp_kernel(x, s, low, {0.1: 20.0, 0.5: 4.0, 0.2: 10.0}.get(low, 20.0)),
                "as they come",
            ),
            "clamped": (lambda x, s, *beta: vp_kernel(x, s.clamp(0.02, 0.98), *beta), "ends of time"),
            "epsilon": (_vp(std=lambda a: (1 - (-a).exp() + 1e-5).sqrt()), "ends of time"),
            "exchanged": (lambda *args: vp_kernel(*args)[::-1], "in the other order: (mean, std)"),
            "row of deviations": (lambda *args: (vp_kernel(*args)[0], vp_kernel(*args)[1][:, 0]), "as a column"),
            "deviation of points": (
                lambda x, *rest: (vp_kernel(x, *rest)[0], vp_kernel(x, *rest)[1].expand_as(x)),
                "for every coordinate",
            ),
            "mean alone": (lambda *args: vp_kernel(*args)[0], "(mean, std)"),
            "a draw": (vp_drawn, "as an argument"),
            "first row": (lambda x, s, *beta: vp_kernel(x, s[:1].expand_as(s), *beta), "first row"),
            "small steps": (vp_by_small_steps, ""),
        },
        {
            "library": vp_of_library,
            "quadrature": vp_by_quadrature,
            "loop": vp_by_loop,
            "expm1": vp_by_expm1,
            "float64": lambda x, s, *beta: vp_kernel(x.double(), s.double(), *beta),
        },
    ),
    "diff.ve_kernel": Bank(
        ve_kernel,
        ve_kernel_stub,
        {
            "variance": (_ve(std=lambda now, a: now**2 - a**2), "Your value is the square of the expected one"),
            "known σ": (
                lambda x, s, a, b: ve_kernel(x, s, a, {0.5: 4.0, 0.01: 10.0, 0.3: 5.0}.get(a, 4.0)),
                "as they come",
            ),
            "σ(0) below 1": (_ve(std=lambda now, a: (now**2 - min(a, 1.0) ** 2).sqrt()), "as they come"),
            "clamped": (lambda x, s, *v: ve_kernel(x, s.clamp(0.02, 0.98), *v), "ends of time"),
            "epsilon": (_ve(std=lambda now, a: (now**2 - a**2 + 1e-4).sqrt()), ""),
            "exchanged": (lambda *args: ve_kernel(*args)[::-1], "in the other order: (mean, std)"),
            "deviation alone": (lambda *args: ve_kernel(*args)[1], "(mean, std)"),
        },
        {
            "library": ve_of_library,
            "logarithms": ve_by_logarithms,
            "expm1": ve_by_expm1,
            "rows": ve_by_rows,
            "numpy": ve_in_numpy,
            "float64": lambda x, s, *sigma: ve_kernel(x.double(), s.double(), *sigma),
        },
    ),
    "diff.ddpm_posterior": Bank(
        ddpm_posterior,
        ddpm_posterior_stub,
        {
            "deviation": (
                _posterior(variance=lambda b, now, before: (b * (1 - before) / (1 - now)).sqrt()),
                "Your value is the square root of the expected one",
            ),
            "one early": (lambda xk, x_data, k, betas: ddpm_posterior(xk, x_data, k - 1, betas), ""),
            "first entry": (posterior_from_first, "k = 1"),
            "second": (posterior_from_second, "k = 1"),
            "clipped": (posterior_clipped, ""),
            "epsilon": (posterior_with_epsilon, ""),
            "a thousand": (posterior_of_thousand, ""),
            "sorted": (posterior_sorted, "need not rise"),
            "(B,)": (lambda *args: (ddpm_posterior(*args)[0], ddpm_posterior(*args)[1].squeeze(1)), "as a column"),
            "variance of points": (
                lambda xk, *rest: (ddpm_posterior(xk, *rest)[0], ddpm_posterior(xk, *rest)[1].expand_as(xk)),
                "for every coordinate",
            ),
            "all at one step": (
                lambda xk, x_data, k, betas: ddpm_posterior(xk, x_data, k[:1].expand_as(k), betas),
                "first row",
            ),
            "exchanged": (lambda *args: ddpm_posterior(*args)[::-1], "in the other order: (mean, variance)"),
            "no columns": (
                lambda xk, x_data, k, betas: (betas[k - 1] * xk + x_data, betas[k - 1][:, None]),
                "one number a sample",
            ),
        },
        {
            "cpu": posterior_on_cpu,
            "precision": posterior_by_precision,
            "loop": posterior_by_loop,
            "matrices": posterior_by_matrices,
            "vmap": posterior_by_vmap,
            "noise": posterior_through_noise,
            "float64": posterior_in_double,
        },
    ),
    "diff.dsm_loss": Bank(
        dsm_loss,
        dsm_loss_stub,
        {
            "sum": (_reduced(lambda e: (e**2).sum()), "Your value is B·D times the expected one"),
            "sum of coordinates": (_reduced(lambda e: (e**2).sum(1).mean()), "sum over the coordinates"),
            "per sample": (_reduced(lambda e: (e**2).mean(1)), "their mean is missing"),
            "half": (_reduced(lambda e: (e**2).mean() / 2), "½ too many"),
            "square of the mean": (_reduced(lambda e: e.mean() ** 2), ""),
            "one level": (dsm_one_level, ""),
            "told the mean level": (_dsm(_compared, weight=lambda sigma: sigma.mean()), ""),
            "root": (lambda *args: dsm_loss(*args).sqrt(), "root too many"),
            "without ‖eps‖²": (lambda net, x, eps, sigma: dsm_loss(net, x, eps, sigma) - (eps**2).mean(), ""),
            "counted twice": (lambda *args: 2 * dsm_loss(*args) - dsm_loss(*args).detach(), "counted twice"),
            "clamped": (
                lambda net, x, eps, sigma: dsm_loss(net, x, eps, sigma.clamp(0.1, 3)),
                "ordinary noise levels",
            ),
            "no gradient": (dsm_without_gradient, "cut the graph"),
            "half a gradient": (dsm_half_detached, "Part of the graph is cut"),
            "item": (lambda *args: dsm_loss(*args).item(), "cut the graph"),
            "backward": (dsm_backward, "backward inside the loss"),
            "own noise": (dsm_own_noise, "comes in as an argument"),
            "own levels": (dsm_own_levels, "comes in as an argument"),
            "squeezed": (dsm_squeezed, "length one"),
            "row of levels": (dsm_of_table, "one number a sample"),
        },
        {
            "weight outside": dsm_weighted,
            "multiplied out": dsm_multiplied_out,
            "kernel": dsm_through_kernel,
            "autograd": dsm_by_autograd,
            "loop": dsm_by_loop,
            "mse": dsm_by_mse,
            "scalar in double": dsm_in_double,
        },
    ),
    "diff.tweedie": Bank(
        tweedie,
        tweedie_stub,
        {
            "x": (lambda score, x, a, s: x, "itself, unchanged"),
            "known paths": (tweedie_of_known_paths, "lecture's paths alone"),
            "clipped": (lambda *args: tweedie(*args).clamp(-1, 1), ""),
            "squeezed": (lambda *args: tweedie(*args).squeeze(), "squeeze()"),
            "first row": (lambda score, x, a, s: tweedie(score, x, a[0], s[0]), "first row"),
            "ten points": (lambda *args: tweedie(*args)[:10], "fixed somewhere"),
        },
        {
            "noise": tweedie_through_noise,
            "loop": tweedie_by_loop,
            "float64": tweedie_in_double,
            "solved": tweedie_by_solving,
            "numpy": tweedie_in_numpy,
        },
    ),
    "diff.ancestral_step": Bank(
        ancestral_step,
        ancestral_step_stub,
        {
            "one early": (lambda eps, xk, k, betas, z: ancestral_step(eps, xk, k - 1, betas, z), ""),
            "noise at the end": (ancestral_noisy_end, "k = 1"),
            "clipped": (ancestral_clipped, ""),
            "own noise": (ancestral_own_noise, "comes in as an argument"),
            "in place": (ancestral_in_place, "in-place"),
            "a thousand": (ancestral_of_thousand, ""),
            "squeezed": (lambda *args: ancestral_step(*args).squeeze(), "squeeze()"),
        },
        {
            "data": ancestral_through_data,
            "cases": ancestral_by_cases,
            "leap": ancestral_as_leap,
            "numbers": ancestral_in_numbers,
            "score": ancestral_through_score,
            "float64": ancestral_in_double,
        },
    ),
    "diff.ddim_step": Bank(
        ddim_step,
        ddim_step_stub,
        {
            "flow matching": (
                lambda eps, x, now, then: x + (then - now) * ((x - (1 - now) ** 0.5 * eps) / now**0.5 - eps),
                "",
            ),
            "data clipped": (
                lambda eps, x, now, then: (
                    then**0.5 * ((x - (1 - now) ** 0.5 * eps) / now**0.5).clamp(-1, 1) + (1 - then) ** 0.5 * eps
                ),
                "",
            ),
            "fresh noise": (ddim_with_noise, "comes in as an argument"),
            "clamped": (ddim_clamped, "abar_next = 1"),
            "rows of scales": (ddim_transposed_scales, "one number a sample"),
            "squeezed": (lambda *args: ddim_step(*args).squeeze(), "squeeze()"),
        },
        {
            "one line": ddim_in_one_line,
            "angles": ddim_by_angles,
            "euler": ddim_by_euler,
            "score": ddim_through_score,
            "rows": ddim_by_rows,
            "float64": ddim_in_double,
        },
    ),
    "diff.strided_posterior": Bank(
        strided_posterior,
        strided_posterior_stub,
        {
            "deviation": (
                _strided(variance=lambda b, now, then: (b * (1 - then) / (1 - now)) ** 0.5),
                "Your value is the square root of the expected one",
            ),
            "all of DDIM": (
                lambda x, d, now, then: (ddim_step((x - now**0.5 * d) / (1 - now) ** 0.5, x, now, then), 0 * now),
                "",
            ),
            "interpolated": (
                _strided(lambda x, d, b, now, then: ((1 - then) * x + (then - now) * d) / (1 - now)),
                "",
            ),
            "clamped": (
                lambda x, d, now, then: strided_posterior(x, d, now, then.clamp(max=0.999)),
                "abar_next = 1",
            ),
            "β at least 0.1": (_strided_of(lambda now, then: (1 - now / then).clamp(min=0.05)), "close together"),
            "results exchanged": (lambda *args: strided_posterior(*args)[::-1], "in the other order"),
            "(B,)": (
                lambda *args: (strided_posterior(*args)[0], strided_posterior(*args)[1][:, 0]),
                "as a column",
            ),
        },
        {
            "gain": strided_by_gain,
            "noise": strided_by_noise,
            "precisions": strided_by_precisions,
            "rows": strided_by_rows,
            "float64": lambda *args: strided_posterior(*(v.double() for v in args)),
        },
    ),
    "diff.guidance": Bank(
        guidance,
        guidance_stub,
        {
            "given": (lambda free, given, w: given, "argument given itself"),
            "never below 0": (lambda free, given, w: guidance(free, given, abs(w)), "any number"),
            "whole weights": (lambda free, given, w: guidance(free, given, int(w)), ""),
            "rescaled": (guidance_rescaled, ""),
            "never below 1": (lambda free, given, w: guidance(free, given, max(w, 1.0)), ""),
            "off where false": (lambda free, given, w: guidance(free, given, w) if w else given, "any number"),
            "in place": (lambda free, given, w: free.lerp_(given, w), "in-place"),
            "squeezed": (lambda *args: guidance(*args).squeeze(), "squeeze()"),
        },
        {
            "blend": guidance_as_blend,
            "from given": guidance_from_given,
            "loop": guidance_by_loop,
            "float64": guidance_in_double,
            "einsum": guidance_by_einsum,
        },
    ),
    "diff.langevin_step": Bank(
        langevin_step,
        langevin_step_stub,
        {
            "midpoint": (lambda score, x, h, z: x + h * score(x + h / 2 * score(x)) + (2 * h) ** 0.5 * z, ""),
            "score clipped": (lambda score, x, h, z: x + h * score(x).clamp(-1, 1) + (2 * h) ** 0.5 * z, ""),
            "known score": (lambda score, x, h, z: langevin_step(lambda y: -y, x, h, z), ""),
            "own noise": (langevin_of_library, "comes in as an argument"),
            "in place": (langevin_in_place, "in-place"),
            "cut": (langevin_rejected, "small steps"),
            "squeezed": (lambda *args: langevin_step(*args).squeeze(), "squeeze()"),
        },
        {
            "two lines": langevin_in_two,
            "euler": langevin_by_euler,
            "rows": langevin_by_rows,
            "no gradient": langevin_without_gradient,
            "float64": langevin_in_double,
        },
    ),
}
