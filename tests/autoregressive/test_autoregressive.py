"""Autoregressive models: worlds small enough to write down every image, gradients, and the chain rule by hand.

Every law runs over every family in float64, with random weights far from their start: a model that is
right only where all conditionals are nearly uniform would pass too easily.
"""

from __future__ import annotations

import copy
import itertools
import math

import pytest
import torch
from torch.nn import functional as F

from dgm_course.autoregressive import (
    MADE,
    Autoregressive,
    GatedPixelCNN,
    ImageGPT,
    LlamaGen,
    PixelCNN,
    PixelRNN,
    receptive_field,
    sample_categorical,
    uncached,
)
from dgm_course.core.distributions import TableDistribution
from dgm_course.nets import Llama
from dgm_course.training import Recipe, fit


def shuffled(event) -> torch.Tensor:
    return torch.randperm(math.prod(event), generator=torch.Generator().manual_seed(3))


# A new family is one line here: its name, and how it is built from (vocabulary, event, classes=...).
FAMILIES = {
    "PixelCNN": lambda k, e, **more: PixelCNN(k, e, width=8, depth=3, first=3, **more),
    "PixelCNN, large first kernel": lambda k, e, **more: PixelCNN(
        k, e, width=8, depth=2, first=7, kernel=5, **more
    ),
    "GatedPixelCNN": lambda k, e, **more: GatedPixelCNN(k, e, width=8, depth=3, first=3, **more),
    "PixelRNN": lambda k, e, **more: PixelRNN(k, e, width=8, depth=3, first=3, **more),
    "ImageGPT": lambda k, e, **more: ImageGPT(k, e, width=8, depth=2, heads=2, **more),
    "ImageGPT, shared keys": lambda k, e, **more: ImageGPT(k, e, width=8, depth=2, heads=(2, 1), **more),
    "ImageGPT, any order": lambda k, e, **more: ImageGPT(
        k, e, width=8, depth=2, heads=2, order=shuffled(e), **more
    ),
    "LlamaGen": lambda k, e, **more: LlamaGen(k, e, Llama(torch.arange(math.prod(e)), 8, 2, 2), **more),
    "MADE": lambda k, e, **more: MADE(k, e, width=40, **more),
    "MADE, any order": lambda k, e, **more: MADE(k, e, width=40, depth=3, order=shuffled(e), **more),
    "MADE, fewer units than places": lambda k, e, **more: MADE(k, e, width=3, depth=1, **more),
}
ORDERED = [name for name in FAMILIES if "order" in name]


def stirred(model: Autoregressive, amount: float = 0.4) -> Autoregressive:
    model = model.double().eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(amount * torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())).double())
    return model


@pytest.fixture(params=FAMILIES)
def make(request):
    """(vocabulary, event, classes=0) -> a model of each family in turn, with random weights."""
    return lambda k=2, event=(1, 3, 3), **more: stirred(FAMILIES[request.param](k, event, **more))


def every(k: int, event) -> torch.Tensor:
    """All samples that there are.  (k^L, *event)"""
    return torch.tensor(list(itertools.product(range(k), repeat=math.prod(event)))).view(-1, *event)


def seeded(seed: int = 5) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def followed(model: Autoregressive, x: torch.Tensor, label: torch.Tensor, iter_logits=None) -> torch.Tensor:
    """The logits that a stream yields while it is sent x.  (B, *event, K)"""
    tokens, logits = (
        x.flatten(1),
        torch.empty(len(x), model.length, model.vocabulary, dtype=model.label_embedding.weight.dtype),
    )
    with torch.inference_mode():
        steps, token = (iter_logits or type(model).iter_logits)(model, len(x), label), None
        for front in model.wavefronts() if iter_logits is None else Autoregressive.wavefronts(model):
            places = model.order[front]
            logits[:, places] = steps.send(token).view(len(x), len(places), model.vocabulary)
            token = tokens[:, places].flatten()
    return logits.view(*x.shape, model.vocabulary)


# --- the chain rule


