"""Pictures of the introduction: the years, the map of the course, two kinds of classifier, one data set for all families.

The map is HTML, so that its leaves are links, with thin lines and no colours, so that it can be read on white and on
black.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from torch import Tensor

from .base import density_map, points, show_tiles
from .style import (
    BLUE,
    DPI,
    FRAME,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PALE,
    VERMILION,
    Picture,
    frame,
    open_axes,
    panels,
    picture,
    plane,
    scatter,
    write,
)

CLASSES = (BLUE, ORANGE)  # points of class 0 and of class 1
SIDES = LinearSegmentedColormap.from_list("classes", ["#9cc8e6", "#ffffff", "#f6d48a"])

# --- the years


class Milestone(NamedTuple):
    """A model's name, the year and the authors of its paper, and images (N, 1, H, W) of our own model."""

    name: str
    year: int
    who: str
    images: Tensor


def timeline(milestones: Sequence[Milestone], alt: str) -> Picture:
    """Each model's images above the year of its paper; the axis is to scale, the images are evenly spaced."""
    count = len(milestones)
    figure = Figure((1.95 * count, 3.3), DPI)
    axis = figure.add_axes((0, 0, 1, 1))
    first, last = (pick(m.year for m in milestones) for pick in (min, max))
    axis.plot([0.03, 0.97 if last > first else 0.09], [0.12, 0.12], color=GREY, lw=1)
    for k, m in enumerate(milestones):
        x, middle = 0.06 + 0.88 * (m.year - first) / max(1, last - first), (k + 0.5) / count
        axis.plot([middle, x], [0.215, 0.12], color=GREY, lw=0.8)
        axis.plot([x], [0.12], "o", color=INK, ms=4)
        write(axis, x, 0.03, str(m.year), 10, va="baseline")
        write(axis, middle, 0.93, m.name, 11, va="baseline", weight="bold")
        write(axis, middle, 0.235, m.who, 8, va="baseline")
        show_tiles(m.images, figure.add_axes((middle - 0.44 / count, 0.3, 0.88 / count, 0.6)), 4)
    axis.set(xlim=(0, 1), ylim=(0, 1))
    axis.axis("off")
    return Picture(figure, alt)


# --- the map


class Leaf(NamedTuple):
    """A notebook of the map: its file without ending, its family, and what it shows."""

    notebook: str
    family: str
    says: str


BRANCHES: dict[str, dict[str, tuple[Leaf, ...]]] = {
    "Explicit density: one may ask for log p(x)": {
        "tractable: exact, by the chain rule or a change of variables": (
            Leaf("01_autoregressive", "autoregressive models", "one coordinate after the other"),
            Leaf("06_normalizing_flows", "normalizing flows", "space bent, volumes counted"),
        ),
        "approximate: a lower bound, by a latent variable": (
            Leaf("02_vae", "variational autoencoders", "a code that is a distribution"),
            Leaf("03_elbo_surgery", "the bound cut open, priors learned", "what keeps a code alive"),
            Leaf("04_vector_quantization", "vector quantization", "a code of whole numbers"),
        ),
        "approximate: a bound or an integral, along a path from noise": (
            Leaf("07_diffusion", "diffusion", "noise taken away little by little"),
            Leaf("08_flow_matching", "flow matching", "arrows from noise to data"),
            Leaf("09_absorbing_diffusion", "absorbing diffusion", "masks lifted one by one"),
        ),
    },
    "Implicit density: one may only ask for samples": {
        "a game": (Leaf("05_gan", "adversarial networks", "a forger and a judge"),)
    },
    "Put together": {
        "one model inside another": (
            Leaf("10_latent_space_models", "latent-space models", "a generator among codes"),
        ),
        "all side by side": (Leaf("11_course_overview", "the whole course", "what they share"),),
    },
}
BOX = "border:1px solid #8a8a8a;border-radius:6px;padding:6px 10px;margin:0"
PLAIN = "list-style:none;margin:0;padding:0"


