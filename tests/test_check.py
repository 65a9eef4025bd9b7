"""The exercise engine: what students hand in, what comes back, and what can never happen in the notebook."""

from __future__ import annotations

import importlib
import io
import pickle
import random
import subprocess
import sys
import threading
import time
import warnings
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from dgm_course.dynamics import heun
from dgm_course.teach.check import Card, check
from dgm_course.teach.homework import (
    NOT_YET,
    PASS,
    WRONG,
    Case,
    Exercise,
    Network,
    Observation,
    Watch,
    exercise,
    exercises,
    observe,
    unpack,
)
from dgm_course.teach.homework._observe import USUAL
from dgm_course.teach.homework._sentences import MANNERS, NOTES, TROUBLES

desk = importlib.import_module("dgm_course.teach.check")  # the name in the package is the function
ROOT = Path(__file__).parent.parent
ID = "fm.conditional_velocity"


def right(x, x1, alpha, sigma, dalpha, dsigma):
    return dalpha * x1 + dsigma / sigma * (x - alpha * x1)


def unfilled(x, x1, alpha, sigma, dalpha, dsigma):
    """The formula."""
    raise NotImplementedError("your turn")


def slipped(x, x1, alpha, sigma, dalpha, dsigma):
    return dalpha * x1 + dsigma / sigma * (x - x1)


# --- a small exercise of our own, to try the engine on


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


# --- T5: what students hand in


def only_docstring(x, w):
    """Words."""


def only_dots(x, w): ...


def only_pass(x, w):
    pass


def returns_dots(x, w):
    return ...


def dots_inside(x, w):
    y = ...
    return y + x


def raises_stub(x, w):
    raise NotImplementedError


@pytest.mark.parametrize("stub", [only_docstring, only_dots, only_pass, returns_dots, dots_inside, raises_stub, ...])
def test_unfilled_in_every_style_is_not_yet(stub):
    assert toy(table).verdict(stub).status == NOT_YET


def test_forgotten_return_is_named():
    def answer(x, w):
        y = x * w  # noqa: F841

    verdict = toy(table).verdict(answer)
    assert verdict.status == WRONG and "`return`" in verdict.hint and "None" in verdict.law


@pytest.mark.parametrize(
    "convert",
    [
        lambda y: y.float(),
        lambda y: y.bfloat16().double() * 0 + y,
        lambda y: y.numpy(),
        lambda y: y.tolist(),
        lambda y: nn.Parameter(y),
        lambda y: list(y),
        lambda y: tuple(y.numpy()),
        lambda y: y.to_sparse(),
        lambda y: y.T.contiguous().T,
        lambda y: y.numpy().astype(np.float32),
    ],
)
def test_every_readable_form_of_the_right_values_passes(convert):
    assert toy(table).verdict(lambda x, w: convert(table(x, w))).passed


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool, torch.float16, torch.float64])
def test_whole_numbers_may_come_in_any_dtype(dtype):
    assert toy(lambda x, w: (x > 3).double()).verdict(lambda x, w: (x > 3).to(dtype)).passed


@pytest.mark.parametrize(
    "convert",
    [
        lambda y: y,
        lambda y: y.item(),
        lambda y: y.reshape(1),
        lambda y: y.reshape(1, 1),
        lambda y: y.numpy()[()],
        lambda y: np.float32(y),
        lambda y: [y.item()],
    ],
)
def test_every_readable_form_of_one_number_passes(convert):
    assert toy(total).verdict(lambda x, w: convert(total(x, w))).passed


@pytest.mark.parametrize(
    "answer,fragment",
    [
        (lambda x, w: -table(x, w), "sign is reversed"),
        (lambda x, w: 2 * table(x, w), "twice"),
        (lambda x, w: table(x, w) / 2, "half"),
        (lambda x, w: -table(x, w) / 2, "−½"),
        (lambda x, w: table(x, w) / np.log(2), "base 2"),
        (lambda x, w: 3.5 * table(x, w), "3.5 times"),
        (lambda x, w: table(x, w) + 1, "plus 1"),
        (lambda x, w: table(x, w) ** 2, "is the square of"),
        (lambda x, w: table(x, w) ** 0.5, "square root of"),
        (lambda x, w: 1 / table(x, w), "one over"),
        (lambda x, w: table(x, w).log(), "logarithm too many"),
        (lambda x, w: table(x, w).exp(), "logarithm is missing"),
        (lambda x, w: table(x, w).flip(0), "reversed along the first axis"),
        (lambda x, w: table(x, w) * float("nan"), "NaN"),
        (lambda x, w: table(x, w) / 0, "infinite"),
        (lambda x, w: 0 * x, "zero everywhere"),
        (lambda x, w: 0 * x + 5, "same number comes out"),
        (lambda x, w: w, "argument w itself"),
        (lambda x, w: table(x, w[:1]), "first row"),
        (
            lambda x, w: table(x, w) * (1 + 0.004 * torch.linspace(0, 1, x.numel(), dtype=x.dtype).reshape(x.shape)),
            "Close",
        ),
        (lambda x, w: torch.sin(x), "Compute one entry by hand"),
    ],
)
def test_anybodys_slip_is_recognised_by_value(answer, fragment):
    verdict = toy(table).verdict(answer)
    assert verdict.status == WRONG and fragment in verdict.hint, verdict


