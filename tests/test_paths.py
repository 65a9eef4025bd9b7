"""Every path against the definition x_t = alpha x1 + sigma x0, by differences, autograd and quadrature.

The oracles use the schedules and the densities of data and source only: no formula of ``paths`` stands on
both sides."""

import functools
import itertools
import math

import pytest
import torch

from dgm_course.distributions import Gaussian, Mixture
from dgm_course.dynamics import divergence, heun, langevin, log_density, rk4, solve
from dgm_course.measures import energy_distance, floor
from dgm_course.paths import VE, VP, Conical, Cosine, GaussianPath, Guess, Linear, ancestral, annealed_langevin, hop

F64 = torch.float64
DATA = Mixture(
    torch.tensor([1.0, 2.0, 3.0]).double(),
    torch.tensor([[-1.5, 0.5], [1.0, 1.5], [0.5, -1.0]], dtype=F64),
    torch.tensor([[0.4, 0.6], [0.7, 0.4], [0.5, 0.5]]),
    "data",
)
SOURCE = Mixture(
    torch.tensor([1.0, 3.0]).double(),
    torch.tensor([[1.0, 0.0], [-0.5, 1.0]], dtype=F64),
    torch.tensor([[0.6, 0.5], [0.8, 0.9]]),
    "source",
)
PATHS = {
    "conical": Conical(),
    "linear": Linear(SOURCE),
    "jittered": Linear(SOURCE, jitter=0.3),
    "VP": VP(),
    "VE": VE(),
    "cosine": Cosine(),
    "home-made": GaussianPath(lambda t: t * (2 - t), lambda t: (1 - t) ** 3 + 0.1, name="home-made"),
}
GAUSSIAN = [name for name, path in PATHS.items() if path.gaussian]
CLEAR = [name for name, path in PATHS.items() if not path.jitter]
TIMES = (0.05, 0.35, 0.6, 0.9)
KINDS = ("data", "noise", "velocity", "v", "score")

every = pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
gaussian = pytest.mark.parametrize("path", [PATHS[n] for n in GAUSSIAN], ids=GAUSSIAN)
clear = pytest.mark.parametrize("path", [PATHS[n] for n in CLEAR], ids=CLEAR)
when = pytest.mark.parametrize("t", TIMES)


@pytest.fixture(autouse=True)
def steady():
    torch.manual_seed(3)


def scalar(t: float) -> torch.Tensor:
    return torch.tensor(t, dtype=F64)


def slope(f, t, h=1e-4):
    """f' by a five-point difference, error O(h⁴)."""
    return (8 * (f(t + h) - f(t - h)) - (f(t + 2 * h) - f(t - 2 * h))) / (12 * h)


def scales(path, t):
    """alpha, sigma and their derivatives, without automatic differentiation."""
    t = scalar(t) if isinstance(t, float) else t
    return path.alpha(t), path.sigma(t), slope(path.alpha, t), slope(path.sigma, t)


def triple(path, t, n=6):
    """x1, x0 and the x_t between them."""
    x1, x0 = DATA.sample(n), (SOURCE.sample(n) if path.source else torch.randn(n, 2, dtype=F64))
    alpha, sigma, _, _ = scales(path, t)
    column = lambda a: a[:, None] if a.ndim else a
    return x1, x0, column(alpha) * x1 + column(sigma) * x0


# --- the schedules ---


@every
@when
def test_derivatives_are_the_slopes_of_the_schedules(path, t):
    for ours, expected in zip(path.at(scalar(t)), scales(path, t), strict=True):
        assert torch.allclose(ours, expected.expand_as(ours), rtol=1e-7, atol=1e-8)


def test_the_schedules_are_the_slides():
    s = torch.linspace(0.01, 1, 50, dtype=F64)  # the diffusion slides' clock
    alpha, sigma, _, _ = VP(0.1, 20.0).at(1 - s)
    assert torch.allclose(alpha, torch.exp(-0.25 * s**2 * 19.9 - 0.5 * s * 0.1), rtol=1e-12)
    assert torch.allclose(alpha**2 + sigma**2, torch.ones_like(s), rtol=1e-12)
    alpha, sigma, _, _ = VE(0.01, 10.0).at(1 - s)
    assert torch.equal(alpha, torch.ones_like(s))
    assert torch.allclose(sigma**2, (0.01 * 1000**s) ** 2 - 0.01**2, rtol=1e-10)
    for path in (Conical(), Linear(SOURCE)):
        assert torch.equal(path.at(s)[0], s) and torch.equal(path.at(s)[1], 1 - s)
    alpha, sigma, _, _ = Cosine().at(s)
    assert torch.allclose(alpha**2 + sigma**2, torch.ones_like(s)) and float(alpha[-1]) == 1


def test_vp_is_the_ddpm_chain():
    """The product of (1 − β_k) over 1000 small steps is alpha-bar = alpha², and falls with the noise."""
    k = torch.arange(1000, dtype=F64)
    bar = torch.cumprod(1 - (0.1 + 19.9 * (k + 0.5) / 1000) / 1000, 0)
    alpha = VP().at(1 - (k + 1) / 1000)[0]
    assert torch.allclose(alpha[:500] ** 2, bar[:500], rtol=2e-2)


