"""Training that is stopped, by hand or by NaN, and goes on: to the bit, and without harm."""

import math
import signal
import threading

import pytest
import torch
from torch import nn

from dgm_course.training import Player, Recipe, TrainingError, checkpoints, fit

from .loops import FULL, TABLE, Curve, Endless, Game, Poisoned, finite, same, stop_at, weights

# --- stopping and going on ---


CASES = [(TABLE, 20, k) for k in (1, 6, 7, 19)] + [
    (Endless(), 70, k) for k in (1, 33, 64, 69)
]  # 3 batches an epoch


@pytest.mark.parametrize("data, steps, k", CASES, ids=[f"{type(d).__name__}-{k}" for d, _, k in CASES])
@pytest.mark.parametrize("through", ["memory", "file"])
def test_a_resumed_run_has_the_bits_of_an_uninterrupted_one(data, steps, k, through, tmp_path):
    recipe, whole, half = Recipe(steps, **FULL), Curve(), Curve()
    expected = fit(whole, data, recipe)
    stopped = fit(half, data, recipe, report=stop_at(k), save=tmp_path / "run.safetensors")
    assert stopped.step == k and not stopped.finished and finite(half)
    assert f"{k} steps of {steps} (stopped" in repr(stopped) and torch.equal(stopped.loss, expected.loss[:k])
    other = Curve()
    torch.randn(7)  # whatever the notebook does in between
    resumed = fit(
        other, data, recipe, resume=stopped if through == "memory" else tmp_path / "run.safetensors"
    )
    assert same(weights(other), weights(whole)) and torch.equal(resumed.loss, expected.loss)
    assert resumed.tensors.keys() == expected.tensors.keys()
    different = [k for k, v in expected.tensors.items() if not torch.equal(v, resumed.tensors[k])]
    assert set(different) <= {"seconds"} and resumed.finished and resumed.step == steps


def test_a_run_may_be_resumed_twice_and_stopped_often():
    recipe, whole = Recipe(20, **FULL), Curve()
    fit(whole, TABLE, recipe)
    history, model = fit(Curve(), TABLE, recipe, report=stop_at(5)), None
    kept = {k: v.clone() for k, v in history.tensors.items()}
    for _ in range(2):
        again = Curve()
        fit(again, TABLE, recipe, resume=history)
        assert same(weights(again), weights(whole))
        assert all(
            torch.equal(torch.nan_to_num(v), torch.nan_to_num(kept[k])) for k, v in history.tensors.items()
        )
    for k in (8, 9, 15, 20):
        model = Curve()
        history = fit(model, TABLE, recipe, resume=history, report=stop_at(k))
        assert history.step == k
    assert same(weights(model), weights(whole))


