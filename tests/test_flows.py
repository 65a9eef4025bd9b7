"""Flows: every law over every layer, in float64, with random weights far from the identity that they start as.

The oracles are of another kind: the Jacobian by automatic differentiation, a sum over a grid, a matrix's closed form,
counts of samples, the exact density of a mixture on its way along a Gaussian path.
"""
from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from dgm_course import data, nets
from dgm_course.distributions import Mixture
from dgm_course.dynamics import Counted, divergence, euler, heun, hutchinson
from dgm_course.fit import Recipe, fit, linear
from dgm_course.flows import (
    Affine,
    Asker,
    Bijection,
    Compose,
    ContinuousFlow,
    Coupling,
    Dequantise,
    Factor,
    Flow,
    Linear,
    Logit,
    MaskedAutoregressive,
    MaskedCoupling,
    Normal,
    Permutation,
    Planar,
    Spline,
    Squeeze,
    autoregressive,
    couplings,
    grey_spline,
    mlp,
    planars,
    set_scales,
    two_scales,
)
from dgm_course.flows.images import scale
from dgm_course.paths import VP, Conical

CHECKERS = torch.tensor([[[True, False], [False, True]]]).repeat(1, 2, 2)  # (1, 4, 4)

# A new layer is one line here: its name, the event it takes, and how it is built.
PLANE = {
    "Affine": lambda: Affine(2),
    "Linear": lambda: Linear(2),
    "Permutation": lambda: Permutation([1, 0]),
    "Coupling": lambda: Coupling([1], 2, mlp(1, 2, 16)),
    "MaskedCoupling": lambda: MaskedCoupling(torch.tensor([True, False]), mlp(2, 4, 16)),
    "MaskedAutoregressive": lambda: MaskedAutoregressive(2, 16),
    "MaskedAutoregressive, backwards": lambda: MaskedAutoregressive(2, 16, order=[1, 0]),
    "Planar": lambda: Planar(2),
    "Spline": lambda: Spline([-1.0, -0.5, 0.2, 1.5], [-2.0, 0.0, 0.5, 1.0]),
    "couplings": lambda: couplings(2, 4, 16),
    "autoregressive": lambda: autoregressive(2, 3, 16),
    "planars": lambda: planars(2, 6),
    "a mixed bag": lambda: Compose([Affine(2), Linear(2), *couplings(2, 2, 16).layers, Planar(2), Permutation([1, 0])]),
}
OTHERS = {
    "Linear, five": ((5,), lambda: Linear(5)),
    "Affine, image": ((2, 3, 3), lambda: Affine(2, 3, 3)),
    "couplings, odd": ((5,), lambda: couplings(5, 3, 16)),
    "Coupling, few kept": ((6,), lambda: Coupling([4, 1], 6, mlp(2, 8, 16))),
    "autoregressive, five": ((5,), lambda: autoregressive(5, 2, 32)),
    "MaskedAutoregressive, any order": ((5,), lambda: MaskedAutoregressive(5, 32, 3, order=[3, 0, 4, 1, 2])),
    "MaskedAutoregressive, one": ((1,), lambda: MaskedAutoregressive(1, 8)),
    "Planar, five": ((5,), lambda: Planar(5)),
    "checkerboard": ((1, 4, 4), lambda: MaskedCoupling(CHECKERS, Asker(1, 2, 6, (4, 4)))),
    "channels": ((4, 2, 2), lambda: Coupling([0, 3], 4, Asker(2, 4, 6, (2, 2)))),
    "Squeeze": ((2, 4, 4), lambda: Squeeze((2, 4, 4))),
    "Factor": ((2, 4, 4), lambda: Factor((2, 4, 4), Compose([Squeeze((1, 4, 4)), *scale((4, 2, 2), 2, 6),
                                                             Factor((4, 2, 2))]))),
    "two scales": ((1, 8, 8), lambda: Compose(two_scales((1, 8, 8), (2, 2), (6, 6)).layers[2:])),
}
LAYERS = {**{name: ((2,), make) for name, make in PLANE.items()}, **OTHERS}


def stirred(layer: nn.Module, amount: float = 0.3) -> nn.Module:
    layer = layer.double()
    with torch.no_grad():
        for k, p in enumerate(layer.parameters()):
            p.add_(amount * torch.randn(p.shape, generator=seeded(k + p.numel())).double())
    return layer


