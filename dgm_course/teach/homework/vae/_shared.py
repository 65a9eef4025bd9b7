"""What several exercises share.

The questions of the homework on VAEs: Gaussians, bits, log-weights, mixtures, linear worlds.

Deviations are told by their logarithm, ``log_std``, as a network gives them.  Numbers have two digits.
"""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from .. import Case
from ..draws import Rng, in_float32, odd_sizes, sizes

ALONE = (
    "Wrong where there is a single component or latent: is an axis squeezed away, or a softmax over the "
    "wrong axis?"
)


def _batches(rng: Rng) -> list[tuple[str, tuple[int, int], str]]:
    """(name, (B, D), hint), the square batch first, where a wrong axis gives wrong values and not an error."""
    side = int(rng.integers(3, 6))
    return [
        ("B = D", (side, side), ""),
        ("a batch", sizes(rng), ""),
        ("another batch", sizes(rng), ""),
        ("float32", sizes(rng), ""),
        *odd_sizes(rng),
    ]


def _log_std(rng: Rng, *shape: int) -> np.ndarray:
    """Logarithms of deviations from about 0.4 to 1.6, none of them 0."""
    size = np.round(rng.uniform(0.15, 0.9, size=shape), 2)
    return np.where(rng.random(size=shape) < 0.6, -size, size / 2)


def _case(name: str, args: dict[str, object], hint: str = "") -> Case:
    return Case(name, in_float32(args) if name == "float32" else args, hint=hint)


LOG_2PI = math.log(2 * math.pi)


def _kl(mean: Tensor, log_std: Tensor) -> Tensor:
    return 0.5 * (mean**2 + (2 * log_std).exp() - 1 - 2 * log_std)
