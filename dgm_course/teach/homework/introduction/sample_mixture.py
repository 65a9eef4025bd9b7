"""0.3 A sample in two steps."""

import numpy as np
import torch
from torch import Tensor

from .. import Exercise, ObserveSpec
from ..draws import Cases, Rng, points, sizes
from ._shared import _case, _deviations, _ordinary_first, _shares


def sample_mixture(u: Tensor, eps: Tensor, weights: Tensor, means: Tensor, stds: Tensor) -> Tensor:
    """The component by its place among the cumulated weights, then a Gaussian draw of it."""
    k = torch.searchsorted(weights.cumsum(0)[:-1].contiguous(), u, right=True)
    return means[k] + stds[k, None] * eps


SURE = "Wrong where there is a single component or class: is an axis squeezed away?"


def cases(rng: Rng) -> Cases:
    """Uniform numbers and noise for each sample, and the mixture: weights (K,), means (K, D), deviations (K,)."""
    for name, (size, dim), hint in (*_ordinary_first(rng), ("K = 1", sizes(rng), SURE)):
        k = 1 if name == "K = 1" else dim if name == "B = D" else int(rng.integers(3, 6))
        args = {
            "u": _uniform(rng, size, k),
            "eps": points(rng, size, dim),
            "weights": _shares(rng, k),
            "means": np.round(3 * points(rng, k, dim), 2),
            "stds": _deviations(rng, k),
        }
        yield _case(name, args, hint, batch="eps")


def _uniform(rng: Rng, size: int, k: int) -> np.ndarray:
    """Numbers in (0, 1) that end in 5 at the fourth digit, one in each of ``size`` equal parts, in random
    order."""
    parts = (np.arange(size) + rng.uniform(0.1, 0.9, size=size)) / size
    return rng.permutation(np.round(np.clip(parts, 0.01, 0.98), 3) + 0.0005)


def _choice(u: Tensor, weights: Tensor) -> Tensor:
    return (u[:, None] >= weights.cumsum(0)[:-1]).sum(1)


def _not_summed(u: Tensor, weights: Tensor) -> Tensor:
    return (u[:, None] >= weights[:-1]).sum(1)


def _nearest(u: Tensor, weights: Tensor) -> Tensor:
    return (u[:, None] - weights).abs().argmin(1)


def _late(u: Tensor, weights: Tensor) -> Tensor:
    return (_choice(u, weights) + 1).clamp(max=len(weights) - 1)


def _early(u: Tensor, weights: Tensor) -> Tensor:
    return (_choice(u, weights) - 1).clamp(min=0)


# fmt: off
MISTAKES = (
    ("The means are averaged: that is one Gaussian in the middle, where there may be no data at all. Each "
     "sample belongs to *one* component.",
     lambda u, eps, weights, means, stds: weights @ means + (weights @ stds) * eps),
    ("The component of the largest weight is taken every time, and u is not used.",
     lambda u, eps, weights, means, stds: means[weights.argmax()] + stds[weights.argmax()] * eps),
    ("All components are equally likely here: u is compared with k/K, and the weights are not used.",
     lambda u, eps, weights, means, stds: (
         means[(u * len(weights)).long()] + stds[(u * len(weights)).long(), None] * eps
     )),
    ("u is compared with the weights themselves: it must be compared with their running sums, whose steps are "
     "the weights.",
     lambda u, eps, weights, means, stds: (
         means[_not_summed(u, weights)] + stds[_not_summed(u, weights), None] * eps
     )),
    ("The component whose weight is nearest to u is taken: a component must be chosen as *often* as its weight "
     "says.",
     lambda u, eps, weights, means, stds: means[_nearest(u, weights)] + stds[_nearest(u, weights), None] * eps),
    ("The components are counted from the wrong end: a small u belongs to the first.",
     lambda u, eps, weights, means, stds: (
         means[_choice(1 - u, weights)] + stds[_choice(1 - u, weights), None] * eps
     )),
    ("The component is one too far: while u lies below the first weight, it is the first, number 0.",
     lambda u, eps, weights, means, stds: means[_late(u, weights)] + stds[_late(u, weights), None] * eps),
    ("The component is one too early.",
     lambda u, eps, weights, means, stds: means[_early(u, weights)] + stds[_early(u, weights), None] * eps),
    ("The noise is scaled by the variance: a Gaussian sample is mean + deviation · noise.",
     lambda u, eps, weights, means, stds: means[_choice(u, weights)] + stds[_choice(u, weights), None] ** 2 * eps),
    ("The noise is scaled by the root of the deviation: stds are standard deviations already.",
     lambda u, eps, weights, means, stds: (
         means[_choice(u, weights)] + stds[_choice(u, weights), None].sqrt() * eps
     )),
    ("The noise is not scaled: every component has its own deviation.",
     lambda u, eps, weights, means, stds: means[_choice(u, weights)] + eps),
    ("There is no noise in it: these are the means of the components.",
     lambda u, eps, weights, means, stds: means[_choice(u, weights)] + 0 * eps),
    ("The deviation is that of the first component, whatever was chosen.",
     lambda u, eps, weights, means, stds: means[_choice(u, weights)] + stds[0] * eps),
    ("The noise is subtracted: its distribution is the same, but this noise asks for mean + deviation · noise.",
     lambda u, eps, weights, means, stds: means[_choice(u, weights)] - stds[_choice(u, weights), None] * eps),
    ("The mean is scaled together with the noise.",
     lambda u, eps, weights, means, stds: (means[_choice(u, weights)] + eps) * stds[_choice(u, weights), None]),
    ("The mean is missing: this is the noise of the right component, around 0.",
     lambda u, eps, weights, means, stds: stds[_choice(u, weights), None] * eps),
)

EXERCISE = Exercise(
    id="intro.sample_mixture", number="0.3", title="a sample in two steps",
    prompt="samples of a mixture of Gaussians: a component for each sample, chosen by its uniform number, and "
           "then a point of that component, made of its noise",
    more="k = (u[:, None] >= weights.cumsum(0)).sum(1) counts the cumulated weights that u has passed; then m_k "
         "+ s_k ε.",
    cases=cases, reference=sample_mixture, mistakes=MISTAKES, watch=ObserveSpec(tensors=True),
)
