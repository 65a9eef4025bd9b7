"""The check cell: ``answer = check("fm.cfm_loss", answer)`` shows a card and never stops the notebook.

✓ passed, ○ not yet, ✗ with the law that failed, your value beside the expected one, a hint, and a second one
with the formula, folded.  Back comes the student's function where it passes and the course's own where it
does not, so all that follows runs.

Under DGM_STRICT=1, and when nbgrader executes the notebook (NBGRADER_EXECUTION), anything but ✓ raises an
AssertionError with the words of the card.  Nothing is ever written to stderr, which nbgrader would score as
zero.  The check runs in the reader's own kernel: it teaches, it does not guard; marks belong to a grader in
another process.
"""

from __future__ import annotations

import contextlib
import html
import re
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..core.tensors import strict
from .homework import NOT_YET, PASS, WRONG, Exercise, OutOfTime, Verdict, exercise, exercises
from .homework.side_effects import quiet
from .plots.cards import picture
from .plots.style import GREEN, GREY, VERMILION

SECONDS = 10.0
MARKS = {PASS: ("✓", GREEN), NOT_YET: ("○", GREY), WRONG: ("✗", VERMILION)}
passed: dict[str, bool] = {}


def check(id: str, answer: Callable) -> Callable:
    """Judge the answer to one exercise, show the card, and return what the rest of the notebook should use.

    id: as in the notebook, "fm.cfm_loss".  answer: the function itself, without parentheses."""
    try:
        task = exercise(id)
    except KeyError as unknown:
        return _conclude(Card(None, Verdict(WRONG, str(unknown.args[0]), hint="A typing slip in the id?")), answer)
    verdict = _judged(task, answer)
    passed[task.id] = verdict.passed
    return _conclude(Card(task, verdict, _progress(task)), answer if verdict.passed else task.reference)


def _judged(task: Exercise, answer: Callable) -> Verdict:
    """The verdict; a failure of the judge itself becomes one too, since a check never stops the notebook."""
    try:
        with quiet():
            return task.verdict(answer, guard=lambda: alarm(SECONDS))
    except OutOfTime:
        return Verdict(
            WRONG,
            "Your function was still running when the time was up.",
            hint="A loop that never ends, or far too many steps?",
            more=task.more,
        )
    except Exception as error:
        return Verdict(
            WRONG,
            f"The check could not read what your function does ({type(error).__name__}).",
            hint="Return a plain torch tensor.",
            more=task.more,
        )


def _progress(task: Exercise) -> str:
    all_of_them = exercises(task.topic)
    return f"{sum(passed.get(other.id, False) for other in all_of_them)} of {len(all_of_them)} done"


def _conclude(card: Card, answer: Callable) -> Callable:
    _show(card)
    if strict() and not card.verdict.passed:
        raise AssertionError(card.text)
    return answer


def _show(card: Card) -> None:
    try:
        from IPython import get_ipython
        from IPython.display import display
    except ImportError:
        get_ipython = None
    if get_ipython and get_ipython():
        display(card)
    else:
        print(card.text)


@contextlib.contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raise OutOfTime in the block after so many seconds, then each second, where signals are to be had."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def ring(*_: object) -> None:
        raise OutOfTime

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@dataclass(frozen=True, repr=False)
class Card:
    """A verdict as something to be seen: HTML for the notebook, the same words as plain text."""

    task: Exercise | None
    verdict: Verdict
    progress: str = ""

    @property
    def title(self) -> str:
        mark = MARKS[self.verdict.status][0]
        return f"{mark} Exercise {self.task.number} · {self.task.title}" if self.task else mark

    @property
    def body(self) -> str:
        """The law, the place and the values."""
        points = f" ({self.task.points} point{'s' * (self.task.points > 1)})" if self.task else ""
        return f"{self.verdict.sentence}{points}" if self.verdict.passed else self.verdict.sentence

    @property
    def footnote(self) -> str:
        stands_in = (
            ""
            if self.verdict.passed or not self.task
            else "The course's own function stands in for yours, so everything below runs."
        )
        return " ".join(part for part in (f"{self.progress}." if self.progress else "", stands_in) if part)

    @property
    def text(self) -> str:
        """The words of the card, the same on every run."""
        verdict = self.verdict
        asked = f"Asked: {self.task.prompt}." if self.task and not verdict.passed else ""
        second = verdict.more if verdict.status == WRONG else ""
        label = "Note" if verdict.passed else "Hint"
        hints = [f"{label}: {verdict.hint}" if verdict.hint else "", f"Hint 2: {second}" if second else ""]
        return "\n  ".join(line for line in (f"{self.title} — {self.body}", asked, *hints, self.footnote) if line)

    @property
    def html(self) -> str:
        """The same with a coloured edge (the words keep the page's, to be read on any); the second hint folded."""
        verdict, colour, say = self.verdict, MARKS[self.verdict.status][1], worded
        rows = [f"<strong>{say(self.title)}</strong> — {say(verdict.law)}"]
        if self.task and verdict.passed:
            rows[0] = f"<strong>{say(self.title)}</strong> — {say(self.body)}"
        elif self.task:
            rows.append(f"<em>Asked:</em> {say(self.task.prompt)}")
        if verdict.given:
            rows.append(_values_table(verdict))
        elif verdict.where:
            rows.append(say(verdict.where))
        if verdict.beside:
            rows.append(picture(verdict.beside))
        if verdict.hint:
            rows.append(f"<strong>{'Note' if verdict.passed else 'Hint'}:</strong> {say(verdict.hint)}")
        if verdict.more and verdict.status == WRONG:
            rows.append(f"<details><summary>Hint 2</summary>{say(verdict.more)}</details>")
        rows.append(f'<small style="opacity:.75">{say(self.footnote)}</small>')
        inner = "".join(f'<div style="margin:.25em 0">{row}</div>' for row in rows)
        return (
            f'<div role="status" style="border-left:4px solid {colour};padding:.2em .8em;margin:.4em 0;'
            f'max-width:50em">{inner}</div>'
        )

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/plain": self.text, "text/html": self.html}

    def __repr__(self) -> str:
        return self.text


def worded(text: str) -> str:
    """A sentence as HTML: what stands between asterisks is stressed, as in the notebooks' own text."""
    return re.sub(r"(?<![\w*)])\*([A-Za-z][^*]*)\*(?!\w)", r"<em>\1</em>", html.escape(text))


def _values_table(verdict: Verdict) -> str:
    cell = '<td style="padding:0 1em 0 0;text-align:left">'
    rows = (("you gave", verdict.given), ("expected", verdict.expected))
    body = "".join(
        f"<tr>{cell}{name}</td>{cell}<code>{html.escape(value)}</code></td></tr>" for name, value in rows
    )
    return f"{html.escape(verdict.where)}<table style='margin:.2em 0;font-size:1em'>{body}</table>"
