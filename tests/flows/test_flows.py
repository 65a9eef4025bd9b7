"""The laws of a flow for every layer: inverse, Jacobian by automatic differentiation, integral over a grid, samples."""

from __future__ import annotations

import pytest
import torch

from dgm_course import data
from dgm_course.flows import (
    ActNorm,
    Compose,
    Coupling,
    CouplingCNN,
    Flow,
    LULinear,
    MaskedAutoregressive,
    MaskedCoupling,
    Permutation,
    Planar,
    Spline,
    Split,
    Squeeze,
    autoregressive,
    couplings,
    mlp,
    multiscale_realnvp,
    planars,
)
from dgm_course.flows.images import scale

from .models import CHECKERS, batch, grid, stirred

# Every law is tested for every layer here.
PLANE = {
    "ActNorm": lambda: ActNorm(2),
    "Linear": lambda: LULinear(2),
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
    "mixed": lambda: Compose(
        [ActNorm(2), LULinear(2), *couplings(2, 2, 16).layers, Planar(2), Permutation([1, 0])]
    ),
}


def split():
    return Split((2, 4, 4), Compose([Squeeze((1, 4, 4)), *scale((4, 2, 2), 2, 6), Split((4, 2, 2))]))


OTHERS = {
    "Linear, five": ((5,), lambda: LULinear(5)),
    "Affine, image": ((2, 3, 3), lambda: ActNorm(2, 3, 3)),
    "couplings, odd": ((5,), lambda: couplings(5, 3, 16)),
    "Coupling, few kept": ((6,), lambda: Coupling([4, 1], 6, mlp(2, 8, 16))),
    "autoregressive, five": ((5,), lambda: autoregressive(5, 2, 32)),
    "MaskedAutoregressive, any order": ((5,), lambda: MaskedAutoregressive(5, 32, 3, order=[3, 0, 4, 1, 2])),
    "MaskedAutoregressive, one": ((1,), lambda: MaskedAutoregressive(1, 8)),
    "Planar, five": ((5,), lambda: Planar(5)),
    "checkerboard": ((1, 4, 4), lambda: MaskedCoupling(CHECKERS, CouplingCNN(1, 2, 6, (4, 4)))),
    "channels": ((4, 2, 2), lambda: Coupling([0, 3], 4, CouplingCNN(2, 4, 6, (2, 2)))),
    "Squeeze": ((2, 4, 4), lambda: Squeeze((2, 4, 4))),
    "Split": ((2, 4, 4), split),
    "two scales": ((1, 8, 8), lambda: Compose(multiscale_realnvp((1, 8, 8), (2, 2), (6, 6)).layers[2:])),
}
LAYERS = {**{name: ((2,), make) for name, make in PLANE.items()}, **OTHERS}


@pytest.fixture(params=LAYERS)
def any_layer(request):
    event, make = LAYERS[request.param]
    torch.manual_seed(0)
    return event, stirred(make())


@pytest.fixture(params=PLANE)
def plane(request):
    torch.manual_seed(0)
    return Flow(stirred(PLANE[request.param](), 0.2), 2).double()


def test_inverse_inverts_in_both_directions(any_layer):
    event, layer = any_layer
    x = 2 * batch(event)
    z, _ = layer(x)
    assert isinstance(layer, (Permutation, Squeeze)) or (z.flatten(1) - x.flatten(1)).abs().max() > 0.05
    assert torch.allclose(layer.inverse(z), x, atol=1e-9)
    other = 2 * batch(z.shape[1:], seed=2)
    assert torch.allclose(layer(layer.inverse(other))[0], other, atol=1e-9)


def test_ladj_is_that_of_the_jacobian(any_layer):
    event, layer = any_layer
    for x in batch(event, 3, seed=3):
        jacobian = torch.autograd.functional.jacobian(lambda v: layer(v[None])[0].flatten(), x)
        expected = torch.linalg.slogdet(jacobian.view(x.numel(), -1)).logabsdet
        assert torch.allclose(layer(x[None])[1], expected[None], atol=1e-9)


def test_density_integrates_to_one(plane):
    x, area = grid(14.0, 560)
    with torch.no_grad():
        assert float(plane.log_prob(x).exp().sum() * area) == pytest.approx(1.0, abs=2e-3)


def test_samples_have_the_density(plane):
    """In nine cells of the plane."""
    torch.manual_seed(3)
    n, (x, area) = 20_000, grid(14.0, 560)
    edges = torch.tensor([-0.51, 0.63])
    cells = lambda y: (
        torch.bucketize(y[:, 0].contiguous(), edges) * 3 + torch.bucketize(y[:, 1].contiguous(), edges)
    )
    with torch.no_grad():
        mass = torch.zeros(9).double().index_add(0, cells(x), plane.log_prob(x).exp() * area)
    share = torch.bincount(cells(plane.sample(n)), minlength=9) / n
    assert ((share - mass).abs() < 5 * (mass * (1 - mass) / n).sqrt() + 2e-3).all() and mass.max() < 0.7


def test_loss_is_minus_mean_log_density(plane):
    x = batch((2,), 50)
    assert torch.equal(plane.loss(x), -plane.log_prob(x).mean())


def test_untrained_layers_are_the_identity():
    for layer in (couplings(3), autoregressive(3), ActNorm(3), LULinear(3)):
        x = batch((3,)).float()
        z, ladj = layer(x)
        assert torch.allclose(z, x) and not ladj.detach().any()


def test_flow_is_a_prior():
    """log_prob has gradients of z and of the weights; samples have the event."""
    flow = Flow(couplings(4, 2, 16), 4)
    z = torch.randn(6, 4, requires_grad=True)
    flow.log_prob(z).sum().backward()
    assert z.grad is not None and all(p.grad is not None for p in flow.parameters())
    assert flow.sample(3).shape == (3, 4) and not flow.sample(3).requires_grad


def test_base_may_be_any_density():
    moons = data.moons()
    flow, x = Flow(ActNorm(2), moons), moons.sample(9)
    flow.f.layers[0].shift.data += 1.0
    assert torch.allclose(flow.log_prob(x + 1), moons.log_prob(x), atol=1e-4) and flow.sample(4).shape == (4, 2)


def test_stages_end_in_the_sample():
    flow = Flow(stirred(couplings(2, 3, 16)), 2).double()
    z = batch((2,))
    assert flow.stages(z).shape == (4, 7, 2) and torch.equal(flow.stages(z)[-1], flow.f.inverse(z))


def test_weights_and_order_are_saved():
    one, other = Flow(stirred(autoregressive(3, 2, 16)), 3), Flow(autoregressive(3, 2, 16).double(), 3)
    other.load_state_dict(one.state_dict())
    x = batch((3,))
    assert torch.equal(one.double().log_prob(x), other.double().log_prob(x))
    assert Flow(couplings(3, 2, 16), 3).to("meta").f(torch.zeros(2, 3, device="meta"))[1].device.type == "meta"


def test_low_temperature_shrinks_samples():
    flow = Flow(ActNorm(2), 2)
    torch.manual_seed(0)
    assert float(flow.sample(2000, 0.5).std()) == pytest.approx(0.5, abs=0.03)


def test_reprs_name_equation_and_coordinates():
    assert "log p(x) = log p(f(x)) + log |det" in repr(Flow(couplings(2, 2), 2))
    assert "[1] scaled and moved by what [0] say" in repr(couplings(2, 1))
