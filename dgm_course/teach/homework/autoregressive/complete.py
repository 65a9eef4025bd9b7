"""1.4 Completing, place by place."""

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor

from ....autoregressive import sample_categorical
from .. import Case, Exercise, ObserveSpec
from ..draws import NARROW, Cases, Rng
from ..recipes import CausalTokens
from ._shared import BITS, LARGE, _kind, _sizes, _tokens


def complete(logits_of: Callable, x: Tensor, known: int, u: Tensor, temperature: float) -> Tensor:
    """Place by place, each by the library's `sample_categorical`."""
    x = x.clone()
    for i in range(known, x.shape[1]):
        x[:, i] = sample_categorical(logits_of(x)[:, i], u[:, i], temperature)
    return x


ALL_KNOWN = "Wrong only where all tokens are known: nothing is left to fill in, and they come back as they are."

ONE_LEFT = "Wrong only where a single token is left to fill in: where does the loop start, and where does it end?"


def cases(rng: Rng) -> Cases:
    """(name, B, L, known, temperature): which tokens stand where nothing is known yet must not matter."""
    size, length = _sizes(rng)
    for name, batch, known, temperature, hint in (
        *(("from nothing", (size, 5), 0, 1.0, ""), ("two known", (size, 6), 2, 1.0, "")),
        *(("three known", (size, 5), 3, 1.0, ""), ("float32", _sizes(rng), 1, 1.0, "")),
        *(("a low temperature", (size, 5), 1, 0.5, ""), ("a high temperature", (size, 5), 1, 2.0, "")),
        *(("two symbols", (size, 5), 1, 1.0, BITS), ("all known", (size, length), length, 1.0, ALL_KNOWN)),
        ("the last place", (size, length), length - 1, 1.0, ONE_LEFT),
        *(
            ("B = 1", (1, 5), 1, 1.0, NARROW),
            ("L = 1", (size, 1), 0, 1.0, NARROW),
            ("B = 40", (40, 5), 2, 1.0, LARGE),
        ),
    ):
        symbols = 2 if name == "two symbols" else int(rng.integers(3, 6))
        model, x = CausalTokens.random(rng, batch[1], symbols), _tokens(rng, symbols, *batch)
        u, drawn = _with_room(rng, model, x, known, temperature)
        args = _kind(name, {"logits_of": model, "x": x, "known": known, "u": u, "temperature": temperature})
        shown = {"known": known, "temperature": temperature, "place": np.arange(batch[1])[None], "x": x, "u": u}
        yield Case(name, args, shown, hint)


def _with_room(
    rng: Rng, model: CausalTokens, x: np.ndarray, known: int, temperature: float
) -> tuple[np.ndarray, Tensor]:
    """Uniform numbers for a completion, none of them near a sum of probabilities that it meets; and the
    completion."""
    logits_of, tokens = model.build(torch.zeros(0, dtype=torch.float64)), torch.tensor(x)
    levels = (np.arange(100) * 10 + 5) / 1000
    u = rng.choice(levels, size=x.shape)
    for place in range(known, x.shape[1]):
        sums = (logits_of(tokens)[:, place] / temperature).softmax(-1).cumsum(-1).numpy()
        for row, cdf in enumerate(sums):
            room = np.abs(levels[:, None] - cdf[:-1]).min(1, initial=1.0) > 0.01
            u[row, place] = rng.choice(levels[room])
        tokens[:, place] = torch.tensor((u[:, place, None] >= sums[:, :-1]).sum(-1))
    return u, tokens


def _inverted(p: Tensor, u: Tensor) -> Tensor:
    """The smallest k with u below the sum of the first k + 1 probabilities."""
    return (u[:, None] >= p.cumsum(-1)[:, :-1]).sum(-1)


def _softmax(logits: Tensor, temperature: float) -> Tensor:
    return (logits / temperature).softmax(-1)


def _rest(x: Tensor, known: int) -> Iterable[int]:
    return range(known, x.shape[1])


def _same(place: int, x: Tensor, known: int) -> int:
    return place


