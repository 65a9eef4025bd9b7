"""VAEs: bounds against quadrature and closed forms, KLs against integrals, gradients in two ways, and what is refused."""
from __future__ import annotations

import copy
import math
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dgm_course import data
from dgm_course.distributions import Gaussian, Mixture, standard_normal
from dgm_course.fit import Recipe, fit
from dgm_course.latent_nets import DenseNet
from dgm_course.teach import latent_laws as laws
from dgm_course.vae import (
    VAE,
    AggregatedPosterior,
    Autoencoder,
    Bernoulli,
    BernoulliHead,
    CausalHead,
    ClassPrior,
    DiagonalGaussian,
    FixedGaussianHead,
    GaussianHead,
    MixturePrior,
    SharedGaussianHead,
    StandardNormal,
    VampPrior,
    gaussian_kl,
    surgery,
)

EVENT = (1, 2, 3)


def encoder(dim: int = 1, classes: int = 0) -> GaussianHead:
    return GaussianHead(DenseNet(6, (2, dim), 12, 1, classes), dim).double()


HEADS = {
    "bits": lambda dim, classes=0: BernoulliHead(DenseNet(dim, EVENT, 12, 1, classes), EVENT).double(),
    "bits that hear each other":
        lambda dim, classes=0: CausalHead(DenseNet(dim, EVENT, 12, 1, classes), EVENT, Before()).double(),
    "fixed deviation": lambda dim, classes=0: FixedGaussianHead(DenseNet(dim, EVENT, 12, 1, classes), EVENT, 0.7).double(),
    "one learned deviation":
        lambda dim, classes=0: SharedGaussianHead(DenseNet(dim, 6, 12, 1, classes), EVENT, 0.7).double(),
    "deviations from the net": lambda dim, classes=0: GaussianHead(DenseNet(dim, 12, 12, 1, classes), EVENT).double(),
}


