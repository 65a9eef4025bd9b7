"""Latent space models: rescaling, frozen first stages, the game of VQGAN; against closed forms, autograd and enumeration."""
from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import nn

from dgm_course import gan, measures
from dgm_course.code_nets import GridField, PatchCritic
from dgm_course.distributions import Mixture
from dgm_course.fit import Recipe, fit
from dgm_course.grid_nets import GridDecoder, GridEncoder
from dgm_course.latent import (
    Adversarial,
    Continuous,
    Discrete,
    FirstStage,
    Latent,
    Rescaled,
    Rescaling,
    adaptive_weight,
    laplacian,
    sharpness,
    vqgan,
)
from dgm_course.path_models import PathModel, flow_matching
from dgm_course.paths import VP, Conical
from dgm_course.vae import VAE, FixedGaussianHead, GaussianHead, StandardNormal
from dgm_course.vq import VQVAE, ByGradient, Codebook, MovingAverage, Revival, UniformCodes


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def pictures(n=6):
    return torch.randn(n, 1, 8, 8, dtype=torch.float64)


def small_vqvae(rule=None, size=5):
    table = torch.randn(size, 3, dtype=torch.float64)
    decoder = FixedGaussianHead(GridDecoder(3, 4, 1), (1, 8, 8), 0.5**0.5)
    return VQVAE(GridEncoder(3, 4, 1), decoder, Codebook(table, rule)).double()


def small_vae():
    decoder = FixedGaussianHead(GridDecoder(2, 4, 1), (1, 8, 8), 0.5**0.5)
    return VAE(GaussianHead(GridEncoder(4, 4, 1), (2, 4, 4)), decoder, StandardNormal((2, 4, 4)), 0.1).double()


STAGES = {"continuous": lambda: Continuous(small_vae()), "discrete": lambda: Discrete(small_vqvae())}


@pytest.fixture(params=STAGES)
def stage(request):
    return STAGES[request.param]()


def state(module):
    return {k: v.clone() for k, v in module.state_dict().items()}


def unchanged(module, before):
    return all(torch.equal(v, before[k]) for k, v in module.state_dict().items())


# --- rescaling


@pytest.mark.parametrize("shape", [(400, 3), (50, 3, 4, 5), (50, 2, 7)])
def test_rescaled_codes_have_mean_0_and_deviation_1_and_come_back(shape):
    sizes = torch.linspace(0.1, 30, shape[1]).view(1, -1, *[1] * (len(shape) - 2))
    codes = 5 + torch.randn(shape, dtype=torch.float64) * sizes
    scale = Rescaling.of(codes)
    rows = scale(codes).movedim(1, 0).flatten(1)
    torch.testing.assert_close(rows.mean(1), torch.zeros(shape[1], dtype=torch.float64), atol=1e-12, rtol=0)
    torch.testing.assert_close(rows.square().mean(1), torch.ones(shape[1], dtype=torch.float64))
    torch.testing.assert_close(scale.inverse(scale(codes)), codes, atol=1e-12, rtol=1e-12)
    fresh = torch.randn(3, *shape[1:], dtype=torch.float64)
    torch.testing.assert_close(scale(scale.inverse(fresh)), fresh, atol=1e-12, rtol=1e-12)
    assert scale.mean.shape == (shape[1], *[1] * (len(shape) - 2))


def test_one_number_for_all_channels_is_what_latent_diffusion_takes():
    codes = 3 + 4 * torch.randn(100, 3, 2, 2, dtype=torch.float64)
    scale = Rescaling.of(codes, axes=(0, 1, 2, 3))
    assert scale.mean.shape == () and scale.std.shape == ()
    assert float(scale.mean) == pytest.approx(sum(codes.flatten().tolist()) / codes.numel())
    assert float(scale(codes).square().mean()) == pytest.approx(1)
    each = Rescaling.of(codes, axes=(0,))
    assert each.mean.shape == (3, 2, 2) and float(each(codes)[:, 1, 0, 1].square().mean()) == pytest.approx(1)


def test_a_blank_one_changes_nothing_and_takes_up_a_measured_one():
    codes = 2 + 3 * torch.randn(20, 4, 7, 7)
    blank, scale = Rescaling.blank(4), Rescaling.of(codes)
    assert torch.equal(blank(codes), codes) and torch.equal(blank.inverse(codes), codes)
    blank.load_state_dict(scale.state_dict())
    assert torch.equal(blank(codes), scale(codes))


