"""Metrics between two samples, against loops, closed forms and second implementations."""

import math

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.optimize import linear_sum_assignment

from dgm_course import data
from dgm_course.core import metrics as m

F64 = torch.float64
TWO_SETS = [m.energy_distance, m.wasserstein, m.frechet_distance, m.precision_recall_coverage, m.density]


def normal(rng, *shape):
    return torch.randn(*shape, dtype=F64, generator=rng)


def test_energy_distance_by_loops(rng):
    x, y = normal(rng, 7, 3), normal(rng, 5, 3) + 1
    across = sum(float((a - b).norm()) for a in x for b in y) / 35
    own = [
        sum(float((s[i] - s[j]).norm()) for i in range(len(s)) for j in range(len(s)) if i != j)
        / (len(s) * (len(s) - 1))
        for s in (x, y)
    ]
    assert m.energy_distance(x, y) == pytest.approx(2 * across - sum(own), abs=1e-12)


def test_blocks_of_rows_change_nothing(rng, monkeypatch):
    x, y = normal(rng, 300, 2), normal(rng, 250, 2) + 0.3
    whole = m.energy_distance(x, y)
    monkeypatch.setattr(m, "ROWS", 17)
    assert m.energy_distance(x, y) == pytest.approx(whole, abs=1e-12)


def test_energy_distance_is_unbiased(rng):
    values = torch.tensor(
        [m.energy_distance(normal(rng, 20, 2), normal(rng, 20, 2)) for _ in range(400)], dtype=F64
    )
    assert abs(values.mean()) < 5 * values.std() / 20  # 20 = √400
    assert values.min() < 0  # an estimate that cannot go below its true value 0 has a bias


def test_energy_distance_of_two_normals(rng):
    shift = 1.5  # E|N(d, 2)| = 2/√π exp(−d²/4) + d·erf(d/2)
    mean_abs = lambda d: 2 / math.sqrt(math.pi) * math.exp(-d * d / 4) + d * math.erf(d / 2)
    exact = 2 * mean_abs(shift) - 2 * mean_abs(0)
    draw = lambda: m.energy_distance(normal(rng, 400, 1), normal(rng, 400, 1) + shift)
    values = torch.tensor([draw() for _ in range(30)])
    assert abs(values.mean() - exact) < 5 * values.std() / 30**0.5


@pytest.mark.parametrize("p", [1, 2, 3])
def test_wasserstein_is_the_assignment_problem(p, rng):
    x, y = normal(rng, 60, 3), 2 * normal(rng, 60, 3)
    cost = np.linalg.norm(x.numpy()[:, None] - y.numpy()[None], axis=-1) ** p
    best = cost[linear_sum_assignment(cost)].mean() ** (1 / p)
    assert m.wasserstein(x, y, p) == pytest.approx(best, rel=1e-9)


def test_wasserstein_on_a_line_is_sorting(rng):
    x, y = normal(rng, 400, 1), normal(rng, 400, 1).exp()
    sorted_cost = (x.sort(0).values - y.sort(0).values).square().mean().sqrt()
    assert m.wasserstein(x, y) == pytest.approx(float(sorted_cost), rel=1e-9)


def test_wasserstein_of_a_translation(rng):
    x, step = normal(rng, 200, 2), torch.tensor([3.0, -4.0], dtype=F64)
    assert m.wasserstein(x, x + step) == pytest.approx(5.0, rel=1e-9)
    assert m.wasserstein(x, (x + step)[torch.randperm(200)], 1) == pytest.approx(5.0, rel=1e-9)


def test_wasserstein_of_unequal_sizes(rng):
    x = normal(rng, 30, 2)
    assert m.wasserstein(x, torch.cat([x, x])) == pytest.approx(0, abs=1e-6)
    assert m.wasserstein(x[:1], x) == pytest.approx(float((x - x[0]).square().sum(1).mean().sqrt()), rel=1e-9)


