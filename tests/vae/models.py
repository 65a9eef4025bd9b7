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


HEADS = {
    "bits": lambda dim, classes=0: BernoulliHead(DenseNet(dim, EVENT, 12, 1, classes), EVENT).double(),
    "bits that hear each other": lambda dim, classes=0: CausalHead(
        DenseNet(dim, EVENT, 12, 1, classes), EVENT, Before()
    ).double(),
    "fixed deviation": lambda dim, classes=0: FixedGaussianHead(
        DenseNet(dim, EVENT, 12, 1, classes), EVENT, 0.7
    ).double(),
    "one learned deviation": lambda dim, classes=0: SharedGaussianHead(
        DenseNet(dim, 6, 12, 1, classes), EVENT, 0.7
    ).double(),
    "deviations from the net": lambda dim, classes=0: GaussianHead(
        DenseNet(dim, 12, 12, 1, classes), EVENT
    ).double(),
}
each_head = pytest.mark.parametrize("head", HEADS)


class Before(nn.Module):
    """A history: each place hears those before it, through a strictly lower triangular matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.randn(6, 6))

    def forward(self, x):
        return (x.flatten(1) @ self.matrix.tril(-1).T).view(x.shape)


def pseudo_inputs(dim: int = 2) -> VampPrior:
    return VampPrior(encoder(dim), torch.randn(4, *EVENT, dtype=torch.float64))


# A new prior is one line here: its name, and how it is built for two latent dimensions, in float64.
PRIORS = {
    "standard normal": lambda: StandardNormal(2).double(),
    "a Gaussian of the library": lambda: DiagNormal(
        torch.tensor([0.5, -1.0]).double(), torch.tensor([0.4, 1.2]).double()
    ),
    "a mixture of the library": lambda: data.moons().to(torch.float64),
    "learned mixture": lambda: MixturePrior(5, 2).double(),
    "pseudo-inputs": pseudo_inputs,
    "aggregated posterior": lambda: AggregatedPosterior(encoder(2)(torch.randn(30, *EVENT, dtype=torch.float64))),
}


def batch(head: str, n: int = 5) -> torch.Tensor:
    return (
        torch.randint(2, (n, *EVENT)) if head.startswith("bits") else torch.randn(n, *EVENT, dtype=torch.float64)
    )


def within(values: torch.Tensor, wanted: torch.Tensor | float, what: str = "") -> None:
    """The mean over the first axis is `wanted` to five standard errors."""
    values = values.detach()
    error = values.std(0) / len(values) ** 0.5
    assert ((values.mean(0) - wanted).abs() <= 5 * error + 1e-6).all(), (what, values.mean(0), wanted, error)


def one_dimensional(head: str, p=None) -> VAE:
    return VAE(encoder(1), HEADS[head](1), p or StandardNormal(1).double())
