"""The trilemma player: three axes, a line for each model, and the digits of the one that the pointer is on.

Everything is in the browser; where no script runs, a picture of all lines stands in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anywidget
import numpy as np
import traitlets

from ...comparison import Row
from ...comparison.measure import milliseconds
from ..plots.comparison import CORNERS, color, heights, trilemma
from . import preview
from .serialize import BufferBuilder, quantise, script, style

SHOWN = 20  # digits of each model


def figures(row: Row) -> list[str]:
    """What the player writes under a model's name."""
    q, f = row.quality, row.floor
    likelihood = f"likelihood: {row.system.likelihood.kind}"
    if row.likelihood_result is not None:
        likelihood += f", {row.likelihood_result.value:.2f} {row.system.likelihood.unit}"
    passes = f"{row.passes:.3g} pass{'es' * (row.passes > 1.005)}"
    return [
        f"{milliseconds(row.seconds)} on one thread and {passes} a sample",
        f"precision {q.precision:.2f} (real digits {f.precision:.2f})",
        f"coverage {q.coverage:.2f} (real digits {f.coverage:.2f})",
        f"Fréchet distance {q.frechet:.0f} (real digits {f.frechet:.0f})",
        likelihood,
    ]


class TrilemmaPlayer(anywidget.AnyWidget):
    """Rows of the overview as lines over speed, quality and coverage; point at one to see its digits and its figures.

    rows: what ``overview.survey`` gives.  ValueError where there are none."""

    _esm = script("common", "trilemma")
    _css = style()
    parcel = traitlets.Bytes().tag(sync=True)
    spec = traitlets.Dict().tag(sync=True)

    def __init__(self, rows: Sequence[Row], label: str = "") -> None:
        if not rows:
            raise ValueError("there are no rows: expected at least one system that was measured.")
        self.rows = list(rows)
        self.label = (
            label or f"speed, quality and coverage of {len(self.rows)} models, each a line over three axes"
        )
        parcel = BufferBuilder()
        lines = [
            {
                "name": row.name,
                "family": row.system.family,
                "colour": color(row),
                "heights": line,
                "figures": figures(row),
                "at": parcel.add(self._sheet(row)),
            }
            for row, line in zip(self.rows, heights(self.rows).tolist())
        ]
        slow, fast = (pick(row.seconds for row in self.rows) for pick in (max, min))
        ends = [[milliseconds(slow), milliseconds(fast)], ["0", "as real digits"], ["0", "as real digits"]]
        super().__init__(
            parcel=parcel.bytes(),
            spec={"lines": lines, "axes": list(CORNERS), "ends": ends, "count": SHOWN, "label": self.label},
        )

    @staticmethod
    def _sheet(row: Row) -> np.ndarray:
        digits = row.samples[:SHOWN, 0].numpy()
        blank = -np.ones((SHOWN - len(digits), *digits.shape[1:]), digits.dtype)
        return quantise(-np.concatenate([digits, blank]), -1.0, 1.0, "u1")

    def strip(self) -> bytes:
        """All lines with their names, as a PNG."""
        return trilemma(self.rows, alt=self.label).png()

    def __repr__(self) -> str:
        return f"TrilemmaPlayer({self.label}): run the cell and point at a line"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return preview.bundle(super()._repr_mimebundle_(**kwargs), self.strip(), self.label, repr(self))
