"""Every exercise of every lecture: solutions pass, stubs are 'not yet', wrong answers earn their hints."""

from __future__ import annotations

import importlib
import itertools
import pickle

import numpy as np
import pytest
import torch

from dgm_course.teach.homework import NOT_YET, SEEDS, WRONG, Case, Exercise, exercise, exercises, topics

from .answers import Bank, cases

BANKS: dict[str, Bank] = {}
for topic in topics():
    BANKS |= importlib.import_module(f"tests.teach.homework.answers.{topic}").BANKS
TASKS = [task.id for task in exercises()]
FEW = (100, 101)  # thousands of seeds: benchmarks/reruns.py
MANY = tuple(range(100, 112))


def test_every_exercise_has_answers_to_prove_it_and_every_answer_an_exercise():
    odd = sorted(set(BANKS) ^ set(TASKS))
    assert not odd, f"an exercise without answers in answers/, or answers without an exercise: {', '.join(odd)}"
    for id, bank in BANKS.items():
        assert len(bank.wrong) >= 1 and len(bank.correct) >= 2, id
        assert len(bank.wrong) + len(exercise(id).mistakes) >= 3, id


def test_ids_numbers_and_texts_are_in_order():
    for topic in topics():
        tasks = exercises(topic)
        assert len({t.number for t in tasks}) == len(tasks) >= 3
        assert len({t.topic for t in tasks}) == 1
        for task in tasks:
            assert task.title and task.prompt and task.more and task.points in (1, 2)
            assert task.id in repr(task) and pickle.loads(pickle.dumps(task)) is task


@pytest.mark.parametrize("id", TASKS)
@pytest.mark.slow
def test_solution_passes_on_many_seeds(id):
    for seed in MANY:
        verdict = exercise(id).verdict(BANKS[id].solution, (seed,))
        assert verdict.passed, (seed, verdict)


@pytest.mark.parametrize("id", TASKS)
def test_stub_is_not_yet(id):
    assert exercise(id).verdict(BANKS[id].stub).status == NOT_YET


@pytest.mark.parametrize("id", TASKS)
def test_the_reference_that_stood_in_is_not_taken_for_an_answer(id):
    assert exercise(id).verdict(exercise(id).reference).status == NOT_YET


@pytest.mark.parametrize("id", TASKS)
@pytest.mark.slow
def test_wrong_answers_are_refused_each_with_its_hint_and_are_told_apart(id):
    """On the questions of the check cell and on fresh ones, as a grader asks them."""
    hints = set()
    for name, (answer, fragment) in BANKS[id].wrong.items():
        for seeds in (FEW[:1], SEEDS):
            verdict = exercise(id).verdict(answer, seeds)
            assert verdict.status == WRONG and verdict.law and verdict.hint and verdict.more, (
                name,
                seeds,
                verdict,
            )
            assert fragment in verdict.hint, (name, seeds, verdict)
        hints.add(verdict.hint)
    assert len(hints) >= len({fragment for _, fragment in BANKS[id].wrong.values()}) * 2 // 3


@pytest.mark.parametrize("id,name", cases(BANKS, "correct"))
@pytest.mark.slow
def test_correct_form_passes(id, name):
    for seeds in (SEEDS, FEW[:1]):
        verdict = exercise(id).verdict(BANKS[id].correct[name], seeds)
        assert verdict.passed, verdict


@pytest.mark.parametrize("id", TASKS)
@pytest.mark.slow
def test_every_mistake_of_the_bank_earns_its_hint(id):
    """On every seed."""
    task = exercise(id)
    for seed in FEW:
        for hint, form in task.mistakes:
            verdict = task.verdict(form, (seed,))
            assert verdict.status == WRONG and verdict.hint == hint, (seed, hint, verdict)


GRADIENT_MISTAKES = [(task.id, hint, form) for task in exercises() for hint, form in task.gradient_mistakes]


@pytest.mark.parametrize(
    "id, hint, form", GRADIENT_MISTAKES, ids=[f"{id}-{hint[:40]}" for id, hint, _ in GRADIENT_MISTAKES]
)
def test_every_gradient_mistake_earns_its_hint(id, hint, form):
    for seed in FEW:
        verdict = exercise(id).verdict(form, (seed,))
        assert verdict.status == WRONG and verdict.law.startswith("The value is right, but its gradient"), verdict
        assert verdict.hint == hint


@pytest.mark.parametrize("id", TASKS)
def test_cases_are_plain_fresh_and_repeatable(id):
    task = exercise(id)
    one, again, other = task.inputs(5), task.inputs(5), task.inputs(6)
    assert len(one) >= 2 and _flat(one) == _flat(again) != _flat(other)
    assert _flat(pickle.loads(pickle.dumps(one))) == _flat(one)
    sizes = [{case.sizes for case in task.inputs(seed)} for seed in MANY]
    axes = max(_axes(case) for case in one)
    assert len(set.union(*sizes)) >= 5 or not axes  # nothing but numbers has no size
    for drawn in sizes:
        if axes:
            assert {min(batch, 2) for batch, _ in drawn} == {1, 2} and max(batch for batch, _ in drawn) >= 40
        if axes >= 2:
            assert {min(dim, 2) for _, dim in drawn} == {1, 2} and any(b != dim != 1 != b for b, dim in drawn)


def _axes(case: Case) -> int:
    return max((value.ndim for value in case.args.values() if isinstance(value, np.ndarray)), default=0)


def _flat(batch: tuple[Case, ...]) -> str:
    with np.printoptions(threshold=10_000, precision=17):
        return repr(batch)


