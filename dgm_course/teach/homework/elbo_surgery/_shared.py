"""What several exercises share.

The questions of the homework on ELBO surgery: Gaussians of an encoder, tables of log-densities, codes of a flow.

Deviations are told by their logarithm, ``log_std``.  Numbers have two digits.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from .. import Case
from ..draws import Rng, in_float32, odd_sizes, points, sizes

FAR = (
    "Densities so far out are zero in any floating point: stay with logarithms, torch.logsumexp adds them "
    "up safely."
)

ALONE = "Wrong where there is a single datum: what does an average over one posterior give?"


def _batches(rng: Rng) -> list[tuple[str, tuple[int, int], str]]:
    """(name, (B, D), hint)"""
    return [
        ("a batch", sizes(rng), ""),
        ("another batch", sizes(rng), ""),
        ("float32", sizes(rng), ""),
        *odd_sizes(rng),
    ]


def _log_std(rng: Rng, *shape: int) -> np.ndarray:
    """Logarithms of deviations from about 0.4 to 1.6, none of them 0."""
    size = np.round(rng.uniform(0.15, 0.9, size=shape), 2)
    return np.where(rng.random(size=shape) < 0.6, -size, size / 2)


def _case(name: str, args: dict[str, object], hint: str = "", batch: str = "", level: float = 0.0) -> Case:
    """level: of the logarithms that cancel; float32 rounds those near 2000 by 1e-4."""
    args = in_float32(args) if name == "float32" else args
    return Case(name, args, hint=hint, batch=batch, least=abs(level) / 1000)


def _tables(rng: Rng) -> list[tuple[str, int, int, str, float]]:
    """(name, k, n, hint, level)"""
    several = [int(v) for v in rng.integers(3, 7, size=4)]
    return [
        ("k = n", several[0], several[0], "", 0.0),
        ("a table", several[1] + 4, several[1], "", 0.0),
        ("float32", 2, several[2] + 1, "", 0.0),
        ("k = 1", 1, several[3], "", 0.0),
        ("n = 1", 6, 1, ALONE, 0.0),
        ("k = 40", 40, several[2], "", 0.0),
        ("many dimensions", 3, several[1], FAR, -2000.0),
    ]


def _table(rng: Rng, k: int, n: int, level: float) -> np.ndarray:
    """Each draw likeliest under its own posterior, mostly."""
    return np.round(points(rng, k, n, n) - 3.0 + level + 2.5 * np.eye(n), 2)


LOG_2PI = math.log(2 * math.pi)


def _each(z: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """log N(z_b; mean_i, std_i²), coordinate by coordinate.  (B, n, d)"""
    return -0.5 * ((z[:, None] - mean) / log_std.exp()) ** 2 - log_std - 0.5 * LOG_2PI


def _log_q(z: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    return _each(z, mean, log_std).sum(-1)


def _log_n(table: Tensor) -> float:
    return math.log(table.shape[-1])


def _own(log_q: Tensor) -> Tensor:
    return torch.diagonal(log_q, dim1=1, dim2=2)


def _between(mean: Tensor) -> Tensor:
    return (mean - mean.mean(0)).square().mean(0)