def seeded(seed: int = 5) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(event, n: int = 7, seed: int = 1) -> torch.Tensor:
    return torch.randn(n, *event, generator=seeded(seed), dtype=torch.float64)


def grid(half: float, points: int) -> tuple[torch.Tensor, float]:
    """Midpoints of a square of cells and their area."""
    side = 2 * half / points
    line = -half + side * (torch.arange(points, dtype=torch.float64) + 0.5)
    return torch.cartesian_prod(line, line), side**2


@pytest.fixture(params=LAYERS)
def any_layer(request):
    event, make = LAYERS[request.param]
    torch.manual_seed(0)
    return event, stirred(make())


@pytest.fixture(params=PLANE)
def plane(request):
    torch.manual_seed(0)
    return Flow(stirred(PLANE[request.param](), 0.2), 2).double()


# --- the laws


def test_the_way_back_is_the_way_back_in_both_directions(any_layer):
    event, layer = any_layer
    x = 2 * batch(event)
    z, _ = layer(x)
    assert isinstance(layer, (Permutation, Squeeze)) or (z.reshape(len(x), -1) - x.reshape(len(x), -1)).abs().max() > 0.05
    assert torch.allclose(layer.inverse(z), x, atol=1e-9)
    other = 2 * batch(z.shape[1:], seed=2)
    assert torch.allclose(layer(layer.inverse(other))[0], other, atol=1e-9)


def test_the_log_determinant_is_that_of_the_jacobian(any_layer):
    event, layer = any_layer
    for x in batch(event, 3, seed=3):
        jacobian = torch.autograd.functional.jacobian(lambda v: layer(v[None])[0][0].flatten(), x).reshape(x.numel(), -1)
        expected = torch.linalg.slogdet(jacobian).logabsdet
        assert layer(x[None])[1].shape == (1,)
        assert torch.allclose(layer(x[None])[1][0], expected, atol=1e-9)


def test_the_density_integrates_to_one(plane):
    x, area = grid(14.0, 560)
    with torch.no_grad():
        assert float(plane.log_prob(x).exp().sum() * area) == pytest.approx(1.0, abs=2e-3)


def test_samples_fall_where_the_density_is(plane):
    """In nine cells of the plane: the share of the samples against the integral of the density."""
    torch.manual_seed(3)
    n, (x, area) = 20_000, grid(14.0, 560)
    edges = torch.tensor([-0.51, 0.63])
    cells = lambda y: torch.bucketize(y[:, 0].contiguous(), edges) * 3 + torch.bucketize(y[:, 1].contiguous(), edges)
    with torch.no_grad():
        mass = torch.zeros(9).double().index_add(0, cells(x), plane.log_prob(x).exp() * area)
    share = torch.bincount(cells(plane.sample(n)), minlength=9) / n
    assert ((share - mass).abs() < 5 * (mass * (1 - mass) / n).sqrt() + 2e-3).all() and mass.max() < 0.7


def test_the_loss_and_its_gradient_are_those_of_the_mean_log_density(plane):
    x = batch((2,), 50)
    assert torch.equal(plane.loss(x), -plane.log_prob(x).mean())
    parameters = [p for p in plane.parameters() if p.requires_grad]
    if not parameters:
        return
    slopes = torch.autograd.grad(plane.loss(x), parameters, allow_unused=True)
    place = max(range(len(parameters)), key=lambda k: 0 if slopes[k] is None else float(slopes[k].abs().max()))
    p, slope = parameters[place], slopes[place]
    at, h = int(slope.abs().argmax()), 1e-5
    with torch.no_grad():
        values = []
        for step in (h, -2 * h):
            p.view(-1)[at] += step
            values.append(plane.loss(x))
    assert float((values[0] - values[1]) / (2 * h)) == pytest.approx(float(slope.view(-1)[at]), rel=1e-5)


def test_an_untrained_flow_of_couplings_is_the_identity():
    for layer in (couplings(3), autoregressive(3), Affine(3), Linear(3)):
        x = batch((3,)).float()
        z, ladj = layer(x)
        assert torch.allclose(z, x) and not ladj.detach().any()


# --- what each layer is


