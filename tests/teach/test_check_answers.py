"""What students hand in: every readable form passes, every known slip is recognised by its value or its shape."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from dgm_course.teach.homework import NOT_YET, WRONG

from .toys import table, total, toy


def only_docstring(x, w):
    """Words."""


def only_dots(x, w): ...


def only_pass(x, w):
    pass


def returns_dots(x, w):
    return ...


def dots_inside(x, w):
    y = ...
    return y + x


def raises_stub(x, w):
    raise NotImplementedError


@pytest.mark.parametrize(
    "stub", [only_docstring, only_dots, only_pass, returns_dots, dots_inside, raises_stub, ...]
)
def test_unfilled_in_every_style_is_not_yet(stub):
    assert toy(table).verdict(stub).status == NOT_YET


def test_forgotten_return_is_named():
    def answer(x, w):
        y = x * w  # noqa: F841

    verdict = toy(table).verdict(answer)
    assert verdict.status == WRONG and "`return`" in verdict.hint and "None" in verdict.law


@pytest.mark.parametrize(
    "convert",
    [
        lambda y: y.float(),
        lambda y: y.bfloat16().double() * 0 + y,
        lambda y: y.numpy(),
        lambda y: y.tolist(),
        lambda y: nn.Parameter(y),
        lambda y: list(y),
        lambda y: tuple(y.numpy()),
        lambda y: y.to_sparse(),
        lambda y: y.T.contiguous().T,
        lambda y: y.numpy().astype(np.float32),
    ],
)
def test_every_readable_form_of_the_right_values_passes(convert):
    assert toy(table).verdict(lambda x, w: convert(table(x, w))).passed


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool, torch.float16, torch.float64])
def test_whole_numbers_may_come_in_any_dtype(dtype):
    assert toy(lambda x, w: (x > 3).double()).verdict(lambda x, w: (x > 3).to(dtype)).passed


@pytest.mark.parametrize(
    "convert",
    [
        lambda y: y,
        lambda y: y.item(),
        lambda y: y.reshape(1),
        lambda y: y.reshape(1, 1),
        lambda y: y.numpy()[()],
        lambda y: np.float32(y),
        lambda y: [y.item()],
    ],
)
def test_every_readable_form_of_one_number_passes(convert):
    assert toy(total).verdict(lambda x, w: convert(total(x, w))).passed


@pytest.mark.parametrize(
    "answer,fragment",
    [
        (lambda x, w: -table(x, w), "sign is reversed"),
        (lambda x, w: 2 * table(x, w), "twice"),
        (lambda x, w: table(x, w) / 2, "half"),
        (lambda x, w: -table(x, w) / 2, "−½"),
        (lambda x, w: table(x, w) / np.log(2), "base 2"),
        (lambda x, w: 3.5 * table(x, w), "3.5 times"),
        (lambda x, w: table(x, w) + 1, "plus 1"),
        (lambda x, w: table(x, w) ** 2, "is the square of"),
        (lambda x, w: table(x, w) ** 0.5, "square root of"),
        (lambda x, w: 1 / table(x, w), "one over"),
        (lambda x, w: table(x, w).log(), "logarithm too many"),
        (lambda x, w: table(x, w).exp(), "logarithm is missing"),
        (lambda x, w: table(x, w).flip(0), "reversed along the first axis"),
        (lambda x, w: table(x, w) * float("nan"), "NaN"),
        (lambda x, w: table(x, w) / 0, "infinite"),
        (lambda x, w: 0 * x, "zero everywhere"),
        (lambda x, w: 0 * x + 5, "same number comes out"),
        (lambda x, w: w, "argument w itself"),
        (lambda x, w: table(x, w[:1]), "first row"),
        (
            lambda x, w: (
                table(x, w) * (1 + 0.004 * torch.linspace(0, 1, x.numel(), dtype=x.dtype).reshape(x.shape))
            ),
            "Close",
        ),
        (lambda x, w: torch.sin(x), "Compute one entry by hand"),
    ],
)
def test_common_mistake_is_recognised_by_value(answer, fragment):
    verdict = toy(table).verdict(answer)
    assert verdict.status == WRONG and fragment in verdict.hint, verdict


@pytest.mark.parametrize(
    "answer,fragment",
    [
        (lambda x, w: (x * w).mean(1).sum(), "sum over the batch"),
        (lambda x, w: (x * w).sum(1).mean(), "sum over the coordinates"),
        (lambda x, w: (x * w).sum(), "sum over everything"),
        (lambda x, w: (x * w).mean() / len(x), "divided by B:"),
        (lambda x, w: (x * w).mean() / x.shape[1], "divided by D:"),
        (lambda x, w: (x * w).mean() / x.numel(), "divided by B·D"),
        (lambda x, w: (x * w).mean(1), "mean is missing (it would be right)"),
        (lambda x, w: x * w, "mean is missing (it would be right)"),
    ],
)
def test_sum_and_mean_are_told_apart(answer, fragment):
    verdict = toy(total).verdict(answer)
    assert verdict.status == WRONG and fragment in verdict.hint, verdict


@pytest.mark.parametrize(
    "answer,fragment",
    [
        (lambda x, w: table(x, w).T, "transpose the result"),
        (lambda x, w: x.T, "Rows and columns"),
        (lambda x, w: table(x, w).sum(1), "A sum too many: over the coordinates"),
        (lambda x, w: table(x, w).mean(0), "A mean too many: over the batch"),
        (lambda x, w: table(x, w)[:2], "(B"),
        (lambda x, w: torch.stack([x, table(x, w)]), "the last (which is right)"),
        (lambda x, w: table(x, w).flatten(), "the numbers are right"),
        (lambda x, w: table(x, w)[None], "the numbers are right"),
        (lambda x, w: table(x, w)[..., None], "the numbers are right"),
        (lambda x, w: torch.arange(len(x)), "return the points themselves"),
        (lambda x, w: x @ w.T, "made all pairs"),
        (lambda x, w: x[0, 0], "Too few numbers"),
    ],
)
def test_wrong_shapes_are_named(answer, fragment):
    verdict = toy(table).verdict(answer)
    assert verdict.status == WRONG
    assert fragment in verdict.hint or verdict.expected.startswith("shape"), verdict
    assert fragment in verdict.hint or fragment == "(B", verdict
