"""6.2 The same layer backwards."""

from collections.abc import Callable

import torch
from torch import Tensor

from .. import Exercise, ObserveSpec
from ._shared import KEEP, _coupling, _front, couplings


def coupling_inverse(z: Tensor, mask: Tensor, log_scale: Callable, shift: Callable) -> Tensor:
    """The same layer backwards."""
    return _coupling(mask, log_scale, shift).inverse(z)


def _backward(
    back: Callable = lambda z, s, t: (z - t) * (-s).exp(),
    asked: Callable = lambda z, m: m * z,
    turn: Callable = KEEP,
    kept: Callable = KEEP,
) -> Callable:
    def form(z: Tensor, mask: Tensor, log_scale: Callable, shift: Callable) -> Tensor:
        m = turn(mask)
        seen = asked(z, m)
        return kept(m * z) + (1 - m) * back(z, log_scale(seen), shift(seen))

    return form


# fmt: off
MISTAKES = (
    ("The first half is taken for what was kept, whatever the mask says.", _backward(turn=_front)),
    ("That is the way forth once more: going back, the shift is subtracted first and then the scale divided out.",
     _backward(lambda z, s, t: z * s.exp() + t)),
    ("In the wrong order: the scale came first and the shift last, so going back undoes the shift first.",
     _backward(lambda z, s, t: z * (-s).exp() - t)),
    ("The shift is added where it must be subtracted.", _backward(lambda z, s, t: (z + t) * (-s).exp())),
    ("Multiplied by exp(s) where it must be divided out.", _backward(lambda z, s, t: (z - t) * s.exp())),
    ("Divided by s itself: the network gives the logarithm of the scale, so the factor is exp(−s).",
     _backward(lambda z, s, t: (z - t) / s)),
    ("The mask is turned around: where it is 1 the coordinate was kept.", _backward(turn=lambda m: 1 - m)),
    ("The networks see the whole of z: on the way there they saw the kept part of x alone, which is the kept "
     "part of z.",
     _backward(asked=lambda z, m: z)),
    ("The kept coordinates are lost: they come through unchanged.", _backward(kept=torch.zeros_like)),
    ("The shift is not undone: only the scale is divided out.", _backward(lambda z, s, t: z * (-s).exp())),
    ("The scale is not undone: only the shift is subtracted.", _backward(lambda z, s, t: z - t)),
)

EXERCISE = Exercise(
    id="flow.coupling_inverse", number="6.2", title="the same layer backwards",
    prompt="the x whose image under the coupling layer is z",
    more="What was kept is there in z already, so s and t can be asked again. Then undo the last thing first.",
    cases=couplings("z"), reference=coupling_inverse, mistakes=MISTAKES, watch=ObserveSpec(tensors=True),
)
