"""The exact discriminator against all others, what it makes of the value, and a generator that plays against it."""

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


def test_the_best_discriminator_is_the_posterior_of_real():
    pi, p = (
        Mixture(torch.ones(2), torch.tensor([[-2.0, 0], [1, 1]]).double(), 0.7),
        Mixture(torch.ones(1), torch.zeros(1, 2).double(), 1.2),
    )
    x = torch.randn(50, 2, dtype=torch.float64) * 2
    a, b = pi.log_prob(x).exp(), p.log_prob(x).exp()
    torch.testing.assert_close(OptimalDiscriminator(pi, p)(x).sigmoid(), a / (a + b))


def test_no_other_discriminator_reaches_its_value():
    """V falls in every direction away from D*, and as the square of the step."""
    pi, p = gaussian(1.0), gaussian(-0.5, 1.5)
    best, top = OptimalDiscriminator(pi, p), value_on_grid(pi, p, OptimalDiscriminator(pi, p), LINE)
    for wave in (torch.ones_like, torch.sin, torch.cos, lambda x: x / 3, lambda x: (2 * x).tanh()):
        away = lambda size, wave=wave: top - value_on_grid(pi, p, lambda x: best(x) + size * wave(x)[:, 0], LINE)
        assert away(0.1) > 0 and away(-0.1) > 0 and away(1.0) > away(0.1)
        assert away(0.02) / away(0.01) == pytest.approx(4, rel=0.05)


def test_against_it_the_value_is_two_jsd_minus_two_log_two():
    near, far = (gaussian(0.0), gaussian(0.1)), (gaussian(4.0), gaussian(-4.0, 0.5))
    for pi, p in ((gaussian(1.0), gaussian(-0.5, 1.5)), far, near):
        value = value_on_grid(pi, p, OptimalDiscriminator(pi, p), LINE)
        assert value == pytest.approx(2 * jsd_on_grid(pi.log_prob, p.log_prob, LINE) - 2 * math.log(2), abs=1e-9)
        assert -2 * math.log(2) <= value <= 0
    equal = value_on_grid(gaussian(0.3), gaussian(0.3), OptimalDiscriminator(gaussian(0.3), gaussian(0.3)), LINE)
    assert equal == pytest.approx(-2 * math.log(2), abs=1e-9)
    apart = value_on_grid(
        gaussian(6.0, 0.1),
        gaussian(-6.0, 0.1),
        OptimalDiscriminator(gaussian(6.0, 0.1), gaussian(-6.0, 0.1)),
        LINE,
    )
    assert apart == pytest.approx(0, abs=1e-9)


def test_the_value_by_samples_is_that_of_the_grid():
    torch.manual_seed(0)
    pi, p = gaussian(1.0), gaussian(-0.5, 1.5)
    d = OptimalDiscriminator(pi, p)
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
    slope = lambda at: torch.autograd.grad(
        0.6 * game.critic(real * 0 + at, fake * 0 + 2.0) + 1.4 * game.critic(real * 0 + 2.0, fake * 0 + at), at
    )[0]
    at = torch.tensor(share * 2.0 + (1 - share) * -1.0, dtype=torch.float64, requires_grad=True)
    assert slope(at).item() == pytest.approx(0, abs=1e-12)


def test_playing_against_the_best_critic_moves_an_affine_generator_onto_the_data():
    torch.manual_seed(0)
    pi, g = gaussian(1.5, 0.6), AffineGenerator(torch.tensor([-1.0], dtype=torch.float64))
    optimizer = torch.optim.Adam(g.parameters(), 0.05)
    for _ in range(300):
        optimizer.zero_grad()
        non_saturating().generator(
            OptimalDiscriminator(pi, g.distribution)(g(torch.randn(500, 1, dtype=torch.float64)))
        ).backward()
        optimizer.step()
    assert g.shift.item() == pytest.approx(1.5, abs=0.1) and g.log_scale.exp().item() == pytest.approx(
        0.6, abs=0.1
    )
    assert "shift" in repr(g) and "exact" in repr(OptimalDiscriminator(pi, pi))
