"""Still pictures of moving things: the strip of five for where no script runs (GitHub, printed pages)."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..plots.style import BLUE, GREY, INK, PALE, png, small
from .serialize import Array


def some(count: int, most: int) -> list[int]:
    """At most `most` indices spread evenly over `count`, the first and the last among them."""
    return sorted({int(i) for i in np.linspace(0, count - 1, min(count, most)).round()})


def ramp(u: float) -> tuple[float, ...]:
    """The colour of a cloud at u in [0, 1] of its way: source grey to model blue."""
    a, b = (np.array([int(c[i : i + 2], 16) for i in (1, 3, 5)]) / 255 for c in (GREY, BLUE))
    return tuple(a + (b - a) * (u * u * (3 - 2 * u)))


def images(pictures: Sequence[Array], captions: Sequence[str], width: float = 1.7) -> bytes:
    """Pictures (H, W) in [0, 1], 1 in ink, or (H, W, 3) side by side under captions; `width` in inches.

    Pictures more than twice as wide as high would be illegible side by side: they stand below one another, 6.4 inches wide,
    and no more than three of them where each is high."""
    tall = max(p.shape[0] / p.shape[1] for p in pictures)
    if 0.3 < tall < 0.5:
        keep = some(len(pictures), 3)
        pictures, captions = [pictures[i] for i in keep], [captions[i] for i in keep]
    across = 1 if tall < 0.5 else len(pictures)
    wide = max(width, min(3.4, 5 * width / len(pictures))) if tall >= 0.5 else 6.4
    down, height = -(-len(pictures) // across), tall * wide + 0.32
    figure = Figure(figsize=(wide * across + 0.1, height * down))
    axes = figure.subplots(
        down,
        across,
        squeeze=False,
        gridspec_kw={
            "left": 0.005,
            "right": 0.995,
            "bottom": 0.01,
            "top": 1 - 0.30 / (height * down),
            "wspace": 0.05,
            "hspace": 0.32 / (tall * wide),
        },
    ).flat
    for ax, picture, caption in zip(axes, pictures, captions, strict=True):
        smooth = "nearest" if picture.ndim == 2 else "antialiased"
        ax.imshow(picture, cmap="gray_r", vmin=0, vmax=1, interpolation=smooth)
        ax.set_title(caption, fontsize=9, color=INK, pad=4)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_color(PALE)
    return small(png(figure))


def bundle(parent: Any, picture: bytes, label: str, text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The widget's own mime bundle with a PNG and a plain line beside the live view.

    Where a script runs the front end prefers the widget; everywhere else it finds the picture.
    """
    data, meta = parent if isinstance(parent, tuple) else (parent, {})
    data = {**(data or {}), "image/png": base64.b64encode(picture).decode(), "text/plain": text}
    return data, {**meta, "image/png": {"alt": label}}
