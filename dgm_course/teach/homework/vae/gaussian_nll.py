"""2.2 The negative log-likelihood of a Gaussian."""

from torch import Tensor

from ....core.distributions import DiagNormal
from .. import Exercise
from ..draws import Cases, Rng, points
from ._shared import LOG_2PI, _batches, _case, _log_std


def gaussian_nll(x: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """Minus the log-probability of a Gaussian head."""
    return -DiagNormal(mean, log_std.exp()).log_prob(x)


def cases(rng: Rng) -> Cases:
    """x and the Gaussian it is judged by."""
    for name, shape, hint in _batches(rng):
        args = {"x": points(rng, *shape), "mean": points(rng, *shape), "log_std": _log_std(rng, *shape)}
        yield _case(name, args, hint)


def _nll(x: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    return 0.5 * ((x - mean) / log_std.exp()) ** 2 + log_std + 0.5 * LOG_2PI


# fmt: off
MISTAKES = (
    ("The constant ½ log 2π, once a coordinate, is missing: without it exp(−NLL) does not integrate to one.",
     lambda x, mean, log_std: (_nll(x, mean, log_std) - 0.5 * LOG_2PI).sum(1)),
    ("The constant ½ log 2π is counted once a sample, and it belongs to each coordinate.",
     lambda x, mean, log_std: (_nll(x, mean, log_std) - 0.5 * LOG_2PI).sum(1) + 0.5 * LOG_2PI),
    ("log σ is missing: a very wide Gaussian would explain anything for nothing.",
     lambda x, mean, log_std: (_nll(x, mean, log_std) - log_std).sum(1)),
    ("log σ has the wrong sign.", lambda x, mean, log_std: (_nll(x, mean, log_std) - 2 * log_std).sum(1)),
    ("log_std is read as the logarithm of the variance: the variance is exp(2 · log_std).",
     lambda x, mean, log_std: 0.5 * ((x - mean) ** 2 / log_std.exp() + log_std + LOG_2PI).sum(1)),
    ("The square is divided by the deviation, not by the variance: (x − mean)/σ is squared as a whole.",
     lambda x, mean, log_std: (0.5 * (x - mean) ** 2 / log_std.exp() + log_std + 0.5 * LOG_2PI).sum(1)),
    ("The ½ before the square is missing.",
     lambda x, mean, log_std: (_nll(x, mean, log_std) + 0.5 * ((x - mean) / log_std.exp()) ** 2).sum(1)),
    ("This is the squared error: where the deviation is not 1 it is no negative log-likelihood.",
     lambda x, mean, log_std: (x - mean).square().sum(1)),
    ("The residual is not divided by σ.",
     lambda x, mean, log_std: (0.5 * (x - mean) ** 2 + log_std + 0.5 * LOG_2PI).sum(1)),
)

EXERCISE = Exercise(
    id="vae.gaussian_nll", number="2.2", title="the negative log-likelihood of a Gaussian",
    prompt="the negative log-density of every sample under its diagonal Gaussian, summed, its constant included",
    more="For each coordinate ½ ((x − mean)/σ)² + log σ + ½ log 2π.",
    cases=cases, reference=gaussian_nll, mistakes=MISTAKES,
)
