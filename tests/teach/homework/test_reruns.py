"""No check refuses what is right: every question has an answer, and the same formula in float32 passes on fresh questions.

A handful of seeds; `benchmarks/reruns.py` asks thousands, of every correct form."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from dgm_course.teach.homework import Case, Observation, exercise, exercises, topics

from .answers import Bank, fits_in_float32, rounded

BANKS: dict[str, Bank] = {}
for topic in topics():
    BANKS |= importlib.import_module(f"tests.teach.homework.answers.{topic}").BANKS
TASKS = [task.id for task in exercises()]
SEEDS = (2000, 2001)


@pytest.mark.parametrize("id", TASKS)
def test_every_question_has_an_answer_and_the_same_formula_in_float32_passes(id):
    """A case that the reference cannot answer would ask nothing of anybody."""
    task = exercise(id)
    for seed in SEEDS:
        cases = [case for case in task.inputs(seed) if fits_in_float32(case)]
        expected = task.expected(cases)
        for case, right in zip(cases, expected.right, strict=True):
            found = {**right.values, **right.gradients}
            assert found and not right.trouble, (seed, case.name, right.detail)
            assert not any(np.isnan(array).any() for array in found.values()), (seed, case.name)
        seen = task.observe(BANKS[id].solution, [rounded(case) for case in cases])
        verdict = task.judge([rounded(one) for one in seen], expected)
        assert len(cases) >= 2 and verdict.passed, (seed, verdict)


def test_what_float32_cannot_hold_is_known_and_the_rest_is_rounded():
    case = Case("a", {"x": np.array([0.1, 1.0]), "n": np.array([2**40]), "k": 3})
    assert fits_in_float32(case) and rounded(case).args["x"].dtype == np.float32
    assert rounded(case).args["n"].dtype == case.args["n"].dtype and rounded(case).args["k"] == 3
    assert not any(fits_in_float32(Case("b", {"x": np.array([value])})) for value in (1e200, 1e-200))
    seen = rounded(Observation({"y": np.array([0.1])}, {"x": np.array([0.3])}))
    assert seen.values["y"] == np.float32(0.1) and seen.gradients["x"].dtype == np.float64
