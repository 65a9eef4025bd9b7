"""Networks that answer tokens with logits: shapes, what depends on what, memory, classes."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from dgm_course.nets import TokenMLP, TokenUNet, UNet

from .models import stirred, tokens

SPEAKERS = {
    "mlp": (lambda: TokenMLP(3, 4, width=16), lambda n: tokens(3, n, 4)),
    "unet of bits": (lambda: TokenUNet(2, channels=8), lambda n: tokens(2, n, 1, 28, 28)),
    "unet of five values": (lambda: TokenUNet(5, channels=8, classes=10), lambda n: tokens(5, n, 1, 28, 28)),
}


@pytest.fixture(params=SPEAKERS)
def speaker(request):
    return SPEAKERS[request.param]


@pytest.mark.parametrize("n", [0, 1, 3])
@pytest.mark.parametrize("time", ["number", "scalar", "per sample"])
def test_tokens_are_answered_with_logits(speaker, n, time):
    make, draw = speaker
    t = {"number": 0.3, "scalar": torch.tensor(0.3), "per sample": torch.full((n,), 0.3)}[time]
    net, x = stirred(make()), draw(n)
    assert net(x, t).shape == (*x.shape, net.vocabulary)
    torch.testing.assert_close(net(x, t), net(x, 0.3))


def test_an_untrained_speaker_has_no_opinion(speaker):
    make, draw = speaker
    assert torch.equal(make()(draw(2), 0.5), torch.zeros(*draw(2).shape, make().vocabulary))


def test_a_gradient_reaches_every_weight_of_a_speaker(speaker):
    make, draw = speaker
    net, x, y = stirred(make()).train(), draw(12), torch.arange(12) % 10
    conditional = [y] if getattr(getattr(net, "body", None), "classes", 0) else []
    logits = net(x, torch.rand(12), *conditional)
    nn.functional.cross_entropy(logits.flatten(0, -2), x.flatten() % net.vocabulary).backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_a_speaker_tells_every_token_from_every_other_and_the_mask_from_all(speaker):
    make, draw = speaker
    net, x = stirred(make()), draw(1)
    x.flatten()[-1] = 0
    before = [net(x, 0.5)]
    for token in range(1, net.vocabulary + 1):
        x.flatten()[-1] = token
        now = net(x, 0.5)
        assert all((now - other).abs().max() > 1e-4 for other in before)
        assert (now - before[-1]).flatten(0, -2)[-2].abs().max() > 1e-5  # the neighbour hears of it
        before.append(now)
    assert (net(x, 0.2) - net(x, 0.8)).abs().max() > 1e-4


def test_sequences_of_a_batch_do_not_see_each_other(speaker):
    make, draw = speaker
    net, x, t = stirred(make()), draw(4), torch.tensor([0.0, 0.3, 0.7, 1.0])
    alone = torch.cat([net(x[i : i + 1], t[i]) for i in range(4)])
    torch.testing.assert_close(net(x, t), alone, atol=1e-5, rtol=1e-4)


def test_speakers_work_in_other_precisions_and_hear_integers_of_any_size(speaker):
    make, draw = speaker
    net, x = stirred(make(), 0.02), draw(2)
    exact, twin = net(x, 0.5), copy.deepcopy(net)
    for dtype in (torch.int32, torch.uint8):
        assert torch.equal(net(x.to(dtype), 0.5), exact)
    assert twin.double()(x, torch.rand(2)).dtype == torch.float64
    torch.testing.assert_close(twin(x, 0.5).float(), exact, atol=1e-4, rtol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        rough = net(x, 0.5).float()
    assert (rough - exact).norm() < 0.05 * exact.norm() + 1e-3


@pytest.mark.parametrize(
    "make", [lambda: TokenUNet(2, channels=8), lambda: UNet(8, 0, 3, 3)], ids=["tokens", "fields"]
)
def test_the_order_in_memory_changes_nothing(make):
    net = stirred(make())
    x = tokens(2, 2, 1, 28, 28) if isinstance(net, TokenUNet) else torch.randn(2, 3, 28, 28)
    plain = copy.deepcopy(net).to(memory_format=torch.contiguous_format)
    torch.testing.assert_close(plain(x, 0.5), net(x, 0.5), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(
        net(x.to(memory_format=torch.channels_last), 0.5), net(x, 0.5), atol=1e-5, rtol=1e-4
    )
    turned = x.transpose(2, 3).contiguous().transpose(2, 3)
    torch.testing.assert_close(net(turned, 0.5), net(x, 0.5), atol=1e-5, rtol=1e-4)


def test_a_token_unet_that_only_looks_near_answers_where_it_was_asked():
    """The U starts silent; what is left sees two pixels around, and tells them to one more."""
    net, x = TokenUNet(2, channels=8), tokens(2, 1, 1, 28, 28)
    nn.init.normal_(net.tell.weight)
    other = x.clone()
    other[0, 0, 5, 19] = (x[0, 0, 5, 19] + 1) % 3
    rows, columns = (net(x, 0.5) - net(other, 0.5))[0, 0].abs().sum(-1).nonzero().T
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (2, 8, 16, 22)


def test_a_class_changes_what_an_image_of_tokens_becomes():
    net, x, y = stirred(TokenUNet(2, 8, classes=10)), tokens(2, 2, 1, 28, 28), torch.tensor([1, 7])
    free, conditional = net(x, 0.5), net(x, 0.5, y)
    assert (conditional - free).abs().max() > 1e-3
