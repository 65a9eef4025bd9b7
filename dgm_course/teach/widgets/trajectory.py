"""The trajectory player: a cloud of particles on its way from noise to data, under the reader's hands.

A sampler's answer is not only where the particles end, it is how they went. `TrajectoryPlayer(x)` shows
x (T, N, 2) as moving particles with trails; given the `field` that moved them it also lets the reader drop a
particle of his own and step it with another solver or another number of steps,

    x <- x + dt f(x, t)     (Euler; Heun and RK4 beside it),

computed in the browser on a grid of the field's values. The dashed green line is the same field followed in
200 RK4 steps; what lies between it and the vermilion line is the solver's error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import anywidget
import numpy as np
import traitlets
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from ..plots.style import BLUE, GREEN, INK, ORANGE, PINK, SKY, VERMILION, png, small
from . import preview
from .serialize import Array, BufferBuilder, array, quantise, sample_density, sample_field, script, style

SOLVERS = ("euler", "heun", "rk4")
CYCLE = (BLUE, ORANGE, GREEN, PINK, SKY, "#5D3A9B", "#9A8B00", "#8C4A2F", "#1B998B", VERMILION)


@dataclass(frozen=True)
class Look:
    """What may be said about the look of a trajectory player, each with its usual value."""

    titles: Sequence[str] = ()
    label: str = ""
    frame: float = 4.0
    size: int = 0
    trails: int = 150
    seconds: float = 4.0
    time: str = "t"
    clock: tuple[str, Callable[[float], float]] | None = None
    drop: Any = ()
    solver: str = "euler"
    steps: int = 10

    def __post_init__(self) -> None:
        if not (np.isscalar(self.frame) and self.frame > 0):
            raise ValueError(
                f"frame is half the side of the square that is shown, a positive number; {self.frame!r} came."
            )
        if self.solver not in SOLVERS:
            raise ValueError(f"solver must be one of {', '.join(SOLVERS)}; {self.solver!r} came.")
        if not 1 <= self.steps <= 100:
            raise ValueError(f"steps must lie between 1 and 100; {self.steps} came.")
        if not self.seconds > 0:
            raise ValueError(f"seconds, the time of one run, must be positive; {self.seconds} came.")


def look_of(options: dict[str, Any]) -> Look:
    """The options as a Look; a sentence for a name that is not among them."""
    known = [f.name for f in fields(Look)]
    strange = sorted(set(options) - set(known))
    if strange:
        raise TypeError(f"TrajectoryPlayer has no option {', '.join(strange)}; it has {', '.join(known)}.")
    return Look(**options)


@dataclass
class Panel:
    """One square of the player: its particles, and what lies behind them."""

    x: Array
    times: Array
    title: str = ""
    field: Array | None = None
    data: Array | None = None
    density: Array | None = None
    colours: tuple[list[str], Array] | None = None


def read_trajectory(x: Any) -> Array:
    """(T, N, 2) floats, or a sentence."""
    x = array(x, "trajectory")
    if x.ndim != 3 or x.shape[2] != 2:
        raise ValueError(
            f"trajectory must have shape (T, N, 2): T times, N particles, 2 coordinates; {tuple(x.shape)} came."
        )
    if x.shape[0] < 2 or x.shape[1] < 1:
        raise ValueError(
            f"trajectory needs at least two times and one particle to show a movement; "
            f"{x.shape[0]} times and {x.shape[1]} particles came."
        )
    return x.astype(np.float64)


def read_times(times: Any, count: int) -> Array:
    """(T,) increasing times, evenly from 0 to 1 where none are given."""
    times = np.linspace(0, 1, count) if times is None else array(times, "times").astype(np.float64)
    if times.shape != (count,):
        raise ValueError(
            f"times must have one entry for each of the {count} frames, shape ({count},); "
            f"{tuple(times.shape)} came."
        )
    if not (np.diff(times) > 0).all():
        raise ValueError(
            f"times must increase; they go from {times[0]:g} to {times[-1]:g} with a "
            f"step of {np.diff(times).min():g}. A run that goes "
            "backwards is shown with x.flip(0) and times.flip(0)."
        )
    return times


def read_points(points: Any, name: str, most: int = 1000) -> Array:
    """(M, 2) points, at most `most` of them."""
    points = array(points, name).astype(np.float64)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"{name} must have shape (M, 2): points of the plane; {tuple(points.shape)} came.")
    return points[:: -(-len(points) // most)] if len(points) > most else points


def read_colours(colour: Any, count: int) -> tuple[list[str], Array]:
    """A palette of hex colours and each particle's place in it; from one colour, N colours or N labels."""
    names = [colour] * count if isinstance(colour, str) else list(np.asarray(colour).tolist())
    if len(names) != count:
        raise ValueError(
            f"color must be one colour, or one label or colour for each of {count} particles; {len(names)} came."
        )
    kinds, codes = np.unique(np.asarray(names), return_inverse=True)
    if len(kinds) > 256:
        raise ValueError(f"color holds {len(kinds)} different labels; at most 256 can be told apart.")
    given = kinds.dtype.kind in "US"
    wrong = [k for k in kinds if given and not (k.startswith("#") and len(k) == 7)]
    if wrong:
        raise ValueError(f"color takes whole numbers or hex colours such as '#0072B2'; {wrong[0]!r} came.")
    return [str(k) if given else CYCLE[i % len(CYCLE)] for i, k in enumerate(kinds)], codes.astype(np.uint8)


