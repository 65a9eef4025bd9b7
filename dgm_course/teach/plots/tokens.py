"""Pictures of models of codes: rotary pairs, attention masks, pyramids of token maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patches import Circle
from torch import Tensor
from torch.nn import functional as F

from .style import ARROWS, BLUE, GREY, INK, PALE, VERMILION, Picture, panels, picture, shown, write

ARROW = {"arrowstyle": "->", "shrinkA": 0, "shrinkB": 0}


@picture(6.6, 3.4)
def dials(angles: Tensor, ax: Axes, names: Sequence[str] = ()) -> Axes:
    """A hand for each pair (rows, the fastest on top) at each place (columns), turned by its angle.  angles (L, P)"""
    angles = angles.detach().cpu().double()
    length, pairs = angles.shape
    across, up = np.meshgrid(np.arange(length), np.arange(pairs)[::-1])
    for center in zip(across.ravel(), up.ravel()):
        ax.add_patch(Circle(center, 0.4, facecolor="none", edgecolor=PALE, lw=0.8))
    u, v = 0.4 * angles.cos().T, 0.4 * angles.sin().T
    ax.quiver(across, up, u, v, color=BLUE, scale=1, width=0.005, zorder=3, **ARROWS)
    ax.set(xlim=(-0.6, length - 0.4), ylim=(-0.6, pairs - 0.4), aspect="equal")
    ax.set(xticks=range(length), xlabel="place $m$")
    ax.set_yticks(range(pairs)[::-1], names or [f"pair {j}" for j in range(pairs)], fontsize=8)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


def hands(queries: Tensor, keys: Tensor, names: Sequence[str], alt: str) -> Picture:
    """For each pair a dial with the query's two numbers in blue and the key's in vermilion.  queries, keys (P, 2)"""
    axes = panels(len(queries), 1.5)
    size = 1.15 * float(torch.cat([queries, keys]).norm(dim=1).max())
    for ax, q, k, name in zip(axes, queries.tolist(), keys.tolist(), names, strict=True):
        for end, color in ((q, BLUE), (k, VERMILION)):
            ax.annotate("", end, (0, 0), arrowprops=ARROW | {"color": color, "lw": 1.8})
        ax.axhline(0, color="#e4e4e4", lw=0.7, zorder=0)
        ax.axvline(0, color="#e4e4e4", lw=0.7, zorder=0)
        ax.set(xlim=(-size, size), ylim=(-size, size), xticks=[], yticks=[], aspect="equal")
        ax.set_title(name, fontsize=9, color=INK)
        ax.spines[:].set_color(PALE)
    return shown(axes, alt)


def masks(tables: Mapping[str, tuple[Tensor, Sequence[int]]], alt: str) -> Picture:
    """Which place (row) may attend to which (column), blue where allowed, with lines between blocks.

    tables: name -> ((L, L) booleans, sizes of the blocks)"""
    axes = panels(len(tables), 3.2)
    for ax, (name, (allowed, sizes)) in zip(axes, tables.items(), strict=True):
        ax.imshow(allowed.cpu().numpy(), cmap="Blues", vmin=0, vmax=1.6, interpolation="nearest")
        edges = np.cumsum([0, *sizes]) - 0.5
        if len(edges) < 12:
            for edge in edges[1:-1]:
                ax.axhline(edge, color=INK, lw=0.6)
                ax.axvline(edge, color=INK, lw=0.6)
            middles = [(a + b) / 2 for a, b in pairwise(edges)]
            labels = [f"{round(size**0.5)} × {round(size**0.5)}" if size > 1 else "" for size in sizes]
            ax.set_xticks(middles, labels, fontsize=7, rotation=45)
            ax.set_yticks(middles, labels, fontsize=7)
        else:
            ax.set(xticks=[0, len(allowed) - 1], yticks=[0, len(allowed) - 1])
        ax.tick_params(length=0)
        ax.set_xlabel("… to this place", fontsize=9)
        ax.set_title(name, fontsize=9, color=INK)
        ax.spines[:].set_color(GREY)
    axes[0].set_ylabel("may this place attend …", fontsize=9)
    return shown(axes, alt)


def pyramid(maps: Sequence[Tensor], pictures: Sequence[Tensor], colour: Tensor, last: Tensor, alt: str) -> Picture:
    """Each sample in a row: for every scale its map of codes and the image so far; at the end the original.

    maps: (N, s, s) each; pictures: (N, 1, 28, 28) each, in [-1, 1]; colour (K,) in [0, 1]; last (N, 1, 28, 28)"""
    size, gap, n = last.shape[-1], 3, len(last)
    columns: list[np.ndarray] = []
    for codes, seen in zip(maps, pictures, strict=True):
        grid = torch.from_numpy(colormaps["turbo"](colour[codes.cpu()].numpy())[..., :3]).permute(0, 3, 1, 2)
        columns += [F.interpolate(grid, size=(size, size)).permute(0, 2, 3, 1).numpy(), _paper(seen)]
    columns.append(_paper(last))
    sheet = np.ones((n * (size + gap), len(columns) * (size + gap) + 2 * gap, 3))
    left = 0
    for number, column in enumerate(columns):
        for row, tile in enumerate(column):
            sheet[row * (size + gap) :, left:][:size, :size] = tile
        left += size + (1 if number % 2 == 0 else gap + 2)
    ax = panels(1, 7.6, height=0.35 + 7.2 * sheet.shape[0] / left)[0]
    ax.imshow(sheet[:, :left], interpolation="nearest")
    for k, codes in enumerate(maps):
        side = codes.shape[-1]
        write(ax, k * (2 * size + gap + 3) + size, -3, f"{side} × {side}", va="bottom")
    write(ax, left - size / 2 - gap, -3, "original", va="bottom")
    ax.axis("off")
    return shown(ax, alt)


def _paper(x: Tensor) -> np.ndarray:
    """(N, 1, H, W) in [-1, 1] as ink on paper.  -> (N, H, W, 3)"""
    return (0.5 - x.detach().cpu().clamp(-1, 1) / 2)[:, 0, ..., None].expand(-1, -1, -1, 3).numpy()
