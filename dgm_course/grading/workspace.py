"""`dgm grade`: from a folder of submissions to a table and a page for each student."""

from __future__ import annotations

import secrets
from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path

from . import report
from .grade import Assignment, Graded, Grader, handed_in
from .sandbox import Limits
from .submissions import Submission


def mark(submissions: Sequence[Submission], books: Sequence[Path], options: Namespace) -> Iterator[str]:
    """Do it, a line for each student as it goes on; the files are written at the end, whole or not at all."""
    if any(
        one.path.parent.resolve() == options.output.parent.resolve() for one in submissions if len(submissions) > 1
    ):
        raise ValueError(
            f"{options.output} would lie among the submissions: name a place outside of their folder."
        )
    chosen = [assignment for path in books if (assignment := Assignment.of(path)).asked]
    if not options.of:
        chosen = [one for one in chosen if any(_concerns(one, submission) for submission in submissions)]
    if not chosen:
        raise LookupError(
            "None of the submissions holds an exercise of these notebooks: name what was set with --of."
        )
    seed = secrets.randbelow(2**31) if options.seed is None else options.seed
    yield f"Submissions: {len(submissions)}; {', '.join(one.name for one in chosen)}, seed {seed}."
    limits = Limits(cpu=options.seconds, wall=2 * options.seconds + 5)
    grader = Grader(chosen, (seed, seed + 1, seed + 2), limits, max(1, options.workers))
    graded: list[Graded] = []
    for one in grader.grade(submissions):
        graded.append(one)
        yield _line(one)
    yield from _files(graded, options.output, seed)


def _concerns(assignment: Assignment, submission: Submission) -> bool:
    """Whether a submission holds a marked cell of the notebook: names alone could belong to another."""
    marks = {one.mark for one in assignment.asked}
    return any(cell.mark in marks for book in handed_in(submission)[0] for cell in book.cells)


def _line(one: Graded) -> str:
    trouble = f"  {one.troubles[0]}" if one.troubles else ""
    return f"{report.safe(one.student):30} {one.points:3} of {one.out_of}{trouble}"


def _files(graded: Sequence[Graded], output: Path, seed: int) -> Iterator[str]:
    pages = output.with_name(f"{output.stem}_pages")
    for one, name in zip(graded, report.file_names([one.student for one in graded]), strict=True):
        report.write(pages / name, report.page(one, seed))
    report.write(output, report.table(graded))
    held = [set(mark.held) for one in graded for mark in one.marks if mark.held]
    yield report.isolation(set.intersection(*held) if held else ())
    yield f"Written: {output}, and a page for each student in {pages}."
