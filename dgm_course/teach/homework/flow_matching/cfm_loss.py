"""8.2 The conditional flow matching loss."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ....paths import Conical
from .. import Case, Exercise, Network, ObserveSpec
from ..draws import Cases, Rng, points, sizes
from ._shared import _odd_sizes, _times


def cfm_loss(net: Callable, x1: Tensor, x0: Tensor, t: Tensor) -> Tensor:
    """Regression of the network on the velocity of its pair, conical path."""
    path = Conical()
    xt, _ = path.corrupt(x1, t, x0=x0)
    return torch.nn.functional.mse_loss(net(xt, t), path.endpoints(x1, x0, t).velocity)


def cases(rng: Rng) -> Cases:
    usual = (("a small network", *sizes(rng), ""), ("float32", *sizes(rng), ""))
    for name, size, dim, hint in (*usual, *_odd_sizes(rng)):
        batch = {
            "x1": points(rng, size, dim),
            "x0": points(rng, size, dim),
            "t": _times(rng, size, low=0.01, high=0.99),
        }
        kind = np.float32 if name == "float32" else np.float64
        args = {key: value.astype(kind) for key, value in batch.items()}
        yield Case(name, {"net": Network.random(rng, dim), **args}, hint=hint)


def _loss(
    point: Callable, target: Callable, reduce: Callable = lambda e: (e**2).mean(), clock: Callable = lambda t: t
):
    """The loss with one of its pieces exchanged."""
    return lambda net, x1, x0, t: reduce(net(point(x1, x0, t[:, None]), clock(t)) - target(x1, x0, t[:, None]))


def _between(x1: Tensor, x0: Tensor, t: Tensor) -> Tensor:
    return t * x1 + (1 - t) * x0


def _difference(x1: Tensor, x0: Tensor, t: Tensor) -> Tensor:
    return x1 - x0


# fmt: off
MISTAKES = (
    ("The network is shown the data x1 where it must see the point on the way, x_t = t x1 + (1 − t) x0.",
     _loss(lambda x1, x0, t: x1, _difference)),
    ("The network is shown the noise x0 where it must see the point on the way, x_t = t x1 + (1 − t) x0.",
     _loss(lambda x1, x0, t: x0, _difference)),
    ("The target points backwards: from noise to data it is x1 − x0, not x0 − x1.",
     _loss(_between, lambda x1, x0, t: x0 - x1)),
    ("The target is the data x1; the network is to learn the velocity x1 − x0.",
     _loss(_between, lambda x1, x0, t: x1)),
    ("The target is the noise x0; the network is to learn the velocity x1 − x0.",
     _loss(_between, lambda x1, x0, t: x0)),
    ("The target is the way still to go, x1 − x_t; the road's own direction is x1 − x0.",
     lambda net, x1, x0, t: (
         (net(_between(x1, x0, t[:, None]), t) - x1 + _between(x1, x0, t[:, None])) ** 2
     ).mean()),
    ("The weights t and 1 − t are exchanged in x_t: at t = 1 it must be the data.",
     _loss(lambda x1, x0, t: (1 - t) * x1 + t * x0, _difference)),
    ("The whole clock is reversed (point and target): here t = 0 is noise and t = 1 is data.",
     _loss(lambda x1, x0, t: (1 - t) * x1 + t * x0, lambda x1, x0, t: x0 - x1)),
    ("The square is missing: the mean of a signed difference can be zero for a bad network.",
     _loss(_between, _difference, lambda e: e.mean())),
    ("Absolute values where squares are asked: their minimiser would be a median, not the mean velocity.",
     _loss(_between, _difference, lambda e: e.abs().mean())),
    ("A root too many: the mean of squared norms is asked, not of norms.",
     _loss(_between, _difference, lambda e: (e**2).sum(1).sqrt().mean())),
    ("A root too many and no mean: the norm of the whole batch came.",
     _loss(_between, _difference, lambda e: e.norm())),
    ("The network is asked at 1 − t: here t = 0 is noise and t = 1 is data.",
     _loss(_between, _difference, clock=lambda t: 1 - t)),
    ("The network never learns the time: hand it t beside x_t.",
     _loss(_between, _difference, clock=lambda t: 0 * t)),
)

EXERCISE = Exercise(
    id="fm.cfm_loss", number="8.2", title="the conditional flow matching loss", points=2,
    prompt="the mean, over batch and coordinates, of the squared error between the network's answer on the road "
           "and the direction of the road",
    more="The point is x_t = t x1 + (1 − t) x0 (t needs a second axis), the target x1 − x0; then the mean of "
         "all squares.",
    cases=cases, reference=cfm_loss, mistakes=MISTAKES,
    watch=ObserveSpec(outputs=("loss",), gradient=("net",), tensors=True),
)
