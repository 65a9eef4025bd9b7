"""Networks that are fields, and the judge of digits: shapes, dtypes, what depends on what.

The oracles are properties of a network with any weights: every weight receives a gradient, time
and class change the answer, samples of a batch do not see each other, features make
the logits.
"""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from dgm_course.nets import MLP, DeepUNet, DigitClassifier, LightUNet, TimeFeatures, TokenMLP, TokenUNet, UNet
from dgm_course.nets.unet import Block, LayerNorm2d, PixelNormBlock, SelfAttention, Upsample2x

from .models import images, stirred

FIELDS = {
    "mlp": (lambda: MLP(2, width=16), lambda n: torch.randn(n, 2)),
    "unet": (lambda: UNet(channels=8), images),
    "unet with classes": (lambda: UNet(channels=8, classes=10), images),
    "deep unet": (lambda: DeepUNet(channels=8, classes=10), images),
    "light unet": (lambda: LightUNet(channels=8, classes=10), images),
}


@pytest.fixture(params=FIELDS)
def field(request):
    return FIELDS[request.param]


@pytest.mark.parametrize("n", [0, 1, 3])
@pytest.mark.parametrize("time", ["number", "scalar", "per sample"])
def test_the_answer_has_the_shape_of_the_question(field, n, time):
    make, draw = field
    t = {"number": 0.3, "scalar": torch.tensor(0.3), "per sample": torch.full((n,), 0.3)}[time]
    net, x = stirred(make()), draw(n)
    assert net(x, t).shape == x.shape
    torch.testing.assert_close(net(x, t), net(x, 0.3))


def test_an_untrained_field_stands_still(field):
    make, draw = field
    assert torch.equal(make()(draw(3), 0.5), torch.zeros_like(draw(3)))


def test_a_gradient_reaches_every_weight(field):
    make, draw = field
    net = stirred(make()).train()
    x, y = draw(40), torch.arange(40) % 10
    out = net(x, torch.rand(40), y) if getattr(net, "classes", 0) else net(x, torch.rand(40))
    out.square().mean().backward()
    silent = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert silent == []


def test_a_norm_of_places_is_its_formula_and_looks_nowhere_else():
    h = torch.randn(3, 12, 5, 4).double().to(memory_format=torch.channels_last) * 3 + 1
    found = LayerNorm2d()(h)
    torch.testing.assert_close(
        found, (h - h.mean(1, keepdim=True)) / (h.var(1, keepdim=True, correction=0) + 1e-5).sqrt()
    )
    assert found.is_contiguous(memory_format=torch.channels_last)
    other = h.clone()
    other[:, :, 2, 1] += torch.randn(3, 12)
    changed = (LayerNorm2d()(other) - found).abs().amax((0, 1)) > 1e-9
    assert changed[2, 1] and changed.sum() == 1


def test_a_light_unet_norms_by_place_everywhere_and_a_deep_one_nowhere():
    light, deep = ([m for m in net(channels=8).modules() if isinstance(m, Block)] for net in (LightUNet, DeepUNet))
    assert len(light) == 4 and all(
        isinstance(m, PixelNormBlock) and isinstance(m.norm, LayerNorm2d) for m in light
    )
    assert len(deep) == 5 and all(isinstance(m.norm, nn.GroupNorm) for m in deep)


