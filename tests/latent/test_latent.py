"""Latent space models: any generator behind any frozen first stage, and scaling, against closed forms and enumeration."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import nn

from dgm_course.core import metrics
from dgm_course.core.distributions import Mixture
from dgm_course.latent import FirstStage, Latent, LatentScaler, ScaledModel, VAEStage, VQStage
from dgm_course.nets import GridDecoder, GridEncoder, GridField
from dgm_course.paths import VP, Conical
from dgm_course.paths.model import PathModel, flow_matching
from dgm_course.training import Recipe, fit
from dgm_course.vae import FixedGaussianHead
from dgm_course.vq import VQVAE, Codebook, DeadCodeReset, UniformCodes

from .models import pictures, small_vae, small_vqvae, state, unchanged

# --- rescaling


@pytest.mark.parametrize("shape", [(400, 3), (50, 3, 4, 5), (50, 2, 7)])
def test_scaled_codes_have_unit_size_and_an_inverse(shape):
    sizes = torch.linspace(0.1, 30, shape[1]).view(1, -1, *[1] * (len(shape) - 2))
    codes = 5 + torch.randn(shape, dtype=torch.float64) * sizes
    scale = LatentScaler.of(codes)
    rows = scale(codes).movedim(1, 0).flatten(1)
    torch.testing.assert_close(rows.mean(1), torch.zeros(shape[1], dtype=torch.float64), atol=1e-12, rtol=0)
    torch.testing.assert_close(rows.square().mean(1), torch.ones(shape[1], dtype=torch.float64))
    torch.testing.assert_close(scale.inverse(scale(codes)), codes, atol=1e-12, rtol=1e-12)
    fresh = torch.randn(3, *shape[1:], dtype=torch.float64)
    torch.testing.assert_close(scale(scale.inverse(fresh)), fresh, atol=1e-12, rtol=1e-12)
    assert scale.mean.shape == (shape[1], *[1] * (len(shape) - 2))


def test_axes_choose_what_shares_a_scale():
    codes = 3 + 4 * torch.randn(100, 3, 2, 2, dtype=torch.float64)
    scale = LatentScaler.of(codes, axes=(0, 1, 2, 3))
    assert scale.mean.shape == () and scale.std.shape == ()
    assert float(scale.mean) == pytest.approx(sum(codes.flatten().tolist()) / codes.numel())
    assert float(scale(codes).square().mean()) == pytest.approx(1)
    each = LatentScaler.of(codes, axes=(0,))
    assert each.mean.shape == (3, 2, 2) and float(each(codes)[:, 1, 0, 1].square().mean()) == pytest.approx(1)


def test_a_blank_scaler_is_the_identity_and_loads():
    codes = 2 + 3 * torch.randn(20, 4, 7, 7)
    blank, scale = LatentScaler.blank(4), LatentScaler.of(codes)
    assert torch.equal(blank(codes), codes) and torch.equal(blank.inverse(codes), codes)
    blank.load_state_dict(scale.state_dict())
    assert torch.equal(blank(codes), scale(codes))


@pytest.mark.parametrize(
    "wrong, words",
    [
        (lambda: LatentScaler(0.0, 0.0), "every std above 0"),
        (lambda: LatentScaler(torch.zeros(3), torch.ones(2)), "expected one shape"),
        (lambda: LatentScaler(float("nan"), 1.0), "finite"),
        (lambda: LatentScaler.of(torch.ones(4, 2)), "2 of 2 channels never vary"),
        (lambda: LatentScaler.of(torch.randn(1, 3)), "at least 2 numbers"),
        (lambda: LatentScaler.of(torch.randn(4, 3), axes=(1,)), "expected the batch"),
        (lambda: LatentScaler.of(torch.ones(4, 3).long()), "floating point"),
        (lambda: LatentScaler.blank(3)(torch.randn(2, 4, 7, 7)), "expected them to fit the means"),
        (lambda: LatentScaler.blank(4)(torch.full((2, 4, 7, 7), torch.nan)), "NaN"),
    ],
)
def test_wrong_codes(wrong, words):
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
def test_a_perfect_generator_gives_the_data_distribution(path):
    """The data are a mixture on a plane in R^4; the exact path of its rescaled codes is a drop-in for a network."""
    means, std = torch.tensor([[30.0, 1], [36, 1.5], [30, 3]]).double(), 0.3
    world, stage = Mixture(torch.ones(3), means, std), Plane()
    data = stage.decode(world.sample(4000))
    scale = LatentScaler.of(stage.encode(data))
    unit = Mixture(torch.ones(3), (means - scale.mean) / scale.std, (std / scale.std).expand(3, 2))
    drawn = Latent(stage, ScaledModel(path.exact(unit), scale)).sample(4000, 100)
    assert drawn.shape == (4000, 4)
    torch.testing.assert_close(drawn @ stage.a @ stage.a.T, drawn)  # on the plane
    error = data.std(0) * (2 / 4000) ** 0.5
    assert ((drawn.mean(0) - data.mean(0)).abs() < 5 * error).all()
    floor = metrics.floor(lambda n: stage.decode(world.sample(n)), metrics.energy_distance, 1000, 8)
    found = metrics.energy_distance(drawn[:1000], data[:1000])
    assert found < floor.mean + 6 * floor.sd + 0.01
    unscaled = metrics.energy_distance(Latent(stage, path.exact(unit)).sample(1000, 100), data[:1000])
    assert unscaled > 100 * (abs(found) + floor.sd)


def test_the_loss_is_the_generators_on_codes(stage):
    x = pictures(8)
    if isinstance(stage, VQStage):
        generator = TinyPrior()
        system = Latent(stage, generator)
        wanted = -generator.log_prob(stage.encode(x)).mean()
        torch.testing.assert_close(system.loss(x), wanted)
    else:
        inner = flow_matching(GridField((2, 4, 4), 8, 1, classes=3), (2, 4, 4)).double().eval()
        scale = LatentScaler.of(stage.encode(x).detach())
        system, y = Latent(stage, ScaledModel(inner, scale)).eval(), torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
        torch.manual_seed(1)
        found = system.loss(x, None, y)
        torch.manual_seed(1)
        z = (stage.encode(x) - scale.mean) / scale.std
        x0 = torch.randn_like(z)
        t = torch.rand(8, dtype=torch.float64)
        zt = t.view(-1, 1, 1, 1) * z + (1 - t.view(-1, 1, 1, 1)) * x0
        torch.testing.assert_close(found, (z - x0 - inner.net(zt, t, y)).square().mean())


class TinyPrior(nn.Module):
    """One softmax a place."""

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


def test_only_the_generator_learns(stage):
    x = pictures(32)
    if isinstance(stage, VQStage):
        stage.model.codebook.revival = DeadCodeReset()
        system, batch = Latent(stage, TinyPrior()), x
    else:
        inner = flow_matching(GridField((2, 4, 4), 8, 1), (2, 4, 4)).double()
        system, batch = Latent(stage, ScaledModel(inner, LatentScaler.of(stage.encode(x).detach()))), x
    before, own = state(system.stage), state(system.generator)
    history = fit(system, batch, Recipe(20, 16, 1e-2))
    assert history.finished and unchanged(system.stage, before) and not unchanged(system.generator, own)
    assert all(p.grad is None and not p.requires_grad for p in system.stage.parameters())
    system.train()
    assert not any(m.training for m in system.stage.modules()) and system.generator.training
    assert not system.encode(x).requires_grad


def test_the_callers_stage_stays_trainable(stage):
    stage.train()
    system = Latent(stage, TinyPrior())
    assert all(m.training for m in stage.modules()) and all(p.requires_grad for p in stage.parameters())
    assert not system.stage.training and unchanged(system.stage, state(stage))


def test_samples_are_decoded_codes_with_a_class():
    vae, asked = VAEStage(small_vae()), torch.tensor([0, 1, 2])
    net = GridField((2, 4, 4), 8, 1, classes=3)
    for p in net.parameters():  # the zero layers of a fresh network would hide the class
        nn.init.normal_(p, std=0.3)
    inner = PathModel(net.double(), Conical(), (2, 4, 4)).eval()
    scale = LatentScaler(*torch.tensor([[1.0, -2], [3, 0.5]]).double().view(2, 2, 1, 1))
    system, x0 = Latent(vae, ScaledModel(inner, scale)).eval(), torch.randn(3, 2, 4, 4, dtype=torch.float64)
    found = system.with_label(asked, 2.0).sample(x0, 4)
    codes = inner.with_label(asked, 2.0).sample(x0, 4)
    wanted = vae.model.decode(scale.mean + scale.std * codes).mean
    torch.testing.assert_close(found, wanted)
    assert not torch.allclose(system.sample(x0, 4), found)  # and the original was left alone
    way = system.with_label(asked, 2.0).trajectory(x0, 4)
    assert way.shape == (5, 3, 1, 8, 8)
    torch.testing.assert_close(way[-1], found)
    torch.testing.assert_close(way[0], vae.decode(scale.inverse(x0)))


def test_integer_codes_need_no_scaling():
    model, prior = small_vqvae(), TinyPrior()
    system = Latent(VQStage(model), prior)
    torch.manual_seed(3)
    found = system.sample(4)
    torch.manual_seed(3)
    torch.testing.assert_close(found, model.picture(prior.sample(4)))


@pytest.mark.parametrize(
    "wrong, words",
    [
        (lambda: Latent(nn.Linear(2, 2), TinyPrior()), "Linear has no encode, no decode: expected a first stage"),
        (lambda: Latent(VAEStage(small_vae()), nn.Linear(2, 2)), "Linear has no sample: expected a generator"),
        (lambda: VAEStage(small_vqvae()), "VQVAE has no kl, no kl_weight: VAEStage expects a VAE"),
        (lambda: VQStage(small_vae()), "VAE has no quantize, no commitment: VQStage expects a VQ-VAE"),
        (lambda: Latent(VQStage(small_vqvae()), TinyPrior()).loss(pictures(0)), "empty batch"),
        (lambda: VAEStage(small_vae()).decode(torch.ones(2, 2, 4, 4).long()), "floating point"),
        (lambda: VAEStage(small_vae()).rebuild(torch.randn(2, 1, 9, 9).double()), "expects"),
    ],
)
def test_parts_that_do_not_fit(wrong, words):
    with pytest.raises((ValueError, TypeError), match=words):
        wrong()


# --- the tokeniser's objective


def test_the_bound_charges_log_k_a_place():
    """q is certain: E_q[log p(x|c) + log p(c) − log q(c)], summed over all K^4 grids, has one term, below log p(x)."""
    k, head = 3, FixedGaussianHead(GridDecoder(3, 4, 2), (1, 8, 8), 0.5**0.5)
    model = VQVAE(GridEncoder(3, 4, 2), head, Codebook(torch.randn(k, 3))).double().eval()
    x = pictures(4)
    grids = torch.tensor(list(itertools.product(range(k), repeat=4))).view(-1, 2, 2)
    likelihood = torch.stack([model.decode(grids).log_prob(one.expand(81, 1, 8, 8)) for one in x])  # (4, 81)
    q = (grids[None] == model.encode(x)[:, None]).all(-1).all(-1).double()
    assert torch.equal(q.sum(1), torch.ones(4).double())
    log_p, log_q = -math.log(len(grids)), torch.where(q > 0, q.log(), 0.0)
    by_sum = (q * (likelihood + log_p - log_q)).sum(1)
    torch.testing.assert_close(model.elbo(x), by_sum)
    assert (model.elbo(x) <= likelihood.logsumexp(1) - math.log(len(grids))).all()
    torch.testing.assert_close(model.elbo(x), model.elbo(x, UniformCodes(k, (2, 2))).double(), atol=1e-5, rtol=0)