def each(value: Any, count: int, many: bool, name: str) -> list[Any]:
    """One value for every panel: a list is dealt out, anything else is shared."""
    if not (many and isinstance(value, (list, tuple)) and len(value)):
        return [value] * count
    if len(value) != count:
        raise ValueError(f"{name} is a list of {len(value)}, but there are {count} panels.")
    return list(value)


def make_panel(x: Any, times: Any, look: Look, **behind: Any) -> Panel:
    """Check and sample everything that one panel shows."""
    x = read_trajectory(x)
    times = read_times(times, len(x))
    clock, limit = np.linspace(times[0], times[-1], 33), float(look.frame)
    return Panel(
        x,
        times,
        field=None if behind["field"] is None else sample_field(behind["field"], limit, clock),
        data=None if behind["data"] is None else read_points(behind["data"], "data"),
        density=None if behind["density"] is None else sample_density(behind["density"], limit, clock[::2]),
        colours=None if behind["color"] is None else read_colours(behind["color"], x.shape[1]),
    )


def pack(panel: Panel, parcel: BufferBuilder, limit: float) -> dict[str, Any]:
    """Put a panel's arrays into the parcel and say where they lie."""
    wide = 2 * limit
    spec: dict[str, Any] = {
        "title": panel.title,
        "shape": list(panel.x.shape[:2]),
        "times": panel.times.tolist(),
        "wide": wide,
        "x": parcel.add(quantise(panel.x, -wide, wide, "<u2")),
    }
    if panel.data is not None:
        spec["data"] = {"at": parcel.add(quantise(panel.data, -wide, wide, "<u2")), "count": len(panel.data)}
    if panel.density is not None:
        spec["density"] = {
            "at": parcel.add(quantise(np.sqrt(panel.density), 0, 1, "u1")),
            "shape": list(panel.density.shape),
        }
    if panel.field is not None:
        scale = np.maximum(np.abs(panel.field).max(axis=(1, 2, 3), keepdims=True), 1e-12)
        spec["field"] = {
            "at": parcel.add(quantise(panel.field, -scale, scale, "<u2")),
            "shape": list(panel.field.shape[:2]),
            "scale": scale.flatten().tolist(),
        }
    if panel.colours is not None:
        spec["palette"], spec["codes"] = panel.colours[0], parcel.add(panel.colours[1])
    return spec