def test_a_finished_run_resumes_to_itself(tmp_path):
    model, other = Curve(), Curve()
    history = fit(model, TABLE, Recipe(6, **FULL), save=tmp_path / "run.safetensors")
    again = fit(other, TABLE, Recipe(6, **FULL), resume=tmp_path / "run.safetensors")
    assert same(weights(model), weights(other)) and torch.equal(again.loss, history.loss) and other.calls == 0


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_resumed_convolution_has_the_bits_of_an_uninterrupted_one_in_any_layout(layout, tmp_path):
    class Convolution(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.net = nn.Conv2d(2, 3, 3).to(memory_format=layout)

        def loss(self, x):
            return (self.net(x) - 1).square().mean()

    images = torch.randn(40, 2, 6, 6, generator=torch.Generator().manual_seed(1))
    recipe, file = Recipe(20, 8, 0.05, ema=0.9), tmp_path / "run.safetensors"
    whole, stopped, other = Convolution(), Convolution(), Convolution()
    fit(whole, images, recipe)
    fit(stopped, images, recipe, save=file, report=stop_at(9))
    fit(other, images, recipe, resume=file)
    assert same(weights(other), weights(whole))


def test_a_game_resumes_to_the_bit_too():
    recipe, whole = Recipe(20, **FULL), Game()
    expected = fit(whole, TABLE, recipe)
    assert set(expected.losses) == {"critic", "maker"}
    stopped, other = fit(Game(), TABLE, recipe, report=stop_at(7)), Game()
    resumed = fit(other, TABLE, recipe, resume=stopped)
    assert same(weights(other), weights(whole)) and same(resumed.losses.values(), expected.losses.values())


def test_players_move_only_their_own_weights_in_turn():
    game, frozen = Game(), Recipe(1, 16, lr=0.1)
    before = weights(game)
    real, seen = game.players(), []

    def told(name):
        def loss(*batch):
            seen.append((name, same(weights(game.critic), before[2:]), same(weights(game.maker), before[:2])))
            return real[name].loss(*batch)

        return loss

    game.players = lambda: {name: Player(side.module, told(name)) for name, side in real.items()}
    fit(game, TABLE, frozen)
    assert seen == [("critic", True, True), ("maker", False, True)]
    assert not same(weights(game.maker), before[:2])


def test_a_player_may_move_at_every_third_step_only_and_at_his_own_pace():
    """Against plain AdamW by hand; stopped before his first move, between two, and after: resumed to the bit."""
    class Slow(Game):
        def players(self):
            sides = super().players()
            return {"critic": sides["critic"], "maker": Player(sides["maker"].module, sides["maker"].loss, 3, 0.5)}

    recipe, whole = Recipe(8, 16, lr=0.1), Slow()
    history = fit(whole, TABLE, recipe)
    moved = torch.isfinite(history.losses["maker"]).nonzero()[:, 0].tolist()
    assert moved == [2, 5] and torch.isfinite(history.losses["critic"]).all()
    for step in (1, 4, 7):
        other = Slow()
        resumed = fit(other, TABLE, recipe, resume=fit(Slow(), TABLE, recipe, report=stop_at(step)))
        assert same(weights(other), weights(whole)) and resumed.step == 8
    one = Slow()
    before = one.maker.weight.detach().clone()
    fit(one, TABLE, Recipe(3, 16, lr=0.1))
    assert (one.maker.weight - before).abs().max().item() == pytest.approx(0.05, rel=1e-3)  # Adam's first step is lr · sign
    for wrong in ({"every": 0}, {"pace": 0.0}):
        with pytest.raises(ValueError, match="expected at least 1, and above 0"):
            Player(one.maker, lambda: None, **wrong)


def test_a_loss_that_is_no_number_is_named_at_the_step_of_the_player_who_had_it():
    class Broken(Game):
        def players(self):
            sides = super().players()
            nan = lambda x, y: self.maker.weight.sum() + math.nan
            return {"critic": sides["critic"], "maker": Player(self.maker, nan, 4)}

    with pytest.raises(TrainingError, match="'maker' became nan at step 3 of 8"):
        fit(Broken(), TABLE, Recipe(8, 16))


def test_stop_pressed_within_a_step_finishes_that_step():
    class Pressed(Curve):
        def loss(self, x, y):
            if self.calls == 4:
                signal.raise_signal(signal.SIGINT)
            return super().loss(x, y)

    before, model = signal.getsignal(signal.SIGINT), Pressed()
    history = fit(model, TABLE, Recipe(20, **FULL))
    assert history.step == 5 and len(history.loss) == 5 and torch.isfinite(history.loss).all()
    assert signal.getsignal(signal.SIGINT) is before and not model.training
    other, whole = Curve(), Curve()
    fit(other, TABLE, Recipe(20, **FULL), resume=history)
    fit(whole, TABLE, Recipe(20, **FULL))
    assert same(weights(other), weights(whole))


def test_an_impatient_second_stop_raises_and_leaves_a_usable_model():
    def twice(history):
        if history.step == 3:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    before, model = signal.getsignal(signal.SIGINT), Curve()
    with pytest.raises(KeyboardInterrupt):
        fit(model, TABLE, Recipe(20, **FULL), report=twice)
    assert finite(model) and not model.training and signal.getsignal(signal.SIGINT) is before


def test_training_works_outside_the_main_thread():
    done = []
    thread = threading.Thread(target=lambda: done.append(fit(Curve(), TABLE, Recipe(3, 16))))
    thread.start()
    thread.join()
    assert done[0].finished


def test_the_notebooks_random_stream_is_untouched():
    torch.manual_seed(77)
    state = torch.get_rng_state()
    history = fit(Curve(), Endless(), Recipe(5, **FULL), report=stop_at(3))
    fit(Curve(), Endless(), Recipe(5, **FULL), resume=history)
    with pytest.raises(TrainingError):
        fit(Poisoned(2), TABLE, Recipe(5, 16))
    assert torch.equal(torch.get_rng_state(), state)


def test_the_same_seed_gives_the_same_bits_and_another_does_not():
    runs = []
    for seed in (1, 1, 2):
        torch.randn(seed)
        model = Curve()
        fit(model, Endless(), Recipe(9, 8, seed=seed))
        runs.append(weights(model))
    assert same(runs[0], runs[1]) and not same(runs[0], runs[2])


def test_the_averaged_weights_are_in_the_model_afterwards():
    recipe, model, raw = Recipe(20, **FULL), Curve(), Curve()
    history = fit(model, TABLE, recipe)
    fit(raw, TABLE, Recipe(20, **{**FULL, "ema": 0.0}))
    assert same(
        weights(raw), [history.tensors["model.a"], history.tensors["model.b"]]
    )  # the run went on with these
    assert same(weights(model), [history.tensors["average.module.a"], history.tensors["average.module.b"]])
    assert not same(weights(model), weights(raw))


# --- NaN ---


class _BrokenBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, slope):
        return slope * float("nan")


class BrokenGradient(Poisoned):
    """A loss that looks well and whose gradient is NaN at one call."""

    def loss(self, x, y):
        value = Curve.loss(self, x, y)
        return _BrokenBackward.apply(value) if self.calls - 1 == self.at else value


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_loss_that_is_no_number_stops_at_its_step(value, ema, tmp_path):
    model, clean, file = Poisoned(47, value), Curve(), tmp_path / "run.safetensors"
    recipe = Recipe(100, 16, lr=0.02, ema=ema)  # remembered every fifth step
    with pytest.raises(
        TrainingError, match=f"loss of 'model' became {value} at step 47 of 100.* as it was at step 45"
    ):
        fit(model, TABLE, recipe, save=file)
    stopped = fit(clean, TABLE, recipe, report=stop_at(45))
    assert stopped.step == 45 and same(weights(model), weights(clean)) and not model.training
    other = Curve()
    assert fit(other, TABLE, recipe, resume=file).finished and finite(
        other
    )  # and one may go on from the file


@pytest.mark.parametrize(
    "at, good", [(0, 0), (46, 45), (44, 40), (99, 95)]
)  # within, at and on the last mark
def test_a_gradient_that_is_no_number_stops_before_it_is_remembered(at, good, tmp_path):
    model, file = BrokenGradient(at), tmp_path / "run.safetensors"
    with pytest.raises(TrainingError, match=f"gradient of step {at} .*The model is as it was at step {good}"):
        fit(model, TABLE, Recipe(100, 16, clip=1.0, ema=0.5), save=file)
    assert finite(model)
    if file.exists():
        assert all(torch.isfinite(v).all() for k, v in checkpoints.read(file)[0].items() if "losses" not in k)
