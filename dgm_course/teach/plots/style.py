"""What all pictures share: the palette, panels, frames, small PNG files and ``Picture``.

INK data · GREY source noise · BLUE model · VERMILION error · GREEN, dashed: the exact answer
"""

from __future__ import annotations

import base64
import functools
import inspect
import io
import math
from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

INK, GREY, BLUE, VERMILION, GREEN = "#1a1a1a", "#8a8a8a", "#0072B2", "#D55E00", "#009E73"
PINK, ORANGE, SKY = "#CC79A7", "#E69F00", "#56B4E9"
PALE, RULE, GRID = "#d0d0d0", "#c9c9c9", "#ececec"  # greys of borders, rules and grids
SERIES = (BLUE, VERMILION, PINK, ORANGE, INK, GREEN)  # green comes last: it means exact
TEN = (BLUE, VERMILION, GREEN, PINK, ORANGE, SKY, "#7A5195", GREY, "#8C6D31", INK)  # ten classes
BLUES = LinearSegmentedColormap.from_list("fog", ["#ffffff", "#cfe3f1", "#8fbfe0", "#3d8fc4", "#0b4f80"])
FRAME, DPI, PANEL, TITLE = 4.0, 110, 2.4, 0.28  # the last two in inches
ARROWS = {"angles": "xy", "scale_units": "xy"}  # of quiver: lengths in the units of the axes


def png(figure: Figure, dpi: float = 100) -> bytes:
    """The figure as PNG bytes at the fastest compression, so that a redraw keeps up with a slider."""
    if not isinstance(figure.canvas, FigureCanvasAgg):
        FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, pil_kwargs={"compress_level": 1})
    return buffer.getvalue()


def small(image: bytes, colors: int = 64) -> bytes:
    """The same PNG with a palette: a quarter of the bytes in a committed notebook."""
    from PIL import Image

    buffer, rgb = io.BytesIO(), Image.open(io.BytesIO(image)).convert("RGB")
    rgb.quantize(colors, kmeans=2, dither=Image.Dither.NONE).save(buffer, format="png", optimize=True)
    return buffer.getvalue()


class Picture:
    """A figure with its alternative text; the last value of a cell shows itself."""

    def __init__(self, figure: Figure, alt: str) -> None:
        self.figure, self.alt = figure, alt

    def png(self) -> bytes:
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
        self.figure.set_layout_engine("none")  # keep the layout: a second call gives the same bytes
        return small(buffer.getvalue(), 128)

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        bundle = {"image/png": base64.b64encode(self.png()).decode(), "text/plain": self.alt}
        return bundle, {"image/png": {"alt": self.alt}}

    def __repr__(self) -> str:
        return self.alt


def picture(width: float = PANEL, height: float = PANEL) -> Callable:
    """Decorate draw(data, ax=...): without ``ax`` it makes a figure of this size (inches) and returns a Picture.

    The alternative text is ``alt``, or else the first line of the docstring after the title."""

    def wrap(draw: Callable[..., Axes]) -> Callable[..., Axes | Picture]:
        first = inspect.cleandoc(draw.__doc__ or draw.__name__).splitlines()[0]

        @functools.wraps(draw)
        def drawn(*args: Any, ax: Axes | None = None, title: str = "", alt: str = "", **options: Any) -> Any:
            figure = None if ax is not None else Figure((width, height), DPI, layout="constrained")
            axes = draw(*args, ax=ax if figure is None else figure.subplots(), **options)
            if title:
                axes.set_title(title, fontsize=10, color=INK)
            return axes if figure is None else Picture(figure, alt or (f"{title}: {first}" if title else first))

        return drawn

    return wrap


def panels(count: int, size: float = PANEL, columns: int | None = None, height: float | None = None) -> list[Axes]:
    """Empty panels of one figure, row by row; ``shown(axes, alt)`` makes the picture.  size, height: inches a panel"""
    columns = columns or count
    rows = math.ceil(count / columns)
    figure = Figure((size * columns, (height or size + TITLE) * rows), DPI, layout="constrained")
    return [figure.add_subplot(rows, columns, i + 1) for i in range(count)]


def shown(axes: Sequence[Axes] | Axes, alt: str) -> Picture:
    """The picture of these panels."""
    return Picture((axes[0] if isinstance(axes, Sequence) else axes).figure, alt)


def frame(ax: Axes, limit: float = FRAME) -> Axes:
    """The square [-limit, limit]² without ticks: every plane has this frame."""
    ax.set(xlim=(-limit, limit), ylim=(-limit, limit), xticks=[], yticks=[], aspect="equal")
    ax.spines[:].set_color(PALE)
    return ax


def plain(ax: Axes, xlabel: str, ylabel: str) -> Axes:
    """Named axes with a pale grid, open at the top and at the right."""
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.grid(color=GRID)
    ax.set_axisbelow(True)
    return open_axes(ax)


def open_axes(ax: Axes) -> Axes:
    """No lines at the top and at the right."""
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def write(ax: Axes, x: float, y: float, text: str, size: float = 9, color: str = INK, **more: Any) -> None:
    """Text centred at (x, y)."""
    ax.text(x, y, text, **{"ha": "center", "va": "center", "fontsize": size, "color": color, **more})


def plane(values: Any, ax: Axes, limit: float, **look: Any) -> Any:
    """An image over [-limit, limit]², its first row at the bottom."""
    return ax.imshow(values, origin="lower", extent=(-limit, limit) * 2, **look)


def scatter(ax: Axes, x: Any, size: float, color: Any, **look: Any) -> Any:
    """Points (N, 2) without edges."""
    across, up = x.detach().cpu().T
    return ax.scatter(across, up, s=size, c=color, **{"linewidths": 0, **look})