def outside_note(panels: Sequence[Panel], limit: float) -> str:
    """A sentence where much of a cloud leaves the picture; else nothing."""
    share = max(float((np.abs(p.x) > limit).any(axis=2).mean(axis=1).max()) for p in panels)
    need = max(float(np.abs(p.x).max()) for p in panels)
    return (
        ""
        if share <= 0.1
        else (
            f"At times {share:.0%} of the particles are outside the "
            f"frame [-{limit:g}, {limit:g}]²; "
            f"frame={np.ceil(need):g} would show them all."
        )
    )


class TrajectoryPlayer(anywidget.AnyWidget):
    """Particles x (T, N, 2) played in the browser, with trails, background and particles of the reader's own.

    trajectory   (T, N, 2), or a list of such for panels side by side on one clock
    field        the velocity (x (B, 2), t ()) -> (B, 2): a click drops a particle and steps it through it
    times        (T,) increasing; evenly 0 to 1 where none are given
    data         points (M, 2) in ink; density: what `sample_density` takes, shaded in green; both behind
    color        a colour, or N labels or hex colours; else grey noise turns into model blue
    look         titles, label, frame (half side, 4), size (pixels), trails (how many particles leave one),
                 seconds, time (what the clock counts, "t"), clock=("name", function of t) for a second label,
                 drop=[[x, y]], solver, steps

    With several panels a list is dealt out (one for each panel), anything else is shared. ValueError or
    TypeError in a sentence where a shape, a time or a name is wrong.
    """

    _esm = script("common", "field", "trajectory", "trajectory_view")
    _css = style()
    parcel = traitlets.Bytes().tag(sync=True)
    spec = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        trajectory: Any,
        field: Any = None,
        *,
        times: Any = None,
        data: Any = None,
        density: Any = None,
        color: Any = None,
        **look: Any,
    ) -> None:
        self.look = look_of(look)
        many = isinstance(trajectory, (list, tuple))
        runs = list(trajectory) if many else [trajectory]
        if not runs:
            raise ValueError("TrajectoryPlayer needs at least one trajectory; an empty list came.")
        given = {
            "times": times,
            "field": field,
            "data": data,
            "density": density,
            "color": color,
            "title": tuple(self.look.titles) or "",
        }
        dealt = {name: each(value, len(runs), many, name) for name, value in given.items()}
        self.panels = [
            self.panel(x, **{name: values[i] for name, values in dealt.items()}) for i, x in enumerate(runs)
        ]
        spans = {(float(p.times[0]), float(p.times[-1])) for p in self.panels}
        if len(spans) > 1:
            raise ValueError(
                "panels share one clock, so their times must start and end together; "
                f"they run {' and '.join(f'from {a:g} to {b:g}' for a, b in sorted(spans))}."
            )
        self.note = outside_note(self.panels, self.look.frame)
        parcel = BufferBuilder()
        spec = self.outline(parcel)
        super().__init__(parcel=parcel.bytes(), spec=spec)

    def panel(self, x: Any, times: Any, title: Any, **behind: Any) -> Panel:
        """One checked panel with its title."""
        panel = make_panel(x, times, self.look, **behind)
        panel.title = title if isinstance(title, str) else " ".join(title)
        return panel

    def outline(self, parcel: BufferBuilder) -> dict[str, Any]:
        """Everything that is not bulk: labels, sizes, clocks, and where each array lies in the parcel."""
        look, clock = self.look, None
        start, end = self.span
        if look.clock is not None:
            name, function = look.clock
            clock = {"name": name, "values": [float(function(t)) for t in np.linspace(start, end, 101)]}
        drop = read_points(look.drop, "drop").tolist() if len(look.drop) else []
        return {
            "label": self.label,
            "note": self.note,
            "frame": float(look.frame),
            "span": [start, end],
            "size": look.size or {1: 460, 2: 380}.get(len(self.panels), 290),
            "trails": look.trails,
            "seconds": look.seconds,
            "time": look.time,
            "clock": clock,
            "drop": drop,
            "solver": look.solver,
            "steps": look.steps,
            "panels": [pack(p, parcel, float(look.frame)) for p in self.panels],
        }

    @property
    def span(self) -> tuple[float, float]:
        """First and last time."""
        return float(self.panels[0].times[0]), float(self.panels[0].times[-1])

    @property
    def label(self) -> str:
        """The alternative text: the one given, or what can be said from the shapes."""
        start, end = self.span
        names = ", ".join(p.title for p in self.panels if p.title)
        count = self.panels[0].x.shape[1]
        return self.look.label or (
            f"{count} particles moving in the plane from {self.look.time} = {start:g} to {end:g}"
            + (f": {names}" if names else "")
        )

    def strip(self) -> bytes:
        """Five moments as a PNG, a row for each panel."""
        rows, moments = len(self.panels), np.linspace(*self.span, 5)
        if self.span[1] - self.span[0] > 4:  # a clock that counts: whole numbers
            moments = moments.round()
        figure = Figure(figsize=(8.6, 1.72 * rows + 0.3), dpi=80)
        axes = figure.subplots(
            rows,
            5,
            squeeze=False,
            gridspec_kw={
                "left": 0.03,
                "right": 0.995,
                "bottom": 0.01,
                "top": 1 - 0.3 / (1.72 * rows + 0.3),
                "wspace": 0.03,
                "hspace": 0.03,
            },
        )
        for row, panel in zip(axes, self.panels, strict=True):
            row[0].set_ylabel(panel.title, fontsize=9)
            for ax, t in zip(row, moments, strict=True):
                draw_moment(ax, panel, float(t), self.look.frame)
        for ax, t in zip(axes[0], moments, strict=True):
            ax.set_title(f"{self.look.time} = {t:.2f}", fontsize=9, pad=4)
        return small(png(figure))

    def __repr__(self) -> str:
        count, (start, end) = self.panels[0].x.shape[1], self.span
        what = f"{count} particles, {len(self.panels[0].times)} times from {self.look.time} = {start:g} to {end:g}"
        return (
            f"TrajectoryPlayer({what}{f', {len(self.panels)} panels' if len(self.panels) > 1 else ''}): "
            f"run the cell to play{'. ' + self.note if self.note else ''}"
        )

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return preview.bundle(super()._repr_mimebundle_(**kwargs), self.strip(), self.label, repr(self))


