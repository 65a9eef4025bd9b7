"""Latent variable models: autoencoders, VAEs, their priors, and two worlds in which the bound is known exactly.

    log p(x) = ELBO + KL(q(z|x) ‖ p(z|x)),   ELBO = E_q log p(x|z) − KL(q(z|x) ‖ p(z))     (lecture 5, ELBO Decomposition)

A `VAE` takes an encoder and a decoder (heads: called on a condition, they return a torch Distribution) and a prior (an
object with log_prob and sample, or a head called on labels).  `surgery` splits the ELBO of a data set in three.
`LinearGaussian` is probabilistic PCA; `e_step`, `m_step` and `mixture_bound` are EM for a mixture of Gaussians.
"""
# ruff: noqa: F401

from ..core.distributions import DiagNormal, StandardNormal
from .exact import LinearGaussian, e_step, m_step, mixture_bound
from .heads import (
    BernoulliHead,
    CausalHead,
    FixedGaussianHead,
    GaussianHead,
    IndependentBernoulli,
    SharedGaussianHead,
    gaussian_kl,
)
from .model import VAE, Autoencoder, ELBOTerms, MeanWithError, Surgery, surgery
from .priors import AggregatedPosterior, ClassPrior, MixturePrior, VampPrior
