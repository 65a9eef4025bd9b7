"""The questions of the homework on vector quantization: grids of vectors, codebooks, codes, logits and noise.

Vectors of a codebook have four digits and outputs two: so hardly any output is equally far from two of them.
"""

from __future__ import annotations

import numpy as np

from .cases import Case
from .draws import LARGE, NARROW, Cases, Rng, in_float32, numbers, odd_sizes, points, sizes

ONE_CODE = "Wrong only where a single code is used: it has probability 1, and the others 0, whose logarithm must not count."
EVEN = "Wrong only where all codes are used equally often."
LOUD = (
    "Wrong only where the logits are large, as they are at a low temperature too: exp() of such numbers overflows. torch's "
    "softmax takes the largest out first, and so is safe."
)
FLAT = "Wrong only under a uniform prior, logits that are all equal: there every place must cost log K."
SURE = (
    "Wrong only where the prior is very sure: a probability rounds to 0 there, and its logarithm is lost. log_softmax goes "
    "from logits to logarithms without passing through probabilities."
)


def _case(name: str, args: dict[str, object], hint: str = "", batch: str = "") -> Case:
    return Case(name, in_float32(args) if name == "float32" else args, hint=hint, batch=batch)


def _batches(rng: Rng) -> list[tuple[str, tuple[int, int], str]]:
    """(name, (B, D), hint), the square batch first, where a wrong axis gives wrong values and not an error."""
    side = int(rng.integers(4, 7))
    return [("B = D", (side, side), ""), ("a batch", sizes(rng), ""), ("another batch", sizes(rng), ""),
            ("float32", sizes(rng), ""), *odd_sizes(rng)]


def _table(rng: Rng, *shape: int) -> np.ndarray:
    return np.round(rng.normal(size=shape) * 1.5, 4)


def grids(rng: Rng) -> Cases:
    """z (B, C, H, W) and a codebook (K, C)."""
    few, side = int(rng.integers(3, 6)), int(rng.integers(3, 5))
    shapes = (("C = H = W", (side + 2, side, side, side), ""), ("a batch", (few + 1, few, 2, 3), ""),
              ("a tall grid", (few, 2, 5, 3), ""), ("float32", (few, 3, 2, 4), ""), ("B = 1", (1, few, 3, 2), NARROW),
              ("one place", (few, 3, 1, 1), NARROW), ("C = 1, one place", (few + 2, 1, 1, 1), NARROW),
              ("B = 40", (40, 2, 2, 2), LARGE))
    for name, shape, hint in shapes:
        args = {"z": points(rng, *shape), "codebook": _table(rng, int(rng.integers(5, 10)), shape[1])}
        yield _case(name, args, hint)


def steps(rng: Rng) -> Cases:
    """An encoder's output and the vector that stands for it."""
    for name, shape, hint in _batches(rng):
        yield _case(name, {"z_e": points(rng, *shape), "z_q": _table(rng, *shape)}, hint)


def losses(rng: Rng) -> Cases:
    """Pictures, what was decoded, outputs and their vectors, of another width."""
    for name, (size, dim), hint in _batches(rng):
        width = dim + int(rng.integers(1, 4))
        args = {"x": points(rng, size, dim), "x_hat": points(rng, size, dim), "z_e": points(rng, size, width),
                "e": _table(rng, size, width), "commitment": float(np.round(rng.uniform(0.2, 0.6), 2) + 0.003)}
        yield _case(name, args, hint)


def usage(rng: Rng) -> Cases:
    """Codes (B, L) of which some never come, and how many there are."""
    for name, (size, length), hint in _batches(rng):
        if name == "float32":
            continue
        k = int(rng.integers(5, 9))
        chance = rng.permutation([0.5, 0.3, 0.2] + [0.0] * (k - 3))
        codes = rng.choice(k, size=(size, length), p=chance)
        codes[0, 0] = int(np.argmax(chance))
        yield _case(name, {"codes": codes, "size": k}, hint)
    yield Case("a single code", {"codes": np.full((7, 3), 2), "size": 6}, hint=ONE_CODE)
    yield Case("all alike", {"codes": np.arange(24).reshape(6, 4) % 8, "size": 8}, hint=EVEN)


def draws(rng: Rng) -> Cases:
    """Logits, uniform noise in (0, 1), a temperature."""
    for name, shape, hint in _batches(rng):
        renamed = {"B = D": "B = K", "D = 1": "K = 1"}.get(name, name)
        temperature = float(np.round(rng.uniform(0.4, 0.8) + 1.1 * rng.integers(0, 2), 2))
        args = {"logits": points(rng, *shape), "u": numbers(rng, *shape, low=0.04, high=0.96), "temperature": temperature}
        yield _case(renamed, args, hint)
    shape = sizes(rng)
    large = {"logits": 700 + points(rng, *shape), "u": numbers(rng, *shape, low=0.04, high=0.96), "temperature": 0.83}
    yield Case("large logits", large, hint=LOUD, least=1.0)  # terms of a saturated softmax's gradient cancel


def averages(rng: Rng) -> Cases:
    """Running counts (K,) and sums (K, C), a batch of outputs with their codes, of which one never comes."""
    for name, (size, dim), hint in _batches(rng):
        k = int(rng.integers(3, 6)) + (name == "B = D")
        chosen = rng.integers(0, k - 1, size=size)
        args = {"counts": numbers(rng, k, low=1.0, high=9.0), "sums": 3 * points(rng, k, dim), "z": points(rng, size, dim),
                "codes": chosen, "decay": float(np.round(rng.uniform(0.55, 0.9), 2) + 0.003)}
        yield _case(name, args, hint, batch="z")


def bounds(rng: Rng) -> Cases:
    """log p(x|z_q), codes, and the prior's logits at every place, (B,), (B, L), (B, L, K)."""
    square, ordinary, *others = _batches(rng)
    for name, (size, length), hint in (ordinary, square, *others):
        renamed = {"B = D": "B = L = K", "D = 1": "L = 1"}.get(name, name)
        k = length if name == "B = D" else length + int(rng.integers(2, 5))
        yield _case(renamed, _bound(rng, size, length, k, points(rng, size, length, k)), hint)
    size, length = sizes(rng)
    yield Case("a uniform prior", _bound(rng, size, length, 6, np.full((size, length, 6), 0.7)), hint=FLAT)
    yield Case("a sure prior", _bound(rng, size, length, 6, 900 * points(rng, size, length, 6)), hint=SURE)


def _bound(rng: Rng, size: int, length: int, k: int, logits: np.ndarray) -> dict[str, object]:
    return {"log_p_x": np.round(-20 + 3 * points(rng, size), 2), "codes": rng.integers(0, k, size=(size, length)),
            "logits": logits}
