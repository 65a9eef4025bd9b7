"""7.6 One step of DDPM's sampler."""

from collections.abc import Callable

import numpy as np
from torch import Tensor

from .. import Case, Exercise
from ..draws import Cases, Rng, in_float32, odd_sizes, points, sizes
from ._shared import SCALES, _bars, _leap, _posterior, at_step, without_zeros
from ._shared_cases import _betas, _inner_steps, _scales_at, _schedules


def ancestral_step(eps_hat: Tensor, xk: Tensor, k: int, betas: Tensor, z: Tensor) -> Tensor:
    """A draw from the posterior of the pair that the predicted noise names."""
    bars = _bars(betas).expand(len(xk), -1)
    path, now, then = _leap(bars[:, k, None], bars[:, k - 1, None])
    mean, variance = _posterior(path, path.predict(xk, now, noise=eps_hat), then)
    return mean + variance.sqrt() * z


def cases(rng: Rng) -> Cases:
    """One step of a sampler, the whole batch at one k."""

    def case(name: str, batch: tuple[int, int], betas: np.ndarray, hint: str) -> Case:
        k = {"the first step": 1, "the last step": len(betas)}.get(name, int(_inner_steps(rng, betas, 1)[0]))
        eps, xk, z = (points(rng, *batch) for _ in range(3))
        args = {"eps_hat": eps, "xk": xk, "k": k, "betas": betas, "z": z}
        shown = {"k": k, **_scales_at(k, betas), "eps_hat": eps, "xk": xk, "z": z}
        return Case(name, in_float32(args) if name == "float32" else args, shown, hint)

    for name, betas, hint in _schedules(rng):
        yield case(name, sizes(rng), betas, hint)
    for name, batch, hint in odd_sizes(rng):
        yield case(name, batch, _betas(rng), hint)


def _tilde(b: Tensor, now: Tensor, before: Tensor) -> Tensor:
    return (1 - before) / (1 - now) * b


def _mean(eps: Tensor, x: Tensor, b: Tensor, now: Tensor, before: Tensor) -> Tensor:
    return (x - b / (1 - now).sqrt() * eps) / (1 - b).sqrt()


def _sampler(
    mean: Callable = _mean, noise: Callable = lambda z, *v: _tilde(*v).sqrt() * z, scales: Callable = at_step
) -> Callable:
    """DDPM's step with one of its pieces exchanged."""

    def step(eps_hat: Tensor, xk: Tensor, k: int, betas: Tensor, z: Tensor) -> Tensor:
        found = scales(k, betas)
        return without_zeros(mean(eps_hat, xk, *found) + noise(z, *found))[0]

    return step