class Before(nn.Module):
    """A history: each place hears those before it, through a strictly lower triangular matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.randn(6, 6))

    def forward(self, x):
        return (x.flatten(1) @ self.matrix.tril(-1).T).view(x.shape)


def pseudo_inputs(dim: int = 2) -> VampPrior:
    return VampPrior(encoder(dim), torch.randn(4, *EVENT, dtype=torch.float64))


# A new prior is one line here: its name, and how it is built for two latent dimensions, in float64.
PRIORS = {
    "standard normal": lambda: StandardNormal(2).double(),
    "a Gaussian of the library": lambda: Gaussian(torch.tensor([0.5, -1.0]).double(), torch.tensor([0.4, 1.2]).double()),
    "a mixture of the library": lambda: data.moons().to(torch.float64),
    "learned mixture": lambda: MixturePrior(5, 2).double(),
    "pseudo-inputs": pseudo_inputs,
    "aggregated posterior": lambda: AggregatedPosterior(encoder(2)(torch.randn(30, *EVENT, dtype=torch.float64))),
}


def batch(head: str, n: int = 5) -> torch.Tensor:
    return torch.randint(2, (n, *EVENT)) if head.startswith("bits") else torch.randn(n, *EVENT, dtype=torch.float64)


@pytest.fixture(params=HEADS)
def head(request) -> str:
    return request.param


@pytest.fixture(params=PRIORS)
def prior(request):
    return PRIORS[request.param]()


def within(values: torch.Tensor, wanted: torch.Tensor | float, what: str = "") -> None:
    """The mean over the first axis is `wanted` to five standard errors."""
    values = values.detach()
    error = values.std(0) / len(values) ** 0.5
    assert ((values.mean(0) - wanted).abs() <= 5 * error + 1e-6).all(), (what, values.mean(0), wanted, error)


# --- heads


def test_a_density_sums_to_one_and_bits_too(head):
    """Over all 64 images for bits; by one coordinate after the other for independent Gaussians."""
    p = HEADS[head](2)(torch.randn(1, 2, dtype=torch.float64))
    if head.startswith("bits"):
        every = torch.tensor([[i >> k & 1 for k in range(6)] for i in range(64)]).view(64, 1, *EVENT)
        total = torch.stack([p.log_prob(x) for x in every]).exp().sum()
        assert total.item() == pytest.approx(1, abs=1e-12)
    else:
        line = torch.linspace(-30, 30, 60_001, dtype=torch.float64)
        mean, std = p.mean.flatten(), p.std.flatten()
        each = DiagonalGaussian(mean[None], std[None]).log_prob(line[:, None, None].expand(-1, 1, 6))
        by_hand = torch.distributions.Normal(mean, std).log_prob(line[:, None]).sum(1)
        torch.testing.assert_close(each[:, 0], by_hand)


def test_the_log_probability_is_torchs_own():
    mean, std = torch.randn(4, *EVENT).double(), torch.rand(4, *EVENT).double() + 0.2
    x, bits = torch.randn(3, 4, *EVENT).double(), torch.randint(2, (3, 4, *EVENT))
    wanted = torch.distributions.Independent(torch.distributions.Normal(mean, std), 3).log_prob(x)
    torch.testing.assert_close(DiagonalGaussian(mean, std).log_prob(x), wanted)
    wanted = torch.distributions.Independent(torch.distributions.Bernoulli(logits=mean), 3).log_prob(bits.double())
    torch.testing.assert_close(Bernoulli(mean).log_prob(bits), wanted)


def test_samples_have_the_moments_of_the_head(head):
    p = HEADS[head](2)(torch.randn(3, 2, dtype=torch.float64))
    x = p.sample(20_000)
    assert x.shape == (20_000, 3, *EVENT)
    if head == "bits that hear each other":
        every = torch.tensor([[i >> k & 1 for k in range(6)] for i in range(64)]).view(64, 1, *EVENT)
        chance = torch.stack([p.log_prob(e.expand(3, *EVENT)) for e in every]).exp()  # (64, 3)
        within(x.double(), torch.einsum("eb,exyz->bxyz", chance, every[:, 0].double().view(64, *EVENT)))
    else:
        within(x.double(), p.mean)


def test_a_gaussian_with_fixed_deviation_is_squared_error_and_bits_are_cross_entropy():
    """The erratum: −log p(x|z) = ‖x − x'‖²/2σ² + const for one, cross-entropy and not squared error for the other."""
    mean, x, bits = torch.rand(9, 6).double(), torch.rand(9, 6).double(), torch.randint(2, (9, 6)).double()
    squares = (x - mean).square().sum(1)
    left = -DiagonalGaussian(mean, 0.3).log_prob(x)
    torch.testing.assert_close(left - squares / 0.18, torch.full((9,), 3 * math.log(2 * math.pi * 0.09)).double())
    cross = F.binary_cross_entropy(mean, bits, reduction="none").sum(1)
    torch.testing.assert_close(-Bernoulli(mean.logit()).log_prob(bits), cross)
    line = torch.stack([(bits - mean).square().sum(1), torch.ones(9).double()], 1)
    best = line @ torch.linalg.lstsq(line, cross[:, None]).solution
    assert (best[:, 0] - cross).abs().max() > 1e-2  # no affine function of the squared error


def test_the_learned_deviation_ends_at_the_root_mean_squared_error():
    net = nn.Sequential(DenseNet(2, 6, depth=0))
    head, x = SharedGaussianHead(net, EVENT, 3.0).double(), torch.randn(200, *EVENT).double()
    head.net.requires_grad_(False)
    z, optimizer = torch.zeros(200, 2).double(), torch.optim.Adam([head.log_std], 0.05)
    for _ in range(400):
        optimizer.zero_grad()
        (-head(z).log_prob(x).mean()).backward()
        optimizer.step()
    assert head.log_std.exp().item() == pytest.approx((x - head(z).mean).square().mean().sqrt().item(), rel=1e-4)


# --- priors


def test_a_prior_is_normalised_and_has_the_moments_of_its_samples(prior):
    nodes, cell = laws.lattice(2, 9.0, 600)
    p = prior.log_prob(nodes).detach().exp() * cell
    assert p.sum().item() == pytest.approx(1, abs=1e-6)
    z = prior.sample(20_000)
    assert z.shape == (20_000, 2) and z.dtype == torch.float64 and not z.requires_grad
    within(z, p @ nodes, "mean")
    within((z[:, :, None] * z[:, None]), torch.einsum("m,mi,mj->ij", p, nodes, nodes), "second moment")


def test_a_mixture_prior_is_its_mixture_and_starts_with_parted_components():
    p, z = MixturePrior(4, 3).double(), torch.randn(7, 3).double()
    torch.testing.assert_close(p.log_prob(z), p.mixture.log_prob(z))
    assert p.means.std() > 0.3


