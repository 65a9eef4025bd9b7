"""Two first stages of 8 x 8 images, with real and with integer codes."""

from __future__ import annotations

import torch

from dgm_course.latent import VAEStage, VQStage
from dgm_course.nets import GridDecoder, GridEncoder
from dgm_course.vae import VAE, FixedGaussianHead, GaussianHead, StandardNormal
from dgm_course.vq import VQVAE, Codebook


def pictures(n=6):
    return torch.randn(n, 1, 8, 8, dtype=torch.float64)


def small_vqvae(rule=None, size=5):
    table = torch.randn(size, 3, dtype=torch.float64)
    decoder = FixedGaussianHead(GridDecoder(3, 4, 1), (1, 8, 8), 0.5**0.5)
    return VQVAE(GridEncoder(3, 4, 1), decoder, Codebook(table, rule)).double()


def small_vae():
    decoder = FixedGaussianHead(GridDecoder(2, 4, 1), (1, 8, 8), 0.5**0.5)
    return VAE(GaussianHead(GridEncoder(4, 4, 1), (2, 4, 4)), decoder, StandardNormal(2, 4, 4), 0.1).double()


STAGES = {"continuous": lambda: VAEStage(small_vae()), "discrete": lambda: VQStage(small_vqvae())}


def state(module):
    return {k: v.clone() for k, v in module.state_dict().items()}


def unchanged(module, before):
    return all(torch.equal(v, before[k]) for k, v in module.state_dict().items())
