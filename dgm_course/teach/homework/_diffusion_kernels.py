"""The usual slips in the kernels and denoisers of the homework on diffusion: a hint, and the wrong form that earns it.

An answer whose values agree with a wrong form in every case gets its hint; tests hold that each is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Mistakes = tuple[tuple[str, Callable], ...]


# --- 7.1: the kernel of the variance-preserving SDE


def _area(s: Tensor, low: float, high: float) -> Tensor:
    """∫₀ˢ β"""
    return low * s + (high - low) * s**2 / 2


def _vp(
    area: Callable = _area,
    mean: Callable = lambda a: torch.exp(-a / 2),
    deviation: Callable = lambda a: (1 - torch.exp(-a)).sqrt(),
) -> Callable:
    """The kernel with one of its pieces exchanged."""

    def kernel(x: Tensor, s: Tensor, low: float, high: float) -> tuple[Tensor, Tensor]:
        a = area(s, low, high)
        return mean(a) * x, deviation(a)

    return kernel


VP_KERNEL: Mistakes = (
    (
        "∫ β is taken as β(s)·s (as if β had its last value all the way): β climbs, integrate it.",
        _vp(lambda s, low, high: (low + (high - low) * s) * s),
    ),
    (
        "β(s) itself stands where its integral from 0 to s belongs.",
        _vp(lambda s, low, high: low + (high - low) * s),
    ),
    (
        "The slope of β is taken as β_max; from β_min at s = 0 to β_max at s = 1 it is less.",
        _vp(lambda s, low, high: low * s + high * s**2 / 2),
    ),
    (
        "β is taken to begin at 0: what β_min adds to the integral is missing.",
        _vp(lambda s, low, high: (high - low) * s**2 / 2),
    ),
    (
        "β is taken as constant, its average over the whole of [0, 1]; up to s it was smaller on average.",
        _vp(lambda s, low, high: (low + high) / 2 * s),
    ),
    (
        "The integral runs to 1, not to s: every time gives the same kernel.",
        _vp(lambda s, low, high: 0 * s + (low + high) / 2),
    ),
    (
        "The ½ is missing in the exponent of alpha, and the deviation inherits it.",
        _vp(lambda *v: 2 * _area(*v)),
    ),
    (
        "The deviation is right; the mean shrinks by alpha² instead of alpha: the ½ in its exponent is missing.",
        _vp(mean=lambda a: torch.exp(-a)),
    ),
    (
        "The mean is right; the variance came as 1 − alpha, where alpha is not squared.",
        _vp(deviation=lambda a: (1 - torch.exp(-a / 2)).sqrt()),
    ),
    (
        "The variance came where the deviation is asked.",
        _vp(deviation=lambda a: 1 - torch.exp(-a)),
    ),
    (
        "The mean is right; 1 − alpha came for the deviation. Here it is the squares of the two that add up to one.",
        _vp(deviation=lambda a: 1 - torch.exp(-a / 2)),
    ),
    (
        "The mean is right; the variance is the integral of β, as if no noise ever faded: it fades along with the data.",
        _vp(deviation=lambda a: a.sqrt()),
    ),
    (
        "The mean is right; alpha came for the deviation as well, which must be 0 at s = 0.",
        _vp(deviation=lambda a: torch.exp(-a / 2)),
    ),
    (
        "Time runs the other way: your data are at s = 1, the slides' at s = 0.",
        _vp(lambda s, low, high: _area(1 - s, low, high)),
    ),
    (
        "The ends of β are exchanged: β_min belongs to s = 0, β_max to s = 1.",
        _vp(lambda s, low, high: _area(s, high, low)),
    ),
    (
        "A minus is lost in the exponents: the data must fade with time, yours grow.",
        _vp(lambda *v: -_area(*v)),
    ),
    (
        "The deviation is right; the mean shrinks by the root of alpha: the exponent has one ½ too many.",
        _vp(mean=lambda a: torch.exp(-a / 4)),
    ),
    (
        "alpha alone came for the mean: how far x has shrunk, without x.",
        lambda x, s, low, high: _vp()(torch.ones_like(x), s, low, high),
    ),
    (
        "The mean does not shrink: so it is on VE; here the data fade while noise comes in.",
        _vp(mean=torch.ones_like),
    ),
)


# --- 7.2: the kernel of the variance-exploding SDE


def _level(s: Tensor, low: float, high: float) -> Tensor:
    """sigma(s), geometric from low to high."""
    return low * (high / low) ** s


def _ve(
    level: Callable = _level,
    deviation: Callable = lambda now, low: (now**2 - low**2).sqrt(),
    mean: Callable = lambda x, std: x,
) -> Callable:
    """The kernel with one of its pieces exchanged."""

    def kernel(x: Tensor, s: Tensor, low: float, high: float) -> tuple[Tensor, Tensor]:
        std = deviation(level(s, low, high), low)
        return mean(x, std), std

    return kernel


VE_KERNEL: Mistakes = (
    (
        "σ(s) itself came for the deviation: at s = 0 the data are clean, and σ(0) is not yet 0.",
        _ve(deviation=lambda now, low: now),
    ),
    (
        "The variance came where the deviation is asked.",
        _ve(deviation=lambda now, low: now**2 - low**2),
    ),
    (
        "The deviations are subtracted; of independent noises it is the variances that add and subtract.",
        _ve(deviation=lambda now, low: now - low),
    ),
    (
        "The two variances are added; at s = 0 nothing may be left.",
        _ve(deviation=lambda now, low: (now**2 + low**2).sqrt()),
    ),
    (
        "Under the root, σ(0) lacks its square.",
        _ve(deviation=lambda now, low: (now**2 - low).sqrt()),
    ),
    (
        "Under the root, σ(s) and σ(0) lack their squares.",
        _ve(deviation=lambda now, low: (now - low).sqrt()),
    ),
    (
        "Time runs the other way: your largest noise is at s = 0, the slides' is at s = 1.",
        _ve(lambda s, low, high: _level(1 - s, low, high)),
    ),
    (
        "sigma grows along a straight line; the schedule is geometric, equal factors in equal times.",
        _ve(lambda s, low, high: low + (high - low) * s),
    ),
    (
        "σ(s) lacks its factor σ_min: yours begins at 1.",
        _ve(lambda s, low, high: (high / low) ** s),
    ),
    (
        "The ratio is upside down: your σ(s) falls, and the root is taken of a negative number.",
        _ve(lambda s, low, high: low * (low / high) ** s),
    ),
    (
        "σ_min enters σ(s) under a root: σ(0) must be σ_min.",
        _ve(lambda s, low, high: low**0.5 * (high / low) ** s),
    ),
    (
        "The exponent of the ratio is twice too large: σ(1) must be σ_max.",
        _ve(lambda s, low, high: low * (high / low) ** (2 * s)),
    ),
    (
        "The variance grows along a straight line in s; σ grows geometrically.",
        lambda x, s, low, high: (x, (s * (high**2 - low**2)).sqrt()),
    ),
    (
        "The coefficient of the SDE's noise at s came; asked is the deviation that has come together since s = 0.",
        _ve(lambda s, low, high: (2 * math.log(high / low)) ** 0.5 * _level(s, low, high), lambda g, low: g),
    ),
    (
        "The ratio is multiplied by s; it is raised to the power s.",
        _ve(lambda s, low, high: low * (high / low) * s),
    ),
    (
        "The variance came as what is still missing to σ_max; asked is what came in since s = 0.",
        lambda x, s, low, high: (x, (high**2 - _level(s, low, high) ** 2).sqrt()),
    ),
    (
        "The mean shrinks as on a variance-preserving path; VE adds noise and leaves the data as they are.",
        _ve(mean=lambda x, std: (1 - std**2).sqrt() * x),
    ),
    (
        "The mean is divided as if data and noise were scaled to variance one; VE leaves the data as they are.",
        _ve(mean=lambda x, std: x / (1 + std**2).sqrt()),
    ),
    (
        "The mean is multiplied by the deviation; VE leaves the data as they are.",
        _ve(mean=lambda x, std: std * x),
    ),
    (
        "A point displaced by one deviation came for the mean; VE leaves the data as they are.",
        _ve(mean=lambda x, std: x + std),
    ),
)


# --- 7.5: Tweedie

TWEEDIE: Mistakes = (
    (
        "The sign is lost: the score points to the data, so one goes along it, not against.",
        lambda score, x, a, s: (x - s**2 * score) / a,
    ),
    (
        "The score is multiplied by sigma once: that gives minus the noise of size one, but in x it has the size sigma.",
        lambda score, x, a, s: (x + s * score) / a,
    ),
    (
        "The division by alpha is missing: x holds the data shrunk (on VE, alpha = 1 hides it).",
        lambda score, x, a, s: x + s**2 * score,
    ),
    (
        "Multiplied by alpha, where the shrinking is to be undone.",
        lambda score, x, a, s: (x + s**2 * score) * a,
    ),
    (
        "Divided by alpha², where alpha itself is meant.",
        lambda score, x, a, s: (x + s**2 * score) / a**2,
    ),
    (
        "Divided by the root of alpha: DDPM's alpha-bar would have a root here, alpha has none.",
        lambda score, x, a, s: (x + s**2 * score) / a.sqrt(),
    ),
    (
        "alpha is read as DDPM's alpha-bar; here it is the scale of the data itself.",
        lambda score, x, a, s: (x + (1 - a) * score) / a.sqrt(),
    ),
    (
        "That is right on variance-preserving paths alone: sigma² is not 1 − alpha² everywhere.",
        lambda score, x, a, s: (x + (1 - a**2) * score) / a,
    ),
    (
        "That is right on the conical path alone: sigma is not 1 − alpha everywhere.",
        lambda score, x, a, s: (x + (1 - a) ** 2 * score) / a,
    ),
    (
        "Only x is divided by alpha: a parenthesis is missing.",
        lambda score, x, a, s: x / a + s**2 * score,
    ),
    (
        "Only the term of the score is divided by alpha: a parenthesis is missing.",
        lambda score, x, a, s: x + s**2 * score / a,
    ),
    (
        "The score is added as it is: how far to go along it depends on the noise level.",
        lambda score, x, a, s: (x + score) / a,
    ),
    (
        "The score is divided by sigma²: the narrower the noise the steeper the score, and the less there is to go.",
        lambda score, x, a, s: (x + score / s**2) / a,
    ),
    (
        "alpha and sigma are exchanged.",
        lambda score, x, a, s: (x + a**2 * score) / s,
    ),
    (
        "The score and x are exchanged.",
        lambda score, x, a, s: (score + s**2 * x) / a,
    ),
    (
        "That is the noise behind x, not the data.",
        lambda score, x, a, s: -s * score,
    ),
    (
        "The score is used as if it were the noise; it is another multiple of it.",
        lambda score, x, a, s: (x - s * score) / a,
    ),
    (
        "Divided by sigma where alpha is meant.",
        lambda score, x, a, s: (x + s**2 * score) / s,
    ),
    (
        "x does not enter: the score only says how far the data are from it.",
        lambda score, x, a, s: s**2 * score / a,
    ),
)
