"""7.10 One step of Langevin dynamics."""

from collections.abc import Callable

import torch
from torch import Tensor

from ....core.ode import euler
from .. import Case, Exercise, Network
from ..draws import SIZE, Cases, Rng, in_float32, odd_sizes, points, sizes
from ..recipes import SCORES, Score


def langevin_step(score: Callable, x: Tensor, step: float, z: Tensor) -> Tensor:
    """Euler-Maruyama for dx = ∇ log p dτ + √2 dW over the time `step`."""
    drifted = euler(lambda y, t: score(y), x, torch.tensor(0.0), step)
    return drifted + 2**0.5 * step**0.5 * z


def cases(rng: Rng) -> Cases:
    bumps = Score("score = 2 tanh(2x) − x")
    rows = [(formula, Score(formula), sizes(rng), "") for formula in SCORES]
    batch = sizes(rng)
    rows += [("a network", Network.random(rng, batch[1]), batch, ""), ("float32", bumps, sizes(rng), "")]
    rows += [("a large step", bumps, sizes(rng), SIZE)]
    for name, recipe, batch, hint in (
        *rows,
        *((name, bumps, batch, hint) for name, batch, hint in odd_sizes(rng)),
    ):
        low, high = (1.5, 3) if name == "a large step" else (0.05, 0.4)
        noisy = {
            "x": points(rng, *batch),
            "step": round(float(rng.uniform(low, high)), 4),
            "z": points(rng, *batch),
        }
        yield Case(name, {"score": recipe, **(in_float32(noisy) if name == "float32" else noisy)}, hint=hint)


def _langevin(
    drift: Callable = lambda h: h, noise: Callable = lambda h: (2 * h) ** 0.5, at: Callable = lambda x, z, h: x
):
    """The step with one of its pieces exchanged."""
    return lambda score, x, step, z: x + drift(step) * score(at(x, z, step)) + noise(step) * z


# fmt: off
MISTAKES = (
    ("The noise lacks its factor 2 under the root: the chain would settle too narrow.",
     _langevin(noise=lambda h: h**0.5)),
    ("That is the other convention, with half a step along the score; here a whole one is taken.",
     _langevin(lambda h: h / 2, lambda h: h**0.5)),
    ("The noise is right; only half a step is taken along the score.", _langevin(lambda h: h / 2)),
    ("The noise is right; the step along the score is doubled.", _langevin(lambda h: 2 * h)),
    ("The noise lacks its root: twice the step is its variance.", _langevin(noise=lambda h: 2 * h)),
    ("The noise is multiplied by the step itself: its variance is twice the step.", _langevin(noise=lambda h: h)),
    ("The factor 2 stands outside the root of the noise.", _langevin(noise=lambda h: 2 * h**0.5)),
    ("The root reaches only the 2 of the noise.", _langevin(noise=lambda h: 2**0.5 * h)),
    ("The noise comes in at full size: it must shrink with the step.", _langevin(noise=lambda h: 1.0)),
    ("The noise is missing: without it the chain climbs to the nearest peak and stays.",
     _langevin(noise=lambda h: 0.0)),
    ("The noise is subtracted: the same in distribution, but another point than the one asked.",
     _langevin(noise=lambda h: -((2 * h) ** 0.5))),
    ("The chain walks against the score, away from the data.", _langevin(lambda h: -h)),
    ("The score is added without the step.", _langevin(lambda h: 1.0)),
    ("The score is multiplied by the root that belongs to the noise.", _langevin(lambda h: (2 * h) ** 0.5)),
    ("The score is asked where the noise has already moved the point; it belongs to the point before the step.",
     _langevin(at=lambda x, z, h: x + (2 * h) ** 0.5 * z)),
    ("The score is asked at the noise z; it is the point x whose slope counts.", _langevin(at=lambda x, z, h: z)),
    ("x and z are exchanged.", lambda score, x, step, z: _langevin()(score, z, step, x)),
    ("The step alone came: it starts from x, which is missing.",
     lambda score, x, step, z: step * score(x) + (2 * step) ** 0.5 * z),
    ("The noise is multiplied by the step once more: a parenthesis too many.",
     lambda score, x, step, z: x + step * (score(x) + (2 * step) ** 0.5 * z)),
)

EXERCISE = Exercise(
    id="diff.langevin_step", number="7.10", title="one step of Langevin dynamics",
    prompt="the next point of a Langevin chain whose step is the factor of the score, for a given standard "
           "normal noise",
    more="x + step · score(x) + √(2 step) z: the variance of the noise is twice the step.",
    cases=cases, reference=langevin_step, mistakes=MISTAKES,
)
