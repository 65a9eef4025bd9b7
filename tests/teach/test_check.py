"""The check cell and its card: what comes back to the student, and what can never happen in the notebook."""

from __future__ import annotations

import importlib
import random
import sys
import threading
import time
import warnings

import numpy as np
import pytest
import torch

from dgm_course.core.ode import heun
from dgm_course.teach.check import Card, check
from dgm_course.teach.homework import NOT_YET, Exercise, exercise, exercises

from .toys import ID, ROOT, right, slipped, table, toy, unfilled

module = importlib.import_module("dgm_course.teach.check")  # the name in the package is the function


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.delenv("DGM_STRICT", raising=False)
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    monkeypatch.setattr(module, "passed", {})


def test_pass_returns_the_students_function_and_counts(capsys):
    assert check(ID, right) is right
    out, err = capsys.readouterr()
    assert err == "" and "1 of 8 done" in out
    assert out.startswith("✓ Exercise 8.1 · the conditional velocity — Right on conical, VP, VE")


@pytest.mark.parametrize("answer,mark", [(unfilled, "○"), (slipped, "✗"), (None, "✗"), (..., "○")])
def test_failing_answer_returns_the_reference(answer, mark, capsys):
    got = check(ID, answer)
    out, err = capsys.readouterr()
    assert err == "" and out.startswith(mark) and "0 of 8 done" in out and "stands in for yours" in out
    numbers = [torch.rand(4, 3), torch.rand(4, 3), *torch.rand(4, 4, 1)]
    assert torch.allclose(got(*numbers), right(*numbers), atol=1e-4)


def test_repeated_check_does_not_pass_the_reference(capsys):
    answer = check(ID, slipped)
    assert check(ID, answer) is answer
    assert "stood in for yours" in capsys.readouterr().out and not module.passed[ID]


def test_library_function_may_be_an_answer(capsys):
    assert check("fm.heun_step", heun) is heun
    assert capsys.readouterr().out.startswith("✓")


@pytest.mark.parametrize("task", exercises(), ids=lambda task: task.id)
def test_first_card_shows_no_hint(task):
    verdict = task.verdict(...)
    card = Card(task, verdict)
    assert verdict.status == NOT_YET and task.prompt in card.text
    for words in (card.text, card.html):
        assert "Hint" not in words and "details" not in words and task.more not in words
    assert not any(sign in task.prompt for sign in "=+/²∫σα")


def test_progress_counts_each_exercise_once_and_takes_back(capsys):
    for answer, line in ((right, "1 of 8"), (right, "1 of 8"), (slipped, "0 of 8"), (right, "1 of 8")):
        check(ID, answer)
        assert line in capsys.readouterr().out


@pytest.mark.parametrize(
    "variable,value",
    [("DGM_STRICT", "1"), ("NBGRADER_EXECUTION", "autograde"), ("NBGRADER_EXECUTION", "validate")],
)
def test_strict_raises_the_words_of_the_card(monkeypatch, capsys, variable, value):
    monkeypatch.setenv(variable, value)
    assert check(ID, right) is right
    for id, answer, words in (
        (ID, slipped, "compared with x1"),
        (ID, unfilled, "Not yet"),
        ("fm.nothing", right, "nearest"),
        (ID, None, "function was expected"),
    ):
        with pytest.raises(AssertionError, match=words):
            check(id, answer)
    assert capsys.readouterr().err == ""


def test_strict_zero_is_not_strict(monkeypatch, capsys):
    monkeypatch.setenv("DGM_STRICT", "0")
    check(ID, slipped)
    assert "✗" in capsys.readouterr().out


def test_unknown_id_names_the_nearest(capsys):
    assert check("fm.conditional_velocty", right) is right
    assert ID in capsys.readouterr().out
    with pytest.raises(KeyError, match=ID):
        exercise("fm.conditional_velocty")
    with pytest.raises(KeyError, match="flow_matching"):
        exercises("gardening")
    assert exercises("fm") == exercises("flow_matching")


def test_card_shows_case_values_and_hints():
    verdict = exercise(ID).verdict(slipped)
    card = Card(exercise(ID), verdict, "2 of 8 done")
    bundle = card._repr_mimebundle_()
    parts = ("Right on VE, wrong on conical", "you gave", "expected", "compared with x1", "2 of 8 done", "Hint 2")
    for part in parts:
        assert part in bundle["text/plain"] and (part in bundle["text/html"] or part == "you gave"), part
    assert "<details>" in bundle["text/html"] and "#D55E00" in bundle["text/html"]
    assert repr(card) == bundle["text/plain"]


