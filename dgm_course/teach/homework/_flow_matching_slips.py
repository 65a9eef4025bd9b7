"""The usual slips in the homework of lecture 14: a hint, and the wrong form that earns it.

An answer whose values agree with a wrong form in every case gets its hint; tests hold that each is wrong.
In the formulas a, s, da, ds stand for alpha, sigma and their derivatives.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

Form = Callable[..., object]
Table = tuple[tuple[str, Form], ...]

VELOCITY: Table = (
    (
        "Inside the bracket the point is compared with x1, where the lecture compares it with the"
        " mean α x1 (on VE, α = 1 hides it).",
        lambda x, x1, a, s, da, ds: da * x1 + ds / s * (x - x1),
    ),
    (
        "The second term has the wrong sign: with σ' < 0 the point must be pulled toward the "
        "mean, yours is pushed away.",
        lambda x, x1, a, s, da, ds: da * x1 - ds / s * (x - a * x1),
    ),
    (
        "The mean moves too: the term α' x1 is missing (on VE, α' = 0 hides it).",
        lambda x, x1, a, s, da, ds: ds / s * (x - a * x1),
    ),
    (
        "The ratio is inverted or lost: it is σ' divided by σ, not times.",
        lambda x, x1, a, s, da, ds: da * x1 + ds * s * (x - a * x1),
    ),
    (
        "The ratio is upside down: it is σ'/σ, not σ/σ'.",
        lambda x, x1, a, s, da, ds: da * x1 + s / ds * (x - a * x1),
    ),
    (
        "The division by σ is missing: (x − α x1)/σ is the noise, and the noise is what σ' multiplies.",
        lambda x, x1, a, s, da, ds: da * x1 + ds * (x - a * x1),
    ),
    (
        "Everything is negated: time runs the other way, the derivatives belong to the diffusion "
        "clock s = 1 − t.",
        lambda x, x1, a, s, da, ds: -da * x1 - ds / s * (x - a * x1),
    ),
    (
        "The bracket must hold the distance from the mean: x − α x1, not x alone.",
        lambda x, x1, a, s, da, ds: da * x1 + ds / s * x,
    ),
    (
        "The first term needs the derivative α', not α itself.",
        lambda x, x1, a, s, da, ds: a * x1 + ds / s * (x - a * x1),
    ),
    (
        "One σ too many: the ratio is σ'/σ, not σ'/σ².",
        lambda x, x1, a, s, da, ds: da * x1 + ds / s**2 * (x - a * x1),
    ),
)


def _loss(
    point: Callable,
    target: Callable,
    reduce: Callable = lambda e: (e**2).mean(),
    clock: Callable = lambda t: t,
):
    """The loss with one of its pieces exchanged."""
    return lambda net, x1, x0, t: reduce(
        net(point(x1, x0, t[:, None]), clock(t)) - target(x1, x0, t[:, None])
    )


def _between(x1: Tensor, x0: Tensor, t: Tensor) -> Tensor:
    return t * x1 + (1 - t) * x0


def _difference(x1: Tensor, x0: Tensor, t: Tensor) -> Tensor:
    return x1 - x0


LOSS: Table = (
    (
        "The network is shown the data x1 where it must see the point on the way, x_t = t x1 + (1 − t) x0.",
        _loss(lambda x1, x0, t: x1, _difference),
    ),
    (
        "The network is shown the noise x0 where it must see the point on the way, x_t = t x1 + (1 − t) x0.",
        _loss(lambda x1, x0, t: x0, _difference),
    ),
    (
        "The target points backwards: from noise to data it is x1 − x0, not x0 − x1.",
        _loss(_between, lambda x1, x0, t: x0 - x1),
    ),
    (
        "The target is the data x1; the network is to learn the velocity x1 − x0.",
        _loss(_between, lambda x1, x0, t: x1),
    ),
    (
        "The target is the noise x0; the network is to learn the velocity x1 − x0.",
        _loss(_between, lambda x1, x0, t: x0),
    ),
    (
        "The weights t and 1 − t are exchanged in x_t: at t = 1 it must be the data.",
        _loss(lambda x1, x0, t: (1 - t) * x1 + t * x0, _difference),
    ),
    (
        "The whole clock is reversed (point and target): here t = 0 is noise and t = 1 is data.",
        _loss(lambda x1, x0, t: (1 - t) * x1 + t * x0, lambda x1, x0, t: x0 - x1),
    ),
    (
        "A sum over batch and coordinates where the mean over both is asked.",
        _loss(_between, _difference, lambda e: (e**2).sum()),
    ),
    (
        "A sum over the coordinates where their mean is asked: divide by D, or use mean() over all entries.",
        _loss(_between, _difference, lambda e: (e**2).sum(1).mean()),
    ),
    (
        "A sum over the batch where its mean is asked: divide by B, or use mean() over all entries.",
        _loss(_between, _difference, lambda e: (e**2).mean(1).sum()),
    ),
    (
        "The square is missing: the mean of a signed difference can be zero for a bad network.",
        _loss(_between, _difference, lambda e: e.mean()),
    ),
    (
        "Absolute values where squares are asked: their minimiser would be a median, not the mean velocity.",
        _loss(_between, _difference, lambda e: e.abs().mean()),
    ),
    (
        "A root too many: the mean of squared norms is asked, not of norms.",
        _loss(_between, _difference, lambda e: (e**2).sum(1).sqrt().mean()),
    ),
    (
        "A factor ½ too many: the mean of the squares is asked.",
        _loss(_between, _difference, lambda e: (e**2).mean() / 2),
    ),
    (
        "The network is asked at 1 − t: here t = 0 is noise and t = 1 is data.",
        _loss(_between, _difference, clock=lambda t: 1 - t),
    ),
    (
        "The network never learns the time: hand it t beside x_t.",
        _loss(_between, _difference, clock=lambda t: 0 * t),
    ),
)


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


EULER: Table = (
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

HEUN: Table = (
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


COUPLING: Table = (
    (
        "The pairs came back as they went in: that is the independent coupling.",
        lambda x0, x1: (x0, x1),
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
        "Each x0 takes its nearest x1, so some x1 are used twice and others never: a coupling is "
        "a permutation.",
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

REFLOW: Table = (
    (
        "Fresh noise was put beside the image: the coupling is lost. The noise of a pair must be "
        "the one that flowed there.",
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


def _score(u: Tensor, x: Tensor, a: Tensor, s: Tensor, da: Tensor, ds: Tensor) -> Tensor:
    return (a * u - da * x) / (s * (da * s - a * ds))


SCORE: Table = (
    (
        "That is the noise x̂0 itself; the score is −x̂0/σ.",
        lambda u, x, a, s, da, ds: -s * _score(u, x, a, s, da, ds),
    ),
    (
        "The sign is reversed: the score points toward the data, against the noise.",
        lambda *v: -_score(*v),
    ),
    (
        "The division by σ is missing: the score is −x̂0/σ, and −x̂0 came.",
        lambda u, x, a, s, da, ds: s * _score(u, x, a, s, da, ds),
    ),
    (
        "One σ too many: the score is −x̂0/σ, since (α x1 − x)/σ² already holds σ x0 above the line.",
        lambda u, x, a, s, da, ds: _score(u, x, a, s, da, ds) / s,
    ),
    (
        "That is the formula of the conical path alone, (t u − x)/(1 − t): other paths have "
        "another α' and σ'.",
        lambda u, x, a, s, da, ds: (a * u - x) / s,
    ),
    (
        "That is the formula of the conical path alone, with 1 − α for σ.",
        lambda u, x, a, s, da, ds: (a * u - x) / (1 - a),
    ),
    (
        "α and α' are exchanged above the line.",
        lambda u, x, a, s, da, ds: (da * u - a * x) / (s * (da * s - a * ds)),
    ),
    (
        "The determinant α'σ − ασ' of the two equations is missing below the line.",
        lambda u, x, a, s, da, ds: (a * u - da * x) / s,
    ),
    (
        "The determinant has a plus where it needs a minus: α'σ − ασ'.",
        lambda u, x, a, s, da, ds: (a * u - da * x) / (s * (da * s + a * ds)),
    ),
    (
        "That is the data x̂1; the score needs the noise x̂0.",
        lambda u, x, a, s, da, ds: (s * u - ds * x) / (da * s - a * ds),
    ),
)


def _reversed(
    clock: Callable = lambda t: 1 - t,
    exponent: float = 0.5,
    slope: float = 1.0,
    below: Callable = lambda a: 1 - a**2,
    inner: bool = True,
    area: Callable = lambda s, low, high: low * s + (high - low) * s**2 / 2,
):
    """The slide's formula with one of its pieces exchanged."""

    def field(x: Tensor, x1: Tensor, t: Tensor, low: float, high: float) -> Tensor:
        s = clock(t)
        beta, alpha = low + (high - low) * s, torch.exp(-exponent * area(s, low, high))
        return slope * -exponent * beta * (alpha if inner else 1) / below(alpha) * (alpha * x - x1)

    return field