def test_a_linear_flow_of_noise_is_a_gaussian_with_that_covariance():
    flow = Flow(stirred(Linear(3)), 3).double()
    weight = flow.f.layers[0].matrix.detach().inverse()
    mean = weight @ -flow.f.layers[0].shift.detach()
    exact = torch.distributions.MultivariateNormal(mean, weight @ weight.T)
    x = batch((3,))
    assert torch.allclose(flow.log_prob(x), exact.log_prob(x))


def test_maximum_likelihood_of_a_linear_flow_finds_mean_and_covariance():
    torch.manual_seed(0)
    x = torch.randn(2000, 2) @ torch.tensor([[1.0, 0.7], [0.0, 0.5]]) + 1.0
    flow = Flow(Linear(2), 2)
    fit(flow, x, Recipe(400, 2000, 0.05, decay=linear))
    weight = flow.f.layers[0].matrix.detach().inverse()
    assert torch.allclose(weight @ weight.T, torch.cov(x.T, correction=0), atol=0.02)
    best = torch.distributions.MultivariateNormal(x.mean(0), torch.cov(x.T, correction=0)).log_prob(x).mean()
    assert float((flow.log_prob(x).mean() - best).detach()) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("order", [None, [2, 0, 3, 1]])
def test_an_autoregressive_layer_listens_to_the_places_before_and_to_no_other(order):
    layer = stirred(MaskedAutoregressive(4, 32, order=order), 0.6)
    jacobian = torch.autograd.functional.jacobian(lambda v: layer(v[None])[0][0], batch((4,), 1)[0])
    ranked = jacobian[order][:, order] if order else jacobian
    assert not ranked.triu(1).any()
    assert (ranked.tril(-1).abs() > 1e-6).sum() == 6 and torch.equal(ranked.diagonal().sign(), torch.ones(4).double())


def test_the_way_back_of_an_autoregressive_layer_takes_a_pass_for_each_place():
    layer, passes = stirred(MaskedAutoregressive(6, 16)), []
    layer.net.register_forward_hook(lambda *_: passes.append(1))
    z, _ = layer(batch((6,)))
    assert len(passes) == 1
    layer.inverse(z)
    assert len(passes) == 1 + 6


def test_a_coupling_leaves_what_it_keeps_and_never_inverts_its_network():
    layer = stirred(Coupling([0, 3], 4, mlp(2, 4, 16)))
    x = batch((4,))
    z, _ = layer(x)
    assert torch.equal(z[:, [0, 3]], x[:, [0, 3]]) and (z[:, [1, 2]] != x[:, [1, 2]]).all()
    jacobian = torch.autograd.functional.jacobian(lambda v: layer(v[None])[0][0], x[0])
    assert torch.equal(jacobian[[0, 3]], torch.eye(4).double()[[0, 3]])
    assert torch.equal(jacobian[1, 2], torch.zeros(()).double())


def test_the_log_scale_of_a_coupling_is_bounded():
    layer = Coupling([0], 2, lambda kept: torch.cat([1e6 * kept, kept], 1), bound=2.0)
    assert float(layer(torch.tensor([[1.0, 1.0]]))[1]) == pytest.approx(2.0)
    assert float(layer(torch.tensor([[-1.0, 1.0]]))[1]) == pytest.approx(-2.0)


def test_a_planar_layer_can_be_inverted_whatever_its_weights():
    for k in range(40):
        layer = Planar(3).double()
        with torch.no_grad():
            for j, p in enumerate(layer.parameters()):
                p.copy_(5 * torch.randn(p.shape, generator=seeded(10 * k + j)))
        x = batch((3,), 20, seed=k)
        z, ladj = layer(x)
        assert torch.isfinite(ladj).all() and torch.allclose(layer(layer.inverse(z))[0], z, atol=1e-8)


def test_scales_set_from_data_make_every_affine_layer_whiten():
    torch.manual_seed(0)
    layer = two_scales((1, 8, 8), (2, 2), (6, 6), levels=17)
    x = data.digits().train[:300]
    set_scales(layer, x, least=1e-6)
    seen = {}
    for name, part in layer.named_modules():
        if isinstance(part, Affine):
            part.register_forward_hook(lambda part, given, out, name=name: seen.__setitem__(name, out[0]))
    with torch.no_grad():
        layer(x)
    assert len(seen) == 6
    for out in seen.values():
        assert float(out.mean(0).abs().max()) < 0.4 and float((out.std(0) - 1).abs().max()) < 0.4


