"""9.5 The masked cross-entropy."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ....paths import MaskPath
from ....paths.masked import TokenPair
from .. import Case, Exercise, ObserveSpec
from ..draws import Cases, Rng
from ._shared import _batches, _chances, _hours, _kind, _symbols, _tokens


def masked_loss(logits: Tensor, x: Tensor, xt: Tensor, weight: Tensor, mask_id: int) -> Tensor:
    """The path's loss, its weight being the one given."""
    path = MaskPath(mask_id, weight=lambda path, t: weight)
    return path.loss(logits, TokenPair(x, xt == mask_id, torch.zeros_like(weight)), "data")


def cases(rng: Rng) -> Cases:
    """No batch is without a mask: a loop has no graph then, and the loss is zero."""
    for name, size, length, hint in _batches(rng):
        symbols = _symbols(rng, name)
        x = _tokens(rng, symbols, size, length)
        survive = _chances(rng, size)
        if name == "chances 0 and 1":
            survive[1:3] = 1.0, 0.0
        xt = np.where(_hours(rng, size, length) < survive[:, None], x, symbols)
        xt[0, 0] = symbols
        args = {
            "logits": np.round(rng.normal(size=(size, length, symbols)) * 1.5, 2).astype(_kind(name)),
            "x": x,
            "xt": xt,
            "weight": _chances(rng, size, low=0.3, high=3).astype(_kind(name)),
            "mask_id": symbols,
        }
        overlooked = "Wrong where a sequence holds no mask, or nothing else: is it divided by their number?"
        label, hint = ("sequences without a mask", overlooked) if name == "chances 0 and 1" else (name, hint)
        yield Case(label, args, hint=hint, batch="x")


def _surprise(logits: Tensor, x: Tensor) -> Tensor:
    return -logits.log_softmax(-1).gather(-1, x[..., None])[..., 0]


def _loss(reduce: Callable, price: Callable = _surprise) -> Callable:
    """reduce(price (B, L), hidden (B, L), weight (B,))."""
    return lambda logits, x, xt, weight, m: reduce(price(logits, x), (xt == m).to(logits.dtype), weight)


def _total(price: Tensor, hidden: Tensor, weight: Tensor) -> Tensor:
    return (weight * (price * hidden).sum(1)).mean()


def _of_shown(logits: Tensor, x: Tensor, xt: Tensor, weight: Tensor, m: int) -> Tensor:
    return _total(_surprise(logits, xt.clamp(max=m - 1)), (xt == m).to(logits.dtype), weight)


# fmt: off
MISTAKES = (
    ("The weights lie along the wrong axis: a weight is one number a sequence, and yours gives one to each place.",
     _loss(lambda price, hidden, w: (w * price * hidden).sum(1).mean())),
    ("All places are counted: the visible tokens are shown to the network, and cost nothing.",
     _loss(lambda price, hidden, w: (w * price.sum(1)).mean())),
    ("The visible places are counted instead of the masked ones.",
     _loss(lambda price, hidden, w: _total(price, 1 - hidden, w))),
    ("The mean over the masked places of each sequence: the log-likelihood of a sequence is a sum, and the "
     "weight w_t already accounts for how many are masked.",
     _loss(lambda price, hidden, weight: (weight * (price * hidden).sum(1) / hidden.sum(1).clamp(min=1)).mean())),
    ("The mean over all masked places of the batch: their sum in each sequence is asked, and the mean over the "
     "batch.",
     _loss(lambda price, hidden, w: (w[:, None] * price * hidden).sum() / hidden.sum())),
    ("The mean over all masked places of the batch, without the weights: the weight of its sequence multiplies "
     "each sum, before the mean over the batch.",
     _loss(lambda price, hidden, w: (price * hidden).sum() / hidden.sum())),
    ("The weight is missing: each sequence has its own w_t.",
     _loss(lambda price, hidden, w: (price * hidden).sum(1).mean())),
    ("Divided by the sum of the weights: the mean over the batch divides by the number of sequences.",
     _loss(lambda price, hidden, w: (w * (price * hidden).sum(1)).sum() / w.sum())),
    ("The weights are averaged by themselves: the weight of a sequence multiplies its own sum, before the mean.",
     _loss(lambda price, hidden, w: w.mean() * (price * hidden).sum(1).mean())),
    ("Divided by the weights instead of multiplied.",
     _loss(lambda price, hidden, w: _total(price, hidden, 1 / w))),
    ("The logits themselves were taken for log-probabilities: the probabilities of a place must sum to one.",
     _loss(_total, lambda logits, x: -logits.gather(-1, x[..., None])[..., 0])),
    ("The probability itself is counted, without its logarithm.",
     _loss(_total, lambda logits, x: -torch.exp(-_surprise(logits, x)))),
    ("The log-softmax runs over the places: the probabilities of one place, over the K tokens, must sum to one.",
     _loss(_total, lambda logits, x: -logits.log_softmax(1).gather(-1, x[..., None])[..., 0])),
    ("The softmax is taken twice: cross_entropy takes logits and does it itself.",
     _loss(_total, lambda logits, x: _surprise(logits.softmax(-1), x))),
    ("The token that is shown (clipped to K − 1) is scored, not the clean one: at a masked place that is the "
     "mask.",
     _of_shown),
    ("The logits are reshaped to (B, K, L), which mixes places and tokens: the two axes are to be transposed.",
     _loss(_total, lambda logits, x: _surprise(logits.reshape(len(x), -1, x.shape[1]).mT, x))),
    ("A yes or no for each of the K tokens (binary cross-entropy): the probabilities of one place must sum to "
     "one.",
     _loss(_total, lambda logits, x: F.softplus(logits).sum(-1) - logits.gather(-1, x[..., None])[..., 0])),
    ("The mean over all masked places, times the mean of the weights: the weight of a sequence multiplies its "
     "own sum.",
     _loss(lambda price, hidden, w: (price * hidden).sum() / hidden.sum() * w.mean())),
    ("The entropy of the prediction came: nothing compares it with the clean tokens.",
     _loss(_total, lambda logits, x: -(logits.softmax(-1) * logits.log_softmax(-1)).sum(-1))),
)

EXERCISE = Exercise(
    id="abs.masked_loss", number="9.5", title="the masked cross-entropy", points=2,
    prompt="the mean over the batch of weight times the sum, over the masked places, of −log p(x | x_t)",
    more="A (B, L) table of −log p of the clean tokens, zero where x_t is visible; a sum over places, times "
         "weight, and the mean over the batch.",
    cases=cases, reference=masked_loss, mistakes=MISTAKES,
    watch=ObserveSpec(outputs=("loss",), gradient=("logits",), tensors=True),
)
