"""7.11 The covariance on the way to noise."""

import numpy as np
import torch
from torch import Tensor

from .. import Case, Exercise
from ..draws import Cases, Rng, in_float32, numbers, odd_sizes, sizes


def forward_covariance(cov: Tensor, abar: Tensor) -> Tensor:
    """The law of total variance, from a square root L of the data's covariance: x = √ᾱ L u + √(1 − ᾱ) v."""
    noise = torch.eye(cov.shape[-1], dtype=cov.dtype, device=cov.device)
    root = torch.cat([abar.sqrt() * torch.linalg.cholesky(cov), ((1 - abar).sqrt() * noise).expand_as(cov)], -1)
    return root @ root.mT


FULL = "Right where the coordinates are independent: is only the diagonal of the covariance touched?"

ENDS = "Wrong only at the ends, abar = 0 or 1: is something clamped, or divided by?"


def _covariance(rng: Rng, size: int, dim: int, full: bool = True) -> np.ndarray:
    """Symmetric, positive definite, of ordinary size.  (B, D, D)"""
    root = np.round(rng.normal(size=(size, dim, dim + 2)), 1)
    found = root @ root.swapaxes(1, 2) / 2 + 0.5 * np.eye(dim)
    return found if full else found * np.eye(dim)


def cases(rng: Rng) -> Cases:
    usual = (
        ("full covariances", sizes(rng), FULL),
        ("full ones again", sizes(rng), FULL),
        ("float32", sizes(rng), ""),
    )
    special = (("independent coordinates", sizes(rng), ""), ("abar = 0 and 1", sizes(rng), ENDS))
    for name, (size, dim), hint in (*special[:1], *usual, *special[1:], *odd_sizes(rng)):
        abar = numbers(rng, size, 1, 1)
        if name == "abar = 0 and 1":
            abar = np.where(np.arange(size)[:, None, None] % 3 == 2, abar, np.arange(size)[:, None, None] % 3)
        args = {"cov": _covariance(rng, size, dim, full="independent" not in name), "abar": abar}
        yield Case(name, in_float32(args) if name == "float32" else args, hint=hint)


def _eye(cov: Tensor) -> Tensor:
    return torch.eye(cov.shape[-1], dtype=cov.dtype, device=cov.device)


# fmt: off
MISTAKES = (
    ("The data's covariance has the factor of the vector; of a covariance it is the square.",
     lambda cov, abar: abar.sqrt() * cov + (1 - abar) * _eye(cov)),
    ("The noise has the factor of the vector; of a covariance it is the square.",
     lambda cov, abar: abar * cov + (1 - abar).sqrt() * _eye(cov)),
    ("Both factors are those of the vector; of a covariance they are the squares.",
     lambda cov, abar: abar.sqrt() * cov + (1 - abar).sqrt() * _eye(cov)),
    ("Both factors are squared once too often: abar is a square already.",
     lambda cov, abar: abar**2 * cov + (1 - abar) ** 2 * _eye(cov)),
    ("abar is squared once too often: it is the square of the data's factor already.",
     lambda cov, abar: abar**2 * cov + (1 - abar**2) * _eye(cov)),
    ("The two weights are exchanged: at abar near 1 the data are hardly touched.",
     lambda cov, abar: (1 - abar) * cov + abar * _eye(cov)),
    ("The noise is missing: the data's part alone came.", lambda cov, abar: abar * cov),
    ("The data are not shrunk: that is the variance-exploding way, on this chain they fade as noise comes in.",
     lambda cov, abar: cov + (1 - abar) * _eye(cov)),
    ("The noise is added to every entry: noises of two coordinates are independent, so only the diagonal grows.",
     lambda cov, abar: abar * cov + (1 - abar)),
    ("The noise is given the data's covariance; it is standard normal.",
     lambda cov, abar: abar * cov + (1 - abar) * cov),
    ("Everything off the diagonal is lost: the data's coordinates stay correlated, only less so.",
     lambda cov, abar: (abar * cov + (1 - abar)) * _eye(cov)),
    ("The noise keeps its full size: its share is what the data have lost.",
     lambda cov, abar: abar * cov + _eye(cov)),
    ("The noise is subtracted: variances of independent parts add.",
     lambda cov, abar: abar * cov - (1 - abar) * _eye(cov)),
)

EXERCISE = Exercise(
    id="diff.forward_covariance", number="7.11", title="the covariance on the way to noise",
    prompt="the covariance of the chain's points where the data have the covariance cov, for each alpha-bar",
    more="x_k = √ᾱ x_data + √(1 − ᾱ) ε with ε independent of the data: covariances of independent parts add, "
         "and where the vector has a factor its covariance has the square of it.",
    cases=cases, reference=forward_covariance, mistakes=MISTAKES,
)
