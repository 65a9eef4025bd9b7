"""Weights of the autoregressive family: black and white digits by masked convolutions, by rows and by attention."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import nn

from .. import data
from ..autoregressive import ImageGPT, PatchModel, PixelCNN, PixelRNN
from ..core.tensors import device, fast_dtype
from ..data.images import Images
from ..training.config import Recipe, constant_then_linear
from .evaluation import nats_of_bits
from .files import Entry, identity


def pixel_cnn() -> PixelCNN:
    """Eight masked convolutions of 5 x 5 (the first 7 x 7), 32 channels."""
    return PixelCNN(2, (1, 28, 28), width=32, depth=8, kernel=5)


def pixel_rnn() -> PixelRNN:
    """Two row-LSTMs of 32 channels."""
    return PixelRNN(2, (1, 28, 28), width=32, depth=3)


def image_gpt() -> PatchModel:
    """Four causal blocks of width 96 with four heads, over blocks of 2 x 2 pixels: 196 places of 16 symbols."""
    return PatchModel(ImageGPT(16, (14, 14), width=96, depth=4, heads=4))


def exact(model: nn.Module, images: Images) -> dict[str, Any]:
    """Nats of the embedded test images, and of the official ones."""
    both = (data.mnist().test.to(device()), images.test)
    embedded, official = (nats_of_bits(model.log_prob, x, "exact -log p") for x in both)
    return embedded | {"official_test": official}


def recipe(steps: int, lr: float) -> Recipe:
    """Many small batches of fresh bits; the rate is constant for 70 % of the steps and then falls to zero."""
    adam = {"betas": (0.9, 0.99), "weight_decay": 0.01, "clip": 100.0}
    return Recipe(steps, 16, lr, warmup=100, decay=constant_then_linear, ema=0.999, **adam)


def long(steps: int, lr: float) -> Recipe:
    """The same for minutes of a GPU, where twice the batch size takes hardly longer."""
    return replace(recipe(steps, lr), batch=32, precision=fast_dtype(), compiled=True)


def bits(images: Images) -> data.DynamicallyBinarized:
    """The training images as endless bits, drawn anew each time."""
    return data.DynamicallyBinarized(images.train)


ENTRIES = {
    "pixel_cnn_digits": Entry(pixel_cnn, identity, bits, lambda: long(120_000, 5e-3), exact),
    "pixel_rnn_digits": Entry(pixel_rnn, identity, bits, lambda: recipe(2_500, 5e-3), exact),
    "image_gpt_digits": Entry(image_gpt, identity, bits, lambda: long(100_000, 2e-3), exact),
}
