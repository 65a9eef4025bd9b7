"""1.10 Five generators."""

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from .. import WRONG, Case, Exercise, ObserveSpec, SameValues, Verdict
from ..diagnose import close
from ..draws import Cases, Rng
from ..messages import place_of
from ._shared import MANY, _table


def generators(t: Tensor) -> tuple[Tensor, ...]:
    """Of the forward and the reverse KL, χ², Jensen–Shannon and total variation."""
    return tuple(f(t) for f in RIGHT.values())


EQUAL = "Wrong only where p = q: the divergence is 0 there, and f(1) = 0."


def cases(rng: Rng) -> Cases:
    """t = p/q for a batch of pairs of tables, (B, K); `shown` keeps the q by which f is averaged."""
    size, symbols = int(rng.integers(7, 11)), int(rng.integers(3, 7))
    for name, rows, cells, hint in (
        *(
            ("pairs of tables", size, symbols, ""),
            ("other pairs", symbols, size, ""),
            ("float32", size, symbols, ""),
        ),
        *(("one pair", 1, symbols, ""), ("p = q = 1", size, 1, EQUAL), ("40 pairs", 40, symbols, MANY)),
    ):
        q = np.stack([_table(rng, cells) for _ in range(rows)])
        t = np.stack([_table(rng, cells) for _ in range(rows)]) / q
        args = {"t": t.astype(np.float32) if name == "float32" else t}
        yield Case(name, args, {"pair": np.arange(rows), "q": q}, hint)


def _js(t: Tensor) -> Tensor:
    return (t * torch.log(2 * t / (1 + t)) + torch.log(2 / (1 + t))) / 2


RIGHT: dict[str, Callable[[Tensor], Tensor]] = {
    "kl": lambda t: t * t.log(),
    "reverse_kl": lambda t: -t.log(),
    "chi2": lambda t: (t - 1) ** 2,
    "js": _js,
    "tv": lambda t: (t - 1).abs() / 2,
}

# fmt: off
SINGLE = {
    "kl": (
        ("Σ q log(p/q) has the weights of q; a KL weighs by p, and p is q t.", lambda t: t.log()),
        ("the sign is reversed: t log t is convex, its negative is not.", lambda t: -t * t.log()),
        ("to base 2; nats are meant.", lambda t: t * t.log2()),
        ("the logarithm is missing.", lambda t: t * t),
        ("half of it came.", lambda t: t * t.log() / 2),
        ("that is symmetric, Jeffreys' divergence: the sum of both directions.", lambda t: (t - 1) * t.log()),
        ("f(1) is not 0, so that p = q gets a distance: the logarithm lacks nothing, something is added.",
         lambda t: t * t.log() + 1),
        ("f(1) is not 0, so that p = q gets a distance: adding c (t − 1) changes nothing, adding c t does.",
         lambda t: t * t.log() - t),
    ),
    "reverse_kl": (
        ("the sign is reversed: −log is convex, log is not.", lambda t: t.log()),
        ("p and q were exchanged inside f alone. Exchanged in the whole sum, the weight changes too: f becomes "
         "t f(1/t).",
         lambda t: t.reciprocal() * t.reciprocal().log()),
        ("to base 2; nats are meant.", lambda t: -t.log2()),
        ("the sign of t log t was reversed: that is minus the KL. Written out, the weight q is there already.",
         lambda t: -t * t.log()),
    ),
    "chi2": (
        ("f(1) is not 0: Σ p²/q is χ² + 1.", lambda t: t**2),
        ("that is Neyman's, Σ (p − q)²/p: here q is below the line.", lambda t: (t - 1) ** 2 / t),
        ("p and q were exchanged inside f alone.", lambda t: (1 / t - 1) ** 2),
        ("half of it came.", lambda t: (t - 1) ** 2 / 2),
        ("that is a difference of roots, Hellinger's; χ² squares p − q.", lambda t: (t.sqrt() - 1) ** 2),
        ("the square is missing.", lambda t: (t - 1).abs()),
        ("the square is missing, so all cancels: Σ (p − q) = 0.", lambda t: t - 1),
    ),
    "js": (
        ("twice Jensen–Shannon, as in f-GAN: both halves have a factor ½.", lambda t: 2 * _js(t)),
        ("KL(p‖m) alone: the second half, of q, is missing.", lambda t: t * torch.log(2 * t / (1 + t))),
        ("½ KL(p‖m) alone: the second half, of q, is missing.", lambda t: t * torch.log(2 * t / (1 + t)) / 2),
        ("½ KL(q‖m) alone: the first half, of p, is missing.", lambda t: torch.log(2 / (1 + t)) / 2),
        ("KL(q‖m) alone: the first half, of p, is missing.", lambda t: torch.log(2 / (1 + t))),
        ("f(1) is not 0: m is the mean of p and q, not their sum; a log 2 is missing.",
         lambda t: (t * torch.log(t / (1 + t)) - torch.log(1 + t)) / 2),
        ("f(1) is not 0: m is the mean of p and q, not their sum; a log 2 is missing, and both halves a factor ½.",
         lambda t: t * torch.log(t / (1 + t)) - torch.log(1 + t)),
        ("that is Jeffreys' divergence: Jensen–Shannon compares both with their mean m.",
         lambda t: (t - 1) * t.log()),
        ("that is half of Jeffreys' divergence: Jensen–Shannon compares both with their mean m.",
         lambda t: (t - 1) * t.log() / 2),
        ("the sign is reversed in the second half.",
         lambda t: (t * torch.log(2 * t / (1 + t)) - torch.log(2 / (1 + t))) / 2),
        ("the sign is reversed: a generator is convex.", lambda t: -_js(t)),
        ("to base 2; nats are meant.", lambda t: _js(t) / math.log(2)),
        ("the reverse KLs to the mean, KL(m‖p) and KL(m‖q), were averaged.",
         lambda t: -(1 + t) / 2 * (torch.log(2 * t / (1 + t)) + torch.log(2 / (1 + t))) / 2),
        ("the root of it came.", lambda t: _js(t).clamp(min=0).sqrt()),
    ),
    "tv": (
        ("a factor ½ is missing: it runs from 0 to 1.", lambda t: (t - 1).abs()),
        ("squares came: that is χ², or half of it.", lambda t: (t - 1) ** 2 / 2),
        ("without absolute values all cancels: Σ (p − q) = 0.", lambda t: (t - 1) / 2),
        ("the square is taken before the difference.", lambda t: (t**2 - 1).abs() / 2),
        ("that is a difference of roots: total variation takes p − q.", lambda t: (t.sqrt() - 1).abs() / 2),
        ("that is a difference of logarithms: total variation takes p − q.", lambda t: t.log().abs() / 2),
        ("the ratio was turned upside down.", lambda t: (1 / t - 1).abs() / 2),
    ),
}
# fmt: on


