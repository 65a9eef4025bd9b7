"""Weights of models that write codes: a tokeniser of many scales, VAR over its codes, and LlamaGen over the codes of VQGAN.

A model of codes is trained on a trained tokeniser's codes of the training images; its decoded samples are evaluated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .. import data
from ..autoregressive import LlamaGen, guided
from ..core.tensors import device, seed
from ..latent import VAR, MultiScaleQuantizer, Smooth, centres
from ..nets.conv import GridEncoder
from ..nets.transformer import Llama, grid_positions
from ..training.config import Recipe, constant_then_linear, linear
from ..vq import VQVAE
from .evaluation import balanced, classify, judged, mean_and_error, squared_error
from .files import Entry, identity, read_into
from .vq import CODES, DIM, GRID, codebook, codes_of, digits_vqvae, picture_head, rebuilt, recognised

SIDES = (1, 2, 3, 5, 7)
GUIDANCE = 2.0  # of samples shown and evaluated: unconditional + 2 (conditional − unconditional)
WIDTH, DEPTH, HEADS = 96, 3, 4
LLAMA_TOKENS = "vqgan_digits"  # whose codes LlamaGen writes


def digits_scales() -> MultiScaleQuantizer:
    """1 + 4 + 9 + 25 + 49 codes, each one of 64; for one training digit in seven the decoder gets the first rounds alone."""
    return MultiScaleQuantizer(codebook(), SIDES, [Smooth(DIM) for _ in SIDES], drop_prob=0.15)


def digits_tokens() -> VQVAE:
    """The encoder and the decoder of the VQ-VAE of notebook 04, with a codebook of many scales between them."""
    return VQVAE(GridEncoder(DIM), picture_head(DIM, 32), digits_scales())


def start_from_vqvae(model: VQVAE) -> VQVAE:
    """The model, initialised with the encoder, decoder and codebook of the shipped VQ-VAE."""
    before = read_into(digits_vqvae(), "vqvae_digits")
    for part, other in (
        (model.encoder, before.encoder),
        (model.decoder, before.decoder),
        (model.codebook.codebook, before.codebook),
    ):
        part.load_state_dict(other.state_dict())
    return model


def digits_var() -> VAR:
    """Three blocks of width 96 over 88 codes; the start token is the class."""
    return VAR(digits_scales(), Llama(centres(SIDES), WIDTH, DEPTH, HEADS))


def finished_var(model: VAR) -> VAR:
    """The model with the scales of the shipped tokeniser, which are frozen."""
    tokens = read_into(digits_tokens(), "var_tokens_digits").codebook
    model.scales.load_state_dict(tokens.to(model.label_embedding.device).state_dict())
    return model


def digits_llama() -> LlamaGen:
    """Three blocks of width 96 over 7 x 7 codes; the class takes the place of a first code."""
    return LlamaGen(CODES, GRID, Llama(grid_positions(*GRID), WIDTH, DEPTH, HEADS), classes=10)


def llama_tokens() -> nn.Module:
    """The tokeniser whose codes LlamaGen writes."""
    return read_into(digits_vqvae(), LLAMA_TOKENS)


def many_scales(images: Tensor) -> Tensor:
    """The codes of all scales that the shipped tokeniser gives.  images (N, 1, 28, 28) -> (N, 88)"""
    return codes_of(images, read_into(digits_tokens(), "var_tokens_digits").to(images.device))


def one_scale(images: Tensor) -> Tensor:
    """The codes that LlamaGen's tokeniser gives.  images (N, 1, 28, 28) -> (N, 7, 7)"""
    return codes_of(images, llama_tokens().to(images.device))


@torch.no_grad()
def by_scale(tokens: VQVAE, images: Tensor) -> list[float]:
    """Squared error of the picture from the first k scales, k = 1 ... S, summed over pixels.  images (N, 1, 28, 28)"""
    totals = tokens.codebook.partial(tokens.encode(images))
    return [squared_error(images, tokens.decoder(total).mean) for total in totals]


