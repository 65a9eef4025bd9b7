"""The questions of lecture 14's homework: paths, fields, batches, drawn anew for every seed.

Numbers have two digits where they can, so that a reader can redo one by hand.  Each exercise is asked on
ordinary batches first, and then where accidents show: one point, one coordinate, many points, other scales,
other times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch

from ...paths import VE, VP, Conical, Cosine
from . import _flow_matching_algorithms as slips
from .cases import FIELDS, Case, Field, Network

Rng = np.random.Generator
Cases = Iterator[Case]

SCALES = ("alpha", "sigma", "dalpha", "dsigma")
NARROW = "Wrong where an axis has length one: squeeze() takes such an axis away, and torch then makes all pairs."
LARGE = "Right on small batches alone: is the number of points fixed somewhere?"
EXACT = "Right on small batches alone: is the pairing approximate, or made in parts? The assignment is exact at any size."
FREE = "Right on the lecture's paths alone: the four scales may be any numbers here, and both signs occur."
COUNT = (
    "Count the steps: adding up 1/steps until 1 is reached (while, arange) is a step too many or too few where "
    "it rounds. One single step is allowed, too."
)


def _sizes(rng: Rng) -> tuple[int, int]:
    """A batch and a dimension that differ from each other and from one."""
    return int(rng.integers(6, 11)), int(rng.integers(2, 6))


def _odd_sizes(rng: Rng, large: str = LARGE) -> Iterator[tuple[str, int, int, str]]:
    """(name, B, D, hint) where squeezing, broadcasting and truncation show."""
    size, dim = _sizes(rng)
    yield from (("B = 1", 1, dim, NARROW), ("D = 1", size, 1, NARROW), ("B = 40", 40, dim, large))


def _points(rng: Rng, *shape: int) -> np.ndarray:
    return np.round(rng.normal(size=shape) * 1.5, 2)


def _times(rng: Rng, *shape: int, low: float = 0.1, high: float = 0.9) -> np.ndarray:
    return np.round(rng.uniform(low, high, size=shape), 2)


# --- 8.1 and 8.7


def on_paths(first: str, second: str) -> Callable[[Rng], Cases]:
    """Cases for a formula in (first, second, alpha, sigma, dalpha, dsigma): the paths, then any scales."""

    def cases(rng: Rng) -> Cases:
        for path in (Conical(), VP(), VE(), Cosine()):
            kind = np.float32 if path.name == "cosine" else np.float64
            (size, dim), name = _sizes(rng), path.name + " (float32)" * (kind is np.float32)
            t = _times(rng, size, 1)
            points = {first: _points(rng, size, dim), second: _points(rng, size, dim)}
            scales = [value.numpy()[:, None] for value in path.at(torch.from_numpy(t[:, 0]))]
            args = points | dict(zip(SCALES, scales, strict=True))
            args = {key: np.ascontiguousarray(value, dtype=kind) for key, value in args.items()}
            yield Case(name, args, shown={"t": t, **points})
        for name, size, dim, hint in (("unrelated scales", *_sizes(rng), FREE), *_odd_sizes(rng)):
            points = {first: _points(rng, size, dim), second: _points(rng, size, dim)}
            yield Case(name, points | _unrelated(rng, size), hint=hint)

    return cases


def _unrelated(rng: Rng, size: int) -> dict[str, np.ndarray]:
    """Four scales of no path; alpha' sigma − alpha sigma' is ±(½ to 2), in turn."""
    alpha, sigma, dalpha = (np.round(rng.uniform(0.4, 1.6, size=(size, 1)), 2) for _ in SCALES[:3])
    sign = np.where(np.arange(size) % 2, 1, -1)[:, None]
    dalpha = dalpha * rng.choice([-1, 1], size=(size, 1))
    dsigma = (dalpha * sigma - sign * rng.uniform(0.5, 2, size=(size, 1))) / alpha
    return dict(zip(SCALES, (alpha, sigma, dalpha, dsigma), strict=True))


# --- 8.2


def losses(rng: Rng) -> Cases:
    usual = (("a small network", *_sizes(rng), ""), ("float32", *_sizes(rng), ""))
    for name, size, dim, hint in (*usual, *_odd_sizes(rng)):
        batch = {
            "x1": _points(rng, size, dim),
            "x0": _points(rng, size, dim),
            "t": _times(rng, size, low=0.01, high=0.99),
        }
        kind = np.float32 if name == "float32" else np.float64
        args = {key: value.astype(kind) for key, value in batch.items()}
        yield Case(name, {"net": Network.random(rng, dim), **args}, hint=hint)


# --- 8.3 and 8.4


def _fields(rng: Rng, dim: int) -> Iterator[tuple[str, object]]:
    yield from ((formula, Field(formula)) for formula in FIELDS)
    yield "a network", Network.random(rng, dim)


def samplers(rng: Rng) -> Cases:
    size, dim = _sizes(rng)
    for name, recipe in _fields(rng, dim):
        yield Case(name, {"field": recipe, "x0": _points(rng, size, dim), "steps": int(rng.choice((2, 3, 4, 5, 8)))})
    for steps in (1, 10, 12, 49, 50, 99, 100):
        args = {"field": Field("u = 3t² − x"), "x0": _points(rng, size, dim), "steps": steps}
        yield Case(f"{steps} step" + "s" * (steps > 1), args, hint=COUNT)
    x0 = _points(rng, size, dim).astype(np.float32)
    yield Case("float32", {"field": Network.random(rng, dim), "x0": x0, "steps": 5})
    for name, size, dim, hint in _odd_sizes(rng):
        args = {"field": Field("u = sin(3x) + t"), "x0": _points(rng, size, dim), "steps": 4}
        yield Case(name, args, hint=hint)


def steps(rng: Rng) -> Cases:
    size, dim = _sizes(rng)

    def case(name: str, recipe: object, batch: tuple[int, int], hint: str = "", kind: type = np.float64) -> Case:
        low, high = (-1.5, 2.5) if name == "t outside [0, 1]" else (0.1, 0.6)
        dt = round(float(rng.uniform(0.2, 0.4)), 2) * (-1 if name == "dt < 0" else 1)
        args = {
            "x": _points(rng, *batch).astype(kind),
            "t": _times(rng, batch[0], low=low, high=high).astype(kind),
        }
        return Case(name, {"field": recipe, **args, "dt": dt}, hint=hint)

    for name, recipe in _fields(rng, dim):
        yield case(name, recipe, (size, dim))
    yield case("float32", Network.random(rng, dim), (size, dim), kind=np.float32)
    curved = Field("u = x cos(3t)")
    yield case("t outside [0, 1]", curved, (size, dim), "t may be any time: is it clamped to [0, 1]?")
    yield case("dt < 0", curved, (size, dim), "dt may be negative: the same step then goes back in time.")
    for name, size, dim, hint in _odd_sizes(rng):
        yield case(name, curved, (size, dim), hint)


# --- 8.5


def batches(rng: Rng) -> Cases:
    """Ordinary batches on which the usual wrong pairings all cost more than the best one, and odd ones."""
    for name in ("one batch", "another batch", "float32"):
        yield _batch(rng, name, int(rng.integers(6, 12)), int(rng.integers(2, 5)))
    for name, size, dim, hint in _odd_sizes(rng, EXACT):
        yield _batch(rng, name, size, dim, hint)


def _batch(rng: Rng, name: str, size: int, dim: int, hint: str = "") -> Case:
    telling = False
    while not telling:
        x0, x1 = _points(rng, size, dim), _points(rng, size, dim) + 1
        telling = min(size, dim) == 1 or slips.all_dearer(torch.from_numpy(x0), torch.from_numpy(x1))
    kind = np.float32 if name == "float32" else np.float64
    return Case(name, {"x0": x0.astype(kind), "x1": x1.astype(kind)}, hint=hint)


# --- 8.6


def reflows(rng: Rng) -> Cases:
    usual = (("a sampler", *_sizes(rng), ""), ("another sampler", *_sizes(rng), ""))
    for name, size, dim, hint in (*usual, *_odd_sizes(rng)):
        yield Case(name, {"sampler": Network.random(rng, dim), "x0": _points(rng, size, dim)}, hint=hint)


# --- 8.8


def reversed_times(rng: Rng) -> Cases:
    drawn = (round(float(rng.uniform(0.1, 2)), 2), round(float(rng.uniform(3, 15)), 2))
    for (low, high), name, hint in (
        ((0.1, 20.0), "β from 0.1 to 20", ""),
        ((0.5, 4.0), "β from 0.5 to 4", ""),
        (drawn, "another β", "Right for some β alone: are beta_min and beta_max used as they come?"),
        ((6.0, 0.5), "a falling β", "β may fall as well: beta_max < beta_min is allowed."),
    ):
        yield _reversed_time(rng, name, _sizes(rng), (low, high), hint)
    ends = "Wrong only near the ends of time: is something clamped or added against a division by zero?"
    yield _reversed_time(rng, "t near 0 and 1", _sizes(rng), (0.1, 20.0), ends)
    for name, size, dim, hint in _odd_sizes(rng):
        yield _reversed_time(rng, name, (size, dim), (0.2, 10.0), hint)


def _reversed_time(rng: Rng, name: str, batch: tuple[int, int], beta: tuple[float, float], hint: str) -> Case:
    t = _times(rng, batch[0], 1)
    if name == "t near 0 and 1":
        t = np.where(np.arange(batch[0])[:, None] % 2, 0.01 + 0.03 * t, 0.99 - 0.03 * t).round(3)
    points = {"x": _points(rng, *batch), "x1": _points(rng, *batch)}
    return Case(name, {**points, "t": t, "beta_min": beta[0], "beta_max": beta[1]}, hint=hint)
