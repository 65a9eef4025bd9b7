"""The usual slips in the samplers and couplings of lecture 14's homework, as in `_flow_matching_formulas`."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from ._flow_matching_formulas import Mistakes


def _stepper(times: Callable, dt: Callable = lambda n: 1 / n, count: Callable = lambda n: n):
    """An Euler loop with another clock, step or number of steps."""

    def sampler(field: Callable, x0: Tensor, steps: int) -> Tensor:
        x = x0
        for k in range(count(steps)):
            x = x + dt(steps) * field(x, torch.tensor(times(k, steps), dtype=x0.dtype))
        return x

    return sampler


def _frozen(field: Callable, x0: Tensor, steps: int) -> Tensor:
    return x0 + sum(field(x0, torch.tensor(k / steps)) for k in range(steps)) / steps


EULER: Mistakes = (
    (
        "One tick late: step k must ask the field at its beginning, t_k = k/steps, not at its end.",
        _stepper(lambda k, n: (k + 1) / n),
    ),
    (
        "Time runs backwards: the field is asked at 1 − t. Here the noise is at t = 0.",
        _stepper(lambda k, n: 1 - k / n),
    ),
    (
        "Time runs backwards: the last step asks at t = 0 where the first should.",
        _stepper(lambda k, n: (n - 1 - k) / n),
    ),
    (
        "It walks backwards, from t = 1 down to 0: here the noise is at t = 0.",
        _stepper(lambda k, n: 1 - k / n, lambda n: -1 / n),
    ),
    (
        "Only the first step is taken: does `return` stand inside the loop?",
        _stepper(lambda k, n: k / n, count=lambda n: 1),
    ),
    (
        "The velocity is multiplied by the number of steps: a step is 1/steps long.",
        _stepper(lambda k, n: k / n, lambda n: n),
    ),
    (
        "The step length is missing: each step moves by the velocity times dt = 1/steps.",
        _stepper(lambda k, n: k / n, lambda n: 1),
    ),
    (
        "One step too many.",
        _stepper(lambda k, n: k / n, count=lambda n: n + 1),
    ),
    (
        "One step too few: range(steps) already leaves out the end.",
        _stepper(lambda k, n: k / n, count=lambda n: n - 1),
    ),
    (
        "linspace(0, 1, steps) has steps points but only steps − 1 gaps: ask for steps + 1 points.",
        _stepper(lambda k, n: k / (n - 1), lambda n: 1 / (n - 1), lambda n: n - 1),
    ),
    (
        "The times are k/(steps − 1): linspace(0, 1, steps) ends at 1, where no step begins.",
        _stepper(lambda k, n: k / (n - 1)),
    ),
    (
        "The field is asked at the time k, not at k/steps.",
        _stepper(lambda k, n: float(k)),
    ),
    (
        "The clock stands still: the field is always asked at t = 0.",
        _stepper(lambda k, n: 0.0),
    ),
    (
        "The clock stands still: the field is always asked at t = 1.",
        _stepper(lambda k, n: 1.0),
    ),
    (
        "Every step starts from x0 again: the field must be asked at the moving point x.",
        _frozen,
    ),
    (
        "The field is asked in the middle of the step; Euler asks at its beginning.",
        _stepper(lambda k, n: (k + 0.5) / n),
    ),
)

HEUN: Mistakes = (
    (
        "That is the midpoint method: Heun averages the slopes at both ends of the step.",
        lambda f, x, t, dt: x + dt * f(x + dt / 2 * f(x, t), t + dt / 2),
    ),
    (
        "That is one Euler step: Heun looks at the slope of the far end as well.",
        lambda f, x, t, dt: x + dt * f(x, t),
    ),
    (
        "The half is missing: the average of two slopes is their sum divided by two.",
        lambda f, x, t, dt: x + dt * (f(x, t) + f(x + dt * f(x, t), t + dt)),
    ),
    (
        "The second slope is asked at time t; it belongs to the end of the step, t + dt.",
        lambda f, x, t, dt: x + dt / 2 * (f(x, t) + f(x + dt * f(x, t), t)),
    ),
    (
        "The second slope is asked at the old point x; it belongs to the predicted point x + dt·f(x, t).",
        lambda f, x, t, dt: x + dt / 2 * (f(x, t) + f(x, t + dt)),
    ),
    (
        "The predictor forgets dt: the second slope is asked at x + dt·f(x, t).",
        lambda f, x, t, dt: x + dt / 2 * (f(x, t) + f(x + f(x, t), t + dt)),
    ),
    (
        "The step length dt is nowhere: it belongs to the predictor and to the step.",
        lambda f, x, t, dt: x + (f(x, t) + f(x + f(x, t), t + dt)) / 2,
    ),
    (
        "Only the slope of the far end is used: Heun averages it with the slope at the beginning.",
        lambda f, x, t, dt: x + dt * f(x + dt * f(x, t), t + dt),
    ),
    (
        "The increment alone came back: add it to x.",
        lambda f, x, t, dt: dt / 2 * (f(x, t) + f(x + dt * f(x, t), t + dt)),
    ),
    (
        "The average slope is added without the step length dt.",
        lambda f, x, t, dt: x + (f(x, t) + f(x + dt * f(x, t), t + dt)) / 2,
    ),
    (
        "The correction goes on from the predicted point; it starts again from x.",
        lambda f, x, t, dt: x + dt * f(x, t) + dt / 2 * (f(x, t) + f(x + dt * f(x, t), t + dt)),
    ),
)


def _assigned(x0: Tensor, x1: Tensor, cost: Tensor) -> tuple[Tensor, Tensor]:
    rows, columns = linear_sum_assignment(cost.detach().cpu().numpy())
    return x0[torch.as_tensor(rows, device=x0.device)], x1[torch.as_tensor(columns, device=x1.device)]


def by_distance(x0: Tensor, x1: Tensor) -> tuple[Tensor, Tensor]:
    return _assigned(x0, x1, torch.cdist(x0, x1))


def inverse(x0: Tensor, x1: Tensor) -> tuple[Tensor, Tensor]:
    columns = linear_sum_assignment((torch.cdist(x0, x1) ** 2).numpy())[1]
    return x0[columns], x1


def by_coordinate(x0: Tensor, x1: Tensor) -> tuple[Tensor, Tensor]:
    return x0[x0[:, 0].argsort()], x1[x1[:, 0].argsort()]


def total(pairs: Iterable) -> float:
    """Σ ‖x0 − x1‖² over the rows."""
    x0, x1 = pairs
    return float(((x0 - x1) ** 2).sum())


def all_dearer(x0: Tensor, x1: Tensor) -> bool:
    """Whether the usual wrong pairings of this batch all cost at least a hundredth more than the best one."""
    best = total(_assigned(x0, x1, torch.cdist(x0, x1) ** 2))
    return all(total(form(x0, x1)) > best * 1.01 for form in (by_distance, inverse, by_coordinate))


COUPLING: Mistakes = (
    (
        "The pairs are those that came in (independent): nothing was permuted, or both sides alike.",
        lambda x0, x1: (x0, x1),
    ),
    (
        "The order is swapped: noise x0 first, data x1 second.",
        lambda x0, x1: _assigned(x0, x1, torch.cdist(x0, x1) ** 2)[::-1],
    ),
    (
        "That is the best pairing for the distance; the lecture's cost is the squared distance.",
        by_distance,
    ),
    (
        "The permutation is applied to the wrong side (or inverted): x0[i] belongs to x1[j[i]].",
        inverse,
    ),
    (
        "Sorting by a coordinate is optimal in one dimension only.",
        by_coordinate,
    ),
    (
        "Each x0 takes its nearest x1, so some x1 are used twice and others never: a coupling is a permutation.",
        lambda x0, x1: (
            x0,
            x1[torch.cdist(x0, x1).argmin(1)],
        ),
    ),
    (
        "The dearest pairing instead of the cheapest: maximise=True, or a sign in the cost.",
        lambda x0, x1: _assigned(x0, x1, -(torch.cdist(x0, x1) ** 2)),
    ),
)

REFLOW: Mistakes = (
    (
        "Fresh noise was put beside the image: the coupling is lost. The noise of a pair must be the one that flowed there.",
        lambda sampler, x0: (torch.randn_like(x0), sampler(x0)),
    ),
    (
        "Fresh noise was sent through the sampler: the coupling is lost. Send x0 itself.",
        lambda sampler, x0: (
            x0,
            sampler(torch.randn_like(x0)),
        ),
    ),
    (
        "The pair is in the wrong order: noise first, its image second.",
        lambda sampler, x0: (sampler(x0), x0),
    ),
    (
        "Nothing flowed: the second of the pair must be sampler(x0).",
        lambda sampler, x0: (x0, x0),
    ),
    (
        "The sampler was run twice: once is one whole journey from noise to data.",
        lambda sampler, x0: (
            x0,
            sampler(sampler(x0)),
        ),
    ),
    (
        "The rows are out of step: row i of x1 must come from row i of x0.",
        lambda sampler, x0: (
            x0,
            sampler(x0).flip(0),
        ),
    ),
    (
        "The second of the pair is the displacement; the point itself is asked, sampler(x0).",
        lambda sampler, x0: (
            x0,
            sampler(x0) - x0,
        ),
    ),
)
