"""The usual slips in the chain of absorbing diffusion, exercises 9.1 and 9.2: a hint, and the wrong form that earns it.

An answer whose values agree with a wrong form in every case gets its hint; tests hold that each is wrong.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

Form = Callable[..., Tensor]
Mistakes = tuple[tuple[str, Form], ...]


# --- 9.1 the transition matrix


def _matrix(keep: Callable, absorb: Callable, place: Callable = lambda k: k) -> Form:
    """keep(β) I + absorb(β) e 1ᵀ, with the row of ones at place(K)."""

    def form(beta: float, vocabulary: int) -> Tensor:
        ones = torch.zeros(vocabulary + 1, vocabulary + 1)
        ones[place(vocabulary)] = 1
        return keep(beta) * torch.eye(vocabulary + 1) + absorb(beta) * ones

    return form


def _right(beta: float, vocabulary: int) -> Tensor:
    return _matrix(lambda b: 1 - b, lambda b: b)(beta, vocabulary)


def _only_corner(beta: float, vocabulary: int) -> Tensor:
    corner = F.one_hot(torch.tensor(vocabulary), vocabulary + 1)
    return (1 - beta) * torch.eye(vocabulary + 1) + beta * torch.outer(corner, corner)


def _leaking(beta: float, vocabulary: int, corner: Callable) -> Tensor:
    """The right matrix with another column for the mask: corner(β) on the diagonal, the rest spread over the tokens."""
    out = _right(beta, vocabulary)
    out[:, vocabulary] = (1 - corner(beta)) / vocabulary
    out[vocabulary, vocabulary] = corner(beta)
    return out


def _unabsorbed(beta: float, vocabulary: int) -> Tensor:
    out = _right(beta, vocabulary)
    out[vocabulary, vocabulary] = 1 - beta
    return out


def _lost(beta: float, vocabulary: int) -> Tensor:
    out = _right(beta, vocabulary)
    out[:, vocabulary] = 0
    return out


def _doubled(beta: float, vocabulary: int) -> Tensor:
    out = _right(beta, vocabulary)
    out[vocabulary, vocabulary] = beta
    return out


TRANSITION: Mistakes = (
    (
        "Transposed: in yours each row sums to one. Here a column says where a token goes (column from, row to), so the "
        "mask is a row of β.",
        lambda beta, vocabulary: _right(beta, vocabulary).T,
    ),
    (
        "β and 1 − β are exchanged: β is the chance to become the mask.",
        _matrix(lambda b: b, lambda b: 1 - b),
    ),
    (
        "The row of β stands at token 0: the mask is the last of the K + 1 states, not the first.",
        _matrix(lambda b: 1 - b, lambda b: b, lambda k: 0),
    ),
    (
        "The row of β stands one place too high, at the last clean token: with K clean tokens counted from 0 the mask is K.",
        _matrix(lambda b: 1 - b, lambda b: b, lambda k: k - 1),
    ),
    (
        "The identity is not scaled, so columns sum to 1 + β: who is masked is no longer kept.",
        _matrix(lambda b: 1.0, lambda b: b),
    ),
    (
        "The row of the mask is not scaled by β: columns sum to more than one.",
        _matrix(lambda b: 1 - b, lambda b: 1.0),
    ),
    (
        "The masked share β goes nowhere: columns sum to 1 − β.",
        _matrix(lambda b: 1 - b, lambda b: 0.0),
    ),
    (
        "The tokens that stay are missing: only the part that becomes the mask came.",
        _matrix(lambda b: 0.0, lambda b: b),
    ),
    (
        "β stands in the corner alone: every state can become the mask, so e_m 1ᵀ is a whole row.",
        _only_corner,
    ),
    (
        "The mask is not absorbing: in its column stands less than one. Both terms of the sum meet on the diagonal there.",
        _unabsorbed,
    ),
    (
        "On the mask's diagonal stands β: both terms of the sum meet there, and a mask stays a mask for certain.",
        _doubled,
    ),
    (
        "The mask's column is empty, or does not sum to one: what is masked goes somewhere too, to the mask.",
        _lost,
    ),
    (
        "The mask can turn back into tokens: in its column only one entry is not zero.",
        lambda beta, vocabulary: _leaking(beta, vocabulary, lambda b: 1 - b),
    ),
    (
        "The share β is spread evenly over all states: that is uniform diffusion. The absorbing chain gives it to the mask.",
        lambda b, k: (1 - b) * torch.eye(k + 1) + b / (k + 1),
    ),
    (
        "β was added to every entry: 1ᵀ is a row of ones, and e_m puts it into one row of the matrix.",
        lambda b, k: (1 - b) * torch.eye(k + 1) + b,
    ),
    (
        "Two steps were made instead of one.",
        lambda beta, vocabulary: _right(beta, vocabulary) @ _right(beta, vocabulary),
    ),
)


# --- 9.2 corruption


def _corrupted(visible: Callable, mask: Callable = lambda m: m) -> Form:
    """x where visible(hours, survive), with survive (B, 1), else the mask."""
    return lambda x, hours, survive, m: torch.where(visible(hours, survive[:, None]), x, mask(m))


def _by_rank(x: Tensor, hours: Tensor, survive: Tensor, m: int) -> Tensor:
    rank = hours.argsort(1).argsort(1)
    return torch.where(rank < (survive[:, None] * x.shape[1]).round(), x, m)


CORRUPTION: Mistakes = (
    (
        "Inverted: yours masks the tokens whose hour is below survive. A token is visible with probability survive.",
        _corrupted(lambda h, a: h >= a),
    ),
    (
        "One hour for a whole sequence: all its tokens are masked together. Each place has an hour of its own.",
        _corrupted(lambda h, a: (h[:, :1] < a).expand(h.shape)),
    ),
    (
        "One hour for a whole column: every sequence is masked by the hours of the first. Each has its own.",
        _corrupted(lambda h, a: h[:1] < a),
    ),
    (
        "survive lies along the wrong axis: it is one number a sequence, and yours gives one to each place.",
        lambda x, hours, survive, m: torch.where(hours < survive, x, m),
    ),
    (
        "The first number of survive is used for all: every sequence has its own.",
        _corrupted(lambda h, a: h < a[:1]),
    ),
    (
        "survive is averaged over the batch: every sequence has its own.",
        _corrupted(lambda h, a: h < a.mean()),
    ),
    (
        "Masked places hold 0, which is a clean token: the mask has a number of its own.",
        _corrupted(lambda h, a: h < a, lambda m: 0),
    ),
    (
        "Masked places hold the last clean token: the mask comes after it.",
        _corrupted(lambda h, a: h < a, lambda m: m - 1),
    ),
    (
        "Masked places hold −1: the mask is the number that came in.",
        _corrupted(lambda h, a: h < a, lambda m: -1),
    ),
    (
        "The threshold is ½ for everyone: survive is not used.",
        _corrupted(lambda h, a: h < 0.5),
    ),
    (
        "The threshold is 1 − survive: that is the chance to be masked, and the tokens below it were kept.",
        _corrupted(lambda h, a: h < 1 - a),
    ),
    (
        "The threshold is the square of survive: alpha-bar is a probability here, not a scale.",
        _corrupted(lambda h, a: h < a**2),
    ),
    (
        "The threshold is the root of survive: alpha-bar is a probability here, as it is.",
        _corrupted(lambda h, a: h < a**0.5),
    ),
    (
        "Exactly the share survive of each sequence is kept, its lowest hours: each token is to be judged on its own.",
        _by_rank,
    ),
    (
        "True and False came: which tokens are visible. The tokens themselves are asked, and the mask elsewhere.",
        lambda x, hours, survive, m: hours < survive[:, None],
    ),
    (
        "True and False came: which tokens are masked. The tokens themselves are asked, and the mask there.",
        lambda x, hours, survive, m: hours >= survive[:, None],
    ),
)