@pytest.mark.parametrize("wrong, words", [
    (lambda: Rescaling(0.0, 0.0), "every std above 0"),
    (lambda: Rescaling(torch.zeros(3), torch.ones(2)), "expected one shape"),
    (lambda: Rescaling(float("nan"), 1.0), "finite"),
    (lambda: Rescaling.of(torch.ones(4, 2)), "2 of 2 channels never vary"),
    (lambda: Rescaling.of(torch.randn(1, 3)), "at least 2 numbers"),
    (lambda: Rescaling.of(torch.randn(4, 3), axes=(1,)), "expected the batch"),
    (lambda: Rescaling.of(torch.ones(4, 3).long()), "floating point"),
    (lambda: Rescaling.blank(3)(torch.randn(2, 4, 7, 7)), "this rescaling has one mean"),
    (lambda: Rescaling.blank(4)(torch.full((2, 4, 7, 7), torch.nan)), "NaN"),
])
def test_wrong_codes_are_told_in_a_sentence(wrong, words):
    with pytest.raises((ValueError, TypeError), match=words):
        wrong()


# --- any generator behind any first stage


class Plane(FirstStage):
    """x = z Aᵀ for two orthonormal columns A: pictures on a plane in R^4, and the code is where on it."""

    def __init__(self):
        super().__init__(nn.Identity())
        self.register_buffer("a", torch.linalg.qr(torch.randn(4, 2, dtype=torch.float64)).Q)

    def encode(self, x):
        return x @ self.a

    def decode(self, codes):
        return codes @ self.a.T


@pytest.mark.parametrize("path", [Conical(), VP()], ids=["flow matching", "diffusion"])
def test_a_perfect_generator_of_codes_gives_exactly_the_distribution_of_data(path):
    """The data are a mixture on a plane in R^4; the exact path of its rescaled codes is a drop-in for a network."""
    means, std = torch.tensor([[30.0, 1], [36, 1.5], [30, 3]]).double(), 0.3
    world, stage = Mixture(torch.ones(3), means, std), Plane()
    data = stage.decode(world.sample(4000))
    scale = Rescaling.of(stage.encode(data))
    unit = Mixture(torch.ones(3), (means - scale.mean) / scale.std, (std / scale.std).expand(3, 2))
    drawn = Latent(stage, Rescaled(path.exact(unit), scale)).sample(4000, 100)
    assert drawn.shape == (4000, 4)
    torch.testing.assert_close(drawn @ stage.a @ stage.a.T, drawn)  # on the plane
    error = data.std(0) * (2 / 4000) ** 0.5
    assert ((drawn.mean(0) - data.mean(0)).abs() < 5 * error).all()
    floor = measures.floor(lambda n: stage.decode(world.sample(n)), measures.energy_distance, 1000, 8)
    found = measures.energy_distance(drawn[:1000], data[:1000])
    assert found < floor.mean + 6 * floor.sd + 0.01
    wrong = measures.energy_distance(Latent(stage, path.exact(unit)).sample(1000, 100), data[:1000])
    assert wrong > 100 * (abs(found) + floor.sd)  # without scaling back


def test_the_loss_is_the_generators_on_rescaled_codes(stage):
    x = pictures(8)
    if isinstance(stage, Discrete):
        generator = TinyPrior()
        system = Latent(stage, generator)
        wanted = -generator.log_prob(stage.encode(x)).mean()
        torch.testing.assert_close(system.loss(x), wanted)
    else:
        inner = flow_matching(GridField((2, 4, 4), 8, 1, classes=3), (2, 4, 4)).double().eval()
        scale = Rescaling.of(stage.encode(x).detach())
        system, y = Latent(stage, Rescaled(inner, scale)).eval(), torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
        torch.manual_seed(1)
        found = system.loss(x, None, y)
        torch.manual_seed(1)
        z = (stage.encode(x) - scale.mean) / scale.std
        x0 = torch.randn_like(z)
        t = torch.rand(8, dtype=torch.float64)
        zt = t.view(-1, 1, 1, 1) * z + (1 - t.view(-1, 1, 1, 1)) * x0
        torch.testing.assert_close(found, (z - x0 - inner.net(zt, t, y)).square().mean())


