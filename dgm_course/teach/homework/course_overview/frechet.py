"""11.2 The distance of two Gaussians."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ....core.metrics import frechet_of_gaussians
from .. import Case, Exercise
from ..draws import Cases, Rng, in_float32
from ._shared import MANY, _cloud


def frechet(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> Tensor:
    """The library's distance, pair by pair."""
    return torch.tensor(
        [frechet_of_gaussians(*pair) for pair in zip(mean_a, cov_a, mean_b, cov_b)], dtype=mean_a.dtype
    )


EQUAL = "Wrong only where the two Gaussians of a pair are equal: their distance is 0."

FLAT = (
    "Wrong only where a covariance is singular: Cholesky and inverses fail there, and an eigenvalue may "
    "be −1e-17, whose root is NaN, unless it is lifted to 0."
)

NARROW = "Wrong only where B or D is one: squeeze() takes such an axis away."

SHIFT = "Wrong only where the means differ by much."


def _covariances(rng: Rng, size: int, dim: int, rank: int | None = None) -> np.ndarray:
    roots = rng.normal(size=(size, dim, dim if rank is None else rank)) * rng.uniform(
        0.4, 1.6, size=(size, dim, 1)
    )
    return roots @ roots.transpose(0, 2, 1) + (0.2 * np.eye(dim) if rank is None else 0)


def cases(rng: Rng) -> Cases:
    """Means (B, D) and covariances (B, D, D) of B pairs.

    float32 takes the root of an eigenvalue 0 as about 1e-3: flat covariances come with means far apart, beside
    which that is
    nothing."""
    dim, size = int(rng.integers(3, 5)), int(rng.integers(6, 9))
    for name, (b, d), hint in (
        ("B pairs", (size, dim), ""),
        ("other pairs", (size + 1, 2), ""),
        ("axes alone", (size, dim), ""),
        ("float32", (size - 1, 3), ""),
        ("one pair is equal", (size, 3), EQUAL),
        ("flat ones", (size, 3), FLAT),
        ("far apart", (size, dim), SHIFT),
        ("B = 40", (40, 2), MANY),
        ("D = 1", (size, 1), NARROW),
        ("B = 1", (1, dim), NARROW),
    ):
        args = {
            "mean_a": _cloud(rng, b, d),
            "cov_a": _covariances(rng, b, d),
            "mean_b": _cloud(rng, b, d),
            "cov_b": _covariances(rng, b, d),
        }
        if name == "axes alone":
            args |= {key: args[key] * np.eye(d) for key in ("cov_a", "cov_b")}
        elif name == "one pair is equal":
            for kind in ("mean", "cov"):
                args[f"{kind}_b"][1] = args[f"{kind}_a"][1]
        elif name == "flat ones":
            args |= {"cov_a": _covariances(rng, b, d, 2), "cov_b": _covariances(rng, b, d, 1)}
        if name in ("flat ones", "far apart"):
            args["mean_b"] = args["mean_b"] + 6.0
        yield Case(name, in_float32(args) if name == "float32" else args, hint=hint, batch="mean_a")


def _root(cov: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(cov)
    return vectors * values.clamp(min=0).sqrt()[..., None, :] @ vectors.mT


def _trace(cov: Tensor) -> Tensor:
    return cov.diagonal(dim1=-2, dim2=-1).sum(-1)


def _cross(cov_a: Tensor, cov_b: Tensor) -> Tensor:
    """tr (A^½ B A^½)^½"""
    root = _root(cov_a)
    return _trace(_root(root @ cov_b @ root))


def _shift(mean_a: Tensor, mean_b: Tensor) -> Tensor:
    return (mean_a - mean_b).square().sum(-1)


def _frechet(cross: Callable = _cross, shift: Callable = _shift, two: float = 2.0) -> Callable:
    return lambda mean_a, cov_a, mean_b, cov_b: (
        shift(mean_a, mean_b) + _trace(cov_a) + _trace(cov_b) - two * cross(cov_a, cov_b)
    )


def _whole(*a: Tensor) -> Tensor:
    return _frechet()(*a)


# fmt: off
MISTAKES = (
    ("The distance of the means is not squared.", _frechet(shift=lambda a, b: _shift(a, b).sqrt())),
    ("The root of the product is taken as the product of the roots: right only where the two covariances "
     "commute, as where both are diagonal.",
     _frechet(lambda a, b: _trace(_root(a) @ _root(b)))),
    ("The 2 of the last term is missing.", _frechet(two=1.0)),
    ("The last term has the wrong sign: what the two covariances share is subtracted.", _frechet(two=-2.0)),
    ("The last term, what the two covariances share, is missing.", _frechet(two=0.0)),
    ("The means do not occur.", _frechet(shift=lambda a, b: 0 * _shift(a, b))),
    ("Only the means are compared: the covariances count as well.",
     lambda ma, ca, mb, cb: _shift(ma, mb) + 0 * _trace(ca)),
    ("Only the diagonals of the covariances are used: what leans across the axes counts, too.",
     _frechet(
         lambda a, b: (a.diagonal(dim1=-2, dim2=-1) * b.diagonal(dim1=-2, dim2=-1)).clamp(min=0).sqrt().sum(-1)
     )),
    ("The root of the trace came, where the trace of the matrix root is asked.",
     _frechet(lambda a, b: _trace(a @ b).clamp(min=0).sqrt())),
    ("The matrix root is missing: the trace of the product itself is subtracted.",
     _frechet(lambda a, b: _trace(a @ b))),
    ("The root of each entry was taken: a matrix root R has R R equal to the matrix.",
     _frechet(lambda a, b: _trace((a @ b).abs().sqrt()))),
    ("The squared distance of the covariances, entry by entry, was added: their matrix roots have to be compared.",
     lambda ma, ca, mb, cb: _shift(ma, mb) + (ca - cb).square().sum((-2, -1))),
    ("The means enter by their mean squared difference: the sum over the coordinates is asked.",
     _frechet(shift=lambda a, b: _shift(a, b) / a.shape[-1])),
    ("The product S_a S_b is not symmetric, and eigvalsh and eigh read one of its triangles only: sandwich it, "
     "S_a^½ S_b S_a^½, or take eigvals.",
     _frechet(lambda a, b: torch.linalg.eigvalsh(a @ b).clamp(min=0).sqrt().sum(-1))),
    ("The singular values of the product came, without a root: eigenvalues of S_a S_b, each under a root, are "
     "to be summed.",
     _frechet(lambda a, b: torch.linalg.svdvals(a @ b).sum(-1))),
    ("The singular values of the product were put under the root: its eigenvalues belong there.",
     _frechet(lambda a, b: torch.linalg.svdvals(a @ b).sqrt().sum(-1))),
)

EXERCISE = Exercise(
    id="over.frechet", number="11.2", title="the distance of two Gaussians", points=2,
    prompt="the squared Fréchet distance of each pair of Gaussians: squared distance of the means, both traces, "
           "less twice the trace of the matrix root of the product of the covariances",
    more="The trace of a matrix root is the sum of the roots of the eigenvalues. Those of S_a S_b are those of "
         "the symmetric S_a^½ S_b S_a^½, for which torch.linalg.eigh and eigvalsh are made; lift what rounding "
         "put below 0.",
    cases=cases, reference=frechet, mistakes=MISTAKES,
)
