"""The verdict: arrays that came, compared with arrays that were expected.  No student's code is touched here.

Order of the questions, so that the first sentence is the most useful one: did anything come, in the right
shape, without NaN, with the right value in every case (an error in a later case comes after a wrong value in
an earlier one); does the gradient flow; and only then the manners (changed arguments, used the global random
stream, ...).  Where a value is wrong it is compared with what each
known mistake of the exercise would have given, and after that with the mistakes that anybody makes (`diagnose`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from . import diagnose
from .cases import Case, Observation
from .compare import ComparisonPairs, ComparisonTable, beside
from .diagnose import Pair, close, fitted, size_of
from .messages import ERROR_HINTS, NOT_YET, NOTES, PASS, SIDE_EFFECTS, TROUBLES, WRONG, place_of

MANY = 8  # names on a card
CUT = "Part of the graph is cut, or counted twice: look for .detach(), .data, torch.no_grad() or numpy on the way."


@dataclass(frozen=True)
class Verdict:
    """What the card says: status, the law that failed, where, the two values, a hint and `more` on demand.

    Where it passed, `hint` is a remark.  `beside` is what can be drawn of the values."""

    status: str
    law: str = ""
    where: str = ""
    given: str = ""
    expected: str = ""
    hint: str = ""
    more: str = ""
    beside: ComparisonTable | ComparisonPairs | None = field(default=None, compare=False, repr=False)

    @property
    def passed(self) -> bool:
        return self.status == PASS

    @property
    def sentence(self) -> str:
        """Law, place and values in one line."""
        values = f"{self.where}: you gave {self.given}, expected {self.expected}." if self.given else self.where
        return " ".join(part for part in (self.law, values) if part)


@dataclass(frozen=True)
class Expected:
    """The judge's side: the cases, what the reference gives on them, and what each known mistake would give."""

    cases: tuple[Case, ...]
    right: tuple[Observation, ...]
    mistakes: tuple[tuple[str, Sequence[Observation]], ...] = ()
    gradient_mistakes: tuple[tuple[str, Sequence[Observation]], ...] = ()


class SameValues:
    """The usual law: every output equals the reference's, entry by entry.

    drawn: whether a picture of the entries, one against the other, says what is wrong."""

    drawn = True

    def canonical(self, values: dict[str, np.ndarray], case: Case) -> dict[str, np.ndarray]:
        """Equivalent answers brought to one form; here there is only one."""
        return values

    def broken(self, values: dict[str, np.ndarray], right: dict[str, np.ndarray], case: Case) -> Verdict | None:
        """None where the law holds, otherwise a verdict that names it."""
        wrong = [name for name in right if not close(values[name], right[name], least=case.least)]
        if not wrong:
            return None
        name = wrong[0]
        where, given, expected = place_of(values[name], right[name], case)
        fine = [other for other in right if other not in wrong]
        law = f"{name} is wrong while {' and '.join(fine)} is right." if fine else ""
        return Verdict(WRONG, law, where, given, expected)


def judge(observed: Sequence[Observation], expected: Expected, law: SameValues) -> Verdict:
    """The verdict on what was observed; that may come from another process, and nothing in it is trusted."""
    stopped = next((k for k, seen in enumerate(observed) if seen.trouble), len(observed))
    answered = observed[:stopped]
    return (
        _shapes(answered, expected)
        or _values(answered, expected, law)
        or _missing(observed, stopped, expected)
        or _gradient(observed, expected)
        or _side_effects(observed)
        or Verdict(PASS, _praise(expected), hint=_note(observed))
    )


def _missing(observed: Sequence[Observation], stopped: int, expected: Expected) -> Verdict | None:
    if stopped < min(len(observed), len(expected.cases)):
        return _trouble(observed[stopped], expected.cases[stopped], list(expected.right[stopped].values))
    if stopped != len(expected.cases):
        return Verdict(WRONG, "Some results are missing.", hint="Did the function stop the program?")
    return None


