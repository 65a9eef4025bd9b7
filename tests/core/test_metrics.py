"""Metrics of modes, paths, densities, codes and latent spaces, against closed forms and brute force."""

import math

import pytest
import torch
from scipy.optimize import linear_sum_assignment

from dgm_course import data
from dgm_course.core import metrics as m
from dgm_course.core.distributions import DiagNormal, Mixture

F64 = torch.float64


def normal(rng, *shape):
    return torch.randn(*shape, dtype=F64, generator=rng)


def test_perfect_sampler_has_the_published_quality(rng):
    world = data.eight_gaussians("pacgan").to(F64)
    report = m.mode_counts(world.sample(20_000, rng), world.means, 0.01)
    assert report.ideal_quality == pytest.approx(1 - math.exp(-4.5))  # 98.89 %
    assert report.covered == report.modes == 8
    assert report.high_quality == pytest.approx(report.ideal_quality, abs=5 * (0.0111 * 0.99 / 20_000) ** 0.5)
    assert report.reverse_kl_floor == pytest.approx(7 / 40_000)
    assert report.reverse_kl < 6 * report.reverse_kl_floor
    assert report.spread == pytest.approx(1, abs=0.02)
    assert "8 of 8 modes" in repr(report) and "98.9%" in repr(report)


def test_mode_counts_of_faulty_samplers(rng):
    world = data.eight_gaussians().to(F64)
    x = world.sample(4000, rng)
    six = x[world.responsibilities(x).argmax(1) < 6]
    dropped = m.mode_counts(six, world.means, 0.25)
    assert dropped.covered == 6 and dropped.reverse_kl == pytest.approx(math.log(8 / 6), abs=0.01)
    shrunk = m.mode_counts(Mixture(world.weights, world.means, 0.125).sample(4000, rng), world.means, 0.25)
    assert shrunk.spread == pytest.approx(0.5, abs=0.05) and shrunk.high_quality > shrunk.ideal_quality
    lost = m.mode_counts(x + 100, world.means, 0.25)
    assert lost.covered == 0 and lost.high_quality == 0 and math.isnan(lost.spread)
    assert repr(lost).endswith("; no good sample, no spread") and "nan" not in repr(lost)


def test_mode_counts_with_weights(rng):
    world = data.eight_gaussians("unrolled_seven").to(F64)
    distinct = world.means[:7]
    x = world.sample(5000, rng)
    assert m.mode_counts(x, distinct, 0.01).reverse_kl > 0.02  # against equal weights
    weights = torch.tensor([2.0, 1, 1, 1, 1, 1, 1])
    assert m.mode_counts(x, distinct, 0.01, weights).reverse_kl < 0.005


def bent(steps, dtype=F64):
    """Half circles of radius 1 at constant angular speed on [0, 1]: ∫‖ẋ‖² = π², chord² = 4."""
    ts = torch.linspace(0, 1, steps + 1, dtype=dtype)
    angle = math.pi * ts
    arc = torch.stack([angle.cos(), angle.sin()], 1)
    return arc[:, None] + torch.zeros(1, 3, 1, dtype=dtype), ts


def test_straightness_of_a_half_circle():
    trajectory, ts = bent(2000)
    assert m.straightness(trajectory, ts) == pytest.approx(math.pi**2 - 4, rel=1e-5)
    assert m.normalised_straightness(trajectory, ts) == pytest.approx(math.pi**2 / 4 - 1, rel=1e-5)


def test_normalised_straightness_is_invariant():
    trajectory, ts = bent(500)
    base = m.normalised_straightness(trajectory, ts)
    assert m.normalised_straightness(7 * trajectory, ts) == pytest.approx(base)
    assert m.normalised_straightness(trajectory, 0.25 * ts + 0.5) == pytest.approx(base)
    assert m.normalised_straightness(trajectory.flip(0), ts.flip(0)) == pytest.approx(base)


def test_straight_lines_have_straightness_zero(rng):
    x0, x1 = normal(rng, 40, 1, 4, 4), normal(rng, 40, 1, 4, 4)
    ts = torch.tensor([0.0, 0.1, 0.4, 0.5, 1.0], dtype=F64)
    trajectory = x0 + ts.reshape(-1, 1, 1, 1, 1) * (x1 - x0)
    assert m.straightness(trajectory, ts) == pytest.approx(0, abs=1e-12)


def test_uneven_speed_is_not_straight():
    ts = torch.linspace(0, 1, 1001, dtype=F64)
    trajectory = (ts**2)[:, None, None] * torch.tensor([[1.0]], dtype=F64)  # ẋ = 2t: S = ∫(1 − 2t)² dt
    assert m.straightness(trajectory, ts) == pytest.approx(1 / 3, rel=1e-5)


def test_optimal_pairing_has_least_transport_cost(rng):
    x0, x1 = normal(rng, 50, 2), normal(rng, 50, 2) + 1
    rows, columns = linear_sum_assignment(torch.cdist(x0, x1).square().numpy())
    best = m.transport_cost(x0[rows], x1[columns])
    assert best == pytest.approx(m.wasserstein(x0, x1) ** 2, rel=1e-9)
    assert best < m.transport_cost(x0, x1)


