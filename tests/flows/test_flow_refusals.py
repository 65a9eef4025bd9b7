"""What flows refuse, and empty batches."""

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


def test_empty_batches_pass_but_have_no_loss():
    flow = Flow(couplings(2, 2), 2)
    assert flow.log_prob(torch.zeros(0, 2)).shape == (0,) and flow.sample(0).shape == (0, 2)
    with pytest.raises(ValueError, match="empty batch"):
        flow.loss(torch.zeros(0, 2))
    images = Flow(multiscale_realnvp((1, 8, 8), (2, 2), (4, 4)), 64)
    assert images.log_prob(torch.zeros(0, 1, 8, 8)).shape == (0,) and images.sample(0).shape == (0, 1, 8, 8)


X = torch.zeros(3, 2)
REFUSALS = [
    (lambda: couplings(3)(X), r"x has shape \(3, 2\): expected \(B, 3, ...\)"),
    (lambda: Permutation([0, 1, 2])(X), r"x has shape \(3, 2\): expected \(B, 3, ...\)"),
    (lambda: couplings(2)(torch.zeros(2)), r"x has shape \(2,\): expected \(B, 2, ...\)"),
    (lambda: ActNorm(2)(torch.zeros(2)), r"x has shape \(2,\): expected \(B, 2\)"),
    (lambda: couplings(2)(X + math.nan), "x contains NaN in 6 of 6 places"),
    (lambda: couplings(2).inverse(X + math.nan), "z contains NaN"),
    (lambda: Flow(couplings(2), 2).log_prob(X.long()), "x has dtype torch.int64: expected floating point"),
    (lambda: couplings(1), "dim is 1: expected at least 2"),
    (lambda: Coupling([0, 1], 2, mlp(2, 2)), r"kept is \[0, 1\]: expected some of 0 to 1"),
    (lambda: Coupling([], 2, mlp(2, 2)), r"kept is \[\]"),
    (lambda: Coupling([0, 0], 3, mlp(2, 2)), r"kept is \[0, 0\]"),
    (lambda: MaskedCoupling(torch.tensor([1.0, 0.0]), mlp(2, 4)), "True in 1 of 2 places: expected torch.bool"),
    (lambda: Permutation([0, 0]), r"order is \[0, 0\]: expected a permutation of 0 to 1"),
    (lambda: MaskedAutoregressive(3, order=[0, 1]), r"order is \[0, 1\]: expected a permutation of 0 to 2"),
    (lambda: Dequantise((2,), 256)(X + 255), "x runs from 255 to 255: expected pixels of 256 values, -1 to 1"),
    (lambda: Dequantise((2,), 3)(X + 0.3), "x runs from 0.3 to 0.3: expected pixels of 3 values"),
    (lambda: Dequantise((2,), 256)(torch.rand(3, 2)), "expected pixels of 256 values"),
    (lambda: Dequantise((2,), 1), "levels is 1"),
    (lambda: Logit(0.0)(X), r"x runs from 0 to 0: expected numbers in \(0, 1\), ends excluded"),
    (lambda: Logit(0.0)(X + 1), "the logit of 0 or 1 is infinite"),
    (lambda: Logit(0.05)(X - 1), r"x runs from -1 to -1: expected numbers in \[0, 1\]"),
    (lambda: Logit(0.5), "margin is 0.5: expected a number from 0 to below 0.5"),
    (lambda: Spline([0.0, 1.0, 0.5], [0.0, 1.0, 2.0]), "expected two increasing rows"),
    (lambda: Spline([0.0], [0.0]), "at least 2"),
    (lambda: Spline([0.0, 1.0], [0.0, 1.0, 2.0]), r"knots \(2,\) and values \(3,\)"),
    (lambda: Squeeze((1, 7, 8)), r"event is \(1, 7, 8\): expected \(C, H, W\) with H and W even"),
    (lambda: Split((3, 2, 2), Squeeze((1, 2, 2))), "expected an even number of channels"),
    (lambda: ActNorm(2).set_from(X[:1]), "x holds one sample"),
    (lambda: Flow(ActNorm(2), "normal"), "base is a str: expected one with log_prob and sample, or a shape"),
    (lambda: Flow(ActNorm(2), 2).sample(3, 0.0), "temperature is 0.0: expected a number above 0"),
    (lambda: Flow([nn.Linear(2, 2)], 2), "a layer is a Linear: expected invertible layers"),
    (lambda: StandardNormal(3).log_prob(X), r"z has shape \(3, 2\): expected \(B, 3\)"),
    (lambda: ContinuousFlow(nets.MLP(2), 2, steps=0), "steps is 0: expected at least one"),
    (lambda: ContinuousFlow(lambda x, t: torch.ones(3, 2), 2).log_prob(X), "no gradient with respect to x"),
    (lambda: Bijection()(X), "Bijection has no forward: expected it to define"),
    (lambda: Bijection().inverse(X), "Bijection has no inverse"),
]


@pytest.mark.parametrize("act, message", REFUSALS, ids=[f"{i}-{m[:30]}" for i, (_, m) in enumerate(REFUSALS)])
def test_bad_input_is_refused(act, message):
    with pytest.raises((ValueError, TypeError, NotImplementedError), match=message):
        act()