def test_pseudo_inputs_are_seen_through_the_shared_encoder_and_it_is_not_counted_twice():
    own = encoder(2)
    vae = VAE(own, HEADS["bits"](2), VampPrior(own, torch.rand(4, *EVENT).double()))
    assert {n for n, _ in vae.prior.named_parameters()} == {"inputs"}
    before = vae.prior.log_prob(torch.zeros(1, 2).double())
    with torch.no_grad():
        own.net.layers[0].bias += 1
    assert (vae.prior.log_prob(torch.zeros(1, 2).double()) - before).abs() > 1e-6
    twin = copy.deepcopy(vae)
    assert twin.prior._shared[0] is twin.encoder


def test_one_pseudo_input_a_datum_is_the_aggregated_posterior():
    own, x, z = encoder(2), torch.rand(9, *EVENT).double(), torch.randn(5, 2).double()
    torch.testing.assert_close(VampPrior(own, x).log_prob(z), AggregatedPosterior(own(x)).log_prob(z))


def test_the_aggregated_posterior_is_the_mean_of_the_posteriors_in_any_blocks():
    q, z = encoder(2)(torch.randn(23, *EVENT).double()), torch.randn(11, 2).double()
    agg = AggregatedPosterior(q)
    wanted = torch.stack([q.log_prob(point.expand(23, 2)).exp().mean() for point in z]).log()
    torch.testing.assert_close(agg.log_prob(z), wanted)
    agg.block = 7
    torch.testing.assert_close(agg.log_prob(z), wanted)
    torch.testing.assert_close(agg.responsibilities(z).sum(1), torch.ones(11).double())


# --- the bound


@pytest.mark.parametrize("name", ["standard normal", "a Gaussian of the library"])
def test_the_closed_kl_is_the_integral_and_the_sampled_one(name):
    q, p = DiagonalGaussian(torch.randn(4, 2).double(), torch.rand(4, 2).double() + 0.3), PRIORS[name]()
    nodes, cell = laws.lattice(2, 10.0, 800)
    torch.testing.assert_close(gaussian_kl(q, p), laws.kl(laws.density_on(nodes, q), p.log_prob(nodes), cell))
    z = q.sample(20_000)
    within(q.log_prob(z) - p.log_prob(z.flatten(0, 1)).view(z.shape[:2]), gaussian_kl(q, p))


def test_a_kl_to_itself_is_zero_and_to_anything_else_above():
    q = DiagonalGaussian(torch.randn(6, 3).double(), torch.rand(6, 3).double() + 0.3)
    assert gaussian_kl(q, q).abs().max() < 1e-14
    assert (gaussian_kl(q, StandardNormal(3).double()) > 0).all()


def one_dimensional(head: str, p=None) -> VAE:
    return VAE(encoder(1), HEADS[head](1), p or StandardNormal(1).double())


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


def test_the_importance_weighted_bound_rises_with_k_towards_log_p(head):
    vae, x = one_dimensional(head), batch(head)
    nodes, cell = laws.lattice(1, 12.0, 6000)
    with torch.no_grad():
        log_p = laws.log_marginal(laws.joint_on(nodes, x, vae.decoder, vae.prior), cell)
        many = x.repeat(400, 1, 1, 1)
        means = [vae.log_prob_bound(many, k).mean() for k in (1, 4, 16)]
        assert means[0] < means[1] < means[2] < log_p.mean() + 0.02
        within(vae.log_weights(x, 4000).exp(), log_p.exp())  # unbiased before the logarithm
        torch.testing.assert_close(vae.log_prob_bound(x, 20_000), log_p, atol=0.05, rtol=0)


def test_the_importance_weighted_bound_is_the_log_of_one_average_whatever_the_blocks():
    vae, x = one_dimensional("bits"), batch("bits", 3)
    with torch.no_grad():
        torch.manual_seed(1)
        weights = torch.cat([vae.log_weights(x, n) for n in (4, 4, 3)]).exp()
        torch.manual_seed(1)
        torch.testing.assert_close(vae.log_prob_bound(x, 11, block=12), weights.mean(0).log())


def test_with_k_one_it_is_the_elbo_on_average():
    vae, x = one_dimensional("bits"), batch("bits")
    with torch.no_grad():
        many = x.repeat(4000, 1, 1, 1)
        within((vae.log_prob_bound(many, 1) - vae.elbo(many, 1)).view(4000, len(x)), 0.0)


