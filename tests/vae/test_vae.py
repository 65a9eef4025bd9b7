"""VAEs: bounds against quadrature and closed forms, gradients in two ways, labels, autoencoders and training."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dgm_course import data
from dgm_course.nets import DenseNet
from dgm_course.teach import oracles as laws
from dgm_course.training import Recipe, fit
from dgm_course.vae import (
    VAE,
    Autoencoder,
    BernoulliHead,
    ClassPrior,
    DiagNormal,
    GaussianHead,
    StandardNormal,
    gaussian_kl,
)

from .models import EVENT, HEADS, IMAGES, PRIORS, batch, each_head, encoder, normal, one_dimensional, within

# --- the bound


@pytest.mark.parametrize("name", ["standard normal", "a diagonal Gaussian"])
def test_the_closed_kl_is_the_integral(name):
    q, p = DiagNormal(normal(4, 2), torch.rand(4, 2).double() + 0.3), PRIORS[name]()
    nodes, cell = laws.lattice(2, 10.0, 800)
    torch.testing.assert_close(gaussian_kl(q, p), laws.kl(laws.density_on(nodes, q), p.log_prob(nodes), cell))
    z = q.sample(20_000)
    within(q.log_prob(z) - p.log_prob(z.flatten(0, 1)).view(z.shape[:2]), gaussian_kl(q, p))


@each_head
def test_the_elbo_and_its_gap_against_quadrature(head):
    """log p(x) = ELBO + KL(q ‖ p(z|x)), all four sides by sums over z; the library's ELBO is the estimate of one of them."""
    vae, x = one_dimensional(head), batch(head)
    nodes, cell = laws.lattice(1, 12.0, 6000)
    with torch.no_grad():
        joint = laws.joint_on(nodes, x, vae.decoder, vae.prior)
        log_p, log_q = laws.log_marginal(joint, cell), laws.density_on(nodes, vae.encode(x))
        bound = laws.elbo(joint, log_q, cell)
        gap = laws.kl(log_q, joint - log_p[:, None], cell)
        torch.testing.assert_close(bound + gap, log_p)
        assert (gap > 0).all()
        draws = torch.stack([vae.elbo(x, 100) for _ in range(50)])
        within(draws, bound)
        reconstruction = (log_q.exp() * laws.joint_on(nodes, x, vae.decoder, Flat())).sum(1) * cell
        within(torch.stack([vae.terms(x, 100).reconstruction for _ in range(50)]), reconstruction)


class Flat:
    def log_prob(self, z):
        return z.new_zeros(len(z))


@each_head
def test_the_importance_weighted_bound_rises_to_log_p(head):
    vae, x = one_dimensional(head), batch(head)
    nodes, cell = laws.lattice(1, 12.0, 6000)
    with torch.no_grad():
        log_p = laws.log_marginal(laws.joint_on(nodes, x, vae.decoder, vae.prior), cell)
        many = x.repeat(400, 1, 1, 1)
        means = [vae.log_prob_bound(many, k).mean() for k in (1, 4, 16)]
        assert means[0] < means[1] < means[2] < log_p.mean() + 0.02
        within(vae.log_weights(x, 4000).exp(), log_p.exp())  # unbiased before the logarithm
        torch.testing.assert_close(vae.log_prob_bound(x, 20_000), log_p, atol=0.05, rtol=0)


def test_the_importance_weighted_bound_ignores_blocks():
    vae, x = one_dimensional("bits"), batch("bits", 3)
    with torch.no_grad():
        torch.manual_seed(1)
        weights = torch.cat([vae.log_weights(x, n) for n in (4, 4, 3)]).exp()
        torch.manual_seed(1)
        torch.testing.assert_close(vae.log_prob_bound(x, 11, block=12), weights.mean(0).log())


