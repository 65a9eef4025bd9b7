"""10.6 Who sees whom in next-scale prediction."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ....latent import block_causal_mask
from .. import Case, Exercise
from ..draws import Cases, Rng


def block_causal(sides: Tensor) -> Tensor:
    """The library's mask."""
    return block_causal_mask(sides.tolist())


ALIKE = (
    "Wrong only where two scales have the same size: they are two scales all the same, and the later "
    "may not be seen by the earlier. What counts is which scale comes first, not how large it is."
)

ONE = "Wrong only where there is a single scale: all of its places see each other."


def cases(rng: Rng) -> Cases:
    """Sides of the grids of all scales (S,), whole numbers."""
    some = np.sort(rng.choice(np.arange(2, 6), size=int(rng.integers(2, 4)), replace=False))
    yield Case(f"sides {', '.join(map(str, [1, *some]))}", {"sides": np.array([1, *some])})
    yield Case("sides 1, 2, 3", {"sides": np.array([1, 2, 3])})
    yield Case("two of a size", {"sides": np.array([1, 2, 2, int(rng.integers(3, 5))])}, hint=ALIKE)
    yield Case("one scale", {"sides": np.array([int(rng.integers(2, 5))])}, hint=ONE)
    many = np.sort(rng.integers(1, 3, size=40 + int(rng.integers(0, 9))))
    yield Case("forty scales or more", {"sides": many}, hint=ALIKE)


def _numbers(sides: Tensor) -> Tensor:
    return torch.repeat_interleave(torch.arange(len(sides)), sides**2)


def _compared(numbers: Callable, rule: Callable) -> Callable:
    def mask(sides: Tensor) -> Tensor:
        scale = numbers(sides)
        return rule(scale[:, None], scale[None, :])

    return mask


def _additive(sides: Tensor) -> Tensor:
    hidden = _compared(_numbers, lambda i, j: i < j)(sides)
    return torch.zeros(hidden.shape).masked_fill(hidden, -torch.inf)


# fmt: off
MISTAKES = (
    ("Right places, in another language: 0 and −∞ are what is added to the scores. True and False are asked, "
     "True where a place may look.",
     _additive),
    ("Right places, in another language: 0 and a large negative number are what is added to the scores. True "
     "and False are asked, True where a place may look.",
     lambda sides: _additive(sides).clamp(min=-1e9)),
    ("This mask shows the future and hides the past, place by place.",
     lambda sides: torch.ones(len(_numbers(sides)), len(_numbers(sides))).triu()),
    ("Places see earlier ones of their own scale alone: all of it may be seen, and all coarser scales.",
     lambda sides: (
         torch.ones(len(_numbers(sides)), len(_numbers(sides))).tril()
         * _compared(_numbers, lambda i, j: i == j)(sides)
     )),
    ("A place sees one finer scale as well: it is not written yet.", _compared(_numbers, lambda i, j: i + 1 >= j)),
    ("A place does not see its own scale: it may, since the inputs there are made of coarser scales alone. As "
     "it stands, the first place has nothing to attend to.",
     _compared(_numbers, lambda i, j: i > j)),
    ("This mask is causal place by place, as in LlamaGen: here all places of one scale see each other.",
     lambda sides: torch.ones(len(_numbers(sides)), len(_numbers(sides))).tril()),
    ("Everything sees everything: finer scales have to be hidden from coarser ones.",
     lambda sides: torch.ones(len(_numbers(sides)), len(_numbers(sides)))),
    ("A place sees its own scale and no other: the coarser ones are missing.",
     _compared(_numbers, lambda i, j: i == j)),
    ("True and False are exchanged: True is where a place may look.", _compared(_numbers, lambda i, j: i < j)),
    ("A place sees its own scale and the one just before: all coarser ones are asked.",
     _compared(_numbers, lambda i, j: (i == j) | (i == j + 1))),
    ("Sizes of grids are compared, and two scales of one size taken for one: what counts is which scale comes "
     "first.",
     _compared(lambda sides: torch.repeat_interleave(sides, sides**2), lambda i, j: i >= j)),
    ("Own scale, place by place: coarser scales are right, but inside a scale all places see each other.",
     lambda sides: _compared(_numbers, lambda i, j: i > j)(sides).float() + torch.eye(len(_numbers(sides)))),
)

EXERCISE = Exercise(
    id="lat.block_causal", number="10.6", title="who sees whom in next-scale prediction",
    prompt="the table over all places of all scales, coarse ones first, that is True where the place of the row "
           "may attend to the place of the column",
    more="Give every place the number of its scale: a grid of side s has s·s places. Then compare rows with "
         "columns.",
    cases=cases, reference=block_causal, mistakes=MISTAKES,
)
