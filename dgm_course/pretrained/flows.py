"""Weights of the flows: a RealNVP for grey digits, judged in bits a dimension."""

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
from .files import Entry


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
    chances = torch.stack([torch.cat([flow.log_prob(x) for x in images.split(250)]) for _ in range(draws)])
    dims = images[0].numel()
    each = metrics.bits_per_dim(-(chances.logsumexp(0) - math.log(draws)), dims)
    many = f"log mean exp of {draws} draws of it" if draws > 1 else "one draw of it"
    return {
        "bits_per_dim": round(float(each.mean()), 4),
        "standard_error": round(float(each.std() / len(each) ** 0.5), 4),
        "protocol": f"bound on -log2 P a dimension of {levels} grey values, uniform dequantisation, {many}, "
        f"{len(images):,} images",
    }


ENTRIES = {
    "flow_digits": Entry(
        digits_nvp,
        whitened,
        lambda images: images.train,
        lambda: Recipe(
            60_000,
            32,
            2e-3,
            warmup=200,
            decay=constant_then_linear,
            ema=0.9998,
            betas=(0.9, 0.99),
            clip=100.0,
            compiled=True,
        ),  # minutes of a GPU
        lambda model, images: (
            bits(model, data.mnist().test.to(device()))
            | {
                "official_test": bits(model, images.test),
                "official_test_8_draws": bits(model, images.test[:2000], 8),
            }
        ),
    )
}
