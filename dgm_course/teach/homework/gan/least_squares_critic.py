"""5.7 The best critic of least squares."""

import numpy as np
import torch
from torch import Tensor

from .. import Case, Exercise
from ..draws import NARROW, Cases, Rng
from ._shared import ENDS, LARGE, _densities, _kind, _size
from .optimal_discriminator import optimal_discriminator


def least_squares_critic(pi: Tensor, p: Tensor, a: float, b: float) -> Tensor:
    """From a to b by D*."""
    return torch.lerp(torch.full_like(pi, a), torch.full_like(pi, b), optimal_discriminator(pi, p))


def cases(rng: Rng) -> Cases:
    for name, size, hint in (
        ("labels 0 and 1", _size(rng), ""),
        ("labels −1 and 1", _size(rng), ""),
        ("other labels", _size(rng), ""),
        ("float32", _size(rng), ""),
        ("no model there", _size(rng), ENDS),
        ("B = 1", 1, NARROW),
        ("B = 40", 40, LARGE),
    ):
        a, b = (float(v) for v in (np.round(rng.uniform(-3, -0.5), 1), np.round(rng.uniform(1.2, 3), 1)))
        a, b = {"labels 0 and 1": (0.0, 1.0), "labels −1 and 1": (-1.0, 1.0)}.get(name, (a, b))
        pi, p = _densities(rng, size), _densities(rng, size)
        p[1:3] = 0 if name == "no model there" else p[1:3]
        yield Case(name, {"pi": pi.astype(_kind(name)), "p": p.astype(_kind(name)), "a": a, "b": b}, hint=hint)


# fmt: off
MISTAKES = (
    ("The labels are exchanged: b is what real samples should get, a what fake ones should.",
     lambda pi, p, a, b: (a * pi + b * p) / (pi + p)),
    ("That is right for labels 0 and 1 only: a and b do not occur.", lambda pi, p, a, b: pi / (pi + p)),
    ("Not divided by the sum of the densities: the weights of the two labels sum to one.",
     lambda pi, p, a, b: b * pi + a * p),
    ("The sign between the two is wrong: an average of the two labels is asked, weighted by the densities.",
     lambda pi, p, a, b: (b * pi - a * p) / (pi + p)),
    ("That is a + b·D*: on the way from a to b the distance is b − a.", lambda pi, p, a, b: a + b * pi / (pi + p)),
    ("The middle of the labels is right only where the densities are equal.",
     lambda pi, p, a, b: (a + b) / 2 + 0 * pi),
    ("The density of the model does not count below the line: both terms of the loss pull, with weights π and p.",
     lambda pi, p, a, b: (b * pi + a * p) / pi),
    ("The weight of the fake label is missing: fake samples pull towards a, with weight p.",
     lambda pi, p, a, b: (b * pi + a) / (pi + p)),
    ("The sigmoid was put around it: this critic gives any real number.",
     lambda pi, p, a, b: torch.sigmoid((b * pi + a * p) / (pi + p))),
)

EXERCISE = Exercise(
    id="gan.least_squares_critic", number="5.7", title="the best critic of least squares",
    prompt="the answer of the critic, at each x, that makes the expected squared distances from its two targets "
           "least",
    more="Set the derivative by f to zero: π(f − b) + p(f − a) = 0.",
    cases=cases, reference=least_squares_critic, mistakes=MISTAKES,
)
