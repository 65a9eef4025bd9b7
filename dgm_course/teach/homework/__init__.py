"""Homework: what each exercise must satisfy, one file a lecture.

An exercise is ``inputs(seed) -> observe(answer, inputs) -> judge(observed, expected)``.  ``observe`` calls
the student's code and returns plain arrays, ``judge`` sees arrays only.  So one exercise serves the check
cell, the tests, and a grader that runs the answer in another process:

    task = exercise("fm.conditional_velocity")
    cases = task.inputs(seed=7)                     # plain data, picklable; contains no answer
    seen = task.observe(answer, cases)              # here or elsewhere: observe(answer, cases, task.watch)
    task.judge(seen, task.expected(cases))          # a Verdict

To add an exercise, write in the file of its lecture: a generator of cases (several of them, on fresh random
numbers and sizes, so that an answer right on one and wrong on another is told apart), a reference built from
the library, and a table of its usual slips, pairs (hint, wrong form).  To add a lecture, add a file with
``EXERCISES``; files that begin with an underscore are not lectures.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cache, lru_cache

import numpy as np

from .cases import Case, Field, Network, Observation, ObserveSpec, OutOfTime, pack, unpack
from .compare import ComparisonPairs, ComparisonTable
from .judge import Expected, SameValues, Verdict, judge
from .messages import NOT_YET, PASS, WRONG
from .observe import LazyObservations, observe, values_of, warm_up

__all__ = [
    "Case",
    "Exercise",
    "Expected",
    "Field",
    "NOT_YET",
    "Network",
    "Observation",
    "OutOfTime",
    "PASS",
    "ComparisonPairs",
    "SameValues",
    "ComparisonTable",
    "Verdict",
    "WRONG",
    "ObserveSpec",
    "exercise",
    "exercises",
    "judge",
    "observe",
    "pack",
    "topics",
    "unpack",
]

SEEDS = (1, 2, 3)
ENGINE = ("arrays", "cases", "compare", "diagnose", "draws", "judge", "messages", "observe", "side_effects")


@dataclass(frozen=True, repr=False, eq=False)
class Exercise:
    """One formula to be written: where it stands, how it is asked, and how an answer is judged.

    cases: called with a numpy Generator, yields `Case`s.   reference: the library's own answer.
    mistakes: (hint, the wrong form that earns it, of the answer's signature).   more: the second hint.
    gradient_mistakes: the same for forms whose values are right and whose gradients are not, where `watch` asks for gradients."""

    id: str
    number: str
    title: str
    prompt: str
    cases: Callable[[np.random.Generator], Iterator[Case]]
    reference: Callable
    mistakes: tuple[tuple[str, Callable], ...] = ()
    points: int = 1
    more: str = ""
    watch: ObserveSpec = ObserveSpec()
    law: SameValues = SameValues()
    gradient_mistakes: tuple[tuple[str, Callable], ...] = ()

    def inputs(self, seed: int) -> tuple[Case, ...]:
        """Fresh cases, the same ones for the same seed on every machine."""
        return tuple(self.cases(np.random.default_rng([seed, zlib.crc32(self.id.encode())])))

    def observe(self, answer: Callable, inputs: Sequence[Case]) -> tuple[Observation, ...]:
        """What the answer does on these cases, as plain arrays."""
        return observe(answer, inputs, self.watch)

    def expected(self, inputs: Sequence[Case]) -> Expected:
        """What the reference does on them, and what each known slip would do."""
        mistakes = tuple((hint, LazyObservations(form, inputs, replace(self.watch, gradient=()))) for hint, form in self.mistakes)
        gradient_mistakes = tuple((hint, LazyObservations(form, inputs, self.watch)) for hint, form in self.gradient_mistakes)
        return Expected(tuple(inputs), values_of(self.reference, inputs, self.watch), mistakes, gradient_mistakes)

    def judge(self, observed: Sequence[Observation], expected: Expected) -> Verdict:
        """The verdict, from arrays alone."""
        verdict = judge(observed, expected, self.law)
        return verdict if verdict.passed else replace(verdict, more=self.more)

    def verdict(
        self,
        answer: Callable,
        seeds: Sequence[int] = SEEDS,
        guard: Callable[[], AbstractContextManager] = nullcontext,
    ) -> Verdict:
        """All of it at once, in this process; the student's code alone runs inside `guard()`."""
        if answer is self.reference:
            return Verdict(
                NOT_YET,
                "Not yet: this is the course's own function, which stood in for yours.",
                hint="Run the cell with your function again, and then this one.",
                more=self.more,
            )
        expected = _expected(self, tuple(seeds))
        warm_up()
        with guard():
            seen = self.observe(answer, expected.cases)
        return self.judge(seen, expected)

    @property
    def topic(self) -> str:
        """The part of the id before the point, shared by the exercises of one notebook."""
        return self.id.partition(".")[0]

    def __repr__(self) -> str:
        return f"Exercise {self.number} {self.id} · {self.title} ({self.points} points): {self.prompt}"

    def __reduce__(self) -> tuple:
        return exercise, (self.id,)


@lru_cache(maxsize=256)
def _expected(task: Exercise, seeds: tuple[int, ...]) -> Expected:
    return task.expected([case for seed in seeds for case in task.inputs(seed)])


def topics() -> tuple[str, ...]:
    """The lectures that have exercises, by the names of their files."""
    return tuple(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_") and m.name not in ENGINE)


@cache
def exercises(topic: str | None = None) -> tuple[Exercise, ...]:
    """The exercises of a lecture, by file name ('flow_matching') or prefix of the ids ('fm'); or all."""
    if topic in topics():
        return tuple(importlib.import_module(f".{topic}", __name__).EXERCISES)
    found = tuple(task for name in topics() for task in exercises(name))
    chosen = tuple(task for task in found if topic in (None, task.topic))
    if not chosen:
        raise KeyError(f"No exercises on {topic!r}: expected one of {', '.join(topics())}.")
    return chosen


def exercise(id: str) -> Exercise:
    """The exercise of that id; a KeyError names the nearest ids."""
    known = {task.id: task for task in exercises()}
    if id in known:
        return known[id]
    near = difflib.get_close_matches(str(id), known, n=3, cutoff=0.4) or list(known)[:3]
    raise KeyError(f"There is no exercise {id!r}; the nearest are {', '.join(near)}.")
