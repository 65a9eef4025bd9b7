"""Side effects of answers: on inputs, settings, random streams, networks and gradients."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn

from dgm_course.teach.check import Card
from dgm_course.teach.homework import WRONG, Case, Exercise, Network, ObserveSpec, exercise, observe
from dgm_course.teach.homework.messages import NOTES, SIDE_EFFECTS, TROUBLES

from .toys import table, toy


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
def test_side_effects_fail_a_right_value(answer, manner):
    verdict = toy(table).verdict(answer)
    assert (verdict.law, verdict.hint) == SIDE_EFFECTS[manner], verdict


@pytest.mark.parametrize(
    "answer",
    [
        lambda x, w: table(x, w) + torch.zeros(x.shape, dtype=x.dtype),
        lambda x, w: table(x, w) * torch.tensor([1.0] * x.shape[1]),
    ],
)
def test_cpu_tensors_pass_with_a_note(answer):
    verdict = toy(table).verdict(answer)
    assert verdict.passed and verdict.hint == NOTES["device"]
    card = Card(toy(table), verdict)
    assert "Note: To run on a GPU" in card.text and "Note:" in card.html and "Hint" not in card.text + card.html


def test_settings_are_restored_after_an_error():
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
            yield Case(name, {"net": Network.random(rng, 3), "x": rng.normal(size=(5, 3))})

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

    task = Exercise("toy.loss", "0.2", "a loss", "squares", cases, reference, watch=ObserveSpec(gradient=("net",)))
    assert task.verdict(lambda net, x: reference(net, x)).passed
    for answer in (grads, stepped):
        assert "backward inside the loss" in task.verdict(answer).hint
    for spoil in (nn.Module.eval, lambda net: net.requires_grad_(False)):
        verdict = task.verdict(lambda net, x, spoil=spoil: (reference(net, x), spoil(net))[0])
        assert verdict.law == TROUBLES["flags"][1]


def test_wrong_value_comes_before_a_later_error():
    def answer(x, w):
        calls.append(1)
        return -table(x, w) if len(calls) < 4 else 1 / 0

    calls = []
    assert "sign is reversed" in toy(table).verdict(answer).hint


def test_networks_accept_the_usual_time_shapes():
    case = Case("c", {"field": Network.random(np.random.default_rng(0), 2), "x": np.ones((4, 2))})
    for shape, fits in {(): 1, (4,): 1, (4, 1): 1, (1,): 0, (1, 4): 0, (4, 2): 0}.items():
        seen = observe(lambda field, x, shape=shape: field(x, torch.full(shape, 0.3)).detach(), [case])[0]
        assert (not seen.trouble) == bool(fits), shape


def test_outputs_may_have_to_be_tensors():
    task = toy(lambda x, w: (x, w), ObserveSpec(outputs=("x", "w"), tensors=True))
    assert task.verdict(lambda x, w: (x, w)).passed and task.verdict(lambda x, w: torch.stack([x, w])).passed
    for answer in (
        lambda x, w: (x.numpy(), w.numpy()),
        lambda x, w: (x.tolist(), w.tolist()),
        lambda x, w: (x.float(), w.float()),
        lambda x, w: (list(x), list(w)),
    ):
        verdict = task.verdict(answer)
        assert verdict.law == SIDE_EFFECTS["tensors"][0] and "torch.as_tensor" in verdict.hint


def test_a_second_call_must_agree():
    calls = []

    def answer(x, w):
        calls.append(1)
        return table(x, w) * (1 + (len(calls) % 2 == 0))

    verdict = toy(table).verdict(answer)
    assert verdict.law == SIDE_EFFECTS["unstable"][0]


@pytest.mark.parametrize(
    "answer",
    [
        lambda x, w: table(x, w) + torch.tensor(0.0),
        lambda x, w: table(x, w) * torch.as_tensor(1.0),
        lambda x, w: torch.from_numpy(table(x, w).numpy()),
        lambda x, w: torch.tensor((table(x, w)).tolist()),
        lambda x, w: table(x.clone().mul_(1), w),
        lambda x, w: (
            table(x, w) + 0 * torch.rand(1, generator=torch.Generator().manual_seed(1), dtype=x.dtype).item()
        ),
    ],
)
def test_harmless_operations_pass(answer):
    assert toy(table).verdict(answer).passed


def test_random_exercises_get_the_same_stream():
    task = toy(lambda x, w: x + torch.randn_like(x), ObserveSpec(random=True))
    assert task.verdict(lambda x, w: x + torch.randn_like(x)).passed
    assert toy(table, ObserveSpec(random=True)).verdict(lambda x, w: x).status == WRONG


@pytest.mark.parametrize(
    "answer,hint",
    [
        (lambda net, x: net(x).detach().square().mean(), "cut the graph"),
        (lambda net, x: net(x).square().mean().item(), "cut the graph"),
        (lambda net, x: net(x.detach()).detach().square().mean() + 0 * net(x).mean(), "cut the graph"),
        (lambda net, x: 0.5 * net(x).square().mean() + 0.5 * net(x).detach().square().mean(), "Part of the graph"),
    ],
)
def test_gradients_are_compared_where_they_are_the_point(answer, hint):
    def cases(rng):
        for name in ("a", "b"):
            yield Case(name, {"net": Network.random(rng, 3), "x": rng.normal(size=(5, 3))})

    def reference(net, x):
        return net(x).square().mean()

    task = Exercise(
        "toy.loss", "0.2", "a loss", "mean of squares", cases, reference, watch=ObserveSpec(gradient=("net", "x"))
    )
    assert task.verdict(lambda net, x: (net(x) ** 2).sum() / x.numel()).passed
    verdict = task.verdict(answer)
    assert verdict.status == WRONG and hint in verdict.hint and "right" in verdict.law


def test_gradients_of_the_engine_agree_with_finite_differences():
    watch, x = ObserveSpec(gradient=("x",)), np.array([[0.3, -0.7], [1.1, 0.2]])
    seen = observe(lambda x: x.sin().sum(), [Case("c", {"x": x})], watch)[0]
    step = 1e-6
    ramps = [
        (np.sin(x + step * unit).sum() - np.sin(x - step * unit).sum()) / (2 * step)
        for unit in np.eye(4).reshape(4, 2, 2)
    ]
    assert np.allclose(seen.gradients["x"], ramps, atol=1e-8)


def test_data_values_must_not_carry_a_gradient():
    task = toy(table, ObserveSpec(detached=True))
    assert task.verdict(lambda x, w: table(x, w)).passed
    for answer in (
        lambda x, w: table(x, w).requires_grad_(),
        lambda x, w: list(table(x, w).requires_grad_()),
        lambda x, w: [list(row) for row in table(x, w).requires_grad_()],
    ):
        assert task.verdict(answer).law == SIDE_EFFECTS["tracks"][0]
