"""Densities against scipy, quadrature and autograd; samples against moments."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from dgm_course.distributions import Gaussian, Mixture, normal_log_prob, sample_mean, standard_normal

F64 = torch.float64


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(5)


def lopsided() -> Mixture:
    """Unequal weights and widths in every direction: no symmetry hides a slip."""
    return Mixture(
        torch.tensor([1.0, 2.0, 5.0]),
        torch.tensor([[-2.0, 0.5], [1.0, 1.5], [0.5, -1.0]], dtype=F64),
        torch.tensor([[0.3, 0.9], [0.7, 0.4], [0.5, 0.6]]),
    )


def wide() -> Gaussian:
    return Gaussian(
        torch.tensor([[1.0, -2.0], [0.5, 3.0]], dtype=F64), torch.tensor([[0.5, 2.0], [1.5, 0.1]], dtype=F64)
    )


def by_autograd(distribution, x):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(distribution.log_prob(x).sum(), x)[0]


def test_gaussian_log_prob_is_scipys_summed_over_the_event(rng):
    p, x = wide(), torch.randn(7, 2, 2, dtype=F64, generator=rng)
    expected = stats.norm(p.mean.numpy(), p.std.numpy()).logpdf(x.numpy()).sum((1, 2))
    assert np.allclose(p.log_prob(x).numpy(), expected, rtol=1e-12)
    assert normal_log_prob(x, p.mean, p.std).shape == x.shape


def test_mixture_log_prob_is_the_weighted_sum_of_densities(rng):
    p, x = lopsided(), torch.randn(9, 2, dtype=F64, generator=rng)
    density = sum(
        float(w) * stats.multivariate_normal(m.numpy(), np.diag(s.numpy() ** 2)).pdf(x.numpy())
        for w, m, s in zip(torch.tensor([1, 2, 5]) / 8, p.means, p.stds, strict=True)
    )
    assert np.allclose(p.log_prob(x).exp().numpy(), density, rtol=1e-6)  # weights were given in float32


def test_mixture_is_normalised_with_the_stated_mean_and_covariance():
    p, line = lopsided(), torch.linspace(-8, 8, 801, dtype=F64)
    nodes = torch.cartesian_prod(line, line)
    mass = p.log_prob(nodes).exp() * (line[1] - line[0]) ** 2
    assert float(mass.sum()) == pytest.approx(1, abs=1e-9)
    mean = mass @ nodes
    assert torch.allclose(p.mean, mean, atol=1e-9)
    assert torch.allclose(p.cov, (nodes - mean).T @ ((nodes - mean) * mass[:, None]), atol=1e-9)


@pytest.mark.parametrize("p", [wide(), lopsided(), standard_normal(3, dtype=F64)], ids=repr)
def test_score_is_the_gradient_of_log_prob(p, rng):
    x = 2 * torch.randn(20, *p.event, dtype=F64, generator=rng)
    assert torch.allclose(p.score(x), by_autograd(p, x), rtol=1e-10, atol=1e-12)


def test_score_and_log_prob_far_away_stay_finite():
    x = torch.tensor([[300.0, -300.0]], dtype=F64)
    assert torch.isfinite(lopsided().log_prob(x)).all() and torch.isfinite(lopsided().score(x)).all()


def test_responsibilities_are_bayes_rule(rng):
    p, x = lopsided(), torch.randn(6, 2, dtype=F64, generator=rng)
    each = torch.stack(
        [w * Gaussian(m, s).log_prob(x).exp() for w, m, s in zip(p.weights, p.means, p.stds, strict=True)], 1
    )
    assert torch.allclose(p.responsibilities(x), each / each.sum(1, keepdim=True), rtol=1e-10)


@pytest.mark.parametrize("p", [wide(), lopsided()], ids=repr)
def test_samples_have_the_moments_within_five_standard_errors(p, rng):
    x = p.sample(40_000, rng)
    centred = x - p.mean
    assert ((x.mean(0) - p.mean).abs() < 5 * x.std(0) / 200).all()
    variance = p.std**2 if isinstance(p, Gaussian) else p.cov.diagonal()
    assert ((centred.square().mean(0) - variance).abs() < 5 * centred.square().std(0) / 200).all()


def test_samples_have_the_correlations(rng):
    p = lopsided()
    x = p.sample(40_000, rng) - p.mean
    product = x[:, 0] * x[:, 1]
    assert abs(float(product.mean() - p.cov[0, 1])) < 5 * float(product.std()) / 200


def test_stratified_counts_are_due_shares(rng):
    p = Mixture(torch.tensor([1.0, 2.0, 5.0]), torch.tensor([[0.0], [100.0], [200.0]]), 0.1)
    x = p.stratified(800, rng)
    assert torch.bincount((x[:, 0] / 100).round().long()).tolist() == [100, 200, 500]
    assert p.stratified(13, rng).shape == (13, 1)
    assert (x[:100, 0] > 50).any()  # shuffled: no component keeps to itself


def test_generators_repeat_and_leave_the_global_stream_alone():
    for p in (wide(), lopsided()):
        state = torch.get_rng_state()
        draws = [p.sample(5, torch.Generator().manual_seed(1)) for _ in range(2)]
        assert torch.equal(*draws) and torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("p", [wide(), lopsided()], ids=repr)
def test_an_empty_batch_gives_empty_answers(p):
    x = p.sample(0)
    assert x.shape == (0, *p.event) and p.log_prob(x).shape == (0,) and p.score(x).shape == x.shape


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_dtypes_are_kept(dtype):
    p = lopsided().to(dtype)
    x = p.sample(3)
    assert {x.dtype, p.log_prob(x).dtype, p.score(x).dtype, p.mean.dtype} == {dtype}
    g = standard_normal(2, dtype=dtype)
    assert {g.sample(3).dtype, g.log_prob(x).dtype, g.score(x).dtype} == {dtype}


def test_inputs_that_want_gradients_are_unharmed():
    x = torch.randn(3, 2, dtype=F64, requires_grad=True)
    before = x.detach().clone()
    lopsided().score(x).sum().backward()
    assert torch.equal(x.detach(), before) and x.grad.shape == x.shape


def test_numbers_without_event_dimensions_are_samples_too():
    assert torch.allclose(
        standard_normal().log_prob(torch.zeros(4)), torch.full((4,), -0.5 * math.log(2 * math.pi))
    )


def test_sample_mean_carries_its_standard_error():
    mean, error = sample_mean(torch.tensor([[1.0], [2.0], [3.0], [4.0]]))
    assert float(mean) == 2.5 and float(error) == pytest.approx(math.sqrt(5 / 3) / 2)


def test_reprs_say_what_they_are():
    assert "3 Gaussians in 2 dimensions" in repr(lopsided()) and "Gaussian over (2, 2)" in repr(wide())


TWO = torch.zeros(2, 2)
SENTENCES = [
    (lambda: Gaussian(torch.zeros(2), 0.0), ValueError, "deviation is 0: expected all of them above 0"),
    (lambda: Gaussian(torch.zeros(2), float("nan")), ValueError, "deviation is nan: expected"),
    (lambda: wide().log_prob(torch.zeros(3, 4, dtype=F64)), ValueError, r"\(3, 4\): expected \(B, 2, 2\)"),
    (
        lambda: wide().score(torch.zeros(3, 2, 2, device="meta", dtype=F64)),
        ValueError,
        "device meta: expected cpu",
    ),
    (
        lambda: Mixture(torch.ones(3), TWO, 1.0),
        ValueError,
        r"\(3,\) and means of shape \(2, 2\): expected \(K,\) and",
    ),
    (lambda: Mixture(torch.ones(2), torch.zeros(2), 1.0), ValueError, r"expected \(K,\) and \(K, D\)"),
    (
        lambda: Mixture(torch.tensor([1.0, 0.0]), TWO, 1.0),
        ValueError,
        "a weight is 0: expected all of them above 0",
    ),
    (
        lambda: Mixture(torch.ones(2), TWO.long(), 1.0),
        TypeError,
        "means has dtype torch.int64: expected floating",
    ),
    (lambda: Mixture(torch.ones(2), TWO, 0.0), ValueError, "stds of shape .*all above 0"),
    (
        lambda: Mixture(torch.ones(2), TWO, torch.ones(2)),
        ValueError,
        r"stds of shape \(2,\): expected a number, \(K, 1\)",
    ),
    (lambda: Mixture(torch.ones(2), TWO, torch.ones(3, 1)), ValueError, r"stds of shape \(3, 1\): expected"),
    (lambda: lopsided().log_prob(torch.zeros(3, 3, dtype=F64)), ValueError, r"\(3, 3\): expected \(B, 2\)"),
    (lambda: lopsided().log_prob(torch.full((3, 2), float("nan"))), ValueError, "NaN in 6 of 6"),
    (lambda: lopsided().score(torch.zeros(3, 2).int()), TypeError, "torch.int32: expected floating"),
    (lambda: lopsided().log_prob(torch.zeros(3, 2, device="meta")), ValueError, "device meta: expected cpu"),
    (lambda: sample_mean(torch.zeros(0, 2)), ValueError, "values is an empty batch"),
]


@pytest.mark.parametrize("act, error, told", SENTENCES, ids=[told[:40] for *_, told in SENTENCES])
def test_bad_input_is_answered_with_a_sentence(act, error, told):
    with pytest.raises(error, match=told):
        act()
