"""9.3 How likely a mask is lifted."""

import numpy as np
from torch import Tensor

from ....paths import MaskPath
from .. import Case, Exercise
from ..draws import NARROW, Cases, Rng
from ._shared import ENDS, LARGE, _kind, _step


def unmask_probability(survive_before: Tensor, survive_now: Tensor) -> Tensor:
    """Of what is masked now, the share that appears by survive_before."""
    return MaskPath(1).unmask(survive_now, survive_before)


def cases(rng: Rng) -> Cases:
    for name, size, hint in (
        ("a schedule", int(rng.integers(6, 11)), ""),
        ("another schedule", int(rng.integers(6, 11)), ""),
        ("float32", int(rng.integers(6, 11)), ""),
        ("k = 1", int(rng.integers(6, 11)), ENDS),
        ("k = T", int(rng.integers(6, 11)), ENDS),
        (
            "small steps",
            int(rng.integers(6, 11)),
            "Wrong for small steps alone: is something approximated or rounded?",
        ),
        ("B = 1", 1, NARROW),
        ("B = 40", 40, LARGE),
    ):
        before, now = _step(rng, size)
        before = np.ones(size) if name == "k = 1" else now + 0.01 if name == "small steps" else before
        now = np.zeros(size) if name == "k = T" else now
        args = {"survive_before": before.astype(_kind(name)), "survive_now": now.astype(_kind(name))}
        yield Case(name, args, hint=hint)


# fmt: off
MISTAKES = (
    ("That is β_k, the chance of the forward step: how likely a visible token is masked at step k. Asked is the "
     "way back, for a token that is masked already.",
     lambda b, n: 1 - n / b),
    ("That is how likely a token is masked exactly at step k, of all tokens. Asked is: of those that are masked "
     "by then.",
     lambda b, n: b - n),
    ("Divided by the chance to be masked at k − 1; the condition is being masked at k.",
     lambda b, n: (b - n) / (1 - b)),
    ("That is the complement: the chance that a masked token stays masked.", lambda b, n: (1 - b) / (1 - n)),
    ("Divided by survive_now: the condition is that the token is masked at k, and survive_now is visible.",
     lambda b, n: (b - n) / n),
    ("That is how likely any token is visible at k − 1: that it is masked at k is not used.",
     lambda b, n: b + 0 * n),
    ("β_k was taken as 1 − survive_now, the chance to be masked somewhere up to k; β_k is that of the one step.",
     lambda b, n: 1 - n),
    ("The factor survive_before is missing above the line: to be masked at step k a token must be visible at k "
     "− 1.",
     lambda b, n: (1 - n / b) / (1 - n)),
    ("Above the line survive_now stands for survive_before: the token must be visible before step k.",
     lambda b, n: n * (1 - n / b) / (1 - n)),
    ("Above the line β_k was taken as 1 − survive_before, the chance to be masked up to k − 1.",
     lambda b, n: b * (1 - b) / (1 - n)),
    ("Parentheses are missing: a division binds before the difference above it.", lambda b, n: b - n / (1 - n)),
    ("Parentheses are missing: a division binds before the differences above and below it.",
     lambda b, n: b - n / 1 - n),
    ("The two are exchanged: survive_before, at k − 1, is the larger, and a chance is not negative.",
     lambda b, n: (n - b) / (1 - b)),
    ("Squares: alpha-bar is a probability on mask paths, not the square of a scale.",
     lambda b, n: (b**2 - n**2) / (1 - n**2)),
    ("A masked token is not 1/(1 − survive_now) likely, but of those masked a part: the numerator is missing.",
     lambda b, n: 1 / (1 - n) + 0 * b),
)

EXERCISE = Exercise(
    id="abs.unmask_probability", number="9.3", title="how likely a mask is lifted",
    prompt="the probability that a token masked at step k is clean at step k − 1",
    more="Bayes: the chance to be masked exactly at step k, ᾱ_{k−1} − ᾱ_k, over the chance to be masked by then.",
    cases=cases, reference=unmask_probability, mistakes=MISTAKES,
)
