"""1.8 The forward KL."""

import math

from torch import Tensor

from .. import Case, Exercise
from ..draws import Cases, Rng, in_float32
from ._shared import AT_ZERO, INFINITE, ZEROS, Ordinary, _shapes, _table


def forward_kl(p: Tensor, q: Tensor) -> Tensor:
    """Cell by cell where p is not zero."""
    some = p > 0
    return (p[some] * (p[some].log() - q[some].log())).sum()


def cases(rng: Rng) -> Cases:
    for name, shape, hint in _shapes(rng):
        args = {"p": _table(rng, *shape), "q": _table(rng, *shape)}
        yield Case(name, in_float32(args) if name == "float32" else args, {"cells": math.prod(shape)}, hint)
    symbols = int(rng.integers(5, 9))
    for name, p_zeros, q_zeros, hint in (
        *(("p has zeros", 2, 0, ZEROS), ("p and q have zeros at the same cells", 2, 2, ZEROS)),
        ("q has a zero where p has none", 0, 1, INFINITE),
    ):
        args = {"p": _table(rng, symbols, zeros=p_zeros), "q": _table(rng, symbols, zeros=q_zeros)}
        yield Case(name, args, {"cells": symbols}, hint)


def _log_ratio(p: Tensor, q: Tensor) -> Tensor:
    return p.log() - q.log()


def _kl(p: Tensor, q: Tensor) -> Tensor:
    return (p * _log_ratio(p, q)).sum()


# fmt: off
MISTAKES = (
    ("The reverse KL: the average is taken over q. Forward, it is taken over p, the data.",
     lambda p, q: _kl(q, p)),
    ("The reverse KL with its sign reversed: the weights are those of p, not of q.",
     lambda p, q: (q * _log_ratio(p, q)).sum()),
    ("The sign is reversed: a KL is never negative. Which of the two is above the line?", lambda p, q: -_kl(p, q)),
    ("Logarithms to base 2: nats are asked, the natural logarithm.", lambda p, q: _kl(p, q) / math.log(2)),
    ("A mean over the cells: p weighs the terms already, so they are summed.", lambda p, q: _kl(p, q) / p.numel()),
    ("A mean over the last axis, or over rows: p weighs the terms already, so they are summed over all cells.",
     lambda p, q: _kl(p, q) / p.shape[-1] if p.ndim > 1 else _kl(p, q)),
    ("Averaged over the first axis: all cells of the table are summed.", lambda p, q: _kl(p, q) / len(p)),
    ("The weights are missing: each logarithm counts as much as p holds it likely.",
     lambda p, q: _log_ratio(p, q).sum()),
    ("The weights are missing, and a mean is taken: each counts as much as p holds it likely.",
     lambda p, q: _log_ratio(p, q).mean()),
    ("The cross-entropy −Σ p log q: the entropy of p is to be taken off.", lambda p, q: -(p * q.log()).sum()),
    ("Minus the entropy of p: q is not used.", lambda p, q: (p * p.log()).sum()),
    ("The entropy of p: q is not used.", lambda p, q: -(p * p.log()).sum()),
    ("Entropy and cross-entropy are added: they differ by the KL.",
     lambda p, q: -(p * p.log()).sum() - (p * q.log()).sum()),
    ("kl_div takes the logarithm of its first argument, which came without: see what it says of `input`.",
     lambda p, q: (p * (p.log() - q)).sum()),
    ("kl_div takes the logarithm of its first argument, and the distribution that weighs second: these are "
     "exchanged.",
     lambda p, q: (q * (q.log() - p)).sum()),
    ("kl_div takes the logarithm of its first argument, which came without, and takes a mean where no reduction "
     "is named.",
     lambda p, q: (p * (p.log() - q)).mean()),
    ("The absolute values are summed: terms of the KL may be negative.",
     lambda p, q: (p * _log_ratio(p, q)).abs().sum()),
    ("Both directions are added: that is Jeffreys' divergence.", lambda p, q: _kl(p, q) + _kl(q, p)),
    ("Both directions are averaged: that is half of Jeffreys' divergence.",
     lambda p, q: (_kl(p, q) + _kl(q, p)) / 2),
    ("The Jensen–Shannon divergence came, which compares both with their mean.",
     lambda p, q: (_kl(p, (p + q) / 2) + _kl(q, (p + q) / 2)) / 2),
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
    ("The logarithm is taken of the whole: it is the logarithms that are averaged.",
     lambda p, q: (p * p / q).sum().log()),
)

EXERCISE = Exercise(
    id="ar.forward_kl", number="1.8", title="the forward KL",
    prompt="the forward KL of two tables, in nats: a cell without p counts 0, and one with p but without q "
           "makes it infinite",
    more="Take the cells where p > 0 (an index, or torch.where) and sum p (log p − log q) over them; log 0 is "
         "−∞, and rightly so.",
    cases=cases, reference=forward_kl, mistakes=MISTAKES, law=Ordinary(AT_ZERO),
)
