"""The players' base class, and the still pictures that GitHub and printed pages show in their place."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import anywidget
import numpy as np
import traitlets
from matplotlib.figure import Figure

from ..plots.style import BLUE, GREY, INK, PALE, png, small
from .serialize import Array, style


def some(count: int, most: int) -> list[int]:
    """At most ``most`` indices spread evenly over ``count``, the first and the last among them."""
    return sorted({int(i) for i in np.linspace(0, count - 1, min(count, most)).round()})


def ramp(u: float) -> tuple[float, ...]:
    """The colour of particles at u in [0, 1] of their path, from source grey to model blue."""
    a, b = (np.array([int(c[i : i + 2], 16) for i in (1, 3, 5)]) / 255 for c in (GREY, BLUE))
    return tuple(a + (b - a) * (u * u * (3 - 2 * u)))


def images(pictures: Sequence[Array], captions: Sequence[str], width: float = 1.7) -> bytes:
    """Pictures (H, W) in [0, 1], 1 in ink, or (H, W, 3) side by side under captions, as a PNG; ``width`` in inches.

    Pictures more than twice as wide as high stand one below the other, 6.4 inches wide; three at most where each is high."""
    tall = max(p.shape[0] / p.shape[1] for p in pictures)
    if 0.3 < tall < 0.5:
        keep = some(len(pictures), 3)
        pictures, captions = [pictures[i] for i in keep], [captions[i] for i in keep]
    across = 1 if tall < 0.5 else len(pictures)
    wide = max(width, min(3.4, 5 * width / len(pictures))) if tall >= 0.5 else 6.4
    down, height = -(-len(pictures) // across), tall * wide + 0.32
    figure = Figure(figsize=(wide * across + 0.1, height * down))
    margins = {"left": 0.005, "right": 0.995, "bottom": 0.01, "top": 1 - 0.30 / (height * down)}
    grid = {**margins, "wspace": 0.05, "hspace": 0.32 / (tall * wide)}
    axes = figure.subplots(down, across, squeeze=False, gridspec_kw=grid).flat
    for ax, picture, caption in zip(axes, pictures, captions, strict=True):
        smooth = "nearest" if picture.ndim == 2 else "antialiased"
        ax.imshow(picture, cmap="gray_r", vmin=0, vmax=1, interpolation=smooth)
        ax.set_title(caption, fontsize=9, color=INK, pad=4)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_color(PALE)
    return small(png(figure))


def bundle(parent: Any, picture: bytes, label: str, text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A widget's mime bundle with a PNG and a line of text, for pages where no script runs."""
    data, meta = parent if isinstance(parent, tuple) else (parent, {})
    data = {**(data or {}), "image/png": base64.b64encode(picture).decode(), "text/plain": text}
    return data, {**meta, "image/png": {"alt": label}}


class Player(anywidget.AnyWidget):
    """A widget that gets ``buffer`` and ``spec`` once.  A subclass sets ``_esm`` and ``label``, and draws ``strip``."""

    _css = style()
    buffer = traitlets.Bytes().tag(sync=True)
    spec = traitlets.Dict().tag(sync=True)
    label: str

    def strip(self) -> bytes:
        """A PNG that stands in for the player."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return bundle(super()._repr_mimebundle_(**kwargs), self.strip(), self.label, repr(self))
