"""Homework of lecture 14: flow matching.

The library's clock: t = 0 noise, t = 1 data, x_t = alpha x1 + sigma x0.  The slides on diffusion count
s = 1 − t.  Numbers in the cases have two digits where they can, so that a reader can redo one by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from ...dynamics import heun, solve
from ...path_models import optimal_transport
from ...paths import VE, VP, Conical, Cosine, Guess
from . import Case, Exercise, Field, Network, SameValues, Verdict, Watch
from . import _flow_matching_slips as slips
from ._cases import FIELDS
from ._sentences import WRONG
from ._slips import close

# --- cases


SCALES = ("alpha", "sigma", "dalpha", "dsigma")


def _sizes(rng: np.random.Generator) -> tuple[int, int]:
    """A batch and a dimension that differ from each other and from one."""
    return int(rng.integers(6, 11)), int(rng.integers(2, 6))


def _points(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return np.round(rng.normal(size=shape) * 1.5, 2)


def _times(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return np.round(rng.uniform(0.1, 0.9, size=shape), 2)


def _on_paths(first: str, second: str) -> Callable[[np.random.Generator], Iterator[Case]]:
    """Cases for a formula in (first, second, alpha, sigma, dalpha, dsigma), one for each path."""

    def cases(rng: np.random.Generator) -> Iterator[Case]:
        for path in (Conical(), VP(), VE(), Cosine()):
            kind = np.float32 if path.name == "cosine" else np.float64
            (size, dim), name = _sizes(rng), path.name + " (float32)" * (kind is np.float32)
            t = _times(rng, size, 1)
            points = {first: _points(rng, size, dim), second: _points(rng, size, dim)}
            scales = [value.numpy() for value in path.at(torch.from_numpy(t[:, 0]))]
            scales = {key: value[:, None] for key, value in zip(SCALES, scales, strict=True)}
            args = {key: np.ascontiguousarray(value, dtype=kind) for key, value in (points | scales).items()}
            yield Case(name, args, shown={"t": t, **points})

    return cases


def _loss_cases(rng: np.random.Generator) -> Iterator[Case]:
    for kind, name in (
        (np.float64, "a small network"),
        (np.float64, "another network"),
        (np.float32, "float32"),
    ):
        size, dim = _sizes(rng)
        net = Network.draw(rng, dim)
        yield Case(
            name,
            {
                "net": net,
                "x1": _points(rng, size, dim).astype(kind),
                "x0": _points(rng, size, dim).astype(kind),
                "t": _times(rng, size).astype(kind),
            },
        )


def _fields(rng: np.random.Generator, dim: int) -> Iterator[tuple[str, object]]:
    yield from ((formula, Field(formula)) for formula in FIELDS)
    yield "a network", Network.draw(rng, dim)


def _sampler_cases(rng: np.random.Generator) -> Iterator[Case]:
    size, dim = _sizes(rng)
    for name, recipe in _fields(rng, dim):
        yield Case(name, {"field": recipe, "x0": _points(rng, size, dim), "steps": int(rng.integers(2, 9))})


def _step_cases(rng: np.random.Generator) -> Iterator[Case]:
    size, dim = _sizes(rng)
    for name, recipe in _fields(rng, dim):
        t, dt = np.round(rng.uniform(0.1, 0.6, size=size), 2), round(float(rng.uniform(0.2, 0.4)), 2)
        yield Case(name, {"field": recipe, "x": _points(rng, size, dim), "t": t, "dt": dt})


def _batch_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Batches on which the usual wrong pairings all cost more than the best one."""
    names = iter(("one batch", "another batch", "a third batch"))
    name = next(names)
    while name:
        size, dim = int(rng.integers(6, 12)), int(rng.integers(2, 5))
        x0, x1 = _points(rng, size, dim), _points(rng, size, dim) + 1
        torch_pair = torch.from_numpy(x0), torch.from_numpy(x1)
        best = _total(ot_coupling(*torch_pair))
        if all(
            _total(form(*torch_pair)) > best * 1.01
            for form in (slips.by_distance, slips.inverse, slips.by_coordinate)
        ):
            yield Case(name, {"x0": x0, "x1": x1})
            name = next(names, "")


