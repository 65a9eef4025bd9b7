"""The usual slips in the samplers of the homework on diffusion, as in `_diffusion_kernels`."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from ._diffusion_chains import SCALES, at_step, without_zeros
from ._diffusion_kernels import Mistakes

# --- 7.6: DDPM's step


def _tilde(b: Tensor, now: Tensor, before: Tensor) -> Tensor:
    return (1 - before) / (1 - now) * b


def _mean(eps: Tensor, x: Tensor, b: Tensor, now: Tensor, before: Tensor) -> Tensor:
    return (x - b / (1 - now).sqrt() * eps) / (1 - b).sqrt()


def _sampler(
    mean: Callable = _mean,
    noise: Callable = lambda z, *v: _tilde(*v).sqrt() * z,
    scales: Callable = at_step,
) -> Callable:
    """DDPM's step with one of its pieces exchanged."""

    def step(eps_hat: Tensor, xk: Tensor, k: int, betas: Tensor, z: Tensor) -> Tensor:
        found = scales(k, betas)
        return without_zeros(mean(eps_hat, xk, *found) + noise(z, *found))[0]

    return step


ANCESTRAL: Mistakes = (
    (
        "The fresh noise has the variance β, DDPM's other choice; the posterior's is smaller, and 0 at k = 1.",
        _sampler(noise=lambda z, b, now, before: b.sqrt() * z),
    ),
    (
        "The fresh noise has the variance β, save at k = 1: DDPM's other choice; asked is the posterior's.",
        _sampler(noise=lambda z, b, now, before: (b * (before < 1)).sqrt() * z),
    ),
    (
        "The fresh noise is multiplied by the variance, where the deviation belongs.",
        _sampler(noise=lambda z, *v: _tilde(*v) * z),
    ),
    (
        "The fresh noise is multiplied by β: neither the posterior's variance nor a deviation.",
        _sampler(noise=lambda z, b, now, before: b * z),
    ),
    (
        "The fresh noise is missing: only the mean of the step came.",
        _sampler(noise=lambda z, *v: 0 * z),
    ),
    (
        "The fresh noise comes in at full size: how much of it depends on the step.",
        _sampler(noise=lambda z, *v: z),
    ),
    (
        "The fresh noise is subtracted: the same in distribution, but another point than the one asked.",
        _sampler(noise=lambda z, *v: -_tilde(*v).sqrt() * z),
    ),
    (
        "In the posterior's variance the fraction of the two 1 − abar is upside down.",
        _sampler(noise=lambda z, b, now, before: ((1 - now) / (1 - before) * b).sqrt() * z),
    ),
    (
        "In the posterior's variance the factor β is missing.",
        _sampler(noise=lambda z, b, now, before: ((1 - before) / (1 - now)).sqrt() * z),
    ),
    (
        "The fresh noise has the whole spread of step k − 1: part of that is in the mean already.",
        _sampler(noise=lambda z, b, now, before: (1 - before).sqrt() * z),
    ),
    (
        "The fresh noise is divided along with the mean: a parenthesis closes too late.",
        _sampler(noise=lambda z, *v: _tilde(*v).sqrt() * z / (1 - v[0]).sqrt()),
    ),
    (
        "The predicted noise is added; it is to be taken out.",
        _sampler(lambda eps, x, *v: _mean(-eps, x, *v)),
    ),
    (
        "The coefficient of the predicted noise lacks the root over 1 − abar.",
        _sampler(lambda eps, x, b, now, before: (x - b / (1 - now) * eps) / (1 - b).sqrt()),
    ),
    (
        "The coefficient of the predicted noise has a root over β.",
        _sampler(lambda eps, x, b, now, before: (x - (b / (1 - now)).sqrt() * eps) / (1 - b).sqrt()),
    ),
    (
        "The coefficient of the predicted noise lacks its division by the root of 1 − abar.",
        _sampler(lambda eps, x, b, now, before: (x - b * eps) / (1 - b).sqrt()),
    ),
    (
        "The predicted noise is taken for the noise of the last step alone; it is that of all k steps together.",
        _sampler(lambda eps, x, b, now, before: (x - b.sqrt() * eps) / (1 - b).sqrt()),
    ),
    (
        "1 − β stands in the coefficient of the predicted noise, where β belongs.",
        _sampler(lambda eps, x, b, now, before: (x - (1 - b) / (1 - now).sqrt() * eps) / (1 - b).sqrt()),
    ),
    (
        "That is a step of Euler's method for the reverse SDE, close for small β; asked is the step of the chain itself.",
        _sampler(
            lambda eps, x, b, now, before: (1 + b / 2) * x - b / (1 - now).sqrt() * eps,
            lambda z, b, now, before: b.sqrt() * z,
        ),
    ),
    (
        "All of the noise is taken out at once; one step removes only its share.",
        _sampler(lambda eps, x, b, now, before: (x - (1 - now).sqrt() * eps) / (1 - b).sqrt()),
    ),
    (
        "That is the guess of the data; the step goes only from k to k − 1.",
        _sampler(lambda eps, x, b, now, before: (x - (1 - now).sqrt() * eps) / now.sqrt()),
    ),
    (
        "The coefficient of the predicted noise holds abar of the step before; the noise in x_k is that of k steps.",
        _sampler(lambda eps, x, b, now, before: (x - b / (1 - before).sqrt() * eps) / (1 - b).sqrt()),
    ),
    (
        "The mean is divided by 1 − β: a root is missing.",
        _sampler(lambda eps, x, b, now, before: (x - b / (1 - now).sqrt() * eps) / (1 - b)),
    ),
    (
        "The mean is divided by the root of the whole alpha-bar; a step undoes only its own shrinking.",
        _sampler(lambda eps, x, b, now, before: (x - b / (1 - now).sqrt() * eps) / now.sqrt()),
    ),
    (
        "The mean is shrunk once more, as on the way to noise; the way back undoes it.",
        _sampler(lambda eps, x, b, now, before: (x - b / (1 - now).sqrt() * eps) * (1 - b).sqrt()),
    ),
    (
        "The mean lacks its division by the root of 1 − β.",
        _sampler(lambda eps, x, b, now, before: x - b / (1 - now).sqrt() * eps),
    ),
    (
        "Only x is divided by the root of 1 − β: a parenthesis is missing.",
        _sampler(lambda eps, x, b, now, before: x / (1 - b).sqrt() - b / (1 - now).sqrt() * eps),
    ),
    (
        "Only the predicted noise is divided by the root of 1 − β: a parenthesis is missing.",
        _sampler(lambda eps, x, b, now, before: x - b / (1 - now).sqrt() * eps / (1 - b).sqrt()),
    ),
    (
        "The mean is DDIM's, which keeps all of the old noise, and fresh noise comes on top.",
        _sampler(
            lambda eps, x, b, now, before: (
                before.sqrt() * (x - (1 - now).sqrt() * eps) / now.sqrt() + (1 - before).sqrt() * eps
            )
        ),
    ),
    *((hint, _sampler(scales=wrong)) for hint, wrong in SCALES),
    (
        "eps_hat and z are exchanged: the one is the network's, the other is fresh.",
        lambda eps_hat, xk, k, betas, z: _sampler()(z, xk, k, betas, eps_hat),
    ),
    (
        "eps_hat and xk are exchanged.",
        lambda eps_hat, xk, k, betas, z: _sampler()(xk, eps_hat, k, betas, z),
    ),
)


