"""What several exercises share.

The questions of the homework on measures: clouds of real and fake points, and pairs of Gaussians.

No point lies on the edge of a ball: whether it is inside then depends on no rounding.  Where the two sets are
equal every
k-th neighbour does, so there the coordinates are eighths, whose squares, sums and products no precision rounds.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .. import Case
from ..draws import Cases, Rng, in_float32


def _enough(fake: Tensor, k: int) -> Tensor:
    """The fakes, and far away as many more as the library wants of either set."""
    more = torch.full((max(0, k + 1 - len(fake)), fake.shape[1]), 1e6, dtype=fake.dtype)
    return torch.cat([fake, more])


ONE_FAKE = (
    "Wrong only where there is a single fake: squeeze() takes such an axis away, and a fake has no "
    "neighbours to ask."
)

LINE = "Wrong only on a line, D = 1: squeeze() takes that axis away, and torch then makes other pairs."

MANY = "Right on small batches alone: is a number of points fixed somewhere?"

FIRST = (
    "Wrong only for k = 1, the distance to the nearest other point: is the point itself counted among its "
    "neighbours?"
)

STRAY = (
    "Wrong only where one real point lies far out: each real point has a ball of its own size, and this "
    "one's is huge."
)

SAME = "Wrong only where the fakes are the real points themselves: a distance of 0 is inside every ball."


def _cloud(rng: Rng, size: int, dim: int, spread: float = 1.0) -> np.ndarray:
    return np.round(rng.normal(size=(size, dim)) * spread, 3)


def _clear(real: np.ndarray, fake: np.ndarray, k: int) -> bool:
    """No fake within 0.0004 of the edge of a real ball, no real one of a fake ball, for this k and its
    neighbours."""
    for centres, others in ((real, fake), (fake, real)):
        own = np.sort(np.linalg.norm(centres[:, None] - centres, axis=-1), 1)
        away = np.linalg.norm(centres[:, None] - others, axis=-1)
        for rank in range(max(k - 1, 1), min(k + 2, len(centres))):
            if np.abs(away - own[:, rank : rank + 1]).min() < 0.0004:
                return False
    return True


def _pair(rng: Rng, sizes: tuple[int, int, int], k: int, kind: str) -> tuple[np.ndarray, np.ndarray]:
    n, m, dim = sizes
    for _ in range(20_000):
        real = _cloud(rng, n, dim)
        fake = _cloud(rng, m, dim, 1.3) + np.round(rng.normal(size=dim) * 0.5, 3)
        if kind == "a stray real point":
            real[0] = np.round(8 * np.sign(rng.normal(size=dim)), 3)
            fake[: m // 3] = np.round(real[0] / 2 + rng.normal(size=(m // 3, dim)) * 0.4, 3)
        if kind == "equal sets":
            real = np.round(8 * real) / 8
            fake = real[rng.permutation(n)[:m]]
        if _clear(real, fake, k) or kind == "equal sets":
            return real, fake
    raise RuntimeError("no clouds without a point on an edge were found")


def clouds(rng: Rng) -> Cases:
    """real (N, D), fake (M, D), k: the two sets of several sizes, k below both where it can be."""
    few = lambda: int(rng.integers(9, 14))
    for name, (n, m, dim), k, hint in (
        ("two clouds", (few() + 8, few() + 14, 2), 3, ""),
        ("more fakes", (few(), few() + 12, int(rng.integers(2, 5))), 2, ""),
        ("more reals", (few() + 14, few() - 3, int(rng.integers(2, 5))), 4, ""),
        ("float32", (few() + 6, few() + 4, 3), 3, ""),
        ("k = 1", (few() + 8, few() + 6, 2), 1, FIRST),
        ("a stray real point", (few() + 4, few() + 8, 2), 3, STRAY),
        ("M = 40", (26, 40, 3), 3, MANY),
        ("equal sets", (few() + 4, 8, 2), 2, SAME),
        ("D = 1", (few(), few() + 3, 1), 2, LINE),
        ("M = 1", (few(), 1, 2), 2, ONE_FAKE),
    ):
        real, fake = _pair(rng, (n, m, dim), k, name)
        args = {"real": real, "fake": fake, "k": k}
        yield Case(name, in_float32(args) if name == "float32" else args, hint=hint, batch="fake")


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
