"""The layers of a Llama against explicit formulas, complex numbers and the full pass."""

from __future__ import annotations

import math

import pytest
import torch

from dgm_course.nets.transformer import Llama, LlamaBlock, RotaryAttention, SwiGLU, angles, grid_positions, rotary

from .models import stirred


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def double(net: torch.nn.Module) -> torch.nn.Module:
    return stirred(net, 0.3).double()


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_rotary_is_complex_multiplication(axes):
    q, positions = normal(2, 5, 12), 4 * torch.rand(5, axes).double()
    each, pairs = 12 // axes, torch.view_as_complex(q.reshape(2, 5, 6, 2))
    speeds = [100.0 ** (-2 * j / each) for j in range(each // 2)]
    by = torch.tensor([[m * s for m in place for s in speeds] for place in positions.tolist()]).double()
    turned = torch.view_as_real(pairs * torch.polar(torch.ones_like(by), by)).reshape(2, 5, 12)
    torch.testing.assert_close(rotary(q, positions), turned)


@pytest.mark.parametrize("positions", [torch.arange(6), grid_positions(2, 3), torch.rand(6, 2)])
def test_inner_products_depend_on_differences_alone(positions):
    q, k, far = normal(6, 8), normal(6, 8), torch.tensor(3.7) * torch.ones(positions.shape[1:])
    here = rotary(q, positions.double()) @ rotary(k, positions.double()).T
    there = rotary(q, positions + far.double()) @ rotary(k, positions + far.double()).T
    torch.testing.assert_close(here, there)
    assert (here - q @ k.T).abs().max() > 0.1  # and they do depend on them


def test_rotary_keeps_norms_and_position_zero():
    q = normal(3, 4, 8)
    torch.testing.assert_close(rotary(q, torch.arange(4)).norm(dim=-1), q.norm(dim=-1))
    torch.testing.assert_close(rotary(q, torch.arange(4))[:, 0], q[:, 0])
    torch.testing.assert_close(rotary(rotary(q, torch.arange(4)), -torch.arange(4)), q)


def test_speeds_fall_from_one_to_the_base():
    by = angles(torch.tensor([1.0]), 64, 10_000.0)[0]
    assert by[0] == 1 and (by.diff() < 0).all() and by[-1] == pytest.approx(10_000 ** (-62 / 64))


def test_grid_pairs_encode_row_and_column():
    by = angles(grid_positions(3, 4), 8).view(3, 4, 4)
    assert torch.equal(by[:, :1, :2].expand(3, 4, 2), by[..., :2])
    assert torch.equal(by[:1, :, 2:].expand(3, 4, 2), by[..., 2:])


def test_swiglu_formula():
    net, h = double(SwiGLU(4, 7)), normal(3, 4)
    first, second, third = net.both.weight[:7], net.both.weight[7:], net.down.weight
    for row, got in zip(h, net(h)):
        gate = [v / (1 + math.exp(-v)) for v in (first @ row).tolist()]
        hidden = torch.tensor([g * v for g, v in zip(gate, (second @ row).tolist())]).double()
        torch.testing.assert_close(third @ hidden, got)


@pytest.mark.parametrize("heads", [1, 2, (2, 1), (4, 2)])
def test_attention_formula(heads):
    net, h, allowed = double(RotaryAttention(8, heads)), normal(2, 5, 8), torch.rand(5, 5) < 0.5
    allowed |= torch.eye(5).bool()
    by, count, size = angles(torch.arange(5), net.size), net.heads, net.size
    q, k, v = net.qkv(h).split(net.parts, -1)
    outs = []
    for i in range(count):
        j = i * net.kv_heads // count
        mine, key, value = (part[..., n * size : (n + 1) * size] for part, n in ((q, i), (k, j), (v, j)))
        scores = rotary(mine, torch.arange(5)) @ rotary(key, torch.arange(5)).mT / math.sqrt(size)
        outs.append(scores.masked_fill(~allowed, -math.inf).softmax(-1) @ value)
    torch.testing.assert_close(net(h, (by.cos(), by.sin()), allowed), net.proj(torch.cat(outs, -1)))


def test_block_is_two_residual_steps():
    block, h = double(LlamaBlock(8, 2, 12)), normal(2, 5, 8)
    by, past = angles(torch.arange(5), 4), torch.ones(5, 5).tril().bool()
    half = h + block.attention(block.first(h), (by.cos(), by.sin()), past)
    torch.testing.assert_close(block(h, (by.cos(), by.sin()), past), half + block.mlp(block.second(half)))


def llama(length: int = 6, heads: int | tuple[int, int] = 2) -> Llama:
    return double(Llama(torch.arange(length), 8, 2, heads))


def test_mask_forbids_dependencies():
    """The Jacobian over all pairs of places, for the past and for a mask of blocks."""
    net, h = llama(), normal(1, 6, 8)
    block = torch.tensor([0, 1, 1, 2, 2, 2])
    blocks = block[:, None] >= block
    for allowed, given in ((torch.ones(6, 6).tril().bool(), None), (blocks, blocks)):
        slope = torch.autograd.functional.jacobian(lambda h, given=given: net(h, given), h).abs().sum((0, 2, 3, 5))
        assert torch.equal(slope > 0, allowed)


@pytest.mark.parametrize("heads", [2, (2, 1)])
@pytest.mark.parametrize("steps", [[1] * 6, [6], [2, 1, 3]])
def test_cached_steps_are_the_full_pass(heads, steps):
    net, h = llama(heads=heads), normal(3, 6, 8)
    block = torch.repeat_interleave(torch.arange(len(steps)), torch.tensor(steps))
    full, memory, start = net(h, block[:, None] >= block), net.memory(3), 0
    with torch.no_grad():
        for size in steps:
            part = net.step(h[:, start : start + size], memory, start)
            torch.testing.assert_close(part, full[:, start : start + size].detach(), atol=1e-12, rtol=0)
            start += size


def test_no_biases_and_no_saved_tables():
    net = llama()
    assert not any("bias" in name for name, _ in net.named_parameters())
    assert set(net.state_dict()) == {name for name, _ in net.named_parameters()}
    assert "6 places" in repr(net)


def test_shared_keys_are_fewer_numbers():
    many, few = llama(heads=4), llama(heads=(4, 1))
    count = lambda net: sum(p.numel() for p in net.parameters())
    assert count(many) - count(few) == 2 * 2 * 8 * 6  # two blocks, keys and values, 8 inputs, 8 − 2 outputs
    assert many.memory(3)[0][0].numel() == 4 * few.memory(3)[0][0].numel()
