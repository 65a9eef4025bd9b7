"""6.6 The determinant of a planar layer."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from .. import Case, Exercise, ObserveSpec
from ..draws import Cases, Rng, numbers, points, sizes
from ._shared import KEEP, _typed, _usual


def planar_log_det(x: Tensor, w: Tensor, u: Tensor, b: float) -> Tensor:
    """log |det| of the whole Jacobian matrix, by automatic differentiation."""
    layer = lambda point: point + u * torch.tanh((w * point).sum() + b)
    jacobians = torch.func.vmap(torch.func.jacrev(layer))(x)
    return torch.linalg.slogdet(jacobians).logabsdet


TURNED = "Wrong only where the determinant is negative: volumes have no sign, so its absolute value is asked."


def cases(rng: Rng) -> Cases:
    """Where tanh is flat, log |det| is rounding alone: a single point is kept away from there."""
    for name, (size, dim), hint in (*_usual(rng), ("turned inside out", sizes(rng), TURNED)):
        w = numbers(rng, dim, low=0.4, high=1.2) * rng.choice([-1, 1], size=dim)
        u = numbers(rng, dim, low=0.3, high=1.0) * np.sign(w)
        x, b = points(rng, size, dim), round(float(rng.uniform(-0.5, 0.5)), 2)
        if name == "turned inside out":
            u, x = -6.0 * w, 0.05 * x
        elif name == "B = 1":
            x = np.round(x / (1 + np.abs(x @ w)), 2)
        yield Case(name, _typed(name, {"x": x, "w": w, "u": u, "b": b}), hint=hint)


def _planar(
    bend: Callable = lambda h: 1 - h**2,
    along: Callable = lambda w, u: (w * u).sum(),
    end: Callable = lambda d: d.abs().log(),
    one: float = 1.0,
    inner: Callable = lambda x, w, u, b: x @ w + b,
) -> Callable:
    def form(x: Tensor, w: Tensor, u: Tensor, b: float) -> Tensor:
        h = torch.tanh(inner(x, w, u, b))
        return end(one + along(w, u) * bend(h))

    return form


# fmt: off
MISTAKES = (
    ("tanh where its slope belongs: the Jacobian holds the derivative 1 − tanh².", _planar(KEEP)),
    ("The slope of tanh is 1 − tanh², and 1 − tanh came.", _planar(lambda h: 1 - h)),
    ("The slope of tanh is 1 − tanh², and 1 + tanh² came.", _planar(lambda h: 1 + h**2)),
    ("The 1 of the identity is missing: z = x + ..., so the determinant is 1 + u·w h'.", _planar(one=0.0)),
    ("w·w where u·w belongs: the layer moves along u.", _planar(along=lambda w, u: (w * w).sum())),
    ("u·u where u·w belongs: how fast the argument of tanh changes is told by w.",
     _planar(along=lambda w, u: (u * u).sum())),
    ("u and w are exchanged inside tanh: its argument is w·x + b.", _planar(inner=lambda x, w, u, b: x @ u + b)),
    ("The sign in front of u·w: the determinant is 1 + u·w h'.", _planar(along=lambda w, u: -(w * u).sum())),
    ("b is forgotten: the argument of tanh is w·x + b.", _planar(inner=lambda x, w, u, b: x @ w)),
)

EXERCISE = Exercise(
    id="flow.planar_log_det", number="6.6", title="the determinant of a planar layer",
    prompt="the log-determinant of a planar layer's Jacobian, one number a point, without building the matrix",
    more="The Jacobian is I + h' u wᵀ with h' = 1 − tanh²(w·x + b), and det(I + v wᵀ) = 1 + w·v.",
    cases=cases, reference=planar_log_det, mistakes=MISTAKES, watch=ObserveSpec(outputs=("ladj",), tensors=True),
)
