"""1.7 One step with a cache."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .. import Case, Exercise, ObserveSpec
from ..draws import Cases, Rng, points
from ._shared import Ordinary, _batches, _kind


def cache_step(q: Tensor, k: Tensor, v: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """One query over the grown cache; with it all places before are visible."""
    keys, values = torch.cat([keys, k[:, None]], 1), torch.cat([values, v[:, None]], 1)
    return F.scaled_dot_product_attention(q[:, None], keys, values)[:, 0], keys, values


EMPTY = "Wrong only for the first place, where the cache is empty: what can it attend to?"


def cases(rng: Rng) -> Cases:
    """The length is that of the cache; for the first place it is empty."""
    empty = ("an empty cache", (int(rng.integers(3, 6)), 0, 4), EMPTY)
    for name, (size, length, width), hint in (*_batches(rng), empty):
        q, k, v = (points(rng, size, width) for _ in "qkv")
        keys, values = points(rng, size, length, width), points(rng, size, length, width)
        loud = 40 if name == "large scores" else 1
        args = {"q": q * loud, "k": k * loud, "v": v, "keys": keys * loud, "values": values}
        shown = {"sequence": np.arange(size)[:, None], "coordinate": np.arange(width)[None]}
        yield Case(name, _kind(name, args), shown, hint)


def _grown(keys: Tensor, k: Tensor) -> Tensor:
    return torch.cat([keys, k[:, None]], 1)


def _attended(q: Tensor, keys: Tensor, values: Tensor, scale: float = 0.5) -> Tensor:
    """The query of one place over all that is held.  q (B, d) -> (B, d)"""
    share = torch.einsum("bd,bid->bi", q, keys).div(q.shape[-1] ** scale).softmax(-1)
    return torch.einsum("bi,bid->bd", share, values)


def _step(
    out: Callable = lambda q, k, v, keys, values: _attended(q, _grown(keys, k), _grown(values, v)),
    cache: Callable = lambda q, k, v, keys, values: (_grown(keys, k), _grown(values, v)),
) -> Callable:
    return lambda *args: (out(*args), *cache(*args))


# fmt: off
MISTAKES = (
    ("The new place does not attend to itself: its own key and value join the cache before the query is answered.",
     _step(lambda q, k, v, keys, values: _attended(q, keys, values))),
    ("The new place attends to itself alone: the cache is not used.", _step(lambda q, k, v, keys, values: v)),
    ("The scale is missing: it is that of 1.6, 1/√d.",
     _step(lambda q, k, v, keys, values: _attended(q, _grown(keys, k), _grown(values, v), 0.0))),
    ("The scale is 1/d: it is that of 1.6, 1/√d.",
     _step(lambda q, k, v, keys, values: _attended(q, _grown(keys, k), _grown(values, v), 1.0))),
    ("The scale multiplies: the scores are to be made smaller by √d.",
     _step(lambda q, k, v, keys, values: _attended(q, _grown(keys, k), _grown(values, v), -0.5))),
    ("The scale is that of the length of the cache: it is the width d of the vectors that makes scores large.",
     _step(
         lambda q, k, v, keys, values: _attended(
             q / math.sqrt(keys.shape[1] + 1), _grown(keys, k), _grown(values, v), 0.0
         )
     )),
    ("Asked is with k, the key of the new place: its query is q.",
     _step(lambda q, k, v, keys, values: _attended(k, _grown(keys, k), _grown(values, v)))),
    ("The query joins the keys: of the new place k does.",
     _step(
         lambda q, k, v, keys, values: _attended(q, _grown(keys, q), _grown(values, v)),
         lambda q, k, v, keys, values: (_grown(keys, q), _grown(values, v)),
     )),
    ("k and v of the new place are exchanged: keys with keys, values with values.",
     _step(
         lambda q, k, v, keys, values: _attended(q, _grown(keys, v), _grown(values, k)),
         lambda q, k, v, keys, values: (_grown(keys, v), _grown(values, k)),
     )),
    ("Keys and values are exchanged: keys are compared with the query, values are averaged.",
     _step(lambda q, k, v, keys, values: _attended(q, _grown(values, v), _grown(keys, k)))),
    ("What is averaged are the keys: they are compared with the query, and the values are averaged.",
     _step(lambda q, k, v, keys, values: _attended(q, _grown(keys, k), _grown(keys, k)))),
    ("All places count alike: the scores are not used.",
     _step(lambda q, k, v, keys, values: _grown(values, v).mean(1))),
    ("Only the best key counts: softmax gives the others a share, too.",
     _step(
         lambda q, k, v, keys, values: _grown(values, v)[
             torch.arange(len(q)), torch.einsum("bd,bid->bi", q, _grown(keys, k)).argmax(1)
         ]
     )),
    ("There is no softmax: the scores themselves weigh the values.",
     _step(
         lambda q, k, v, keys, values: (
             torch.einsum("bd,bid,bie->be", q, _grown(keys, k), _grown(values, v)) / math.sqrt(q.shape[-1])
         )
     )),
    ("Only the first place of the cache is seen: with a mask for a table of scores the first row sees one "
     "place. Here the row is the last: everything in the cache comes before, and nothing has to be hidden.",
     _step(lambda q, k, v, keys, values: _grown(values, v)[:, 0])),
    ("The weights are not divided by their sum: softmax makes them sum to one.",
     _step(
         lambda q, k, v, keys, values: torch.einsum(
             "bi,bid->bd",
             torch.einsum("bd,bid->bi", q, _grown(keys, k)).div(math.sqrt(q.shape[-1])).exp(),
             _grown(values, v),
         )
     )),
    ("The new place is counted twice: it joins the cache once.",
     _step(lambda q, k, v, keys, values: _attended(q, _grown(_grown(keys, k), k), _grown(_grown(values, v), v)))),
    ("The value of the new place was added on top: it is one of those that are averaged.",
     _step(lambda q, k, v, keys, values: _attended(q, _grown(keys, k), _grown(values, v)) + v)),
    ("The newest stands first in the cache: places are kept in their order, the newest last.",
     _step(
         cache=lambda q, k, v, keys, values: (
             torch.cat([k[:, None], keys], 1),
             torch.cat([v[:, None], values], 1),
         )
     )),
    ("The new place stands in the cache of keys as its query: k is its key.",
     _step(cache=lambda q, k, v, keys, values: (_grown(keys, q), _grown(values, v)))),
    ("The caches are exchanged: (out, keys, values) is asked.",
     _step(cache=lambda q, k, v, keys, values: (_grown(values, v), _grown(keys, k)))),
    ("The softmax runs over the batch: the places that are attended to share the weight 1.",
     _step(
         lambda q, k, v, keys, values: torch.einsum(
             "bi,bid->bd",
             torch.einsum("bd,bid->bi", q, _grown(keys, k)).div(math.sqrt(q.shape[-1])).softmax(0),
             _grown(values, v),
         )
     )),
)

EXERCISE = Exercise(
    id="ar.cache_step", number="1.7", title="one step with a cache",
    prompt="what the new place attends to (itself included), and the keys and values with its own added at the "
           "end",
    more="First the new key and value join the cache, along the axis of places. Then it is 1.6 for one query: "
         "(B, i + 1) scores, a softmax, and an average; nothing has to be hidden.",
    cases=cases, reference=cache_step, mistakes=MISTAKES, watch=ObserveSpec(outputs=("out", "keys", "values")),
    law=Ordinary(),
)
