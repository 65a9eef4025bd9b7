"""The measured overview: counts that the design tells, figures called by hand, rules on both sides of their border."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
import torch
from torch import nn

from dgm_course import data, pretrained
from dgm_course.comparison import COLUMNS, LECTURE, SYSTEMS, ModelSpec, agreement, available, marks, survey
from dgm_course.comparison.counting import counted, one_thread
from dgm_course.comparison.measure import Evaluator, likelihood, spread
from dgm_course.comparison.models import BITS, GREYS
from dgm_course.comparison.table import AGREES, DISAGREES, LEFT_OPEN, NO_WORD, ROW_OF, verdict
from dgm_course.core import metrics
from dgm_course.core.tensors import threads_for

BY_NAME = {system.name: system for system in SYSTEMS}
QUICK = [BY_NAME[name] for name in ("VAE", "VAE, bits drawn", "DCGAN", "RealNVP")]


@pytest.fixture(scope="module")
def images():
    return data.mnist()


@pytest.fixture(scope="module")
def rows(images):
    torch.manual_seed(0)
    return survey(images, 40, 10, QUICK)


# --- systems


@pytest.mark.slow
@pytest.mark.parametrize("system", available(), ids=lambda system: system.name)
def test_every_system_draws_digits_as_it_says(system):
    torch.manual_seed(0)
    model = system.load()
    with counted(system.parts(model)) as counter:
        x, z, y = system.sample_digits(model, 2)
    assert x.shape == (2, 1, 28, 28) and -1 <= float(x.min()) and float(x.max()) <= 1 and y.tolist() == [0, 1]
    assert (z is None) == (system.source is None) and counter.samples > 1.99
    assert system.color_mode == GREYS or set(x.unique().tolist()) <= {-1.0, 1.0}


@pytest.mark.parametrize(
    "name, passes",
    [
        ("PixelCNN", 784),
        ("ImageGPT", 196),
        ("VAE", 1),
        ("VQ-VAE with prior", 49 + 1),
        ("DCGAN", 1),
        ("RealNVP", 1),
        ("DDIM, same weights", 15),
        ("flow matching", 2 * 8 - 1),
    ],
)
def test_passes_are_those_of_the_design(name, passes):
    system = BY_NAME[name]
    model = system.load()
    with counted(system.parts(model)) as counter:
        system.sample_digits(model, 3)
    assert counter.samples / 3 == pytest.approx(passes)


def test_counting_leaves_no_trace():
    system = BY_NAME["PixelCNN"]
    model = system.load()
    kind, hooks = type(model), len(model._forward_hooks)
    with counted(system.parts(model)) as counter:
        model.log_prob(torch.zeros(2, 1, 28, 28).long())
    before = counter.samples
    system.sample_digits(model, 1)
    assert type(model) is kind and len(model._forward_hooks) == hooks and counter.samples == before == 2


def test_counted_autoregression_draws_what_it_draws_uncounted():
    system = BY_NAME["PixelCNN"]
    model = system.load()
    torch.manual_seed(3)
    plain = system.sample_digits(model, 2)[0]
    torch.manual_seed(3)
    with counted(system.parts(model)):
        assert torch.equal(system.sample_digits(model, 2)[0], plain)
        assert type(model) is type(system.load())
    assert "iter_logits" not in vars(model)


def test_measuring_takes_one_thread_and_gives_the_others_back(monkeypatch):
    for allowed in (None, "2"):
        if allowed is None:
            monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        else:
            monkeypatch.setenv("OMP_NUM_THREADS", allowed)
        before = torch.get_num_threads()
        with one_thread(), threads_for(None), threads_for(nn.Linear(1000, 1000)):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == before and os.environ.get("OMP_NUM_THREADS") == allowed


def test_a_list_of_networks_counts_as_one():
    parts = [nn.Linear(2, 2) for _ in range(4)]
    with counted([parts, nn.Identity()]) as counter:
        for part in parts:
            part(torch.zeros(5, 2))
    assert counter.samples == pytest.approx(5)


def test_a_system_whose_weights_are_missing_is_absent():
    attic = ModelSpec(
        "attic", "none", ("attic_digits",), lambda model, n, y: torch.zeros(n, 1, 28, 28), lambda model: []
    )
    assert attic not in available((*SYSTEMS, attic)) and BY_NAME["VAE"] in available((*SYSTEMS, attic))
    assert all(system in available() for system in SYSTEMS if set(system.weights) <= set(pretrained.names()))


def test_every_repr_says_what_it_is():
    assert (
        repr(BY_NAME["DDPM"])
        == "DDPM (diffusion, told the class, 20 steps of ancestral): by an ODE likelihood, pixels"
    )


# --- figures


def test_figures_are_those_of_the_measures(rows, images):
    row = rows[2]
    judge = pretrained.load("digit_classifier")
    with torch.no_grad():
        real, ours = judge.features(spread(images.test, images.test_labels, 40)), judge.features(row.samples)
    found = metrics.precision_recall_coverage(real, ours, 5)
    assert tuple(row.quality[:3]) == pytest.approx(tuple(found))
    assert row.quality.frechet == pytest.approx(metrics.frechet_distance(ours, real))
    assert row.n == len(row.samples) == 40 and row.seconds > 0 and row.passes == pytest.approx(1)


def test_bits_have_a_floor_of_their_own(rows):
    greys, bits = rows[0].floor, rows[1].floor
    assert rows[2].floor == greys != bits and bits.frechet > 0


def test_the_floor_is_what_a_sampler_of_real_digits_would_reach(images):
    judge = Evaluator(images, 60)
    others = spread(images.train, images.train_labels, 60)
    assert judge.compare(others, GREYS) == judge.floor[GREYS]
    same = judge.compare(judge.pixels, GREYS)
    assert same.precision == same.recall == same.coverage == 1.0 and same.frechet == pytest.approx(0, abs=1e-6)
    assert set(judge.real) == {GREYS, BITS}


def test_spread_takes_the_classes_in_turn(images):
    x, y = torch.arange(40.0).view(40, 1, 1, 1), torch.arange(40) % 10
    shuffled = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    chosen = spread(x[shuffled], y[shuffled], 20).flatten().long()
    assert (chosen % 10).tolist() == list(range(10)) * 2


def test_likelihoods_are_means_over_the_images(rows, images):
    flow = BY_NAME["RealNVP"]
    torch.manual_seed(5)
    result = likelihood(flow, flow.load(), images, 30)
    torch.manual_seed(5)
    bits = metrics.bits_per_dim(-pretrained.load("flow_digits").log_prob(images.test[:30]), 784)
    assert result.value == pytest.approx(float(bits.mean()), rel=1e-5) and result.passes == pytest.approx(1)
    assert result.error == pytest.approx(float(bits.std() / 30**0.5), rel=1e-4)
    assert rows[2].likelihood_result is None and rows[0].likelihood_result.passes == pytest.approx(8)


def test_an_image_faded_into_another_is_less_often_recognised_than_real_ones(rows, images):
    judge = Evaluator(images, 80)
    middle, path_length_ratio = judge.faded()
    assert middle < 0.8 < judge.recognised(judge.pixels) and path_length_ratio >= 1
    assert rows[0].latent is not None and rows[1].latent is None and rows[0].latent.path_length_ratio >= 1


@pytest.mark.parametrize(
    "n, rounds, words",
    [
        (41, 2, "n is 41 and rounds 2"),
        (4, 4, "n is 4 and rounds 4"),
        (2000, 2, "at most 1000 test images"),
        (4, 2, "more than the 5 neighbours"),
    ],
)
def test_sizes_that_cannot_be_are_refused(images, n, rounds, words):
    with pytest.raises(ValueError, match=words):
        survey(images, n, 10, QUICK[:1], rounds)


# --- marks


def test_a_mark_follows_its_figure_across_the_rule(rows):
    row = rows[2]
    sign = lambda changed, column: marks([changed, *rows[:2]])[row.name][column].sign
    for column, field in (("sample quality", "precision"), ("coverage", "coverage")):
        real = getattr(row.floor, field)
        for value, wanted in ((0.9 * real + 1e-6, "✓"), (0.9 * real - 1e-6, "✗")):
            assert sign(replace(row, quality=row.quality._replace(**{field: value})), column) == wanted
    latent = row.latent
    for middle, wanted in ((0.9 * latent.own + 1e-6, "✓"), (0.9 * latent.own - 1e-6, "✗")):
        assert sign(replace(row, latent=latent._replace(middle=middle)), "well-behaved latent") == wanted
    for one, wanted in ((0.26, "✓"), (0.24, "✗")):
        assert sign(replace(row, latent=latent._replace(one=one, all=0.5)), "disentangled latent") == wanted
    assert sign(replace(row, latent=latent._replace(one=0.0, all=0.0)), "disentangled latent") == "✗"
    assert sign(replace(row, latent=None), "disentangled latent") == "–"


def test_speed_is_judged_by_the_slowest(rows):
    slow = replace(rows[3], seconds=1.0)
    table = marks([replace(rows[0], seconds=0.04), replace(rows[2], seconds=0.06), slow])
    assert [row["efficient"].sign for row in table.values()] == ["✓", "✗", "✗"]


def test_likelihood_is_efficient_where_exact_in_one_pass(rows):
    table = marks(rows)
    assert {name: row["efficient likelihood"].sign for name, row in table.items()} == {
        "VAE": "✗",
        "VAE, bits drawn": "✗",
        "DCGAN": "n/a",
        "RealNVP": "✓",
    }


def test_the_lectures_table_is_the_slides():
    assert LECTURE == {
        "GANs": ("✓", "✓", "✗", "✓", "?", "n/a"),
        "VAEs": ("✓", "✗", "?", "✓", "?", "✗"),
        "Flows": ("✓", "✗", "?", "✓", "?", "✓"),
        "Diffusion": ("✗", "✓", "?", "✗", "✗", "✗"),
    }
    assert set(ROW_OF.values()) == set(LECTURE) and len(COLUMNS) == 6


def test_verdicts_and_their_count(rows):
    assert (verdict("✓", "✓"), verdict("✓", "✗"), verdict("✗", "?")) == (AGREES, DISAGREES, LEFT_OPEN)
    assert verdict("–", "✓") == verdict("✓", "") == NO_WORD and verdict("n/a", "n/a") == AGREES
    table = marks(rows)
    counts = agreement(table)
    assert sum(counts.values()) == 24 - 2  # of six columns and four systems, two were not measured
    with pytest.raises(ValueError, match="no rows"):
        marks([])
