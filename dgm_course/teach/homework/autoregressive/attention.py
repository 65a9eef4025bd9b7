"""1.6 Causal attention."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .. import Case, Exercise, ObserveSpec
from ..draws import Cases, Rng, points
from ._shared import Ordinary, _batches, _kind


def causal_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """torch's own."""
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def cases(rng: Rng) -> Cases:
    for name, shape, hint in _batches(rng):
        q, k, v = (points(rng, *shape) for _ in "qkv")
        if name == "large scores":
            q, k = 40 * q, 20 * k
            while _tie(q, k):
                q, k = 40 * points(rng, *shape), 20 * points(rng, *shape)
        args = {"q": q, "k": k, "v": v}
        shown = {"sequence": np.arange(shape[0])[:, None, None], "place": np.arange(shape[1])[None, :, None]}
        yield Case(name, _kind(name, args), shown | {"coordinate": np.arange(shape[2])[None, None]}, hint)


def _tie(q: np.ndarray, k: np.ndarray) -> bool:
    """Whether a place weighs two of these scores: float32 rounds scores of thousands, and so the weights."""
    scores = q @ k.swapaxes(1, 2) / math.sqrt(q.shape[2])
    seen = np.where(np.tri(q.shape[1], dtype=bool), scores, -np.inf)
    last = np.sort(seen, axis=2)[:, 1:, -2:]
    return bool((last[..., 1] - last[..., 0] < 10).any())


def _lower(scores: Tensor, diagonal: int = 0) -> Tensor:
    return torch.ones_like(scores).tril(diagonal).bool()


def _hidden(scores: Tensor) -> Tensor:
    return scores.masked_fill(~_lower(scores), -math.inf)


def _scored(q: Tensor, k: Tensor) -> Tensor:
    return q @ k.mT / math.sqrt(q.shape[-1])


def _soft(scores: Tensor) -> Tensor:
    return scores.softmax(-1)


def _attention(scored: Callable = _scored, mask: Callable = _hidden, share: Callable = _soft) -> Callable:
    """share(mask(scored(q, k))) v, with one of its pieces exchanged."""
    return lambda q, k, v: share(mask(scored(q, k))) @ v