def _reflow_cases(rng: np.random.Generator) -> Iterator[Case]:
    for name in ("a sampler", "another sampler"):
        size, dim = _sizes(rng)
        yield Case(name, {"sampler": Network.draw(rng, dim), "x0": _points(rng, size, dim)})


def _reversed_cases(rng: np.random.Generator) -> Iterator[Case]:
    for low, high in ((0.1, 20.0), (0.5, 4.0), (0.2, 10.0)):
        size, dim = _sizes(rng)
        yield Case(
            f"β from {low:g} to {high:g}",
            {
                "x": _points(rng, size, dim),
                "x1": _points(rng, size, dim),
                "t": _times(rng, size, 1),
                "beta_min": low,
                "beta_max": high,
            },
        )


# --- the library's own answers


def conditional_velocity(
    x: Tensor, x1: Tensor, alpha: Tensor, sigma: Tensor, dalpha: Tensor, dsigma: Tensor
) -> Tensor:
    """The velocity of the pair behind x, whose noise is x0 = (x − alpha x1)/sigma."""
    return Guess(x1, (x - alpha * x1) / sigma, (alpha, sigma, dalpha, dsigma)).velocity


def cfm_loss(net: Callable, x1: Tensor, x0: Tensor, t: Tensor) -> Tensor:
    """Regression of the network on the velocity of its pair, conical path."""
    path = Conical()
    xt, _ = path.corrupt(x1, t, x0=x0)
    return torch.nn.functional.mse_loss(net(xt, t), path.pair(x1, x0, t).velocity)


def euler_sampler(field: Callable, x0: Tensor, steps: int) -> Tensor:
    """The end of the library's Euler trajectory."""
    ts = torch.linspace(0, 1, steps + 1, dtype=x0.dtype, device=x0.device)
    return solve(lambda x, t: field(x, t.expand(len(x))), x0, ts)[-1]


def ot_coupling(x0: Tensor, x1: Tensor) -> tuple[Tensor, Tensor]:
    """The library's exact assignment, of least total squared distance."""
    return optimal_transport(x0, x1)


def reflow_pairs(sampler: Callable, x0: Tensor) -> tuple[Tensor, Tensor]:
    """Each noise beside the point it flows to."""
    with torch.no_grad():
        return x0, sampler(x0)


def score_from_velocity(
    u: Tensor, x: Tensor, alpha: Tensor, sigma: Tensor, dalpha: Tensor, dsigma: Tensor
) -> Tensor:
    """Solve [alpha sigma; alpha' sigma'] (x̂1, x̂0) = (x, u) in each row, then −x̂0/sigma."""
    rows = torch.stack([torch.cat([alpha, sigma], 1), torch.cat([dalpha, dsigma], 1)], 1)
    noise = torch.linalg.solve(rows, torch.stack([x, u], 1))[:, 1]
    return -noise / sigma


def vp_field(x: Tensor, x1: Tensor, t: Tensor, beta_min: float, beta_max: float) -> Tensor:
    """The library's VP path, which differentiates its own schedule in the library's clock."""
    return VP(beta_min, beta_max).velocity(x, x1, t.reshape(-1))


# --- how the pairs of a batch are judged


class BestPairs(SameValues):
    """Pairs of a batch: every point used once, least total squared distance, in any order."""

    def canonical(self, values: dict[str, np.ndarray], case: Case) -> dict[str, np.ndarray]:
        order = np.lexsort(np.round(np.hstack([values["x0"], values["x1"]]), 3).T)
        return {name: rows[order] for name, rows in values.items()}

    def broken(
        self, values: dict[str, np.ndarray], right: dict[str, np.ndarray], case: Case
    ) -> Verdict | None:
        for name in ("x0", "x1"):
            if not close(_sorted(values[name]), _sorted(case.args[name])):
                return Verdict(
                    WRONG,
                    f"The returned {name} is not the batch {name} in another order.",
                    hint="Each point must appear exactly once: a coupling is a permutation.",
                )
        given, best = _total(values.values()), _total(right.values())
        if given <= best * 1.001 + 1e-9:
            return None
        return Verdict(
            WRONG,
            "Every point is used once, but another pairing is cheaper.",
            f"{case.name}, total squared distance",
            f"{given:.4g}",
            f"{best:.4g}",
            "Is the assignment optimal for the sum of squared distances, and applied to the right batch?",
        )


