"""Where the memory is full a batch is taken in pieces, and the steps are the same."""

from __future__ import annotations

import re
import weakref

import pytest
import torch
from torch import nn

from dgm_course.training import Recipe, fit
from dgm_course.training.gpu import GradientAccumulator, out_of_memory

from .models import OUT_OF_MEMORY, RECIPE, TABLE, Curve, finite, near, weights


@pytest.mark.parametrize(
    "most, sizes", [(8, [16, 8, 8, 8, 8]), (5, [16, 8, 4, 4, 4, 4]), (1, [16, 8, 4, 2, *[1] * 16])]
)
def test_pieces_take_the_same_steps(most, sizes, capsys):
    whole, small = Curve(0), Curve(0, most)
    expected, history = fit(whole, TABLE, RECIPE), fit(small, TABLE, RECIPE)
    said = re.findall(
        r"The memory is full: from here on each batch of 16 is taken in (\d+) pieces", capsys.readouterr().out
    )
    assert said == [str(16 // size) for size in sorted(set(sizes), reverse=True)[1:]]
    assert small.sizes[: len(sizes)] == sizes and max(small.sizes[len(sizes) :]) <= most
    assert near([history.loss, *weights(small)], [expected.loss, *weights(whole)])


@pytest.mark.parametrize("count", [16, 15, 7])
def test_unequal_pieces_have_the_whole_gradient(count):
    line, pieces = nn.Linear(2, 1).double(), GradientAccumulator()
    x = torch.randn(count, 2, dtype=torch.float64)
    loss = lambda x, none: line(x).square().mean()
    value = pieces.gradient(loss, (x, None), line.zero_grad)
    expected = [p.grad.clone() for p in line.parameters()]
    for pieces.number in (2, 3, 5):
        assert torch.allclose(pieces.gradient(loss, (x, None), line.zero_grad, weight=2.0), value, rtol=1e-12)
        assert all(torch.allclose(p.grad, 2 * g, rtol=1e-12) for p, g in zip(line.parameters(), expected))


class LazyObservations(Curve):
    """The memory fills at the fourth call."""

    def loss(self, *batch):
        self.most = 8 if len(self.sizes) >= 3 else 1000
        return super().loss(*batch)


class Heavy(torch.autograd.Function):
    """The identity, whose backward pass has memory for eight samples."""

    @staticmethod
    def forward(ctx, x):
        ctx.size = len(x)
        return x.clone()

    @staticmethod
    def backward(ctx, slope):
        if ctx.size > 8:
            raise OUT_OF_MEMORY
        return slope


class Backward(Curve):
    """The memory fills in the backward pass, with half of the gradient added."""

    def loss(self, x, none, y):
        self.sizes.append(len(x))
        return (Heavy.apply(self.net(x)) - y).square().mean()


@pytest.mark.parametrize("kind, sizes", [(LazyObservations, [16, 16, 16, 16, 8, 8]), (Backward, [16, 8, 8, 8, 8])])
def test_no_step_before_or_after_changes(kind, sizes):
    full, whole = kind(0), Curve(0)
    history, expected = fit(full, TABLE, RECIPE), fit(whole, TABLE, RECIPE)
    assert full.sizes[: len(sizes)] == sizes
    assert near([history.loss, *weights(full)], [expected.loss, *weights(whole)])


def test_a_failed_try_frees_its_memory():
    """The traceback of an error holds its tensors as long as the error is held."""
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


def test_what_never_fits_is_a_sentence(tmp_path):
    model = Curve(most=0)
    with pytest.raises(MemoryError, match="full even with 1 of the batch's 16 samples at a time"):
        fit(model, TABLE, RECIPE, save=tmp_path / "run.pt")
    assert not model.training and finite(model)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("out of memory."),
        RuntimeError("CUDA error: an illegal memory access"),
        RuntimeError("The lecture on out of memory errors"),
        MemoryError("Python's own"),
    ],
)
def test_other_errors_that_name_memory_are_raised(error, capsys):
    model = Curve(most=0, error=error)
    with pytest.raises(type(error), match=str(error)):
        fit(model, TABLE, RECIPE)
    assert model.sizes == [16] and not capsys.readouterr().out


def test_the_allocators_of_all_devices_are_understood():
    with pytest.raises(RuntimeError) as real:
        torch.empty(2**60, dtype=torch.uint8)
    assert all(
        map(out_of_memory, (OUT_OF_MEMORY, real.value, RuntimeError("MPS backend out of memory (MPS allocated)")))
    )
    assert not out_of_memory(RuntimeError("shapes differ"))
