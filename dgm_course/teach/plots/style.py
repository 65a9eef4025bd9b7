"""The palette, panels and frames that all pictures share."""

from __future__ import annotations

import base64
import functools
import inspect
import io
import math
from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from .png import small

INK, GREY, PALE, BLUE, VERMILION, GREEN = "#1a1a1a", "#8a8a8a", "#d0d0d0", "#0072B2", "#D55E00", "#009E73"
PINK, ORANGE, SKY = "#CC79A7", "#E69F00", "#56B4E9"
SERIES = (BLUE, VERMILION, PINK, ORANGE, INK, GREEN)  # green comes last: it means exact
TIME = LinearSegmentedColormap.from_list("time", ["#c9c9c9", "#7d8ea3", INK])
FOG = LinearSegmentedColormap.from_list("fog", ["#ffffff", "#cfe3f1", "#8fbfe0", "#3d8fc4", "#0b4f80"])
FRAME, DPI, PANEL, TITLE = 4.0, 110, 2.4, 0.28  # the last two in inches


class Picture:
    """A figure with its alternative text; as a cell's last value it shows itself."""

    def __init__(self, figure: Figure, alt: str) -> None:
        self.figure, self.alt = figure, alt

    def png(self) -> bytes:
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
        self.figure.set_layout_engine("none")  # laid out once: a second showing has the same bytes
        return small(buffer.getvalue(), 128)

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        bundle = {"image/png": base64.b64encode(self.png()).decode(), "text/plain": self.alt}
        return bundle, {"image/png": {"alt": self.alt}}

    def __repr__(self) -> str:
        return self.alt


def picture(width: float = PANEL, height: float = PANEL) -> Callable:
    """Turn draw(data, ax=...) into one that makes its own figure, in inches, where no axes are given."""

    def wrap(draw: Callable[..., Axes]) -> Callable[..., Axes | Picture]:
        first = inspect.cleandoc(draw.__doc__ or draw.__name__).splitlines()[0]

        @functools.wraps(draw)
        def drawn(
            *args: Any, ax: Axes | None = None, title: str = "", alt: str = "", **options: Any
        ) -> Axes | Picture:
            figure = None if ax is not None else Figure((width, height), DPI, layout="constrained")
            axes = draw(*args, ax=ax if figure is None else figure.subplots(), **options)
            if title:
                axes.set_title(title, fontsize=10, color=INK)
            return (
                axes if figure is None else Picture(figure, alt or f"{title}: {first}" if title else alt or first)
            )

        return drawn

    return wrap


def panels(count: int, size: float = PANEL, columns: int | None = None, height: float | None = None) -> list[Axes]:
    """A row (or rows) of empty panels of one figure; ``shown(axes, alt)`` makes the picture."""
    columns = columns or count
    rows = math.ceil(count / columns)
    figure = Figure((size * columns, (height or size + TITLE) * rows), DPI, layout="constrained")
    axes = [figure.add_subplot(rows, columns, i + 1) for i in range(count)]
    return axes


def shown(axes: Sequence[Axes] | Axes, alt: str) -> Picture:
    """The picture that panels belong to."""
    return Picture((axes[0] if isinstance(axes, Sequence) else axes).figure, alt)


def frame(ax: Axes, limit: float = FRAME) -> Axes:
    """The plane that all toy worlds share."""
    ax.set(xlim=(-limit, limit), ylim=(-limit, limit), xticks=[], yticks=[], aspect="equal")
    for side in ax.spines.values():
        side.set_color(PALE)
    return ax


def _plain(ax: Axes, xlabel: str, ylabel: str) -> Axes:
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color="#ececec")
    ax.set_axisbelow(True)
    return ax
