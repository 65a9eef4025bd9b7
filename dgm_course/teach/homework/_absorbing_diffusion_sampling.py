"""The usual slips in revealing tokens one by one, exercises 9.6 and 9.8, as in `_absorbing_diffusion_chain`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from itertools import permutations

import torch
from torch import Tensor

from ._absorbing_diffusion_chain import Form, Mistakes

# --- 9.6 one step back; n is survive_now, a is survive_next


def _share(n: float, a: float) -> float:
    return (a - n) / (1 - n)


def _step(
    chance: Callable = _share,
    reveal: Callable = lambda hours, p: hours < p,
    where: Callable = lambda xt, m: xt == m,
    rest: Callable = lambda xt, m: xt,
) -> Form:
    """One reverse step with one of its pieces exchanged."""
    return lambda xt, proposal, hours, n, a, m: torch.where(
        where(xt, m) & reveal(hours, chance(n, a)), proposal, rest(xt, m)
    )


STEP: Mistakes = (
    (
        "Visible tokens are replaced as well: what appeared once stays.",
        _step(where=lambda xt, m: xt == xt),
    ),
    (
        "Everything masked appears at once: only a part does in one step, told by the hours.",
        _step(reveal=lambda hours, p: hours == hours),
    ),
    (
        "Inverted: a token appears where its hour is below the chance, yours where it is above.",
        _step(reveal=lambda hours, p: hours >= p),
    ),
    (
        "The chance is survive_next, as if nothing were known: of the tokens still masked at survive_now fewer appear.",
        _step(lambda n, a: a),
    ),
    (
        "The chance is survive_next − survive_now, a part of all tokens: what is asked is a part of the masked ones.",
        _step(lambda n, a: a - n),
    ),
    (
        "The chance is 1 − survive_now/survive_next, which is β, the chance to be masked on the way forward.",
        _step(lambda n, a: 1 - n / a),
    ),
    (
        "The chance is divided by the share that is masked after the step; the condition is being masked before it.",
        _step(lambda n, a: (a - n) / (1 - a) if a < 1 else math.inf),
    ),
    (
        "The chance is that of staying masked.",
        _step(lambda n, a: 1 - _share(n, a)),
    ),
    (
        "What did not appear is masked, the visible tokens too: they stay.",
        _step(rest=lambda xt, m: torch.full_like(xt, m)),
    ),
    (
        "The proposal was masked afresh at survive_next: the visible tokens stay, and the others must know that they "
        "are masked at survive_now.",
        lambda xt, proposal, hours, n, a, m: torch.where(hours < a, proposal, m),
    ),
    (
        "All masks were filled and everything masked afresh at survive_next: the visible tokens stay, and the others must "
        "know that they are masked at survive_now.",
        lambda xt, proposal, hours, n, a, m: torch.where(hours < a, torch.where(xt == m, proposal, xt), m),
    ),
    (
        "A token appears where its hour lies between survive_now and survive_next: right if the hours were kept from step "
        "to step, but here they are new, and any hour may be that of a masked token.",
        _step(lambda n, a: (n, a), lambda hours, p: (hours >= p[0]) & (hours < p[1])),
    ),
    (
        "Parentheses are missing in the chance: a division binds before the difference above it.",
        _step(lambda n, a: a - n / (1 - n)),
    ),
    (
        "The visible tokens are kept, but those masked are drawn afresh at survive_next where they should know "
        "survive_now; and what did not appear is lost.",
        lambda xt, proposal, hours, n, a, m: torch.where(xt == m, torch.where(hours < a, proposal, 0), xt),
    ),
    (
        "One hour for a whole sequence: all its masked tokens appear together. Each place has an hour of its own.",
        _step(reveal=lambda hours, p: (hours[:, :1] < p).expand(hours.shape)),
    ),
    (
        "Masked places are looked for at token 0, which is a clean token.",
        _step(where=lambda xt, m: xt == 0),
    ),
    (
        "The visible places are overwritten and the masked ones stay: the condition is inverted.",
        _step(where=lambda xt, m: xt != m),
    ),
    (
        "Nothing ever appears: is the chance negative, or zero? survive_next is the larger of the two.",
        lambda xt, proposal, hours, n, a, m: xt,
    ),
    (
        "The whole proposal came, at every place.",
        lambda xt, proposal, hours, n, a, m: proposal,
    ),
)


# --- 9.8 any order


def _asked(model: Callable, x: Tensor) -> Callable[[Sequence[int]], Tensor]:
    """visible places -> log p of every place (B, L), each set asked once."""

    @cache
    def answer(places: frozenset[int]) -> Tensor:
        return model(torch.tensor([place in places for place in range(x.shape[1])], device=x.device), x)

    return lambda places: answer(frozenset(places))


def _before(order: Sequence[int], k: int) -> Sequence[int]:
    return order[:k]


def _orders(x: Tensor) -> list[tuple[int, ...]]:
    return list(permutations(range(x.shape[1])))


def _turns(x: Tensor) -> list[tuple[int, ...]]:
    places = tuple(range(x.shape[1]))
    return [places[k:] + places[:k] for k in places]


def _over(reduce: Callable, orders: Callable = _orders, seen: Callable = _before) -> Form:
    """reduce, along the orders, of Σ_k log p(x at order[k] | the places seen(order, k))."""

    def form(model: Callable, x: Tensor) -> Tensor:
        given = _asked(model, x)
        return reduce(torch.stack([sum(given(seen(o, k))[:, o[k]] for k in range(len(o))) for o in orders(x)]))

    return form


def _mean(totals: Tensor) -> Tensor:
    return totals.logsumexp(0) - math.log(len(totals))


def _never_cleared(model: Callable, x: Tensor) -> Tensor:
    """From the second order on all tokens are visible from the start."""
    first = _over(lambda totals: totals, lambda x: _orders(x)[:1])(model, x)
    return _mean(torch.cat([first, torch.zeros(len(_orders(x)) - 1, len(x), device=x.device)]))


def _all_hidden_counted(model: Callable, x: Tensor) -> Tensor:
    """Every step counts all tokens that are still hidden."""
    given = _asked(model, x)
    return _mean(torch.stack([sum(given(o[:k]).sum(1) for k in range(len(o))) for o in _orders(x)]))


def _stepwise(model: Callable, x: Tensor) -> Tensor:
    given = _asked(model, x)
    steps = [torch.stack([given(o[:k])[:, o[k]] for o in _orders(x)]) for k in range(x.shape[1])]
    return torch.stack([_mean(step) for step in steps]).sum(0)


def _surest_first(model: Callable, x: Tensor) -> Tensor:
    visible, total = torch.zeros_like(x, dtype=torch.bool), torch.zeros(len(x), device=x.device)
    for _ in range(x.shape[1]):
        best = model(visible, x).masked_fill(visible, -math.inf).max(1)
        total, visible = total + best.values, visible.scatter(1, best.indices[:, None], True)
    return total


def _out_of_step(model: Callable, x: Tensor) -> Tensor:
    given = _asked(model, x)
    return _mean(torch.stack([sum(given(o[:k])[:, k] for k in range(len(o))) for o in _orders(x)]))


ORDERS: Mistakes = (
    (
        "The logarithms are averaged: that is the ELBO, the bound that training maximises, and it lies below (Jensen). "
        "The likelihood of a random order averages the probabilities.",
        _over(lambda totals: totals.mean(0)),
    ),
    (
        "Only one order, from left to right: that is an autoregressive model. All L! orders are to be averaged.",
        _over(_mean, lambda x: [tuple(range(x.shape[1]))]),
    ),
    (
        "Only one order, from right to left: all L! orders are to be averaged.",
        _over(_mean, lambda x: [tuple(reversed(range(x.shape[1])))]),
    ),
    (
        "The best order alone: its likelihood is the greatest, not the average.",
        _over(lambda totals: totals.amax(0)),
    ),
    (
        "The worst order alone: its likelihood is the least, not the average.",
        _over(lambda totals: totals.amin(0)),
    ),
    (
        "The probabilities of the orders are summed, not averaged: the number of orders, L!, is missing.",
        _over(lambda totals: totals.logsumexp(0)),
    ),
    (
        "The number of orders went in with the wrong sign: an average divides by it.",
        _over(lambda totals: totals.logsumexp(0) + math.log(len(totals))),
    ),
    (
        "The probabilities are divided by L, not by the number of orders, L!.",
        lambda model, x: _over(lambda totals: totals.logsumexp(0))(model, x) - math.log(x.shape[1]),
    ),
    (
        "Each token was visible already when it was asked, and is then certain (log p = 0): is it revealed too early, or "
        "is visible exchanged with hidden?",
        _over(_mean, seen=lambda order, k: order[: k + 1]),
    ),
    (
        "Every token was asked with nothing visible, as if the tokens were independent: those revealed before it are seen.",
        _over(_mean, seen=lambda order, k: ()),
    ),
    (
        "Every token was asked with all others visible: that is the pseudo-likelihood. Seen are those revealed before it.",
        _over(_mean, seen=lambda order, k: [place for place in order if place != order[k]]),
    ),
    (
        "Only the last token revealed is seen: all those revealed before are.",
        _over(_mean, seen=lambda order, k: order[max(k - 1, 0) : k]),
    ),
    (
        "What came first is forgotten between the orders: after the first order everything stays visible.",
        _never_cleared,
    ),
    (
        "Every step counts all the tokens still hidden: only the one that is revealed then counts.",
        _all_hidden_counted,
    ),
    (
        "Only one order for each sequence, the surest token first: all L! orders are to be averaged.",
        _surest_first,
    ),
    (
        "Step k asks for the place k, whatever the order: ask for the place that is revealed next.",
        _out_of_step,
    ),
    (
        "The probabilities are averaged at every step, and the averages multiplied: multiply along each order first.",
        _stepwise,
    ),
    (
        "Only L of the L! orders are walked, each starting at another place: the rest of an order varies too.",
        _over(_mean, _turns),
    ),
    (
        "The probability came: its logarithm is asked.",
        _over(lambda totals: _mean(totals).exp()),
    ),
    (
        "That is per token: the logarithm of the whole sequence is asked, not divided by L.",
        lambda model, x: _over(_mean)(model, x) / x.shape[1],
    ),
)
