"""Laws hold for the exact field and break for a field that is slightly wrong."""

import itertools
import math

import pytest
import torch

from dgm_course import data, nets, paths
from dgm_course.core.distributions import Mixture
from dgm_course.paths import VE, VP, Conical, Cosine, ExactField, GaussianPath
from dgm_course.teach import oracles
from dgm_course.teach.verify import LawBroken, verify

F64 = torch.float64
DATA = Mixture(
    torch.tensor([1.0, 2.0]),
    torch.tensor([[-1.5, 0.5], [1.0, 1.0]], dtype=F64),
    torch.tensor([[0.4, 0.6], [0.7, 0.5]]),
    "data",
)
PATHS = [Conical(), VP(), VE(), Cosine(), GaussianPath(lambda t: t * (2 - t), lambda t: 1.1 - t, name="home-made")]
each_path = pytest.mark.parametrize("path", PATHS, ids=[p.name for p in PATHS])


class Slow(ExactField):
    """The exact field, one per cent too slow."""

    def forward(self, x, t):
        return 0.99 * super().forward(x, t)


def test_the_grid_goes_row_by_row():
    nodes = oracles.grid(-1, 2, 4)
    assert nodes.shape == (16, 2) and nodes.dtype == F64
    assert nodes[:5].tolist() == [[-1, -1], [-1, 0], [-1, 1], [-1, 2], [0, -1]]


@each_path
@pytest.mark.parametrize("t", [0.1, 0.5, 0.8])
def test_continuity_holds_and_notices_one_per_cent(path, t):
    x = path.marginal(DATA, t).sample(200, torch.Generator().manual_seed(0))
    left, right = oracles.continuity(path.exact(DATA), x, t)
    assert left.shape == right.shape == (200,) and float(left.abs().max()) > 1e-4
    verify("law", left, right, "∂p/∂t = −div(f p)", tolerance=1e-8)
    with pytest.raises(LawBroken):
        verify("law", *oracles.continuity(Slow(path, DATA), x, t), "∂p/∂t = −div(f p)", tolerance=1e-3)


def test_continuity_is_the_change_of_the_density():
    """The left side once more, by differences of the library's own marginal."""
    x = oracles.grid(-2, 2, 5)
    left, _ = oracles.continuity(Conical().exact(DATA), x, 0.6)
    change = oracles.time_derivative(
        lambda t: Conical().marginal(DATA, float(t)).log_prob(x).exp(), torch.tensor(0.6, dtype=F64)
    )
    assert torch.allclose(left, change, atol=1e-8)


@each_path
@pytest.mark.parametrize("t", [0.2, 0.5])
def test_the_theorem_taken_literally_is_the_exact_field(path, t):
    x, nodes = DATA.sample(6, torch.Generator().manual_seed(1)), oracles.grid(-5, 5, 121)
    by_sum = oracles.field_by_quadrature(path, DATA, x, t, nodes)
    verify("law", by_sum, path.exact(DATA)(x, t), "f = Σ f p(z | x)", tolerance=1e-6)
    with pytest.raises(LawBroken):
        verify("law", by_sum, Slow(path, DATA)(x, t), "f = Σ f p(z | x)", tolerance=1e-3)


def test_the_objective_by_quadrature_is_the_expectation():
    """For model = f + c the objective is c² exactly; for another, the mean over samples."""
    field, ts, nodes = Conical().exact(DATA), (torch.arange(10, dtype=F64) + 0.5) / 10, oracles.grid(-7, 7, 81)
    area = (14 / 80) ** 2
    shifted = oracles.objective_by_quadrature(
        field, lambda x, t: field(x, t) + torch.tensor([0.6, 0.8]), ts, nodes, area
    )
    assert float(shifted) == pytest.approx(1, abs=1e-6)
    ours = oracles.objective_by_quadrature(field, lambda x, t: -x * t, ts, nodes, area)
    torch.manual_seed(0)
    values = torch.stack(
        [(field(x, t) + x * t).square().sum(1) for t in ts for x in [field.marginal(t).sample(20_000)]]
    )
    error = float(values.var(1).mean().sqrt()) / math.sqrt(values.numel())
    assert abs(float(ours) - float(values.mean())) < 5 * error


