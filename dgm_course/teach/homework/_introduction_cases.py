"""The questions of the introduction's homework: small data sets, densities of classes, mixtures with their noise."""

from __future__ import annotations

import numpy as np

from .cases import Case
from .draws import Cases, Rng, in_float32, odd_sizes, points, sizes

FAR = (
    "Wrong only where points lie far out: their densities are smaller than any floating-point number, so they round to 0, "
    "and the logarithm of 0 is minus infinity. Stay with logarithms all the way."
)
TINY = (
    "Wrong only where all log-densities are very negative, as they are for images: exp() of them is 0, and 0 divided by 0 "
    "is NaN. Adding one constant to all classes of a point changes nothing, so softmax takes the largest out first."
)
EVEN = "Wrong only where all classes are equally frequent."
SURE = "Wrong where there is a single component or class: is an axis squeezed away?"


def _batches(rng: Rng) -> list[tuple[str, tuple[int, int], str]]:
    """(name, (B, D), hint); the square batch is where a wrong axis gives wrong values and not an error."""
    side = int(rng.integers(3, 6))
    return [("B = D", (side, side), ""), ("a batch", sizes(rng), ""), ("another batch", sizes(rng), ""),
            ("float32", sizes(rng), ""), *odd_sizes(rng)]


def _ordinary_first(rng: Rng) -> list[tuple[str, tuple[int, int], str]]:
    """The same, the square batch second: where a shape is wrong, it shows best where no two sizes are equal."""
    square, ordinary, *others = _batches(rng)
    return [ordinary, square, *others]


def _case(name: str, args: dict[str, object], hint: str = "", batch: str = "") -> Case:
    return Case(name, in_float32(args) if name == "float32" else args, hint=hint, batch=batch)


def _deviations(rng: Rng, count: int) -> np.ndarray:
    """Some clearly below one and some clearly above."""
    narrow = rng.uniform(0.4, 0.8, size=count)
    return np.round(np.where(rng.random(size=count) < 0.5, narrow, 1 + narrow), 2)


def data_sets(rng: Rng) -> Cases:
    """x (B, D), and the mean and deviation of each coordinate, (D,)."""
    for name, (size, dim), hint in _batches(rng):
        yield _case(name, {"x": points(rng, size, dim), "mean": points(rng, dim), "std": _deviations(rng, dim)}, hint)
    size, dim = sizes(rng)
    far = {"x": np.round(60 + points(rng, size, dim), 2), "mean": points(rng, dim), "std": _deviations(rng, dim)}
    yield Case("far out", far, hint=FAR)


def _shares(rng: Rng, count: int) -> np.ndarray:
    """Probabilities that differ clearly from each other and from 1/K; they sum to one."""
    raw = rng.permutation(np.arange(1, count + 1) + rng.uniform(0, 0.4, size=count))
    return raw / raw.sum()


def class_densities(rng: Rng) -> Cases:
    """log p(x|y) (B, K) and p(y) (K,)."""
    for name, (size, k), hint in _ordinary_first(rng):
        renamed = {"B = D": "B = K", "D = 1": "K = 1"}.get(name, name)
        yield _case(renamed, {"log_p": points(rng, size, k) - 2, "prior": _shares(rng, k)}, hint)
    size, k = sizes(rng)
    yield Case("equal priors", {"log_p": points(rng, size, k) - 2, "prior": np.full(k, 1 / k)}, hint=EVEN)
    level = rng.permutation(np.linspace(-2600, -800, size))[:, None]  # one constant cannot serve all points
    tiny = np.round(level + points(rng, size, k), 2)
    yield Case("tiny densities", {"log_p": tiny, "prior": _shares(rng, k)}, hint=TINY)


def mixtures(rng: Rng) -> Cases:
    """Uniform numbers and noise for each sample, and the mixture: weights (K,), means (K, D), deviations (K,)."""
    for name, (size, dim), hint in (*_ordinary_first(rng), ("K = 1", sizes(rng), SURE)):
        k = 1 if name == "K = 1" else dim if name == "B = D" else int(rng.integers(3, 6))
        args = {"u": _uniform(rng, size, k), "eps": points(rng, size, dim), "weights": _shares(rng, k),
                "means": np.round(3 * points(rng, k, dim), 2), "stds": _deviations(rng, k)}
        yield _case(name, args, hint, batch="eps")


def _uniform(rng: Rng, size: int, k: int) -> np.ndarray:
    """Numbers in (0, 1) that end in 5 at the fourth digit, one in each of ``size`` equal parts, in random order."""
    parts = (np.arange(size) + rng.uniform(0.1, 0.9, size=size)) / size
    return rng.permutation(np.round(np.clip(parts, 0.01, 0.98), 3) + 0.0005)
