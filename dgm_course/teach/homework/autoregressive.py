"""Homework of the introductory lecture: autoregressive models, and the divergence that training makes small.

Nats, sums over the places of a sample, one number a sample; places are counted from 0 in the order of generation, and the
logits of place i predict place i, having seen the places before it.  Divergences compare tables of probabilities.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical
from torch.nn import functional as F

from ...autoregressive import sample_categorical
from ...nets.masked import raster_mask
from . import Exercise, ObserveSpec
from . import _autoregressive_attention as attention
from . import _autoregressive_cases as cases
from . import _autoregressive_divergences as divergences
from . import _autoregressive_fields as fields
from . import _autoregressive_generators as five
from . import _autoregressive_likelihoods as likelihoods
from . import _autoregressive_masks as masks
from . import _autoregressive_sampling as sampling
from . import _autoregressive_tables as tables

# --- the library's own answers


def causal_mask(kind: str, rows: int, columns: int) -> Tensor:
    """The mask of the library's masked convolution."""
    return raster_mask(kind, rows, columns)


def log_likelihood(logits: Tensor, x: Tensor) -> Tensor:
    """Σ log Bernoulli, in nats."""
    return Bernoulli(logits=logits).log_prob(x).flatten(1).sum(1)


def bits_per_dimension(logits: Tensor, x: Tensor) -> Tensor:
    """−mean log2 of the probabilities of the tokens."""
    return -Categorical(logits=logits).log_prob(x).mean(1) / math.log(2)


def complete(logits_of: Callable, x: Tensor, known: int, u: Tensor, temperature: float) -> Tensor:
    """Place by place, each by the library's `sample_categorical`."""
    x = x.clone()
    for i in range(known, x.shape[1]):
        x[:, i] = sample_categorical(logits_of(x)[:, i], u[:, i], temperature)
    return x


def receptive_field(net: Callable, x: Tensor, row: int, column: int) -> Tensor:
    """Where the gradient of one output is not zero."""
    return torch.func.grad(lambda image: net(image)[row, column])(x) != 0


