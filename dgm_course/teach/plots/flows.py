"""Pictures of flows: a square grid after the map, and the pattern of a Jacobian."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from torch import Tensor

from .style import BLUE, BLUES, Picture, frame, panels, picture, shown

LEVEL, SAND = "#555555", "#EFE6D2"


def paper(half: float = 2.4, lines: int = 17, points: int = 97) -> Tensor:
    """The lines of a square grid, upright ones first.  -> (2 lines, points, 2)"""
    line, along = torch.linspace(-half, half, lines), torch.linspace(-half, half, points)
    down = torch.stack([line[:, None].expand(lines, points), along.expand(lines, points)], -1)
    return torch.cat([down, down.flip(-1)])


@picture(3.2, 3.2)
def bent(lines: Tensor, ax: Axes, limit: float = 4.0) -> Axes:
    """A square grid after a map: blue the lines that were upright, dark grey the level ones.  (2 lines, points, 2)"""
    half = len(lines) // 2
    for part, color in ((lines[:half], BLUE), (lines[half:], LEVEL)):
        ax.add_collection(LineCollection(part.detach().numpy(), colors=color, linewidths=0.7, alpha=0.8))
    return frame(ax, limit)


def bending(stages: Sequence[Tensor], names: Sequence[str], alt: str, limit: float = 4.0) -> Picture:
    """A square grid after several maps.  stages: each (2 lines, points, 2)"""
    axes = panels(len(stages), 2.05)
    for ax, lines, name in zip(axes, stages, names, strict=True):
        bent(lines, ax=ax, limit=limit, title=name)
    return shown(axes, alt)


def jacobians(functions: dict[str, Callable[[Tensor], Tensor]], x: Tensor, alt: str) -> Picture:
    """|∂z_i/∂x_j| of several functions at one point, bluer where larger; exact zeros are sand.  x (D,)"""
    axes, colors = panels(len(functions), 2.3), BLUES.copy()
    colors.set_bad(SAND)
    for ax, (name, f) in zip(axes, functions.items()):
        matrix = torch.autograd.functional.jacobian(f, x).abs()
        ax.imshow(np.ma.masked_equal(((matrix / matrix.max()) ** 0.4).numpy(), 0), cmap=colors, vmin=0, vmax=1)
        ax.set_title(name, fontsize=10)
        ax.set(xlabel="$x_j$", ylabel="$z_i$", xticks=[], yticks=[])
    return shown(axes, alt)
