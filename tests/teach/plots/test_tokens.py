"""Pictures of models that write codes: each shows what it is given, in its place."""

from __future__ import annotations

import math

import numpy as np
import torch
from matplotlib.figure import Figure

from dgm_course.latent import block_causal_mask
from dgm_course.nets import angles
from dgm_course.teach import plots
from dgm_course.teach.plots import tokens as token_plots


def test_dials_turn_counterclockwise_fastest_on_top():
    ax = token_plots.dials(angles(torch.arange(5), 6), ax=Figure().subplots())
    hands = ax.collections[0]
    assert len(hands.U) == 15 and len(ax.patches) == 15
    where = {tuple(place): (u, v) for place, u, v in zip(hands.XY.tolist(), hands.U, hands.V)}
    assert np.allclose(where[0, 2], (0.4, 0)) and np.allclose(where[1, 2], (0.4 * math.cos(1), 0.4 * math.sin(1)))
    assert where[1, 2][1] > where[1, 1][1] > where[1, 0][1] > 0  # the fastest pair is drawn highest
    assert [text.get_text() for text in ax.get_yticklabels()] == ["pair 0", "pair 1", "pair 2"]


def test_query_and_key_share_a_dial():
    picture = token_plots.hands(torch.randn(3, 2), torch.randn(3, 2), ["a", "b", "c"], alt="dials")
    assert [ax.get_title() for ax in picture.figure.axes] == ["a", "b", "c"] and picture.alt == "dials"
    colours = [text.arrow_patch.get_edgecolor() for text in picture.figure.axes[0].texts]
    assert len(set(colours)) == 2


def test_masks_have_lines_between_blocks():
    allowed = block_causal_mask((1, 2, 3))
    past = torch.ones(20, 20).tril().bool()
    picture = token_plots.masks({"blocks": (allowed, [1, 4, 9]), "past": (past, [1] * 20)}, "two")
    first, second = picture.figure.axes
    assert (
        np.array_equal(first.images[0].get_array(), allowed.numpy()) and len(first.lines) == 4 and not second.lines
    )
    assert [text.get_text() for text in first.get_yticklabels()] == ["", "2 × 2", "3 × 3"]


def test_pyramid_holds_maps_and_images():
    maps = [torch.tensor([[[0]], [[1]]]), torch.tensor([[[0, 1], [1, 0]], [[1, 1], [0, 0]]])]
    pictures = [torch.full((2, 1, 28, 28), value) for value in (-1.0, 1.0)]
    picture = token_plots.pyramid(maps, pictures, torch.tensor([0.0, 1.0]), torch.zeros(2, 1, 28, 28), "a pyramid")
    sheet = picture.figure.axes[0].images[0].get_array()
    colours = {tuple(np.round(sheet[row, 5], 3)) for row in (5, 36)}
    assert len(colours) == 2 and np.allclose(sheet[5, 34], 1) and np.allclose(sheet[5, 95], 0)  # paper, then ink
    assert [text.get_text() for text in picture.figure.axes[0].texts] == ["1 × 1", "2 × 2", "original"]
    assert isinstance(picture, plots.Picture) and picture.png()[:4] == b"\x89PNG"
