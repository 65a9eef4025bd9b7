"""7.4 Denoising score matching."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ....paths import Prediction
from .. import Case, Exercise, Network, ObserveSpec
from ..draws import Cases, Rng, in_float32, numbers, odd_sizes, points, sizes


def dsm_loss(score_net: Callable, x_data: Tensor, eps: Tensor, sigma: Tensor) -> Tensor:
    """Weighted regression on the score of the pair (x_data, eps) on a path with alpha = 1."""
    one, zero = torch.ones_like(sigma), torch.zeros_like(sigma)
    endpoints = Prediction(x_data, eps, (one, sigma, zero, zero))
    return (sigma**2 * (score_net(x_data + sigma * eps, sigma) - endpoints.score) ** 2).mean()


LEVELS = "Right on ordinary noise levels alone: is sigma clamped, rounded, or an epsilon added?"


def cases(rng: Rng) -> Cases:
    usual = (
        ("a small network", sizes(rng), ""),
        ("float32", sizes(rng), ""),
        ("σ from 0.01 to 10", sizes(rng), LEVELS),
    )
    for name, batch, hint in (*usual, *odd_sizes(rng)):
        sigma = numbers(rng, batch[0], 1, high=3.0)
        if "0.01" in name:
            sigma = np.round(0.01 * 1000 ** rng.uniform(0, 1, size=(batch[0], 1)), 3)
        args = {"x_data": points(rng, *batch), "eps": points(rng, *batch), "sigma": sigma}
        args = in_float32(args) if name == "float32" else args
        yield Case(name, {"score_net": Network.random(rng, batch[1]), **args}, hint=hint)


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


# fmt: off
MISTAKES = (
    ("The sign of the target is lost: the score points against the noise, back to the data.",
     _dsm(lambda score, eps, sigma, x: sigma * score - eps)),
    ("The weight is missing: the smallest noise levels drown all others.",
     _dsm(lambda score, eps, sigma, x: score + eps / sigma)),
    ("The weight of the squares is sigma, where sigma² is asked.",
     _dsm(lambda score, eps, sigma, x: sigma.sqrt() * (score + eps / sigma))),
    ("The weight of the squares is sigma⁴: sigma² was brought inside the square.",
     _dsm(lambda score, eps, sigma, x: sigma**2 * (score + eps / sigma))),
    ("The squares are divided by sigma², where they are to be multiplied.",
     _dsm(lambda score, eps, sigma, x: (score + eps / sigma) / sigma)),
    ("The target lacks its division by sigma: the score of a narrow kernel is steep.",
     _dsm(lambda score, eps, sigma, x: sigma * (score + eps))),
    ("The target is divided by sigma²: (x − mean)/sigma² is meant, but eps is already (x − mean)/sigma.",
     _dsm(lambda score, eps, sigma, x: sigma * (score + eps / sigma**2))),
    ("The network is compared with eps as if it predicted the noise; it gives a score.",
     _dsm(lambda score, eps, sigma, x: score - eps)),
    ("The network is compared with −eps, without any sigma: that would be sigma times the score.",
     _dsm(lambda score, eps, sigma, x: score + eps)),
    ("The target is the data; the network gives a score.", _dsm(lambda score, eps, sigma, x: score - x)),
    ("The target is the data, and weighted; the network gives a score.",
     _dsm(lambda score, eps, sigma, x: sigma * (score - x))),
    ("The noise is multiplied by sigma²: the variance stands where the deviation belongs.",
     _dsm(point=lambda x, eps, sigma: x + sigma**2 * eps)),
    ("The noise is multiplied by the root of sigma, which is the deviation already.",
     _dsm(point=lambda x, eps, sigma: x + sigma.sqrt() * eps)),
    ("The noise is added at full size: its level sigma is missing.", _dsm(point=lambda x, eps, sigma: x + eps)),
    ("The noise is subtracted from the data, but the target belongs to the point with the noise added.",
     _dsm(point=lambda x, eps, sigma: x - sigma * eps)),
    ("The network is shown the clean data; it must see the noisy point.", _dsm(point=lambda x, eps, sigma: x)),
    ("The network is shown the noise alone; it must see the noisy point.",
     _dsm(point=lambda x, eps, sigma: sigma * eps)),
    ("The data fade as on the conical path; on VE noise is added and the data stay as they are.",
     _dsm(point=lambda x, eps, sigma: (1 - sigma) * x + sigma * eps)),
    ("eps and x_data are exchanged.", lambda score_net, x, eps, sigma: _dsm()(score_net, eps, x, sigma)),
    ("The network never learns the noise level: hand it sigma beside the noisy point.",
     _dsm(weight=lambda sigma: 0 * sigma)),
    ("The network is told sigma², not sigma.", _dsm(weight=lambda sigma: sigma**2)),
    ("The network is told the logarithm of sigma; hand it sigma itself.", _dsm(weight=torch.log)),
    ("A factor ½ too many, and a sum over the coordinates where their mean is asked.",
     _dsm(reduce=lambda e: (e**2).sum(1).mean() / 2)),
    ("The square is missing: the mean of a signed error can be zero for a bad network.",
     _dsm(reduce=lambda e: e.mean())),
    ("Absolute values where squares are asked: their minimiser would be a median, not the mean, which is the "
     "score.",
     _dsm(reduce=lambda e: e.abs().mean())),
    ("A root too many: squared norms are asked, not norms.", _dsm(reduce=lambda e: (e**2).sum(1).sqrt().mean())),
    ("A root too many and no mean: the norm of the whole batch came.", _dsm(reduce=lambda e: e.norm())),
)

EXERCISE = Exercise(
    id="diff.dsm_loss", number="7.4", title="denoising score matching", points=2,
    prompt="the mean, over batch and coordinates, of the squared error between the network's score at the noisy "
           "point and the score of the noise kernel there, weighted with the variance of the noise",
    more="The noisy point is x_data + σ eps, and the score of its kernel there is −eps/σ. With the weight σ² "
         "inside the square, σ times the network's answer is compared with −eps.",
    cases=cases, reference=dsm_loss, mistakes=MISTAKES,
    watch=ObserveSpec(outputs=("loss",), gradient=("score_net",), tensors=True),
)