@pytest.mark.parametrize(
    "answer,fragment",
    [
        (lambda x, w: (x * w).mean(1).sum(), "sum over the batch"),
        (lambda x, w: (x * w).sum(1).mean(), "sum over the coordinates"),
        (lambda x, w: (x * w).sum(), "sum over everything"),
        (lambda x, w: (x * w).mean() / len(x), "divided by B:"),
        (lambda x, w: (x * w).mean() / x.shape[1], "divided by D:"),
        (lambda x, w: (x * w).mean() / x.numel(), "divided by B·D"),
        (lambda x, w: (x * w).mean(1), "mean is missing (it would be right)"),
        (lambda x, w: x * w, "mean is missing (it would be right)"),
    ],
)
def test_sum_and_mean_are_told_apart(answer, fragment):
    verdict = toy(total).verdict(answer)
    assert verdict.status == WRONG and fragment in verdict.hint, verdict


@pytest.mark.parametrize(
    "answer,fragment",
    [
        (lambda x, w: table(x, w).T, "transpose the result"),
        (lambda x, w: x.T, "Rows and columns"),
        (lambda x, w: table(x, w).sum(1), "A sum too many: over the coordinates"),
        (lambda x, w: table(x, w).mean(0), "A mean too many: over the batch"),
        (lambda x, w: table(x, w)[:2], "(B"),
        (lambda x, w: torch.stack([x, table(x, w)]), "the last (which is right)"),
        (lambda x, w: table(x, w).flatten(), "the numbers are right"),
        (lambda x, w: table(x, w)[None], "the numbers are right"),
        (lambda x, w: table(x, w)[..., None], "the numbers are right"),
        (lambda x, w: torch.arange(len(x)), "return the points themselves"),
        (lambda x, w: x @ w.T, "made all pairs"),
        (lambda x, w: x[0, 0], "Too few numbers"),
    ],
)
def test_wrong_shapes_are_named_with_the_right_values_they_hide(answer, fragment):
    verdict = toy(table).verdict(answer)
    assert verdict.status == WRONG
    assert fragment in verdict.hint or verdict.expected.startswith("shape"), verdict
    assert fragment in verdict.hint or fragment == "(B", verdict


@pytest.mark.parametrize(
    "answer,manner",
    [
        (lambda x, w: x.mul_(w) + x / w, "mutated"),
        (lambda x, w: (table(x, w), w.zero_())[0], "mutated"),
        (lambda x, w: (table(x, w), x.squeeze_(), x.unsqueeze_(0))[0], "mutated"),
        (lambda x, w: table(x, w) + 0 * torch.rand(1), "random"),
        (lambda x, w: table(x, w) + 0 * np.random.rand(), "random"),
        (lambda x, w: table(x, w) + 0 * random.random(), "random"),
        (lambda x, w: (torch.manual_seed(0), table(x, w))[1], "random"),
        (lambda x, w: (torch.set_grad_enabled(False), table(x, w))[1], "grad_mode"),
        (lambda x, w: (torch.set_default_dtype(torch.float64), table(x, w))[1], "default_dtype"),
    ],
)
def test_bad_manners_fail_although_the_value_is_right(answer, manner):
    verdict = toy(table).verdict(answer)
    assert (verdict.law, verdict.hint) == MANNERS[manner], verdict


