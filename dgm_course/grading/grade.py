"""From submissions to marks: each exercise runs in its own process; its values are compared with expected ones here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

from ..teach.homework import NOT_YET, Exercise, Expected, Verdict, exercise
from .notebooks import (
    AnswerCell,
    ExerciseCell,
    Notebook,
    Unreadable,
    asked,
    find,
    imports,
    is_stub,
    needed,
    read,
    wanted,
)
from .pool import Outcome, Worker, Workspace, bare
from .sandbox import Limits
from .submissions import Refused, Submission, contents
from .worker import Job

ALWAYS = (
    "import math",
    "import torch",
    "import numpy",
    "import numpy as np",
    "from torch import nn",
    "from torch import Tensor",
    "from torch.nn import functional as F",
)


@dataclass(frozen=True)
class Assignment:
    """A notebook as handed out: its exercises, and the imports on which their cells rely."""

    name: str
    asked: tuple[ExerciseCell, ...]
    imports: tuple[str, ...]

    @classmethod
    def of(cls, path: Path) -> Assignment:
        book = read(path.name, path.read_bytes())
        return cls(path.stem, asked(book), imports([book]))


@dataclass(frozen=True)
class Mark:
    """One exercise of one student: points, and why."""

    task: Exercise
    points: int
    verdict: Verdict
    notes: tuple[str, ...] = ()
    source: str = ""
    printed: str = ""
    enforced: tuple[str, ...] = ()


@dataclass(frozen=True)
class Graded:
    """One student: the marks, in the order of the assignments, and what could not be read."""

    student: str
    marks: tuple[Mark, ...]
    troubles: tuple[str, ...] = ()

    @property
    def points(self) -> int:
        return sum(mark.points for mark in self.marks)

    @property
    def out_of(self) -> int:
        return sum(mark.task.points for mark in self.marks)


@dataclass
class Grader:
    """Grades a class. Expected values are computed once, before any worker starts, and never leave this process."""

    assignments: Sequence[Assignment]
    seeds: Sequence[int]
    limits: Limits = Limits()
    workers: int = 2
    expected: dict[str, Expected] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        for task in self._tasks():
            self.expected[task.id] = task.expected([case for seed in self.seeds for case in task.inputs(seed)])

    def grade(self, submissions: Sequence[Submission]) -> Iterator[Graded]:
        """A `Graded` for each submission, in order, as soon as it and those before it are done."""
        workspace = Workspace()
        workers = [Worker(workspace) for _ in range(self.workers)]
        idle: SimpleQueue[Worker] = SimpleQueue()
        for worker in workers:
            idle.put(worker)

        def grade_one(submission: Submission) -> Graded:
            worker = idle.get()
            try:
                return self._student(submission, worker)
            except Exception as wrong:  # one submission must not cost another its marks
                return self._failed(submission, f"The grader failed on it ({type(wrong).__name__}).")
            finally:
                idle.put(worker)

        try:
            with ThreadPoolExecutor(self.workers) as pool:
                yield from pool.map(grade_one, submissions)
        finally:
            for worker in workers:
                worker.stop()
            workspace.close()

    def _tasks(self) -> list[Exercise]:
        return [exercise(one.id) for assignment in self.assignments for one in assignment.asked]

    def _failed(self, submission: Submission, why: str) -> Graded:
        marks = tuple(Mark(task, 0, Verdict("wrong", why)) for task in self._tasks())
        return Graded(submission.student, marks, (why,))

    def _student(self, submission: Submission, worker: Worker) -> Graded:
        books, troubles = handed_in(submission)
        if not books:
            troubles = troubles or ["There is no notebook in it."]
        marks = []
        for assignment in self.assignments:
            found = {one.id: find(books, one) for one in assignment.asked}
            prelude = tuple(dict.fromkeys((*ALWAYS, *assignment.imports, *imports(books))))
            marks += [self._mark(one, assignment.asked, found, prelude, worker) for one in assignment.asked]
        return Graded(submission.student, tuple(marks), tuple(troubles))

    def _mark(
        self,
        one: ExerciseCell,
        all_tasks: Sequence[ExerciseCell],
        found: dict[str, AnswerCell],
        prelude: tuple[str, ...],
        worker: Worker,
    ) -> Mark:
        task, cell = exercise(one.id), found[one.id]
        if cell.reason:
            return Mark(task, 0, Verdict("wrong", cell.reason), cell.notes)
        if is_stub(cell.source, one):
            verdict = Verdict(NOT_YET, "Not yet: the function is still to be written.")
            return Mark(task, 0, verdict, cell.notes, cell.source)
        earlier = _before(one, all_tasks, found)
        cells = tuple((f"<{name}>", source) for name, source in (*earlier.items(), (one.id, cell.source)))
        expected = self.expected[one.id]
        lines, cases = wanted(prelude, [source for _, source in cells]), bare(expected.cases)
        job = Job(cells, lines, one.function, cases, task.watch, self.limits, worker.workspace.paths)
        outcome = worker.run(job)
        verdict = _verdict(task, outcome, expected)
        notes = (*cell.notes, *(f"It was run with your own answer to {name}." for name in earlier))
        points = task.points * verdict.passed
        return Mark(task, points, verdict, notes, cell.source, outcome.printed, outcome.enforced)


def handed_in(submission: Submission) -> tuple[list[Notebook], list[str]]:
    """The notebooks that can be read, and a sentence for each that cannot."""
    try:
        files = contents(submission.path)
    except (Refused, OSError) as refused:
        return [], [str(refused)]
    books, troubles = [], []
    for name, content in files:
        try:
            books.append(read(name, content))
        except Unreadable as wrong:
            troubles.append(str(wrong))
    return books, troubles


def _before(one: ExerciseCell, others: Sequence[ExerciseCell], found: dict[str, AnswerCell]) -> dict[str, str]:
    """The cells of other exercises that a cell needs, in the order in which they must run."""
    order: dict[str, str] = {}

    def visit(task: ExerciseCell, path: tuple[str, ...]) -> None:
        for other in needed(found[task.id].source, task, others):
            if other.id not in path and other.id not in order and found[other.id].source:
                visit(other, (*path, other.id))
                order[other.id] = found[other.id].source

    visit(one, (one.id,))
    return order


def _verdict(task: Exercise, outcome: Outcome, expected: Expected) -> Verdict:
    """Compare with the expected values; no points without a result, or where the comparison itself fails."""
    if outcome.reason:
        return Verdict("wrong", outcome.reason)
    try:
        return task.judge(outcome.observed, expected)
    except Exception as wrong:
        return Verdict("wrong", f"What came back could not be judged ({type(wrong).__name__}).")
