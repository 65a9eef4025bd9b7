"""Discrete latents: vector quantization, its codebook, the VQ-VAE in one level and in two, and the Gumbel-softmax VAE.

    z_q = e_k*,   k* = argmin_k ‖z − e_k‖,    ELBO = log p(x | z_q) − log K a place       (lecture 5; intro lecture, VQ-VAE)

`Codebook` learns by `GradientUpdate` or `EMAUpdate`; `DeadCodeReset` moves dead codes.  A prior over codes (`UniformCodes`,
or an autoregressive model) is passed to `VQVAE`.  `GumbelVAE` keeps the posterior random.
"""
# ruff: noqa: F401

from ..core.metrics import perplexity
from .codebook import Codebook, DeadCodeReset, EMAUpdate, GradientUpdate, Quantized
from .gumbel import GumbelVAE, gumbel_noise, gumbel_softmax, kl_to_uniform
from .model import VQVAE, UniformCodes, VQTerms
from .quantize import lookup, nearest, straight_through
from .vqvae2 import VQVAE2, Levels
