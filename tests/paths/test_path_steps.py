"""Samplers: DDIM, DDPM, annealed Langevin, each against its paper's formula and by the distribution of its samples."""

from __future__ import annotations

import functools
import itertools
import math

import pytest
import torch

from dgm_course.core.distributions import Mixture
from dgm_course.core.metrics import energy_distance, floor
from dgm_course.core.ode import solve
from dgm_course.paths import VE, VP, Conical, Cosine, ancestral, annealed_langevin, ddim

from .gaussians import DATA, F64, PATHS, gaussian, scalar, scales, slope, triple


@pytest.mark.parametrize("name", ["conical", "VP", "VE", "cosine"])
@pytest.mark.parametrize("t, s", [(0.2, 0.3), (0.5, 0.9), (0.85, 0.95)])
def test_posterior_step_is_ddpms(name, t, s):
    """x_t = r x_s + noise with r = alpha_t/alpha_s: the posterior of x_s by adding precisions."""
    path = PATHS[name]
    x1, x0, xt = triple(path, t)
    (at, st, _, _), (as_, ss, _, _) = scales(path, t), scales(path, s)
    r = at / as_
    gap = st**2 - r**2 * ss**2  # Var[x_t | x_s]
    precision = 1 / ss**2 + r**2 / gap
    mean = (as_ * x1 / ss**2 + r * xt / gap) / precision
    kappa = float(precision**-0.5)
    prediction = path.predict(xt, t, data=x1)
    assert torch.allclose(path.posterior_std(prediction, s), torch.tensor(kappa, dtype=F64), rtol=1e-8)
    torch.manual_seed(8)
    stepped = path.step(prediction, s, noise_std=kappa)
    torch.manual_seed(8)
    eps = torch.randn_like(x0)
    assert torch.allclose(stepped - kappa * eps, mean, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_steps_of_any_noise_land_on_path(share):
    path, n = VP(), 40_000
    x1 = torch.full((n, 1), 0.7, dtype=F64)
    xt, x0 = path.corrupt(x1, 0.3)
    alpha, sigma, _, _ = scales(path, 0.6)
    xs = path.step(path.predict(xt, 0.3, noise=x0), 0.6, noise_std=share * float(sigma))
    assert abs(float(xs.mean() - alpha * 0.7)) < 5 * float(sigma) / math.sqrt(n)
    assert abs(float(xs.var() - sigma**2)) < 5 * float(sigma) ** 2 * math.sqrt(2 / n)


def test_ddim_draws_no_noise():
    """A deterministic step leaves the random generator as it was."""
    x1, x0, xt = triple(Conical(), 0.3)
    before = torch.get_rng_state()
    Conical().step(Conical().predict(xt, 0.3, noise=x0), 0.8)
    assert torch.equal(torch.get_rng_state(), before)


def noise_by_autograd(path, x, t):
    """x̂0 = −sigma ∇ log p_t, from the density of the marginal alone."""
    x = x.clone().requires_grad_()
    (score,) = torch.autograd.grad(path.marginal(DATA, t).log_prob(x).sum(), x)
    return -path.sigma(scalar(t)) * score


@gaussian
@pytest.mark.parametrize("t, s", [(0.1, 0.3), (0.5, 0.55), (0.6, 0.95)])
def test_ddim_is_the_formula_of_its_paper(path, t, s):
    x, field = triple(path, t)[2], path.exact(DATA)
    eps = noise_by_autograd(path, x, t)
    (at, st, _, _), (as_, ss, _, _) = scales(path, t), scales(path, s)
    expected = as_ * (x - st * eps) / at + ss * eps
    assert torch.allclose(ddim(field, x, scalar(t), scalar(s - t)), expected, rtol=1e-8, atol=1e-8)
    assert torch.equal(ddim(field, x, scalar(t), scalar(s - t)), ddim(field, x, scalar(t), scalar(s - t)))


@pytest.mark.parametrize("name", ["VP", "cosine"])
def test_ancestral_steps_are_ddpms_formula(name):
    """x_{k−1} = (x_k − β_k ε̂ / √(1 − abar_k)) / √(1 − β_k) + √β̃_k z,  β̃_k = β_k (1 − abar_{k−1}) / (1 − abar_k)"""
    path, ts = PATHS[name], torch.linspace(0.02, 0.98, 9, dtype=F64)
    x, field, bar = torch.randn(6, 2, dtype=F64), PATHS[name].exact(DATA), path.alpha(ts) ** 2
    for i, (now, then) in enumerate(itertools.pairwise(bar)):  # abar_k and abar_{k−1}
        beta = 1 - now / then
        eps = noise_by_autograd(path, x, float(ts[i]))
        mean = (x - beta / (1 - now).sqrt() * eps) / (1 - beta).sqrt()
        tilde = beta * (1 - then) / (1 - now)
        torch.manual_seed(i)
        x = ancestral(field, x, ts[i], ts[i + 1] - ts[i])
        torch.manual_seed(i)
        assert torch.allclose(x, mean + tilde.sqrt() * torch.randn_like(x), rtol=1e-8, atol=1e-8)


def test_posterior_std_at_ends_and_wrong_order():
    _, _, xt = triple(Conical(), 0.0)
    start = Conical().predict(xt, 0.0, velocity=xt)
    assert float(Conical().posterior_std(start, 0.4)) == pytest.approx(0.6)  # x_t holds nothing of the data yet
    assert float(Conical().posterior_std(start, 1.0)) == 0
    for path in (Conical(), VP(), VE()):
        prediction = path.predict(xt, 0.6, data=xt)
        assert float(path.posterior_std(prediction, 0.6)) == pytest.approx(0, abs=1e-6)
        with pytest.raises(ValueError, match="s lies before t: expected a step towards the data, s > t"):
            path.posterior_std(prediction, 0.5)


def test_diffusion_of_vp_and_ve_is_the_lectures():
    s = torch.linspace(0.02, 0.98, 25, dtype=F64)  # the slides' clock
    assert torch.allclose(VP(0.1, 20.0).diffusion(1 - s) ** 2, 0.1 + 19.9 * s)
    assert torch.allclose(VE(0.01, 10.0).diffusion(1 - s) ** 2, slope(lambda s: (0.01 * 1000**s) ** 2, s))


@gaussian
def test_diffusion_is_the_added_variance(path):
    """g² = lim Var[x_t | x_s] / (s − t), with Var[x_t | x_s] = sigma_t² − (alpha_t sigma_s / alpha_s)²."""
    t, h = torch.linspace(0.1, 0.9, 9, dtype=F64), 1e-6
    (a0, s0, _, _), (a1, s1, _, _) = scales(path, t - h), scales(path, t + h)
    added = (s0**2 - (a0 / a1 * s1) ** 2) / (2 * h)
    assert torch.allclose(path.diffusion(t) ** 2, added, rtol=1e-4)
    assert path.diffusion(0.5).shape == ()


SAMPLERS = {
    "VP, reverse SDE": (VP(), 200, {"noise": VP().diffusion}),
    "VE, reverse SDE": (VE(), 200, {"noise": VE().diffusion}),
    "cosine, DDPM": (Cosine(), 60, {"method": ancestral}),
    "VP, DDPM": (VP(), 100, {"method": ancestral}),
    "VE, DDPM": (VE(), 100, {"method": ancestral}),
    "conical, DDIM": (Conical(), 40, {"method": ddim}),
}


@functools.cache
def between():
    """What the energy distance gives two samples of the data themselves."""
    with torch.random.fork_rng():
        return floor(DATA, energy_distance, 800, 10)


@pytest.mark.parametrize("path, steps, how", SAMPLERS.values(), ids=SAMPLERS)
def test_every_sampler_makes_the_data(path, steps, how):
    x = path.exact(DATA).sample(800, steps, **how)
    assert energy_distance(x, DATA.sample(800)) < between().mean + 5 * between().sd


def test_noise_without_its_drift_makes_other_data():
    ts = VP().exact(DATA).times(100, torch.zeros(1, dtype=F64))
    x = solve(VP().exact(DATA), torch.randn(800, 2, dtype=F64), ts, noise=VP().diffusion)[-1]
    assert energy_distance(x, DATA.sample(800)) > between().mean + 20 * between().sd


def test_annealed_langevin_steps_have_their_moments():
    """For one Gaussian each step is affine, so mean and variance follow by hand."""
    path, t, s, steps, ratio, n = VE(0.1, 3.0), 0.3, 0.45, 4, 0.2, 40_000
    field = path.exact(Mixture(torch.ones(1), torch.tensor([[0.7]], dtype=F64), 0.5))
    x = torch.full((n, 1), 2.0, dtype=F64)
    x[n // 2 :] = 1.0
    after = annealed_langevin(steps, ratio)(field, x, scalar(t), scalar(s - t))
    size, variance = ratio * float(path.sigma(scalar(s))) ** 2, float(path.sigma(scalar(s))) ** 2 + 0.25
    for half, mean in zip(after.chunk(2), (2.0, 1.0)):
        spread = 0.0
        for _ in range(steps):
            mean = 0.7 + (1 - size / variance) * (mean - 0.7)
            spread = (1 - size / variance) ** 2 * spread + 2 * size
        assert abs(float(half.mean()) - mean) < 5 * math.sqrt(spread / (n / 2))
        assert abs(float(half.var()) - spread) < 5 * spread * math.sqrt(2 / (n / 2))


def test_annealing_finds_both_modes():
    modes = Mixture(torch.tensor([1.0, 3.0]), torch.tensor([[-4.0, 0.0], [4.0, 0.0]], dtype=F64), 0.4)
    x = VE(0.05, 10.0).exact(modes).sample(1200, 20, annealed_langevin(8, 0.2))
    near = torch.cdist(x, modes.means).min(1)
    share = float((near.indices == 1).double().mean())
    assert abs(share - 0.75) < 0.1 and float((near.values < 1.6).double().mean()) > 0.98


def test_initial_state_and_jitter():
    x = torch.randn(50_000, 2, dtype=F64)
    for path in PATHS.values():
        assert torch.equal(path.initial_state(x, scalar(0.25)), path.sigma(scalar(0.25)) * x)
        if not path.jitter:
            assert path.add_jitter(x) is x
    jitter = PATHS["jittered"].add_jitter(x) - x
    assert float(jitter.std()) == pytest.approx(0.3, rel=5 / math.sqrt(2 * x.numel()))
    assert abs(float(jitter.mean())) < 0.005
