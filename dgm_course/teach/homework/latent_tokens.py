"""Homework of the lecture on latent-space models, second half: models that write codes (LlamaGen, VAR)."""

from __future__ import annotations

import torch
from torch import Tensor

from ...latent import average_pool, block_causal_mask, grow
from ...nets.transformer import turned
from ...vq import lookup, nearest
from . import Exercise, ObserveSpec
from . import _latent_tokens_cases as cases
from . import _latent_tokens_slips as slips

# --- the library's own answers


def rms_norm(h: Tensor, gain: Tensor, epsilon: float) -> Tensor:
    """PyTorch's norm, its weight being the gain."""
    return torch.nn.functional.rms_norm(h, gain.shape, gain, epsilon)


def rotary_step(x: Tensor, y: Tensor, places: Tensor, speeds: Tensor) -> tuple[Tensor, Tensor]:
    """The library's turn of pairs that stand side by side."""
    by = places[:, None] * speeds
    done = turned(torch.stack([x, y], -1).flatten(-2), by.cos(), by.sin()).unflatten(-1, (-1, 2))
    return done[..., 0], done[..., 1]


def block_causal(sides: Tensor) -> Tensor:
    """The library's mask."""
    return block_causal_mask(sides.tolist())


def one_scale(rest: Tensor, vectors: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """One round of the library's scales, without smoothing."""
    codes = nearest(average_pool(rest, side), vectors)
    return codes, rest - grow(lookup(codes, vectors), rest.shape[-1])


EXERCISES = (
    Exercise(
        "lat.rms_norm",
        "10.4",
        "a norm that only rescales",
        "every row of h divided by the root of its mean square, with epsilon under the root, and multiplied by the gain",
        cases.rows,
        rms_norm,
        slips.RMS_NORM,
        1,
        "The mean of the squares over the last axis, kept as a column; add ε, take the root, divide; times the gain.",
        ObserveSpec(gradient=("h", "gain"), tensors=True),
        gradient_mistakes=slips.RMS_NORM_CUTS,
    ),
    Exercise(
        "lat.rotary_step",
        "10.5",
        "queries turned by their places",
        "the pairs of numbers of every query, each pair turned counterclockwise by its speed times the query's place",
        cases.pairs,
        rotary_step,
        slips.ROTARY,
        1,
        "(x + iy) e^(iφ), real and imaginary part, with φ a table of places times speeds, (B, P).",
        ObserveSpec(outputs=("x_turned", "y_turned"), gradient=("x", "y"), tensors=True),
    ),
    Exercise(
        "lat.block_causal",
        "10.6",
        "who sees whom in next-scale prediction",
        "the table over all places of all scales, coarse ones first, that is True where the place of the row may attend to "
        "the place of the column",
        cases.sides,
        block_causal,
        slips.MASK,
        1,
        "Give every place the number of its scale: a grid of side s has s·s places. Then compare rows with columns.",
    ),
    Exercise(
        "lat.one_scale",
        "10.7",
        "a residual told at one scale",
        "the codes of a residual at one scale, and what they leave of it on the full grid: shrunk by means over areas, told "
        "by the nearest vectors, raised by bilinear interpolation, taken away",
        cases.residuals,
        one_scale,
        slips.SCALE,
        2,
        "F.interpolate shrinks with mode='area' and raises with mode='bilinear'; the nearest vector as in exercise 4.1.",
        ObserveSpec(outputs=("codes", "left"), tensors=False),
    ),
)
