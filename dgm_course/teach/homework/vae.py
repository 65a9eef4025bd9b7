"""Homework of the lectures on VAEs: what the bound is made of, and two worlds where it is exact.

Deviations come as logarithms, ``log_std``, as networks give them.  Log-likelihoods and KLs are sums over the coordinates of
a sample; losses are means over the batch.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...core.distributions import DiagNormal, Mixture
from ...vae import IndependentBernoulli, LinearGaussian, e_step, m_step
from ...vae import gaussian_kl as kl_between
from . import Exercise, ObserveSpec
from . import _vae_cases as cases
from . import _vae_slips as slips

# --- the library's own answers


def gaussian_kl(mean: Tensor, log_std: Tensor) -> Tensor:
    """The library's KL of two Gaussians, the second standard."""
    return kl_between(DiagNormal(mean, log_std.exp()), DiagNormal(torch.zeros_like(mean), 1.0))


def gaussian_nll(x: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """Minus the log-probability of a Gaussian head."""
    return -DiagNormal(mean, log_std.exp()).log_prob(x)


def reparameterise(mean: Tensor, log_std: Tensor, eps: Tensor) -> Tensor:
    """The sample of a Gaussian head, its noise given."""
    return torch.addcmul(mean, log_std.exp(), eps)


def loss(x: Tensor, logits: Tensor, mean: Tensor, log_std: Tensor, kl_weight: float) -> Tensor:
    """A Bernoulli head's log-likelihood, and the KL of 2.1."""
    return (kl_weight * gaussian_kl(mean, log_std) - IndependentBernoulli(logits).log_prob(x)).mean()


def iwae_bound(log_p_x: Tensor, log_p_z: Tensor, log_q_z: Tensor) -> Tensor:
    """log of the average weight."""
    return (log_p_x + log_p_z - log_q_z).logsumexp(0) - math.log(len(log_p_x))


def em_step(x: Tensor, weights: Tensor, means: Tensor, std: float) -> tuple[Tensor, Tensor]:
    """E- and M-step of the exact mixture; the deviations, which are not asked, may not shrink to nothing."""
    q = e_step(Mixture(weights, means, std), x)
    return q, m_step(x, q, least=1.0).means


def ppca_log_likelihood(x: Tensor, weight: Tensor, bias: Tensor, std: float) -> Tensor:
    """The marginal of the linear-Gaussian world."""
    return LinearGaussian(weight, bias, std).log_prob(x).detach()


EXERCISES = (
    Exercise(
        "vae.gaussian_kl",
        "2.1",
        "the KL of a diagonal Gaussian",
        "the KL of the diagonal Gaussian to the standard normal, of every sample, summed over the coordinates",
        cases.posteriors,
        gaussian_kl,
        slips.GAUSSIAN_KL,
        1,
        "For each coordinate ½ (σ² + mean² − 1 − log σ²); it is zero for mean 0 and σ = 1, and positive everywhere else.",
        ObserveSpec(gradient=("mean", "log_std")),
    ),
    Exercise(
        "vae.gaussian_nll",
        "2.2",
        "the negative log-likelihood of a Gaussian",
        "the negative log-density of every sample under its diagonal Gaussian, summed, its constant included",
        cases.likelihoods,
        gaussian_nll,
        slips.GAUSSIAN_NLL,
        1,
        "For each coordinate ½ ((x − mean)/σ)² + log σ + ½ log 2π.",
    ),
    Exercise(
        "vae.reparameterise",
        "2.3",
        "the reparameterisation trick",
        "z, out of the mean, the log-deviation and the noise that is given, so that gradients reach mean and log_std",
        cases.draws,
        reparameterise,
        slips.REPARAMETERISE,
        1,
        "z = mean + σ ε with σ = exp(log_std), in torch from end to end.",
        ObserveSpec(outputs=("z",), gradient=("mean", "log_std"), tensors=True),
    ),
    Exercise(
        "vae.loss",
        "2.4",
        "the loss of a VAE",
        "the mean over the batch of the cross-entropy of the bits plus kl_weight times the KL to N(0, I), both sums",
        cases.losses,
        loss,
        slips.LOSS,
        2,
        "Sum the cross-entropy over the pixels, (B,); sum the KL over the latent coordinates, (B,); weigh, add, and only "
        "then take the mean.",
        ObserveSpec(outputs=("loss",), gradient=("logits", "mean", "log_std"), tensors=True),
    ),
    Exercise(
        "vae.iwae_bound",
        "2.5",
        "the importance-weighted bound",
        "the logarithm of the average of the k importance weights of every sample, from the three logarithms (k, B)",
        cases.weights,
        iwae_bound,
        slips.IWAE,
        1,
        "The logarithm of each weight is a sum and a difference; logsumexp over the k draws adds the weights up safely.",
    ),
    Exercise(
        "vae.em_step",
        "2.6",
        "a step of EM",
        "the responsibilities (B, K) of a mixture with one common deviation, and the new means (K, D) they give",
        cases.mixtures,
        em_step,
        slips.EM_STEP,
        2,
        "E: softmax over the components of log w_k − ‖x − m_k‖²/2σ². M: Σ_i r_ik x_i / Σ_i r_ik.",
        ObserveSpec(outputs=("responsibilities", "means")),
    ),
    Exercise(
        "vae.ppca_log_likelihood",
        "2.7",
        "log p(x) without a bound",
        "log p of x, a linear map of a standard normal with an offset and noise of one deviation, in closed form",
        cases.worlds,
        ppca_log_likelihood,
        slips.PPCA,
        1,
        "x is Gaussian with mean b; its covariance is what W z and the noise add up to. Then the density of a D-dimensional "
        "Gaussian, its constant included.",
    ),
)
