"""Measures of modes, paths, densities and codes: against closed forms and brute force."""

import math

import pytest
import torch
from scipy.optimize import linear_sum_assignment

from dgm_course import data
from dgm_course.core import metrics as m
from dgm_course.core.distributions import DiagNormal, Mixture

F64 = torch.float64
GOOD = torch.zeros(12, 2)


def normal(rng, *shape):
    return torch.randn(*shape, dtype=F64, generator=rng)


# --- modes ---


def test_a_perfect_sampler_has_the_published_quality(rng):
    world = data.eight_gaussians("pacgan").to(F64)
    report = m.mode_counts(world.sample(20_000, rng), world.means, 0.01)
    assert report.ideal_quality == pytest.approx(1 - math.exp(-4.5))  # 98.89 %
    assert report.covered == report.modes == 8
    assert report.high_quality == pytest.approx(report.ideal_quality, abs=5 * (0.0111 * 0.99 / 20_000) ** 0.5)
    assert report.reverse_kl_floor == pytest.approx(7 / 40_000)
    assert report.reverse_kl < 6 * report.reverse_kl_floor
    assert report.spread == pytest.approx(1, abs=0.02)
    assert "8 of 8 modes" in repr(report) and "98.9%" in repr(report)


def test_mode_faults_are_seen(rng):
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


def test_seven_modes_counted_against_their_own_weights(rng):
    world = data.eight_gaussians("unrolled_seven").to(F64)
    distinct = world.means[:7]
    x = world.sample(5000, rng)
    assert m.mode_counts(x, distinct, 0.01).reverse_kl > 0.02  # against equal weights
    weights = torch.tensor([2.0, 1, 1, 1, 1, 1, 1])
    assert m.mode_counts(x, distinct, 0.01, weights).reverse_kl < 0.005


# --- trajectories ---


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


def test_normalised_straightness_does_not_depend_on_clock_or_scale():
    trajectory, ts = bent(500)
    base = m.normalised_straightness(trajectory, ts)
    assert m.normalised_straightness(7 * trajectory, ts) == pytest.approx(base)
    assert m.normalised_straightness(trajectory, 0.25 * ts + 0.5) == pytest.approx(base)
    assert m.normalised_straightness(trajectory.flip(0), ts.flip(0)) == pytest.approx(base)


def test_straight_lines_are_straight_on_any_grid(rng):
    x0, x1 = normal(rng, 40, 1, 4, 4), normal(rng, 40, 1, 4, 4)
    ts = torch.tensor([0.0, 0.1, 0.4, 0.5, 1.0], dtype=F64)
    trajectory = x0 + ts.reshape(-1, 1, 1, 1, 1) * (x1 - x0)
    assert m.straightness(trajectory, ts) == pytest.approx(0, abs=1e-12)


def test_a_straight_line_at_uneven_speed_is_not_straight_here():
    ts = torch.linspace(0, 1, 1001, dtype=F64)
    trajectory = (ts**2)[:, None, None] * torch.tensor([[1.0]], dtype=F64)  # ẋ = 2t: S = ∫(1 − 2t)² dt
    assert m.straightness(trajectory, ts) == pytest.approx(1 / 3, rel=1e-5)


def test_transport_cost_is_least_for_the_optimal_pairing(rng):
    x0, x1 = normal(rng, 50, 2), normal(rng, 50, 2) + 1
    rows, columns = linear_sum_assignment(torch.cdist(x0, x1).square().numpy())
    best = m.transport_cost(x0[rows], x1[columns])
    assert best == pytest.approx(m.wasserstein(x0, x1) ** 2, rel=1e-9)
    assert best < m.transport_cost(x0, x1)


# --- densities, likelihoods, floors ---


def test_kl_of_gaussians_on_a_grid():
    p = DiagNormal(torch.tensor([0.3, -0.2], dtype=F64), torch.tensor([0.8, 1.1], dtype=F64))
    q = DiagNormal(torch.tensor([-0.5, 0.4], dtype=F64), torch.tensor([1.2, 0.9], dtype=F64))
    exact = float(
        ((q.stddev / p.stddev).log() + (p.stddev**2 + (p.mean - q.mean) ** 2) / (2 * q.stddev**2) - 0.5).sum()
    )
    grid = m.Grid(-9, 9, 400)
    assert m.kl_on_grid(p.log_prob, q.log_prob, grid) == pytest.approx(exact, rel=1e-8)
    assert m.kl_on_grid(p.log_prob, p.log_prob, grid) == 0