def test_the_time_derivative_is_of_fourth_order():
    t = torch.tensor([0.3, 1.2], dtype=F64)
    errors = [float((oracles.time_derivative(torch.sin, t, h) - torch.cos(t)).abs().max()) for h in (0.2, 0.1)]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(4, abs=0.1)
    assert torch.allclose(oracles.time_derivative(torch.exp, t), torch.exp(t), rtol=1e-10)


def test_gradients_are_rows_of_independent_samples():
    a, b = torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([[3.0]], requires_grad=True)
    rows = oracles.gradients(lambda i: (a * a).sum() * (i + 1) + 5 * b.sum(), [a, b], 3)
    assert rows.tolist() == [[2, 4, 5], [4, 8, 5], [6, 12, 5]] and not rows.requires_grad


# --- tokens


@pytest.fixture
def guesser():
    """A small network of random weights that does not look at the time, and three words."""
    torch.manual_seed(3)
    model = paths.absorbing(nets.TokenMLP(2, 3), (3,), 2).double()
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.2)
    model.net.layers[0].weight.data[:, -1] = 0
    return model, torch.tensor([[0, 1, 1], [1, 1, 1], [0, 0, 1]])


def test_chain_likelihood_matches_sample_frequencies(guesser):
    model, words = guesser
    every = torch.cartesian_prod(*[torch.arange(2)] * 3)
    for steps in (1, 2, 3):
        p = oracles.chain_likelihood(model, every, steps)
        assert float(p.sum()) == pytest.approx(1, abs=1e-9)
        drawn = (model.sample(40_000, steps=steps) * torch.tensor([4, 2, 1])).sum(1).bincount(minlength=8) / 40_000
        assert float((drawn - p).abs().max()) < 5 * 0.5 / 40_000**0.5
    assert torch.allclose(
        oracles.chain_likelihood(model, words, 2),
        oracles.chain_likelihood(model, words, 2, oracles.token_chances(model, words, 0.1)),
    )


def test_any_order_likelihood_is_the_mean_over_orders(guesser):
    model, words = guesser
    chances, orders = oracles.token_chances(model, words, 0.5), []
    for order in itertools.permutations(range(3)):
        visible, total = 0, torch.zeros(3).double()
        for place in order:
            total, visible = total + chances[:, visible, place].log(), visible + 2**place
        orders.append(total)
    orders = torch.stack(orders)
    assert torch.allclose(oracles.any_order_likelihood(model, words), orders.exp().mean(0))
    assert torch.allclose(oracles.chain_bound(model.path, chances, 3000), orders.mean(0), rtol=2e-3)


@pytest.mark.slow
def test_chain_bound_is_the_elbo(guesser):
    model, words = guesser
    chances = oracles.token_chances(model, words, 0.5)
    for steps in (1, 2, 5):
        exact = oracles.chain_bound(model.path, chances, steps)
        with torch.no_grad():
            drawn = torch.stack([model.elbo(words, steps=steps, draws=1) for _ in range(1500)])
        assert ((drawn.mean(0) - exact).abs() <= 5 * drawn.std(0) / 1500**0.5 + 1e-12).all()
        assert (exact <= oracles.chain_likelihood(model, words, steps).log() + 1e-9).all()


def test_density_change_is_independent_of_noise(guesser):
    field, here = VP().exact(data.moons().to(torch.float64)), oracles.grid(-3, 3, 9)
    change, _ = oracles.continuity(field, here, 0.6)
    for noise in (0.0, 0.7, 2.0):
        assert torch.allclose(oracles.fokker_planck(field, here, 0.6, noise), change, atol=1e-9)
