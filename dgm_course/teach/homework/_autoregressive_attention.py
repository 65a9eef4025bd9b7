"""The usual slips in attention with and without a cache, exercises 1.6 and 1.7, as in `_autoregressive_masks`."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ._autoregressive_masks import Form, Mistakes

# --- 1.6 causal attention


def _lower(scores: Tensor, diagonal: int = 0) -> Tensor:
    return torch.ones_like(scores).tril(diagonal).bool()


def _hidden(scores: Tensor) -> Tensor:
    return scores.masked_fill(~_lower(scores), -math.inf)


def _scored(q: Tensor, k: Tensor) -> Tensor:
    return q @ k.mT / math.sqrt(q.shape[-1])


def _soft(scores: Tensor) -> Tensor:
    return scores.softmax(-1)


def _attention(scored: Callable = _scored, mask: Callable = _hidden, share: Callable = _soft) -> Form:
    """share(mask(scored(q, k))) v, with one of its pieces exchanged."""
    return lambda q, k, v: share(mask(scored(q, k))) @ v


def _right(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return _attention()(q, k, v)


def _strict(scores: Tensor) -> Tensor:
    return scores.masked_fill(~_lower(scores, -1), -math.inf)


ATTENTION: Mistakes = (
    (
        "The mask hides the past and shows the future: place i attends to the places 0 to i.",
        _attention(mask=lambda s: s.masked_fill(_lower(s, -1), -math.inf)),
    ),
    (
        "The mask hides the past and the place itself: place i attends to the places 0 to i.",
        _attention(mask=lambda s: s.masked_fill(_lower(s), -math.inf)),
    ),
    (
        "No place attends to itself: the first has nothing left to attend to, and the softmax of nothing is NaN. A place "
        "may "
        "see its own input (in these models its predecessor's token).",
        _attention(mask=_strict),
    ),
    (
        "No place attends to itself: the first has nothing left to attend to then. A place may see its own input (in these "
        "models its predecessor's token).",
        _attention(mask=_strict, share=lambda s: _soft(s).nan_to_num()),
    ),
    (
        "Place i sees one place too far: place i + 1 lies in the future.",
        _attention(mask=lambda s: s.masked_fill(~_lower(s, 1), -math.inf)),
    ),
    (
        "Nothing is hidden: every place attends to the future as well.",
        _attention(mask=lambda s: s),
    ),
    (
        "The hidden scores are set to 0: exp(0) is 1, so the future still has weight. What is to weigh nothing needs a "
        "score "
        "of −∞.",
        _attention(mask=lambda s: s * _lower(s)),
    ),
    (
        "The mask of zeros and ones is added to the scores: what is to weigh nothing needs a score of −∞.",
        _attention(mask=lambda s: s + _lower(s)),
    ),
    (
        "The weights are masked after the softmax and no longer sum to one: the future has taken its share of the sum.",
        lambda q, k, v: (_soft(_scored(q, k)) * _lower(_scored(q, k))) @ v,
    ),
    (
        "The scale is missing: the scores of long vectors are large, and 1/√d makes up for it.",
        _attention(lambda q, k: q @ k.mT),
    ),
    (
        "The scale is 1/d: the sum of d products grows like √d. (Dividing q and k by √d both is 1/d together.)",
        _attention(lambda q, k: q @ k.mT / q.shape[-1]),
    ),
    (
        "The scale multiplies: the scores are to be made smaller by √d.",
        _attention(lambda q, k: q @ k.mT * math.sqrt(q.shape[-1])),
    ),
    (
        "The scale is √L, of the number of places: it is the width d of the vectors that makes scores large.",
        _attention(lambda q, k: q @ k.mT / math.sqrt(q.shape[-2])),
    ),
    (
        "Cosines came in for the scores: they are products, q and k are not normalised.",
        _attention(lambda q, k: torch.nn.functional.normalize(q, dim=-1) @ torch.nn.functional.normalize(k, dim=-1).mT),
    ),
    (
        "The scale comes after the softmax: there it only makes the result smaller.",
        lambda q, k, v: _attention(lambda q, k: q @ k.mT)(q, k, v) / math.sqrt(q.shape[-1]),
    ),
    (
        "The softmax runs over the queries: for every place the weights over the keys it sees sum to one.",
        _attention(share=lambda s: s.softmax(-2)),
    ),
    (
        "The softmax runs over the batch: for every place the weights over the keys it sees sum to one.",
        _attention(share=lambda s: s.softmax(0).nan_to_num()),
    ),
    (
        "The softmax runs over the batch: for every place the weights over the keys it sees sum to one.",
        _attention(share=lambda s: s.softmax(0)),
    ),
    (
        "q and k are exchanged: rows of the scores belong to the place that asks.",
        lambda q, k, v: _right(k, q, v),
    ),
    (
        "k and v are exchanged: keys are compared, values are averaged.",
        lambda q, k, v: _right(q, v, k),
    ),
    (
        "q and v are exchanged: queries ask, values are averaged.",
        lambda q, k, v: _right(v, k, q),
    ),
    (
        "The weights are turned round before the values are averaged: rows belong to the place that asks.",
        lambda q, k, v: _soft(_hidden(_scored(q, k))).mT @ v,
    ),
    (
        "There is no softmax: the scores themselves weigh the values (linear attention).",
        lambda q, k, v: (_scored(q, k) * _lower(_scored(q, k))) @ v,
    ),
    (
        "All places before count alike: the scores are not used.",
        _attention(lambda q, k: 0 * q @ k.mT),
    ),
    (
        "Every place attends to itself alone.",
        lambda q, k, v: v,
    ),
    (
        "Only the best key counts: softmax gives the others a share, too.",
        _attention(share=lambda s: torch.nn.functional.one_hot(s.argmax(-1), s.shape[-1]).to(s)),
    ),
    (
        "What is hidden got −10, or the like, and still has a little weight: what is to weigh nothing needs a score of −∞.",
        _attention(mask=lambda s: s.masked_fill(~_lower(s), -10.0)),
    ),
    (
        "What is hidden got −1, and still has weight: what is to weigh nothing needs a score of −∞.",
        _attention(mask=lambda s: s.masked_fill(~_lower(s), -1.0)),
    ),
    (
        "Only the place itself and the one before it are seen: all before are.",
        _attention(mask=lambda s: s.masked_fill(~_lower(s) | _lower(s, -2), -math.inf)),
    ),
    (
        "A sigmoid makes the weights: they do not sum to one.",
        _attention(share=torch.sigmoid),
    ),
    (
        "The weights are not divided by their sum: softmax makes them sum to one.",
        _attention(share=torch.exp),
    ),
    (
        "The sequences of the batch attend to each other: the axis of places is the second.",
        lambda q, k, v: _right(*(h.transpose(0, 1) for h in (q, k, v))).transpose(0, 1),
    ),
    (
        "Products without a sum: a score is the whole product of a query with a key, for every pair of places.",
        lambda q, k, v: (q * k / math.sqrt(q.shape[-1])).softmax(-1) * v,
    ),
    (
        "Queries attend to the keys of the first sequence: each sequence has its own.",
        lambda q, k, v: _right(q, k[:1].expand_as(k), v),
    ),
    (
        "The input was added: that is what the block around attention does.",
        lambda q, k, v: _right(q, k, v) + q,
    ),
)


# --- 1.7 one step with a cache


def _grown(keys: Tensor, k: Tensor) -> Tensor:
    return torch.cat([keys, k[:, None]], 1)


def _attended(q: Tensor, keys: Tensor, values: Tensor, scale: float = 0.5) -> Tensor:
    """The query of one place over all that is held.  q (B, d) -> (B, d)"""
    share = torch.einsum("bd,bid->bi", q, keys).div(q.shape[-1] ** scale).softmax(-1)
    return torch.einsum("bi,bid->bd", share, values)


def _step(
    out: Callable = lambda q, k, v, keys, values: _attended(q, _grown(keys, k), _grown(values, v)),
    cache: Callable = lambda q, k, v, keys, values: (_grown(keys, k), _grown(values, v)),
) -> Form:
    return lambda *args: (out(*args), *cache(*args))


CACHE: Mistakes = (
    (
        "The new place does not attend to itself: its own key and value join the cache before the query is answered.",
        _step(lambda q, k, v, keys, values: _attended(q, keys, values)),
    ),
    (
        "The new place attends to itself alone: the cache is not used.",
        _step(lambda q, k, v, keys, values: v),
    ),
    (
        "The scale is missing: it is that of 1.6, 1/√d.",
        _step(lambda q, k, v, keys, values: _attended(q, _grown(keys, k), _grown(values, v), 0.0)),
    ),
    (
        "The scale is 1/d: it is that of 1.6, 1/√d.",
        _step(lambda q, k, v, keys, values: _attended(q, _grown(keys, k), _grown(values, v), 1.0)),
    ),
    (
        "The scale multiplies: the scores are to be made smaller by √d.",
        _step(lambda q, k, v, keys, values: _attended(q, _grown(keys, k), _grown(values, v), -0.5)),
    ),
    (
        "The scale is that of the length of the cache: it is the width d of the vectors that makes scores large.",
        _step(
            lambda q, k, v, keys, values: _attended(
                q / math.sqrt(keys.shape[1] + 1), _grown(keys, k), _grown(values, v), 0.0
            )
        ),
    ),
    (
        "Asked is with k, the key of the new place: its query is q.",
        _step(lambda q, k, v, keys, values: _attended(k, _grown(keys, k), _grown(values, v))),
    ),
    (
        "The query joins the keys: of the new place k does.",
        _step(
            lambda q, k, v, keys, values: _attended(q, _grown(keys, q), _grown(values, v)),
            lambda q, k, v, keys, values: (_grown(keys, q), _grown(values, v)),
        ),
    ),
    (
        "k and v of the new place are exchanged: keys with keys, values with values.",
        _step(
            lambda q, k, v, keys, values: _attended(q, _grown(keys, v), _grown(values, k)),
            lambda q, k, v, keys, values: (_grown(keys, v), _grown(values, k)),
        ),
    ),
    (
        "Keys and values are exchanged: keys are compared with the query, values are averaged.",
        _step(lambda q, k, v, keys, values: _attended(q, _grown(values, v), _grown(keys, k))),
    ),
    (
        "What is averaged are the keys: they are compared with the query, and the values are averaged.",
        _step(lambda q, k, v, keys, values: _attended(q, _grown(keys, k), _grown(keys, k))),
    ),
    (
        "All places count alike: the scores are not used.",
        _step(lambda q, k, v, keys, values: _grown(values, v).mean(1)),
    ),
    (
        "Only the best key counts: softmax gives the others a share, too.",
        _step(
            lambda q, k, v, keys, values: _grown(values, v)[
                torch.arange(len(q)), torch.einsum("bd,bid->bi", q, _grown(keys, k)).argmax(1)
            ]
        ),
    ),
    (
        "There is no softmax: the scores themselves weigh the values.",
        _step(
            lambda q, k, v, keys, values: torch.einsum("bd,bid,bie->be", q, _grown(keys, k), _grown(values, v))
            / math.sqrt(q.shape[-1])
        ),
    ),
    (
        "Only the first place of the cache is seen: with a mask for a table of scores the first row sees one place. Here "
        "the row is the last: everything in the cache comes before, and nothing has to be hidden.",
        _step(lambda q, k, v, keys, values: _grown(values, v)[:, 0]),
    ),
    (
        "The weights are not divided by their sum: softmax makes them sum to one.",
        _step(
            lambda q, k, v, keys, values: torch.einsum(
                "bi,bid->bd",
                torch.einsum("bd,bid->bi", q, _grown(keys, k)).div(math.sqrt(q.shape[-1])).exp(),
                _grown(values, v),
            )
        ),
    ),
    (
        "The new place is counted twice: it joins the cache once.",
        _step(lambda q, k, v, keys, values: _attended(q, _grown(_grown(keys, k), k), _grown(_grown(values, v), v))),
    ),
    (
        "The value of the new place was added on top: it is one of those that are averaged.",
        _step(lambda q, k, v, keys, values: _attended(q, _grown(keys, k), _grown(values, v)) + v),
    ),
    (
        "The newest stands first in the cache: places are kept in their order, the newest last.",
        _step(
            cache=lambda q, k, v, keys, values: (torch.cat([k[:, None], keys], 1), torch.cat([v[:, None], values], 1))
        ),
    ),
    (
        "The new place stands in the cache of keys as its query: k is its key.",
        _step(cache=lambda q, k, v, keys, values: (_grown(keys, q), _grown(values, v))),
    ),
    (
        "The caches are exchanged: (out, keys, values) is asked.",
        _step(cache=lambda q, k, v, keys, values: (_grown(values, v), _grown(keys, k))),
    ),
    (
        "The softmax runs over the batch: the places that are attended to share the weight 1.",
        _step(
            lambda q, k, v, keys, values: torch.einsum(
                "bi,bid->bd",
                torch.einsum("bd,bid->bi", q, _grown(keys, k)).div(math.sqrt(q.shape[-1])).softmax(0),
                _grown(values, v),
            )
        ),
    ),
)