def _right(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return _attention()(q, k, v)


def _strict(scores: Tensor) -> Tensor:
    return scores.masked_fill(~_lower(scores, -1), -math.inf)


# fmt: off
MISTAKES = (
    ("The mask hides the past and shows the future: place i attends to the places 0 to i.",
     _attention(mask=lambda s: s.masked_fill(_lower(s, -1), -math.inf))),
    ("The mask hides the past and the place itself: place i attends to the places 0 to i.",
     _attention(mask=lambda s: s.masked_fill(_lower(s), -math.inf))),
    ("No place attends to itself: the first has nothing left to attend to, and the softmax of nothing is NaN. A "
     "place may see its own input (in these models its predecessor's token).",
     _attention(mask=_strict)),
    ("No place attends to itself: the first has nothing left to attend to then. A place may see its own input "
     "(in these models its predecessor's token).",
     _attention(mask=_strict, share=lambda s: _soft(s).nan_to_num())),
    ("Place i sees one place too far: place i + 1 lies in the future.",
     _attention(mask=lambda s: s.masked_fill(~_lower(s, 1), -math.inf))),
    ("Nothing is hidden: every place attends to the future as well.", _attention(mask=lambda s: s)),
    ("The hidden scores are set to 0: exp(0) is 1, so the future still has weight. What is to weigh nothing "
     "needs a score of −∞.",
     _attention(mask=lambda s: s * _lower(s))),
    ("The mask of zeros and ones is added to the scores: what is to weigh nothing needs a score of −∞.",
     _attention(mask=lambda s: s + _lower(s))),
    ("The weights are masked after the softmax and no longer sum to one: the future has taken its share of the "
     "sum.",
     lambda q, k, v: (_soft(_scored(q, k)) * _lower(_scored(q, k))) @ v),
    ("The scale is missing: the scores of long vectors are large, and 1/√d makes up for it.",
     _attention(lambda q, k: q @ k.mT)),
    ("The scale is 1/d: the sum of d products grows like √d. (Dividing q and k by √d both is 1/d together.)",
     _attention(lambda q, k: q @ k.mT / q.shape[-1])),
    ("The scale multiplies: the scores are to be made smaller by √d.",
     _attention(lambda q, k: q @ k.mT * math.sqrt(q.shape[-1]))),
    ("The scale is √L, of the number of places: it is the width d of the vectors that makes scores large.",
     _attention(lambda q, k: q @ k.mT / math.sqrt(q.shape[-2]))),
    ("Cosines came in for the scores: they are products, q and k are not normalised.",
     _attention(
         lambda q, k: torch.nn.functional.normalize(q, dim=-1) @ torch.nn.functional.normalize(k, dim=-1).mT
     )),
    ("The scale comes after the softmax: there it only makes the result smaller.",
     lambda q, k, v: _attention(lambda q, k: q @ k.mT)(q, k, v) / math.sqrt(q.shape[-1])),
    ("The softmax runs over the queries: for every place the weights over the keys it sees sum to one.",
     _attention(share=lambda s: s.softmax(-2))),
    ("The softmax runs over the batch: for every place the weights over the keys it sees sum to one.",
     _attention(share=lambda s: s.softmax(0).nan_to_num())),
    ("The softmax runs over the batch: for every place the weights over the keys it sees sum to one.",
     _attention(share=lambda s: s.softmax(0))),
    ("q and k are exchanged: rows of the scores belong to the place that asks.", lambda q, k, v: _right(k, q, v)),
    ("k and v are exchanged: keys are compared, values are averaged.", lambda q, k, v: _right(q, v, k)),
    ("q and v are exchanged: queries ask, values are averaged.", lambda q, k, v: _right(v, k, q)),
    ("The weights are turned round before the values are averaged: rows belong to the place that asks.",
     lambda q, k, v: _soft(_hidden(_scored(q, k))).mT @ v),
    ("There is no softmax: the scores themselves weigh the values (linear attention).",
     lambda q, k, v: (_scored(q, k) * _lower(_scored(q, k))) @ v),
    ("All places before count alike: the scores are not used.", _attention(lambda q, k: 0 * q @ k.mT)),
    ("Every place attends to itself alone.", lambda q, k, v: v),
    ("Only the best key counts: softmax gives the others a share, too.",
     _attention(share=lambda s: torch.nn.functional.one_hot(s.argmax(-1), s.shape[-1]).to(s))),
    ("What is hidden got −10, or the like, and still has a little weight: what is to weigh nothing needs a "
     "score of −∞.",
     _attention(mask=lambda s: s.masked_fill(~_lower(s), -10.0))),
    ("What is hidden got −1, and still has weight: what is to weigh nothing needs a score of −∞.",
     _attention(mask=lambda s: s.masked_fill(~_lower(s), -1.0))),
    ("Only the place itself and the one before it are seen: all before are.",
     _attention(mask=lambda s: s.masked_fill(~_lower(s) | _lower(s, -2), -math.inf))),
    ("A sigmoid makes the weights: they do not sum to one.", _attention(share=torch.sigmoid)),
    ("The weights are not divided by their sum: softmax makes them sum to one.", _attention(share=torch.exp)),
    ("The sequences of the batch attend to each other: the axis of places is the second.",
     lambda q, k, v: _right(*(h.transpose(0, 1) for h in (q, k, v))).transpose(0, 1)),
    ("Products without a sum: a score is the whole product of a query with a key, for every pair of places.",
     lambda q, k, v: (q * k / math.sqrt(q.shape[-1])).softmax(-1) * v),
    ("The input was added: that is what the block around attention does.", lambda q, k, v: _right(q, k, v) + q),
)

EXERCISE = Exercise(
    id="ar.attention", number="1.6", title="causal attention",
    prompt="for each place the average of the values of the places up to it, weighted by how well their keys "
           "answer its query",
    more="A table of scores (B, L, L), row i for the place that asks; −∞ wherever the column is larger than the "
         "row; softmax over the last axis, and the values averaged by it.",
    cases=cases, reference=causal_attention, mistakes=MISTAKES, watch=ObserveSpec(gradient=("q", "k", "v")),
    law=Ordinary(),
)
