"""1.2 The likelihood of a black and white image."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Bernoulli
from torch.nn import functional as F

from .. import Case, Exercise, ObserveSpec
from ..draws import NARROW, Cases, Rng, points
from ._shared import LARGE, SURE, Ordinary, _kind


def log_likelihood(logits: Tensor, x: Tensor) -> Tensor:
    """Σ log Bernoulli, in nats."""
    return Bernoulli(logits=logits).log_prob(x).flatten(1).sum(1)


def cases(rng: Rng) -> Cases:
    """Black and white images, and sequences: all axes but the first are places."""
    side, size = int(rng.integers(4, 7)), int(rng.integers(6, 11))
    rows, columns = int(rng.integers(2, 5)), int(rng.integers(5, 8))
    for name, shape, hint in (
        *(("images", (size, 1, rows, columns), ""), ("B = H = W", (side, side, side), "")),
        *(("float32", (size, 1, rows, columns), ""), ("sequences", (size, columns), "")),
        ("sure logits", (size, 1, rows, columns), SURE),
        *(("B = 1", (1, 1, rows, columns), NARROW), ("one pixel", (size, 1, 1, 1), NARROW)),
        ("B = 40", (40, 1, rows, columns), LARGE),
    ):
        logits = points(rng, *shape)
        if name == "sure logits":
            logits.reshape(-1)[::3] = np.round(rng.uniform(150, 900, size=logits.reshape(-1)[::3].shape), 1)
            logits.reshape(-1)[::6] *= -1
        x = rng.integers(0, 2, size=shape).astype(float)
        x.reshape(-1)[:2] = (0, 1)[: x.size]
        args = _kind(name, {"logits": logits, "x": x})
        yield Case(name, args, hint=hint)


def _each(logits: Tensor, x: Tensor) -> Tensor:
    """log p of every pixel."""
    return -F.binary_cross_entropy_with_logits(logits, x, reduction="none")


def _summed(each: Callable[[Tensor, Tensor], Tensor]) -> Callable:
    return lambda logits, x: each(logits, x).flatten(1).sum(1)


def _product(logits: Tensor, x: Tensor) -> Tensor:
    return _each(logits, x).flatten(1).exp().prod(1)


# fmt: off
MISTAKES = (
    ("The sign is reversed and a mean is taken: that is the usual loss. Asked is log p of each image, a sum.",
     lambda logits, x: -_each(logits, x).flatten(1).mean(1)),
    ("Image and logits are exchanged in the cross-entropy: the logits say what is predicted, x what is there.",
     _summed(lambda logits, x: _each(x, logits))),
    ("The sigmoid is taken twice: what you call takes logits as they come.",
     _summed(lambda logits, x: _each(torch.sigmoid(logits), x))),
    ("The sigmoid is taken twice: what you call takes logits as they come.",
     lambda logits, x: _each(torch.sigmoid(logits), x).flatten(1).mean(1)),
    ("log p(x = 1) at every pixel, whatever x holds: where a pixel is 0 its probability is 1 − σ(logit).",
     _summed(lambda logits, x: F.logsigmoid(logits))),
    ("log p(x = 0) at every pixel, whatever x holds: where a pixel is 1 its probability is σ(logit).",
     _summed(lambda logits, x: F.logsigmoid(-logits))),
    ("Only the pixels that are 1 are counted: those that are 0 have been predicted, too.",
     _summed(lambda logits, x: x * F.logsigmoid(logits))),
    ("Only the pixels that are 0 are counted: those that are 1 have been predicted, too.",
     _summed(lambda logits, x: (1 - x) * F.logsigmoid(-logits))),
    ("Black and white are exchanged: σ(logit) is the probability of a 1.",
     _summed(lambda logits, x: _each(logits, 1 - x))),
    ("The second half, for pixels that are 0, has the wrong sign.",
     _summed(lambda logits, x: x * F.logsigmoid(logits) - (1 - x) * F.logsigmoid(-logits))),
    ("The normaliser is missing: x · logit alone is no logarithm of a probability, it can be as large as one "
     "likes.",
     _summed(lambda logits, x: x * logits)),
    ("The sigmoid is missing: ± logit is no logarithm of a probability, it can be as large as one likes.",
     _summed(lambda logits, x: (2 * x - 1) * logits)),
    ("Probabilities are added up: the chain rule multiplies them, and logarithms add.",
     _summed(lambda logits, x: _each(logits, x).exp())),
    ("The logarithm of the mean probability: the mean of pixels is not their product.",
     lambda logits, x: _each(logits, x).exp().flatten(1).mean(1).log()),
    ("Squares of x − σ(logit) came: that is the likelihood of a Gaussian up to constants, not of a black and "
     "white pixel.",
     _summed(lambda logits, x: -((x - torch.sigmoid(logits)) ** 2))),
    ("Squares of x − σ(logit) came: that is the likelihood of a Gaussian up to constants, not of a black and "
     "white pixel.",
     _summed(lambda logits, x: (x - torch.sigmoid(logits)) ** 2)),
    ("Squares of x − logit came: logits are no pixels, and a pixel that is 0 or 1 has a probability.",
     _summed(lambda logits, x: -((x - logits) ** 2))),
    ("Every image got the sum over the whole batch: one number for each image is asked.",
     lambda logits, x: _each(logits, x).sum().expand(len(x))),
    ("Every image got the mean of the batch: one number for each image is asked.",
     lambda logits, x: _each(logits, x).sum().expand(len(x)) / len(x)),
    ("The pixels compete: a softmax over all places makes one distribution of them. Each pixel has a "
     "distribution of its own.",
     lambda logits, x: (x.flatten(1) * logits.flatten(1).log_softmax(1)).sum(1)),
    ("The entropy of the prediction: it weights both colours by the model's own σ(logit). The pixel x decides.",
     _summed(lambda logits, x: _each(logits, torch.sigmoid(logits)))),
    ("The likelihood of the rounded prediction: x itself is not used.",
     _summed(lambda logits, x: _each(logits, (logits > 0).to(logits)))),
    ("Shifted: the logits of a pixel were compared with the next pixel. Here a logit stands where its pixel "
     "stands.",
     lambda logits, x: _each(logits.flatten(1)[:, :-1], x.flatten(1)[:, 1:]).sum(1)),
    ("The last pixel is left out: all of them have been predicted.",
     lambda logits, x: _each(logits, x).flatten(1)[:, :-1].sum(1)),
    ("The first pixel is left out: it, too, has been predicted (from nothing).",
     lambda logits, x: _each(logits, x).flatten(1)[:, 1:].sum(1)),
    ("The number of pixels guessed right came, not how likely the image is.",
     lambda logits, x: ((logits > 0) == (x > 0.5)).flatten(1).sum(1)),
    ("σ(logit) is taken for the probability of whatever x holds: pixels that are 0 lack the complement 1 − σ.",
     _summed(lambda logits, x: x * torch.sigmoid(logits))),
)

EXERCISE = Exercise(
    id="ar.log_likelihood", number="1.2", title="the likelihood of a black and white image",
    prompt="log p(x) in nats, one number an image: the sum over its pixels of log p(x_i | x_<i)",
    more="A pixel costs −log σ(logit) where it is 1 and −log(1 − σ(logit)) where it is 0: a binary "
         "cross-entropy on logits, with reduction='none'. Then everything but the batch is summed.",
    cases=cases, reference=log_likelihood, mistakes=MISTAKES, watch=ObserveSpec(gradient=("logits",)),
    law=Ordinary(),
)
