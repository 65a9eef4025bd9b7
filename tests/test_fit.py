"""The training loop: equal to one by hand, resumed to the bit, stopped by hand or by NaN without harm."""

import math
import signal
import threading

import pytest
import torch
from torch import nn

from dgm_course import checkpoints
from dgm_course.checkpoints import CheckpointError
from dgm_course.fit import (
    History,
    Player,
    Recipe,
    TrainingError,
    constant,
    cosine,
    feed,
    fit,
    linear,
    read_history,
    warm_average,
)

ROWS = torch.randn(50, 2, generator=torch.Generator().manual_seed(1))
TABLE = (ROWS, ROWS[:, :1] * 2 - 1)
FULL = {"batch": 16, "lr": 0.02, "warmup": 5, "decay": cosine, "ema": 0.9, "clip": 0.5, "weight_decay": 0.01}
FULL["seed"] = 4


class Curve(nn.Module):
    """A small regression; ``noisy`` draws from torch's generator in its loss, as every path model does."""

    def __init__(self, noise=0.1):
        super().__init__()
        self.noise, generator = noise, torch.Generator().manual_seed(9)
        self.a, self.b = (nn.Parameter(torch.randn(*s, generator=generator) / 2) for s in ((2, 8), (8, 1)))
        self.calls = 0

    def loss(self, x, y):
        self.calls += 1
        x = x + self.noise * torch.randn_like(x) if self.noise else x
        return (torch.tanh(x @ self.a) @ self.b - y).square().mean()


class Endless:
    """Data without an end, drawn from torch's generator."""

    def sample(self, n):
        x = torch.randn(n, 2)
        return x, x[:, :1] * 2 - 1


