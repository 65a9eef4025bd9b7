"""Pictures of vector quantization: they draw what they are given, and say it in words."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dgm_course.teach import plots
from dgm_course.teach.plots import vq as vq_plots


def test_unused_vectors_are_crosses():
    vectors, points = torch.tensor([[-1.0, 0.0], [1.0, 0.0], [3.5, 3.5]]), torch.tensor([[-1.2, 0.1], [0.8, -0.3]])
    ax = vq_plots.cells(vectors, points=points, marked=1, ax=plots.panels(1)[0])
    clouds = {tuple(map(tuple, np.round(part.get_offsets(), 3))) for part in ax.collections}
    assert ((-1.0, 0.0), (1.0, 0.0)) in clouds and ((3.5, 3.5),) in clouds and ((1.0, 0.0),) in clouds


def test_like_vectors_have_like_shades_and_all_differ():
    vectors = torch.stack([torch.linspace(0, 1, 9), 0.1 * torch.randn(9)], 1)
    shade = vq_plots.shades(vectors)
    assert shade.unique().numel() == 9 and float(shade.min()) == 0 and float(shade.max()) == 1
    steps = shade.diff()
    assert bool((steps > 0).all() or (steps < 0).all())  # along the line of most variance


def test_only_exact_zero_is_written_as_zero():
    norms = {"one": {"a": 0.0, "b": 2.5}, "two": {"a": 1e-9, "b": 0.0}}
    ax = vq_plots.moves(norms, ax=plots.panels(1)[0])
    assert [text.get_text() for text in ax.texts] == ["0", "2.5", "1e-09", "0"]


def test_staircase_shows_the_cost_of_each_vector():
    vectors, cost = torch.tensor([[-1.0], [0.5], [2.0]]), lambda z: (z - 1) ** 2
    ax = vq_plots.staircase(vectors, cost, torch.tensor([0.0, 1.8]), ax=plots.panels(1)[0])
    heights = np.unique(np.round(ax.lines[1].get_ydata()[np.isfinite(ax.lines[1].get_ydata())], 4))
    assert np.allclose(heights, sorted(cost(vectors[:, 0]).tolist())) and len(ax.texts) == 2


def test_the_titles_count_the_dead():
    shown = vq_plots.usage({"all": torch.full((4,), 0.25), "one": torch.tensor([1.0, 0, 0, 0])}, alt="usage")
    assert [ax.get_title() for ax in shown.figure.axes] == ["all: 0 of 4 dead", "one: 3 of 4 dead"]
    assert shown.alt == "usage"


def test_rows_hold_images_and_codes():
    shown = vq_plots.rows({"pictures": torch.zeros(3, 1, 8, 8), "codes": torch.randint(5, (3, 2, 2))}, alt="rows")
    assert [ax.get_title(loc="left") for ax in shown.figure.axes] == ["pictures", "codes"] and shown.png()


def test_shares_are_stacked_to_one():
    tables = [torch.rand(4, 3).softmax(1), torch.full((2, 3), 1 / 3)]
    ax = vq_plots.shares(tables, names=["a", "b"], ax=plots.panels(1)[0])
    tops = {round(bar.get_x(), 2): 0.0 for bar in ax.patches}
    for bar in ax.patches:
        tops[round(bar.get_x(), 2)] = max(tops[round(bar.get_x(), 2)], bar.get_y() + bar.get_height())
    assert list(tops.values()) == pytest.approx([1.0] * 6)
