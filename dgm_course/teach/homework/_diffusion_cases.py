"""The questions of the homework on diffusion: noise levels, schedules, batches, drawn anew for every seed.

Each exercise is asked on ordinary batches first, and then where accidents show: one point, one coordinate,
many points, the first and the last step of a chain, both ends of time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from ...paths import VE, VP, Conical, Cosine
from .cases import Case, Network
from .draws import Cases, Rng, in_float32, numbers, odd_sizes, points, sizes

ENDS = "Wrong only near the ends of time: is something clamped, or added against a division by zero?"
SOME_BETA = "Right for some β alone: are beta_min and beta_max used as they come?"
SOME_SIGMA = "Right for some σ alone: are sigma_min and sigma_max used as they come?"
FIRST = (
    "Only the first step k = 1 is wrong. Before it nothing is spoilt, abar_0 = 1 and no variance is left: does an index "
    "of −1 reach for the last entry, or is something clamped?"
)
LAST = "Only the last step k = T is wrong: which entry of betas, counted from 0, belongs to step T?"
ANY_BETAS = "Right on some schedules alone: the betas come as an argument, and need not rise."
LONG = "Right on short schedules alone: is the number of steps fixed somewhere, or an epsilon added to small variances?"
LEVELS = "Right on ordinary noise levels alone: is sigma clamped, rounded, or an epsilon added?"
UNRELATED = "Right on the lecture's paths alone: alpha and sigma may be any two positive numbers here."
TO_DATA = "Wrong only where the step ends at the data, abar_next = 1: is something clamped or divided by zero there?"
NEIGHBOURS = "Wrong only where the two alpha-bars lie close together: is something clamped, rounded, or an epsilon added?"
WEIGHT = "Right for some weights alone: any number is allowed, above 1 (the usual case) and below 0, too."
SIZE = "Right for small steps alone: is `step` used as it comes?"


# --- 7.1 and 7.2


def _kernel(rng: Rng, batch: tuple[int, int], ends: dict[str, float]) -> dict[str, object]:
    return {"x": points(rng, *batch), "s": numbers(rng, batch[0], 1), **ends}


def _ends_of_time(rng: Rng, size: int) -> np.ndarray:
    """0, 1 and times near to them, in turn.  (B, 1)"""
    near = numbers(rng, size, 1, low=0.01, high=0.04)
    turns = np.arange(size)[:, None] % 4
    return np.select([turns == 0, turns == 1, turns == 2], [np.zeros_like(near), np.ones_like(near), near], 1 - near)


def _kernels(rng: Rng, schedules: tuple, usual: dict[str, float]) -> Cases:
    for name, ends, hint in schedules:
        yield Case(name, _kernel(rng, sizes(rng), ends), hint=hint)
    yield Case("float32", in_float32(_kernel(rng, sizes(rng), usual)))
    args = _kernel(rng, sizes(rng), usual)
    yield Case("s near 0 and 1", args | {"s": _ends_of_time(rng, len(args["x"]))}, hint=ENDS)
    for name, batch, hint in odd_sizes(rng):
        yield Case(name, _kernel(rng, batch, usual), hint=hint)


def vp_kernels(rng: Rng) -> Cases:
    def ends(low: float, high: float) -> dict[str, float]:
        return {"beta_min": low, "beta_max": high}

    drawn, constant = (round(float(rng.uniform(*span)), 2) for span in ((0.1, 2), (1, 3)))
    schedules = (
        ("β from 0.1 to 20", ends(0.1, 20.0), ""),
        ("β from 0.5 to 4", ends(0.5, 4.0), ""),
        ("another β", ends(drawn, round(float(rng.uniform(3, 15)), 2)), SOME_BETA),
        ("a constant β", ends(constant, constant), SOME_BETA),
    )
    return _kernels(rng, schedules, ends(0.2, 10.0))


def ve_kernels(rng: Rng) -> Cases:
    def ends(low: float, high: float) -> dict[str, float]:
        return {"sigma_min": low, "sigma_max": high}

    drawn = ends(round(float(rng.uniform(0.2, 0.9)), 2), round(float(rng.uniform(2, 9)), 2))
    schedules = (
        ("σ from 0.5 to 4", ends(0.5, 4.0), ""),
        ("σ from 0.01 to 10", ends(0.01, 10.0), ""),
        ("another σ", drawn, SOME_SIGMA),
        ("σ from 1.5 to 6", ends(1.5, 6.0), SOME_SIGMA),
    )
    return _kernels(rng, schedules, ends(0.3, 5.0))


# --- 7.3 and 7.6: chains


def _betas(rng: Rng) -> np.ndarray:
    """A rising schedule of 12 to 20 steps.  (T,)"""
    return np.sort(np.round(rng.uniform(0.02, 0.3, size=int(rng.integers(12, 21))), 3))


def _schedules(rng: Rng) -> Iterator[tuple[str, np.ndarray, str]]:
    """(name, betas, hint): two ordinary ones first, on which neither k = 1 nor k = T is asked."""
    yield from (("a schedule", _betas(rng), ""), ("another schedule", _betas(rng), ""), ("float32", _betas(rng), ""))
    yield "a falling schedule", _betas(rng)[::-1].copy(), ANY_BETAS
    yield "the first step", _betas(rng), FIRST
    yield "the last step", _betas(rng), LAST
    yield "T = 1000", np.linspace(1e-4, 0.02, 1000), LONG


def _bars(betas: np.ndarray) -> np.ndarray:
    """abar_0 ... abar_T."""
    return np.concatenate([[1.0], np.cumprod(1 - betas)])


def _inner_steps(rng: Rng, betas: np.ndarray, size: int) -> np.ndarray:
    return rng.integers(2, len(betas), size=size)


def _scales_at(k: np.ndarray | int, betas: np.ndarray) -> dict[str, object]:
    """What a reader needs to redo an entry by hand."""
    bars = _bars(betas)
    found = {"beta_k": betas[k - 1], "abar_k": bars[k], "abar_(k-1)": bars[k - 1]}
    return {name: value[:, None] if isinstance(k, np.ndarray) else float(value) for name, value in found.items()}


def posteriors(rng: Rng) -> Cases:
    """q(x_{k−1} | x_k, x_data), every row at its own step."""

    def case(name: str, batch: tuple[int, int], betas: np.ndarray, hint: str) -> Case:
        k = _inner_steps(rng, betas, batch[0])
        edge = {"the first step": 1, "the last step": len(betas)}.get(name)
        k = k if edge is None else np.where(np.arange(batch[0]) % 2, k, edge)
        pair = {"xk": points(rng, *batch), "x_data": points(rng, *batch)}
        args = {**pair, "k": k, "betas": betas}
        shown = {"k": k[:, None], **_scales_at(k, betas), **pair}
        return Case(name, in_float32(args) if name == "float32" else args, shown, hint)

    for name, betas, hint in _schedules(rng):
        yield case(name, sizes(rng), betas, hint)
    for name, batch, hint in odd_sizes(rng):
        yield case(name, batch, _betas(rng), hint)


def ancestral_steps(rng: Rng) -> Cases:
    """One step of a sampler, the whole batch at one k."""

    def case(name: str, batch: tuple[int, int], betas: np.ndarray, hint: str) -> Case:
        k = {"the first step": 1, "the last step": len(betas)}.get(name, int(_inner_steps(rng, betas, 1)[0]))
        eps, xk, z = (points(rng, *batch) for _ in range(3))
        args = {"eps_hat": eps, "xk": xk, "k": k, "betas": betas, "z": z}
        shown = {"k": k, **_scales_at(k, betas), "eps_hat": eps, "xk": xk, "z": z}
        return Case(name, in_float32(args) if name == "float32" else args, shown, hint)

    for name, betas, hint in _schedules(rng):
        yield case(name, sizes(rng), betas, hint)
    for name, batch, hint in odd_sizes(rng):
        yield case(name, batch, _betas(rng), hint)


# --- 7.4


def losses(rng: Rng) -> Cases:
    usual = (("a small network", sizes(rng), ""), ("float32", sizes(rng), ""), ("σ from 0.01 to 10", sizes(rng), LEVELS))
    for name, batch, hint in (*usual, *odd_sizes(rng)):
        sigma = numbers(rng, batch[0], 1, high=3.0)
        if "0.01" in name:
            sigma = np.round(0.01 * 1000 ** rng.uniform(0, 1, size=(batch[0], 1)), 3)
        args = {"x_data": points(rng, *batch), "eps": points(rng, *batch), "sigma": sigma}
        args = in_float32(args) if name == "float32" else args
        yield Case(name, {"score_net": Network.random(rng, batch[1]), **args}, hint=hint)


# --- 7.5


def denoisings(rng: Rng) -> Cases:
    for path in (Conical(), VP(), VE(), Cosine()):
        batch, single = sizes(rng), path.name == "cosine"
        times = torch.from_numpy(numbers(rng, batch[0], 1))
        scales = {"alpha": path.alpha(times).numpy(), "sigma": path.sigma(times).numpy()}
        args = {"score": points(rng, *batch), "x": points(rng, *batch), **scales}
        yield Case(path.name + " (float32)" * single, in_float32(args) if single else args)
    for name, batch, hint in (("unrelated scales", sizes(rng), UNRELATED), *odd_sizes(rng)):
        args = {"score": points(rng, *batch), "x": points(rng, *batch)}
        scales = {key: numbers(rng, batch[0], 1, low=0.4, high=1.6) for key in ("alpha", "sigma")}
        yield Case(name, args | scales, hint=hint)


# --- 7.7 and 7.8: leaps between two alpha-bars


def _two_bars(rng: Rng, size: int, name: str) -> dict[str, np.ndarray]:
    """abar_now < abar_next (B, 1): towards the data."""
    now = np.round(rng.uniform(0.05, 0.6, size=(size, 1)), 3)
    then = np.round(now + (0.95 - now) * rng.uniform(0.2, 0.9, size=(size, 1)), 3)
    if name == "abar_next = 1":
        then = np.where(np.arange(size)[:, None] % 2, then, 1.0)
    if name == "neighbours":
        then = now / (1 - rng.uniform(0.005, 0.03, size=(size, 1)))
    return {"abar_now": now, "abar_next": then}


def leaps(first: str, second: str) -> Callable[[Rng], Cases]:
    """Cases for a formula in (first, second, abar_now, abar_next)."""
    names = [("two alpha-bars", ""), ("two others", ""), ("float32", "")]
    names += [("neighbours", NEIGHBOURS), ("abar_next = 1", TO_DATA)]

    def cases(rng: Rng) -> Cases:
        for name, batch, hint in (*((name, sizes(rng), hint) for name, hint in names), *odd_sizes(rng)):
            args = {first: points(rng, *batch), second: points(rng, *batch), **_two_bars(rng, batch[0], name)}
            yield Case(name, in_float32(args) if name == "float32" else args, hint=hint)

    return cases


# --- 7.9


def guidances(rng: Rng) -> Cases:
    drawn = round(float(rng.uniform(1.5, 9)), 2)
    usual = (("weight 3", 3.0, ""), (f"weight {drawn:g}", drawn, ""), ("float32", 2.5, ""), ("weight ½", 0.5, ""))
    special = (("weight 1", 1.0, WEIGHT), ("weight 0", 0.0, WEIGHT), ("weight −2", -2.0, WEIGHT))
    rows = [(name, sizes(rng), weight, hint) for name, weight, hint in (*usual, *special)]
    for name, batch, weight, hint in (*rows, *((name, batch, 4.0, hint) for name, batch, hint in odd_sizes(rng))):
        args = {"free": points(rng, *batch), "given": points(rng, *batch), "weight": weight}
        yield Case(name, in_float32(args) if name == "float32" else args, hint=hint)


# --- 7.10

SCORES: dict[str, Callable] = {
    "score = −x": lambda x: -x,
    "score = 4(1 − x)": lambda x: 4 * (1 - x),
    "score = 2 tanh(2x) − x": lambda x: 2 * torch.tanh(2 * x) - x,  # of two bumps, at −2 and 2
}


@dataclass(frozen=True)
class Score:
    """A score by its formula; called with x alone."""

    formula: str

    def build(self, like: torch.Tensor) -> Callable:
        return lambda x: SCORES[self.formula](x)


def langevin_steps(rng: Rng) -> Cases:
    bumps = Score("score = 2 tanh(2x) − x")
    rows = [(formula, Score(formula), sizes(rng), "") for formula in SCORES]
    batch = sizes(rng)
    rows += [("a network", Network.random(rng, batch[1]), batch, ""), ("float32", bumps, sizes(rng), "")]
    rows += [("a large step", bumps, sizes(rng), SIZE)]
    for name, recipe, batch, hint in (*rows, *((name, bumps, batch, hint) for name, batch, hint in odd_sizes(rng))):
        low, high = (1.5, 3) if name == "a large step" else (0.05, 0.4)
        noisy = {"x": points(rng, *batch), "step": round(float(rng.uniform(low, high)), 4), "z": points(rng, *batch)}
        yield Case(name, {"score": recipe, **(in_float32(noisy) if name == "float32" else noisy)}, hint=hint)
