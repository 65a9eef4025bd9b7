"""Pictures of the course overview: the trilemma, the lecture's table beside figures, the library as a map."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

import torch
from matplotlib.axes import Axes
from torch import Tensor

from ...comparison import COLUMNS, Row, TableEntry
from ...comparison.measure import milliseconds
from ...comparison.table import AGREES, DISAGREES, LEFT_OPEN
from ..import_graph import floors
from .base import BLUE, GREEN, GREY, VERMILION
from .style import INK, ORANGE, PALE, PINK, SKY, picture

FAMILY = {
    "autoregressive": ORANGE,
    "VAE": GREEN,
    "vector quantization": PINK,
    "GAN": VERMILION,
    "flow": "#7a4fbf",
    "diffusion": BLUE,
    "flow matching": SKY,
    "diffusion of tokens": "#4d4d4d",
}
OTHER = "#8c564b"  # a family that the list does not know
CORNERS = ("speed", "sample quality", "coverage")


def colour(row: Row) -> str:
    """The colour of a row's family."""
    return FAMILY.get(row.system.family, OTHER)


def heights(rows: Sequence[Row]) -> Tensor:
    """How high each system stands on the three axes of the trilemma, (N, 3), 1 at the top.

    Speed: the logarithm of its seconds between the slowest (0) and the fastest (1).  Precision and coverage: over those of
    real digits in the same place, cut at 1."""
    slow, fast = (math.log(pick(row.seconds for row in rows)) for pick in (max, min))
    speed = [(slow - math.log(row.seconds)) / max(slow - fast, 1e-9) for row in rows]

    def share(row, name):
        return min(1.0, getattr(row.quality, name) / max(getattr(row.floor, name), 1e-9))

    shares = [[share(row, name) for name in ("precision", "coverage")] for row in rows]
    return torch.tensor([[s, *pair] for s, pair in zip(speed, shares)])


def spread_labels(places: Sequence[float], least: float, top: float = 1.0) -> list[float]:
    """The places moved as little as need be, neighbours then ``least`` apart and none above ``top``; as they came."""
    order, moved = sorted(range(len(places)), key=lambda i: places[i]), list(places)
    for _ in range(400):
        for low, high in zip(order, order[1:]):
            push = max(0.0, least - (moved[high] - moved[low])) / 2
            moved[low], moved[high] = moved[low] - push, moved[high] + push
        moved[order[-1]] = min(moved[order[-1]], top)
    return moved


@picture(7.2, 3.9)
def trilemma(rows: Sequence[Row], ax: Axes) -> Axes:
    """Three axes side by side, speed, quality and coverage; each system is a line, and none of them stays at the top."""
    tall = heights(rows)
    for row, line in zip(rows, tall.tolist()):
        ax.plot(range(3), line, color=colour(row), lw=1.7, marker="o", ms=4.5, alpha=0.9)
    for row, line, y in zip(rows, tall.tolist(), spread_labels(tall[:, 2].tolist(), 0.062, 1.03)):
        ax.annotate(
            row.name,
            (2, line[2]),
            (2.24, y),
            color=colour(row),
            fontsize=8,
            va="center",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": colour(row),
                "lw": 0.6,
                "shrinkA": 1,
                "shrinkB": 2,
                "relpos": (0, 0.5),
            },
        )
    slow, fast = (pick(row.seconds for row in rows) for pick in (max, min))
    ends = {0: (milliseconds(slow), milliseconds(fast)), 1: ("0", "as real digits"), 2: ("0", "as real digits")}
    for x, (low, high) in ends.items():
        ax.axvline(x, color="#c9c9c9", lw=1, zorder=0)
        ax.text(x, -0.04, low, ha="center", va="top", fontsize=8, color=INK)
        ax.text(x, 1.03, high, ha="center", va="bottom", fontsize=8, color=INK)
        ax.text(x, 1.12, CORNERS[x], ha="center", va="bottom", fontsize=9.5, color=INK, weight="bold")
    ax.set(xlim=(-0.35, 3.0), ylim=(-0.08, 1.2))
    ax.axis("off")
    return ax


class MarksTable:
    """The table of marks, each beside its figure and the lecture's own mark; HTML in a notebook, lines elsewhere."""

    def __init__(self, table: Mapping[str, Mapping[str, TableEntry]], rules: str = "") -> None:
        if not table:
            raise ValueError("the table is empty: expected a row of marks for at least one system.")
        self.table, self.rules = table, rules

    def _cell(self, mark: TableEntry) -> str:
        shade = {
            AGREES: f"color:{GREEN}",
            DISAGREES: f"color:{VERMILION};font-weight:bold",
            LEFT_OPEN: f"color:{BLUE}",
        }
        said = {
            AGREES: f"lecture {mark.lecture}",
            DISAGREES: f"lecture {mark.lecture}: disagrees",
            LEFT_OPEN: "lecture ?",
        }.get(mark.verdict, "")
        small = "<br>".join(html.escape(part) for part in (mark.figure, said) if part)
        style = f' style="{shade[mark.verdict]}"' if mark.verdict in shade else ""
        return f'<td style="text-align:center"><span{style}>{mark.sign}</span><br><small>{small}</small></td>'

    def _repr_html_(self) -> str:
        head = "".join(f'<th style="text-align:center">{column}</th>' for column in COLUMNS)
        lines = ((html.escape(name), "".join(map(self._cell, row.values()))) for name, row in self.table.items())
        body = "".join(f'<tr><th style="text-align:left">{name}</th>{cells}</tr>' for name, cells in lines)
        note = f"<caption>{html.escape(self.rules)}</caption>" if self.rules else ""
        return f"<table>{note}<thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table>"

    def __repr__(self) -> str:
        return "\n".join(
            f"{name}: "
            + "; ".join(
                f"{column} {mark.sign}"
                + f" ({mark.figure})" * (mark.figure != "")
                + f", lecture {mark.lecture}" * (mark.verdict != "")
                for column, mark in row.items()
            )
            for name, row in self.table.items()
        )


@picture(7.4, 4.6)
def library(graph: Mapping[str, set[str]], ax: Axes, marked: Sequence[str] = ()) -> Axes:
    """The files of the library on their floors, and who imports whom; the marked ones in blue do not know each other.

    graph: name -> the names that it imports"""
    height = floors(dict(graph), tuple(marked))
    rows = {level: sorted(name for name in height if height[name] == level) for level in set(height.values())}
    place = {name: ((i + 0.5) / len(row), level) for level, row in rows.items() for i, name in enumerate(row)}
    for name, others in graph.items():
        for other in others:
            own = name in marked or other in marked
            (x, y), (u, v) = place[name], place[other]
            ax.plot([x, u], [y, v], color=BLUE if own else GREY, lw=0.7, alpha=0.45 if own else 0.22, zorder=1)
    for name, (x, y) in place.items():
        box = {"boxstyle": "round,pad=0.32", "fc": BLUE if name in marked else "#f2f2f2", "ec": PALE, "lw": 0.6}
        between = "\n" if len(rows[height[name]]) > 8 else " "  # a crowded floor has names of two lines
        ax.text(
            x,
            y,
            name.replace("_", between),
            ha="center",
            va="center",
            fontsize=8,
            bbox=box,
            color="white" if name in marked else INK,
        )
    for level in rows:
        ax.text(-0.02, level, f"{level}", ha="right", va="center", fontsize=8, color=GREY)
    ax.set(xlim=(-0.05, 1.02), ylim=(-0.5, max(rows) + 0.5))
    ax.axis("off")
    return ax
