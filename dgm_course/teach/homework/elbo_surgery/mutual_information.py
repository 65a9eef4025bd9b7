"""3.2 The mutual information."""

import math

import torch
from torch import Tensor

from .. import Exercise
from ..draws import Cases, Rng
from ._shared import _case, _log_n, _own, _table, _tables


def mutual_information(log_q: Tensor) -> Tensor:
    """log n minus the mean entropy of the responsibilities' own surprise: log n + mean log r_ii."""
    return math.log(log_q.shape[2]) + log_q.log_softmax(2).diagonal(dim1=1, dim2=2).mean()


def cases(rng: Rng) -> Cases:
    """log_q[s, i, j] = log q(z_si | x_j) of k draws for each of n data.  (k, n, n)"""
    for name, k, n, hint, level in _tables(rng):
        yield _case(name, {"log_q": _table(rng, k, n, level)}, hint, level=level)


# fmt: off
MISTAKES = (
    ("log n is missing: q_agg is the average of the posteriors, so its logarithm is a logsumexp minus log n; "
     "without it the estimate would never be above zero.",
     lambda log_q: (_own(log_q) - log_q.logsumexp(2)).mean()),
    ("log n enters with the wrong sign.", lambda log_q: (_own(log_q) - log_q.logsumexp(2) - _log_n(log_q)).mean()),
    ("The sum over the posteriors runs over the wrong axis: q_agg(z_i) fixes the draw i and goes through all j.",
     lambda log_q: (_own(log_q) - log_q.logsumexp(1) + _log_n(log_q)).mean()),
    ("The average over the posteriors is of their logarithms: q_agg averages the densities themselves.",
     lambda log_q: (_own(log_q) - log_q.mean(2)).mean()),
    ("All pairs (i, j) are averaged: z_i was drawn from its own posterior, so the first term is log q(z_i|x_i), "
     "the diagonal.",
     lambda log_q: (log_q - log_q.logsumexp(2, keepdim=True) + _log_n(log_q)).mean()),
    ("q_agg is left out: this is minus the entropy of the posteriors, and no information.",
     lambda log_q: _own(log_q).mean()),
    ("The datum itself is left out of q_agg: the average goes over all n, j = i included (so that it stays "
     "below log n).",
     lambda log_q: (
         _own(log_q)
         - log_q.masked_fill(torch.eye(log_q.shape[1], dtype=torch.bool), -math.inf).logsumexp(2)
         + math.log(max(1, log_q.shape[1] - 1))
     ).mean()),
    ("The average is over all k · n draws, not only over the k: there is one n too many in your value.",
     lambda log_q: (_own(log_q) - log_q.logsumexp(2) + _log_n(log_q)).sum(1).mean()),
    ("The draws are averaged inside the logarithm: each of the k draws has its own log-ratio, and their mean is "
     "taken last.",
     lambda log_q: ((_own(log_q) - log_q.logsumexp(2) + _log_n(log_q)).exp().mean()).log()),
    ("q_agg is built from the log-densities of all draws together: log q_agg(z) belongs to one draw, n numbers "
     "at a time.",
     lambda log_q: (_own(log_q) - log_q.logsumexp((0, 2)) + math.log(log_q.shape[0] * log_q.shape[1])).mean()),
    ("The average over the posteriors is divided by k: k counts the draws, and n, the last axis, the posteriors.",
     lambda log_q: (_own(log_q) - log_q.logsumexp(2)).mean() + math.log(len(log_q))),
    ("log n minus the mean entropy of the guess: right on average, too, but another number on these draws. "
     "Asked is the mean of log q(z_i|x_i) − log q_agg(z_i).",
     lambda log_q: _log_n(log_q) - torch.special.entr(log_q.softmax(2)).sum(2).mean()),
    ("The likeliest posterior of each draw is taken for its own: z_i was drawn from the i-th, likely or not.",
     lambda log_q: (log_q.amax(2) - log_q.logsumexp(2) + _log_n(log_q)).mean()),
    ("The log-ratios are cut off at zero: a single one may be negative, only their expectation may not.",
     lambda log_q: (_own(log_q) - log_q.logsumexp(2) + _log_n(log_q)).clamp(min=0).mean()),
    ("The draws are averaged before q_agg is formed: each draw has a q_agg of its own, and the mean comes last.",
     lambda log_q: (t := log_q.mean(0), (t.diagonal() - t.logsumexp(1) + _log_n(log_q)).mean())[1]),
    ("All draws are summed: their mean is asked.",
     lambda log_q: (_own(log_q) - log_q.logsumexp(2) + _log_n(log_q)).sum()),
    ("log n is the most that it can be; how much it is depends on how far the posteriors overlap.",
     lambda log_q: 0 * log_q.mean() + _log_n(log_q)),
    ("The probability of the right guess came: its logarithm is wanted, and log n beside it.",
     lambda log_q: _own(log_q.softmax(2)).mean()),
)

EXERCISE = Exercise(
    id="surgery.mutual_information", number="3.2", title="the mutual information", points=2,
    prompt="the Monte-Carlo estimate of the mutual information, one number, from the log-densities of every "
           "draw under every posterior",
    more="For each draw: log q(z_i|x_i), which is on the diagonal, minus log q_agg(z_i), an average over the "
         "whole row. Then the mean over all draws.",
    cases=cases, reference=mutual_information, mistakes=MISTAKES,
)
