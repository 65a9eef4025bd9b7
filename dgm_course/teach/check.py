"""The check cell: ``answer = check("fm.cfm_loss", answer)`` shows a card and never stops the notebook.

The card says ✓ passed, ○ not yet, or ✗ with the wrong case, your value beside the expected one, and hints.  ``check``
returns your function if it passes and the course's own otherwise, so that the cells below run.

In strict mode (DGM_STRICT=1, or while nbgrader executes the notebook) anything but ✓ raises an AssertionError with the
text of the card.  Nothing is written to stderr, which nbgrader would score as zero.  The check runs in the reader's
own kernel and guards nothing; marks come from a grader in another process.
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
    """Show the card of an answer to an exercise; return the answer if it passes, else the course's own function.

    id: as in the notebook, "fm.cfm_loss".  answer: the function itself, without parentheses."""
    try:
        task = exercise(id)
    except KeyError as unknown:
        _show(Card(None, Verdict(WRONG, str(unknown.args[0]), hint="A typing slip in the id?")))
        return answer
    verdict = timed_verdict(task, answer)
    passed[task.id] = verdict.passed
    topic = exercises(task.topic)
    _show(Card(task, verdict, f"{sum(passed.get(other.id, False) for other in topic)} of {len(topic)} done"))
    return answer if verdict.passed else task.reference


def timed_verdict(task: Exercise, answer: Callable) -> Verdict:
    """The verdict on an answer within SECONDS; any exception of the check itself becomes a verdict too."""
    try:
        with quiet():
            return task.verdict(answer, guard=lambda: alarm(SECONDS))
    except OutOfTime:
        words, hint = (
            "Your function was still running when the time was up.",
            "A loop that never ends, or far too many steps?",
        )
    except Exception as error:
        words = f"The check could not read what your function does ({type(error).__name__})."
        hint = "Return a plain torch tensor."
    return Verdict(WRONG, words, hint=hint, more=task.more)


def _show(card: Card) -> None:
    """Display the card, or print it outside a notebook; raise its text in strict mode unless it passed."""
    try:
        from IPython import get_ipython
        from IPython.display import display
    except ImportError:
        get_ipython = None
    if get_ipython and get_ipython():
        display(card)
    else:
        print(card.text)
    if strict() and not card.verdict.passed:
        raise AssertionError(card.text)


@contextlib.contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raise OutOfTime in the block after ``seconds`` and each second after that; no limit where signals are missing."""
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
    """A verdict as HTML for the notebook, and in the same words as plain text."""

    task: Exercise | None
    verdict: Verdict
    progress: str = ""

    @property
    def title(self) -> str:
        mark = MARKS[self.verdict.status][0]
        return f"{mark} Exercise {self.task.number} · {self.task.title}" if self.task else mark

    @property
    def body(self) -> str:
        """The verdict's sentence, with the points of an exercise that passed."""
        points = ""
        if self.task and self.verdict.passed:
            points = f" ({self.task.points} point{'s' * (self.task.points > 1)})"
        return self.verdict.sentence + points

    @property
    def footnote(self) -> str:
        parts = [f"{self.progress}."] if self.progress else []
        if self.task and not self.verdict.passed:
            parts.append("The course's own function stands in for yours, so everything below runs.")
        return " ".join(parts)

    @property
    def text(self) -> str:
        """The card as plain text, the same on every run."""
        verdict, lines = self.verdict, [f"{self.title} — {self.body}"]
        if self.task and not verdict.passed:
            lines.append(f"Asked: {self.task.prompt}.")
        if verdict.hint:
            lines.append(f"{'Note' if verdict.passed else 'Hint'}: {verdict.hint}")
        if verdict.more and verdict.status == WRONG:
            lines.append(f"Hint 2: {verdict.more}")
        return "\n  ".join([*lines, self.footnote] if self.footnote else lines)

    @property
    def html(self) -> str:
        """The same with a coloured edge, text in the page's colour, and the second hint folded."""
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
    """A sentence as HTML; words between asterisks are emphasised."""
    return re.sub(r"(?<![\w*)])\*([A-Za-z][^*]*)\*(?!\w)", r"<em>\1</em>", html.escape(text))


def _values_table(verdict: Verdict) -> str:
    cell = '<td style="padding:0 1em 0 0;text-align:left">'
    rows = (("you gave", verdict.given), ("expected", verdict.expected))
    body = "".join(
        f"<tr>{cell}{name}</td>{cell}<code>{html.escape(value)}</code></td></tr>" for name, value in rows
    )
    return f"{html.escape(verdict.where)}<table style='margin:.2em 0;font-size:1em'>{body}</table>"