class TinyPrior(nn.Module):
    """One softmax a place: enough of a generator of whole numbers."""

    def __init__(self, size=5, grid=(4, 4)):
        super().__init__()
        self.logits = nn.Parameter(torch.randn(*grid, size, dtype=torch.float64))

    def log_prob(self, codes, y=None):
        each = self.logits.log_softmax(-1).expand(len(codes), *self.logits.shape)
        return each.gather(-1, codes[..., None])[..., 0].sum((1, 2))

    def loss(self, codes, y=None):
        return -self.log_prob(codes, y).mean()

    def sample(self, n, y=None):
        return torch.distributions.Categorical(logits=self.logits).sample((n,))


def test_the_first_stage_gets_no_gradient_and_does_not_change_while_the_generator_learns(stage):
    x = pictures(32)
    if isinstance(stage, Discrete):
        stage.model.codebook.revival = Revival()
        system, batch = Latent(stage, TinyPrior()), x
    else:
        inner = flow_matching(GridField((2, 4, 4), 8, 1), (2, 4, 4)).double()
        system, batch = Latent(stage, Rescaled(inner, Rescaling.of(stage.encode(x).detach()))), x
    before, own = state(system.stage), state(system.generator)
    history = fit(system, batch, Recipe(20, 16, 1e-2))
    assert history.finished and unchanged(system.stage, before) and not unchanged(system.generator, own)
    assert all(p.grad is None and not p.requires_grad for p in system.stage.parameters())
    system.train()
    assert not any(m.training for m in system.stage.modules()) and system.generator.training
    assert not system.encode(x).requires_grad


def test_samples_are_decoded_samples_of_codes_and_a_class_goes_through():
    vae, asked = Continuous(small_vae()), torch.tensor([0, 1, 2])
    net = GridField((2, 4, 4), 8, 1, classes=3)
    for p in net.parameters():  # the zero layers of a fresh network would hide the class
        nn.init.normal_(p, std=0.3)
    inner = PathModel(net.double(), Conical(), (2, 4, 4)).eval()
    scale = Rescaling(torch.tensor([1.0, -2]).double().view(2, 1, 1), torch.tensor([3.0, 0.5]).double().view(2, 1, 1))
    system, x0 = Latent(vae, Rescaled(inner, scale)).eval(), torch.randn(3, 2, 4, 4, dtype=torch.float64)
    found = system.given(asked, 2.0).sample(x0, 4)
    codes = inner.given(asked, 2.0).sample(x0, 4)
    wanted = vae.model.decode(scale.mean + scale.std * codes).mean
    torch.testing.assert_close(found, wanted)
    assert not torch.allclose(system.sample(x0, 4), found)  # and the original was left alone
    way = system.given(asked, 2.0).trajectory(x0, 4)
    assert way.shape == (5, 3, 1, 8, 8)
    torch.testing.assert_close(way[-1], found)
    torch.testing.assert_close(way[0], vae.decode(scale.inverse(x0)))


def test_a_generator_of_whole_numbers_needs_no_rescaling():
    model, prior = small_vqvae(), TinyPrior()
    system = Latent(Discrete(model), prior)
    torch.manual_seed(3)
    found = system.sample(4)
    torch.manual_seed(3)
    torch.testing.assert_close(found, model.picture(prior.sample(4)))


@pytest.mark.parametrize("wrong, words", [
    (lambda: Latent(nn.Linear(2, 2), TinyPrior()), "Linear has no encode, no decode: expected a first stage"),
    (lambda: Latent(Continuous(small_vae()), nn.Linear(2, 2)), "Linear has no sample: expected a generator"),
    (lambda: Continuous(small_vqvae()), "VQVAE has no kl, no kl_weight: Continuous expects a VAE"),
    (lambda: Discrete(small_vae()), "VAE has no quantize, no commitment: Discrete expects a VQ-VAE"),
    (lambda: Latent(Discrete(small_vqvae()), TinyPrior()).loss(pictures(0)), "empty batch"),
    (lambda: Continuous(small_vae()).decode(torch.ones(2, 2, 4, 4).long()), "floating point"),
    (lambda: Continuous(small_vae()).rebuild(torch.randn(2, 1, 9, 9).double()), "expects"),
])
def test_parts_that_do_not_fit_are_told_in_a_sentence(wrong, words):
    with pytest.raises((ValueError, TypeError), match=words):
        wrong()


# --- lat.vq-recap: the tokeniser's objective


