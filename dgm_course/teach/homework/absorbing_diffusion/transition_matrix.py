"""9.1 The transition matrix."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ....paths import MaskPath
from .. import Case, Exercise
from ..draws import Cases, Rng
from ._shared import ENDS, _chances


def transition_matrix(beta: float, vocabulary: int) -> Tensor:
    """The step from data, alpha = 1, to alpha = 1 − β."""
    return MaskPath(vocabulary).transition(1.0, 1 - torch.as_tensor(beta, dtype=torch.float64)).float()


def cases(rng: Rng) -> Cases:
    for name, beta, vocabulary in (
        ("K = 3", float(_chances(rng, low=0.1, high=0.4)), 3),
        ("K = 5", float(_chances(rng, low=0.6, high=0.9)), 5),
        ("another K", float(_chances(rng, low=0.1, high=0.4)), int(rng.integers(6, 12))),
        ("one symbol", float(_chances(rng, low=0.6, high=0.9)), 1),
        ("two symbols", float(_chances(rng, low=0.1, high=0.4)), 2),
        ("β = 1", 1.0, 4),
    ):
        states = np.arange(vocabulary + 1)
        shown = {"β": beta, "row (to)": states[:, None], "column (from)": states[None]}
        yield Case(name, {"beta": beta, "vocabulary": vocabulary}, shown, ENDS if name == "β = 1" else "")


def _matrix(keep: Callable, absorb: Callable, place: Callable = lambda k: k) -> Callable:
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
    """The right matrix with another column for the mask: corner(β) on the diagonal, the rest spread over the
    tokens."""
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


# fmt: off
MISTAKES = (
    ("β and 1 − β are exchanged: β is the chance to become the mask.", _matrix(lambda b: b, lambda b: 1 - b)),
    ("The row of β stands at token 0: the mask is the last of the K + 1 states, not the first.",
     _matrix(lambda b: 1 - b, lambda b: b, lambda k: 0)),
    ("The row of β stands one place too high, at the last clean token: with K clean tokens counted from 0 the "
     "mask is K.",
     _matrix(lambda b: 1 - b, lambda b: b, lambda k: k - 1)),
    ("The identity is not scaled, so columns sum to 1 + β: who is masked is no longer kept.",
     _matrix(lambda b: 1.0, lambda b: b)),
    ("The row of the mask is not scaled by β: columns sum to more than one.",
     _matrix(lambda b: 1 - b, lambda b: 1.0)),
    ("The masked share β goes nowhere: columns sum to 1 − β.", _matrix(lambda b: 1 - b, lambda b: 0.0)),
    ("The tokens that stay are missing: only the part that becomes the mask came.",
     _matrix(lambda b: 0.0, lambda b: b)),
    ("β stands in the corner alone: every state can become the mask, so e_m 1ᵀ is a whole row.", _only_corner),
    ("The mask is not absorbing: in its column stands less than one. Both terms of the sum meet on the diagonal "
     "there.",
     _unabsorbed),
    ("On the mask's diagonal stands β: both terms of the sum meet there, and a mask stays a mask for certain.",
     _doubled),
    ("The mask's column is empty, or does not sum to one: what is masked goes somewhere too, to the mask.", _lost),
    ("The mask can turn back into tokens: in its column only one entry is not zero.",
     lambda beta, vocabulary: _leaking(beta, vocabulary, lambda b: 1 - b)),
    ("The share β is spread evenly over all states: that is uniform diffusion. The absorbing chain gives it to "
     "the mask.",
     lambda b, k: (1 - b) * torch.eye(k + 1) + b / (k + 1)),
    ("β was added to every entry: 1ᵀ is a row of ones, and e_m puts it into one row of the matrix.",
     lambda b, k: (1 - b) * torch.eye(k + 1) + b),
    ("Two steps were made instead of one.",
     lambda beta, vocabulary: _right(beta, vocabulary) @ _right(beta, vocabulary)),
)

EXERCISE = Exercise(
    id="abs.transition_matrix", number="9.1", title="the transition matrix",
    prompt="the matrix of one step over all tokens and the mask, which is last: column from, row to",
    more="(1 − β) I + β e_m 1ᵀ: the identity has K + 1 rows, and e_m 1ᵀ is zero but for the mask's row, which "
         "is all ones.",
    cases=cases, reference=transition_matrix, mistakes=MISTAKES,
)
