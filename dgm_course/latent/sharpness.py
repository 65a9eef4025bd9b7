"""How much fine detail an image has: a number that blur lowers."""

from __future__ import annotations

from torch import Tensor

from ..core.checks import expect_batch, expect_some


def laplacian(x: Tensor) -> Tensor:
    """(Δx)_ij = 4 x_ij − its four neighbours, inside the border.  x (B, C, H, W), H, W at least 3 -> (B, C, H − 2, W − 2)"""
    expect_batch(x)
    if x.ndim != 4 or min(x.shape[2:]) < 3:
        raise ValueError(f"x has shape {tuple(x.shape)}: expected images (B, C, H, W) of at least 3 x 3 pixels.")
    around = x[..., :-2, 1:-1] + x[..., 2:, 1:-1] + x[..., 1:-1, :-2] + x[..., 1:-1, 2:]
    return 4 * x[..., 1:-1, 1:-1] - around


def sharpness(x: Tensor, like: Tensor) -> float:
    """Σ (Δx)² / Σ (Δ like)²: the share of the fine detail of `like` that x has; 1 if it is as sharp, less if blurred.

    x, like (B, C, H, W).  Noise counts as detail, so report an error beside it."""
    if x.shape[1:] != like.shape[1:]:
        raise ValueError(f"x is {tuple(x.shape)} and like {tuple(like.shape)}: expected images of one size.")
    ours, theirs = (laplacian(expect_some(part)).double().square().mean() for part in (x, like))
    if not theirs > 0:
        raise ValueError("like has no detail: expected images that are not constant.")
    return float(ours / theirs)
