"""Models of images so small that every code can be tried: for the tests of vector quantization."""

from __future__ import annotations

import itertools

import torch
from torch import nn

from dgm_course.nets import DenseNet, GridDecoder, GridEncoder, TwoLevels
from dgm_course.vae import BernoulliHead, FixedGaussianHead
from dgm_course.vq import VQVAE, VQVAE2, Codebook, EMAUpdate, GradientUpdate, GumbelVAE

RULES = {"by gradient": GradientUpdate(), "moving average": EMAUpdate(0.9), "Lloyd's step": EMAUpdate(0.0)}


def normal(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def table(size=5, dim=3):
    return normal(size, dim)


def small(rule=None, commitment=0.25, bits=False):
    """Images of 8 x 8, a grid of 4 x 4 codes, five vectors of three numbers, in float64."""
    head = BernoulliHead if bits else FixedGaussianHead
    decoder = head(GridDecoder(3, 4, 1), (1, 8, 8))
    return VQVAE(GridEncoder(3, 4, 1), decoder, Codebook(table(), rule), commitment).double()


def images(n=6):
    return normal(n, 1, 8, 8)


EVERY = torch.tensor(list(itertools.product((0, 1), repeat=4))).view(16, 1, 2, 2)


def bits_head(dim=3):
    return BernoulliHead(nn.Sequential(nn.Flatten(), DenseNet(dim, (1, 2, 2), 8, 1)), (1, 2, 2))


def discrete(size=6):
    encoder = nn.Sequential(DenseNet(4, size, 8, 1), nn.Unflatten(1, (size, 1)))
    return GumbelVAE(encoder, bits_head(), table(size), 0.5).double()


def two_levels():
    nets = TwoLevels(4, 4)
    decoder = FixedGaussianHead(GridDecoder(nets.wide + 4, 4), (1, 28, 28), 0.5**0.5)
    return VQVAE2(nets, decoder, Codebook(0.05 * torch.randn(6, 4)), Codebook(0.05 * torch.randn(7, 4)))
