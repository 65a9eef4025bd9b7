"""Latent variable models: autoencoders, VAEs, their priors, and two worlds where the bound can be held to the truth.

    log p(x) = ELBO + KL(q(z|x) ‖ p(z|x)),   ELBO = E_q log p(x|z) − KL(q(z|x) ‖ p(z))     (lecture 5, ELBO Decomposition)

* `VAE` takes an encoder, a decoder and a prior; `Autoencoder` is what it grew from.
* heads (`BernoulliHead`, `GaussianHead`, ...) are called on a condition and return a torch Distribution;
* priors: `StandardNormal`, `MixturePrior`, `VampPrior`, or any object with log_prob and sample; `ClassPrior`, a head;
* `surgery` cuts the ELBO of a data set into reconstruction, mutual information and marginal KL;
* `LinearGaussian` is probabilistic PCA, exact in everything; `e_step`, `m_step`, `mixture_bound` are EM for a mixture.
"""

from ..core.distributions import DiagNormal, StandardNormal
from .exact import LinearGaussian, e_step, m_step, mixture_bound
from .heads import (
    BernoulliHead,
    CausalBernoulli,
    CausalHead,
    FixedGaussianHead,
    GaussianHead,
    IndependentBernoulli,
    SharedGaussianHead,
    gaussian_kl,
)
from .model import VAE, Autoencoder, ELBOTerms, MeanWithError, Surgery, surgery
from .priors import AggregatedPosterior, ClassPrior, MixturePrior, VampPrior

__all__ = [
    "VAE",
    "AggregatedPosterior",
    "Autoencoder",
    "BernoulliHead",
    "CausalBernoulli",
    "CausalHead",
    "ClassPrior",
    "DiagNormal",
    "FixedGaussianHead",
    "GaussianHead",
    "IndependentBernoulli",
    "LinearGaussian",
    "MixturePrior",
    "MeanWithError",
    "SharedGaussianHead",
    "StandardNormal",
    "Surgery",
    "ELBOTerms",
    "VampPrior",
    "e_step",
    "gaussian_kl",
    "m_step",
    "mixture_bound",
    "surgery",
]