def _filled(
    chances: Callable = _softmax,
    choose: Callable = _inverted,
    places: Callable = _rest,
    place_of_u: Callable = _same,
    place_of_logits: Callable = _same,
) -> Callable:
    """The completion place by place, with one of its pieces exchanged."""

    def form(logits_of: Callable, x: Tensor, known: int, u: Tensor, temperature: float) -> Tensor:
        out = x.clone()
        for i in places(x, known):
            p = chances(logits_of(out)[:, place_of_logits(i, x, known)], temperature)
            out[:, i] = choose(p, u[:, place_of_u(i, x, known)])
        return out

    return form


def _sampled(logits_of: Callable, x: Tensor, known: int, u: Tensor, temperature: float) -> Tensor:
    return _filled()(logits_of, x, 0, u, temperature)


def _at_once(
    logits_of: Callable, x: Tensor, known: int, u: Tensor, temperature: float, blank: bool = False
) -> Tensor:
    seen = torch.where(torch.arange(x.shape[1]) < known, x, 0) if blank else x
    cdf = _softmax(logits_of(seen), temperature).cumsum(-1)
    drawn = (u[..., None] >= cdf[..., :-1]).sum(-1)
    return torch.where(torch.arange(x.shape[1]) < known, x, drawn)


def _pasted(logits_of: Callable, x: Tensor, known: int, u: Tensor, temperature: float) -> Tensor:
    drawn = _sampled(logits_of, x, known, u, temperature)
    return torch.where(torch.arange(x.shape[1]) < known, x, drawn)


def _forgotten(logits_of: Callable, x: Tensor, known: int, u: Tensor, temperature: float) -> Tensor:
    """The known places are 0 throughout."""
    return _filled()(logits_of, torch.zeros_like(x), known, u, temperature)


def _forgotten_and_pasted(logits_of: Callable, x: Tensor, known: int, u: Tensor, temperature: float) -> Tensor:
    drawn = _forgotten(logits_of, x, known, u, temperature)
    return torch.where(torch.arange(x.shape[1]) < known, x, drawn)


def _every_other(logits_of: Callable, x: Tensor, known: int, u: Tensor, temperature: float) -> Tensor:
    """Every second pass is saved."""
    out, logits = x.clone(), logits_of(x)
    for i in _rest(x, known):
        logits = logits if (i - known) % 2 else logits_of(out)
        out[:, i] = _inverted(_softmax(logits[:, i], temperature), u[:, i])
    return out