@pytest.mark.parametrize("k, event", [(2, (1, 3, 3)), (3, (1, 2, 2)), (2, (3, 2)), (4, (1, 1, 3))])
def test_probabilities_of_all_images_sum_to_one(make, k, event):
    model = make(k, event)
    log_prob = model.log_prob(every(k, event))
    assert log_prob.exp().sum().item() == pytest.approx(1, abs=1e-12)
    assert log_prob.std() > 0.1  # and they are not all alike


def test_given_a_class_they_sum_to_one_as_well_and_the_class_matters(make):
    model, x = make(2, (1, 2, 3), classes=3), every(2, (1, 2, 3))
    given = torch.stack([model.log_prob(x, y) for y in range(3)])
    torch.testing.assert_close(given.exp().sum(1), torch.ones(3).double())
    assert (given[0] - given[1]).abs().max() > 0.01
    labels = torch.arange(len(x)) % 3
    torch.testing.assert_close(model.log_prob(x, labels), given[labels, torch.arange(len(x))])


def test_log_prob_is_the_chain_rule_written_out(make):
    """Every factor from an image in which all later pixels are blank, multiplied in the order of generation."""
    model, x = make(3, (1, 2, 3)), torch.randint(3, (4, 1, 2, 3))
    for image, got in zip(x, model.log_prob(x)):
        past, total = torch.zeros(6, dtype=torch.long), 0.0
        for place in model.order.tolist():
            heights = model(past.view(1, 1, 2, 3)).detach().view(6, 3)[place].exp()
            total += math.log(heights[image.flatten()[place]] / heights.sum())
            past[place] = image.flatten()[place]
        assert got.item() == pytest.approx(total, abs=1e-10)


def test_the_loss_is_the_mean_surprise_and_for_two_symbols_the_binary_cross_entropy(make):
    model, x = make(2, (1, 3, 3)), torch.randint(2, (5, 1, 3, 3))
    logits = model(x)
    bce = F.binary_cross_entropy_with_logits(logits[..., 1] - logits[..., 0], x.double(), reduction="none")
    torch.testing.assert_close(model.loss(x), bce.flatten(1).sum(1).mean())
    torch.testing.assert_close(model.loss(x.to(torch.uint8)), -model.log_prob(x).mean())


# --- causality


def test_no_gradient_comes_from_a_place_that_is_not_before(make):
    model = make(2, (1, 3, 4))
    order = model.order.tolist()
    for i, place in enumerate(order):
        field = receptive_field(model, (0, *divmod(place, 4))).flatten()
        assert (field[order[i:]] == 0).all(), f"place {place} hears itself or the future"
    assert (field > 0).any()  # and the last place hears something


def test_changing_a_pixel_changes_no_logits_at_it_or_before(make):
    model, x = make(3, (1, 3, 3)), torch.randint(3, (6, 1, 3, 3))
    base, order = model(x).flatten(1, -2), model.order.tolist()
    for i, place in enumerate(order[:-1]):
        other = x.flatten(1).clone()
        other[:, place] = (other[:, place] + 1) % 3
        change = (model(other.view(x.shape)).flatten(1, -2) - base).abs().amax((0, 2))
        assert (change[order[: i + 1]] == 0).all()


# --- what is seen


def reached(
    height: int, width: int, place: tuple[int, int], depth: int, first: int, kernel: int
) -> set[tuple[int, int]]:
    """Pixels from which a path leads through masked convolutions to a place, by walking the paths backwards."""

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
def test_a_pixelcnn_sees_what_its_paths_reach(depth, first, kernel):
    model = stirred(PixelCNN(2, (1, 7, 8), width=8, depth=depth, first=first, kernel=kernel))
    seen = receptive_field(model, (0, 5, 3), samples=64)[0]
    assert {tuple(place) for place in seen.nonzero().tolist()} == reached(7, 8, (5, 3), depth, first, kernel)


def test_the_plain_stack_has_a_blind_spot_at_any_depth_and_the_gated_one_has_none():
    before = torch.arange(56).view(7, 8) < 5 * 8 + 2
    plain = stirred(PixelCNN(2, (1, 7, 8), width=8, depth=9, first=3), 0.2)
    seen = receptive_field(plain, (0, 5, 2), samples=64)[0] > 0
    blind = before & ~seen
    assert blind.nonzero().tolist() == [
        [r, c] for r in range(5) for c in range(8) if c - 2 > 5 - r
    ]  # beyond the diagonal
    gated = stirred(GatedPixelCNN(2, (1, 7, 8), width=8, depth=7, first=3), 0.2)
    assert torch.equal(receptive_field(gated, (0, 5, 2))[0] > 0, before)


