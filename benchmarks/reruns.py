"""How often a check refuses what is right: the reference and every other correct form, on fresh random questions.

A check compares numbers, so a right answer could fail by rounding alone: another order of summation, float32, a point on an
edge.  One judgment is one form on the questions of one seed (a check cell and the grader take three seeds at a time, so
their rate is three times as large).  Each form is judged twice: as it is, and with all its arguments and results rounded to
float32, on the questions whose numbers float32 can hold.  Every failure is printed; the last line has the rate, and where
nothing failed the bound that 95 of 100 such experiments keep (the rule of three: 3 over the number of judgments).

    python benchmarks/reruns.py [--seeds 10] [--first 1000] [--of fm.cfm_loss] [--as-it-is | --rounded]

The seeds of a check cell and of the tests are below 1000.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from dgm_course.teach.homework import Case, Exercise, Observation, exercise, exercises, topics  # noqa: E402
from dgm_course.teach.homework.observe import values_of  # noqa: E402
from tests.teach.homework.answers import Bank, fits_in_float32, rounded  # noqa: E402

# Right in float64 alone, so not judged in float32: difference quotients, which lose half of the digits, and a deviation that
# rounding may take below its smallest value, where its root is no number.
IN_DOUBLE = {
    ("abs.elbo_weight", "central difference"),
    ("abs.elbo_weight", "small step"),
    ("diff.ve_kernel", "logarithms"),
}

Form = Callable[[Exercise, Sequence[Case]], Sequence[Observation]]


def banks() -> dict[str, Bank]:
    """What the tests keep for every exercise."""
    return {
        id: bank
        for topic in topics()
        for id, bank in importlib.import_module(f"tests.teach.homework.answers.{topic}").BANKS.items()
    }


def forms(task: Exercise, bank: Bank) -> Iterator[tuple[str, Form]]:
    """Every right answer; of the reference the values alone, for it may be a sampler that draws from the global stream."""
    yield "the reference", lambda task, cases: values_of(task.reference, cases, task.watch)
    for name, answer in {"the solution": bank.solution, **bank.correct}.items():
        yield name, lambda task, cases, answer=answer: task.observe(answer, cases)


def failures(task: Exercise, bank: Bank, seed: int, in_float32: bool) -> Iterator[tuple[str, str]]:
    """(form, '' or what the card says of it) for every form, on the questions of one seed."""
    cases = [case for case in task.inputs(seed) if not in_float32 or fits_in_float32(case)]
    expected = task.expected(cases)
    asked = [rounded(case) for case in cases] if in_float32 else cases
    for name, form in forms(task, bank):
        if in_float32 and (task.id, name) in IN_DOUBLE:
            continue
        seen = [rounded(one) for one in form(task, asked)] if in_float32 else form(task, asked)
        verdict = task.judge(seen, expected)
        yield name, "" if verdict.passed else f"{verdict.sentence} {verdict.hint}"


def rerun(task: Exercise, bank: Bank, seeds: Sequence[int], in_float32: bool) -> tuple[int, int]:
    """Judgments and failures of one exercise; a failure is printed as it happens."""
    found = [(seed, name, said) for seed in seeds for name, said in failures(task, bank, seed, in_float32)]
    bad = [one for one in found if one[2]]
    for seed, name, said in bad:
        print(f"   seed {seed}, {name}: {said}", flush=True)
    return len(found), len(bad)


def format_counts(judgments: int, failed: int) -> str:
    if failed:
        return f"{judgments} judgments, {failed} failures: {failed / judgments:.2g} of them"
    return f"{judgments} judgments, no failure: with 95 % confidence fewer than {3 / judgments:.1g} of them fail"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10, help="how many, for each exercise")
    parser.add_argument("--first", type=int, default=1000, help="the first of them")
    parser.add_argument("--of", nargs="*", help="ids of exercises, or a lecture; all of them unless given")
    parser.add_argument("--as-it-is", dest="kinds", action="store_const", const=(False,), default=(False, True))
    parser.add_argument("--rounded", dest="kinds", action="store_const", const=(True,), help="to float32 only")
    args = parser.parse_args()
    torch.set_num_threads(1)
    kept, start, seeds = banks(), time.process_time(), range(args.first, args.first + args.seeds)
    chosen = [
        task for one in args.of or [None] for task in ([exercise(one)] if one and "." in one else exercises(one))
    ]
    total = dict.fromkeys(args.kinds, (0, 0))
    for task in chosen:
        counts = {kind: rerun(task, kept[task.id], seeds, kind) for kind in args.kinds}
        total = {kind: (total[kind][0] + n, total[kind][1] + bad) for kind, (n, bad) in counts.items()}
        row = ", ".join(f"{n:6} {_word(kind)} {bad:4} refused" for kind, (n, bad) in counts.items())
        print(f"{task.number:5} {task.id:32} {row}", flush=True)
    for kind, counted in total.items():
        print(f"{_word(kind)}: {format_counts(*counted)}")
    print(
        f"{len(chosen)} exercises, {args.seeds} seeds from {args.first} on, {time.process_time() - start:.0f} CPU s"
    )


def _word(in_float32: bool) -> str:
    return "in float32" if in_float32 else "as it is"


if __name__ == "__main__":
    main()
