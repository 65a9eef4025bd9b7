"""Pictures of vector quantization: cells, codes, the straight-through estimate, and which term of the loss moves what."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from torch import Tensor

from ...vq import nearest
from .base import images
from .style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    VERMILION,
    Picture,
    frame,
    open_axes,
    panels,
    picture,
    plane,
    scatter,
    shown,
    write,
)
from .tokens import ARROW


@picture(3.6, 3.6)
def cells(
    vectors: Tensor, ax: Axes, points: Tensor | None = None, marked: int | None = None, limit: float = 4.0
) -> Axes:
    """The regions of the plane in which each vector is the nearest; vermilion crosses: vectors that no point chooses.

    vectors (K, 2); points (N, 2) in ink; marked: a vector with a circle around it"""
    vectors = vectors.detach().cpu().float()
    line = torch.linspace(-limit, limit, 161)
    owner = nearest(torch.cartesian_prod(line, line), vectors).view(161, 161).T
    shade = torch.tensor([0.0, 0.55, 0.28, 0.85, 0.42, 0.14, 0.7])[owner % 7]
    plane(0.86 + 0.13 * shade.numpy(), ax, limit, cmap="gray", vmin=0, vmax=1)
    for k in owner.unique().tolist():
        ax.contour(line, line, (owner == k).numpy(), levels=[0.5], colors=GREY, linewidths=0.6)
    used = torch.ones(len(vectors)).bool()
    if points is not None:
        points = points.detach().cpu().float()
        scatter(ax, points, 2.5, INK, alpha=0.5)
        used = torch.bincount(nearest(points, vectors), minlength=len(vectors)) > 0
    scatter(ax, vectors[used], 26, BLUE, linewidths=None, zorder=4)
    scatter(ax, vectors[~used], 34, VERMILION, linewidths=None, marker="x", zorder=4)
    if marked is not None:
        ring = {"facecolors": "none", "edgecolors": VERMILION, "linewidths": 1.6, "zorder": 5}
        scatter(ax, vectors[marked, None], 130, None, **ring)
    return frame(ax, limit)


@picture(6.4, 3.0)
def staircase(vectors: Tensor, cost: Callable[[Tensor], Tensor], at: Tensor, ax: Axes) -> Axes:
    """A cost of z_q(z) along a line of outputs z, with the straight-through estimate of its slope as arrows.

    vectors (K, 1); cost: (N,) -> (N,); at (M,): the places of the arrows"""
    table = vectors.detach().flatten()
    z = torch.linspace(float(table.min()) - 0.7, float(table.max()) + 0.7, 1200)
    value = cost(table[nearest(z[:, None], vectors)])
    jump = value.diff(prepend=value[:1]).abs() > 1e-6
    ax.plot(z, cost(z), color=GREEN, ls="--", lw=1.3, label="cost, were z itself decoded")
    ax.plot(z, torch.where(jump, torch.nan, value), color=INK, lw=1.8, label="cost of the nearest vector")
    ax.scatter(table, cost(table), s=30, c=BLUE, zorder=4, label="the vectors")
    chosen = table[nearest(at[:, None], vectors)].clone().requires_grad_()
    (slope,) = torch.autograd.grad(cost(chosen).sum(), chosen)
    y, run, arrow = cost(chosen).detach(), 0.32, ARROW | {"color": VERMILION, "lw": 1.5}
    for a, b, s in zip(at.tolist(), y.tolist(), slope.tolist()):
        ax.annotate("", (a - run * np.sign(s), b - run * abs(s)), (a, b), zorder=5, arrowprops=arrow)
    ax.plot([], [], color=VERMILION, lw=1.5, label="straight-through: one step down")
    ax.set(xlabel="encoder output $z$", ylabel="cost")
    ax.legend(frameon=False, fontsize=7.5, loc="upper center", ncols=2, bbox_to_anchor=(0.5, 1.25))
    return open_axes(ax)


@picture(5.4, 2.5)
def moves(norms: Mapping[str, Mapping[str, float]], ax: Axes) -> Axes:
    """The gradient norm of each term of a loss in each part of a model; a cell is empty where it is exactly zero.

    norms: term -> part -> norm of the gradient"""
    parts = list(next(iter(norms.values())))
    table = np.array([[row[part] for part in parts] for row in norms.values()])
    ax.imshow(table > 0, cmap="Blues", vmin=0, vmax=2.4, aspect="auto")
    for (r, c), value in np.ndenumerate(table):
        if value:
            write(ax, c, r, f"{value:.2g}", 10, weight="bold")
        else:
            write(ax, c, r, "0", 10, GREY)
    ax.set_xticks(range(len(parts)), parts)
    ax.set_yticks(range(len(norms)), list(norms))
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.set_xticks(np.arange(len(parts) + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(len(norms) + 1) - 0.5, minor=True)
    ax.grid(which="minor", color="white", lw=2)
    ax.tick_params(which="minor", length=0)
    ax.spines[:].set_visible(False)
    return ax


def shades(vectors: Tensor) -> Tensor:
    """The rank of each vector along the first principal axis, in [0, 1]: similar vectors, similar shades.  (K, d) -> (K,)"""
    centred = (vectors - vectors.mean(0)).detach().cpu().double()
    along = centred @ torch.linalg.eigh(centred.T @ centred)[1][:, -1]
    along = along * torch.sign(along[along.abs().argmax()])
    return along.argsort().argsort() / max(1, len(vectors) - 1)


@picture(5.6, 1.2)
def maps(codes: Tensor, colour: Tensor, ax: Axes) -> Axes:
    """Grids of codes side by side, each code in its colour.  codes (N, h, w), colour (K,) in [0, 1]"""
    n, h, w = codes.shape
    sheet = np.ones((h + 1, n * (w + 1), 4))
    for i, grid in enumerate(colormaps["turbo"](colour[codes.cpu()].numpy())):
        sheet[:h, i * (w + 1) : i * (w + 1) + w] = grid
    ax.imshow(sheet, interpolation="nearest")
    ax.axis("off")
    return ax


def rows(named: Mapping[str, Tensor], alt: str, colour: Tensor | None = None) -> Picture:
    """Rows of images (N, 1, H, W) and of grids of codes (N, h, w), whole numbers, all of the same N."""
    axes = panels(len(named), 7.2, 1, height=0.8)
    for ax, (name, x) in zip(axes, named.items(), strict=True):
        if x.is_floating_point():
            images(x, ax=ax, columns=len(x))
        else:
            maps(x, torch.linspace(0, 1, int(x.max()) + 1) if colour is None else colour, ax=ax)
        ax.set_title(name, fontsize=9, loc="left", color=INK, pad=2)
    return shown(axes, alt)


def usage(named: Mapping[str, Tensor], alt: str) -> Picture:
    """How often each code is used, in descending order, with 1/K in green; the titles count unused codes.

    named: (K,) each"""
    axes = panels(len(named), 2.7, height=2.3)
    for ax, (name, share) in zip(axes, named.items(), strict=True):
        ordered = share.detach().cpu().sort(descending=True).values.numpy()
        ax.bar(range(len(ordered)), ordered, width=1.0, color=BLUE, log=True)
        ax.axhline(1 / len(ordered), color=GREEN, ls="--", lw=1.0)
        ax.set_title(f"{name}: {int((ordered == 0).sum())} of {len(ordered)} dead", fontsize=8.5, color=INK)
        open_axes(ax).set(xlim=(-1, len(ordered)), ylim=(1e-4, 1.0), xlabel="codes, most used first")
    axes[0].set_ylabel("share of all places")
    return shown(axes, alt)


@picture(6.4, 2.6)
def shares(tables: Sequence[Tensor], ax: Axes, names: Sequence[str]) -> Axes:
    """Samples of probability vectors as columns of stacked shares, table after table.  tables: (N, K) each"""
    colors, start = colormaps["turbo"](np.linspace(0.08, 0.92, tables[0].shape[1])), 0
    for table, name in zip(tables, names, strict=True):
        place, base = start + np.arange(len(table)), np.zeros(len(table))
        for share, color in zip(table.detach().cpu().numpy().T, colors):
            ax.bar(place, share, bottom=base, width=0.9, color=color)
            base += share
        write(ax, place.mean(), 1.04, name, va="baseline")
        start += len(table) + 1
    ax.set(xticks=[], ylim=(0, 1.15), ylabel="share of each code")
    ax.spines[["top", "right", "bottom"]].set_visible(False)
    return ax
