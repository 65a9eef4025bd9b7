"""The marginals of a path: density, prediction and score by quadrature, the equations of its flow, its samples."""

from __future__ import annotations

import math

import pytest
import torch

from dgm_course.core.distributions import DiagNormal
from dgm_course.core.ode import divergence, heun
from dgm_course.paths import VE, VP, Conical, Cosine

from .gaussians import DATA, F64, PATHS, SOURCE, clear, gaussian, scalar, scales, slope, triple, when

# --- the marginal, by quadrature ---


def nodes(n=181, width=7.0):
    line = torch.linspace(-width, width, n, dtype=F64)
    return torch.cartesian_prod(line, line), float(line[1] - line[0]) ** 2


def posterior(path, x, t):
    """Pairs (x1, x0) on a grid that all meet at x at time t, each with its weight p(x1) p(x0): Bayes by hand.

    The grid is over whichever of the two has the smaller scale.
    x (2,) -> x1, x0 (M, 2), weights (M,) summing to p_t(x)"""
    alpha, sigma, _, _ = scales(path, t)
    grid, area = nodes()
    if alpha > sigma:
        x0, x1, volume = grid, (x - sigma * grid) / alpha, area / alpha**2
    else:
        x1, x0, volume = grid, (x - alpha * grid) / sigma, area / sigma**2
    origin = SOURCE if path.source else DiagNormal(torch.zeros(2, dtype=F64), 1.0)
    return x1, x0, (DATA.log_prob(x1) + origin.log_prob(x0)).exp() * volume