def test_another_prior_enters_the_bound_as_it_should(prior):
    """The sampled KL against the integral, for every prior there is."""
    vae = VAE(encoder(2), HEADS["bits"](2), prior)
    x = batch("bits", 3)
    nodes, cell = laws.lattice(2, 9.0, 500)
    with torch.no_grad():
        wanted = laws.kl(laws.density_on(nodes, vae.encode(x)), prior.log_prob(nodes), cell)
        within(torch.stack([vae.terms(x, 50).kl for _ in range(100)]), wanted)
    assert vae.sample(4).shape == (4, *EVENT) and vae.latents(4).shape == (4, 2)


def test_the_loss_is_minus_the_mean_elbo_and_the_weight_is_in_the_loss_alone():
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


def test_the_reparameterised_gradient_is_that_of_the_integral(head):
    """∇_φ ELBO of a tiny encoder: by samples of z = m + s ε, and by autograd through the quadrature."""
    vae, x = one_dimensional(head), batch(head, 1)
    nodes, cell = laws.lattice(1, 12.0, 4000)
    weights = list(vae.encoder.parameters())[-2:]
    joint = laws.joint_on(nodes, x, vae.decoder, vae.prior).detach()
    exact = torch.autograd.grad(laws.elbo(joint, laws.density_on(nodes, vae.encode(x)), cell).sum(), weights)
    rows = [torch.autograd.grad(vae.elbo(x, 50).sum(), weights) for _ in range(300)]
    for wanted, got in zip(exact, zip(*rows, strict=True), strict=True):
        within(torch.stack(got), wanted)


# --- surgery


def test_surgery_against_quadrature_and_its_bounds():
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
    assert "mutual information" in repr(found)


def test_with_a_gaussian_prior_the_two_parts_sum_to_the_closed_kl():
    vae, x = one_dimensional("bits"), batch("bits", 20)
    found = surgery(vae, x, n=200)
    error = math.hypot(found.mutual_information.error, found.marginal_kl.error)
    assert found.kl.error == 0
    assert abs(found.mutual_information.mean + found.marginal_kl.mean - found.kl.mean) < 5 * error


def test_the_best_prior_is_the_aggregated_posterior():
    vae, x = VAE(encoder(2), HEADS["bits"](2), StandardNormal(2).double()), batch("bits", 15)
    found = surgery(vae.with_prior(AggregatedPosterior(vae.encode(x))), x)
    assert abs(found.marginal_kl.mean) < 1e-12 and found.kl.mean == pytest.approx(found.mutual_information.mean)


def test_equal_posteriors_hold_no_information_and_far_ones_hold_log_n():
    class Told(nn.Module):
        event = torch.Size([1])

        def __init__(self, spread):
            super().__init__()
            self.spread = spread

        def forward(self, x):
            return DiagonalGaussian(self.spread * torch.arange(len(x)).double()[:, None], 1.0)

    for spread, wanted in ((0.0, 0.0), (100.0, math.log(8))):
        vae = VAE(Told(spread), HEADS["bits"](1), StandardNormal(1).double())
        assert surgery(vae, batch("bits", 8)).mutual_information.mean == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("name", ["learned mixture", "pseudo-inputs"])
def test_the_loss_of_a_learned_prior_has_the_slope_of_the_bounds_kl(name):
    """∇ −E_q_agg log p(z|λ) = ∇ mean KL(q_i ‖ p(z|λ)): samples on the left, autograd through quadrature on the right."""
    q, prior = DiagonalGaussian(torch.randn(5, 2).double(), torch.rand(5, 2).double() + 0.4), PRIORS[name]()
    nodes, cell = laws.lattice(2, 8.0, 240)
    weights = list(prior.parameters())
    exact = torch.autograd.grad(laws.kl(laws.density_on(nodes, q), prior.log_prob(nodes), cell).mean(), weights)
    rows = [torch.autograd.grad(prior.loss(part), weights) for part in AggregatedPosterior(q).sample(60_000).split(300)]
    for wanted, got in zip(exact, zip(*rows, strict=True), strict=True):
        within(torch.stack(got), wanted)


def test_a_prior_fitted_to_codes_closes_most_of_the_marginal_kl():
    q = DiagonalGaussian(torch.tensor([[-2.0, 0.0], [2.0, 1.0], [0.0, -2.0]]).double(), 0.5)
    agg, prior = AggregatedPosterior(q), MixturePrior(6, 2).double()
    nodes, cell = laws.lattice(2, 8.0, 240)
    fit(prior, agg, Recipe(300, 256, 5e-2, decay=lambda done: 1 - done))
    left, before = (laws.kl(agg.log_prob(nodes), p.log_prob(nodes), cell) for p in (prior, StandardNormal(2).double()))
    assert 0 < left < 0.05 < 0.5 < before


