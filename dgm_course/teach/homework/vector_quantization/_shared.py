"""What several exercises share.

The questions of the homework on vector quantization: grids of vectors, codebooks, codes, logits and noise.

Vectors of a codebook have four digits and outputs two: so hardly any output is equally far from two of them.
"""

from __future__ import annotations

import numpy as np

from ..draws import Rng


def _table(rng: Rng, *shape: int) -> np.ndarray:
    return np.round(rng.normal(size=shape) * 1.5, 4)
