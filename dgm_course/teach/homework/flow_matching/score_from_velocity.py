"""8.7 The score from the velocity."""

import torch
from torch import Tensor

from .. import Exercise
from ._shared import on_paths


def score_from_velocity(
    u: Tensor, x: Tensor, alpha: Tensor, sigma: Tensor, dalpha: Tensor, dsigma: Tensor
) -> Tensor:
    """Solve [alpha sigma; alpha' sigma'] (x̂1, x̂0) = (x, u) in each row, then −x̂0/sigma."""
    rows = torch.stack([torch.cat([alpha, sigma], 1), torch.cat([dalpha, dsigma], 1)], 1)
    noise = torch.linalg.solve(rows, torch.stack([x, u], 1))[:, 1]
    return -noise / sigma


def _score(u: Tensor, x: Tensor, a: Tensor, s: Tensor, da: Tensor, ds: Tensor) -> Tensor:
    return (a * u - da * x) / (s * (da * s - a * ds))


# fmt: off
MISTAKES = (
    ("That is the noise x̂0 itself; the score is −x̂0/σ.",
     lambda u, x, a, s, da, ds: -s * _score(u, x, a, s, da, ds)),
    ("The division by σ is missing: the score is −x̂0/σ, and −x̂0 came.",
     lambda u, x, a, s, da, ds: s * _score(u, x, a, s, da, ds)),
    ("One σ too many: the score is −x̂0/σ, since (α x1 − x)/σ² already holds σ x0 above the line.",
     lambda u, x, a, s, da, ds: _score(u, x, a, s, da, ds) / s),
    ("That is the formula of the conical path alone, (t u − x)/(1 − t): other paths have another α' and σ'.",
     lambda u, x, a, s, da, ds: (a * u - x) / s),
    ("That is the formula of the conical path alone, with 1 − α for σ.",
     lambda u, x, a, s, da, ds: (a * u - x) / (1 - a)),
    ("α and α' are exchanged above the line.",
     lambda u, x, a, s, da, ds: (da * u - a * x) / (s * (da * s - a * ds))),
    ("The determinant α'σ − ασ' of the two equations is missing below the line.",
     lambda u, x, a, s, da, ds: (a * u - da * x) / s),
    ("The determinant has a plus where it needs a minus: α'σ − ασ'.",
     lambda u, x, a, s, da, ds: (a * u - da * x) / (s * (da * s + a * ds))),
    ("That is the data x̂1; the score needs the noise x̂0.",
     lambda u, x, a, s, da, ds: (s * u - ds * x) / (da * s - a * ds)),
    ("u and x are exchanged.", lambda u, x, *scales: _score(x, u, *scales)),
)

EXERCISE = Exercise(
    id="fm.score_from_velocity", number="8.7", title="the score from the velocity", points=2,
    prompt="the score at x, from the velocity u there and the four scales",
    more="x = α x̂1 + σ x̂0 and u = α' x̂1 + σ' x̂0; in α u − α' x the data drops out. The score is −x̂0/σ.",
    cases=on_paths("u", "x"), reference=score_from_velocity, mistakes=MISTAKES,
)
