"""5.4 The Jensen-Shannon divergence."""

import math

import numpy as np
import torch
from torch import Tensor

from .. import Case, Exercise
from ..draws import NARROW, Cases, Rng
from ._shared import LARGE, _kind, _size


def jsd(p: Tensor, q: Tensor) -> Tensor:
    """By entropies: that of the mixture less the mean of the two."""
    entropy = lambda table: torch.special.entr(table.double()).sum(-1)
    return (entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2).clamp(min=0).to(p.dtype)


ZEROS = (
    "Wrong only where a table holds a zero: 0 log 0 counts as 0 (torch.xlogy, or a sum over the positive entries)."
)


def cases(rng: Rng) -> Cases:
    """Rows that sum to one.  The square batch comes first, where a wrong axis gives wrong values and not an
    error."""
    side = int(rng.integers(5, 8))
    for name, size, symbols, hint in (
        ("B = K", side, side, ""),
        ("two tables", _size(rng), int(rng.integers(3, 6)), ""),
        ("float32", _size(rng), int(rng.integers(3, 6)), ""),
        ("a zero in one", _size(rng), 4, ZEROS),
        ("nothing in common", _size(rng), 4, ZEROS),
        ("B = 1", 1, 3, NARROW),
        ("K = 1", _size(rng), 1, NARROW),
        ("B = 40", 40, 3, LARGE),
    ):
        p, q = (rng.dirichlet(np.ones(symbols), size=size) * 0.9 + 0.1 / symbols for _ in range(2))
        if name == "a zero in one":
            p[:2, 0], q[1:3, 1] = 0, 0
        if name == "nothing in common":
            p[:, 2:], q[:, :2] = 0, 0
        p, q = (table / table.sum(1, keepdims=True) for table in (p, q))
        shown = {"row": np.arange(size)} | {f"p[{k}]": p[:, k] for k in range(min(3, symbols))}
        shown |= {f"q[{k}]": q[:, k] for k in range(min(3, symbols))}
        yield Case(name, {"p": p.astype(_kind(name)), "q": q.astype(_kind(name))}, shown, hint)


def _kl(p: Tensor, q: Tensor) -> Tensor:
    return torch.where(p > 0, p * (p / q).log(), 0.0).sum(-1)


def _js(p: Tensor, q: Tensor) -> Tensor:
    return (_kl(p, (p + q) / 2) + _kl(q, (p + q) / 2)) / 2


# fmt: off
MISTAKES = (
    ("Only the half of p is there: q is compared with the mixture as well.", lambda p, q: _kl(p, (p + q) / 2)),
    ("Only the half of q is there: p is compared with the mixture as well.", lambda p, q: _kl(q, (p + q) / 2)),
    ("The ½ is there, but only the half of p: q is compared with the mixture as well.",
     lambda p, q: _kl(p, (p + q) / 2) / 2),
    ("That is KL(p ‖ q): the mixture (p + q)/2 does not occur, and where q is 0 it is infinite.", _kl),
    ("That is the average of KL(p ‖ q) and KL(q ‖ p): symmetric, too, but each is to be compared with the "
     "mixture.",
     lambda p, q: (_kl(p, q) + _kl(q, p)) / 2),
    ("The mixture is the second argument of each KL, not the first: KL(p ‖ m), not KL(m ‖ p).",
     lambda p, q: (_kl((p + q) / 2, p) + _kl((p + q) / 2, q)) / 2),
    ("Too small by log 2: the mixture is (p + q)/2, and p + q sums to two.",
     lambda p, q: (_kl(p, p + q) + _kl(q, p + q)) / 2),
    ("That is the value of the game, 2 JSD − 2 log 2: the divergence itself is asked.",
     lambda p, q: 2 * _js(p, q) - 2 * math.log(2)),
    ("That is the total variation, ½ Σ|p − q|.", lambda p, q: (p - q).abs().sum(-1) / 2),
    ("All rows were added up: one number for each pair of tables is asked.",
     lambda p, q: _js(p, q).sum() + 0 * p[:, 0]),
)

EXERCISE = Exercise(
    id="gan.jsd", number="5.4", title="the Jensen-Shannon divergence",
    prompt="of each pair of tables: the average of their KLs to their even mixture, in nats",
    more="½ Σ p log(p/m) + ½ Σ q log(q/m), m = (p + q)/2, where a zero times its logarithm counts as zero "
         "(torch.xlogy).",
    cases=cases, reference=jsd, mistakes=MISTAKES,
)