class Map:
    """The taxonomy as nested HTML lists, its leaves links to the notebooks in the same folder."""

    def __init__(self, branches: Mapping[str, Mapping[str, Sequence[Leaf]]]) -> None:
        self.branches = branches

    @property
    def leaves(self) -> list[Leaf]:
        return [leaf for kinds in self.branches.values() for leaves in kinds.values() for leaf in leaves]

    @property
    def html(self) -> str:
        rows = "".join(
            f'<li style="{BOX};margin-bottom:8px"><strong>{html.escape(name)}</strong>{_kinds(kinds)}</li>'
            for name, kinds in self.branches.items()
        )
        return (
            f'<div style="max-width:60em"><div style="{BOX};margin-bottom:8px;text-align:center"><strong>Generative '
            f'models</strong>: a distribution p(x), learned from samples</div><ul style="{PLAIN}">{rows}</ul></div>'
        )

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/html": self.html, "text/plain": repr(self)}

    def __repr__(self) -> str:
        lines = ["Generative models"]
        for name, kinds in self.branches.items():
            lines.append(f"  {name}")
            for kind, leaves in kinds.items():
                lines.append(f"    {kind}")
                lines += [f"      {leaf.notebook}: {leaf.family}, {leaf.says}" for leaf in leaves]
        return "\n".join(lines)


def _kinds(kinds: Mapping[str, Sequence[Leaf]]) -> str:
    boxes = "".join(
        f'<li style="{BOX};flex:1 1 15em;opacity:1"><em>{html.escape(kind)}</em><ul style="{PLAIN}">'
        f"{''.join(map(_link, leaves))}</ul></li>"
        for kind, leaves in kinds.items()
    )
    return f'<ul style="{PLAIN};display:flex;flex-wrap:wrap;gap:8px;margin-top:6px">{boxes}</ul>'


def _link(leaf: Leaf) -> str:
    number = leaf.notebook.partition("_")[0]
    return (
        f'<li style="margin:4px 0 0 0"><a href="{leaf.notebook}.ipynb">{number} · {html.escape(leaf.family)}</a><br>'
        f"<small>{html.escape(leaf.says)}</small></li>"
    )


def taxonomy() -> Map:
    """The lecture's taxonomy: explicit densities, tractable or approximate, and implicit ones."""
    return Map(BRANCHES)


# --- two kinds of classifier


@picture(2.9, 2.9)
def boundary(
    chance: Callable[[Tensor], Tensor],
    x: Tensor,
    y: Tensor,
    ax: Axes,
    marks: Tensor | None = None,
    limit: float = FRAME,
) -> Axes:
    """A classifier's p(y = 1 | x) over the plane (blue: class 0, amber: class 1), with the line where it is one half.

    chance: points (B, 2) -> (B,).  x (N, 2), y (N,) the data; marks (M, 2): points drawn as stars"""
    line = torch.linspace(-limit, limit, 141)
    with torch.no_grad():
        p = chance(torch.cartesian_prod(line, line)).view(141, 141).T
    plane(p, ax, limit, cmap=SIDES, vmin=0, vmax=1, interpolation="bilinear")
    ax.contour(line, line, p, levels=[0.5], colors=[INK], linewidths=1.4)
    return _classes(x, y, ax, marks, limit)


def _classes(x: Tensor, y: Tensor, ax: Axes, marks: Tensor | None, limit: float) -> Axes:
    for label, color in enumerate(CLASSES):
        scatter(ax, x[y == label], 7, color, zorder=3)
    if marks is not None:
        scatter(ax, marks, 130, VERMILION, marker="*", linewidths=0.6, edgecolors="white", zorder=5)
    return frame(ax, limit)


@picture(2.9, 2.9)
def two_classes(
    x: Tensor,
    y: Tensor,
    ax: Axes,
    log_prob: Callable[[Tensor], Tensor] | None = None,
    marks: Tensor | None = None,
    limit: float = FRAME,
) -> Axes:
    """Points of two classes over a density where it is given.  x (N, 2), y (N,)"""
    if log_prob is not None:
        density_map(log_prob, ax=ax, limit=limit)
    return _classes(x, y, ax, marks, limit)


@picture(2.9, 2.9)
def codes(x: Tensor, code: Tensor, ax: Axes, curve: Tensor | None = None, limit: float = FRAME) -> Axes:
    """Points coloured by their code of one number; the curve is what the decoder makes of all codes.

    x (N, 2), code (N,), curve (T, 2)"""
    shades = scatter(ax, x, 6, code.detach().cpu(), cmap="viridis", zorder=2)
    ax.figure.colorbar(shades, ax=ax, shrink=0.7, label="code").outline.set_visible(False)
    if curve is not None:
        ax.plot(*curve.detach().cpu().T, color=VERMILION, lw=1.3, zorder=3)
    return frame(ax, limit)


# --- one data set, all families


