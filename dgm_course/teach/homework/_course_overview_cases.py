"""The questions of the homework on measures: clouds of real and fake points, and pairs of Gaussians.

No point lies on the edge of a ball: whether it is inside then depends on no rounding.  Where the two sets are equal every
k-th neighbour does, so there the coordinates are eighths, whose squares, sums and products no precision rounds.
"""

from __future__ import annotations

import numpy as np

from .cases import Case
from .draws import Cases, Rng, in_float32

ONE_FAKE = "Wrong only where there is a single fake: squeeze() takes such an axis away, and a fake has no neighbours to ask."
LINE = "Wrong only on a line, D = 1: squeeze() takes that axis away, and torch then makes other pairs."
MANY = "Right on small batches alone: is a number of points fixed somewhere?"
FIRST = "Wrong only for k = 1, the distance to the nearest other point: is the point itself counted among its neighbours?"
STRAY = "Wrong only where one real point lies far out: each real point has a ball of its own size, and this one's is huge."
SAME = "Wrong only where the fakes are the real points themselves: a distance of 0 is inside every ball."
EQUAL = "Wrong only where the two Gaussians of a pair are equal: their distance is 0."
FLAT = (
    "Wrong only where a covariance is singular: Cholesky and inverses fail there, and an eigenvalue may be −1e-17, whose "
    "root is NaN, unless it is lifted to 0."
)
NARROW = "Wrong only where B or D is one: squeeze() takes such an axis away."
SHIFT = "Wrong only where the means differ by much."


# --- clouds


def _cloud(rng: Rng, size: int, dim: int, spread: float = 1.0) -> np.ndarray:
    return np.round(rng.normal(size=(size, dim)) * spread, 3)


def _clear(real: np.ndarray, fake: np.ndarray, k: int) -> bool:
    """No fake within 0.0004 of the edge of a real ball, no real one of a fake ball, for this k and its neighbours."""
    for centres, others in ((real, fake), (fake, real)):
        own = np.sort(np.linalg.norm(centres[:, None] - centres, axis=-1), 1)
        away = np.linalg.norm(centres[:, None] - others, axis=-1)
        for rank in range(max(k - 1, 1), min(k + 2, len(centres))):
            if np.abs(away - own[:, rank:rank + 1]).min() < 0.0004:
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


# --- Gaussians


def _covariances(rng: Rng, size: int, dim: int, rank: int | None = None) -> np.ndarray:
    roots = rng.normal(size=(size, dim, dim if rank is None else rank)) * rng.uniform(0.4, 1.6, size=(size, dim, 1))
    return roots @ roots.transpose(0, 2, 1) + (0.2 * np.eye(dim) if rank is None else 0)


def gaussians(rng: Rng) -> Cases:
    """Means (B, D) and covariances (B, D, D) of B pairs.

    float32 takes the root of an eigenvalue 0 as about 1e-3: flat covariances come with means far apart, beside which that is
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
        args = {"mean_a": _cloud(rng, b, d), "cov_a": _covariances(rng, b, d), "mean_b": _cloud(rng, b, d),
                "cov_b": _covariances(rng, b, d)}
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