def test_the_bound_is_the_log_likelihood_minus_log_K_a_place_by_enumeration():
    """q is certain: E_q[log p(x|c) + log p(c) − log q(c)], summed over all K^4 grids, has one term, below log p(x)."""
    k, model = 3, VQVAE(GridEncoder(3, 4, 2), FixedGaussianHead(GridDecoder(3, 4, 2), (1, 8, 8), 0.5**0.5),
                        Codebook(torch.randn(3, 3, dtype=torch.float64))).double().eval()
    x = pictures(4)
    grids = torch.tensor(list(itertools.product(range(k), repeat=4))).view(-1, 2, 2)
    likelihood = torch.stack([model.decode(grids).log_prob(one.expand(len(grids), 1, 8, 8)) for one in x])  # (4, 81)
    q = (grids[None] == model.encode(x)[:, None]).all(-1).all(-1).double()
    assert torch.equal(q.sum(1), torch.ones(4).double())
    log_p, log_q = -math.log(len(grids)), torch.where(q > 0, q.log(), 0.0)
    by_sum = (q * (likelihood + log_p - log_q)).sum(1)
    torch.testing.assert_close(model.elbo(x), by_sum)
    torch.testing.assert_close(model.elbo(x), model.decode(model.encode(x)).log_prob(x) - 4 * math.log(k))
    assert (model.elbo(x) <= likelihood.logsumexp(1) - math.log(len(grids))).all()
    torch.testing.assert_close(model.elbo(x), model.elbo(x, UniformCodes(k, (2, 2))).double(), atol=1e-5, rtol=0)


# --- the game


def losses(width=5):
    """Two losses on one last layer, and that layer."""
    layer, h = nn.Linear(width, 3).double(), torch.randn(7, width, dtype=torch.float64)
    out = layer(h)
    return 40 * (out - 1).square().mean(), out.tanh().mean(), layer.weight


def test_the_adaptive_weight_is_the_quotient_of_gradient_norms_by_hand():
    own, adversarial, last = losses()
    a, b = (torch.autograd.grad(loss, last, retain_graph=True)[0] for loss in (own, adversarial))
    size = lambda g: math.sqrt(sum(v**2 for v in g.flatten().tolist()))
    found = adaptive_weight(own, adversarial, last)
    assert float(found) == pytest.approx(size(a) / (size(b) + 1e-6)) and not found.requires_grad
    assert float(adaptive_weight(own, adversarial, last, delta=0.5)) == pytest.approx(size(a) / (size(b) + 0.5))
    assert float(adaptive_weight(own, adversarial, last, most=0.25)) == 0.25
    assert float(adaptive_weight(own, 0.0 * adversarial, last)) == 1e4


def test_with_it_both_losses_push_the_last_layer_equally_hard_whatever_their_scale():
    own, adversarial, last = losses()
    for scale in (1e-3, 1.0, 1e3):
        weight = adaptive_weight(own, scale * adversarial, last, delta=1e-12, most=1e9)
        push = torch.autograd.grad(weight * scale * adversarial, last, retain_graph=True)[0].norm()
        torch.testing.assert_close(push, torch.autograd.grad(own, last, retain_graph=True)[0].norm())


@pytest.mark.parametrize("change, words", [
    (lambda o, a, w: (o.detach(), a, w), "the own loss does not depend on the last layer"),
    (lambda o, a, w: (o, torch.randn((), requires_grad=True) * 2, w), "the adversarial loss does not depend"),
    (lambda o, a, w: (o.expand(2), a, w), "the own loss has shape"),
])
def test_losses_that_do_not_meet_the_last_layer_are_told(change, words):
    with pytest.raises(ValueError, match=words):
        adaptive_weight(*change(*losses()))
    with pytest.raises(ValueError, match="delta is 0"):
        adaptive_weight(*losses(), delta=0)


def game(stage, **options):
    return Adversarial(stage, PatchCritic(4).double(), gan.hinge().plus(gan.R1(0.01)), **options)


def test_the_last_layer_is_the_one_that_draws_the_pixels(stage):
    assert stage.last is stage.model.decoder.net.up[-1].weight


def test_the_two_losses_are_those_of_the_slide_written_out(stage):
    x, adv = pictures(), game(stage, strength=0.7).eval()
    torch.manual_seed(5)
    found = adv.stage_loss(x)
    torch.manual_seed(5)
    own, again = stage.rebuild(x)
    fake = -adv.critic(again).mean()
    a, b = (torch.autograd.grad(loss, stage.last, retain_graph=True)[0].norm() for loss in (own, fake))
    torch.testing.assert_close(found, own + 0.7 * (a / (b + 1e-6)) * fake)
    real, fake = adv.critic(x), adv.critic(stage.again(x))
    hinge = (1 - real).clamp(min=0).mean() + (1 + fake).clamp(min=0).mean()
    torch.testing.assert_close(adv.critic_loss(x), hinge + gan.R1(0.01)(adv.critic, x, stage.again(x)))