def test_frechet_distance_of_known_moments(rng):
    a = normal(rng, 500, 4)
    a = (a - a.mean(0)) @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(a.T))).T  # sample cov is exactly I
    scale, shift = torch.tensor([1.0, 2.0, 0.5, 3.0], dtype=F64), torch.tensor([1.0, 0, -2, 0], dtype=F64)
    exact = float((shift**2).sum() + ((scale - 1) ** 2).sum())
    assert m.frechet_distance(a, a * scale + shift) == pytest.approx(exact, rel=1e-10)


def test_frechet_distance_is_scipys(rng):
    a, b = normal(rng, 90, 5) @ normal(rng, 5, 5), normal(rng, 70, 5) @ normal(rng, 5, 5) + 1
    ca, cb = np.cov(a.numpy().T), np.cov(b.numpy().T)
    shift = float((a.mean(0) - b.mean(0)).square().sum())
    other = shift + np.trace(ca + cb - 2 * sqrtm(ca @ cb).real)
    assert m.frechet_distance(a, b) == pytest.approx(other, rel=1e-8)
    assert m.frechet_distance(b, a) == pytest.approx(other, rel=1e-8)


def test_frechet_distance_of_singular_covariances(rng):
    a = normal(rng, 20, 64)  # 20 samples in 64 dimensions: rank 19
    assert m.frechet_distance(a, a) == pytest.approx(0, abs=1e-5)
    flat = torch.ones(5, 3, dtype=F64)
    assert m.frechet_distance(flat, flat + 2) == pytest.approx(12.0)
    assert m.frechet_distance(normal(rng, 50, 1), normal(rng, 50, 1)) >= 0


def test_precision_recall_coverage_by_loops(rng):
    real, fake, k = normal(rng, 40, 2), 0.6 * normal(rng, 30, 2) + 0.5, 3
    ball = lambda s: [sorted(float((a - b).norm()) for b in s)[k] for a in s]  # [0] is the point itself
    rr, rf = ball(real), ball(fake)
    d = [[float((a - b).norm()) for b in fake] for a in real]
    precision = np.mean([any(d[i][j] <= rr[i] for i in range(40)) for j in range(30)])
    recall = np.mean([any(d[i][j] <= rf[j] for j in range(30)) for i in range(40)])
    coverage = np.mean([min(d[i]) <= rr[i] for i in range(40)])
    assert tuple(m.precision_recall_coverage(real, fake, k)) == pytest.approx((precision, recall, coverage))


def test_precision_and_recall_of_opposite_faults(rng):
    world = data.eight_gaussians().to(F64)
    real = world.sample(800, rng)
    dropped = world.sample(2000, rng)
    dropped = dropped[dropped[:, 0] > 0][:800]  # half of the modes are missing
    spread = torch.rand(800, 2, dtype=F64, generator=rng) * 8 - 4  # everything and more
    missing, wide = (m.precision_recall_coverage(real, fake) for fake in (dropped, spread))
    assert missing.precision > 0.95 and missing.recall < 0.7 and missing.coverage < 0.7
    assert wide.precision < 0.4 and wide.recall > 0.95


def test_equal_sets_have_distance_zero(rng):
    for dim in (2, 64):  # two ways to compute distances
        x = normal(rng, 80, dim)
        assert m.wasserstein(x, x) == pytest.approx(0, abs=1e-6)
        assert m.frechet_distance(x, x) == pytest.approx(0, abs=1e-10)
        assert m.precision_recall_coverage(x, x) == (1.0, 1.0, 1.0)
    assert m.transport_cost(x, x) == 0


@pytest.mark.parametrize("measure", TWO_SETS)
def test_order_does_not_matter(measure, rng):
    x, y = normal(rng, 50, 2), normal(rng, 40, 2) + 0.5
    shuffled = measure(x[torch.randperm(50, generator=rng)], y[torch.randperm(40, generator=rng)])
    assert shuffled == pytest.approx(measure(x, y), abs=1e-9)


