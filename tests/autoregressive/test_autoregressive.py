"""The chain rule by enumeration, causality by gradients, and training, for every family in float64."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch.nn import functional as F

from dgm_course.autoregressive import MADE, Autoregressive, GatedPixelCNN, PixelCNN, PixelRNN, receptive_field
from dgm_course.core.distributions import TableDistribution
from dgm_course.training import Recipe, fit

from .models import FAMILIES, every, perturbed, seeded


@pytest.mark.parametrize("k, event", [(2, (1, 3, 3)), (3, (1, 2, 2)), (2, (3, 2)), (4, (1, 1, 3))])
def test_all_images_sum_to_one(make, k, event):
    log_prob = make(k, event).log_prob(every(k, event))
    assert log_prob.exp().sum().item() == pytest.approx(1, abs=1e-12)
    assert log_prob.std() > 0.1  # and they are not all alike


@pytest.mark.slow
def test_given_a_class_they_sum_to_one(make):
    model, x = make(2, (1, 2, 3), classes=3), every(2, (1, 2, 3))
    given = torch.stack([model.log_prob(x, y) for y in range(3)])
    torch.testing.assert_close(given.exp().sum(1), torch.ones(3).double())
    assert (given[0] - given[1]).abs().max() > 0.01
    labels = torch.arange(len(x)) % 3
    torch.testing.assert_close(model.log_prob(x, labels), given[labels, torch.arange(len(x))])


def test_log_prob_is_the_chain_rule(make):
    """Every factor from an image in which all later pixels are blank, multiplied in the order of generation."""
    model, x = make(3, (1, 2, 3)), torch.randint(3, (4, 1, 2, 3))
    for image, log_prob in zip(x, model.log_prob(x)):
        past, total = torch.zeros(6, dtype=torch.long), 0.0
        for place in model.order.tolist():
            odds = model(past.view(1, 1, 2, 3)).detach().view(6, 3)[place].exp()
            total += math.log(odds[image.flatten()[place]] / odds.sum())
            past[place] = image.flatten()[place]
        assert log_prob.item() == pytest.approx(total, abs=1e-10)


def test_loss_of_two_symbols_is_binary_cross_entropy(make):
    model, x = make(2, (1, 3, 3)), torch.randint(2, (5, 1, 3, 3))
    logits = model(x)
    bce = F.binary_cross_entropy_with_logits(logits[..., 1] - logits[..., 0], x.double(), reduction="none")
    torch.testing.assert_close(model.loss(x), bce.flatten(1).sum(1).mean())
    torch.testing.assert_close(model.loss(x.to(torch.uint8)), -model.log_prob(x).mean())


# --- what is seen


def test_no_gradient_from_a_later_place(make):
    model = make(2, (1, 3, 4))
    order = model.order.tolist()
    for i, place in enumerate(order):
        field = receptive_field(model, (0, *divmod(place, 4))).flatten()
        assert (field[order[i:]] == 0).all(), f"place {place} depends on itself or the future"
    assert (field > 0).any()  # and the last place depends on something


def reached(height: int, width: int, place, depth: int, first: int, kernel: int) -> set[tuple[int, int]]:
    """Pixels from which a path leads through masked convolutions to a place, by following the paths backwards."""

    def step(places, size, own):
        half = size // 2
        taps = [(r, c) for r in range(-half, 1) for c in range(-half, half + 1) if (r, c) < (0, own)]
        moved = {(a + r, b + c) for a, b in places for r, c in taps}
        return {(a, b) for a, b in moved if 0 <= a < height and 0 <= b < width}

    places = {place}
    for _ in range(depth - 1):
        places = step(places, kernel, own=True)
    return step(places, first, own=False)


@pytest.mark.parametrize("depth, first, kernel", [(1, 3, 3), (1, 7, 3), (3, 3, 3), (2, 5, 5), (8, 3, 3)])
def test_pixelcnn_sees_what_its_paths_reach(depth, first, kernel):
    model = perturbed(PixelCNN(2, (1, 7, 8), width=8, depth=depth, first=first, kernel=kernel))
    seen = receptive_field(model, (0, 5, 3), samples=64)[0]
    assert {tuple(place) for place in seen.nonzero().tolist()} == reached(7, 8, (5, 3), depth, first, kernel)


def test_only_the_plain_stack_has_a_blind_spot():
    before = torch.arange(56).view(7, 8) < 5 * 8 + 2
    plain = perturbed(PixelCNN(2, (1, 7, 8), width=8, depth=9, first=3), 0.2)
    blind = before & ~(receptive_field(plain, (0, 5, 2), samples=64)[0] > 0)
    beyond_the_diagonal = [[r, c] for r in range(5) for c in range(8) if c - 2 > 5 - r]
    assert blind.nonzero().tolist() == beyond_the_diagonal
    gated = perturbed(GatedPixelCNN(2, (1, 7, 8), width=8, depth=7, first=3), 0.2)
    assert torch.equal(receptive_field(gated, (0, 5, 2))[0] > 0, before)


@pytest.mark.parametrize("name", ["ImageGPT", "MADE"])
def test_attention_and_made_see_the_whole_past(name):
    seen = receptive_field(perturbed(FAMILIES[name](2, (1, 4, 4))), (0, 2, 1))[0] > 0
    assert torch.equal(seen, torch.arange(16).view(4, 4) < 9)


def test_a_recurrence_reaches_the_first_row():
    models = [perturbed(kind(2, (1, 7, 7), width=8, depth=2, first=3)) for kind in (PixelRNN, PixelCNN)]
    first_row = [receptive_field(model, (0, 6, 3), samples=64)[0, 0] for model in models]
    assert first_row[0].max() > 0 and first_row[1].max() == 0


def test_receptive_field_leaves_the_random_state_alone():
    model, state = perturbed(FAMILIES["MADE"](2, (5,), classes=2)), torch.get_rng_state()
    receptive_field(model, (3,))
    assert torch.equal(torch.get_rng_state(), state)


# --- training


@pytest.mark.slow
def test_maximum_likelihood_reaches_the_entropy():
    """The forward KL falls to nearly 0, and never below."""
    data = TableDistribution(torch.rand(3, 3, 3, generator=seeded(1)) ** 4, "small world")
    model = MADE(3, (3,), width=64, order=[2, 0, 1])
    start = model.loss(data.sample(1000)).item()
    fit(model, data, Recipe(800, 256, 1e-2, decay=lambda done: 1 - done))
    cross = -(data.probs.flatten().double() * model.log_prob(data.sequences).double()).sum()
    assert start > data.entropy + 0.3 and 0 < cross - data.entropy < 0.01


def test_every_family_learns(make):
    model = make(2, (1, 3, 3), classes=2).float()
    x = (torch.rand(64, 1, 3, 3, generator=seeded()) < 0.9).long()
    history = fit(model, (x, torch.arange(64) % 2), Recipe(60, 64, 1e-2))
    assert history.loss[-1] < 0.9 * history.loss[0]


def test_in_bfloat16_the_loss_is_float32(make):
    model, x = make(2, (1, 3, 3)).float(), torch.randint(2, (8, 1, 3, 3))
    with torch.autocast("cpu", torch.bfloat16):
        loss = model.loss(x)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(model.loss(x).item(), rel=0.05)


@pytest.mark.parametrize("name", ["PixelCNN", "GatedPixelCNN", "PixelRNN"])
def test_in_bfloat16_every_layer_gets_bfloat16(name):
    model, seen = FAMILIES[name](2, (1, 3, 3), classes=2).float(), []
    for layer in model.layers:
        layer.register_forward_pre_hook(lambda _, given: seen.extend(part.dtype for part in given))
    with torch.autocast("cpu", torch.bfloat16):
        model.loss(torch.randint(2, (4, 1, 3, 3)), 1)
    assert seen[0] == torch.bfloat16 and (name == "PixelRNN" or set(seen) == {torch.bfloat16})


@pytest.mark.parametrize("name", [name for name in FAMILIES if "order" in name])
def test_the_order_is_saved_with_the_weights(name):
    model, x = perturbed(FAMILIES[name](2, (1, 3, 3))), every(2, (1, 3, 3))
    other = copy.deepcopy(model)
    other.order.copy_(torch.arange(9))
    assert (other.log_prob(x) - model.log_prob(x)).abs().max() > 0.1
    other.load_state_dict(model.state_dict())
    torch.testing.assert_close(other.log_prob(x), model.log_prob(x))
    assert torch.equal(other.sample(3, generator=seeded()), model.sample(3, generator=seeded()))


def test_repr_names_places_symbols_and_classes(make):
    text = repr(make(3, (1, 2, 2), classes=4))
    assert "1 x 2 x 2 places of 3 symbols" in text and "4 classes" in text and "parameters" in text


def test_a_new_family_only_defines_read():
    class Independent(Autoregressive):
        def read(self, seen, label):
            return self.label_embedding(label)[:, None].expand(len(seen), self.length, -1)

    model = Independent(3, (4,), width=3).double()
    assert model.log_prob(every(3, (4,))).exp().sum().item() == pytest.approx(1)
    assert model.sample(5).shape == (5, 4)
    with pytest.raises(NotImplementedError, match="define read"):
        Autoregressive(2, (4,), width=2).loss(torch.zeros(1, 4).long())
