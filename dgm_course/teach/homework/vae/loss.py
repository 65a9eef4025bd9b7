"""2.4 The loss of a VAE."""

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from ....vae import IndependentBernoulli
from .. import Exercise, ObserveSpec
from ..draws import Cases, Rng, points
from ._shared import _batches, _case, _kl, _log_std
from .gaussian_kl import gaussian_kl


def loss(x: Tensor, logits: Tensor, mean: Tensor, log_std: Tensor, kl_weight: float) -> Tensor:
    """A Bernoulli head's log-likelihood, and the KL of 2.1."""
    return (kl_weight * gaussian_kl(mean, log_std) - IndependentBernoulli(logits).log_prob(x)).mean()


def cases(rng: Rng) -> Cases:
    """Bits with the decoder's logits, and the encoder's Gaussian, of another dimension."""
    for name, (size, dim), hint in _batches(rng):
        latent = dim + int(rng.integers(1, 4))
        x = (rng.random(size=(size, dim)) < 0.5).astype(float)
        args = {
            "x": x,
            "logits": points(rng, size, dim),
            "mean": points(rng, size, latent),
            "log_std": _log_std(rng, size, latent),
            "kl_weight": float(np.round(rng.uniform(0.2, 3.0), 2) + 0.003),
        }
        yield _case(name, args, hint)


def _cross(x: Tensor, logits: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none")


# fmt: off
MISTAKES = (
    ("The KL has the wrong sign: the ELBO is E log p(x|z) *minus* the KL, so in the loss both terms are costs.",
     lambda x, logits, mean, log_std, kl_weight: (
         _cross(x, logits).sum(1) - kl_weight * _kl(mean, log_std).sum(1)
     ).mean()),
    ("The cross-entropy is averaged over the pixels while the KL is a sum: that is a KL weight of D in "
     "disguise, and the posterior collapses.",
     lambda x, logits, mean, log_std, kl_weight: (
         _cross(x, logits).mean(1) + kl_weight * _kl(mean, log_std).sum(1)
     ).mean()),
    ("The KL is averaged over the latent coordinates while the cross-entropy is a sum: the bound is no bound "
     "any more.",
     lambda x, logits, mean, log_std, kl_weight: (
         _cross(x, logits).sum(1) + kl_weight * _kl(mean, log_std).mean(1)
     ).mean()),
    ("Both terms are averaged over their coordinates: D and d differ, so their balance is lost. Sums are asked.",
     lambda x, logits, mean, log_std, kl_weight: (
         _cross(x, logits).mean(1) + kl_weight * _kl(mean, log_std).mean(1)
     ).mean()),
    ("kl_weight is not used.",
     lambda x, logits, mean, log_std, kl_weight: (_cross(x, logits).sum(1) + _kl(mean, log_std).sum(1)).mean()),
    ("kl_weight multiplies the reconstruction.",
     lambda x, logits, mean, log_std, kl_weight: (
         kl_weight * _cross(x, logits).sum(1) + _kl(mean, log_std).sum(1)
     ).mean()),
    ("kl_weight multiplies both terms.",
     lambda x, logits, mean, log_std, kl_weight: (
         kl_weight * (_cross(x, logits).sum(1) + _kl(mean, log_std).sum(1)).mean()
     )),
    ("The reconstruction is a squared error: bits have a Bernoulli likelihood, whose −log is the cross-entropy "
     "(the slide slips here).",
     lambda x, logits, mean, log_std, kl_weight: (
         (x - logits.sigmoid()).square().sum(1) + kl_weight * _kl(mean, log_std).sum(1)
     ).mean()),
    ("The KL is missing.", lambda x, logits, mean, log_std, kl_weight: _cross(x, logits).sum(1).mean()),
    ("The reconstruction is missing.",
     lambda x, logits, mean, log_std, kl_weight: kl_weight * _kl(mean, log_std).sum(1).mean()),
    ("The sigmoid is applied twice: what came are logits, and binary_cross_entropy_with_logits takes them as "
     "they are.",
     lambda x, logits, mean, log_std, kl_weight: (
         _cross(x, logits.sigmoid()).sum(1) + kl_weight * _kl(mean, log_std).sum(1)
     ).mean()),
    ("log_std is read as the logarithm of the variance in the KL.",
     lambda x, logits, mean, log_std, kl_weight: (
         _cross(x, logits).sum(1) + kl_weight * 0.5 * (mean**2 + log_std.exp() - 1 - log_std).sum(1)
     ).mean()),
)

EXERCISE = Exercise(
    id="vae.loss", number="2.4", title="the loss of a VAE", points=2,
    prompt="the mean over the batch of the cross-entropy of the bits plus kl_weight times the KL to N(0, I), "
           "both sums",
    more="Sum the cross-entropy over the pixels, (B,); sum the KL over the latent coordinates, (B,); weigh, "
         "add, and only then take the mean.",
    cases=cases, reference=loss, mistakes=MISTAKES,
    watch=ObserveSpec(outputs=("loss",), gradient=("logits", "mean", "log_std"), tensors=True),
)