@every
def test_the_ends_of_the_span_are_finite(path):
    for t in path.span:
        assert all(torch.isfinite(a) for a in path.at(scalar(t)))
        assert torch.isfinite(path.exact(DATA)(DATA.sample(20), t)).all()


@pytest.mark.parametrize("path", [Conical(), Cosine(), Linear(SOURCE), PATHS["home-made"]], ids=repr)
@pytest.mark.parametrize("t", [0.0, 1.0, 0, 1])
def test_both_ends_of_time_are_finite(path, t):
    guess = path.exact(DATA).guess(DATA.sample(20), t)
    assert torch.isfinite(torch.stack([guess.velocity, guess.data, guess.noise, guess.v])).all()


@every
def test_times_one_a_sample_are_the_single_times(path):
    t, x = torch.tensor([0.2, 0.7, 0.5], dtype=F64), DATA.sample(3)
    field = path.exact(DATA)
    one_by_one = torch.cat([field(x[i : i + 1], t[i]) for i in range(3)])
    assert torch.allclose(field(x, t), one_by_one) and torch.allclose(field(x, t[:, None]), one_by_one)
    alone = torch.stack([torch.stack(path.at(u)) for u in t], 1)
    assert torch.allclose(torch.stack(path.at(t)), alone)


@every
def test_derivatives_survive_no_grad_inference_mode_and_nesting(path):
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
def test_the_conditional_velocity_is_the_speed_of_the_flow_map(path, t):
    x1, x0, xt = triple(path, t)
    _, _, dalpha, dsigma = scales(path, t)
    moved = slope(lambda s: path.alpha(s) * x1 + path.sigma(s) * x0, scalar(t))
    for ours in (path.velocity(xt, x1, t), path.pair(x1, x0, t).velocity):
        assert torch.allclose(ours, dalpha * x1 + dsigma * x0, rtol=1e-6, atol=1e-7)
        assert torch.allclose(ours, moved, rtol=1e-6, atol=1e-7)


@gaussian
@when
def test_the_conditional_score_is_the_gradient_of_the_gaussian(path, t):
    x1, x0, xt = triple(path, t)
    alpha, sigma, _, _ = scales(path, t)
    x = xt.clone().requires_grad_()
    expected = torch.autograd.grad(
        Gaussian(torch.zeros(2, dtype=F64), sigma).log_prob(x - alpha * x1).sum(), x
    )[0]
    assert torch.allclose(path.score(xt, x1, t), expected, rtol=1e-9)
    assert torch.allclose(path.pair(x1, x0, t).score, expected, rtol=1e-9)


def test_predictions_have_their_names_meaning():
    """On the cosine path the velocity is −(π/2) v, since alpha' = (π/2) sigma and sigma' = −(π/2) alpha."""
    x1, x0, _ = triple(Cosine(), 0.3)
    pair = Cosine().pair(x1, x0, 0.3)
    assert torch.equal(pair.data, x1) and torch.equal(pair.noise, x0)
    assert torch.allclose(pair.v, -2 / math.pi * pair.velocity)
    assert torch.allclose(pair.v, math.sin(0.15 * math.pi) * x0 - math.cos(0.15 * math.pi) * x1)


@pytest.mark.parametrize(
    "name, known, wanted",
    [
        (name, *pair)
        for name, path in PATHS.items()
        for pair in itertools.permutations(KINDS, 2)
        if path.gaussian or "score" not in pair
    ],
)  # twenty, and twelve where the source is not Gaussian
def test_all_conversions_go_both_ways(name, known, wanted):
    path = PATHS[name]
    for t in (*TIMES, torch.tensor([0.1, 0.3, 0.4, 0.5, 0.8, 0.85], dtype=F64)):
        x1, x0, xt = triple(path, t)
        pair = path.pair(x1, x0, t)
        converted = getattr(path.guess(xt, t, **{known: getattr(pair, known)}), wanted)
        assert torch.allclose(converted, getattr(pair, wanted), rtol=1e-8, atol=1e-8)


@gaussian
def test_rows_say_what_the_pair_says(path):
    x1, x0, xt = triple(path, 0.4)
    for kind, (a, b) in path.rows(path.at(0.4, xt)).items():
        assert torch.allclose(a * x1 + b * x0, getattr(path.pair(x1, x0, 0.4), kind))


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


# --- the marginal, by quadrature ---


def nodes(n=181, width=7.0):
    line = torch.linspace(-width, width, n, dtype=F64)
    return torch.cartesian_prod(line, line), float(line[1] - line[0]) ** 2


