"""9.8 The likelihood in any order."""

import math
from collections.abc import Callable, Sequence
from functools import cache
from itertools import combinations, permutations

import torch
from torch import Tensor

from .. import Case, Exercise
from ..draws import NARROW, Cases, Rng
from ..recipes import Conditionals
from ._shared import LARGE, _tokens


def any_order_log_likelihood(log_conditional: Callable, x: Tensor) -> Tensor:
    """By sets, not by orders: f(S) = (1/|S|) Σ_{l ∈ S} f(S − l) p(x_l | x_{S−l}); the last of S is any of S
    alike."""
    places = range(x.shape[1])
    log_f = {(): torch.zeros(len(x), device=x.device)}
    for size in (k + 1 for k in places):
        for chosen in combinations(places, size):
            ways = []
            for last in chosen:
                before = tuple(place for place in chosen if place != last)
                visible = torch.tensor([place in before for place in places], device=x.device)
                ways.append(log_f[before] + log_conditional(visible, x)[:, last])
            log_f[chosen] = torch.stack(ways).logsumexp(0) - torch.tensor(size).log()
    return log_f[tuple(places)]


ORDERS = "Right for three tokens alone: are the orders, or their number 6, written out?"


def cases(rng: Rng) -> Cases:
    for name, size, length, hint in (
        ("three tokens", int(rng.integers(6, 11)), 3, ""),
        ("another model", int(rng.integers(6, 11)), 3, ""),
        ("independent tokens", int(rng.integers(6, 11)), 3, ""),
        ("two tokens", int(rng.integers(6, 11)), 2, ORDERS),
        *(("B = 1", 1, 3, NARROW), ("L = 1", int(rng.integers(6, 11)), 1, NARROW), ("B = 40", 40, 3, LARGE)),
    ):
        symbols = int(rng.integers(2, 6))
        model = Conditionals.random(rng, length, symbols, context=0.0 if name == "independent tokens" else 2.0)
        x = _tokens(rng, symbols, size, length)
        yield Case(name, {"log_conditional": model, "x": x}, {f"x[{k}]": x[:, k] for k in range(length)}, hint)


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


def _over(reduce: Callable, orders: Callable = _orders, seen: Callable = _before) -> Callable:
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


# fmt: off
MISTAKES = (
    ("The logarithms are averaged: that is the ELBO, the bound that training maximises, and it lies below "
     "(Jensen). The likelihood of a random order averages the probabilities.",
     _over(lambda totals: totals.mean(0))),
    ("Only one order, from left to right: that is an autoregressive model. All L! orders are to be averaged.",
     _over(_mean, lambda x: [tuple(range(x.shape[1]))])),
    ("Only one order, from right to left: all L! orders are to be averaged.",
     _over(_mean, lambda x: [tuple(reversed(range(x.shape[1])))])),
    ("The best order alone: its likelihood is the greatest, not the average.",
     _over(lambda totals: totals.amax(0))),
    ("The worst order alone: its likelihood is the least, not the average.", _over(lambda totals: totals.amin(0))),
    ("The probabilities of the orders are summed, not averaged: the number of orders, L!, is missing.",
     _over(lambda totals: totals.logsumexp(0))),
    ("The number of orders went in with the wrong sign: an average divides by it.",
     _over(lambda totals: totals.logsumexp(0) + math.log(len(totals)))),
    ("The probabilities are divided by L, not by the number of orders, L!.",
     lambda model, x: _over(lambda totals: totals.logsumexp(0))(model, x) - math.log(x.shape[1])),
    ("Each token was visible already when it was asked, and is then certain (log p = 0): is it revealed too "
     "early, or is visible exchanged with hidden?",
     _over(_mean, seen=lambda order, k: order[: k + 1])),
    ("Every token was asked with nothing visible, as if the tokens were independent: those revealed before it "
     "are seen.",
     _over(_mean, seen=lambda order, k: ())),
    ("Every token was asked with all others visible: that is the pseudo-likelihood. Seen are those revealed "
     "before it.",
     _over(_mean, seen=lambda order, k: [place for place in order if place != order[k]])),
    ("Only the last token revealed is seen: all those revealed before are.",
     _over(_mean, seen=lambda order, k: order[max(k - 1, 0) : k])),
    ("What came first is forgotten between the orders: after the first order everything stays visible.",
     _never_cleared),
    ("Every step counts all the tokens still hidden: only the one that is revealed then counts.",
     _all_hidden_counted),
    ("Only one order for each sequence, the surest token first: all L! orders are to be averaged.", _surest_first),
    ("Step k asks for the place k, whatever the order: ask for the place that is revealed next.", _out_of_step),
    ("The probabilities are averaged at every step, and the averages multiplied: multiply along each order first.",
     _stepwise),
    ("Only L of the L! orders are walked, each starting at another place: the rest of an order varies too.",
     _over(_mean, _turns)),
)

EXERCISE = Exercise(
    id="abs.any_order_log_likelihood", number="9.8", title="the likelihood in any order", points=2,
    prompt="the logarithm of the average, over all L! orders, of the product of conditionals",
    more="In each order add up log p(x_l | what is visible), each token revealed after it was asked. The "
         "average of the exponentials of these sums is a logsumexp less log L!.",
    cases=cases, reference=any_order_log_likelihood, mistakes=MISTAKES,
)
