"""6.7 A trace by random probes."""

from collections.abc import Callable

import torch
from torch import Tensor

from .. import Case, Exercise, Network, ObserveSpec
from ..draws import Cases, Rng, points, sizes
from ._shared import _typed, _usual


def hutchinson_trace(field: Callable, x: Tensor, probes: Tensor) -> Tensor:
    """The mean of the products ε · (J ε), each by forward differentiation."""
    rows = [(torch.func.jvp(field, (x,), (probe,))[1] * probe).sum(1) for probe in probes]
    return torch.stack(rows).mean(0).detach()


PROBES = "Right for one probe alone: the estimate is the mean over the probes."


def cases(rng: Rng) -> Cases:
    for k, (name, (size, dim), hint) in enumerate(_usual(rng)):
        count = (3, 1, 4, 2, 5, 3, 2)[k]
        args = {
            "field": Network.random(rng, dim),
            "x": points(rng, size, dim),
            "probes": rng.choice([-1.0, 1.0], size=(count, size, dim)),
        }
        hint = hint or (PROBES if count > 1 else "")
        yield Case(name, _typed(name, args), hint=hint, least=0.1)  # the terms of one point's trace may cancel
    size, dim = sizes(rng)
    yield Case(
        "probes of any length",
        {"field": Network.random(rng, dim), "x": points(rng, size, dim), "probes": points(rng, 2, size, dim)},
        hint="Wrong only where the probes are not signs: the formula is εᵀJε, whatever ε is.",
    )


def _product(field: Callable, x: Tensor, probe: Tensor, transposed: bool = True) -> Tensor:
    """εᵀ J of each point.  (B, D)"""
    with torch.enable_grad():
        leaf = x.detach().clone().requires_grad_()
        return torch.autograd.grad((field(leaf) * probe).sum(), leaf)[0]


def _trace(join: Callable = lambda jp, p: (jp * p).sum(1), mean: Callable = lambda rows: rows.mean(0)) -> Callable:
    def form(field: Callable, x: Tensor, probes: Tensor) -> Tensor:
        return mean(torch.stack([join(_product(field, x, probe), probe) for probe in probes]))

    return form


def _exact(field: Callable, x: Tensor, probes: Tensor) -> Tensor:
    units = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    return sum(_product(field, x, unit.expand_as(x))[:, i] for i, unit in enumerate(units))


# fmt: off
MISTAKES = (
    ("A sum over the probes where their mean is asked.", _trace(mean=lambda rows: rows.sum(0))),
    ("Only the first probe is used: the estimate is the mean over all of them.",
     _trace(mean=lambda rows: rows[0])),
    ("Only the last probe is used: does `return` stand inside the loop, or is a sum overwritten?",
     _trace(mean=lambda rows: rows[-1])),
    ("εᵀJ is summed without the second ε: the estimate is εᵀ J ε.", _trace(lambda jp, p: jp.sum(1))),
    ("That is the exact trace; here the estimate with exactly these probes is asked.", _exact),
    ("The probes are not used: a vector of ones came in their place.",
     lambda field, x, probes: (_product(field, x, torch.ones_like(x))).sum(1)),
    ("The field times the probe, without a derivative: εᵀf is not εᵀJε.",
     lambda field, x, probes: torch.stack([(field(x).detach() * probe).sum(1) for probe in probes]).mean(0)),
    ("Averaged over the batch as well: each point has its own trace, (B,).",
     lambda field, x, probes: _trace()(field, x, probes).mean().expand(len(x))),
)

EXERCISE = Exercise(
    id="flow.hutchinson_trace", number="6.7", title="a trace by random probes",
    prompt="the mean over the probes of what they see of the Jacobian's trace, one number a point, without "
           "building the matrix",
    more="The gradient of sum(f(x) · ε) with respect to x is εᵀ ∂f/∂x. Multiply by ε, sum over the coordinates, "
         "average.",
    cases=cases, reference=hutchinson_trace, mistakes=MISTAKES,
    watch=ObserveSpec(outputs=("trace",), tensors=True),
)
