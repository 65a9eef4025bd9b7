"""The references and solutions of the theory homework on diffusion, held to oracles of another kind."""

from __future__ import annotations

import pytest
import torch

from dgm_course.core.distributions import Mixture
from dgm_course.paths import VP
from dgm_course.teach.homework import exercise

from .answers.diffusion_theory import BANKS


def both(id):
    """The library's answer and the bank's."""
    return pytest.mark.parametrize("answer", [exercise(id).reference, BANKS[id].solution], ids=["library", "bank"])


@pytest.fixture
def mixture():
    return Mixture(torch.tensor([0.3, 0.7]), torch.tensor([[-1.0, 0.5], [1.2, 0.0]]).double(), 0.6)


@both("diff.forward_covariance")
def test_the_covariance_is_that_of_noised_samples(answer):
    generator = torch.Generator().manual_seed(0)
    data = (
        torch.randn(3, 50_000, 2, generator=generator).double() @ torch.tensor([[1.0, 0.8], [0.0, 0.5]]).double()
    )
    abar = torch.tensor([0.2, 0.5, 0.9]).double().view(3, 1, 1)
    noisy = abar.sqrt() * data + (1 - abar).sqrt() * torch.randn(data.shape, generator=generator).double()
    cov = torch.stack([part.T.cov() for part in data])
    assert torch.allclose(answer(cov, abar), torch.stack([part.T.cov() for part in noisy]), atol=0.02)


@both("diff.forward_covariance")
def test_a_standard_normal_stays_one(answer):
    eye = torch.eye(3).double().expand(4, 3, 3)
    assert torch.allclose(answer(eye, torch.linspace(0, 1, 4).double().view(4, 1, 1)), eye)


@both("diff.implicit_score_matching")
def test_implicit_and_explicit_score_matching_differ_by_a_constant(answer, mixture):
    """E[tr ∂s + ½‖s‖²] + ½E‖∇log p‖² = ½E‖s − ∇log p‖², by quadrature over a grid in place of samples."""
    line = torch.linspace(-6, 6, 401, dtype=torch.float64)
    grid = torch.cartesian_prod(line, line)
    mass = mixture.log_prob(grid).exp() * (line[1] - line[0]) ** 2
    truth = mixture.score(grid)
    for net in (lambda x: torch.tanh(x) - x, lambda x: torch.stack([x[:, 1].sin(), x[:, 0] * x[:, 1]], 1)):
        explicit = (mass * (net(grid) - truth).square().sum(1)).sum() / 2
        parts = torch.stack([answer(net, point[None]) for point in grid[::641]])
        x = grid.clone().requires_grad_()
        trace = sum(torch.autograd.grad(net(x)[:, i].sum(), x)[0][:, i] for i in range(2))
        assert torch.allclose(parts, (trace + net(x).square().sum(1) / 2)[::641])
        implicit = (mass * (trace + net(grid).square().sum(1) / 2)).sum()
        assert float(implicit + (mass * truth.square().sum(1)).sum() / 2) == pytest.approx(
            float(explicit), abs=1e-6
        )


@both("diff.implicit_score_matching")
def test_the_true_score_has_the_least_objective_among_its_multiples(answer, mixture):
    torch.manual_seed(1)
    x = mixture.sample(20_000)
    scores = [lambda y, scale=scale: scale * mixture.score(y) for scale in (0.6, 0.8, 1.0, 1.2, 1.4)]
    values = [float(answer(score, x).detach()) for score in scores]
    assert min(values) == values[2]


@both("diff.kfp_residual")
def test_the_exact_marginal_of_the_vp_path_solves_the_equation(answer):
    """dx = −½βx ds + √β dw from two narrow bumps: β(s) = 0.1 + 19.9 s, the library's marginal at its time 1 − s."""
    bumps = Mixture(torch.tensor([0.4, 0.6]), torch.tensor([[-1.0], [0.8]]).double(), 0.3)
    beta = lambda s: 0.1 + 19.9 * s

    def p(x, s):
        area = 0.1 * s + 19.9 * s**2 / 2
        shrink, variance = (-area / 2).exp(), 0.09 * (-area).exp() + 1 - (-area).exp()
        bump = lambda mean: (
            torch.exp(-((x - shrink * mean) ** 2) / (2 * variance)) / (2 * torch.pi * variance).sqrt()
        )
        return 0.4 * bump(-1.0) + 0.6 * bump(0.8)

    x, s = torch.linspace(-2, 2, 30).double(), torch.full((30,), 0.2).double()
    exact = VP().marginal(bumps, 0.8).log_prob(x[:, None]).exp()
    assert torch.allclose(p(x, s), exact, atol=1e-6)
    found = answer(p, lambda y, r: -beta(r) * y / 2, lambda r: beta(r).sqrt(), x, s)
    assert found.abs().max() < 1e-9
    assert answer(p, lambda y, r: -beta(r) * y / 3, lambda r: beta(r).sqrt(), x, s).abs().max() > 0.1


@both("diff.reverse_sde_step")
def test_the_step_is_ddpms_up_to_second_order(answer):
    """Richardson: halving β quarters the difference."""
    generator = torch.Generator().manual_seed(2)
    x, z = torch.randn(2, 50, 3, generator=generator, dtype=torch.float64)
    score = lambda y: torch.tanh(2 * y) - y
    ddpm = lambda beta: (x + beta * score(x)) / (1 - beta) ** 0.5 + beta**0.5 * z
    differences = [float((answer(score, x, beta, z) - ddpm(beta)).abs().max()) for beta in (0.02, 0.01)]
    assert differences[0] / differences[1] == pytest.approx(4, rel=0.05)


@both("diff.reverse_sde_step")
def test_many_steps_keep_a_standard_normal_as_it_is(answer):
    torch.manual_seed(3)
    x = torch.randn(40_000, 1).double()
    for _ in range(100):
        x = answer(lambda y: -y, x, 0.02, torch.randn_like(x))
    assert float(x.std()) == pytest.approx(1, abs=0.02)
