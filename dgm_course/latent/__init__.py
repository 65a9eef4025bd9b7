"""Latent space models: an autoencoder that is held still, and a generator of its codes.          (lecture 14)

* `Continuous` and `Discrete` first stages ask a VAE or a VQ-VAE that is passed in; `Latent` puts a generator behind one.
* `Rescaling` and `Rescaled` bring codes of real numbers to unit size, and back.
* `vqgan`, `Adversarial`: the game that sharpens a first stage, with its `adaptive_weight`; `sharpness` measures it.
* `Scales` quantises features from coarse to fine; `VAR` writes such codes one scale at a time.
"""
from .model import Latent
from .multiscale import Round, Scales, Smooth, centres, grow, same_or_coarser, shrink
from .rescaling import Rescaled, Rescaling
from .sharpness import laplacian, sharpness
from .stages import Continuous, Discrete, FirstStage, Rebuilt
from .var import VAR
from .vqgan import Adversarial, adaptive_weight, vqgan

__all__ = ["Adversarial", "Continuous", "Discrete", "FirstStage", "Latent", "Rebuilt", "Rescaled", "Rescaling", "Round",
           "Scales", "Smooth", "VAR", "adaptive_weight", "centres", "grow", "laplacian", "same_or_coarser", "sharpness",
           "shrink", "vqgan"]
