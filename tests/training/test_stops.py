"""Training that is stopped by Ctrl-C or NaN, and goes on bit by bit."""

import math
import signal
import threading

import pytest
import torch
from torch import nn

from dgm_course.training import Objective, Recipe, TrainingError, checkpoints, fit

from .models import FULL, RECIPE, TABLE, Broken, Curve, Endless, Game, finite, same, stop_at, weights


class Convolution(nn.Module):
    """Weights of strides other than a fresh tensor's."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Conv2d(2, 3, 3).to(memory_format=torch.channels_last)

    def loss(self, x):
        return (self.net(x) - 1).square().mean()


class Tied(nn.Module):
    """One weight under two names."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(2)
        self.into, self.out = nn.Linear(2, 5, bias=False), nn.Linear(2, 5, bias=False)
        self.out.weight = self.into.weight

    def loss(self, x, none, y):
        assert self.out.weight is self.into.weight
        return (self.into(x) @ self.out.weight - x + 0.1 * torch.randn_like(x)).square().mean()


IMAGES = torch.randn(40, 2, 6, 6, generator=torch.Generator().manual_seed(1))
CASES = [
    *((Curve, TABLE, 20, k) for k in (1, 6, 7, 19)),  # three batches an epoch
    *((Curve, Endless(), 70, k) for k in (1, 33, 64, 69)),
    (Convolution, IMAGES, 20, 9),
    (Tied, TABLE, 20, 9),
    (Game, TABLE, 20, 7),
    *((lambda: Game(3, 0.5), TABLE, 8, k) for k in (1, 4, 7)),
]


@pytest.mark.parametrize("make, data, steps, k", CASES)
@pytest.mark.parametrize("through", ["memory", "file"])
def test_a_resumed_run_equals_an_uninterrupted_one(make, data, steps, k, through, tmp_path):
    """Weights, average, optimizer, losses and random states, to the bit."""
    recipe, whole, half, other, file = Recipe(steps, **FULL), make(), make(), make(), tmp_path / "run.pt"
    expected = fit(whole, data, recipe)
    stopped = fit(half, data, recipe, report=stop_at(k), save=file)
    assert stopped.step == k and not stopped.finished and finite(half)
    assert f"{k} steps of {steps} (stopped" in repr(stopped) and torch.equal(stopped.loss, expected.loss[:k])
    torch.randn(7)  # whatever the notebook does in between
    resumed = fit(other, data, recipe, resume=stopped if through == "memory" else file)
    assert same(weights(other), weights(whole)) and resumed.finished and resumed.step == steps
    found, wanted = (dict(h.checkpoint, seconds=0, losses=0, recipe=0) for h in (resumed, expected))
    torch.testing.assert_close(found, wanted, rtol=0, atol=0)
    torch.testing.assert_close(resumed.losses, expected.losses, rtol=0, atol=0, equal_nan=True)


def test_a_run_resumes_twice_and_stops_often():
    whole, history = Curve(), fit(Curve(), TABLE, RECIPE, report=stop_at(5))
    fit(whole, TABLE, RECIPE)
    for _ in range(2):
        again = Curve()
        fit(again, TABLE, RECIPE, resume=history)
        assert same(weights(again), weights(whole)) and history.step == history.checkpoint["step"] == 5
    for k in (8, 9, 15, 20):
        model = Curve()
        history = fit(model, TABLE, RECIPE, resume=history, report=stop_at(k))
        assert history.step == k
    assert same(weights(model), weights(whole))


def test_a_finished_run_resumes_to_itself(tmp_path):
    model, other = Curve(), Curve()
    history = fit(model, TABLE, RECIPE, save=tmp_path / "run.pt")
    again = fit(other, TABLE, RECIPE, resume=tmp_path / "run.pt")
    assert same(weights(model), weights(other)) and torch.equal(again.loss, history.loss) and not other.sizes


# --- Ctrl-C