def test_kl_of_gaussians():
    p = DiagNormal(torch.tensor([0.3, -0.2], dtype=F64), torch.tensor([0.8, 1.1], dtype=F64))
    q = DiagNormal(torch.tensor([-0.5, 0.4], dtype=F64), torch.tensor([1.2, 0.9], dtype=F64))
    exact = float(
        ((q.stddev / p.stddev).log() + (p.stddev**2 + (p.mean - q.mean) ** 2) / (2 * q.stddev**2) - 0.5).sum()
    )
    grid = m.Grid(-9, 9, 400)
    assert m.kl_on_grid(p.log_prob, q.log_prob, grid) == pytest.approx(exact, rel=1e-8)
    assert m.kl_on_grid(p.log_prob, p.log_prob, grid) == 0


def test_one_dimensional_and_float32_grids():
    p, q = DiagNormal(torch.zeros(1), 1.0), DiagNormal(torch.ones(1), 1.0)
    line, coarse = m.Grid(dim=1), m.Grid(dim=1, dtype=torch.float32)
    assert m.kl_on_grid(p.log_prob, q.log_prob, line) == pytest.approx(0.5, abs=1e-6)
    assert m.kl_on_grid(p.log_prob, q.log_prob, coarse) == pytest.approx(0.5, abs=1e-4)


def test_jsd_limits_and_symmetry():
    at = lambda c: DiagNormal(torch.full((2,), c, dtype=F64), 0.4).log_prob
    assert m.jsd_on_grid(at(0.0), at(0.0)) == pytest.approx(0, abs=1e-14)
    assert m.jsd_on_grid(at(-3.0), at(3.0)) == pytest.approx(math.log(2), abs=1e-9)
    assert m.jsd_on_grid(at(0.0), at(0.5)) == pytest.approx(m.jsd_on_grid(at(0.5), at(0.0)))


@pytest.mark.slow
def test_jsd_is_the_optimal_discriminators_value():
    p, q = data.moons().to(F64), data.rings().to(F64)
    grid = m.Grid()
    log_p, log_q = grid.log_masses(p.log_prob, "p"), grid.log_masses(q.log_prob, "q")
    real, fake = torch.sigmoid(log_p - log_q).log(), torch.sigmoid(log_q - log_p).log()  # log D*, log(1 − D*)
    value = float((log_p.exp() * real + log_q.exp() * fake).sum())
    jsd = m.jsd_on_grid(p.log_prob, q.log_prob, grid)
    assert value == pytest.approx(2 * jsd - 2 * math.log(2), abs=1e-6)


def test_densities_without_overlap():
    inside = lambda x, low: (x[:, 0] > low) & (x[:, 0] < low + 2)
    box = lambda low: lambda x: torch.where(inside(x, low), -math.log(2), -math.inf).to(F64)
    grid = m.Grid(dim=1)
    assert m.kl_on_grid(box(-3), box(1), grid) == math.inf
    assert m.jsd_on_grid(box(-3), box(1), grid) == pytest.approx(math.log(2))


def test_grid_without_the_mass():
    far = DiagNormal(torch.tensor([6.0, 0.0], dtype=F64), 1.0).log_prob
    near = DiagNormal(torch.zeros(2, dtype=F64), 1.0).log_prob
    with pytest.raises(ValueError, match=r"q sums to 0\.5\d* over \[-6, 6\]\^2"):
        m.kl_on_grid(near, far)


def test_bits_per_dimension():
    assert m.bits_per_dim(784 * math.log(2), 784) == pytest.approx(1)
    assert m.bits_per_dim(0.0, 784, 1 / 256) == pytest.approx(8)  # uniform density 1 on [0, 1]: eight bits
    assert m.bits_per_dim(784 * math.log(2), 784, 2 / 256) == pytest.approx(8)  # the same on [-1, 1]
    several = m.bits_per_dim(torch.tensor([543.427, 0.0]), 784)
    assert torch.allclose(several, torch.tensor([1.0, 0.0]), atol=1e-5)


def test_perplexity():
    assert m.perplexity(torch.arange(12).reshape(3, 4) % 4, 16) == pytest.approx(4)
    assert m.perplexity(torch.zeros(9, dtype=torch.long), 16) == pytest.approx(1)


def test_floors_of_wasserstein_and_energy():
    torch.manual_seed(3)
    world = data.eight_gaussians()
    small, large = m.floor(world, m.wasserstein, 100, 5), m.floor(world, m.wasserstein, 800, 5)
    assert small.mean > large.mean > 0
    energy = m.floor(world.sample, m.energy_distance, 200, 20)
    assert abs(energy.mean) < 5 * energy.sd / 20**0.5
    assert "two samples of the truth" in repr(energy)
    stratified = m.floor(world.stratified, m.wasserstein, 800, 5)
    assert stratified.mean < large.mean  # most of the noise is that of the mode counts