def posterior(path, x, t):
    """Pairs (x1, x0) on a grid that all meet at x at time t, each with its weight p(x1) p(x0): Bayes by hand.

    The grid is over whichever of the two has the smaller scale.
    x (2,) -> x1, x0 (M, 2), weights (M,) summing to p_t(x)"""
    alpha, sigma, _, _ = scales(path, t)
    grid, area = nodes()
    if alpha > sigma:
        x0, x1, volume = grid, (x - sigma * grid) / alpha, area / alpha**2
    else:
        x1, x0, volume = grid, (x - alpha * grid) / sigma, area / sigma**2
    origin = SOURCE if path.source else Gaussian(torch.zeros(2, dtype=F64), 1.0)
    return x1, x0, (DATA.log_prob(x1) + origin.log_prob(x0)).exp() * volume


@clear
@when
def test_marginal_and_guess_are_bayes_over_a_grid_of_pairs(path, t):
    xs = triple(path, t)[2]
    guess = path.exact(DATA).guess(xs, t)
    log_prob = path.marginal(DATA, t).log_prob(xs)
    _, _, dalpha, dsigma = scales(path, t)
    for i, x in enumerate(xs):
        x1, x0, weight = posterior(path, x, t)
        share = weight / weight.sum()
        assert float(log_prob[i]) == pytest.approx(float(weight.sum().log()), abs=1e-6)
        assert torch.allclose(guess.data[i], share @ x1, atol=1e-6)
        assert torch.allclose(guess.noise[i], share @ x0, atol=1e-6)
        assert torch.allclose(guess.velocity[i], share @ (dalpha * x1 + dsigma * x0), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("t", [0.1, 0.5, 0.8])
def test_with_jitter_guess_is_importance_sampling(t):
    path, n = PATHS["jittered"], 200_000
    x1, x0, expected = triple(path, t, n)
    for x in path.corrupt(DATA.sample(2), t)[0]:
        kernel = Gaussian(x, 0.3).log_prob(expected).exp()
        density, share = kernel.mean(), kernel / kernel.sum()
        ours = path.exact(DATA).guess(x[None], t)
        assert (
            abs(float(path.marginal(DATA, t).log_prob(x[None]).exp()) - float(density))
            < 5 * float(kernel.std()) / n**0.5
        )
        for value, one in ((x1, ours.data[0]), (x0, ours.noise[0]), (x1 - x0, ours.velocity[0])):
            mean = share @ value
            error = ((share[:, None] * (value - mean)) ** 2).sum(0).sqrt()
            assert ((one - mean).abs() < 5 * error).all() and float(error.max()) < 0.05


@gaussian
@when
def test_the_score_is_the_gradient_of_the_marginal(path, t):
    x = triple(path, t)[2].requires_grad_()
    expected = torch.autograd.grad(path.marginal(DATA, t).log_prob(x).sum(), x)[0]
    assert torch.allclose(path.exact(DATA).score(x.detach(), t), expected, rtol=1e-8, atol=1e-10)
    assert torch.allclose(path.exact(DATA).marginal(t).score(x.detach()), expected, rtol=1e-8, atol=1e-10)


# --- laws of the flow ---


def growth(path, x, t):
    """∂ log p_t(x) / ∂t by differences."""
    return slope(lambda s: path.marginal(DATA, float(s)).log_prob(x), scalar(t))


@every
@when
def test_the_continuity_equation(path, t):
    """∂ log p/∂t = −div u − u·∇ log p"""
    x, field = triple(path, t, 20)[2], path.exact(DATA)
    transported = divergence(field, x, scalar(t)).detach() + (
        field(x, scalar(t)) * path.marginal(DATA, t).score(x)
    ).sum(1)
    assert torch.allclose(growth(path, x, t), -transported, rtol=1e-5, atol=1e-5)


@gaussian
@when
@pytest.mark.parametrize("noise", [0.0, 0.7, 2.0])
def test_drift_and_noise_keep_the_marginals(path, t, noise):
    """Fokker-Planck: ∂p/∂t = −div(d p) + ½ noise² Δp, for d the drift that belongs to the noise."""
    x, s = triple(path, t, 20)[2], scalar(t)
    field, p_t = path.exact(DATA), path.marginal(DATA, t)
    drift, score = field.drift(noise), p_t.score(x)
    flow = divergence(drift, x, s).detach() + (drift(x, s) * score).sum(1)
    laplacian = divergence(lambda y, _: p_t.score(y), x, s).detach() + score.square().sum(1)  # Δp / p
    assert torch.allclose(growth(path, x, t), -flow + noise**2 / 2 * laplacian, rtol=1e-5, atol=1e-5)


@gaussian
def test_log_prob_along_the_flow_is_the_mixtures(path):
    x, field = DATA.sample(12), path.exact(DATA)
    start, end = path.span
    ours = log_density(
        field, x, torch.linspace(end, start, 301, dtype=F64), path.marginal(DATA, start).log_prob
    )
    assert torch.allclose(ours, path.marginal(DATA, end).log_prob(x), atol=5e-3)


@pytest.mark.parametrize("path", [Conical(), Cosine()], ids=repr)
def test_log_prob_is_the_datas_own(path):
    x = DATA.sample(12)
    assert torch.allclose(path.exact(DATA).log_prob(x, steps=300), DATA.log_prob(x), atol=3e-3)


def assert_like(x, p=DATA, slack=0.0):
    """Mean and covariance of the mixture, and the share of each component, within five standard errors."""
    n, centred = len(x), x - p.mean
    products = torch.stack([centred[:, 0] ** 2, centred[:, 1] ** 2, centred[:, 0] * centred[:, 1]], 1)
    cov = torch.stack([p.cov[0, 0], p.cov[1, 1], p.cov[0, 1]])
    for values, expected in ((x, p.mean), (products, cov), (p.responsibilities(x), p.weights)):
        error = values.std(0) / math.sqrt(n)
        assert ((values.mean(0) - expected).abs() < 5 * error + slack).all(), (values.mean(0), expected)


@clear
def test_the_flow_carries_the_source_to_the_data(path):
    field, (start, end) = path.exact(DATA), path.span
    x = solve(
        field, path.marginal(DATA, start).sample(4000), torch.linspace(start, end, 61, dtype=F64), method=rk4
    )[-1]
    assert_like(
        x, path.marginal(DATA, end)
    )  # the data themselves, but for the home-made path, whose sigma ends at 0.1


@pytest.mark.parametrize("name", ["conical", "linear", "cosine", "VP"])
def test_sample_makes_data(name):
    assert_like(PATHS[name].exact(DATA).sample(4000, steps=60, method=heun), slack=0.02)


def test_jittered_samples_are_blurred_at_both_ends():
    path = PATHS["jittered"]
    trajectory = path.exact(DATA).trajectory(20_000, steps=40, method=heun)
    for x, p in ((trajectory[0], SOURCE), (trajectory[-1], DATA)):
        assert torch.allclose(x.var(0), p.cov.diagonal() + 0.09, rtol=0.06)


@pytest.mark.parametrize("noise", [0.5, 1.5])
def test_sampling_with_noise_makes_the_same_data(noise):
    assert_like(Conical().exact(DATA).sample(4000, steps=400, noise=noise), slack=0.03)


def test_trajectory_and_sample_are_one_walk():
    field, x0 = VP().exact(DATA), torch.randn(5, 2, dtype=F64)
    trajectory = field.trajectory(x0, steps=7, method=heun)
    assert trajectory.shape == (8, 5, 2) and torch.equal(trajectory[-1], field.sample(x0, 7, heun))
    assert torch.allclose(trajectory[0], VP().sigma(scalar(0.0)) * x0)
    assert torch.equal(
        VE().exact(DATA).trajectory(x0, 3)[0], VE().sigma(scalar(0.0)) * x0
    )  # spread ten times
    ts = field.times(7, x0)
    assert ts.dtype == F64 and (float(ts[0]), float(ts[-1]), len(ts)) == (0.0, pytest.approx(0.999), 8)


# --- steps ---


@pytest.mark.parametrize("name", ["conical", "VP", "VE", "cosine"])
@pytest.mark.parametrize("t, s", [(0.2, 0.3), (0.5, 0.9), (0.85, 0.95)])
def test_a_step_with_the_posteriors_deviation_is_ddpms(name, t, s):
    """x_t = r x_s + noise with r = alpha_t/alpha_s: the posterior of x_s by adding precisions."""
    path = PATHS[name]
    x1, x0, xt = triple(path, t)
    (at, st, _, _), (as_, ss, _, _) = scales(path, t), scales(path, s)
    r = at / as_
    gap = st**2 - r**2 * ss**2  # Var[x_t | x_s]
    precision = 1 / ss**2 + r**2 / gap
    mean = (as_ * x1 / ss**2 + r * xt / gap) / precision
    kappa = float(precision**-0.5)
    torch.manual_seed(8)
    stepped = path.step(path.guess(xt, t, data=x1), s, fresh=kappa)
    torch.manual_seed(8)
    eps = torch.randn_like(x0)
    assert torch.allclose(stepped - kappa * eps, mean, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_every_step_lands_on_the_path(share):
    path, n = VP(), 40_000
    x1 = torch.full((n, 1), 0.7, dtype=F64)
    xt, x0 = path.corrupt(x1, 0.3)
    alpha, sigma, _, _ = scales(path, 0.6)
    xs = path.step(path.guess(xt, 0.3, noise=x0), 0.6, fresh=share * float(sigma))
    assert abs(float(xs.mean() - alpha * 0.7)) < 5 * float(sigma) / math.sqrt(n)
    assert abs(float(xs.var() - sigma**2)) < 5 * float(sigma) ** 2 * math.sqrt(2 / n)


def test_a_step_without_fresh_noise_is_ddim_and_ends_in_the_data():
    x1, x0, xt = triple(Conical(), 0.3)
    guess = Conical().guess(xt, 0.3, noise=x0)
    assert torch.allclose(Conical().step(guess, 0.8), 0.8 * x1 + 0.2 * x0)
    assert torch.allclose(Conical().step(guess, 1.0), x1)


# --- one guess, many ways to move ---


def noise_by_autograd(path, x, t):
    """x̂0 = −sigma ∇ log p_t, from the density of the marginal alone."""
    x = x.clone().requires_grad_()
    score, = torch.autograd.grad(path.marginal(DATA, t).log_prob(x).sum(), x)
    return -path.sigma(scalar(t)) * score


@gaussian
@pytest.mark.parametrize("t, s", [(0.1, 0.3), (0.5, 0.55), (0.6, 0.95)])
def test_hop_is_ddim(path, t, s):
    x, field = triple(path, t)[2], path.exact(DATA)
    eps = noise_by_autograd(path, x, t)
    (at, st, _, _), (as_, ss, _, _) = scales(path, t), scales(path, s)
    expected = as_ * (x - st * eps) / at + ss * eps
    assert torch.allclose(hop(field, x, scalar(t), scalar(s - t)), expected, rtol=1e-8, atol=1e-8)
    assert torch.equal(hop(field, x, scalar(t), scalar(s - t)), hop(field, x, scalar(t), scalar(s - t)))


@gaussian
def test_hops_with_the_field_of_one_gaussian_land_on_its_marginal(path):
    """The flow between Gaussians is affine, x -> m1 + (s1 / s0)(x − m0), and many small hops are the flow."""
    data = Mixture(torch.ones(1), torch.tensor([[0.7, -0.3]], dtype=F64), torch.tensor([[0.5, 1.2]]))
    field, x0 = path.exact(data), torch.tensor([[0.0, 0.0], [1.0, -1.0], [-2.0, 0.5]], dtype=F64)
    before, after = (path.marginal(data, t) for t in path.span)
    expected = after.means + after.stds / before.stds * (path.sigma(scalar(path.span[0])) * x0 - before.means)
    errors = [float((field.sample(x0, steps, hop) - expected).abs().max()) for steps in (25, 50, 100)]
    assert errors[2] < 0.08 and errors[0] > 1.6 * errors[1] > 2.5 * errors[2]  # of order one


@gaussian
def test_of_a_single_point_one_hop_is_exact(path):
    m = torch.tensor([[0.7, -0.3]], dtype=F64)
    field, x0 = path.exact(Mixture(torch.ones(1), m, 1e-7)), torch.randn(5, 2, dtype=F64)
    (at, st, _, _), (as_, ss, _, _) = scales(path, 0.2), scales(path, 0.9)
    landed = hop(field, at * m + st * x0, scalar(0.2), scalar(0.7))
    assert torch.allclose(landed, as_ * m + ss * x0, atol=1e-6)


@pytest.mark.parametrize("name", ["VP", "cosine"])
def test_ancestral_steps_are_ddpms_in_its_own_symbols(name):
    """x_{k−1} = (x_k − β_k ε̂ / √(1 − abar_k)) / √(1 − β_k) + √β̃_k z,  β̃_k = β_k (1 − abar_{k−1}) / (1 − abar_k)"""
    path, ts = PATHS[name], torch.linspace(0.02, 0.98, 9, dtype=F64)
    x, field, bar = torch.randn(6, 2, dtype=F64), PATHS[name].exact(DATA), path.alpha(ts) ** 2
    for i, (now, then) in enumerate(itertools.pairwise(bar)):  # abar_k and abar_{k−1}
        beta = 1 - now / then
        eps = noise_by_autograd(path, x, float(ts[i]))
        mean = (x - beta / (1 - now).sqrt() * eps) / (1 - beta).sqrt()
        tilde = beta * (1 - then) / (1 - now)
        torch.manual_seed(i)
        x = ancestral(field, x, ts[i], ts[i + 1] - ts[i])
        torch.manual_seed(i)
        assert torch.allclose(x, mean + tilde.sqrt() * torch.randn_like(x), rtol=1e-8, atol=1e-8)


@gaussian
@pytest.mark.parametrize("t, s", [(0.1, 0.15), (0.3, 0.7), (0.6, 0.95)])
def test_fresh_is_the_deviation_of_a_jointly_gaussian_pair(path, t, s):
    """Given x1, (x_s, x_t) is A (ε, ε') with independent normals; the conditional variance is 1 / (AAᵀ)⁻¹_ss."""
    (at, st, _, _), (as_, ss, _, _) = scales(path, t), scales(path, s)
    r = at / as_
    mix = torch.tensor([[ss, 0.0], [r * ss, (st**2 - (r * ss) ** 2).sqrt()]], dtype=F64)
    conditional = 1 / torch.linalg.inv(mix @ mix.T)[0, 0]
    x1, _, xt = triple(path, t)
    fresh = path.fresh(path.guess(xt, t, data=x1), s)
    assert torch.allclose(fresh**2, conditional.expand_as(fresh), rtol=1e-8)
    times, later = torch.tensor([t, t / 2], dtype=F64), torch.tensor([s, s], dtype=F64)
    both = path.fresh(path.guess(xt[:2], times, data=x1[:2]), later)
    assert both.shape == (2, 1) and float(both[0]) == pytest.approx(float(fresh)) and float(both[1]) != float(both[0])


def test_fresh_at_the_ends_and_in_the_wrong_order():
    _, _, xt = triple(Conical(), 0.0)
    start = Conical().guess(xt, 0.0, velocity=xt)
    assert float(Conical().fresh(start, 0.4)) == pytest.approx(0.6)  # nothing is known of the data yet: all is fresh
    assert float(Conical().fresh(start, 1.0)) == 0
    for path in (Conical(), VP(), VE()):
        guess = path.guess(xt, 0.6, data=xt)
        assert float(path.fresh(guess, 0.6)) == pytest.approx(0, abs=1e-6)
        with pytest.raises(ValueError, match="s lies before t: expected a step towards the data, s > t"):
            path.fresh(guess, 0.5)


def test_the_diffusion_is_the_lectures_beta_and_the_growth_of_sigma():
    s = torch.linspace(0.02, 0.98, 25, dtype=F64).requires_grad_()  # the slides' clock
    assert torch.allclose(VP(0.1, 20.0).diffusion(1 - s.detach()) ** 2, 0.1 + 19.9 * s.detach())
    growth, = torch.autograd.grad(((0.01 * 1000**s) ** 2).sum(), s)
    assert torch.allclose(VE(0.01, 10.0).diffusion(1 - s.detach()) ** 2, growth)
    t = 1 - s.detach()
    assert torch.allclose(Conical().diffusion(t) ** 2, 2 * (1 - t) / t)


@gaussian
def test_the_diffusion_squared_is_the_variance_that_one_moment_adds(path):
    """g² = lim Var[x_t | x_s] / (s − t), with Var[x_t | x_s] = sigma_t² − (alpha_t sigma_s / alpha_s)²."""
    t, h = torch.linspace(0.1, 0.9, 9, dtype=F64), 1e-6
    (a0, s0, _, _), (a1, s1, _, _) = scales(path, t - h), scales(path, t + h)
    added = (s0**2 - (a0 / a1 * s1) ** 2) / (2 * h)
    assert torch.allclose(path.diffusion(t) ** 2, added, rtol=1e-4)
    assert path.diffusion(0.5).shape == ()


WAYS = {
    "VP, reverse SDE": (VP(), 200, {"noise": VP().diffusion}),
    "VE, reverse SDE": (VE(), 200, {"noise": VE().diffusion}),
    "cosine, DDPM": (Cosine(), 60, {"method": ancestral}),
    "VP, DDPM": (VP(), 100, {"method": ancestral}),
    "VE, DDPM": (VE(), 100, {"method": ancestral}),
    "conical, DDIM": (Conical(), 40, {"method": hop}),
}


@functools.cache
def between():
    """What the energy distance gives two samples of the data themselves."""
    with torch.random.fork_rng():
        return floor(DATA, energy_distance, 800, 10)


@pytest.mark.parametrize("path, steps, how", WAYS.values(), ids=WAYS)
def test_every_way_to_move_makes_the_data(path, steps, how):
    x = path.exact(DATA).sample(800, steps, **how)
    assert energy_distance(x, DATA.sample(800)) < between().mean + 5 * between().sd


def test_noise_without_its_drift_makes_other_data():
    ts = VP().exact(DATA).times(100, torch.zeros(1, dtype=F64))
    x = solve(VP().exact(DATA), torch.randn(800, 2, dtype=F64), ts, noise=VP().diffusion)[-1]
    assert energy_distance(x, DATA.sample(800)) > between().mean + 20 * between().sd


def test_annealed_langevin_steps_are_langevins_at_the_next_level():
    """For one Gaussian each step is affine, so mean and variance follow by hand."""
    path, t, s, steps, ratio, n = VE(0.1, 3.0), 0.3, 0.45, 4, 0.2, 40_000
    field = path.exact(Mixture(torch.ones(1), torch.tensor([[0.7]], dtype=F64), 0.5))
    x = torch.full((n, 1), 2.0, dtype=F64)
    x[n // 2 :] = 1.0
    after = annealed_langevin(steps, ratio)(field, x, scalar(t), scalar(s - t))
    size, variance = ratio * float(path.sigma(scalar(s))) ** 2, float(path.sigma(scalar(s))) ** 2 + 0.25
    for half, mean in zip(after.chunk(2), (2.0, 1.0)):
        spread = 0.0
        for _ in range(steps):
            mean, spread = 0.7 + (1 - size / variance) * (mean - 0.7), (1 - size / variance) ** 2 * spread + 2 * size
        assert abs(float(half.mean()) - mean) < 5 * math.sqrt(spread / (n / 2))
        assert abs(float(half.var()) - spread) < 5 * spread * math.sqrt(2 / (n / 2))


def test_annealing_finds_both_modes_in_their_shares():
    """Langevin steps at the last level alone stay in the mode they start near."""
    modes = Mixture(torch.tensor([1.0, 3.0]), torch.tensor([[-4.0, 0.0], [4.0, 0.0]], dtype=F64), 0.4)
    path, n = VE(0.05, 10.0), 1200
    field = path.exact(modes)
    x = field.sample(n, 20, annealed_langevin(8, 0.2))
    near = torch.cdist(x, modes.means).min(1)
    share = float((near.indices == 1).double().mean())
    assert abs(share - 0.75) < 0.1 and float((near.values < 1.6).double().mean()) > 0.98
    start, (_, end) = 10 * torch.randn(n, 2, dtype=F64), path.span
    alone = langevin(lambda y: field.score(y, end), start, 0.05, 100)[-1]
    assert abs(float((alone[:, 0] > 0).double().mean()) - 0.5) < 0.08


def test_sampling_begins_with_the_noise_alone_and_blurs_only_where_there_is_jitter():
    x = torch.randn(50_000, 2, dtype=F64)
    for path in PATHS.values():
        assert torch.equal(path.begin(x, scalar(0.25)), path.sigma(scalar(0.25)) * x)
        if not path.jitter:
            assert path.blur(x) is x
    haze = PATHS["jittered"].blur(x) - x
    assert float(haze.std()) == pytest.approx(0.3, rel=5 / math.sqrt(2 * haze.numel())) and abs(float(haze.mean())) < 0.005


# --- shapes, precisions, sentences ---


@every
def test_empty_batches(path):
    field, none = path.exact(DATA), torch.zeros(0, 2, dtype=F64)
    assert field(none, 0.5).shape == field(none, torch.rand(0, dtype=F64)).shape == (0, 2)
    assert field.sample(0, 3).shape == (0, 2) and field.trajectory(0, 3).shape == (4, 0, 2)
    assert path.corrupt(none, torch.rand(0, dtype=F64))[0].shape == (0, 2)
    assert path.velocity(none, none, 0.5).shape == (0, 2)


@every
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_precision_follows_the_data(path, dtype):
    x, t = DATA.sample(4).to(dtype), torch.rand(4, dtype=F64) * 0.9
    assert (
        path.exact(DATA)(x, t).dtype == path.corrupt(x, t)[0].dtype == path.velocity(x, x, t).dtype == dtype
    )
    assert all(a.dtype == dtype for a in path.at(t, x))
    reference = path.exact(DATA)(x.double(), t.to(dtype).double())
    assert torch.allclose(
        path.exact(DATA)(x, t).double(),
        reference,
        rtol=0.2 if dtype == torch.bfloat16 else 1e-3,
        atol=0.4 if dtype == torch.bfloat16 else 1e-3,
    )


@every
def test_events_of_any_shape(path):
    """The Gaussian paths know nothing of the plane: images go through them as well."""
    x1, x0, t = torch.randn(3, 1, 4, 4), torch.randn(3, 1, 4, 4), torch.tensor([0.2, 0.5, 0.7])
    xt, _ = GaussianPath(path.alpha, path.sigma).corrupt(x1, t, x0)
    flat_t = [path.velocity(xt[i : i + 1], x1[i : i + 1], t[i]) for i in range(3)]
    assert torch.allclose(path.velocity(xt, x1, t), torch.cat(flat_t), rtol=1e-4, atol=1e-4)


def test_inputs_that_want_gradients_are_unharmed():
    x = DATA.sample(4).requires_grad_()
    before, version = x.detach().clone(), x._version
    Conical().exact(DATA).guess(x, 0.4).velocity.sum().backward()
    assert torch.equal(x.detach(), before) and x._version == version and torch.isfinite(x.grad).all()


def test_reprs_teach():
    assert (
        repr(Conical()) == "conical path: x_t = alpha(t)·x1 + sigma(t)·x0, x0 from N(0, I), t in [0.0, 1.0]"
    )
    assert "source" in repr(Linear(SOURCE)) and "exact field of the VP path for data" in repr(
        VP().exact(DATA)
    )
    assert "t = 0.50" in repr(Conical().marginal(DATA, 0.5))


X, META = torch.zeros(4, 2), torch.zeros(4, 2, device="meta")
FLOAT = DATA.to(torch.float32)
SENTENCES = [
    (lambda: Conical().at(1.5), ValueError, r"t runs from 1.5 to 1.5: expected times in \[0, 1\]"),
    (lambda: Conical().at(torch.tensor([0.2, float("nan")])), ValueError, "t runs from nan"),
    (lambda: Conical().corrupt(X, -0.2), ValueError, "t runs from -0.2"),
    (
        lambda: Conical().corrupt(X, torch.rand(3)),
        ValueError,
        r"t of shape \(3,\) does not fit x of shape \(4, 2\)",
    ),
    (lambda: Conical().corrupt(X.int(), 0.5), TypeError, "x1 has dtype torch.int32: expected floating point"),
    (lambda: Conical().corrupt(X * float("nan"), 0.5), ValueError, "x1 contains NaN in 8 of 8"),
    (
        lambda: Conical().corrupt(X, 0.5, X[:2]),
        ValueError,
        r"x0 and x1 differ in shape: \(2, 2\) and \(4, 2\)",
    ),
    (lambda: Conical().corrupt(X, 0.5, X.double()), ValueError, "x0 and x1 differ in dtype"),
    (lambda: Conical().corrupt(X, 0.5, META), ValueError, "x0 and x1 differ in device: meta and cpu"),
    (
        lambda: Conical().corrupt(X, torch.rand(4, device="meta")),
        ValueError,
        "t is on the device meta and x on cpu",
    ),
    (
        lambda: Linear(DATA.to(torch.float32)).draw(torch.zeros(4, 3)),
        ValueError,
        r"source's sample and x1 differ in shape",
    ),
    (
        lambda: Conical().velocity(X, X[:3], 0.5),
        ValueError,
        r"x and x1 differ in shape: \(4, 2\) and \(3, 2\)",
    ),
    (lambda: Conical().velocity(X, META, 0.5), ValueError, "x and x1 differ in device"),
    (lambda: Conical().score(X, X[0], 0.5), ValueError, "x and x1 differ in shape"),
    (lambda: Linear(SOURCE).score(X, X, 0.5), ValueError, "score needs a standard normal source x0"),
    (lambda: Linear(SOURCE).pair(X, X, 0.5).score, ValueError, "score needs a standard normal source"),
    (lambda: Linear(SOURCE).guess(X, 0.5, score=X), ValueError, "score needs a standard normal source"),
    (
        lambda: Linear(SOURCE).exact(DATA).score(X.double(), 0.5),
        ValueError,
        "score needs a standard normal source",
    ),
    (
        lambda: Linear(SOURCE).exact(DATA).sample(3, 2, noise=1.0),
        ValueError,
        "score needs a standard normal source",
    ),
    (
        lambda: Linear(SOURCE).exact(DATA).log_prob(X.double()),
        ValueError,
        "log_prob needs a standard normal source",
    ),
    (
        lambda: Linear(Gaussian(torch.zeros(2), 1.0)).exact(FLOAT),
        ValueError,
        "exact marginal needs a Mixture as source",
    ),
    (lambda: Conical().guess(X, 0.5), ValueError, "guess was given nothing: expected exactly one of data="),
    (
        lambda: Conical().guess(X, 0.5, data=X, noise=X),
        ValueError,
        r"given \['data', 'noise'\]: expected exactly one",
    ),
    (lambda: Conical().guess(X, 0.5, epsilon=X), ValueError, r"given \['epsilon'\]: expected exactly one"),
    (lambda: Conical().guess(X, 0.5, velocity=X[:, :1]), ValueError, r"velocity and xt differ in shape"),
    (lambda: Conical().guess(X, 0.5, velocity=META), ValueError, r"velocity and xt differ in device"),
    (
        lambda: Conical().guess(X, 0.5, velocity=None),
        TypeError,
        "velocity is a NoneType: expected a torch tensor",
    ),
    (
        lambda: Conical().guess(X, 0.0, noise=X),
        ValueError,
        r"noise does not determine the pair at some t in \[0, 0\]",
    ),
    (
        lambda: Conical().guess(X, 1.0, data=X),
        ValueError,
        "data does not determine the pair .* expected other times",
    ),
    (lambda: Conical().guess(X, 1.0, score=X), ValueError, "score does not determine the pair"),
    (
        lambda: Conical().exact(FLOAT)(torch.zeros(4, 3), 0.5),
        ValueError,
        r"xt has shape \(4, 3\): expected \(B, 2\)",
    ),
    (lambda: Conical().exact(FLOAT)(X * float("nan"), 0.5), ValueError, "xt contains NaN"),
    (lambda: Conical().exact(FLOAT)([[1.0, 2.0]], 0.5), TypeError, "xt is a list: expected a torch tensor"),
    (lambda: Conical().exact(FLOAT).sample(3, steps=0), ValueError, "steps is 0: expected at least one"),
    (lambda: Conical().marginal(FLOAT, torch.rand(3)), ValueError, r"t has shape \(3,\): expected one time"),
    (
        lambda: Conical().exact(FLOAT).elbo(X),
        ValueError,
        r"conical path has a density by the continuity equation: expected log_prob\(x\), not elbo",
    ),
    (
        lambda: ancestral(VP().exact(FLOAT), X, torch.tensor(0.5), torch.tensor(-0.1)),
        ValueError,
        "s lies before t: expected a step towards the data",
    ),
    (lambda: Linear(SOURCE).exact(DATA).sample(2, 2, annealed_langevin(1)), ValueError, "score needs a standard normal"),
    (lambda: VP(5.0, 1.0), ValueError, "beta runs from 5.0 to 1.0: expected 0 < beta_min"),
    (lambda: VE(1.0, 0.5), ValueError, "sigma runs from 1.0 to 0.5: expected 0 < sigma_min"),
]


@pytest.mark.parametrize(
    "act, error, told", SENTENCES, ids=[f"{i}-{told[:30]}" for i, (*_, told) in enumerate(SENTENCES)]
)
def test_bad_input_is_answered_with_a_sentence(act, error, told):
    with pytest.raises(error, match=told):
        act()


def test_a_guess_is_a_value():
    with pytest.raises(AttributeError):
        Guess(X, X, (X, X, X, X)).x1 = X
