"""Small encoders, every head and every prior there is, in float64: for the tests of VAEs."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dgm_course import data
from dgm_course.core.distributions import DiagNormal
from dgm_course.nets import DenseNet
from dgm_course.vae import (
    VAE,
    AggregatedPosterior,
    BernoulliHead,
    CausalHead,
    FixedGaussianHead,
    GaussianHead,
    MixturePrior,
    SharedGaussianHead,
    StandardNormal,
    VampPrior,
)

EVENT = (1, 2, 3)


def encoder(dim: int = 1, classes: int = 0) -> GaussianHead:
    return GaussianHead(DenseNet(6, (2, dim), 12, 1, classes), dim).double()


def net(dim: int, out, classes: int) -> DenseNet:
    return DenseNet(dim, out, 12, 1, classes)


HEADS = {
    "bits": lambda d, c=0: BernoulliHead(net(d, EVENT, c), EVENT).double(),
    "bits that depend on each other": lambda d, c=0: CausalHead(net(d, EVENT, c), EVENT, Before()).double(),
    "fixed deviation": lambda d, c=0: FixedGaussianHead(net(d, EVENT, c), EVENT, 0.7).double(),
    "one learned deviation": lambda d, c=0: SharedGaussianHead(net(d, 6, c), EVENT, 0.7).double(),
    "deviations from the net": lambda d, c=0: GaussianHead(net(d, 12, c), EVENT).double(),
}
each_head = pytest.mark.parametrize("head", HEADS)


class Before(nn.Module):
    """A history: each place depends on those before it, through a strictly lower triangular matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.randn(6, 6))

    def forward(self, x):
        return (x.flatten(1) @ self.matrix.tril(-1).T).view(x.shape)


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


# A new prior is one line here: its name, and how it is built for two latent dimensions, in float64.
PRIORS = {
    "standard normal": lambda: StandardNormal(2).double(),
    "a diagonal Gaussian": lambda: DiagNormal(*torch.tensor([[0.5, -1.0], [0.4, 1.2]]).double()),
    "a mixture": lambda: data.moons().to(torch.float64),
    "learned mixture": lambda: MixturePrior(5, 2).double(),
    "pseudo-inputs": lambda: VampPrior(encoder(2), normal(4, *EVENT)),
    "aggregated posterior": lambda: AggregatedPosterior(encoder(2)(normal(30, *EVENT))),
}


def batch(head: str, n: int = 5) -> torch.Tensor:
    return torch.randint(2, (n, *EVENT)) if head.startswith("bits") else normal(n, *EVENT)


def within(values: torch.Tensor, wanted: torch.Tensor | float, what: str = "") -> None:
    """The mean over the first axis is `wanted` to five standard errors."""
    values = values.detach()
    error = values.std(0) / len(values) ** 0.5
    assert ((values.mean(0) - wanted).abs() <= 5 * error + 1e-6).all(), (what, values.mean(0), wanted, error)


def one_dimensional(head: str) -> VAE:
    return VAE(encoder(1), HEADS[head](1), StandardNormal(1).double())


# All 64 images of bits.
IMAGES = torch.tensor([[i >> k & 1 for k in range(6)] for i in range(64)]).view(64, *EVENT)
