"""VQGAN: adaptive weight, two losses, which weights they move, and what they sharpen; sharpness."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from dgm_course import gan
from dgm_course.latent import (
    Adversarial,
    Latent,
    LatentScaler,
    ScaledModel,
    VAEStage,
    VQStage,
    adaptive_weight,
    laplacian,
    sharpness,
    vqgan,
)
from dgm_course.nets import GridDecoder, GridEncoder, GridField, PatchCritic
from dgm_course.paths.model import flow_matching
from dgm_course.training import Recipe, fit
from dgm_course.vae import FixedGaussianHead
from dgm_course.vq import VQVAE, Codebook, EMAUpdate, GradientUpdate

from .models import pictures, small_vae, small_vqvae, state, unchanged

# --- the adversarial loss


def losses(width=5):
    """Two losses on one last layer, and that layer."""
    layer, h = nn.Linear(width, 3).double(), torch.randn(7, width, dtype=torch.float64)
    out = layer(h)
    return 40 * (out - 1).square().mean(), out.tanh().mean(), layer.weight


def test_the_adaptive_weight_is_a_quotient_of_norms():
    own, adversarial, last = losses()
    a, b = (torch.autograd.grad(loss, last, retain_graph=True)[0] for loss in (own, adversarial))
    size = lambda g: math.sqrt(sum(v**2 for v in g.flatten().tolist()))
    found = adaptive_weight(own, adversarial, last)
    assert float(found) == pytest.approx(size(a) / (size(b) + 1e-6)) and not found.requires_grad
    assert float(adaptive_weight(own, adversarial, last, delta=0.5)) == pytest.approx(size(a) / (size(b) + 0.5))
    assert float(adaptive_weight(own, adversarial, last, most=0.25)) == 0.25
    assert float(adaptive_weight(own, 0.0 * adversarial, last)) == 1e4


def test_the_weight_balances_losses_of_any_scale():
    own, adversarial, last = losses()
    for scale in (1e-3, 1.0, 1e3):
        weight = adaptive_weight(own, scale * adversarial, last, delta=1e-12, most=1e9)
        push = torch.autograd.grad(weight * scale * adversarial, last, retain_graph=True)[0].norm()
        torch.testing.assert_close(push, torch.autograd.grad(own, last, retain_graph=True)[0].norm())


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda o, a, w: (o.detach(), a, w), "the own loss does not depend on the last layer"),
        (lambda o, a, w: (o, torch.randn((), requires_grad=True) * 2, w), "the adversarial loss does not depend"),
        (lambda o, a, w: (o.expand(2), a, w), "the own loss has shape"),
    ],
)
def test_losses_without_the_last_layer(change, words):
    with pytest.raises(ValueError, match=words):
        adaptive_weight(*change(*losses()))
    with pytest.raises(ValueError, match="delta is 0"):
        adaptive_weight(*losses(), delta=0)


def adversarial(stage, **options):
    return Adversarial(stage, PatchCritic(4).double(), gan.hinge().with_penalty(gan.R1(0.01)), **options)


def test_the_last_layer_makes_the_pixels(stage):
    assert stage.last is stage.model.decoder.net.up[-1].weight


def test_both_losses_written_out(stage):
    x, adv = pictures(), adversarial(stage, strength=0.7).eval()
    torch.manual_seed(5)
    found = adv.stage_loss(x)
    torch.manual_seed(5)
    own, again = stage.rebuild(x)
    fake = -adv.critic(again).mean()
    a, b = (torch.autograd.grad(loss, stage.last, retain_graph=True)[0].norm() for loss in (own, fake))
    torch.testing.assert_close(found, own + 0.7 * (a / (b + 1e-6)) * fake)
    real, fake = adv.critic(x), adv.critic(stage.reconstruct(x))
    hinge = (1 - real).clamp(min=0).mean() + (1 + fake).clamp(min=0).mean()
    torch.testing.assert_close(adv.critic_loss(x), hinge + gan.R1(0.01)(adv.critic, x, stage.reconstruct(x)))


def test_own_losses_are_those_of_the_models():
    x, vae, model = pictures(), small_vae().eval(), small_vqvae().eval()
    torch.testing.assert_close(VQStage(model).loss(x), model.loss(x))
    torch.manual_seed(2)
    value = VAEStage(vae).loss(x)
    torch.manual_seed(2)
    torch.testing.assert_close(value, vae.loss(x))


def test_each_side_moves_its_own_weights(stage):
    x, adv = pictures(), adversarial(stage)
    adv.stage_loss(x).backward()
    assert all(p.grad is None for p in adv.critic.parameters()) and stage.last.grad.norm() > 0
    assert all(p.requires_grad for p in adv.critic.parameters())
    adv.zero_grad(set_to_none=True)
    adv.critic_loss(x).backward()
    assert all(p.grad is None for p in stage.parameters())
    assert any(p.grad.norm() > 0 for p in adv.critic.parameters())


def test_the_critic_waits_for_its_start():
    adv = adversarial(VQStage(small_vqvae()), start=6)
    x, before = pictures(32), state(adv.critic)
    fit(adv, x, Recipe(6, 16, 1e-2))
    assert unchanged(adv.critic, before) and int(adv.turn) == 6
    fit(adv, x, Recipe(3, 16, 1e-2))
    assert not unchanged(adv.critic, before) and adv.critic_active


def test_a_microbatch_is_not_a_step():
    """A batch in four pieces counts once, and before its start only the first stage's loss counts."""
    adv, x = adversarial(VQStage(small_vqvae()), start=2).train(), pictures(32)
    for piece in x.split(8):
        adv.stage_loss(piece)
    assert int(adv.turn) == 0 and not adv.critic_active
    torch.testing.assert_close(adv.eval().stage_loss(x), adv.stage.loss(x))
    adv.after_step()
    assert int(adv.turn) == 1 and not adv.critic_active
    adv.after_step()
    assert int(adv.turn) == 2 and adv.critic_active