# fmt: off
MISTAKES = (
    ("The fresh noise has the variance β, DDPM's other choice; the posterior's is smaller, and 0 at k = 1.",
     _sampler(noise=lambda z, b, now, before: b.sqrt() * z)),
    ("The fresh noise has the variance β, save at k = 1: DDPM's other choice; asked is the posterior's.",
     _sampler(noise=lambda z, b, now, before: (b * (before < 1)).sqrt() * z)),
    ("The fresh noise is multiplied by the variance, where the deviation belongs.",
     _sampler(noise=lambda z, *v: _tilde(*v) * z)),
    ("The fresh noise is multiplied by β: neither the posterior's variance nor a deviation.",
     _sampler(noise=lambda z, b, now, before: b * z)),
    ("The fresh noise is missing: only the mean of the step came.", _sampler(noise=lambda z, *v: 0 * z)),
    ("The fresh noise comes in at full size: how much of it depends on the step.",
     _sampler(noise=lambda z, *v: z)),
    ("The fresh noise is subtracted: the same in distribution, but another point than the one asked.",
     _sampler(noise=lambda z, *v: -_tilde(*v).sqrt() * z)),
    ("In the posterior's variance the fraction of the two 1 − abar is upside down.",
     _sampler(noise=lambda z, b, now, before: ((1 - now) / (1 - before) * b).sqrt() * z)),
    ("In the posterior's variance the factor β is missing.",
     _sampler(noise=lambda z, b, now, before: ((1 - before) / (1 - now)).sqrt() * z)),
    ("The fresh noise has the whole spread of step k − 1: part of that is in the mean already.",
     _sampler(noise=lambda z, b, now, before: (1 - before).sqrt() * z)),
    ("The fresh noise is divided along with the mean: a parenthesis closes too late.",
     _sampler(noise=lambda z, *v: _tilde(*v).sqrt() * z / (1 - v[0]).sqrt())),
    ("The predicted noise is added; it is to be taken out.", _sampler(lambda eps, x, *v: _mean(-eps, x, *v))),
    ("The coefficient of the predicted noise lacks the root over 1 − abar.",
     _sampler(lambda eps, x, b, now, before: (x - b / (1 - now) * eps) / (1 - b).sqrt())),
    ("The coefficient of the predicted noise has a root over β.",
     _sampler(lambda eps, x, b, now, before: (x - (b / (1 - now)).sqrt() * eps) / (1 - b).sqrt())),
    ("The coefficient of the predicted noise lacks its division by the root of 1 − abar.",
     _sampler(lambda eps, x, b, now, before: (x - b * eps) / (1 - b).sqrt())),
    ("The predicted noise is taken for the noise of the last step alone; it is that of all k steps together.",
     _sampler(lambda eps, x, b, now, before: (x - b.sqrt() * eps) / (1 - b).sqrt())),
    ("1 − β stands in the coefficient of the predicted noise, where β belongs.",
     _sampler(lambda eps, x, b, now, before: (x - (1 - b) / (1 - now).sqrt() * eps) / (1 - b).sqrt())),
    ("That is a step of Euler's method for the reverse SDE, close for small β; asked is the step of the chain "
     "itself.",
     _sampler(
         lambda eps, x, b, now, before: (1 + b / 2) * x - b / (1 - now).sqrt() * eps,
         lambda z, b, now, before: b.sqrt() * z,
     )),
    ("All of the noise is taken out at once; one step removes only its share.",
     _sampler(lambda eps, x, b, now, before: (x - (1 - now).sqrt() * eps) / (1 - b).sqrt())),
    ("That is the guess of the data; the step goes only from k to k − 1.",
     _sampler(lambda eps, x, b, now, before: (x - (1 - now).sqrt() * eps) / now.sqrt())),
    ("The coefficient of the predicted noise holds abar of the step before; the noise in x_k is that of k steps.",
     _sampler(lambda eps, x, b, now, before: (x - b / (1 - before).sqrt() * eps) / (1 - b).sqrt())),
    ("The mean is divided by 1 − β: a root is missing.",
     _sampler(lambda eps, x, b, now, before: (x - b / (1 - now).sqrt() * eps) / (1 - b))),
    ("The mean is divided by the root of the whole alpha-bar; a step undoes only its own shrinking.",
     _sampler(lambda eps, x, b, now, before: (x - b / (1 - now).sqrt() * eps) / now.sqrt())),
    ("The mean is shrunk once more, as on the way to noise; the way back undoes it.",
     _sampler(lambda eps, x, b, now, before: (x - b / (1 - now).sqrt() * eps) * (1 - b).sqrt())),
    ("The mean lacks its division by the root of 1 − β.",
     _sampler(lambda eps, x, b, now, before: x - b / (1 - now).sqrt() * eps)),
    ("Only x is divided by the root of 1 − β: a parenthesis is missing.",
     _sampler(lambda eps, x, b, now, before: x / (1 - b).sqrt() - b / (1 - now).sqrt() * eps)),
    ("Only the predicted noise is divided by the root of 1 − β: a parenthesis is missing.",
     _sampler(lambda eps, x, b, now, before: x - b / (1 - now).sqrt() * eps / (1 - b).sqrt())),
    ("The mean is DDIM's, which keeps all of the old noise, and fresh noise comes on top.",
     _sampler(
         lambda eps, x, b, now, before: (
             before.sqrt() * (x - (1 - now).sqrt() * eps) / now.sqrt() + (1 - before).sqrt() * eps
         )
     )),
    *((hint, _sampler(scales=wrong)) for hint, wrong in SCALES),
    ("eps_hat and z are exchanged: the one is the network's, the other is fresh.",
     lambda eps_hat, xk, k, betas, z: _sampler()(z, xk, k, betas, eps_hat)),
    ("eps_hat and xk are exchanged.", lambda eps_hat, xk, k, betas, z: _sampler()(xk, eps_hat, k, betas, z)),
)

EXERCISE = Exercise(
    id="diff.ancestral_step", number="7.6", title="one step of DDPM's sampler", points=2,
    prompt="the point one step nearer to the data, from the predicted noise and a given fresh one, which comes "
           "in with the posterior's variance",
    more="x_{k−1} = (x_k − β_k/√(1 − ᾱ_k) eps_hat)/√(1 − β_k) + √β̃_k z, where β̃_k = β_k (1 − ᾱ_{k−1})/(1 − "
         "ᾱ_k) and ᾱ_0 = 1, so that β̃_1 = 0.",
    cases=cases, reference=ancestral_step, mistakes=MISTAKES,
)
