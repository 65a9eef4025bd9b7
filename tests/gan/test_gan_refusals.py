"""What games, GANs and their networks refuse."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from dgm_course import data, nets
from dgm_course.gan import GAN, DiracGAN, OptimalDiscriminator, invert, minimax, value_on_grid
from dgm_course.training import Recipe, fit

from .models import LINE, gaussian, plane


class Probabilities(nn.Linear):
    def forward(self, x):
        return torch.sigmoid(super().forward(x))[:, 0]


REAL, ONE, IMAGES = torch.zeros(4, 2), torch.zeros(1, 2), torch.zeros(2, 3, 4, 4)
G, FAR, NEAR = nets.MLPGenerator(4), gaussian(30.0), gaussian(0.0)
SIGMOID = nn.Sequential(nn.Linear(2, 1), nn.Sigmoid())
REFUSALS = [
    (lambda: GAN(nets.MLPGenerator(), SIGMOID), "ends in a Sigmoid: expected logits"),
    (
        lambda: GAN(nets.MLPGenerator(), Probabilities(2, 1)).discriminator_loss(REAL),
        "gives prob.*expected logits",
    ),
    (lambda: GAN(nn.Linear(2, 2), nets.MLPDiscriminator()), "Linear has no latent: expected"),
    (lambda: plane(k=0), "k is 0: expected at least 1"),
    (lambda: plane().discriminator_loss(REAL, torch.zeros(4)), "labels were given.*knows no classes"),
    (lambda: fit(plane(), (REAL, None, torch.zeros(4)), Recipe(1)), "labels were given"),
    (lambda: plane().discriminator_loss(REAL[:0]), "empty batch"),
    (lambda: plane().discriminator_loss(REAL * math.nan), "contains NaN in 8 of 8"),
    (lambda: plane().discriminator_loss(REAL.long()), "dtype torch.int64: expected floating"),
    (lambda: plane().discriminator_loss(torch.zeros(4, 3)), r"shape \(4, 3\): expected \(4, 2\)"),
    (lambda: GAN(nets.MLPGenerator(), nn.Linear(2, 3)).discriminator_loss(REAL), r"to \(4, 3\): expected one"),
    (lambda: OptimalDiscriminator(data.moons(), G), "model are a MLPGenerator: expected an object with log_prob"),
    (lambda: value_on_grid(FAR, NEAR, OptimalDiscriminator(FAR, NEAR), LINE), "the data sums to"),
    (lambda: DiracGAN(minimax())(torch.zeros(2)), r"expected pairs \(θ, ψ\)"),
    (lambda: invert(nets.MLPGenerator(), REAL, steps=0), "steps is 0"),
    (lambda: invert(nets.MLPGenerator(), REAL[:0]), "empty batch"),
    (lambda: nets.MLPDiscriminator()(torch.zeros(4, 3)), r"this MLPDiscriminator expects \(B, 2\)"),
    (lambda: nets.MixtureLatent(G, 5), "choices is 5: expected at least 2, and at most the 4"),
    (lambda: nets.MixtureLatent(G, 1), "choices is 1"),
    (lambda: nets.MixtureLatent(G, 2)(torch.zeros(3, 5)), r"this MixtureLatent expects noise \(B, 4\)"),
    (lambda: nets.MLPGenerator()(torch.zeros(4, 3)), r"this MLPGenerator expects noise \(B, 2\)"),
    (lambda: nets.MLPGenerator(norm=nn.BatchNorm1d)(ONE), "batch of 1: batch normalisation"),
    (lambda: nets.PacDiscriminator(nets.MLPDiscriminator(), 0), "m is 0"),
    (lambda: nets.DCGenerator(4, 8)(torch.zeros(1, 4)), "batch of 1: batch normalisation.*at least 2"),
    (lambda: nets.DCGenerator(4, 8)(torch.zeros(2, 5)), r"expects noise \(B, 4\)"),
    (lambda: nets.DCCritic(8)(torch.zeros(2, 28, 28)), r"expects images \(B, 1, 28, 28\)"),
    (lambda: nets.StyleGenerator(4, 8, 4).synthesis(torch.zeros(2, 7)), r"expected styles \(B, 8\)"),
    (lambda: nets.adain(IMAGES[..., 0], torch.zeros(2, 3), torch.zeros(2, 3)), "expected.*B, C, H, W"),
    (lambda: nets.adain(IMAGES, torch.zeros(3), torch.zeros(2, 3)), r"scale \(3,\)"),
]


@pytest.mark.parametrize("act, message", REFUSALS, ids=[f"{i}-{m[:30]}" for i, (_, m) in enumerate(REFUSALS)])
def test_bad_input_is_refused(act, message):
    with pytest.raises((TypeError, ValueError), match=message):
        act()


def test_one_sample_is_enough_in_eval_mode():
    assert nets.DCGenerator(4, 8).eval()(torch.zeros(1, 4)).shape == (1, 1, 28, 28)
