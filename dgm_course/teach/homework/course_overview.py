"""Homework of the course overview: yardsticks for samples.

A point of a set owns the ball that reaches to its k-th nearest other point of the same set, edge included.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...core.metrics import density, frechet_of_gaussians, precision_recall_coverage
from . import Exercise, ObserveSpec
from . import _course_overview_cases as cases
from . import _course_overview_slips as slips

# --- the library's own answers


def _enough(fake: Tensor, k: int) -> Tensor:
    """The fakes, and far away as many more as the library wants of either set."""
    more = torch.full((max(0, k + 1 - len(fake)), fake.shape[1]), 1e6, dtype=fake.dtype)
    return torch.cat([fake, more])


def precision(real: Tensor, fake: Tensor, k: int) -> float:
    """The library's share; what was added counts as outside."""
    many = _enough(fake, k)
    return precision_recall_coverage(real, many, k).precision * len(many) / len(fake)


def frechet(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> Tensor:
    """The library's distance, pair by pair."""
    return torch.tensor([frechet_of_gaussians(*pair) for pair in zip(mean_a, cov_a, mean_b, cov_b)], dtype=mean_a.dtype)


def coverage(real: Tensor, fake: Tensor, k: int) -> tuple[float, float]:
    """The library's two numbers."""
    many = _enough(fake, k)
    return density(real, many, k) * len(many) / len(fake), precision_recall_coverage(real, many, k).coverage


EXERCISES = (
    Exercise(
        "over.precision",
        "11.1",
        "precision by nearest neighbours",
        "the share of the fakes that lie in the ball of at least one real point, a ball reaching to the k-th nearest other "
        "real point",
        cases.clouds,
        precision,
        slips.PRECISION,
        2,
        "torch.cdist(real, real) sorted along a row begins with the point itself, at 0, so the k-th other stands at index "
        "k. Compare torch.cdist(real, fake) with these radii, any over the real points, mean over the fakes.",
    ),
    Exercise(
        "over.frechet",
        "11.2",
        "the distance of two Gaussians",
        "the squared Fréchet distance of each pair of Gaussians: squared distance of the means, both traces, less twice the "
        "trace of the matrix root of the product of the covariances",
        cases.gaussians,
        frechet,
        slips.FRECHET,
        2,
        "The trace of a matrix root is the sum of the roots of the eigenvalues. Those of S_a S_b are those of the symmetric "
        "S_a^½ S_b S_a^½, for which torch.linalg.eigh and eigvalsh are made; lift what rounding put below 0.",
    ),
    Exercise(
        "over.coverage",
        "11.3",
        "density and coverage",
        "(density, coverage): in how many real balls a fake lies, over k, on average; and the share of the real balls that "
        "hold a fake",
        cases.clouds,
        coverage,
        slips.COVERAGE,
        2,
        "One table of truths says it all: inside[i, j], fake j in the ball of real i. Density is its sum over k and the "
        "number of fakes; coverage the mean over i of any over j.",
        ObserveSpec(outputs=("density", "coverage")),
    ),
)
