"""9.4 The posterior of a step."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ....paths import MaskPath
from .. import Case, Exercise
from ..draws import Cases, Rng
from ._shared import _batches, _hours, _kind, _step, _symbols, _tokens


def posterior(xk: Tensor, x: Tensor, survive_before: Tensor, survive_now: Tensor, vocabulary: int) -> Tensor:
    """The path's posterior from t = survive_now to the later survive_before."""
    return MaskPath(vocabulary).posterior(xk, x, survive_now, survive_before)


def cases(rng: Rng) -> Cases:
    for name, size, length, hint in _batches(rng):
        symbols, (before, now) = _symbols(rng, name), _step(rng, size)
        if name == "chances 0 and 1":
            before[0], now[1] = 1.0, 0.0
        x = _tokens(rng, symbols, size, length)
        xk = np.where(_hours(rng, size, length) < now[:, None], x, symbols)
        xk[0, 0] = symbols
        chances = {"survive_before": before.astype(_kind(name)), "survive_now": now.astype(_kind(name))}
        shown = {"x_k": xk, "x": x, "mask": symbols, **chances, "entry": np.arange(symbols + 1)[None, None]}
        yield Case(name, {"xk": xk, "x": x, **chances, "vocabulary": symbols}, shown, hint)


def _posterior(appear: Callable, mask: Callable = lambda p, b: 1 - p, seen: Callable | None = None) -> Callable:
    """p = appear(b, n) for x and mask(p, b) for the mask where it is masked; seen(one-hot x, one-hot m, p)
    elsewhere."""

    def form(xk: Tensor, x: Tensor, b: Tensor, n: Tensor, vocabulary: int) -> Tensor:
        token, size = F.one_hot(x, vocabulary + 1), vocabulary + 1
        hidden = F.one_hot(torch.full_like(x, vocabulary), size)
        p = appear(b[:, None, None], n[:, None, None])
        known = token if seen is None else seen(token, hidden, p)
        return torch.where((xk == vocabulary)[..., None], p * token + mask(p, b[:, None, None]) * hidden, known)

    return form


def _share(b: Tensor, n: Tensor) -> Tensor:
    return (b - n) / (1 - n)


def _mixed(appear: Callable) -> Callable:
    """The same in one formula, which a chance of infinity spoils at the visible places, too."""

    def form(xk: Tensor, x: Tensor, b: Tensor, n: Tensor, vocabulary: int) -> Tensor:
        p = appear(b, n)[:, None, None]
        return p * F.one_hot(x, vocabulary + 1) + (1 - p) * F.one_hot(xk, vocabulary + 1)

    return form


def _smeared(xk: Tensor, x: Tensor, b: Tensor, n: Tensor, vocabulary: int) -> Tensor:
    """The share that appears is spread evenly over the clean tokens."""
    out = _posterior(_share)(xk, x, b, n, vocabulary)
    spread = torch.cat(
        [out[..., :-1].sum(-1, keepdim=True).expand_as(out[..., :-1]) / vocabulary, out[..., -1:]], -1
    )
    return torch.where((xk == vocabulary)[..., None], spread, out)


def _unconditioned(xk: Tensor, x: Tensor, b: Tensor, n: Tensor, vocabulary: int) -> Tensor:
    """q(x_k | x_{k−1}) q(x_{k−1} | x_0), not divided by q(x_k | x_0)."""
    b, n = b[:, None, None], n[:, None, None]
    token, hidden = F.one_hot(x, vocabulary + 1), F.one_hot(torch.full_like(x, vocabulary), vocabulary + 1)
    return torch.where((xk == vocabulary)[..., None], (b - n) * token + (1 - b) * hidden, n * token)


def _across(xk: Tensor, x: Tensor, b: Tensor, n: Tensor, vocabulary: int) -> Tensor:
    """The chances along the places."""
    p = ((b - n) / (1 - n))[:, None]
    return p * F.one_hot(x, vocabulary + 1) + (1 - p) * F.one_hot(xk, vocabulary + 1)


