"""The picture on a card: every wrong value has one where numbers allow, it is harmless, small, and shows the slip."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from dgm_course.teach.check import Card, worded
from dgm_course.teach.homework import WRONG, Case, ComparisonPairs, ComparisonTable, exercise, exercises
from dgm_course.teach.homework.compare import MOST, beside
from dgm_course.teach.homework.diagnose import Pair
from dgm_course.teach.plots import cards

from ..contrast import contrast

CASE = Case("a case", {})
EXERCISES = exercises()


def pair(given, right):
    return Pair(np.array(given, dtype=float), np.array(right, dtype=float), CASE)


def marks(shown, colour):
    """The places of the marks of that colour, from the picture itself."""
    paths = ElementTree.fromstring(cards.picture(shown)).iter("path")
    drawn = next(path.get("d") for path in paths if path.get("stroke") == colour)
    return np.array([[float(a) for a in place] for place in re.findall(r"M([\d.]+) ([\d.]+)", drawn)])


@pytest.mark.parametrize("task", EXERCISES, ids=lambda task: task.id)
def test_a_wrong_value_comes_with_a_picture(task):
    """One that is well-formed, small, without anything that could run or fetch, and that says in words what it shows."""
    drawn = 0
    for _, form in task.mistakes[:2]:
        verdict = task.verdict(form)
        svg = cards.picture(verdict.beside)
        drawn += bool(svg)
        if svg:
            root = ElementTree.fromstring(svg)
            assert {part.tag for part in root.iter()} <= {"svg", "rect", "path", "text"}
            assert root.get("role") == "img" and len(root.get("aria-label")) > 30
            assert not re.search(r"href|script|url\(| on\w+=", svg) and len(svg) < 20_000
            assert svg in Card(task, verdict).html
    assert drawn or not task.law.drawn, "a wrong value without a picture"


def test_a_reversed_sign_lies_on_the_other_diagonal():
    shown = beside("v", [pair([1.5, -2, 3, 4], [-1.5, 2, -3, -4])])
    places = marks(shown, cards.WRONG)
    assert np.ptp(places[:, 1] - places[:, 0]) < 0.2, "slope −1 in the plane is +1 where y counts downwards"


def test_cases_that_are_right_are_marked_apart():
    shown = beside("v", [pair([1.5, 2, 3], [1.5, 2, 3]), pair([1.5, 2, 3], [3, 4, 6])])
    right = marks(shown, cards.RIGHT)
    assert len(right) == 3 and len(marks(shown, cards.WRONG)) == 3
    assert np.ptp(right.sum(1)) < 0.2, "a right number lies on the diagonal"


def test_nan_and_far_numbers_are_counted_not_drawn():
    given = [*np.linspace(0, 1, 40), np.nan, np.inf, 1e9]
    shown = beside("v", [pair(given, np.linspace(0, 2, 43))])
    assert shown.lost == 3 and len(shown.given) == 40
    assert "not drawn: 3" in cards.picture(shown)


def test_no_picture_without_a_finite_wrong_value():
    good = pair(np.linspace(0.1, 1, 9), np.linspace(0.1, 1, 9))
    assert beside("v", [good, good, pair(np.full(9, np.inf), np.linspace(0.1, 1, 9))]) is None


def test_large_case_does_not_hide_the_others():
    usual = [pair(2 * np.linspace(0.1, 1, 9), np.linspace(0.1, 1, 9))] * 3
    shown = beside("v", [*usual, pair(np.full(9, 2e4 + 0.5), np.full(9, 1e4 + 0.5))])
    assert shown.right.max() == 1 and shown.wrong.all() and shown.lost == 9


def test_stressed_words_are_stressed_and_products_are_products():
    assert (
        worded("a *sum* over <x>, z* = 2 * y * z, f(a)*b*c")
        == "a <em>sum</em> over &lt;x&gt;, z* = 2 * y * z, f(a)*b*c"
    )


@pytest.mark.parametrize("right", [[[0, 1], [1, 0]], [0, 1, 2, 1], np.tri(5), np.eye(3) * 0.3, np.ones((2, 3, 3))])
def test_a_table_frames_exactly_what_differs(right):
    right = np.array(right, dtype=float)
    given = right.copy()
    given.flat[1] += 1
    shown = beside("mask", [pair(given, right)])
    assert isinstance(shown, ComparisonTable)
    assert len(marks(shown, cards.WRONG)) == 1


@pytest.mark.parametrize(
    ("given", "right"), [([1.5], [2.5]), ([], []), ([np.nan] * 9, [1.5] * 9), ([1e200] * 5, [1.5] * 5)]
)
def test_no_picture_of_too_few_numbers(given, right):
    assert cards.picture(beside("v", [pair(given, right)])) == ""


def test_large_arrays_are_thinned_evenly():
    shown = beside("v", [pair(np.zeros(10_000), np.linspace(1, 2, 10_000))])
    assert len(shown.right) <= MOST and shown.right[0] == 1 and shown.right[-1] == 2


def test_constant_values_and_escaped_names_are_drawn():
    svg = cards.picture(ComparisonPairs("<b>&", np.ones(4), np.ones(4), np.ones(4, bool)))
    assert "<b>" not in svg and ElementTree.fromstring(svg).get("aria-label").startswith("<b>&")


def test_a_wrong_gradient_is_drawn_too():
    task = next(t for t in EXERCISES if t.gradient_mistakes)
    shown = [task.verdict(form) for _, form in task.gradient_mistakes]
    assert all(verdict.status == WRONG for verdict in shown)
    assert any(verdict.beside and verdict.beside.name.startswith("gradient by") for verdict in shown)


def test_right_and_unwritten_answers_have_none():
    task = exercise("fm.conditional_velocity")
    assert task.verdict(lambda x, x1, a, s, da, ds: ...).beside is None
    assert "<svg" not in Card(task, task.verdict(lambda x, x1, a, s, da, ds: da * x1 + ds / s * (x - a * x1))).html


@pytest.mark.parametrize("colour", [cards.RIGHT, cards.WRONG])
@pytest.mark.parametrize("page", ["#ffffff", "#111111"])
def test_marks_are_seen_on_light_and_dark(colour, page):
    assert contrast(colour, page) >= 3