# --- labels, autoencoders, training


@pytest.mark.parametrize("told", [False, True])
def test_a_conditional_vae_is_told_the_label_at_both_ends(told):
    p = ClassPrior(3, 2).double() if told else StandardNormal(2).double()
    if told:
        nn.init.normal_(p.means)
    vae, x, y = VAE(encoder(2, 3), HEADS["bits"](2, 3), p), batch("bits", 6), torch.tensor([0, 1, 2, 2, 1, 0])
    nodes, cell = laws.lattice(2, 20.0, 500)
    with torch.no_grad():
        for label in range(3):
            rows = y == label
            prior = p.given(label, len(nodes)) if told else p
            joint = laws.joint_on(nodes, x[rows], partial(vae.decode, y=label), prior)
            bound = laws.elbo(joint, laws.density_on(nodes, vae.encode(x[rows], label)), cell)
            within(torch.stack([vae.elbo(x, 20, y)[rows] for _ in range(200)]), bound)
        log_p = laws.log_marginal(joint, cell)
        torch.testing.assert_close(vae.log_prob_bound(x[rows], 20_000, 2), log_p, atol=0.05, rtol=0)
    assert vae.sample(6, y).shape == (6, *EVENT) and vae.sample(4, 2).shape == (4, *EVENT)
    assert vae.loss(x, y).ndim == 0


def test_a_linear_autoencoder_ends_in_the_pca_subspace():
    torch.manual_seed(2)
    x = torch.randn(400, 5).double() @ torch.diag(torch.tensor([3.0, 2.0, 1.0, 0.5, 0.2])).double() @ \
        torch.linalg.qr(torch.randn(5, 5).double())[0]
    x = x - x.mean(0)
    model = Autoencoder(DenseNet(5, 2, depth=0), DenseNet(2, 5, depth=0)).double()
    fit(model, x, Recipe(1000, 400, 3e-2, decay=lambda done: 1 - done))
    basis = torch.linalg.svd(x, full_matrices=False)[2][:2]
    found = torch.linalg.qr(model.decoder.layers[0].weight.detach())[0]
    torch.testing.assert_close(found @ found.T, basis.T @ basis, atol=1e-3, rtol=0)
    rest = x.square().sum(1).mean() - (x @ basis.T).square().sum(1).mean()
    assert model.loss(x).item() == pytest.approx(rest.item(), rel=1e-4)


def test_training_raises_the_bound_and_runs_on_bits():
    torch.manual_seed(0)
    source = data.Bits(data.digits().train)
    net = lambda i, o: DenseNet(i, o, 32, 1)
    vae = VAE(GaussianHead(net(64, (2, 4)), 4), BernoulliHead(net(4, (1, 8, 8)), (1, 8, 8)), StandardNormal(4))
    held = data.Bits(data.digits().test).fixed()
    before = vae.elbo(held, 4).mean()
    fit(vae, source, Recipe(300, 64, 5e-3))
    with torch.no_grad():
        assert vae.elbo(held, 4).mean() > before + 10


def test_a_decoder_starts_where_it_is_told():
    net, wanted = DenseNet(3, (1, 2, 2), 8, 1), torch.tensor([[[1.0, -2.0], [3.0, 0.5]]])
    nn.init.zeros_(net.layers[-1].weight)
    torch.testing.assert_close(net.start_at(wanted)(torch.randn(2, 3)), wanted.expand(2, 1, 2, 2))


def test_samples_of_the_model_have_the_probabilities_that_quadrature_gives():
    vae = one_dimensional("bits that hear each other")
    every = torch.tensor([[i >> k & 1 for k in range(6)] for i in range(64)]).view(64, *EVENT)
    nodes, cell = laws.lattice(1, 10.0, 800)
    with torch.no_grad():
        chance = laws.log_marginal(laws.joint_on(nodes, every, vae.decoder, vae.prior), cell).exp()
    assert chance.sum().item() == pytest.approx(1, abs=1e-9)
    seen = vae.sample(20_000).flatten(1) @ (2 ** torch.arange(6))
    within(F.one_hot(seen, 64).double(), chance)


# --- what is refused

