"""The references of the homework on VAEs, held to oracles of another kind: quadrature, simulation, enumeration."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from dgm_course.teach.homework import exercise


def reference(name):
    return exercise(f"vae.{name}").reference


LINE = torch.linspace(-12, 12, 24_001, dtype=torch.float64)
STEP = float(LINE[1] - LINE[0])


def density(x, mean, std):
    return torch.exp(-((x - mean) ** 2) / (2 * std**2)) / (std * math.sqrt(2 * math.pi))


def test_the_kl_is_the_integral_of_q_log_q_over_p():
    mean, log_std = torch.tensor([[0.4, -1.2]]).double(), torch.tensor([[0.3, -0.7]]).double()
    total = 0.0
    for m, s in zip(mean[0], log_std[0].exp(), strict=True):
        q, p = density(LINE, m, s), density(LINE, 0.0, 1.0)
        keep = q > 0
        total += float((q[keep] * (q[keep] / p[keep]).log()).sum() * STEP)
    assert reference("gaussian_kl")(mean, log_std).item() == pytest.approx(total, abs=1e-8)


def test_the_likelihood_integrates_to_one_and_is_largest_at_the_mean():
    mean, log_std = torch.full((len(LINE), 1), 0.7).double(), torch.full((len(LINE), 1), -0.4).double()
    nll = reference("gaussian_nll")(LINE[:, None], mean, log_std)
    assert (torch.exp(-nll).sum() * STEP).item() == pytest.approx(1, abs=1e-9)
    assert LINE[nll.argmin()].item() == pytest.approx(0.7, abs=STEP)


def test_reparameterised_draws_have_the_moments_asked_for():
    mean, log_std = torch.tensor([0.5, -2.0]).expand(100_000, 2), torch.tensor([0.4, -1.0]).expand(100_000, 2)
    z = reference("reparameterise")(mean, log_std, torch.randn(100_000, 2))
    assert ((z.mean(0) - mean[0]).abs() < 5 * log_std[0].exp() / 100_000**0.5).all()
    assert (z.std(0) / log_std[0].exp() - 1).abs().max() < 0.02


def test_the_loss_bounds_the_surprise_of_all_images_of_a_constant_decoder():
    """Logits that do not hear z: the KL of q = prior is zero, and exp(−loss) over all images sums to one."""
    every = torch.tensor(list(itertools.product((0.0, 1.0), repeat=4))).double()
    logits, zeros = torch.tensor([0.3, -1.0, 2.0, 0.0]).double(), torch.zeros(1, 3).double()
    losses = torch.stack([reference("loss")(x[None], logits[None], zeros, zeros, 1.0) for x in every])
    assert torch.exp(-losses).sum().item() == pytest.approx(1, abs=1e-12)
    wide = reference("loss")(every[:1], logits[None], zeros + 1, zeros, 2.0) - losses[0]
    assert wide.item() == pytest.approx(2 * 3 * 0.5)  # mean 1 in three dimensions costs ½ each, weighed twice


def test_the_importance_weighted_bound_tends_to_log_p_and_is_below_it():
    """x = z + ε, q wrong on purpose: p(x) = N(x; 0, 2)."""
    x, k = torch.tensor([1.3]).double(), 200_000
    z = 0.2 + 0.9 * torch.randn(k, 1).double()
    logs = [density(a, m, s).log() for a, m, s in ((x, z, 1.0), (z, 0.0, 1.0), (z, 0.2, 0.9))]
    wanted = density(x, 0.0, math.sqrt(2)).log()
    assert reference("iwae_bound")(*logs).item() == pytest.approx(wanted.item(), abs=0.01)
    single = torch.stack([reference("iwae_bound")(*(log[i : i + 1] for log in logs)) for i in range(2000)])
    assert single.mean() < wanted - 0.05


def test_steps_of_em_never_lower_the_likelihood_and_end_where_it_is_flat():
    x = torch.cat([torch.randn(150, 2) * 0.6 + torch.tensor(c) for c in ([-2.0, 0.0], [2.0, 1.0])]).double()
    weights, means, std = torch.tensor([0.4, 0.6]).double(), torch.randn(2, 2).double(), 0.6

    def likelihood(means):
        each = [w * density(x, m, std).prod(1) for w, m in zip(weights, means, strict=True)]
        return torch.stack(each).sum(0).log().mean()

    before = []
    for _ in range(60):
        before.append(likelihood(means))
        responsibilities, means = reference("em_step")(x, weights, means, std)
        torch.testing.assert_close(responsibilities.sum(1), torch.ones(300).double())
    assert all(b >= a - 1e-12 for a, b in itertools.pairwise(before))
    leaf = means.clone().requires_grad_()
    assert torch.autograd.grad(likelihood(leaf), leaf)[0].abs().max() < 1e-6


def test_the_marginal_of_the_linear_world_is_the_integral_over_z():
    weight, bias, std = torch.tensor([[1.0], [-0.5]]).double(), torch.tensor([0.2, 0.1]).double(), 0.7
    x = torch.tensor([[0.5, 1.0], [-2.0, 0.3]]).double()
    given = density(x[:, None], LINE[:, None] * weight[:, 0] + bias, std).prod(-1)  # (2, nodes)
    wanted = (given * density(LINE, 0.0, 1.0)).sum(1) * STEP
    torch.testing.assert_close(reference("ppca_log_likelihood")(x, weight, bias, std), wanted.log())
