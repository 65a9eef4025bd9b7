"""Games of two networks: losses and penalties against the lecture's formulas and autograd, who moves whom, the duel."""

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


# --- the losses


@pytest.mark.parametrize("make", [minimax, non_saturating])
def test_the_critics_loss_is_minus_the_value_in_probabilities(make):
    real, fake = LOGITS, LOGITS.flip(0) - 0.7
    value = torch.sigmoid(real).log().mean() + (1 - torch.sigmoid(fake)).log().mean()
    torch.testing.assert_close(make().critic(real, fake), -value)
    labels = torch.cat([torch.ones_like(real), torch.zeros_like(fake)])
    bce = nn.functional.binary_cross_entropy(torch.sigmoid(torch.cat([real, fake])), labels)
    torch.testing.assert_close(make().critic(real, fake), 2 * bce)


def test_what_the_generators_play_for_and_their_slopes():
    """∂ of minimax by the logit is −D, of non-saturating −(1 − D): the same sign, and strong where the other is weak."""
    d = torch.sigmoid(LOGITS)
    for game, value, slope in ((minimax(), (1 - d).log().mean(), -d), (non_saturating(), -d.log().mean(), d - 1)):
        logits = LOGITS.clone().requires_grad_()
        loss = game.generator(logits)
        torch.testing.assert_close(loss.detach(), value)
        torch.testing.assert_close(torch.autograd.grad(loss, logits)[0] * 8, slope)


@pytest.mark.parametrize("size", [100.0, -100.0, 1e4])
@pytest.mark.parametrize("name", GAMES)
def test_sure_critics_give_finite_losses(name, size):
    game, logits = GAMES[name](), torch.tensor([size, -size])
    assert torch.isfinite(game.critic(logits, logits)) and torch.isfinite(game.generator(logits))


def test_the_other_games_in_their_papers_formulas():
    real, fake = LOGITS, LOGITS * 0.5 + 1
    by_hand = 0.5 * ((real - 1) ** 2).mean() + 0.5 * (fake**2).mean()
    assert least_squares().critic(real, fake).item() == pytest.approx(by_hand.item())
    assert least_squares(-1, 1, 0).generator(fake).item() == pytest.approx(0.5 * (fake**2).mean())
    assert hinge().critic(real, fake).item() == pytest.approx(
        sum(max(0, 1 - float(r)) for r in real) / 8 + sum(max(0, 1 + float(f)) for f in fake) / 8
    )
    assert wasserstein().critic(real, fake).item() == pytest.approx((fake.mean() - real.mean()).item())
    assert hinge().generator(fake) == wasserstein().generator(fake) == -fake.mean()


@pytest.mark.parametrize("name", GAMES)
def test_the_critic_wants_real_above_fake_and_the_generator_wants_fake_up(name):
    game, zero = GAMES[name](), torch.zeros(4)
    real, fake = (zero.clone().requires_grad_() for _ in range(2))
    up, down = torch.autograd.grad(game.critic(real, fake), (real, fake), allow_unused=True)
    assert (up < 0).all() and (down is None or (down >= 0).all())
    fake = zero.clone().requires_grad_()
    assert (torch.autograd.grad(game.generator(fake), fake)[0] < 0).all()


# --- penalties


