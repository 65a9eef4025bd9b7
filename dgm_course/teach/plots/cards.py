"""The picture on a card: given values beside expected ones, as a small SVG without scripts.

Text and lines take the page's colour, so that they can be read on light and dark pages.  Wrong values are marked by
shape (a cross, a frame) as well as by colour.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator

import numpy as np

from ..homework import ComparisonPairs, ComparisonTable
from .style import BLUE as RIGHT
from .style import PINK as NEGATIVE
from .style import VERMILION as WRONG

SIDE, MARGIN, LEFT, TOP = 150, 7, 68, 8  # the square of the pairs, and the space around it
CELL = 18


def picture(shown: ComparisonTable | ComparisonPairs | None) -> str:
    """The SVG with its alternative text; "" where there is nothing to draw."""
    if shown is None:
        return ""
    return _table(shown) if isinstance(shown, ComparisonTable) else _pairs(shown)


def _svg(width: float, height: float, alt: str, parts: Iterable[str]) -> str:
    return (
        f'<svg role="img" aria-label="{html.escape(alt)}" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-size="11" font-family="sans-serif" fill="currentColor" '
        f'style="max-width:100%">{"".join(parts)}</svg>'
    )


def _text(x: float, y: float, words: str, anchor: str = "middle", more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{html.escape(words)}</text>'


# --- pairs: expected to the right, given upwards


def _pairs(shown: ComparisonPairs) -> str:
    wrong = f"{shown.wrong.sum()} of the {len(shown.wrong)} numbers drawn are of cases that are wrong"
    alt = f"{shown.name}: what you gave, upwards, against what was expected, to the right. {wrong}."
    both = np.concatenate([shown.given, shown.right])
    low, high = float(both.min()), float(both.max())
    scale = (SIDE - 2 * MARGIN) / (high - low or 1.0)
    x, y = LEFT + MARGIN + (shown.right - low) * scale, TOP + SIDE - MARGIN - (shown.given - low) * scale
    marks = (_marks(x[shown.wrong == wrong], y[shown.wrong == wrong], wrong) for wrong in (False, True))
    return _svg(LEFT + SIDE + 220, TOP + SIDE + 36, alt, [*_frame(low, high), *marks, *_legend(shown)])


def _frame(low: float, high: float) -> Iterator[str]:
    """The square, its diagonal where given = expected, the ends of the scale and the names of the axes."""
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
    return (f"{value:,.0f}" if 1000 <= abs(value) < 100_000 else f"{value:.3g}").replace("-", "−")


def _marks(x: np.ndarray, y: np.ndarray, wrong: bool) -> str:
    """All crosses (wrong) or all dots (right) as one path."""
    mark, look = "h0", f'stroke="{RIGHT}" stroke-width="5" stroke-linecap="round"'
    if wrong:
        mark, look = "m-2.5-2.5l5 5m-5 0l5-5", f'stroke="{WRONG}" stroke-width="1.2"'
    places = "".join(f"M{a:.1f} {b:.1f}{mark}" for a, b in zip(x, y, strict=True))
    return f'<path d="{places}" fill="none" {look}/>' if places else ""


def _legend(shown: ComparisonPairs) -> Iterator[str]:
    """The diagonal and the marks that occur, with their names, beside the square."""
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
    alt = f"{shown.name}, {rows} by {columns}: what you gave beside what was expected; {bad.sum()} entries differ."
    sides = (("you gave", shown.given, bad, 2.0), ("expected", shown.right, bad & False, wide + 26))
    parts = (part for name, values, marked, x in sides for part in _grid(name, values / top, marked, x, cell))
    return _svg(2 * wide + 30, tall + 24, alt, parts)


def _grid(name: str, shades: np.ndarray, marked: np.ndarray, x: float, cell: float) -> Iterator[str]:
    """A cell for each entry, darker where larger, framed where it differs.  Cells that look alike are one path."""
    yield _text(x, 12, name, "start")
    paths: dict[tuple[bool, float, bool], str] = {}
    side = cell - 3
    for (i, j), shade in np.ndenumerate(shades):
        look = bool(marked[i, j]), round(abs(shade), 1), shade < 0
        corner = f"M{x + j * cell + 1.5:g} {18 + i * cell + 1.5:g}"
        paths[look] = paths.get(look, "") + f"{corner}h{side:g}v{side:g}h{-side:g}z"
    for (wrong, shade, negative), path in sorted(paths.items()):
        edge, width = (WRONG, 2) if wrong else ("currentColor", 0.5)
        fill = f'fill="{NEGATIVE if negative else RIGHT}" fill-opacity="{shade:g}"'
        yield f'<path d="{path}" {fill} stroke="{edge}" stroke-width="{width}"/>'