@pytest.mark.parametrize("name", ["ImageGPT", "MADE"])
def test_attention_and_made_see_all_that_came_before(name):
    seen = receptive_field(stirred(FAMILIES[name](2, (1, 4, 4))), (0, 2, 1))[0] > 0
    assert torch.equal(seen, torch.arange(16).view(4, 4) < 9)


def test_a_recurrence_reaches_the_first_row_where_two_convolutions_do_not():
    recurrent = stirred(PixelRNN(2, (1, 7, 7), width=8, depth=2, first=3))
    convolution = stirred(PixelCNN(2, (1, 7, 7), width=8, depth=2, first=3))
    first_row = [receptive_field(model, (0, 6, 3), samples=64)[0, 0] for model in (recurrent, convolution)]
    assert first_row[0].max() > 0 and first_row[1].max() == 0


def test_the_receptive_field_leaves_the_random_numbers_of_the_notebook_alone():
    model, state = stirred(FAMILIES["MADE"](2, (5,), classes=2)), torch.get_rng_state()
    receptive_field(model, (3,))
    assert torch.equal(torch.get_rng_state(), state)


# --- sampling


@pytest.mark.parametrize("event", [(1, 3, 3), (1, 5, 4), (1, 1, 6), (1, 6, 1), (4, 3), (1, 1, 1)])
@pytest.mark.parametrize("classes", [0, 2])
def test_a_stream_gives_the_logits_of_the_full_pass(make, event, classes):
    model, x = make(3, event, classes=classes), torch.randint(3, (4, *event))
    label = torch.arange(4) % max(1, classes)
    full = model.read(model.one_hot(x), label)
    for stream in (None, uncached):
        torch.testing.assert_close(followed(model, x, label, stream), full, atol=1e-11, rtol=0)


def test_in_single_precision_they_agree_to_1e_5(make):
    model, x = make(2, (1, 12, 12)).float(), torch.randint(2, (3, 1, 12, 12))
    full, size = model(x), max(1.0, float(model(x).detach().abs().max()))
    torch.testing.assert_close(followed(model, x, torch.zeros(3).long()), full, atol=1e-5 * size, rtol=0)


@pytest.mark.parametrize("temperature", [1.0, 0.5, 3.0])
@pytest.mark.parametrize("y", [None, 1, torch.tensor([0, 1, 1, 0, 1])])
def test_the_same_random_numbers_give_the_same_samples_cached_or_not(make, temperature, y):
    model = make(3, (1, 4, 3), classes=0 if y is None else 2)
    kept, plain = (model.sample(5, y, temperature, seeded(), stream) for stream in (None, uncached))
    assert torch.equal(kept, plain) and kept.shape == (5, 1, 4, 3) and kept.dtype == torch.long
    if temperature > 1:  # else a model may be too sure of itself
        assert not torch.equal(kept, model.sample(5, y, temperature, seeded(6)))
    x = torch.randint(3, (5, 1, 4, 3))
    known = (torch.arange(12) < 7)[model.order.argsort()].view(1, 4, 3)
    kept, plain = (model.inpaint(x, known, y, temperature, seeded(), stream) for stream in (None, uncached))
    assert torch.equal(kept, plain) and torch.equal(kept[:, known], x[:, known])


WALKED = [  # event, and sizes other than (depth, first, kernel) = (3, 7, 3): one row, one column, few columns, nothing above
    ((1, 6, 9), ()),
    ((1, 9, 5), (3, 3, 5)),
    ((8, 7), (1, 5, 3)),
    ((1, 1, 8), ()),
    ((1, 8, 1), (3, 7, 5)),
    ((1, 5, 2), (3, 7, 7)),
    ((1, 4, 4), (3, 5, 1)),
    ((1, 5, 5), (3, 1, 3)),
    ((1, 3, 4), (3, 1, 1)),
    ((1, 8, 9), (4, 7, 5)),
]


