"""What several exercises share.

The questions of the homework on vector quantization: grids of vectors, codebooks, codes, logits and noise.

Vectors of a codebook have four digits and outputs two: so hardly any output is equally far from two of them.
"""

from __future__ import annotations

import numpy as np

from .. import Case
from ..draws import Rng, in_float32, odd_sizes, sizes


def _case(name: str, args: dict[str, object], hint: str = "", batch: str = "") -> Case:
    return Case(name, in_float32(args) if name == "float32" else args, hint=hint, batch=batch)


def _batches(rng: Rng) -> list[tuple[str, tuple[int, int], str]]:
    """(name, (B, D), hint), the square batch first, where a wrong axis gives wrong values and not an error."""
    side = int(rng.integers(4, 7))
    return [
        ("B = D", (side, side), ""),
        ("a batch", sizes(rng), ""),
        ("another batch", sizes(rng), ""),
        ("float32", sizes(rng), ""),
        *odd_sizes(rng),
    ]


def _table(rng: Rng, *shape: int) -> np.ndarray:
    return np.round(rng.normal(size=shape) * 1.5, 4)
