"""Weights that come with the course: each loads, is small, has a full card, and does what its card says."""

from __future__ import annotations

import pytest
import torch

from dgm_course import data, pretrained
from dgm_course.path_models import heun_to_data
from dgm_course.paths import ancestral

NAMES = pretrained.names()
SAMPLERS = {"flow_matching_digits": (8, heun_to_data), "ddpm_digits": (20, ancestral), "ncsn_digits": (40, ancestral)}


@pytest.fixture(scope="module")
def images():
    return data.mnist()


@pytest.mark.parametrize("name", NAMES)
def test_the_file_is_small_and_its_card_is_full(name):
    file, card = pretrained.FOLDER / f"{name}.safetensors", pretrained.card(name)
    assert file.stat().st_size < 2 * 2**20
    assert {"data", "images", "steps", "seed", "device", "seconds", "command", "held_out"} <= set(card)
    assert card["command"].startswith(f"dgm train {name}") and "protocol" in card["held_out"]


def test_all_weights_together_are_small_and_none_is_left_over():
    files = {file.stem for file in pretrained.FOLDER.glob("*.safetensors")}
    assert files == set(NAMES) == {file.stem for file in pretrained.FOLDER.glob("*.json")}
    assert sum(file.stat().st_size for file in pretrained.FOLDER.iterdir()) < 20 * 2**20


@pytest.mark.parametrize("name", NAMES)
def test_the_recipe_makes_a_model_that_the_weights_fit(name):
    model = pretrained.load(name)
    assert not model.training and not any(p.requires_grad for p in model.parameters())
    assert sum(p.numel() for p in model.parameters()) == sum(p.numel() for p in pretrained.entry(name).blank().parameters())
    assert pretrained.entry(name).recipe().steps == pretrained.card(name)["steps"] or name == "digit_classifier"


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(KeyError, match="no weights called 'gpt'; there are absorbing_digits, ddpm_digits"):
        pretrained.load("gpt")


def test_the_classifier_is_as_good_as_its_card(images):
    now = pretrained.accuracy(pretrained.load("digit_classifier"), images)["accuracy"]
    assert now > 0.985


@pytest.mark.parametrize("name", SAMPLERS)
def test_digits_of_a_class_are_recognised_as_that_class(name, images):
    steps, method = SAMPLERS[name]
    torch.manual_seed(0)
    labels = pretrained.balanced(60, images.test)
    with torch.no_grad():
        fake = pretrained.load(name).given(labels, pretrained.GUIDANCE).sample(60, steps, method)
        right = (pretrained.load("digit_classifier")(fake).argmax(1) == labels).float().mean()
    assert fake.shape == (60, 1, 28, 28) and right > 0.85


def test_the_masked_model_has_the_nats_of_its_card(images):
    told = pretrained.card("absorbing_digits")["held_out"]
    now = pretrained.nats(pretrained.load("absorbing_digits"), images.test[::8], draws=4)
    assert abs(now["nats"] - told["nats"]) < 5 * (now["standard_error"] ** 2 + told["standard_error"] ** 2) ** 0.5
    assert told["nats"] < 95 and "Bernoulli" in told["protocol"] and "continuous time" in told["protocol"]


def test_fewer_steps_are_never_better_than_one_token_at_a_time(images):
    model, few = pretrained.load("absorbing_digits"), images.test[::40]
    bounds = [pretrained.nats(model, few, draws=draws, steps=steps)["nats"] for steps, draws in ((1, 4), (4, 2), (16, 1))]
    assert bounds[0] > bounds[1] > bounds[2] > pretrained.nats(model, few, draws=16)["nats"] - 3