def test_a_checkerboard_of_pixels_is_a_split_of_channels():
    pixels = torch.arange(16.0).view(1, 1, 4, 4)
    channels, _ = Squeeze((1, 4, 4))(pixels)
    assert torch.equal(channels[0, [0, 3]].flatten().sort().values, pixels[0][CHECKERS])


# --- pixels


def test_dequantised_pixels_come_back_as_they_were_and_fill_their_bins():
    layer, x = Dequantise((1, 8, 8), 17), data.digits().train[:50].double()
    z, ladj = layer(x)
    assert torch.allclose(layer.inverse(z), x) and float(ladj[0]) == pytest.approx(-64 * math.log(17))
    bins = z * 17 - ((x + 1) * 8).round()
    assert bins.min() >= 0 and bins.max() < 1 and float(bins.mean()) == pytest.approx(0.5, abs=0.02)
    assert float(bins.std()) == pytest.approx(12**-0.5, abs=0.01)


def test_probabilities_of_all_images_sum_to_one_and_the_bound_lies_below():
    """Two pixels of three values: E_u exp(log_prob) is P(x) itself, and the nine of them sum to one."""
    torch.manual_seed(4)
    layer = Compose([Dequantise((2, 1, 1), 3), Logit(0.0), Factor((2, 1, 1)), stirred(couplings(2, 4, 16), 0.2)])
    flow, n = Flow(layer, 2).double(), 20_000
    images = torch.cartesian_prod(*[torch.tensor([-1.0, 0.0, 1.0]).double()] * 2).view(9, 2, 1, 1)
    with torch.no_grad():
        values = flow.log_prob(images.repeat(n, 1, 1, 1)).view(n, 9)
    chance, bound = values.exp().mean(0), values.mean(0)
    error = (values.exp().std(0) / n**0.5).square().sum().sqrt()
    assert abs(float(chance.sum()) - 1) < 5 * float(error) < 0.05
    assert (bound < chance.log()).all() and (bound > chance.log() - 6).all()


def test_the_logit_stretches_the_open_interval_and_its_density_is_that_of_a_logistic():
    x = torch.rand(200, 3, generator=seeded()).double()
    z, ladj = Logit(0.0)(x)
    assert torch.allclose(Logit(0.0).inverse(z), x)
    assert torch.allclose(ladj, -(nn.functional.logsigmoid(z) + nn.functional.logsigmoid(-z)).sum(1))
    z, ladj = Logit(0.1)(x)
    assert torch.allclose(Logit(0.1).inverse(z), x)
    slopes = torch.autograd.functional.jacobian(lambda v: Logit(0.1)(v[None])[0][0], x[0])
    assert torch.allclose(ladj[0], torch.linalg.slogdet(slopes).logabsdet)
    ends = torch.tensor([[0.0, 1.0, 0.5]]).double()
    assert torch.isfinite(Logit(0.05)(ends)[0]).all()


def test_a_spline_goes_through_its_points_and_straight_on():
    knots, values = torch.tensor([0.0, 0.1, 0.5, 1.0]).double(), torch.tensor([-1.0, 1.0, 1.5, 4.0]).double()
    spline = Spline(knots, values).double()
    assert torch.allclose(spline(knots[:, None])[0][:, 0], values, atol=1e-6)
    x = torch.linspace(-1, 2, 400, dtype=torch.float64)[:, None]
    z = spline(x)[0][:, 0].detach()
    assert (z.diff() > 0).all()
    for beyond in (z[x[:, 0] < 0], z[x[:, 0] > 1]):
        assert beyond.diff().diff().abs().max() < 1e-9
    assert torch.allclose(spline(x)[1], spline(x.view(-1, 1, 1, 1))[1])  # any event


def test_the_grey_spline_makes_a_bin_of_paper_nearly_normal():
    u = (torch.arange(20_000) + 0.5).double()[:, None] / 20_000
    for k in (0, 255):  # paper and ink: entropy of z = entropy of u + mean log slope, to be held against that of a normal
        z, ladj = (part.detach() for part in grey_spline().double()((k + u) / 256))
        missing = 0.5 * math.log(2 * math.pi * math.e * float(z.var())) - (float(ladj.mean()) - math.log(256))
        assert 0 <= missing < 0.03
    plain = 0.5 * math.log(2 * math.pi * math.e / 12)
    assert plain == pytest.approx(0.1765, abs=1e-3)  # what a uniform bin lacks


