"""Discrete latents: vector quantization, its codebook, the VQ-VAE in one level and in two, and the Gumbel-softmax VAE.

    z_q = e_k*,   k* = argmin_k ‖z − e_k‖,    ELBO = log p(x | z_q) − log K a place       (lecture 5; intro lecture, VQ-VAE)

* `nearest`, `lookup`, `straight_through`: from vectors to numbers, back, and a gradient that steps over the step.
* `Codebook` learns by a rule, `GradientUpdate` or `EMAUpdate`; `DeadCodeReset` is the cure for dead codes.
* `VQVAE` and `VQVAE2`; a prior over codes (`UniformCodes`, or an autoregressive model) is passed in.
* `GumbelVAE` keeps the posterior random: `gumbel_softmax`, `kl_to_uniform`.
"""

from ..core.metrics import perplexity
from .codebook import Codebook, DeadCodeReset, EMAUpdate, GradientUpdate, Quantized
from .gumbel import GumbelVAE, gumbel_noise, gumbel_softmax, kl_to_uniform
from .model import VQVAE, UniformCodes, VQTerms
from .quantize import lookup, nearest, straight_through
from .vqvae2 import VQVAE2, Levels

__all__ = [
    "GradientUpdate",
    "Codebook",
    "GumbelVAE",
    "Levels",
    "EMAUpdate",
    "Quantized",
    "DeadCodeReset",
    "VQTerms",
    "UniformCodes",
    "VQVAE",
    "VQVAE2",
    "gumbel_noise",
    "gumbel_softmax",
    "kl_to_uniform",
    "lookup",
    "nearest",
    "perplexity",
    "straight_through",
]
