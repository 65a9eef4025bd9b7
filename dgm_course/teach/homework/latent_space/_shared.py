"""What several exercises share.

The questions of the homework on latent spaces: codes of odd sizes, a decoder's last layer with its critic, fields.
"""

from __future__ import annotations

import numpy as np

from .. import Case
from ..draws import Rng, in_float32


def _case(name: str, args: dict[str, object], hint: str = "", batch: str = "", least: float = 0.0) -> Case:
    return Case(name, in_float32(args) if name == "float32" else args, hint=hint, batch=batch, least=least)


def _levels(rng: Rng, channels: int, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """A mean and a deviation a channel, all different and none of them usual."""
    mean = np.round(rng.permutation(np.arange(1, channels + 1)) * 1.7 * rng.choice([-1, 1], channels), 2)
    return mean * spread, np.round(0.4 + rng.permutation(np.arange(1, channels + 1)) * 0.9, 2) * spread