def test_a_flow_of_digits_learns_and_draws_digits_values():
    torch.manual_seed(0)
    images = data.digits()
    flow = Flow(two_scales((1, 8, 8), (2, 2), (8, 8), levels=17), 64)
    set_scales(flow.f, images.train[:500])
    before = float(flow.loss(images.test))
    fit(flow, images.train, Recipe(60, 64, 3e-3))
    assert float(flow.loss(images.test)) < before - 5
    drawn = flow.sample(9)
    assert drawn.shape == (9, 1, 8, 8) and torch.allclose((drawn + 1) * 8, ((drawn + 1) * 8).round(), atol=1e-4)


# --- continuous flows


def linear_field(matrix: torch.Tensor):
    return lambda x, t: x @ matrix.T


def test_a_linear_field_makes_the_gaussian_of_its_matrix_exponential():
    matrix = torch.tensor([[0.3, -1.0], [0.8, -0.6]], dtype=torch.float64)
    flow, x = ContinuousFlow(linear_field(matrix), 2, steps=40).double(), batch((2,))
    power = torch.linalg.matrix_exp(matrix)
    exact = torch.distributions.MultivariateNormal(torch.zeros(2).double(), power @ power.T)
    assert torch.allclose(flow.log_prob(x), exact.log_prob(x), atol=1e-7)
    assert torch.allclose(flow(x)[1], torch.full((7,), -float(matrix.trace())).double(), atol=1e-9)
    assert torch.allclose(flow.inverse(flow(x)[0]), x, atol=1e-6)


@pytest.mark.parametrize("path", [Conical(), VP()], ids=["conical", "VP"])
def test_the_field_of_a_gaussian_path_has_the_exact_density_of_its_mixture(path):
    mixture = Mixture(torch.tensor([0.3, 0.7]), torch.tensor([[-1.0, 0.5], [1.2, -0.3]]), 0.6).to(torch.float64)
    exact = path.exact(mixture)
    for end in (0.4, 0.9):
        flow = ContinuousFlow(exact, exact.marginal(path.span[0]), steps=60, span=(path.span[0], end)).double()
        x = mixture.sample(30)
        assert torch.allclose(flow.log_prob(x), exact.marginal(end).log_prob(x), atol=2e-3)


def test_the_density_of_a_continuous_flow_integrates_to_one():
    torch.manual_seed(0)
    flow = ContinuousFlow(stirred(nets.MLP(2, 16, 2), 0.5), 2, steps=8).double()
    x, area = grid(9.0, 160)
    with torch.no_grad():
        assert float(flow.log_prob(x).exp().sum() * area) == pytest.approx(1.0, abs=2e-3)


def test_random_signs_estimate_the_same_density():
    torch.manual_seed(0)
    field = stirred(nets.MLP(3, 16, 2), 0.5)
    x = batch((3,), 4)
    with torch.no_grad():
        exact = ContinuousFlow(field, 3, 6).double().log_prob(x)
        guess = ContinuousFlow(field, 3, 6, trace=hutchinson).double().log_prob(x.repeat(2000, 1)).view(2000, 4)
    assert ((guess.mean(0) - exact).abs() < 5 * guess.std(0) / 2000**0.5).all() and (guess.std(0) > 0.01).all()


@pytest.mark.parametrize("method", [euler, heun])
def test_the_gradient_through_the_solver_is_that_of_the_loss(method):
    torch.manual_seed(0)
    field = stirred(nets.MLP(2, 8, 1), 0.5)
    flow, x = ContinuousFlow(field, 2, 4, method).double(), batch((2,), 20)
    weight = field.layers[0].weight
    slope, = torch.autograd.grad(flow.loss(x), weight)
    at, h, values = int(slope.abs().argmax()), 1e-5, []
    with torch.no_grad():
        for step in (h, -2 * h):
            weight.view(-1)[at] += step
            values.append(float(flow.loss(x)))
    assert (values[0] - values[1]) / (2 * h) == pytest.approx(float(slope.view(-1)[at]), rel=1e-6)


