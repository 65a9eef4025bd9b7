"""The questions of the homework on ELBO surgery: Gaussians of an encoder, tables of log-densities, codes of a flow.

Deviations are told by their logarithm, ``log_std``.  Numbers have two digits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from .cases import Case, tensor_like
from .draws import Cases, Rng, in_float32, odd_sizes, points, sizes

FAR = "Densities so far out are zero in any floating point: stay with logarithms, torch.logsumexp adds them up safely."
ALONE = "Wrong where there is a single datum: what does an average over one posterior give?"


@dataclass(frozen=True)
class Encoder:
    """A small encoder as plain arrays: x (K, D) -> mean (K, d) and log_std (K, d)."""

    weights: tuple[np.ndarray, np.ndarray]

    @classmethod
    def random(cls, rng: Rng, inputs: int, dim: int) -> Encoder:
        inner = np.round(rng.normal(size=(inputs, 5)), 2)
        return cls((inner, np.round(rng.normal(size=(5, 2 * dim)) * np.repeat([0.8, 0.3], dim), 2)))

    def build(self, like: Tensor) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        return _Encoder([tensor_like(w, like) for w in self.weights])


class _Encoder(nn.Module):
    def __init__(self, weights: list[Tensor]) -> None:
        super().__init__()
        self.weights = nn.ParameterList(nn.Parameter(w) for w in weights)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        inner, outer = self.weights
        if x.ndim != 2 or x.shape[1] != len(inner):
            raise ValueError(f"x has shape {tuple(x.shape)}: this encoder looks at inputs (K, {len(inner)}), not at codes.")
        mean, log_std = (torch.tanh(x @ inner) @ outer).chunk(2, 1)
        return mean, log_std - 0.4


def _batches(rng: Rng) -> list[tuple[str, tuple[int, int], str]]:
    """(name, (B, D), hint)"""
    return [("a batch", sizes(rng), ""), ("another batch", sizes(rng), ""), ("float32", sizes(rng), ""), *odd_sizes(rng)]


def _log_std(rng: Rng, *shape: int) -> np.ndarray:
    """Logarithms of deviations from about 0.4 to 1.6, none of them 0."""
    size = np.round(rng.uniform(0.15, 0.9, size=shape), 2)
    return np.where(rng.random(size=shape) < 0.6, -size, size / 2)


def _case(name: str, args: dict[str, object], hint: str = "", batch: str = "") -> Case:
    return Case(name, in_float32(args) if name == "float32" else args, hint=hint, batch=batch)


def mixtures(rng: Rng) -> Cases:
    """Codes z, and the encoder's Gaussians of n data."""
    few = int(rng.integers(3, 6))
    rows = [("M = n", (few, few - 1), ""), *_batches(rng), ("n = 1", sizes(rng), ALONE), ("far away", sizes(rng), FAR)]
    for name, (size, dim), hint in rows:
        n = size if name == "M = n" else 1 if name == "n = 1" else int(rng.integers(3, 8))
        z = points(rng, size, dim) + (90.0 if name == "far away" else 0.0)
        renamed = {"B = 1": "M = 1", "D = 1": "d = 1", "B = 40": "M = 40"}.get(name, name)
        args = {"z": z, "mean": points(rng, n, dim), "log_std": _log_std(rng, n, dim)}
        yield _case("float32" if name == "float32" else renamed, args, hint)


def tables(rng: Rng) -> Cases:
    """log_q[s, i, j] = log q(z_si | x_j) of k draws for each of n data.  (k, n, n)"""
    for name, k, n, hint, level in _tables(rng):
        yield _case(name, {"log_q": _table(rng, k, n, level)}, hint)


def tables_and_priors(rng: Rng) -> Cases:
    """The same, and log p(z_si).  (k, n, n), (k, n)"""
    for name, k, n, hint, level in _tables(rng):
        args = {"log_q": _table(rng, k, n, level), "log_p": np.round(points(rng, k, n) - 2.5 + level, 2)}
        yield _case(name, args, hint)


def _tables(rng: Rng) -> list[tuple[str, int, int, str, float]]:
    """(name, k, n, hint, level)"""
    several = [int(v) for v in rng.integers(3, 7, size=4)]
    return [("k = n", several[0], several[0], "", 0.0), ("a table", several[1] + 4, several[1], "", 0.0),
            ("float32", 2, several[2] + 1, "", 0.0), ("k = 1", 1, several[3], "", 0.0), ("n = 1", 6, 1, ALONE, 0.0),
            ("k = 40", 40, several[2], "", 0.0), ("many dimensions", 3, several[1], FAR, -2000.0)]


def _table(rng: Rng, k: int, n: int, level: float) -> np.ndarray:
    """Each draw likeliest under its own posterior, mostly."""
    return np.round(points(rng, k, n, n) - 3.0 + level + 2.5 * np.eye(n), 2)


def posteriors(rng: Rng) -> Cases:
    """The encoder's Gaussians of n data."""
    for name, (n, dim), hint in _batches(rng):
        renamed = {"B = 1": "n = 1", "D = 1": "d = 1", "B = 40": "n = 40"}.get(name, name)
        args = {"mean": points(rng, n, dim) + 0.3, "log_std": _log_std(rng, n, dim)}
        yield _case(renamed, args, ALONE if name == "B = 1" else "" if name == "B = 40" else hint)


def pseudo_inputs(rng: Rng) -> Cases:
    """Codes, K invented inputs of another size, and an encoder."""
    few = int(rng.integers(3, 6))
    rows = [("B = K", (few, few - 1), ""), *_batches(rng), ("K = 1", sizes(rng), ALONE), ("far away", sizes(rng), FAR)]
    for name, (size, dim), hint in rows:
        count, width = 1 if name == "K = 1" else few if name == "B = K" else int(rng.integers(3, 8)), dim + 2
        args = {"z": points(rng, size, dim) + (90.0 if name == "far away" else 0.0), "inputs": points(rng, count, width),
                "encoder": Encoder.random(rng, width, dim)}
        yield _case(name, args, hint, "z")


def flow_codes(rng: Rng) -> Cases:
    """k draws of B data: log-likelihood, what a flow made of the codes, its log-determinant, log q(z|x)."""
    for name, (k, size), hint in _batches(rng):
        renamed = {"B = 1": "k = 1", "D = 1": "B = 1", "B = 40": "k = 40"}.get(name, name)
        dim = int(rng.integers(2, 5))
        args = {"log_p_x": np.round(1.5 * points(rng, k, size) - 60, 2), "z_star": points(rng, k, size, dim),
                "ladj": np.round(points(rng, k, size) + 0.4, 2), "log_q": np.round(points(rng, k, size) - 1, 2)}
        yield _case(renamed, args, "" if renamed == "k = 40" else hint)
