"""9.2 Hiding tokens."""

from collections.abc import Callable

import torch
from torch import Tensor

from ....paths import MaskPath
from .. import Case, Exercise, ObserveSpec
from ..draws import Cases, Rng
from ._shared import MASK, _batches, _chances, _hours, _kind, _sizes, _symbols, _tokens


def corrupt(x: Tensor, hours: Tensor, survive: Tensor, mask_id: int) -> Tensor:
    """The path's corruption at t = survive, with these hours."""
    return MaskPath(mask_id).corrupt(x, survive, x0=hours)[0]


def cases(rng: Rng) -> Cases:
    for name, size, length, hint in (*_batches(rng), ("the last symbol absent", *_sizes(rng), MASK)):
        symbols, survive = _symbols(rng, name), _chances(rng, size)
        x, hours = (
            _tokens(rng, symbols - (name == "the last symbol absent"), size, length),
            _hours(rng, size, length),
        )
        if name == "chances 0 and 1":
            survive[:2], hours[:2, 0] = (0.0, 1.0), (0.005, 0.995)
        args = {"x": x, "hours": hours.astype(_kind(name))}
        yield Case(name, args | {"survive": survive.astype(_kind(name)), "mask_id": symbols}, hint=hint)


def _corrupted(visible: Callable, mask: Callable = lambda m: m) -> Callable:
    """x where visible(hours, survive), with survive (B, 1), else the mask."""
    return lambda x, hours, survive, m: torch.where(visible(hours, survive[:, None]), x, mask(m))


def _by_rank(x: Tensor, hours: Tensor, survive: Tensor, m: int) -> Tensor:
    rank = hours.argsort(1).argsort(1)
    return torch.where(rank < (survive[:, None] * x.shape[1]).round(), x, m)


# fmt: off
MISTAKES = (
    ("Inverted: yours masks the tokens whose hour is below survive. A token is visible with probability survive.",
     _corrupted(lambda h, a: h >= a)),
    ("One hour for a whole sequence: all its tokens are masked together. Each place has an hour of its own.",
     _corrupted(lambda h, a: (h[:, :1] < a).expand(h.shape))),
    ("One hour for a whole column: every sequence is masked by the hours of the first. Each has its own.",
     _corrupted(lambda h, a: h[:1] < a)),
    ("survive lies along the wrong axis: it is one number a sequence, and yours gives one to each place.",
     lambda x, hours, survive, m: torch.where(hours < survive, x, m)),
    ("survive is averaged over the batch: every sequence has its own.", _corrupted(lambda h, a: h < a.mean())),
    ("Masked places hold 0, which is a clean token: the mask has a number of its own.",
     _corrupted(lambda h, a: h < a, lambda m: 0)),
    ("Masked places hold the last clean token: the mask comes after it.",
     _corrupted(lambda h, a: h < a, lambda m: m - 1)),
    ("Masked places hold −1: the mask is the number that came in.", _corrupted(lambda h, a: h < a, lambda m: -1)),
    ("The threshold is ½ for everyone: survive is not used.", _corrupted(lambda h, a: h < 0.5)),
    ("The threshold is 1 − survive: that is the chance to be masked, and the tokens below it were kept.",
     _corrupted(lambda h, a: h < 1 - a)),
    ("The threshold is the square of survive: alpha-bar is a probability here, not a scale.",
     _corrupted(lambda h, a: h < a**2)),
    ("The threshold is the root of survive: alpha-bar is a probability here, as it is.",
     _corrupted(lambda h, a: h < a**0.5)),
    ("Exactly the share survive of each sequence is kept, its lowest hours: each token is to be judged on its "
     "own.",
     _by_rank),
    ("True and False came: which tokens are visible. The tokens themselves are asked, and the mask elsewhere.",
     lambda x, hours, survive, m: hours < survive[:, None]),
    ("True and False came: which tokens are masked. The tokens themselves are asked, and the mask there.",
     lambda x, hours, survive, m: hours >= survive[:, None]),
)

EXERCISE = Exercise(
    id="abs.corrupt", number="9.2", title="hiding tokens",
    prompt="the tokens whose hour is below the survive of their sequence, the mask elsewhere",
    more="Compare (B, L) hours with one number a sequence, as a column (B, 1); then choose place by place.",
    cases=cases, reference=corrupt, mistakes=MISTAKES, watch=ObserveSpec(tokens=True),
)
