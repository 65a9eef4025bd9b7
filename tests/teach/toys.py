"""A small exercise of our own, to try the engine on, and three answers to one of the course: for the tests of checking."""

from __future__ import annotations

from pathlib import Path

from dgm_course.teach.homework import Case, Exercise
from dgm_course.teach.homework.observe import USUAL

ROOT = Path(__file__).parent.parent
ID = "fm.conditional_velocity"


def right(x, x1, alpha, sigma, dalpha, dsigma):
    return dalpha * x1 + dsigma / sigma * (x - alpha * x1)


def unfilled(x, x1, alpha, sigma, dalpha, dsigma):
    """The formula."""
    raise NotImplementedError("your turn")


def slipped(x, x1, alpha, sigma, dalpha, dsigma):
    return dalpha * x1 + dsigma / sigma * (x - x1)


def _cases(rng):
    for name in ("first", "second", "third"):
        size, dim = int(rng.integers(4, 9)), int(rng.integers(2, 4))
        yield Case(name, {"x": rng.normal(size=(size, dim)) + 3, "w": rng.normal(size=(size, dim)) + 3})


def toy(reference, watch=USUAL):
    return Exercise("toy.task", "0.1", "a toy", "a formula", _cases, reference, (), 1, "think", watch)


def table(x, w):
    return x * w + x


def total(x, w):
    return (x * w).mean()
