"""Weights of the flows: a RealNVP for grey digits, evaluated in bits a dimension."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from .. import data
from ..core import metrics
from ..core.tensors import device, seed
from ..flows import Flow, grey_spline, multiscale_realnvp, set_scales
from ..training.config import Recipe, constant_then_linear
from .evaluation import mean_and_error
from .files import Entry, train_images


def digits_nvp() -> Flow:
    """RealNVP on 28 x 28 digits of 256 grey values: one spline for all pixels, then couplings at two scales."""
    return Flow(multiscale_realnvp((1, 28, 28), counts=(6, 4), widths=(32, 48), stretch=grey_spline()), (784,))


def whitened(flow: Flow) -> nn.Module:
    """The flow with the scales of its `Affine` layers set from five hundred training images."""
    set_scales(flow.f, data.mnist().train[:500].to(device()))
    return flow


@torch.no_grad()
def bits(flow: Flow, images: Tensor, draws: int = 1, levels: int = 256) -> dict[str, Any]:
    """Bits a dimension of images, −log2 P / D, with its standard error over the images.  images (N, 1, H, W) in [−1, 1]

    draws: of the dequantising noise; of several the bound is log mean exp, which is nearer to log P."""
    seed(0)
    log_probs = torch.stack([torch.cat([flow.log_prob(x) for x in images.split(250)]) for _ in range(draws)])
    dims = images[0].numel()
    each = metrics.bits_per_dim(-(log_probs.logsumexp(0) - math.log(draws)), dims)
    many = f"log mean exp of {draws} draws of it" if draws > 1 else "one draw of it"
    return mean_and_error("bits_per_dim", each, 4) | {
        "protocol": f"bound on -log2 P a dimension of {levels} grey values, uniform dequantisation, {many}, "
        f"{len(images):,} images"
    }


def flow_recipe() -> Recipe:
    """Minutes of a GPU."""
    averaging = {"ema": 0.9998, "betas": (0.9, 0.99), "clip": 100.0}
    return Recipe(60_000, 32, 2e-3, warmup=200, decay=constant_then_linear, compiled=True, **averaging)


def flow_figure(model: Flow, images: data.Images) -> dict[str, Any]:
    """Bits of the embedded test images, and of the official ones."""
    official = {
        "official_test": bits(model, images.test),
        "official_test_8_draws": bits(model, images.test[:2000], 8),
    }
    return bits(model, data.mnist().test.to(device())) | official


ENTRIES = {"flow_digits": Entry(digits_nvp, whitened, train_images, flow_recipe, flow_figure)}
