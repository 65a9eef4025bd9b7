"""The two exact worlds: probabilistic PCA and EM, against quadrature, autograd, eigenvalues, and the bound itself."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import MultivariateNormal, kl_divergence

from dgm_course.core.distributions import DiagNormal, Mixture
from dgm_course.teach import oracles as laws
from dgm_course.vae import VAE, LinearGaussian, e_step, gaussian_kl, m_step, mixture_bound

from .models import normal


def world(dim: int = 2, size: int = 4, std: float = 0.6) -> LinearGaussian:
    return LinearGaussian(normal(size, dim), normal(size), std)


@pytest.mark.parametrize("dim", [1, 2])
def test_log_p_and_posterior_are_the_integrals(dim):
    model, x = world(dim), normal(5, 4)
    nodes, cell = laws.lattice(dim, 9.0, 700)
    with torch.no_grad():
        joint = laws.joint_on(nodes, x, model.likelihood, model.prior)
        log_p = laws.log_marginal(joint, cell)
        torch.testing.assert_close(model.log_prob(x), log_p)
        posterior = model.posterior(x)
        on_nodes = posterior.log_prob(nodes[:, None].expand(-1, 5, dim)).T
        torch.testing.assert_close(on_nodes, joint - log_p[:, None], atol=1e-8, rtol=1e-8)


def test_in_a_vae_the_bound_is_tight():
    """log w = log p(x) for every sample z: Bayes' rule."""
    model = world(3, 6)
    vae, x = VAE(model.posterior, model.likelihood, model.prior), model.sample(9)
    torch.testing.assert_close(vae.elbo(x, 1), model.log_prob(x))
    torch.testing.assert_close(vae.log_prob_bound(x, 3), model.log_prob(x))


def test_the_elbo_of_any_q_and_its_gap():
    model, x = world(2, 5), normal(6, 5)
    q = DiagNormal(normal(6, 2), torch.rand(6, 2).double() + 0.2)
    nodes, cell = laws.lattice(2, 9.0, 700)
    with torch.no_grad():
        joint = laws.joint_on(nodes, x, model.likelihood, model.prior)
        torch.testing.assert_close(model.elbo(x, q), laws.elbo(joint, laws.density_on(nodes, q), cell))
        gap = kl_divergence(q, model.posterior(x))
        torch.testing.assert_close(model.elbo(x, q) + gap, model.log_prob(x))
        log_posterior = joint - model.log_prob(x)[:, None]
        torch.testing.assert_close(gap, laws.kl(laws.density_on(nodes, q), log_posterior, cell))
    assert (gap > 0).all()


def test_the_marginal_has_the_moments_of_its_samples():
    model = world(2, 3)
    x, p = model.sample(40_000), model.marginal
    error = x.std(0) / 200
    assert ((x.mean(0) - p.mean).abs() < 5 * error).all()
    products = (x - p.mean)[:, :, None] * (x - p.mean)[:, None]
    assert ((products.mean(0) - p.covariance_matrix).abs() < 5 * products.std(0) / 200).all()


def test_the_fitted_world_maximises_the_likelihood():
    truth = world(2, 6)
    x = truth.sample(500)
    best = LinearGaussian.fitted(x, 2)
    slopes = torch.autograd.grad(best.log_prob(x).mean(), list(best.parameters()))
    assert max(float(s.abs().max()) for s in slopes) < 1e-8
    assert best.log_prob(x).mean() > truth.log_prob(x).mean()
    cov = best.posterior(x).covariance_matrix[0]
    assert (cov - torch.diag(cov.diagonal())).abs().max() < 1e-9  # so the exact posterior is diagonal


def test_em_on_the_bound_reaches_the_fitted_world():
    """The M-step by gradient ascent on the bound, the E-step exact: log p never falls, and ends where eigenvalues say."""
    x = LinearGaussian(torch.tensor([[2.0], [1.0], [-1.0]]).double(), torch.zeros(3).double(), 0.5).sample(300)
    model, best = LinearGaussian(torch.ones(3, 1).double(), x.mean(0), 1.0), LinearGaussian.fitted(x, 1)
    before = []
    for _ in range(40):
        p = model.posterior(x)
        q = DiagNormal(p.mean.detach(), p.stddev.detach())
        before.append(model.log_prob(x).mean().item())
        optimizer = torch.optim.LBFGS(model.parameters(), max_iter=40, line_search_fn="strong_wolfe")

        def step(optimizer=optimizer, q=q):
            optimizer.zero_grad()
            loss = -model.elbo(x, q).mean()
            loss.backward()
            return loss

        optimizer.step(step)
    assert all(later > earlier - 1e-9 for earlier, later in zip(before, before[1:], strict=False))
    assert before[-1] == pytest.approx(best.log_prob(x).mean().item(), abs=1e-4) and before[-1] > before[0] + 1


