"""Figures as small PNG files."""

from __future__ import annotations

import io

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def png(figure: Figure, dpi: float = 100) -> bytes:
    """The figure as PNG bytes; the fastest compression, for a redraw must keep up with a slider."""
    if not isinstance(figure.canvas, FigureCanvasAgg):
        FigureCanvasAgg(figure)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=dpi, pil_kwargs={"compress_level": 1})
    return out.getvalue()


def small(picture: bytes, colours: int = 64) -> bytes:
    """The same PNG with a palette: a quarter of the bytes, for what is committed with a notebook."""
    from PIL import Image

    out = io.BytesIO()
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    image.quantize(colours, kmeans=2, dither=Image.Dither.NONE).save(out, format="png", optimize=True)
    return out.getvalue()
