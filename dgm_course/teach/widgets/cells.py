"""The cell player: vectors of a codebook to drag over points of the plane, each with its region.

The browser finds the nearest vectors, takes steps of k-means and resets unused vectors.  The still picture shows the
vectors as given, after one step of k-means and after ten.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ...vq import Codebook, EMAUpdate
from ..plots.style import panels, shown
from ..plots.vq import cells
from .preview import Player
from .serialize import Array, BufferBuilder, array, script

MOST = 5_000  # points: each is compared with each vector at every frame


def _read_plane(x: Any, name: str, least: int) -> Array:
    """Points of the plane (N, 2), N from ``least`` to MOST."""
    x = array(x, name)
    if x.ndim != 2 or x.shape[1] != 2 or not least <= len(x) <= MOST:
        raise ValueError(f"{name} must have shape (N, 2), N from {least} to {MOST:,}; {tuple(x.shape)} came.")
    return x.astype(np.float32)


def after_steps(points: Array, vectors: Array, steps: int) -> torch.Tensor:
    """The vectors after so many steps of k-means.  points (N, 2), vectors (K, 2) -> (K, 2)"""
    book, rows = Codebook(torch.from_numpy(vectors), EMAUpdate(0.0)), torch.from_numpy(points)
    for _ in range(steps):
        book.learn(rows, book.codes(rows))
    return torch.as_tensor(book.vectors)


class CellPlayer(Player):
    """Vectors (K, 2) over points (N, 2): drag them and watch the cells, the error and how many are in use.

    label: alternative text; frame: half the side of the plane.  ValueError for a wrong shape."""

    _esm = script("common", "cells")

    def __init__(self, points: Any, vectors: Any, label: str = "", frame: float = 4.0) -> None:
        self.points, self.vectors = _read_plane(points, "points", 1), _read_plane(vectors, "vectors", 2)
        default = f"{len(self.vectors)} vectors and the regions they own, over {len(self.points)} points"
        self.label, self.frame, buffer = label or default, float(frame), BufferBuilder()
        spec = {"at": buffer.add(self.points), "count": len(self.points), "vectors": self.vectors.tolist()}
        super().__init__(spec={**spec, "frame": self.frame, "label": self.label}, buffer=buffer.bytes())

    def strip(self) -> bytes:
        axes, points = panels(3, 2.5), torch.from_numpy(self.points)
        for ax, steps, name in zip(axes, (0, 1, 10), ("as given", "one step of k-means", "10 steps")):
            vectors = after_steps(self.points, self.vectors, steps)
            error = torch.cdist(points, vectors).amin(1).square().mean()
            cells(vectors, points=points, ax=ax, limit=self.frame, title=f"{name}: {float(error):.3f}")
        return shown(axes, self.label).png()

    def __repr__(self) -> str:
        return f"CellPlayer({self.label}): run the cell to drag them"