def test_the_kl_to_a_full_normal():
    root = normal(3, 3).tril() + 2 * torch.eye(3).double()
    mean, x, std = normal(4, 3), normal(4, 3), torch.tensor([0.5, 1.0, 2.0]).double()
    q, full = DiagNormal(x, 0.7), MultivariateNormal(mean, root @ root.T)
    z = q.sample(100_000)
    each = q.log_prob(z) - full.log_prob(z)
    assert ((each.mean(0) - kl_divergence(q, full)).abs() < 5 * each.std(0) / len(z) ** 0.5).all()
    diagonal = MultivariateNormal(mean, torch.diag(std**2))
    torch.testing.assert_close(kl_divergence(q, diagonal), gaussian_kl(q, DiagNormal(mean, std)))


# --- EM


def crowd(n: int = 400) -> tuple[Mixture, torch.Tensor]:
    means = torch.tensor([[-2.0, 0.0], [2.0, 1.0], [0.0, -2.0]]).double()
    truth = Mixture(torch.tensor([0.5, 0.3, 0.2]).double(), means, 0.7)
    return truth, truth.sample(n)


def start(k: int = 3) -> Mixture:
    return Mixture(torch.ones(k).double(), normal(k, 2), 1.5)


def test_the_bound_is_tight_after_the_e_step():
    _, x = crowd()
    model = start()
    q = e_step(model, x)
    torch.testing.assert_close(mixture_bound(model, x, q), model.log_prob(x))
    other = torch.rand(len(x), 3).double()
    other = other / other.sum(1, keepdim=True)
    gap = (other * (other.log() - q.log())).sum(1)  # KL(q ‖ p(k|x))
    torch.testing.assert_close(mixture_bound(model, x, other) + gap, model.log_prob(x))
    assert (gap > 0).all()


def test_the_m_step_maximises_the_bound():
    """The gradient of the bound by weights, means and deviations is zero there, by autograd."""
    _, x = crowd()
    q = e_step(start(), x)
    best = m_step(x, q)
    parts = [best.weights.log().clone(), best.means.clone(), best.stds.log().clone()]
    for part in parts:
        part.requires_grad_()
    each = -0.5 * (((x[:, None] - parts[1]) / parts[2].exp()) ** 2 + math.log(2 * math.pi)).sum(-1) - parts[2].sum(
        1
    )
    bound = (q * (parts[0].log_softmax(0) + each)).sum()
    for slope in torch.autograd.grad(bound, parts):
        assert slope.abs().max() < 1e-8


def test_em_finds_the_components():
    truth, x = crowd(2000)
    model, history = start(), []
    for _ in range(100):
        history.append(model.log_prob(x).mean().item())
        model = m_step(x, e_step(model, x))
    assert all(later > earlier - 1e-12 for earlier, later in zip(history, history[1:], strict=False))
    assert history[-1] > truth.log_prob(x).mean() - 0.01
    apart = torch.cdist(truth.means, model.means).min(1).values
    assert apart.max() < 0.2 and (model.weights.sort().values - truth.weights.sort().values).abs().max() < 0.05


def lonely() -> tuple[torch.Tensor, torch.Tensor]:
    """Three points on a line, the first of them a component's only one."""
    return torch.tensor([[0.0], [5.0], [6.0]]).double(), torch.tensor([[1.0, 0], [0, 1], [0, 1]]).double()


@pytest.mark.parametrize(
    "wrong, words",
    [
        (lambda: LinearGaussian(torch.ones(3, 1), torch.zeros(3), 0.0), "std is 0.*singular"),
        (lambda: LinearGaussian(torch.ones(3, 1), torch.zeros(2), 1.0), r"weight is \(3, 1\)"),
        (lambda: LinearGaussian.fitted(normal(50, 1) @ normal(1, 4), 1), "lie in 1 dimensions.*singular"),
        (lambda: LinearGaussian.fitted(torch.randn(50, 3), 3), "dim is 3"),
        (lambda: LinearGaussian.fitted(torch.randn(1, 3), 1), "at least two points"),
        (lambda: world().log_prob(torch.zeros(3, 5).double()), r"\(3, 5\)"),
        (lambda: world().log_prob(torch.full((3, 4), math.nan).double()), "NaN"),
        (lambda: m_step(torch.randn(5, 2), torch.ones(4, 2) / 2), r"q is \(4, 2\)"),
        (lambda: m_step(torch.randn(5, 2), torch.ones(5, 2)), "sum to one"),
        (lambda: m_step(*lonely()), "component 0 has shrunk"),
        (lambda: m_step(torch.randn(5, 2), torch.eye(2)[torch.zeros(5).long()]), "component 1.*mass 0"),
        (lambda: m_step(torch.zeros(0, 2), torch.zeros(0, 2)), "empty batch"),
    ],
)
def test_wrong_input(wrong, words):
    with pytest.raises(ValueError, match=words):
        wrong()


def test_a_least_deviation_keeps_a_component():
    model = m_step(*lonely(), 0.3)
    assert model.stds.min() == pytest.approx(0.3)
    assert "2 latent and 4 visible" in repr(world())
