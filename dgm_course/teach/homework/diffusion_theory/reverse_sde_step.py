"""7.14 DDPM's step is a step of the reverse SDE."""

from collections.abc import Callable

import torch
from torch import Tensor

from ....core.ode import euler
from .. import Case, Exercise, Network
from ..draws import SIZE, Cases, Rng, in_float32, odd_sizes, points, sizes
from ..recipes import Score


def reverse_sde_step(score: Callable, x: Tensor, beta: float, z: Tensor) -> Tensor:
    """Euler-Maruyama for the reverse of dx = −½ x dτ + dW, over a stretch of β."""
    back = euler(lambda y, t: y / 2 + score(y), x, torch.tensor(0.0), beta)
    return back + beta**0.5 * z


def cases(rng: Rng) -> Cases:
    bumps = Score("score = 2 tanh(2x) − x")
    batch = sizes(rng)
    rows = [("two bumps", bumps, sizes(rng), ""), ("a network", Network.random(rng, batch[1]), batch, "")]
    rows += [("one blob", Score("score = 4(1 − x)"), sizes(rng), ""), ("float32", bumps, sizes(rng), "")]
    rows += [("a large step", bumps, sizes(rng), SIZE)]
    for name, score, batch, hint in (*rows, *((name, bumps, batch, hint) for name, batch, hint in odd_sizes(rng))):
        low, high = (0.5, 0.9) if name == "a large step" else (0.05, 0.3)
        noisy = {
            "x": points(rng, *batch),
            "beta": round(float(rng.uniform(low, high)), 4),
            "z": points(rng, *batch),
        }
        yield Case(name, {"score": score, **(in_float32(noisy) if name == "float32" else noisy)}, hint=hint)


def _back(
    drift: Callable = lambda x, score: x / 2 + score,
    size: Callable = lambda b: b,
    noise: Callable = lambda b: b**0.5,
) -> Callable:
    """The step with one of its pieces exchanged."""
    return lambda score, x, beta, z: x + size(beta) * drift(x, score(x)) + noise(beta) * z


# fmt: off
MISTAKES = (
    ("That is DDPM's own step: it agrees with this one up to β², and here the Euler step of the SDE is asked.",
     lambda score, x, beta, z: (x + beta * score(x)) / (1 - beta) ** 0.5 + beta**0.5 * z),
    ("That is a step of the probability-flow ODE with noise added: half the score is the ODE's, the whole one "
     "the SDE's.",
     _back(lambda x, s: x / 2 + s / 2)),
    ("That is a step of the probability-flow ODE; the SDE has the whole score and fresh noise.",
     _back(lambda x, s: x / 2 + s / 2, noise=lambda b: 0.0)),
    ("The noise is missing.", _back(noise=lambda b: 0.0)),
    ("The drift −½x is gone through forwards: going back in time it pushes outwards.",
     _back(lambda x, s: -x / 2 + s)),
    ("The score's sign is lost: the way back climbs the density.", _back(lambda x, s: x / 2 - s)),
    ("Both signs of the drift are lost: that is the reverse drift, but gone through forwards.",
     _back(lambda x, s: -x / 2 - s)),
    ("The forward drift has no ½ here: the variance-preserving SDE shrinks x at half the rate β.",
     _back(lambda x, s: x + s)),
    ("The part of the drift without a score is missing: ½ x.", _back(lambda x, s: s)),
    ("The score is missing: without it the step undoes the shrinking and knows nothing of the data.",
     _back(lambda x, s: x / 2)),
    ("The noise lacks its root: its variance is β.", _back(noise=lambda b: b)),
    ("The noise is that of Langevin dynamics, of variance 2β; here it is β.",
     _back(noise=lambda b: (2 * b) ** 0.5)),
    ("The noise comes in at full size: its variance is β.", _back(noise=lambda b: 1.0)),
    ("The drift is taken without the step: it belongs to a stretch of β.", _back(size=lambda b: 1.0)),
    ("The drift is multiplied with the root of β, which belongs to the noise.", _back(size=lambda b: b**0.5)),
    ("The noise is subtracted: the same in distribution, but another point than the one asked.",
     _back(noise=lambda b: -(b**0.5))),
    ("The change alone came: it starts from x, which is missing.",
     lambda score, x, beta, z: _back()(score, x, beta, z) - x),
    ("x and z are exchanged.", lambda score, x, beta, z: _back()(score, z, beta, x)),
)

EXERCISE = Exercise(
    id="diff.reverse_sde_step", number="7.14", title="DDPM's step is a step of the reverse SDE",
    prompt="the point one Euler-Maruyama step back in time, for the variance-preserving SDE over a stretch of "
           "beta and a given standard normal noise",
    more="Forward dx = −½ β x ds + √β dw; back the drift is f − g² score, gone through with the sign turned: x "
         "+ (½ x + score(x)) β + √β z.",
    cases=cases, reference=reverse_sde_step, mistakes=MISTAKES,
)
