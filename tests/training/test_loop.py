"""The training loop: equal to one written by hand, batches, rates, averages, small recipes."""

import math

import pytest
import torch
from torch import nn

from dgm_course.training import History, Recipe, constant, cosine, feed, fit, linear, warm_average

from .loops import FULL, ROWS, TABLE, Curve, same, weights

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
