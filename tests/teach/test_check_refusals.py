"""Errors, hostile objects and forged observations are named or refused, here and from another process."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pytest
import torch

from dgm_course.teach.homework import NOT_YET, PASS, WRONG, Observation, ObserveSpec, exercise, unpack
from dgm_course.teach.homework.messages import TROUBLES

from .toys import ID, ROOT, right, slipped, table, toy, unfilled


@pytest.mark.parametrize(
    "answer,word",
    [
        (lambda x, w: x @ w, "matrix product"),
        (lambda x, w: x * w[:3], "v[:, None]"),
        (lambda x, w: x @ torch.eye(x.shape[1]), "float32 meets float64"),
        (lambda x, w: undefined_name * x, "typing slip"),  # noqa: F821
        (lambda x, w: x.shape[0](x), "`*`"),
        (lambda x, w: sys.exit(0), "Read the error"),
        (lambda x, w: (_ for _ in ()).throw(GeneratorExit), "Read the error"),
        (lambda x, w: 1 / 0, "Read the error"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_errors_come_back_as_a_sentence(answer, word):
    verdict = toy(table).verdict(answer)
    assert verdict.status == WRONG and "stopped with an error" in verdict.law and word in verdict.hint, verdict


def test_error_names_the_line_without_addresses():
    def answer(x, w):
        y = x * w
        raise ValueError(f"strange {object()}")
        return y

    law = toy(table).verdict(answer).law
    assert "raise ValueError" in law and "0x…" in law and "test_check" not in law


@pytest.mark.parametrize(
    "answer,kind",
    [
        (None, "uncallable"),
        (3, "uncallable"),
        (torch.zeros(3), "uncallable"),
        (lambda x: x, "signature"),
        (lambda: 1, "signature"),
        (lambda x, w: "text", "type"),
        (lambda x, w: {"y": x}, "type"),
        (lambda x, w: x + 1j, "type"),
        (lambda x, w: (x, "w"), "type"),
        (lambda x, w: [x, x[0]], "type"),
        (lambda x, w: table, "type"),
        (lambda x, w: torch.zeros(1).expand(10**9), "type"),
        (lambda x, w: np.array([None, 1]), "type"),
        (lambda x, w: (i for i in range(3)), "type"),
    ],
)
def test_what_cannot_be_judged_is_named(answer, kind):
    verdict = toy(table).verdict(answer)
    assert verdict.status == WRONG and verdict.law.startswith(TROUBLES[kind][1]), verdict


@pytest.mark.parametrize(
    "answer", [lambda x, w: x, lambda x, w: (x,), lambda x, w: (x, w, x), lambda x, w: x[0, 0]]
)
def test_a_wrong_number_of_outputs_is_named(answer):
    verdict = toy(lambda x, w: (x, w), ObserveSpec(outputs=("x", "w"))).verdict(answer)
    assert "number of things" in verdict.law and "(x, w)" in verdict.law


# --- hostile results


class AlwaysEqual:
    shape, dtype = (5, 2), np.float64

    def __eq__(self, other):
        return True

    __hash__ = None

    def __array__(self, *_, **__):
        return np.ones((5, 2))

    def __len__(self):
        return 2


class Chameleon(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return torch.ones(())


class Lenient(np.ndarray):
    def __eq__(self, other):
        return np.ones(self.shape, bool)

    def __sub__(self, other):
        return np.zeros(self.shape)


class Wrathful(Exception):
    def __str__(self):
        raise RuntimeError("not even this")


class Slippery(tuple):
    def __iter__(self):
        raise KeyError("no")


def angry(x, w):
    raise Wrathful


@pytest.mark.parametrize(
    "answer",
    [
        lambda x, w: AlwaysEqual(),
        lambda x, w: x.as_subclass(Chameleon),
        lambda x, w: x.numpy().view(Lenient),
        lambda x, w: np.matrix(x.numpy()),
        angry,
        lambda x, w: torch.empty(3, device="meta"),
        lambda x, w: np.ma.masked_array(x.numpy(), True),
        type("Odd", (), {"__call__": lambda self, x, w: 1})(),
        lambda x, w: [[[[[[1.0]]]]]],
        lambda x, w: [],
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_hostile_objects_are_refused(answer):
    assert toy(table).verdict(answer).status == WRONG


def test_a_hostile_tuple_is_refused():
    task = toy(lambda x, w: (x, w), ObserveSpec(outputs=("x", "w")))
    assert task.verdict(lambda x, w: Slippery((x, w))).status == WRONG


def test_what_is_observed_is_exactly_arrays_and_text():
    for answer in (right, slipped, unfilled, lambda *a: [row.tolist() for row in right(*a)]):
        for seen in exercise(ID).observe(answer, exercise(ID).inputs(1)):
            arrays = seen.values.values()
            assert all(type(v) is np.ndarray and v.dtype == np.float64 and v.base is None for v in arrays)
            assert type(seen.trouble) is str and type(seen.detail) is str


def test_observations_are_copies():
    kept = []

    def answer(x, w):
        kept.append(table(x, w).numpy())
        return kept[-1]

    task = toy(table)
    cases = task.inputs(1)
    seen = task.observe(answer, cases)
    for array in kept:
        array[:] = 0
    assert task.judge(seen, task.expected(cases)).passed


def test_judge_refuses_forged_observations():
    task = exercise(ID)
    cases = task.inputs(1)
    expected, good = task.expected(cases), task.observe(right, cases)
    assert task.judge(good, expected).status == PASS
    wrong = [
        good[:1],
        (),
        (Observation(),) * len(good),
        good[::-1],
        tuple(Observation({"result": np.array("1")}) for _ in good),
        tuple(Observation({"result": s.values["result"].view(Lenient)}) for s in good),
        tuple(Observation({"result": AlwaysEqual()}) for _ in good),
        tuple(Observation({"result": np.full_like(s.values["result"], np.nan)}) for s in good),
        tuple(Observation({"other": s.values["result"]}) for s in good),
    ]
    for observed in wrong:
        assert task.judge(observed, expected).status == WRONG


# --- elsewhere

CHILD = """
import pickle, sys, numpy as np
from dgm_course.teach.homework import observe, pack
cases, watch, sources = pickle.load(sys.stdin.buffer)
home = {}
for number, source in enumerate(sources):
    space = {}
    exec(source, space)
    home |= {f"{number}/{key}": array for key, array in pack(observe(space["answer"], cases, watch)).items()}