def test_grids_of_one_dimension_and_of_float32():
    p, q = DiagNormal(torch.zeros(1), 1.0), DiagNormal(torch.ones(1), 1.0)
    line, coarse = m.Grid(dim=1), m.Grid(dim=1, dtype=torch.float32)
    assert m.kl_on_grid(p.log_prob, q.log_prob, line) == pytest.approx(0.5, abs=1e-6)
    assert m.kl_on_grid(p.log_prob, q.log_prob, coarse) == pytest.approx(0.5, abs=1e-4)


def test_jsd_has_its_limits_and_symmetry():
    at = lambda c: DiagNormal(torch.full((2,), c, dtype=F64), 0.4).log_prob
    assert m.jsd_on_grid(at(0.0), at(0.0)) == pytest.approx(0, abs=1e-14)
    assert m.jsd_on_grid(at(-3.0), at(3.0)) == pytest.approx(math.log(2), abs=1e-9)
    assert m.jsd_on_grid(at(0.0), at(0.5)) == pytest.approx(m.jsd_on_grid(at(0.5), at(0.0)))


def test_jsd_is_the_optimal_discriminator_of_a_gan():
    p, q = data.moons().to(F64), data.rings().to(F64)
    grid = m.Grid()
    log_p, log_q = grid.log_masses(p.log_prob, "p"), grid.log_masses(q.log_prob, "q")
    real, fake = torch.sigmoid(log_p - log_q).log(), torch.sigmoid(log_q - log_p).log()  # log D*, log(1 − D*)
    value = float((log_p.exp() * real + log_q.exp() * fake).sum())
    jsd = m.jsd_on_grid(p.log_prob, q.log_prob, grid)
    assert value == pytest.approx(2 * jsd - 2 * math.log(2), abs=1e-6)


def test_densities_without_overlap_on_the_grid():
    inside = lambda x, low: (x[:, 0] > low) & (x[:, 0] < low + 2)
    box = lambda low: lambda x: torch.where(inside(x, low), -math.log(2), -math.inf).to(F64)
    grid = m.Grid(dim=1)
    assert m.kl_on_grid(box(-3), box(1), grid) == math.inf
    assert m.jsd_on_grid(box(-3), box(1), grid) == pytest.approx(math.log(2))


def test_a_grid_that_misses_mass_says_so():
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


def test_perplexity_counts_codes_in_use():
    assert m.perplexity(torch.arange(12).reshape(3, 4) % 4, 16) == pytest.approx(4)
    assert m.perplexity(torch.zeros(9, dtype=torch.long), 16) == pytest.approx(1)
    with pytest.raises(ValueError, match="integers 0 to 3"):
        m.perplexity(torch.tensor([4]), 4)


def test_floor_is_positive_for_wasserstein_and_nought_for_energy():
    torch.manual_seed(3)
    world = data.eight_gaussians()
    small, large = m.floor(world, m.wasserstein, 100, 5), m.floor(world, m.wasserstein, 800, 5)
    assert small.mean > large.mean > 0
    energy = m.floor(world.sample, m.energy_distance, 200, 20)
    assert abs(energy.mean) < 5 * energy.sd / 20**0.5
    mean, sd = energy
    assert "two samples of the truth" in repr(energy)
    stratified = m.floor(world.stratified, m.wasserstein, 800, 5)
    assert stratified.mean < large.mean  # most of the noise is that of the mode counts


# --- refusals ---


def test_other_refusals():
    ts = torch.linspace(0, 1, 4)
    for call, words in {
        lambda: m.transport_cost(GOOD, GOOD[:3]): "row i with row i",
        lambda: m.straightness(torch.zeros(4, 5), ts): r"\(T, B, \*event\)",
        lambda: m.straightness(torch.zeros(5, 5, 2), ts): r"\(T,\)",
        lambda: m.straightness(torch.zeros(4, 0, 2), ts): "at least one particle",
        lambda: m.straightness(torch.zeros(4, 5, 2), ts * 0): "strictly monotone",
        lambda: m.normalised_straightness(torch.zeros(4, 5, 2), ts): "no scale",
        lambda: m.floor(data.moons(), m.energy_distance, 10, 1): "at least 2",
        lambda: m.bits_per_dim(1.0, 0): "dims is 0",
    }.items():
        with pytest.raises(ValueError, match=words):
            call()
