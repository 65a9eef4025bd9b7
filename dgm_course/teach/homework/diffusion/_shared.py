"""What several exercises share."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ....paths import GaussianPath, Prediction


def _leap(abar_now: Tensor, abar_next: Tensor) -> tuple[GaussianPath, Tensor, Tensor]:
    """A path that stands at the one alpha-bar at its time 0 and at the other at 1; and these two times, (B,)."""
    bar = lambda t: torch.where(t < 0.5, abar_now, abar_next)
    now = torch.zeros_like(abar_now[:, 0])
    return GaussianPath(lambda t: bar(t).sqrt(), lambda t: (1 - bar(t)).sqrt()), now, now + 1


def _posterior(path: GaussianPath, endpoints: Prediction, then: Tensor) -> tuple[Tensor, Tensor]:
    """alpha x̂1 + √(sigma² − κ²) x̂0 and κ²: what ``GaussianPath.step`` draws from, at κ = ``posterior_std``."""
    alpha, sigma, _, _ = path.at(then, endpoints.x1)
    variance = path.posterior_std(endpoints, then) ** 2
    return alpha * endpoints.x1 + (sigma**2 - variance).clamp(min=0).sqrt() * endpoints.x0, variance


def _bars(betas: Tensor) -> Tensor:
    """abar_0 ... abar_T = the products of 1 − beta.  (T + 1,)"""
    return torch.cat([torch.ones_like(betas[:1]), (1 - betas).cumprod(0)])


def _shifted_bars(betas: Tensor) -> Tensor:
    """abar_0 ... abar_T."""
    return torch.cat([betas.new_ones(1), (1 - betas).cumprod(0)])


def at_step(k: Tensor | int, betas: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """beta_k, abar_k, abar_{k−1}, each (B, 1), or () where k is one number."""
    found = betas[k - 1], _shifted_bars(betas)[k], _shifted_bars(betas)[k - 1]
    return tuple(value[:, None] if value.ndim else value for value in found)


def one_late(k: Tensor | int, betas: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What belongs to the step k + 1; there is none after the last."""
    return at_step(k + 1, betas)


