"""Pictures of latent codes, and of mixtures with the share of each component in each point."""

from __future__ import annotations

import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Ellipse
from torch import Tensor

from ...core.distributions import Mixture
from .style import GREY, INK, SERIES, TEN, picture, scatter, write


@picture(3.6, 3.6)
def codes(z: Tensor, labels: Tensor | None, ax: Axes, limit: float | None = None, circle: float = 0.0) -> Axes:
    """Codes of the plane, coloured by class, the class written where its members are densest; grey without labels.

    z (N, 2), labels (N,); circle: radius of a grey circle around 0, such as two deviations of the prior"""
    z, labels = z.detach().cpu(), torch.zeros(0).long() if labels is None else labels.cpu()
    scatter(ax, z, 3, [TEN[k] for k in labels.tolist()] or GREY, alpha=0.55)
    for k in labels.unique().tolist():
        own = z[labels == k]
        x, y = own[(torch.cdist(own, own) < 0.1 * own.std(0).norm().clamp(min=1e-9)).sum(1).argmax()].tolist()
        box = {"boxstyle": "round,pad=0.12", "fc": "white", "ec": TEN[k], "lw": 0.8}
        write(ax, x, y, str(k), 11, TEN[k], weight="bold", bbox=box)
    if circle:
        ax.add_patch(Ellipse((0, 0), 2 * circle, 2 * circle, fill=False, ec=GREY, lw=1.2))
    limit = limit or float(z.abs().quantile(0.995)) * 1.15
    ax.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xlabel="$z_1$", ylabel="$z_2$")
    ax.tick_params(labelsize=7)
    return ax


@picture(3.4, 3.4)
def shared(x: Tensor, mixture: Mixture, q: Tensor, ax: Axes, limit: float = 4.0) -> Axes:
    """Points in the mixed colours of their components, and each component's ellipse at two deviations.

    x (N, 2), q (N, K) rows that sum to one"""
    colors = [SERIES[k % len(SERIES)] for k in range(q.shape[1])]
    palette = torch.tensor([to_rgb(color) for color in colors])
    scatter(ax, x, 7, (q.detach().cpu().float() @ palette).clamp(0, 1).numpy())
    for color, mean, std in zip(colors, mixture.means.tolist(), mixture.stds.tolist(), strict=True):
        ax.add_patch(Ellipse(mean, 4 * std[0], 4 * std[1], fill=False, ec=color, lw=1.8))
        ax.plot(*mean, marker="+", color=INK, ms=8)
    ax.set(xlim=(-limit, limit), ylim=(-limit, limit), xticks=[], yticks=[], aspect="equal")
    return ax
