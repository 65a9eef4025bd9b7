"""3.1 The aggregated posterior."""

import math

from torch import Tensor

from ....core.distributions import DiagNormal
from ....vae import AggregatedPosterior
from .. import Exercise
from ..draws import Cases, Rng, points, sizes
from ._shared import ALONE, FAR, LOG_2PI, _batches, _between, _case, _each, _log_q, _log_std


def aggregated_log_prob(z: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """The library's exact mixture of all posteriors."""
    return AggregatedPosterior(DiagNormal(mean, log_std.exp())).log_prob(z)


def cases(rng: Rng) -> Cases:
    """Codes z, and the encoder's Gaussians of n data."""
    few = int(rng.integers(3, 6))
    rows = [
        ("M = n", (few, few - 1), ""),
        *_batches(rng),
        ("n = 1", sizes(rng), ALONE),
        ("far away", sizes(rng), FAR),
    ]
    for name, (size, dim), hint in rows:
        n = size if name == "M = n" else 1 if name == "n = 1" else int(rng.integers(3, 8))
        z = points(rng, size, dim) + (90.0 if name == "far away" else 0.0)
        renamed = {"B = 1": "M = 1", "D = 1": "d = 1", "B = 40": "M = 40"}.get(name, name)
        args = {"z": z, "mean": points(rng, n, dim), "log_std": _log_std(rng, n, dim)}
        yield _case("float32" if name == "float32" else renamed, args, hint)


# fmt: off
MISTAKES = (
    ("log n is missing: q_agg is the *average* of the posteriors; their sum integrates to n.",
     lambda z, mean, log_std: _log_q(z, mean, log_std).logsumexp(1)),
    ("log n is added where the average asks to divide.",
     lambda z, mean, log_std: _log_q(z, mean, log_std).logsumexp(1) + math.log(len(mean))),
    ("The sum is divided by n after its logarithm was taken: log(1/n Σ q) = log Σ q − log n.",
     lambda z, mean, log_std: _log_q(z, mean, log_std).logsumexp(1) / len(mean)),
    ("This is the mean of the log-densities: average the *densities*, then take the logarithm (the two differ "
     "by Jensen).",
     lambda z, mean, log_std: _log_q(z, mean, log_std).mean(1)),
    ("The posteriors are averaged coordinate by coordinate: a posterior is one density of all d coordinates, so "
     "sum over them first, and average over the data after that.",
     lambda z, mean, log_std: (_each(z, mean, log_std).logsumexp(1) - math.log(len(mean))).sum(1)),
    ("The parameters are averaged in place of the densities: q_agg is a mixture of n Gaussians, not one Gaussian.",
     lambda z, mean, log_std: _log_q(z, mean.mean(0, keepdim=True), log_std.mean(0, keepdim=True))[:, 0]),
    ("Only the nearest posterior counts here: all n of them add up.",
     lambda z, mean, log_std: _log_q(z, mean, log_std).amax(1) - math.log(len(mean))),
    ("log_std is read as the logarithm of the variance: the deviation itself is exp(log_std).",
     lambda z, mean, log_std: _log_q(z, mean, log_std / 2).logsumexp(1) - math.log(len(mean))),
    ("The deviation used is log_std itself: a network gives its logarithm, so take the exponential.",
     lambda z, mean, log_std: _log_q(z, mean, log_std.abs().log()).logsumexp(1) - math.log(len(mean))),
    ("− log σ is missing from the log-density: narrow posteriors would be no taller than wide ones.",
     lambda z, mean, log_std: (_each(z, mean, log_std) + log_std).sum(-1).logsumexp(1) - math.log(len(mean))),
    ("The constant ½ log 2π, once a coordinate, is missing.",
     lambda z, mean, log_std: (
         (_each(z, mean, log_std) + 0.5 * LOG_2PI).sum(-1).logsumexp(1) - math.log(len(mean))
     )),
    ("The square is divided by the deviation, not by the variance.",
     lambda z, mean, log_std: (
         (-0.5 * (z[:, None] - mean) ** 2 / log_std.exp() - log_std - 0.5 * LOG_2PI).sum(-1).logsumexp(1)
         - math.log(len(mean))
     )),
    ("The log-density of z is averaged over its coordinates: it is their sum.",
     lambda z, mean, log_std: _each(z, mean, log_std).mean(-1).logsumexp(1) - math.log(len(mean))),
    ("The ½ before the square is missing.",
     lambda z, mean, log_std: (
         (_each(z, mean, log_std) - 0.5 * ((z[:, None] - mean) / log_std.exp()) ** 2).sum(-1).logsumexp(1)
         - math.log(len(mean))
     )),
    ("log σ has the wrong sign: a wide Gaussian is a low one.",
     lambda z, mean, log_std: (_each(z, mean, log_std) + 2 * log_std).sum(-1).logsumexp(1) - math.log(len(mean))),
    ("The constant ½ log 2π is counted once a code, and it belongs to each coordinate.",
     lambda z, mean, log_std: (
         (_each(z, mean, log_std) + 0.5 * LOG_2PI).sum(-1).logsumexp(1) - math.log(len(mean)) - 0.5 * LOG_2PI
     )),
    ("The average is over the n posteriors, and not over the codes: the wrong number is divided by.",
     lambda z, mean, log_std: _log_q(z, mean, log_std).logsumexp(1) - math.log(len(z))),
    ("This is the density of the *first* posterior alone.",
     lambda z, mean, log_std: _log_q(z, mean, log_std)[:, 0]),
    ("One Gaussian with the moments of q_agg came; q_agg itself is a mixture with as many humps as it likes.",
     lambda z, mean, log_std: _log_q(
         z, mean.mean(0, keepdim=True), 0.5 * ((2 * log_std).exp().mean(0, keepdim=True) + _between(mean)).log()
     )[:, 0]),
)

EXERCISE = Exercise(
    id="surgery.aggregated_log_prob", number="3.1", title="the aggregated posterior",
    prompt="the logarithm of the average of n diagonal Gaussians, at each of M codes",
    more="First a table (M, n) of log-densities, each summed over the d coordinates; then logsumexp over the n, "
         "minus log n.",
    cases=cases, reference=aggregated_log_prob, mistakes=MISTAKES,
)
