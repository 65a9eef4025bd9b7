"""Models of pictures so small that every code can be tried: for the tests of vector quantization."""

from __future__ import annotations

import itertools

import torch
from torch import nn

from dgm_course.nets import DenseNet, GridDecoder, GridEncoder, TwoLevels
from dgm_course.vae import BernoulliHead, FixedGaussianHead
from dgm_course.vq import VQVAE, VQVAE2, Codebook, EMAUpdate, GradientUpdate, GumbelVAE

RULES = {"by gradient": GradientUpdate(), "moving average": EMAUpdate(0.9), "Lloyd's step": EMAUpdate(0.0)}


def table(size=5, dim=3):
    return torch.randn(size, dim, dtype=torch.float64)


def small(rule=None, commitment=0.25, bits=False):
    """Images of 8 x 8, a grid of 4 x 4 codes, five vectors of three numbers, in float64."""
    head = BernoulliHead if bits else FixedGaussianHead
    decoder = head(GridDecoder(3, 4, 1), (1, 8, 8))
    return VQVAE(GridEncoder(3, 4, 1), decoder, Codebook(table(), rule), commitment).double()


def images(n=6):
    return torch.randn(n, 1, 8, 8, dtype=torch.float64)


class Reshape(nn.Module):
    def __init__(self, *shape):
        super().__init__()
        self.shape = shape

    def forward(self, x):
        return x.reshape(-1, *self.shape)


EVERY = torch.tensor(list(itertools.product((0, 1), repeat=4))).view(16, 1, 2, 2)


def discrete(size=6):
    encoder = nn.Sequential(DenseNet(4, size, 8, 1), Reshape(size, 1))
    decoder = BernoulliHead(nn.Sequential(nn.Flatten(), DenseNet(3, (1, 2, 2), 8, 1)), (1, 2, 2))
    return GumbelVAE(encoder, decoder, table(size), 0.5).double()


def two_levels():
    nets = TwoLevels(4, 4)
    decoder = FixedGaussianHead(GridDecoder(nets.wide + 4, 4), (1, 28, 28), 0.5**0.5)
    return VQVAE2(nets, decoder, Codebook(0.05 * torch.randn(6, 4)), Codebook(0.05 * torch.randn(7, 4)))
