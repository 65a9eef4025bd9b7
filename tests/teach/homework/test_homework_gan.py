"""The references of the homework on adversarial networks, held to oracles of another kind: search, differences, counting."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from dgm_course.teach.homework import exercise
from dgm_course.teach.homework.recipes import SmallCritic


def reference(name: str):
    return exercise(f"gan.{name}").reference


def test_no_other_value_beats_the_best_discriminator():
    pi, p = torch.rand(20).double() + 0.1, torch.rand(20).double() + 0.1
    best, tried = reference("optimal_discriminator")(pi, p), torch.linspace(0, 1, 10_001).double()[1:-1, None]
    values = pi * tried.log() + p * (1 - tried).log()
    torch.testing.assert_close(best, tried[values.argmax(0), 0], atol=1.1e-4, rtol=0)


def test_the_best_least_squares_critic_by_search():
    pi, p = torch.rand(20).double() + 0.1, torch.rand(20).double() + 0.1
    tried = torch.linspace(-3, 3, 6001).double()[:, None]
    values = pi * (tried - 2.0) ** 2 + p * (tried + 1.0) ** 2
    torch.testing.assert_close(
        reference("least_squares_critic")(pi, p, -1.0, 2.0), tried[values.argmin(0), 0], atol=6e-4, rtol=0
    )


def test_the_losses_have_the_slopes_of_the_lecture_by_differences():
    fake, h = torch.linspace(-3, 3, 7).double(), 1e-5
    d = fake.sigmoid()
    for i in range(7):
        step = h * torch.eye(7).double()[i]
        slope = [
            (a - b) / (2 * h) * 7
            for a, b in zip(reference("generator_losses")(fake + step), reference("generator_losses")(fake - step))
        ]
        assert slope[0].item() == pytest.approx(-d[i].item(), abs=1e-6)
        assert slope[1].item() == pytest.approx(d[i].item() - 1, abs=1e-6)
        real = reference("discriminator_loss")(fake + step, fake) - reference("discriminator_loss")(
            fake - step, fake
        )
        assert (real / (2 * h) * 7).item() == pytest.approx(d[i].item() - 1, abs=1e-6)


def test_jsd_is_what_one_symbol_tells_about_its_table():
    """A fair coin chooses p or q; the mutual information of coin and symbol, by counting 400,000 draws."""
    generator = np.random.default_rng(0)
    p, q = generator.dirichlet(np.ones(4)), generator.dirichlet(np.ones(4))
    coin = generator.integers(0, 2, 400_000)
    symbol = np.where(coin == 0, generator.choice(4, 400_000, p=p), generator.choice(4, 400_000, p=q))
    joint = np.histogram2d(coin, symbol, bins=(2, 4))[0] / 400_000
    information = (joint * np.log(joint / joint.sum(0) / joint.sum(1, keepdims=True))).sum()
    came = reference("jsd")(torch.tensor(p)[None], torch.tensor(q)[None])
    assert came.item() == pytest.approx(information, abs=0.005)


def test_the_penalty_by_differences_of_the_critic():
    rng = np.random.default_rng(1)
    critic = SmallCritic.random(rng, 3).build(torch.zeros(0).double())
    real, fake, u = torch.randn(6, 3).double(), torch.randn(6, 3).double(), torch.rand(6).double()
    x, h = fake + u[:, None] * (real - fake), 1e-5
    with torch.no_grad():
        slope = torch.stack([(critic(x + h * e) - critic(x - h * e)) / (2 * h) for e in torch.eye(3).double()], 1)
    expected = ((slope**2).sum(1) ** 0.5 - 1).pow(2).mean()
    assert reference("gradient_penalty")(critic, real, fake, u).item() == pytest.approx(expected.item(), rel=1e-6)


def test_adain_gives_the_statistics_that_were_asked_for():
    x, scale, bias = (
        torch.randn(3, 2, 4, 5).double() * 3 + 1,
        torch.rand(3, 2).double() + 0.5,
        torch.randn(3, 2).double(),
    )
    y = reference("adain")(x, scale, bias).numpy()
    np.testing.assert_allclose(y.mean((2, 3)), bias)
    np.testing.assert_allclose(y.std((2, 3)), scale)


def test_the_bound_touches_kl_at_its_best_critic_and_lies_below_elsewhere():
    """π = N(0, 1), p = N(1, 1): KL = ½, and T* = 1 + log π/p = 1 + ½ − x."""
    torch.manual_seed(0)
    x, y = torch.randn(400_000).double(), torch.randn(400_000).double() + 1
    bound = lambda critic: reference("kl_bound")(critic(x), critic(y)).item()
    assert bound(lambda x: 1.5 - x) == pytest.approx(0.5, abs=5 * math.sqrt(3 / 400_000))
    for other in (
        lambda x: 1.2 - x,
        lambda x: 1.5 - 0.7 * x,
        lambda x: 0 * x + 1,
        lambda x: 1.5 - x + 0.5 * torch.sin(x),
    ):
        assert bound(other) < 0.49
