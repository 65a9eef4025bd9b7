"""Homework of lecture 14: flow matching.

The library's clock: t = 0 noise, t = 1 data, x_t = alpha x1 + sigma x0.  The slides on diffusion count
s = 1 − t.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ...core.ode import heun, solve
from ...paths import Conical, GaussianPath, Prediction
from ...paths.model import optimal_transport
from . import Case, Exercise, ObserveSpec, SameValues, Verdict
from . import _flow_matching_algorithms as algorithms
from . import _flow_matching_cases as cases
from . import _flow_matching_formulas as formulas
from .messages import WRONG

# --- the library's own answers


def conditional_velocity(x: Tensor, x1: Tensor, alpha: Tensor, sigma: Tensor, dalpha: Tensor, dsigma: Tensor) -> Tensor:
    """The velocity of the pair behind x, whose noise is x0 = (x − alpha x1)/sigma."""
    return Prediction(x1, (x - alpha * x1) / sigma, (alpha, sigma, dalpha, dsigma)).velocity


def cfm_loss(net: Callable, x1: Tensor, x0: Tensor, t: Tensor) -> Tensor:
    """Regression of the network on the velocity of its pair, conical path."""
    path = Conical()
    xt, _ = path.corrupt(x1, t, x0=x0)
    return torch.nn.functional.mse_loss(net(xt, t), path.endpoints(x1, x0, t).velocity)


def euler_sampler(field: Callable, x0: Tensor, steps: int) -> Tensor:
    """The end of the library's Euler trajectory."""
    ts = torch.linspace(0, 1, steps + 1, dtype=x0.dtype, device=x0.device)
    return solve(lambda x, t: field(x, t.expand(len(x))), x0, ts)[-1]


def heun_step(field: Callable, x: Tensor, t: Tensor, dt: float) -> Tensor:
    """The library's Heun."""
    return heun(field, x, t, dt)


def ot_coupling(x0: Tensor, x1: Tensor) -> tuple[Tensor, Tensor]:
    """The library's exact assignment, of least total squared distance."""
    return optimal_transport(x0, x1)


def reflow_pairs(sampler: Callable, x0: Tensor) -> tuple[Tensor, Tensor]:
    """Each noise beside the point it flows to."""
    with torch.no_grad():
        return x0, sampler(x0)


def score_from_velocity(u: Tensor, x: Tensor, alpha: Tensor, sigma: Tensor, dalpha: Tensor, dsigma: Tensor) -> Tensor:
    """Solve [alpha sigma; alpha' sigma'] (x̂1, x̂0) = (x, u) in each row, then −x̂0/sigma."""
    rows = torch.stack([torch.cat([alpha, sigma], 1), torch.cat([dalpha, dsigma], 1)], 1)
    noise = torch.linalg.solve(rows, torch.stack([x, u], 1))[:, 1]
    return -noise / sigma


def vp_field(x: Tensor, x1: Tensor, t: Tensor, beta_min: float, beta_max: float) -> Tensor:
    """The library's path with this alpha, which differentiates it in the library's clock; β may fall, too."""

    def area(t: Tensor) -> Tensor:
        return (1 - t) * (beta_min + (beta_max - beta_min) * (1 - t) / 2)

    path = GaussianPath(lambda t: torch.exp(-area(t) / 2), lambda t: torch.sqrt(-torch.expm1(-area(t))), name="VP")
    return path.velocity(x, x1, t.reshape(-1))


# --- how the pairs of a batch are judged


class BestPairs(SameValues):
    """Pairs of a batch: every point used once, least total squared distance, in any order."""

    drawn = False

    def canonical(self, values: dict[str, np.ndarray], case: Case) -> dict[str, np.ndarray]:
        order = np.lexsort(np.round(np.hstack([values["x0"], values["x1"]]), 3).T)
        return {name: rows[order] for name, rows in values.items()}

    def broken(self, values: dict[str, np.ndarray], right: dict[str, np.ndarray], case: Case) -> Verdict | None:
        for name in ("x0", "x1"):
            if not np.allclose(_sorted(values[name]), _sorted(case.args[name]), rtol=1e-6, atol=1e-6):
                return Verdict(
                    WRONG,
                    f"The returned {name} is not the batch {name} in another order.",
                    hint="Each point must appear exactly once: a coupling is a permutation.",
                )
        given, best = algorithms.total(values.values()), algorithms.total(right.values())
        if given <= best * (1 + 1e-6) + 1e-9:
            return None
        return Verdict(
            WRONG,
            "Every point is used once, but another pairing is cheaper.",
            f"{case.name}, total squared distance",
            f"{given:.6g}",
            f"{best:.6g}",
            "Is the assignment optimal for the sum of squared distances, and applied to the right batch?",
        )


