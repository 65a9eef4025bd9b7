"""2.1 The KL of a diagonal Gaussian."""

import torch
from torch import Tensor

from ....core.distributions import DiagNormal
from ....vae import gaussian_kl as kl_between
from .. import Exercise, ObserveSpec
from ..draws import Cases, Rng, points
from ._shared import _batches, _case, _kl, _log_std


def gaussian_kl(mean: Tensor, log_std: Tensor) -> Tensor:
    """The library's KL of two Gaussians, the second standard."""
    return kl_between(DiagNormal(mean, log_std.exp()), DiagNormal(torch.zeros_like(mean), 1.0))


def cases(rng: Rng) -> Cases:
    """mean, log_std of q(z|x)."""
    for name, shape, hint in _batches(rng):
        yield _case(name, {"mean": points(rng, *shape), "log_std": _log_std(rng, *shape)}, hint)


# fmt: off
MISTAKES = (
    ("log_std is read as the logarithm of the variance: the variance is exp(2 · log_std), its logarithm 2 · "
     "log_std.",
     lambda mean, log_std: 0.5 * (mean**2 + log_std.exp() - 1 - log_std).sum(1)),
    ("The deviation stands where the variance belongs: σ² = exp(2 · log_std).",
     lambda mean, log_std: 0.5 * (mean**2 + log_std.exp() - 1 - 2 * log_std).sum(1)),
    ("The logarithm has the wrong sign: a narrow q is *far* from N(0, I), so −log σ must make the KL larger.",
     lambda mean, log_std: 0.5 * (mean**2 + (2 * log_std).exp() - 1 + 2 * log_std).sum(1)),
    ("The logarithm of the variance is 2 log σ: half of it is missing, so the KL does not vanish smoothly at σ "
     "= 1.",
     lambda mean, log_std: 0.5 * (mean**2 + (2 * log_std).exp() - 1 - log_std).sum(1)),
    ("A −1 a coordinate is missing: at mean 0 and σ = 1 the KL must be zero.",
     lambda mean, log_std: (_kl(mean, log_std) + 0.5).sum(1)),
    ("The −1 is taken once a sample, and it belongs to each coordinate: N(0, I) itself must give zero in any "
     "dimension.",
     lambda mean, log_std: (_kl(mean, log_std) + 0.5).sum(1) - 0.5),
    ("This is KL(N(0, I) ‖ q), the other way round: the expectation is over q, and q's variance is in no "
     "denominator.",
     lambda mean, log_std: (log_std + (1 + mean**2) / (2 * (2 * log_std).exp()) - 0.5).sum(1)),
    ("The mean must enter squared.", lambda mean, log_std: (_kl(mean, log_std) + 0.5 * (mean - mean**2)).sum(1)),
    ("The mean of q does not enter: a q that sits elsewhere is another distribution than N(0, I).",
     lambda mean, log_std: _kl(torch.zeros_like(mean), log_std).sum(1)),
    ("A single number for the whole batch: each sample has a KL of its own.",
     lambda mean, log_std: _kl(mean, log_std).sum().expand(len(mean))),
)

EXERCISE = Exercise(
    id="vae.gaussian_kl", number="2.1", title="the KL of a diagonal Gaussian",
    prompt="the KL of the diagonal Gaussian to the standard normal, of every sample, summed over the coordinates",
    more="For each coordinate ½ (σ² + mean² − 1 − log σ²); it is zero for mean 0 and σ = 1, and positive "
         "everywhere else.",
    cases=cases, reference=gaussian_kl, mistakes=MISTAKES, watch=ObserveSpec(gradient=("mean", "log_std")),
)