@pytest.mark.parametrize("id", TASKS)
def test_check_leaves_inputs_and_the_random_streams_alone(id):
    task, states = exercise(id), (torch.get_rng_state(), np.random.get_state()[1].copy())
    given = task.inputs(9)
    before = _flat(given)
    for answer in (BANKS[id].solution, BANKS[id].stub, next(iter(BANKS[id].wrong.values()))[0]):
        task.verdict(answer)
    task.observe(BANKS[id].solution, given)
    assert _flat(given) == before
    assert torch.equal(torch.get_rng_state(), states[0]) and np.array_equal(np.random.get_state()[1], states[1])


@pytest.mark.parametrize("id", TASKS)
def test_an_answer_frozen_on_one_example_is_refused(id):
    """Hard-coded: whatever the solution gives on the first case, again and again."""
    task = exercise(id)
    first = task.observe(BANKS[id].solution, task.inputs(1)[:1])[0].values
    frozen = [torch.tensor(value) for value in first.values()]
    answer = _with_signature_of(BANKS[id].solution, frozen[0] if len(frozen) == 1 else tuple(frozen))
    assert task.verdict(answer).status == WRONG


def _with_signature_of(solution, value):
    names = ", ".join(solution.__code__.co_varnames[: solution.__code__.co_argcount])
    return eval(f"lambda {names}: value", {"value": value})


@pytest.mark.parametrize("id", TASKS)
def test_an_answer_right_by_shape_alone_is_refused(id):
    """Zeros, ones and noise in the right shape."""
    task: Exercise = exercise(id)
    for fill in (torch.zeros_like, torch.ones_like, torch.rand_like):

        def answer(*args, fill=fill):
            result = BANKS[id].solution(*args)
            return tuple(map(fill, result)) if isinstance(result, tuple) else fill(result)

        assert task.verdict(answer).status == WRONG


# --- the references of lecture 14, held to oracles of another kind


def test_the_best_pairing_against_all_permutations():
    task = exercise("fm.ot_coupling")
    for seed in (1, 2):
        for case in task.inputs(seed):
            x0, x1 = case.args["x0"][:6], case.args["x1"][:6]
            a, b = task.reference(torch.tensor(x0), torch.tensor(x1))
            orders = itertools.permutations(range(len(x0)))
            best = min(((x0 - x1[list(order)]) ** 2).sum() for order in orders)
            assert ((a - b) ** 2).sum().item() == pytest.approx(best)


def test_the_slides_field_of_the_vp_path_is_the_rate_of_change_of_its_points():
    """x_t = alpha(1 − t) x1 + sqrt(1 − alpha(1 − t)²) x0, differentiated by t."""
    generator = torch.Generator().manual_seed(0)
    x0, x1 = torch.randn(2, 5, 3, dtype=torch.float64, generator=generator)
    t = torch.rand(5, 1, dtype=torch.float64, generator=generator) * 0.8 + 0.1

    def point(t):
        s = 1 - t
        alpha = torch.exp(-(0.1 * s + 19.9 * s**2 / 2) / 2)
        return alpha * x1 + (1 - alpha**2).sqrt() * x0

    x, rate = torch.func.jvp(point, (t,), (torch.ones_like(t),))
    field = exercise("fm.vp_field_reversed_time").reference(x, x1, t, 0.1, 20.0)
    assert torch.allclose(field, rate, atol=1e-10)
    assert torch.allclose(BANKS["fm.vp_field_reversed_time"].solution(x, x1, t, 0.1, 20.0), rate, atol=1e-10)


def test_the_score_from_the_velocity_is_the_gradient_of_the_log_density():
    """Two Gaussians, conical path: the marginal velocity goes in, ∇ log p_t by autograd must come out."""
    means = torch.tensor([[-2.0, 0.5], [1.5, 1.0]], dtype=torch.float64)
    x, t = torch.randn(7, 2, dtype=torch.float64).requires_grad_(), torch.tensor(0.6, dtype=torch.float64)
    log_parts = -((x[:, None] - t * means) ** 2).sum(-1) / (2 * (1 - t) ** 2)
    score = torch.autograd.grad(log_parts.logsumexp(1).sum(), x)[0]
    data = log_parts.softmax(1).detach() @ means
    velocity = (data - x.detach()) / (1 - t)
    scales = [torch.full((7, 1), v, dtype=torch.float64) for v in (0.6, 0.4, 1.0, -1.0)]
    for answer in (BANKS["fm.score_from_velocity"].solution, exercise("fm.score_from_velocity").reference):
        assert torch.allclose(answer(velocity, x.detach(), *scales), score, atol=1e-10)


def test_heun_is_of_second_order_and_euler_of_first():
    """dx/dt = t x has the solution x exp(t²/2): halving the step divides the error by four, by two."""
    x = torch.tensor([[1.0, -0.5]], dtype=torch.float64)
    exact = x * np.exp(0.5)

    def field(x, t):
        return t * x

    def by_heun(steps):
        y = x
        for k in range(steps):
            y = exercise("fm.heun_step").reference(field, y, torch.tensor(k / steps), torch.tensor(1 / steps))
        return y

    def by_euler(steps):
        return exercise("fm.euler_sampler").reference(lambda x, t: t[:, None] * x, x, steps)

    for method, ratio in ((by_euler, 2), (by_heun, 4)):
        errors = [(method(steps) - exact).abs().max().item() for steps in (64, 128)]
        assert errors[0] / errors[1] == pytest.approx(ratio, rel=0.05)
