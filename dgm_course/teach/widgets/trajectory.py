"""The trajectory player: particles that move from noise to data.

``TrajectoryPlayer(x)`` shows x (T, N, 2) as moving particles with trails.  Given the ``field`` that moved them, the reader
can drop a particle and step it with a solver and a number of steps of his own,

    x <- x + dt f(x, t)     (Euler; also Heun and RK4),

computed in the browser on a grid of the field's values.  The dashed green line takes 200 RK4 steps in the same field; its
distance to the vermilion line is the solver's error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from ..plots.style import BLUE, GREEN, INK, ORANGE, PINK, SKY, VERMILION, png, small
from . import preview
from .serialize import Array, BufferBuilder, array, quantise, sample_density, sample_field, script

SOLVERS = ("euler", "heun", "rk4")
CYCLE = (BLUE, ORANGE, GREEN, PINK, SKY, "#5D3A9B", "#9A8B00", "#8C4A2F", "#1B998B", VERMILION)


@dataclass(frozen=True)
class Look:
    """The options of a trajectory player's look, with their defaults."""

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
                f"frame, half the side of the square, must be a positive number; {self.frame!r} came."
            )
        if self.solver not in SOLVERS:
            raise ValueError(f"solver must be one of {', '.join(SOLVERS)}; {self.solver!r} came.")
        if not 1 <= self.steps <= 100:
            raise ValueError(f"steps must lie between 1 and 100; {self.steps} came.")
        if not self.seconds > 0:
            raise ValueError(f"seconds, the time of one run, must be positive; {self.seconds} came.")


def look_of(options: dict[str, Any]) -> Look:
    """The options as a Look.  TypeError for an unknown name"""
    known = [f.name for f in fields(Look)]
    if unknown := sorted(set(options) - set(known)):
        raise TypeError(f"TrajectoryPlayer has no option {', '.join(unknown)}; it has {', '.join(known)}.")
    return Look(**options)


# --- input


def read_trajectory(x: Any) -> Array:
    """(T, N, 2) floats, T >= 2, N >= 1."""
    x = array(x, "trajectory")
    if x.ndim != 3 or x.shape[2] != 2:
        expected = "(T, N, 2): T times, N particles, 2 coordinates"
        raise ValueError(f"trajectory must have shape {expected}; {tuple(x.shape)} came.")
    if x.shape[0] < 2 or x.shape[1] < 1:
        came = f"{x.shape[0]} times and {x.shape[1]} particles came"
        raise ValueError(f"trajectory must have at least two times and one particle; {came}.")
    return x.astype(np.float64)


def read_times(times: Any, count: int) -> Array:
    """(T,) increasing times, evenly from 0 to 1 where none are given."""
    times = np.linspace(0, 1, count) if times is None else array(times, "times").astype(np.float64)
    if times.shape != (count,):
        raise ValueError(f"times must have one entry for each frame, shape ({count},); {tuple(times.shape)} came.")
    if not (np.diff(times) > 0).all():
        came = f"they go from {times[0]:g} to {times[-1]:g} with a step of {np.diff(times).min():g}"
        raise ValueError(f"times must increase; {came}. Show a run backwards with x.flip(0) and times.flip(0).")
    return times