def families(
    samples: Mapping[str, Tensor], densities: Mapping[str, Callable[[Tensor], Tensor] | str], alt: str
) -> Picture:
    """Above, samples of each; below, its density, or a few words in its place.  The first entry is the data, in ink."""
    figure = Figure((1.42 * len(samples), 3.15), DPI, layout="constrained")
    upper, lower = figure.subplots(2, len(samples))
    for k, (name, x) in enumerate(samples.items()):
        points(x[:700], ax=upper[k], color=BLUE if k else INK, size=2.0, limit=3.5)
        upper[k].set_title(name, fontsize=8, color=INK)
        density = densities[name]
        if callable(density):  # few nodes: some densities cost an integral at each
            density_map(lambda z, density=density: density(z.float()), ax=lower[k], limit=3.5, side=61)
        else:
            write(frame(lower[k], 3.5), 0, 0, density, 8)
    upper[0].set_ylabel("samples", fontsize=9)
    lower[0].set_ylabel("density", fontsize=9)
    return Picture(figure, alt)


def moments(trajectories: Mapping[str, Tensor], done: float, shown: int = 500, limit: float = 3.5) -> Axes:
    """The samples of each family after a share ``done`` of its steps.  trajectories: name -> (T, N, 2)

    One pair of axes for all: seven would take too long to lay out while a slider moves."""
    figure = Figure((1.32 * len(trajectories), 1.75), DPI)
    ax, side = figure.add_axes((0.005, 0.01, 0.99, 0.75)), 2 * limit
    for place, (name, trajectory) in enumerate(trajectories.items()):
        k = round(done * (len(trajectory) - 1))
        x = trajectory[k, :shown].detach().cpu()
        x = x[x.abs().amax(1) < limit] + torch.tensor([place * side, 0.0])
        scatter(ax, x, 2.5, BLUE if k else GREY, alpha=0.45)
        write(ax, place * side, limit * 1.08, f"{name}\n{k} of {len(trajectory) - 1}", 8, va="bottom")
        ax.axvline((place + 0.5) * side, color=PALE, lw=0.8)
    frame(ax, limit).set(xlim=(-limit, (len(trajectories) - 0.5) * side), aspect="auto")
    return ax


# --- one number known, one slider


def bell(numbers: Tensor, sigma: float, widths: Tensor, levels: Tensor, level: float) -> Axes:
    """Numbers (N,) under a normal density of width sigma, and the mean log-likelihood (T,) of all widths (T,)."""
    left, right = panels(2, 3.1, height=2.5)
    line = torch.linspace(-6, 6, 301)
    left.hist(numbers.numpy(), bins=24, range=(-6, 6), density=True, color="#d5d5d5")
    density = torch.distributions.Normal(float(numbers.mean()), sigma).log_prob(line).exp()
    left.plot(line, density, color=BLUE, lw=1.8)
    left.set(xlim=(-6, 6), ylim=(0, 1.02), yticks=[])
    left.set_title(f"$\\sigma={sigma:.1f}$", fontsize=10, color=INK)
    left.set_xlabel("the 200 numbers, and the bell", fontsize=9)
    right.plot(widths, levels, color=GREEN, lw=1.5, ls="--")
    right.plot([sigma], [level], "o", color=BLUE, ms=7)
    right.set_title(f"mean log-likelihood {level:.2f}", fontsize=10, color=INK)
    right.set_xlabel("width σ", fontsize=9)
    open_axes(right)
    return open_axes(left)


def half_known(h: float, line: Tensor, joint: Tensor, x: Tensor, y: Tensor) -> Axes:
    """Points with a line at the known coordinate h, and p(v, y | h) of the other coordinate v and the class y.

    joint (2, T): p(h, v, y) along the line (T,); x (N, 2), y (N,)"""
    left, right = panels(2, 3.1, height=2.9)
    _classes(x, y, left, None, 3.5)
    left.axvline(h, color=VERMILION, lw=1.4)
    left.set_title(f"known: $h={h:.1f}$", fontsize=10, color=INK)
    shares = joint / (joint.sum() * (line[1] - line[0]))
    for share, color in zip(shares, CLASSES):
        right.fill_betweenx(line, share, color=color, alpha=0.85, lw=0)
    right.set(ylim=(-3.5, 3.5), yticks=[], xlim=(0, float(shares.max()) * 1.1), xticks=[])
    right.set(xlabel="$p(v, y\\,|\\,h)$", ylabel="$v$")
    right.set_title(f"$p(y=1\\,|\\,h)={float(joint[1].sum() / joint.sum()):.2f}$", fontsize=10, color=INK)
    open_axes(right)
    return left
