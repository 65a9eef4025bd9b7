"""Sampling: cached logits against whole passes, frequencies against probabilities, inpainting, guidance."""

from __future__ import annotations

import copy

import pytest
import torch

from dgm_course.autoregressive import (
    Autoregressive,
    GatedPixelCNN,
    ImageGPT,
    LlamaGen,
    PixelCNN,
    guided,
    receptive_field,
    sample_categorical,
    uncached,
)
from dgm_course.nets import Llama, grid_positions

from .models import agrees, every, followed, perturbed, seeded


@pytest.mark.parametrize("event", [(1, 3, 3), (1, 5, 4), (1, 1, 6), (1, 6, 1), (4, 3), (1, 1, 1)])
@pytest.mark.parametrize("classes", [0, 2])
def test_cached_logits_are_those_of_read(make, event, classes):
    model, x = make(3, event, classes=classes), torch.randint(3, (4, *event))
    label = torch.arange(4) % max(1, classes)
    full = model.read(model.one_hot(x), label)
    for source in (None, uncached):
        torch.testing.assert_close(followed(model, x, label, source), full, atol=1e-11, rtol=0)


def test_in_single_precision_they_agree(make):
    model, x = make(2, (1, 12, 12)).float(), torch.randint(2, (3, 1, 12, 12))
    full, size = model(x), max(1.0, float(model(x).detach().abs().max()))
    torch.testing.assert_close(followed(model, x, torch.zeros(3).long()), full, atol=1e-5 * size, rtol=0)


@pytest.mark.parametrize("temperature", [1.0, 0.5, 3.0])
@pytest.mark.parametrize("y", [None, 1, torch.tensor([0, 1, 1, 0, 1])])
def test_cached_and_uncached_draw_the_same(make, temperature, y):
    model = make(3, (1, 4, 3), classes=0 if y is None else 2)
    cached, plain = (model.sample(5, y, temperature, seeded(), source) for source in (None, uncached))
    assert torch.equal(cached, plain) and cached.shape == (5, 1, 4, 3) and cached.dtype == torch.long
    if temperature > 1:  # else a model may be too sure of itself
        assert not torch.equal(cached, model.sample(5, y, temperature, seeded(6)))
    x, known = torch.randint(3, (5, 1, 4, 3)), (torch.arange(12) < 7)[model.order.argsort()].view(1, 4, 3)
    cached, plain = (model.inpaint(x, known, y, temperature, seeded(), source) for source in (None, uncached))
    assert torch.equal(cached, plain) and torch.equal(cached[:, known], x[:, known])


# event, (depth, first, kernel): one row, one column, few columns, nothing above
WAVEFRONTS = [((1, 6, 9), (3, 7, 3)), ((1, 9, 5), (3, 3, 5)), ((8, 7), (1, 5, 3)), ((1, 1, 8), (3, 7, 3))]
WAVEFRONTS += [((1, 8, 1), (3, 7, 5)), ((1, 5, 2), (3, 7, 7)), ((1, 4, 4), (3, 5, 1)), ((1, 5, 5), (3, 1, 3))]
WAVEFRONTS += [((1, 3, 4), (3, 1, 1)), ((1, 8, 9), (4, 7, 5))]


@pytest.mark.parametrize("event, sizes", WAVEFRONTS)
def test_wavefronts_sample_as_single_pixels_do(event, sizes):
    """Fronts of many pixels, fronts of one, and a whole pass for each pixel; and a prefix that is given."""

    class OneByOne(PixelCNN):
        wavefronts = Autoregressive.wavefronts

    model = perturbed(PixelCNN(3, event, 6, *sizes, classes=2), 0.2)
    slow, x, y = copy.deepcopy(model), torch.randint(3, (4, *event)), torch.tensor([0, 1, 1, 0])
    slow.__class__ = OneByOne
    for each in (model, slow):
        torch.testing.assert_close(followed(each, x, y), model(x, y).detach(), atol=1e-11, rtol=0)
    sources = (model, None), (slow, None), (model, uncached)
    drawn = [each.sample(4, y, 1.5, seeded(), source) for each, source in sources]
    assert torch.equal(drawn[0], drawn[1]) and torch.equal(drawn[0], drawn[2])
    for known in range(0, model.length + 1, 3):
        given = (torch.arange(model.length) < known).view(event)
        filled = [each.inpaint(x, given, y, generator=seeded()) for each in (model, slow)]
        assert torch.equal(*filled) and torch.equal(filled[0][:, given], x[:, given])


@pytest.mark.parametrize("event, sizes", WAVEFRONTS)
def test_wavefronts_draw_what_they_need_first(event, sizes):
    """By the gradient: what a place depends on was drawn in an earlier front."""
    model = perturbed(PixelCNN(2, event, 6, *sizes))
    step = torch.empty(model.length, dtype=torch.long)
    for i, front in enumerate(model.wavefronts()):
        step[front] = i
    assert torch.equal(torch.cat(model.wavefronts()).sort().values, torch.arange(model.length))
    for place in range(model.length):
        where = (0,) * (len(event) - 2) + divmod(place, event[-1])
        needed = receptive_field(model, where, samples=4).flatten() > 0
        assert (step[needed] < step[place]).all()


def test_784_pixels_are_136_fronts():
    assert len(PixelCNN(2, (1, 28, 28), width=2).wavefronts()) == 136
    for model in (GatedPixelCNN(2, (1, 28, 28), width=2), ImageGPT(2, (784,), width=4)):
        assert len(model.wavefronts()) == 784


