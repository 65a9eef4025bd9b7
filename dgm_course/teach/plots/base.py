"""Pictures that many notebooks draw.

Each function takes data.  With ``ax`` it draws into that panel and returns the axes; without it returns a ``Picture``
with its alternative text.  The palette and its meaning are in ``style``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from torch import Tensor

from .style import (
    ARROWS,
    BLUE,
    BLUES,
    DPI,
    FRAME,
    GREEN,
    GREY,
    INK,
    SERIES,
    VERMILION,
    Picture,
    frame,
    panels,
    picture,
    plain,
    plane,
    scatter,
    shown,
    write,
)

# --- the plane


@picture()
def points(x: Tensor, ax: Axes, color: str = INK, size: float = 2.0, limit: float = FRAME) -> Axes:
    """Points of the plane."""
    scatter(ax, x, size, color, alpha=0.45 if len(x) > 100 else 1.0, zorder=3)
    return frame(ax, limit)


@picture()
def density_map(
    log_prob: Callable[[Tensor], Tensor], ax: Axes, limit: float = FRAME, top: float | None = None, side: int = 121
) -> Axes:
    """A density, dark where it is high; ``top`` is the darkest value, so that panels can share one scale.

    side: nodes along an axis, smoothed where there are more than a hundred"""
    line = torch.linspace(-limit, limit, side, dtype=torch.float64)
    p = log_prob(torch.cartesian_prod(line, line)).exp().view(side, side).T.detach()
    smooth = "bilinear" if side > 100 else "nearest"
    plane(p, ax, limit, cmap=BLUES, vmin=0, vmax=top, interpolation=smooth)
    return frame(ax, limit)


@picture()
def heat(values: Tensor, ax: Axes, limit: float = FRAME, size: float | None = None) -> Axes:
    """A signed quantity on a square grid of the plane, red above zero and blue below.  values (n²,); size: the scale"""
    values = values.detach().cpu().view(math.isqrt(values.numel()), -1).T
    size = size or float(values.abs().max())
    image = plane(values, ax, limit, cmap="RdBu_r", vmin=-size, vmax=size, interpolation="bilinear")
    ax.figure.colorbar(image, ax=ax, shrink=0.75, format="%.1g").outline.set_visible(False)
    return frame(ax, limit)


@picture()
def arrows(
    field: Callable[[Tensor, Tensor], Tensor],
    t: float,
    ax: Axes,
    color: str = BLUE,
    limit: float = FRAME,
    weight: Callable[[Tensor], Tensor] | None = None,
) -> Axes:
    """A vector field at one time.  weight: a log-density; its arrows fade where it is low"""
    line = torch.linspace(-limit, limit, 23)[1:-1]
    nodes = torch.cartesian_prod(line, line)
    with torch.no_grad():
        u = field(nodes, torch.tensor(t))
    strength = torch.ones(len(nodes)) if weight is None else (weight(nodes.double()).exp() ** 0.35).float()
    alpha = (strength / strength.max()).clamp(0.06, 1)
    ax.quiver(*nodes.T, *u.T, color=color, alpha=alpha.numpy(), scale=9, width=0.006, **ARROWS)
    return frame(ax, limit)


@picture(3.4, 3.4)
def flow(field: Any, t: float, ax: Axes, limit: float = FRAME) -> Axes:
    """The density of the particles at time t, and the velocity there as arrows.  field: an exact field"""
    log_prob = field.marginal(t).log_prob
    density_map(log_prob, ax=ax, limit=limit)
    return arrows(field, t, ax=ax, color=INK, weight=log_prob, limit=limit)


@picture(3.4, 3.4)
def vote(x: Tensor, targets: Tensor, weights: Tensor, ax: Axes, scale: float = 0.35) -> Axes:
    """One point's possible partners (ink), the pull (target − x) of each, and their weighted mean (green).

    x (2,), targets (N, 2), weights (N,) that sum to one; an arrow is drawn ``scale`` times as long"""
    x, targets, weights = (some.detach().cpu() for some in (x, targets, weights))
    strength, look = (weights / weights.max()).clamp(0.1, 1).numpy(), {"scale": 1 / scale, **ARROWS}
    pull = targets - x
    ax.quiver(*x.expand_as(targets).T, *pull.T, alpha=strength * 0.5, color=BLUE, width=0.005, **look)
    scatter(ax, targets, 10, INK, alpha=strength)
    ax.quiver(*x, *(weights @ pull), color=GREEN, width=0.014, zorder=5, **look)
    scatter(ax, x[None], 26, VERMILION, linewidths=None, zorder=4)
    return frame(ax)


def _lines(ax: Axes, x: Tensor, color: str, width: float, alpha: float, size: float) -> None:
    """Lines x (T, N, 2) from grey starts to ink ends."""
    ax.add_collection(LineCollection(x.transpose(0, 1).numpy(), colors=color, linewidths=width, alpha=alpha))
    scatter(ax, x[0], size, GREY, zorder=2)
    scatter(ax, x[-1], size, INK, zorder=3)


@picture(3.4, 3.4)
def conditional_paths(x0: Tensor, x1: Tensor, ax: Axes) -> Axes:
    """Straight paths from noise (grey) to data (ink).  x0, x1 (N, 2)"""
    _lines(ax, torch.stack([x0, x1]).detach().cpu(), BLUE, 0.7, 0.5, 9)
    return frame(ax)


@picture(3.4, 3.4)
def trajectories(
    trajectory: Tensor, ax: Axes, color: str = BLUE, shown: int = 60, limit: float = FRAME, ticks: int = 0
) -> Axes:
    """Trajectories of particles from their start (grey) to their end (ink); ``ticks`` dots at equal times on each.

    trajectory (T, N, 2), of which the first ``shown`` particles are drawn"""
    some = trajectory[:, :shown].detach().cpu()
    if ticks:
        stops = some[torch.linspace(0, len(some) - 1, ticks + 2).round().long()[1:-1]]
        scatter(ax, stops.flatten(0, 1), 6, VERMILION, zorder=2)
    _lines(ax, some, color, 0.8, 0.55, 7)
    return frame(ax, limit)


def snapshots(
    trajectory: Tensor, times: Sequence[float], alt: str, exact: Callable[[float], Any] | None = None
) -> Picture:
    """The particles at five moments, over the exact marginal where it is given.  trajectory (T, N, 2), times (T,)"""
    axes = panels(5, 2.05)
    for i, ax in enumerate(axes):
        k = round(i * (len(trajectory) - 1) / 4)
        t = float(times[k])
        if exact is not None:
            density_map(exact(t).log_prob, ax=ax)
        points(trajectory[k, :1500], ax=ax, color=GREY if k == 0 else BLUE, size=1.6, title=f"$t={t:.2f}$")
    return shown(axes, alt)


# --- curves and bars


@picture(6.2, 3.1)
def curves(series: Mapping[str, Any], ax: Axes, xlabel: str, ylabel: str, log: str = "") -> Axes:
    """Named curves with their spread: name -> (x, y) or (x, y, spread).  Dashed: names starting with exact, floor or guide.

    log: 'x', 'y' or 'xy' for logarithmic axes"""
    for k, (name, (x, y, *spread)) in enumerate(series.items()):
        x, y = np.asarray(x, float), np.asarray(y, float)
        guide, reference = name.startswith("guide"), name.startswith(("exact", "floor", "guide"))
        color = GREY if guide else GREEN if reference else SERIES[k % len(SERIES)]
        style, marker = "--" if reference else "-", "" if reference or len(x) > 30 else "o"
        ax.plot(x, y, color=color, ls=style, label=name, lw=1.6, marker=marker, ms=3.5)
        if spread:
            ax.fill_between(x, y - np.asarray(spread[0]), y + np.asarray(spread[0]), color=color, alpha=0.18, lw=0)
    ax.set(xscale="log" if "x" in log else "linear", yscale="log" if "y" in log else "linear")
    if "x" in log and len(x) <= 10:  # a few measured numbers are the ticks
        ax.set_xticks(x, [f"{v:g}" for v in x], minor=False)
        ax.set_xticks([], minor=True)
    if len(series) > 1:
        ax.legend(frameon=False, fontsize=8)
    return plain(ax, xlabel, ylabel)


@picture(6.2, 3.1)
def bars(heights: Mapping[str, float], ax: Axes, ylabel: str, spread: Sequence[float] | None = None) -> Axes:
    """Named bars with their values above the bars and above their errors.  spread: half the length of the error bars"""
    values, places = [float(v) for v in heights.values()], range(len(heights))
    colors = [GREEN if name.startswith(("exact", "floor")) else BLUE for name in heights]
    ax.bar(places, values, yerr=spread, color=colors, width=0.62, ecolor=INK, capsize=3)
    above = {"xytext": (0, 2), "textcoords": "offset points", "ha": "center", "va": "bottom", "fontsize": 8}
    for place, value, error in zip(places, values, [0.0] * len(values) if spread is None else spread):
        ax.annotate(f"{value:.3g}", (place, max(value + float(error), 0.0)), **above)
    ax.set_xticks(list(places), list(heights), fontsize=8)
    return plain(ax, "", ylabel)


@picture(4.6, 2.8)
def losses(*histories: Any, ax: Axes, names: Sequence[str] = ()) -> Axes:
    """Training losses, smoothed over fifty steps; names: one for each history."""
    names = names or [f"run {k + 1}" for k in range(len(histories))]
    for k, (history, name) in enumerate(zip(histories, names, strict=True)):
        ax.plot(history.smooth().numpy(), color=SERIES[k % len(SERIES)], lw=1.3, label=name)
    if len(histories) > 1:
        ax.legend(frameon=False, fontsize=8)
    return plain(ax, "step", "loss (mean of 50)")


def schedules(paths: Mapping[str, Any], alt: str) -> Picture:
    """alpha and sigma of several paths over t, with the diffusion slides' time 1 − t as a second axis."""
    axes, t = panels(2, 3.4, height=3.0), torch.linspace(0, 0.999, 200)
    for k, (name, path) in enumerate(paths.items()):
        for ax, y in zip(axes, path.at(t)):
            ax.plot(t, y, color=SERIES[k], lw=1.6, label=name)
    for ax, name in zip(axes, (r"$\alpha_t$, the share of data", r"$\sigma_t$, the share of noise")):
        plain(ax, "$t$: 0 noise, 1 data", "").set_title(name, fontsize=10)
        ax.set_ylim(-0.05, 1.3)
        other = ax.secondary_xaxis(-0.3, functions=(lambda s: 1 - s, lambda s: 1 - s))
        other.set_xlabel("$1-t$: the diffusion slides' time")
    axes[0].legend(frameon=False, fontsize=8)
    return shown(axes, alt)


