"""What a teacher and a student read: a CSV table of marks, and an HTML page for each student.

Every text of a submission is escaped, and the page's policy forbids scripts. No cell of the table begins like a formula.
"""

from __future__ import annotations

import csv
import html
import io
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..teach.check import worded
from ..teach.plots.cards import picture
from .grade import Graded, Mark
from .sandbox import WORDS

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
MOST_SOURCE, MOST_PRINTED = 20_000, 1_000
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:52em;margin:2em auto;padding:0 1em;color:#222}"
    "section{border-left:4px solid #999;padding:.1em 1em;margin:1em 0}.pass{border-color:#009E73}"
    ".wrong{border-color:#D55E00}pre{background:#f5f5f5;padding:.6em;overflow:auto;font-size:.85em}"
    "small{color:#666}h2{font-size:1.05em;margin:.4em 0}"
)


def table(graded: Sequence[Graded]) -> str:
    """The marks as CSV: one row a student, one column an exercise, remarks at the end."""
    tasks = [mark.task for mark in graded[0].marks] if graded else []
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["student", "points", "out of", *(task.id for task in tasks), "remarks"])
    for one in graded:
        points = [one.points, one.out_of, *(mark.points for mark in one.marks)]
        writer.writerow([safe(one.student), *points, safe(" ".join(remarks(one)))])
    return out.getvalue()


def safe(text: str) -> str:
    """A text on one line that no spreadsheet reads as a formula."""
    text = " ".join(text.split())
    return f"'{text}" if text.startswith(FORMULA) else text


def remarks(one: Graded) -> list[str]:
    """Why points were lost, and the notes."""
    lost = [f"{mark.task.number}: {mark.verdict.law}" for mark in one.marks if not mark.points]
    noted = [f"{mark.task.number}: {note}" for mark in one.marks for note in mark.notes]
    return [*one.troubles, *(lost if not one.troubles else []), *noted]


def page(one: Graded, seed: int) -> str:
    """A student's page: complete HTML without scripts, links or external files."""
    say = html.escape
    troubles = "".join(f"<p><strong>{say(trouble)}</strong></p>" for trouble in one.troubles)
    limits = isolation({word for mark in one.marks for word in mark.enforced})
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"><title>{say(one.student)}</title>'
        f"<style>{STYLE}</style></head><body><h1>{say(one.student)}: {one.points} of {one.out_of} points</h1>{troubles}"
        f"{''.join(map(_section, one.marks))}<p><small>Judged on fresh random questions (seed {seed}). "
        f"{say(limits)}</small></p></body></html>\n"
    )


def isolation(enforced: Iterable[str]) -> str:
    """Which limits were in force, and which were not, in a sentence."""
    enforced = set(enforced)
    if not enforced:
        return "No code was run."
    had = ", ".join(words for key, words in WORDS.items() if key in enforced)
    lacked = ", ".join(f"“{words}”" for key, words in WORDS.items() if key not in enforced)
    return f"Answers ran with {had}." + (f" This system did not grant: {lacked}." if lacked else "")


def _section(mark: Mark) -> str:
    say, verdict, task = html.escape, mark.verdict, mark.task
    rows = [
        f"<h2>{say(f'{task.number} · {task.title}')}: {mark.points} of {task.points}</h2>",
        f"<p>{say(verdict.sentence)}</p>",
        *(f"<p><small>{say(note)}</small></p>" for note in mark.notes),
    ]
    if verdict.beside:
        rows.append(picture(verdict.beside))
    if verdict.hint:
        rows.append(f"<p><strong>{'Note' if verdict.passed else 'Hint'}:</strong> {worded(verdict.hint)}</p>")
    if mark.printed.strip():
        rows.append(f"<p><small>It printed:</small></p><pre>{say(mark.printed[:MOST_PRINTED])}</pre>")
    if mark.source:
        source = say(mark.source[:MOST_SOURCE])
        rows.append(f"<details><summary>What was handed in</summary><pre>{source}</pre></details>")
    return f'<section class="{verdict.status.replace(" ", "-")}">{"".join(rows)}</section>'


def file_names(students: Sequence[str]) -> list[str]:
    """A harmless file name for each page, none twice."""
    plain = [re.sub(r"[^A-Za-z0-9_-]+", "_", student)[:60].strip("_") or "student" for student in students]
    low = [name.lower() for name in plain]
    numbers = [f"-{place}" if low.count(name.lower()) > 1 else "" for place, name in enumerate(plain, 1)]
    return [f"{name}{number}.html" for name, number in zip(plain, numbers, strict=True)]


def write(path: Path, text: str) -> None:
    """Write to a temporary file and rename it: an interrupted run leaves the old file whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(text, encoding="utf-8", newline="")
    part.replace(path)