def causal_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """torch's own."""
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def cache_step(q: Tensor, k: Tensor, v: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """One query over the grown cache; with it all places before are visible."""
    keys, values = torch.cat([keys, k[:, None]], 1), torch.cat([values, v[:, None]], 1)
    return F.scaled_dot_product_attention(q[:, None], keys, values)[:, 0], keys, values


def forward_kl(p: Tensor, q: Tensor) -> Tensor:
    """Cell by cell where p is not zero."""
    some = p > 0
    return (p[some] * (p[some].log() - q[some].log())).sum()


def f_divergence(f: Callable, p: Tensor, q: Tensor) -> Tensor:
    """E_q[f(p/q)]"""
    return q.flatten() @ f(p / q).flatten()


def generators(t: Tensor) -> tuple[Tensor, ...]:
    """Of the forward and the reverse KL, χ², Jensen–Shannon and total variation."""
    return tuple(f(t) for f in five.RIGHT.values())


EXERCISES = (
    Exercise(
        "ar.mask",
        "1.1",
        "the mask of a convolution",
        "1 on the taps that come before the centre in reading order, and on the centre for B; 0 on all others",
        cases.masks,
        causal_mask,
        masks.MASK,
        1,
        "The centre is at row rows // 2, column columns // 2. Open are all rows above it, and of its own row what stands "
        "left "
        "of it; kind B opens the centre as well.",
        law=masks.Taps(),
    ),
    Exercise(
        "ar.log_likelihood",
        "1.2",
        "the likelihood of a black and white image",
        "log p(x) in nats, one number an image: the sum over its pixels of log p(x_i | x_<i)",
        cases.likelihoods,
        log_likelihood,
        likelihoods.LIKELIHOOD,
        1,
        "A pixel costs −log σ(logit) where it is 1 and −log(1 − σ(logit)) where it is 0: a binary cross-entropy on logits, "
        "with reduction='none'. Then everything but the batch is summed.",
        ObserveSpec(gradient=("logits",)),
        cases.Ordinary(),
    ),
    Exercise(
        "ar.bits_per_dimension",
        "1.3",
        "bits per dimension",
        "the mean over the places of −log2 p(x_i | x_<i), one number a sequence",
        cases.bits,
        bits_per_dimension,
        likelihoods.BITS_PER_DIMENSION,
        1,
        "log_softmax over the symbols, the entry of the token at each place (gather, or cross_entropy with the symbols "
        "on axis "
        "1); a mean over the L places, and log 2 nats to a bit.",
        ObserveSpec(gradient=("logits",)),
        cases.Ordinary(),
    ),
    Exercise(
        "ar.complete",
        "1.4",
        "completing, place by place",
        "the given tokens as they are, then one place after the other: the smallest k whose cumulative "
        "probability exceeds u",
        cases.completions,
        complete,
        sampling.COMPLETION,
        2,
        "A loop over i from known to L − 1. In it: the logits of all places, of which place i is used; softmax(logits / T), "
        "cumsum; count the sums that u[:, i] is not below; write the token before the model is asked again.",
        ObserveSpec(tokens=True),
    ),
    Exercise(
        "ar.receptive_field",
        "1.5",
        "what a pixel listens to",
        "True where the derivative of net(x)[row, column] by the pixel is not zero",
        cases.fields,
        receptive_field,
        fields.FIELD,
        1,
        "One output, its gradient with respect to the whole image (on a clone that requires it), and a comparison with 0.",
        law=fields.Marked(),
    ),
    Exercise(
        "ar.attention",
        "1.6",
        "causal attention",
        "for each place the average of the values of the places up to it, weighted by how well their keys answer its query",
        cases.attentions,
        causal_attention,
        attention.ATTENTION,
        1,
        "A table of scores (B, L, L), row i for the place that asks; −∞ wherever the column is larger than the row; softmax "
        "over the last axis, and the values averaged by it.",
        ObserveSpec(gradient=("q", "k", "v")),
        cases.Ordinary(),
    ),
    Exercise(
        "ar.cache_step",
        "1.7",
        "one step with a cache",
        "what the new place attends to (itself included), and the keys and values with its own added at the end",
        cases.cache_steps,
        cache_step,
        attention.CACHE,
        1,
        "First the new key and value join the cache, along the axis of places. Then it is 1.6 for one query: (B, i + 1) "
        "scores, a softmax, and an average; nothing has to be hidden.",
        ObserveSpec(outputs=("out", "keys", "values")),
        cases.Ordinary(),
    ),
    Exercise(
        "ar.forward_kl",
        "1.8",
        "the forward KL",
        "the forward KL of two tables, in nats: a cell without p counts 0, and one with p but without q makes it infinite",
        tables.tables,
        forward_kl,
        divergences.KL,
        1,
        "Take the cells where p > 0 (an index, or torch.where) and sum p (log p − log q) over them; log 0 is −∞, and "
        "rightly so.",
        law=cases.Ordinary(tables.AT_ZERO),
    ),
    Exercise(
        "ar.f_divergence",
        "1.9",
        "the f-divergence",
        "the average over q of f at the ratio of p to q, all cells of the tables together",
        tables.divergences,
        f_divergence,
        divergences.DIVERGENCE,
        1,
        "f is elementwise: f(p / q) is a table of the same shape; weigh it by q and sum.",
        law=cases.Ordinary(tables.AT_ZERO),
    ),
    Exercise(
        "ar.generators",
        "1.10",
        "five generators",
        "for each of the five divergences the value at t of a function f, zero at one, whose f-divergence it is",
        tables.ratios,
        generators,
        five.FIVE,
        2,
        "Take q out of the summand: p log(p/q) = q · t log t; q log(q/p) = q · (−log t); (p − q)²/q = q · (t − 1)²; with "
        "m = (p + q)/2 it is p/m = 2t/(1 + t) and q/m = 2/(1 + t).",
        ObserveSpec(outputs=("kl", "reverse_kl", "chi2", "js", "tv")),
        law=five.SameDivergences(),
    ),
)