def test_samples_follow_their_probabilities(make):
    model, x = make(3, (1, 2, 2)), every(3, (1, 2, 2))
    assert agrees(model.sample(20_000, generator=seeded()), model.log_prob(x).exp(), 3)


def test_a_temperature_is_a_power_of_every_conditional(make):
    model, x = make(2, (1, 2, 2)), every(2, (1, 2, 2))
    tempered = (model(x) / 0.4).log_softmax(-1).gather(-1, x[..., None]).flatten(1).sum(1).exp()
    drawn = model.sample(20_000, temperature=0.4, generator=seeded())
    assert agrees(drawn, tempered, 2) and not agrees(drawn, model.log_prob(x).exp(), 2)


def test_a_tiny_temperature_is_greedy(make):
    model = make(3, (1, 3, 3))
    x = model.sample(2, temperature=1e-310)
    assert torch.equal(x, model(x).argmax(-1)) and torch.equal(x[0], x[1])


def test_inpainting_follows_the_conditional(make):
    model, x = make(2, (1, 2, 3)), every(2, (1, 2, 3))
    known = (torch.arange(6) < 3)[model.order.argsort()].view(1, 2, 3)
    prob = torch.where((x[:, known] == x[37][known]).all(1), model.log_prob(x).exp(), 0.0)
    filled = model.inpaint(x[37].expand(20_000, 1, 2, 3), known, generator=seeded())
    assert agrees(filled, prob / prob.sum(), 2)


def test_inpainting_all_none_and_sample_by_sample(make):
    model, x = make(3, (1, 2, 3)), torch.randint(3, (4, 1, 2, 3))
    blank = torch.zeros(1, 2, 3, dtype=torch.bool)
    assert torch.equal(model.inpaint(x, ~blank), x)
    free = model.sample(4, generator=seeded())
    assert torch.equal(model.inpaint(x, blank, generator=seeded()), free)
    each = (torch.arange(6) < torch.tensor([[0], [2], [5], [6]]))[:, model.order.argsort()].view(4, 1, 2, 3)
    filled = model.inpaint(x, each, generator=seeded())
    assert torch.equal(filled[each], x[each]) and torch.equal(filled[0], free[0]) and torch.equal(filled[3], x[3])


def test_sample_categorical_inverts_the_distribution():
    logits, u = torch.tensor([0.2, 0.0, 0.5, 0.3]).double().log(), (torch.arange(1000).double() + 0.5) / 1000
    assert torch.bincount(sample_categorical(logits.expand(1000, 4), u)).tolist() == [200, 0, 500, 300]
    assert sample_categorical(logits.expand(2, 4), torch.tensor([0.19999, 0.20001]).double()).tolist() == [0, 2]


def test_no_impossible_symbol_at_the_ends():
    last = torch.nextafter(torch.tensor(1.0), torch.tensor(0.0)).expand(2000)
    logits = torch.randn(2000, 7)
    logits[:, -1] = -torch.inf
    assert sample_categorical(logits, last).max() <= 5
    assert sample_categorical(logits.flip(1), torch.zeros(2000)).min() == 1


def test_small_and_empty_batches(make):
    model = make(2, (1, 3, 3))
    assert model.sample(0).shape == (0, 1, 3, 3) and model.log_prob(model.sample(0)).shape == (0,)
    assert model.log_prob(model.sample(1)).shape == (1,)


def test_samples_can_be_trained_on(make):
    model, threads = make(2, (1, 3, 3)), torch.get_num_threads()
    model.loss(model.sample(2)).backward()
    assert torch.get_num_threads() == threads
    assert all(p.grad is not None for p in model.parameters())


# --- LlamaGen with a class, without one, and guided


def gen(size: int = 3, grid=(2, 2), **options) -> LlamaGen:
    return perturbed(LlamaGen(size, grid, Llama(grid_positions(*grid), 8, 2, 2), 2, **options))


@pytest.mark.parametrize("y", [None, 0, 1])
def test_llamagen_sums_to_one_with_any_label(y):
    model, x = gen(), every(3, (2, 2))
    assert model.log_prob(x, y).exp().sum().item() == pytest.approx(1, abs=1e-12)
    assert (model.log_prob(x, 0) - model.log_prob(x)).abs().max() > 0.01


@pytest.mark.parametrize("weight", [0.0, 1.0, 2.5])
def test_guided_samples_follow_the_mixed_logits(weight):
    model, x = gen(), every(3, (2, 2))
    conditional, free = model(x, 1), model(x)
    mixed = (free + weight * (conditional - free)).log_softmax(-1).gather(-1, x[..., None]).flatten(1).sum(1)
    assert agrees(model.sample(20_000, 1, generator=seeded(), iter_logits=guided(weight)), mixed.exp(), 3)


def test_guidance_of_one_is_the_model_itself():
    model = gen(5, (3, 4))
    guided_sample = model.sample(3, 1, generator=seeded(), iter_logits=guided(1.0))
    assert torch.equal(guided_sample, model.sample(3, 1, generator=seeded()))


def test_llamagen_drops_labels_in_training_alone():
    model, x, y = gen(drop=0.999), torch.randint(3, (50, 2, 2)), torch.ones(50).long()
    torch.testing.assert_close(model.loss(x, y), -model.log_prob(x, y).mean())
    torch.testing.assert_close(model.train().loss(x, y), -model.log_prob(x).mean(), rtol=0.05, atol=0.05)
