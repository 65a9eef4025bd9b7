"""Homework of the lecture on latent space models: the size of codes, the balance of the game, a look ahead.

Means and deviations are those of all numbers of a channel; squared errors are sums over the pixels and means over the batch.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ...latent import LatentScaler, adaptive_weight
from ...paths import Conical
from ...paths.guidance import Guided
from . import Exercise, ObserveSpec
from . import _latent_space_cases as cases
from . import _latent_space_slips as slips

# --- the library's own answers


def rescale(codes: Tensor, fresh: Tensor) -> Tensor:
    """Measured on the one, applied to the other."""
    return LatentScaler.of(codes)(fresh)


def balanced_loss(x: Tensor, h: Tensor, last: torch.nn.Module, critic: Callable, strength: float, delta: float) -> Tensor:
    """A decoder's side of the game, λ measured at its last layer."""
    x_hat = last(h)
    own, adversarial = (x - x_hat).square().sum(1).mean(), -critic(x_hat).mean()
    return own + strength * adaptive_weight(own, adversarial, last.weight, delta, 1e30) * adversarial


def preview(zt: Tensor, t: Tensor, free: Tensor, conditional: Tensor, weight: float, mean: Tensor, std: Tensor) -> Tensor:
    """The path's guess of the data, from the guided velocity, scaled back."""
    guided = Guided(lambda z, t, y=None: free if y is None else conditional, weight)(zt, t, 0)
    scale = LatentScaler(mean.cpu()[:, None, None], std.cpu()[:, None, None]).to(mean.device)
    return scale.inverse(Conical().predict(zt, t, velocity=guided).data)


EXERCISES = (
    Exercise(
        "lat.rescale",
        "10.1",
        "codes of unit size",
        "the fresh codes, each channel less its mean and divided by its deviation, both measured on the training codes over "
        "the batch and all places (deviation: root of the mean squared distance from the mean)",
        cases.codes,
        rescale,
        slips.RESCALE,
        1,
        "mean((0, 2, 3), keepdim=True) of the training codes has the shape (1, C, 1, 1) and fits the fresh ones; the "
        "deviation likewise, with correction=0.",
        ObserveSpec(tensors=True),
    ),
    Exercise(
        "lat.balanced_loss",
        "10.2",
        "a decoder between two masters",
        "the reconstruction loss, and to it added: strength times λ times the adversarial loss, where λ is the norm of the "
        "gradient of the first at the weight of the last layer, divided by that of the second and delta together; λ moves "
        "nothing itself",
        cases.games,
        balanced_loss,
        slips.BALANCE,
        2,
        "torch.autograd.grad(loss, last.weight, retain_graph=True)[0].norm() for each of the two losses; retain_graph, "
        "since the losses are still to be differentiated by the training loop.",
        ObserveSpec(outputs=("loss",), gradient=("last",), tensors=True),
        gradient_mistakes=slips.BALANCE_CUTS,
    ),
    Exercise(
        "lat.preview",
        "10.3",
        "a look ahead",
        "the codes that half-finished ones are on the way to: walk along the guided arrow for all the time left, then go "
        "back from unit size to the size of the decoder's codes",
        cases.previews,
        preview,
        slips.PREVIEW,
        2,
        "On the straight road zt lies between noise and data, and the arrow is data less noise; t[:, None, None, None] fits "
        "codes, mean[:, None, None] their channels.",
        ObserveSpec(tensors=True),
    ),
)
