"""The mistakes that anybody makes, recognised by value: sign, factor, sum or mean, square, transposition, shape.

Each compares the arrays that came with the right ones, over all wrong cases at once: a mistake is named only
where it explains every number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .cases import Case

TOLERANCE = 2e-4  # of the entry and of the array's size: float32 on the way is welcome, a mistake is far larger


@dataclass(frozen=True)
class Pair:
    """What came and what was right, of one shape, and the case that asked."""

    given: np.ndarray
    right: np.ndarray
    case: Case


def close(given: np.ndarray, right: np.ndarray, nan: bool = False, least: float = 0.0) -> bool:
    """Equal up to rounding in float32: |given − right| <= 2e-4 (|right| + rms(right)), same shape; rms at least `least`."""
    if given.shape != right.shape:
        return False
    size = max(size_of(right), least)
    return bool(np.allclose(given, right, rtol=TOLERANCE, atol=TOLERANCE * size + 1e-12, equal_nan=nan))


def size_of(array: np.ndarray) -> float:
    """The root mean square of what is finite."""
    finite = np.abs(array[np.isfinite(array)])
    top = float(finite.max(initial=0.0))
    return top * float(np.sqrt(np.mean((finite / top) ** 2))) if top else 0.0  # squares of 1e200 overflow


def fitted(given: np.ndarray, right: np.ndarray) -> np.ndarray | None:
    """given in the shape of right: a number may come as (1,), one number a sample (B,) as (B, 1); else None.

    A batch (B, D) must come as (B, D): one that loses an axis of length one would be broadcast later on."""
    padded = right.shape + (1,) * (given.ndim - right.ndim)
    alike = given.shape == (padded if right.ndim < 2 else right.shape)
    return given.reshape(right.shape) if alike else None


# --- values

Form = Callable[[np.ndarray, int, int], np.ndarray]

FORMS: tuple[tuple[str, Form], ...] = (
    ("The sign is reversed: your value is exactly minus the expected one.", lambda r, B, D: -r),
    (
        "Your value is exactly twice the expected one: a factor ½ is missing, or one 2 too many.",
        lambda r, B, D: 2 * r,
    ),
    (
        "Your value is exactly half the expected one: a factor 2 is missing, or one ½ too many.",
        lambda r, B, D: r / 2,
    ),
    ("Your value is −2 times the expected one: the sign, and a factor 2.", lambda r, B, D: -2 * r),
    ("Your value is −½ times the expected one: the sign, and a factor ½.", lambda r, B, D: -r / 2),
    ("Logarithm to base 2 where the natural one is meant (a factor 1/ln 2).", lambda r, B, D: r / np.log(2)),
    ("A factor ln 2: nats and bits are exchanged.", lambda r, B, D: r * np.log(2)),
    (
        "Your value is B times the expected one: a sum over the batch where the mean is asked.",
        lambda r, B, D: B * r,
    ),
    (
        "Your value is the expected one divided by B: a mean over the batch where the sum is asked.",
        lambda r, B, D: r / B,
    ),
    (
        "Your value is D times the expected one: a sum over the coordinates where the mean is asked.",
        lambda r, B, D: D * r,
    ),
    (
        "Your value is the expected one divided by D: a mean over the coordinates where the sum is asked.",
        lambda r, B, D: r / D,
    ),
    (
        "Your value is B·D times the expected one: a sum over everything where the mean is asked.",
        lambda r, B, D: B * D * r,
    ),
    (
        "Your value is the expected one divided by B·D: a mean over everything where the sum is asked.",
        lambda r, B, D: r / (B * D),
    ),
    (
        "Your value is the square of the expected one: a square too many, or a root forgotten.",
        lambda r, B, D: r**2,
    ),
    (
        "Your value is the square root of the expected one: a root too many, or a square forgotten.",
        lambda r, B, D: np.sqrt(np.abs(r)),
    ),
    ("Your value is one over the expected one: numerator and denominator are exchanged.", lambda r, B, D: 1 / r),
    ("Your value is the exponential of the expected one: a logarithm is missing.", lambda r, B, D: np.exp(r)),
    ("Your value is the logarithm of the expected one: a logarithm too many.", lambda r, B, D: np.log(np.abs(r))),
    ("Only the sign is lost: your value is the absolute value of the expected one.", lambda r, B, D: np.abs(r)),
    (
        "Transposed: rows and columns are exchanged.",
        lambda r, B, D: np.swapaxes(r, -1, -2) if r.ndim > 1 else r * np.nan,
    ),
    (
        "The order is reversed along the first axis: does the time run the other way?",
        lambda r, B, D: r[::-1] if r.ndim else r * np.nan,
    ),
)


def value_hint(pairs: Sequence[Pair], everywhere: bool = True) -> str:
    """The one sentence that explains every wrong value; empty where none does."""
    if not all(np.isfinite(p.given).all() for p in pairs):
        return _not_finite(pairs)
    with np.errstate(all="ignore"):
        return (
            _constant_answer(pairs, everywhere)
            or _an_argument(pairs)
            or _a_form(pairs)
            or _any_factor(pairs)
            or _any_offset(pairs)
            or _first_row_only(pairs)
            or _nearly(pairs)
        )


def _not_finite(pairs: Sequence[Pair]) -> str:
    kind = "NaN" if any(np.isnan(p.given).any() for p in pairs) else "an infinite value"
    return f"Your result holds {kind}: a division by zero, log or root of a negative number, an overflow?"


def _constant_answer(pairs: Sequence[Pair], everywhere: bool) -> str:
    if not any(np.any(p.given) for p in pairs):
        return "Your result is zero everywhere: is something computed and then not used?"
    first = pairs[0].given
    same = (
        everywhere
        and len(pairs) > 2
        and all(p.given.ravel()[0] == first.ravel()[0] and np.ptp(p.given) == 0 for p in pairs)
    )
    return "The same number comes out whatever goes in: is it computed from the arguments?" if same else ""


def _an_argument(pairs: Sequence[Pair]) -> str:
    for name in pairs[0].case.args:
        values = [p.case.args.get(name) for p in pairs]
        if all(
            isinstance(v, np.ndarray) and v.size > 1 and close(p.given, v.astype(float))
            for v, p in zip(values, pairs, strict=False)
        ):
            return f"Your result is the argument {name} itself, unchanged."
    return ""


def _a_form(pairs: Sequence[Pair]) -> str:
    return next(
        (hint for hint, form in FORMS if all(close(p.given, form(p.right, *p.case.sizes)) for p in pairs)), ""
    )


def _any_factor(pairs: Sequence[Pair]) -> str:
    given, right = _flat(pairs)
    if given.size < 3 or not np.any(right):
        return ""
    factor = float(given @ right / (right @ right))
    return (
        f"Your value is {factor:.4g} times the expected one, everywhere: a constant factor."
        if all(close(p.given, factor * p.right) for p in pairs) and abs(factor) > 1e-3
        else ""
    )


def _any_offset(pairs: Sequence[Pair]) -> str:
    given, right = _flat(pairs)
    offset = float(np.mean(given - right))
    return (
        f"Your value is the expected one plus {offset:.4g}, everywhere: a constant too many or too few."
        if given.size >= 3 and np.isfinite(offset) and np.ptp(given - right) <= 1e-3 * abs(offset)
        else ""
    )


def _first_row_only(pairs: Sequence[Pair]) -> str:
    tall = [p for p in pairs if p.right.ndim > 0 and len(p.right) > 1]
    return (
        "Only the first row of the batch is right: is an index [0] left, or one example's value used for all?"
        if tall and all(close(p.given[:1], p.right[:1]) for p in tall)
        else ""
    )


def _nearly(pairs: Sequence[Pair]) -> str:
    given, right = _flat(pairs)
    off = float(np.median(np.abs(given - right) / np.maximum(np.abs(right), 1e-12)))
    return (
        f"Close, but typically {off:.1%} off, more than rounding: an epsilon added somewhere, an "
        "approximation, or a rounded constant?"
        if TOLERANCE / 2 < off < 0.02
        else ""
    )


def _flat(pairs: Sequence[Pair]) -> tuple[np.ndarray, np.ndarray]:
    return (np.concatenate([p.given.ravel() for p in pairs]), np.concatenate([p.right.ravel() for p in pairs]))


# --- shapes


def shape_hint(given: np.ndarray, right: np.ndarray, case: Case) -> str:
    """A sentence for a wrong shape: which right values are hidden in what came."""
    batch_came = any(
        isinstance(v, np.ndarray) and v.ndim and len(v) == len(right) for v in case.args.values() if right.ndim
    )
    rules = (
        _scalar_asked,
        _no_column,
        _spread,
        _squeezed,
        _transposed,
        _whole_way,
        _unreduced,
        *([_table_of_pairs] if batch_came else []),
        _numbers,
        _reduced,
        _same_count,
    )
    return next(
        (hint for rule in rules if (hint := rule(given, right))),
        case.hint or f"The result should have the shape {right.shape}: print the shapes of the pieces.",
    )


def _scalar_asked(given: np.ndarray, right: np.ndarray) -> str:
    if right.size > 1 or given.size == 1:
        return ""
    for name, value in (("mean", given.mean()), ("sum", given.sum())):
        if given.size and close(value.reshape(right.shape), right):
            return f"One number is asked, {given.size} came: their {name} is missing (it would be right)."
    return f"One number is asked, {given.size} came: the mean or sum over them is missing."


def _no_column(given: np.ndarray, right: np.ndarray) -> str:
    if right.ndim != 2 or right.shape[1] != 1 or given.shape != right.shape[:1]:
        return ""
    return (
        "One number a sample is asked as a column, (B, 1), and (B,) came: an index or a sum over the coordinates leaves no "
        "last axis, and squeeze() takes it away, also a batch of one sample or a single coordinate."
    )


def _spread(given: np.ndarray, right: np.ndarray) -> str:
    if right.ndim != 2 or right.shape[1] != 1 or given.ndim != 2 or len(given) != len(right):
        return ""
    same = given.shape[1] > 1 and close(given, np.repeat(right, given.shape[1], axis=1))
    return (
        "The right numbers, repeated for every coordinate: one number a sample is asked, (B, 1)." if same else ""
    )


def _squeezed(given: np.ndarray, right: np.ndarray) -> str:
    lost = right.ndim > given.ndim and given.shape == tuple(n for n in right.shape if n != 1)
    return (
        "An axis of length one is lost: squeeze() takes away every such axis, also a batch of one sample or "
        "a single coordinate."
        if lost
        else ""
    )


def _transposed(given: np.ndarray, right: np.ndarray) -> str:
    if right.ndim < 2 or given.shape != right.shape[::-1]:
        return ""
    return "Rows and columns are exchanged" + (": transpose the result." if close(given.T, right) else ".")


def _whole_way(given: np.ndarray, right: np.ndarray) -> str:
    if given.shape[1:] != right.shape or len(given) < 2 or given.shape == right.shape * 2:
        return ""
    if close(given[-1], right):
        return f"{len(given)} results came, stacked; one is asked, the last (which is right)."
    for name, value in (("mean", given.mean(0)), ("sum", given.sum(0))):
        if close(value, right):
            return f"{len(given)} results came, stacked: their {name} over the first axis is missing (it would be right)."
    return f"{len(given)} results came, stacked; one is asked, the last."


def _unreduced(given: np.ndarray, right: np.ndarray) -> str:
    if not 0 < right.ndim < given.ndim or given.shape[: right.ndim] != right.shape or given.size == right.size:
        return ""
    rest = tuple(range(right.ndim, given.ndim))
    for name, value in (("sum", given.sum(rest)), ("mean", given.mean(rest))):
        if close(value, right):
            return f"Too many numbers came: their {name} over the axes after {right.shape} is missing (it would be right)."
    return ""


def _table_of_pairs(given: np.ndarray, right: np.ndarray) -> str:
    if right.ndim in (1, 2) and given.ndim >= 2 and given.shape[:2] == (len(right), len(right)) != right.shape[:2]:
        return (
            "A (B, B) table came: shapes (B,) and (B, 1) were combined and torch made all pairs. Give the "
            "one a last axis of length one, v[:, None], or take it from the other."
        )
    return ""


def _numbers(given: np.ndarray, right: np.ndarray) -> str:
    counted = right.ndim > 1 and given.ndim == 1 and np.array_equal(np.sort(given), np.arange(len(right)))
    return "The numbers of the points came: return the points themselves, indexed with them." if counted else ""


def _reduced(given: np.ndarray, right: np.ndarray) -> str:
    if given.size >= right.size or given.ndim >= right.ndim:
        return ""
    for axis in range(right.ndim):
        for name, part in (("sum", right.sum(axis)), ("mean", right.mean(axis))):
            if close(given, part):
                return f"A {name} too many: {'over the batch' if axis == 0 else 'over the coordinates'}."
    return "Too few numbers came: is there a sum or mean too many, or an index left?"


def _same_count(given: np.ndarray, right: np.ndarray) -> str:
    if given.size != right.size:
        return ""
    tail = " (the numbers are right)" if close(given.reshape(right.shape), right) else ""
    return f"As many numbers as expected{tail}, in another shape: reshape them."
