"""The usual slips around scores in the homework on diffusion, as in `_diffusion_kernels`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ._diffusion_kernels import Mistakes

# --- 7.4: denoising score matching


def _dsm(
    error: Callable = lambda score, eps, sigma, x: sigma * score + eps,
    reduce: Callable = lambda e: (e**2).mean(),
    point: Callable = lambda x, eps, sigma: x + sigma * eps,
    weight: Callable = lambda sigma: sigma,
) -> Callable:
    """The loss with one of its pieces exchanged."""

    def loss(score_net: Callable, x_data: Tensor, eps: Tensor, sigma: Tensor) -> Tensor:
        return reduce(error(score_net(point(x_data, eps, sigma), weight(sigma)), eps, sigma, x_data))

    return loss


DSM: Mistakes = (
    (
        "The sign of the target is lost: the score points against the noise, back to the data.",
        _dsm(lambda score, eps, sigma, x: sigma * score - eps),
    ),
    (
        "The weight is missing: the smallest noise levels drown all others.",
        _dsm(lambda score, eps, sigma, x: score + eps / sigma),
    ),
    (
        "The weight of the squares is sigma, where sigma² is asked.",
        _dsm(lambda score, eps, sigma, x: sigma.sqrt() * (score + eps / sigma)),
    ),
    (
        "The weight of the squares is sigma⁴: sigma² was brought inside the square.",
        _dsm(lambda score, eps, sigma, x: sigma**2 * (score + eps / sigma)),
    ),
    (
        "The squares are divided by sigma², where they are to be multiplied.",
        _dsm(lambda score, eps, sigma, x: (score + eps / sigma) / sigma),
    ),
    (
        "The target lacks its division by sigma: the score of a narrow kernel is steep.",
        _dsm(lambda score, eps, sigma, x: sigma * (score + eps)),
    ),
    (
        "The target is divided by sigma²: (x − mean)/sigma² is meant, but eps is already (x − mean)/sigma.",
        _dsm(lambda score, eps, sigma, x: sigma * (score + eps / sigma**2)),
    ),
    (
        "The network is compared with eps as if it predicted the noise; it gives a score.",
        _dsm(lambda score, eps, sigma, x: score - eps),
    ),
    (
        "The network is compared with −eps, without any sigma: that would be sigma times the score.",
        _dsm(lambda score, eps, sigma, x: score + eps),
    ),
    (
        "The target is the data; the network gives a score.",
        _dsm(lambda score, eps, sigma, x: score - x),
    ),
    (
        "The target is the data, and weighted; the network gives a score.",
        _dsm(lambda score, eps, sigma, x: sigma * (score - x)),
    ),
    (
        "The noise is multiplied by sigma²: the variance stands where the deviation belongs.",
        _dsm(point=lambda x, eps, sigma: x + sigma**2 * eps),
    ),
    (
        "The noise is multiplied by the root of sigma, which is the deviation already.",
        _dsm(point=lambda x, eps, sigma: x + sigma.sqrt() * eps),
    ),
    (
        "The noise is added at full size: its level sigma is missing.",
        _dsm(point=lambda x, eps, sigma: x + eps),
    ),
    (
        "The noise is subtracted from the data, but the target belongs to the point with the noise added.",
        _dsm(point=lambda x, eps, sigma: x - sigma * eps),
    ),
    (
        "The network is shown the clean data; it must see the noisy point.",
        _dsm(point=lambda x, eps, sigma: x),
    ),
    (
        "The network is shown the noise alone; it must see the noisy point.",
        _dsm(point=lambda x, eps, sigma: sigma * eps),
    ),
    (
        "The data fade as on the conical path; on VE noise is added and the data stay as they are.",
        _dsm(point=lambda x, eps, sigma: (1 - sigma) * x + sigma * eps),
    ),
    (
        "eps and x_data are exchanged.",
        lambda score_net, x, eps, sigma: _dsm()(score_net, eps, x, sigma),
    ),
    (
        "The network never learns the noise level: hand it sigma beside the noisy point.",
        _dsm(weight=lambda sigma: 0 * sigma),
    ),
    (
        "The network is told sigma², not sigma.",
        _dsm(weight=lambda sigma: sigma**2),
    ),
    (
        "The network is told the logarithm of sigma; hand it sigma itself.",
        _dsm(weight=torch.log),
    ),
    (
        "A sum over batch and coordinates where the mean over both is asked.",
        _dsm(reduce=lambda e: (e**2).sum()),
    ),
    (
        "A sum over the coordinates where their mean is asked (the slides sum, the exercise does not).",
        _dsm(reduce=lambda e: (e**2).sum(1).mean()),
    ),
    (
        "A sum over the batch where its mean is asked.",
        _dsm(reduce=lambda e: (e**2).mean(1).sum()),
    ),
    (
        "A factor ½ too many: the mean of the squares is asked.",
        _dsm(reduce=lambda e: (e**2).mean() / 2),
    ),
    (
        "A factor ½ too many, and a sum over the coordinates where their mean is asked.",
        _dsm(reduce=lambda e: (e**2).sum(1).mean() / 2),
    ),
    (
        "The square is missing: the mean of a signed error can be zero for a bad network.",
        _dsm(reduce=lambda e: e.mean()),
    ),
    (
        "Absolute values where squares are asked: their minimiser would be a median, not the mean, which is the score.",
        _dsm(reduce=lambda e: e.abs().mean()),
    ),
    (
        "A root too many: squared norms are asked, not norms.",
        _dsm(reduce=lambda e: (e**2).sum(1).sqrt().mean()),
    ),
    (
        "A root too many and no mean: the norm of the whole batch came.",
        _dsm(reduce=lambda e: e.norm()),
    ),
)


# --- 7.9: classifier-free guidance

GUIDANCE: Mistakes = (
    (
        "That is the paper's convention, where weight 0 is the conditional prediction; here weight 1 is.",
        lambda free, given, w: (1 + w) * given - w * free,
    ),
    (
        "The two predictions are exchanged: weight 0 must give the free one, weight 1 the conditional one.",
        lambda free, given, w: given + w * (free - given),
    ),
    (
        "The difference points the wrong way: guidance leads from the free prediction to the conditional one and beyond.",
        lambda free, given, w: free + w * (free - given),
    ),
    (
        "The weighted conditional prediction is added to the free one; the weight belongs to their difference.",
        lambda free, given, w: free + w * given,
    ),
    (
        "The free prediction does not enter.",
        lambda free, given, w: w * given,
    ),
    (
        "The weighted difference alone came: from which prediction does it lead on?",
        lambda free, given, w: w * (given - free),
    ),
    (
        "The weights of the two predictions do not add up to one: the conditional one has 1.",
        lambda free, given, w: given - w * free,
    ),
    (
        "The weights of the two predictions do not add up to one: the free one has −1.",
        lambda free, given, w: w * given - free,
    ),
    (
        "A weighted average came, which stays between the two predictions; guidance goes beyond.",
        lambda free, given, w: (free + w * given) / (1 + w),
    ),
    (
        "Divided by the weight where it multiplies: at weight 0 nothing finite is left.",
        lambda free, given, w: free + (given - free) * (1 / w),
    ),
    (
        "The weight is nowhere: half of each prediction came.",
        lambda free, given, w: (free + given) / 2,
    ),
    (
        "The weight counts one less: at weight 1 the free prediction came, where the conditional one is asked.",
        lambda free, given, w: free + (w - 1) * (given - free),
    ),
    (
        "The weight enters squared.",
        lambda free, given, w: free + w**2 * (given - free),
    ),
    (
        "The weight is cut to [0, 1]: guidance is meant to go beyond the conditional prediction.",
        lambda free, given, w: free + min(max(w, 0), 1) * (given - free),
    ),
)


# --- 7.10: Langevin dynamics


def _langevin(drift: Callable = lambda h: h, noise: Callable = lambda h: (2 * h) ** 0.5, at: Callable = lambda x, z, h: x):
    """The step with one of its pieces exchanged."""
    return lambda score, x, step, z: x + drift(step) * score(at(x, z, step)) + noise(step) * z


LANGEVIN: Mistakes = (
    (
        "The noise lacks its factor 2 under the root: the chain would settle too narrow.",
        _langevin(noise=lambda h: h**0.5),
    ),
    (
        "That is the other convention, with half a step along the score; here a whole one is taken.",
        _langevin(lambda h: h / 2, lambda h: h**0.5),
    ),
    (
        "The noise is right; only half a step is taken along the score.",
        _langevin(lambda h: h / 2),
    ),
    (
        "The noise is right; the step along the score is doubled.",
        _langevin(lambda h: 2 * h),
    ),
    (
        "The noise lacks its root: twice the step is its variance.",
        _langevin(noise=lambda h: 2 * h),
    ),
    (
        "The noise is multiplied by the step itself: its variance is twice the step.",
        _langevin(noise=lambda h: h),
    ),
    (
        "The factor 2 stands outside the root of the noise.",
        _langevin(noise=lambda h: 2 * h**0.5),
    ),
    (
        "The root reaches only the 2 of the noise.",
        _langevin(noise=lambda h: 2**0.5 * h),
    ),
    (
        "The noise comes in at full size: it must shrink with the step.",
        _langevin(noise=lambda h: 1.0),
    ),
    (
        "The noise is missing: without it the chain climbs to the nearest peak and stays.",
        _langevin(noise=lambda h: 0.0),
    ),
    (
        "The noise is subtracted: the same in distribution, but another point than the one asked.",
        _langevin(noise=lambda h: -((2 * h) ** 0.5)),
    ),
    (
        "The chain walks against the score, away from the data.",
        _langevin(lambda h: -h),
    ),
    (
        "The score is added without the step.",
        _langevin(lambda h: 1.0),
    ),
    (
        "The score is multiplied by the root that belongs to the noise.",
        _langevin(lambda h: (2 * h) ** 0.5),
    ),
    (
        "The score is asked where the noise has already moved the point; it belongs to the point before the step.",
        _langevin(at=lambda x, z, h: x + (2 * h) ** 0.5 * z),
    ),
    (
        "The score is asked at the noise z; it is the point x whose slope counts.",
        _langevin(at=lambda x, z, h: z),
    ),
    (
        "x and z are exchanged.",
        lambda score, x, step, z: _langevin()(score, z, step, x),
    ),
    (
        "The step alone came: it starts from x, which is missing.",
        lambda score, x, step, z: step * score(x) + (2 * step) ** 0.5 * z,
    ),
    (
        "The noise is multiplied by the step once more: a parenthesis too many.",
        lambda score, x, step, z: x + step * (score(x) + (2 * step) ** 0.5 * z),
    ),
)
