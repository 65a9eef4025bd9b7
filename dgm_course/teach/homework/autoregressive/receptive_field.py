"""1.5 What a pixel listens to."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from .. import Case, Exercise, SameValues, Verdict
from ..draws import NARROW, Cases, Rng
from ..recipes import ImageNet
from ._shared import LARGE


def receptive_field(net: Callable, x: Tensor, row: int, column: int) -> Tensor:
    """Where the gradient of one output is not zero."""
    return torch.func.grad(lambda image: net(image)[row, column])(x) != 0


FAINT = (
    "Derivatives that are small are lost: is there a threshold, a rounding or a tolerance? Any that is not "
    "0 counts."
)

NOTHING = "Wrong only where no pixel at all is seen."


def _raster(kind: str, rows: int, columns: int) -> np.ndarray:
    mask = np.zeros(rows * columns)
    mask[: rows * columns // 2 + (kind == "B")] = 1
    return mask.reshape(rows, columns)


def _stack(depth: int, size: int = 3) -> tuple[np.ndarray, ...]:
    return (_raster("A", size, size), *[_raster("B", size, size)] * (depth - 1))


def cases(rng: Rng) -> Cases:
    """The last pixel of the first networks is never asked for: what lies after a place must be there to be
    seen."""
    side, rows, columns = int(rng.integers(6, 9)), int(rng.integers(5, 8)), int(rng.integers(8, 11))
    every = (np.ones((3, 3)), np.ones((3, 3)))
    for name, shape, layers, gain, hint in (
        *(
            ("a PixelCNN", (side, side), _stack(3), 1.0, ""),
            ("another PixelCNN", (rows, columns), _stack(2, 5), 1.0, ""),
        ),
        *(
            ("three masks B", (rows, columns), _stack(4)[1:], 1.0, ""),
            ("no masks", (rows, columns), every, 1.0, ""),
        ),
        ("small weights", (rows, columns), _stack(3), 1e-3, FAINT),
        ("the first pixel", (rows, columns), _stack(2), 1.0, NOTHING),
        *(("H = 1", (1, columns), _stack(2), 1.0, NARROW), ("W = 1", (rows, 1), _stack(2), 1.0, NARROW)),
        ("H = 40", (40, 3), _stack(2), 1.0, LARGE),
    ):
        place = (
            [0, 0]
            if name == "the first pixel"
            else [int(rng.integers((n - 1) // 2, max(n - 1, 1))) for n in shape]
        )
        if shape[0] == shape[1] and place[0] == place[1]:
            place[1] -= 1
        args = {"net": ImageNet.random(rng, layers, gain), "x": rng.integers(0, 2, size=shape).astype(float)}
        grid = {"pixel row": np.arange(shape[0])[:, None], "pixel column": np.arange(shape[1])[None]}
        shown = {"row": place[0], "column": place[1], **grid}
        yield Case(name, args | {"row": place[0], "column": place[1]}, shown, hint)


class Marked(SameValues):
    """Entry by entry; where no mistake explains it, the hint says whether too much is marked or too little."""

    def broken(self, values: dict[str, np.ndarray], right: dict[str, np.ndarray], case: Case) -> Verdict | None:
        found = super().broken(values, right, case)
        return found and replace(found, hint=_counted(values["result"], right["result"]))


def _counted(given: np.ndarray, right: np.ndarray) -> str:
    """Which way the marks are wrong."""
    if not np.isin(given, (0, 1)).all():
        return "For each pixel True or False is asked: is its derivative other than 0, or not?"
    much, little = int((given > right).sum()), int((given < right).sum())
    if not much:
        return f"{little} pixels are left out whose derivative is not 0, however small: is there a threshold?"
    if not little:
        return f"{much} pixels are marked whose derivative is exactly 0: the output does not change with them."
    return (
        f"{much} pixels are marked that the output does not change with, and {little} are left out: "
        "is it this one output that is derived, and by each pixel?"
    )


def _slope(net: Callable, x: Tensor, row: int, column: int) -> Tensor:
    """∂ net(x)[row, column] / ∂x.  (H, W)"""
    x = x.clone().requires_grad_()
    return torch.autograd.grad(net(x)[row, column], x)[0]


def _field(seen: Callable) -> Callable:
    """seen(the derivatives, x, row, column)."""
    return lambda net, x, row, column: seen(_slope(net, x, row, column), x, row, column)


def _order(x: Tensor) -> Tensor:
    return torch.arange(x.numel()).view(x.shape)


def _only(x: Tensor, row: int, column: int) -> Tensor:
    return _order(x) == row * x.shape[1] + column


def _of_any(net: Callable, x: Tensor, row: int, column: int) -> Tensor:
    x = x.clone().requires_grad_()
    return torch.autograd.grad(net(x).sum(), x)[0] != 0


def _of_row(net: Callable, x: Tensor, row: int, column: int) -> Tensor:
    x = x.clone().requires_grad_()
    return torch.autograd.grad(net(x)[row].sum(), x)[0] != 0


def _box(slope: Tensor, x: Tensor, row: int, column: int) -> Tensor:
    """The smallest rectangle around all that is seen."""
    seen = slope != 0
    rows, columns = seen.any(1).nonzero(), seen.any(0).nonzero()
    out = torch.zeros_like(seen)
    if len(rows):
        out[int(rows.min()) : int(rows.max()) + 1, int(columns.min()) : int(columns.max()) + 1] = True
    return out


# fmt: off
MISTAKES = (
    ("Only positive derivatives count in yours: a pixel that lowers the output is listened to as well.",
     _field(lambda slope, x, row, column: slope > 0)),
    ("Only negative derivatives count in yours: a pixel that raises the output is listened to as well.",
     _field(lambda slope, x, row, column: slope < 0)),
    ("The derivative of a whole row of outputs: it says what any of them listens to. One output is asked about.",
     _of_row),
    ("True and False are exchanged: yours says which pixels are not listened to.",
     _field(lambda slope, x, row, column: slope == 0)),
    ("The other way round: yours says which outputs listen to the pixel at (row, column). Asked is whom the "
     "output listens to.",
     lambda net, x, row, column: torch.autograd.functional.jacobian(net, x)[:, :, row, column] != 0),
    ("The derivative of the sum of all outputs: it says what any of them listens to. One output is asked about.",
     _of_any),
    ("Row and column are exchanged: the output asked about is net(x)[row, column].",
     lambda net, x, row, column: _slope(net, x, column, row) != 0),
    ("All that comes before in the reading order: the network is not asked. What it may see is more than what "
     "it sees.",
     _field(lambda slope, x, row, column: _order(x) < row * x.shape[1] + column)),
    ("All that comes before in the reading order: the network is not asked. What it may see is more than what "
     "it sees.",
     _field(lambda slope, x, row, column: _order(x) <= row * x.shape[1] + column)),
    ("A whole rectangle: inside it some pixels are not listened to (the blind spot); each has a derivative of "
     "its own.",
     _field(_box)),
    ("The pixel itself is taken out: where it is listened to it belongs to the field.",
     _field(lambda slope, x, row, column: (slope != 0) & ~_only(x, row, column))),
    ("The pixel itself is put in: it belongs to the field only where it is listened to.",
     _field(lambda slope, x, row, column: (slope != 0) | _only(x, row, column))),
    ("Pixels that are 0 are left out: a derivative tells what would happen if they changed, so do not multiply "
     "by x.",
     _field(lambda slope, x, row, column: (slope * x) != 0)),
    ("Pixels that are 1 are left out: a derivative tells what would happen if they changed; setting them to 1 "
     "again does not.",
     _field(lambda slope, x, row, column: (slope * (1 - x)) != 0)),
    ("The pixels that are 1 came: the network is not used.", _field(lambda slope, x, row, column: x != 0)),
    ("Where the output is not 0: asked is where its derivative by the input is not.",
     lambda net, x, row, column: net(x) != 0),
    ("The field of the first output, net(x)[0, 0]: row and column are not used.",
     lambda net, x, row, column: _slope(net, x, 0, 0) != 0),
    ("The field of the last output, net(x)[-1, -1]: row and column are not used.",
     lambda net, x, row, column: _slope(net, x, -1, -1) != 0),
    ("One place too far: rows and columns are counted from 0.",
     lambda net, x, row, column: _slope(net, x, max(row - 1, 0), max(column - 1, 0)) != 0),
    ("The field came upside down and reversed: the derivative by pixel (i, j) belongs at (i, j).",
     _field(lambda slope, x, row, column: slope.flip(0, 1) != 0)),
)

EXERCISE = Exercise(
    id="ar.receptive_field", number="1.5", title="what a pixel listens to",
    prompt="True where the derivative of net(x)[row, column] by the pixel is not zero",
    more="One output, its gradient with respect to the whole image (on a clone that requires it), and a "
         "comparison with 0.",
    cases=cases, reference=receptive_field, mistakes=MISTAKES, law=Marked(),
)
