"""Every path against x_t = alpha x1 + sigma x0: its schedules, and the predictions of one pair (x1, x0).

The oracles use the schedules only, by differences and autograd."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from dgm_course.core.distributions import DiagNormal
from dgm_course.paths import VE, VP, Conical, Cosine, LinearPath

from .gaussians import DATA, F64, PATHS, SOURCE, TIMES, every, gaussian, scalar, scales, slope, triple, when

KINDS = ("data", "noise", "velocity", "v", "score")


# --- the schedules ---


@every
@when
def test_at_has_the_derivatives_of_schedules(path, t):
    for ours, expected in zip(path.at(scalar(t)), scales(path, t), strict=True):
        assert torch.allclose(ours, expected.expand_as(ours), rtol=1e-7, atol=1e-8)


def test_schedules_are_those_of_the_slides():
    s = torch.linspace(0.01, 1, 50, dtype=F64)  # the diffusion slides' clock
    alpha, sigma, _, _ = VP(0.1, 20.0).at(1 - s)
    assert torch.allclose(alpha, torch.exp(-0.25 * s**2 * 19.9 - 0.5 * s * 0.1), rtol=1e-12)
    assert torch.allclose(alpha**2 + sigma**2, torch.ones_like(s), rtol=1e-12)
    alpha, sigma, _, _ = VE(0.01, 10.0).at(1 - s)
    assert torch.equal(alpha, torch.ones_like(s))
    assert torch.allclose(sigma**2, (0.01 * 1000**s) ** 2 - 0.01**2, rtol=1e-10)
    for path in (Conical(), LinearPath(SOURCE)):
        assert torch.equal(path.at(s)[0], s) and torch.equal(path.at(s)[1], 1 - s)
    alpha, sigma, _, _ = Cosine().at(s)
    assert torch.allclose(alpha**2 + sigma**2, torch.ones_like(s)) and float(alpha[-1]) == 1


@every
def test_predictions_are_finite_at_both_ends(path):
    for t in (path.span[0], int(path.span[0]), path.span[1]):
        assert all(torch.isfinite(a) for a in path.at(float(t)))
        prediction = path.exact(DATA).predict(DATA.sample(20), t)
        assert all(torch.isfinite(getattr(prediction, kind)).all() for kind in KINDS[:4])


@every
def test_times_may_be_one_a_sample(path):
    t, x = torch.tensor([0.2, 0.7, 0.5], dtype=F64), DATA.sample(3)
    field = path.exact(DATA)
    one_by_one = torch.cat([field(x[i : i + 1], t[i]) for i in range(3)])
    assert torch.allclose(field(x, t), one_by_one) and torch.allclose(field(x, t[:, None]), one_by_one)
    alone = torch.stack([torch.stack(path.at(u)) for u in t], 1)
    assert torch.allclose(torch.stack(path.at(t)), alone)


@every
def test_derivatives_survive_grad_modes_and_nesting(path):
    x, t = DATA.sample(4), scalar(0.4)
    expected = path.exact(DATA)(x, t)
    with torch.no_grad():
        assert torch.equal(path.exact(DATA)(x, t), expected)
    with torch.inference_mode():
        assert torch.allclose(path.exact(DATA)(x, t), expected)
        assert torch.allclose(path.exact(DATA)(x * 1, 0.4), expected)
    value, bend = torch.func.jvp(lambda t: path.exact(DATA)(x, t), (t,), (torch.ones_like(t),))
    assert torch.allclose(value, expected)
    assert torch.allclose(bend, slope(lambda t: path.exact(DATA)(x, t), t), rtol=1e-6, atol=1e-6)
    t = t.clone().requires_grad_()
    assert torch.allclose(torch.autograd.grad(path.exact(DATA)(x, t).sum(), t)[0], bend.sum())


# --- one pair ---


@every
@when
def test_conditional_velocity_is_that_of_flow_map(path, t):
    x1, x0, xt = triple(path, t)
    _, _, dalpha, dsigma = scales(path, t)
    moved = slope(lambda s: path.alpha(s) * x1 + path.sigma(s) * x0, scalar(t))
    for ours in (path.velocity(xt, x1, t), path.endpoints(x1, x0, t).velocity):
        assert torch.allclose(ours, dalpha * x1 + dsigma * x0, rtol=1e-6, atol=1e-7)
        assert torch.allclose(ours, moved, rtol=1e-6, atol=1e-7)


@gaussian
@when
def test_conditional_score_is_gradient_of_gaussian(path, t):
    x1, x0, xt = triple(path, t)
    alpha, sigma, _, _ = scales(path, t)
    x = xt.clone().requires_grad_()
    density = DiagNormal(alpha * x1, sigma).log_prob(x)
    (expected,) = torch.autograd.grad(density.sum(), x)
    assert torch.allclose(path.endpoints(x1, x0, t).score, expected, rtol=1e-9)


def test_predictions_have_the_meaning_of_names():
    """On the cosine path the velocity is −(π/2) v, since alpha' = (π/2) sigma and sigma' = −(π/2) alpha."""
    x1, x0, _ = triple(Cosine(), 0.3)
    pair = Cosine().endpoints(x1, x0, 0.3)
    assert torch.equal(pair.data, x1) and torch.equal(pair.noise, x0)
    assert torch.allclose(pair.v, -2 / math.pi * pair.velocity)
    assert torch.allclose(pair.v, math.sin(0.15 * math.pi) * x0 - math.cos(0.15 * math.pi) * x1)


CONVERSIONS = [
    (name, *pair)
    for name, path in PATHS.items()
    for pair in itertools.permutations(KINDS, 2)
    if path.gaussian or "score" not in pair
]


@pytest.mark.parametrize("name, known, wanted", CONVERSIONS)
def test_predictions_convert_into_each_other(name, known, wanted):
    path = PATHS[name]
    for t in (*TIMES, torch.tensor([0.1, 0.3, 0.4, 0.5, 0.8, 0.85], dtype=F64)):
        x1, x0, xt = triple(path, t)
        pair = path.endpoints(x1, x0, t)
        converted = getattr(path.predict(xt, t, **{known: getattr(pair, known)}), wanted)
        assert torch.allclose(converted, getattr(pair, wanted), rtol=1e-8, atol=1e-8)


@gaussian
def test_rows_give_the_values_of_predictions(path):
    x1, x0, xt = triple(path, 0.4)
    for kind, (a, b) in path.rows(path.at(0.4, xt)).items():
        assert torch.allclose(a * x1 + b * x0, getattr(path.endpoints(x1, x0, 0.4), kind))


@every
def test_corrupt_is_the_definition(path):
    t = torch.rand(5000, dtype=F64)
    x1, x0, expected = triple(path, t, 5000)
    xt, same = path.corrupt(x1, t, x0)
    assert same is x0
    blur = xt - expected
    if path.jitter:
        assert float(blur.std()) == pytest.approx(path.jitter, rel=0.05) and abs(float(blur.mean())) < 0.02
    else:
        assert torch.allclose(xt, expected)
    drawn = path.corrupt(x1, t)[1]
    mean = SOURCE.mean if path.source else torch.zeros(2, dtype=F64)
    assert ((drawn.mean(0) - mean).abs() < 5 * drawn.std(0) / math.sqrt(5000)).all()
