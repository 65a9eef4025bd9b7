"""Weights of the adversarial family: a small DCGAN and a small style-based GAN on digits."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from .. import data
from ..core.tensors import device, seed
from ..gan import GAN, R1, non_saturating
from ..nets.conv import DigitClassifier
from ..nets.gan import DCCritic, DCGenerator, PacDiscriminator, StyleGenerator
from ..training.config import Recipe, constant_then_linear
from .evaluation import judged
from .files import Entry, identity, read_into


def digits_dcgan() -> GAN:
    """A DCGAN on 28 x 28 digits: non-saturating game, with the R1 penalty that keeps the critic's slope in bounds."""
    return GAN(DCGenerator(latent=32, channels=32), DCCritic(channels=32), non_saturating().with_penalty(R1(0.1)))


def digits_style() -> GAN:
    """A style-based generator on 28 x 28 digits, the same game, and a critic who sees two samples at a time.

    All its pictures start from one constant, so it tends to make but one digit; a pack of two equal ones is easily told."""
    critic = PacDiscriminator(DCCritic(channels=32, inputs=2), 2)
    return GAN(StyleGenerator(latent=32, styles=32, channels=16), critic, non_saturating().with_penalty(R1(0.1)))


def adversarial_recipe(steps: int, ema: float = 0.998) -> Recipe:
    """Small batches, little momentum (the other side moves, too), and an average of the weights that turns with neither."""
    return Recipe(steps, 32, 1e-3, warmup=50, decay=constant_then_linear, ema=ema, betas=(0.5, 0.99))


@torch.no_grad()
def classes_seen(model: nn.Module, n: int = 1000) -> dict[str, Any]:
    """How many of the ten classes occur among n samples, and the share of the rarest, by the fixed classifier."""
    judge = read_into(DigitClassifier(), "digit_classifier").to(device())
    seed(1)
    found = torch.cat([judge(x).argmax(1) for x in model.sample(n).split(500)])
    counts = torch.bincount(found, minlength=10)
    return {"classes": int((counts > 0).sum()), "rarest_share": round(float(counts.min()) / n, 3)}


def adversarial_figure(model: nn.Module) -> dict[str, Any]:
    """Fréchet distance, precision and recall of samples that nobody asked for a class, and the classes among them."""
    images = data.mnist().to(device())
    found = judged(lambda labels: model.sample(len(labels)), images, "drawn without labels") | classes_seen(model)
    return found | {"protocol": found["protocol"].replace("class-balanced samples", "samples", 1)}


ENTRIES = {
    "dcgan_digits": Entry(
        digits_dcgan,
        identity,
        lambda images: images.train,
        lambda: adversarial_recipe(28_000),
        lambda model, images: adversarial_figure(model),
    ),
    "style_digits": Entry(
        digits_style,
        identity,
        lambda images: images.train,
        lambda: adversarial_recipe(16_000),
        lambda model, images: adversarial_figure(model),
    ),
}
