"""Pictures of what a place may see: each draws what it was given."""

from __future__ import annotations

import torch
from matplotlib.patches import Rectangle

from dgm_course.nets import raster_mask
from dgm_course.teach import plots
from dgm_course.teach.plots import history as history_plots


def test_taps_write_every_number_and_frame_the_centre():
    ax = plots.panels(1)[0]
    history_plots.mask_taps(raster_mask("A", 3, 5), ax=ax)
    assert [text.get_text() for text in ax.texts] == list("111111100000000")
    assert (ax.patches[-1].get_x(), ax.patches[-1].get_y()) == (1.5, 0.5)


def test_reach_hatches_pixels_without_influence():
    felt = torch.zeros(4, 4)
    felt[0, 1], felt[1, 0] = 1.0, 1e-9
    ax = plots.panels(1)[0]
    history_plots.reach(felt, (1, 2), ax=ax)
    hatched = {
        (p.get_y() + 0.5, p.get_x() + 0.5) for p in ax.patches if isinstance(p, Rectangle) and p.get_hatch()
    }
    assert hatched == {(0, 0), (0, 2), (0, 3), (1, 1)}
    shade = ax.images[0].get_array()
    assert shade[0, 1] > shade[1, 0] > 0 == shade[3, 3]


def test_wavefronts_frame_the_pixels_of_one_step():
    ax = plots.panels(1)[0]
    history_plots.wavefronts(torch.arange(3)[None] + 2 * torch.arange(3)[:, None], 2, ax=ax)
    assert [text.get_text() for text in ax.texts] == list("012234456")
    assert {(p.get_y() + 0.5, p.get_x() + 0.5) for p in ax.patches} == {(0, 2), (1, 0)}


def test_small_images_are_shown_in_their_shades():
    picture = history_plots.small_images(torch.tensor([[[0, 1], [2, 0]]] * 3), columns=2, alt="three")
    axes = picture.figure.axes[0]
    assert len(axes.images) == 3 and picture.alt == "three"
    assert [round(float(v), 2) for v in axes.images[0].get_array().flatten()] == [1.0, 0.1, 0.72, 1.0]
    assert len(picture.png()) > 300