def _sorted(rows: np.ndarray) -> np.ndarray:
    return rows[np.lexsort(np.round(rows, 3).T)]


EXERCISES = (
    Exercise(
        "fm.conditional_velocity",
        "8.1",
        "the conditional velocity",
        "the velocity of the conditional path of x1 at the point x, for any four scales",
        cases.on_paths("x", "x1"),
        conditional_velocity,
        formulas.VELOCITY,
        1,
        "Ask first which noise brought x1 to x: x0 = (x − α x1)/σ. Then differentiate α x1 + σ x0 by t.",
    ),
    Exercise(
        "fm.cfm_loss",
        "8.2",
        "the conditional flow matching loss",
        "the mean, over batch and coordinates, of the squared error between the network's answer on the road "
        "and the direction of the road",
        cases.losses,
        cfm_loss,
        formulas.LOSS,
        2,
        "The point is x_t = t x1 + (1 − t) x0 (t needs a second axis), the target x1 − x0; then the mean of all squares.",
        ObserveSpec(outputs=("loss",), gradient=("net",), tensors=True),
    ),
    Exercise(
        "fm.euler_sampler",
        "8.3",
        "the Euler sampler",
        "the point to which Euler's method brings x0 from time 0 to time 1, in equal steps",
        cases.samplers,
        euler_sampler,
        algorithms.EULER,
        2,
        "With N steps: x_{k+1} = x_k + u(x_k, t_k)/N at t_k = k/N, for k = 0 … N − 1.",
    ),
    Exercise(
        "fm.heun_step",
        "8.4",
        "one step of Heun",
        "the point one step later, by the average of the velocity here and the velocity at Euler's end",
        cases.steps,
        heun_step,
        algorithms.HEUN,
        1,
        "u₀ is the field at (x, t), u₁ the field at (x + dt u₀, t + dt); the step is dt (u₀ + u₁)/2.",
    ),
    Exercise(
        "fm.ot_coupling",
        "8.5",
        "the optimal coupling of a batch",
        "the one-to-one pairing of least total squared distance: x0 and x1, row beside row",
        cases.batches,
        ot_coupling,
        algorithms.COUPLING,
        2,
        "The costs are a (B, B) table, c_ij = |x0_i − x1_j|²; its best assignment gives a number i and a number "
        "j for each pair.",
        ObserveSpec(outputs=("x0", "x1"), tensors=True),
        BestPairs(),
    ),
    Exercise(
        "fm.reflow_pairs",
        "8.6",
        "the pairs of a rectified flow",
        "each noise and the point where the sampler takes it, without a gradient",
        cases.reflows,
        reflow_pairs,
        algorithms.REFLOW,
        1,
        "The old model pairs them, x1 = sampler(x0) row by row, outside the graph.",
        ObserveSpec(outputs=("x0", "x1"), detached=True),
    ),
    Exercise(
        "fm.score_from_velocity",
        "8.7",
        "the score from the velocity",
        "the score at x, from the velocity u there and the four scales",
        cases.on_paths("u", "x"),
        score_from_velocity,
        formulas.SCORE,
        2,
        "x = α x̂1 + σ x̂0 and u = α' x̂1 + σ' x̂0; in α u − α' x the data drops out. The score is −x̂0/σ.",
    ),
    Exercise(
        "fm.vp_field_reversed_time",
        "8.8",
        "the VP field in reversed time",
        "the slide's field at flow matching time t, for a β that is linear in the slide's own time",
        cases.reversed_times,
        vp_field,
        formulas.REVERSED,
        2,
        "With s = 1 − t: ∫₀ˢ β = β_min s + (β_max − β_min) s²/2 and α' = −½ β(s) α(s).",
    ),
)