def test_own_losses_are_those_of_the_models_that_were_passed_in():
    x, vae, model = pictures(), small_vae().eval(), small_vqvae().eval()
    torch.testing.assert_close(Discrete(model).loss(x), model.loss(x))
    for own in (vae, Continuous(vae)):
        torch.manual_seed(2)
        value = own.loss(x)
        torch.manual_seed(2)
        torch.testing.assert_close(value, vae.loss(x))


def test_each_side_moves_its_own_weights_and_no_others(stage):
    x, adv = pictures(), game(stage)
    adv.stage_loss(x).backward()
    assert all(p.grad is None for p in adv.critic.parameters()) and stage.last.grad.norm() > 0
    assert all(p.requires_grad for p in adv.critic.parameters())
    adv.zero_grad(set_to_none=True)
    adv.critic_loss(x).backward()
    assert all(p.grad is None for p in stage.parameters()) and any(p.grad.norm() > 0 for p in adv.critic.parameters())


def test_the_critic_waits_for_its_start_and_does_not_move_before():
    adv = game(Discrete(small_vqvae()), start=6)
    x, before = pictures(32), state(adv.critic)
    fit(adv, x, Recipe(6, 16, 1e-2))
    assert unchanged(adv.critic, before) and not adv.begun and int(adv.turn) == 6
    adv.train()
    torch.testing.assert_close(adv.eval().stage_loss(x), adv.stage.loss(x))
    fit(adv, x, Recipe(3, 16, 1e-2))
    assert not unchanged(adv.critic, before) and adv.begun


def test_the_codebook_learns_from_the_autoencoders_turn_alone():
    adv = game(Discrete(small_vqvae(MovingAverage(0.9)))).train()
    x, before = pictures(32), adv.stage.model.codebook.vectors.clone()
    adv.critic_loss(x)
    assert torch.equal(adv.stage.model.codebook.vectors, before)
    adv.stage_loss(x)
    assert not torch.equal(adv.stage.model.codebook.vectors, before)


def test_without_strength_it_is_the_plain_autoencoder_step_by_step():
    plain, other = small_vqvae(ByGradient()), small_vqvae(ByGradient())
    other.load_state_dict(plain.state_dict())
    x, recipe = pictures(32), Recipe(5, 16, 1e-2)
    fit(plain, x, recipe)
    fit(vqgan(other, PatchCritic(4).double(), gan.hinge(), strength=0.0), x, recipe)
    assert unchanged(other, state(plain))


def test_a_game_sharpens_what_squared_error_blurs():
    """Bars at an unknown place: the code cannot say where, so the mean is grey; the critic asks for black and white."""
    def bars(n):
        x = -torch.ones(n, 1, 8, 8)
        x[torch.arange(n), :, :, torch.randint(2, 6, (n,))] = 1.0
        return x

    def trained(strength):
        torch.manual_seed(0)
        decoder = FixedGaussianHead(GridDecoder(2, 8, 2), (1, 8, 8), 0.5**0.5)
        model = VQVAE(GridEncoder(2, 8, 2), decoder, Codebook(torch.tensor([[0.0, 0], [9, 9]]), MovingAverage()))  # one code
        fit(vqgan(model, PatchCritic(8), gan.hinge().plus(gan.R1(0.01)), strength), bars(512), Recipe(250, 32, 3e-3))
        x = bars(100)
        return sharpness(Discrete(model).again(x), x)

    blurred, sharp = trained(0.0), trained(1.0)
    assert blurred < 0.35 and sharp > blurred + 0.15


@pytest.mark.parametrize("wrong, words", [
    (lambda: game(Discrete(small_vqvae()), strength=-1), "strength is -1"),
    (lambda: game(Discrete(small_vqvae()), start=-1), "start -1"),
    (lambda: game(Discrete(small_vqvae())).stage_loss(pictures(0)), "empty batch"),
    (lambda: game(Discrete(small_vqvae())).stage_loss(pictures() * torch.nan), "NaN"),
    (lambda: Adversarial(Discrete(small_vqvae()), OneNumber(), gan.hinge()).critic_loss(pictures()), "one number a patch"),
])
def test_games_that_cannot_be_played_are_told_in_a_sentence(wrong, words):
    with pytest.raises((ValueError, TypeError), match=words):
        wrong()


class OneNumber(nn.Module):
    def forward(self, x):
        return x.mean()


