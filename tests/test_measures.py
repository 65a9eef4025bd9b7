"""Measures against closed forms, brute force and second implementations."""
import math

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from dgm_course import data
from dgm_course import measures as m
from dgm_course.distributions import Gaussian, Mixture

F64 = torch.float64
TWO_SETS = [m.energy_distance, m.mmd, m.wasserstein, m.frechet_distance, m.precision_recall_coverage, m.density]


def normal(rng, *shape):
    return torch.randn(*shape, dtype=F64, generator=rng)


# --- between two samples ---


def test_energy_distance_is_its_definition_by_loops(rng):
    x, y = normal(rng, 7, 3), normal(rng, 5, 3) + 1
    across = sum(float((a - b).norm()) for a in x for b in y) / 35
    own = [sum(float((s[i] - s[j]).norm()) for i in range(len(s)) for j in range(len(s)) if i != j)
           / (len(s) * (len(s) - 1)) for s in (x, y)]
    assert m.energy_distance(x, y) == pytest.approx(2 * across - sum(own), abs=1e-12)


def test_mmd_is_its_definition_by_loops(rng):
    x, y, widths = normal(rng, 6, 2), normal(rng, 4, 2) + 1, (0.5, 2.0)
    k = lambda a, b: sum(math.exp(-float((a - b).square().sum()) / (2 * h * h)) for h in widths) / 2
    across = sum(k(a, b) for a in x for b in y) / 24
    own = [sum(k(s[i], s[j]) for i in range(len(s)) for j in range(len(s)) if i != j)
           / (len(s) * (len(s) - 1)) for s in (x, y)]
    assert m.mmd(x, y, widths) == pytest.approx(sum(own) - 2 * across, abs=1e-12)


def test_the_blocks_of_a_large_set_change_nothing(rng, monkeypatch):
    x, y = normal(rng, 300, 2), normal(rng, 250, 2) + 0.3
    whole = m.energy_distance(x, y), m.mmd(x, y)
    monkeypatch.setattr(m, "ROWS", 17)
    assert (m.energy_distance(x, y), m.mmd(x, y)) == pytest.approx(whole, abs=1e-12)


@pytest.mark.parametrize("measure", [m.energy_distance, m.mmd])
def test_u_statistics_are_unbiased(measure, rng):
    values = torch.tensor([measure(normal(rng, 20, 2), normal(rng, 20, 2)) for _ in range(400)], dtype=F64)
    assert abs(values.mean()) < 5 * values.std() / 20  # 20 = √400
    assert values.min() < 0  # an estimate that cannot go below its true value 0 has a bias


def test_energy_distance_of_two_normals_in_one_dimension(rng):
    shift = 1.5  # E|N(d, 2)| = 2/√π exp(−d²/4) + d·erf(d/2)
    mean_abs = lambda d: 2 / math.sqrt(math.pi) * math.exp(-d * d / 4) + d * math.erf(d / 2)
    exact = 2 * mean_abs(shift) - 2 * mean_abs(0)
    draw = lambda: m.energy_distance(normal(rng, 400, 1), normal(rng, 400, 1) + shift)
    values = torch.tensor([draw() for _ in range(30)])
    assert abs(values.mean() - exact) < 5 * values.std() / 30**0.5


def test_mmd_of_two_normals_in_closed_form(rng):
    h, shift = 0.8, 1.0  # E k of N(0,1), N(d,1) is √(h²/(h²+2)) exp(−d²/(2(h²+2)))
    kernel = lambda d: math.sqrt(h * h / (h * h + 2)) * math.exp(-d * d / (2 * (h * h + 2)))
    values = torch.tensor([m.mmd(normal(rng, 300, 1), normal(rng, 300, 1) + shift, [h]) for _ in range(30)])
    assert abs(values.mean() - 2 * (kernel(0) - kernel(shift))) < 5 * values.std() / 30**0.5


@pytest.mark.parametrize("p", [1, 2, 3])
def test_wasserstein_equals_the_assignment_problem(p, rng):
    x, y = normal(rng, 60, 3), 2 * normal(rng, 60, 3)
    cost = np.linalg.norm(x.numpy()[:, None] - y.numpy()[None], axis=-1) ** p
    best = cost[linear_sum_assignment(cost)].mean() ** (1 / p)
    assert m.wasserstein(x, y, p) == pytest.approx(best, rel=1e-9)


def test_wasserstein_on_the_line_is_sorting(rng):
    x, y = normal(rng, 400, 1), normal(rng, 400, 1).exp()
    sorted_cost = (x.sort(0).values - y.sort(0).values).square().mean().sqrt()
    assert m.wasserstein(x, y) == pytest.approx(float(sorted_cost), rel=1e-9)


def test_wasserstein_of_a_translated_set_is_the_translation(rng):
    x, step = normal(rng, 200, 2), torch.tensor([3.0, -4.0], dtype=F64)
    assert m.wasserstein(x, x + step) == pytest.approx(5.0, rel=1e-9)
    assert m.wasserstein(x, (x + step)[torch.randperm(200)], 1) == pytest.approx(5.0, rel=1e-9)


