"""3.4 The best Gaussian prior."""

import torch
from torch import Tensor

from ....core.distributions import Mixture
from .. import Exercise, ObserveSpec
from ..draws import Cases, Rng, points
from ._shared import ALONE, _batches, _between, _case, _log_std


def best_gaussian(mean: Tensor, log_std: Tensor) -> tuple[Tensor, Tensor]:
    """The moments of the exact mixture."""
    agg = Mixture(torch.ones_like(mean[:, 0]), mean, log_std.exp())
    return agg.mean, agg.cov.diagonal().log() / 2


def cases(rng: Rng) -> Cases:
    """The encoder's Gaussians of n data."""
    for name, (n, dim), hint in _batches(rng):
        renamed = {"B = 1": "n = 1", "D = 1": "d = 1", "B = 40": "n = 40"}.get(name, name)
        args = {"mean": points(rng, n, dim) + 0.3, "log_std": _log_std(rng, n, dim)}
        yield _case(renamed, args, ALONE if name == "B = 1" else "" if name == "B = 40" else hint)


def _moments(mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    return mean.mean(0), 0.5 * variance.log()


# fmt: off
MISTAKES = (
    ("The variance of the means is missing: q_agg is wide also where its posteriors are narrow, because they "
     "sit in different places.",
     lambda mean, log_std: _moments(mean, (2 * log_std).exp().mean(0))),
    ("The variances of the posteriors are missing: a draw from q_agg is a mean *plus* its noise.",
     lambda mean, log_std: _moments(mean, _between(mean) + 1e-30)),
    ("The deviations are averaged and then squared: it is the variances that add up and average.",
     lambda mean, log_std: _moments(mean, log_std.exp().mean(0) ** 2 + _between(mean))),
    ("The log-deviations are averaged: it is the variances that average.",
     lambda mean, log_std: _moments(mean, (2 * log_std.mean(0)).exp() + _between(mean))),
    ("The deviations stand where the variances belong.",
     lambda mean, log_std: _moments(mean, log_std.exp().mean(0) + _between(mean))),
    ("log_std is read as the logarithm of the variance: the variance is exp(2 · log_std).",
     lambda mean, log_std: (mean.mean(0), (log_std.exp().mean(0) + _between(mean)).log())),
    ("The second moment is not centred: take the square of the overall mean away.",
     lambda mean, log_std: _moments(mean, ((2 * log_std).exp() + mean**2).mean(0))),
    ("The variance came, not the logarithm of the deviation.",
     lambda mean, log_std: (mean.mean(0), (2 * log_std).exp().mean(0) + _between(mean))),
    ("The deviations of the two parts are added: variances add, deviations do not.",
     lambda mean, log_std: _moments(mean, ((2 * log_std).exp().mean(0).sqrt() + _between(mean).sqrt()) ** 2)),
    ("The mean is weighted by the precisions: that is how Gaussians *multiply*. Here their densities are "
     "averaged, each datum counting the same.",
     lambda mean, log_std: (
         w := (-2 * log_std).exp(),
         ((w * mean).sum(0) / w.sum(0), 0.5 * ((2 * log_std).exp().mean(0) + _between(mean)).log()),
     )[1]),
    ("The variance of the means is divided by n − 1: no population is estimated here, q_agg *is* the average "
     "over these n (and with n = 1 nothing is left).",
     lambda mean, log_std: _moments(mean, (2 * log_std).exp().mean(0) + mean.var(0))),
    ("Both results are right, in the other order: (mean, log_std) is asked.",
     lambda mean, log_std: _moments(mean, (2 * log_std).exp().mean(0) + _between(mean))[::-1]),
    ("This is the product of the Gaussians, where precisions add up. Here their densities are averaged.",
     lambda mean, log_std: (w := (-2 * log_std).exp(), ((w * mean).sum(0) / w.sum(0), -0.5 * w.sum(0).log()))[1]),
    ("The average of the log-deviations came, and nothing of how far the means lie apart.",
     lambda mean, log_std: (mean.mean(0), log_std.mean(0))),
    ("The two deviations are added: variances add, deviations do not.",
     lambda mean, log_std: (mean.mean(0), (log_std.exp().mean(0) + _between(mean).sqrt()).log())),
    ("The mean of the variances is divided by n once more.",
     lambda mean, log_std: _moments(mean, (2 * log_std).exp().mean(0) / len(mean) + _between(mean))),
)

EXERCISE = Exercise(
    id="surgery.best_gaussian", number="3.4", title="the best Gaussian prior",
    prompt="mean and log-deviation of the diagonal Gaussian that is nearest, in forward KL, to the average of n "
           "Gaussians",
    more="Maximum likelihood for a Gaussian matches mean and variance. The variance of a mixture is the mean of "
         "the variances plus the variance of the means.",
    cases=cases, reference=best_gaussian, mistakes=MISTAKES, watch=ObserveSpec(outputs=("mean", "log_std")),
)
