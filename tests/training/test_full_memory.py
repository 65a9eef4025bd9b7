"""Where the memory is full a batch is taken in pieces, and the steps are the same."""

from __future__ import annotations

import re
import weakref

import pytest
import torch
from torch import nn

from dgm_course.training import Recipe, fit
from dgm_course.training.pieces import Pieces, out_of_memory

from .models import FULL, RECIPE, TABLE, Curve, weights


@pytest.mark.parametrize("most, sizes", [(8, [16, 8, 8, 8, 8]), (5, [16, 8, 4, 4, 4, 4]), (1, [16, 8, 4, 2, *[1] * 16])])
def test_where_the_memory_is_full_a_batch_is_taken_in_pieces_and_the_steps_are_the_same(most, sizes, capsys):
    whole, small = Curve(), Curve(most)
    expected, history = fit(whole, TABLE, RECIPE), fit(small, TABLE, RECIPE)
    told = re.findall(r"The memory is full: from here on each batch of 16 is taken in (\d+) pieces", capsys.readouterr().out)
    assert told == [str(16 // size) for size in sorted(set(sizes), reverse=True)[1:]]
    assert small.sizes[:len(sizes)] == sizes and max(small.sizes[len(sizes):]) <= most
    assert torch.allclose(history.loss, expected.loss, rtol=1e-5, atol=1e-6)
    assert all(torch.allclose(a, b, rtol=1e-5, atol=1e-6) for a, b in zip(weights(small), weights(whole)))


@pytest.mark.parametrize("count", [16, 15, 7])
def test_pieces_of_unequal_size_have_the_gradient_of_the_whole(count):
    line, pieces = nn.Linear(2, 1).double(), Pieces()
    x = torch.randn(count, 2, dtype=torch.float64)
    clear = lambda: line.zero_grad()
    loss = lambda x, none: line(x).square().mean()
    value = pieces.gradient(loss, (x, None), clear)
    expected = [p.grad.clone() for p in line.parameters()]
    for pieces.number in (2, 3, 5):
        assert torch.allclose(pieces.gradient(loss, (x, None), clear), value, rtol=1e-12)
        assert all(torch.allclose(p.grad, g, rtol=1e-12) for p, g in zip(line.parameters(), expected))


def test_the_memory_filling_at_a_later_step_changes_no_step_before_or_after():
    class Filling(Curve):
        def loss(self, x, none, y):
            self.most = 8 if len(self.sizes) >= 3 else 1000
            return super().loss(x, none, y)

    filling, whole = Filling(), Curve()
    history = fit(filling, TABLE, RECIPE)
    expected = fit(whole, TABLE, RECIPE)
    assert filling.sizes[:6] == [16, 16, 16, 16, 8, 8] and torch.equal(history.loss[:3], expected.loss[:3])
    assert torch.allclose(history.loss, expected.loss, rtol=1e-5, atol=1e-6)
    assert all(torch.allclose(a, b, rtol=1e-5, atol=1e-6) for a, b in zip(weights(filling), weights(whole)))


def test_what_filled_the_memory_is_let_go_before_the_next_try():
    """The frames of an error hold its tensors for as long as the error is held."""
    held, alive = [], []

    class Large(Curve):
        def loss(self, x, none, y):
            alive.append(sum(tensor() is not None for tensor in held))
            heavy = torch.zeros(len(x), 1000)
            held.append(weakref.ref(heavy))
            if len(x) > 5:
                raise torch.cuda.OutOfMemoryError("raised here and kept by nobody, as torch's own")
            return super().loss(x, none, y) + 0 * heavy.sum()

    fit(Large(), TABLE, Recipe(1, 16))
    assert alive == [0] * 6 and len(held) == 6


def test_the_memory_filling_in_the_backward_pass_leaves_no_half_gradient():
    class Heavy(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.size = len(x)
            return x.clone()

        @staticmethod
        def backward(ctx, slope):
            if ctx.size > 8:
                raise FULL
            return slope

    class Late(Curve):
        def loss(self, x, none, y):
            return (Heavy.apply(self.net(x)) - y).square().mean()

    late, whole = Late(), Curve()
    fit(late, TABLE, RECIPE)
    fit(whole, TABLE, RECIPE)
    assert all(torch.allclose(a, b, rtol=1e-5, atol=1e-6) for a, b in zip(weights(late), weights(whole)))


def test_what_never_fits_is_a_sentence_and_the_model_is_usable(tmp_path):
    model, file = Curve(0), tmp_path / "run.safetensors"
    with pytest.raises(MemoryError, match="full even with 1 of the batch's 16 samples at a time"):
        fit(model, TABLE, RECIPE, save=file)
    assert not model.training and all(bool(torch.isfinite(p).all()) for p in model.parameters())


@pytest.mark.parametrize("error", [ValueError("out of memory."), RuntimeError("CUDA error: an illegal memory access"),
                                   RuntimeError("The lecture on out of memory errors"), MemoryError("Python's own")])
def test_an_error_that_only_speaks_of_memory_is_no_full_memory(error, capsys):
    model = Curve(0, error=error)
    with pytest.raises(type(error), match=str(error)):
        fit(model, TABLE, RECIPE)
    assert model.sizes == [16] and not capsys.readouterr().out


@pytest.mark.parametrize("error", [
    FULL, RuntimeError("[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: not enough memory"),
    RuntimeError("MPS backend out of memory (MPS allocated: 17.9 GB)")])
def test_the_allocators_of_all_devices_are_understood(error):
    assert out_of_memory(error) and not out_of_memory(RuntimeError("shapes differ"))


def test_the_cpus_real_allocator_is_understood():
    with pytest.raises(RuntimeError) as told:
        torch.empty(2**60, dtype=torch.uint8)
    assert out_of_memory(told.value)
