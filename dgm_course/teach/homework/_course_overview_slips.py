"""Where answers to the homework on measures usually slip: (hint, the wrong form that earns it)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Slips = tuple[tuple[str, Callable], ...]

# --- balls around points


def _away(a: Tensor, b: Tensor) -> Tensor:
    return (a[:, None] - b).square().sum(-1).sqrt()


def _radius(x: Tensor, k: int) -> Tensor:
    """To the k-th other point, or to the last where there are fewer."""
    return _away(x, x).sort(1).values[:, min(k, len(x) - 1)]


def _inside(real: Tensor, fake: Tensor, k: int) -> Tensor:
    """Which fake lies in which real ball, (N, M)."""
    return _away(real, fake) <= _radius(real, k)[:, None]


def _share(found: Tensor) -> Tensor:
    return found.double().mean()


def _in_the_nearest(real: Tensor, fake: Tensor, k: int) -> Tensor:
    away, place = _away(real, fake).min(0)
    return _share(away <= _radius(real, k)[place])


def _mean_of_neighbours(real: Tensor, fake: Tensor, k: int) -> Tensor:
    radius = _away(real, real).sort(1).values[:, 1:k + 1].mean(1)
    return _share((_away(real, fake) <= radius[:, None]).any(0))


def _to_fakes(real: Tensor, fake: Tensor, k: int) -> Tensor:
    away = _away(real, fake)
    return _share((away <= away.sort(1).values[:, min(k, len(fake)) - 1:][:, :1]).any(0))


def _by_absolute_differences(real: Tensor, fake: Tensor, k: int) -> Tensor:
    radius = torch.cdist(real, real, p=1.0).sort(1).values[:, k]
    return _share((torch.cdist(real, fake, p=1.0) <= radius[:, None]).any(0))


PRECISION: Slips = (
    ("Each point is its own nearest neighbour, at distance 0: among k smallest distances that hold this 0 there are only "
     "k − 1 others.", lambda real, fake, k: _share(_inside(real, fake, k - 1).any(0))),
    ("One neighbour too many: the radius reaches to the k-th other point, not to the next after it.",
     lambda real, fake, k: _share(_inside(real, fake, k + 1).any(0))),
    ("That is recall, the share of the reals that lie in some ball around a fake: the roles are exchanged.",
     lambda real, fake, k: _share(_inside(fake, real, k).any(0))),
    ("That is coverage, the share of the reals whose own ball holds a fake: here the fakes are counted.",
     lambda real, fake, k: _share(_inside(real, fake, k).any(1))),
    ("The balls have the fakes' radii: each ball stands around a real point and has that point's radius.",
     lambda real, fake, k: _share((_away(real, fake) <= _radius(fake, k)).any(0))),
    ("The share of all pairs came: a fake counts once, in however many balls it lies.",
     lambda real, fake, k: _share(_inside(real, fake, k))),
    ("That is the density, in how many balls a fake lies over k: here it counts once, in however many balls it lies.",
     lambda real, fake, k: _inside(real, fake, k).double().sum(0).mean() / k),
    ("Only the ball of the nearest real point is asked: a fake may lie outside that one and inside another, larger one.",
     _in_the_nearest),
    ("One radius for all: each real point has a ball of its own size, small where reals are dense.",
     lambda real, fake, k: _share((_away(real, fake) <= _radius(real, k).mean()).any(0))),
    ("One radius, the largest, for all: each real point has a ball of its own size.",
     lambda real, fake, k: _share((_away(real, fake) <= _radius(real, k).max()).any(0))),
    ("Squared distances are compared with radii that are not squared, or the other way round.",
     lambda real, fake, k: _share((_away(real, fake) ** 2 <= _radius(real, k)[:, None]).any(0))),
    ("The mean distance to the k nearest is taken: the radius is the distance to the k-th of them.", _mean_of_neighbours),
    ("The radius was measured to the k-th nearest fake: a real point's neighbours are other real points.", _to_fakes),
    ("Every ball must hold the fake here: one is enough (any, not all).",
     lambda real, fake, k: _share(_inside(real, fake, k).all(0))),
    ("The share outside came: those inside some ball are counted.",
     lambda real, fake, k: 1 - _share(_inside(real, fake, k).any(0))),
    ("The radius is measured in the two sets together: a real point's neighbours are other real points.",
     lambda real, fake, k: _share((_away(real, fake) <= _away(real, torch.cat([real, fake])).sort(1).values[:, k:k + 1])
                                  .any(0))),
    ("Absolute differences are added up: distances are roots of sums of squares.", _by_absolute_differences),
)


def _both(density: Callable, coverage: Callable) -> Callable:
    return lambda real, fake, k: (density(real, fake, k), coverage(real, fake, k))


def _density(real: Tensor, fake: Tensor, k: int) -> Tensor:
    return _inside(real, fake, k).double().sum(0).mean() / k


def _coverage(real: Tensor, fake: Tensor, k: int) -> Tensor:
    return _share(_inside(real, fake, k).any(1))


COVERAGE: Slips = (
    ("Density and coverage are exchanged: density comes first.", _both(_coverage, _density)),
    ("The density is not divided by k.", _both(lambda *a: _density(*a) * a[2], _coverage)),
    ("The density is averaged over the real points, too: it counts the balls of a fake, divided by k alone.",
     _both(lambda *a: _share(_inside(*a)), _coverage)),
    ("The mean over all pairs is divided by k once more: a sum over the real balls, over k, then the mean over the fakes.",
     _both(lambda *a: _share(_inside(*a)) / a[2], _coverage)),
    ("The density is averaged over the real points instead of over the fakes.",
     _both(lambda real, fake, k: _inside(real, fake, k).double().sum(1).mean() / k, _coverage)),
    ("The density is cut off at 1: where fakes crowd it may be larger.",
     _both(lambda *a: _density(*a).clamp(max=1), _coverage)),
    ("The first number is precision: density counts all the balls that a fake lies in, over k.",
     _both(lambda *a: _share(_inside(*a).any(0)), _coverage)),
    ("The first number is precision over k: density counts all the balls that a fake lies in.",
     _both(lambda *a: _share(_inside(*a).any(0)) / a[2], _coverage)),
    ("The second number is precision, the share of the fakes in some real ball: coverage counts real points.",
     _both(_density, lambda *a: _share(_inside(*a).any(0)))),
    ("The second number is recall, with balls around the fakes: the balls of coverage stand around the real points.",
     _both(_density, lambda real, fake, k: _share(_inside(fake, real, k).any(0)))),
    ("Each point is its own nearest neighbour, at distance 0: among k smallest distances that hold this 0 there are only "
     "k − 1 others.", lambda real, fake, k: (_inside(real, fake, k - 1).double().sum(0).mean() / k,
                                       _coverage(real, fake, k - 1))),
    ("One neighbour too many: the radius reaches to the k-th other point, not to the next after it.",
     lambda real, fake, k: (_inside(real, fake, k + 1).double().sum(0).mean() / k, _coverage(real, fake, k + 1))),
    ("The roles are exchanged: the balls stand around the real points.",
     lambda real, fake, k: (_density(fake, real, k), _coverage(fake, real, k))),
    ("The second number is the share of real points whose ball holds k fakes: one is enough.",
     _both(_density, lambda real, fake, k: _share(_inside(real, fake, k).sum(1) >= k))),
    ("The second number is a count of real points: their share is asked.",
     _both(_density, lambda *a: _inside(*a).any(1).double().sum())),
    ("The second number is the share of real points without a fake in their ball: those with one are counted.",
     _both(_density, lambda *a: 1 - _coverage(*a))),
)


# --- Gaussians


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
    return lambda mean_a, cov_a, mean_b, cov_b: (shift(mean_a, mean_b) + _trace(cov_a) + _trace(cov_b)
                                                 - two * cross(cov_a, cov_b))


def _whole(*a: Tensor) -> Tensor:
    return _frechet()(*a)


FRECHET: Slips = (
    ("The distance of the means is not squared.", _frechet(shift=lambda a, b: _shift(a, b).sqrt())),
    ("The root of the product is taken as the product of the roots: right only where the two covariances commute, as where "
     "both are diagonal.", _frechet(lambda a, b: _trace(_root(a) @ _root(b)))),
    ("The 2 of the last term is missing.", _frechet(two=1.0)),
    ("The last term has the wrong sign: what the two covariances share is subtracted.", _frechet(two=-2.0)),
    ("The last term, what the two covariances share, is missing.", _frechet(two=0.0)),
    ("The means do not occur.", _frechet(shift=lambda a, b: 0 * _shift(a, b))),
    ("Only the means are compared: the covariances count as well.", lambda ma, ca, mb, cb: _shift(ma, mb) + 0 * _trace(ca)),
    ("The square root of the whole came: the squared distance is asked.", lambda *a: _whole(*a).clamp(min=0).sqrt()),
    ("Only the diagonals of the covariances are used: what leans across the axes counts, too.",
     _frechet(lambda a, b: (a.diagonal(dim1=-2, dim2=-1) * b.diagonal(dim1=-2, dim2=-1)).clamp(min=0).sqrt().sum(-1))),
    ("The root of the trace came, where the trace of the matrix root is asked.",
     _frechet(lambda a, b: _trace(a @ b).clamp(min=0).sqrt())),
    ("The matrix root is missing: the trace of the product itself is subtracted.", _frechet(lambda a, b: _trace(a @ b))),
    ("The root of each entry was taken: a matrix root R has R R equal to the matrix.",
     _frechet(lambda a, b: _trace((a @ b).abs().sqrt()))),
    ("The squared distance of the covariances, entry by entry, was added: their matrix roots have to be compared.",
     lambda ma, ca, mb, cb: _shift(ma, mb) + (ca - cb).square().sum((-2, -1))),
    ("The means enter by their mean squared difference: the sum over the coordinates is asked.",
     _frechet(shift=lambda a, b: _shift(a, b) / a.shape[-1])),
    ("The product S_a S_b is not symmetric, and eigvalsh and eigh read one of its triangles only: sandwich it, "
     "S_a^½ S_b S_a^½, or take eigvals.",
     _frechet(lambda a, b: torch.linalg.eigvalsh(a @ b).clamp(min=0).sqrt().sum(-1))),
    ("The singular values of the product came, without a root: eigenvalues of S_a S_b, each under a root, are to be summed.",
     _frechet(lambda a, b: torch.linalg.svdvals(a @ b).sum(-1))),
    ("The singular values of the product were put under the root: its eigenvalues belong there.",
     _frechet(lambda a, b: torch.linalg.svdvals(a @ b).sqrt().sum(-1))),
)