# --- images


def _check_images(x: Tensor) -> Tensor:
    if x.ndim != 4 or x.shape[1] != 1 or not len(x):
        raise ValueError(f"images have shape {tuple(x.shape)}: expected (N, 1, H, W), N at least one.")
    return x


def tiles(images: Tensor, columns: int = 10) -> Tensor:
    """Images (N, 1, H, W) in [-1, 1] in rows with a pixel around each, ink 0 and paper 1.  -> (R, C)"""
    n, _, h, w = _check_images(images).shape
    rows = math.ceil(n / columns)
    sheet = images.new_full((rows * columns, h + 2, w + 2), -1.0)
    sheet[:n, 1:-1, 1:-1] = images[:, 0].clamp(-1, 1)
    return 0.5 - sheet.view(rows, columns, h + 2, w + 2).transpose(1, 2).reshape(rows * (h + 2), -1) / 2


def show_tiles(x: Tensor, ax: Axes, columns: int) -> Tensor:
    """Draw ``tiles`` without axes, and return them."""
    sheet = tiles(x.detach().float().cpu(), columns)
    ax.imshow(sheet, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    ax.axis("off")
    return sheet


@picture(5.6, 2.9)
def images(x: Tensor, ax: Axes, columns: int = 10, names: Sequence[str] = ()) -> Axes:
    """Images in rows, ink on paper, the rows named at the left.  x (N, 1, H, W) in [-1, 1]; names: none or one a row"""
    height, width = show_tiles(x, ax, columns).shape
    _fit_height(ax, height / width)
    for row, name in enumerate(names):
        write(ax, -0.01, 1 - (row + 0.5) / len(names), name, ha="right", transform=ax.transAxes)
    return ax


def _fit_height(ax: Axes, ratio: float) -> None:
    """Set the height of a figure with one panel to ``ratio`` times its width."""
    if ax.figure.axes == [ax]:
        ax.figure.set_figheight(0.2 + ax.figure.get_figwidth() * ratio)


def gallery(rows: Mapping[str, Tensor], alt: str, columns: int = 12) -> Picture:
    """Named rows of images, one below the other, each ``columns`` wide."""
    tall = [math.ceil(len(_check_images(x)) / columns) for x in rows.values()]
    figure = Figure((columns * 0.55, sum(tall) * 0.55 + 0.27 * len(rows)), DPI, layout="constrained")
    for ax, (name, x) in zip(figure.subplots(len(rows), 1, height_ratios=tall, squeeze=False)[:, 0], rows.items()):
        images(x, ax=ax, columns=columns, title=name)
        ax.title.set_horizontalalignment("left")
        ax.title.set_x(0.0)
    return Picture(figure, alt)


# --- tokens


@picture(3.2, 3.0)
def matrix(values: Tensor, ax: Axes, names: Sequence[str], xlabel: str = "from", ylabel: str = "to") -> Axes:
    """Probabilities from column to row, each written into its cell.  values (n, n) in [0, 1]; names of the n symbols"""
    ax.imshow(values.detach().cpu(), cmap=BLUES, vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(values.detach().cpu().numpy()):
        write(ax, column, row, f"{value:.2f}" if value else "0", color="white" if value > 0.6 else INK)
    ax.set_xticks(range(len(names)), names)
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.spines[:].set_visible(False)
    return ax


@picture(5.6, 2.2)
def letters(tokens: Tensor, ax: Axes, alphabet: str) -> Axes:
    """Short sequences as words, one a column of boxes; what is masked is a grey box.  tokens (N, L)"""
    tokens = tokens.detach().cpu()
    _fit_height(ax, tokens.shape[1] / len(tokens))
    masks = LinearSegmentedColormap.from_list("masks", ["#ffffff", "#b9b9b9"])
    ax.imshow((tokens == len(alphabet)).T, cmap=masks, vmin=0, vmax=1)
    for (word, place), token in np.ndenumerate(tokens.numpy()):
        write(ax, word, place, (*alphabet, "")[token], 11)
    ax.set_xticks(np.arange(len(tokens) + 1) - 0.5, [], minor=False)
    ax.set_yticks(np.arange(tokens.shape[1] + 1) - 0.5, [])
    ax.grid(color="#dddddd")
    ax.tick_params(length=0)
    return ax


def ink(tokens: Tensor, mask_id: int = 2) -> Tensor:
    """Tokens as images: 0 paper (−1), 1 ink (1), masked grey (0).  (N, 1, H, W) -> the same shape, floats"""
    return torch.where(tokens == mask_id, 0.0, 2.0 * tokens - 1)
