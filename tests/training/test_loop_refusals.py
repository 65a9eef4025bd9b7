"""What the training loop cannot use is refused with a sentence, before anything is changed."""

from functools import partial

import pytest
import torch
from torch import nn

from dgm_course.training import Objective, Recipe, checkpoints, fit, linear, read_history
from dgm_course.training.checkpoints import CheckpointError

from .models import FULL, RECIPE, ROWS, TABLE, Curve, same, stop_at, weights

CHANGES = {
    "lacks 'random'": lambda c: c.pop("random"),
    "lacks 'step'": lambda c: c.pop("step"),
    "lacks 'model'": lambda c: c["losses"].pop("model"),
    "lacks the optimizer state of 'model'": lambda c: c["optimizers"]["model"].clear(),
    "no readable random state": lambda c: c.update(random=[[torch.zeros(16, dtype=torch.uint8)]]),
    "no readable random state ": lambda c: c.update(random=[[torch.zeros(5056)]]),
    r"of a run in 2 process\(es\) and this one has 1": lambda c: c.update(random=2 * c["random"]),
    "does not fit Curve: missing net.2.bias": lambda c: c["model"].pop("net.2.bias"),
    "does not fit Curve: unexpected c": lambda c: c["model"].update(c=torch.zeros(1)),
    r"of another shape net.0.weight \(3, 8\) for \(8, 2\)": lambda c: c["model"].update(
        {"net.0.weight": torch.zeros(3, 8)}
    ),
    "averaged weights in the checkpoint do not fit Curve": lambda c: c["average"].pop(),
}


@pytest.mark.parametrize("message", CHANGES)
def test_an_incomplete_checkpoint_is_refused_whole(message, tmp_path):
    file, model = tmp_path / "run.pt", Curve()
    fit(Curve(), TABLE, RECIPE, report=stop_at(7), save=file)
    held = checkpoints.load(file)
    CHANGES[message](held)
    checkpoints.save(file, held)
    before, stream = weights(model), torch.get_rng_state()
    with pytest.raises(CheckpointError, match=message.strip()):
        fit(model, TABLE, RECIPE, resume=file)
    assert same(before, weights(model)) and torch.equal(torch.get_rng_state(), stream)


RAISED = (
    {"lr": 0.5},
    {"decay": linear},
    {"seed": 5},
    {"batch": 8},
    {"precision": torch.bfloat16},
    {"betas": (0.5, 0.9)},
)


@pytest.mark.parametrize("through", ["memory", "file"])
@pytest.mark.parametrize("change", RAISED, ids=lambda change: next(iter(change)))
def test_another_recipe_does_not_resume(change, through, tmp_path):
    file, model = tmp_path / "run.pt", Curve()
    history, before = fit(Curve(), TABLE, RECIPE, report=stop_at(3), save=file), weights(model)
    with pytest.raises(ValueError, match=f"had another recipe: .*{next(iter(change))}"):
        fit(model, TABLE, Recipe(20, **FULL | change), resume=history if through == "memory" else file)
    assert same(before, weights(model))


def power(done, exponent):
    return (1 - done) ** exponent


@pytest.mark.parametrize(
    "one, equal, other",
    [
        (lambda done: 1 - done, lambda done: 1.0 - done, lambda done: 1 - done**2),
        (partial(power, exponent=2), lambda done: (1 - done) ** 2, partial(power, exponent=3)),
    ],
    ids=["lambda", "partial"],
)
def test_schedules_are_compared_by_their_values(one, equal, other, tmp_path):
    file = tmp_path / "run.pt"
    fit(Curve(), TABLE, Recipe(20, 16, decay=one), report=stop_at(3), save=file)
    assert fit(Curve(), TABLE, Recipe(20, 16, decay=equal), resume=file).finished
    with pytest.raises(ValueError, match="another decay"):
        fit(Curve(), TABLE, Recipe(20, 16, decay=other), resume=file)


def test_a_damaged_file_offers_the_previous(tmp_path):
    file, model = tmp_path / "run.pt", Curve()
    fit(Curve(), TABLE, RECIPE, save=file)
    file.write_bytes(file.read_bytes()[:-50])
    with pytest.raises(CheckpointError, match="damaged.*The one before it is .*run.pt.previous"):
        fit(model, TABLE, RECIPE, resume=file)
    assert fit(model, TABLE, RECIPE, resume=read_history(checkpoints.previous(file), RECIPE)).finished


class Odd(Curve):
    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def loss(self, *batch):
        return self.answer


class Weightless(nn.Module):
    def loss(self, *batch):
        return torch.zeros(())


BASE = Recipe(3, 4)
SENTENCES = [
    (lambda: Recipe(-1), "steps is -1: expected at least 0"),
    (lambda: Recipe(3, batch=0), "batch is 0: expected at least 1"),
    (lambda: Recipe(3, lr=-0.1), "lr is -0.1: expected at least 0"),
    (lambda: Recipe(3, ema=-0.1), "ema is -0.1: expected"),
    (lambda: Objective(nn.Linear(1, 1), abs, every=0), "every is 0 .* expected at least 1, and above 0"),
    (lambda: Objective(nn.Linear(1, 1), abs, lr_ratio=0.0), "lr_ratio 0.0: expected at least 1, and above 0"),
    (
        lambda: fit(Curve(), (ROWS, ROWS[:9]), BASE),
        r"data have \[50, 9\] samples: expected equal numbers, above 0",
    ),
    (lambda: fit(Curve(), ROWS[:0], BASE), r"data have \[0\] samples"),
    (
        lambda: fit(Curve(), lambda n: ROWS[:7], BASE),
        r"data gave \[7\] samples: expected sample\(n\) to give n = 256",
    ),
    (lambda: fit(Odd(None), TABLE, BASE), "loss of 'model' is None: expected one number as a tensor"),
    (lambda: fit(Odd(torch.zeros(4)), TABLE, BASE), r"a tensor of shape \(4,\): expected one number"),
    (lambda: fit(nn.Identity(), TABLE, BASE), "Identity has no loss: expected a module with loss"),
    (lambda: fit(Weightless(), TABLE, BASE), "Weightless has no parameters: expected a module with weights"),
]


@pytest.mark.parametrize("act, message", SENTENCES, ids=[message[:40] for _, message in SENTENCES])
def test_bad_input_gets_a_sentence(act, message):
    with pytest.raises((ValueError, TypeError), match=message):
        act()