REVERSED: Table = (
    (
        "The time is not reversed: the slide's α lives on s = 1 − t, yours is taken at t.",
        _reversed(clock=lambda t: t),
    ),
    (
        "The derivative is taken by t; the slide's prime is the derivative of α by its own "
        "argument s = 1 − t, which has the other sign.",
        _reversed(slope=-1),
    ),
    (
        "Below the line stands the variance 1 − α², not 1 − α.",
        _reversed(below=lambda a: 1 - a),
    ),
    (
        "Below the line stands the variance 1 − α², not its root σ.",
        _reversed(below=lambda a: torch.sqrt(1 - a**2)),
    ),
    (
        "The ½ is missing: α(s) = exp(−½ ∫ β).",
        _reversed(exponent=1.0),
    ),
    (
        "The derivative of α = exp(−½ ∫ β) is −½ β α: the inner α is missing.",
        _reversed(inner=False),
    ),
    (
        "∫ β is taken as β(s)·s: integrate, β_min s + (β_max − β_min) s²/2.",
        _reversed(area=lambda s, low, high: (low + (high - low) * s) * s),
    ),
    (
        "The ½ of the derivative is missing: α' = −½ β α.",
        _reversed(slope=2),
    ),
    (
        "In the bracket α multiplies x, not x1: α x − x1.",
        lambda x, x1, t, low, high: _reversed()(x1, x, t, low, high) * -1,
    ),
)
