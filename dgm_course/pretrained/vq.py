"""Weights of vector quantization: digits as 7 x 7 codes, an autoregressive prior over the codes of the trained VQ-VAE, and
two grids of codes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .. import data
from ..autoregressive import GatedPixelCNN
from ..core import metrics
from ..core.tensors import device, seed
from ..nets.conv import GridDecoder, GridEncoder, TwoLevels
from ..training.config import Recipe, linear
from ..vae import FixedGaussianHead
from ..vq import VQVAE, VQVAE2, Codebook, DeadCodeReset, EMAUpdate, UniformCodes
from .evaluation import balanced, classify, mean_and_error, squared_error
from .files import Entry, identity, read_into, train_images

IMAGE, GRID, CODES, DIM = (1, 28, 28), (7, 7), 64, 16
SURE = 0.9  # a digit is recognised where the classifier gives one class at least this probability


def codebook(size: int = CODES) -> Codebook:
    """EMA updates, and dead codes reset to outputs, which keep all of a small codebook in use."""
    return Codebook(0.5 * torch.randn(size, DIM), EMAUpdate(), DeadCodeReset())


def picture_head(inputs: int, channels: int) -> FixedGaussianHead:
    """p(x | z_q) with σ² = ½, so that −log p is the squared error of the slides and a constant."""
    return FixedGaussianHead(GridDecoder(inputs, channels).start_at(-1.0), IMAGE, 0.5**0.5)


def digits_vqvae(channels: int = 32) -> VQVAE:
    """49 codes a digit, each one of 64."""
    return VQVAE(GridEncoder(DIM, channels), picture_head(DIM, channels), codebook())


def digits_vqvae2(channels: int = 32) -> VQVAE2:
    """16 codes above, 49 below, each one of 64."""
    nets = TwoLevels(DIM, channels)
    return VQVAE2(nets, picture_head(nets.wide + DIM, channels), codebook(), codebook())


def codes_prior() -> GatedPixelCNN:
    """A gated PixelCNN over the 7 x 7 codes, conditional on the class."""
    return GatedPixelCNN(CODES, GRID, width=48, depth=6, kernel=3, classes=10)


@torch.no_grad()
def codes_of(images: Tensor, model: nn.Module | None = None) -> Tensor:
    """The codes that the shipped VQ-VAE gives to images (N, 1, 28, 28) in [-1, 1].  -> (N, 7, 7)"""
    model = read_into(digits_vqvae(), "vqvae_digits").to(images.device) if model is None else model
    return torch.cat([model.encode(part) for part in images.split(1000)])


@torch.no_grad()
def recognised(images: Tensor, labels: Tensor | None = None) -> Tensor:
    """Which images the fixed classifier gives one class (of `labels`, where given) with probability 0.9 or more.  -> (N,)"""
    probability, predicted = classify(images).softmax(1).max(1)
    return (probability >= SURE) & (predicted == (predicted if labels is None else labels.to(predicted.device)))


def _share(found: Tensor) -> float:
    return round(float(found.float().mean()), 3)


@torch.no_grad()
def rebuilding(model: Any, images: Tensor, labels: Tensor) -> dict[str, Any]:
    """Reconstruction error, recognised reconstructions, and codes in use.  images (N, 1, 28, 28)"""
    parts = [model.encode(part) for part in images.split(500)]
    back = torch.cat([model.picture(part) for part in parts])
    codes = torch.cat(parts)
    return {
        "squared_error": round(squared_error(images, back), 2),
        "codes_used": int(codes.unique().numel()),
        "perplexity": round(metrics.perplexity(codes, CODES), 1),
        "recognised": _share(recognised(back, labels)),
        "recognised_originals": _share(recognised(images, labels)),
        "protocol": f"{len(images):,} test images in [-1, 1]; squared error summed over 784 pixels; recognised: the "
        f"right class with probability {SURE} or more by digit_classifier; {CODES} codes in all",
    }


def rebuilt(model: nn.Module, images: data.Images) -> dict[str, Any]:
    """The figures of the embedded test images, and of the official ones."""
    own = data.mnist().to(device())
    return rebuilding(model, own.test, own.test_labels) | {
        "official_test": rebuilding(model, images.test, images.test_labels)
    }


@torch.no_grad()
def prior_figure(model: nn.Module, images: data.Images, n: int = 1000) -> dict[str, Any]:
    """Nats of the codes of test images, and the share of recognised samples: learned prior, uniform codes, real digits."""
    own, tokens = data.mnist().to(device()), read_into(digits_vqvae(), "vqvae_digits").to(device())
    nats = -torch.cat(
        [model.log_prob(*part) for part in zip(codes_of(own.test, tokens).split(500), own.test_labels.split(500))]
    )
    seed(0)
    labels, uniform = balanced(n, own.test), UniformCodes(CODES, GRID)
    drawn, noise = tokens.picture(model.sample(n, labels)), tokens.picture(uniform.sample(n).to(own.test.device))
    return mean_and_error("nats", nats) | {
        "uniform_nats": round(-float(uniform.log_prob(codes_of(own.test[:1], tokens))[0]), 2),
        "recognised_as_asked": _share(recognised(drawn, labels)),
        "recognised": _share(recognised(drawn)),
        "recognised_uniform": _share(recognised(noise)),
        "recognised_real": _share(recognised(own.test)),
        "protocol": f"exact -log p(codes | class) of {len(nats):,} test images; recognised: one class (as asked: the "
        f"one asked for) with probability {SURE} or more by digit_classifier, {n} class-balanced samples",
    }


@torch.no_grad()
def two_levels(model: nn.Module, images: data.Images) -> dict[str, Any]:
    """Squared errors with both grids and with the coarse one alone, and codes in use."""

    def figures(test: Tensor) -> dict[str, Any]:
        codes = [model.encode(part) for part in test.split(500)]
        back = {
            "both": [model.decode(*part).mean for part in codes],
            "top": [model.decode(part.top).mean for part in codes],
        }
        return {
            f"squared_error_{name}": round(squared_error(test, torch.cat(x)), 2) for name, x in back.items()
        } | {
            f"codes_used_{name}": int(torch.cat(parts).unique().numel())
            for name, parts in zip(("top", "bottom"), zip(*codes))
        }

    return figures(data.mnist().test.to(device())) | {
        "official_test": figures(images.test),
        "protocol": f"test images in [-1, 1]; squared error summed over 784 pixels, from both grids or from the top alone; "
        f"{CODES} codes each",
    }


def vq_recipe(steps: int) -> Recipe:
    """A rate that ends at zero; no average of the weights, which would fit no codebook."""
    return Recipe(steps, 64, 2e-3, warmup=100, decay=linear, clip=100.0)


ENTRIES = {
    "vqvae_digits": Entry(digits_vqvae, identity, train_images, lambda: vq_recipe(3000), rebuilt),
    "vqvae2_digits": Entry(digits_vqvae2, identity, train_images, lambda: vq_recipe(2000), two_levels),
    "vq_prior_digits": Entry(
        codes_prior,
        identity,
        lambda images: (codes_of(images.train), images.train_labels),
        lambda: Recipe(
            2200, 64, 3e-3, warmup=100, decay=linear, ema=0.998, betas=(0.9, 0.99), weight_decay=0.01, clip=50.0
        ),
        prior_figure,
    ),
}
