"""1.1 The mask of a convolution."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ....nets.masked import raster_mask
from .. import Case, Exercise, SameValues, Verdict
from ..draws import Cases, Rng


def causal_mask(kind: str, rows: int, columns: int) -> Tensor:
    """The mask of the library's masked convolution."""
    return raster_mask(kind, rows, columns)


THIN = "Wrong for kernels of a single row or column alone: where is their centre, and what is left of it?"


def _odd(rng: Rng, low: int, high: int) -> int:
    return 2 * int(rng.integers(low, high)) + 1


def cases(rng: Rng) -> Cases:
    square, wide, tall = _odd(rng, 2, 5), _odd(rng, 3, 7), _odd(rng, 3, 7)
    for kind in ("A", "B"):
        for rows, columns, hint in (
            *((3, 3, ""), (square, square, ""), (5, wide, ""), (tall, 3, "")),
            *((1, wide, THIN), (tall, 1, THIN), (1, 1, THIN)),
        ):
            shown = {"row": np.arange(rows)[:, None], "column": np.arange(columns)[None]}
            args = {"kind": kind, "rows": rows, "columns": columns}
            yield Case(f"{kind}, {rows} × {columns}", args, shown, hint)


def _taps(seen: Callable) -> Callable:
    """1 where seen(row, column, of the centre row, of the centre column, 1 for B and 0 for A)."""

    def form(kind: str, rows: int, columns: int) -> Tensor:
        r, c = torch.arange(rows)[:, None], torch.arange(columns)[None]
        open_taps = seen(r, c, rows // 2, columns // 2, int(kind == "B"))
        return (open_taps & (r >= 0) & (c >= 0)).float()

    return form


def _before(r: Tensor, c: Tensor, m: int, n: int, own: int) -> Tensor:
    return (r < m) | ((r == m) & (c < n + own))


RIGHT = _taps(_before)


class Taps(SameValues):
    """Entry by entry; where no mistake explains the mask, the hint says in which part of the kernel it is wrong."""

    def broken(self, values: dict[str, np.ndarray], right: dict[str, np.ndarray], case: Case) -> Verdict | None:
        found = super().broken(values, right, case)
        return found and replace(found, hint=_parts(values["result"], right["result"]))


def _parts(given: np.ndarray, right: np.ndarray) -> str:
    """Where the two differ, in words."""
    m, n = (size // 2 for size in right.shape)
    wrong = given != right
    parts = {
        "the rows above the centre": wrong[:m],
        "its own row left of it": wrong[m, :n],
        "the centre itself": wrong[m, n],
        "its own row right of it": wrong[m, n + 1 :],
        "the rows below": wrong[m + 1 :],
    }
    return f"Not as they should be: {' and '.join(name for name, part in parts.items() if part.any())}."


def _first(extra: int) -> Callable:
    """The first rows · columns // 2 + extra taps (and one more for B), counted through."""
    return lambda kind, rows, columns: (
        (torch.arange(rows * columns) < rows * columns // 2 + extra + (kind == "B")).float().view(rows, columns)
    )


# fmt: off
MISTAKES = (
    ("The whole centre row is open: right of the centre stand pixels that come later.",
     _taps(lambda r, c, m, n, own: r <= m)),
    ("The mask is zero everywhere: so nothing is seen at all.", _taps(lambda r, c, m, n, own: r < 0)),
    ("Lower triangle, whatever the kind: the row of a tap is compared with its column. Both should be compared "
     "with the centre.",
     _taps(lambda r, c, m, n, own: c <= r)),
    ("Column by column: that is the order from top to bottom in each column. Pixels are read row by row.",
     _taps(lambda r, c, m, n, own: (c < n) | ((c == n) & (r < m + own)))),
    ("Lower triangle: the row of a tap is compared with its column. Both should be compared with the centre.",
     _taps(lambda r, c, m, n, own: c < r + own)),
    ("Upper triangle: the row of a tap is compared with its column. Both should be compared with the centre.",
     _taps(lambda r, c, m, n, own: c > r - own)),
    ("Flipped: the taps after the centre are open. conv2d does not flip its kernel, so the first row of taps "
     "meets the pixels above.",
     lambda *args: RIGHT(*args).flip(0, 1)),
    ("Open and closed are exchanged: a closed tap is 0, for the mask multiplies the kernel.",
     lambda *args: 1 - RIGHT(*args)),
    ("From right to left: rows are read from the left.", lambda *args: RIGHT(*args).flip(1)),
    ("Upside down: rows are read from the top.", lambda *args: RIGHT(*args).flip(0)),
    ("The left half of every row: below the centre nothing comes earlier, above it everything does.",
     _taps(lambda r, c, m, n, own: c < n + own)),
    ("Only the centre was treated: all taps after it are open still.",
     _taps(lambda r, c, m, n, own: (r != m) | (c != n) | (own == 1))),
    ("B came out without any mask: it, too, closes all that comes after the centre.",
     _taps(lambda r, c, m, n, own: _before(r, c, m, n, 0) | (own == 1))),
    ("The centre is looked for one tap too far: counted from 0 it stands at row rows // 2 and column columns // "
     "2.",
     _taps(lambda r, c, m, n, own: _before(r, c, m + 1, n + 1, own))),
    ("The centre's row is taken from the number of columns: the kernel need not be square.",
     lambda kind, rows, columns: _taps(lambda r, c, m, n, own: _before(r, c, columns // 2, n, own))(
         kind, rows, columns
     )),
    ("0 and −inf came: such a mask is added to scores, as in attention. This one multiplies a kernel: 1 open, 0 "
     "closed.",
     lambda *args: RIGHT(*args).log()),
    ("Closed taps hold −1: the mask multiplies the kernel, so what is closed must be 0.",
     lambda *args: 2 * RIGHT(*args) - 1),
    ("The open taps were divided by their number: a mask only says which are open, by 1 and 0.",
     lambda *args: RIGHT(*args) / RIGHT(*args).sum().clamp(min=1)),
    ("The open taps were divided by their number: a mask only says which are open, by 1 and 0.",
     lambda *args: RIGHT(*args) / RIGHT(*args).sum()),
)

EXERCISE = Exercise(
    id="ar.mask", number="1.1", title="the mask of a convolution",
    prompt="1 on the taps that come before the centre in reading order, and on the centre for B; 0 on all others",
    more="The centre is at row rows // 2, column columns // 2. Open are all rows above it, and of its own row "
         "what stands left of it; kind B opens the centre as well.",
    cases=cases, reference=causal_mask, mistakes=MISTAKES, law=Taps(),
)
