"""Latent space models: an autoencoder that is held still, and a generator of its codes.          (lecture 14)

* `VAEStage` and `VQStage` first stages ask a VAE or a VQ-VAE that is passed in; `Latent` puts a generator behind one.
* `LatentScaler` and `ScaledModel` bring codes of real numbers to unit size, and back.
* `vqgan`, `Adversarial`: the game that sharpens a first stage, with its `adaptive_weight`; `sharpness` measures it.
* `MultiScaleQuantizer` quantises features from coarse to fine; `VAR` writes such codes one scale at a time.
"""

from .model import Latent
from .multiscale import MultiScaleQuantizer, Round, Smooth, average_pool, block_causal_mask, centres, grow
from .rescaling import LatentScaler, ScaledModel
from .sharpness import laplacian, sharpness
from .stages import FirstStage, Rebuilt, VAEStage, VQStage
from .var import VAR
from .vqgan import Adversarial, adaptive_weight, vqgan

__all__ = [
    "Adversarial",
    "VAEStage",
    "VQStage",
    "FirstStage",
    "Latent",
    "Rebuilt",
    "ScaledModel",
    "LatentScaler",
    "Round",
    "MultiScaleQuantizer",
    "Smooth",
    "VAR",
    "adaptive_weight",
    "centres",
    "grow",
    "laplacian",
    "block_causal_mask",
    "sharpness",
    "average_pool",
    "vqgan",
]