def scales_figure(model: VQVAE, images: data.Images) -> dict[str, Any]:
    """As for the VQ-VAE, and the error scale by scale."""
    errors = by_scale(model, data.mnist().to(device()).test)
    return rebuilt(model, images) | {"squared_error_by_scale": [round(error, 2) for error in errors]}


@torch.no_grad()
def as_asked(images: Tensor, labels: Tensor) -> dict[str, float]:
    """Shares of the pictures classified as their label: by the first choice, and with probability 0.9 or more."""
    first = classify(images).argmax(1) == labels
    return {
        "as_asked": round(float(first.float().mean()), 3),
        "as_asked_strictly": round(float(recognised(images, labels).float().mean()), 3),
    }


@torch.no_grad()
def written(
    log_prob: Callable[[Tensor, Tensor], Tensor],
    codes: Tensor,
    draw: Callable[[Tensor, float], Tensor],
    passes: int,
) -> dict[str, Any]:
    """Exact nats of the codes of the embedded test digits, and the digits that are drawn, with guidance and without.

    log_prob: (codes, labels) -> (B,); draw: (labels, guidance) -> pictures (n, 1, 28, 28); passes: of the net, a sample"""
    own = data.mnist().to(device())
    nats = -torch.cat([log_prob(*part) for part in zip(codes.split(250), own.test_labels.split(250))])
    labels = balanced(1000, own.test)
    figures: dict[str, Any] = mean_and_error("nats", nats) | {"passes": passes}
    for name, weight in (("guided", GUIDANCE), ("unguided", 1.0)):
        seed(0)
        figures[name] = as_asked(draw(labels, weight), labels) | judged(
            lambda y, w=weight: draw(y, w), own, f"w = {weight:g}"
        )
    return figures | {
        "protocol": f"exact -log p(codes | class) of {len(nats):,} test digits; as asked: the class asked for is "
        "the first choice of digit_classifier (strictly: with probability 0.9 or more), 1,000 "
        f"class-balanced samples; guided: w = {GUIDANCE:g} on logits"
    }


def var_figure(model: VAR, images: data.Images) -> dict[str, Any]:
    """`written` for VAR."""
    tokens = read_into(digits_tokens(), "var_tokens_digits").to(device())
    return written(
        model.log_prob,
        many_scales(data.mnist().to(device()).test),
        lambda y, weight: tokens.picture(model.sample(len(y), y, weight)),
        len(SIDES),
    )


def llama_figure(model: LlamaGen, images: data.Images) -> dict[str, Any]:
    """`written` for LlamaGen."""
    tokens = llama_tokens().to(device())
    return written(
        model.log_prob,
        one_scale(data.mnist().to(device()).test),
        lambda y, weight: tokens.picture(model.sample(len(y), y, iter_logits=guided(weight))),
        model.length,
    ) | {"tokens": LLAMA_TOKENS}


def codes_recipe(steps: int, lr: float = 3e-3) -> Recipe:
    """Small batches of codes, the rate held for 70 % of them and then brought to zero."""
    return Recipe(
        steps,
        32,
        lr,
        warmup=100,
        decay=constant_then_linear,
        ema=0.998,
        betas=(0.9, 0.98),
        weight_decay=0.02,
        clip=30.0,
    )


ENTRIES = {
    "var_tokens_digits": Entry(
        digits_tokens,
        start_from_vqvae,
        lambda images: images.train,
        lambda: Recipe(2400, 64, 2e-3, warmup=100, decay=linear, clip=100.0),
        scales_figure,
    ),
    "var_digits": Entry(
        digits_var,
        finished_var,
        lambda images: (many_scales(images.train), images.train_labels),
        lambda: codes_recipe(2200),
        var_figure,
    ),
    "llama_gen_digits": Entry(
        digits_llama,
        identity,
        lambda images: (one_scale(images.train), images.train_labels),
        lambda: codes_recipe(2000),
        llama_figure,
    ),
}