def test_wasserstein_of_unequal_sizes(rng):
    x = normal(rng, 30, 2)
    assert m.wasserstein(x, torch.cat([x, x])) == pytest.approx(0, abs=1e-6)
    assert m.wasserstein(x[:1], x) == pytest.approx(float((x - x[0]).square().sum(1).mean().sqrt()), rel=1e-9)


def test_wasserstein_refuses_what_would_not_fit():
    with pytest.raises(ValueError, match=r"20,000 and 5 points .* at most 10,000"):
        m.wasserstein(torch.zeros(20_000, 2), torch.zeros(5, 2))


def test_frechet_distance_of_sets_with_known_moments(rng):
    a = normal(rng, 500, 4)
    a = (a - a.mean(0)) @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(a.T))).T  # sample cov is exactly I
    scale, shift = torch.tensor([1.0, 2.0, 0.5, 3.0], dtype=F64), torch.tensor([1.0, 0, -2, 0], dtype=F64)
    exact = float((shift**2).sum() + ((scale - 1) ** 2).sum())
    assert m.frechet_distance(a, a * scale + shift) == pytest.approx(exact, rel=1e-10)


def test_frechet_distance_agrees_with_scipy_sqrtm(rng):
    from scipy.linalg import sqrtm

    a, b = normal(rng, 90, 5) @ normal(rng, 5, 5), normal(rng, 70, 5) @ normal(rng, 5, 5) + 1
    ca, cb = np.cov(a.numpy().T), np.cov(b.numpy().T)
    shift = float((a.mean(0) - b.mean(0)).square().sum())
    other = shift + np.trace(ca + cb - 2 * sqrtm(ca @ cb).real)
    assert m.frechet_distance(a, b) == pytest.approx(other, rel=1e-8)
    assert m.frechet_distance(b, a) == pytest.approx(other, rel=1e-8)


def test_frechet_distance_is_stable_where_covariances_are_singular(rng):
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


def test_precision_and_recall_see_opposite_faults(rng):
    world = data.eight_gaussians().to(F64)
    real = world.sample(800, rng)
    dropped = world.sample(2000, rng)
    dropped = dropped[dropped[:, 0] > 0][:800]  # half of the modes are missing
    spread = torch.rand(800, 2, dtype=F64, generator=rng) * 8 - 4  # everything and more
    assert m.precision_recall_coverage(real, dropped).precision > 0.95
    assert m.precision_recall_coverage(real, dropped).recall < 0.7
    assert m.precision_recall_coverage(real, dropped).coverage < 0.7
    assert m.precision_recall_coverage(real, spread).precision < 0.4
    assert m.precision_recall_coverage(real, spread).recall > 0.95


def test_equal_sets_are_at_distance_zero(rng):
    for dim in (2, 64):  # two ways to compute distances
        x = normal(rng, 80, dim)
        assert m.wasserstein(x, x) == pytest.approx(0, abs=1e-6)
        assert m.frechet_distance(x, x) == pytest.approx(0, abs=1e-10)
        assert m.precision_recall_coverage(x, x) == (1.0, 1.0, 1.0)
    assert m.transport_cost(x, x) == 0


@pytest.mark.parametrize("measure", TWO_SETS)
def test_the_order_of_samples_does_not_matter(measure, rng):
    x, y = normal(rng, 50, 2), normal(rng, 40, 2) + 0.5
    shuffled = measure(x[torch.randperm(50, generator=rng)], y[torch.randperm(40, generator=rng)])
    assert shuffled == pytest.approx(measure(x, y), abs=1e-9)


@pytest.mark.parametrize("measure", TWO_SETS)
def test_images_are_flattened_and_inputs_left_alone(measure, rng):
    x, y = normal(rng, 20, 1, 3, 3).float().requires_grad_(), normal(rng, 20, 1, 3, 3).float()
    before = y.clone()
    assert measure(x, y) == pytest.approx(measure(x.reshape(20, 9), y.reshape(20, 9)))
    assert torch.equal(y, before)


def test_energy_distance_falls_as_sets_approach(rng):
    x, y = normal(rng, 300, 2), normal(rng, 300, 2)
    values = [m.energy_distance(x, y + shift) for shift in (2.0, 1.0, 0.5)]
    assert values == sorted(values, reverse=True) and values[-1] > 0


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


def test_energy_and_straightness_of_a_half_circle():
    trajectory, ts = bent(2000)
    assert m.path_energy(trajectory, ts) == pytest.approx(math.pi**2, rel=1e-5)
    assert m.straightness(trajectory, ts) == pytest.approx(math.pi**2 - 4, rel=1e-5)
    assert m.normalised_straightness(trajectory, ts) == pytest.approx(math.pi**2 / 4 - 1, rel=1e-5)
    assert m.normalised_path_energy(trajectory, ts, w2=2.0) == pytest.approx(math.pi**2 / 4 - 1, rel=1e-5)


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
    assert m.path_energy(trajectory, ts) == pytest.approx(m.transport_cost(x0, x1))


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
    p = Gaussian(torch.tensor([0.3, -0.2], dtype=F64), torch.tensor([0.8, 1.1], dtype=F64))
    q = Gaussian(torch.tensor([-0.5, 0.4], dtype=F64), torch.tensor([1.2, 0.9], dtype=F64))
    exact = float(((q.std / p.std).log() + (p.std**2 + (p.mean - q.mean) ** 2) / (2 * q.std**2) - 0.5).sum())
    grid = m.Grid(-9, 9, 400)
    assert m.kl_on_grid(p.log_prob, q.log_prob, grid) == pytest.approx(exact, rel=1e-8)
    assert m.kl_on_grid(p.log_prob, p.log_prob, grid) == 0


