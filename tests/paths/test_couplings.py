"""Times by their distributions, couplings by brute force, and reflow."""

from __future__ import annotations

import itertools

import pytest
import torch
from scipy import stats

from dgm_course import paths as pm
from dgm_course.core.distributions import Mixture
from dgm_course.core.ode import euler, heun
from dgm_course.paths import Conical
from dgm_course.paths.model import PathModel

from .models import DATA, F64, SOURCE, Knows


def test_times_have_their_distributions():
    like = torch.zeros(40_000, 2, dtype=F64)
    for times, quartiles in ((pm.uniform, (0.25, 0.5, 0.75)), (pm.logit_normal, (0.3375, 0.5, 0.6625))):
        t = times(like)
        assert t.shape == (40_000,) and t.dtype == F64
        found = torch.quantile(t, torch.tensor([0.25, 0.5, 0.75], dtype=F64))
        assert torch.allclose(found, torch.tensor(quartiles, dtype=F64), atol=0.015)


def test_stratified_times_are_uniform_and_evenly_spread():
    size, like = 64, torch.zeros(64, 2)
    draws = torch.stack([pm.stratified(like) for _ in range(2000)])
    gaps = draws.sort(1).values.diff(dim=1)
    assert torch.allclose(gaps, torch.full_like(gaps, 1 / size), atol=1e-6) and 0 <= draws.min() <= draws.max() < 1
    for place in (0, 17, 63):
        assert stats.kstest(draws[:, place].numpy(), "uniform").pvalue > 1e-4
    gap = draws[:, 0] - draws[:, 1]  # of neighbours in the batch
    assert float(gap.abs().mean()) == pytest.approx(1 / 3, abs=0.03)
    plain = torch.stack([pm.uniform(like) for _ in range(2000)])
    assert float(draws.mean(1).std()) < 0.2 * float(plain.mean(1).std())
    assert pm.stratified(like[:0]).shape == (0,) and pm.stratified(like[:1]).shape == (1,)


@pytest.mark.parametrize("times", [pm.uniform, pm.stratified, pm.logit_normal])
def test_times_of_tokens_are_floating(times):
    t = times(torch.zeros(50, 3, dtype=torch.long))
    assert t.shape == (50,) and t.is_floating_point() and 0 <= t.min() < t.max() <= 1


@pytest.mark.parametrize("event", [(2,), (1, 3, 2)])
def test_optimal_transport_is_the_best_permutation(event):
    for _ in range(5):
        x0, x1 = torch.randn(6, *event, dtype=F64), torch.randn(6, *event, dtype=F64) + 1
        best = min(float((x0[list(p)] - x1).square().sum()) for p in itertools.permutations(range(6)))
        y0, y1 = pm.optimal_transport(x0, x1)
        assert float((y0 - y1).square().sum()) == pytest.approx(best)
        assert torch.equal(y1, x1)  # as labels belong to x1
        assert sorted(map(tuple, y0.flatten(1).tolist())) == sorted(map(tuple, x0.flatten(1).tolist()))


def test_couplings_of_empty_batches():
    none = torch.zeros(0, 1, 4, 4)
    assert all(x.shape == none.shape for x in pm.optimal_transport(none, none) + pm.independent(none, none))


def test_independent_pairs_are_data_then_source():
    x1, x0 = pm.IndependentPairs(Mixture(torch.ones(1), torch.full((1, 2), 100.0), 1.0), SOURCE).sample(7)
    assert x1.shape == x0.shape == (7, 2) and float(x1.min()) > 50 > float(x0.max())


def test_reflow_pairs_are_joined_by_flow():
    model = PathModel(Knows(Conical(), "velocity"), Conical(), (2,))
    x1, x0 = pm.reflow_pairs(model, 9, steps=6)
    assert torch.equal(x1, model.sample(x0, 6, heun)) and not torch.allclose(x1, model.sample(x0, 6, euler))
    assert not x1.requires_grad


def test_reflow_straightens_the_flow():
    """At t = 1/2 the conditional velocity of rectified pairs is almost a function of x_t."""
    model = PathModel(Knows(Conical(), "velocity"), Conical(), (2,))
    x1, x0 = pm.reflow_pairs(model, 2000, 30)

    def unexplained(x1, x0):  # variance of the velocity around its nearest neighbour's in x_t, halved
        xt, u = (x1 + x0) / 2, x1 - x0
        near = (torch.cdist(xt, xt) + 1e9 * torch.eye(len(xt))).argmin(1)
        return float((u - u[near]).square().sum(1).mean() / 2)

    assert unexplained(x1, x0) < 0.1 * unexplained(DATA.sample(2000), torch.randn(2000, 2, dtype=F64))