class SameDivergences(SameValues):
    """Two generators are the same where Σ q f(p/q) is, for every pair of tables."""

    def canonical(self, values: dict[str, np.ndarray], case: Case) -> dict[str, np.ndarray]:
        return {name: (case.shown["q"] * value).sum(-1) for name, value in values.items()}

    def broken(self, values: dict[str, np.ndarray], right: dict[str, np.ndarray], case: Case) -> Verdict | None:
        mine, wanted = self.canonical(values, case), self.canonical(right, case)
        wrong = [name for name in wanted if not close(mine[name], wanted[name])]
        if not wrong:
            return None
        name = wrong[0]
        fine = [other for other in wanted if other not in wrong]
        law = f"Σ q f(p/q) with your {name} is another divergence" + (
            f"; right: {', '.join(fine)}." if fine else "."
        )
        return Verdict(
            WRONG, law, *place_of(mine[name], wanted[name], case), hint=_diagnosis(name, mine[name], wanted, case)
        )


def _diagnosis(name: str, mine: np.ndarray, wanted: Mapping[str, np.ndarray], case: Case) -> str:
    """What the divergences of one generator say about it."""
    if not np.isfinite(mine).all():
        return (
            f"{name} holds NaN or an infinite value: t is above 0 here, so is a logarithm or root taken of t − 1?"
        )
    t = torch.as_tensor(case.args["t"])
    for hint, f in SINGLE[name]:
        if close(mine, (case.shown["q"] * f(t).double().numpy()).sum(-1)):
            return f"{name}: {hint}"
    other = next((o for o in wanted if o != name and close(mine, wanted[o])), "")
    if other:
        return f"{name}: that is the generator of {other}."
    if np.allclose(mine, -wanted[name], atol=1e-6):
        return f"{name}: the sign is reversed. A generator is convex."
    return _by_constant(name, mine, wanted[name])


def _by_constant(name: str, mine: np.ndarray, right: np.ndarray) -> str:
    factor, offset = float(mine @ right / (right @ right or 1)), float((mine - right).mean())
    if close(mine, factor * right):
        return f"{name}: {factor:.4g} times the expected one: a constant factor."
    if len(mine) > 1 and np.ptp(mine - right) < 1e-4:
        return f"{name}: too large by {offset:.4g} for every pair: is f(1) = 0, as it must be where p = q?"
    return f"{name}: write the divergence as one sum, take q out of every term, and put t wherever p/q is left."


def _five(**others: Callable[[Tensor], Tensor]) -> Callable:
    """All five, some of them exchanged."""
    forms = RIGHT | others
    return lambda t: tuple(forms[name](t) for name in RIGHT)


# fmt: off
MISTAKES = (
    ("kl and reverse_kl are exchanged: with t = p/q, which of them is weighed by p = q t?",
     _five(kl=RIGHT["reverse_kl"], reverse_kl=RIGHT["kl"])),
    ("p and q are exchanged throughout: t is p/q, and q weighs.",
     lambda t: tuple(t * f(1 / t) for f in RIGHT.values())),
    ("t is taken for q/p: it is p/q.", lambda t: tuple(f(1 / t) for f in RIGHT.values())),
    ("The weight q stands in f: it is outside of it, D = Σ q f.",
     lambda t: tuple(f(t) / t for f in RIGHT.values())),
    ("In bits: nats are meant, the natural logarithm.",
     _five(kl=lambda t: t * t.log2(), reverse_kl=lambda t: -t.log2(), js=lambda t: _js(t) / math.log(2))),
    ("Concave throughout: all signs are reversed.", lambda t: tuple(-f(t) for f in RIGHT.values())),
    *((f"{name}: {hint}", _five(**{name: f})) for name, mistakes in SINGLE.items() for hint, f in mistakes),
)

EXERCISE = Exercise(
    id="ar.generators", number="1.10", title="five generators", points=2,
    prompt="for each of the five divergences the value at t of a function f, zero at one, whose f-divergence it "
           "is",
    more="Take q out of the summand: p log(p/q) = q · t log t; q log(q/p) = q · (−log t); (p − q)²/q = q · (t − "
         "1)²; with m = (p + q)/2 it is p/m = 2t/(1 + t) and q/m = 2/(1 + t).",
    cases=cases, reference=generators, mistakes=MISTAKES,
    watch=ObserveSpec(outputs=("kl", "reverse_kl", "chi2", "js", "tv")), law=SameDivergences(),
)
