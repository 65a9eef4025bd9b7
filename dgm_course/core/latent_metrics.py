"""What a latent space is good for, in numbers: is the way between two latents a way between pictures, and does one
coordinate say one thing?

The words of the lecture's table, "well-behaved" and "disentangled", have no one formula.  These are stated proxies: a
*detour* of a path through features, and the share of a factor's variance that one coordinate, or all together, explain on
samples that did not choose it.  Factors are read from the pictures themselves, by moments of their ink.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .checks import expect_batch
from .tensors import flat


class Factors(NamedTuple):
    """Three things that vary between digits of one class, (N,) each: ink, height in pixels, slant (columns a row)."""

    ink: Tensor
    height: Tensor
    slant: Tensor


def factors(images: Tensor) -> Factors:
    """From the moments of the ink w = (x + 1)/2: Σ w / HW, the deviation of the rows, −cov(row, column) / var(row).

    images (N, 1, H, W) in [−1, 1].  A slant above 0 leans to the right, as handwriting does; an empty page has all at 0."""
    if images.ndim != 4 or images.shape[1] != 1:
        raise ValueError(f"images have shape {tuple(images.shape)}: expected (N, 1, H, W).")
    w = (expect_batch(images, name="images").double().clamp(-1, 1)[:, 0] + 1) / 2
    rows, columns = (torch.arange(size, dtype=w.dtype, device=w.device) for size in w.shape[1:])
    mass = w.sum((1, 2)).clamp(min=1e-9)

    def mean(values):
        return (w * values).sum((1, 2)) / mass

    down, right = rows[:, None] - mean(rows[:, None])[:, None, None], columns - mean(columns)[:, None, None]
    spread = mean(down.square())
    return Factors(w.mean((1, 2)), spread.sqrt(), -mean(down * right) / spread.clamp(min=1e-9))


def slerp(a: Tensor, b: Tensor, t: float) -> Tensor:
    """(sin((1 − t)ω) a + sin(tω) b) / sin ω, ω the angle between them: from a to b at about the length of both.

    A straight line between two draws of a high-dimensional normal passes where it has no mass.  a, b (B, *event)"""
    if a.shape != b.shape:
        raise ValueError(f"a has shape {tuple(a.shape)} and b {tuple(b.shape)}: expected the same.")
    cosine = torch.nn.functional.cosine_similarity(flat(a), flat(b)).clamp(-1 + 1e-6, 1 - 1e-6)
    angle = torch.acos(cosine).reshape(-1, *[1] * (a.ndim - 1))
    return (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)


def path_length_ratio(way: Tensor) -> float:
    """Σ_i ‖f_(i+1) − f_i‖ / ‖f_last − f_first‖, the mean over the ways: 1 is straight.  way (T, B, D), features in turn

    At least 1; the more points, the longer what bends: compare equal T."""
    if way.ndim != 3 or len(way) < 3:
        raise ValueError(
            f"way has shape {tuple(way.shape)}: expected (T, B, D), at least three points of each way."
        )
    along, across = way.diff(dim=0).double().norm(dim=2).sum(0), (way[-1] - way[0]).double().norm(dim=1)
    if bool((across == 0).any()):
        raise ValueError("a way ends where it began: its detour has no scale.")
    return float((along / across).mean())


class Explained(NamedTuple):
    """Shares of a factor's variance on fresh samples: by the one best coordinate, and by all of them, linearly."""

    one: float
    all: float


def explained(z: Tensor, y: Tensor, ridge: float = 0.1) -> Explained:
    """How much of y (N,) one coordinate of z (N, *event) tells, and how much all do.

    The first half of the samples chooses the coordinate and fits the line (and the ridge regression over all), the second
    half judges: 1 − Σ(y − ŷ)²/Σ(y − ȳ)², no less than 0.  Chance finds nothing on samples that it has not seen."""
    z, y = flat(expect_batch(z, name="z")).double(), expect_batch(y, (), "y").double()
    if len(z) != len(y) or len(z) < 8:
        raise ValueError(f"z holds {len(z)} samples and y {len(y)}: expected as many, at least 8.")
    half, scale = len(z) // 2, z.std(0).clamp(min=1e-9)
    z, y = (z - z[:half].mean(0)) / scale, y - y[:half].mean()
    slopes = (z[:half] * y[:half, None]).mean(0) / z[:half].square().mean(0).clamp(min=1e-9)
    best = int((slopes.square() * z[:half].square().mean(0)).argmax())
    dual = torch.linalg.solve(z[:half] @ z[:half].T + ridge * z.shape[1] * torch.eye(half).to(z), y[:half])
    return Explained(
        *(
            _share(y[half:], estimate)
            for estimate in (slopes[best] * z[half:, best], z[half:] @ (z[:half].T @ dual))
        )
    )


def _share(y: Tensor, estimate: Tensor) -> float:
    return max(0.0, 1 - float((y - estimate).square().sum() / (y - y.mean()).square().sum().clamp(min=1e-12)))
