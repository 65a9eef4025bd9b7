"""Pictures of latent spaces: every class is named where it lies, and points wear the colours of who claims them."""

from __future__ import annotations

import pytest
import torch
from matplotlib.colors import to_rgb

from dgm_course.core.distributions import Mixture
from dgm_course.teach import plots
from dgm_course.teach.plots import latent as latent_plots


def test_every_class_is_written_where_it_lies():
    labels = torch.arange(10).repeat_interleave(20)
    z = labels[:, None] * torch.tensor([0.3, -0.1]) + 0.01 * torch.randn(200, 2)
    (ax,) = plots.panels(1)
    latent_plots.codes(z, labels, ax=ax, circle=2.0)
    written = {text.get_text(): text.get_position() for text in ax.texts}
    assert sorted(written) == [str(k) for k in range(10)]
    assert written["4"][0] == pytest.approx(1.2, abs=0.02) and written["4"][1] == pytest.approx(-0.4, abs=0.02)
    assert ax.get_xlabel() and ax.get_ylabel() and len(ax.patches) == 1 and len(set(latent_plots.TEN)) == 10


def test_split_class_is_written_in_one_place():
    z = torch.cat([torch.full((30, 2), -2.0), torch.full((20, 2), 2.0)]) + 0.05 * torch.randn(50, 2)
    (ax,) = plots.panels(1)
    latent_plots.codes(z, torch.zeros(50).long(), ax=ax)
    assert ax.texts[0].get_position() == pytest.approx((-2.0, -2.0), abs=0.3)


def test_codes_without_labels_are_grey_and_unnamed():
    (ax,) = plots.panels(1)
    latent_plots.codes(torch.randn(20, 2), None, ax=ax)
    assert not ax.texts and tuple(ax.collections[0].get_facecolors()[0, :3]) == pytest.approx(to_rgb(plots.GREY))


def test_points_have_mixed_component_colours():
    mixture = Mixture(torch.ones(2), torch.tensor([[-1.0, 0.0], [1.0, 0.0]]), 0.5)
    (ax,) = plots.panels(1)
    latent_plots.shared(torch.zeros(3, 2), mixture, torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]), ax=ax)
    first, second, both = ax.collections[0].get_facecolors()[:, :3]
    assert tuple(first) == pytest.approx(to_rgb(plots.SERIES[0]))
    assert tuple(second) == pytest.approx(to_rgb(plots.SERIES[1]))
    assert both == pytest.approx((first + second) / 2) and len(ax.patches) == 2
    assert ax.patches[0].width == pytest.approx(2.0)  # two deviations to either side


def test_codes_make_a_picture_with_alt():
    shown = latent_plots.codes(torch.randn(30, 2), torch.arange(30) % 3, title="codes")
    assert shown.alt.startswith("codes") and shown.png()[:4] == b"\x89PNG"
