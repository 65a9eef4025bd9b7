"""Solvers by their measured order, SDEs by their exact discrete moments, divergences by the Jacobian."""

import math

import pytest
import torch

from dgm_course.core import ode
from dgm_course.core.distributions import DiagNormal
from dgm_course.core.ode import divergence, euler, heun, hutchinson, iter_solve, langevin, rk4, solve

F64 = torch.float64


@pytest.fixture(autouse=True)
def steady():
    torch.manual_seed(11)


def grid(start: float, end: float, steps: int) -> torch.Tensor:
    return torch.linspace(start, end, steps + 1, dtype=F64)


def bent(x, t):
    """x' = −x² cos(t): nonlinear, and explicit in time, so that a stage at the wrong time shows."""
    return -(x**2) * torch.cos(t)


def bent_solution(x, t):
    """x(t) = 1 / (1/x(0) + sin t)"""
    return 1 / (1 / x + math.sin(t))


START = torch.tensor([[0.5, 1.0], [2.0, 0.8]], dtype=F64)


@pytest.mark.parametrize("method, order", [(euler, 1), (heun, 2), (rk4, 4)])
def test_orders_of_the_methods(method, order):
    errors = [
        float((solve(bent, START, grid(0, 1.5, n), method=method)[-1] - bent_solution(START, 1.5)).abs().max())
        for n in (20, 40, 80)
    ]
    measured = [math.log2(a / b) for a, b in zip(errors, errors[1:], strict=False)]
    assert measured == pytest.approx([order] * 2, abs=0.2), errors


@pytest.mark.parametrize("method, calls", [(euler, 1), (heun, 2), (rk4, 4)])
def test_evaluations_are_counted(method, calls):
    counted = ode.EvaluationCounter(bent)
    solve(counted, START, grid(0, 1, 5), method=method)
    assert counted.calls == 5 * calls and f"{5 * calls} times" in repr(counted)


@pytest.mark.parametrize("method", [heun, rk4])
def test_backward_solution_returns(method):
    there = solve(bent, START, grid(0, 1, 200), method=method)
    back = solve(bent, there[-1], grid(1, 0, 200), method=method)
    assert torch.allclose(back, there.flip(0), atol=1e-4)


def test_uneven_grid():
    ts = torch.tensor([0, 0.1, 0.15, 0.6, 1.0], dtype=F64)
    xs = solve(lambda x, t: torch.ones_like(x) * 2 * t, torch.zeros(1, 1, dtype=F64), ts, method=heun)
    assert torch.allclose(xs[:, 0, 0], ts**2)  # heun is exact for a slope linear in t


@pytest.mark.parametrize("ends", [(0.0, 1.0), (1.0, 0.0)])
@pytest.mark.parametrize("noise", [0.8, lambda t: 0.8 + 0 * t])
def test_euler_maruyama_moments(ends, noise):
    steps, theta, n = 20, 1.5, 40_000
    h = (ends[1] - ends[0]) / steps
    x = solve(lambda x, t: -theta * x, torch.full((n, 1), 2.0, dtype=F64), grid(*ends, steps), noise)[-1]
    shrink = 1 - theta * h
    mean = 2 * shrink**steps
    variance = 0.8**2 * abs(h) * sum(shrink ** (2 * i) for i in range(steps))
    assert abs(float(x.mean()) - mean) < 5 * math.sqrt(variance / n)
    assert abs(float(x.var()) - variance) < 5 * variance * math.sqrt(2 / n)
    if h > 0:  # and the discrete process is near the continuous one
        assert variance == pytest.approx(0.8**2 / (2 * theta) * (1 - math.exp(-2 * theta)), rel=0.1)


def test_noise_depends_on_time():
    start = torch.zeros(40_000, 1, dtype=F64)
    x = solve(lambda x, t: 0 * x, start, grid(0, 1, 10), noise=lambda t: 1.0 * (t < 0.45))
    assert torch.equal(x[5], x[-1])
    assert abs(float(x[-1].var()) - 0.5) < 5 * 0.5 * math.sqrt(2 / 40_000)


