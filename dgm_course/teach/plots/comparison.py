"""Pictures of the course overview: the trilemma, the table of marks beside its figures, the library as a map."""

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
from .style import BLUE, GREEN, GREY, INK, ORANGE, PALE, PINK, RULE, SKY, VERMILION, picture, write

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
OTHER = "#8c564b"  # a family that FAMILY does not name
CORNERS = ("speed", "sample quality", "coverage")
STYLE = {AGREES: f"color:{GREEN}", DISAGREES: f"color:{VERMILION};font-weight:bold", LEFT_OPEN: f"color:{BLUE}"}
LECTURE = {AGREES: "lecture {0}", DISAGREES: "lecture {0}: disagrees", LEFT_OPEN: "lecture ?"}


def color(row: Row) -> str:
    """The colour of a row's family."""
    return FAMILY.get(row.system.family, OTHER)


def axis_ends(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """What stands at the lower and at the upper end of each axis of the trilemma."""
    slow, fast = (milliseconds(pick(row.seconds for row in rows)) for pick in (max, min))
    return [(slow, fast), ("0", "as real digits"), ("0", "as real digits")]


def heights(rows: Sequence[Row]) -> Tensor:
    """Speed, quality and coverage of each system in [0, 1].  -> (N, 3)

    Speed: linear in log seconds, 0 the slowest and 1 the fastest.  The others: over those of real digits, at most 1."""
    slow, fast = (math.log(pick(row.seconds for row in rows)) for pick in (max, min))

    def share(row: Row, name: str) -> float:
        return min(1.0, getattr(row.quality, name) / max(getattr(row.floor, name), 1e-9))

    speed = [(slow - math.log(row.seconds)) / max(slow - fast, 1e-9) for row in rows]
    return torch.tensor([[s, share(r, "precision"), share(r, "coverage")] for s, r in zip(speed, rows)])


def spread_labels(places: Sequence[float], least: float, top: float = 1.0) -> list[float]:
    """The places in their order, moved little, so that neighbours are ``least`` apart and none is above ``top``."""
    order, moved = sorted(range(len(places)), key=lambda i: places[i]), list(places)
    for _ in range(400):
        for low, high in zip(order, order[1:]):
            push = max(0.0, least - (moved[high] - moved[low])) / 2
            moved[low], moved[high] = moved[low] - push, moved[high] + push
        moved[order[-1]] = min(moved[order[-1]], top)
    return moved


@picture(7.2, 3.9)
def trilemma(rows: Sequence[Row], ax: Axes) -> Axes:
    """Speed, quality and coverage side by side, and a line for each system; none of them stays at the top."""
    tall = heights(rows)
    for row, line in zip(rows, tall.tolist()):
        ax.plot(range(3), line, color=color(row), lw=1.7, marker="o", ms=4.5, alpha=0.9)
    leader = {"arrowstyle": "-", "lw": 0.6, "shrinkA": 1, "shrinkB": 2, "relpos": (0, 0.5)}
    label = {"fontsize": 8, "va": "center", "annotation_clip": False}
    for row, y, at in zip(rows, tall[:, 2].tolist(), spread_labels(tall[:, 2].tolist(), 0.062, 1.03)):
        arrow = leader | {"color": color(row)}
        ax.annotate(row.name, (2, y), (2.24, at), color=color(row), arrowprops=arrow, **label)
    for x, (low, high) in enumerate(axis_ends(rows)):
        ax.axvline(x, color=RULE, lw=1, zorder=0)
        write(ax, x, -0.04, low, 8, va="top")
        write(ax, x, 1.03, high, 8, va="bottom")
        write(ax, x, 1.12, CORNERS[x], 9.5, va="bottom", weight="bold")
    ax.set(xlim=(-0.35, 3.0), ylim=(-0.08, 1.2))
    ax.axis("off")
    return ax


class MarksTable:
    """The table of marks, each with its figure and the lecture's mark; HTML in a notebook, lines elsewhere."""

    def __init__(self, table: Mapping[str, Mapping[str, TableEntry]], rules: str = "") -> None:
        if not table:
            raise ValueError("the table is empty: expected a row of marks for at least one system.")
        self.table, self.rules = table, rules

    def _cell(self, mark: TableEntry) -> str:
        small = (
            html.escape(part) for part in (mark.figure, LECTURE.get(mark.verdict, "").format(mark.lecture)) if part
        )
        style = f' style="{STYLE[mark.verdict]}"' if mark.verdict in STYLE else ""
        return (
            f'<td style="text-align:center"><span{style}>{mark.sign}</span>'
            f"<br><small>{'<br>'.join(small)}</small></td>"
        )

    def _repr_html_(self) -> str:
        head = "".join(f'<th style="text-align:center">{column}</th>' for column in COLUMNS)
        lines = ((html.escape(name), "".join(map(self._cell, row.values()))) for name, row in self.table.items())
        body = "".join(f'<tr><th style="text-align:left">{name}</th>{cells}</tr>' for name, cells in lines)
        note = f"<caption>{html.escape(self.rules)}</caption>" if self.rules else ""
        return f"<table>{note}<thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table>"

    def __repr__(self) -> str:
        def words(column: str, mark: TableEntry) -> str:
            lecture = f", lecture {mark.lecture}" if mark.verdict else ""
            return f"{column} {mark.sign}" + (f" ({mark.figure})" if mark.figure else "") + lecture

        return "\n".join(f"{name}: {'; '.join(map(words, row, row.values()))}" for name, row in self.table.items())


@picture(7.4, 4.6)
def library(graph: Mapping[str, set[str]], ax: Axes, marked: Sequence[str] = ()) -> Axes:
    """The modules of the library on their levels and their imports; the marked ones, in blue, share a level.

    graph: name -> the names that it imports"""
    level = floors(dict(graph), tuple(marked))
    rows = {height: sorted(name for name in level if level[name] == height) for height in set(level.values())}
    place = {name: ((i + 0.5) / len(row), height) for height, row in rows.items() for i, name in enumerate(row)}
    for name, other in ((name, other) for name, others in graph.items() for other in others):
        own = name in marked or other in marked
        (x, y), (u, v) = place[name], place[other]
        ax.plot([x, u], [y, v], color=BLUE if own else GREY, lw=0.7, alpha=0.45 if own else 0.22, zorder=1)
    for name, (x, y) in place.items():
        fill, ink = (BLUE, "white") if name in marked else ("#f2f2f2", INK)
        between = "\n" if len(rows[level[name]]) > 8 else " "  # names of a full level take two lines
        box = {"boxstyle": "round,pad=0.32", "fc": fill, "ec": PALE, "lw": 0.6}
        write(ax, x, y, name.replace("_", between), 8, ink, bbox=box)
    for height in rows:
        write(ax, -0.02, height, f"{height}", 8, GREY, ha="right")
    ax.set(xlim=(-0.05, 1.02), ylim=(-0.5, max(rows) + 0.5))
    ax.axis("off")
    return ax
