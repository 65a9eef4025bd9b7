"""ELBO surgery: mutual information and marginal KL against quadrature, and priors that close the gap."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from dgm_course.teach import oracles as laws
from dgm_course.training import Recipe, fit
from dgm_course.vae import VAE, AggregatedPosterior, DiagNormal, MixturePrior, StandardNormal, surgery

from .models import HEADS, PRIORS, batch, encoder, normal, one_dimensional, within


def test_surgery_against_quadrature():
    vae, x = VAE(encoder(2), HEADS["bits"](2), MixturePrior(3, 2).double()), batch("bits", 12)
    with torch.no_grad():
        vae.encoder.net.layers[-1].weight *= 3  # so that posteriors differ
    found = surgery(vae, x, n=400)
    nodes, cell = laws.lattice(2, 9.0, 700)
    with torch.no_grad():
        log_q = laws.density_on(nodes, vae.encode(x))
        mutual, marginal, mean_kl = laws.surgery(log_q, vae.prior.log_prob(nodes), cell)
    assert mutual + marginal == pytest.approx(mean_kl.item(), abs=1e-10)
    for share, wanted in ((found.mutual_information, mutual), (found.marginal_kl, marginal), (found.kl, mean_kl)):
        assert abs(share.mean - wanted.item()) < 5 * share.error and 0 < share.error < 0.05
    assert 0.05 < found.mutual_information.mean < found.most == pytest.approx(math.log(12))
    assert found.elbo == pytest.approx(found.reconstruction.mean - found.kl.mean, abs=1e-9)
    assert "mutual information" in repr(found) and "marginal KL" in repr(found) and "mean KL" in repr(found)


def test_mutual_information_and_marginal_kl_sum_up():
    vae, x = one_dimensional("bits"), batch("bits", 20)
    found = surgery(vae, x, n=200)
    error = math.hypot(found.mutual_information.error, found.marginal_kl.error)
    assert found.kl.error == 0
    assert abs(found.mutual_information.mean + found.marginal_kl.mean - found.kl.mean) < 5 * error


def test_the_best_prior_is_the_aggregated_posterior():
    vae, x = VAE(encoder(2), HEADS["bits"](2), StandardNormal(2).double()), batch("bits", 15)
    found = surgery(vae.with_prior(AggregatedPosterior(vae.encode(x))), x)
    assert abs(found.marginal_kl.mean) < 1e-12 and found.kl.mean == pytest.approx(found.mutual_information.mean)


def test_information_of_equal_and_of_far_posteriors():
    class Spread(nn.Module):
        def __init__(self, spread):
            super().__init__()
            self.spread = spread

        def forward(self, x):
            return DiagNormal(self.spread * torch.arange(len(x)).double()[:, None], 1.0)

    for spread, wanted in ((0.0, 0.0), (100.0, math.log(8))):
        vae = VAE(Spread(spread), HEADS["bits"](1), StandardNormal(1).double())
        assert surgery(vae, batch("bits", 8)).mutual_information.mean == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("name", ["learned mixture", "pseudo-inputs"])
def test_a_learned_prior_has_the_kls_gradient(name):
    """∇ −E_q_agg log p(z|λ) = ∇ mean KL(q_i ‖ p(z|λ)): samples on the left, autograd through quadrature on the right."""
    q, prior = DiagNormal(normal(5, 2), torch.rand(5, 2).double() + 0.4), PRIORS[name]()
    nodes, cell = laws.lattice(2, 8.0, 240)
    weights = list(prior.parameters())
    exact = torch.autograd.grad(laws.kl(laws.density_on(nodes, q), prior.log_prob(nodes), cell).mean(), weights)
    rows = [
        torch.autograd.grad(prior.loss(part), weights) for part in AggregatedPosterior(q).sample(60_000).split(300)
    ]
    for wanted, got in zip(exact, zip(*rows, strict=True), strict=True):
        within(torch.stack(got), wanted)


def test_the_aggregated_posterior_keeps_its_blocks():
    agg = AggregatedPosterior(DiagNormal(torch.randn(5, 2), 0.5))
    agg.block = 10  # one row at a time
    moved = agg.to(torch.float64)
    assert type(moved) is AggregatedPosterior and moved._rows == 1 and moved.means.dtype == torch.float64


def test_a_fitted_prior_closes_the_marginal_kl():
    q = DiagNormal(torch.tensor([[-2.0, 0.0], [2.0, 1.0], [0.0, -2.0]]).double(), 0.5)
    agg, prior = AggregatedPosterior(q), MixturePrior(6, 2).double()
    nodes, cell = laws.lattice(2, 8.0, 240)
    fit(prior, agg, Recipe(300, 256, 5e-2, decay=lambda done: 1 - done))
    left, before = (
        laws.kl(agg.log_prob(nodes), p.log_prob(nodes), cell) for p in (prior, StandardNormal(2).double())
    )
    assert 0 < left < 0.05 < 0.5 < before
