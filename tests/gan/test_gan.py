"""Losses and penalties against formulas and autograd, which weights each loss moves, and the Dirac GAN."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dgm_course import data, nets
from dgm_course.core.ode import rk4, solve
from dgm_course.gan import (
    GAN,
    R1,
    DiracGAN,
    GradientPenalty,
    alternating,
    hinge,
    least_squares,
    minimax,
    non_saturating,
    squared_grad_norm,
    wasserstein,
    wasserstein_gp,
)
from dgm_course.training import Recipe, fit

from .models import plane

GAMES = {
    "minimax": minimax,
    "non-saturating": non_saturating,
    "least squares": least_squares,
    "hinge": hinge,
    "Wasserstein": wasserstein,
    "WGAN-GP": wasserstein_gp,
}
LOGITS = torch.linspace(-3, 3, 8, dtype=torch.float64)


def kept(module: nn.Module) -> list[torch.Tensor]:
    return [p.detach().clone() for p in module.parameters()]


def same(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    return all(map(torch.equal, a, b))


@pytest.mark.parametrize("make", [minimax, non_saturating])
def test_critic_loss_is_minus_the_value(make):
    real, fake = LOGITS, LOGITS.flip(0) - 0.7
    value = torch.sigmoid(real).log().mean() + (1 - torch.sigmoid(fake)).log().mean()
    torch.testing.assert_close(make().critic(real, fake), -value)
    labels = torch.cat([torch.ones_like(real), torch.zeros_like(fake)])
    bce = nn.functional.binary_cross_entropy(torch.sigmoid(torch.cat([real, fake])), labels)
    torch.testing.assert_close(make().critic(real, fake), 2 * bce)


def test_generator_losses_and_their_slopes():
    """The derivative by the logit is −D for minimax and −(1 − D) for non-saturating."""
    d = torch.sigmoid(LOGITS)
    for game, value, slope in ((minimax(), (1 - d).log().mean(), -d), (non_saturating(), -d.log().mean(), d - 1)):
        logits = LOGITS.clone().requires_grad_()
        loss = game.generator(logits)
        torch.testing.assert_close(loss.detach(), value)
        torch.testing.assert_close(torch.autograd.grad(loss, logits)[0] * 8, slope)


@pytest.mark.parametrize("size", [100.0, -100.0, 1e4])
@pytest.mark.parametrize("name", GAMES)
def test_losses_of_large_logits_are_finite(name, size):
    game, logits = GAMES[name](), torch.tensor([size, -size])
    assert torch.isfinite(game.critic(logits, logits)) and torch.isfinite(game.generator(logits))


def test_other_games_are_their_papers_formulas():
    real, fake = LOGITS, LOGITS * 0.5 + 1
    by_hand = 0.5 * ((real - 1) ** 2).mean() + 0.5 * (fake**2).mean()
    assert least_squares().critic(real, fake).item() == pytest.approx(by_hand.item())
    assert least_squares(-1, 1, 0).generator(fake).item() == pytest.approx(0.5 * (fake**2).mean())
    by_hand = sum(max(0, 1 - float(r)) for r in real) / 8 + sum(max(0, 1 + float(f)) for f in fake) / 8
    assert hinge().critic(real, fake).item() == pytest.approx(by_hand)
    assert wasserstein().critic(real, fake).item() == pytest.approx((fake.mean() - real.mean()).item())
    assert hinge().generator(fake) == wasserstein().generator(fake) == -fake.mean()


@pytest.mark.parametrize("name", GAMES)
def test_signs_of_the_slopes_of_games(name):
    game, zero = GAMES[name](), torch.zeros(4)
    real, fake = (zero.clone().requires_grad_() for _ in range(2))
    up, down = torch.autograd.grad(game.critic(real, fake), (real, fake), allow_unused=True)
    assert (up < 0).all() and (down is None or (down >= 0).all())
    fake = zero.clone().requires_grad_()
    assert (torch.autograd.grad(game.generator(fake), fake)[0] < 0).all()


class Quadratic(nn.Module):
    """f(x) = a·x + ½ c ‖x‖², whose gradient is a + c x."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.c = nn.Parameter(torch.tensor([0.6, -0.8]).double()), nn.Parameter(torch.tensor(0.5).double())

    def forward(self, x):
        return x @ self.a + self.c / 2 * x.square().sum(1)


def test_penalties_and_their_gradients_by_hand():
    f, x = Quadratic(), torch.randn(9, 2, dtype=torch.float64)
    g = f.a + f.c * x
    torch.testing.assert_close(squared_grad_norm(f, x), g.square().sum(1))
    for name, found, by_hand in (
        ("gp", GradientPenalty(3.0).at(f, x), 3 * (g.norm(dim=1) - 1).square().mean()),
        ("r1", R1(3.0)(f, x, x + 1), 1.5 * g.square().sum(1).mean()),
    ):
        torch.testing.assert_close(found, by_hand, msg=name)
        for ours, hand in zip(
            torch.autograd.grad(found, (f.a, f.c)), torch.autograd.grad(by_hand, (f.a, f.c), retain_graph=True)
        ):
            assert hand.abs().max() > 1e-3
            torch.testing.assert_close(ours, hand)


