"""From vectors to whole numbers and back: the nearest entry of a table, and a gradient that steps over it.

    z_q = e_k*,   k* = argmin_k ‖z − e_k‖                                              (lecture 5, Vector Quantization)

A vector is told by the number of the table's entry that is nearest to it.  Where z has places, (B, C, H, W), each of the
H · W vectors of C numbers is told by its own number.  The number is a step function of z: it has no slope, and so no
gradient of its own.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..core.checks import expect_batch


def nearest(z: Tensor, vectors: Tensor) -> Tensor:
    """k* = argmin_k ‖z − e_k‖ at every place.  z (B, C, *grid), vectors (K, C) -> codes (B, *grid)     (lecture 5)

    ‖z − e‖² = ‖z‖² − 2 z·e + ‖e‖², and ‖z‖² is the same for all k: one matrix product, no table of differences.
    Distances do not change where all is moved, and the product is exact to more digits near 0: so the table's mean is 0."""
    expect_table(vectors)
    expect_places(z, vectors)
    middle = vectors.detach().mean(0)
    table, rows = vectors.detach() - middle, places(z.detach()) - middle  # (K, C), (B · places, C)
    return torch.addmm(table.square().sum(1) / 2, rows, table.T, alpha=-1).argmin(1).view(len(z), *z.shape[2:])


def lookup(codes: Tensor, vectors: Tensor) -> Tensor:
    """e_k for each code.  codes (B, *grid) whole numbers, vectors (K, C) -> (B, C, *grid)"""
    expect_table(vectors)
    expect_codes(codes, len(vectors), on=vectors.device)
    return vectors[codes.long()].movedim(-1, 1)


def straight_through(z: Tensor, z_q: Tensor) -> Tensor:
    """The value of z_q, the gradient of z: z + sg[z_q − z].  z, z_q (B, C, *grid)    (lecture 5, Straight-Through)

    The step from z to z_q is taken for the identity on the way back: ∂z_q/∂z ≈ I."""
    if z.shape != z_q.shape:
        raise ValueError(f"z has shape {tuple(z.shape)} and z_q {tuple(z_q.shape)}: expected the same.")
    return z + (z_q - z).detach()


def places(z: Tensor) -> Tensor:
    """The vectors of all places, one a row.  (B, C, *grid) -> (B · places, C)"""
    return z.movedim(1, -1).reshape(-1, z.shape[1])


def squared_error(a: Tensor, b: Tensor) -> Tensor:
    """‖a − b‖² of each sample, summed over channels and places.  (B, C, *grid) -> (B,)"""
    return (a - b).square().flatten(1).sum(1)


# --- guards


def expect_table(vectors: Tensor) -> None:
    """vectors is a table (K, C) of two entries or more, all finite, or a sentence."""
    if not isinstance(vectors, Tensor) or vectors.ndim != 2 or vectors.shape[0] < 2 or vectors.shape[1] < 1:
        came = f"shape {tuple(vectors.shape)}" if isinstance(vectors, Tensor) else f"type {type(vectors).__name__}"
        raise ValueError(
            f"the codebook has {came}: expected (K, C), at least two vectors; with a single one every input "
            "is told by the same number."
        )
    if not vectors.is_floating_point():
        raise TypeError(f"the codebook has dtype {vectors.dtype}: expected floating point.")
    if vectors.device.type == "cpu" and not bool(torch.isfinite(vectors).all()):
        bad = int((~torch.isfinite(vectors)).any(1).sum())
        raise ValueError(f"{bad} of the {len(vectors)} vectors of the codebook are NaN or infinite.")


def expect_places(z: Tensor, vectors: Tensor) -> None:
    """z is a batch (B, C, *grid) that the table fits, or a sentence."""
    expect_batch(z, name="z", on=vectors.device)
    if z.ndim < 2 or z.shape[1] != vectors.shape[1]:
        raise ValueError(
            f"z has shape {tuple(z.shape)}: expected (B, {vectors.shape[1]}, ...), since the vectors of the "
            f"codebook have {vectors.shape[1]} numbers (the channels come second, as in images)."
        )
    if z.dtype != vectors.dtype:
        raise TypeError(f"z has dtype {z.dtype} and the codebook {vectors.dtype}: expected the same.")


def expect_codes(codes: Tensor, size: int, on: torch.device | None = None) -> None:
    """codes are whole numbers 0 to size − 1, at least (B,), or a sentence."""
    if not isinstance(codes, Tensor) or codes.is_floating_point() or codes.dtype == torch.bool or codes.ndim < 1:
        came = (
            f"dtype {codes.dtype} and shape {tuple(codes.shape)}"
            if isinstance(codes, Tensor)
            else f"type {type(codes).__name__}"
        )
        raise TypeError(f"codes have {came}: expected whole numbers (B, ...), such as torch.long.")
    if on is not None and codes.device != on:
        raise ValueError(f"codes are on the device {codes.device}: expected {on}, where the codebook is.")
    low, high = (
        (int(end) for end in torch.aminmax(codes)) if codes.numel() and codes.device.type == "cpu" else (0, 0)
    )
    if low < 0 or high >= size:
        raise ValueError(
            f"codes run from {low} to {high}: expected 0 to {size - 1}, numbers of the {size} vectors."
        )
