"""9.6 One step of sampling."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ....paths import MaskPath
from .. import Case, Exercise, ObserveSpec
from ..draws import Cases, Rng
from ._shared import BITS, ENDS, MASK, _chances, _hours, _kind, _odd_sizes, _sizes, _symbols, _tokens


def unmask_step(
    xt: Tensor, proposal: Tensor, hours: Tensor, survive_now: float, survive_next: float, mask_id: int
) -> Tensor:
    """The path's share of the masked tokens, the hours deciding which."""
    now, after = (torch.as_tensor(chance, dtype=torch.float64) for chance in (survive_now, survive_next))
    appear = hours < MaskPath(mask_id).unmask(now, after).to(hours)
    return torch.where((xt == mask_id) & appear, proposal, xt)


def cases(rng: Rng) -> Cases:
    for name, size, length, hint in (
        *(("a step", *_sizes(rng), ""), ("another step", *_sizes(rng), ""), ("float32", *_sizes(rng), "")),
        *(("the first step", *_sizes(rng), ENDS), ("the last step", *_sizes(rng), ENDS)),
        *(("two symbols", *_sizes(rng), BITS), ("nothing masked", *_sizes(rng), MASK)),
        *_odd_sizes(rng),
    ):
        now = 0.0 if name == "the first step" else float(_chances(rng, low=0.1, high=0.7))
        share = (
            1.0
            if name == "the last step"
            else rng.uniform(0.15, 0.4)
            if name == "a step"
            else rng.uniform(0.3, 0.8)
        )
        after = round(now + share * (1 - now), 2)
        yield _one_step(rng, name, (size, length), (now, after), hint)


def _one_step(rng: Rng, name: str, batch: tuple[int, int], chances: tuple[float, float], hint: str) -> Case:
    symbols, (now, after) = _symbols(rng, name), chances
    x, proposal = _tokens(rng, symbols, *batch), _tokens(rng, symbols, *batch)
    xt = np.where(_hours(rng, *batch) < (1 if name == "nothing masked" else now), x, symbols)
    xt[0, 0] = xt[0, 0] if name == "nothing masked" else symbols
    hours, chance = _hours(rng, *batch), (after - now) / (1 - now)
    hours = np.where(np.abs(hours - chance) < 0.004, (hours + 0.5) % 1, hours)  # no ties here either
    if name == "the last step":
        hours[0, 0] = 0.995
    if name == "nothing masked":  # and what is proposed lacks the last symbol, which stands at the first place
        proposal, hours[0, 0] = np.minimum(proposal, symbols - 2), 0.005
    args = {"xt": xt, "proposal": proposal, "hours": hours.astype(_kind(name))}
    return Case(name, args | {"survive_now": now, "survive_next": after, "mask_id": symbols}, hint=hint)


def _share(n: float, a: float) -> float:
    return (a - n) / (1 - n)


def _step(
    chance: Callable = _share,
    reveal: Callable = lambda hours, p: hours < p,
    where: Callable = lambda xt, m: xt == m,
    rest: Callable = lambda xt, m: xt,
) -> Callable:
    """One reverse step with one of its pieces exchanged."""
    return lambda xt, proposal, hours, n, a, m: torch.where(
        where(xt, m) & reveal(hours, chance(n, a)), proposal, rest(xt, m)
    )


# fmt: off
MISTAKES = (
    ("Visible tokens are replaced as well: what appeared once stays.", _step(where=lambda xt, m: xt == xt)),
    ("Everything masked appears at once: only a part does in one step, told by the hours.",
     _step(reveal=lambda hours, p: hours == hours)),
    ("Inverted: a token appears where its hour is below the chance, yours where it is above.",
     _step(reveal=lambda hours, p: hours >= p)),
    ("The chance is survive_next, as if nothing were known: of the tokens still masked at survive_now fewer "
     "appear.",
     _step(lambda n, a: a)),
    ("The chance is survive_next − survive_now, a part of all tokens: what is asked is a part of the masked ones.",
     _step(lambda n, a: a - n)),
    ("The chance is 1 − survive_now/survive_next, which is β, the chance to be masked on the way forward.",
     _step(lambda n, a: 1 - n / a)),
    ("The chance is divided by the share that is masked after the step; the condition is being masked before it.",
     _step(lambda n, a: (a - n) / (1 - a) if a < 1 else math.inf)),
    ("The chance is that of staying masked.", _step(lambda n, a: 1 - _share(n, a))),
    ("What did not appear is masked, the visible tokens too: they stay.",
     _step(rest=lambda xt, m: torch.full_like(xt, m))),
    ("The proposal was masked afresh at survive_next: the visible tokens stay, and the others must know that "
     "they are masked at survive_now.",
     lambda xt, proposal, hours, n, a, m: torch.where(hours < a, proposal, m)),
    ("All masks were filled and everything masked afresh at survive_next: the visible tokens stay, and the "
     "others must know that they are masked at survive_now.",
     lambda xt, proposal, hours, n, a, m: torch.where(hours < a, torch.where(xt == m, proposal, xt), m)),
    ("A token appears where its hour lies between survive_now and survive_next: right if the hours were kept "
     "from step to step, but here they are new, and any hour may be that of a masked token.",
     _step(lambda n, a: (n, a), lambda hours, p: (hours >= p[0]) & (hours < p[1]))),
    ("Parentheses are missing in the chance: a division binds before the difference above it.",
     _step(lambda n, a: a - n / (1 - n))),
    ("The visible tokens are kept, but those masked are drawn afresh at survive_next where they should know "
     "survive_now; and what did not appear is lost.",
     lambda xt, proposal, hours, n, a, m: torch.where(xt == m, torch.where(hours < a, proposal, 0), xt)),
    ("One hour for a whole sequence: all its masked tokens appear together. Each place has an hour of its own.",
     _step(reveal=lambda hours, p: (hours[:, :1] < p).expand(hours.shape))),
    ("Masked places are looked for at token 0, which is a clean token.", _step(where=lambda xt, m: xt == 0)),
    ("The visible places are overwritten and the masked ones stay: the condition is inverted.",
     _step(where=lambda xt, m: xt != m)),
)

EXERCISE = Exercise(
    id="abs.unmask_step", number="9.6", title="one step of sampling",
    prompt="the tokens after one step back: of the masked ones those appear whose hour is below the chance",
    more="The chance is that of 9.3, with survive_next in the place of ᾱ_{k−1}. A token appears where two "
         "things hold.",
    cases=cases, reference=unmask_step, mistakes=MISTAKES, watch=ObserveSpec(tokens=True),
)
