"""The parts of a VAE: heads against torch's own densities and counts of samples, priors against integrals and each other."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dgm_course.nets import DenseNet
from dgm_course.teach import oracles as laws
from dgm_course.vae import (
    VAE,
    AggregatedPosterior,
    DiagNormal,
    IndependentBernoulli,
    MixturePrior,
    SharedGaussianHead,
    VampPrior,
)

from .models import EVENT, HEADS, IMAGES, each_head, encoder, normal, within

# --- heads


@pytest.mark.parametrize("head", [head for head in HEADS if head.startswith("bits")])
def test_all_images_of_bits_sum_to_one(head):
    p = HEADS[head](2)(normal(1, 2))
    total = torch.stack([p.log_prob(x) for x in IMAGES[:, None]]).exp().sum()
    assert total.item() == pytest.approx(1, abs=1e-12)


def test_the_log_probability_is_torchs_own():
    mean, std = normal(4, *EVENT), torch.rand(4, *EVENT).double() + 0.2
    x, bits = normal(3, 4, *EVENT), torch.randint(2, (3, 4, *EVENT))
    wanted = torch.distributions.Independent(torch.distributions.Normal(mean, std), 3).log_prob(x)
    torch.testing.assert_close(DiagNormal(mean, std, 3).log_prob(x), wanted)
    wanted = torch.distributions.Independent(torch.distributions.Bernoulli(logits=mean), 3).log_prob(bits.double())
    torch.testing.assert_close(IndependentBernoulli(mean, 3).log_prob(bits), wanted)


@each_head
def test_samples_have_the_moments_of_the_head(head):
    p = HEADS[head](2)(normal(3, 2))
    x = p.sample(20_000)
    assert x.shape == (20_000, 3, *EVENT)
    if head == "bits that depend on each other":
        chance = torch.stack([p.log_prob(image.expand(3, *EVENT)) for image in IMAGES]).exp()  # (64, 3)
        within(x.double(), torch.einsum("eb,exyz->bxyz", chance, IMAGES.double()))
    else:
        within(x.double(), p.mean)


def test_gaussian_is_squared_error_bits_are_cross_entropy():
    """The erratum: −log p(x|z) = ‖x − x'‖²/2σ² + const for one, cross-entropy and not squared error for the other."""
    mean, x, bits = torch.rand(9, 6).double(), torch.rand(9, 6).double(), torch.randint(2, (9, 6)).double()
    squares = (x - mean).square().sum(1)
    left = -DiagNormal(mean, 0.3).log_prob(x)
    torch.testing.assert_close(left - squares / 0.18, torch.full((9,), 3 * math.log(2 * math.pi * 0.09)).double())
    cross = F.binary_cross_entropy(mean, bits, reduction="none").sum(1)
    torch.testing.assert_close(-IndependentBernoulli(mean.logit()).log_prob(bits), cross)
    line = torch.stack([(bits - mean).square().sum(1), torch.ones(9).double()], 1)
    best = line @ torch.linalg.lstsq(line, cross[:, None]).solution
    assert (best[:, 0] - cross).abs().max() > 1e-2  # no affine function of the squared error


def test_the_learned_deviation_is_the_rmse():
    net = nn.Sequential(DenseNet(2, 6, depth=0))
    head, x = SharedGaussianHead(net, EVENT, 3.0).double(), normal(200, *EVENT)
    head.net.requires_grad_(False)
    z, optimizer = torch.zeros(200, 2).double(), torch.optim.Adam([head.log_std], 0.05)
    for _ in range(400):
        optimizer.zero_grad()
        (-head(z).log_prob(x).mean()).backward()
        optimizer.step()
    assert head.log_std.exp().item() == pytest.approx((x - head(z).mean).square().mean().sqrt().item(), rel=1e-4)


# --- priors


def test_a_prior_has_the_moments_of_its_samples(prior):
    nodes, cell = laws.lattice(2, 9.0, 240)
    p = prior.log_prob(nodes).detach().exp() * cell
    assert p.sum().item() == pytest.approx(1, abs=1e-6)
    z = prior.sample(20_000)
    assert z.shape == (20_000, 2) and z.dtype == torch.float64 and not z.requires_grad
    within(z, p @ nodes, "mean")
    within((z[:, :, None] * z[:, None]), torch.einsum("m,mi,mj->ij", p, nodes, nodes), "second moment")


def test_a_mixture_prior_is_its_mixture():
    p, z = MixturePrior(4, 3).double(), normal(7, 3)
    torch.testing.assert_close(p.log_prob(z), p.mixture.log_prob(z))
    assert p.means.std() > 0.3


def test_pseudo_inputs_share_the_encoder():
    own = encoder(2)
    vae = VAE(own, HEADS["bits"](2), VampPrior(own, torch.rand(4, *EVENT).double()))
    assert {n for n, _ in vae.prior.named_parameters()} == {"inputs"}
    before = vae.prior.log_prob(torch.zeros(1, 2).double())
    with torch.no_grad():
        own.net.layers[0].bias += 1
    assert (vae.prior.log_prob(torch.zeros(1, 2).double()) - before).abs() > 1e-6
    twin = copy.deepcopy(vae)
    assert twin.prior._shared[0] is twin.encoder


def test_one_pseudo_input_a_datum_is_the_aggregate():
    own, x, z = encoder(2), torch.rand(9, *EVENT).double(), normal(5, 2)
    torch.testing.assert_close(VampPrior(own, x).log_prob(z), AggregatedPosterior(own(x)).log_prob(z))


def test_the_shared_encoder_follows_the_prior():
    own = encoder(2).float()
    prior = VampPrior(own, torch.rand(4, *EVENT)).double()
    assert next(own.parameters()).dtype == prior.log_prob(torch.zeros(3, 2).double()).dtype == torch.float64
    assert [name for name, _ in prior.named_parameters()] == ["inputs"]


def test_the_aggregated_posterior_in_any_blocks():
    q, z = encoder(2)(normal(23, *EVENT)), normal(11, 2)
    agg = AggregatedPosterior(q)
    wanted = torch.stack([q.log_prob(point.expand(23, 2)).exp().mean() for point in z]).log()
    torch.testing.assert_close(agg.log_prob(z), wanted)
    agg.block = 7
    torch.testing.assert_close(agg.log_prob(z), wanted)
    torch.testing.assert_close(agg.responsibilities(z).sum(1), torch.ones(11).double())
