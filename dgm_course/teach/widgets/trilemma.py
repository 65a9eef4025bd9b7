"""The trilemma player: a line over three axes for each model, and the digits of the line under the pointer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...comparison import Row
from ...comparison.measure import milliseconds
from ..plots.comparison import CORNERS, axis_ends, color, heights, trilemma
from .preview import Player
from .serialize import Array, BufferBuilder, quantise, script

SHOWN = 20  # digits of each model


def figures(row: Row) -> list[str]:
    """The lines under a model's name."""
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


def _digits(row: Row) -> Array:
    """The first SHOWN samples as bytes, ink 0, white where there are fewer.  -> (SHOWN, H, W)"""
    digits = row.samples[:SHOWN, 0].numpy()
    blank = -np.ones((SHOWN - len(digits), *digits.shape[1:]), digits.dtype)
    return quantise(-np.concatenate([digits, blank]), -1.0, 1.0, "u1")


class TrilemmaPlayer(Player):
    """Rows of the comparison as lines over speed, quality and coverage; point at one to see its digits and figures.

    ValueError where there are no rows"""

    _esm = script("common", "trilemma")

    def __init__(self, rows: Sequence[Row], label: str = "") -> None:
        if not rows:
            raise ValueError("there are no rows: expected at least one system that was measured.")
        self.rows, buffer = list(rows), BufferBuilder()
        self.label = label or f"speed, quality and coverage of {len(rows)} models, each a line over three axes"
        lines = [
            {
                "name": row.name,
                "family": row.system.family,
                "colour": color(row),
                "heights": line,
                "figures": figures(row),
                "at": buffer.add(_digits(row)),
            }
            for row, line in zip(self.rows, heights(self.rows).tolist())
        ]
        spec = {"lines": lines, "axes": list(CORNERS), "ends": list(map(list, axis_ends(self.rows)))}
        super().__init__(spec={**spec, "count": SHOWN, "label": self.label}, buffer=buffer.bytes())

    def strip(self) -> bytes:
        return trilemma(self.rows, alt=self.label).png()

    def __repr__(self) -> str:
        return f"TrilemmaPlayer({self.label}): run the cell and point at a line"
