"""Gumbel noise and its softmax: frequencies, the KL to uniform codes, the bound by enumeration, the soft gradient."""

from __future__ import annotations

import math

import pytest
import torch

from dgm_course.vq import gumbel_noise, gumbel_softmax, kl_to_uniform

from .models import EVERY, discrete, normal


def test_the_gumbel_argmax_follows_the_softmax():
    logits = torch.tensor([0.5, -1.0, 2.0, 0.0]).double()
    n = 40_000
    many = logits[None].expand(n, 4)
    seen = torch.bincount((many + gumbel_noise(many)).argmax(1), minlength=4) / n
    p = logits.softmax(0)
    assert ((seen - p).abs() < 5 * (p * (1 - p) / n).sqrt()).all()


def test_gumbel_noise_has_its_distribution():
    """P(g < t) = exp(−e^−t)."""
    g = gumbel_noise(torch.zeros(50_000).double())
    for t in (-1.0, 0.0, 1.0, 3.0):
        p = math.exp(-math.exp(-t))
        assert abs(float((g < t).double().mean()) - p) < 5 * (p * (1 - p) / 50_000) ** 0.5
    assert torch.isfinite(gumbel_noise(torch.zeros(200_000))).all()


def test_a_soft_sample_becomes_hard():
    logits = torch.randn(5, 4, 2, 3, dtype=torch.float64, requires_grad=True)
    noise = gumbel_noise(logits)
    soft = gumbel_softmax(logits, noise, 0.7)
    joined = logits + noise
    odds = torch.exp(joined / 0.7)
    torch.testing.assert_close(soft, odds / odds.sum(1, keepdim=True))
    hard = gumbel_softmax(logits, noise, 1e-4)
    assert torch.equal(hard.argmax(1), joined.argmax(1)) and hard.amax(1).min() > 0.999
    assert torch.autograd.gradcheck(lambda l: gumbel_softmax(l, noise, 0.7), logits)


@pytest.mark.parametrize("grid", [(), (3,), (2, 2)])
def test_the_kl_is_torchs(grid):
    logits = 2 * normal(6, 5, *grid)
    q = torch.distributions.Categorical(logits=logits.movedim(1, -1))
    p = torch.distributions.Categorical(logits=torch.zeros_like(logits.movedim(1, -1)))
    wanted = torch.distributions.kl_divergence(q, p).reshape(6, -1).sum(1)
    torch.testing.assert_close(kl_to_uniform(logits), wanted)
    assert (wanted > 0).all() and (wanted < math.prod(grid) * math.log(5)).all()
    assert kl_to_uniform(torch.zeros_like(logits)).abs().max() < 1e-12


def test_the_elbo_is_the_one_by_enumeration():
    model = discrete()
    with torch.no_grad():
        q = model.logits(EVERY).squeeze(2).softmax(1)
        given = torch.stack([model.decode(torch.full((16, 1), k)).log_prob(EVERY) for k in range(6)], 1)
        exact = (q * (given - q.log() - math.log(6))).sum(1)
        draws = torch.stack([model.elbo(EVERY) for _ in range(400)])
        log_p = (given - math.log(6)).logsumexp(1)
    assert ((draws.mean(0) - exact).abs() < 5 * draws.std(0) / 20 + 1e-9).all() and (exact < log_p).all()


def test_the_soft_gradient_tends_to_the_true_one():
    """The slope of E_q f(c) in the logits, known by enumeration, against the mean of many soft draws' slopes."""
    logits, values = torch.tensor([[0.3, -0.5, 0.8]]).double(), torch.tensor([1.0, -2.0, 0.5]).double()
    leaf = logits.clone().requires_grad_()
    (exact,) = torch.autograd.grad((leaf.softmax(1) * values).sum(), leaf)
    off = []
    for temperature in (3.0, 0.1):
        leaf = logits.expand(60_000, 3).clone().requires_grad_()
        soft = gumbel_softmax(leaf, gumbel_noise(leaf), temperature)
        (slopes,) = torch.autograd.grad((soft * values).sum(), leaf)
        off.append(float((slopes.mean(0) - exact[0]).abs().max()))
        error = float(slopes.std(0).max()) / 60_000**0.5
    assert off[1] < 5 * error + 0.02 < off[0]
