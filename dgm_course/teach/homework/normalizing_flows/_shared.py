"""What several exercises share.

The questions of the homework on flows: points, masks, networks with random weights, and where accidents show.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ....flows import MaskedCoupling
from .. import Case, Network
from ..draws import Cases, Rng, in_float32, odd_sizes, points, sizes


def _coupling(mask: Tensor, log_scale: Callable, shift: Callable) -> MaskedCoupling:
    """The library's layer with these two networks inside, and no bound on the scale."""
    return MaskedCoupling(mask.bool(), lambda seen: torch.cat([log_scale(seen), shift(seen)], 1), math.inf)


MASKS = "Wrong for one mask alone: any coordinates may be kept, not only the first half; the mask says which."


def _usual(rng: Rng) -> list[tuple[str, tuple[int, int], str]]:
    """(name, (B, D), hint): ordinary batches first, a square one where a wrong axis gives wrong values, then odd
    ones."""
    side = int(rng.integers(4, 7))
    return [
        ("a batch", sizes(rng), ""),
        ("another batch", sizes(rng), ""),
        ("B = D", (side, side), ""),
        ("float32", sizes(rng), ""),
        *odd_sizes(rng),
    ]


def _typed(name: str, args: dict[str, object]) -> dict[str, object]:
    return in_float32(args) if name == "float32" else args


def _mask(rng: Rng, dim: int) -> np.ndarray:
    """Ones and zeros, both there where there are two coordinates; one coordinate is changed."""
    mask = np.zeros(dim)
    mask[rng.permutation(dim)[: max(dim // 2, min(1, dim - 1))]] = 1.0
    return mask


def _first_half(dim: int) -> np.ndarray:
    return (np.arange(dim) < dim // 2).astype(float)


def couplings(first: str) -> Callable[[Rng], Cases]:
    """Cases of a coupling layer at the points called ``first``."""

    def cases(rng: Rng) -> Cases:
        for name, (size, dim), hint in _usual(rng):
            mask = _first_half(dim) if name == "a batch" else _mask(rng, dim)
            args = {
                first: points(rng, size, dim),
                "mask": mask,
                "log_scale": Network.random(rng, dim),
                "shift": Network.random(rng, dim),
            }
            yield Case(name, _typed(name, args), hint=hint)
        dim = int(rng.integers(4, 6))
        mask = np.ones(dim)
        mask[rng.integers(dim)] = 0.0
        args = {
            first: points(rng, 6, dim),
            "mask": mask,
            "log_scale": Network.random(rng, dim),
            "shift": Network.random(rng, dim),
        }
        yield Case("all kept but one", args, hint=MASKS)

    return cases


KEEP: Callable = lambda value: value


def _front(mask: Tensor) -> Tensor:
    return (torch.arange(len(mask), device=mask.device) < len(mask) // 2).to(mask)
