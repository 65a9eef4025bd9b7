"""Weights of the adversarial family: a small DCGAN and a small style-based GAN on digits."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from .. import data
from ..core.tensors import device, seed
from ..gan import GAN, R1, non_saturating
from ..nets.gan import DCCritic, DCGenerator, PacDiscriminator, StyleGenerator
from ..training.config import Recipe, constant_then_linear
from .evaluation import classify, judged
from .files import Entry, identity, train_images


def digits_dcgan() -> GAN:
    """A DCGAN on 28 x 28 digits: non-saturating loss with the R1 penalty."""
    return GAN(DCGenerator(latent=32, channels=32), DCCritic(channels=32), non_saturating().with_penalty(R1(0.1)))


def digits_style() -> GAN:
    """A style-based generator on 28 x 28 digits, the same loss, and a discriminator of two samples at a time.

    All its pictures start from one constant, so its modes collapse easily; two equal samples are easy to detect."""
    critic = PacDiscriminator(DCCritic(channels=32, inputs=2), 2)
    return GAN(StyleGenerator(latent=32, styles=32, channels=16), critic, non_saturating().with_penalty(R1(0.1)))


def adversarial_recipe(steps: int, ema: float = 0.998) -> Recipe:
    """Small batches, little momentum (both networks change), and an average of the weights."""
    return Recipe(steps, 32, 1e-3, warmup=50, decay=constant_then_linear, ema=ema, betas=(0.5, 0.99))


@torch.no_grad()
def classes_seen(model: nn.Module, n: int = 1000) -> dict[str, Any]:
    """How many of the ten classes occur among n samples, and the share of the rarest, by the fixed classifier."""
    seed(1)
    counts = torch.bincount(classify(model.sample(n)).argmax(1), minlength=10)
    return {"classes": int((counts > 0).sum()), "rarest_share": round(float(counts.min()) / n, 3)}


def adversarial_figure(model: nn.Module, _: data.Images) -> dict[str, Any]:
    """Fréchet distance, precision and recall of samples drawn without labels, and the classes among them."""
    images = data.mnist().to(device())
    found = judged(lambda labels: model.sample(len(labels)), images, "drawn without labels") | classes_seen(model)
    return found | {"protocol": found["protocol"].replace("class-balanced samples", "samples", 1)}


ENTRIES = {
    "dcgan_digits": Entry(
        digits_dcgan, identity, train_images, lambda: adversarial_recipe(28_000), adversarial_figure
    ),
    "style_digits": Entry(
        digits_style, identity, train_images, lambda: adversarial_recipe(16_000), adversarial_figure
    ),
}
