"""The usual slips in divergences of tables, exercises 1.8 and 1.9, as in `_autoregressive_masks`."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

from ._autoregressive_masks import Form, Mistakes

# --- 1.8 the forward KL


def _log_ratio(p: Tensor, q: Tensor) -> Tensor:
    return p.log() - q.log()


def _kl(p: Tensor, q: Tensor) -> Tensor:
    return (p * _log_ratio(p, q)).sum()


def _jsd(p: Tensor, q: Tensor) -> Tensor:
    return (_kl(p, (p + q) / 2) + _kl(q, (p + q) / 2)) / 2


KL: Mistakes = (
    ("The reverse KL: the average is taken over q. Forward, it is taken over p, the data.", lambda p, q: _kl(q, p)),
    ("The reverse KL with its sign reversed: the weights are those of p, not of q.",
     lambda p, q: (q * _log_ratio(p, q)).sum()),
    ("The sign is reversed: a KL is never negative. Which of the two is above the line?", lambda p, q: -_kl(p, q)),
    ("Logarithms to base 2: nats are asked, the natural logarithm.", lambda p, q: _kl(p, q) / math.log(2)),
    ("A mean over the cells: p weighs the terms already, so they are summed.", lambda p, q: _kl(p, q) / p.numel()),
    (
        "A mean over the last axis, or over rows: p weighs the terms already, so they are summed over all cells.",
        lambda p, q: _kl(p, q) / p.shape[-1] if p.ndim > 1 else _kl(p, q),
    ),
    ("Averaged over the first axis: all cells of the table are summed.", lambda p, q: _kl(p, q) / len(p)),
    ("The weights are missing: each logarithm counts as much as p holds it likely.", lambda p, q: _log_ratio(p, q).sum()),
    ("The weights are missing, and a mean is taken: each counts as much as p holds it likely.",
     lambda p, q: _log_ratio(p, q).mean()),
    ("The cross-entropy −Σ p log q: the entropy of p is to be taken off.", lambda p, q: -(p * q.log()).sum()),
    ("Minus the entropy of p: q is not used.", lambda p, q: (p * p.log()).sum()),
    ("The entropy of p: q is not used.", lambda p, q: -(p * p.log()).sum()),
    ("Entropy and cross-entropy are added: they differ by the KL.", lambda p, q: -(p * p.log()).sum() - (p * q.log()).sum()),
    ("kl_div takes the logarithm of its first argument, which came without: see what it says of `input`.",
     lambda p, q: (p * (p.log() - q)).sum()),
    ("kl_div takes the logarithm of its first argument, and the distribution that weighs second: these are exchanged.",
     lambda p, q: (q * (q.log() - p)).sum()),
    ("kl_div takes the logarithm of its first argument, which came without, and takes a mean where no reduction is named.",
     lambda p, q: (p * (p.log() - q)).mean()),
    ("The absolute values are summed: terms of the KL may be negative.", lambda p, q: (p * _log_ratio(p, q)).abs().sum()),
    ("Both directions are added: that is Jeffreys' divergence.", lambda p, q: _kl(p, q) + _kl(q, p)),
    ("Both directions are averaged: that is half of Jeffreys' divergence.", lambda p, q: (_kl(p, q) + _kl(q, p)) / 2),
    ("The Jensen–Shannon divergence came, which compares both with their mean.", _jsd),
    ("q is mixed with p: that is the first half of Jensen–Shannon.", lambda p, q: _kl(p, (p + q) / 2)),
    ("The total variation came: that is another f-divergence.", lambda p, q: (p - q).abs().sum() / 2),
    ("Half the KL came: a factor ½ too many.", lambda p, q: _kl(p, q) / 2),
    ("A softmax was taken: p and q are probabilities as they come.",
     lambda p, q: _kl(p.flatten().softmax(0), q.flatten().softmax(0))),
    ("Squares: the logarithms are averaged as they are.", lambda p, q: (p * _log_ratio(p, q) ** 2).sum()),
    ("The logarithm is missing: Σ p (p/q), less one, is χ².", lambda p, q: (p * p / q).sum()),
    ("χ² came: that is another f-divergence.", lambda p, q: ((p - q) ** 2 / q).sum()),
    ("The squared distance of the tables came: no ratio is in it, and rare cells count for little.",
     lambda p, q: ((p - q) ** 2).sum()),
    ("The logarithm is taken of the whole: it is the logarithms that are averaged.", lambda p, q: (p * p / q).sum().log()),
)


# --- 1.9 the f-divergence


def _f(weight: Callable, at: Callable) -> Form:
    """Σ weight(p, q) f(at(p, q))"""
    return lambda f, p, q: (weight(p, q) * f(at(p, q))).sum()


DIVERGENCE: Mistakes = (
    (
        "The average is taken over p: it is q that weighs the values of f. (Then KL has f = t log t.)",
        _f(lambda p, q: p, lambda p, q: p / q),
    ),
    (
        "p and q are exchanged altogether: that is D_f(q‖p).",
        _f(lambda p, q: p, lambda p, q: q / p),
    ),
    (
        "The ratio is upside down: f is asked at p/q.",
        _f(lambda p, q: q, lambda p, q: q / p),
    ),
    (
        "The weights are missing: each value of f counts as much as q holds it likely.",
        _f(lambda p, q: 1, lambda p, q: p / q),
    ),
    (
        "A mean over the cells, without the weights of q.",
        lambda f, p, q: f(p / q).mean(),
    ),
    (
        "A mean over the cells: q weighs the terms already, so they are summed.",
        lambda f, p, q: (q * f(p / q)).mean(),
    ),
    (
        "f is asked at the logarithm of the ratio: at the ratio itself it should be.",
        _f(lambda p, q: q, lambda p, q: (p / q).log()),
    ),
    (
        "f is asked at the difference p − q: at the ratio p/q it should be.",
        _f(lambda p, q: q, lambda p, q: p - q),
    ),
    (
        "f is asked at q/(p + q) or the like: at the ratio p/q it should be.",
        _f(lambda p, q: q, lambda p, q: p / (p + q)),
    ),
    (
        "f is asked at p alone: at the ratio p/q it should be.",
        _f(lambda p, q: q, lambda p, q: p),
    ),
    (
        "f is asked at the product q p/q, which is p: the weight stands outside of f.",
        _f(lambda p, q: 1, lambda p, q: p),
    ),
    (
        "f is applied to p and q one by one, and then compared: f is asked at the ratio.",
        lambda f, p, q: (q * (f(p) - f(q))).sum(),
    ),
    (
        "f is applied to p and q one by one, and then compared: f is asked at the ratio.",
        lambda f, p, q: (f(p) - f(q)).sum(),
    ),
    (
        "f is applied to the sum: its average is asked, not f of the average (which is f(1) = 0 always).",
        lambda f, p, q: f((q * (p / q)).sum()),
    ),
    (
        "f is applied to the sum: its average is asked, not f of the average.",
        lambda f, p, q: f((p / q).sum()),
    ),
    (
        "f is applied to the average over p of the ratio: the values of f are averaged, not the ratios.",
        lambda f, p, q: f((p * (p / q)).sum()),
    ),
    (
        "The sign is reversed: f is convex and f(1) = 0, so no f-divergence is negative.",
        lambda f, p, q: -(q * f(p / q)).sum(),
    ),
    (
        "Both orders are averaged: a divergence need not be symmetric, D_f(p‖q) alone is asked.",
        lambda f, p, q: ((q * f(p / q)).sum() + (p * f(q / p)).sum()) / 2,
    ),
    (
        "Both orders are added: a divergence need not be symmetric, D_f(p‖q) alone is asked.",
        lambda f, p, q: (q * f(p / q)).sum() + (p * f(q / p)).sum(),
    ),
    (
        "The absolute values are summed: f may be negative where t is near 1 (t log t is), and counts as it is.",
        lambda f, p, q: (q * f(p / q)).abs().sum(),
    ),
    (
        "Both p and q weigh the values of f: q alone does.",
        _f(lambda p, q: p * q, lambda p, q: p / q),
    ),
    (
        "The mean of p and q weighs the values of f: q alone does.",
        _f(lambda p, q: (p + q) / 2, lambda p, q: p / q),
    ),
    (
        "That is the KL, whatever f is: f comes as an argument.",
        lambda f, p, q: (p * (p / q).log()).sum(),
    ),
    (
        "f is not used: the ratios alone average to one.",
        lambda f, p, q: (q * (p / q)).sum(),
    ),
)
