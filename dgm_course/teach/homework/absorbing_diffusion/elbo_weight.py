"""9.7 The weight of the ELBO."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ....paths import MaskPath
from ....paths import elbo_weight as weight_of
from .. import Case, Exercise, ObserveSpec
from ..draws import NARROW, Cases, Rng
from ..recipes import SCHEDULES, Schedule
from ._shared import ENDS, LARGE, _chances


def elbo_weight(survive: Callable, t: Tensor) -> Tensor:
    """The weight of the path with this schedule; the vocabulary does not matter."""
    return weight_of(MaskPath(1, survive), t)


def cases(rng: Rng) -> Cases:
    """In float64 throughout: a difference quotient is a derivative, too."""
    for name in SCHEDULES:
        yield Case(
            name, {"survive": Schedule(name), "t": _chances(rng, int(rng.integers(6, 11)), low=0.1, high=0.9)}
        )
    size = int(rng.integers(6, 11))
    ends = np.where(np.arange(size) % 2, 0.02, 0.98) + np.round(rng.uniform(-0.01, 0.01, size=size), 3)
    yield Case("t near 0 and 1", {"survive": Schedule("cosine"), "t": ends}, hint=ENDS)
    for name, size, hint in (("B = 1", 1, NARROW), ("B = 40", 40, LARGE)):
        yield Case(name, {"survive": Schedule("α = t²"), "t": _chances(rng, size)}, hint=hint)


def _slope(survive: Callable, t: Tensor) -> Tensor:
    t = t.clone().requires_grad_()
    return torch.autograd.grad(survive(t).sum(), t)[0]


def _weight(form: Callable, clock: Callable = lambda t: t) -> Callable:
    """form(alpha, alpha', t), both taken at clock(t)."""
    return lambda survive, t: form(survive(clock(t)), _slope(survive, clock(t)), t)


# fmt: off
MISTAKES = (
    ("That is 1/(1 − t), right on the linear schedule alone: others have another α and α'.",
     _weight(lambda a, da, t: 1 / (1 - t))),
    ("The derivative is missing: how fast tokens appear at t depends on the schedule (on the linear one it is 1).",
     _weight(lambda a, da, t: 1 / (1 - a))),
    ("The denominator is that of the linear schedule: the share still masked is 1 − α, whatever the schedule.",
     _weight(lambda a, da, t: da / (1 - t))),
    ("Above the line stands α itself: its derivative by t is asked.", _weight(lambda a, da, t: a / (1 - a))),
    ("Divided by α: it is the masked share that the weight is divided by.", _weight(lambda a, da, t: da / a)),
    ("The derivative alone came: it is divided by the masked share.", _weight(lambda a, da, t: da)),
    ("Multiplied by the masked share, not divided.", _weight(lambda a, da, t: da * (1 - a))),
    ("The schedule is asked at 1 − t: here t = 0 masks and t = 1 is data.",
     _weight(lambda a, da, t: da / (1 - a), lambda t: 1 - t)),
    ("The schedule is asked at 1 − t and its sign is reversed, the clock of the slides: here t = 0 masks.",
     _weight(lambda a, da, t: -da / (1 - a), lambda t: 1 - t)),
    ("The masked share is squared: divide by it once.", _weight(lambda a, da, t: da / (1 - a) ** 2)),
    ("Below the line stands 1 − α²: on mask paths α is a probability, and the masked share is 1 − α.",
     _weight(lambda a, da, t: da / (1 - a**2))),
    ("The derivative was taken of log α: that is divided by α as well.",
     _weight(lambda a, da, t: da / a / (1 - a))),
    ("All times were weighted together: a mean or a sum over the batch came for each sample.",
     _weight(lambda a, da, t: (da / (1 - a)).mean() + 0 * t)),
)

EXERCISE = Exercise(
    id="abs.elbo_weight", number="9.7", title="the weight of the ELBO",
    prompt="how fast tokens appear at t, over the share of those still masked, for any schedule",
    more="w = α'/(1 − α). Each α depends on its own t alone, so the gradient of their sum by t holds all the α'.",
    cases=cases, reference=elbo_weight, mistakes=MISTAKES, watch=ObserveSpec(tensors=True),
)
