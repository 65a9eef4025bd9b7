"""What the exercises are proven against: a solution, wrong answers with their hints, odd correct forms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import singledispatch

import numpy as np

from dgm_course.teach.homework import Case, Observation


@dataclass(frozen=True)
class Bank:
    """solution; wrong: name -> (answer, fragment of the hint it must earn); correct: name -> answer; stub."""

    solution: Callable
    stub: Callable
    wrong: Mapping[str, tuple[Callable, str]]
    correct: Mapping[str, Callable]


def cases(banks: Mapping[str, Bank], kind: str) -> Sequence[tuple[str, str]]:
    """(exercise id, name of the answer) for every answer of a kind, 'wrong' or 'correct'."""
    return [(id, name) for id, bank in banks.items() for name in getattr(bank, kind)]


# --- the same question, and the same answer, as float32 holds them


@singledispatch
def rounded(value: object) -> object:
    """A value whose floating numbers went through float32; a case's stay in it, an observation's come back to float64."""
    return value


@rounded.register
def _(value: np.ndarray) -> np.ndarray:
    return value.astype(np.float32) if value.dtype == np.float64 else value


@rounded.register
def _(case: Case) -> Case:
    return replace(case, args={name: rounded(value) for name, value in case.args.items()})


@rounded.register
def _(seen: Observation) -> Observation:
    values, gradients = (
        {name: rounded(value).astype(np.float64) for name, value in arrays.items()}
        for arrays in (seen.values, seen.gradients)
    )
    return replace(seen, values=values, gradients=gradients)


def fits_in_float32(case: Case) -> bool:
    """Whether no array among the arguments overflows, vanishes or loses more than its last digits there."""
    floats = [value for value in case.args.values() if isinstance(value, np.ndarray) and value.dtype == np.float64]
    with np.errstate(over="ignore"):
        return all(np.allclose(rounded(value), value, rtol=1e-6, atol=0, equal_nan=True) for value in floats)
