"""The cell player: vectors of a codebook that one can drag over a plane of points, each with the region it owns.

Everything is computed in the browser: who is nearest, a step of k-means, the revival of the dead.  Where no script runs,
three pictures stand in: as given, after one step of k-means, after ten.
"""

from __future__ import annotations

from typing import Any

import anywidget
import numpy as np
import torch
import traitlets

from ...vq import Codebook, EMAUpdate
from ..plots.style import panels, shown
from ..plots.vq import cells
from . import preview
from .serialize import Array, BufferBuilder, array, script, style

MOST = 5_000  # points: each is compared with each vector at every frame


def _read_plane(x: Any, name: str, least: int) -> Array:
    """Points of the plane (N, 2), N at least ``least``, or a sentence."""
    x = array(x, name)
    if x.ndim != 2 or x.shape[1] != 2 or not least <= len(x) <= MOST:
        raise ValueError(f"{name} must have shape (N, 2), N from {least} to {MOST:,}; {tuple(x.shape)} came.")
    return x.astype(np.float32)


def after_steps(points: Array, vectors: Array, steps: int) -> torch.Tensor:
    """The vectors after so many steps of k-means.  points (N, 2), vectors (K, 2) -> (K, 2)"""
    book, rows = Codebook(torch.from_numpy(vectors), EMAUpdate(0.0)), torch.from_numpy(points)
    for _ in range(steps):
        book.learn(rows, book.codes(rows))
    return book.vectors


class CellPlayer(anywidget.AnyWidget):
    """Vectors (K, 2) over points (N, 2): drag them, watch the cells, the error and how many are in use.

    label: alternative text; frame: half the side of the plane.  ValueError in a sentence where a shape is wrong."""

    _esm = script("common", "cells")
    _css = style()
    parcel = traitlets.Bytes().tag(sync=True)
    spec = traitlets.Dict().tag(sync=True)

    def __init__(self, points: Any, vectors: Any, label: str = "", frame: float = 4.0) -> None:
        self.points, self.vectors = _read_plane(points, "points", 1), _read_plane(vectors, "vectors", 2)
        self.label = (
            label or f"{len(self.vectors)} vectors and the regions they own, over {len(self.points)} points"
        )
        self.frame = float(frame)
        parcel = BufferBuilder()
        spec = {
            "at": parcel.add(self.points),
            "count": len(self.points),
            "vectors": self.vectors.tolist(),
            "frame": self.frame,
            "label": self.label,
        }
        super().__init__(parcel=parcel.bytes(), spec=spec)

    def strip(self) -> bytes:
        """As given, after one step of k-means, after ten, as a PNG."""
        axes, points = panels(3, 2.5), torch.from_numpy(self.points)
        for ax, steps in zip(axes, (0, 1, 10)):
            vectors = after_steps(self.points, self.vectors, steps)
            away = torch.cdist(points, vectors).amin(1).square().mean()
            name = "as given" if not steps else "one step of k-means" if steps == 1 else f"{steps} steps"
            cells(vectors, points=points, ax=ax, limit=self.frame, title=f"{name}: {float(away):.3f}")
        return shown(axes, self.label).png()

    def __repr__(self) -> str:
        return f"CellPlayer({self.label}): run the cell to drag them"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return preview.bundle(super()._repr_mimebundle_(**kwargs), self.strip(), self.label, repr(self))
