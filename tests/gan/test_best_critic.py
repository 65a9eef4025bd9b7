"""The optimal discriminator: its formula, its value, and a generator trained against it."""

from __future__ import annotations

import math

import pytest
import torch

from dgm_course.core.distributions import Mixture
from dgm_course.core.metrics import jsd_on_grid
from dgm_course.gan import (
    AffineGenerator,
    OptimalDiscriminator,
    least_squares,
    minimax,
    non_saturating,
    value_on_grid,
)

from .models import LINE, gaussian


def test_optimal_discriminator_is_its_formula():
    pi = Mixture(torch.ones(2), torch.tensor([[-2.0, 0], [1, 1]]).double(), 0.7)
    p = Mixture(torch.ones(1), torch.zeros(1, 2).double(), 1.2)
    x = torch.randn(50, 2, dtype=torch.float64) * 2
    a, b = pi.log_prob(x).exp(), p.log_prob(x).exp()
    torch.testing.assert_close(OptimalDiscriminator(pi, p)(x).sigmoid(), a / (a + b))


def test_value_is_largest_at_optimal_discriminator():
    """V falls in every direction away from D*, and as the square of the step."""
    pi, p = gaussian(1.0), gaussian(-0.5, 1.5)
    best, top = OptimalDiscriminator(pi, p), value_on_grid(pi, p, OptimalDiscriminator(pi, p), LINE)
    for wave in (torch.ones_like, torch.sin, torch.cos, lambda x: x / 3, lambda x: (2 * x).tanh()):
        away = lambda size, wave=wave: top - value_on_grid(pi, p, lambda x: best(x) + size * wave(x)[:, 0], LINE)
        assert away(0.1) > 0 and away(-0.1) > 0 and away(1.0) > away(0.1)
        assert away(0.02) / away(0.01) == pytest.approx(4, rel=0.05)


def test_value_at_optimum_is_jsd():
    pairs = (
        (1.0, 1.0, -0.5, 1.5),
        (4.0, 1.0, -4.0, 0.5),
        (0.0, 1.0, 0.1, 1.0),
        (0.3, 1.0, 0.3, 1.0),
        (6.0, 0.1, -6.0, 0.1),
    )
    for m, s, n, r in pairs:
        pi, p = gaussian(m, s), gaussian(n, r)
        value = value_on_grid(pi, p, OptimalDiscriminator(pi, p), LINE)
        assert value == pytest.approx(2 * jsd_on_grid(pi.log_prob, p.log_prob, LINE) - 2 * math.log(2), abs=1e-9)
        assert -2 * math.log(2) - 1e-9 <= value <= 1e-9
        if s == 0.1 or m == n:  # far apart, equal
            assert value == pytest.approx(0 if s == 0.1 else -2 * math.log(2), abs=1e-9)


def test_value_by_samples_is_that_of_grid():
    torch.manual_seed(0)
    pi, p = gaussian(1.0), gaussian(-0.5, 1.5)
    d = OptimalDiscriminator(pi, p)
    real, fake = d(pi.sample(200_000)), d(p.sample(200_000))
    values = torch.nn.functional.logsigmoid(real) + torch.nn.functional.logsigmoid(-fake)
    assert abs(values.mean() - value_on_grid(pi, p, d, LINE)) < 5 * values.std() / 200_000**0.5
    torch.testing.assert_close(minimax().critic(real, fake), -values.mean())


def test_root_of_jsd_is_a_distance():
    torch.manual_seed(1)
    three = [gaussian(float(m), float(s)) for m, s in zip(torch.randn(3) * 2, torch.rand(3) + 0.3)]
    jsd = lambda a, b: jsd_on_grid(a.log_prob, b.log_prob, LINE)
    for a in three:
        for b in three:
            assert jsd(a, b) == pytest.approx(jsd(b, a), abs=1e-10) and -1e-12 <= jsd(a, b) <= math.log(2)
            for c in three:
                assert max(0, jsd(a, c)) ** 0.5 <= max(0, jsd(a, b)) ** 0.5 + max(0, jsd(b, c)) ** 0.5 + 1e-6


def test_best_least_squares_critic_is_linear_in_posterior():
    """Pointwise the minimum of ½π(f − b)² + ½p(f − a)² is (bπ + ap)/(π + p)."""
    game, share, f = least_squares(-1.0, 2.0), 0.3, torch.tensor([-0.1], dtype=torch.float64, requires_grad=True)
    optimum = torch.tensor([2.0]).double(), torch.tensor([-1.0]).double()  # no loss of the other side
    loss = share * game.critic(f, optimum[1]) + (1 - share) * game.critic(optimum[0], f)
    assert torch.autograd.grad(loss, f)[0].item() == pytest.approx(0, abs=1e-12)


def test_affine_generator_learns_against_optimal_critic():
    torch.manual_seed(0)
    pi, g = gaussian(1.5, 0.6), AffineGenerator(torch.tensor([-1.0], dtype=torch.float64))
    optimizer = torch.optim.Adam(g.parameters(), 0.05)
    for _ in range(300):
        optimizer.zero_grad()
        fake = g(torch.randn(500, 1, dtype=torch.float64))
        non_saturating().generator(OptimalDiscriminator(pi, g.distribution)(fake)).backward()
        optimizer.step()
    assert g.shift.item() == pytest.approx(1.5, abs=0.1)
    assert g.log_scale.exp().item() == pytest.approx(0.6, abs=0.1)