@pytest.mark.parametrize("event, sizes", WALKED)
def test_a_front_of_pixels_has_the_logits_and_the_samples_of_one_pixel_at_a_time(event, sizes):
    """The same walk with fronts of one pixel, the full pass, and a pass for each pixel; and a beginning that is given."""

    class OneByOne(PixelCNN):
        wavefronts = Autoregressive.wavefronts

    model = stirred(PixelCNN(3, event, 6, *(sizes or (3, 7, 3)), classes=2), 0.2)
    slow, x, y = copy.deepcopy(model), torch.randint(3, (4, *event)), torch.tensor([0, 1, 1, 0])
    slow.__class__ = OneByOne
    torch.testing.assert_close(followed(model, x, y), model(x, y).detach(), atol=1e-11, rtol=0)
    torch.testing.assert_close(followed(slow, x, y), model(x, y).detach(), atol=1e-11, rtol=0)
    drawn = [
        each.sample(4, y, 1.5, seeded(), stream)
        for each, stream in ((model, None), (slow, None), (model, uncached))
    ]
    assert torch.equal(drawn[0], drawn[1]) and torch.equal(drawn[0], drawn[2])
    for known in range(0, model.length + 1, 3):
        given = (torch.arange(model.length) < known).view(event)
        filled = [each.inpaint(x, given, y, generator=seeded()) for each in (model, slow)]
        assert torch.equal(*filled) and torch.equal(filled[0][:, given], x[:, given])


@pytest.mark.parametrize("event, sizes", WALKED)
def test_fronts_hold_every_place_once_and_none_that_listens_to_another(event, sizes):
    """By the gradient: what a place listens to was drawn in an earlier front."""
    model = stirred(PixelCNN(2, event, 6, *(sizes or (3, 7, 3))))
    step = torch.empty(model.length, dtype=torch.long)
    for i, front in enumerate(model.wavefronts()):
        step[front] = i
    assert torch.equal(torch.cat(model.wavefronts()).sort().values, torch.arange(model.length))
    for place in range(model.length):
        where = (0,) * (len(event) - 2) + divmod(place, event[-1])
        heard = receptive_field(model, where, samples=4).flatten() > 0
        assert (step[heard] < step[place]).all()


def test_an_image_of_784_pixels_is_136_fronts_and_of_another_network_784():
    assert len(PixelCNN(2, (1, 28, 28), width=2).wavefronts()) == 136
    assert (
        len(GatedPixelCNN(2, (1, 28, 28), width=2).wavefronts())
        == len(ImageGPT(2, (784,), width=4).wavefronts())
        == 784
    )


def frequencies(x: torch.Tensor, k: int) -> torch.Tensor:
    """How often each of all samples occurs, in the order of ``every``."""
    digits = k ** torch.arange(x[0].numel() - 1, -1, -1)
    return torch.bincount((x.flatten(1) * digits).sum(1), minlength=k ** x[0].numel()) / len(x)


def agrees(frequency: torch.Tensor, prob: torch.Tensor, n: int) -> bool:
    return bool(
        ((frequency - prob).abs() < 5 * (prob * (1 - prob) / n).sqrt() + 3 / n).all()
    )  # rare ones are counts


def test_samples_occur_as_often_as_their_probability_says(make):
    model, n = make(3, (1, 2, 2)), 20_000
    assert agrees(
        frequencies(model.sample(n, generator=seeded()), 3), model.log_prob(every(3, (1, 2, 2))).exp(), n
    )


def test_a_temperature_raises_every_conditional_to_a_power(make):
    model, x, n = make(2, (1, 2, 2)), every(2, (1, 2, 2)), 20_000
    tempered = (model(x) / 0.4).log_softmax(-1).gather(-1, x[..., None]).flatten(1).sum(1).exp()
    assert agrees(frequencies(model.sample(n, temperature=0.4, generator=seeded()), 2), tempered, n)
    assert not agrees(tempered, model.log_prob(x).exp(), n)