@pytest.mark.parametrize(
    "answer",
    [
        lambda x, w: table(x, w) + torch.zeros(x.shape, dtype=x.dtype),
        lambda x, w: table(x, w) * torch.tensor([1.0] * x.shape[1]),
    ],
)
def test_what_stays_on_the_cpu_is_right_with_a_note(answer):
    verdict = toy(table).verdict(answer)
    assert verdict.passed and verdict.hint == NOTES["device"]
    card = Card(toy(table), verdict)
    assert "Note: To run on a GPU" in card.text and "Note:" in card.html and "Hint" not in card.text + card.html


def test_settings_are_put_back_also_after_an_error_and_do_not_spoil_the_check():
    def answer(x, w):
        torch.set_grad_enabled(False), torch.set_default_dtype(torch.float64)
        raise ValueError("and out")

    assert toy(table).verdict(answer).status == WRONG
    assert torch.is_grad_enabled() and torch.get_default_dtype() == torch.float32
    loss = exercise("fm.cfm_loss").reference
    with torch.no_grad():
        assert exercise("fm.cfm_loss").verdict(lambda net, x1, x0, t: loss(net, x1, x0, t)).passed
        assert not torch.is_grad_enabled()


def test_a_network_comes_back_as_it_was():
    def cases(rng):
        for name in ("a", "b"):
            yield Case(name, {"net": Network.draw(rng, 3), "x": rng.normal(size=(5, 3))})

    def reference(net, x):
        return net(x).square().mean()

    def grads(net, x):
        for part in net.parameters():
            part.grad = torch.zeros_like(part)
        return reference(net, x)

    def stepped(net, x):
        loss = reference(net, x)
        loss.backward()
        return loss

    task = Exercise("toy.loss", "0.2", "a loss", "squares", cases, reference, watch=Watch(gradient=("net",)))
    assert task.verdict(lambda net, x: reference(net, x)).passed
    for answer in (grads, stepped):
        assert "backward inside the loss" in task.verdict(answer).hint
    for spoil in (nn.Module.eval, lambda net: net.requires_grad_(False)):
        verdict = task.verdict(lambda net, x, spoil=spoil: (reference(net, x), spoil(net))[0])
        assert verdict.law == TROUBLES["flags"][1]


def test_a_wrong_value_is_told_before_an_error_in_a_later_case():
    def answer(x, w):
        calls.append(1)
        return -table(x, w) if len(calls) < 4 else 1 / 0

    calls = []
    assert "sign is reversed" in toy(table).verdict(answer).hint


def test_fields_and_networks_take_the_times_that_real_networks_take():
    case = Case("c", {"field": Network.draw(np.random.default_rng(0), 2), "x": np.ones((4, 2))})
    for shape, fits in {(): 1, (4,): 1, (4, 1): 1, (1,): 0, (1, 4): 0, (4, 2): 0}.items():
        seen = observe(lambda field, x, shape=shape: field(x, torch.full(shape, 0.3)).detach(), [case])[0]
        assert (not seen.trouble) == bool(fits), shape


def test_tensors_of_the_inputs_dtype_where_the_notebook_needs_them():
    task = toy(lambda x, w: (x, w), Watch(outputs=("x", "w"), tensors=True))
    assert task.verdict(lambda x, w: (x, w)).passed and task.verdict(lambda x, w: torch.stack([x, w])).passed
    for answer in (
        lambda x, w: (x.numpy(), w.numpy()),
        lambda x, w: (x.tolist(), w.tolist()),
        lambda x, w: (x.float(), w.float()),
        lambda x, w: (list(x), list(w)),
    ):
        verdict = task.verdict(answer)
        assert verdict.law == MANNERS["tensors"][0] and "torch.as_tensor" in verdict.hint


def test_a_second_call_must_agree():
    calls = []

    def answer(x, w):
        calls.append(1)
        return table(x, w) * (1 + (len(calls) % 2 == 0))

    verdict = toy(table).verdict(answer)
    assert verdict.law == MANNERS["unstable"][0]


@pytest.mark.parametrize(
    "answer",
    [
        lambda x, w: table(x, w) + torch.tensor(0.0),
        lambda x, w: table(x, w) * torch.as_tensor(1.0),
        lambda x, w: torch.from_numpy(table(x, w).numpy()),
        lambda x, w: torch.tensor((table(x, w)).tolist()),
        lambda x, w: table(x.clone().mul_(1), w),
        lambda x, w: table(x, w) + 0 * torch.rand(1, generator=torch.Generator().manual_seed(1), dtype=x.dtype).item(),
    ],
)
def test_good_manners_are_not_mistaken(answer):
    assert toy(table).verdict(answer).passed


