"""A loss that is compiled where that works and taken as it is where it does not.  A GPU's own compiler: `test_gpu`."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from dgm_course.training import Recipe, fit
from dgm_course.training.gpu import Compiled

from .models import FULL, TABLE, Curve


@pytest.fixture
def compiler(monkeypatch):
    """In the place of torch's: what it makes fails where the test says so, and each use of it is counted."""
    its = SimpleNamespace(error=None, calls=[])

    def compile(loss, **how):
        def quick(*batch):
            its.calls.append(len(batch))
            if its.error:
                raise its.error
            return loss(*batch)

        return quick

    monkeypatch.setattr(torch, "compile", compile)
    return its


def test_what_was_compiled_is_what_is_called(compiler):
    loss = Compiled(lambda x, none: 2 * x.sum())
    assert [float(loss(torch.ones(3), None)) for _ in range(2)] == [6.0, 6.0]
    assert compiler.calls == [2, 2]


def test_without_a_compiler_it_says_so_once(compiler, capsys):
    compiler.error = RuntimeError(
        "\n  Failed to find C compiler.\nPlease specify via CC environment variable.\n pages more"
    )
    loss = Compiled(lambda x: 2 * x.sum())
    assert [float(loss(torch.ones(3))) for _ in range(3)] == [6.0] * 3
    assert compiler.calls == [1]  # tried once
    assert capsys.readouterr().out == (
        "The loss is not compiled, and takes more time for the same numbers: Failed to find C compiler.\n"
    )


def test_the_losss_own_error_is_raised(compiler, capsys):
    def loss(x):
        raise ValueError(f"x has shape {tuple(x.shape)}: expected (B, 2).")

    compiler.error = RuntimeError("while tracing, a ValueError and forty lines about it")
    with pytest.raises(ValueError, match=r"^x has shape \(3,\): expected \(B, 2\)\.$"):
        Compiled(loss)(torch.ones(3))
    assert capsys.readouterr().out == ""


def test_a_full_memory_stays_compiled(compiler):
    loss, compiler.error = Compiled(lambda x: x.sum()), torch.cuda.OutOfMemoryError("out of memory")
    with pytest.raises(torch.cuda.OutOfMemoryError):
        loss(torch.ones(8))
    compiler.error = None
    assert float(loss(torch.ones(4))) == 4 and compiler.calls == [1, 1]  # in smaller pieces it goes on, compiled


def test_on_a_cpu_nothing_is_compiled(compiler):
    recipe = Recipe(10, compiled=True, **FULL)
    assert fit(Curve(), TABLE, recipe).finished and compiler.calls == []
