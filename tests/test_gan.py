"""Games of two networks: losses against the lecture's formulas and autograd, the exact discriminator against all others."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from dgm_course import adversarial_nets as nets
from dgm_course import data
from dgm_course.distributions import Gaussian, Mixture
from dgm_course.dynamics import rk4, solve
from dgm_course.fit import Recipe, fit
from dgm_course.gan import (
    GAN,
    R1,
    Affine,
    Duel,
    GradientPenalty,
    Optimal,
    alternating,
    hinge,
    invert,
    least_squares,
    minimax,
    non_saturating,
    slopes,
    value_on_grid,
    wasserstein,
    wasserstein_gp,
)
from dgm_course.measures import Grid, jsd_on_grid

GAMES = {"minimax": minimax, "non-saturating": non_saturating, "least squares": least_squares, "hinge": hinge,
         "Wasserstein": wasserstein, "WGAN-GP": wasserstein_gp}
LOGITS = torch.linspace(-3, 3, 8, dtype=torch.float64)
LINE = Grid(-12, 12, 4000, 1)


def gaussian(mean: float, std: float = 1.0) -> Gaussian:
    return Gaussian(torch.tensor([mean], dtype=torch.float64), std)


def plane(game=None, **options) -> GAN:
    torch.manual_seed(0)
    return GAN(nets.Sculptor(2, 2, 16, 1), nets.Critic(2, 16, 1), game, **options)


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
        sum(max(0, 1 - float(r)) for r in real) / 8 + sum(max(0, 1 + float(f)) for f in fake) / 8)
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


# --- the best discriminator

def test_the_best_discriminator_is_the_posterior_of_real():
    pi, p = Mixture(torch.ones(2), torch.tensor([[-2.0, 0], [1, 1]]).double(), 0.7), Mixture(torch.ones(1), torch.zeros(1, 2)
                                                                                           .double(), 1.2)
    x = torch.randn(50, 2, dtype=torch.float64) * 2
    a, b = pi.log_prob(x).exp(), p.log_prob(x).exp()
    torch.testing.assert_close(Optimal(pi, p)(x).sigmoid(), a / (a + b))


def test_no_other_discriminator_reaches_its_value():
    """V falls in every direction away from D*, and as the square of the step."""
    pi, p = gaussian(1.0), gaussian(-0.5, 1.5)
    best, top = Optimal(pi, p), value_on_grid(pi, p, Optimal(pi, p), LINE)
    for wave in (torch.ones_like, torch.sin, torch.cos, lambda x: x / 3, lambda x: (2 * x).tanh()):
        away = lambda size, wave=wave: top - value_on_grid(pi, p, lambda x: best(x) + size * wave(x)[:, 0], LINE)
        assert away(0.1) > 0 and away(-0.1) > 0 and away(1.0) > away(0.1)
        assert away(0.02) / away(0.01) == pytest.approx(4, rel=0.05)


def test_against_it_the_value_is_two_jsd_minus_two_log_two():
    near, far = (gaussian(0.0), gaussian(0.1)), (gaussian(4.0), gaussian(-4.0, 0.5))
    for pi, p in ((gaussian(1.0), gaussian(-0.5, 1.5)), far, near):
        value = value_on_grid(pi, p, Optimal(pi, p), LINE)
        assert value == pytest.approx(2 * jsd_on_grid(pi.log_prob, p.log_prob, LINE) - 2 * math.log(2), abs=1e-9)
        assert -2 * math.log(2) <= value <= 0
    equal = value_on_grid(gaussian(0.3), gaussian(0.3), Optimal(gaussian(0.3), gaussian(0.3)), LINE)
    assert equal == pytest.approx(-2 * math.log(2), abs=1e-9)
    apart = value_on_grid(gaussian(6.0, 0.1), gaussian(-6.0, 0.1), Optimal(gaussian(6.0, 0.1), gaussian(-6.0, 0.1)), LINE)
    assert apart == pytest.approx(0, abs=1e-9)


def test_the_value_by_samples_is_that_of_the_grid():
    torch.manual_seed(0)
    pi, p = gaussian(1.0), gaussian(-0.5, 1.5)
    d = Optimal(pi, p)
    real, fake = d(pi.sample(200_000)), d(p.sample(200_000))
    values = torch.nn.functional.logsigmoid(real) + torch.nn.functional.logsigmoid(-fake)
    assert abs(values.mean() - value_on_grid(pi, p, d, LINE)) < 5 * values.std() / 200_000**0.5
    torch.testing.assert_close(minimax().critic(real, fake), -values.mean())


def test_jsd_is_symmetric_bounded_and_its_root_is_a_distance():
    torch.manual_seed(1)
    three = [gaussian(float(m), float(s)) for m, s in zip(torch.randn(3) * 2, torch.rand(3) + 0.3)]
    jsd = lambda a, b: jsd_on_grid(a.log_prob, b.log_prob, LINE)
    for a in three:
        for b in three:
            assert jsd(a, b) == pytest.approx(jsd(b, a), abs=1e-10) and -1e-12 <= jsd(a, b) <= math.log(2)
            for c in three:
                assert max(0, jsd(a, c)) ** 0.5 <= max(0, jsd(a, b)) ** 0.5 + max(0, jsd(b, c)) ** 0.5 + 1e-6


def test_least_squares_best_critic_is_linear_in_the_posterior():
    """Pointwise the minimum of ½π(f − b)² + ½p(f − a)² is (bπ + ap)/(π + p)."""
    game, share = least_squares(-1.0, 2.0), 0.3
    f = torch.tensor(0.0, dtype=torch.float64, requires_grad=True)
    real = f.expand(3)
    fake = f.expand(7)
    slope = lambda at: torch.autograd.grad(0.6 * game.critic(real * 0 + at, fake * 0 + 2.0) + 1.4 * game.critic(
        real * 0 + 2.0, fake * 0 + at), at)[0]
    at = torch.tensor(share * 2.0 + (1 - share) * -1.0, dtype=torch.float64, requires_grad=True)
    assert slope(at).item() == pytest.approx(0, abs=1e-12)


def test_playing_against_the_best_critic_moves_an_affine_generator_onto_the_data():
    torch.manual_seed(0)
    pi, g = gaussian(1.5, 0.6), Affine(torch.tensor([-1.0], dtype=torch.float64))
    optimizer = torch.optim.Adam(g.parameters(), 0.05)
    for _ in range(300):
        optimizer.zero_grad()
        non_saturating().generator(Optimal(pi, g.density)(g(torch.randn(500, 1, dtype=torch.float64)))).backward()
        optimizer.step()
    assert g.shift.item() == pytest.approx(1.5, abs=0.1) and g.log_scale.exp().item() == pytest.approx(0.6, abs=0.1)
    assert "shift" in repr(g) and "exact" in repr(Optimal(pi, pi))


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
    torch.testing.assert_close(slopes(f, x), g.square().sum(1))
    for name, found, by_hand in (("gp", GradientPenalty(3.0).at(f, x), 3 * (g.norm(dim=1) - 1).square().mean()),
                                 ("r1", R1(3.0)(f, x, x + 1), 1.5 * g.square().sum(1).mean())):
        torch.testing.assert_close(found, by_hand, msg=name)
        for ours, hand in zip(torch.autograd.grad(found, (f.a, f.c)), torch.autograd.grad(by_hand, (f.a, f.c),
                                                                                          retain_graph=True)):
            assert hand.abs().max() > 1e-3
            torch.testing.assert_close(ours, hand)


def test_the_gradient_penalty_looks_between_real_and_fake_with_one_share_a_pair():
    seen = []
    real, fake = torch.zeros(64, 1, 3, 3), torch.ones(64, 1, 3, 3)
    GradientPenalty()(lambda x: seen.append(x.detach()) or x.flatten(1).sum(1), real, fake)
    u = seen[0].flatten(1)
    assert torch.equal(u, u[:, :1].expand_as(u)) and u.min() >= 0 and u.max() <= 1 and u[:, 0].unique().numel() > 50


def test_a_flat_critic_has_finite_penalties_and_gradients():
    f = nn.Linear(2, 1)
    nn.init.zeros_(f.weight)
    GradientPenalty()(f, torch.randn(4, 2), torch.randn(4, 2)).backward()
    assert torch.isfinite(f.weight.grad).all()


def test_the_penalty_of_a_game_enters_the_critics_loss_and_its_weights():
    real = data.moons().sample(64)
    bare, told = plane(wasserstein(None)), plane(wasserstein(None).plus(R1(2.0)))
    torch.manual_seed(3)
    without = bare.discriminator_loss(real)
    torch.manual_seed(3)
    full = told.discriminator_loss(real)
    assert (full - without).item() == pytest.approx(slopes(bare.discriminator, real).mean().item(), rel=1e-5)
    assert "R1" in repr(told)


# --- who moves whom

@pytest.mark.parametrize("name", GAMES)
def test_each_loss_moves_the_weights_of_its_own_side_alone(name):
    gan, real = plane(GAMES[name]()), data.moons().sample(32)
    own = {"discriminator": gan.discriminator, "generator": gan.generator}
    for side, player in gan.players().items():
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
    gan = GAN(nets.Sculptor(2, 2, 64, 2), nets.Critic(2, 64, 2), non_saturating().plus(R1(0.1)))
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
    torch.testing.assert_close(Duel(minimax())(x), torch.stack([psi * s, -theta * s], 1))
    torch.testing.assert_close(Duel(non_saturating())(x), torch.stack([psi * (1 - s), -theta * s], 1))
    torch.testing.assert_close(Duel(wasserstein(None))(x), torch.stack([psi, -theta], 1))
    torch.testing.assert_close(Duel(minimax(), r1=0.3)(x)[:, 1], -theta * s - 0.3 * psi)


def test_in_continuous_time_the_duel_circles_and_in_steps_it_spirals_out_unless_they_take_turns():
    x, ts = torch.tensor([[1.0, 0.0]], dtype=torch.float64), torch.linspace(0, 20, 201, dtype=torch.float64)
    duel = Duel(wasserstein(None))
    radius = lambda way: way[:, 0].norm(dim=1)
    assert radius(solve(duel, x, ts, method=rk4)).sub(1).abs().max() < 1e-4
    euler = radius(solve(duel, x, ts))
    torch.testing.assert_close(euler, 1.01 ** (torch.arange(201).double() / 2))  # |1 + ih|² = 1 + h²
    turns = radius(solve(duel, x, ts, method=alternating))
    assert turns.min() > 0.9 and turns.max() < 1.1
    assert radius(solve(Duel(minimax(), 0.5), x, ts, method=rk4))[-1] < 0.2  # the penalty brings it to rest
    assert radius(solve(Duel(minimax()), x, ts, method=rk4))[-1] == pytest.approx(1, abs=1e-3)
    assert "R1" in repr(Duel(minimax(), 0.5))


# --- networks

def test_adain_sets_mean_and_deviation_of_every_channel_exactly():
    torch.manual_seed(0)
    x = torch.randn(4, 3, 5, 6, dtype=torch.float64) * torch.tensor([1, 10, 0.1]).view(3, 1, 1) + 2
    scale, bias = torch.randn(4, 3, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)
    y = nets.adain(x, scale, bias)
    torch.testing.assert_close(y.mean((2, 3)), bias)
    torch.testing.assert_close(y.var((2, 3), correction=0).sqrt(), scale.abs(), rtol=1e-5, atol=1e-8)
    torch.testing.assert_close(nets.adain(3 * x - 7, scale, bias), y, rtol=1e-5, atol=1e-6)  # what came is forgotten
    assert torch.isfinite(nets.adain(torch.ones(1, 3, 4, 4), torch.ones(1, 3), torch.zeros(1, 3))).all()


def test_packs_are_neighbours_and_a_gan_of_packs_trains():
    seen = []

    class Look(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nets.Critic(4, 8, 1)

        def forward(self, x):
            seen.append(x.detach())
            return self.net(x)

    gan = GAN(nets.Sculptor(2, 2, 8, 1), nets.Packed(Look(), 2))
    x = torch.arange(12.0).view(6, 2)
    assert gan.scores(x).shape == (3,)
    assert torch.equal(seen[-1], x.view(3, 4))
    assert fit(gan, data.moons(), Recipe(2, 6)).finished
    images = nets.Packed(nets.DCCritic(8, inputs=2), 2)
    assert images(torch.randn(4, 1, 28, 28)).shape == (2,) and "2 samples a pack" in repr(images)
    with pytest.raises(ValueError, match="5 samples: expected a multiple of 2"):
        images(torch.randn(5, 1, 28, 28))


def test_picture_generators_answer_in_range_and_are_trained_by_both_sides():
    for make in (lambda: nets.DCGenerator(4, 8), lambda: nets.StyleGenerator(4, 8, 4)):
        torch.manual_seed(0)
        gan = GAN(make(), nets.DCCritic(8), non_saturating().plus(R1(0.1)))
        x = gan.sample(3)
        assert x.shape == (3, 1, 28, 28) and x.abs().max() <= 1
        for player in gan.players().values():
            player.loss(torch.randn(4, 1, 28, 28)).backward()
        silent = [name for name, p in gan.named_parameters() if p.grad is None]
        assert not silent and "1x28x28" in repr(gan.generator)


def test_a_style_generator_mixes_layers_and_its_noise_is_its_own():
    torch.manual_seed(0)
    g = nets.StyleGenerator(4, 8, 4).eval()
    for layer in g.layers:
        nn.init.normal_(layer.strength, std=0.3)
    a, b = g.mapping(torch.randn(2, 4)), g.mapping(torch.randn(2, 4))
    noises = g.noises(2)
    assert torch.equal(g.synthesis(g.mix(a, b, 5), noises), g.synthesis(a, noises))
    assert torch.equal(g.synthesis(g.mix(a, b, 0), noises), g.synthesis(b, noises))
    mixed = g.mix(a, b, torch.tensor([2, 4]))
    assert torch.equal(mixed[0, 1], a[0]) and torch.equal(mixed[0, 2], b[0]) and torch.equal(mixed[1, 3], a[1])
    again = g.synthesis(a, g.noises(2, torch.Generator().manual_seed(1)))
    assert torch.equal(again, g.synthesis(a, g.noises(2, torch.Generator().manual_seed(1))))
    assert not torch.allclose(again, g.synthesis(a, noises))
    torch.testing.assert_close(g.mapping(3 * torch.ones(1, 4)), g.mapping(torch.ones(1, 4)))


def test_a_choice_is_one_of_equally_likely_starting_points_and_the_rest_is_noise_around_it():
    class Look(nn.Module):
        latent = 5

        def forward(self, z):
            return z

    z = torch.randn(20_000, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    seen = nets.Choice(Look(), 3, strength=4.0)(z)
    assert torch.equal(seen[:, 3:], z[:, 3:]) and torch.equal(seen[:, :3].sum(1), torch.full((20_000,), 4.0).double())
    shares = (seen[:, :3] == 4.0).double().mean(0)
    assert (shares - 1 / 3).abs().max() < 5 * math.sqrt(2 / 9 / 20_000)  # as by a fair die of three sides
    picked = z[:, :3].gather(1, seen[:, :3].argmax(1, keepdim=True))[:, 0]
    assert torch.equal(picked, z[:, :3].amax(1))


def test_a_generator_with_a_choice_makes_islands():
    torch.manual_seed(0)
    net = nets.Sculptor(4, 2, 16, 1)
    with torch.no_grad():
        net.layers[0].weight[:, 2:] = 0.0  # nothing but the choice is listened to
    x = nets.Choice(net, 2)(torch.randn(100, 4))
    assert len(x.unique(dim=0)) == 2  # and G, by itself continuous, makes two points of one cloud


def test_a_sculptor_with_batch_normalisation_gives_the_relus_numbers_of_deviation_one():
    torch.manual_seed(0)
    g, seen = nets.Sculptor(3, 2, 16, 2, norm=nn.BatchNorm1d), []
    for layer in g.layers:
        if isinstance(layer, nn.ReLU):
            layer.register_forward_pre_hook(lambda layer, given: seen.append(given[0].detach()))
    assert g(torch.randn(500, 3)).shape == (500, 2)
    for given in seen:
        assert given.mean(0).abs().max() < 1e-5 and (given.std(0, correction=0) - 1).abs().max() < 0.01
    assert g.eval()(torch.zeros(1, 3)).shape == (1, 2) and len(seen) == 4


def test_a_style_matters_from_the_start():
    torch.manual_seed(0)
    g = nets.StyleGenerator().eval()
    with torch.no_grad():
        pictures = g.synthesis(g.mapping(torch.randn(400, 32)), g.noises(400))
    assert pictures.std(0).mean() > 0.25  # two pictures differ, pixel by pixel


def test_a_generator_is_inverted_where_the_picture_is_in_its_range():
    torch.manual_seed(0)
    g, z = Affine(torch.tensor([1.0, -2.0]), torch.tensor([0.5, 2.0])), torch.randn(5, 2)
    found = invert(g, g(z).detach(), steps=300, starts=2)
    torch.testing.assert_close(found.z, z, atol=2e-2, rtol=0)
    assert found.error.max() < 1e-3 and found.image.shape == (5, 2) and all(p.requires_grad for p in g.parameters())
    flat = nets.Sculptor(1, 2, 8, 1)  # a curve in the plane: most points are off it
    outside = invert(flat, torch.tensor([[50.0, -50.0]]), steps=20)
    assert outside.error > 1


# --- bad input

def probabilities() -> GAN:
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Linear(2, 1)

        def forward(self, x):
            return torch.sigmoid(self.net(x))[:, 0]

    return GAN(nets.Sculptor(2, 2, 8, 1), Functional())


REAL = torch.zeros(4, 2)


@pytest.mark.parametrize("ask, error, words", [
    (lambda: GAN(nets.Sculptor(), nn.Sequential(nn.Linear(2, 1), nn.Sigmoid())), ValueError, "ends in a Sigmoid: expected"),
    (lambda: probabilities().discriminator_loss(REAL), ValueError, "gives probabilities.*expected logits"),
    (lambda: GAN(nn.Linear(2, 2), nets.Critic()), TypeError, "Linear has no latent"),
    (lambda: plane(k=0), ValueError, "k is 0: expected at least 1"),
    (lambda: plane().discriminator_loss(REAL, torch.zeros(4)), ValueError, "labels were given.*knows no classes"),
    (lambda: fit(plane(), (REAL, None, torch.zeros(4)), Recipe(1)), ValueError, "labels were given"),
    (lambda: plane().discriminator_loss(REAL[:0]), ValueError, "empty batch"),
    (lambda: plane().discriminator_loss(REAL * math.nan), ValueError, "contains NaN in 8 of 8"),
    (lambda: plane().discriminator_loss(REAL.long()), TypeError, "dtype torch.int64: expected floating"),
    (lambda: plane().discriminator_loss(torch.zeros(4, 3)), ValueError, r"shape \(4, 3\).*makes \(4, 2\)"),
    (lambda: GAN(nets.Sculptor(), nn.Linear(2, 3)).discriminator_loss(REAL), ValueError, r"with \(4, 3\): expected one"),
    (lambda: nets.Critic()(torch.zeros(4, 3)), ValueError, r"this Critic expects \(B, 2\)"),
    (lambda: nets.Choice(nets.Sculptor(4), 5), ValueError, "choices is 5: expected at least 2, and at most the 4"),
    (lambda: nets.Choice(nets.Sculptor(4), 1), ValueError, "choices is 1"),
    (lambda: nets.Choice(nets.Sculptor(4), 2)(torch.zeros(3, 5)), ValueError, r"this Choice expects noise \(B, 4\)"),
    (lambda: nets.Sculptor()(torch.zeros(4, 3)), ValueError, r"this Sculptor expects noise \(B, 2\)"),
    (lambda: nets.Packed(nets.Critic(), 0), ValueError, "m is 0"),
    (lambda: nets.DCGenerator(4, 8)(torch.zeros(1, 4)), ValueError, "batch of 1: batch normalisation.*at least 2"),
    (lambda: nets.Sculptor(norm=nn.BatchNorm1d)(torch.zeros(1, 2)), ValueError, "batch of 1: batch normalisation"),
    (lambda: nets.DCGenerator(4, 8)(torch.zeros(2, 5)), ValueError, r"expects noise \(B, 4\)"),
    (lambda: nets.DCCritic(8)(torch.zeros(2, 28, 28)), ValueError, r"expects images, \(B, 1, 28, 28\)"),
    (lambda: nets.StyleGenerator(4, 8, 4).synthesis(torch.zeros(2, 7)), ValueError, r"expected styles \(B, 8\)"),
    (lambda: nets.adain(torch.zeros(2, 3, 4), torch.zeros(2, 3), torch.zeros(2, 3)), ValueError, "expected.*B, C, H, W"),
    (lambda: nets.adain(torch.zeros(2, 3, 4, 4), torch.zeros(3), torch.zeros(2, 3)), ValueError, r"scale \(3,\)"),
    (lambda: Optimal(data.moons(), nets.Sculptor()), TypeError, "model are a Sculptor without log_prob"),
    (lambda: value_on_grid(gaussian(30.0), gaussian(0.0), Optimal(gaussian(30.0), gaussian(0.0)), LINE), ValueError,
     "the data sums to"),
    (lambda: Duel(minimax())(torch.zeros(2)), ValueError, r"expected pairs \(θ, ψ\)"),
    (lambda: invert(nets.Sculptor(), REAL, steps=0), ValueError, "steps is 0"),
    (lambda: invert(nets.Sculptor(), REAL[:0]), ValueError, "empty batch"),
])
def test_wrong_input_is_answered_in_sentences(ask, error, words):
    with pytest.raises(error, match=words):
        ask()


def test_one_sample_is_enough_once_training_is_over():
    g = nets.DCGenerator(4, 8).eval()
    assert g(torch.zeros(1, 4)).shape == (1, 1, 28, 28)
