"""The references of the homework on measures, held to oracles of another kind: transport, closed forms, large samples."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from dgm_course.core import metrics
from dgm_course.teach.homework import exercise


def reference(name: str):
    return exercise(f"over.{name}").reference


def one(mean_a, cov_a, mean_b, cov_b) -> float:
    pair = (torch.as_tensor(x, dtype=torch.float64)[None] for x in (mean_a, cov_a, mean_b, cov_b))
    return float(reference("frechet")(*pair))


def test_equal_gaussians_are_at_distance_zero_and_order_does_not_matter():
    rng = np.random.default_rng(0)
    a, b = (root @ root.T for root in rng.normal(size=(2, 3, 3)))
    m, n = rng.normal(size=(2, 3))
    assert one(m, a, m, a) == pytest.approx(0, abs=1e-12)
    assert one(m, a, n, b) == pytest.approx(one(n, b, m, a), rel=1e-12)


def test_commuting_covariances_have_a_closed_form():
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    s, t = np.array([4.0, 1.0, 0.25]), np.array([1.0, 9.0, 0.0])
    expected = 5.0 + ((s**0.5 - t**0.5) ** 2).sum()
    assert one([1, 0, 2], turn * s @ turn.T, [0, 0, 0], turn * t @ turn.T) == pytest.approx(expected, rel=1e-6)


def test_covariances_that_do_not_commute_against_the_best_linear_map():
    """The least E‖x − T x‖² over linear T with T A Tᵀ = B, found by turning a root: T = B^½ U A^(−½), over all turns U."""
    a, b = np.array([[2.0, 0.6], [0.6, 0.5]]), np.array([[0.7, -0.4], [-0.4, 1.9]])
    root_a, root_b = np.linalg.cholesky(a), np.linalg.cholesky(b)
    angle = np.linspace(0, 2 * math.pi, 20_001)
    turns = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], -1).reshape(-1, 2, 2)
    turns = np.concatenate([turns, turns * [[1.0, -1.0]]])  # with a mirror as well
    least = ((root_a - root_b @ turns) ** 2).sum((1, 2)).min()
    assert one([0, 0], a, [0, 0], b) == pytest.approx(least, rel=1e-6)


def test_frechet_is_what_exact_transport_finds_between_large_samples():
    rng = np.random.default_rng(2)
    a, b = np.array([[2.0, 0.9], [0.9, 0.6]]), np.array([[0.5, -0.2], [-0.2, 1.0]])
    x, y = rng.multivariate_normal([0, 0], a, 600), rng.multivariate_normal([2, 1], b, 600)
    found = metrics.wasserstein(torch.tensor(x), torch.tensor(y)) ** 2
    assert found == pytest.approx(one([0, 0], a, [2, 1], b), rel=0.1)


def test_in_one_dimension_precision_and_coverage_are_about_intervals():
    """Reals at 0, 1, 3: with k = 1 they own [−1, 1], [0, 2], [1, 5]."""
    real, fake = torch.tensor([[0.0], [1.0], [3.0]]).double(), torch.tensor([[-0.5], [0.5], [4.5], [6.0]]).double()
    assert reference("precision")(real, fake, 1) == pytest.approx(3 / 4)
    assert reference("coverage")(real, fake, 1) == pytest.approx((4 / 4, 3 / 3))
    assert reference("precision")(real, fake[:1], 1) == 1.0
    assert reference("coverage")(real, fake[3:], 1) == (0.0, 0.0)


def test_real_against_real_the_expectations_are_near_those_of_the_paper():
    """For two samples of one law E density = 1 and E coverage = 1 − Π_i (N − i)/(2N − i), i = 1 ... k: about 1 − 2^(−k)."""
    generator, n, k = torch.Generator().manual_seed(0), 60, 3
    draws = [
        reference("coverage")(*torch.randn(2, n, 3, generator=generator, dtype=torch.float64), k)
        for _ in range(80)
    ]
    values = torch.tensor(draws, dtype=torch.float64)
    error = values.std(0) / 80**0.5
    expected = 1 - math.prod((n - i) / (2 * n - i) for i in range(1, k + 1))
    assert abs(float(values[:, 0].mean()) - 1) < 5 * float(error[0])
    assert abs(float(values[:, 1].mean()) - expected) < 5 * float(error[1])