def _trouble(seen: Observation, case: Case, outputs: Sequence[str]) -> Verdict:
    status, law, hint = TROUBLES.get(seen.trouble, TROUBLES["type"])
    detail = f" {seen.detail}." if seen.detail else ""
    if status == NOT_YET:
        return Verdict(status, law if "ellipsis" not in detail else "Not yet: a `...` is still in the code.")
    if seen.trouble in ("type", "count") and len(outputs) > 1:
        count = "two" if len(outputs) == 2 else len(outputs)
        hint = f"Return {count} tensors, ({', '.join(outputs)}), each of them a whole batch."
    words = seen.detail.lower()
    hint = hint or next(
        (h for key, h in ERROR_HINTS if key in words),
        case.hint or "Read the error from its end: which line, which shapes?",
    )
    place = f"Case: {case.name}." if seen.trouble in ("raised", "timeout") else ""
    return Verdict(status, f"{law}{detail}", place, hint=hint)


def _praise(expected: Expected) -> str:
    names = list(dict.fromkeys(case.name for case in expected.cases))
    shown = names if len(names) <= MANY else [*names[: MANY - 1], f"{len(names) - MANY + 1} cases more"]
    return f"Right on {_listed(shown)}."


def _shapes(observed: Sequence[Observation], expected: Expected) -> Verdict | None:
    for seen, right, case in zip(observed, expected.right, expected.cases, strict=False):
        for name, wanted in right.values.items():
            given = seen.values.get(name)
            if type(given) is not np.ndarray or given.dtype != np.float64:
                return Verdict(WRONG, "Some results are missing.", hint=f"Nothing readable came for {name}.")
            if fitted(given, wanted) is None:
                return Verdict(
                    WRONG,
                    f"The shape of {name} is wrong.",
                    f"Case {case.name}",
                    f"shape {given.shape}",
                    f"shape {wanted.shape}",
                    _exchanged(seen, right) or diagnose.shape_hint(given, wanted, case),
                )
    return None


def _exchanged(seen: Observation, right: Observation) -> str:
    """A sentence where two results came, each of them right, in the other order."""
    names = list(right.values)
    if len(names) != 2 or not all(type(seen.values.get(name)) is np.ndarray for name in names):
        return ""
    turned = zip(names, reversed(names), strict=True)
    came = [(fitted(seen.values[other], right.values[name]), right.values[name]) for name, other in turned]
    wrong = any(given is None or not close(given, wanted) for given, wanted in came)
    return "" if wrong else f"Both results are right, in the other order: ({', '.join(names)}) is asked."


def _values(observed: Sequence[Observation], expected: Expected, law: SameValues) -> Verdict | None:
    came = [_fit(seen, right) for seen, right in zip(observed, expected.right, strict=False)]
    rows = list(zip(came, expected.right, expected.cases, strict=False))
    broken = {
        k: found
        for k, (values, right, case) in enumerate(rows)
        if (found := law.broken(values, right.values, case))
    }
    if not broken:
        return None
    first = next(iter(broken.values()))
    drew = SIDE_EFFECTS["random"][1] if any("random" in seen.side_effects for seen in observed) else ""
    overlooked = [expected.cases[k].hint for k in broken]
    hint = (
        _known_mistake(came, expected, law)
        or drew
        or (all(overlooked) and overlooked[0])
        or first.hint
        or _general_mistake(came, expected, list(broken))
    )
    share = _share(expected.cases[: len(came)], broken)
    return replace(
        first,
        law=" ".join(part for part in (share, first.law) if part),
        hint=hint or "Compute one entry by hand, with the numbers above, and compare term by term.",
        beside=_beside(rows, law) if law.drawn else None,
    )


def _beside(
    rows: Sequence[tuple[dict, Observation, Case]], law: SameValues
) -> ComparisonTable | ComparisonPairs | None:
    """The first output that is wrong, of every case that has it, in the form in which the law compares."""
    forms = [(law.canonical(came, case), law.canonical(right.values, case), case) for came, right, case in rows]
    for name in rows[0][1].values:
        shown = beside(
            name, [diagnose.Pair(came[name], right[name], case) for came, right, case in forms if name in right]
        )
        if shown:
            return shown
    return None


def _fit(seen: Observation, right: Observation) -> dict[str, np.ndarray]:
    return {name: fitted(seen.values[name], wanted) for name, wanted in right.values.items()}


