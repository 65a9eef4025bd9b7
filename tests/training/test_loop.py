"""The training loop: a loop written by hand, batches, rates, averages, small recipes."""

import pytest
import torch
from torch import nn

from dgm_course.training import History, Objective, Recipe, batch_stream, constant, cosine, fit, linear

from .models import FULL, RECIPE, ROWS, TABLE, Curve, Game, near, same, weights

CPU = torch.device("cpu")


@pytest.mark.parametrize("ema, clip", [(0.0, None), (0.3, None), (0.999, 0.05)])
def test_fit_equals_a_loop_by_hand(ema, clip):
    recipe = Recipe(12, 16, lr=0.03, warmup=4, decay=linear, ema=ema, clip=clip, weight_decay=0.1, seed=2)
    model, hand, losses = Curve(noise=0), Curve(noise=0), []
    history = fit(model, TABLE, recipe)
    optimizer = torch.optim.AdamW(hand.parameters(), weight_decay=0.1)
    batches, average = batch_stream(TABLE, recipe, CPU), None
    for step in range(12):
        optimizer.param_groups[0]["lr"] = 0.03 * min(1, (step + 1) / 4) * (1 - step / 12)
        loss = hand.loss(*batches(step))
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        norm = torch.cat([p.grad.flatten() for p in hand.parameters()]).norm()
        for p in hand.parameters():
            p.grad *= min(1.0, (clip or torch.inf) / norm)
        optimizer.step()
        decay = min(ema, (1 + step) / (10 + step)) if step else 0.0
        average = [decay * a + (1 - decay) * w for a, w in zip(average or weights(hand), weights(hand))]
    assert all(
        torch.allclose(a, b, rtol=1e-4, atol=1e-6)
        for a, b in zip(weights(model), average if ema else weights(hand))
    )
    assert history.loss.tolist() == pytest.approx(losses, rel=1e-5)


def test_learning_rates_warm_up_and_decay():
    assert [constant(0.3), linear(0.25), cosine(0.5), cosine(1.0)] == pytest.approx([1, 0.75, 0.5, 0])
    recipe = Recipe(100, lr=2.0, warmup=10, decay=cosine)
    assert recipe.rate(0) == pytest.approx(0.2)
    assert recipe.rate(50) == pytest.approx(1.0) and recipe.rate(99) < 0.001


def test_the_model_ends_with_averaged_weights():
    """The checkpoint holds both; buffers are not averaged."""
    model, raw = Curve(), Curve()
    model.register_buffer("count", torch.tensor(3))
    history = fit(model, TABLE, RECIPE)
    fit(raw, TABLE, Recipe(20, **FULL | {"ema": 0.0}))
    held = history.checkpoint
    assert same(weights(raw), [held["model"][name] for name, _ in raw.named_parameters()])
    assert (
        same(weights(model), held["average"]) and not same(weights(model), weights(raw)) and int(model.count) == 3
    )


# --- players


def test_players_move_their_own_weights_in_turn():
    seen = []

    class Watched(Game):
        def objectives(self):
            return {
                name: Objective(side.module, self.watch(name, side.loss))
                for name, side in super().objectives().items()
            }

        def watch(self, name, loss):
            return lambda *batch: seen.append((name, same(weights(self), before))) or loss(*batch)

    game = Watched()
    before = weights(game)
    fit(game, TABLE, Recipe(1, 16, lr=0.1))
    assert seen == [("critic", True), ("maker", False)]
    assert not any(torch.equal(p, q) for p, q in zip(weights(game)[:3], before))


def test_a_player_moves_at_its_every_and_pace():
    """Adam's first step is lr · sign."""
    game, moved = Game(3, 0.5), []
    before = game.maker.weight.detach().clone()
    keep = lambda h: moved.append(game.maker.weight.detach() - before)
    history = fit(game, TABLE, Recipe(8, 16, lr=0.1), report=keep)
    assert history.losses["maker"].isfinite().nonzero()[:, 0].tolist() == [2, 5]
    assert history.losses["critic"].isfinite().all()
    assert [float(change.abs().max()) for change in moved[:3]] == pytest.approx([0, 0, 0.05], rel=1e-3)


# --- batches


