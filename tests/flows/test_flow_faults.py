"""Wrong input to a flow is answered with a sentence, and an empty batch passes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from dgm_course import nets
from dgm_course.flows import (
    ActNorm,
    Bijection,
    ContinuousFlow,
    Coupling,
    Dequantise,
    Flow,
    Logit,
    MaskedAutoregressive,
    MaskedCoupling,
    Permutation,
    Spline,
    Split,
    Squeeze,
    StandardNormal,
    couplings,
    mlp,
    multiscale_realnvp,
)


def test_an_empty_batch_passes_and_a_mean_over_it_does_not():
    flow = Flow(couplings(2, 2), 2)
    assert flow.log_prob(torch.zeros(0, 2)).shape == (0,) and flow.sample(0).shape == (0, 2)
    with pytest.raises(ValueError, match="empty batch"):
        flow.loss(torch.zeros(0, 2))
    images = Flow(multiscale_realnvp((1, 8, 8), (2, 2), (4, 4)), 64)
    assert images.log_prob(torch.zeros(0, 1, 8, 8)).shape == (0,) and images.sample(0).shape == (0, 1, 8, 8)


NUMBERS = torch.zeros(3, 2)
FAULTS = {
    "wrong dimension": (lambda: couplings(3)(NUMBERS), r"x has shape \(3, 2\): expected \(B, 3, ...\)"),
    "no batch": (lambda: ActNorm(2)(torch.zeros(2)), r"x has shape \(2,\): expected \(B, 2\)"),
    "no batch, coupling": (lambda: couplings(2)(torch.zeros(2)), r"x has shape \(2,\): expected \(B, 2, ...\)"),
    "NaN": (lambda: couplings(2)(NUMBERS + math.nan), "x contains NaN in 6 of 6 places"),
    "NaN back": (lambda: couplings(2).inverse(NUMBERS + math.nan), "z contains NaN"),
    "integers": (
        lambda: Flow(couplings(2), 2).log_prob(NUMBERS.long()),
        "x has dtype torch.int64: expected floating point",
    ),
    "one coordinate": (lambda: couplings(1), "dim is 1: expected at least 2"),
    "all kept": (lambda: Coupling([0, 1], 2, mlp(2, 2)), r"kept is \[0, 1\]: expected some places of 0 to 1"),
    "none kept": (lambda: Coupling([], 2, mlp(2, 2)), r"kept is \[\]"),
    "kept twice": (lambda: Coupling([0, 0], 3, mlp(2, 2)), r"kept is \[0, 0\]"),
    "mask of numbers": (lambda: MaskedCoupling(torch.tensor([1.0, 0.0]), mlp(2, 4)), "expected torch.bool"),
    "no permutation": (lambda: Permutation([0, 0]), r"order is \[0, 0\]: expected a permutation of 0 to 1"),
    "no order": (
        lambda: MaskedAutoregressive(3, order=[0, 1]),
        r"order is \[0, 1\]: expected a permutation of 0 to 2",
    ),
    "permutation of others": (
        lambda: Permutation([0, 1, 2])(NUMBERS),
        r"x has shape \(3, 2\): expected \(B, 3, ...\)",
    ),
    "pixels 0 to 255": (
        lambda: Dequantise((2,), 256)(NUMBERS + 255),
        "x runs from 255 to 255: expected pixels of 256",
    ),
    "pixels between": (lambda: Dequantise((2,), 3)(NUMBERS + 0.3), "expected pixels of 3 equally spaced values"),
    "pixels dequantised": (lambda: Dequantise((2,), 256)(torch.rand(3, 2)), "not dequantised already"),
    "one level": (lambda: Dequantise((2,), 1), "levels is 1"),
    "logit of 0": (
        lambda: Logit(0.0)(NUMBERS),
        r"x runs from 0 to 0: expected numbers in \(0, 1\), ends excluded",
    ),
    "logit of 1": (lambda: Logit(0.0)(NUMBERS + 1), "the logit of 0 or 1 is infinite"),
    "logit outside": (lambda: Logit(0.05)(NUMBERS - 1), r"x runs from -1 to -1: expected numbers in \[0, 1\]"),
    "knots that fall": (lambda: Spline([0.0, 1.0, 0.5], [0.0, 1.0, 2.0]), "expected two increasing rows"),
    "one knot": (lambda: Spline([0.0], [0.0]), "two numbers or more"),
    "unequal knots": (lambda: Spline([0.0, 1.0], [0.0, 1.0, 2.0]), r"knots \(2,\) and values \(3,\)"),
    "margin": (lambda: Logit(0.5), "margin is 0.5: expected a number from 0 to below 0.5"),
    "odd image": (lambda: Squeeze((1, 7, 8)), r"event is \(1, 7, 8\): expected \(C, H, W\) with H and W even"),
    "odd channels": (lambda: Split((3, 2, 2), Squeeze((1, 2, 2))), "expected an even number of channels"),
    "one sample": (lambda: ActNorm(2).set_from(NUMBERS[:1]), "x holds one sample"),
    "no base": (lambda: Flow(ActNorm(2), "normal"), "base is a str: expected an object with log_prob and sample"),
    "temperature": (lambda: Flow(ActNorm(2), 2).sample(3, 0.0), "temperature is 0.0: expected a number above 0"),
    "no layer": (lambda: Flow([nn.Linear(2, 2)], 2), "a layer is a Linear: expected invertible layers"),
    "no steps": (lambda: ContinuousFlow(nets.MLP(2), 2, steps=0), "steps is 0: expected at least one"),
    "noise of another shape": (
        lambda: StandardNormal(3).log_prob(NUMBERS),
        r"z has shape \(3, 2\): expected \(B, 3\)",
    ),
    "field without gradient": (
        lambda: ContinuousFlow(lambda x, t: torch.ones(3, 2), 2).log_prob(NUMBERS),
        "no gradient with respect to x",
    ),
    "nothing said": (lambda: Bijection()(NUMBERS), "Bijection does not say what f is"),
    "no way back": (lambda: Bijection().inverse(NUMBERS), "Bijection has no way back"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_wrong_input_is_a_sentence(name):
    wrong, sentence = FAULTS[name]
    with pytest.raises((ValueError, TypeError, NotImplementedError), match=sentence):
        wrong()
