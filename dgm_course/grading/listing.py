"""`dgm homework`: one line for each exercise: number, points, hints, wrong answers that its check is tested on, prompt."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..teach.homework import Exercise, exercise, exercises, topics

ROOT = Path(__file__).resolve().parents[2]
ANSWERS = ROOT / "tests" / "teach" / "homework" / "answers"
ELSEWHERE = (
    "How many wrong answers each check refuses is written in the tests, which are not here: "
    "run this in a checkout of the course."
)


def homework(topic: str | None = None) -> Iterator[str]:
    """The lines of the table; of one lecture, or of all."""
    banks, chosen = proofs(), exercises(topic)
    width = max(len(task.id) for task in chosen)
    yield f"{'':5} {'exercise':{width}} points hints {'refused' if banks else '':7}  asked"
    for task in chosen:
        proven = str(banks[task.id]) if task.id in banks else "?" if banks else ""
        yield f"{task.number:5} {task.id:{width}} {task.points:6} {_hints(task):5} {proven:>7}  {task.prompt}"
    points = sum(task.points for task in chosen)
    yield f"{len(chosen)} exercises, {points} points, {sum(map(_hints, chosen))} hints of their own."
    refused = sum(banks.get(task.id, 0) for task in chosen)
    proof = f"Refused: wrong answers that the tests try, {refused} in all; each must earn its own hint."
    yield proof if banks else ELSEWHERE


def _hints(task: Exercise) -> int:
    """The number of the exercise's own hints: one for each known mistake, and the second hint."""
    return len({hint for hint, _ in task.mistakes}) + bool(task.more)


def proofs() -> Mapping[str, int]:
    """How many wrong answers the tests try on each exercise; empty where the tests are missing."""
    if not (ANSWERS / "__init__.py").is_file():
        return {}
    sys.path.insert(0, str(ROOT))
    try:
        here = [name for name in topics() if (ANSWERS / f"{name}.py").is_file()]
        banks = [importlib.import_module(f"tests.teach.homework.answers.{name}").BANKS for name in here]
    finally:
        sys.path.remove(str(ROOT))
    return {id: len(exercise(id).mistakes) + len(bank.wrong) for some in banks for id, bank in some.items()}
