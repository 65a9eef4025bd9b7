"""The usual slips in the formulas of lecture 14's homework: a hint, and the wrong form that earns it.

An answer whose values agree with a wrong form in every case gets its hint; tests hold that each is wrong.
In the formulas a, s, da, ds stand for alpha, sigma and their derivatives.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Form = Callable[..., object]
Mistakes = tuple[tuple[str, Form], ...]

VELOCITY: Mistakes = (
    (
        "Inside the bracket the point is compared with x1, where the lecture compares it with the"
        " mean α x1 (on VE, α = 1 hides it).",
        lambda x, x1, a, s, da, ds: da * x1 + ds / s * (x - x1),
    ),
    (
        "The second term has the wrong sign: with σ' < 0 the point must be pulled toward the mean, yours is pushed away.",
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
        "Everything is negated: time runs the other way, the derivatives belong to the diffusion clock s = 1 − t.",
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
    (
        "That is the velocity of the conical path alone: other paths have other scales and derivatives.",
        lambda x, x1, a, s, da, ds: (x1 - x) / s,
    ),
    (
        "That is the velocity of the conical path alone, and with 1 − α for σ.",
        lambda x, x1, a, s, da, ds: (x1 - x) / (1 - a),
    ),
    (
        "That is the way still to go to x1: a velocity depends on how the scales of the path change.",
        lambda x, x1, a, s, da, ds: x1 - x,
    ),
    (
        "Only the motion of the mean came: the spread σ changes too, and carries x along.",
        lambda x, x1, a, s, da, ds: da * x1,
    ),
    (
        "x and x1 are exchanged.",
        lambda x, x1, a, s, da, ds: da * x + ds / s * (x1 - a * x),
    ),
    (
        "A parenthesis too many: only σ' belongs over σ.",
        lambda x, x1, a, s, da, ds: (da * x1 + ds) / s * (x - a * x1),
    ),
)


def _loss(
    point: Callable,
    target: Callable,
    reduce: Callable = lambda e: (e**2).mean(),
    clock: Callable = lambda t: t,
):
    """The loss with one of its pieces exchanged."""
    return lambda net, x1, x0, t: reduce(net(point(x1, x0, t[:, None]), clock(t)) - target(x1, x0, t[:, None]))


def _between(x1: Tensor, x0: Tensor, t: Tensor) -> Tensor:
    return t * x1 + (1 - t) * x0


def _difference(x1: Tensor, x0: Tensor, t: Tensor) -> Tensor:
    return x1 - x0


LOSS: Mistakes = (
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
        "The target is the way still to go, x1 − x_t; the road's own direction is x1 − x0.",
        lambda net, x1, x0, t: ((net(_between(x1, x0, t[:, None]), t) - x1 + _between(x1, x0, t[:, None])) ** 2).mean(),
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
        "A root too many and no mean: the norm of the whole batch came.",
        _loss(_between, _difference, lambda e: e.norm()),
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


def _score(u: Tensor, x: Tensor, a: Tensor, s: Tensor, da: Tensor, ds: Tensor) -> Tensor:
    return (a * u - da * x) / (s * (da * s - a * ds))


SCORE: Mistakes = (
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
        "That is the formula of the conical path alone, (t u − x)/(1 − t): other paths have another α' and σ'.",
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
    (
        "u and x are exchanged.",
        lambda u, x, *scales: _score(x, u, *scales),
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


REVERSED: Mistakes = (
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
        "∫ β is taken as β(s)·s (the ½ of s²/2 is missing): integrate.",
        _reversed(area=lambda s, low, high: (low + (high - low) * s) * s),
    ),
    (
        "The ½ of the derivative is missing: α' = −½ β α.",
        _reversed(slope=2),
    ),
    (
        "β is taken at t; like α it lives on s = 1 − t.",
        lambda x, x1, t, low, high: (
            _reversed()(x, x1, t, low, high) * (low + (high - low) * t) / (low + (high - low) * (1 - t))
        ),
    ),
    (
        "In the bracket α multiplies x, not x1.",
        lambda x, x1, t, low, high: _reversed()(x1, x, t, low, high) * -1,
    ),
    (
        "x and x1 are exchanged.",
        lambda x, x1, t, low, high: _reversed()(x1, x, t, low, high),
    ),
)