def test_a_tiny_temperature_is_greedy(make):
    model = make(3, (1, 3, 3))
    x = model.sample(2, temperature=1e-310)
    assert torch.equal(x, model(x).argmax(-1)) and torch.equal(x[0], x[1])


def test_completions_follow_the_conditional_distribution(make):
    model, x, n = make(2, (1, 2, 3)), every(2, (1, 2, 3)), 20_000
    known = (torch.arange(6) < 3)[model.order.argsort()].view(1, 2, 3)
    given = x[37]
    fits = (x[:, known] == given[known]).all(1)
    prob = torch.where(fits, model.log_prob(x).exp(), 0.0)
    filled = model.inpaint(given.expand(n, 1, 2, 3), known, generator=seeded())
    assert agrees(frequencies(filled, 2), prob / prob.sum(), n)


def test_completion_at_its_two_ends_and_sample_by_sample(make):
    model, x = make(3, (1, 2, 3)), torch.randint(3, (4, 1, 2, 3))
    blank = torch.zeros(1, 2, 3, dtype=torch.bool)
    assert torch.equal(model.inpaint(x, ~blank), x)
    free = model.sample(4, generator=seeded())
    assert torch.equal(model.inpaint(x, blank, generator=seeded()), free)
    each = (torch.arange(6) < torch.tensor([[0], [2], [5], [6]]))[:, model.order.argsort()].view(4, 1, 2, 3)
    filled = model.inpaint(x, each, generator=seeded())
    assert torch.equal(filled[each], x[each]) and torch.equal(filled[0], free[0]) and torch.equal(filled[3], x[3])


def test_a_symbol_is_picked_where_the_number_falls():
    prob = torch.tensor([0.2, 0.0, 0.5, 0.3], dtype=torch.float64)
    u = (torch.arange(1000).double() + 0.5) / 1000
    assert torch.bincount(sample_categorical(prob.log().expand(1000, 4), u)).tolist() == [200, 0, 500, 300]
    assert sample_categorical(prob.log().expand(2, 4), torch.tensor([0.19999, 0.20001]).double()).tolist() == [
        0,
        2,
    ]


def test_no_impossible_symbol_is_picked_at_the_very_end_of_the_interval():
    last = torch.nextafter(torch.tensor(1.0), torch.tensor(0.0)).expand(2000)
    logits = torch.randn(2000, 7)
    logits[:, -1] = -torch.inf
    assert sample_categorical(logits, last).max() <= 5
    assert sample_categorical(logits.flip(1), torch.zeros(2000)).min() == 1  # nor at its very beginning


def test_small_and_empty_batches(make):
    model = make(2, (1, 3, 3))
    assert model.sample(0).shape == (0, 1, 3, 3) and model.log_prob(model.sample(0)).shape == (0,)
    assert model.log_prob(model.sample(1)).shape == (1,)


def test_samples_can_be_trained_on_and_threads_are_given_back(make):
    model, before = make(2, (1, 3, 3)), torch.get_num_threads()
    model.loss(model.sample(2)).backward()
    assert torch.get_num_threads() == before
    assert all(p.grad is not None for p in model.parameters())


# --- training


def test_maximum_likelihood_comes_down_to_the_entropy_of_the_data():
    data = TableDistribution(torch.rand(3, 3, 3, generator=seeded(1)) ** 4, "small world")
    model = MADE(3, (3,), width=64, order=[2, 0, 1])
    start = model.loss(data.sample(1000)).item()
    fit(model, data, Recipe(800, 256, 1e-2, decay=lambda done: 1 - done))
    log_q = model.log_prob(data.sequences).double()
    cross = -(data.probs.flatten().double() * log_q).sum()
    assert start > data.entropy + 0.3
    assert 0 < cross - data.entropy < 0.01  # the forward KL, never below zero


def test_every_family_learns(make):
    model = make(2, (1, 3, 3), classes=2).float()
    x = (torch.rand(64, 1, 3, 3, generator=seeded()) < 0.9).long()
    history = fit(model, (x, torch.arange(64) % 2), Recipe(60, 64, 1e-2))
    assert history.loss[-1] < 0.9 * history.loss[0]


