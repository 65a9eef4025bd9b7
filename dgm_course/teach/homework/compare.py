"""What came beside what was expected: few enough numbers for a picture on the card.

Two kinds. A `ComparisonTable` is one small array of the first wrong case, for masks, tokens and square matrices,
where the place of an entry says most. `ComparisonPairs` are the numbers of all cases, (expected, given): right ones lie
on the diagonal, and a mistake has a shape: a sign is a line of slope −1, a factor another slope, a forgotten
term a cloud.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .diagnose import Pair, close, size_of

WIDEST, FEWEST, MOST = 16, 4, 160  # entries of a side; numbers of a cloud


@dataclass(frozen=True, eq=False)
class ComparisonTable:
    """given, right: (R, C), of one shape"""

    name: str
    given: np.ndarray
    right: np.ndarray


@dataclass(frozen=True, eq=False)
class ComparisonPairs:
    """given, right: (N,), finite; wrong: (N,) whether the number lies in a case that is wrong.

    lost: how many cannot be drawn, being NaN, infinite or far off"""

    name: str
    given: np.ndarray
    right: np.ndarray
    wrong: np.ndarray
    lost: int = 0


def beside(name: str, pairs: Sequence[Pair]) -> ComparisonTable | ComparisonPairs | None:
    """What to draw of these pairs, one for each case, at least one of them wrong; None where words say it better."""
    wrong = [pair for pair in pairs if not close(pair.given, pair.right, least=pair.case.least)]
    if not wrong:
        return None
    return next(filter(None, (_table(name, pair) for pair in wrong)), None) or _pairs(name, pairs)


def _table(name: str, pair: Pair) -> ComparisonTable | None:
    """The first wrong sheet of the array, where it is small and its entries are marks, or it is a square matrix."""
    given, right = (_sheets(array) for array in (pair.given, pair.right))
    bad = next((k for k in range(len(right)) if not close(given[k], right[k])), 0)
    given, right = given[bad], right[bad]
    rows, columns = right.shape
    marks = (
        all(np.isfinite(a).all() and np.array_equal(a, np.round(a)) for a in (given, right))
        and np.ptp(right) < 100
    )
    small = columns >= 2 and rows * columns >= FEWEST and max(rows, columns) <= WIDEST
    fits = small and np.isfinite(given).all() and np.isfinite(right).all() and (marks or rows == columns >= 3)
    return ComparisonTable(name, given, right) if fits else None


def _sheets(array: np.ndarray) -> np.ndarray:
    """(sheets, R, C), a row (N,) being one of a single row."""
    array = np.atleast_2d(array)
    return array.reshape(-1, *array.shape[-2:])


def _pairs(name: str, pairs: Sequence[Pair]) -> ComparisonPairs | None:
    """Numbers of the cases of usual size, evenly thinned: one a hundred times as large would hide all others."""
    most = 30 * float(np.median([size_of(pair.right) for pair in pairs])) or np.inf
    few = max(FEWEST, MOST // len(pairs))
    given, right, wrong, usual = np.concatenate([_thinned(pair, few, most) for pair in pairs], axis=1)
    fine = _near(given, right) & (usual > 0)
    if fine.sum() < FEWEST or not wrong[fine].any() or np.abs(np.stack([given, right])[:, fine]).max() > 1e30:
        return None
    return ComparisonPairs(name, given[fine], right[fine], wrong[fine].astype(bool), int(len(fine) - fine.sum()))


def _thinned(pair: Pair, few: int, most: float) -> np.ndarray:
    """At most `few` numbers of a case: given, right, whether the case is wrong, and whether it is of usual size.  (4, n)"""
    at = np.unique(np.linspace(0, pair.right.size - 1, few).astype(int)) if pair.right.size else []
    given, right = pair.given.ravel()[at], pair.right.ravel()[at]
    wrong = not close(pair.given, pair.right, least=pair.case.least)
    return np.stack([given, right, np.full(len(right), wrong), np.full(len(right), size_of(pair.right) <= most)])


def _near(given: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Which numbers are finite, and no further off than twice the width in which nearly all lie."""
    both = np.stack([given, right])
    finite = np.isfinite(both).all(0)
    if not finite.any():
        return finite
    low, high = np.quantile(both[:, finite], (0.04, 0.96))
    near = (np.where(finite, both, np.inf) >= low - (high - low)) & (
        np.where(finite, both, np.inf) <= high + (high - low)
    )
    return near.all(0)