def test_the_field_is_asked_once_for_point_and_trace():
    counted = Counted(linear_field(torch.eye(2).double()))
    with torch.no_grad():
        ContinuousFlow(counted, 2, 5).double().log_prob(batch((2,)))
    assert counted.calls == 5 * 4


def test_a_continuous_flow_learns_by_maximum_likelihood():
    torch.manual_seed(0)
    x = torch.randn(400, 2) @ torch.tensor([[1.5, 0.5], [0.0, 0.4]])
    flow = ContinuousFlow(nets.MLP(2, 16, 1), 2, 4)
    before = float(flow.loss(x))
    fit(flow, x, Recipe(40, 200, 0.02))
    assert float(flow.loss(x)) < before - 0.1
    assert flow.sample(5).shape == (5, 2) and flow.trace is divergence


# --- as a part of something else


def test_a_flow_is_a_prior_like_any_other():
    """What a VAE asks of a prior: log_prob with gradients to z and to the prior's own weights, samples of its event."""
    flow = Flow(couplings(4, 2, 16), 4)
    z = torch.randn(6, 4, requires_grad=True)
    flow.log_prob(z).sum().backward()
    assert z.grad is not None and all(p.grad is not None for p in flow.parameters())
    assert flow.sample(3).shape == (3, 4) and not flow.sample(3).requires_grad


def test_a_flow_may_end_in_any_density():
    moons = data.moons()
    flow, x = Flow(Affine(2), moons), moons.sample(9)
    flow.f.layers[0].shift.data += 1.0
    assert torch.allclose(flow.log_prob(x + 1), moons.log_prob(x), atol=1e-4) and flow.sample(4).shape == (4, 2)


def test_stages_end_in_the_sample():
    flow = Flow(stirred(couplings(2, 3, 16)), 2).double()
    z = batch((2,))
    assert flow.stages(z).shape == (4, 7, 2) and torch.equal(flow.stages(z)[-1], flow.f.inverse(z))


def test_weights_travel_and_the_order_of_the_places_with_them():
    one, other = Flow(stirred(autoregressive(3, 2, 16)), 3), Flow(autoregressive(3, 2, 16).double(), 3)
    other.load_state_dict(one.state_dict())
    x = batch((3,))
    assert torch.equal(one.double().log_prob(x), other.double().log_prob(x))
    assert Flow(couplings(3, 2, 16), 3).to("meta").f(torch.zeros(2, 3, device="meta"))[1].device.type == "meta"


def test_a_cold_sample_is_nearer_to_the_middle():
    flow = Flow(Affine(2), 2)
    torch.manual_seed(0)
    assert float(flow.sample(2000, 0.5).std()) == pytest.approx(0.5, abs=0.03)


def test_reprs_say_what_a_thing_is():
    assert "log p(x) = log p(f(x)) + log |det" in repr(Flow(couplings(2, 2), 2))
    assert "trace: hutchinson" in repr(ContinuousFlow(nets.MLP(2), 2, trace=hutchinson))
    assert "[1] scaled and moved by what [0] say" in repr(couplings(2, 1))


# --- wrong input is a sentence


def test_an_empty_batch_passes_and_a_mean_over_it_does_not():
    flow = Flow(couplings(2, 2), 2)
    assert flow.log_prob(torch.zeros(0, 2)).shape == (0,) and flow.sample(0).shape == (0, 2)
    with pytest.raises(ValueError, match="empty batch"):
        flow.loss(torch.zeros(0, 2))
    images = Flow(two_scales((1, 8, 8), (2, 2), (4, 4)), 64)
    assert images.log_prob(torch.zeros(0, 1, 8, 8)).shape == (0,) and images.sample(0).shape == (0, 1, 8, 8)


