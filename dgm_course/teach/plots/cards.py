"""The picture on a card: what came beside what was expected, as a small SVG that needs no script.

Letters and lines take the page's own colour, so that it reads on light and dark; what is wrong is marked by
shape (a cross, a frame) as well as by colour.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator

import numpy as np

from ..homework import ComparisonPairs, ComparisonTable
from .style import BLUE, PINK, VERMILION

RIGHT, WRONG, BELOW = BLUE, VERMILION, PINK
SIDE, RIM, LEFT, TOP = 150, 7, 68, 8  # of the square in which pairs are drawn, and what lies around it
CELL = 18


def picture(shown: ComparisonTable | ComparisonPairs | None) -> str:
    """The SVG, with its alternative text; empty where there is nothing to draw."""
    if shown is None:
        return ""
    return _table(shown) if isinstance(shown, ComparisonTable) else _pairs(shown)


def _svg(width: float, height: float, says: str, parts: Iterable[str]) -> str:
    return (
        f'<svg role="img" aria-label="{html.escape(says)}" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-size="11" font-family="sans-serif" fill="currentColor" '
        f'style="max-width:100%">{"".join(parts)}</svg>'
    )


def _text(x: float, y: float, words: str, anchor: str = "middle", more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{html.escape(words)}</text>'


# --- pairs: expected to the right, given upwards


def _pairs(shown: ComparisonPairs) -> str:
    wrong = f"{shown.wrong.sum()} of the {len(shown.wrong)} numbers drawn are of cases that are wrong"
    says = f"{shown.name}: what you gave, upwards, against what was expected, to the right. {wrong}."
    low, high = (float(f(np.concatenate([shown.given, shown.right]))) for f in (np.min, np.max))
    scale = (SIDE - 2 * RIM) / (high - low or 1.0)
    x, y = LEFT + RIM + (shown.right - low) * scale, TOP + SIDE - RIM - (shown.given - low) * scale
    marks = (_marks(x[shown.wrong == wrong], y[shown.wrong == wrong], wrong) for wrong in (False, True))
    return _svg(LEFT + SIDE + 220, TOP + SIDE + 36, says, [*_frame(low, high), *marks, *_key(shown)])


def _frame(low: float, high: float) -> Iterator[str]:
    """The square, the diagonal on which given is expected, the ends of the scale, and the names of the axes."""
    bottom, right, middle = TOP + SIDE, LEFT + SIDE, TOP + SIDE / 2
    yield (
        f'<rect x="{LEFT}" y="{TOP}" width="{SIDE}" height="{SIDE}" fill="none" stroke="currentColor" opacity=".4"/>'
        f'<path d="M{LEFT} {bottom}L{right} {TOP}" stroke="currentColor" stroke-dasharray="4 3" opacity=".7"/>'
    )
    yield _text(LEFT, bottom + 14, _number(low), "start") + _text(right, bottom + 14, _number(high), "end")
    yield _text(LEFT - 4, bottom, _number(low), "end") + _text(LEFT - 4, TOP + 9, _number(high), "end")
    yield _text(LEFT + SIDE / 2, bottom + 28, "expected")
    yield _text(LEFT - 8, middle, "you gave", more=f' transform="rotate(-90 {LEFT - 8} {middle})"')


def _number(value: float) -> str:
    text = f"{value:,.0f}" if 1000 <= abs(value) < 100_000 else f"{value:.3g}"
    return text.replace("-", "−")


def _marks(x: np.ndarray, y: np.ndarray, wrong: bool) -> str:
    """All crosses, or all dots, as one path."""
    mark = "m-2.5-2.5l5 5m-5 0l5-5" if wrong else "h0"
    look = (
        f'stroke="{WRONG}" stroke-width="1.2"'
        if wrong
        else f'stroke="{RIGHT}" stroke-width="5" stroke-linecap="round"'
    )
    places = "".join(f"M{a:.1f} {b:.1f}{mark}" for a, b in zip(x, y, strict=True))
    return f'<path d="{places}" fill="none" {look}/>' if places else ""


def _key(shown: ComparisonPairs) -> Iterator[str]:
    """Names of the marks beside the square: the diagonal, and what else occurs."""
    x, y = LEFT + SIDE + 14, TOP + 12
    yield f'<path d="M{x - 5} {y - 4}h14" stroke="currentColor" stroke-dasharray="4 3" opacity=".7"/>'
    yield _text(x + 14, y, f"as expected ({shown.name})", "start")
    for wrong, words in ((True, "a case that is wrong"), (False, "a case that is right")):
        if (shown.wrong == wrong).any():
            y += 18
            yield _marks(np.array([x + 2.0]), np.array([y - 4.0]), wrong) + _text(x + 14, y, words, "start")
    if shown.lost:
        yield _text(x - 5, y + 18, f"not drawn: {shown.lost} (NaN, infinite or far off)", "start")


# --- tables: two grids side by side


def _table(shown: ComparisonTable) -> str:
    rows, columns = shown.right.shape
    bad = ~np.isclose(shown.given, shown.right, rtol=1e-3, atol=1e-6)
    cell = CELL if columns <= 12 else CELL * 0.6
    wide, tall = max(columns * cell, 70), rows * cell
    top = float(np.abs(np.stack([shown.given, shown.right])).max()) or 1.0
    says = (
        f"{shown.name}, {rows} by {columns}: what you gave beside what was expected; {bad.sum()} entries differ."
    )
    sides = (("you gave", shown.given, bad, 2.0), ("expected", shown.right, bad & False, wide + 26))
    parts = (part for name, values, marked, x in sides for part in _grid(name, values / top, marked, x, cell))
    return _svg(2 * wide + 30, tall + 24, says, parts)


def _grid(name: str, shades: np.ndarray, marked: np.ndarray, x: float, cell: float) -> Iterator[str]:
    """One cell an entry, the darker the larger; a frame around those that differ.  Cells of one look are one path."""
    yield _text(x, 12, name, "start")
    looks: dict[tuple[bool, float, bool], str] = {}
    for (i, j), shade in np.ndenumerate(shades):
        look, side = (bool(marked[i, j]), round(abs(shade), 1), shade < 0), cell - 3
        looks[look] = (
            looks.get(look, "") + f"M{x + j * cell + 1.5:g} {18 + i * cell + 1.5:g}h{side:g}v{side:g}h{-side:g}z"
        )
    for (wrong, shade, below), places in sorted(looks.items()):
        edge, width = (WRONG, 2) if wrong else ("currentColor", 0.5)
        yield (
            f'<path d="{places}" fill="{BELOW if below else RIGHT}" fill-opacity="{shade:g}" '
            f'stroke="{edge}" stroke-width="{width}"/>'
        )