def test_random_exercises_may_draw_and_get_the_same_stream_each_time():
    task = toy(lambda x, w: x + torch.randn_like(x), Watch(random=True))
    assert task.verdict(lambda x, w: x + torch.randn_like(x)).passed
    assert toy(table, Watch(random=True)).verdict(lambda x, w: x).status == WRONG


@pytest.mark.parametrize(
    "answer,hint",
    [
        (lambda net, x: net(x).detach().square().mean(), "cut the graph"),
        (lambda net, x: net(x).square().mean().item(), "cut the graph"),
        (lambda net, x: net(x.detach()).detach().square().mean() + 0 * net(x).mean(), "cut the graph"),
        (
            lambda net, x: 0.5 * net(x).square().mean() + 0.5 * net(x).detach().square().mean(),
            "Part of the graph",
        ),
    ],
)
def test_gradients_are_compared_where_they_are_the_point(answer, hint):
    def cases(rng):
        for name in ("a", "b"):
            yield Case(name, {"net": Network.draw(rng, 3), "x": rng.normal(size=(5, 3))})

    def reference(net, x):
        return net(x).square().mean()

    task = Exercise("toy.loss", "0.2", "a loss", "mean of squares", cases, reference, watch=Watch(gradient=("net", "x")))
    assert task.verdict(lambda net, x: (net(x) ** 2).sum() / x.numel()).passed
    verdict = task.verdict(answer)
    assert verdict.status == WRONG and hint in verdict.hint and "right" in verdict.law


def test_gradients_of_the_engine_agree_with_finite_differences():
    watch, x = Watch(gradient=("x",)), np.array([[0.3, -0.7], [1.1, 0.2]])
    seen = observe(lambda x: x.sin().sum(), [Case("c", {"x": x})], watch)[0]
    step = 1e-6
    ramps = [
        (np.sin(x + step * unit).sum() - np.sin(x - step * unit).sum()) / (2 * step) for unit in np.eye(4).reshape(4, 2, 2)
    ]
    assert np.allclose(seen.gradients["x"], ramps, atol=1e-8)


def test_values_that_serve_as_data_must_not_carry_a_gradient():
    task = toy(table, Watch(detached=True))
    assert task.verdict(lambda x, w: table(x, w)).passed
    for answer in (
        lambda x, w: table(x, w).requires_grad_(),
        lambda x, w: list(table(x, w).requires_grad_()),
        lambda x, w: [list(row) for row in table(x, w).requires_grad_()],
    ):
        assert task.verdict(answer).law == MANNERS["tracks"][0]


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


def test_an_error_names_the_line_but_no_address_and_no_path():
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


@pytest.mark.parametrize("answer", [lambda x, w: x, lambda x, w: (x,), lambda x, w: (x, w, x), lambda x, w: x[0, 0]])
def test_a_wrong_number_of_outputs_is_named(answer):
    verdict = toy(lambda x, w: (x, w), Watch(outputs=("x", "w"))).verdict(answer)
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
    task = toy(lambda x, w: (x, w), Watch(outputs=("x", "w")))
    assert task.verdict(lambda x, w: Slippery((x, w))).status == WRONG


def test_what_is_observed_is_exactly_arrays_and_text():
    for answer in (right, slipped, unfilled, lambda *a: [row.tolist() for row in right(*a)]):
        for seen in exercise(ID).observe(answer, exercise(ID).inputs(1)):
            assert all(type(v) is np.ndarray and v.dtype == np.float64 and v.base is None for v in seen.values.values())
            assert type(seen.trouble) is str and type(seen.detail) is str


def test_what_is_observed_does_not_change_with_the_students_memory():
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


def test_the_judge_trusts_nothing_that_comes_home():
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


def test_observing_in_another_process():
    """Cases go out, only arrays and texts come home (no pickle), and the verdicts are the same as here."""
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
    child = subprocess.run(
        [sys.executable, "-c", CHILD],
        input=pickle.dumps((cases, task.watch, sources)),
        capture_output=True,
        check=True,
        timeout=60,
        cwd=ROOT,
    )
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


# --- the check cell


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.delenv("DGM_STRICT", raising=False)
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    monkeypatch.setattr(desk, "passed", {})


def test_pass_returns_the_students_function_and_counts(capsys):
    assert check(ID, right) is right
    out, err = capsys.readouterr()
    assert err == "" and "1 of 8 done" in out
    assert out.startswith("✓ Exercise 8.1 · the conditional velocity — Right on conical, VP, VE")


