"""8.4 One step of Heun."""

from collections.abc import Callable

import numpy as np
from torch import Tensor

from ....core.ode import heun
from .. import Case, Exercise, Field, Network
from ..draws import Cases, Rng, points, sizes
from ._shared import _fields, _odd_sizes, _times


def heun_step(field: Callable, x: Tensor, t: Tensor, dt: float) -> Tensor:
    """The library's Heun."""
    return heun(field, x, t, dt)


def cases(rng: Rng) -> Cases:
    size, dim = sizes(rng)

    def case(name: str, recipe: object, batch: tuple[int, int], hint: str = "", kind: type = np.float64) -> Case:
        low, high = (-1.5, 2.5) if name == "t outside [0, 1]" else (0.1, 0.6)
        dt = round(float(rng.uniform(0.2, 0.4)), 2) * (-1 if name == "dt < 0" else 1)
        args = {"x": points(rng, *batch).astype(kind), "t": _times(rng, batch[0], low=low, high=high).astype(kind)}
        return Case(name, {"field": recipe, **args, "dt": dt}, hint=hint)

    for name, recipe in _fields(rng, dim):
        yield case(name, recipe, (size, dim))
    yield case("float32", Network.random(rng, dim), (size, dim), kind=np.float32)
    curved = Field("u = x cos(3t)")
    yield case("t outside [0, 1]", curved, (size, dim), "t may be any time: is it clamped to [0, 1]?")
    yield case("dt < 0", curved, (size, dim), "dt may be negative: the same step then goes back in time.")
    for name, size, dim, hint in _odd_sizes(rng):
        yield case(name, curved, (size, dim), hint)


# fmt: off
MISTAKES = (
    ("That is the midpoint method: Heun averages the slopes at both ends of the step.",
     lambda f, x, t, dt: x + dt * f(x + dt / 2 * f(x, t), t + dt / 2)),
    ("That is one Euler step: Heun looks at the slope of the far end as well.",
     lambda f, x, t, dt: x + dt * f(x, t)),
    ("The half is missing: the average of two slopes is their sum divided by two.",
     lambda f, x, t, dt: x + dt * (f(x, t) + f(x + dt * f(x, t), t + dt))),
    ("The second slope is asked at time t; it belongs to the end of the step, t + dt.",
     lambda f, x, t, dt: x + dt / 2 * (f(x, t) + f(x + dt * f(x, t), t))),
    ("The second slope is asked at the old point x; it belongs to the predicted point x + dt·f(x, t).",
     lambda f, x, t, dt: x + dt / 2 * (f(x, t) + f(x, t + dt))),
    ("The predictor forgets dt: the second slope is asked at x + dt·f(x, t).",
     lambda f, x, t, dt: x + dt / 2 * (f(x, t) + f(x + f(x, t), t + dt))),
    ("The step length dt is nowhere: it belongs to the predictor and to the step.",
     lambda f, x, t, dt: x + (f(x, t) + f(x + f(x, t), t + dt)) / 2),
    ("Only the slope of the far end is used: Heun averages it with the slope at the beginning.",
     lambda f, x, t, dt: x + dt * f(x + dt * f(x, t), t + dt)),
    ("The increment alone came back: add it to x.",
     lambda f, x, t, dt: dt / 2 * (f(x, t) + f(x + dt * f(x, t), t + dt))),
    ("The average slope is added without the step length dt.",
     lambda f, x, t, dt: x + (f(x, t) + f(x + dt * f(x, t), t + dt)) / 2),
    ("The correction goes on from the predicted point; it starts again from x.",
     lambda f, x, t, dt: x + dt * f(x, t) + dt / 2 * (f(x, t) + f(x + dt * f(x, t), t + dt))),
)

EXERCISE = Exercise(
    id="fm.heun_step", number="8.4", title="one step of Heun",
    prompt="the point one step later, by the average of the velocity here and the velocity at Euler's end",
    more="u₀ is the field at (x, t), u₁ the field at (x + dt u₀, t + dt); the step is dt (u₀ + u₁)/2.",
    cases=cases, reference=heun_step, mistakes=MISTAKES,
)
