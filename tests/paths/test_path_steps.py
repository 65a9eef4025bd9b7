"""One guess, many ways to move: DDIM, DDPM, annealed Langevin, each against its own paper's formula and by what it makes."""

from __future__ import annotations

import functools
import itertools
import math

import pytest
import torch

from dgm_course.core.distributions import Mixture
from dgm_course.core.metrics import energy_distance, floor
from dgm_course.core.ode import langevin, solve
from dgm_course.paths import VE, VP, Conical, Cosine, ancestral, annealed_langevin, ddim

from .gaussians import DATA, F64, PATHS, gaussian, scalar, scales, triple

# --- steps ---


@pytest.mark.parametrize("name", ["conical", "VP", "VE", "cosine"])
@pytest.mark.parametrize("t, s", [(0.2, 0.3), (0.5, 0.9), (0.85, 0.95)])
def test_a_step_with_the_posteriors_deviation_is_ddpms(name, t, s):
    """x_t = r x_s + noise with r = alpha_t/alpha_s: the posterior of x_s by adding precisions."""
    path = PATHS[name]
    x1, x0, xt = triple(path, t)
    (at, st, _, _), (as_, ss, _, _) = scales(path, t), scales(path, s)
    r = at / as_
    gap = st**2 - r**2 * ss**2  # Var[x_t | x_s]
    precision = 1 / ss**2 + r**2 / gap
    mean = (as_ * x1 / ss**2 + r * xt / gap) / precision
    kappa = float(precision**-0.5)
    torch.manual_seed(8)
    stepped = path.step(path.predict(xt, t, data=x1), s, noise_std=kappa)
    torch.manual_seed(8)
    eps = torch.randn_like(x0)
    assert torch.allclose(stepped - kappa * eps, mean, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_every_step_lands_on_the_path(share):
    path, n = VP(), 40_000
    x1 = torch.full((n, 1), 0.7, dtype=F64)
    xt, x0 = path.corrupt(x1, 0.3)
    alpha, sigma, _, _ = scales(path, 0.6)
    xs = path.step(path.predict(xt, 0.3, noise=x0), 0.6, noise_std=share * float(sigma))
    assert abs(float(xs.mean() - alpha * 0.7)) < 5 * float(sigma) / math.sqrt(n)
    assert abs(float(xs.var() - sigma**2)) < 5 * float(sigma) ** 2 * math.sqrt(2 / n)


def test_a_step_without_fresh_noise_is_ddim_and_ends_in_the_data():
    x1, x0, xt = triple(Conical(), 0.3)
    prediction = Conical().predict(xt, 0.3, noise=x0)
    assert torch.allclose(Conical().step(prediction, 0.8), 0.8 * x1 + 0.2 * x0)
    assert torch.allclose(Conical().step(prediction, 1.0), x1)


def test_ddim_draws_no_noise():
    """A deterministic step leaves the random generator as it was."""
    x1, x0, xt = triple(Conical(), 0.3)
    before = torch.get_rng_state()
    Conical().step(Conical().predict(xt, 0.3, noise=x0), 0.8)
    assert torch.equal(torch.get_rng_state(), before)


# --- one guess, many ways to move ---


def noise_by_autograd(path, x, t):
    """x̂0 = −sigma ∇ log p_t, from the density of the marginal alone."""
    x = x.clone().requires_grad_()
    (score,) = torch.autograd.grad(path.marginal(DATA, t).log_prob(x).sum(), x)
    return -path.sigma(scalar(t)) * score


@gaussian
@pytest.mark.parametrize("t, s", [(0.1, 0.3), (0.5, 0.55), (0.6, 0.95)])
def test_hop_is_ddim(path, t, s):
    x, field = triple(path, t)[2], path.exact(DATA)
    eps = noise_by_autograd(path, x, t)
    (at, st, _, _), (as_, ss, _, _) = scales(path, t), scales(path, s)
    expected = as_ * (x - st * eps) / at + ss * eps
    assert torch.allclose(ddim(field, x, scalar(t), scalar(s - t)), expected, rtol=1e-8, atol=1e-8)
    assert torch.equal(ddim(field, x, scalar(t), scalar(s - t)), ddim(field, x, scalar(t), scalar(s - t)))


@gaussian
def test_hops_with_the_field_of_one_gaussian_land_on_its_marginal(path):
    """The flow between Gaussians is affine, x -> m1 + (s1 / s0)(x − m0), and many small hops are the flow."""
    data = Mixture(torch.ones(1), torch.tensor([[0.7, -0.3]], dtype=F64), torch.tensor([[0.5, 1.2]]))
    field, x0 = path.exact(data), torch.tensor([[0.0, 0.0], [1.0, -1.0], [-2.0, 0.5]], dtype=F64)
    before, after = (path.marginal(data, t) for t in path.span)
    expected = after.means + after.stds / before.stds * (path.sigma(scalar(path.span[0])) * x0 - before.means)
    errors = [float((field.sample(x0, steps, ddim) - expected).abs().max()) for steps in (25, 50, 100)]
    assert errors[2] < 0.08 and errors[0] > 1.6 * errors[1] > 2.5 * errors[2]  # of order one


@gaussian
def test_of_a_single_point_one_hop_is_exact(path):
    m = torch.tensor([[0.7, -0.3]], dtype=F64)
    field, x0 = path.exact(Mixture(torch.ones(1), m, 1e-7)), torch.randn(5, 2, dtype=F64)
    (at, st, _, _), (as_, ss, _, _) = scales(path, 0.2), scales(path, 0.9)
    landed = ddim(field, at * m + st * x0, scalar(0.2), scalar(0.7))
    assert torch.allclose(landed, as_ * m + ss * x0, atol=1e-6)


@pytest.mark.parametrize("name", ["VP", "cosine"])
def test_ancestral_steps_are_ddpms_in_its_own_symbols(name):
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


@gaussian
@pytest.mark.parametrize("t, s", [(0.1, 0.15), (0.3, 0.7), (0.6, 0.95)])
def test_fresh_is_the_deviation_of_a_jointly_gaussian_pair(path, t, s):
    """Given x1, (x_s, x_t) is A (ε, ε') with independent normals; the conditional variance is 1 / (AAᵀ)⁻¹_ss."""
    (at, st, _, _), (as_, ss, _, _) = scales(path, t), scales(path, s)
    r = at / as_
    mix = torch.tensor([[ss, 0.0], [r * ss, (st**2 - (r * ss) ** 2).sqrt()]], dtype=F64)
    conditional = 1 / torch.linalg.inv(mix @ mix.T)[0, 0]
    x1, _, xt = triple(path, t)
    fresh = path.posterior_std(path.predict(xt, t, data=x1), s)
    assert torch.allclose(fresh**2, conditional.expand_as(fresh), rtol=1e-8)
    times, later = torch.tensor([t, t / 2], dtype=F64), torch.tensor([s, s], dtype=F64)
    both = path.posterior_std(path.predict(xt[:2], times, data=x1[:2]), later)
    assert (
        both.shape == (2, 1) and float(both[0]) == pytest.approx(float(fresh)) and float(both[1]) != float(both[0])
    )


def test_fresh_at_the_ends_and_in_the_wrong_order():
    _, _, xt = triple(Conical(), 0.0)
    start = Conical().predict(xt, 0.0, velocity=xt)
    assert float(Conical().posterior_std(start, 0.4)) == pytest.approx(
        0.6
    )  # nothing is known of the data yet: all is fresh
    assert float(Conical().posterior_std(start, 1.0)) == 0
    for path in (Conical(), VP(), VE()):
        prediction = path.predict(xt, 0.6, data=xt)
        assert float(path.posterior_std(prediction, 0.6)) == pytest.approx(0, abs=1e-6)
        with pytest.raises(ValueError, match="s lies before t: expected a step towards the data, s > t"):
            path.posterior_std(prediction, 0.5)


def test_the_diffusion_is_the_lectures_beta_and_the_growth_of_sigma():
    s = torch.linspace(0.02, 0.98, 25, dtype=F64).requires_grad_()  # the slides' clock
    assert torch.allclose(VP(0.1, 20.0).diffusion(1 - s.detach()) ** 2, 0.1 + 19.9 * s.detach())
    (growth,) = torch.autograd.grad(((0.01 * 1000**s) ** 2).sum(), s)
    assert torch.allclose(VE(0.01, 10.0).diffusion(1 - s.detach()) ** 2, growth)
    t = 1 - s.detach()
    assert torch.allclose(Conical().diffusion(t) ** 2, 2 * (1 - t) / t)


@gaussian
def test_the_diffusion_squared_is_the_variance_that_one_moment_adds(path):
    """g² = lim Var[x_t | x_s] / (s − t), with Var[x_t | x_s] = sigma_t² − (alpha_t sigma_s / alpha_s)²."""
    t, h = torch.linspace(0.1, 0.9, 9, dtype=F64), 1e-6
    (a0, s0, _, _), (a1, s1, _, _) = scales(path, t - h), scales(path, t + h)
    added = (s0**2 - (a0 / a1 * s1) ** 2) / (2 * h)
    assert torch.allclose(path.diffusion(t) ** 2, added, rtol=1e-4)
    assert path.diffusion(0.5).shape == ()


WAYS = {
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


@pytest.mark.parametrize("path, steps, how", WAYS.values(), ids=WAYS)
def test_every_way_to_move_makes_the_data(path, steps, how):
    x = path.exact(DATA).sample(800, steps, **how)
    assert energy_distance(x, DATA.sample(800)) < between().mean + 5 * between().sd


def test_noise_without_its_drift_makes_other_data():
    ts = VP().exact(DATA).times(100, torch.zeros(1, dtype=F64))
    x = solve(VP().exact(DATA), torch.randn(800, 2, dtype=F64), ts, noise=VP().diffusion)[-1]
    assert energy_distance(x, DATA.sample(800)) > between().mean + 20 * between().sd


def test_annealed_langevin_steps_are_langevins_at_the_next_level():
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
            mean, spread = (
                0.7 + (1 - size / variance) * (mean - 0.7),
                (1 - size / variance) ** 2 * spread + 2 * size,
            )
        assert abs(float(half.mean()) - mean) < 5 * math.sqrt(spread / (n / 2))
        assert abs(float(half.var()) - spread) < 5 * spread * math.sqrt(2 / (n / 2))


def test_annealing_finds_both_modes_in_their_shares():
    """Langevin steps at the last level alone stay in the mode they start near."""
    modes = Mixture(torch.tensor([1.0, 3.0]), torch.tensor([[-4.0, 0.0], [4.0, 0.0]], dtype=F64), 0.4)
    path, n = VE(0.05, 10.0), 1200
    field = path.exact(modes)
    x = field.sample(n, 20, annealed_langevin(8, 0.2))
    near = torch.cdist(x, modes.means).min(1)
    share = float((near.indices == 1).double().mean())
    assert abs(share - 0.75) < 0.1 and float((near.values < 1.6).double().mean()) > 0.98
    start, (_, end) = 10 * torch.randn(n, 2, dtype=F64), path.span
    alone = langevin(lambda y: field.score(y, end), start, 0.05, 100)[-1]
    assert abs(float((alone[:, 0] > 0).double().mean()) - 0.5) < 0.08


def test_sampling_begins_with_the_noise_alone_and_blurs_only_where_there_is_jitter():
    x = torch.randn(50_000, 2, dtype=F64)
    for path in PATHS.values():
        assert torch.equal(path.initial_state(x, scalar(0.25)), path.sigma(scalar(0.25)) * x)
        if not path.jitter:
            assert path.add_jitter(x) is x
    haze = PATHS["jittered"].add_jitter(x) - x
    assert (
        float(haze.std()) == pytest.approx(0.3, rel=5 / math.sqrt(2 * haze.numel()))
        and abs(float(haze.mean())) < 0.005
    )
