"""Wrong input of autoregressive models: each error names what came and what was expected."""

from __future__ import annotations

import math

import pytest
import torch

from dgm_course.autoregressive import (
    MADE,
    GatedPixelCNN,
    ImageGPT,
    LlamaGen,
    PixelCNN,
    PixelRNN,
    guided,
    receptive_field,
)
from dgm_course.nets import Llama


def plain(classes: int = 0) -> MADE:
    return MADE(2, (1, 3, 3), width=9, classes=classes)


ONES, TRUE = torch.ones(2, 1, 3, 3).long(), torch.ones(1, 3, 3, dtype=torch.bool)
HOLE = TRUE.clone()
HOLE[0, 1, 1] = False


@pytest.mark.parametrize(
    "ask, words",
    [
        (lambda: plain().log_prob(ONES.float() / 3), "dtype torch.float32.*symbols.*grey values.*binarise"),
        (lambda: plain().loss(ONES.bool()), "dtype torch.bool.*integers 0 to 1"),
        (lambda: plain().log_prob([1, 0]), "type list.*tensor"),
        (lambda: plain().inpaint(ONES, TRUE.long()), "known has dtype torch.int64.*booleans"),
        (lambda: plain().inpaint(ONES, 4), "known has type int"),
    ],
)
def test_wrong_types(ask, words):
    with pytest.raises(TypeError, match=words):
        ask()


@pytest.mark.parametrize(
    "ask, words",
    [
        (lambda: plain().log_prob(2 * ONES), "runs from 2 to 2: expected symbols 0 to 1"),
        (lambda: plain().log_prob(-ONES), "runs from -1 to -1"),
        (lambda: plain().log_prob(ONES[:, 0]), r"shape \(2, 3, 3\): this MADE expects \(B, 1, 3, 3\)"),
        (lambda: plain().log_prob(ONES.to("meta")), "x is on the device meta: expected cpu"),
        (lambda: plain().loss(ONES[:0]), "empty batch"),
        (lambda: plain().log_prob(ONES, 1), "knows no classes"),
        (lambda: plain().sample(2, 1), "knows no classes"),
        (lambda: plain(3).log_prob(ONES), "y was not given.*3 classes"),
        (lambda: plain(3).sample(2, 3), "runs from 3 to 3: expected class numbers 0 to 2"),
        (lambda: plain(3).sample(2, torch.tensor([1, 1, 1])), r"shape \(3,\).*\(2,\)"),
        (lambda: plain(3).sample(2, torch.tensor([1.0, 1.0])), "dtype torch.float32.*class numbers"),
        (lambda: plain().sample(-1), "n is -1: expected at least 0"),
        (lambda: plain().sample(2, temperature=0), "temperature is 0: expected.*above 0"),
        (lambda: plain().sample(2, temperature=-1.0), "temperature is -1.0"),
        (lambda: plain().sample(2, temperature=math.nan), "temperature is nan"),
        (lambda: plain().sample(2, temperature=math.inf), "finite"),
        (lambda: plain().inpaint(ONES, HOLE), "no beginning.*place 5 is known, and place 4, just before it"),
        (lambda: plain().inpaint(ONES, TRUE[0]), r"shape \(3, 3\): expected \(1, 3, 3\) or \(2, 1, 3, 3\)"),
        (lambda: plain().inpaint(ONES[:, :, :2], TRUE), r"x has shape \(2, 1, 2, 3\)"),
        (lambda: receptive_field(plain(), (1, 1)), r"place is \(1, 1\).*each axis of \(1, 3, 3\)"),
        (lambda: receptive_field(plain(), (0, 3, 1)), "place is"),
        (lambda: MADE(2, (3,), order=[0, 1, 1]), r"order is \[0, 1, 1\].*permutation of 0 to 2"),
        (lambda: ImageGPT(2, (3,), order=[0, 1]), "permutation of 0 to 2"),
        (lambda: MADE(2, (3,), order=[0.0, 1.0, 2.0]), "permutation"),
        (lambda: MADE(0, (3,)), "vocabulary is 0"),
        (lambda: MADE(2, ()), "axis of the event is 0"),
        (lambda: MADE(2, (3,), depth=0), "depth is 0"),
        (lambda: MADE(2, (3,), classes=-1), "classes is -1"),
        (lambda: PixelCNN(2, (3, 5, 5)), r"event is \(3, 5, 5\): PixelCNN expects images of one channel"),
        (lambda: PixelCNN(2, (5,)), "one channel"),
        (lambda: PixelCNN(2, (1, 5, 5), depth=0), "depth is 0"),
        (lambda: GatedPixelCNN(2, (1, 5, 5), depth=1), "depth is 1: expected at least 2"),
        (lambda: PixelRNN(2, (1, 5, 5), depth=1), "depth is 1: expected at least 2"),
        (lambda: ImageGPT(2, (1, 5, 5), depth=0), "depth is 0"),
        (lambda: ImageGPT(2, (1, 5, 5), width=10, heads=4), "4 heads do not divide"),
        (lambda: LlamaGen(3, (2, 2), Llama(torch.arange(5), 8, 1, 2)), r"5 places and event \(2, 2\) has 4"),
        (lambda: LlamaGen(3, (4,), Llama(torch.arange(4), 8, 1, 2), drop=-0.1), "drop is -0.1: expected a share"),
        (lambda: plain().sample(2, iter_logits=guided(2.0)), "guidance needs a model with classes"),
    ],
)
def test_wrong_values(ask, words):
    with pytest.raises(ValueError, match=words):
        ask()


def test_a_prefix_follows_the_order_of_generation():
    """What is no prefix in row-major order is one where the hole comes last."""
    model = MADE(2, (1, 3, 3), width=9, order=[0, 1, 2, 3, 5, 6, 7, 8, 4])
    assert torch.equal(model.inpaint(ONES, HOLE)[:, HOLE], ONES[:, HOLE])


def test_broken_weights_are_not_sampled_from(make):
    model = make()
    with torch.no_grad():
        model.label_embedding.weight.fill_(math.nan)
    with pytest.raises(ValueError, match="NaN"):
        model.sample(2)