def _sorted(rows: np.ndarray) -> np.ndarray:
    return rows[np.lexsort(np.round(rows, 3).T)]


def _total(pairs: Iterable) -> float:
    a, b = pairs
    return float(((a - b) ** 2).sum())


PAIR = Watch(outputs=("x0", "x1"))

EXERCISES = (
    Exercise(
        "fm.conditional_velocity",
        "8.1",
        "the conditional velocity",
        "the field that moves the conditional path of x1: μ' + (σ'/σ)(x − μ) with μ = α x1",
        _on_paths("x", "x1"),
        conditional_velocity,
        slips.VELOCITY,
        1,
        "Ask first which noise brought x1 to x: x0 = (x − α x1)/σ. Then differentiate α x1 + σ x0 by t.",
    ),
    Exercise(
        "fm.cfm_loss",
        "8.2",
        "the conditional flow matching loss",
        "mean over batch and coordinates of (net(x_t, t) − (x1 − x0))², x_t = t x1 + (1 − t) x0",
        _loss_cases,
        cfm_loss,
        slips.LOSS,
        2,
        "Three lines: the point x_t (t needs a second axis), the target x1 − x0, the mean of the squares.",
        Watch(outputs=("loss",), gradient=("net",)),
    ),
    Exercise(
        "fm.euler_sampler",
        "8.3",
        "the Euler sampler",
        "x_{k+1} = x_k + field(x_k, t_k)/steps, t_k = k/steps",
        _sampler_cases,
        euler_sampler,
        slips.EULER,
        2,
        "A loop over k = 0 … steps − 1: the time is k/steps for every point of the batch, the step 1/steps.",
    ),
    Exercise(
        "fm.heun_step",
        "8.4",
        "one step of Heun",
        "x + dt/2 (f(x, t) + f(x + dt f(x, t), t + dt))",
        _step_cases,
        heun,
        slips.HEUN,
        1,
        "Predict the end with one Euler step, ask the field there at t + dt, and go with the average slope.",
    ),
    Exercise(
        "fm.ot_coupling",
        "8.5",
        "the optimal coupling of a batch",
        "the permutation j that makes Σ_i |x0_i − x1_j(i)|² least; return x0 and x1 in matching order",
        _batch_cases,
        ot_coupling,
        slips.COUPLING,
        2,
        "A (B, B) table of squared distances, scipy.optimize.linear_sum_assignment(table), then index both.",
        PAIR,
        BestPairs(),
    ),
    Exercise(
        "fm.reflow_pairs",
        "8.6",
        "the pairs of a rectified flow",
        "(x0, x1) with x1 = sampler(x0), no gradient",
        _reflow_cases,
        reflow_pairs,
        slips.REFLOW,
        1,
        "The old model pairs them: each noise with the point to which its own trajectory leads.",
        Watch(outputs=("x0", "x1"), detached=True),
    ),
    Exercise(
        "fm.score_from_velocity",
        "8.7",
        "the score from the velocity",
        "u = α' x̂1 + σ' x̂0 and x = α x̂1 + σ x̂0 give x̂0; the score is −x̂0/σ",
        _on_paths("u", "x"),
        score_from_velocity,
        slips.SCORE,
        2,
        "Eliminate x̂1: take α times the first equation minus α' times the second.",
    ),
    Exercise(
        "fm.vp_field_reversed_time",
        "8.8",
        "the VP field in reversed time",
        "f = α'/(1 − α²) (α x − x1), α and α' at s = 1 − t, α(s) = exp(−½ ∫₀ˢ β), β linear",
        _reversed_cases,
        vp_field,
        slips.REVERSED,
        2,
        "With s = 1 − t: ∫₀ˢ β = β_min s + (β_max − β_min) s²/2 and α' = −½ β(s) α(s).",
    ),
)