def test_grids_of_one_dimension_and_of_float32():
    p, q = Gaussian(torch.zeros(1), 1.0), Gaussian(torch.ones(1), 1.0)
    line, coarse = m.Grid(dim=1), m.Grid(dim=1, dtype=torch.float32)
    assert m.kl_on_grid(p.log_prob, q.log_prob, line) == pytest.approx(0.5, abs=1e-6)
    assert m.kl_on_grid(p.log_prob, q.log_prob, coarse) == pytest.approx(0.5, abs=1e-4)


def test_jsd_has_its_limits_and_symmetry():
    at = lambda c: Gaussian(torch.full((2,), c, dtype=F64), 0.4).log_prob
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
    far = Gaussian(torch.tensor([6.0, 0.0], dtype=F64), 1.0).log_prob
    near = Gaussian(torch.zeros(2, dtype=F64), 1.0).log_prob
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
def test_bad_sets_are_refused_in_a_sentence(measure, bad):
    value, error, words = BAD[bad]
    with pytest.raises(error, match=words):
        measure(GOOD, value)
    with pytest.raises(error, match=words):
        measure(value, GOOD)


@pytest.mark.parametrize("measure, least", [(m.energy_distance, 2), (m.mmd, 2), (m.frechet_distance, 2),
                                            (m.precision_recall_coverage, 6)])
def test_too_few_samples_are_refused(measure, least):
    with pytest.raises(ValueError, match=f"needs at least {least}"):
        measure(GOOD, GOOD[:1])


def test_other_refusals():
    ts = torch.linspace(0, 1, 4)
    for call, words in {
        lambda: m.wasserstein(GOOD, GOOD, 0.5): "p is 0.5",
        lambda: m.mmd(GOOD, GOOD, []): "bandwidths",
        lambda: m.transport_cost(GOOD, GOOD[:3]): "row i with row i",
        lambda: m.path_energy(torch.zeros(4, 5), ts): r"\(T, B, \*event\)",
        lambda: m.path_energy(torch.zeros(5, 5, 2), ts): r"\(T,\)",
        lambda: m.path_energy(torch.zeros(4, 0, 2), ts): "at least one particle",
        lambda: m.straightness(torch.zeros(4, 5, 2), ts * 0): "stands still",
        lambda: m.normalised_straightness(torch.zeros(4, 5, 2), ts): "no scale",
        lambda: m.normalised_path_energy(torch.zeros(4, 5, 2), ts, 0.0): "w2 is 0.0",
        lambda: m.floor(data.moons(), m.mmd, 10, 1): "at least 2",
        lambda: m.bits_per_dim(1.0, 0): "dims is 0",
    }.items():
        with pytest.raises(ValueError, match=words):
            call()


def test_density_is_its_definition_by_loops(rng):
    real, fake, k = normal(rng, 14, 3), 0.7 * normal(rng, 9, 3), 3
    radius = [sorted(float((a - b).norm()) for b in real)[k] for a in real]  # the first is the point itself
    inside = sum(float((a - b).norm()) <= r for a, r in zip(real, radius) for b in fake)
    assert m.density(real, fake, k) == pytest.approx(inside / (k * len(fake)))


def test_a_stray_real_point_fools_precision_and_not_density(rng):
    real = torch.cat([normal(rng, 60, 2), torch.tensor([[30.0, 0.0]])])
    fake = torch.tensor([15.0, 8.0]) + 0.1 * normal(rng, 40, 2)
    assert m.precision_recall_coverage(real, fake, 5).precision == 1.0
    assert m.density(real, fake, 5) == pytest.approx(1 / 5)


def test_frechet_of_gaussians_against_the_square_root_of_another_library(rng):
    from scipy.linalg import sqrtm

    a, b = (x @ x.T + 0.1 * torch.eye(4, dtype=F64) for x in normal(rng, 2, 4, 4))
    mean = normal(rng, 2, 4)
    expected = float((mean[0] - mean[1]) @ (mean[0] - mean[1])) + np.trace(a + b) - 2 * np.trace(sqrtm((a @ b).numpy()).real)
    assert m.frechet_of_gaussians(mean[0], a, mean[1], b) == pytest.approx(expected, rel=1e-9)
    assert m.frechet_of_gaussians(mean[1], b, mean[0], a) == pytest.approx(expected, rel=1e-9)
    with pytest.raises(ValueError, match=r"covariances of shape \(4,\).*expected \(D,\) and \(D, D\)"):
        m.frechet_of_gaussians(mean[0], mean[0], mean[1], mean[0])
