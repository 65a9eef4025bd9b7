"""House pictures: one call, one picture, colours that mean things.

    data ink · source noise grey · model blue · error vermilion · exact answer green, dashed · time from grey to ink

Each function takes data, and ``ax=`` if it is to draw into a panel of somebody else's figure; then it returns the axes.
Without ``ax`` it returns a ``Picture``, which shows itself in a notebook with its alternative text.  Plane worlds share
one frame, [-4, 4]², without ticks: what matters there is shape.
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
    BLUE,
    DPI,
    FOG,
    FRAME,
    GREEN,
    GREY,
    INK,
    SERIES,
    VERMILION,
    Picture,
    _plain,
    frame,
    panels,
    picture,
    shown,
)


@picture()
def points(x: Tensor, ax: Axes, color: str = INK, size: float = 2.0, limit: float = FRAME) -> Axes:
    """Points of the plane."""
    ax.scatter(*x.detach().cpu().T, s=size, c=color, alpha=0.45 if len(x) > 100 else 1.0, linewidths=0, zorder=3)
    return frame(ax, limit)


@picture()
def density_map(
    log_prob: Callable[[Tensor], Tensor], ax: Axes, limit: float = FRAME, top: float | None = None
) -> Axes:
    """A density as a fog: the darker, the likelier; ``top`` is the darkest, so that panels can share one scale."""
    line = torch.linspace(-limit, limit, 121, dtype=torch.float64)
    nodes = torch.cartesian_prod(line, line)
    p = log_prob(nodes).exp().view(121, 121).T.detach()
    ax.imshow(p, origin="lower", extent=(-limit, limit) * 2, cmap=FOG, interpolation="bilinear", vmin=0, vmax=top)
    return frame(ax, limit)


@picture()
def heat(values: Tensor, ax: Axes, limit: float = FRAME, size: float | None = None) -> Axes:
    """A signed quantity on a square grid of the plane, red above zero and blue below."""
    n = math.isqrt(values.numel())
    values = values.detach().cpu()
    size = size or float(values.abs().max())
    image = ax.imshow(
        values.view(n, n).T,
        origin="lower",
        extent=(-limit, limit) * 2,
        cmap="RdBu_r",
        vmin=-size,
        vmax=size,
        interpolation="bilinear",
    )
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
    """A vector field at one time; with ``weight`` its arrows fade where no particles are."""
    line = torch.linspace(-limit, limit, 23)[1:-1]
    nodes = torch.cartesian_prod(line, line)
    with torch.no_grad():
        u = field(nodes, torch.tensor(t))
    strength = torch.ones(len(nodes)) if weight is None else (weight(nodes.double()).exp() ** 0.35).float()
    alpha = (strength / strength.max()).clamp(0.06, 1)
    ax.quiver(
        *nodes.T, *u.T, color=color, alpha=alpha.numpy(), angles="xy", scale_units="xy", scale=9, width=0.006
    )
    return frame(ax, limit)


@picture(3.4, 3.4)
def flow(field: Any, t: float, ax: Axes, limit: float = FRAME) -> Axes:
    """Where the particles are (fog) and where they are heading (arrows).  field: an exact field"""
    now = field.marginal(t)
    density_map(now.log_prob, ax=ax, limit=limit)
    return arrows(field, t, ax=ax, color=INK, weight=now.log_prob, limit=limit)


@picture(3.4, 3.4)
def vote(x: Tensor, targets: Tensor, weights: Tensor, ax: Axes, scale: float = 0.35) -> Axes:
    """One point's many possible partners (ink, by their weight), the pull of each, and their average (green).

    x (2,), targets (N, 2) with the weights (N,) of their votes, summing to one; arrows are (target − x) · scale"""
    x, targets, weights = (some.detach().cpu() for some in (x, targets, weights))
    strength = (weights / weights.max()).clamp(0.1, 1).numpy()
    ax.quiver(
        *x.expand_as(targets).T,
        *(targets - x).T,
        alpha=strength * 0.5,
        color=BLUE,
        angles="xy",
        scale_units="xy",
        scale=1 / scale,
        width=0.005,
    )
    ax.scatter(*targets.T, s=10, c=INK, alpha=strength, linewidths=0)
    mean = weights @ (targets - x)
    ax.quiver(*x, *mean, color=GREEN, angles="xy", scale_units="xy", scale=1 / scale, width=0.014, zorder=5)
    ax.scatter(*x, s=26, c=VERMILION, zorder=4)
    return frame(ax)


@picture(3.4, 3.4)
def conditional_paths(x0: Tensor, x1: Tensor, ax: Axes) -> Axes:
    """Straight roads from noise (grey) to data (ink)."""
    x0, x1 = x0.detach().cpu(), x1.detach().cpu()
    ax.add_collection(LineCollection(torch.stack([x0, x1], 1).numpy(), colors=BLUE, linewidths=0.7, alpha=0.5))
    ax.scatter(*x0.T, s=9, c=GREY, zorder=2, linewidths=0)
    ax.scatter(*x1.T, s=9, c=INK, zorder=3, linewidths=0)
    return frame(ax)


@picture(3.4, 3.4)
def trajectories(
    trajectory: Tensor, ax: Axes, color: str = BLUE, shown: int = 60, limit: float = FRAME, ticks: int = 0
) -> Axes:
    """Trajectories of particles from their start (grey) to their end (ink); ``ticks`` dots at equal times on each.

    trajectory (T, N, 2)"""
    some = trajectory[:, :shown].detach().cpu()
    if ticks:
        stops = some[torch.linspace(0, len(some) - 1, ticks + 2).round().long()[1:-1]]
        ax.scatter(*stops.flatten(0, 1).T, s=6, c=VERMILION, zorder=2, linewidths=0)
    ax.add_collection(LineCollection(some.transpose(0, 1).numpy(), colors=color, linewidths=0.8, alpha=0.55))
    ax.scatter(*some[0].T, s=7, c=GREY, zorder=2, linewidths=0)
    ax.scatter(*some[-1].T, s=7, c=INK, zorder=3, linewidths=0)
    return frame(ax, limit)


def snapshots(
    trajectory: Tensor, times: Sequence[float], alt: str, exact: Callable[[float], Any] | None = None
) -> Picture:
    """A cloud at five moments of its way; behind it, where given, the exact marginal.  trajectory (T, N, 2)"""
    moments = [round(k * (len(trajectory) - 1) / 4) for k in range(5)]
    axes = panels(5, 2.05)
    for ax, k in zip(axes, moments):
        if exact is not None:
            density_map(exact(float(times[k])).log_prob, ax=ax)
        points(
            trajectory[k, :1500],
            ax=ax,
            color=GREY if k == 0 else BLUE,
            size=1.6,
            title=f"$t={float(times[k]):.2f}$",
        )
    return shown(axes, alt)


@picture(6.2, 3.1)
def curves(series: Mapping[str, Any], ax: Axes, xlabel: str, ylabel: str, log: str = "") -> Axes:
    """Named curves with their spread: name -> (x, y) or (x, y, spread).  Dashed: names starting with exact, floor or guide.

    log: 'x', 'y' or 'xy' for logarithmic axes."""
    for k, (name, (x, y, *spread)) in enumerate(series.items()):
        x, y = np.asarray(x, float), np.asarray(y, float)
        guide, reference = name.startswith("guide"), name.startswith(("exact", "floor", "guide"))
        color = GREY if guide else GREEN if reference else SERIES[k % len(SERIES)]
        ax.plot(
            x,
            y,
            color=color,
            ls="--" if reference else "-",
            label=name,
            lw=1.6,
            marker="" if reference or len(x) > 30 else "o",
            ms=3.5,
        )
        if spread:
            ax.fill_between(x, y - np.asarray(spread[0]), y + np.asarray(spread[0]), color=color, alpha=0.18, lw=0)
    ax.set(xscale="log" if "x" in log else "linear", yscale="log" if "y" in log else "linear")
    if "x" in log and len(x) <= 10:  # a few measured numbers: name just these
        ax.set_xticks(x, [f"{v:g}" for v in x], minor=False)
        ax.set_xticks([], minor=True)
    if len(series) > 1:
        ax.legend(frameon=False, fontsize=8)
    return _plain(ax, xlabel, ylabel)


@picture(6.2, 3.1)
def bars(heights: Mapping[str, float], ax: Axes, ylabel: str, spread: Sequence[float] | None = None) -> Axes:
    """Named bars, their value written above: above the error bars where there are any, above zero where it is negative."""
    places = range(len(heights))
    values = [float(v) for v in heights.values()]
    ax.bar(
        places,
        values,
        yerr=spread,
        color=[GREEN if n.startswith(("exact", "floor")) else BLUE for n in heights],
        width=0.62,
        ecolor=INK,
        capsize=3,
    )
    tops = [
        value + float(error) for value, error in zip(values, [0.0] * len(values) if spread is None else spread)
    ]
    for place, value, top in zip(places, values, tops):
        ax.annotate(
            f"{value:.3g}",
            (place, max(top, 0.0)),
            ha="center",
            va="bottom",
            fontsize=8,
            xytext=(0, 2),
            textcoords="offset points",
        )
    ax.set_xticks(list(places), list(heights), fontsize=8)
    return _plain(ax, "", ylabel)


@picture(4.6, 2.8)
def losses(*histories: Any, ax: Axes, names: Sequence[str] = ()) -> Axes:
    """Training losses, smoothed over fifty steps; names: one a history, for the legend."""
    names = names or [f"run {k + 1}" for k in range(len(histories))]
    for k, (history, name) in enumerate(zip(histories, names, strict=True)):
        ax.plot(history.smooth().numpy(), color=SERIES[k % len(SERIES)], lw=1.3, label=name)
    if len(histories) > 1:
        ax.legend(frameon=False, fontsize=8)
    return _plain(ax, "step", "loss (mean of 50)")


def _expect_images(x: Tensor) -> Tensor:
    if x.ndim != 4 or x.shape[1] != 1 or not len(x):
        raise ValueError(f"images have shape {tuple(x.shape)}: expected (N, 1, H, W), N at least one.")
    return x


def tiles(images: Tensor, columns: int = 10) -> Tensor:
    """(N, 1, H, W) in [-1, 1] as one picture in [0, 1], ink on paper, with a hair of space between.  -> (R, C)"""
    n, _, h, w = _expect_images(images).shape
    rows = math.ceil(n / columns)
    sheet = images.new_full((rows * columns, h + 2, w + 2), -1.0)
    sheet[:n, 1:-1, 1:-1] = images[:, 0].clamp(-1, 1)
    return 0.5 - sheet.view(rows, columns, h + 2, w + 2).transpose(1, 2).reshape(rows * (h + 2), -1) / 2


@picture(5.6, 2.9)
def images(x: Tensor, ax: Axes, columns: int = 10, names: Sequence[str] = ()) -> Axes:
    """Images in rows, ink on paper, the rows named at the left.  x (N, 1, H, W) in [-1, 1]; names: none or one a row"""
    sheet = tiles(x.detach().float().cpu(), columns)
    _as_tall_as(ax, sheet.shape[0] / sheet.shape[1])
    ax.imshow(sheet, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    ax.axis("off")
    for row, name in enumerate(names):
        ax.text(
            -0.01,
            1 - (row + 0.5) / len(names),
            name,
            transform=ax.transAxes,
            ha="right",
            va="center",
            fontsize=9,
            color=INK,
        )
    return ax


def _as_tall_as(ax: Axes, share: float) -> None:
    """Where this is a figure's one picture: the height that a share of its width asks for, without empty bands."""
    if ax.figure.axes == [ax]:
        ax.figure.set_figheight(0.2 + ax.figure.get_figwidth() * share)