@clear
@when
def test_marginal_and_prediction_are_bayes(path, t):
    """Over a grid of all pairs (x1, x0) that meet at x."""
    xs = triple(path, t)[2]
    prediction = path.exact(DATA).predict(xs, t)
    log_prob = path.marginal(DATA, t).log_prob(xs)
    _, _, dalpha, dsigma = scales(path, t)
    for i, x in enumerate(xs):
        x1, x0, weight = posterior(path, x, t)
        share = weight / weight.sum()
        assert float(log_prob[i]) == pytest.approx(float(weight.sum().log()), abs=1e-6)
        assert torch.allclose(prediction.data[i], share @ x1, atol=1e-6)
        assert torch.allclose(prediction.noise[i], share @ x0, atol=1e-6)
        assert torch.allclose(prediction.velocity[i], share @ (dalpha * x1 + dsigma * x0), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("t", [0.1, 0.5, 0.8])
def test_jittered_prediction_is_importance_sampling(t):
    path, n = PATHS["jittered"], 200_000
    x1, x0, expected = triple(path, t, n)
    for x in path.corrupt(DATA.sample(2), t)[0]:
        kernel = DiagNormal(x, 0.3).log_prob(expected).exp()
        density, share = kernel.mean(), kernel / kernel.sum()
        ours = path.exact(DATA).predict(x[None], t)
        exact = float(path.marginal(DATA, t).log_prob(x[None]).exp())
        assert abs(exact - float(density)) < 5 * float(kernel.std()) / n**0.5
        for value, one in ((x1, ours.data[0]), (x0, ours.noise[0]), (x1 - x0, ours.velocity[0])):
            mean = share @ value
            error = ((share[:, None] * (value - mean)) ** 2).sum(0).sqrt()
            assert ((one - mean).abs() < 5 * error).all() and float(error.max()) < 0.05


@gaussian
@when
def test_score_is_gradient_of_marginal(path, t):
    x = triple(path, t)[2].requires_grad_()
    expected = torch.autograd.grad(path.marginal(DATA, t).log_prob(x).sum(), x)[0]
    assert torch.allclose(path.exact(DATA).score(x.detach(), t), expected, rtol=1e-8, atol=1e-10)
    assert torch.allclose(path.exact(DATA).marginal(t).score(x.detach()), expected, rtol=1e-8, atol=1e-10)


# --- laws of the flow ---


def growth(path, x, t):
    """∂ log p_t(x) / ∂t by differences."""
    return slope(lambda s: path.marginal(DATA, float(s)).log_prob(x), scalar(t))


NOISES = [(name, noise) for name in PATHS for noise in (0.0, 0.7, 2.0) if not noise or PATHS[name].gaussian]


@when
@pytest.mark.parametrize("name, noise", NOISES)
def test_drift_and_noise_keep_the_marginals(name, noise, t):
    """∂p/∂t = −div(d p) + ½ noise² Δp, d the drift that belongs to the noise (0: the continuity equation)."""
    path, s = PATHS[name], scalar(t)
    x = triple(path, t, 20)[2]
    p_t, drift = path.marginal(DATA, t), path.exact(DATA).drift(noise)
    flow = divergence(drift, x, s).detach() + (drift(x, s) * p_t.score(x)).sum(1)
    laplacian = divergence(lambda y, _: p_t.score(y), x, s).detach() + p_t.score(x).square().sum(1)  # Δp / p
    assert torch.allclose(growth(path, x, t), -flow + noise**2 / 2 * laplacian, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("path", [Conical(), Cosine()], ids=repr)
def test_log_prob_is_that_of_the_data(path):
    x = DATA.sample(12)
    assert torch.allclose(path.exact(DATA).log_prob(x, steps=150), DATA.log_prob(x), atol=3e-3)


def assert_like(x, p=DATA, slack=0.0):
    """Mean and covariance of the mixture, and the share of each component, within five standard errors."""
    n, centred = len(x), x - p.mean
    products = torch.stack([centred[:, 0] ** 2, centred[:, 1] ** 2, centred[:, 0] * centred[:, 1]], 1)
    cov = torch.stack([p.cov[0, 0], p.cov[1, 1], p.cov[0, 1]])
    for values, expected in ((x, p.mean), (products, cov), (p.responsibilities(x), p.weights)):
        error = values.std(0) / math.sqrt(n)
        assert ((values.mean(0) - expected).abs() < 5 * error + slack).all(), (values.mean(0), expected)


@pytest.mark.parametrize("name", ["conical", "linear", "cosine", "VP"])
def test_samples_have_the_moments_of_data(name):
    assert_like(PATHS[name].exact(DATA).sample(4000, steps=60, method=heun), slack=0.02)


def test_jittered_samples_have_jitter_at_both_ends():
    path = PATHS["jittered"]
    trajectory = path.exact(DATA).trajectory(20_000, steps=40, method=heun)
    for x, p in ((trajectory[0], SOURCE), (trajectory[-1], DATA)):
        assert torch.allclose(x.var(0), p.cov.diagonal() + 0.09, rtol=0.06)


def test_noisy_samples_have_the_moments_of_data():
    assert_like(Conical().exact(DATA).sample(4000, steps=400, noise=1.0), slack=0.03)


def test_sample_is_the_end_of_trajectory():
    field, x0 = VP().exact(DATA), torch.randn(5, 2, dtype=F64)
    trajectory = field.trajectory(x0, steps=7, method=heun)
    assert trajectory.shape == (8, 5, 2) and torch.equal(trajectory[-1], field.sample(x0, 7, heun))
    assert torch.allclose(trajectory[0], VP().sigma(scalar(0.0)) * x0)
    assert torch.equal(VE().exact(DATA).trajectory(x0, 3)[0], VE().sigma(scalar(0.0)) * x0)
    ts = field.times(7, x0)
    assert ts.dtype == F64 and (float(ts[0]), float(ts[-1]), len(ts)) == (0.0, pytest.approx(0.999), 8)


def test_times_of_sampling_may_be_given():
    field, x0 = VP().exact(DATA), torch.randn(4, 2, dtype=F64)
    assert torch.equal(field.sample(x0, field.times(7, x0), heun), field.sample(x0, 7, heun))
    uneven = 0.999 * torch.linspace(0, 1, 21).double() ** 0.5
    assert len(field.trajectory(x0, uneven)) == 21 and torch.isfinite(field.sample(x0, uneven)).all()
    assert field.times(uneven.float(), x0).dtype == F64
    with pytest.raises(ValueError, match="not a strictly monotone grid"):
        field.sample(x0, uneven[[0, 2, 1]])
    with pytest.raises(ValueError, match=r"expected times in \[0, 1\]"):
        field.sample(x0, 2 * uneven)
