"""What a teacher and a student read: a table of marks, and a page for each student.

Nothing of a submission is rendered: on a page every text is escaped and scripts are forbidden besides; in the table no
cell can begin like a formula.
"""

from __future__ import annotations

import csv
import html
import io
import os
import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..teach.check import worded
from ..teach.plots.cards import picture
from .grade import Graded, Mark
from .sandbox import WORDS

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
MOST_SOURCE, MOST_SAID = 20_000, 1_000
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
        writer.writerow(
            [
                safe(one.student),
                one.points,
                one.out_of,
                *(mark.points for mark in one.marks),
                safe(" ".join(remarks(one))),
            ]
        )
    return out.getvalue()


def safe(text: str) -> str:
    """A text that no spreadsheet takes for a formula, on one line."""
    text = " ".join(text.split())
    return f"'{text}" if text.startswith(FORMULA) else text


def remarks(one: Graded) -> list[str]:
    """Why there are fewer points than one might expect, and what was noted on the way."""
    lost = [f"{mark.task.number}: {mark.verdict.law}" for mark in one.marks if not mark.points]
    noted = [f"{mark.task.number}: {note}" for mark in one.marks for note in mark.notes]
    return [*one.troubles, *(lost if not one.troubles else []), *noted]


def page(one: Graded, seed: int) -> str:
    """A student's page: complete HTML without a script, a link or anything from elsewhere."""
    say = html.escape
    held = sorted({word for mark in one.marks for word in mark.held})
    troubles = "".join(f"<p><strong>{say(trouble)}</strong></p>" for trouble in one.troubles)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"><title>{say(one.student)}</title>'
        f"<style>{STYLE}</style></head><body><h1>{say(one.student)}: {one.points} of {one.out_of} points</h1>{troubles}"
        f"{''.join(map(_section, one.marks))}<p><small>Judged on fresh random questions (seed {seed}). "
        f"{say(isolation(held))}</small></p></body></html>\n"
    )


def isolation(held: Iterable[str]) -> str:
    """What the pen held, and what not, in a sentence."""
    held = set(held)
    if not held:
        return "No code was run."
    had, lacked = ([words for key, words in WORDS.items() if (key in held) == wanted] for wanted in (True, False))
    missing = f" This system did not grant: {', '.join(f'“{words}”' for words in lacked)}." if lacked else ""
    return f"Answers ran with {', '.join(had)}.{missing}"


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
    if mark.said.strip():
        rows.append(f"<p><small>It printed:</small></p><pre>{say(mark.said[:MOST_SAID])}</pre>")
    if mark.source:
        rows.append(
            f"<details><summary>What was handed in</summary><pre>{say(mark.source[:MOST_SOURCE])}</pre></details>"
        )
    return f'<section class="{verdict.status.replace(" ", "-")}">{"".join(rows)}</section>'


def file_names(students: Sequence[str]) -> list[str]:
    """A harmless name for each page, none twice."""
    plain = [re.sub(r"[^A-Za-z0-9_-]+", "_", student)[:60].strip("_") or "student" for student in students]
    low = [name.lower() for name in plain]
    numbers = [f"-{place}" if low.count(name.lower()) > 1 else "" for place, name in enumerate(plain, 1)]
    return [f"{name}{number}.html" for name, number in zip(plain, numbers, strict=True)]


def write(path: Path, text: str) -> None:
    """To a temporary file, then renamed: an interrupted run leaves the old one whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        "w", dir=path.parent, suffix=".part", delete=False, encoding="utf-8", newline=""
    ) as part:
        part.write(text)
    os.chmod(part.name, 0o644)
    os.replace(part.name, path)
