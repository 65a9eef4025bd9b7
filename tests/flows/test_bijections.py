"""Single layers: Gaussians, dependence of outputs on inputs, bounds, scales set from data, pixels."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from dgm_course import data
from dgm_course.flows import (
    ActNorm,
    Compose,
    Coupling,
    Dequantise,
    Flow,
    Logit,
    LULinear,
    MaskedAutoregressive,
    Planar,
    Spline,
    Split,
    Squeeze,
    couplings,
    grey_spline,
    mlp,
    multiscale_realnvp,
    set_scales,
)
from dgm_course.training import Recipe, fit, linear

from .models import CHECKERS, batch, seeded, stirred


def test_linear_flow_is_a_gaussian():
    flow = Flow(stirred(LULinear(3)), 3).double()
    weight = flow.f.layers[0].matrix.detach().inverse()
    mean = weight @ -flow.f.layers[0].shift.detach()
    exact = torch.distributions.MultivariateNormal(mean, weight @ weight.T)
    x = batch((3,))
    assert torch.allclose(flow.log_prob(x), exact.log_prob(x))


def test_linear_flow_learns_mean_and_covariance():
    torch.manual_seed(0)
    x = torch.randn(2000, 2) @ torch.tensor([[1.0, 0.7], [0.0, 0.5]]) + 1.0
    flow = Flow(LULinear(2), 2)
    fit(flow, x, Recipe(400, 2000, 0.05, decay=linear))
    weight = flow.f.layers[0].matrix.detach().inverse()
    assert torch.allclose(weight @ weight.T, torch.cov(x.T, correction=0), atol=0.02)
    best = torch.distributions.MultivariateNormal(x.mean(0), torch.cov(x.T, correction=0)).log_prob(x).mean()
    assert float((flow.log_prob(x).mean() - best).detach()) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("order", [None, [2, 0, 3, 1]])
def test_autoregressive_layer_has_triangular_jacobian(order):
    layer = stirred(MaskedAutoregressive(4, 32, order=order), 0.6)
    jacobian = torch.autograd.functional.jacobian(lambda v: layer(v[None])[0][0], batch((4,), 1)[0])
    ranked = jacobian[order][:, order] if order else jacobian
    assert not ranked.triu(1).any() and (ranked.diagonal() > 0).all()
    assert (ranked.tril(-1).abs() > 1e-6).sum() == 6


def test_autoregressive_inverse_takes_d_passes():
    layer, passes = stirred(MaskedAutoregressive(6, 16)), []
    layer.net.register_forward_hook(lambda *_: passes.append(1))
    z, _ = layer(batch((6,)))
    assert len(passes) == 1
    layer.inverse(z)
    assert len(passes) == 1 + 6


def test_coupling_keeps_and_has_triangular_jacobian():
    layer = stirred(Coupling([0, 3], 4, mlp(2, 4, 16)))
    x = batch((4,))
    z, _ = layer(x)
    assert torch.equal(z[:, [0, 3]], x[:, [0, 3]]) and (z[:, [1, 2]] != x[:, [1, 2]]).all()
    jacobian = torch.autograd.functional.jacobian(lambda v: layer(v[None])[0][0], x[0])
    assert torch.equal(jacobian[[0, 3]], torch.eye(4).double()[[0, 3]])
    assert torch.equal(jacobian[1, 2], torch.zeros(()).double())


def test_log_scale_of_coupling_is_bounded():
    layer = Coupling([0], 2, lambda kept: torch.cat([1e6 * kept, kept], 1), bound=2.0)
    assert float(layer(torch.tensor([[1.0, 1.0]]))[1]) == pytest.approx(2.0)
    assert float(layer(torch.tensor([[-1.0, 1.0]]))[1]) == pytest.approx(-2.0)


def test_planar_layer_is_invertible_for_any_weights():
    for k in range(40):
        layer = Planar(3).double()
        with torch.no_grad():
            for j, p in enumerate(layer.parameters()):
                p.copy_(5 * torch.randn(p.shape, generator=seeded(10 * k + j)))
        x = batch((3,), 20, seed=k)
        z, ladj = layer(x)
        assert torch.isfinite(ladj).all() and torch.allclose(layer(layer.inverse(z))[0], z, atol=1e-8)


def test_set_scales_whitens_after_every_actnorm():
    torch.manual_seed(0)
    layer = multiscale_realnvp((1, 8, 8), (2, 2), (6, 6), levels=17)
    x = data.digits().train[:300]
    set_scales(layer, x, least=1e-6)
    seen = {}
    for name, part in layer.named_modules():
        if isinstance(part, ActNorm):
            part.register_forward_hook(lambda part, given, out, name=name: seen.__setitem__(name, out[0]))
    with torch.no_grad():
        layer(x)
    assert len(seen) == 6
    for out in seen.values():
        assert float(out.mean(0).abs().max()) < 0.4 and float((out.std(0) - 1).abs().max()) < 0.4


def test_squeeze_makes_checkerboard_a_channel_split():
    pixels = torch.arange(16.0).view(1, 1, 4, 4)
    channels, _ = Squeeze((1, 4, 4))(pixels)
    assert torch.equal(channels[0, [0, 3]].flatten().sort().values, pixels[0][CHECKERS])


def test_dequantised_pixels_fill_their_bins():
    layer, x = Dequantise((1, 8, 8), 17), data.digits().train[:50].double()
    z, ladj = layer(x)
    assert torch.allclose(layer.inverse(z), x) and float(ladj[0]) == pytest.approx(-64 * math.log(17))
    bins = z * 17 - ((x + 1) * 8).round()
    assert bins.min() >= 0 and bins.max() < 1 and float(bins.mean()) == pytest.approx(0.5, abs=0.02)
    assert float(bins.std()) == pytest.approx(12**-0.5, abs=0.01)


def test_image_probabilities_sum_to_one():
    """Two pixels of three values: E_u exp(log_prob) is P(x) itself, and the nine of them sum to one."""
    torch.manual_seed(4)
    layer = Compose([Dequantise((2, 1, 1), 3), Logit(0.0), Split((2, 1, 1)), stirred(couplings(2, 4, 16), 0.2)])
    flow, n = Flow(layer, 2).double(), 20_000
    images = torch.cartesian_prod(*[torch.tensor([-1.0, 0.0, 1.0]).double()] * 2).view(9, 2, 1, 1)
    with torch.no_grad():
        values = flow.log_prob(images.repeat(n, 1, 1, 1)).view(n, 9)
    chance, bound = values.exp().mean(0), values.mean(0)
    error = (values.exp().std(0) / n**0.5).square().sum().sqrt()
    assert abs(float(chance.sum()) - 1) < 5 * float(error) < 0.05
    assert (bound < chance.log()).all() and (bound > chance.log() - 6).all()


def test_logit_has_the_density_of_a_logistic():
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


def test_spline_goes_through_points_and_is_linear_outside():
    knots, values = torch.tensor([0.0, 0.1, 0.5, 1.0]).double(), torch.tensor([-1.0, 1.0, 1.5, 4.0]).double()
    spline = Spline(knots, values).double()
    assert torch.allclose(spline(knots[:, None])[0][:, 0], values, atol=1e-6)
    x = torch.linspace(-1, 2, 400, dtype=torch.float64)[:, None]
    z = spline(x)[0][:, 0].detach()
    assert (z.diff() > 0).all()
    for beyond in (z[x[:, 0] < 0], z[x[:, 0] > 1]):
        assert beyond.diff().diff().abs().max() < 1e-9
    assert torch.allclose(spline(x)[1], spline(x.view(-1, 1, 1, 1))[1])  # any event


def test_grey_spline_makes_end_bins_nearly_normal():
    u = (torch.arange(20_000) + 0.5).double()[:, None] / 20_000
    for k in (0, 255):  # entropy of z = entropy of u + mean log slope, against that of a normal
        z, ladj = (part.detach() for part in grey_spline().double()((k + u) / 256))
        missing = 0.5 * math.log(2 * math.pi * math.e * float(z.var())) - (float(ladj.mean()) - math.log(256))
        assert 0 <= missing < 0.03


@pytest.mark.slow
def test_flow_of_digits_learns():
    torch.manual_seed(0)
    images = data.digits()
    flow = Flow(multiscale_realnvp((1, 8, 8), (2, 2), (8, 8), levels=17), 64)
    set_scales(flow.f, images.train[:500])
    before = float(flow.loss(images.test))
    fit(flow, images.train, Recipe(60, 64, 3e-3))
    assert float(flow.loss(images.test)) < before - 5
    drawn = flow.sample(9)
    assert drawn.shape == (9, 1, 8, 8) and torch.allclose((drawn + 1) * 8, ((drawn + 1) * 8).round(), atol=1e-4)
