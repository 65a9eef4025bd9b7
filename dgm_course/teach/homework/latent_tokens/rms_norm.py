"""10.4 A norm that only rescales."""

import numpy as np
import torch
from torch import Tensor

from .. import Exercise, ObserveSpec
from ..draws import Cases, Rng, case_of, numbers, points, square_first


def rms_norm(h: Tensor, gain: Tensor, epsilon: float) -> Tensor:
    """PyTorch's norm, its weight being the gain."""
    return torch.nn.functional.rms_norm(h, gain.shape, gain, epsilon)


def cases(rng: Rng) -> Cases:
    """Features (B, C), a gain (C,), and an epsilon that is large enough to be seen."""
    for name, shape, hint in square_first(rng):
        renamed = {"B = D": "B = C", "D = 1": "C = 1"}.get(name, name)
        args = {
            "h": points(rng, *shape) + 0.7,
            "gain": numbers(rng, shape[1], low=0.4, high=2.5),
            "epsilon": float(np.round(rng.uniform(0.2, 0.6), 2) + 0.003),
        }
        yield case_of(renamed, args, hint)


def _mean_square(h: Tensor) -> Tensor:
    return h.square().mean(-1, keepdim=True)


# fmt: off
MISTAKES = (
    ("The mean is taken away first, as in a LayerNorm: this norm leaves it where it is, and only rescales.",
     lambda h, gain, epsilon: (
         (h - h.mean(1, keepdim=True)) / (h.var(1, keepdim=True, unbiased=False) + epsilon).sqrt() * gain
     )),
    ("Divided by the standard deviation, which is measured from the mean: the root of the mean square is "
     "measured from 0.",
     lambda h, gain, epsilon: h / (h.var(1, keepdim=True, unbiased=False) + epsilon).sqrt() * gain),
    ("The squares are summed: their mean is asked, so that the size does not depend on the width.",
     lambda h, gain, epsilon: h / (h.square().sum(1, keepdim=True) + epsilon).sqrt() * gain),
    ("The rows are brought to length one: the squares are summed, and epsilon is not used. Their mean square is "
     "to be one.",
     lambda h, gain, epsilon: h / h.norm(dim=1, keepdim=True) * gain),
    ("Epsilon is squared: it stands under the root as it is.",
     lambda h, gain, epsilon: h / (_mean_square(h) + epsilon**2).sqrt() * gain),
    ("The mean is squared: the mean of the squares is asked, in which signs do not cancel.",
     lambda h, gain, epsilon: h / (h.mean(1, keepdim=True).square() + epsilon).sqrt() * gain),
    ("The root is missing: divided by the mean square itself.",
     lambda h, gain, epsilon: h / (_mean_square(h) + epsilon) * gain),
    ("Epsilon is added after the root: it belongs under it.",
     lambda h, gain, epsilon: h / (_mean_square(h).sqrt() + epsilon) * gain),
    ("Epsilon is not used: a row of zeros would be divided by zero.",
     lambda h, gain, epsilon: h / _mean_square(h).sqrt() * gain),
    ("The mean runs over the batch: every row has a size of its own, the mean square of its own numbers.",
     lambda h, gain, epsilon: h / (h.square().mean(0, keepdim=True) + epsilon).sqrt() * gain),
    ("One size for the whole batch: the mean has to stop at the last axis.",
     lambda h, gain, epsilon: h / (h.square().mean() + epsilon).sqrt() * gain),
    ("The gain is not used.", lambda h, gain, epsilon: h / (_mean_square(h) + epsilon).sqrt()),
    ("Divided by the gain: it multiplies.",
     lambda h, gain, epsilon: h / (_mean_square(h) + epsilon).sqrt() / gain),
    ("The gain is added: it multiplies.", lambda h, gain, epsilon: h / (_mean_square(h) + epsilon).sqrt() + gain),
    ("One is added to the gain: some models store it so, but here the gain is the whole factor.",
     lambda h, gain, epsilon: h / (_mean_square(h) + epsilon).sqrt() * (1 + gain)),
    ("Multiplied by the root of the mean square: divided is asked, so that large rows become small.",
     lambda h, gain, epsilon: h * (_mean_square(h) + epsilon).sqrt() * gain),
    ("This is the mean of absolute values: squares, their mean, then the root.",
     lambda h, gain, epsilon: h / (h.abs().mean(-1, keepdim=True) + epsilon) * gain),
    ("Sizes, one a row, have lost their column: (B,) divides the columns of (B, C), where it does not fail "
     "altogether.",
     lambda h, gain, epsilon: h / (h.square().mean(1) + epsilon).sqrt() * gain),
    ("The gain is applied before the mean square is measured: first the row is brought to size one, then "
     "multiplied.",
     lambda h, gain, epsilon: h * gain / (_mean_square(h * gain) + epsilon).sqrt()),
)

GRADIENT_MISTAKES = (
    ("The size of a row depends on h as well: it is cut out of the graph, by detach or no_grad, and its share "
     "of the gradient is lost.",
     lambda h, gain, epsilon: h / (_mean_square(h.detach()) + epsilon).sqrt() * gain),
)

EXERCISE = Exercise(
    id="lat.rms_norm", number="10.4", title="a norm that only rescales",
    prompt="every row of h divided by the root of its mean square, with epsilon under the root, and multiplied "
           "by the gain",
    more="The mean of the squares over the last axis, kept as a column; add ε, take the root, divide; times the "
         "gain.",
    cases=cases, reference=rms_norm, mistakes=MISTAKES, gradient_mistakes=GRADIENT_MISTAKES,
    watch=ObserveSpec(gradient=("h", "gain"), tensors=True),
)
