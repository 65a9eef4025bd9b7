"""0.1 The log-likelihood of a data set."""

import math

import numpy as np
from torch import Tensor

from ....core.distributions import DiagNormal
from .. import Case, Exercise, ObserveSpec
from ..draws import Cases, Rng, points, sizes
from ._shared import _batches, _case, _deviations


def log_likelihood(x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """What the library's Gaussian says, averaged over the batch."""
    return DiagNormal(mean, std).log_prob(x).mean()


FAR = (
    "Wrong only where points lie far out: their densities are smaller than any floating-point number, "
    "so they round to 0, and the logarithm of 0 is minus infinity. Stay with logarithms all the way."
)


def cases(rng: Rng) -> Cases:
    """x (B, D), and the mean and deviation of each coordinate, (D,)."""
    for name, (size, dim), hint in _batches(rng):
        yield _case(
            name, {"x": points(rng, size, dim), "mean": points(rng, dim), "std": _deviations(rng, dim)}, hint
        )
    size, dim = sizes(rng)
    far = {"x": np.round(60 + points(rng, size, dim), 2), "mean": points(rng, dim), "std": _deviations(rng, dim)}
    yield Case("far out", far, hint=FAR)


HALF = 0.5 * math.log(2 * math.pi)


def _square(x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    return 0.5 * ((x - mean) / std) ** 2


# fmt: off
MISTAKES = (
    ("The constant ½ log 2π, once for each coordinate, is missing: without it the density does not integrate to "
     "one.",
     lambda x, mean, std: (-_square(x, mean, std) - std.log()).sum(1).mean()),
    ("The constant ½ log 2π is counted once a sample, and it belongs to each coordinate.",
     lambda x, mean, std: (-_square(x, mean, std) - std.log()).sum(1).mean() - HALF),
    ("log std is missing: a very wide Gaussian would explain anything for nothing.",
     lambda x, mean, std: (-_square(x, mean, std) - HALF).sum(1).mean()),
    ("log std has the wrong sign: the wider the Gaussian, the lower its peak.",
     lambda x, mean, std: (-_square(x, mean, std) + std.log() - HALF).sum(1).mean()),
    ("The logarithm of the variance stands where half of it, log std, belongs.",
     lambda x, mean, std: (-_square(x, mean, std) - 2 * std.log() - HALF).sum(1).mean()),
    ("The square is divided by the deviation, not by the variance: (x − mean)/std is squared as a whole.",
     lambda x, mean, std: (-0.5 * (x - mean) ** 2 / std - std.log() - HALF).sum(1).mean()),
    ("std is taken for a variance: it is a standard deviation here.",
     lambda x, mean, std: (-0.5 * (x - mean) ** 2 / std - 0.5 * std.log() - HALF).sum(1).mean()),
    ("The ½ in front of the square is missing.",
     lambda x, mean, std: (-2 * _square(x, mean, std) - std.log() - HALF).sum(1).mean()),
    ("The square has the wrong sign: far from the mean a density is low, and yours is high.",
     lambda x, mean, std: (_square(x, mean, std) - std.log() - HALF).sum(1).mean()),
    ("The residual is not divided by std.",
     lambda x, mean, std: (-0.5 * (x - mean) ** 2 - std.log() - HALF).sum(1).mean()),
    ("The distance to the mean is not squared.",
     lambda x, mean, std: (-0.5 * ((x - mean) / std).abs() - std.log() - HALF).sum(1).mean()),
    ("This is the squared error with a minus: no log-density, which needs the deviations and a constant too.",
     lambda x, mean, std: -(x - mean).square().sum(1).mean()),
    ("The density of the mean point: it is the log-densities of all samples that are averaged, not the samples "
     "themselves.",
     lambda x, mean, std: (-_square(x.mean(0, keepdim=True), mean, std) - std.log() - HALF).sum()),
    ("The mean of the densities is taken first, and then the logarithm: a likelihood is a *product* over the "
     "samples, so its logarithm is a mean of logarithms.",
     lambda x, mean, std: (-_square(x, mean, std) - std.log() - HALF).sum(1).logsumexp(0) - math.log(len(x))),
    ("The densities of all samples are multiplied, and the logarithm comes last: such a product soon rounds to "
     "0. The logarithm of a product is a sum of logarithms.",
     lambda x, mean, std: (-_square(x, mean, std) - std.log() - HALF).exp().prod().log() / len(x)),
    ("The mean of the data stands where the mean of the Gaussian belongs, which is given.",
     lambda x, mean, std: (-_square(x, x.mean(0), std) - std.log() - HALF).sum(1).mean()),
)

EXERCISE = Exercise(
    id="intro.log_likelihood", number="0.1", title="the log-likelihood of a data set",
    prompt="one number: the logarithm of the Gaussian density, summed over the coordinates of a sample, "
           "averaged over the samples",
    more="−½ ((x − mean)/std)² − log std − ½ log 2π for each coordinate; .sum(1) over them, .mean() over the "
         "batch.",
    cases=cases, reference=log_likelihood, mistakes=MISTAKES,
    watch=ObserveSpec(gradient=("mean", "std"), tensors=True),
)