NUMBERS = torch.zeros(3, 2)
FAULTS = {
    "wrong dimension": (lambda: couplings(3)(NUMBERS), r"x has shape \(3, 2\): expected \(B, 3, ...\)"),
    "no batch": (lambda: Affine(2)(torch.zeros(2)), r"x has shape \(2,\): expected \(B, 2\)"),
    "no batch, coupling": (lambda: couplings(2)(torch.zeros(2)), r"x has shape \(2,\): expected \(B, 2, ...\)"),
    "NaN": (lambda: couplings(2)(NUMBERS + math.nan), "x contains NaN in 6 of 6 places"),
    "NaN back": (lambda: couplings(2).inverse(NUMBERS + math.nan), "z contains NaN"),
    "integers": (lambda: Flow(couplings(2), 2).log_prob(NUMBERS.long()), "x has dtype torch.int64: expected floating point"),
    "one coordinate": (lambda: couplings(1), "dim is 1: expected at least 2"),
    "all kept": (lambda: Coupling([0, 1], 2, mlp(2, 2)), r"kept is \[0, 1\]: expected some places of 0 to 1"),
    "none kept": (lambda: Coupling([], 2, mlp(2, 2)), r"kept is \[\]"),
    "kept twice": (lambda: Coupling([0, 0], 3, mlp(2, 2)), r"kept is \[0, 0\]"),
    "mask of numbers": (lambda: MaskedCoupling(torch.tensor([1.0, 0.0]), mlp(2, 4)), "expected torch.bool"),
    "no permutation": (lambda: Permutation([0, 0]), r"order is \[0, 0\]: expected a permutation of 0 to 1"),
    "no order": (lambda: MaskedAutoregressive(3, order=[0, 1]), r"order is \[0, 1\]: expected a permutation of 0 to 2"),
    "permutation of others": (lambda: Permutation([0, 1, 2])(NUMBERS), r"x has shape \(3, 2\): expected \(B, 3, ...\)"),
    "pixels 0 to 255": (lambda: Dequantise((2,), 256)(NUMBERS + 255), "x runs from 255 to 255: expected pixels of 256"),
    "pixels between": (lambda: Dequantise((2,), 3)(NUMBERS + 0.3), "expected pixels of 3 equally spaced values"),
    "pixels dequantised": (lambda: Dequantise((2,), 256)(torch.rand(3, 2)), "not dequantised already"),
    "one level": (lambda: Dequantise((2,), 1), "levels is 1"),
    "logit of 0": (lambda: Logit(0.0)(NUMBERS), r"x runs from 0 to 0: expected numbers in \(0, 1\), ends excluded"),
    "logit of 1": (lambda: Logit(0.0)(NUMBERS + 1), "the logit of 0 or 1 is infinite"),
    "logit outside": (lambda: Logit(0.05)(NUMBERS - 1), r"x runs from -1 to -1: expected numbers in \[0, 1\]"),
    "knots that fall": (lambda: Spline([0.0, 1.0, 0.5], [0.0, 1.0, 2.0]), "expected two increasing rows"),
    "one knot": (lambda: Spline([0.0], [0.0]), "two numbers or more"),
    "unequal knots": (lambda: Spline([0.0, 1.0], [0.0, 1.0, 2.0]), r"knots \(2,\) and values \(3,\)"),
    "margin": (lambda: Logit(0.5), "margin is 0.5: expected a number from 0 to below 0.5"),
    "odd image": (lambda: Squeeze((1, 7, 8)), r"event is \(1, 7, 8\): expected \(C, H, W\) with H and W even"),
    "odd channels": (lambda: Factor((3, 2, 2), Squeeze((1, 2, 2))), "expected an even number of channels"),
    "one sample": (lambda: Affine(2).set_from(NUMBERS[:1]), "x holds one sample"),
    "no base": (lambda: Flow(Affine(2), "normal"), "base is a str: expected an object with log_prob and sample"),
    "temperature": (lambda: Flow(Affine(2), 2).sample(3, 0.0), "temperature is 0.0: expected a number above 0"),
    "no layer": (lambda: Flow([nn.Linear(2, 2)], 2), "a layer is a Linear: expected invertible layers"),
    "no steps": (lambda: ContinuousFlow(nets.MLP(2), 2, steps=0), "steps is 0: expected at least one"),
    "noise of another shape": (lambda: Normal(3).log_prob(NUMBERS), r"z has shape \(3, 2\): expected \(B, 3\)"),
    "field without gradient": (lambda: ContinuousFlow(lambda x, t: torch.ones(3, 2), 2).log_prob(NUMBERS), "not tied to x"),
    "nothing said": (lambda: Bijection()(NUMBERS), "Bijection does not say what f is"),
    "no way back": (lambda: Bijection().inverse(NUMBERS), "Bijection has no way back"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_wrong_input_is_a_sentence(name):
    wrong, sentence = FAULTS[name]
    with pytest.raises((ValueError, TypeError, NotImplementedError), match=sentence):
        wrong()