@pytest.mark.parametrize("outputs", [1, 3])
def test_a_doubling_is_torchs_transposed_convolution_and_so_are_its_gradients(outputs):
    layer, h = Upsample2x(4, outputs).double(), torch.randn(2, 4, 5, 3, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(layer(h), nn.ConvTranspose2d.forward(layer, h))
    aim, inputs = torch.randn(2, outputs, 10, 6, dtype=torch.float64), (h, layer.weight, layer.bias)
    ours, theirs = (
        torch.autograd.grad((y * aim).sum(), inputs) for y in (layer(h), nn.ConvTranspose2d.forward(layer, h))
    )
    torch.testing.assert_close(ours, theirs)


def test_the_narrow_way_up_is_the_sum_of_both():
    net, h, fine = stirred(LightUNet(channels=4)), torch.randn(2, 16, 7, 7), torch.randn(2, 8, 14, 14)
    expected = torch.einsum("oi,bihw->bohw", net.narrow.weight[:, :, 0, 0], h) + net.narrow.bias[:, None, None]
    torch.testing.assert_close(net.join(h, fine), expected.repeat_interleave(2, 2).repeat_interleave(2, 3) + fine)


def test_gradients_agree_with_finite_differences_in_float64():
    net = stirred(MLP(2, width=8)).double()
    x, t = torch.randn(3, 2, dtype=torch.float64, requires_grad=True), torch.rand(3, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: net(x, t), x)


def test_time_changes_the_answer(field):
    make, draw = field
    net, x = stirred(make()), draw(3)
    assert (net(x, 0.2) - net(x, 0.8)).abs().max() > 1e-3


def test_each_sample_has_its_own_time_and_sees_no_other_sample(field):
    make, draw = field
    net, x, t = stirred(make()), draw(4), torch.tensor([0.0, 0.3, 0.7, 1.0])
    alone = torch.cat([net(x[i : i + 1], t[i]) for i in range(4)])
    torch.testing.assert_close(net(x, t), alone, atol=1e-5, rtol=1e-4)


def test_float64_in_float64_out(field):
    make, draw = field
    net, x = stirred(make()).double(), draw(2).double()
    for t in (0.5, torch.tensor(0.5), torch.rand(2)):  # a float32 time is no reason to fail
        assert net(x, t).dtype == torch.float64


def test_bfloat16_autocast_stays_close(field):
    make, draw = field
    net, x = stirred(make(), 0.02), draw(2)
    exact = net(x, 0.5)
    with torch.autocast("cpu", torch.bfloat16):
        rough = net(x, 0.5).float()
    assert (rough - exact).norm() < 0.05 * exact.norm() + 1e-3


def test_a_copy_by_state_dict_is_the_same_function(field):
    make, draw = field
    net, other, x = stirred(make()), make().eval(), draw(2)
    other.load_state_dict({k: v.clone() for k, v in net.state_dict().items()})
    assert torch.equal(net(x, 0.4), other(x, 0.4))


def test_functional_transforms_pass_through_the_mlp():
    net = stirred(MLP(2, width=8)).double()
    x = torch.randn(5, 2, dtype=torch.float64)
    one = lambda point: net(point[None], torch.tensor(0.5, dtype=torch.float64))[0]
    jacobian = torch.func.vmap(torch.func.jacrev(one))(x)
    by_hand = torch.stack([torch.autograd.functional.jacobian(one, point) for point in x])
    torch.testing.assert_close(jacobian, by_hand)


def test_mlp_context_is_a_column_and_none_is_zero():
    net, x = stirred(MLP(2, width=8, context=3)), torch.randn(4, 2)
    assert torch.equal(net(x, 0.5), net(x, 0.5, torch.zeros(4, 3)))
    assert (net(x, 0.5, torch.ones(4, 3)) - net(x, 0.5)).abs().max() > 1e-3


def test_mlp_has_the_layers_it_promises():
    widths = [layer.out_features for layer in MLP(5, width=7, depth=4).layers if isinstance(layer, nn.Linear)]
    assert widths == [7, 7, 7, 7, 5]


def test_time_features_are_sines_and_cosines():
    t = torch.tensor([0.0, 0.25, 1.0], dtype=torch.float64)
    features = TimeFeatures(8)(t)
    assert features.shape == (3, 8) and features.dtype == torch.float64
    torch.testing.assert_close(features[:, :4] ** 2 + features[:, 4:] ** 2, torch.ones(3, 4).double())
    torch.testing.assert_close(features[:, 0], t.sin())
    torch.testing.assert_close(features[0], torch.tensor([0.0] * 4 + [1.0] * 4, dtype=torch.float64))


def test_time_features_tell_neighbouring_times_apart():
    near = TimeFeatures(64)(torch.tensor([0.500, 0.501]))
    assert (near[0] - near[1]).norm() > 0.5


def test_unet_class_changes_the_answer_and_none_is_the_last_row():
    net, x = stirred(UNet(channels=8, classes=10)), images(2)
    assert (net(x, 0.5, torch.tensor([1, 1])) - net(x, 0.5, torch.tensor([7, 7]))).abs().max() > 1e-3
    assert torch.equal(net(x, 0.5), net(x, 0.5, torch.tensor([10, 10])))


def test_unet_forgets_a_share_of_the_labels_in_training_and_none_after():
    net, x, y = stirred(UNet(channels=8, classes=10)), images(1).expand(300, 1, 28, 28), torch.full((300,), 3)
    assert torch.equal(net.rows(x, y), y)
    torch.manual_seed(0)
    rows = net.train().rows(x, y)
    assert set(rows.tolist()) == {3, 10}
    assert 4 <= (rows == 10).sum() <= 56  # 300 draws at 0.1: mean 30, five standard deviations are 26


def test_unet_knows_where_on_the_page_it_is_by_place_and_padding_alone():
    """On a torus and without `position` its features commute with shifts by 4 pixels, its total stride."""
    net, x = stirred(UNet(channels=8)).double(), images(1).double()
    for module in net.modules():
        if type(module) is nn.Conv2d:
            module.padding_mode = "circular"
    net.out_proj = nn.Identity()
    expected = (net(x.roll(4, 2), 0.5) - net(x, 0.5).roll(2, 2)).abs().max()
    nn.init.zeros_(net.position.weight)
    untold = (net(x.roll(4, 2), 0.5) - net(x, 0.5).roll(2, 2)).abs().max()
    assert untold < 1e-12 < 1e-3 < expected


def test_unet_sees_the_whole_image():
    net, x = stirred(UNet(channels=8)), images(1).requires_grad_()
    net(x, 0.5)[0, 0, 13:15, 13:15].sum().backward()
    assert (x.grad[0, 0] != 0).all()


def test_attention_is_torchs_own_on_the_places_in_a_row():
    mine, theirs = stirred(SelfAttention(16, heads=4), 0.5), nn.MultiheadAttention(16, 4, batch_first=True)
    h = torch.randn(3, 16, 5, 7)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(mine.qkv.weight[:, :, 0, 0]), theirs.in_proj_bias.copy_(mine.qkv.bias)
        theirs.out_proj.weight.copy_(mine.out.weight[:, :, 0, 0]), theirs.out_proj.bias.copy_(mine.out.bias)
    row = mine.norm(h).flatten(2).transpose(1, 2)
    expected = h + theirs(row, row, row, need_weights=False)[0].transpose(1, 2).reshape(h.shape)
    torch.testing.assert_close(mine(h), expected, atol=1e-5, rtol=1e-4)
    assert (expected - h).abs().max() > 0.1 and torch.equal(SelfAttention(16)(h), h)


def test_classifier_logits_come_from_its_features():
    net, x = stirred(DigitClassifier()), images(4)
    features = net.features(x)
    assert features.shape == (4, 128) and (features >= 0).all()
    torch.testing.assert_close(net(x), features @ net.head.weight.T + net.head.bias)
    assert net(images(0)).shape == (0, 10)


def test_classifier_learns_a_trivial_task():
    torch.manual_seed(0)
    net, x, y = DigitClassifier(), images(32), torch.arange(32) % 2
    x[y == 1] += 1.0
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    for _ in range(15):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
    assert loss < 0.2


def test_unet_takes_and_gives_as_many_channels_as_it_is_told():
    net, x = stirred(UNet(channels=8, classes=10, inputs=3, outputs=5)), torch.randn(3, 3, 28, 28)
    t, y = torch.tensor([0.1, 0.5, 0.9]), torch.tensor([0, 4, 10])
    assert net(x, t, y).shape == (3, 5, 28, 28) and net(x[:0], t[:0], y[:0]).shape == (0, 5, 28, 28)
    for channel in range(3):
        other = x.clone()
        other[:, channel] += 1
        assert (net(other, t, y) - net(x, t, y)).abs().amax((0, 2, 3)).min() > 1e-4  # seen by every output
    net.train()(x, t, y).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_a_repr_teaches():
    assert "x in R^2, t in [0, 1]" in repr(MLP(2)) and "parameters" in repr(MLP(2))
    assert "y in 0..9" in repr(UNet(8, 10))
    assert "R^(3x28x28), t in [0, 1]) -> R^(5x28x28)" in repr(UNet(8, inputs=3, outputs=5))
    assert "4 tokens 0..3, t) -> 3 logits a place" in repr(TokenMLP(3, 4))
    assert "tokens 0..2, 1x28x28) -> 2 logits a pixel" in repr(TokenUNet(2, 8))
    assert "features (B, 128)" in repr(DigitClassifier())


def test_a_deep_copy_is_independent():
    net = stirred(UNet(channels=8))
    twin = copy.deepcopy(net)
    with torch.no_grad():
        twin.position.weight.add_(1.0)
    assert not torch.equal(net(images(1), 0.5), twin(images(1), 0.5))
