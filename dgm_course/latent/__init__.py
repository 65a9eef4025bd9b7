"""Latent space models: an autoencoder that is held still, and a generator of its codes.          (lecture 14)

* `Continuous` and `Discrete` first stages ask a VAE or a VQ-VAE that is passed in; `Latent` puts a generator behind one.
* `Rescaling` and `Rescaled` bring codes of real numbers to unit size, and back.
* `vqgan`, `Adversarial`: the game that sharpens a first stage, with its `adaptive_weight`; `sharpness` measures it.
"""
from .game import Adversarial, adaptive_weight, vqgan
from .model import Latent
from .rescaling import Rescaled, Rescaling
from .sharpness import laplacian, sharpness
from .stages import Continuous, Discrete, FirstStage, Rebuilt

__all__ = ["Adversarial", "Continuous", "Discrete", "FirstStage", "Latent", "Rebuilt", "Rescaled", "Rescaling",
           "adaptive_weight", "laplacian", "sharpness", "vqgan"]