@pytest.mark.parametrize("measure", TWO_SETS)
def test_images_are_flattened_and_unchanged(measure, rng):
    x, y = normal(rng, 20, 1, 3, 3).float().requires_grad_(), normal(rng, 20, 1, 3, 3).float()
    before = y.clone()
    assert measure(x, y) == pytest.approx(measure(x.reshape(20, 9), y.reshape(20, 9)))
    assert torch.equal(y, before)


def test_energy_distance_falls_as_sets_approach(rng):
    x, y = normal(rng, 300, 2), normal(rng, 300, 2)
    values = [m.energy_distance(x, y + shift) for shift in (2.0, 1.0, 0.5)]
    assert values == sorted(values, reverse=True) and values[-1] > 0


def test_density_by_loops(rng):
    real, fake, k = normal(rng, 14, 3), 0.7 * normal(rng, 9, 3), 3
    radius = [sorted(float((a - b).norm()) for b in real)[k] for a in real]  # the first is the point itself
    inside = sum(float((a - b).norm()) <= r for a, r in zip(real, radius) for b in fake)
    assert m.density(real, fake, k) == pytest.approx(inside / (k * len(fake)))


def test_outlier_inflates_precision_and_not_density(rng):
    real = torch.cat([normal(rng, 60, 2), torch.tensor([[30.0, 0.0]])])
    fake = torch.tensor([15.0, 8.0]) + 0.1 * normal(rng, 40, 2)
    assert m.precision_recall_coverage(real, fake, 5).precision == 1.0
    assert m.density(real, fake, 5) == pytest.approx(1 / 5)


def test_frechet_of_gaussians_is_scipys(rng):
    a, b = (x @ x.T + 0.1 * torch.eye(4, dtype=F64) for x in normal(rng, 2, 4, 4))
    mean = normal(rng, 2, 4)
    expected = (
        float((mean[0] - mean[1]).square().sum()) + np.trace(a + b) - 2 * np.trace(sqrtm((a @ b).numpy()).real)
    )
    assert m.frechet_of_gaussians(mean[0], a, mean[1], b) == pytest.approx(expected, rel=1e-9)
    assert m.frechet_of_gaussians(mean[1], b, mean[0], a) == pytest.approx(expected, rel=1e-9)
    with pytest.raises(ValueError, match=r"covariances of shape \(4,\).*expected \(D,\) and \(D, D\)"):
        m.frechet_of_gaussians(mean[0], mean[0], mean[1], mean[0])


GOOD = torch.zeros(12, 2)
BAD = {
    "empty": (torch.zeros(0, 2), ValueError, "empty batch"),
    "nan": (torch.full((12, 2), math.nan), ValueError, "contains NaN"),
    "infinite": (torch.full((12, 2), math.inf), ValueError, "infinite"),
    "other dimension": (torch.zeros(12, 3), ValueError, r"expected the same event"),
    "integers": (torch.zeros(12, 2, dtype=torch.uint8), TypeError, "dtype torch.uint8"),
    "array": (np.zeros((12, 2)), TypeError, "expected a torch tensor"),
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("measure", [*TWO_SETS, m.transport_cost])
def test_wrong_sets(measure, bad):
    value, error, words = BAD[bad]
    with pytest.raises(error, match=words):
        measure(GOOD, value)
    with pytest.raises(error, match=words):
        measure(value, GOOD)


@pytest.mark.parametrize(
    "measure, least", [(m.energy_distance, 2), (m.frechet_distance, 2), (m.precision_recall_coverage, 6)]
)
def test_too_few_samples(measure, least):
    with pytest.raises(ValueError, match=f"needs at least {least}"):
        measure(GOOD, GOOD[:1])


def test_wrong_wasserstein():
    with pytest.raises(ValueError, match="p is 0.5"):
        m.wasserstein(GOOD, GOOD, 0.5)
    with pytest.raises(ValueError, match=r"20,000 and 5 points .* at most 10,000"):
        m.wasserstein(torch.zeros(20_000, 2), torch.zeros(5, 2))