def draw_moment(ax: Axes, panel: Panel, t: float, limit: float) -> None:
    """One moment of a panel on an axes: density, data, at most 500 particles."""
    u = (t - panel.times[0]) / (panel.times[-1] - panel.times[0])
    if panel.density is not None:
        frame = panel.density[int(round(u * (len(panel.density) - 1)))]
        fog = np.full((*frame.shape, 4), to_rgba(GREEN)) * np.append(np.ones(3), 0.5)
        fog[..., 3] *= np.sqrt(frame)
        ax.imshow(fog, extent=(-limit, limit) * 2, origin="lower")
    if panel.data is not None:
        ax.plot(*panel.data.T, ".", color=INK, ms=1.2, alpha=0.3, mew=0)
    index = np.clip(np.searchsorted(panel.times, t), 1, len(panel.times) - 1)
    a, b = panel.times[index - 1 : index + 1]
    x = panel.x[index - 1] + (panel.x[index] - panel.x[index - 1]) * (t - a) / (b - a)
    keep = np.arange(0, len(x), -(-len(x) // 500))
    names, codes = panel.colours or ([preview.ramp(float(u))], np.zeros(len(x), int))
    ax.scatter(*x[keep].T, s=4, c=[names[c] for c in codes[keep]], alpha=0.7, linewidths=0)
    ax.set(xlim=(-limit, limit), ylim=(-limit, limit), xticks=[], yticks=[], aspect="equal")
    ax.spines[:].set_color("#cccccc")
