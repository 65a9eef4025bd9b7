"""Blocks of pixels as symbols: one to one, so a probability of symbols is one of pixels; and the worlds of notebook 01."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from dgm_course import data
from dgm_course.autoregressive import ImageGPT, PatchModel, PixelCNN


@pytest.fixture
def model():
    torch.manual_seed(0)
    return PatchModel(ImageGPT(16, (1, 2), width=16, depth=1, heads=2)).double()


def every_image():
    return torch.tensor(list(itertools.product((0, 1), repeat=8))).view(-1, 1, 2, 4)


def test_symbols_and_pixels_are_one_to_one(model):
    images = every_image()
    symbols = model.symbols(images)
    assert torch.equal(model.pixels(symbols), images)
    assert len({tuple(s.flatten().tolist()) for s in symbols}) == 256 and int(symbols.max()) == 15


def test_the_top_left_pixel_counts_most(model):
    image = torch.zeros(1, 1, 2, 4, dtype=torch.long)
    image[0, 0, 0, 2], image[0, 0, 1, 3] = 1, 1
    assert model.symbols(image).tolist() == [[[0, 8 + 1]]]


def test_the_probabilities_of_all_images_sum_to_one(model):
    with torch.no_grad():
        assert float(model.log_prob(every_image()).exp().sum()) == pytest.approx(1, abs=1e-12)
        assert float(model.loss(every_image())) == pytest.approx(-float(model.log_prob(every_image()).mean()))


def test_samples_follow_log_prob(model):
    x = model.sample(40_000, generator=torch.Generator().manual_seed(1))
    worth = 2 ** torch.arange(7, -1, -1)
    counts = torch.bincount((x.flatten(1) * worth).sum(1), minlength=256) / len(x)
    p = model.log_prob(every_image()).exp().detach()
    assert ((counts - p).abs() < 5 * (p * (1 - p) / len(x)).sqrt() + 1e-4).all()


def test_completion_keeps_whole_blocks_and_refuses_half_ones(model):
    x = every_image()[-1:].expand(3, 1, 2, 4)
    known = (torch.arange(4) < 2).expand(1, 2, 4)
    assert torch.equal(model.inpaint(x, known)[..., :2], x[..., :2])
    with pytest.raises(ValueError, match="known cuts through a block of 2 x 2 pixels"):
        model.inpaint(x, (torch.arange(4) < 1).expand(1, 2, 4))


@pytest.mark.parametrize(
    "wrong, words",
    [
        (lambda m: PatchModel(ImageGPT(2, (1, 2), 8, 1, 2)), "2 symbols in shape .1, 2.: expected 2.*symbols"),
        (lambda m: m.log_prob(torch.rand(2, 1, 2, 4)), "expected black and white pixels"),
        (lambda m: m.symbols(torch.zeros(2, 1, 4, 4).long()), r"black and white pixels, integers \(B, 1, 2, 4\)"),
        (
            lambda m: m.symbols(torch.tensor([0, 2, 2, 2]).expand(1, 1, 2, 4)),
            "x runs from 0 to 2: expected pixels",
        ),
    ],
)
def test_wrong_input(model, wrong, words):
    with pytest.raises(ValueError, match=words):
        wrong(model)


def test_a_raster_model_of_blocks():
    model = PatchModel(PixelCNN(16, (3, 3), width=8, depth=2))
    assert model.sample(2).shape == (2, 1, 6, 6)
    assert "blocks of 2 x 2 pixels as symbols of PixelCNN" in repr(model)


# --- the worlds of notebook 01


def test_little_images_are_a_mixture_of_lines():
    world = data.little_images(0.1)
    level = torch.tensor([[0, 0, 0, 1, 1, 1, 0, 0, 0]])
    by_hand = (0.9**9 + 2 * 0.9**3 * 0.1**6 + 3 * 0.9**5 * 0.1**4) / 6  # levels differ in 6 pixels, uprights in 4
    assert float(world.log_prob(level)) == pytest.approx(math.log(by_hand), rel=1e-5)
    assert float(world.probs.sum()) == pytest.approx(1, abs=1e-5) and world.event == (9,)
    for flip in (0, 0.5, -1):
        with pytest.raises(ValueError, match=f"flip is {flip}: expected a chance above 0 and below 1/2"):
            data.little_images(flip)


def test_shrink_takes_means_of_four():
    images = torch.full((1, 1, 28, 28), -1.0)
    images[..., 4:6, 4:6] = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
    images[..., :4, :] = 1.0  # outside of the middle
    small = data.shrink_to_10x10(images)
    assert small.shape == (1, 1, 10, 10) and float(small[0, 0, 0, 0]) == 0.5 and float(small.sum()) == 0.5 - 99
    with pytest.raises(ValueError, match="images has shape"):
        data.shrink_to_10x10(torch.zeros(1, 1, 10, 10))
