"""The layers of a Llama: formulas written another way, complex numbers, differences of places, a memory."""

from __future__ import annotations

import math

import pytest
import torch

from dgm_course.nets.transformer import Llama, LlamaBlock, RotaryAttention, SwiGLU, angles, grid_positions, rotary


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def stirred(net: torch.nn.Module) -> torch.nn.Module:
    net = net.double().eval()
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())).double())
    return net


# --- rotary


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_turning_is_multiplication_by_a_complex_number(axes):
    q, positions = normal(2, 5, 12), 4 * torch.rand(5, axes).double()
    each, pairs = 12 // axes, torch.view_as_complex(q.reshape(2, 5, 6, 2))
    speeds = [100.0 ** (-2 * j / each) for j in range(each // 2)]
    by = torch.tensor([[m * s for m in place for s in speeds] for place in positions.tolist()]).double()
    turned = torch.view_as_real(pairs * torch.polar(torch.ones_like(by), by)).reshape(2, 5, 12)
    torch.testing.assert_close(rotary(q, positions), turned)


@pytest.mark.parametrize("positions", [torch.arange(6), grid_positions(2, 3), torch.rand(6, 2)])
def test_inner_products_depend_on_differences_of_places_alone(positions):
    q, k, far = normal(6, 8), normal(6, 8), torch.tensor(3.7) * torch.ones(positions.shape[1:])
    here = rotary(q, positions.double()) @ rotary(k, positions.double()).T
    there = rotary(q, positions + far.double()) @ rotary(k, positions + far.double()).T
    torch.testing.assert_close(here, there)
    assert (here - q @ k.T).abs().max() > 0.1  # and they do depend on them


def test_turning_keeps_norms_and_the_place_0_is_not_turned():
    q = normal(3, 4, 8)
    torch.testing.assert_close(rotary(q, torch.arange(4)).norm(dim=-1), q.norm(dim=-1))
    torch.testing.assert_close(rotary(q, torch.arange(4))[:, 0], q[:, 0])
    torch.testing.assert_close(rotary(rotary(q, torch.arange(4)), -torch.arange(4)), q)


def test_the_first_pair_is_the_fastest_and_the_last_turns_almost_base_times_slower():
    by = angles(torch.tensor([1.0]), 64, 10_000.0)[0]
    assert by[0] == 1 and (by.diff() < 0).all() and by[-1] == pytest.approx(10_000 ** (-62 / 64))


def test_on_a_grid_half_of_the_pairs_know_the_row_and_half_the_column():
    by = angles(grid_positions(3, 4), 8).view(3, 4, 4)
    assert torch.equal(by[:, :1, :2].expand(3, 4, 2), by[..., :2])
    assert torch.equal(by[:1, :, 2:].expand(3, 4, 2), by[..., 2:])


# --- SwiGLU


def test_swiglu_is_a_gate_times_a_value():
    net, h = stirred(SwiGLU(4, 7)), normal(3, 4)
    first, second, third = net.both.weight[:7], net.both.weight[7:], net.down.weight
    for row, got in zip(h, net(h)):
        gate = [float(v) / (1 + math.exp(-float(v))) for v in first @ row]
        hidden = torch.tensor([g * float(v) for g, v in zip(gate, second @ row)]).double()
        torch.testing.assert_close(third @ hidden, got)


# --- attention


@pytest.mark.parametrize("heads", [1, 2, (2, 1), (4, 2)])
def test_attention_is_the_softmax_written_out(heads):
    net, h, allowed = stirred(RotaryAttention(8, heads)), normal(2, 5, 8), torch.rand(5, 5) < 0.5
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


def test_a_block_is_two_residual_steps():
    block, h = stirred(LlamaBlock(8, 2, 12)), normal(2, 5, 8)
    by, past = angles(torch.arange(5), 4), torch.ones(5, 5).tril().bool()
    half = h + block.attention(block.first(h), (by.cos(), by.sin()), past)
    torch.testing.assert_close(block(h, (by.cos(), by.sin()), past), half + block.mlp(block.second(half)))


# --- the whole


def llama(length: int = 6, heads: int | tuple[int, int] = 2) -> Llama:
    return stirred(Llama(torch.arange(length), 8, 2, heads))


def test_nothing_comes_from_a_place_that_the_mask_forbids():
    """The Jacobian over all pairs of places, for the past and for a mask of blocks."""
    net, h = llama(), normal(1, 6, 8)
    block = torch.tensor([0, 1, 1, 2, 2, 2])
    for allowed, given in (
        (torch.ones(6, 6).tril().bool(), None),
        (block[:, None] >= block, block[:, None] >= block),
    ):
        slope = torch.autograd.functional.jacobian(lambda h, given=given: net(h, given), h).abs().sum((0, 2, 3, 5))
        assert torch.equal(slope > 0, allowed)


@pytest.mark.parametrize("heads", [2, (2, 1)])
@pytest.mark.parametrize("steps", [[1] * 6, [6], [2, 1, 3]])
def test_with_a_memory_the_numbers_are_those_of_the_full_pass(heads, steps):
    net, h = llama(heads=heads), normal(3, 6, 8)
    block = torch.repeat_interleave(torch.arange(len(steps)), torch.tensor(steps))
    full, memory, start = net(h, block[:, None] >= block), net.memory(3), 0
    with torch.no_grad():
        for size in steps:
            part = net.step(h[:, start : start + size], memory, start)
            torch.testing.assert_close(part, full[:, start : start + size].detach(), atol=1e-12, rtol=0)
            start += size


def test_a_llama_has_no_biases_and_its_tables_are_not_saved():
    net = llama()
    assert not any("bias" in name for name, _ in net.named_parameters())
    assert set(net.state_dict()) == {name for name, _ in net.named_parameters()}
    assert "6 places" in repr(net)


def test_shared_keys_and_values_are_fewer_weights_and_less_memory():
    many, few = llama(heads=4), llama(heads=(4, 1))
    count = lambda net: sum(p.numel() for p in net.parameters())
    assert count(many) - count(few) == 2 * 2 * 8 * 6  # two blocks, keys and values, 8 inputs, 8 − 2 outputs
    assert many.memory(3)[0][0].numel() == 4 * few.memory(3)[0][0].numel()


@pytest.mark.parametrize(
    "wrong, said",
    [
        (lambda: angles(torch.arange(3), 7), r"positions have shape \(3, 1\) and a head 7 numbers"),
        (lambda: angles(torch.zeros(3, 2), 6), r"one or more pairs of numbers for each of the A coordinates"),
        (lambda: angles(torch.arange(3), 4, 1.0), "base is 1.0: expected more than 1"),
        (
            lambda: rotary(torch.zeros(2, 4, 8), torch.arange(5)),
            r"q has shape \(2, 4, 8\): expected \(..., 5, d\)",
        ),
        (lambda: RotaryAttention(8, 3), "3 heads do not divide the width 8"),
        (lambda: RotaryAttention(8, (4, 3)), "kv_heads is 3: expected a number that divides the 4 heads"),
        (lambda: Llama(torch.arange(0)), "there are 0 positions: expected at least 1"),
        (lambda: Llama(torch.arange(4), 8, 0), "depth is 0"),
        (lambda: llama()(torch.zeros(1, 5, 8)), r"h has shape \(1, 5, 8\): this Llama expects \(B, 6, 8\)"),
        (lambda: llama()(torch.zeros(1, 6, 8), torch.ones(6, 6)), "dtype torch.float32: expected booleans"),
        (lambda: llama()(torch.zeros(1, 6, 8), torch.ones(5, 6).bool()), r"allowed has shape \(5, 6\)"),
        (
            lambda: llama().step(torch.zeros(1, 2, 8), llama().memory(1), 5),
            "the places are 5 to 6: expected some of 0",
        ),
    ],
)
def test_wrong_input_is_a_sentence(wrong, said):
    with pytest.raises(ValueError, match=said):
        wrong()
