"""Sliders for what the kernel computes.

    play(draw, sigma=(0.1, 2.0), method=["euler", "heun"])

calls ``draw(sigma=..., method=...)`` when a control moves and shows the picture that it returns.  The players
(``TrajectoryPlayer``, ``FramePlayer``) need no kernel: use them for what can be computed beforehand.
"""

from __future__ import annotations

import html
import io
import os
import sys
from collections.abc import Callable
from typing import Any

import ipywidgets as widgets
import matplotlib.image
import numpy as np
import torch
from matplotlib.figure import Figure

from ...core.tensors import strict
from ..plots.style import VERMILION, png
from . import preview

DPI, SHOWN = 120, 84  # pixels an inch: as sent, and as shown, so that letters are sharp on a dense screen
ALERT = f'<div role="alert" style="border-left:4px solid {VERMILION};padding:2px 10px">'


def slider(name: str, spec: tuple[Any, ...]) -> widgets.Widget:
    """A slider for (lo, hi), (lo, hi, step) or (lo, hi, step, start); whole numbers where all are whole."""
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in spec)
    if not 2 <= len(spec) <= 4 or not numbers:
        expected = "(lo, hi), (lo, hi, step) or (lo, hi, step, start) of numbers"
        raise ValueError(
            f"{name} as a tuple must be {expected}; {spec!r} came. For a choice between values use a list."
        )
    whole = all(isinstance(v, int) for v in spec)
    lo, hi = spec[:2]
    step = spec[2] if len(spec) > 2 else 1 if whole else (hi - lo) / 50
    start = spec[3] if len(spec) > 3 else lo
    if not (lo < hi and step > 0 and lo <= start <= hi):
        raise ValueError(
            f"{name} must rise from lo to hi with a positive step and a start between them; "
            f"lo = {lo}, hi = {hi}, step = {step:g}, start = {start} came."
        )
    kind = widgets.IntSlider if whole else widgets.FloatSlider
    look = {} if whole else {"readout_format": f".{max(2, int(np.ceil(-np.log10(step) - 1e-9)))}f"}
    return kind(value=start, min=lo, max=hi, step=step, description=name, layout={"width": "420px"}, **look)


def control(name: str, spec: Any) -> widgets.Widget:
    """The widget for a tuple (a slider), a list or dict (a choice) or a bool; a widget stays as it is."""
    if isinstance(spec, widgets.Widget):
        return spec
    if isinstance(spec, bool):
        return widgets.Checkbox(value=spec, description=name, indent=False)
    if isinstance(spec, tuple):
        return slider(name, spec)
    if isinstance(spec, (list, dict)) and len(spec):
        return widgets.Dropdown(options=spec, description=name)
    expected = "a tuple (lo, hi[, step[, start]]), a list of choices or True / False"
    raise TypeError(f"{name} must be {expected}; {spec!r} came.")


def samples(widget: widgets.Widget) -> list[Any]:
    """At most five values of a control, rounded so that zero is exactly zero."""
    if isinstance(widget, widgets.Checkbox):
        return [False, True]
    if hasattr(widget, "_options_full"):
        values = [value for _, value in widget._options_full]
        return [values[i] for i in preview.some(len(values), 5)]
    if not hasattr(widget, "min"):
        return [widget.value]
    count = int((widget.max - widget.min) / widget.step + 1e-9)
    return [type(widget.value)(round(widget.min + i * widget.step, 9)) for i in preview.some(count + 1, 5)]


