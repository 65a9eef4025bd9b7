"""8.1 The conditional velocity."""

from torch import Tensor

from ....paths import Prediction
from .. import Exercise
from ._shared import on_paths


def conditional_velocity(
    x: Tensor, x1: Tensor, alpha: Tensor, sigma: Tensor, dalpha: Tensor, dsigma: Tensor
) -> Tensor:
    """The velocity of the pair behind x, whose noise is x0 = (x − alpha x1)/sigma."""
    return Prediction(x1, (x - alpha * x1) / sigma, (alpha, sigma, dalpha, dsigma)).velocity


# fmt: off
MISTAKES = (
    ("Inside the bracket the point is compared with x1, where the lecture compares it with the mean α x1 (on "
     "VE, α = 1 hides it).",
     lambda x, x1, a, s, da, ds: da * x1 + ds / s * (x - x1)),
    ("The second term has the wrong sign: with σ' < 0 the point must be pulled toward the mean, yours is pushed "
     "away.",
     lambda x, x1, a, s, da, ds: da * x1 - ds / s * (x - a * x1)),
    ("The mean moves too: the term α' x1 is missing (on VE, α' = 0 hides it).",
     lambda x, x1, a, s, da, ds: ds / s * (x - a * x1)),
    ("The ratio is inverted or lost: it is σ' divided by σ, not times.",
     lambda x, x1, a, s, da, ds: da * x1 + ds * s * (x - a * x1)),
    ("The ratio is upside down: it is σ'/σ, not σ/σ'.",
     lambda x, x1, a, s, da, ds: da * x1 + s / ds * (x - a * x1)),
    ("The division by σ is missing: (x − α x1)/σ is the noise, and the noise is what σ' multiplies.",
     lambda x, x1, a, s, da, ds: da * x1 + ds * (x - a * x1)),
    ("The bracket must hold the distance from the mean: x − α x1, not x alone.",
     lambda x, x1, a, s, da, ds: da * x1 + ds / s * x),
    ("The first term needs the derivative α', not α itself.",
     lambda x, x1, a, s, da, ds: a * x1 + ds / s * (x - a * x1)),
    ("One σ too many: the ratio is σ'/σ, not σ'/σ².",
     lambda x, x1, a, s, da, ds: da * x1 + ds / s**2 * (x - a * x1)),
    ("That is the velocity of the conical path alone: other paths have other scales and derivatives.",
     lambda x, x1, a, s, da, ds: (x1 - x) / s),
    ("That is the velocity of the conical path alone, and with 1 − α for σ.",
     lambda x, x1, a, s, da, ds: (x1 - x) / (1 - a)),
    ("That is the way still to go to x1: a velocity depends on how the scales of the path change.",
     lambda x, x1, a, s, da, ds: x1 - x),
    ("Only the motion of the mean came: the spread σ changes too, and carries x along.",
     lambda x, x1, a, s, da, ds: da * x1),
    ("x and x1 are exchanged.", lambda x, x1, a, s, da, ds: da * x + ds / s * (x1 - a * x)),
    ("A parenthesis too many: only σ' belongs over σ.",
     lambda x, x1, a, s, da, ds: (da * x1 + ds) / s * (x - a * x1)),
)

EXERCISE = Exercise(
    id="fm.conditional_velocity", number="8.1", title="the conditional velocity",
    prompt="the velocity of the conditional path of x1 at the point x, for any four scales",
    more="Ask first which noise brought x1 to x: x0 = (x − α x1)/σ. Then differentiate α x1 + σ x0 by t.",
    cases=on_paths("x", "x1"), reference=conditional_velocity, mistakes=MISTAKES,
)
