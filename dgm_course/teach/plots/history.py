"""Pictures of autoregressive image models: a mask, what a pixel depends on, the order of sampling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch import Tensor

from .style import BLUES, GREY, INK, PALE, VERMILION, picture, write


@picture(2.0, 2.1)
def mask_taps(mask: Tensor, ax: Axes) -> Axes:
    """The zeros and ones of a mask, its centre framed.  mask (rows, columns)"""
    ax.imshow(mask.numpy(), cmap=BLUES, vmin=0, vmax=1.6)
    for (row, column), value in np.ndenumerate(mask.numpy()):
        write(ax, column, row, f"{int(value)}", 12, INK if value else GREY)
    return framed(ax, [size // 2 for size in mask.shape])


@picture(2.9, 3.0)
def reach(felt: Tensor, place: Sequence[int], ax: Axes) -> Axes:
    """How much the framed pixel depends on each other, dark where much; hatched: earlier pixels without influence.

    felt (H, W) >= 0, exactly 0 where no path leads; shown on a logarithmic scale of six decades"""
    felt, place = felt.detach().cpu().double(), tuple(place)
    shade = torch.where(felt > 0, (felt / felt.max().clamp(min=1e-300)).clamp(min=1e-6).log10() / 6 + 1.15, 0.0)
    ax.imshow(shade.numpy(), cmap=BLUES, vmin=0, vmax=1.3)
    for r, c in (felt == 0).nonzero().tolist():
        if (r, c) < place:
            ax.add_patch(Rectangle((c - 0.5, r - 0.5), 1, 1, fill=False, hatch="////", edgecolor="#c4c4c4", lw=0))
    return framed(ax, place)


@picture(4.2, 4.2)
def wavefronts(steps: Tensor, now: int, ax: Axes) -> Axes:
    """The step in which each pixel is drawn: those of step ``now`` framed, the earlier ones darker.  steps (H, W), int"""
    ax.imshow(torch.where(steps < now, 0.45, 0.0).numpy(), cmap=BLUES, vmin=0, vmax=1.3)
    for (row, column), step in np.ndenumerate(steps.numpy()):
        write(ax, column, row, f"{step}", color=INK if step <= now else GREY)
        if step == now:
            framed(ax, (row, column))
    ax.set(xticks=[], yticks=[])
    return ax


def framed(ax: Axes, place: Sequence[int]) -> Axes:
    """A red frame around one pixel (row, column)."""
    row, column = place
    ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=VERMILION, lw=2))
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_color(PALE)
    return ax


@picture(6.6, 1.4)
def small_images(tokens: Tensor, ax: Axes, columns: int = 12) -> Axes:
    """Images of a few pixels, each in its frame: 0 paper, 1 ink, 2 not sampled yet (grey).  tokens (N, H, W)"""
    n, h, w = tokens.shape
    for k, image in enumerate(torch.tensor([1.0, 0.1, 0.72])[tokens]):
        top, left = k // columns * (h + 1), k % columns * (w + 1)
        ax.imshow(image.numpy(), cmap="gray", vmin=0, vmax=1, extent=(left, left + w, top + h, top))
        ax.add_patch(Rectangle((left, top), w, h, fill=False, edgecolor="#a8a8a8", lw=0.8))
    ax.set(xlim=(-0.1, columns * (w + 1) - 0.9), ylim=((n - 1) // columns * (h + 1) + h + 0.1, -0.1))
    ax.axis("off")
    return ax