def test_factors_are_moments_by_loops(rng):
    x = torch.rand(3, 1, 6, 5, dtype=F64, generator=rng) * 2 - 1
    found = m.factors(x)
    for n in range(3):
        ink = [((float(x[n, 0, r, c]) + 1) / 2, r, c) for r in range(6) for c in range(5)]
        total = sum(w for w, _, _ in ink)
        row, column = sum(w * r for w, r, _ in ink) / total, sum(w * c for w, _, c in ink) / total
        var = sum(w * (r - row) ** 2 for w, r, _ in ink) / total
        cov = sum(w * (r - row) * (c - column) for w, r, c in ink) / total
        expected = (total / 30, math.sqrt(var), -cov / var)
        assert [float(f[n]) for f in found] == pytest.approx(expected)


def test_slant_of_a_drawn_stroke():
    x = torch.full((2, 1, 20, 40), -1.0)
    for r in range(20):
        x[0, 0, r, 30 - r] = 1.0  # one column to the right for each row upwards
        x[1, 0, r, 10] = 1.0
    assert m.factors(x).slant.tolist() == pytest.approx([1.0, 0.0])
    empty = m.factors(torch.full((1, 1, 8, 8), -1.0))
    assert [float(f) for f in empty] == [0.0, 0.0, 0.0]


def test_slerp_keeps_length_and_divides_the_angle(rng):
    a, b = (x / x.norm(dim=1, keepdim=True) for x in normal(rng, 2, 5, 7))
    third = m.slerp(a, b, 1 / 3)
    assert torch.allclose(third.norm(dim=1), torch.ones(5, dtype=F64))
    angle = torch.acos((a * b).sum(1))
    assert torch.allclose(torch.acos((a * third).sum(1)), angle / 3)
    assert torch.allclose(m.slerp(a, b, 0.0), a) and torch.allclose(m.slerp(a, b, 1.0), b)


def test_path_length_ratio_of_line_and_arc(rng):
    start, step, t = normal(rng, 4, 3), normal(rng, 4, 3), torch.linspace(0, 1, 200, dtype=F64)
    assert m.path_length_ratio(start + t[:, None, None] * step) == pytest.approx(1.0)
    circle = torch.stack([torch.cos(math.pi * t), torch.sin(math.pi * t)], 1)[:, None]
    assert m.path_length_ratio(circle) == pytest.approx(math.pi / 2, rel=1e-4)


def test_explained_variance_of_one_and_all(rng):
    z, noise = normal(rng, 4000, 6), normal(rng, 4000)
    one = m.explained(z, 3 * z[:, 4] + 1.5 * noise)  # 9 of 11.25
    assert one.one == pytest.approx(0.8, abs=0.03) and one.all == pytest.approx(0.8, abs=0.03)
    even = m.explained(z, z.sum(1))
    assert even.one == pytest.approx(1 / 6, abs=0.05) and even.all == pytest.approx(1.0, abs=0.01)


def test_chance_explains_nothing(rng):
    found = m.explained(normal(rng, 60, 500), normal(rng, 60))  # some coordinate fits the first half
    assert found.one < 0.15 and found.all < 0.15


Z, TS = torch.zeros(12, 2), torch.linspace(0, 1, 4)
WRONG = [
    (lambda: m.transport_cost(Z, Z[:3]), "row i with row i"),
    (lambda: m.straightness(torch.zeros(4, 5), TS), r"\(T, B, \*event\)"),
    (lambda: m.straightness(torch.zeros(5, 5, 2), TS), r"\(T,\)"),
    (lambda: m.straightness(torch.zeros(4, 0, 2), TS), "at least one particle"),
    (lambda: m.straightness(torch.zeros(4, 5, 2), TS * 0), "strictly monotone"),
    (lambda: m.normalised_straightness(torch.zeros(4, 5, 2), TS), "no scale"),
    (lambda: m.floor(data.moons(), m.energy_distance, 10, 1), "at least 2"),
    (lambda: m.bits_per_dim(1.0, 0), "dims is 0"),
    (lambda: m.perplexity(torch.tensor([4]), 4), "integers 0 to 3"),
    (lambda: m.factors(torch.zeros(2, 28, 28)), r"\(2, 28, 28\): expected \(N, 1, H, W\)"),
    (lambda: m.slerp(torch.zeros(2, 3), torch.zeros(2, 4), 0.5), r"a has shape \(2, 3\) and b \(2, 4\)"),
    (lambda: m.path_length_ratio(torch.zeros(2, 4, 3)), r"\(2, 4, 3\): expected \(T, B, D\), at least three"),
    (lambda: m.path_length_ratio(torch.zeros(3, 4, 3)), "ends where it began"),
    (lambda: m.explained(torch.zeros(5, 3), torch.zeros(5)), "z holds 5 samples and y 5"),
    (lambda: m.explained(torch.zeros(9, 3), torch.zeros(8)), "z holds 9 samples and y 8"),
]


@pytest.mark.parametrize("call, words", WRONG)
def test_wrong_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()
