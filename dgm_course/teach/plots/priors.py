"""Pictures of priors: posteriors on a line, the mismatch of prior and aggregated posterior, images with two meters."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from matplotlib.axes import Axes
from matplotlib.patches import Circle
from torch import Tensor

from .base import density_map, heat
from .style import BLUE, GREY, INK, VERMILION, Picture, frame, open_axes, panels, picture, shown, write

LIMIT = 3.6


@picture(4.6, 2.8)
def posteriors(line: Tensor, log_q: Tensor, ax: Axes, log_p: Tensor | None = None, legend: bool = True) -> Axes:
    """The n posteriors on a line over n (thin), their mean q_agg (thick), and the prior (grey, dashed).

    line (M,), log_q (n, M), log_p (M,)"""
    shares = log_q.exp() / len(log_q)
    for k, share in enumerate(shares):
        ax.plot(line, share, color=BLUE, lw=0.9, alpha=0.75, label="$q(z|x_i)/n$" if k == 0 else None)
    ax.plot(line, shares.sum(0), color=INK, lw=2.0, label="$q_{agg}(z)$")
    if log_p is not None:
        ax.plot(line, log_p.exp(), color=GREY, lw=1.4, ls="--", label="prior $p(z)$")
    ax.set(xlabel="$z$", ylabel="density", ylim=(0, None))
    if legend:
        ax.legend(frameon=False, fontsize=8)
    return open_axes(ax)


def _circle(ax: Axes, limit: float) -> Axes:
    """The frame, with the grey circle that holds 86 % of N(0, I)."""
    ax.add_patch(Circle((0, 0), 2.0, fill=False, ec=GREY, lw=1.1))
    return frame(ax, limit)


@picture(4.2, 3.6)
def mismatch(difference: Tensor, holes: Tensor, pockets: Tensor, ax: Axes, limit: float = LIMIT) -> Axes:
    """q_agg − p over the plane, red where positive, blue where negative, with numbered places.

    difference (G²,) on a lattice over [-limit, limit]²; holes, pockets (k, 2)"""
    heat(difference, ax=ax, limit=limit, size=float(difference.abs().quantile(0.98)))
    for places, color in ((holes, BLUE), (pockets, VERMILION)):
        box = {"boxstyle": "circle,pad=0.15", "fc": "white", "ec": color, "lw": 1.0}
        for k, (x, y) in enumerate(places.tolist()):
            write(ax, x, y, str(k + 1), color=color, weight="bold", bbox=box)
    return _circle(ax, limit)


def row_of_priors(priors: Mapping[str, Callable[[Tensor], Tensor]], alt: str, limit: float = LIMIT) -> Picture:
    """Densities of the plane side by side, each a log_prob that takes float32 codes."""
    axes = panels(len(priors), 2.05, height=2.45)
    for ax, (name, log_prob) in zip(axes, priors.items(), strict=True):
        density_map(lambda z, log_prob=log_prob: log_prob(z.float()).detach(), ax=ax, limit=limit, title=name)
        _circle(ax, limit)
    return shown(axes, alt)


def with_meters(pictures: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Images (R, C, H, W) with two columns on the right, filled from below to the shares (R, C); all values in [0, 1].

    -> (R, C, H, W + 9): each column is three pixels wide, the first grey, the second ink, on a pale ground"""
    rows, columns, height, _ = pictures.shape
    heights = torch.arange(height, 0, -1) / height  # of each line above the bottom, the top line first
    page = [pictures, pictures.new_zeros(rows, columns, height, 2)]
    for share, shade in ((left, 0.55), (right, 1.0)):
        filled = (heights <= share.clamp(0, 1)[..., None] + 1e-6).to(pictures)  # (R, C, H)
        column = 0.08 + (shade - 0.08) * filled
        page += [column[..., None].expand(rows, columns, height, 3), pictures.new_zeros(rows, columns, height, 1)]
    return torch.cat(page, 3)[..., :-1]
