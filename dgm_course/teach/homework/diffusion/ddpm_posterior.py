"""7.3 The posterior of one step."""

from collections.abc import Callable

import numpy as np
from torch import Tensor

from .. import Case, Exercise, ObserveSpec
from ..draws import Cases, Rng, in_float32, odd_sizes, points, sizes
from ._shared import SCALES, _bars, _both, _mean, _variance, at_step, without_zeros
from ._shared_cases import _betas, _inner_steps, _scales_at, _schedules
from .strided_posterior import strided_posterior


def ddpm_posterior(xk: Tensor, x_data: Tensor, k: Tensor, betas: Tensor) -> tuple[Tensor, Tensor]:
    """The leap from k to k − 1, by its two alpha-bars alone."""
    return strided_posterior(xk, x_data, _bars(betas)[k][:, None], _bars(betas)[k - 1][:, None])


def cases(rng: Rng) -> Cases:
    """q(x_{k−1} | x_k, x_data), every row at its own step."""

    def case(name: str, batch: tuple[int, int], betas: np.ndarray, hint: str) -> Case:
        k = _inner_steps(rng, betas, batch[0])
        edge = {"the first step": 1, "the last step": len(betas)}.get(name)
        k = k if edge is None else np.where(np.arange(batch[0]) % 2, k, edge)
        pair = {"xk": points(rng, *batch), "x_data": points(rng, *batch)}
        args = {**pair, "k": k, "betas": betas}
        shown = {"k": k[:, None], **_scales_at(k, betas), **pair}
        return Case(name, in_float32(args) if name == "float32" else args, shown, hint)

    for name, betas, hint in _schedules(rng):
        yield case(name, sizes(rng), betas, hint)
    for name, batch, hint in odd_sizes(rng):
        yield case(name, batch, _betas(rng), hint)


def _chain(mean: Callable = _mean, variance: Callable = _variance, scales: Callable = at_step) -> Callable:
    """DDPM's posterior with one of its pieces exchanged."""

    def posterior(xk: Tensor, x_data: Tensor, k: Tensor, betas: Tensor) -> tuple[Tensor, Tensor]:
        found = scales(k, betas)
        return without_zeros(mean(xk, x_data, *found), variance(*found))

    return posterior


# fmt: off
MISTAKES = (
    *((hint, _chain(scales=wrong)) for hint, wrong in SCALES),
    *_both(_chain),
)

EXERCISE = Exercise(
    id="diff.ddpm_posterior", number="7.3", title="the posterior of one step", points=2,
    prompt="mean and variance of the chain one step before k, where the point at step k and the data are known",
    more="Put 1 in front of the products of 1 − β: then entry k is ᾱ_k for k = 0 … T, while β_k is entry k − 1. "
         "The mean is (√ᾱ_{k−1} β_k x_data + √(1 − β_k) (1 − ᾱ_{k−1}) x_k) / (1 − ᾱ_k), the variance β_k (1 − "
         "ᾱ_{k−1})/(1 − ᾱ_k).",
    cases=cases, reference=ddpm_posterior, mistakes=MISTAKES, watch=ObserveSpec(outputs=("mean", "variance")),
)