def test_in_bfloat16_the_loss_is_float32_and_near(make):
    model, x = make(2, (1, 3, 3)).float(), torch.randint(2, (8, 1, 3, 3))
    with torch.autocast("cpu", torch.bfloat16):
        loss = model.loss(x)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(model.loss(x).item(), rel=0.05)


@pytest.mark.parametrize("name", ["PixelCNN", "GatedPixelCNN", "PixelRNN"])
def test_in_bfloat16_every_layer_is_given_bfloat16(name):
    model, seen = FAMILIES[name](2, (1, 3, 3), classes=2).float(), []
    for layer in model.layers:
        layer.register_forward_pre_hook(lambda _, given: seen.extend(part.dtype for part in given))
    with torch.autocast("cpu", torch.bfloat16):
        model.loss(torch.randint(2, (4, 1, 3, 3)), 1)
    assert seen[0] == torch.bfloat16 and (name == "PixelRNN" or set(seen) == {torch.bfloat16})


@pytest.mark.parametrize("name", ORDERED)
def test_the_order_is_saved_with_the_weights(name):
    model, x = stirred(FAMILIES[name](2, (1, 3, 3))), every(2, (1, 3, 3))
    other = copy.deepcopy(model)
    other.order.copy_(torch.arange(9))
    assert (other.log_prob(x) - model.log_prob(x)).abs().max() > 0.1
    other.load_state_dict(model.state_dict())
    torch.testing.assert_close(other.log_prob(x), model.log_prob(x))
    assert torch.equal(other.sample(3, generator=seeded()), model.sample(3, generator=seeded()))


def test_a_model_says_what_it_is(make):
    said = repr(make(3, (1, 2, 2), classes=4))
    assert "1 x 2 x 2 places of 3 symbols" in said and "4 classes" in said and "parameters" in said


def test_a_network_of_ones_own_needs_to_say_only_what_it_reads():
    class Independent(Autoregressive):
        def read(self, seen, label):
            return self.label_embedding(label)[:, None].expand(len(seen), self.length, -1)

    model = Independent(3, (4,), width=3).double()
    assert model.log_prob(every(3, (4,))).exp().sum().item() == pytest.approx(1)
    assert model.sample(5).shape == (5, 4)
    with pytest.raises(NotImplementedError, match="define read"):
        Autoregressive(2, (4,), width=2).loss(torch.zeros(1, 4).long())


# --- bad input


def plain() -> Autoregressive:
    return MADE(2, (1, 3, 3), width=9)


def conditional_model() -> Autoregressive:
    return MADE(2, (1, 3, 3), width=9, classes=3)


ONES, TRUE = torch.ones(2, 1, 3, 3).long(), torch.ones(1, 3, 3, dtype=torch.bool)
HOLE = TRUE.clone()
HOLE[0, 1, 1] = False


