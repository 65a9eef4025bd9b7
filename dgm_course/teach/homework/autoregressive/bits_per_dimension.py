"""1.3 Bits per dimension."""

import math
from collections.abc import Callable

from torch import Tensor
from torch.distributions import Categorical
from torch.nn import functional as F

from .. import Case, Exercise, ObserveSpec
from ..draws import NARROW, Cases, Rng, points
from ._shared import BITS, LARGE, SURE, Ordinary, _kind, _sizes, _tokens


def bits_per_dimension(logits: Tensor, x: Tensor) -> Tensor:
    """−mean log2 of the probabilities of the tokens."""
    return -Categorical(logits=logits).log_prob(x).mean(1) / math.log(2)


def cases(rng: Rng) -> Cases:
    side = int(rng.integers(5, 8))
    for name, size, length, hint in (
        *(("B = L = K", side, side, ""), ("a batch", *_sizes(rng), ""), ("float32", *_sizes(rng), "")),
        *(("two symbols", *_sizes(rng), BITS), ("sure logits", *_sizes(rng), SURE)),
        *(("B = 1", 1, 4, NARROW), ("L = 1", _sizes(rng)[0], 1, NARROW), ("B = 40", 40, 4, LARGE)),
    ):
        symbols = side if name == "B = L = K" else 2 if name == "two symbols" else int(rng.integers(3, 9))
        logits = points(rng, size, length, symbols)
        if name == "sure logits":
            logits[..., 0] += 900
        args = _kind(name, {"logits": logits, "x": _tokens(rng, symbols, size, length)})
        yield Case(name, args, hint=hint, batch="x")


def _surprise(logits: Tensor, x: Tensor) -> Tensor:
    """−log p of every token, in nats.  (B, L)"""
    return F.cross_entropy(logits.transpose(1, 2), x, reduction="none")


def _bits(each: Callable[[Tensor, Tensor], Tensor]) -> Callable:
    return lambda logits, x: each(logits, x).mean(1) / math.log(2)


# fmt: off
MISTAKES = (
    ("Nats and bits are exchanged: your numbers were made smaller by log 2 where they should grow.",
     lambda logits, x: _surprise(logits, x).mean(1) * math.log(2)),
    ("A sum over the places, in nats: asked is the mean over them, in bits.",
     lambda logits, x: _surprise(logits, x).sum(1)),
    ("The sign is reversed, and it is in nats.", lambda logits, x: -_surprise(logits, x).mean(1)),
    ("Shifted: the logits of a place were compared with the token of the next. Here logits[:, i] predict x[:, i].",
     _bits(lambda logits, x: _surprise(logits[:, :-1], x[:, 1:]))),
    ("Shifted: the logits of a place were compared with the token before it. Here logits[:, i] predict x[:, i].",
     _bits(lambda logits, x: _surprise(logits[:, 1:], x[:, :-1]))),
    ("Shifted: the logits of a place were compared with another token. Here logits[:, i] predict x[:, i].",
     _bits(lambda logits, x: _surprise(logits, x.roll(-1, 1)))),
    ("The logits were reshaped to (B, K, L) where their axes should be exchanged: numbers of other symbols "
     "stand there.",
     _bits(lambda logits, x: F.cross_entropy(logits.reshape(len(x), -1, x.shape[1]), x, reduction="none"))),
    ("The softmax runs over the places: the K symbols of a place are what sums to one.",
     _bits(lambda logits, x: -logits.log_softmax(1).gather(-1, x[..., None])[..., 0])),
    ("The softmax runs over the batch: the K symbols of a place are what sums to one.",
     _bits(lambda logits, x: -logits.log_softmax(0).gather(-1, x[..., None])[..., 0])),
    ("The softmax is taken twice: cross_entropy takes logits as they come.",
     _bits(lambda logits, x: _surprise(logits.softmax(-1), x))),
    ("The softmax is missing: a logit is a logarithm of a probability only up to a constant of its place.",
     _bits(lambda logits, x: -logits.gather(-1, x[..., None])[..., 0])),
    ("The softmax is missing: a logit is a logarithm of a probability only up to a constant of its place. And "
     "bits are asked.",
     lambda logits, x: -logits.gather(-1, x[..., None])[..., 0].mean(1)),
    ("To base 10: a bit is the surprise of a fair coin, log 2 nats.",
     lambda logits, x: _surprise(logits, x).mean(1) / math.log(10)),
    ("The first place is left out: it, too, has been predicted (from nothing).",
     _bits(lambda logits, x: _surprise(logits, x)[:, 1:])),
    ("The last place is left out: all of them have been predicted.",
     _bits(lambda logits, x: _surprise(logits, x)[:, :-1])),
    ("The probabilities of the tokens came: their logarithm is asked, with the other sign.",
     lambda logits, x: (-_surprise(logits, x)).exp().mean(1)),
    ("The logarithm of the mean probability: take the logarithm at each place, and then the mean.",
     lambda logits, x: -(-_surprise(logits, x)).exp().mean(1).log() / math.log(2)),
    ("Perplexity, the exponential of the surprise: the surprise itself is asked.",
     lambda logits, x: _surprise(logits, x).mean(1).exp()),
    ("The entropy of the prediction: it weights all symbols by the model itself. The token x decides.",
     _bits(lambda logits, x: -(logits.softmax(-1) * logits.log_softmax(-1)).sum(-1))),
    ("The surprise at all K symbols, added up: only that of the token x counts.",
     _bits(lambda logits, x: -logits.log_softmax(-1).sum(-1))),
    ("Divided by the number of symbols: dimensions are places.",
     lambda logits, x: _surprise(logits, x).sum(1) / logits.shape[-1] / math.log(2)),
    ("Divided by the number of symbols as well: dimensions are places, L of them.",
     lambda logits, x: _surprise(logits, x).mean(1) / logits.shape[-1] / math.log(2)),
    ("In units of log K: that is the share of what K equally likely symbols would cost. A bit is log 2 nats.",
     lambda logits, x: _surprise(logits, x).mean(1) / math.log(logits.shape[-1])),
    ("A yes or no was asked of each symbol: a place has one distribution over K symbols, a softmax.",
     _bits(
         lambda logits, x: F.binary_cross_entropy_with_logits(
             logits, F.one_hot(x, logits.shape[-1]).to(logits), reduction="none"
         ).sum(-1)
     )),
    ("The share of wrong guesses came, not how surprised the model was.",
     lambda logits, x: (logits.argmax(-1) != x).double().mean(1)),
    ("Every sequence got the mean of the batch: one number for each is asked.",
     lambda logits, x: _surprise(logits, x).mean().expand(len(x)) / math.log(2)),
)

EXERCISE = Exercise(
    id="ar.bits_per_dimension", number="1.3", title="bits per dimension",
    prompt="the mean over the places of −log2 p(x_i | x_<i), one number a sequence",
    more="log_softmax over the symbols, the entry of the token at each place (gather, or cross_entropy with the "
         "symbols on axis 1); a mean over the L places, and log 2 nats to a bit.",
    cases=cases, reference=bits_per_dimension, mistakes=MISTAKES, watch=ObserveSpec(gradient=("logits",)),
    law=Ordinary(),
)
