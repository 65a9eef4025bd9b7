"""Causal layers against dense layers with zeros, Jacobians, and torch's LSTM."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dgm_course.nets.masked import (
    CachedConv2d,
    CachedRowConv,
    CausalAttention,
    CausalBlock,
    GatedLayer,
    KVCache,
    MaskedConv2d,
    MaskedLinear,
    RowLSTM,
    gate,
    pointwise,
    raster_mask,
    rows_mask,
)

KERNELS = [(1, 1), (1, 3), (3, 3), (5, 3), (3, 5), (7, 7)]


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def influence(net, x: torch.Tensor) -> torch.Tensor:
    """|∂ output pixel / ∂ input pixel| over channels, images flattened.  x (1, C, H, W) -> (outputs, inputs)"""
    jacobian = torch.autograd.functional.jacobian(net, x)
    outs, places = jacobian.shape[1], x.shape[2] * x.shape[3]
    return jacobian.abs().reshape(outs, places, x.shape[1], places).sum((0, 2))


def test_masks_of_the_slide():
    assert raster_mask("A", 3, 3).tolist() == [[1, 1, 1], [1, 0, 0], [0, 0, 0]]
    assert raster_mask("B", 3, 3).tolist() == [[1, 1, 1], [1, 1, 0], [0, 0, 0]]
    assert raster_mask("A", 1, 5).tolist() == [[1, 1, 0, 0, 0]]
    assert rows_mask("A", 3, 3).tolist() == [[1, 1, 1], [0, 0, 0], [0, 0, 0]]
    assert rows_mask("B", 3, 3).tolist() == [[1, 1, 1], [1, 1, 1], [0, 0, 0]]


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("kind", ["A", "B"])
@pytest.mark.parametrize("mask", [raster_mask, rows_mask])
def test_masked_convolution_has_zeros_in_its_kernel(kernel, kind, mask):
    conv, h = MaskedConv2d(2, 3, kernel, kind, mask).double(), normal(2, 2, 5, 4)
    dense = F.pad(conv.weight.detach(), (0, 0, 0, kernel[0] // 2), value=7.0)  # rows below the centre
    padding = (kernel[0] // 2, kernel[1] // 2)
    for r, c in itertools.product(range(kernel[0]), range(kernel[1])):
        here, centre = ((r, c), padding) if mask is raster_mask else (r, padding[0])
        if not (here < centre or here == centre and kind == "B"):
            dense[:, :, r, c] = 0
    torch.testing.assert_close(conv(h), F.conv2d(h, dense, conv.bias, padding=padding))


@pytest.mark.parametrize("kernel", [3, 5, (1, 3), (7, 7)])
def test_reach_of_kinds_a_and_b(kernel):
    for kind, reach in (("A", -1), ("B", 0)):
        slope = influence(MaskedConv2d(2, 2, kernel, kind).double(), normal(1, 2, 4, 4))
        assert torch.equal(slope.triu(reach + 1), torch.zeros_like(slope)), kind
        own = slope.diagonal(reach)  # the last allowed one, except at the edge of a row
        assert (own[torch.arange(len(own)) % 4 != 3] > 0).all() if kind == "A" else (own > 0).all()


def slanted(size: tuple[int, int], lag: int) -> list[torch.Tensor]:
    """Places of step c + lag · r, for each step that has some."""
    steps = {}
    for place in range(size[0] * size[1]):
        steps.setdefault(place % size[1] + lag * (place // size[1]), []).append(place)
    return [torch.tensor(steps[step]) for step in sorted(steps)]


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("kind", ["A", "B"])
@pytest.mark.parametrize("size", [(5, 4), (9, 7), (1, 6), (6, 1)])
@pytest.mark.parametrize("together", [True, False])
def test_cached_convolution_is_the_convolution(kernel, kind, size, together):
    conv, x = MaskedConv2d(2, 3, kernel, kind).double(), normal(2, 2, *size)
    wavefronts = slanted(size, kernel[1] // 2 + 1 if together else size[1])
    want, given = conv(x).detach().flatten(2).mT, x.flatten(2).mT
    cached = CachedConv2d(conv, 2, size[1], wavefronts)
    with torch.no_grad():
        for i, front in enumerate(wavefronts):
            if kind == "B":
                cached.put(i, given[:, front].flatten(0, 1))
            torch.testing.assert_close(
                cached.at(i), want[:, front].flatten(0, 1)
            )  # kind A needs its pixels afterwards
            cached.put(i, given[:, front].flatten(0, 1))


def test_cached_convolution_keeps_needed_rows_only():
    """The row itself and two above; a slanted wavefront crosses seven rows."""
    for lag, rows in ((28, 3), (4, 9)):
        cached = CachedConv2d(MaskedConv2d(2, 3, 5, "B"), 4, 28, slanted((28, 28), lag))
        assert cached.seen.shape == (4, rows * 28 + 1, 2)


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("kind", ["A", "B"])
def test_cached_rows_are_the_convolution(kernel, kind):
    conv, x = MaskedConv2d(2, 3, kernel, kind, rows_mask).double(), normal(2, 2, 5, 4)
    rows, answers = CachedRowConv(conv, 2, 4), []
    with torch.no_grad():
        for r in range(5):
            answers.append(rows.next_row(x[:, :, r].mT) if kind == "B" else rows.next_row())
            for c in range(4):
                rows.put(c, x[:, :, r, c])
    torch.testing.assert_close(torch.stack(answers, 2).permute(0, 3, 2, 1), conv(x))


def test_gate_formula():
    h = torch.tensor([[0.5, -2.0, 0.0, 3.0]], dtype=torch.float64)
    want = [math.tanh(0.5) / 2, math.tanh(-2.0) / (1 + math.exp(-3.0))]
    assert gate(h)[0].tolist() == pytest.approx(want)
    torch.testing.assert_close(gate(h.mT, 0), gate(h).mT)


def test_pointwise_is_a_1x1_convolution():
    conv, h = nn.Conv2d(3, 4, 1).double(), normal(2, 3, 4, 5)
    torch.testing.assert_close(pointwise(conv, h.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), conv(h))


def test_gated_layer_dependencies():
    layer, x = GatedLayer(2).double(), normal(1, 2, 4, 4)
    rows = torch.arange(16) // 4
    v_of_v = influence(lambda v: layer(v, x)[0], x)
    assert (v_of_v[rows[:, None] < rows] == 0).all()
    assert (v_of_v.diagonal(1)[rows[1:] == rows[:-1]] > 0).all()  # its own row, also to the right
    h_of_h = influence(lambda h: layer(x, h)[1], x)
    assert (h_of_h.triu(1) == 0).all() and (h_of_h * (rows[:, None] != rows) == 0).all()
    assert (influence(lambda v: layer(v, x)[1], x).diagonal() > 0).all()  # the link
    assert torch.equal(layer(x, x)[0], layer(x, x + 1)[0])  # v does not depend on h


def test_row_lstm_is_torchs_lstm_by_column():
    width, x = 3, normal(2, 3, 5, 4)
    ours, theirs = RowLSTM(width, 1).double(), nn.LSTM(width, width, batch_first=True).double()
    f, i, o, g = range(4)
    swap = torch.cat([torch.arange(width) + width * part for part in (i, f, g, o)])  # torch's order of the gates
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(ours.within.weight[swap, :, 0, 0])
        theirs.weight_hh_l0.copy_(ours.between.weight[swap, :, 0])
        theirs.bias_ih_l0.copy_(ours.within.bias[swap])
        theirs.bias_hh_l0.copy_(ours.between.bias[swap])
    want, _ = theirs(x.permute(0, 3, 2, 1).reshape(8, 5, width))
    torch.testing.assert_close(ours(x), want.view(2, 4, 5, width).permute(0, 3, 2, 1))


def test_row_lstm_dependencies():
    slope = influence(RowLSTM(2).double(), normal(1, 2, 5, 3))
    assert (slope.triu(1) == 0).all()
    assert (slope[13, :12] > 0).all()  # the last row's middle depends on all rows above


def test_causal_attention_formula():
    attention, h = CausalAttention(6, 2).double(), normal(2, 5, 6)
    q, k, v = attention.split(h)
    triangle = torch.full((5, 5), -torch.inf, dtype=torch.float64).triu(1)
    share = (q @ k.mT / math.sqrt(3) + triangle).softmax(-1)
    torch.testing.assert_close(attention(h), attention.join(share @ v))
    slope = torch.autograd.functional.jacobian(lambda h: attention(h), h[:1]).abs().sum((0, 2, 3, 5))
    assert (slope.triu(1) == 0).all() and (slope.tril() > 0).sum() == 15


def test_heads_are_consecutive_parts():
    attention, h = CausalAttention(6, 2).double(), normal(1, 4, 6)
    q, k, v = attention.qkv(h).chunk(3, -1)
    for part, whole in zip(attention.split(h), (q, k, v)):
        torch.testing.assert_close(part.transpose(1, 2).flatten(2), whole)


def test_shared_keys_are_equal_keys():
    shared, own = CausalAttention(12, (4, 2)).double(), CausalAttention(12, 4).double()
    copies = [0, 1, 2] * 2 + [3, 4, 5] * 2  # two heads take the first key (three numbers), two the second
    with torch.no_grad():
        for mine, theirs in ((own.qkv.weight, shared.qkv.weight), (own.qkv.bias, shared.qkv.bias)):
            q, k, v = theirs.split(shared.parts)
            mine.copy_(torch.cat([q, k[copies], v[copies]]))
        own.proj.load_state_dict(shared.proj.state_dict())
    h = normal(2, 5, 12)
    torch.testing.assert_close(shared(h), own(h))


@pytest.mark.parametrize("heads", [2, (4, 2), (4, 1)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_steps_are_the_block(dtype, heads):
    block, h = CausalBlock(8, heads).to(dtype), torch.randn(3, 6, 8, dtype=dtype)
    memory = KVCache(block, 3, 6)
    with torch.no_grad():
        steps = torch.stack([block.step(h[:, i], memory, i) for i in range(6)], 1)
    torch.testing.assert_close(steps, block(h), atol=1e-5 if dtype == torch.float32 else 1e-12, rtol=0)


def test_shared_keys_make_a_smaller_cache():
    memories = [KVCache(CausalBlock(8, heads), 3, 6) for heads in (4, (4, 2), (4, 1))]
    rooms = [memory.keys.numel() + memory.values.numel() for memory in memories]
    assert rooms == [3 * 6 * 2 * 8, 3 * 6 * 2 * 4, 3 * 6 * 2 * 2]


def test_masked_linear_formula():
    mask = torch.tensor([[1, 0, 1], [0, 0, 1]], dtype=torch.bool)
    layer, h = MaskedLinear(mask).double(), normal(4, 3)
    assert layer.in_features == 3 and layer.out_features == 2
    want = [
        [sum(layer.weight[o, i] * h[b, i] for i in range(3) if mask[o, i]) + layer.bias[o] for o in range(2)]
        for b in range(4)
    ]
    torch.testing.assert_close(layer(h), torch.stack([torch.stack(row) for row in want]))
    layer(h).sum().backward()
    assert (layer.weight.grad[~mask] == 0).all() and (layer.weight.grad[mask] != 0).all()