def test_the_codebook_learns_from_the_autoencoder_alone():
    adv = adversarial(VQStage(small_vqvae(EMAUpdate(0.9)))).train()
    x, before = pictures(32), adv.stage.model.codebook.vectors.clone()
    adv.critic_loss(x)
    assert torch.equal(adv.stage.model.codebook.vectors, before)
    adv.stage_loss(x)
    assert not torch.equal(adv.stage.model.codebook.vectors, before)


def test_without_strength_it_is_the_plain_autoencoder():
    plain, other = small_vqvae(GradientUpdate()), small_vqvae(GradientUpdate())
    other.load_state_dict(plain.state_dict())
    x, recipe = pictures(32), Recipe(5, 16, 1e-2)
    fit(plain, x, recipe)
    fit(vqgan(other, PatchCritic(4).double(), gan.hinge(), strength=0.0), x, recipe)
    assert unchanged(other, state(plain))


@pytest.mark.slow
def test_a_critic_sharpens_what_squared_error_blurs():
    """Bars at an unknown place: the code does not say where, so the mean is grey; the critic wants black and white."""

    def bars(n):
        x = -torch.ones(n, 1, 8, 8)
        x[torch.arange(n), :, :, torch.randint(2, 6, (n,))] = 1.0
        return x

    def trained(strength):
        torch.manual_seed(0)
        decoder = FixedGaussianHead(GridDecoder(2, 8, 2), (1, 8, 8), 0.5**0.5)
        one_code = Codebook(torch.tensor([[0.0, 0], [9, 9]]), EMAUpdate())
        model, rules = VQVAE(GridEncoder(2, 8, 2), decoder, one_code), gan.hinge().with_penalty(gan.R1(0.01))
        fit(vqgan(model, PatchCritic(8), rules, strength), bars(512), Recipe(250, 32, 3e-3))
        x = bars(100)
        return sharpness(VQStage(model).reconstruct(x), x)

    blurred, sharp = trained(0.0), trained(1.0)
    assert blurred < 0.35 and sharp > blurred + 0.15


@pytest.mark.parametrize(
    "wrong, words",
    [
        (lambda: adversarial(VQStage(small_vqvae()), strength=-1), "strength is -1"),
        (lambda: adversarial(VQStage(small_vqvae()), start=-1), "start -1"),
        (lambda: adversarial(VQStage(small_vqvae())).stage_loss(pictures(0)), "empty batch"),
        (lambda: adversarial(VQStage(small_vqvae())).stage_loss(pictures() * torch.nan), "NaN"),
        (lambda: Adversarial(VQStage(small_vqvae()), OneNumber(), gan.hinge()).critic_loss(pictures()), "a patch"),
    ],
)
def test_wrong_input(wrong, words):
    with pytest.raises((ValueError, TypeError), match=words):
        wrong()


class OneNumber(nn.Module):
    def forward(self, x):
        return x.mean()


# --- sharpness


def test_the_laplacian_of_planes_and_a_paraboloid():
    i, j = torch.meshgrid(torch.arange(6.0).double(), torch.arange(5.0).double(), indexing="ij")
    assert laplacian((2 * i - 3 * j + 1)[None, None]).abs().max() < 1e-12
    torch.testing.assert_close(laplacian((i**2 + j**2)[None, None]), torch.full((1, 1, 4, 3), -4.0).double())


def test_sharpness_falls_with_blur():
    x = torch.randn(5, 1, 12, 12)
    blurs = [nn.functional.avg_pool2d(x, k, 1, k // 2, count_include_pad=False) for k in (1, 3, 5)]
    found = [sharpness(blur, x) for blur in blurs]
    assert found[0] == 1 and found[0] > found[1] > found[2] > 0
    assert sharpness(0.5 * x + 3, x) == pytest.approx(0.25, rel=1e-5)
    for wrong, words in (
        (lambda: sharpness(x, x[..., 1:]), "of one size"),
        (lambda: sharpness(x, x * 0), "no detail"),
        (lambda: laplacian(x[..., :2]), "3 x 3"),
    ):
        with pytest.raises(ValueError, match=words):
            wrong()


def test_reprs(stage):
    adv = adversarial(stage, start=3)
    assert "hinge" in repr(adv) and "after 3 steps" in repr(adv) and "first stage" in repr(stage)
    flow = flow_matching(GridField((2, 4, 4), 8, 1), (2, 4, 4))
    system = Latent(VAEStage(small_vae()), ScaledModel(flow, LatentScaler.blank(2)))
    assert "conical path" in repr(system) and "VAE" in repr(system) and "std" in repr(system)
