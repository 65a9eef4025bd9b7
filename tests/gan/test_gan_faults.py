"""Wrong input to a game or to its networks is answered in sentences."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from dgm_course import data, nets
from dgm_course.gan import GAN, DiracGAN, OptimalDiscriminator, invert, minimax, value_on_grid
from dgm_course.training import Recipe, fit

from .models import LINE, gaussian, plane


def probabilities() -> GAN:
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Linear(2, 1)

        def forward(self, x):
            return torch.sigmoid(self.net(x))[:, 0]

    return GAN(nets.MLPGenerator(2, 2, 8, 1), Functional())


REAL = torch.zeros(4, 2)


@pytest.mark.parametrize(
    "ask, error, words",
    [
        (
            lambda: GAN(nets.MLPGenerator(), nn.Sequential(nn.Linear(2, 1), nn.Sigmoid())),
            ValueError,
            "ends in a Sigmoid: expected",
        ),
        (lambda: probabilities().discriminator_loss(REAL), ValueError, "gives probabilities.*expected logits"),
        (lambda: GAN(nn.Linear(2, 2), nets.MLPDiscriminator()), TypeError, "Linear has no latent"),
        (lambda: plane(k=0), ValueError, "k is 0: expected at least 1"),
        (
            lambda: plane().discriminator_loss(REAL, torch.zeros(4)),
            ValueError,
            "labels were given.*knows no classes",
        ),
        (lambda: fit(plane(), (REAL, None, torch.zeros(4)), Recipe(1)), ValueError, "labels were given"),
        (lambda: plane().discriminator_loss(REAL[:0]), ValueError, "empty batch"),
        (lambda: plane().discriminator_loss(REAL * math.nan), ValueError, "contains NaN in 8 of 8"),
        (lambda: plane().discriminator_loss(REAL.long()), TypeError, "dtype torch.int64: expected floating"),
        (lambda: plane().discriminator_loss(torch.zeros(4, 3)), ValueError, r"shape \(4, 3\).*makes \(4, 2\)"),
        (
            lambda: GAN(nets.MLPGenerator(), nn.Linear(2, 3)).discriminator_loss(REAL),
            ValueError,
            r"with \(4, 3\): expected one",
        ),
        (
            lambda: nets.MLPDiscriminator()(torch.zeros(4, 3)),
            ValueError,
            r"this MLPDiscriminator expects \(B, 2\)",
        ),
        (
            lambda: nets.MixtureLatent(nets.MLPGenerator(4), 5),
            ValueError,
            "choices is 5: expected at least 2, and at most the 4",
        ),
        (lambda: nets.MixtureLatent(nets.MLPGenerator(4), 1), ValueError, "choices is 1"),
        (
            lambda: nets.MixtureLatent(nets.MLPGenerator(4), 2)(torch.zeros(3, 5)),
            ValueError,
            r"this MixtureLatent expects noise \(B, 4\)",
        ),
        (lambda: nets.MLPGenerator()(torch.zeros(4, 3)), ValueError, r"this MLPGenerator expects noise \(B, 2\)"),
        (lambda: nets.PacDiscriminator(nets.MLPDiscriminator(), 0), ValueError, "m is 0"),
        (
            lambda: nets.DCGenerator(4, 8)(torch.zeros(1, 4)),
            ValueError,
            "batch of 1: batch normalisation.*at least 2",
        ),
        (
            lambda: nets.MLPGenerator(norm=nn.BatchNorm1d)(torch.zeros(1, 2)),
            ValueError,
            "batch of 1: batch normalisation",
        ),
        (lambda: nets.DCGenerator(4, 8)(torch.zeros(2, 5)), ValueError, r"expects noise \(B, 4\)"),
        (lambda: nets.DCCritic(8)(torch.zeros(2, 28, 28)), ValueError, r"expects images \(B, 1, 28, 28\)"),
        (
            lambda: nets.StyleGenerator(4, 8, 4).synthesis(torch.zeros(2, 7)),
            ValueError,
            r"expected styles \(B, 8\)",
        ),
        (
            lambda: nets.adain(torch.zeros(2, 3, 4), torch.zeros(2, 3), torch.zeros(2, 3)),
            ValueError,
            "expected.*B, C, H, W",
        ),
        (
            lambda: nets.adain(torch.zeros(2, 3, 4, 4), torch.zeros(3), torch.zeros(2, 3)),
            ValueError,
            r"scale \(3,\)",
        ),
        (
            lambda: OptimalDiscriminator(data.moons(), nets.MLPGenerator()),
            TypeError,
            "model are a MLPGenerator without log_prob",
        ),
        (
            lambda: value_on_grid(
                gaussian(30.0), gaussian(0.0), OptimalDiscriminator(gaussian(30.0), gaussian(0.0)), LINE
            ),
            ValueError,
            "the data sums to",
        ),
        (lambda: DiracGAN(minimax())(torch.zeros(2)), ValueError, r"expected pairs \(θ, ψ\)"),
        (lambda: invert(nets.MLPGenerator(), REAL, steps=0), ValueError, "steps is 0"),
        (lambda: invert(nets.MLPGenerator(), REAL[:0]), ValueError, "empty batch"),
    ],
)
def test_wrong_input_is_answered_in_sentences(ask, error, words):
    with pytest.raises(error, match=words):
        ask()


def test_one_sample_is_enough_once_training_is_over():
    g = nets.DCGenerator(4, 8).eval()
    assert g(torch.zeros(1, 4)).shape == (1, 1, 28, 28)
