"""1.9 The f-divergence."""

import math
from collections.abc import Callable

from torch import Tensor

from .. import Case, Exercise
from ..draws import Cases, Rng, in_float32
from ..recipes import GENERATORS, Generator
from ._shared import AT_ZERO, F_AT_ZERO, MANY, ONE, Ordinary, _shapes, _table


def f_divergence(f: Callable, p: Tensor, q: Tensor) -> Tensor:
    """E_q[f(p/q)]"""
    return q.flatten() @ f(p / q).flatten()


SOME_F = "Right for some f alone: f comes as an argument, and any convex f with f(1) = 0 may come."


def cases(rng: Rng) -> Cases:
    """q is positive throughout, and p has zeros only where f(0) is finite."""
    shapes = [shape for _, shape, _ in _shapes(rng)[:4]]
    for formula, shape in zip(GENERATORS, (*shapes, *shapes)):
        hint = SOME_F if formula in ("f = max(t − 2, 0)", "f = t³ − 1") else ""
        q = _table(rng, *shape)
        q.reshape(-1)[0] /= 4  # so that some ratio is above 2
        q /= q.sum()
        yield Case(formula, {"f": Generator(formula), "p": _table(rng, *shape), "q": q}, {"cells": q.size}, hint)
    for name, formula, shape, zeros, hint in (
        *(("float32", "f = t log t", (6,), 0, ""), ("p has zeros", "f = t log t", (7,), 2, F_AT_ZERO)),
        *(("one symbol", "f = −log t", (1,), 0, ONE), ("40 symbols", "f = (t − 1)²", (40,), 0, MANY)),
    ):
        args = {"f": Generator(formula), "p": _table(rng, *shape, zeros=zeros), "q": _table(rng, *shape)}
        yield Case(name, in_float32(args) if name == "float32" else args, {"cells": math.prod(shape)}, hint)


def _f(weight: Callable, at: Callable) -> Callable:
    """Σ weight(p, q) f(at(p, q))"""
    return lambda f, p, q: (weight(p, q) * f(at(p, q))).sum()


# fmt: off
MISTAKES = (
    ("The average is taken over p: it is q that weighs the values of f. (Then KL has f = t log t.)",
     _f(lambda p, q: p, lambda p, q: p / q)),
    ("p and q are exchanged altogether: that is D_f(q‖p).", _f(lambda p, q: p, lambda p, q: q / p)),
    ("The ratio is upside down: f is asked at p/q.", _f(lambda p, q: q, lambda p, q: q / p)),
    ("The weights are missing: each value of f counts as much as q holds it likely.",
     _f(lambda p, q: 1, lambda p, q: p / q)),
    ("A mean over the cells, without the weights of q.", lambda f, p, q: f(p / q).mean()),
    ("f is asked at the logarithm of the ratio: at the ratio itself it should be.",
     _f(lambda p, q: q, lambda p, q: (p / q).log())),
    ("f is asked at the difference p − q: at the ratio p/q it should be.", _f(lambda p, q: q, lambda p, q: p - q)),
    ("f is asked at q/(p + q) or the like: at the ratio p/q it should be.",
     _f(lambda p, q: q, lambda p, q: p / (p + q))),
    ("f is asked at p alone: at the ratio p/q it should be.", _f(lambda p, q: q, lambda p, q: p)),
    ("f is asked at the product q p/q, which is p: the weight stands outside of f.",
     _f(lambda p, q: 1, lambda p, q: p)),
    ("f is applied to p and q one by one, and then compared: f is asked at the ratio.",
     lambda f, p, q: (q * (f(p) - f(q))).sum()),
    ("f is applied to p and q one by one, and then compared: f is asked at the ratio.",
     lambda f, p, q: (f(p) - f(q)).sum()),
    ("f is applied to the sum: its average is asked, not f of the average (which is f(1) = 0 always).",
     lambda f, p, q: f((q * (p / q)).sum())),
    ("f is applied to the sum: its average is asked, not f of the average.", lambda f, p, q: f((p / q).sum())),
    ("f is applied to the average over p of the ratio: the values of f are averaged, not the ratios.",
     lambda f, p, q: f((p * (p / q)).sum())),
    ("Both orders are averaged: a divergence need not be symmetric, D_f(p‖q) alone is asked.",
     lambda f, p, q: ((q * f(p / q)).sum() + (p * f(q / p)).sum()) / 2),
    ("Both orders are added: a divergence need not be symmetric, D_f(p‖q) alone is asked.",
     lambda f, p, q: (q * f(p / q)).sum() + (p * f(q / p)).sum()),
    ("The absolute values are summed: f may be negative where t is near 1 (t log t is), and counts as it is.",
     lambda f, p, q: (q * f(p / q)).abs().sum()),
    ("Both p and q weigh the values of f: q alone does.", _f(lambda p, q: p * q, lambda p, q: p / q)),
    ("The mean of p and q weighs the values of f: q alone does.",
     _f(lambda p, q: (p + q) / 2, lambda p, q: p / q)),
    ("That is the KL, whatever f is: f comes as an argument.", lambda f, p, q: (p * (p / q).log()).sum()),
    ("f is not used: the ratios alone average to one.", lambda f, p, q: (q * (p / q)).sum()),
)

EXERCISE = Exercise(
    id="ar.f_divergence", number="1.9", title="the f-divergence",
    prompt="the average over q of f at the ratio of p to q, all cells of the tables together",
    more="f is elementwise: f(p / q) is a table of the same shape; weigh it by q and sum.",
    cases=cases, reference=f_divergence, mistakes=MISTAKES, law=Ordinary(AT_ZERO),
)