def test_card_numbers_satisfy_the_formula():
    """x, x1 and t as printed give the expected value as printed (conical path, by hand)."""
    verdict = exercise(ID).verdict(slipped)
    assert verdict.where.startswith("conical, t = ")
    t, x, x1 = (float(part.split(" = ")[1]) for part in verdict.where.split(", ")[1:])
    assert float(verdict.expected) == pytest.approx((x1 - x) / (1 - t), rel=1e-3)
    assert float(verdict.given) == pytest.approx(x1 - (x - x1) / (1 - t), rel=1e-3)


@pytest.mark.parametrize("id", [task.id for task in exercises()])
def test_the_card_is_the_same_on_every_run(id):
    task = exercise(id)

    def words():
        answers = unfilled, slipped, *(form for _, form in task.mistakes[:1]), lambda *a: print(object()) or 1 / 0
        return [Card(task, task.verdict(answer)).text for answer in answers]

    first = words()
    torch.manual_seed(99)
    np.random.seed(99)
    assert words() == first


def test_the_card_renders_no_markup_of_the_student():
    def answer(x, w):
        raise ValueError("<script>alert(1)</script><img onerror=x>")

    page = Card(toy(table), toy(table).verdict(answer)).html
    assert "<script" not in page and "<img" not in page and "&lt;script&gt;" in page


def test_prints_and_warnings_are_hidden(capsys):
    def noisy(*args):
        for _ in range(2000):
            print("x" * 1000)
        print("to stderr", file=sys.stderr)
        warnings.warn("careful", stacklevel=1)
        return right(*args)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(ID, lambda x, x1, alpha, sigma, dalpha, dsigma: noisy(x, x1, alpha, sigma, dalpha, dsigma))
    out, err = capsys.readouterr()
    assert err == "" and len(out) < 500 and out.startswith("✓")


def test_the_notebooks_random_streams_go_on_undisturbed(capsys):
    def draws():
        return torch.rand(3).tolist(), np.random.rand(3).tolist(), random.random()

    def seeding(x, x1, alpha, sigma, dalpha, dsigma):
        torch.manual_seed(0), np.random.seed(0), random.seed(0)
        return right(x, x1, alpha, sigma, dalpha, dsigma)

    for answer in (right, slipped, seeding):
        torch.manual_seed(5), np.random.seed(5), random.seed(5)
        undisturbed = draws()
        torch.manual_seed(5), np.random.seed(5), random.seed(5)
        check(ID, answer)
        assert draws() == undisturbed


@pytest.mark.skipif(not hasattr(module.signal, "setitimer"), reason="no alarms on this system")
def test_endless_loop_is_stopped(monkeypatch, capsys):
    monkeypatch.setattr(module, "SECONDS", 0.5)

    def endless(x, x1, alpha, sigma, dalpha, dsigma):
        while True:
            try:
                time.sleep(0.01)
            except Exception:
                pass

    before = module.signal.getsignal(module.signal.SIGALRM)
    assert check(ID, endless) is exercise(ID).reference
    assert "still running" in capsys.readouterr().out
    assert module.signal.getsignal(module.signal.SIGALRM) is before
    assert module.signal.getitimer(module.signal.ITIMER_REAL)[0] == 0


def test_check_works_in_a_thread(capsys):
    got = []
    thread = threading.Thread(target=lambda: got.append(check(ID, right)))
    thread.start()
    thread.join(20)
    assert got == [right]


def test_broken_judge_does_not_stop_the_notebook(monkeypatch, capsys):
    def broken(*_):
        raise RuntimeError("the judge fell asleep")

    monkeypatch.setattr(Exercise, "verdict", broken)
    assert check(ID, right) is exercise(ID).reference
    assert "could not read" in capsys.readouterr().out


def test_the_users_own_interrupt_goes_through():
    def interrupted(x, x1, alpha, sigma, dalpha, dsigma):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check(ID, interrupted)


@pytest.mark.notebooks
def test_in_a_real_kernel():
    """Card as a mime bundle, no stderr, no traceback, the alarm rings, and the assignment shows nothing."""
    import nbclient
    import nbformat

    head = "def f(x, x1, alpha, sigma, dalpha, dsigma):\n    "
    cells = ["import sys\nfrom dgm_course.teach import check\nsys.modules['dgm_course.teach.check'].SECONDS = 1"]
    for body in (
        "raise NotImplementedError",
        "return dalpha * x1 + dsigma / sigma * (x - x1)",
        "while True: pass",
        "return dalpha * x1 + dsigma / sigma * (x - alpha * x1)",
    ):
        cells += [head + body, f"f = check({ID!r}, f)"]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(
        book, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}
    ).execute()
    outputs = [cell.outputs for cell in book.cells[2::2]]
    assert [len(out) for out in outputs] == [1, 1, 1, 1]
    assert all(set(out[0].data) == {"text/plain", "text/html"} for out in outputs)
    assert [out[0].data["text/plain"][0] for out in outputs] == ["○", "✗", "✗", "✓"]
    assert "still running" in outputs[2][0].data["text/plain"]
