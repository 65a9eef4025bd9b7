"""Laws of every field net(x, t, y), with any weights: shapes, precisions, what depends on what."""

from __future__ import annotations

import copy

import pytest
import torch

from dgm_course.nets import TokenMLP, TokenUNet

from .models import FIELDS, stirred

TOKENS = [name for name in FIELDS if "token" in name]


@pytest.fixture(params=FIELDS)
def field(request):
    return FIELDS[request.param]


@pytest.fixture(params=TOKENS)
def speaker(request):
    return FIELDS[request.param]


def shape(net, x):
    return (*x.shape, net.vocabulary) if isinstance(net, (TokenMLP, TokenUNet)) else x.shape


def labels(net, n):
    return [torch.arange(n) % 10] if getattr(getattr(net, "body", net), "classes", 0) else []


@pytest.mark.parametrize("n", [0, 1, 3])
@pytest.mark.parametrize("time", ["number", "scalar", "per sample"])
def test_output_shape(field, n, time):
    make, draw = field
    t = {"number": 0.3, "scalar": torch.tensor(0.3), "per sample": torch.full((n,), 0.3)}[time]
    net, x = stirred(make()), draw(n)
    assert net(x, t).shape == shape(net, x)
    torch.testing.assert_close(net(x, t), net(x, 0.3))


def test_untrained_output_is_zero(field):
    make, draw = field
    net, x = make(), draw(3)
    assert torch.equal(net(x, 0.5), torch.zeros(shape(net, x)))


def test_every_weight_gets_a_gradient(field):
    make, draw = field
    net, x = stirred(make()).train(), draw(40)
    out = net(x, torch.rand(40), *labels(net, 40))
    (out * torch.randn_like(out)).sum().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_time_and_class_change_the_output(field):
    make, draw = field
    net, x = stirred(make()), draw(3)
    assert (net(x, 0.2) - net(x, 0.8)).abs().max() > 1e-4
    if labels(net, 3):
        assert (net(x, 0.5, torch.tensor([1, 1, 1])) - net(x, 0.5)).abs().max() > 1e-4
        torch.testing.assert_close(net(x, 0.5, torch.full((3,), 10)), net(x, 0.5))  # row 10: any class


def test_samples_are_independent(field):
    """Each sample has its own time."""
    make, draw = field
    net, x, t = stirred(make()), draw(4), torch.tensor([0.0, 0.3, 0.7, 1.0])
    alone = torch.cat([net(x[i : i + 1], t[i]) for i in range(4)])
    torch.testing.assert_close(net(x, t), alone, atol=1e-5, rtol=1e-4)


def test_precisions(field):
    """float64 stays float64 for times of any dtype; autocast to bfloat16 stays close."""
    make, draw = field
    net, x = stirred(make(), 0.02), draw(2)
    exact, double = net(x, 0.5), copy.deepcopy(net).double()
    wide = x.double() if x.is_floating_point() else x
    for t in (0.5, torch.tensor(0.5), torch.rand(2)):
        assert double(wide, t).dtype == torch.float64
    torch.testing.assert_close(double(wide, 0.5).float(), exact, atol=1e-4, rtol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        rough = net(x, 0.5).float()
    assert (rough - exact).norm() < 0.05 * exact.norm() + 1e-3


def test_state_dict_copies_the_function(field):
    make, draw = field
    net, other, x = stirred(make()), make().eval(), draw(2)
    other.load_state_dict({k: v.clone() for k, v in net.state_dict().items()})
    assert torch.equal(net(x, 0.4), other(x, 0.4))
    with torch.no_grad():
        for p in other.parameters():
            p.add_(1.0)
    assert not torch.equal(net(x, 0.4), other(x, 0.4))


@pytest.mark.parametrize("name", ["unet", "deep unet", "light unet", "grid field", "token unet"])
def test_memory_format_changes_nothing(name):
    make, draw = FIELDS[name]
    net, x = stirred(make()), draw(2)
    plain = copy.deepcopy(net).to(memory_format=torch.contiguous_format)
    strided = x.transpose(2, 3).contiguous().transpose(2, 3)
    for found in (plain(x, 0.5), net(x.to(memory_format=torch.channels_last), 0.5), net(strided, 0.5)):
        torch.testing.assert_close(found, net(x, 0.5), atol=1e-5, rtol=1e-4)


def test_every_token_counts(speaker):
    """Each token, the mask too, gives another output, also at its neighbour."""
    make, draw = speaker
    net, x = stirred(make()), draw(1)
    x.flatten()[-1] = 0
    before = [net(x, 0.5)]
    for token in range(1, net.vocabulary + 1):
        x.flatten()[-1] = token
        now = net(x, 0.5)
        assert all((now - other).abs().max() > 1e-4 for other in before)
        assert (now - before[-1]).flatten(0, -2)[-2].abs().max() > 1e-5
        before.append(now)


def test_tokens_of_any_integer_dtype(speaker):
    make, draw = speaker
    net, x = stirred(make()), draw(2)
    for dtype in (torch.int32, torch.uint8):
        assert torch.equal(net(x.to(dtype), 0.5), net(x, 0.5))