def test_gradient_penalty_interpolates_pairs():
    seen = []
    real, fake = torch.zeros(64, 1, 3, 3), torch.ones(64, 1, 3, 3)
    GradientPenalty()(lambda x: seen.append(x.detach()) or x.flatten(1).sum(1), real, fake)
    u = seen[0].flatten(1)
    assert torch.equal(u, u[:, :1].expand_as(u)) and u.min() >= 0 and u.max() <= 1 and len(u[:, 0].unique()) > 50


def test_penalty_of_flat_critic_is_differentiable():
    f = nn.Linear(2, 1)
    nn.init.zeros_(f.weight)
    GradientPenalty()(f, torch.randn(4, 2), torch.randn(4, 2)).backward()
    assert torch.isfinite(f.weight.grad).all()


def test_penalty_is_added_to_critic_loss():
    real = data.moons().sample(64)
    bare, penalised = plane(wasserstein(None)), plane(wasserstein(None).with_penalty(R1(2.0)))
    losses = []
    for gan in (bare, penalised):
        torch.manual_seed(3)
        losses.append(gan.discriminator_loss(real).item())
    penalty = squared_grad_norm(bare.discriminator, real).mean().item()
    assert losses[1] - losses[0] == pytest.approx(penalty, rel=1e-5)
    assert "R1" in repr(penalised)


@pytest.mark.parametrize("name", GAMES)
def test_each_loss_moves_its_own_weights(name):
    gan, real = plane(GAMES[name]()), data.moons().sample(32)
    own = {"discriminator": gan.discriminator, "generator": gan.generator}
    for side, objective in gan.objectives().items():
        gan.zero_grad()
        objective.loss(real).backward()
        assert objective.module is own[side]
        for who, module in own.items():
            moved = any(p.grad is not None and p.grad.abs().max() > 0 for p in module.parameters())
            assert moved == (who == side), (side, who)
    assert all(p.requires_grad for p in gan.parameters())


def test_k_critic_steps_a_generator_step():
    gan = plane(k=3)
    trace = [[], []]

    def watch(history):
        trace[0].append(kept(gan.generator))
        trace[1].append(kept(gan.discriminator))

    history = fit(gan, data.moons(), Recipe(6, 32), report=watch)
    moves = [not same(a, b) for a, b in zip(trace[0], trace[0][1:])]
    assert moves == [False, True, False, False, True] and not any(map(same, trace[1], trace[1][1:]))
    assert torch.isfinite(history.losses["generator"]).nonzero()[:, 0].tolist() == [2, 5]


def test_clipping_bounds_every_weight():
    gan = plane(wasserstein(0.05))
    gan.discriminator_loss(data.moons().sample(8))
    assert max(float(p.detach().abs().max()) for p in gan.discriminator.parameters()) <= 0.05 + 1e-7
    assert "0.05" in repr(gan.game)


@pytest.mark.slow
def test_gan_learns_two_moons():
    torch.manual_seed(0)
    gan = GAN(
        nets.MLPGenerator(2, 2, 64, 2), nets.MLPDiscriminator(2, 64, 2), non_saturating().with_penalty(R1(0.1))
    )
    moons = data.moons()
    history = fit(gan, moons, Recipe(600, 64, 1e-3, betas=(0.5, 0.9), ema=0.98))
    x = gan.sample(1000)
    assert history.finished and x.shape == (1000, 2) and not x.requires_grad
    assert moons.log_prob(x).mean() > moons.log_prob(4 * torch.randn(1000, 2)).mean() + 20
    assert "no density, no encoder" in repr(gan) and not hasattr(gan, "log_prob") and not hasattr(gan, "loss")


def test_dirac_gan_is_its_formula():
    """V = log σ(0) + log(1 − σ(θψ)), so θ' = ψ σ(θψ) and ψ' = −θ σ(θψ); non-saturating: θ' = ψ σ(−θψ)."""
    x = torch.randn(7, 2, dtype=torch.float64)
    theta, psi = x.T
    s = torch.sigmoid(theta * psi)
    torch.testing.assert_close(DiracGAN(minimax())(x), torch.stack([psi * s, -theta * s], 1))
    torch.testing.assert_close(DiracGAN(non_saturating())(x), torch.stack([psi * (1 - s), -theta * s], 1))
    torch.testing.assert_close(DiracGAN(wasserstein(None))(x), torch.stack([psi, -theta], 1))
    torch.testing.assert_close(DiracGAN(minimax(), r1=0.3)(x)[:, 1], -theta * s - 0.3 * psi)


@pytest.mark.slow
def test_dirac_gan_circles_diverges_or_converges():
    x, ts = torch.tensor([[1.0, 0.0]], dtype=torch.float64), torch.linspace(0, 20, 201, dtype=torch.float64)
    dirac = DiracGAN(wasserstein(None))
    radius = lambda way: way[:, 0].norm(dim=1)
    assert radius(solve(dirac, x, ts, method=rk4)).sub(1).abs().max() < 1e-4
    euler = radius(solve(dirac, x, ts))
    torch.testing.assert_close(euler, 1.01 ** (torch.arange(201).double() / 2))  # |1 + ih|² = 1 + h²
    alternated = radius(solve(dirac, x, ts, method=alternating))
    assert alternated.min() > 0.9 and alternated.max() < 1.1
    assert radius(solve(DiracGAN(minimax(), 0.5), x, ts, method=rk4))[-1] < 0.2  # the penalty brings it to rest
    assert radius(solve(DiracGAN(minimax()), x, ts, method=rk4))[-1] == pytest.approx(1, abs=1e-3)
    assert "R1" in repr(DiracGAN(minimax(), 0.5))