np.savez(sys.stdout.buffer, **home)
"""


@pytest.mark.slow
def test_observing_in_another_process():
    """Cases go out, only arrays and texts come back (no pickle), and the verdicts are the same as here."""
    formulas = {
        "dalpha * x1 + dsigma / sigma * (x - alpha * x1)": PASS,
        "...": NOT_YET,
        "x[99]": WRONG,
        "dalpha * x1 + dsigma / sigma * (x - x1)": WRONG,
        "print(x)": WRONG,
    }
    task = exercise(ID)
    cases = task.inputs(77)
    sources = [f"def answer(x, x1, alpha, sigma, dalpha, dsigma):\n    return {formula}" for formula in formulas]
    command, message = [sys.executable, "-c", CHILD], pickle.dumps((cases, task.watch, sources))
    child = subprocess.run(command, input=message, capture_output=True, check=True, timeout=600, cwd=ROOT)
    with np.load(io.BytesIO(child.stdout), allow_pickle=False) as home:
        packed = dict(home)
    for number, status in enumerate(formulas.values()):
        mine = {key.partition("/")[2]: array for key, array in packed.items() if key.startswith(f"{number}/")}
        assert task.judge(unpack(mine), task.expected(cases)).status == status


@pytest.mark.parametrize(
    "forged",
    [
        {"x|text": np.array(["", ""])},
        {"0|text": np.array(["", ""]), "5|value|result": np.zeros(1)},
        {"0|text": np.array([1.0, 2.0])},
        {"0|text": np.array(["", ""]), "0|value|result": np.array(["a"])},
        {"0|text": np.array(["", ""]), "0|manners|x": np.zeros(1)},
        {"0|text": np.array([""])},
        {"0|text": np.array(["", ""]), "0|value|result": AlwaysEqual()},
        {"0|text": np.array(["", ""]), "0|value": np.ones(1)},
        {"0|text": np.array(["", ""]), "0": np.ones(1)},
        {"1|text": np.array(["", ""])},
    ],
)
def test_forged_observations_are_refused(forged):
    with pytest.raises(ValueError, match="observation"):
        unpack(forged)


def test_everything_that_travels_is_plain_and_picklable():
    task = exercise("fm.cfm_loss")
    cases = task.inputs(3)
    verdict = task.verdict(lambda net, x1, x0, t: 0 * x1.mean())
    for thing in (cases, task.watch, task.observe(task.reference, cases), task.expected(cases), verdict):
        assert pickle.loads(pickle.dumps(thing)) is not None
    assert all(type(value) is str for name, value in asdict(verdict).items() if name != "beside")