def gallery(rows: Mapping[str, Tensor], alt: str, columns: int = 12) -> Picture:
    """Named rows of images under one another, each ``columns`` wide."""
    tall = [math.ceil(len(_expect_images(x)) / columns) for x in rows.values()]
    figure = Figure((columns * 0.55, sum(tall) * 0.55 + 0.27 * len(rows)), DPI, layout="constrained")
    for ax, (name, x) in zip(figure.subplots(len(rows), 1, height_ratios=tall, squeeze=False)[:, 0], rows.items()):
        images(x, ax=ax, columns=columns, title=name)
        ax.title.set_horizontalalignment("left")
        ax.title.set_x(0.0)
    return Picture(figure, alt)


@picture(3.2, 3.0)
def matrix(values: Tensor, ax: Axes, names: Sequence[str], xlabel: str = "from", ylabel: str = "to") -> Axes:
    """Probabilities from column to row, each written into its cell.  values (n, n) in [0, 1]; names of the n symbols"""
    ax.imshow(values.detach().cpu(), cmap=FOG, vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(values.detach().cpu().numpy()):
        ax.text(
            column,
            row,
            f"{value:.2f}" if value else "0",
            ha="center",
            va="center",
            fontsize=9,
            color="white" if value > 0.6 else INK,
        )
    ax.set_xticks(range(len(names)), names)
    ax.set_yticks(range(len(names)), names)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.spines[:].set_visible(False)
    return ax


@picture(5.6, 2.2)
def letters(tokens: Tensor, ax: Axes, alphabet: str) -> Axes:
    """Short sequences as words, one a column of boxes; what is masked is a grey box.  tokens (N, L)"""
    tokens = tokens.detach().cpu()
    _as_tall_as(ax, tokens.shape[1] / len(tokens))
    masks = LinearSegmentedColormap.from_list("masks", ["#ffffff", "#b9b9b9"])
    ax.imshow((tokens == len(alphabet)).T, cmap=masks, vmin=0, vmax=1)
    for (word, place), token in np.ndenumerate(tokens.numpy()):
        ax.text(word, place, (*alphabet, "")[token], ha="center", va="center", fontsize=11, color=INK)
    ax.set_xticks(np.arange(len(tokens) + 1) - 0.5, [], minor=False)
    ax.set_yticks(np.arange(tokens.shape[1] + 1) - 0.5, [])
    ax.grid(color="#dddddd")
    ax.tick_params(length=0)
    return ax


def ink(tokens: Tensor, mask_id: int = 2) -> Tensor:
    """Black and white tokens as a picture: 0 paper (−1), 1 ink (1), masked grey (0).  (N, 1, H, W) -> the same, floats"""
    return torch.where(tokens == mask_id, 0.0, 2.0 * tokens - 1)


def schedules(paths: Mapping[str, Any], alt: str) -> Picture:
    """alpha and sigma of several paths over the library's clock, the slides' diffusion clock above."""
    axes = panels(2, 3.4, height=3.0)
    t = torch.linspace(0, 0.999, 200)
    for k, (name, path) in enumerate(paths.items()):
        alpha, sigma, _, _ = path.at(t)
        for ax, y in zip(axes, (alpha, sigma)):
            ax.plot(t, y, color=SERIES[k], lw=1.6, label=name)
    for ax, name in zip(axes, (r"$\alpha_t$, the share of data", r"$\sigma_t$, the share of noise")):
        _plain(ax, "$t$: 0 noise, 1 data", "").set_title(name, fontsize=10)
        ax.set_ylim(-0.05, 1.3)
        other = ax.secondary_xaxis(-0.3, functions=(lambda s: 1 - s, lambda s: 1 - s))
        other.set_xlabel("$1-t$: the diffusion slides' time")
    axes[0].legend(frameon=False, fontsize=8)
    return shown(axes, alt)
