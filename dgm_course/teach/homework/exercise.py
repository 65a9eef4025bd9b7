"""An exercise, and how the exercises of the topics are found."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

from .cases import Case, Observation, ObserveSpec
from .judge import Expected, SameValues, Verdict, judge
from .messages import NOT_YET
from .observe import LazyObservations, observe, values_of, warm_up

SEEDS = (1, 2, 3)
HOME = Path(__file__).parent


@dataclass(frozen=True, repr=False, eq=False)
class Exercise:
    """One formula to be written: where it stands, how it is asked, and how an answer is judged.

    cases: called with a numpy Generator, yields `Case`s.   reference: the library's own answer.
    mistakes: (hint, the wrong form that earns it, of the answer's signature).   more: the second hint.
    gradient_mistakes: forms whose values are right and whose gradients, where `watch` asks for them, are not."""

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
        """What the reference does on them, and what each known mistake would do."""

        def observed(table: tuple[tuple[str, Callable], ...], watch: ObserveSpec) -> tuple:
            return tuple((hint, LazyObservations(form, inputs, watch)) for hint, form in table)

        right = values_of(self.reference, inputs, self.watch)
        mistakes = observed(self.mistakes, replace(self.watch, gradient=()))
        return Expected(tuple(inputs), right, mistakes, observed(self.gradient_mistakes, self.watch))

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
    """The topics that have exercises, by the names of their folders."""
    return tuple(m.name for m in pkgutil.iter_modules([str(HOME)]) if m.ispkg)


@cache
def exercises(topic: str | None = None) -> tuple[Exercise, ...]:
    """The exercises of a topic, by folder ('flow_matching') or prefix of the ids ('fm'); or all."""
    if topic in topics():
        files = [m.name for m in pkgutil.iter_modules([str(HOME / topic)]) if not m.name.startswith("_")]
        found = [importlib.import_module(f".{topic}.{file}", __package__).EXERCISE for file in files]
        return tuple(sorted(found, key=lambda task: [int(part) for part in task.number.split(".")]))
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
