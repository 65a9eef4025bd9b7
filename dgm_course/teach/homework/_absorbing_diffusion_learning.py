"""The usual slips in training absorbing diffusion, exercises 9.5 and 9.7, as in `_absorbing_diffusion_chain`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from ._absorbing_diffusion_chain import Form, Mistakes

# --- 9.5 the loss


def _surprise(logits: Tensor, x: Tensor) -> Tensor:
    return -logits.log_softmax(-1).gather(-1, x[..., None])[..., 0]


def _loss(reduce: Callable, price: Callable = _surprise) -> Form:
    """reduce(price (B, L), hidden (B, L), weight (B,))."""
    return lambda logits, x, xt, weight, m: reduce(price(logits, x), (xt == m).to(logits.dtype), weight)


def _total(price: Tensor, hidden: Tensor, weight: Tensor) -> Tensor:
    return (weight * (price * hidden).sum(1)).mean()


def _per_mask(price: Tensor, hidden: Tensor, weight: Tensor) -> Tensor:
    return (weight * (price * hidden).sum(1) / hidden.sum(1).clamp(min=1)).mean()


def _wrong_axis(logits: Tensor, x: Tensor) -> Tensor:
    return -logits.log_softmax(1).gather(-1, x[..., None])[..., 0]


def _of_shown(logits: Tensor, x: Tensor, xt: Tensor, weight: Tensor, m: int) -> Tensor:
    return _total(_surprise(logits, xt.clamp(max=m - 1)), (xt == m).to(logits.dtype), weight)


LOSS: Mistakes = (
    (
        "The weights lie along the wrong axis: a weight is one number a sequence, and yours gives one to each place.",
        _loss(lambda price, hidden, w: (w * price * hidden).sum(1).mean()),
    ),
    (
        "All places are counted: the visible tokens are shown to the network, and cost nothing.",
        _loss(lambda price, hidden, w: (w * price.sum(1)).mean()),
    ),
    (
        "The visible places are counted instead of the masked ones.",
        _loss(lambda price, hidden, w: _total(price, 1 - hidden, w)),
    ),
    (
        "The mean over the places of a sequence, masked or not: the log-likelihood of a sequence is a sum over its places.",
        _loss(lambda price, hidden, w: (w * (price * hidden).mean(1)).mean()),
    ),
    (
        "The mean over the masked places of each sequence: the log-likelihood of a sequence is a sum, and the weight w_t "
        "already accounts for how many are masked.",
        _loss(_per_mask),
    ),
    (
        "The mean over all masked places of the batch: their sum in each sequence is asked, and the mean over the batch.",
        _loss(lambda price, hidden, w: (w[:, None] * price * hidden).sum() / hidden.sum()),
    ),
    (
        "The mean over all masked places of the batch, without the weights: the weight of its sequence multiplies "
        "each sum, before the mean over the batch.",
        _loss(lambda price, hidden, w: (price * hidden).sum() / hidden.sum()),
    ),
    (
        "The weight is missing: each sequence has its own w_t.",
        _loss(lambda price, hidden, w: (price * hidden).sum(1).mean()),
    ),
    (
        "A sum over the batch where its mean is asked.",
        _loss(lambda price, hidden, w: (w * (price * hidden).sum(1)).sum()),
    ),
    (
        "Divided by the sum of the weights: the mean over the batch divides by the number of sequences.",
        _loss(lambda price, hidden, w: (w * (price * hidden).sum(1)).sum() / w.sum()),
    ),
    (
        "The weights are averaged by themselves: the weight of a sequence multiplies its own sum, before the mean.",
        _loss(lambda price, hidden, w: w.mean() * (price * hidden).sum(1).mean()),
    ),
    (
        "Divided by the weights instead of multiplied.",
        _loss(lambda price, hidden, w: _total(price, hidden, 1 / w)),
    ),
    (
        "The logits themselves were taken for log-probabilities: the probabilities of a place must sum to one.",
        _loss(_total, lambda logits, x: -logits.gather(-1, x[..., None])[..., 0]),
    ),
    (
        "The probability itself is counted, without its logarithm.",
        _loss(_total, lambda logits, x: -torch.exp(-_surprise(logits, x))),
    ),
    (
        "The log-softmax runs over the places: the probabilities of one place, over the K tokens, must sum to one.",
        _loss(_total, _wrong_axis),
    ),
    (
        "The softmax is taken twice: cross_entropy takes logits and does it itself.",
        _loss(_total, lambda logits, x: _surprise(logits.softmax(-1), x)),
    ),
    (
        "The sign is missing: a likely token gives a log-probability near zero from below, and a loss falls toward zero.",
        _loss(lambda *parts: -_total(*parts)),
    ),
    (
        "The token that is shown (clipped to K − 1) is scored, not the clean one: at a masked place that is the mask.",
        _of_shown,
    ),
    (
        "The logits are reshaped to (B, K, L), which mixes places and tokens: the two axes are to be transposed.",
        _loss(_total, lambda logits, x: _surprise(logits.reshape(len(x), -1, x.shape[1]).mT, x)),
    ),
    (
        "A yes or no for each of the K tokens (binary cross-entropy): the probabilities of one place must sum to one.",
        _loss(_total, lambda logits, x: F.softplus(logits).sum(-1) - logits.gather(-1, x[..., None])[..., 0]),
    ),
    (
        "The mean over all masked places, times the mean of the weights: the weight of a sequence multiplies its own sum.",
        _loss(lambda price, hidden, w: (price * hidden).sum() / hidden.sum() * w.mean()),
    ),
    (
        "The entropy of the prediction came: nothing compares it with the clean tokens.",
        _loss(_total, lambda logits, x: -(logits.softmax(-1) * logits.log_softmax(-1)).sum(-1)),
    ),
)


# --- 9.7 the weight


def _slope(survive: Callable, t: Tensor) -> Tensor:
    t = t.clone().requires_grad_()
    return torch.autograd.grad(survive(t).sum(), t)[0]


def _weight(form: Callable, clock: Callable = lambda t: t) -> Form:
    """form(alpha, alpha', t), both taken at clock(t)."""
    return lambda survive, t: form(survive(clock(t)), _slope(survive, clock(t)), t)


WEIGHT: Mistakes = (
    (
        "That is 1/(1 − t), right on the linear schedule alone: others have another α and α'.",
        _weight(lambda a, da, t: 1 / (1 - t)),
    ),
    (
        "The derivative is missing: how fast tokens appear at t depends on the schedule (on the linear one it is 1).",
        _weight(lambda a, da, t: 1 / (1 - a)),
    ),
    (
        "The denominator is that of the linear schedule: the share still masked is 1 − α, whatever the schedule.",
        _weight(lambda a, da, t: da / (1 - t)),
    ),
    (
        "Above the line stands α itself: its derivative by t is asked.",
        _weight(lambda a, da, t: a / (1 - a)),
    ),
    (
        "Divided by α: it is the masked share that the weight is divided by.",
        _weight(lambda a, da, t: da / a),
    ),
    (
        "The derivative alone came: it is divided by the masked share.",
        _weight(lambda a, da, t: da),
    ),
    (
        "Multiplied by the masked share, not divided.",
        _weight(lambda a, da, t: da * (1 - a)),
    ),
    (
        "The sign is reversed: that is the weight in the slides' time, where α falls. Here t = 0 masks and t = 1 is "
        "data, so α rises.",
        _weight(lambda a, da, t: -da / (1 - a)),
    ),
    (
        "The schedule is asked at 1 − t: here t = 0 masks and t = 1 is data.",
        _weight(lambda a, da, t: da / (1 - a), lambda t: 1 - t),
    ),
    (
        "The schedule is asked at 1 − t and its sign is reversed, the clock of the slides: here t = 0 masks.",
        _weight(lambda a, da, t: -da / (1 - a), lambda t: 1 - t),
    ),
    (
        "The masked share is squared: divide by it once.",
        _weight(lambda a, da, t: da / (1 - a) ** 2),
    ),
    (
        "Below the line stands 1 − α²: on mask paths α is a probability, and the masked share is 1 − α.",
        _weight(lambda a, da, t: da / (1 - a**2)),
    ),
    (
        "Upside down: α' stands above, the masked share below.",
        _weight(lambda a, da, t: (1 - a) / da),
    ),
    (
        "The derivative was taken of log α: that is divided by α as well.",
        _weight(lambda a, da, t: da / a / (1 - a)),
    ),
    (
        "All times were weighted together: a mean or a sum over the batch came for each sample.",
        _weight(lambda a, da, t: (da / (1 - a)).mean() + 0 * t),
    ),
    (
        "The derivative is that of the mean over the batch, B times too small: each α depends on its own t alone.",
        _weight(lambda a, da, t: da / (1 - a) / len(t)),
    ),
)