# --- 7.7: DDIM's step


def _data(eps: Tensor, x: Tensor, now: Tensor) -> Tensor:
    return (x - (1 - now).sqrt() * eps) / now.sqrt()


def _place(data: Tensor, eps: Tensor, then: Tensor) -> Tensor:
    return then.sqrt() * data + (1 - then).sqrt() * eps


DDIM: Mistakes = (
    (
        "The two alpha-bars are exchanged: the data are guessed at abar_now, and put at abar_next.",
        lambda eps, x, now, then: _place(_data(eps, x, then), eps, now),
    ),
    (
        "That is the guess of the data: it still has to be put back among noise, at abar_next.",
        lambda eps, x, now, then: _data(eps, x, now),
    ),
    (
        "The guess of the data is shrunk for the next level, but no noise of that level is added.",
        lambda eps, x, now, then: then.sqrt() * _data(eps, x, now),
    ),
    (
        "The guess of the data is not shrunk for the next level.",
        lambda eps, x, now, then: _data(eps, x, now) + (1 - then).sqrt() * eps,
    ),
    (
        "In the guess of the data the noise is added; it is to be taken out.",
        lambda eps, x, now, then: _place(_data(-eps, x, now), eps, then),
    ),
    (
        "At the next level the noise is subtracted, where it has to come in again.",
        lambda eps, x, now, then: _place(_data(eps, x, now), -eps, then),
    ),
    (
        "The noise comes in again with the size of abar_now, not of abar_next.",
        lambda eps, x, now, then: then.sqrt() * _data(eps, x, now) + (1 - now).sqrt() * eps,
    ),
    (
        "The data are shrunk again by the factor of abar_now, not of abar_next.",
        lambda eps, x, now, then: now.sqrt() * _data(eps, x, now) + (1 - then).sqrt() * eps,
    ),
    (
        "The guess of the data lacks its division: x holds them shrunk.",
        lambda eps, x, now, then: _place(x - (1 - now).sqrt() * eps, eps, then),
    ),
    (
        "In the guess of the data only x is divided: a parenthesis is missing.",
        lambda eps, x, now, then: _place(x / now.sqrt() - (1 - now).sqrt() * eps, eps, then),
    ),
    (
        "In the guess of the data only the noise is divided: a parenthesis is missing.",
        lambda eps, x, now, then: _place(x - (1 - now).sqrt() * eps / now.sqrt(), eps, then),
    ),
    (
        "The factor of the data shrinks the new noise as well: a parenthesis too many.",
        lambda eps, x, now, then: then.sqrt() * (_data(eps, x, now) + (1 - then).sqrt() * eps),
    ),
    (
        "The ratio of the two alpha-bars lacks its root.",
        lambda eps, x, now, then: then / now * (x - (1 - now).sqrt() * eps) + (1 - then).sqrt() * eps,
    ),
    (
        "The guess of the data is divided by abar_now: the root is missing.",
        lambda eps, x, now, then: _place((x - (1 - now).sqrt() * eps) / now, eps, then),
    ),
    (
        "In the guess of the data the noise lacks the root over 1 − abar.",
        lambda eps, x, now, then: _place((x - (1 - now) * eps) / now.sqrt(), eps, then),
    ),
    (
        "At the next level the noise lacks the root over 1 − abar.",
        lambda eps, x, now, then: then.sqrt() * _data(eps, x, now) + (1 - then) * eps,
    ),
    (
        "At the next level the data lack the root over abar.",
        lambda eps, x, now, then: then * _data(eps, x, now) + (1 - then).sqrt() * eps,
    ),
    (
        "All four roots are missing: alpha-bars and 1 minus them are factors of variances.",
        lambda eps, x, now, then: then * (x - (1 - now) * eps) / now + (1 - then) * eps,
    ),
    (
        "Both factors of the noise lack their roots.",
        lambda eps, x, now, then: then.sqrt() * (x - (1 - now) * eps) / now.sqrt() + (1 - then) * eps,
    ),
    (
        "alpha-bar is read as the scale of the data; it is the square of that scale.",
        lambda eps, x, now, then: then * (x - (1 - now**2).sqrt() * eps) / now + (1 - then**2).sqrt() * eps,
    ),
    (
        "The size of the noise came as 1 minus the scale of the data; here it is their squares that add up to one.",
        lambda eps, x, now, then: then.sqrt() * (x - (1 - now.sqrt()) * eps) / now.sqrt() + (1 - then.sqrt()) * eps,
    ),
    (
        "That is the posterior's mean, which gives part of the old noise away for fresh noise; DDIM keeps all of it.",
        lambda eps, x, now, then: (
            then.sqrt() * _data(eps, x, now) + (1 - then) / (1 - now).sqrt() * (now / then).sqrt() * eps
        ),
    ),
    (
        "Only x is rescaled: between the two levels the share of the noise changes, too.",
        lambda eps, x, now, then: (then / now).sqrt() * x,
    ),
    (
        "The ratio of the two alpha-bars is upside down.",
        lambda eps, x, now, then: (now / then).sqrt() * (x - (1 - now).sqrt() * eps) + (1 - then).sqrt() * eps,
    ),
    (
        "eps_hat and x are exchanged.",
        lambda eps, x, now, then: _place(_data(x, eps, now), x, then),
    ),
    (
        "At the next level x stands where the predicted noise belongs.",
        lambda eps, x, now, then: then.sqrt() * _data(eps, x, now) + (1 - then).sqrt() * x,
    ),
)