def test_with_k_one_it_is_the_elbo():
    vae, x = one_dimensional("bits"), batch("bits")
    with torch.no_grad():
        many = x.repeat(4000, 1, 1, 1)
        within((vae.log_prob_bound(many, 1) - vae.elbo(many, 1)).view(4000, len(x)), 0.0)


def test_the_sampled_kl_of_every_prior(prior):
    """The sampled KL against the integral, for every prior there is."""
    vae = VAE(encoder(2), HEADS["bits"](2), prior)
    x = batch("bits", 3)
    nodes, cell = laws.lattice(2, 9.0, 240)
    with torch.no_grad():
        wanted = laws.kl(laws.density_on(nodes, vae.encode(x)), prior.log_prob(nodes), cell)
        within(torch.stack([vae.terms(x, 50).kl for _ in range(100)]), wanted)
    assert vae.sample(4).shape == (4, *EVENT) and vae.latents(4).shape == (4, 2)


def test_the_kl_weight_is_in_the_loss_alone():
    vae, x = one_dimensional("bits"), batch("bits", 50)
    torch.manual_seed(3)
    plain = vae.loss(x)
    torch.manual_seed(3)
    torch.testing.assert_close(plain, -vae.elbo(x).mean())
    vae.kl_weight = 4.0
    torch.manual_seed(3)
    reconstruction, kl = vae.terms(x)
    torch.manual_seed(3)
    torch.testing.assert_close(vae.loss(x), (4 * kl - reconstruction).mean())
    torch.manual_seed(3)
    torch.testing.assert_close(vae.elbo(x), reconstruction - kl)


@each_head
def test_the_reparameterised_gradient_is_the_integrals(head):
    """∇_φ ELBO of a tiny encoder: by samples of z = m + s ε, and by autograd through the quadrature."""
    vae, x = one_dimensional(head), batch(head, 1)
    nodes, cell = laws.lattice(1, 12.0, 4000)
    weights = list(vae.encoder.parameters())[-2:]
    joint = laws.joint_on(nodes, x, vae.decoder, vae.prior).detach()
    exact = torch.autograd.grad(laws.elbo(joint, laws.density_on(nodes, vae.encode(x)), cell).sum(), weights)
    rows = [torch.autograd.grad(vae.elbo(x, 50).sum(), weights) for _ in range(300)]
    for wanted, got in zip(exact, zip(*rows, strict=True), strict=True):
        within(torch.stack(got), wanted)


# --- labels, autoencoders, training


@pytest.mark.parametrize("conditional", [False, True])
def test_a_conditional_vae_uses_the_label_everywhere(conditional):
    p = ClassPrior(3, 2).double() if conditional else StandardNormal(2).double()
    if conditional:
        nn.init.normal_(p.means)
    vae, x, y = VAE(encoder(2, 3), HEADS["bits"](2, 3), p), batch("bits", 6), torch.tensor([0, 1, 2, 2, 1, 0])
    nodes, cell = laws.lattice(2, 20.0, 500)
    with torch.no_grad():
        for label in range(3):
            rows = y == label
            prior = p(torch.full((len(nodes),), label)) if conditional else p
            joint = laws.joint_on(nodes, x[rows], partial(vae.decode, y=label), prior)
            bound = laws.elbo(joint, laws.density_on(nodes, vae.encode(x[rows], label)), cell)
            within(torch.stack([vae.elbo(x, 20, y)[rows] for _ in range(200)]), bound)
        log_p = laws.log_marginal(joint, cell)
        torch.testing.assert_close(vae.log_prob_bound(x[rows], 20_000, 2), log_p, atol=0.05, rtol=0)
    assert vae.sample(6, y).shape == (6, *EVENT) and vae.sample(4, 2).shape == (4, *EVENT)
    assert vae.loss(x, y).ndim == 0


class FullLabelPrior(nn.Module):
    """p(z | y) = N(m_y, C), C full: a head with a distribution of torch's own."""

    def __init__(self):
        super().__init__()
        self.means = nn.Parameter(normal(3, 2))

    def forward(self, y):
        cov = torch.tensor([[1.0, 0.5], [0.5, 2.0]]).double()
        return torch.distributions.MultivariateNormal(self.means[y], cov)


