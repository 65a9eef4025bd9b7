"""Weights of the VAE family: black and white digits with 32 latent numbers, with two, and conditional on the class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .. import data
from ..core.tensors import device
from ..nets.mlp import DenseNet
from ..training.config import Recipe, linear
from ..vae import VAE, BernoulliHead, GaussianHead, StandardNormal
from .evaluation import nats_of_bits
from .files import Entry

IMAGE = (1, 28, 28)


def dense_vae(latent: int, width: int, depth: int = 2, classes: int = 0, event: Sequence[int] = IMAGE) -> VAE:
    """A VAE of bits from dense networks: Gaussian encoder, Bernoulli decoder, standard normal prior."""
    size = int(torch.Size(event).numel())
    encoder = GaussianHead(DenseNet(size, (2, latent), width, depth, classes), latent)
    decoder = BernoulliHead(DenseNet(latent, event, width, depth, classes), event)
    return VAE(encoder, decoder, StandardNormal(latent))


def at_the_mean_image(model: Any) -> VAE:
    """Set the decoder's last bias to the logits of the mean image, so that it starts dark and not as grey noise."""
    brightness = ((data.mnist().train.mean(0) + 1) / 2).clamp(1e-3, 1 - 1e-3)
    model.decoder.net.start_at(torch.logit(brightness, 1e-3))
    return model


def digits_vae() -> VAE:
    """32 latent numbers, two hidden layers of 400 at each end."""
    return dense_vae(32, 400)


def plane_vae() -> VAE:
    """Two latent numbers, so that the whole latent space is a picture."""
    return dense_vae(2, 256)


def digits_cvae() -> VAE:
    """Eight latent numbers beside the class, on which both networks are conditioned: z encodes the handwriting."""
    return dense_vae(8, 256, classes=10)


def bits(images: data.Images) -> data.DynamicallyBinarized:
    return data.DynamicallyBinarized(images.train)


class LabelledBits:
    """Bits with their labels: ``sample(n)`` -> (n, 1, H, W) integers and (n,)"""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images, self.labels = images, labels

    def sample(self, n: int) -> tuple[Tensor, Tensor]:
        which = torch.randint(len(self.images), (n,), device=self.images.device)
        return data.binarise(self.images[which], "dynamic").long(), self.labels[which]


def vae_recipe(steps: int, lr: float = 2e-3) -> Recipe:
    """A warm-up, and a rate that ends at zero: the last third of the run gains several nats."""
    return Recipe(steps, 128, lr, warmup=200, decay=linear, ema=0.999, clip=200.0)


def bound_in_nats(model: VAE, images: Tensor, k: int = 500, labels: Tensor | None = None) -> dict[str, Any]:
    """−ELBO and the importance-weighted bound, on one fixed draw of bits.  images (N, 1, 28, 28) in [-1, 1]"""

    def measure(log_prob: Any, what: str) -> dict[str, Any]:
        rows = iter([] if labels is None else labels.split(500))  # nats_of_bits goes through the images by 500
        return nats_of_bits(lambda x: log_prob(x, next(rows, None)), images, what)

    tight = measure(lambda x, y: model.log_prob_bound(x, k, y), f"importance-weighted bound on -log p, k = {k}")
    loose = measure(lambda x, y: model.elbo(x, 16, y), "ELBO, 16 draws of z an image")
    return loose | {"importance_weighted": tight}


def on_both_sets(model: VAE, images: data.Images, first: int = 10_000) -> dict[str, Any]:
    """The figures of the embedded test images, and of the first so many official ones."""
    return bound_in_nats(model, data.mnist().test.to(device())) | {
        "official_test": bound_in_nats(model, images.test[:first])
    }


def on_fewer(model: VAE, images: data.Images) -> dict[str, Any]:
    """The same on 2,000 of the official test images, because k = 500 is slow."""
    return on_both_sets(model, images, 2000)


def conditional_figure(model: VAE, images: data.Images, first: int = 1000) -> dict[str, Any]:
    """The same of log p(x | y), the class being given."""
    own = data.mnist().to(device())
    return bound_in_nats(model, own.test, labels=own.test_labels) | {
        "official_test": bound_in_nats(model, images.test[:first], labels=images.test_labels[:first])
    }


ENTRIES = {
    "vae_digits": Entry(digits_vae, at_the_mean_image, bits, lambda: vae_recipe(12_000), on_both_sets),
    "vae_plane_digits": Entry(plane_vae, at_the_mean_image, bits, lambda: vae_recipe(10_000), on_fewer),
    "cvae_digits": Entry(
        digits_cvae,
        at_the_mean_image,
        lambda images: LabelledBits(images.train, images.train_labels),
        lambda: vae_recipe(6_000),
        conditional_figure,
    ),
}