def read_points(points: Any, name: str, most: int = 1000) -> Array:
    """(M, 2) points, thinned to at most ``most``."""
    points = array(points, name).astype(np.float64)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"{name} must have shape (M, 2): points of the plane; {tuple(points.shape)} came.")
    return points[:: max(1, -(-len(points) // most))]


def read_colors(color: Any, count: int) -> tuple[list[str], Array]:
    """The palette and each particle's place in it, from one colour or N labels or colours."""
    names = [color] * count if isinstance(color, str) else list(np.asarray(color).tolist())
    if len(names) != count:
        expected = f"one colour, or one label or colour for each of {count} particles"
        raise ValueError(f"color must be {expected}; {len(names)} came.")
    kinds, codes = np.unique(np.asarray(names), return_inverse=True)
    if len(kinds) > 256:
        raise ValueError(f"color must have at most 256 different labels; {len(kinds)} came.")
    given = kinds.dtype.kind in "US"
    if wrong := [k for k in kinds if given and not (k.startswith("#") and len(k) == 7)]:
        raise ValueError(f"color takes whole numbers or hex colours such as '#0072B2'; {wrong[0]!r} came.")
    return [str(k) if given else CYCLE[i % len(CYCLE)] for i, k in enumerate(kinds)], codes.astype(np.uint8)


def per_panel(value: Any, count: int, name: str) -> list[Any]:
    """A value for each of several panels: a list has one for each, anything else is shared."""
    if not (isinstance(value, (list, tuple)) and len(value)):
        return [value] * count
    if len(value) != count:
        raise ValueError(f"{name} is a list of {len(value)}, but there are {count} panels.")
    return list(value)


# --- panels


@dataclass
class Panel:
    """One square of the player: its particles, and what is drawn behind them."""

    x: Array
    times: Array
    title: str = ""
    field: Array | None = None
    data: Array | None = None
    density: Array | None = None
    colors: tuple[list[str], Array] | None = None

    @classmethod
    def read(cls, x: Any, times: Any, title: Any, limit: float, **behind: Any) -> Panel:
        """Check and sample everything that the panel shows."""
        x = read_trajectory(x)
        times = read_times(times, len(x))
        clock = np.linspace(times[0], times[-1], 33)
        readers = {
            "field": lambda field: sample_field(field, limit, clock),
            "data": lambda data: read_points(data, "data"),
            "density": lambda density: sample_density(density, limit, clock[::2]),
            "colors": lambda color: read_colors(color, x.shape[1]),
        }
        shown = {name: readers[name](value) for name, value in behind.items() if value is not None}
        return cls(x, times, title if isinstance(title, str) else " ".join(title), **shown)

    def pack(self, buffer: BufferBuilder, limit: float) -> dict[str, Any]:
        """Put the arrays into the buffer; return where they are, and the rest."""
        wide = 2 * limit
        spec: dict[str, Any] = {"title": self.title, "shape": list(self.x.shape[:2]), "times": self.times.tolist()}
        spec |= {"wide": wide, "x": buffer.add(quantise(self.x, -wide, wide, "<u2"))}
        if self.data is not None:
            at = buffer.add(quantise(self.data, -wide, wide, "<u2"))
            spec["data"] = {"at": at, "count": len(self.data)}
        if self.density is not None:
            at = buffer.add(quantise(np.sqrt(self.density), 0, 1, "u1"))
            spec["density"] = {"at": at, "shape": list(self.density.shape)}
        if self.field is not None:
            scale = np.maximum(np.abs(self.field).max(axis=(1, 2, 3), keepdims=True), 1e-12)
            at = buffer.add(quantise(self.field, -scale, scale, "<u2"))
            spec["field"] = {"at": at, "shape": list(self.field.shape[:2]), "scale": scale.flatten().tolist()}
        if self.colors is not None:
            spec["palette"], spec["codes"] = self.colors[0], buffer.add(self.colors[1])
        return spec

    def draw(self, ax: Axes, t: float, limit: float) -> None:
        """The panel at time t: density, data, at most 500 particles."""
        u = (t - self.times[0]) / (self.times[-1] - self.times[0])
        if self.density is not None:
            frame = self.density[int(round(u * (len(self.density) - 1)))]
            green = np.full((*frame.shape, 4), to_rgba(GREEN)) * np.append(np.ones(3), 0.5)
            green[..., 3] *= np.sqrt(frame)
            ax.imshow(green, extent=(-limit, limit) * 2, origin="lower")
        if self.data is not None:
            ax.plot(*self.data.T, ".", color=INK, ms=1.2, alpha=0.3, mew=0)
        index = np.clip(np.searchsorted(self.times, t), 1, len(self.times) - 1)
        a, b = self.times[index - 1 : index + 1]
        x = self.x[index - 1] + (self.x[index] - self.x[index - 1]) * (t - a) / (b - a)
        keep = np.arange(0, len(x), -(-len(x) // 500))
        color: list[Any] = [preview.ramp(float(u))] * len(keep)
        if self.colors is not None:
            color = [self.colors[0][c] for c in self.colors[1][keep]]
        ax.scatter(x[keep, 0], x[keep, 1], s=4, c=color, alpha=0.7, linewidths=0)
        ax.set(xlim=(-limit, limit), ylim=(-limit, limit), xticks=[], yticks=[], aspect="equal")
        ax.spines[:].set_color("#cccccc")


def outside_note(panels: Sequence[Panel], limit: float) -> str:
    """A sentence where more than a tenth of the particles leave the frame; else ""."""
    share = max(float((np.abs(p.x) > limit).any(axis=2).mean(axis=1).max()) for p in panels)
    need = np.ceil(max(float(np.abs(p.x).max()) for p in panels))
    where = f"outside the frame [-{limit:g}, {limit:g}]²; frame={need:g} would show them all."
    return f"At times {share:.0%} of the particles are {where}" if share > 0.1 else ""


class TrajectoryPlayer(preview.Player):
    """Particles x (T, N, 2) played in the browser, with trails, a background and particles that the reader drops.

    trajectory   (T, N, 2), or a list of such for panels side by side on one clock
    field        the velocity (x (B, 2), t ()) -> (B, 2); a click drops a particle and follows it
    times        (T,) increasing, by default evenly from 0 to 1
    data         points (M, 2) in ink; density: what ``sample_density`` takes, in green; both behind the particles
    color        a colour, or N labels or hex colours, in place of grey that turns blue
    look         titles, label, frame (half side, 4), size (pixels), trails (how many particles have one), seconds,
                 time (the clock's name, "t"), clock=("name", function of t) for a second one, drop=[[x, y]], solver, steps

    With several panels a list has a value for each panel, anything else is shared."""

    _esm = script("common", "field", "trajectory", "trajectory_view")

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
        given = {"times": times, "field": field, "data": data, "density": density, "colors": color}
        given["title"] = tuple(self.look.titles) or ""
        runs, limit = [trajectory], float(self.look.frame)
        values = {name: [value] for name, value in given.items()}
        if isinstance(trajectory, (list, tuple)):
            if not trajectory:
                raise ValueError("TrajectoryPlayer needs at least one trajectory; an empty list came.")
            runs = list(trajectory)
            values = {name: per_panel(value, len(runs), name) for name, value in given.items()}
        self.panels = [
            Panel.read(x, limit=limit, **{name: value[i] for name, value in values.items()})
            for i, x in enumerate(runs)
        ]
        spans = sorted({(float(p.times[0]), float(p.times[-1])) for p in self.panels})
        if len(spans) > 1:
            came = " and ".join(f"from {a:g} to {b:g}" for a, b in spans)
            raise ValueError(
                f"panels share one clock, so their times must start and end together; they run {came}."
            )
        self.span, self.note = spans[0], outside_note(self.panels, limit)
        names = ", ".join(p.title for p in self.panels if p.title)
        default = f"{self.panels[0].x.shape[1]} particles moving in the plane {self._clock}"
        self.label, buffer = self.look.label or default + (f": {names}" if names else ""), BufferBuilder()
        spec = self._spec() | {"panels": [panel.pack(buffer, limit) for panel in self.panels]}
        super().__init__(buffer=buffer.bytes(), spec=spec)

    def _spec(self) -> dict[str, Any]:
        """Everything but the panels: labels, sizes and clocks."""
        look, clock = self.look, None
        if look.clock is not None:
            name, function = look.clock
            clock = {"name": name, "values": [float(function(t)) for t in np.linspace(*self.span, 101)]}
        same = {name: getattr(look, name) for name in ("trails", "seconds", "time", "solver", "steps")}
        return same | {
            "label": self.label,
            "note": self.note,
            "frame": float(look.frame),
            "span": list(self.span),
            "size": look.size or {1: 460, 2: 380}.get(len(self.panels), 290),
            "clock": clock,
            "drop": read_points(look.drop, "drop").tolist() if len(look.drop) else [],
        }

    @property
    def _clock(self) -> str:
        return f"from {self.look.time} = {self.span[0]:g} to {self.span[1]:g}"

    def strip(self) -> bytes:
        """Five moments, a row for each panel."""
        rows, moments = len(self.panels), np.linspace(*self.span, 5)
        if self.span[1] - self.span[0] > 4:  # a clock that counts has whole numbers
            moments = moments.round()
        height = 1.72 * rows + 0.3
        figure = Figure(figsize=(8.6, height), dpi=80)
        grid = {
            "left": 0.03,
            "right": 0.995,
            "bottom": 0.01,
            "top": 1 - 0.3 / height,
            "wspace": 0.03,
            "hspace": 0.03,
        }
        axes = figure.subplots(rows, 5, squeeze=False, gridspec_kw=grid)
        for row, panel in zip(axes, self.panels, strict=True):
            row[0].set_ylabel(panel.title, fontsize=9)
            for ax, t in zip(row, moments, strict=True):
                panel.draw(ax, float(t), self.look.frame)
        for ax, t in zip(axes[0], moments, strict=True):
            ax.set_title(f"{self.look.time} = {t:.2f}", fontsize=9, pad=4)
        return small(png(figure))

    def __repr__(self) -> str:
        first, count = self.panels[0], len(self.panels)
        what = f"{first.x.shape[1]} particles, {len(first.times)} times {self._clock}"
        what += f", {count} panels" if count > 1 else ""
        return f"TrajectoryPlayer({what}): run the cell to play" + (f". {self.note}" if self.note else "")