@pytest.mark.parametrize("answer,mark", [(unfilled, "○"), (slipped, "✗"), (None, "✗"), (..., "○")])
def test_otherwise_the_reference_stands_in_and_nothing_is_raised(answer, mark, capsys):
    got = check(ID, answer)
    out, err = capsys.readouterr()
    assert err == "" and out.startswith(mark) and "0 of 8 done" in out and "stands in for yours" in out
    numbers = [torch.rand(4, 3), torch.rand(4, 3), *torch.rand(4, 4, 1)]
    assert torch.allclose(got(*numbers), right(*numbers), atol=1e-4)


def test_running_the_check_cell_again_does_not_pass_the_reference(capsys):
    answer = check(ID, slipped)
    assert check(ID, answer) is answer
    assert "stood in for yours" in capsys.readouterr().out and not desk.passed[ID]


def test_a_library_function_is_not_taken_for_what_stood_in(capsys):
    assert check("fm.heun_step", heun) is heun
    assert capsys.readouterr().out.startswith("✓")


@pytest.mark.parametrize("task", exercises(), ids=lambda task: task.id)
def test_before_the_first_attempt_the_card_gives_nothing_away(task):
    verdict = task.verdict(...)
    card = Card(task, verdict)
    assert verdict.status == NOT_YET and task.asks in card.text
    for words in (card.text, card.html):
        assert "Hint" not in words and "details" not in words and task.more not in words
    assert not any(sign in task.asks for sign in "=+/²∫σα")


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


def test_unknown_id_names_the_nearest_and_gives_the_answer_back(capsys):
    assert check("fm.conditional_velocty", right) is right
    assert ID in capsys.readouterr().out
    with pytest.raises(KeyError, match=ID):
        exercise("fm.conditional_velocty")
    with pytest.raises(KeyError, match="flow_matching"):
        exercises("gardening")
    assert exercises("fm") == exercises("flow_matching")


def test_the_card_shows_which_law_the_two_values_and_the_hints():
    verdict = exercise(ID).verdict(slipped)
    card = Card(exercise(ID), verdict, "2 of 8 done")
    bundle = card._repr_mimebundle_()
    for part in (
        "Right on VE, wrong on conical",
        "you gave",
        "expected",
        "compared with x1",
        "2 of 8 done",
        "Hint 2",
    ):
        assert part in bundle["text/plain"] and (part in bundle["text/html"] or part == "you gave"), part
    assert "<details>" in bundle["text/html"] and "#D55E00" in bundle["text/html"]
    assert repr(card) == bundle["text/plain"]


def test_the_numbers_on_the_card_are_the_formulas_own():
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
        answers = (unfilled, slipped, *(form for _, form in task.slips[::4]), lambda *a: print(object()) or 1 / 0)
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


def test_prints_and_warnings_of_the_answer_stay_out_of_the_notebook(capsys):
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


@pytest.mark.skipif(not hasattr(desk.signal, "setitimer"), reason="no alarms on this system")
def test_an_endless_loop_is_stopped_even_where_it_swallows_errors(monkeypatch, capsys):
    monkeypatch.setattr(desk, "SECONDS", 0.5)

    def endless(x, x1, alpha, sigma, dalpha, dsigma):
        while True:
            try:
                time.sleep(0.01)
            except Exception:
                pass

    start, before = time.perf_counter(), desk.signal.getsignal(desk.signal.SIGALRM)
    assert check(ID, endless) is exercise(ID).reference
    assert time.perf_counter() - start < 3
    assert "still running" in capsys.readouterr().out
    assert desk.signal.getsignal(desk.signal.SIGALRM) is before
    assert desk.signal.getitimer(desk.signal.ITIMER_REAL)[0] == 0


def test_in_a_side_thread_it_works_without_the_alarm(capsys):
    got = []
    thread = threading.Thread(target=lambda: got.append(check(ID, right)))
    thread.start()
    thread.join(20)
    assert got == [right]


def test_a_broken_judge_never_stops_the_notebook(monkeypatch, capsys):
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
    nbclient.NotebookClient(book, timeout=60, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}).execute()
    outputs = [cell.outputs for cell in book.cells[2::2]]
    assert [len(out) for out in outputs] == [1, 1, 1, 1]
    assert all(set(out[0].data) == {"text/plain", "text/html"} for out in outputs)
    assert [out[0].data["text/plain"][0] for out in outputs] == ["○", "✗", "✗", "✓"]
    assert "still running" in outputs[2][0].data["text/plain"]
