"""What the training loop cannot use is answered with a sentence, before anything is changed."""

import pytest
import torch
from torch import nn

from dgm_course.training import Recipe, checkpoints, fit, linear, read_history
from dgm_course.training.checkpoints import CheckpointError

from .loops import FULL, ROWS, TABLE, Curve, same, stop_at, weights


def checkpoint(tmp_path, change):
    """A file of a stopped run whose tensors were changed, written whole again."""
    file = tmp_path / "run.safetensors"
    fit(Curve(), TABLE, Recipe(20, **FULL), report=stop_at(7), save=file)
    tensors, notes = checkpoints.read(file)
    change(tensors)
    checkpoints.write(file, tensors, notes)
    return file


CHANGES = {
    "lacks random.cpu": lambda t: t.pop("random.cpu"),
    "lacks step": lambda t: t.pop("step"),
    "lacks losses.model": lambda t: t.pop("losses.model"),
    "lacks the optimizer of 'model'": lambda t: [t.pop(k) for k in list(t) if k.startswith("optimizer")],
    "does not fit Curve: missing b": lambda t: t.pop("model.b"),
    "does not fit Curve: unexpected c": lambda t: t.update({"model.c": torch.zeros(1)}),
    r"of another shape a \(3, 8\) for \(2, 8\)": lambda t: t.update({"model.a": torch.zeros(3, 8)}),
    "average does not fit AveragedModel: missing module.a": lambda t: t.pop("average.module.a"),
}


@pytest.mark.parametrize("told", CHANGES)
def test_a_checkpoint_that_lacks_something_is_refused_whole(told, tmp_path):
    file, model = checkpoint(tmp_path, CHANGES[told]), Curve()
    before = weights(model)
    with pytest.raises(CheckpointError, match=told):
        fit(model, TABLE, Recipe(20, **FULL), resume=file)
    assert same(before, weights(model))


@pytest.mark.parametrize("through", ["memory", "file"])
@pytest.mark.parametrize(
    "change", [{"lr": 0.5}, {"decay": linear}, {"seed": 5}, {"batch": 8}, {"precision": torch.bfloat16}]
)
def test_another_recipe_does_not_resume(change, through, tmp_path):
    file, model = tmp_path / "run.safetensors", Curve()
    history, before = fit(Curve(), TABLE, Recipe(20, **FULL), report=stop_at(3), save=file), weights(model)
    with pytest.raises(ValueError, match="equal|another recipe"):
        fit(model, TABLE, Recipe(20, **{**FULL, **change}), resume=history if through == "memory" else file)
    assert same(before, weights(model))


def test_a_damaged_file_is_named_and_the_previous_one_is_offered(tmp_path):
    file, model = tmp_path / "run.safetensors", Curve()
    fit(Curve(), TABLE, Recipe(20, **FULL), save=file)
    file.write_bytes(file.read_bytes()[:-50])
    with pytest.raises(CheckpointError, match="damaged.*The one before it is .*run.safetensors.previous"):
        fit(model, TABLE, Recipe(20, **FULL), resume=file)
    older = read_history(checkpoints.previous(file), Recipe(20, **FULL))
    assert older.step == 20 and fit(model, TABLE, Recipe(20, **FULL), resume=older).finished


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
    (
        lambda: fit(Curve(), (ROWS, ROWS[:9]), BASE),
        r"data have \[50, 9\] samples: expected equal numbers, above 0",
    ),
    (lambda: fit(Curve(), ROWS[:0], BASE), r"data have \[0\] samples"),
    (
        lambda: fit(Curve(), lambda n: ROWS[:7], BASE),
        r"asked for 256 samples and gave \[7\]: expected sample\(n\) to give n",
    ),
    (lambda: fit(Odd(None), TABLE, BASE), "loss of 'model' is None: expected one number as a tensor"),
    (lambda: fit(Odd(torch.zeros(4)), TABLE, BASE), r"a tensor of shape \(4,\): expected one number"),
    (lambda: fit(nn.Identity(), TABLE, BASE), "Identity has no loss: expected a module with loss"),
    (lambda: fit(Weightless(), TABLE, BASE), "Weightless has no parameters: expected a module with weights"),
]


@pytest.mark.parametrize("act, told", SENTENCES, ids=[told[:40] for _, told in SENTENCES])
def test_bad_input_is_answered_with_a_sentence(act, told):
    with pytest.raises((ValueError, TypeError), match=told):
        act()
