"""Single networks and layers against their formulas and torch's own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dgm_course.nets import (
    MLP,
    DeepUNet,
    DigitClassifier,
    GridField,
    LightUNet,
    PatchCritic,
    TimeFeatures,
    TokenMLP,
    TokenUNet,
    UNet,
)
from dgm_course.nets.unet import Block, LayerNorm2d, PixelNormBlock, SelfAttention, Upsample2x

from .models import images, stirred, tokens


def test_layer_norm_2d_is_its_formula():
    """It depends on the channels of one pixel alone."""
    h = torch.randn(3, 12, 5, 4).double().to(memory_format=torch.channels_last) * 3 + 1
    found = LayerNorm2d()(h)
    std = (h.var(1, keepdim=True, correction=0) + 1e-5).sqrt()
    torch.testing.assert_close(found, (h - h.mean(1, keepdim=True)) / std)
    assert found.is_contiguous(memory_format=torch.channels_last)
    other = h.clone()
    other[:, :, 2, 1] += torch.randn(3, 12)
    changed = (LayerNorm2d()(other) - found).abs().amax((0, 1)) > 1e-9
    assert changed[2, 1] and changed.sum() == 1


def test_norms_of_light_and_deep_unets():
    light, deep = ([m for m in net(channels=8).modules() if isinstance(m, Block)] for net in (LightUNet, DeepUNet))
    assert len(light) == 4 and all(
        isinstance(m, PixelNormBlock) and isinstance(m.norm, LayerNorm2d) for m in light
    )
    assert len(deep) == 5 and all(isinstance(m.norm, nn.GroupNorm) for m in deep)


@pytest.mark.parametrize("outputs", [1, 3])
def test_upsample_is_torchs_transposed_convolution(outputs):
    """So are its gradients."""
    layer, h = Upsample2x(4, outputs).double(), torch.randn(2, 4, 5, 3, dtype=torch.float64, requires_grad=True)
    aim, inputs = torch.randn(2, outputs, 10, 6, dtype=torch.float64), (h, layer.weight, layer.bias)
    ours, theirs = layer(h), nn.ConvTranspose2d.forward(layer, h)
    torch.testing.assert_close(ours, theirs)
    gradients = [torch.autograd.grad((y * aim).sum(), inputs) for y in (ours, theirs)]
    torch.testing.assert_close(*gradients)


def test_additive_skip_is_a_sum():
    net, h, fine = stirred(LightUNet(channels=4)), torch.randn(2, 16, 7, 7), torch.randn(2, 8, 14, 14)
    expected = torch.einsum("oi,bihw->bohw", net.narrow.weight[:, :, 0, 0], h) + net.narrow.bias[:, None, None]
    torch.testing.assert_close(net.join(h, fine), expected.repeat_interleave(2, 2).repeat_interleave(2, 3) + fine)


def test_mlp_derivatives():
    """gradcheck, and the Jacobian by torch.func equals the one by autograd."""
    net = stirred(MLP(2, width=8)).double()
    x, t = torch.randn(3, 2, dtype=torch.float64, requires_grad=True), torch.rand(3, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: net(x, t), x)
    one = lambda point: net(point[None], torch.tensor(0.5, dtype=torch.float64))[0]
    by_hand = torch.stack([torch.autograd.functional.jacobian(one, point) for point in x.detach()])
    torch.testing.assert_close(torch.func.vmap(torch.func.jacrev(one))(x.detach()), by_hand)


def test_mlp_context_and_widths():
    """No condition is a condition of zeros."""
    net, x = stirred(MLP(2, width=8, context=3)), torch.randn(4, 2)
    assert torch.equal(net(x, 0.5), net(x, 0.5, torch.zeros(4, 3)))
    assert (net(x, 0.5, torch.ones(4, 3)) - net(x, 0.5)).abs().max() > 1e-3
    widths = [layer.out_features for layer in MLP(5, width=7, depth=4).layers if isinstance(layer, nn.Linear)]
    assert widths == [7, 7, 7, 7, 5]


def test_time_features_are_sines_and_cosines():
    t = torch.tensor([0.0, 0.25, 1.0], dtype=torch.float64)
    features = TimeFeatures(8)(t)
    assert features.shape == (3, 8) and features.dtype == torch.float64
    torch.testing.assert_close(features[:, :4] ** 2 + features[:, 4:] ** 2, torch.ones(3, 4).double())
    torch.testing.assert_close(features[:, 0], t.sin())
    torch.testing.assert_close(features[0], torch.tensor([0.0] * 4 + [1.0] * 4, dtype=torch.float64))
    near = TimeFeatures(64)(torch.tensor([0.500, 0.501]))
    assert (near[0] - near[1]).norm() > 0.5


@pytest.mark.parametrize(
    "make", [lambda: UNet(8, 10), lambda: GridField((1, 28, 28), 8, 1, 10)], ids=["unet", "grid"]
)
def test_labels_are_forgotten_in_training_only(make):
    net, x, y = stirred(make()), images(1).expand(300, 1, 28, 28), torch.full((300,), 3)
    assert torch.equal(net.rows(x, y), y)
    torch.manual_seed(0)
    rows = net.train().rows(x, y)
    assert set(rows.tolist()) == {3, 10}
    assert 4 <= (rows == 10).sum() <= 56  # 300 draws at 0.1: mean 30, five standard deviations are 26


def test_unet_position_breaks_translation_symmetry():
    """On a torus and without `position` its features commute with shifts by 4 pixels, its total stride."""
    net, x = stirred(UNet(channels=8)).double(), images(1).double()
    for module in net.modules():
        if type(module) is nn.Conv2d:
            module.padding_mode = "circular"
    net.out_proj = nn.Identity()
    with_position = (net(x.roll(4, 2), 0.5) - net(x, 0.5).roll(2, 2)).abs().max()
    nn.init.zeros_(net.position.weight)
    without = (net(x.roll(4, 2), 0.5) - net(x, 0.5).roll(2, 2)).abs().max()
    assert without < 1e-12 < 1e-3 < with_position


def test_unet_depends_on_the_whole_image():
    net, x = stirred(UNet(channels=8)), images(1).requires_grad_()
    net(x, 0.5)[0, 0, 13:15, 13:15].sum().backward()
    assert (x.grad[0, 0] != 0).all()


def test_unet_channels():
    """Every input channel reaches every output channel."""
    net, x = stirred(UNet(channels=8, classes=10, inputs=3, outputs=5)), torch.randn(3, 3, 28, 28)
    t, y = torch.tensor([0.1, 0.5, 0.9]), torch.tensor([0, 4, 10])
    assert net(x, t, y).shape == (3, 5, 28, 28) and net(x[:0], t[:0], y[:0]).shape == (0, 5, 28, 28)
    for channel in range(3):
        other = x.clone()
        other[:, channel] += 1
        assert (net(other, t, y) - net(x, t, y)).abs().amax((0, 2, 3)).min() > 1e-4


def test_attention_is_torchs_multihead_attention():
    mine, theirs = stirred(SelfAttention(16, heads=4), 0.5), nn.MultiheadAttention(16, 4, batch_first=True)
    h = torch.randn(3, 16, 5, 7)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(mine.qkv.weight[:, :, 0, 0]), theirs.in_proj_bias.copy_(mine.qkv.bias)
        theirs.out_proj.weight.copy_(mine.out.weight[:, :, 0, 0]), theirs.out_proj.bias.copy_(mine.out.bias)
    row = mine.norm(h).flatten(2).transpose(1, 2)
    expected = h + theirs(row, row, row, need_weights=False)[0].transpose(1, 2).reshape(h.shape)
    torch.testing.assert_close(mine(h), expected, atol=1e-5, rtol=1e-4)
    assert (expected - h).abs().max() > 0.1 and torch.equal(SelfAttention(16)(h), h)


def test_token_unet_near_has_seven_pixels():
    """The untrained U is silent; a 5 x 5 and a 3 x 3 convolution remain."""
    net, x = TokenUNet(2, channels=8), tokens(2, 1, 1, 28, 28)
    nn.init.normal_(net.tell.weight)
    other = x.clone()
    other[0, 0, 5, 19] = (x[0, 0, 5, 19] + 1) % 3
    rows, columns = (net(x, 0.5) - net(other, 0.5))[0, 0].abs().sum(-1).nonzero().T
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (2, 8, 16, 22)


def test_patch_critic_has_eighteen_pixels():
    critic, x = PatchCritic(4).double(), torch.randn(1, 1, 28, 28, dtype=torch.float64, requires_grad=True)
    assert critic(x).shape == (1, 7, 7)
    seen = torch.autograd.grad(critic(x)[0, 3, 3], x)[0][0, 0] != 0
    rows, columns = seen.any(1).nonzero()[:, 0], seen.any(0).nonzero()[:, 0]
    assert len(rows) == len(columns) == 18 and int(rows.max() - rows.min()) == 17


def test_classifier_logits_come_from_its_features():
    net, x = stirred(DigitClassifier()), images(4)
    features = net.features(x)
    assert features.shape == (4, 128) and (features >= 0).all()
    torch.testing.assert_close(net(x), features @ net.head.weight.T + net.head.bias)
    assert net(images(0)).shape == (0, 10)


def test_classifier_learns():
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


@pytest.mark.parametrize(
    "net, words",
    [
        (MLP(2), "x in R^2, t in [0, 1]) -> R^2, 8,706 parameters"),
        (UNet(8, 10), "y in 0..9"),
        (UNet(8, inputs=3, outputs=5), "R^(3x28x28), t in [0, 1]) -> R^(5x28x28)"),
        (TokenMLP(3, 4), "4 tokens 0..3, t) -> 3 logits a place"),
        (TokenUNet(2, 8), "tokens 0..2, 1x28x28) -> 2 logits a pixel"),
        (DigitClassifier(), "features (B, 128)"),
    ],
)
def test_reprs(net, words):
    assert words in repr(net)
