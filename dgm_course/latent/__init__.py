"""Latent space models: a frozen autoencoder, and a generator of its codes.          (lecture 14)

`VAEStage` and `VQStage` give a VAE or a VQ-VAE the interface of a first stage; `Latent` adds a generator.  `LatentScaler`
and `ScaledModel` bring real codes to unit size and back.  `vqgan` and `Adversarial` sharpen a first stage with a critic,
weighed by `adaptive_weight`.  `MultiScaleQuantizer` quantizes from coarse to fine; `VAR` generates such codes.
"""
# ruff: noqa: F401

from .model import Latent
from .multiscale import MultiScaleQuantizer, Round, Smooth, average_pool, block_causal_mask, centres, grow
from .rescaling import LatentScaler, ScaledModel
from .sharpness import laplacian, sharpness
from .stages import FirstStage, Rebuilt, VAEStage, VQStage
from .var import VAR
from .vqgan import Adversarial, adaptive_weight, vqgan
