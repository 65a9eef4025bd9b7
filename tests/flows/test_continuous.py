"""Continuous flows against a matrix exponential, the exact density of a mixture, and finite differences."""

from __future__ import annotations

import pytest
import torch

from dgm_course import nets
from dgm_course.core.distributions import Mixture
from dgm_course.core.ode import EvaluationCounter, divergence, euler, heun, hutchinson
from dgm_course.flows import ContinuousFlow
from dgm_course.paths import VP, Conical
from dgm_course.training import Recipe, fit

from .models import batch, stirred


def linear_field(matrix: torch.Tensor):
    return lambda x, t: x @ matrix.T


def test_linear_field_gives_matrix_exponential():
    matrix = torch.tensor([[0.3, -1.0], [0.8, -0.6]], dtype=torch.float64)
    flow, x = ContinuousFlow(linear_field(matrix), 2, steps=40).double(), batch((2,))
    power = torch.linalg.matrix_exp(matrix)
    exact = torch.distributions.MultivariateNormal(torch.zeros(2).double(), power @ power.T)
    assert torch.allclose(flow.log_prob(x), exact.log_prob(x), atol=1e-7)
    assert torch.allclose(flow(x)[1], torch.full((7,), -float(matrix.trace())).double(), atol=1e-9)
    assert torch.allclose(flow.inverse(flow(x)[0]), x, atol=1e-6)


@pytest.mark.parametrize("path", [Conical(), VP()], ids=["conical", "VP"])
@pytest.mark.slow
def test_exact_field_has_density_of_mixture(path):
    mixture = Mixture(torch.tensor([0.3, 0.7]), torch.tensor([[-1.0, 0.5], [1.2, -0.3]]), 0.6).to(torch.float64)
    exact = path.exact(mixture)
    for end in (0.4, 0.9):
        flow = ContinuousFlow(exact, exact.marginal(path.span[0]), steps=60, span=(path.span[0], end)).double()
        x = mixture.sample(30)
        assert torch.allclose(flow.log_prob(x), exact.marginal(end).log_prob(x), atol=2e-3)


def test_hutchinson_estimates_the_same_density():
    torch.manual_seed(0)
    field = stirred(nets.MLP(3, 16, 2), 0.5)
    x = batch((3,), 4)
    with torch.no_grad():
        exact = ContinuousFlow(field, 3, 6).double().log_prob(x)
        estimate = ContinuousFlow(field, 3, 6, trace=hutchinson).double().log_prob(x.repeat(2000, 1)).view(2000, 4)
    assert ((estimate.mean(0) - exact).abs() < 5 * estimate.std(0) / 2000**0.5).all() and (
        estimate.std(0) > 0.01
    ).all()


@pytest.mark.parametrize("method", [euler, heun])
def test_gradient_through_solver_is_that_of_loss(method):
    torch.manual_seed(0)
    field = stirred(nets.MLP(2, 8, 1), 0.5)
    flow, x = ContinuousFlow(field, 2, 4, method).double(), batch((2,), 20)
    weight = field.layers[0].weight
    (slope,) = torch.autograd.grad(flow.loss(x), weight)
    at, h, values = int(slope.abs().argmax()), 1e-5, []
    with torch.no_grad():
        for step in (h, -2 * h):
            weight.view(-1)[at] += step
            values.append(float(flow.loss(x)))
    assert (values[0] - values[1]) / (2 * h) == pytest.approx(float(slope.view(-1)[at]), rel=1e-6)


def test_field_is_evaluated_once_a_stage():
    counted = EvaluationCounter(linear_field(torch.eye(2).double()))
    with torch.no_grad():
        ContinuousFlow(counted, 2, 5).double().log_prob(batch((2,)))
    assert counted.calls == 5 * 4


def test_continuous_flow_learns():
    torch.manual_seed(0)
    x = torch.randn(400, 2) @ torch.tensor([[1.5, 0.5], [0.0, 0.4]])
    flow = ContinuousFlow(nets.MLP(2, 16, 1), 2, 4)
    before = float(flow.loss(x))
    fit(flow, x, Recipe(40, 200, 0.02))
    assert float(flow.loss(x)) < before - 0.1
    assert flow.sample(5).shape == (5, 2) and flow.trace is divergence
