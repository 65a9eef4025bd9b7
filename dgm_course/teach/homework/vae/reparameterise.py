"""2.3 The reparameterisation trick."""

import torch
from torch import Tensor

from .. import Exercise, ObserveSpec
from ..draws import Cases, Rng, points
from ._shared import _batches, _case, _log_std


def reparameterise(mean: Tensor, log_std: Tensor, eps: Tensor) -> Tensor:
    """The sample of a Gaussian head, its noise given."""
    return torch.addcmul(mean, log_std.exp(), eps)


def cases(rng: Rng) -> Cases:
    """mean, log_std, and the noise."""
    for name, shape, hint in _batches(rng):
        args = {"mean": points(rng, *shape), "log_std": _log_std(rng, *shape), "eps": points(rng, *shape)}
        yield _case(name, args, hint)


# fmt: off
MISTAKES = (
    ("The noise is scaled by log σ: the network gives a logarithm, so take its exponential.",
     lambda mean, log_std, eps: mean + log_std * eps),
    ("The noise is scaled by the variance: N(mean, σ²) has deviation σ.",
     lambda mean, log_std, eps: mean + (2 * log_std).exp() * eps),
    ("log_std is read as the logarithm of the variance: its exponential is σ itself, no half is needed.",
     lambda mean, log_std, eps: mean + (log_std / 2).exp() * eps),
    ("The mean is scaled together with the noise: only ε is.",
     lambda mean, log_std, eps: (mean + eps) * log_std.exp()),
    ("The noise is subtracted: N(0, I) is symmetric, so the distribution is right, but this ε asks for mean + σ "
     "ε.",
     lambda mean, log_std, eps: mean - log_std.exp() * eps),
    ("This is (ε − mean)/σ, the way from z back to the noise.",
     lambda mean, log_std, eps: (eps - mean) / log_std.exp()),
    ("The deviation is not used: every q(z|x) would be equally wide.", lambda mean, log_std, eps: mean + eps),
)

EXERCISE = Exercise(
    id="vae.reparameterise", number="2.3", title="the reparameterisation trick",
    prompt="z, out of the mean, the log-deviation and the noise that is given, so that gradients reach mean and "
           "log_std",
    more="z = mean + σ ε with σ = exp(log_std), in torch from end to end.",
    cases=cases, reference=reparameterise, mistakes=MISTAKES,
    watch=ObserveSpec(outputs=("z",), gradient=("mean", "log_std"), tensors=True),
)