class Quadratic(nn.Module):
    """f(x) = a·x + ½ c ‖x‖², whose gradient is a + c x."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.c = nn.Parameter(torch.tensor([0.6, -0.8]).double()), nn.Parameter(torch.tensor(0.5).double())

    def forward(self, x):
        return x @ self.a + self.c / 2 * x.square().sum(1)


def test_penalties_on_a_critic_with_known_slope_and_their_gradients_by_hand():
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


def test_the_gradient_penalty_looks_between_real_and_fake_with_one_share_a_pair():
    seen = []
    real, fake = torch.zeros(64, 1, 3, 3), torch.ones(64, 1, 3, 3)
    GradientPenalty()(lambda x: seen.append(x.detach()) or x.flatten(1).sum(1), real, fake)
    u = seen[0].flatten(1)
    assert (
        torch.equal(u, u[:, :1].expand_as(u)) and u.min() >= 0 and u.max() <= 1 and u[:, 0].unique().numel() > 50
    )


def test_a_flat_critic_has_finite_penalties_and_gradients():
    f = nn.Linear(2, 1)
    nn.init.zeros_(f.weight)
    GradientPenalty()(f, torch.randn(4, 2), torch.randn(4, 2)).backward()
    assert torch.isfinite(f.weight.grad).all()


def test_the_penalty_of_a_game_enters_the_critics_loss_and_its_weights():
    real = data.moons().sample(64)
    bare, penalised = plane(wasserstein(None)), plane(wasserstein(None).with_penalty(R1(2.0)))
    torch.manual_seed(3)
    without = bare.discriminator_loss(real)
    torch.manual_seed(3)
    full = penalised.discriminator_loss(real)
    assert (full - without).item() == pytest.approx(
        squared_grad_norm(bare.discriminator, real).mean().item(), rel=1e-5
    )
    assert "R1" in repr(penalised)


# --- who moves whom


@pytest.mark.parametrize("name", GAMES)
def test_each_loss_moves_the_weights_of_its_own_side_alone(name):
    gan, real = plane(GAMES[name]()), data.moons().sample(32)
    own = {"discriminator": gan.discriminator, "generator": gan.generator}
    for side, player in gan.objectives().items():
        gan.zero_grad()
        player.loss(real).backward()
        assert player.module is own[side]
        for who, module in own.items():
            moved = any(p.grad is not None and p.grad.abs().max() > 0 for p in module.parameters())
            assert moved == (who == side), (side, who)
    assert all(p.requires_grad for p in gan.parameters())


def test_k_critic_steps_to_one_of_the_generator_on_fresh_data():
    gan = plane(k=3)
    trace = [[], []]

    def watch(history):
        trace[0].append(kept(gan.generator))
        trace[1].append(kept(gan.discriminator))

    history = fit(gan, data.moons(), Recipe(6, 32), report=watch)
    moves = [not same(a, b) for a, b in zip(trace[0], trace[0][1:])]
    assert moves == [False, True, False, False, True] and not any(map(same, trace[1], trace[1][1:]))
    assert torch.isfinite(history.losses["generator"]).nonzero()[:, 0].tolist() == [2, 5]


def test_clipping_bounds_every_weight_before_it_is_used():
    gan = plane(wasserstein(0.05))
    gan.discriminator_loss(data.moons().sample(8))
    assert max(float(p.detach().abs().max()) for p in gan.discriminator.parameters()) <= 0.05 + 1e-7
    assert "0.05" in repr(gan.game)


def test_a_gan_learns_two_moons():
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


# --- the duel


def test_the_duel_of_two_numbers_by_hand():
    """Minimax: V = log σ(0) + log(1 − σ(θψ)), so θ' = ψ σ(θψ) and ψ' = −θ σ(θψ); non-saturating: θ' = ψ σ(−θψ)."""
    x = torch.randn(7, 2, dtype=torch.float64)
    theta, psi = x.T
    s = torch.sigmoid(theta * psi)
    torch.testing.assert_close(DiracGAN(minimax())(x), torch.stack([psi * s, -theta * s], 1))
    torch.testing.assert_close(DiracGAN(non_saturating())(x), torch.stack([psi * (1 - s), -theta * s], 1))
    torch.testing.assert_close(DiracGAN(wasserstein(None))(x), torch.stack([psi, -theta], 1))
    torch.testing.assert_close(DiracGAN(minimax(), r1=0.3)(x)[:, 1], -theta * s - 0.3 * psi)


def test_in_continuous_time_the_duel_circles_and_in_steps_it_spirals_out_unless_they_take_turns():
    x, ts = torch.tensor([[1.0, 0.0]], dtype=torch.float64), torch.linspace(0, 20, 201, dtype=torch.float64)
    duel = DiracGAN(wasserstein(None))
    radius = lambda way: way[:, 0].norm(dim=1)
    assert radius(solve(duel, x, ts, method=rk4)).sub(1).abs().max() < 1e-4
    euler = radius(solve(duel, x, ts))
    torch.testing.assert_close(euler, 1.01 ** (torch.arange(201).double() / 2))  # |1 + ih|² = 1 + h²
    turns = radius(solve(duel, x, ts, method=alternating))
    assert turns.min() > 0.9 and turns.max() < 1.1
    assert radius(solve(DiracGAN(minimax(), 0.5), x, ts, method=rk4))[-1] < 0.2  # the penalty brings it to rest
    assert radius(solve(DiracGAN(minimax()), x, ts, method=rk4))[-1] == pytest.approx(1, abs=1e-3)
    assert "R1" in repr(DiracGAN(minimax(), 0.5))