@pytest.mark.parametrize(
    "ask, error, words",
    [
        (
            lambda: plain().log_prob(ONES.float() / 3),
            TypeError,
            "dtype torch.float32.*symbols.*grey values.*binarise",
        ),
        (lambda: plain().loss(ONES.bool()), TypeError, "dtype torch.bool.*integers 0 to 1"),
        (lambda: plain().log_prob([1, 0]), TypeError, "type list.*tensor"),
        (lambda: plain().log_prob(2 * ONES), ValueError, "runs from 2 to 2: expected symbols 0 to 1"),
        (lambda: plain().log_prob(-ONES), ValueError, "runs from -1 to -1"),
        (lambda: plain().log_prob(ONES[:, 0]), ValueError, r"shape \(2, 3, 3\): this MADE expects \(B, 1, 3, 3\)"),
        (lambda: plain().log_prob(ONES.to("meta")), ValueError, "x is on the device meta: expected cpu"),
        (lambda: plain().loss(ONES[:0]), ValueError, "empty batch"),
        (lambda: plain().log_prob(ONES, 1), ValueError, "knows no classes"),
        (lambda: plain().sample(2, 1), ValueError, "knows no classes"),
        (lambda: conditional_model().log_prob(ONES), ValueError, "y was not given.*3 classes"),
        (lambda: conditional_model().sample(2, 3), ValueError, "runs from 3 to 3: expected class numbers 0 to 2"),
        (lambda: conditional_model().sample(2, torch.tensor([1, 1, 1])), ValueError, r"shape \(3,\).*\(2,\)"),
        (
            lambda: conditional_model().sample(2, torch.tensor([1.0, 1.0])),
            ValueError,
            "dtype torch.float32.*class numbers",
        ),
        (lambda: plain().sample(-1), ValueError, "n is -1: expected at least 0"),
        (lambda: plain().sample(2, temperature=0), ValueError, "temperature is 0: expected.*above 0"),
        (lambda: plain().sample(2, temperature=-1.0), ValueError, "temperature is -1.0"),
        (lambda: plain().sample(2, temperature=math.nan), ValueError, "temperature is nan"),
        (lambda: plain().sample(2, temperature=math.inf), ValueError, "finite"),
        (
            lambda: plain().inpaint(ONES, HOLE),
            ValueError,
            "no beginning.*place 5 is known, and place 4, just before it",
        ),
        (
            lambda: plain().inpaint(ONES, TRUE[0]),
            ValueError,
            r"shape \(3, 3\): expected \(1, 3, 3\) or \(2, 1, 3, 3\)",
        ),
        (lambda: plain().inpaint(ONES, TRUE.long()), TypeError, "known has dtype torch.int64.*booleans"),
        (lambda: plain().inpaint(ONES, 4), TypeError, "known has type int"),
        (lambda: plain().inpaint(ONES[:, :, :2], TRUE), ValueError, r"x has shape \(2, 1, 2, 3\)"),
        (lambda: receptive_field(plain(), (1, 1)), ValueError, r"place is \(1, 1\).*each axis of \(1, 3, 3\)"),
        (lambda: receptive_field(plain(), (0, 3, 1)), ValueError, "place is"),
        (lambda: MADE(2, (3,), order=[0, 1, 1]), ValueError, r"order is \[0, 1, 1\].*permutation of 0 to 2"),
        (lambda: ImageGPT(2, (3,), order=[0, 1]), ValueError, "permutation of 0 to 2"),
        (lambda: MADE(2, (3,), order=[0.0, 1.0, 2.0]), ValueError, "permutation"),
        (lambda: MADE(0, (3,)), ValueError, "vocabulary is 0"),
        (lambda: MADE(2, ()), ValueError, "axis of the event is 0"),
        (lambda: MADE(2, (3,), depth=0), ValueError, "depth is 0"),
        (lambda: MADE(2, (3,), classes=-1), ValueError, "classes is -1"),
        (
            lambda: PixelCNN(2, (3, 5, 5)),
            ValueError,
            r"event is \(3, 5, 5\): PixelCNN expects images of one channel",
        ),
        (lambda: PixelCNN(2, (5,)), ValueError, "one channel"),
        (lambda: PixelCNN(2, (1, 5, 5), depth=0), ValueError, "depth is 0"),
        (lambda: GatedPixelCNN(2, (1, 5, 5), depth=1), ValueError, "depth is 1: expected at least 2"),
        (lambda: PixelRNN(2, (1, 5, 5), depth=1), ValueError, "depth is 1: expected at least 2"),
        (lambda: ImageGPT(2, (1, 5, 5), depth=0), ValueError, "depth is 0"),
        (lambda: ImageGPT(2, (1, 5, 5), width=10, heads=4), ValueError, "4 heads do not divide"),
    ],
)
def test_wrong_input_is_answered_in_sentences(ask, error, words):
    with pytest.raises(error, match=words):
        ask()


def test_a_hole_is_judged_in_the_order_of_the_model():
    """What is no beginning row by row is one where the hole comes last."""
    model = MADE(2, (1, 3, 3), width=9, order=[0, 1, 2, 3, 5, 6, 7, 8, 4])
    assert torch.equal(model.inpaint(ONES, HOLE)[:, HOLE], ONES[:, HOLE])


def test_broken_weights_are_named_and_not_sampled_from(make):
    model = make()
    with torch.no_grad():
        model.label_embedding.weight.fill_(math.nan)
    with pytest.raises(ValueError, match="NaN"):
        model.sample(2)
