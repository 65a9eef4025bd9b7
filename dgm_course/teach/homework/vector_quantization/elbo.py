"""4.7 The bound with a prior over codes."""

import math

import numpy as np
import torch
from torch import Tensor

from .. import Case, Exercise
from ..draws import Cases, Rng, case_of, points, sizes, square_first


def elbo(log_p_x: Tensor, codes: Tensor, logits: Tensor) -> Tensor:
    """The bound of a certain posterior under any prior."""
    return log_p_x - torch.nn.functional.cross_entropy(logits.movedim(-1, 1), codes, reduction="none").sum(1)


FLAT = "Wrong only under a uniform prior, logits that are all equal: there every place must cost log K."

SURE = (
    "Wrong only where the prior is very sure: a probability rounds to 0 there, and its logarithm is "
    "lost. log_softmax goes from logits to logarithms without passing through probabilities."
)


def cases(rng: Rng) -> Cases:
    """log p(x|z_q), codes, and the prior's logits at every place, (B,), (B, L), (B, L, K)."""
    square, ordinary, *others = square_first(rng)
    for name, (size, length), hint in (ordinary, square, *others):
        renamed = {"B = D": "B = L = K", "D = 1": "L = 1"}.get(name, name)
        k = length if name == "B = D" else length + int(rng.integers(2, 5))
        yield case_of(renamed, _bound(rng, size, length, k, points(rng, size, length, k)), hint)
    size, length = sizes(rng)
    yield Case("a uniform prior", _bound(rng, size, length, 6, np.full((size, length, 6), 0.7)), hint=FLAT)
    yield Case("a sure prior", _bound(rng, size, length, 6, 900 * points(rng, size, length, 6)), hint=SURE)


def _bound(rng: Rng, size: int, length: int, k: int, logits: np.ndarray) -> dict[str, object]:
    return {
        "log_p_x": np.round(-20 + 3 * points(rng, size), 2),
        "codes": rng.integers(0, k, size=(size, length)),
        "logits": logits,
    }


def _each(codes: Tensor, logits: Tensor) -> Tensor:
    return logits.log_softmax(-1).gather(-1, codes[..., None])[..., 0]  # (B, L)


# fmt: off
MISTAKES = (
    ("The prior's logarithm is subtracted: the bound adds log p(codes), which is negative already.",
     lambda log_p_x, codes, logits: log_p_x - _each(codes, logits).sum(1)),
    ("The logarithms of the places are averaged: the log-probability of a grid is their sum.",
     lambda log_p_x, codes, logits: log_p_x + _each(codes, logits).mean(1)),
    ("Only the first place counts here: the log-probability of a grid is the sum over its places.",
     lambda log_p_x, codes, logits: log_p_x + _each(codes, logits)[:, 0]),
    ("log p(x|z_q) is missing: this is the prior's side alone.",
     lambda log_p_x, codes, logits: _each(codes, logits).sum(1)),
    ("The prior is missing: this is log p(x|z_q) alone.", lambda log_p_x, codes, logits: log_p_x + 0.0),
    ("The logits are not normalised: they are logarithms of probabilities only after log_softmax.",
     lambda log_p_x, codes, logits: log_p_x + logits.gather(-1, codes[..., None])[..., 0].sum(1)),
    ("Probabilities are added up: their logarithms are asked.",
     lambda log_p_x, codes, logits: log_p_x + _each(codes, logits).exp().sum(1)),
    ("log K is charged for every place beside the prior: it *is* the uniform prior's logarithm, and this prior "
     "stands in its place.",
     lambda log_p_x, codes, logits: (
         log_p_x + _each(codes, logits).sum(1) - codes.shape[1] * math.log(logits.shape[-1])
     )),
    ("This is the bound under a uniform prior: the logits of the prior that came are not used.",
     lambda log_p_x, codes, logits: (
         log_p_x - codes.shape[1] * math.log(logits.shape[-1]) + 0 * logits.sum((1, 2))
     )),
    ("log K is charged once, and the prior's logits are not used: a uniform prior costs it for every place.",
     lambda log_p_x, codes, logits: log_p_x - math.log(logits.shape[-1])),
    ("Under the uniform prior of the lecture every place costs log K, and here the prior is another one; its "
     "sign is wrong, too.",
     lambda log_p_x, codes, logits: log_p_x + codes.shape[1] * math.log(logits.shape[-1])),
    ("The softmax runs over the places: at each place the K codes are to be compared.",
     lambda log_p_x, codes, logits: log_p_x + logits.log_softmax(1).gather(-1, codes[..., None])[..., 0].sum(1)),
    ("The prior's entropy is subtracted: the codes that the encoder chose have to be looked up.",
     lambda log_p_x, codes, logits: log_p_x - torch.special.entr(logits.softmax(-1)).sum((1, 2))),
    ("The likeliest code of every place is taken, whatever the encoder chose.",
     lambda log_p_x, codes, logits: log_p_x + logits.log_softmax(-1).amax(-1).sum(1)),
    ("The log-likelihood enters with the wrong sign.",
     lambda log_p_x, codes, logits: _each(codes, logits).sum(1) - log_p_x),
)

EXERCISE = Exercise(
    id="vq.elbo", number="4.7", title="the bound with a prior over codes",
    prompt="the ELBO of every picture, whose posterior is certain of its codes, under a prior that is told by "
           "logits",
    more="log p(x|z_q) plus the sum over the places of log softmax(logits) at the code that was chosen.",
    cases=cases, reference=elbo, mistakes=MISTAKES,
)