def test_a_prior_may_be_any_head():
    """The prior's shapes come from its distribution, never from which object it is."""
    p, y = FullLabelPrior(), torch.tensor([0, 1, 2, 2, 1])
    vae, x = VAE(encoder(2), HEADS["bits"](2), p), batch("bits", 5)
    vae.encode = lambda x, y=None: vae.encoder(x)
    vae.decode = lambda z, y=None: vae.decoder(z)
    q = vae.encode(x)
    z = q.rsample(7)
    torch.testing.assert_close(vae.log_prior(z, y), torch.stack([p(y).log_prob(row) for row in z]))
    torch.testing.assert_close(vae.kl(q, z, y), (q.log_prob(z) - p(y).log_prob(z)).mean(0))
    assert vae.latents(5, y).shape == (5, 2) and vae.latents(4, 1).shape == (4, 2) and vae.loss(x, y).ndim == 0
    with pytest.raises(ValueError, match="labels are not given"):
        vae.loss(x)
    with pytest.raises(ValueError, match=r"y has shape \(5,\).*\(4,\)"):
        vae.latents(4, y)


def test_a_linear_autoencoder_finds_the_pca_subspace():
    torch.manual_seed(2)
    scales, rotation = (torch.tensor([3.0, 2.0, 1.0, 0.5, 0.2]).double(), torch.linalg.qr(normal(5, 5))[0])
    x = normal(400, 5) * scales @ rotation
    x = x - x.mean(0)
    model = Autoencoder(DenseNet(5, 2, depth=0), DenseNet(2, 5, depth=0)).double()
    fit(model, x, Recipe(1000, 400, 3e-2, decay=lambda done: 1 - done))
    basis = torch.linalg.svd(x, full_matrices=False)[2][:2]
    found = torch.linalg.qr(model.decoder.layers[0].weight.detach())[0]
    torch.testing.assert_close(found @ found.T, basis.T @ basis, atol=1e-3, rtol=0)
    rest = x.square().sum(1).mean() - (x @ basis.T).square().sum(1).mean()
    assert model.loss(x).item() == pytest.approx(rest.item(), rel=1e-4)


def test_training_raises_the_bound():
    torch.manual_seed(0)
    source = data.DynamicallyBinarized(data.digits().train)
    net = lambda i, o: DenseNet(i, o, 32, 1)
    vae = VAE(GaussianHead(net(64, (2, 4)), 4), BernoulliHead(net(4, (1, 8, 8)), (1, 8, 8)), StandardNormal(4))
    held = data.DynamicallyBinarized(data.digits().test).fixed()
    before = vae.elbo(held, 4).mean()
    fit(vae, source, Recipe(300, 64, 5e-3))
    with torch.no_grad():
        assert vae.elbo(held, 4).mean() > before + 10


def test_start_at_sets_the_first_output():
    net, wanted = DenseNet(3, (1, 2, 2), 8, 1), torch.tensor([[[1.0, -2.0], [3.0, 0.5]]])
    nn.init.zeros_(net.layers[-1].weight)
    torch.testing.assert_close(net.start_at(wanted)(torch.randn(2, 3)), wanted.expand(2, 1, 2, 2))


def test_samples_follow_quadrature():
    vae = one_dimensional("bits that depend on each other")
    nodes, cell = laws.lattice(1, 10.0, 800)
    with torch.no_grad():
        chance = laws.log_marginal(laws.joint_on(nodes, IMAGES, vae.decoder, vae.prior), cell).exp()
    assert chance.sum().item() == pytest.approx(1, abs=1e-9)
    seen = vae.sample(20_000).flatten(1) @ (2 ** torch.arange(6))
    within(F.one_hot(seen, 64).double(), chance)
