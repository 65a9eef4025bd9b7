"""From vectors to codes and back: the nearest entry of a table, and the straight-through gradient.

    z_q = e_k*,   k* = argmin_k ‖z − e_k‖                                              (lecture 5, Vector Quantization)

Each of the H · W vectors of z (B, C, H, W) has its own code k*, a step function of z with no gradient of its own.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..core.checks import expect_batch


def nearest(z: Tensor, vectors: Tensor) -> Tensor:
    """k* = argmin_k ‖z − e_k‖ at every place.  z (B, C, *grid), vectors (K, C) -> codes (B, *grid)     (lecture 5)

    ‖z − e‖² = ‖z‖² − 2 z·e + ‖e‖², and ‖z‖² is the same for all k: one matrix product, no table of differences.
    The product has more exact digits near 0, so the mean of the table is subtracted from both."""
    expect_table(vectors)
    expect_batch(z, name="z", on=vectors.device)
    if z.ndim < 2 or z.shape[1] != vectors.shape[1]:
        raise ValueError(f"z has shape {tuple(z.shape)}: expected (B, {vectors.shape[1]}, ...), channels second.")
    if z.dtype != vectors.dtype:
        raise TypeError(f"z has dtype {z.dtype} and the codebook {vectors.dtype}: expected the same.")
    middle = vectors.detach().mean(0)
    table, rows = vectors.detach() - middle, places(z.detach()) - middle  # (K, C), (B · places, C)
    return torch.addmm(table.square().sum(1) / 2, rows, table.T, alpha=-1).argmin(1).view(len(z), *z.shape[2:])


def lookup(codes: Tensor, vectors: Tensor) -> Tensor:
    """e_k for each code.  codes (B, *grid) integers, vectors (K, C) -> (B, C, *grid)"""
    expect_table(vectors)
    expect_codes(codes, len(vectors), on=vectors.device)
    return vectors[codes.long()].movedim(-1, 1)


def straight_through(z: Tensor, z_q: Tensor) -> Tensor:
    """The value of z_q with the gradient of z: z + sg[z_q − z], so ∂z_q/∂z ≈ I.      (lecture 5, Straight-Through)

    z, z_q (B, C, *grid) -> the same"""
    if z.shape != z_q.shape:
        raise ValueError(f"z has shape {tuple(z.shape)} and z_q {tuple(z_q.shape)}: expected the same.")
    return z + (z_q - z).detach()


def places(z: Tensor) -> Tensor:
    """The vectors of all places, one a row.  (B, C, *grid) -> (B · places, C)"""
    return z.movedim(1, -1).reshape(-1, z.shape[1])


def squared_error(a: Tensor, b: Tensor) -> Tensor:
    """‖a − b‖² of each sample, summed over channels and places.  (B, C, *grid) -> (B,)"""
    return (a - b).square().flatten(1).sum(1)


def expect_table(vectors: Tensor) -> None:
    """An error unless vectors is a finite floating table (K, C) of at least two entries."""
    if not isinstance(vectors, Tensor) or vectors.ndim != 2 or vectors.shape[0] < 2 or vectors.shape[1] < 1:
        came = f"shape {tuple(vectors.shape)}" if isinstance(vectors, Tensor) else f"type {type(vectors).__name__}"
        raise ValueError(f"the codebook has {came}: expected (K, C), at least two, as a single one says nothing.")
    if not vectors.is_floating_point():
        raise TypeError(f"the codebook has dtype {vectors.dtype}: expected floating point.")
    if vectors.device.type == "cpu" and not bool(torch.isfinite(vectors).all()):
        bad = int((~torch.isfinite(vectors)).any(1).sum())
        raise ValueError(f"{bad} of the {len(vectors)} vectors of the codebook are NaN or infinite.")


def expect_codes(codes: Tensor, size: int, on: torch.device | None = None) -> None:
    """An error unless codes are integers 0 to size − 1, (B, ...), on the device ``on``."""
    if not isinstance(codes, Tensor):
        raise TypeError(f"codes have type {type(codes).__name__}: expected a tensor of integers (B, ...).")
    if codes.is_floating_point() or codes.dtype == torch.bool or codes.ndim < 1:
        raise TypeError(f"codes have dtype {codes.dtype}, shape {tuple(codes.shape)}: expected integers (B, ...).")
    if on is not None and codes.device != on:
        raise ValueError(f"codes are on the device {codes.device}: expected {on}, where the codebook is.")
    on_cpu = codes.numel() and codes.device.type == "cpu"
    low, high = (int(end) for end in torch.aminmax(codes)) if on_cpu else (0, 0)
    if low < 0 or high >= size:
        raise ValueError(f"codes run from {low} to {high}: expected 0 to {size - 1}, one of {size} vectors.")
