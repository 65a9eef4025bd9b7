"""What several exercises share.

The questions of the homework on models that write codes: rows to norm, pairs to turn, sides of grids, residuals.
"""

from __future__ import annotations

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