def test_stop_within_a_step_finishes_it():
    class Pressed(Curve):
        def loss(self, *batch):
            if len(self.sizes) == 4:
                signal.raise_signal(signal.SIGINT)
            return super().loss(*batch)

    before, model = signal.getsignal(signal.SIGINT), Pressed()
    history = fit(model, TABLE, RECIPE)
    assert history.step == 5 and history.loss.isfinite().all()
    assert signal.getsignal(signal.SIGINT) is before and not model.training


def test_a_second_stop_raises_at_once():
    def twice(history):
        if history.step == 3:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    before, model = signal.getsignal(signal.SIGINT), Curve()
    with pytest.raises(KeyboardInterrupt):
        fit(model, TABLE, RECIPE, report=twice)
    assert finite(model) and not model.training and signal.getsignal(signal.SIGINT) is before


def test_training_works_outside_the_main_thread():
    done = []
    thread = threading.Thread(target=lambda: done.append(fit(Curve(), TABLE, Recipe(3, 16))))
    thread.start()
    thread.join()
    assert done[0].finished


# --- random numbers


def test_the_notebooks_random_stream_is_untouched():
    torch.manual_seed(77)
    state, models = torch.get_rng_state(), [Curve(), Curve(), Broken(2)]
    torch.set_rng_state(state)
    history = fit(models[0], Endless(), Recipe(5, **FULL), report=stop_at(3))
    fit(models[1], Endless(), Recipe(5, **FULL), resume=history)
    with pytest.raises(TrainingError):
        fit(models[2], TABLE, Recipe(5, 16))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_seed_gives_the_same_bits():
    runs = []
    for seed in (1, 1, 2):
        model = Curve()
        torch.randn(seed)
        fit(model, Endless(), Recipe(9, 8, seed=seed))
        runs.append(weights(model))
    assert same(runs[0], runs[1]) and not same(runs[0], runs[2])


# --- NaN


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_loss_not_finite_stops_at_its_step(value, ema, tmp_path):
    """Checkpoints are taken every fifth step; the file resumes."""
    model, clean, file, recipe = Broken(47, value), Curve(), tmp_path / "run.pt", Recipe(100, 16, lr=0.02, ema=ema)
    with pytest.raises(
        TrainingError, match=f"loss of 'model' became {value} at step 47 of 100.* as it was at step 45"
    ):
        fit(model, TABLE, recipe, save=file)
    assert fit(clean, TABLE, recipe, report=stop_at(45)).step == 45
    assert same(weights(model), weights(clean)) and not model.training
    assert fit(Curve(), TABLE, recipe, resume=file).finished


@pytest.mark.parametrize(
    "at, good", [(0, 0), (46, 45), (44, 40), (99, 95)]
)  # within, at and on the last checkpoint
def test_a_gradient_not_finite_is_never_saved(at, good, tmp_path):
    model, file = Broken(at, None), tmp_path / "run.pt"
    with pytest.raises(TrainingError, match=f"gradient of step {at} .*The model is as it was at step {good}"):
        fit(model, TABLE, Recipe(100, 16, clip=1.0, ema=0.5), save=file)
    assert finite(model)
    if file.exists():
        held = checkpoints.load(file)
        assert all(v.isfinite().all() for v in [*held["model"].values(), *held["average"]])


def test_a_broken_player_is_named_at_its_step():
    class Nan(Game):
        def objectives(self):
            nan = lambda *batch: self.maker.weight.sum() + math.nan
            return super().objectives() | {"maker": Objective(self.maker, nan, 4)}

    with pytest.raises(TrainingError, match="'maker' became nan at step 3 of 8"):
        fit(Nan(), TABLE, Recipe(8, 16))


@pytest.mark.parametrize(
    "wrong, message",
    [
        (lambda x: x * math.nan, "The loss of 'model' became nan at step 0 of 20"),
        (
            lambda x: torch.where(x == x[7], math.inf, x),
            "The loss of 'model' became (inf|nan) at step [0-2] of 20",
        ),
    ],
)
def test_a_poisoned_sample_stops_the_step(wrong, message):
    model, (x, none, y) = Curve(), TABLE
    with pytest.raises(TrainingError, match=message):
        fit(model, (wrong(x), none, y), RECIPE)
    assert len(model.sizes) <= 3 and finite(model)