# fmt: off
MISTAKES = (
    ("The two chances are exchanged: yours stays masked as often as it should appear.",
     _posterior(lambda b, n: 1 - _share(b, n))),
    ("Visible tokens are treated like masked ones: a token that is visible at k was never masked, so at k − 1 "
     "there is no doubt about it (case 1).",
     _posterior(_share, seen=lambda token, hidden, p: p * token + (1 - p) * hidden)),
    ("That is q(x_{k−1} | x_0), the forward marginal: what is seen at step k is not used.",
     _posterior(lambda b, n: b, seen=lambda token, hidden, p: p * token + (1 - p) * hidden)),
    ("Where the token is masked, the chance to be visible at k − 1 is taken for all tokens: that it is masked "
     "at k makes it smaller.",
     _posterior(lambda b, n: b)),
    ("Where the token is masked, β_k alone stands for the chance to appear: β_k belongs to the way forward.",
     _posterior(lambda b, n: 1 - n / b)),
    ("Where the token is masked, the chance to appear is divided by the chance to be masked at k − 1; the "
     "condition is being masked at k.",
     _posterior(lambda b, n: (b - n) / (1 - b))),
    ("Where the token is masked, the chance to appear is divided by the chance to be masked at k − 1; the "
     "condition is being masked at k.",
     _mixed(lambda b, n: (b - n) / (1 - b))),
    ("Where the token is masked, the factor survive_before is missing above the line: to be masked at step k a "
     "token must be visible at k − 1.",
     _posterior(lambda b, n: (1 - n / b) / (1 - n))),
    ("Where the token is masked, the division is missing: its entries do not sum to one.",
     _posterior(lambda b, n: b - n, lambda p, b: 1 - b)),
    ("That is q(x_k | x_0), the forward marginal at step k: asked is step k − 1, given x_k.",
     _posterior(lambda b, n: n, seen=lambda token, hidden, p: p * token + (1 - p) * hidden)),
    ("Where the token is masked, the chance to appear is not divided: it must be conditioned on being masked at "
     "k.",
     _posterior(lambda b, n: b - n)),
    ("The division by q(x_k | x_0) is missing: the entries of a place do not sum to one.", _unconditioned),
    ("Places that are visible got no distribution at all: their entries must sum to one as well (case 1).",
     _posterior(_share, seen=lambda token, hidden, p: 0 * token)),
    ("Places that are masked lack the chance to stay masked: their entries must sum to one.",
     _posterior(_share, lambda p, b: 0.0)),
    ("Masked places got the whole mask: whatever is at k stays at k − 1. A masked token may have been visible "
     "before.",
     _posterior(lambda b, n: 0 * b)),
    ("Masked places got the clean token for certain: at k − 1 they may be masked already.",
     _posterior(lambda b, n: 0 * b + 1)),
    ("Visible places got the mask: visible at k is visible at k − 1.",
     _posterior(_share, seen=lambda token, hidden, p: hidden + 0 * p)),
    ("The mask stands first and all tokens one place later: the mask is the last entry.",
     lambda xk, x, b, n, vocabulary: _posterior(_share)(xk, x, b, n, vocabulary).roll(1, -1)),
    ("What appears is spread over all clean tokens: x is given here, so it is known which token appears.",
     _smeared),
    ("The schedule lies along the wrong axis: survive is one number a sequence, and yours gives one to each "
     "place.",
     _across),
    ("survive_before and survive_now are exchanged: the former, at k − 1, is the larger.",
     _posterior(lambda b, n: (n - b) / (1 - b))),
    ("survive_before and survive_now are exchanged: the former, at k − 1, is the larger.",
     _mixed(lambda b, n: (n - b) / (1 - b))),
    ("Squares: alpha-bar is a probability on mask paths, not the square of a scale.",
     _posterior(lambda b, n: (b**2 - n**2) / (1 - n**2))),
)

EXERCISE = Exercise(
    id="abs.posterior", number="9.4", title="the posterior of a step", points=2,
    prompt="the distribution of each token at step k − 1, over K tokens and the mask, given step k and the "
           "clean token",
    more="Visible: one for the token itself. Masked: (ᾱ_{k−1} − ᾱ_k)/(1 − ᾱ_k) for x and the rest for the mask. "
         "survive needs two more axes to meet (B, L, K + 1).",
    cases=cases, reference=posterior, mistakes=MISTAKES,
)
