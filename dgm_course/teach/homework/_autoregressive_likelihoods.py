"""The usual slips in the likelihoods, exercises 1.2 and 1.3, as in `_autoregressive_masks`."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from ._autoregressive_masks import Form, Mistakes

# --- 1.2 the likelihood of binary images


def _each(logits: Tensor, x: Tensor) -> Tensor:
    """log p of every pixel."""
    return -F.binary_cross_entropy_with_logits(logits, x, reduction="none")


def _summed(each: Callable[[Tensor, Tensor], Tensor]) -> Form:
    return lambda logits, x: each(logits, x).flatten(1).sum(1)


def _product(logits: Tensor, x: Tensor) -> Tensor:
    return _each(logits, x).flatten(1).exp().prod(1)


LIKELIHOOD: Mistakes = (
    (
        "A mean over the pixels: the likelihood of an image is a product over its pixels, its logarithm their sum.",
        lambda logits, x: _each(logits, x).flatten(1).mean(1),
    ),
    (
        "The sign is reversed: that is the loss, −log p. A log-probability is never positive.",
        _summed(lambda logits, x: -_each(logits, x)),
    ),
    (
        "The sign is reversed and a mean is taken: that is the usual loss. Asked is log p of each image, a sum.",
        lambda logits, x: -_each(logits, x).flatten(1).mean(1),
    ),
    (
        "Image and logits are exchanged in the cross-entropy: the logits say what is predicted, x what is there.",
        _summed(lambda logits, x: _each(x, logits)),
    ),
    (
        "The sigmoid is taken twice: what you call takes logits as they come.",
        _summed(lambda logits, x: _each(torch.sigmoid(logits), x)),
    ),
    (
        "The sigmoid is taken twice: what you call takes logits as they come.",
        lambda logits, x: _each(torch.sigmoid(logits), x).flatten(1).mean(1),
    ),
    (
        "log p(x = 1) at every pixel, whatever x holds: where a pixel is 0 its probability is 1 − σ(logit).",
        _summed(lambda logits, x: F.logsigmoid(logits)),
    ),
    (
        "log p(x = 0) at every pixel, whatever x holds: where a pixel is 1 its probability is σ(logit).",
        _summed(lambda logits, x: F.logsigmoid(-logits)),
    ),
    (
        "Only the pixels that are 1 are counted: those that are 0 have been predicted, too.",
        _summed(lambda logits, x: x * F.logsigmoid(logits)),
    ),
    (
        "Only the pixels that are 0 are counted: those that are 1 have been predicted, too.",
        _summed(lambda logits, x: (1 - x) * F.logsigmoid(-logits)),
    ),
    (
        "Black and white are exchanged: σ(logit) is the probability of a 1.",
        _summed(lambda logits, x: _each(logits, 1 - x)),
    ),
    (
        "The second half, for pixels that are 0, has the wrong sign.",
        _summed(lambda logits, x: x * F.logsigmoid(logits) - (1 - x) * F.logsigmoid(-logits)),
    ),
    (
        "The normaliser is missing: x · logit alone is no logarithm of a probability, it can be as large as one likes.",
        _summed(lambda logits, x: x * logits),
    ),
    (
        "The sigmoid is missing: ± logit is no logarithm of a probability, it can be as large as one likes.",
        _summed(lambda logits, x: (2 * x - 1) * logits),
    ),
    (
        "Probabilities are added up: the chain rule multiplies them, and logarithms add.",
        _summed(lambda logits, x: _each(logits, x).exp()),
    ),
    (
        "The probability came: its logarithm is asked, which does not vanish for large images.",
        _product,
    ),
    (
        "The logarithm of the mean probability: the mean of pixels is not their product.",
        lambda logits, x: _each(logits, x).exp().flatten(1).mean(1).log(),
    ),
    (
        "Logarithms to base 2: nats are asked, the natural logarithm.",
        _summed(lambda logits, x: _each(logits, x) / math.log(2)),
    ),
    (
        "Squares of x − σ(logit) came: that is the likelihood of a Gaussian up to constants, not of a black and white "
        "pixel.",
        _summed(lambda logits, x: -((x - torch.sigmoid(logits)) ** 2)),
    ),
    (
        "Squares of x − σ(logit) came: that is the likelihood of a Gaussian up to constants, not of a black and white "
        "pixel.",
        _summed(lambda logits, x: (x - torch.sigmoid(logits)) ** 2),
    ),
    (
        "Squares of x − logit came: logits are no pixels, and a pixel that is 0 or 1 has a probability.",
        _summed(lambda logits, x: -((x - logits) ** 2)),
    ),
    (
        "Every image got the sum over the whole batch: one number for each image is asked.",
        lambda logits, x: _each(logits, x).sum().expand(len(x)),
    ),
    (
        "Every image got the mean of the batch: one number for each image is asked.",
        lambda logits, x: _each(logits, x).sum().expand(len(x)) / len(x),
    ),
    (
        "The pixels compete: a softmax over all places makes one distribution of them. Each pixel has a distribution of "
        "its own.",
        lambda logits, x: (x.flatten(1) * logits.flatten(1).log_softmax(1)).sum(1),
    ),
    (
        "The entropy of the prediction: it weights both colours by the model's own σ(logit). The pixel x decides.",
        _summed(lambda logits, x: _each(logits, torch.sigmoid(logits))),
    ),
    (
        "The likelihood of the rounded prediction: x itself is not used.",
        _summed(lambda logits, x: _each(logits, (logits > 0).to(logits))),
    ),
    (
        "Shifted: the logits of a pixel were compared with the next pixel. Here a logit stands where its pixel stands.",
        lambda logits, x: _each(logits.flatten(1)[:, :-1], x.flatten(1)[:, 1:]).sum(1),
    ),
    (
        "The last pixel is left out: all of them have been predicted.",
        lambda logits, x: _each(logits, x).flatten(1)[:, :-1].sum(1),
    ),
    (
        "The first pixel is left out: it, too, has been predicted (from nothing).",
        lambda logits, x: _each(logits, x).flatten(1)[:, 1:].sum(1),
    ),
    (
        "The number of pixels guessed right came, not how likely the image is.",
        lambda logits, x: ((logits > 0) == (x > 0.5)).flatten(1).sum(1),
    ),
    (
        "σ(logit) is taken for the probability of whatever x holds: pixels that are 0 lack the complement 1 − σ.",
        _summed(lambda logits, x: x * torch.sigmoid(logits)),
    ),
)


# --- 1.3 bits per dimension


def _surprise(logits: Tensor, x: Tensor) -> Tensor:
    """−log p of every token, in nats.  (B, L)"""
    return F.cross_entropy(logits.transpose(1, 2), x, reduction="none")


def _bits(each: Callable[[Tensor, Tensor], Tensor]) -> Form:
    return lambda logits, x: each(logits, x).mean(1) / math.log(2)


def _shifted(logits: Tensor, x: Tensor) -> Tensor:
    """The logits of a place with the token of the next."""
    return _surprise(logits[:, :-1], x[:, 1:])


def _shifted_back(logits: Tensor, x: Tensor) -> Tensor:
    return _surprise(logits[:, 1:], x[:, :-1])


BITS_PER_DIMENSION: Mistakes = (
    (
        "In nats: a bit is the surprise of a fair coin, log 2 nats.",
        lambda logits, x: _surprise(logits, x).mean(1),
    ),
    (
        "Nats and bits are exchanged: your numbers were made smaller by log 2 where they should grow.",
        lambda logits, x: _surprise(logits, x).mean(1) * math.log(2),
    ),
    (
        "A sum over the places, in bits: *per dimension* is the mean over them.",
        lambda logits, x: _surprise(logits, x).sum(1) / math.log(2),
    ),
    (
        "A sum over the places, in nats: asked is the mean over them, in bits.",
        lambda logits, x: _surprise(logits, x).sum(1),
    ),
    (
        "The sign is reversed: that is log p. A surprise is never negative.",
        _bits(lambda logits, x: -_surprise(logits, x)),
    ),
    (
        "The sign is reversed, and it is in nats.",
        lambda logits, x: -_surprise(logits, x).mean(1),
    ),
    (
        "Shifted: the logits of a place were compared with the token of the next. Here logits[:, i] predict x[:, i].",
        _bits(_shifted),
    ),
    (
        "Shifted: the logits of a place were compared with the token before it. Here logits[:, i] predict x[:, i].",
        _bits(_shifted_back),
    ),
    (
        "Shifted: the logits of a place were compared with another token. Here logits[:, i] predict x[:, i].",
        _bits(lambda logits, x: _surprise(logits, x.roll(-1, 1))),
    ),
    (
        "The logits were reshaped to (B, K, L) where their axes should be exchanged: numbers of other symbols stand there.",
        _bits(lambda logits, x: F.cross_entropy(logits.reshape(len(x), -1, x.shape[1]), x, reduction="none")),
    ),
    (
        "The softmax runs over the places: the K symbols of a place are what sums to one.",
        _bits(lambda logits, x: -logits.log_softmax(1).gather(-1, x[..., None])[..., 0]),
    ),
    (
        "The softmax runs over the batch: the K symbols of a place are what sums to one.",
        _bits(lambda logits, x: -logits.log_softmax(0).gather(-1, x[..., None])[..., 0]),
    ),
    (
        "The softmax is taken twice: cross_entropy takes logits as they come.",
        _bits(lambda logits, x: _surprise(logits.softmax(-1), x)),
    ),
    (
        "The softmax is missing: a logit is a logarithm of a probability only up to a constant of its place.",
        _bits(lambda logits, x: -logits.gather(-1, x[..., None])[..., 0]),
    ),
    (
        "The softmax is missing: a logit is a logarithm of a probability only up to a constant of its place. And bits are "
        "asked.",
        lambda logits, x: -logits.gather(-1, x[..., None])[..., 0].mean(1),
    ),
    (
        "To base 10: a bit is the surprise of a fair coin, log 2 nats.",
        lambda logits, x: _surprise(logits, x).mean(1) / math.log(10),
    ),
    (
        "The first place is left out: it, too, has been predicted (from nothing).",
        _bits(lambda logits, x: _surprise(logits, x)[:, 1:]),
    ),
    (
        "The last place is left out: all of them have been predicted.",
        _bits(lambda logits, x: _surprise(logits, x)[:, :-1]),
    ),
    (
        "The probabilities of the tokens came: their logarithm is asked, with the other sign.",
        lambda logits, x: (-_surprise(logits, x)).exp().mean(1),
    ),
    (
        "The logarithm of the mean probability: take the logarithm at each place, and then the mean.",
        lambda logits, x: -(-_surprise(logits, x)).exp().mean(1).log() / math.log(2),
    ),
    (
        "Perplexity, the exponential of the surprise: the surprise itself is asked.",
        lambda logits, x: _surprise(logits, x).mean(1).exp(),
    ),
    (
        "The entropy of the prediction: it weights all symbols by the model itself. The token x decides.",
        _bits(lambda logits, x: -(logits.softmax(-1) * logits.log_softmax(-1)).sum(-1)),
    ),
    (
        "The surprise at all K symbols, added up: only that of the token x counts.",
        _bits(lambda logits, x: -logits.log_softmax(-1).sum(-1)),
    ),
    (
        "Divided by the number of symbols: dimensions are places.",
        lambda logits, x: _surprise(logits, x).sum(1) / logits.shape[-1] / math.log(2),
    ),
    (
        "Divided by the number of symbols as well: dimensions are places, L of them.",
        lambda logits, x: _surprise(logits, x).mean(1) / logits.shape[-1] / math.log(2),
    ),
    (
        "In units of log K: that is the share of what K equally likely symbols would cost. A bit is log 2 nats.",
        lambda logits, x: _surprise(logits, x).mean(1) / math.log(logits.shape[-1]),
    ),
    (
        "A yes or no was asked of each symbol: a place has one distribution over K symbols, a softmax.",
        _bits(
            lambda logits, x: F.binary_cross_entropy_with_logits(
                logits, F.one_hot(x, logits.shape[-1]).to(logits), reduction="none"
            ).sum(-1)
        ),
    ),
    (
        "The share of wrong guesses came, not how surprised the model was.",
        lambda logits, x: (logits.argmax(-1) != x).double().mean(1),
    ),
    (
        "Every sequence got the mean of the batch: one number for each is asked.",
        lambda logits, x: _surprise(logits, x).mean().expand(len(x)) / math.log(2),
    ),
)
