"""6.5 The sequential way back."""

from collections.abc import Callable

import torch
from torch import Tensor

from .. import Case, Exercise, ObserveSpec
from ..draws import Cases, Rng, points
from ..recipes import Causal
from ._shared import KEEP, _typed, _usual


def autoregressive_inverse(z: Tensor, conditions: Callable) -> Tensor:
    """Solve z = (x − m(x)) exp(−a(x)) by repetition: after pass i the first i places stand."""
    x = torch.zeros_like(z)
    for _ in range(z.shape[1]):
        m, a = conditions(x)
        x = z * a.exp() + m
    return x


def cases(rng: Rng) -> Cases:
    for name, (size, dim), hint in _usual(rng):
        yield Case(
            name, _typed(name, {"z": points(rng, size, dim), "conditions": Causal.random(rng, dim)}), hint=hint
        )
    yield Case(
        "twelve places",
        {"z": points(rng, 3, 12), "conditions": Causal.random(rng, 12)},
        hint="Right for a few places alone: every place needs a pass of its own.",
    )


def _sequential(
    back: Callable = lambda z, m, a: z * a.exp() + m, places: Callable = range, start: Callable = torch.zeros_like
) -> Callable:
    def form(z: Tensor, conditions: Callable) -> Tensor:
        x = start(z)
        for i in places(z.shape[1]):
            m, a = conditions(x)
            x = torch.cat([x[:, :i], back(z, m, a)[:, i : i + 1], x[:, i + 1 :]], 1)
        return x

    return form


def _at_once(seen: Callable) -> Callable:
    def form(z: Tensor, conditions: Callable) -> Tensor:
        m, a = conditions(seen(z))
        return z * a.exp() + m

    return form


def _repeated(z: Tensor, conditions: Callable) -> Tensor:
    x = torch.zeros_like(z)
    for _ in range(z.shape[1] - 1):
        m, a = conditions(x)
        x = z * a.exp() + m
    return x


def _towards(z: Tensor, conditions: Callable) -> Tensor:
    m, a = conditions(z)
    return (z - m) * (-a).exp()


# fmt: off
MISTAKES = (
    ("One pass over z: the conditions of place i depend on the x before it, not on the z before it, so x grows "
     "place by place.",
     _at_once(KEEP)),
    ("One pass over an empty x, or places filled from the last to the first, which is the same: each place "
     "needs the x before it, so begin with the first, and ask again after every place that is filled.",
     _at_once(torch.zeros_like)),
    ("That is f, the way to the noise: (z − m)·exp(−a) in one pass. Back, x_i = z_i·exp(a_i) + m_i.", _towards),
    ("A pass too few: after D − 1 passes over all places the last one still stands on an unfinished x.",
     _repeated),
    ("(z − m)·exp(−a) goes to the noise; back, x_i = z_i·exp(a_i) + m_i.",
     _sequential(lambda z, m, a: (z - m) * (-a).exp())),
    ("The sign of a: the way there divides by exp(a), so the way back multiplies by it.",
     _sequential(lambda z, m, a: z * (-a).exp() + m)),
    ("The mean is scaled along: x_i = z_i·exp(a_i) + m_i, and (z_i + m_i)·exp(a_i) came.",
     _sequential(lambda z, m, a: (z + m) * a.exp())),
    ("The mean is subtracted where it must be added.", _sequential(lambda z, m, a: z * a.exp() - m)),
    ("The scale is used as it comes: a is its logarithm.", _sequential(lambda z, m, a: z * a + m)),
    ("The last place was never filled: range(D) already leaves out D.",
     _sequential(places=lambda d: range(d - 1))),
    ("The last place was left as it was in z: range(D) already leaves out D.",
     _sequential(places=lambda d: range(d - 1), start=torch.clone)),
    ("The first place was never filled: it depends on nothing, and still has to be scaled and moved.",
     _sequential(places=lambda d: range(1, d))),
)

EXERCISE = Exercise(
    id="flow.autoregressive_inverse", number="6.5", title="the sequential way back", points=2,
    prompt="the x that the flow takes to z: mean and log-scale of each place are answered from the places "
           "before it",
    more="Begin with any x. For i = 0, 1, ...: ask for m and a at the x you have so far, and set x_i = z_i "
         "exp(a_i) + m_i.",
    cases=cases, reference=autoregressive_inverse, mistakes=MISTAKES,
    watch=ObserveSpec(outputs=("x",), tensors=True),
)
