"""8.3 The Euler sampler."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ....core.ode import solve
from .. import Case, Exercise, Field, Network
from ..draws import Cases, Rng, points, sizes
from ._shared import _fields, _odd_sizes


def euler_sampler(field: Callable, x0: Tensor, steps: int) -> Tensor:
    """The end of the library's Euler trajectory."""
    ts = torch.linspace(0, 1, steps + 1, dtype=x0.dtype, device=x0.device)
    return solve(lambda x, t: field(x, t.expand(len(x))), x0, ts)[-1]


COUNT = (
    "Count the steps: adding up 1/steps until 1 is reached (while, arange) is a step too many or too few where "
    "it rounds. One single step is allowed, too."
)


def cases(rng: Rng) -> Cases:
    size, dim = sizes(rng)
    for name, recipe in _fields(rng, dim):
        yield Case(
            name, {"field": recipe, "x0": points(rng, size, dim), "steps": int(rng.choice((2, 3, 4, 5, 8)))}
        )
    for steps in (1, 10, 12, 49, 50, 99, 100):
        args = {"field": Field("u = 3t² − x"), "x0": points(rng, size, dim), "steps": steps}
        yield Case(f"{steps} step" + "s" * (steps > 1), args, hint=COUNT)
    x0 = points(rng, size, dim).astype(np.float32)
    yield Case("float32", {"field": Network.random(rng, dim), "x0": x0, "steps": 5})
    for name, size, dim, hint in _odd_sizes(rng):
        args = {"field": Field("u = sin(3x) + t"), "x0": points(rng, size, dim), "steps": 4}
        yield Case(name, args, hint=hint)


def _stepper(times: Callable, dt: Callable = lambda n: 1 / n, count: Callable = lambda n: n):
    """An Euler loop with another clock, step or number of steps."""

    def sampler(field: Callable, x0: Tensor, steps: int) -> Tensor:
        x = x0
        for k in range(count(steps)):
            x = x + dt(steps) * field(x, torch.tensor(times(k, steps), dtype=x0.dtype))
        return x

    return sampler


# fmt: off
MISTAKES = (
    ("One tick late: step k must ask the field at its beginning, t_k = k/steps, not at its end.",
     _stepper(lambda k, n: (k + 1) / n)),
    ("Time runs backwards: the field is asked at 1 − t. Here the noise is at t = 0.",
     _stepper(lambda k, n: 1 - k / n)),
    ("Time runs backwards: the last step asks at t = 0 where the first should.",
     _stepper(lambda k, n: (n - 1 - k) / n)),
    ("It walks backwards, from t = 1 down to 0: here the noise is at t = 0.",
     _stepper(lambda k, n: 1 - k / n, lambda n: -1 / n)),
    ("Only the first step is taken: does `return` stand inside the loop?",
     _stepper(lambda k, n: k / n, count=lambda n: 1)),
    ("The velocity is multiplied by the number of steps: a step is 1/steps long.",
     _stepper(lambda k, n: k / n, lambda n: n)),
    ("The step length is missing: each step moves by the velocity times dt = 1/steps.",
     _stepper(lambda k, n: k / n, lambda n: 1)),
    ("One step too many.", _stepper(lambda k, n: k / n, count=lambda n: n + 1)),
    ("One step too few: range(steps) already leaves out the end.",
     _stepper(lambda k, n: k / n, count=lambda n: n - 1)),
    ("linspace(0, 1, steps) has steps points but only steps − 1 gaps: ask for steps + 1 points.",
     _stepper(lambda k, n: k / (n - 1), lambda n: 1 / (n - 1), lambda n: n - 1)),
    ("The times are k/(steps − 1): linspace(0, 1, steps) ends at 1, where no step begins.",
     _stepper(lambda k, n: k / (n - 1))),
    ("The field is asked at the time k, not at k/steps.", _stepper(lambda k, n: float(k))),
    ("The clock stands still: the field is always asked at t = 0.", _stepper(lambda k, n: 0.0)),
    ("The clock stands still: the field is always asked at t = 1.", _stepper(lambda k, n: 1.0)),
    ("Every step starts from x0 again: the field must be asked at the moving point x.",
     lambda field, x0, steps: x0 + sum(field(x0, torch.tensor(k / steps)) for k in range(steps)) / steps),
    ("The field is asked in the middle of the step; Euler asks at its beginning.",
     _stepper(lambda k, n: (k + 0.5) / n)),
)

EXERCISE = Exercise(
    id="fm.euler_sampler", number="8.3", title="the Euler sampler", points=2,
    prompt="the point to which Euler's method brings x0 from time 0 to time 1, in equal steps",
    more="With N steps: x_{k+1} = x_k + u(x_k, t_k)/N at t_k = k/N, for k = 0 … N − 1.",
    cases=cases, reference=euler_sampler, mistakes=MISTAKES,
)