def from_noise(k: Tensor | int, betas: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The chain counted the other way."""
    return at_step(len(betas) + 1 - k, betas)


def beta_late(k: Tensor | int, betas: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Only beta of the step after."""
    return one_late(k, betas)[0], *at_step(k, betas)[1:]


def bars_late(k: Tensor | int, betas: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Only the alpha-bars of the step after."""
    return at_step(k, betas)[0], *one_late(k, betas)[1:]


def wrapped(k: Tensor | int, betas: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """abar_{k−1} from a list that begins with abar_1: before the first step Python takes the last entry."""
    found = betas[k - 1], _shifted_bars(betas)[1:][k - 1], _shifted_bars(betas)[1:][k - 2]
    return tuple(value[:, None] if value.ndim else value for value in found)


def of_product(product: Callable) -> Callable:
    """The scales with another reading of alpha-bar: product(betas) -> (T,)."""

    def scales(k: Tensor | int, betas: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        bars = torch.cat([betas.new_ones(1), product(betas)])
        found = betas[k - 1], bars[k], bars[k - 1]
        return tuple(value[:, None] if value.ndim else value for value in found)

    return scales


def without_zeros(*values: Tensor) -> tuple[Tensor, ...]:
    """The values, unless a zero was divided by: there a mistake has none, since every algebra ends elsewhere."""
    if any(torch.isinf(value).any() for value in values):
        raise ZeroDivisionError
    return values


def _mean(x: Tensor, data: Tensor, b: Tensor, now: Tensor, before: Tensor) -> Tensor:
    return before.sqrt() * b / (1 - now) * data + (1 - b).sqrt() * (1 - before) / (1 - now) * x


def _variance(b: Tensor, now: Tensor, before: Tensor) -> Tensor:
    return (1 - before) / (1 - now) * b


# fmt: off
SHARED = (
    ("The mean is right; β came for the variance, the other choice that DDPM's sampler has. The posterior knows "
     "the data and is narrower.",
     {"variance": lambda b, now, before: b}),
    ("The mean is right; in the variance the fraction of the two 1 − abar is upside down: it must be below one.",
     {"variance": lambda b, now, before: (1 - now) / (1 - before) * b}),
    ("The mean is right; the variance lacks its factor β: where a step adds no noise, nothing may be uncertain.",
     {"variance": lambda b, now, before: (1 - before) / (1 - now)}),
    ("The mean is right; the variance is that of the earlier point before anything is known of where it goes.",
     {"variance": lambda b, now, before: 1 - before}),
    ("The mean is right; the variance lacks its division by the 1 − abar of the later step.",
     {"variance": lambda b, now, before: (1 - before) * b}),
    ("The mean is right; the variance is the difference of the two alpha-bars, as if the later point were not "
     "known.",
     {"variance": lambda b, now, before: before - now}),
    ("Both are those of the earlier point from the data alone: the later point does not enter.",
     {
         "mean": lambda x, data, b, now, before: before.sqrt() * data,
         "variance": lambda b, now, before: 1 - before,
     }),
    ("That is the way to noise, what comes after the point given; asked is what came before it.",
     {"mean": lambda x, data, b, now, before: (1 - b).sqrt() * x, "variance": lambda b, now, before: b}),
    ("The noisy point and the data have each other's coefficients.",
     {"mean": lambda x, data, *v: _mean(data, x, *v)}),
    ("Both roots are missing in the mean: what multiplies a point is the root of what multiplies a variance.",
     {"mean": lambda x, data, b, now, before: (before * b * data + (1 - b) * (1 - before) * x) / (1 - now)}),
    ("In the mean, the coefficient of the data lacks the root over its alpha-bar.",
     {
         "mean": lambda x, data, b, now, before: (
             (before * b * data + (1 - b).sqrt() * (1 - before) * x) / (1 - now)
         )
     }),
    ("In the mean, the coefficient of the noisy point lacks the root over 1 − β.",
     {
         "mean": lambda x, data, b, now, before: (
             (before.sqrt() * b * data + (1 - b) * (1 - before) * x) / (1 - now)
         )
     }),
    ("In the mean, the coefficient of the data holds a root of β.",
     {"mean": lambda x, data, b, now, before: _mean(x, data / b.sqrt(), b, now, before)}),
    ("In the mean, the 1 − abar above the line is that of the later step, too, and cancels the one below.",
     {"mean": lambda x, data, b, now, before: before.sqrt() * b / (1 - now) * data + (1 - b).sqrt() * x}),
    ("In the mean, the coefficient of the data holds the later alpha-bar; that of the earlier step belongs there.",
     {
         "mean": lambda x, data, b, now, before: (
             (now.sqrt() * b * data + (1 - b).sqrt() * (1 - before) * x) / (1 - now)
         )
     }),
    ("In the mean, the coefficient of the noisy point holds the root of the whole alpha-bar, not of 1 − β.",
     {
         "mean": lambda x, data, b, now, before: (
             (before.sqrt() * b * data + now.sqrt() * (1 - before) * x) / (1 - now)
         )
     }),
    ("The mean is divided by 1 − abar of the earlier step; that of the later one is meant.",
     {"mean": lambda x, data, b, now, before: _mean(x, data, b, now, before) * (1 - now) / (1 - before)}),
    ("The mean is divided by the root of 1 − abar, where 1 − abar itself is meant.",
     {"mean": lambda x, data, b, now, before: _mean(x, data, b, now, before) * (1 - now).sqrt()}),
    ("The mean lacks its division by 1 − abar.",
     {"mean": lambda x, data, b, now, before: _mean(x, data, b, now, before) * (1 - now)}),
    ("The two parts of the mean are subtracted: both points pull towards themselves.",
     {
         "mean": lambda x, data, b, now, before: (
             _mean(x, data, b, now, before) - 2 * _mean(x, 0 * data, b, now, before)
         )
     }),
    ("The mean is the one before the noisy point is known: only the data enter.",
     {"mean": lambda x, data, b, now, before: before.sqrt() * data}),
    ("The mean only undoes the shrinking of the noisy point: the data do not enter.",
     {"mean": lambda x, data, b, now, before: x / (1 - b).sqrt()}),
    ("The mean is DDIM's, which keeps all of the old noise; a posterior exchanges part of it for fresh noise.",
     {
         "mean": lambda x, d, b, now, before: (
             before.sqrt() * d + ((1 - before) / (1 - now)).sqrt() * (x - now.sqrt() * d)
         )
     }),
)
# fmt: on


def _both(build: Callable) -> Mistakes:
    """The shared mistakes of one exercise."""
    return tuple((hint, build(**pieces)) for hint, pieces in SHARED)


# fmt: off
SCALES = (
    ("One step late: counted from 0, entry k is the step k + 1. Yours are all scales of the step after.",
     one_late),
    ("The steps are counted from the noise; k = 1 is the step next to the data.", from_noise),
    ("β is that of the step after: the alpha-bars are right, betas is counted from 0.", beta_late),
    ("The alpha-bars are those of the step after: β is right. Where does your list of alpha-bars begin, at 0 or "
     "at 1?",
     bars_late),
    ("Wrong only at k = 1: before it stands abar_0 = 1, and an index of −1 takes the last of the list.", wrapped),
    ("abar is taken as 1 − β of its own step; it is the product over all steps so far.",
     of_product(lambda betas: 1 - betas)),
    ("abar is the product of the betas; each step keeps 1 − β.", of_product(lambda betas: betas.cumprod(0))),
    ("abar is taken as 1 minus the sum of the betas; shares that survive multiply.",
     of_product(lambda betas: 1 - betas.cumsum(0))),
    ("abar is squared: the product of 1 − β is alpha² already.",
     of_product(lambda betas: (1 - betas).cumprod(0) ** 2)),
    ("abar is the product of the roots of 1 − β, which is alpha; DDPM's alpha-bar is its square.",
     of_product(lambda betas: (1 - betas).sqrt().cumprod(0))),
)
# fmt: on

Mistakes = tuple[tuple[str, Callable], ...]