def array_png(picture: Any) -> tuple[bytes, int]:
    """PNG and width of an image (H, W), 1 in ink, or (H, W, 3): bytes, or floats in [0, 1] or [-1, 1]."""
    x = np.asarray(picture.detach().cpu() if isinstance(picture, torch.Tensor) else picture)
    grey = x.ndim == 2
    if not (grey or (x.ndim == 3 and x.shape[2] in (3, 4))):
        raise ValueError(f"an image must have shape (H, W) or (H, W, 3); {tuple(x.shape)} came")
    if x.dtype.kind == "f":
        x = np.clip((x + 1) / 2 if x.min() < 0 else x, 0, 1)
    zoom = max(1, 320 // x.shape[1])
    x, out = x.repeat(zoom, 0).repeat(zoom, 1), io.BytesIO()
    top = {"vmin": 0, "vmax": 255 if x.dtype == np.uint8 else 1, "cmap": "gray_r"} if grey else {}
    matplotlib.image.imsave(out, x, format="png", pil_kwargs={"compress_level": 1}, **top)
    return out.getvalue(), x.shape[1]


def picture_of(drawn: Any) -> tuple[bytes, int]:
    """The PNG bytes and the width on the page of what a draw function returned."""
    if isinstance(drawn, np.ndarray) and drawn.dtype == object:  # plt.subplots(1, 3) gives an array
        drawn = drawn.flat[0]
    if isinstance(drawn, (tuple, list)) and drawn:
        drawn = drawn[0]
    if isinstance(drawn, (np.ndarray, torch.Tensor)):
        return array_png(drawn)
    figure = drawn if isinstance(drawn, Figure) else getattr(drawn, "figure", None)
    if not isinstance(figure, Figure):
        expected = "the figure or axes it drew on, or an image array"
        raise TypeError(f"draw must return {expected}; {type(drawn).__name__} came")
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close(figure)  # else the cell would show the figure of every redraw
    return png(figure, DPI), int(figure.get_figwidth() * SHOWN)


class Play(widgets.VBox):
    """Controls above one picture that is replaced as they move; see ``play``."""

    def __init__(self, draw: Callable[..., Any], controls: dict[str, widgets.Widget], label: str) -> None:
        self.draw, self.controls, self.label = draw, controls, label
        self.shown: dict[str, Any] | None = None
        self.image = widgets.Image(format="png", layout={"max_width": "100%", "object_fit": "contain"})
        self.note = widgets.HTML()
        super().__init__([*controls.values(), self.image, self.note])
        for widget in controls.values():
            widget.observe(self.redraw, "value")
        self.redraw()

    @property
    def values(self) -> dict[str, Any]:
        return {name: widget.value for name, widget in self.controls.items()}

    def redraw(self, change: Any = None) -> None:
        """Draw the present values; on an error keep the last picture and show one sentence."""
        values = self.values
        if values == self.shown:
            return
        self.shown = values
        try:
            image, width = picture_of(self.draw(**values))
        except Exception as why:
            self.fail(values, why)
            return
        self.note.value, self.image.width, self.image.value = "", str(width), image

    def fail(self, values: dict[str, Any], why: Exception) -> None:
        """Show one sentence in place of a traceback; raise in strict mode."""
        if strict():
            raise why
        call, reason = (
            ", ".join(f"{name}={value!r}" for name, value in values.items()),
            f"{type(why).__name__}: {why}",
        )
        self.note.value = f"{ALERT}draw({html.escape(call)}) did not draw: {html.escape(reason[:300])}</div>"

    def strip(self) -> bytes:
        """The picture at five values of the first control, as one PNG."""
        name, first = next(iter(self.controls.items()))
        pictures, captions = [], []
        for value in samples(first):
            try:
                image, _ = picture_of(self.draw(**{**self.values, name: value}))
            except Exception as why:
                self.fail({**self.values, name: value}, why)
                continue
            pictures.append(matplotlib.image.imread(io.BytesIO(image))[..., :3])
            captions.append(f"{name} = {value:.3g}" if isinstance(value, float) else f"{name} = {value}")
        return preview.images(pictures, captions) if pictures else b""

    def __repr__(self) -> str:
        return f"play({self.label}): run the cell and move {', '.join(self.controls)}"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        live, note = super()._repr_mimebundle_(**kwargs), self.note.value
        # five draws: for built notebooks alone
        picture = self.strip() if os.environ.get("DGM_PREVIEW") else self.image.value
        self.note.value = note  # drop what the strip's other values wrote
        return preview.bundle(live, picture, self.label, repr(self)) if picture else live


def play(draw: Callable[..., Any], **sliders: Any) -> Play:
    """Show ``draw(**values)`` with a control for each name, redrawn as they move.

    draw      returns the Figure or Axes it drew on, or an image (H, W) / (H, W, 3); best kept under 0.1 s
    sliders   (lo, hi), (lo, hi, step) or (lo, hi, step, start); a list or dict of choices; a bool; a widget

    The first line of draw's docstring is the alternative text.  An error inside draw is shown under the picture."""
    if not callable(draw):
        came = f"{type(draw).__name__} came. Write play(draw, t=(0., 1.))."
        raise TypeError(f"play needs a function that draws; {came}")
    if not sliders:
        raise TypeError("play needs at least one slider, such as t=(0.0, 1.0).")
    first = (draw.__doc__ or "").strip().split("\n")[0]
    name = getattr(draw, "__name__", "a picture").replace("_", " ").replace("<lambda>", "a picture")
    label = first or f"{name} for {', '.join(sliders)}"
    return Play(draw, {name: control(name, spec) for name, spec in sliders.items()}, label)