def _share(cases: Sequence[Case], broken: dict[int, Verdict]) -> str:
    """'Right on VE, wrong on conical and VP.'"""
    names = list(dict.fromkeys(case.name for case in cases))
    bad = {cases[k].name for k in broken}
    wrong, right = [n for n in names if n in bad], [n for n in names if n not in bad]
    if not right:
        return "Wrong in every case." if len(wrong) > 1 else "The value is wrong."
    if len(right) > MANY:
        return f"Wrong on {_listed(wrong)}, right on all else."
    return f"Right on {_listed(right)}, wrong on {_listed(wrong) if len(wrong) <= MANY else 'all else'}."


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1]


def _known_mistake(came: Sequence[dict], expected: Expected, law: SameValues) -> str:
    """The mistake whose values came in every case in which it has any (k/(steps − 1) has none for one step)."""
    for hint, values_of_form in expected.mistakes:
        recognised = 0
        for values, wrong, case in zip(came, values_of_form, expected.cases, strict=False):
            if wrong.trouble:
                continue
            if not _alike(values, wrong.values, law, case):
                break  # the mistake is not asked about the other cases
            recognised += 1
        else:
            if recognised:
                return hint
    return ""


def _alike(came: dict[str, np.ndarray], wrong: dict[str, np.ndarray], law: SameValues, case: Case) -> bool:
    mine, other = law.canonical(came, case), law.canonical(wrong, case)
    return all(close(mine[name], other[name], nan=True) for name in mine)


def _general_mistake(came: Sequence[dict], expected: Expected, broken: list[int]) -> str:
    """The generic diagnosis, on the outputs that are wrong in the cases that are wrong."""
    cases, right = expected.cases, expected.right
    names = [n for n in right[0].values if any(not close(came[k][n], right[k].values[n]) for k in broken)]
    pairs = [Pair(came[k][n], right[k].values[n], cases[k]) for n in names[:1] for k in broken]
    return diagnose.value_hint(pairs, everywhere=len(broken) == len(cases)) if pairs else ""


def _gradient(observed: Sequence[Observation], expected: Expected) -> Verdict | None:
    usual = _usual_slopes(expected.right)
    for seen, right, case in zip(observed, expected.right, expected.cases, strict=False):
        if "detached" in seen.side_effects:
            return _side_effect("detached")
        for name, wanted in right.gradients.items():
            given = seen.gradients.get(name)
            readable = type(given) is np.ndarray and given.shape == wanted.shape
            if not readable or not close(given, wanted, least=max(usual[name], case.least)):
                zero = given is not None and not np.any(given)
                generic = SIDE_EFFECTS["detached"][1] if zero else CUT
                return Verdict(
                    WRONG,
                    f"The value is right, but its gradient with respect to {name} is not.",
                    f"Case: {case.name}.",
                    hint=_known_gradient_mistake(observed, expected) or generic,
                    beside=beside(f"gradient by {name}", [diagnose.Pair(given, wanted, case)])
                    if readable
                    else None,
                )
    return None


def _usual_slopes(right: Sequence[Observation]) -> dict[str, float]:
    """By argument, how large its gradient is in the middle one of the cases.

    Where a softmax is saturated, or a row sums to one, the terms of a gradient cancel: what is left is as large as the
    rounding of the terms, not of the sum.  At least half of the cases are held to their own size."""
    names = {name for seen in right for name in seen.gradients}
    return {
        name: float(np.median([size_of(seen.gradients[name]) for seen in right if name in seen.gradients]))
        for name in names
    }


def _known_gradient_mistake(observed: Sequence[Observation], expected: Expected) -> str:
    """The form of right values whose gradients came, all of them in every case."""
    for hint, wrong in expected.gradient_mistakes:
        pairs = [
            (seen.gradients.get(name), slope)
            for seen, form in zip(observed, wrong, strict=False)
            for name, slope in form.gradients.items()
        ]
        if pairs and all(type(given) is np.ndarray and close(given, slope) for given, slope in pairs):
            return hint
    return ""


def _side_effects(observed: Sequence[Observation]) -> Verdict | None:
    broken = {manner for seen in observed for manner in seen.side_effects}
    return next((_side_effect(name) for name in SIDE_EFFECTS if name in broken), None)


def _note(observed: Sequence[Observation]) -> str:
    return next((NOTES[name] for seen in observed for name in seen.side_effects if name in NOTES), "")


def _side_effect(name: str) -> Verdict:
    law, hint = SIDE_EFFECTS[name]
    return Verdict(WRONG, law, hint=hint)