GREY = torch.full((2, *EVENT), 0.37).double()
REFUSED = {
    "grey values are not bits": (lambda v: v.elbo(GREY), "0.37.*not bits.*binarise"),
    "no sample in the bound": (lambda v: v.log_prob_bound(batch("bits"), 0), "k is 0"),
    "no sample of z": (lambda v: v.elbo(batch("bits"), 0), "n is 0"),
    "an empty batch has no loss": (lambda v: v.loss(batch("bits", 0)), "empty batch"),
    "an empty batch has no surgery": (lambda v: surgery(v, batch("bits", 0)), "empty batch"),
    "one draw has no error": (lambda v: surgery(v, batch("bits"), 1), "n is 1"),
    "NaN": (lambda v: v.elbo(torch.full((2, *EVENT), math.nan).double()), "NaN in 12 of 12"),
    "flat images": (lambda v: v.elbo(batch("bits").flatten(1)), r"\(5, 6\).*expects \(B, 1, 2, 3\)"),
    "another device": (lambda v: v.elbo(torch.zeros(2, *EVENT, device="meta")), "device meta"),
    "a label nobody knows": (lambda v: v.elbo(batch("bits"), 1, 3), "knows no classes"),
    "a prior of another size": (lambda v: VAE(v.encoder, v.decoder, StandardNormal(3)), r"prior lives in \(3,\).*\(1,\)"),
    "a negative weight": (lambda v: VAE(v.encoder, v.decoder, v.prior, -1.0), "kl_weight is -1"),
    "a deviation of nothing": (lambda v: FixedGaussianHead(v.decoder.net, EVENT, 0.0), "std is 0"),
    "a network of another size": (lambda v: GaussianHead(DenseNet(1, 6), EVENT)(torch.zeros(2, 1)), "expected 12"),
    "another input": (lambda v: DenseNet(7, 2)(torch.zeros(2, 6)), "6 numbers.*expects 7"),
    "no components": (lambda v: MixturePrior(0, 2), "components is 0"),
    "an empty batch of codes": (lambda v: MixturePrior(2, 2).loss(torch.zeros(0, 2)), "z is an empty batch"),
    "no pseudo-inputs": (lambda v: VampPrior(v.encoder, torch.zeros(0, *EVENT)), "inputs is an empty batch"),
    "z of another size": (lambda v: MixturePrior(2, 2).log_prob(torch.zeros(3, 1)), r"z has shape \(3, 1\)"),
    "one x for many conditions": (
        lambda v: v.decode(torch.zeros(3, 1).double()).log_prob(batch("bits", 2)), "one sample for each"),
    "an autoencoder of another size": (
        lambda v: Autoencoder(DenseNet(6, 2), DenseNet(2, 5)).loss(torch.zeros(3, 6)), "expected the same"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_in_a_sentence(name):
    action, words = REFUSED[name]
    with pytest.raises(ValueError, match=words):
        action(one_dimensional("bits"))


def test_what_is_no_tensor_is_refused():
    with pytest.raises(TypeError, match="x is a list"):
        one_dimensional("bits").elbo([1, 0])


@pytest.mark.parametrize("y, words", [(None, "not given: this network is told one of 3"), (3, "runs from 3 to 3"),
                                      (torch.zeros(2).long(), r"shape \(2,\)"), (torch.zeros(5), "float32")])
def test_labels_that_cannot_be(y, words):
    vae = VAE(encoder(2, 3), HEADS["bits"](2, 3), StandardNormal(2).double())
    with pytest.raises(ValueError, match=words):
        vae.elbo(batch("bits", 5), 1, y)


def test_an_empty_batch_has_an_empty_bound():
    vae = one_dimensional("bits")
    assert vae.elbo(batch("bits", 0)).shape == (0,) and vae.log_prob_bound(batch("bits", 0), 3).shape == (0,)
    assert vae.sample(0).shape == (0, *EVENT)


def test_everything_tells_what_it_is(head, prior):
    vae = VAE(encoder(2), HEADS[head](2), prior, 2.0)
    x = batch(head)
    for thing, words in ((vae, "KL weighed 2"), (vae.encode(x), "diagonal Gaussians"), (DenseNet(6, 2), "6 numbers -> 2"),
                         (Autoencoder(DenseNet(6, 2), DenseNet(2, 6)), "squared error"), (ClassPrior(3, 2), "3 labels")):
        assert words in repr(thing)
    assert len(repr(vae.decode(torch.zeros(2, 2).double()))) > 20 and isinstance(standard_normal(2), Gaussian)
    assert isinstance(AggregatedPosterior(vae.encode(x)), Mixture)
