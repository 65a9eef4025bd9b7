"""What the exercises are proven against: a solution, wrong answers with their hints, odd correct forms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


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