# fmt: off
MISTAKES = (
    ("Every place was drawn before the model had seen what was drawn in front of it: either all from one pass, "
     "or from right to left. After each token the model is to be asked again, about the tokens as they are by "
     "then.",
     _at_once),
    ("All places were drawn from one pass over a blank: after a token is put down the logits of the places "
     "behind it have changed.",
     lambda *args: _at_once(*args, blank=True)),
    ("The model is asked for every second token only: each needs logits that have seen the one before it.",
     _every_other),
    ("The known tokens are overwritten: the first `known` places stay as they are.", _sampled),
    ("The known tokens were put back at the end only: what was drawn after them was drawn without having seen "
     "them.",
     _pasted),
    ("The known tokens are lost: 0 stands in their places, and the rest was drawn after that.", _forgotten),
    ("The known tokens were put back at the end only: what was drawn after them was drawn as if they were 0.",
     _forgotten_and_pasted),
    ("The temperature multiplies the logits (or is the power of the probabilities): a high temperature should "
     "flatten the distribution.",
     _filled(lambda logits, t: _softmax(logits, 1 / t))),
    ("The temperature is not used.", _filled(lambda logits, t: logits.softmax(-1))),
    ("The temperature divides the probabilities, after the softmax: it belongs to the logits, before it.",
     _filled(lambda logits, t: logits.softmax(-1) / t)),
    ("The softmax is taken twice.", _filled(lambda logits, t: _softmax(logits, t).softmax(-1))),
    ("The softmax runs over the batch: the K symbols of a place are what sums to one.",
     _filled(lambda logits, t: (logits / t).softmax(0))),
    ("Always the likeliest token: a sample takes the others, too, as often as their probability says. u decides.",
     _filled(choose=lambda p, u: p.argmax(-1))),
    ("One number too far: the sum of the probabilities up to and including k is what u must stay below.",
     _filled(choose=lambda p, u: (_inverted(p, u) + 1).clamp(max=p.shape[-1] - 1))),
    ("One number too low: the sum of the probabilities up to and including k is what u must stay below.",
     _filled(choose=lambda p, u: (_inverted(p, u) - 1).clamp(min=0))),
    ("Counted from the other end: the sums start with symbol 0, and the smallest k with u below its sum is asked.",
     _filled(choose=lambda p, u: _inverted(p, 1 - u))),
    ("Counted from the other end: the sums start with symbol 0, and the smallest k with u below its sum is asked.",
     _filled(choose=lambda p, u: p.shape[-1] - 1 - _inverted(p.flip(-1), u))),
    ("The sums above u were counted: that counts from the other end. The smallest k with u below its sum is "
     "asked.",
     _filled(choose=lambda p, u: p.shape[-1] - 1 - _inverted(p, u))),
    ("The sums above u were counted: that counts from the other end. The smallest k with u below its sum is "
     "asked.",
     _filled(choose=lambda p, u: (p.shape[-1] - _inverted(p, u)).clamp(max=p.shape[-1] - 1))),
    ("The last `known` places were kept: known are the first.",
     _filled(places=lambda x, known: range(x.shape[1] - known))),
    ("u is compared with the probabilities one by one: with their sums up to k it should be.",
     _filled(choose=lambda p, u: (u[:, None] < p).long().argmax(-1))),
    ("u is compared with the probabilities one by one: with their sums up to k it should be.",
     _filled(choose=lambda p, u: (u[:, None] >= p).sum(-1).clamp(max=p.shape[-1] - 1))),
    ("All symbols are taken for equally likely: u alone decides, and the model is not used.",
     _filled(choose=lambda p, u: (u * p.shape[-1]).long())),
    ("The numbers u are counted from the first unknown place: each place has its own, u[:, i] for place i.",
     _filled(place_of_u=lambda i, x, known: i - known)),
    ("The number u of the place before is used.", _filled(place_of_u=lambda i, x, known: i - 1)),
    ("The number u of the place after is used.", _filled(place_of_u=lambda i, x, known: (i + 1) % x.shape[1])),
    ("One number u for all places of a sequence: each place has its own.",
     _filled(place_of_u=lambda i, x, known: 0)),
    ("One number u for all places of a sequence: each place has its own.",
     _filled(place_of_u=lambda i, x, known: known)),
    ("All sequences got the token of the first.", _filled(choose=lambda p, u: _inverted(p, u)[:1].expand(len(u)))),
    ("It starts one place late: `known` is a count, and the place of that number, counted from 0, is the first "
     "unknown.",
     _filled(places=lambda x, known: range(known + 1, x.shape[1]))),
    ("It starts one place early: the last known token is overwritten.",
     _filled(places=lambda x, known: range(max(known - 1, 0), x.shape[1]))),
    ("It stops one place early: the last token is not filled in.",
     _filled(places=lambda x, known: range(known, x.shape[1] - 1))),
    ("The first `known` places were filled in and the others kept: they are those that are given.",
     _filled(places=lambda x, known: range(known))),
    ("Only one token was filled in, the first unknown: all of the rest are asked.",
     _filled(places=lambda x, known: range(known, min(known + 1, x.shape[1])))),
    ("The logits of the place before are used: here those of place i have seen what comes before i, and predict "
     "place i.",
     _filled(place_of_logits=lambda place, x, known: max(place - 1, 0))),
    ("The logits of the last place are used throughout: those of place i predict place i.",
     _filled(place_of_logits=lambda i, x, known: -1)),
    ("The logits of the first unknown place are used throughout: those of place i predict place i.",
     _filled(place_of_logits=lambda i, x, known: known)),
)

EXERCISE = Exercise(
    id="ar.complete", number="1.4", title="completing, place by place", points=2,
    prompt="the given tokens as they are, then one place after the other: the smallest k whose cumulative "
           "probability exceeds u",
    more="A loop over i from known to L − 1. In it: the logits of all places, of which place i is used; "
         "softmax(logits / T), cumsum; count the sums that u[:, i] is not below; write the token before the "
         "model is asked again.",
    cases=cases, reference=complete, mistakes=MISTAKES, watch=ObserveSpec(tokens=True),
)
