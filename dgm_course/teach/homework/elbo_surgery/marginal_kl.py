"""3.3 The marginal KL."""

import math

import numpy as np
import torch
from torch import Tensor

from .. import Exercise
from ..draws import Cases, Rng, points
from ._shared import _case, _log_n, _own, _table, _tables
from .mutual_information import mutual_information


def marginal_kl(log_q: Tensor, log_p: Tensor) -> Tensor:
    """The mean KL to the prior less the mutual information."""
    return (log_q.diagonal(dim1=1, dim2=2) - log_p).mean() - mutual_information(log_q)


def cases(rng: Rng) -> Cases:
    """The same, and log p(z_si).  (k, n, n), (k, n)"""
    for name, k, n, hint, level in _tables(rng):
        args = {"log_q": _table(rng, k, n, level), "log_p": np.round(points(rng, k, n) - 2.5 + level, 2)}
        yield _case(name, args, hint, level=level)


# fmt: off
MISTAKES = (
    ("log n is missing: q_agg is the average of the posteriors.",
     lambda log_q, log_p: (log_q.logsumexp(2) - log_p).mean()),
    ("log n enters with the wrong sign.",
     lambda log_q, log_p: (log_q.logsumexp(2) + _log_n(log_q) - log_p).mean()),
    ("The sum over the posteriors runs over the wrong axis: q_agg(z_i) fixes the draw i and goes through all j.",
     lambda log_q, log_p: (log_q.logsumexp(1) - _log_n(log_q) - log_p).mean()),
    ("This is the mean KL of the posteriors to the prior, log q(z_i|x_i) − log p(z_i): the mutual information "
     "is still in it. The marginal KL compares q_agg with the prior.",
     lambda log_q, log_p: (_own(log_q) - log_p).mean()),
    ("This is the mutual information: the marginal KL compares q_agg with the *prior*.",
     lambda log_q, log_p: (_own(log_q) - log_q.logsumexp(2) + _log_n(log_q)).mean()),
    ("The average over the posteriors is of their logarithms: q_agg averages the densities themselves.",
     lambda log_q, log_p: (log_q.mean(2) - log_p).mean()),
    ("The prior is left out: this is minus the entropy of q_agg.",
     lambda log_q, log_p: (log_q.logsumexp(2) - _log_n(log_q)).mean()),
    ("The prior is added: a KL is a log-ratio, log q_agg − log p.",
     lambda log_q, log_p: (log_q.logsumexp(2) - _log_n(log_q) + log_p).mean()),
    ("The datum itself is left out of q_agg: the average goes over all n, j = i included.",
     lambda log_q, log_p: (
         log_q.masked_fill(torch.eye(log_q.shape[1], dtype=torch.bool), -math.inf).logsumexp(2)
         - math.log(max(1, log_q.shape[1] - 1))
         - log_p
     ).mean()),
    ("This weighs the log-ratio by p/q_agg, or takes the other KL: the draws come from q_agg, so a plain mean "
     "is right.",
     lambda log_q, log_p: (r := log_q.logsumexp(2) - _log_n(log_q) - log_p, ((-r).exp() * r).mean())[1]),
    ("The average is over all k · n draws, not only over the k: there is one n too many in your value.",
     lambda log_q, log_p: (log_q.logsumexp(2) - _log_n(log_q) - log_p).sum(1).mean()),
    ("The logarithm is taken of the average ratio: average the log-ratios.",
     lambda log_q, log_p: (log_q.logsumexp(2) - _log_n(log_q) - log_p).exp().mean().log()),
    ("The log-ratios are made positive one by one: a single one may be negative, only their expectation may not.",
     lambda log_q, log_p: (log_q.logsumexp(2) - _log_n(log_q) - log_p).abs().mean()),
    ("The log-ratios are cut off at zero: a single one may be negative, only their expectation may not.",
     lambda log_q, log_p: (log_q.logsumexp(2) - _log_n(log_q) - log_p).clamp(min=0).mean()),
    ("The average over the posteriors is divided by k: k counts the draws, and n, the last axis, the posteriors.",
     lambda log_q, log_p: (log_q.logsumexp(2) - math.log(len(log_q)) - log_p).mean()),
    ("log n is taken from the posterior's own density: q_agg averages the whole row, and a draw's own posterior "
     "is one of n.",
     lambda log_q, log_p: (_own(log_q) - _log_n(log_q) - log_p).mean()),
    ("The likeliest posterior stands for q_agg: all n of them are averaged.",
     lambda log_q, log_p: (log_q.amax(2) - log_p).mean()),
    ("The draws are averaged before q_agg is formed: each draw has a q_agg of its own, and the mean comes last.",
     lambda log_q, log_p: (log_q.mean(0).logsumexp(1) - _log_n(log_q) - log_p.mean(0)).mean()),
    ("All draws are summed: their mean is asked.",
     lambda log_q, log_p: (log_q.logsumexp(2) - _log_n(log_q) - log_p).sum()),
)

EXERCISE = Exercise(
    id="surgery.marginal_kl", number="3.3", title="the marginal KL",
    prompt="the Monte-Carlo estimate of the KL from the aggregated posterior to the prior, one number",
    more="All draws together are draws from q_agg: the mean of log q_agg − log p over them.",
    cases=cases, reference=marginal_kl, mistakes=MISTAKES,
)
