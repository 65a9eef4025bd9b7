"""5.5 The gradient penalty."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ....gan import GradientPenalty
from .. import Case, Exercise, ObserveSpec
from ..draws import NARROW, Cases, Rng
from ..recipes import SmallCritic
from ._shared import LARGE, _kind, _size


def gradient_penalty(critic: Callable, real: Tensor, fake: Tensor, u: Tensor) -> Tensor:
    """The penalty of the Wasserstein game, its points being given."""
    return GradientPenalty(1.0).at(critic, torch.lerp(fake, real, u[:, None]))


def cases(rng: Rng) -> Cases:
    side = int(rng.integers(5, 8))
    for name, size, dim, hint in (
        ("B = D", side, side, ""),
        ("a critic", _size(rng), int(rng.integers(2, 5)), ""),
        ("a steep critic", _size(rng), int(rng.integers(2, 5)), ""),
        (
            "a flat critic",
            _size(rng),
            int(rng.integers(2, 5)),
            "Wrong for flat critics alone: slopes below 1 count, too.",
        ),
        ("float32", _size(rng), 3, ""),
        ("B = 1", 1, 3, NARROW),
        ("D = 1", _size(rng), 1, NARROW),
        ("B = 40", 40, 2, LARGE),
    ):
        steep = {"a steep critic": 3.0, "a flat critic": 0.05}.get(name, 1.0)
        args = {
            "critic": SmallCritic.random(rng, dim, steep),
            "real": np.round(rng.normal(size=(size, dim)), 2).astype(_kind(name)),
            "fake": np.round(rng.normal(size=(size, dim)) * 0.7 + 1, 2).astype(_kind(name)),
            "u": np.round(rng.uniform(0.1, 0.9, size=size), 2).astype(_kind(name)),
        }
        yield Case(name, args, hint=hint)


def _slope(critic: Callable, x: Tensor) -> Tensor:
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        return torch.autograd.grad(critic(x).sum(), x)[0]


def _between(real: Tensor, fake: Tensor, u: Tensor) -> Tensor:
    return u[:, None] * real + (1 - u[:, None]) * fake


def _penalty(form: Callable, where: Callable = _between) -> Callable:
    """form(gradient (B, D), u (B,)) at where(real, fake, u)"""
    return lambda critic, real, fake, u: form(_slope(critic, where(real, fake, u)), u)


def _usual(g: Tensor, u: Tensor) -> Tensor:
    return (g.norm(dim=1) - 1).square().mean()


# fmt: off
MISTAKES = (
    ("The slope is taken at the real samples: the points lie between real and fake, x̂ = u·real + (1 − u)·fake.",
     _penalty(_usual, lambda real, fake, u: real)),
    ("The slope is taken at the fake samples: the points lie between real and fake, x̂ = u·real + (1 − u)·fake.",
     _penalty(_usual, lambda real, fake, u: fake)),
    ("Real and fake are exchanged: u is the share of the real sample.",
     _penalty(_usual, lambda real, fake, u: _between(fake, real, u))),
    ("The middle of each pair was taken: u says how far along it the point lies.",
     _penalty(_usual, lambda real, fake, u: (real + fake) / 2)),
    ("The square of the norm is compared with 1: a root is missing.",
     _penalty(lambda g, u: (g.square().sum(1) - 1).square().mean())),
    ("The slope is pulled to 0: this penalty pulls its norm to 1.",
     _penalty(lambda g, u: g.square().sum(1).mean())),
    ("One norm was taken of the gradients of the whole batch: each sample has a norm of its own.",
     _penalty(lambda g, u: (g.norm() - 1).square())),
    ("The norms are averaged before they are compared with 1: each sample is compared, then the squares are "
     "averaged.",
     _penalty(lambda g, u: (g.norm(dim=1).mean() - 1).square())),
    ("Every coordinate of the gradient is compared with 1: it is its norm over a sample's coordinates that "
     "counts.",
     _penalty(lambda g, u: (g - 1).square().mean())),
    ("The norm of the sum over the batch, or over the wrong axis: dim=1 holds the coordinates of a sample.",
     _penalty(lambda g, u: (g.norm(dim=0) - 1).square().mean())),
    ("Only slopes above 1 are punished: those below 1 count as well.",
     _penalty(lambda g, u: F.relu(g.norm(dim=1) - 1).square().mean())),
    ("The gradient is that of the mean of the critic, B times too small: take that of its sum.",
     _penalty(lambda g, u: (g.norm(dim=1) / len(g) - 1).square().mean())),
    ("The gradient is with respect to the real samples: that loses the factor u; it is asked with respect to x̂.",
     _penalty(lambda g, u: ((u[:, None] * g).norm(dim=1) - 1).square().mean())),
    ("The square is missing: (‖∇f‖ − 1)².", _penalty(lambda g, u: (g.norm(dim=1) - 1).mean())),
    ("The absolute value came: the difference to 1 is squared.",
     _penalty(lambda g, u: (g.norm(dim=1) - 1).abs().mean())),
)

EXERCISE = Exercise(
    id="gan.gradient_penalty", number="5.5", title="the gradient penalty", points=2,
    prompt="the mean squared distance of the critic's gradient norm from one, at the mixed points; its own "
           "gradient reaches the critic",
    more="torch.autograd.grad(critic(x̂).sum(), x̂, create_graph=True): without create_graph the penalty is a "
         "mere number, and the critic does not learn from it. The norm runs over the coordinates of each sample.",
    cases=cases, reference=gradient_penalty, mistakes=MISTAKES,
    watch=ObserveSpec(outputs=("penalty",), gradient=("critic",), tensors=True),
)
