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
    """Grade the submissions, one line for each student; the files are written at the end, each whole or not at all."""
    output = options.output
    if len(submissions) > 1 and any(one.path.parent.resolve() == output.parent.resolve() for one in submissions):
        raise ValueError(f"{output} lies among the submissions: expected a place outside of their folder.")
    chosen = [assignment for path in books if (assignment := Assignment.of(path)).asked]
    if not options.of:
        chosen = [one for one in chosen if any(_concerns(one, submission) for submission in submissions)]
    if not chosen:
        raise LookupError(
            "None of the submissions holds an exercise of these notebooks: name the notebook with --of."
        )
    seed = secrets.randbelow(2**31) if options.seed is None else options.seed
    yield f"Submissions: {len(submissions)}; {', '.join(one.name for one in chosen)}, seed {seed}."
    limits = Limits(cpu=options.seconds, wall=2 * options.seconds + 5)
    grader = Grader(chosen, (seed, seed + 1, seed + 2), limits, max(1, options.workers))
    graded: list[Graded] = []
    for one in grader.grade(submissions):
        graded.append(one)
        trouble = f"  {one.troubles[0]}" if one.troubles else ""
        yield f"{report.safe(one.student):30} {one.points:3} of {one.out_of}{trouble}"
    yield from _write(graded, output, seed)


def _concerns(assignment: Assignment, submission: Submission) -> bool:
    """Whether a submission holds a cell with a mark of the notebook; another may use the same function names."""
    marks = {one.mark for one in assignment.asked}
    return any(cell.mark in marks for book in handed_in(submission)[0] for cell in book.cells)


def _write(graded: Sequence[Graded], output: Path, seed: int) -> Iterator[str]:
    pages = output.with_name(f"{output.stem}_pages")
    for one, name in zip(graded, report.file_names([one.student for one in graded]), strict=True):
        report.write(pages / name, report.page(one, seed))
    report.write(output, report.table(graded))
    enforced = [set(mark.enforced) for one in graded for mark in one.marks if mark.enforced]
    yield report.isolation(set.intersection(*enforced) if enforced else ())
    yield f"Written: {output}, and a page for each student in {pages}."