def test_start_is_first_and_unchanged():
    x = START.clone()
    xs = solve(bent, x, grid(0, 1, 3))
    assert torch.equal(x, START) and torch.equal(xs[0], START) and xs.shape == (4, 2, 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dtype_of_the_data_is_kept(dtype):
    assert solve(lambda x, t: x * t, START.to(dtype), grid(0, 1, 3), 0.1, heun).dtype == dtype


def test_empty_batch():
    assert solve(bent, START[:0], grid(0, 1, 3), 0.1).shape == (4, 0, 2)


def swirl(x, t):
    return torch.stack(
        [torch.sin(x[:, 0] * x[:, 1]) + t, x[:, 0] ** 2 * x[:, 1], torch.exp(-x[:, 2]) * x[:, 0]], 1
    )


def traces(x, t):
    jacobian = torch.func.vmap(torch.func.jacrev(lambda one: swirl(one[None], t)[0]))(x)
    return jacobian.diagonal(dim1=1, dim2=2).sum(1)


def test_divergence_is_the_jacobians_trace():
    x, t = torch.randn(6, 3, dtype=F64), torch.tensor(0.3, dtype=F64)
    assert torch.allclose(divergence(swirl, x, t), traces(x, t), rtol=1e-12)
    with torch.no_grad():
        assert torch.allclose(divergence(swirl, x, t), traces(x, t), rtol=1e-12)
    assert not x.requires_grad
    x.requires_grad_()
    ours = torch.autograd.grad(divergence(swirl, x, t).sum(), x)[0]
    assert torch.allclose(ours, torch.func.grad(lambda x: traces(x, t).sum())(x), rtol=1e-10)


def test_hutchinson_is_unbiased():
    x, t, n = torch.randn(3, 3, dtype=F64), torch.tensor(0.3, dtype=F64), 20_000
    draws = hutchinson(swirl, x.repeat(n, 1), t).view(n, 3)
    error = draws.std(0) / math.sqrt(n)
    assert (error > 0).all() and ((draws.mean(0) - traces(x, t)).abs() < 5 * error).all()


def test_hutchinson_is_exact_for_diagonal_jacobians():
    x = torch.randn(5, 1, 4, 4, dtype=F64)
    assert torch.allclose(hutchinson(lambda x, t: x**3, x, torch.tensor(0.0)), (3 * x**2).flatten(1).sum(1))


def test_log_density_of_a_linear_flow():
    """x' = a(t) x with a = cos t takes N(0, 1) to N(0, exp(2 sin T)): log p_1(x) in closed form."""
    x = torch.randn(8, 2, dtype=F64)
    base = DiagNormal(torch.zeros(2, dtype=F64), 1.0).log_prob
    expected = DiagNormal(torch.zeros(2, dtype=F64), math.exp(math.sin(1.2))).log_prob(x)
    for trace in (divergence, hutchinson):
        ours = ode.log_density(lambda x, t: torch.cos(t) * x, x, grid(1.2, 0, 200), base, trace)
        assert torch.allclose(ours, expected, atol=1e-4)


def test_log_density_of_a_nonlinear_flow():
    """x' = −x² cos t: the density follows from the inverse map x0 = 1/(1/x − sin T), |dx0/dx| = (x0/x)²."""
    x = torch.tensor([[0.5], [0.7], [0.9]], dtype=F64)
    base = DiagNormal(torch.tensor([2.0], dtype=F64), 1.0).log_prob
    x0 = 1 / (1 / x - math.sin(0.8))
    expected = base(x0) + 2 * torch.log(x0 / x)[:, 0]
    assert torch.allclose(ode.log_density(bent, x, grid(0.8, 0, 400), base), expected, atol=1e-4)


def test_log_density_keeps_no_graph():
    net = torch.nn.Linear(2, 2).double()
    base = DiagNormal(torch.zeros(2, dtype=F64), 1.0).log_prob
    answer = ode.log_density(lambda x, t: net(x), torch.randn(3, 2, dtype=F64), grid(1, 0, 5), base)
    assert not answer.requires_grad and all(p.grad is None for p in net.parameters())


def test_langevin_has_its_discrete_moments():
    """For N(m, s²): x ← x − h (x − m)/s² + √(2h) ε has mean m and variance s² / (1 − h/2s²)."""
    n, target = 20_000, DiagNormal(torch.tensor([1.0, -2.0], dtype=F64), torch.tensor([0.5, 1.5], dtype=F64))
    chain = langevin(lambda x: (target.mean - x) / target.variance, torch.zeros(n, 2, dtype=F64), 0.1, 150)
    assert chain.shape == (151, n, 2) and torch.equal(chain[0], torch.zeros(n, 2, dtype=F64))
    variance = target.variance / (1 - 0.1 / (2 * target.variance))
    left = target.mean * (1 - 0.1 / target.variance) ** 150  # of the start at 0, still to be forgotten
    assert ((chain[-1].mean(0) - target.mean + left).abs() < 5 * (variance / n).sqrt()).all()
    assert ((chain[-1].var(0) - variance).abs() < 5 * variance * math.sqrt(2 / n) + 1e-3).all()


WRONG = [
    (
        lambda: solve(bent, START, torch.tensor([0.0, 0.5, 0.2])),
        r"ts has shape \(3,\) and is not a strictly monotone",
    ),
    (lambda: solve(bent, START, torch.tensor([0.0, 0.0, 1.0])), "not a strictly monotone"),
    (lambda: solve(bent, START, torch.tensor([0.0])), r"ts has shape \(1,\)"),
    (lambda: solve(bent, START, torch.tensor(1.0)), r"ts has shape \(\)"),
    (lambda: solve(bent, START, torch.rand(3, 2)), r"ts has shape \(3, 2\)"),
    (lambda: solve(bent, START, torch.tensor([0.0, math.nan, 1.0])), "not a strictly monotone"),
    (lambda: list(iter_solve(bent, START, [0.0, 1.0])), r"ts is a list and .* expected a tensor \(T,\)"),
    (
        lambda: divergence(lambda x, t: torch.ones_like(x), START, torch.tensor(0.0)),
        "no gradient with respect to x",
    ),
    (
        lambda: hutchinson(lambda x, t: (2 * x).detach(), START, torch.tensor(0.0)),
        "expected a differentiable field",
    ),
]


@pytest.mark.parametrize("call, message", WRONG)
def test_wrong_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
