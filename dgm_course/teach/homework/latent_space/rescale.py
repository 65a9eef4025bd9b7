"""10.1 Codes of unit size."""

import numpy as np
import torch
from torch import Tensor

from ....latent import LatentScaler
from .. import Exercise, ObserveSpec
from ..draws import LARGE, NARROW, Cases, Rng
from ._shared import _case, _levels


def rescale(codes: Tensor, fresh: Tensor) -> Tensor:
    """Measured on the one, applied to the other."""
    return LatentScaler.of(codes)(fresh)


SMALL = "Wrong only where codes are small: an epsilon beside them, or a bound on the deviation?"


def cases(rng: Rng) -> Cases:
    """Codes to measure, and fresh ones to rescale; the case in which an axis cannot be told by its length comes
    first."""
    side, few = int(rng.integers(3, 6)), int(rng.integers(4, 8))
    for name, many, (size, channels, high, wide), hint in (
        ("C = H = W", few + 3, (few, side, side, side), ""),
        ("a batch", few + 5, (few + 1, int(rng.integers(2, 5)), 2, 3), ""),
        ("another batch", few, (few, 3, 4, 2), ""),
        ("float32", few + 2, (few, 2, 3, 3), ""),
        ("small codes", few + 4, (few, 2, 2, 2), SMALL),
        ("B = 1", few + 2, (1, 3, 2, 4), NARROW),
        ("C = 1, one place", few + 4, (few, 1, 1, 1), NARROW),
        ("B = 40", 50, (40, 2, 1, 2), LARGE),
    ):
        mean, std = _levels(rng, channels, 1e-4 if name == "small codes" else 1.0)
        known, other = (rng.normal(size=(n, channels, high, wide)) * std[:, None, None] for n in (many, size))
        args = {
            "codes": np.round(known + mean[:, None, None], 7),
            "fresh": np.round(1.3 * other + (1.4 * mean + 0.4 * std)[:, None, None], 7),
        }
        yield _case(name, args, hint, batch="fresh")


PLACES = (0, 2, 3)


def _stats(codes: Tensor, axes: tuple[int, ...] = PLACES, correction: int = 0) -> tuple[Tensor, Tensor]:
    variance, mean = torch.var_mean(codes, axes, correction=correction, keepdim=True)
    return mean, variance.sqrt()


def _scaled(fresh: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    return (fresh - mean) / std


# fmt: off
MISTAKES = (
    ("Mean and deviation were measured on the fresh codes: they belong to the training codes, or every batch "
     "gets a scale of its own, which nobody can undo.",
     lambda codes, fresh: _scaled(fresh, *_stats(fresh))),
    ("One mean and one deviation for all channels together: each channel is asked to have its own.",
     lambda codes, fresh: _scaled(fresh, *_stats(codes, (0, 1, 2, 3)))),
    ("Every place of the grid has its own mean and deviation, over the batch alone: they are to be shared by "
     "all places of a channel.",
     lambda codes, fresh: _scaled(fresh, *_stats(codes, (0,)))),
    ("Mean and deviation run over the channels of each place: the channels are what should be kept apart.",
     lambda codes, fresh: _scaled(fresh, *_stats(codes, (0, 1)))),
    ("Every fresh code is scaled by its own channels' mean and deviation: that is a normalisation layer, and it "
     "forgets how large this code was.",
     lambda codes, fresh: _scaled(fresh, *_stats(fresh, (2, 3)))),
    ("Divided by the variance: the deviation is its root.",
     lambda codes, fresh: (fresh - _stats(codes)[0]) / _stats(codes)[1] ** 2),
    ("The mean is not taken off.", lambda codes, fresh: fresh / _stats(codes)[1]),
    ("The mean is taken off, and nothing is divided.", lambda codes, fresh: fresh - _stats(codes)[0]),
    ("Divided first, and the mean taken off afterwards: then the mean has the wrong size.",
     lambda codes, fresh: fresh / _stats(codes)[1] - _stats(codes)[0]),
    ("This is the way back, from unit size to the size of codes.",
     lambda codes, fresh: _stats(codes)[0] + _stats(codes)[1] * fresh),
    ("Multiplied by the deviation: codes that are too large have to become smaller.",
     lambda codes, fresh: (fresh - _stats(codes)[0]) * _stats(codes)[1]),
    ("Divided by the root mean square: the deviation is measured from the mean, not from zero.",
     lambda codes, fresh: (fresh - _stats(codes)[0]) / codes.square().mean(PLACES, keepdim=True).sqrt()),
    ("Deviations with N − 1 below the line (the default of torch.std): here the mean square itself is asked, "
     "correction=0.",
     lambda codes, fresh: _scaled(fresh, *_stats(codes, correction=1))),
    ("Mean and deviation of every channel were measured with the fresh codes among the training codes.",
     lambda codes, fresh: _scaled(fresh, *_stats(torch.cat([codes, fresh])))),
    ("The deviation is that of the fresh codes: both numbers belong to the training codes.",
     lambda codes, fresh: (fresh - _stats(codes)[0]) / _stats(fresh)[1]),
    ("The mean is that of the fresh codes: both numbers belong to the training codes.",
     lambda codes, fresh: (fresh - _stats(fresh)[0]) / _stats(codes)[1]),
    ("A mean of the deviations that single codes have: the deviation is asked of all numbers of a channel "
     "together.",
     lambda codes, fresh: (fresh - _stats(codes)[0]) / codes.std((2, 3), correction=0).mean(0).view(1, -1, 1, 1)),
    ("One mean is taken off all channels; each has its own.",
     lambda codes, fresh: (fresh - codes.mean()) / _stats(codes)[1]),
    ("mean and deviation (C,) are laid along the last axis, the columns of the grid: keepdim=True keeps their "
     "place.",
     lambda codes, fresh: (fresh - codes.mean(PLACES)) / codes.std(PLACES, correction=0)),
    ("Channels brought to the range from 0 to 1: largest and smallest value say little about the size of most.",
     lambda codes, fresh: (
         (fresh - codes.amin(PLACES, keepdim=True))
         / (codes.amax(PLACES, keepdim=True) - codes.amin(PLACES, keepdim=True))
     )),
)

EXERCISE = Exercise(
    id="lat.rescale", number="10.1", title="codes of unit size",
    prompt="the fresh codes, each channel less its mean and divided by its deviation, both measured on the "
           "training codes over the batch and all places (deviation: root of the mean squared distance from the "
           "mean)",
    more="mean((0, 2, 3), keepdim=True) of the training codes has the shape (1, C, 1, 1) and fits the fresh "
         "ones; the deviation likewise, with correction=0.",
    cases=cases, reference=rescale, mistakes=MISTAKES, watch=ObserveSpec(tensors=True),
)