class Game(nn.Module):
    """Two players with opposite wishes."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(5)
        self.maker, self.critic = nn.Linear(2, 2), nn.Linear(2, 1)

    def made(self, x):
        return self.maker(torch.randn_like(x))

    def players(self):
        return {
            "critic": Player(
                self.critic,
                lambda x, y: (
                    (self.critic(self.made(x).detach()) - self.critic(x)).mean()
                    + 0.1 * self.critic(x).square().mean()
                ),
            ),
            "maker": Player(self.maker, lambda x, y: -self.critic(self.made(x)).mean()),
        }


def stop_at(step):
    """A reporter that presses 'stop' as soon as ``step`` steps are done: a real SIGINT."""

    def report(history):
        if history.step == step:
            signal.raise_signal(signal.SIGINT)

    return report


def weights(model):
    return [p.detach().clone() for p in model.parameters()]


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def finite(model):
    return all(bool(torch.isfinite(p).all()) for p in model.parameters())


# --- equal to a loop written by hand ---


def test_where_an_average_is_saved_its_buffers_are_the_models():
    class Normed(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.weight = nn.BatchNorm1d(2), nn.Linear(2, 1)

        def loss(self, x, y):
            return (self.weight(self.norm(x)) - y).square().mean()

    model, seen = Normed(), []
    keep = lambda h: seen.append((h.tensors["average.module.norm.running_mean"], model.norm.running_mean.clone()))
    fit(model, TABLE, Recipe(**FULL, steps=20), report=keep)
    assert all(torch.equal(saved, now) for saved, now in seen) and not torch.equal(seen[0][0], seen[-1][0])


@pytest.mark.parametrize("ema, clip", [(0.0, None), (0.3, None), (0.999, 0.05)])
def test_fit_is_the_loop_one_would_write(ema, clip):
    recipe = Recipe(12, 16, lr=0.03, warmup=4, decay=linear, ema=ema, clip=clip, weight_decay=0.1, seed=2)
    model, hand, losses = Curve(noise=0), Curve(noise=0), []
    history = fit(model, TABLE, recipe)
    optimizer = torch.optim.AdamW(hand.parameters(), 0.03, weight_decay=0.1)
    batches, average = feed(TABLE, recipe, torch.device("cpu")), None
    for step in range(12):
        optimizer.param_groups[0]["lr"] = 0.03 * min(1, (step + 1) / 4) * (1 - step / 12)
        loss = hand.loss(*batches(step))
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        norm = torch.stack([p.grad.square().sum() for p in hand.parameters()]).sum().sqrt()
        if clip and norm > clip:
            for p in hand.parameters():
                p.grad *= clip / norm
        optimizer.step()
        decay = min(ema, (1 + step) / (10 + step))
        average = (
            weights(hand)
            if step == 0
            else [decay * a + (1 - decay) * w for a, w in zip(average, weights(hand), strict=True)]
        )
    expected = average if ema else weights(hand)
    assert all(
        torch.allclose(a, b, rtol=1e-4, atol=1e-6) for a, b in zip(weights(model), expected, strict=True)
    )
    assert history.loss.tolist() == pytest.approx(losses, rel=1e-5)


def test_the_average_of_weights_forgets_its_start():
    averages, update = [torch.zeros(1)], warm_average(0.9)
    for n in range(1, 200):
        update(averages, [torch.ones(1)], torch.tensor(n))
    left = math.prod(min(0.9, (1 + n) / (10 + n)) for n in range(1, 200))
    assert float(averages[0]) == pytest.approx(1 - left, rel=1e-6)
    one = [torch.zeros(1)]
    warm_average(0.999)(one, [torch.ones(1)], torch.tensor(1))
    assert float(one[0]) == pytest.approx(1 - 2 / 11)


def test_learning_rates_warm_up_and_decay():
    assert [constant(0.3), linear(0.25), cosine(0.5), cosine(1.0)] == pytest.approx([1, 0.75, 0.5, 0])
    recipe = Recipe(100, lr=2.0, warmup=10, decay=cosine)
    assert recipe.rate(0) == pytest.approx(0.2)
    assert recipe.rate(50) == pytest.approx(1.0) and recipe.rate(99) < 0.001


# --- batches ---


@pytest.mark.parametrize("n, batch", [(10, 3), (12, 4), (5, 100)])
def test_an_epoch_shows_every_sample_at_most_once_and_the_next_in_another_order(n, batch):
    numbers, recipe = torch.arange(n), Recipe(1, batch, seed=1)
    batches, size = feed((numbers, 10 * numbers), recipe, torch.device("cpu")), min(n, batch)
    epochs = [[batches(e * (n // size) + k) for k in range(n // size)] for e in range(3)]
    assert all(torch.equal(10 * x, y) and len(x) == size for epoch in epochs for x, y in epoch)
    shown = [torch.cat([x for x, _ in epoch]).tolist() for epoch in epochs]
    assert all(len(set(epoch)) == len(epoch) == n // size * size for epoch in shown)
    assert shown[0] != shown[1] != shown[2] != list(range(n))
    again = feed((numbers, 10 * numbers), recipe, torch.device("cpu"))
    assert torch.equal(again(2 * (n // size))[0], epochs[2][0][0])  # any step can be the first
    other = feed((numbers, 10 * numbers), Recipe(1, batch, seed=2), torch.device("cpu"))
    assert other(0)[0].tolist() != epochs[0][0][0].tolist()


def test_drawn_batches_depend_on_seed_and_step_alone():
    sizes = []

    def draw(n):
        sizes.append(n)
        return torch.randn(n, 2)

    batches = feed(draw, Recipe(1, 4, seed=3), torch.device("cpu"))
    state = torch.get_rng_state()
    first, later = batches(0)[0], batches(64)[0]
    assert torch.equal(torch.get_rng_state(), state) and set(sizes) == {256} and first.shape == (4, 2)
    torch.manual_seed(123)
    assert torch.equal(batches(64)[0], later) and torch.equal(batches(0)[0], first)
    assert not torch.equal(first, later) and not torch.equal(first, batches(1)[0])
    assert not torch.equal(first, feed(draw, Recipe(1, 4, seed=4), torch.device("cpu"))(0)[0])


def test_an_argument_may_be_left_out():
    x, none, y = feed((ROWS, None, ROWS), Recipe(1, 5), torch.device("cpu"))(0)
    assert none is None and torch.equal(x, y)


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


class Poisoned(Curve):
    """A loss that is NaN (or infinite) at one call."""

    def __init__(self, at, value=float("nan")):
        super().__init__()
        self.at, self.value = at, value

    def loss(self, x, y):
        return super().loss(x, y) + (self.value if self.calls - 1 == self.at else 0.0)


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


# --- small recipes, large batches, many precisions ---


def test_no_steps_change_nothing():
    model = Curve()
    before, history = weights(model), fit(model, TABLE, Recipe(0, **FULL))
    assert (
        same(before, weights(model))
        and history.finished
        and history.loss.shape == (0,)
        and "0 steps" in repr(history)
    )


def test_a_learning_rate_of_zero_changes_nothing():
    model = Curve()
    before = weights(model)
    fit(model, TABLE, Recipe(5, 16, lr=0.0, weight_decay=0.5))
    assert same(before, weights(model))


def test_a_batch_larger_than_the_data_is_all_the_data():
    seen = []

    class Watching(Curve):
        def loss(self, x, y):
            seen.append(sorted(x[:, 0].tolist()))
            return super().loss(x, y)

    fit(Watching(), TABLE, Recipe(3, 1000))
    assert seen == [sorted(ROWS[:, 0].tolist())] * 3


def test_mixed_precision_trains_and_keeps_the_weights_precision():
    model = Curve()
    history = fit(model, TABLE, Recipe(30, 16, lr=0.05, precision=torch.bfloat16))
    assert model.a.dtype == torch.float32 and float(history.smooth()[-1]) < float(history.loss[0])


def test_training_learns():
    history = fit(Curve(), TABLE, Recipe(300, 16, lr=0.03, decay=linear))
    assert float(history.smooth()[-1]) < 0.2 * float(history.loss[0])


def test_smooth_is_a_running_mean():
    history = History(Recipe(5), {"model": torch.tensor([1e6, 2.0, 3.0, 4.0, 5.0])}, step=4)
    assert history.smooth(2).tolist() == pytest.approx([1e6, 500001, 2.5, 3.5])
    assert "4 steps of 5" in repr(history)


def test_every_step_is_reported():
    steps = []
    fit(Curve(), TABLE, Recipe(7, 16), report=lambda h: steps.append((h.step, len(h.loss))))
    assert steps == [(k, k) for k in range(1, 8)]


# --- what does not fit ---


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
