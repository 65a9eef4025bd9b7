"""What several exercises share.

The questions of lecture 14's homework: paths, fields, batches, drawn anew for every seed.

Numbers have two digits where they can, so that a reader can redo one by hand.  Each exercise is asked on
ordinary batches first, and then where accidents show: one point, one coordinate, many points, other scales,
other times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch

from ....paths import VE, VP, Conical, Cosine
from .. import Case, Field, Network
from ..cases import FIELDS
from ..draws import LARGE, NARROW, Cases, Rng, sizes
from ..draws import points as _points

SCALES = ("alpha", "sigma", "dalpha", "dsigma")

FREE = "Right on the lecture's paths alone: the four scales may be any numbers here, and both signs occur."


def _odd_sizes(rng: Rng, large: str = LARGE) -> Iterator[tuple[str, int, int, str]]:
    """(name, B, D, hint) where squeezing, broadcasting and truncation show."""
    size, dim = sizes(rng)
    yield from (("B = 1", 1, dim, NARROW), ("D = 1", size, 1, NARROW), ("B = 40", 40, dim, large))


def _times(rng: Rng, *shape: int, low: float = 0.1, high: float = 0.9) -> np.ndarray:
    return np.round(rng.uniform(low, high, size=shape), 2)


def on_paths(first: str, second: str) -> Callable[[Rng], Cases]:
    """Cases for a formula in (first, second, alpha, sigma, dalpha, dsigma): the paths, then any scales."""

    def cases(rng: Rng) -> Cases:
        for path in (Conical(), VP(), VE(), Cosine()):
            kind = np.float32 if path.name == "cosine" else np.float64
            (size, dim), name = sizes(rng), path.name + " (float32)" * (kind is np.float32)
            t = _times(rng, size, 1)
            points = {first: _points(rng, size, dim), second: _points(rng, size, dim)}
            scales = [value.numpy()[:, None] for value in path.at(torch.from_numpy(t[:, 0]))]
            args = points | dict(zip(SCALES, scales, strict=True))
            args = {key: np.ascontiguousarray(value, dtype=kind) for key, value in args.items()}
            yield Case(name, args, shown={"t": t, **points})
        for name, size, dim, hint in (("unrelated scales", *sizes(rng), FREE), *_odd_sizes(rng)):
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


def _fields(rng: Rng, dim: int) -> Iterator[tuple[str, object]]:
    yield from ((formula, Field(formula)) for formula in FIELDS)
    yield "a network", Network.random(rng, dim)