# --- sharpness


def test_the_laplacian_is_zero_on_planes_and_four_on_a_paraboloid():
    i, j = torch.meshgrid(torch.arange(6.0).double(), torch.arange(5.0).double(), indexing="ij")
    assert laplacian((2 * i - 3 * j + 1)[None, None]).abs().max() < 1e-12
    torch.testing.assert_close(laplacian((i**2 + j**2)[None, None]), torch.full((1, 1, 4, 3), -4.0).double())


def test_sharpness_is_one_for_itself_falls_with_blur_and_knows_no_contrast_offset():
    x = torch.randn(5, 1, 12, 12)
    blurs = [nn.functional.avg_pool2d(x, k, 1, k // 2, count_include_pad=False) for k in (1, 3, 5)]
    found = [sharpness(blur, x) for blur in blurs]
    assert found[0] == 1 and found[0] > found[1] > found[2] > 0
    assert sharpness(0.5 * x + 3, x) == pytest.approx(0.25, rel=1e-5)
    for wrong, words in ((lambda: sharpness(x, x[..., 1:]), "of one size"), (lambda: sharpness(x, x * 0), "no detail"),
                         (lambda: laplacian(x[..., :2]), "3 x 3")):
        with pytest.raises(ValueError, match=words):
            wrong()


# --- networks


def test_a_field_over_grids_stands_still_at_first_and_is_told_time_and_class():
    net = GridField((4, 7, 7), 16, 2, classes=10).eval()
    z, t, y = torch.randn(5, 4, 7, 7), torch.rand(5), torch.arange(5)
    assert net(z, t, y).shape == z.shape and torch.equal(net(z, t, y), torch.zeros_like(z))
    for p in net.parameters():
        nn.init.normal_(p, std=0.2)
    assert not torch.allclose(net(z, t, y), net(z, t)) and not torch.allclose(net(z, t, y), net(z, 1 - t, y))
    torch.testing.assert_close(net(z, t)[2:3], net(z[2:3], float(t[2])), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(net(z, t), net(z, t, torch.full((5,), 10)))
    net.train()
    forgotten = torch.stack([(net.rows(z, y) == 10).float() for _ in range(400)]).mean()
    assert abs(float(forgotten) - 0.1) < 0.04


def test_a_patch_is_judged_from_eighteen_pixels_and_no_others():
    critic, x = PatchCritic(4).double(), torch.randn(1, 1, 28, 28, dtype=torch.float64, requires_grad=True)
    assert critic(x).shape == (1, 7, 7)
    seen = torch.autograd.grad(critic(x)[0, 3, 3], x)[0][0, 0] != 0
    rows, columns = seen.any(1).nonzero()[:, 0], seen.any(0).nonzero()[:, 0]
    assert len(rows) == len(columns) == 18 and int(rows.max() - rows.min()) == 17


@pytest.mark.parametrize("wrong, words", [
    (lambda: GridField((4, 7), 16), "channels, height and width"),
    (lambda: GridField((4, 7, 7), 12), "multiple of 8"),
    (lambda: GridField((4, 7, 7), 16)(torch.randn(2, 3, 7, 7), 0.5), r"expects \(B, 4, 7, 7\)"),
    (lambda: GridField((4, 7, 7), 16)(torch.randn(2, 4, 7, 7), 0.5, torch.zeros(2).long()), "knows no classes"),
    (lambda: GridField((4, 7, 7), 16, classes=3)(torch.randn(2, 4, 7, 7), 0.5, torch.tensor([0, 4])), "expected 0 to 2"),
    (lambda: GridField((4, 7, 7), 16, classes=3)(torch.randn(2, 4, 7, 7), 0.5, torch.zeros(2)), "dtype"),
    (lambda: PatchCritic()(torch.randn(2, 1, 27, 28)), "multiples of 4"),
    (lambda: PatchCritic(0), "at least 1"),
])
def test_networks_say_what_they_expect(wrong, words):
    with pytest.raises(ValueError, match=words):
        wrong()


def test_everything_says_what_it_is(stage):
    adv = game(stage, start=3)
    assert "hinge" in repr(adv) and "after 3 steps" in repr(adv) and "first stage" in repr(stage)
    flow = flow_matching(GridField((2, 4, 4), 8, 1), (2, 4, 4))
    system = Latent(Continuous(small_vae()), Rescaled(flow, Rescaling.blank(2)))
    assert "conical path" in repr(system) and "VAE" in repr(system) and "std" in repr(system)
