"""Tables of so few tokens that all sequences, masks and orders can be summed over.

The oracles use the schedule alpha(t) and the table only."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import nn

from dgm_course.core.distributions import TableDistribution
from dgm_course.paths import MaskPath, cosine_reveal, geometric_reveal, linear_reveal
from dgm_course.paths.model import PathModel

F64 = torch.float64
BETAS = torch.tensor([0.1, 0.35, 0.2, 0.5, 1.0], dtype=F64)
PATHS = {  # every law is tested for every schedule here
    "linear": MaskPath(2, linear_reveal),
    "cosine": MaskPath(2, cosine_reveal),
    "geometric": MaskPath(2, geometric_reveal),
    "chain": MaskPath.chain(BETAS, 2),
    "home-made": MaskPath(2, lambda t: t * t * (3 - 2 * t)),
}
K, L = 2, 3
DATA = TableDistribution(
    torch.tensor([[[0.30, 0.02], [0.05, 0.10]], [[0.04, 0.16], [0.25, 0.08]]], dtype=F64), "data"
)
PAIR = TableDistribution(
    torch.tensor([[0.2, 0.1, 0.05], [0.0, 0.3, 0.1], [0.1, 0.05, 0.1]], dtype=F64), "pair"
)  # one word has probability 0
WORDS = list(itertools.product(range(K), repeat=L))
DARK = (K,) * L

every = pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)


def scalar(t: float) -> torch.Tensor:
    return torch.tensor(t, dtype=F64)


def alpha(path, t: float) -> float:
    return float(path.alpha(scalar(t)))


def conditional_table(data: TableDistribution) -> torch.Tensor:
    """p(x_l = v | visible) for every state, by adding up entries of the table.  (K+1, ..., K+1, L, K)"""
    k, length = data.symbols, data.probs.ndim
    table = torch.zeros(*[k + 1] * length, length, k, dtype=F64)
    for state in itertools.product(range(k + 1), repeat=length):
        for word in itertools.product(range(k), repeat=length):
            if all(seen in (token, k) for seen, token in zip(state, word)):
                for place, token in enumerate(word):
                    table[state][place, token] += data.probs[word]
    return table / table.sum(-1, keepdim=True)


CONDITIONAL = conditional_table(DATA)


def appears(path, t: float, s: float) -> float:
    """P(x0 < alpha_s | x0 >= alpha_t), x0 uniform"""
    return (alpha(path, s) - alpha(path, t)) / (1 - alpha(path, t))


def nexts(table, chance: float, state) -> dict:
    """The states after one step and their probabilities; masked tokens appear independently."""
    options = [
        [(seen, 1.0)]
        if seen < K
        else [(K, 1 - chance), *((v, chance * float(table[state][place, v])) for v in range(K))]
        for place, seen in enumerate(state)
    ]
    return {tuple(v for v, _ in way): math.prod(p for _, p in way) for way in itertools.product(*options)}


def followed(path, table, steps: int, start=DARK) -> torch.Tensor:
    """Where the chain of T steps ends, exactly.  (K+1, ..., K+1)"""
    now = {start: 1.0}
    for k in range(steps):
        then: dict = {}
        for state, p in now.items():
            for other, q in nexts(table, appears(path, k / steps, (k + 1) / steps), state).items():
                then[other] = then.get(other, 0.0) + p * q
        now = then
    out = torch.zeros(*[K + 1] * L, dtype=F64)
    for state, p in now.items():
        out[state] = p
    return out


def shares(x: torch.Tensor, k: int = K + 1) -> torch.Tensor:
    """Frequency of each sequence.  (n, L) -> (k, ..., k)"""
    place = sum(x[:, i] * k ** (x.shape[1] - 1 - i) for i in range(x.shape[1]))
    return torch.bincount(place, minlength=k ** x.shape[1]).double().view([k] * x.shape[1]) / len(x)


def assert_frequencies(x: torch.Tensor, expected: torch.Tensor) -> None:
    """Each frequency within five standard errors (plus three counts), and 0 where it has to be."""
    found = shares(x, expected.shape[0])
    assert (found[expected == 0] == 0).all()
    slack = 5 * (expected * (1 - expected) / len(x)).sqrt() + 3 / len(x)
    assert ((found - expected).abs() <= slack).all(), (found, expected)


class Lookup(nn.Module):
    """Random logits for each state: a wrong model whose bound can be summed."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(9)
        self.logits = nn.Parameter(torch.randn(*[K + 1] * L, L, K, generator=generator, dtype=F64))

    def forward(self, x, t, y=None):
        return self.logits[tuple(x.T)]

    @property
    def log_conditional(self):
        return self.logits.log_softmax(-1)


def lookup(path, times=None) -> PathModel:
    return PathModel(Lookup(), path, (L,), "data", *([times] if times else []))