@pytest.mark.parametrize("n, batch", [(10, 3), (12, 4), (5, 100)])
def test_epochs_show_each_sample_once_reordered(n, batch):
    numbers, recipe = torch.arange(n), Recipe(1, batch, seed=1)
    batches, size = batch_stream((numbers, 10 * numbers), recipe, CPU), min(n, batch)
    epochs = [[batches(e * (n // size) + k) for k in range(n // size)] for e in range(3)]
    assert all(torch.equal(10 * x, y) and len(x) == size for epoch in epochs for x, y in epoch)
    shown = [torch.cat([x for x, _ in epoch]).tolist() for epoch in epochs]
    assert all(len(set(epoch)) == len(epoch) == n // size * size for epoch in shown)
    assert shown[0] != shown[1] != shown[2] != list(range(n))
    assert torch.equal(
        batch_stream(numbers, recipe, CPU)(2 * (n // size))[0], epochs[2][0][0]
    )  # any step can be the first
    assert batch_stream(numbers, Recipe(1, batch, seed=2), CPU)(0)[0].tolist() != epochs[0][0][0].tolist()


def test_drawn_batches_depend_on_seed_and_step():
    sizes = []
    draw = lambda n: sizes.append(n) or torch.randn(n, 2)
    batches, state = batch_stream(draw, Recipe(1, 4, seed=3), CPU), torch.get_rng_state()
    first, later = batches(0)[0], batches(64)[0]
    assert torch.equal(torch.get_rng_state(), state) and set(sizes) == {256} and first.shape == (4, 2)
    torch.manual_seed(123)
    assert torch.equal(batches(64)[0], later) and torch.equal(batches(0)[0], first)
    others = later, batches(1)[0], batch_stream(draw, Recipe(1, 4, seed=4), CPU)(0)[0]
    assert not any(torch.equal(first, other) for other in others)


def test_an_argument_may_be_left_out():
    x, none, y = batch_stream((ROWS, None, ROWS), Recipe(1, 5), CPU)(0)
    assert none is None and torch.equal(x, y)


def test_an_oversized_batch_is_all_data():
    model = Curve()
    fit(model, TABLE, Recipe(3, 1000))
    assert model.sizes == [50] * 3


# --- small recipes, precision, history


@pytest.mark.parametrize(
    "recipe", [Recipe(0, **FULL), Recipe(5, 16, lr=0.0, weight_decay=0.5)], ids=["steps", "lr"]
)
def test_zero_steps_or_rate_change_nothing(recipe):
    model = Curve()
    before, history = weights(model), fit(model, TABLE, recipe)
    assert same(before, weights(model)) and history.finished and history.loss.shape == (recipe.steps,)
    assert f"{recipe.steps} steps" in repr(history)


@pytest.mark.parametrize("precision", [None, torch.bfloat16])
def test_training_learns_and_keeps_float32_weights(precision):
    model = Curve()
    history = fit(model, TABLE, Recipe(300, 16, lr=0.03, decay=linear, precision=precision))
    assert float(history.smooth()[-1]) < 0.2 * float(history.loss[0])
    assert all(p.dtype == torch.float32 for p in model.parameters())


def test_smooth_is_a_running_mean():
    history = History(Recipe(5), {"model": torch.tensor([1e6, 2.0, 3.0, 4.0, 5.0])}, step=4)
    assert history.smooth(2).tolist() == pytest.approx([1e6, 500001, 2.5, 3.5])
    assert "4 steps of 5" in repr(history)


def test_every_step_is_reported():
    steps = []
    fit(Curve(), TABLE, Recipe(7, 16), report=lambda h: steps.append((h.step, len(h.loss))))
    assert steps == [(k, k) for k in range(1, 8)]


def test_buffers_are_saved_as_they_are():
    class Normed(Curve):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 1))

    model, seen = Normed(), []
    keep = lambda h: seen.append((h.checkpoint["model"]["net.0.running_mean"], model.net[0].running_mean.clone()))
    fit(model, TABLE, RECIPE, report=keep)
    assert all(torch.equal(*pair) for pair in seen) and not torch.equal(seen[0][0], seen[-1][0])
    assert near([model.net[0].running_mean], [seen[-1][0]])
