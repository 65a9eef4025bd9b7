"""Every picture: drawn into given axes, with its alternative text, and with the same bytes for the same data."""

import base64

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from dgm_course.core.distributions import Mixture
from dgm_course.paths import VP, Conical
from dgm_course.teach import plots
from dgm_course.teach.plots.style import Picture
from dgm_course.teach.widgets.progress import _line, progress
from dgm_course.training import History, Recipe

RNG = torch.Generator().manual_seed(0)
DATA = Mixture(torch.ones(2), torch.tensor([[-1.5, 0.5], [1.0, 1.0]]), 0.5, "data")
EXACT = Conical().exact(DATA.to(torch.float64))
CLOUD, OTHER = torch.randn(40, 2, generator=RNG), torch.randn(40, 2, generator=RNG)
TRAJECTORY = torch.randn(9, 40, 2, generator=RNG).cumsum(0)
DIGITS = torch.rand(7, 1, 8, 8, generator=RNG) * 2 - 1
SERIES = {"a": ([1, 2, 4], [3, 2, 1], [0.1, 0.2, 0.1]), "floor": ([1, 4], [1, 1])}
RUN = History(Recipe(100), {"model": torch.linspace(2, 1, 100)}, step=100)

INTO_AXES = {
    "points": lambda **k: plots.points(CLOUD, **k),
    "density_map": lambda **k: plots.density_map(EXACT.data.log_prob, **k),
    "heat": lambda **k: plots.heat(torch.arange(-12.0, 13.0), **k),
    "arrows": lambda **k: plots.arrows(lambda x, t: -x * t, 0.5, **k),
    "weighted arrows": lambda **k: plots.arrows(Conical().exact(DATA), 0.5, weight=EXACT.data.log_prob, **k),
    "flow": lambda **k: plots.flow(EXACT, 0.5, **k),
    "vote": lambda **k: plots.vote(torch.zeros(2), CLOUD, torch.softmax(CLOUD[:, 0], 0), **k),
    "conditional_paths": lambda **k: plots.conditional_paths(CLOUD, OTHER, **k),
    "trajectories": lambda **k: plots.trajectories(TRAJECTORY, **k),
    "curves": lambda **k: plots.curves(SERIES, xlabel="steps", ylabel="distance", log="x", **k),
    "bars": lambda **k: plots.bars({"one": 1.0, "exact": 2.0}, ylabel="cost", spread=[0.1, 0.2], **k),
    "losses": lambda **k: plots.losses(RUN, RUN, **k),
    "images": lambda **k: plots.images(DIGITS, columns=3, **k),
}
WHOLE = {
    "snapshots": lambda: plots.snapshots(TRAJECTORY, torch.linspace(0, 1, 9), "snapshots", exact=EXACT.marginal),
    "gallery": lambda: plots.gallery({"ours": DIGITS, "real": DIGITS[:3]}, "a gallery", columns=4),
    "schedules": lambda: plots.schedules({"conical": Conical(), "VP": VP()}, "two schedules"),
    "shown": lambda: plots.shown(plots.panels(3), "three empty panels"),
}


def axes() -> Axes:
    return Figure((2, 2)).subplots()


@pytest.mark.parametrize("name", INTO_AXES)
def test_given_axes_are_drawn_into_and_returned(name):
    ax = axes()
    assert INTO_AXES[name](ax=ax, title="Title") is ax and ax.get_title() == "Title"
    assert ax.has_data()


@pytest.mark.parametrize("name", INTO_AXES)
def test_without_axes_there_is_a_picture_with_words(name):
    picture = INTO_AXES[name]()
    assert isinstance(picture, Picture) and len(picture.alt) > 10 and picture.alt == repr(picture)
    assert INTO_AXES[name](alt="words of my own").alt == "words of my own"
    assert INTO_AXES[name](title="Before").alt == f"Before: {picture.alt}"


@pytest.mark.parametrize("name", [*INTO_AXES, *WHOLE])
def test_the_same_data_give_the_same_bytes(name):
    make = (INTO_AXES | WHOLE)[name]
    one, other = make().png(), make().png()
    assert one == other and one.startswith(b"\x89PNG") and len(one) > 500


@pytest.mark.parametrize("name", WHOLE)
def test_whole_figures_carry_their_words_into_the_notebook(name):
    picture = WHOLE[name]()
    bundle, about = picture._repr_mimebundle_()
    assert base64.b64decode(bundle["image/png"]) == picture.png()
    assert bundle["text/plain"] == about["image/png"]["alt"] == picture.alt != ""


def test_colours_mean_what_they_say():
    assert to_hex(plots.points(CLOUD, ax=axes()).collections[0].get_facecolor()[0]) == plots.INK
    lines, source, data = plots.trajectories(TRAJECTORY, ax=axes()).collections[:3]
    assert to_hex(lines.get_color()[0]) == plots.BLUE.lower()
    assert (to_hex(source.get_facecolor()[0]), to_hex(data.get_facecolor()[0])) == (plots.GREY, plots.INK)
    assert np.allclose(source.get_offsets(), TRAJECTORY[0]) and np.allclose(data.get_offsets(), TRAJECTORY[-1])
    plain, exact = INTO_AXES["curves"](ax=axes()).lines
    assert (plain.get_linestyle(), exact.get_linestyle()) == ("-", "--")
    assert to_hex(exact.get_color()) == plots.GREEN.lower()


def test_planes_share_one_frame():
    for name in ("points", "density_map", "arrows", "flow", "vote", "conditional_paths", "trajectories"):
        ax = INTO_AXES[name](ax=axes())
        assert (ax.get_xlim(), ax.get_ylim()) == ((-4, 4), (-4, 4)) and ax.get_aspect() == 1


def test_a_density_is_drawn_the_right_way_round():
    """Mass at the lower right of the plane is in the first rows and last columns, as the origin is below."""
    corner = Mixture(torch.ones(1), torch.tensor([[3.0, -2.0]], dtype=torch.float64), 0.3)
    image = np.asarray(plots.density_map(corner.log_prob, ax=axes()).images[0].get_array())
    row, column = np.unravel_index(image.argmax(), image.shape)
    assert (row, column) == (round(2 / 8 * 120), round(7 / 8 * 120))
    values = torch.zeros(5, 5)
    values[4, 1] = 1.0  # x the largest, y the second smallest
    assert np.asarray(plots.heat(values.flatten(), ax=axes()).images[0].get_array())[1, 4] == 1


def test_arrows_point_where_the_field_does():
    quiver = plots.arrows(lambda x, t: torch.stack([x[:, 1], t + 0 * x[:, 0]], 1), 0.25, ax=axes()).collections[0]
    assert np.allclose(quiver.U, quiver.Y) and np.allclose(quiver.V, 0.25)


@pytest.mark.parametrize("size", [1.9, 2.4, 3.2])
def test_titles_of_panels_are_inside(size):
    """Square panels leave room for one line of title, whatever their size."""
    axes = plots.panels(3, size)
    for ax in axes:
        plots.points(CLOUD, ax=ax, title="$t=0.50$")
    canvas = FigureCanvasAgg(axes[0].figure)
    canvas.draw()
    assert all(ax.title.get_window_extent().y1 <= canvas.figure.bbox.y1 for ax in axes)


def test_snapshots_show_five_moments():
    figure = plots.snapshots(TRAJECTORY, torch.linspace(0, 1, 9), "snapshots").figure
    assert [ax.get_title() for ax in figure.axes] == [f"$t={t:.2f}$" for t in (0, 0.25, 0.5, 0.75, 1)]
    assert np.allclose(figure.axes[-1].collections[0].get_offsets(), TRAJECTORY[-1])


def test_tiles_are_ink_on_paper_in_reading_order():
    sheet = plots.tiles(torch.stack([torch.full((1, 2, 2), v) for v in (-1.0, 1.0, 0.0)]), columns=2)
    assert sheet.shape == (8, 8)
    assert [float(sheet[r, c]) for r, c in ((1, 1), (1, 5), (5, 1), (5, 5), (0, 0))] == [1, 0, 0.5, 1, 1]


def test_every_run_has_its_curve():
    assert len(plots.losses(RUN, RUN, RUN, ax=axes()).lines) == 3
    assert [line.get_label() for line in plots.losses(RUN, RUN, names=("a", "b"), ax=axes()).lines] == ["a", "b"]
    with pytest.raises(ValueError):
        plots.losses(RUN, RUN, names=("a",), ax=axes())


def test_tensors_with_gradients_can_be_drawn():
    cloud, weights = CLOUD.clone().requires_grad_(), torch.softmax(CLOUD[:, 0], 0).requires_grad_()
    plots.points(cloud)
    plots.conditional_paths(cloud, OTHER)
    plots.trajectories(TRAJECTORY.clone().requires_grad_())
    plots.vote(cloud[0], cloud, weights)
    plots.heat(cloud[:25, 0])
    plots.images(DIGITS.clone().requires_grad_())
    plots.arrows(lambda x, t: cloud[:1] + x, 0.5)


@pytest.mark.parametrize("shape", [(3, 8, 8), (3, 3, 8, 8), (0, 1, 8, 8), (784,)])
def test_wrong_image_shape_is_refused(shape):
    images = torch.zeros(shape)
    for show in (plots.images, lambda x: plots.gallery({"row": x}, "alt")):
        with pytest.raises(ValueError, match=r"images have shape .*: expected \(N, 1, H, W\)"):
            show(images)


# --- the progress line ---


def test_progress_is_silent_outside_a_notebook(capsys):
    assert progress("training")(RUN) is None and capsys.readouterr() == ("", "")


def test_progress_ends_as_one_plain_line():
    assert _line("flow", RUN) == {"text/plain": "flow: 100 steps done"}
    half = History(Recipe(2000), {"model": torch.full((2000,), 0.25)}, step=1000)
    line = _line("flow", half)
    assert line["text/plain"] == "flow: 1,000 of 2,000"
    assert 'value="1000"' in line["text/html"] and "0.250" in line["text/html"]


def test_words_and_matrices_and_tokens_become_pictures():
    words = torch.tensor([[0, 2], [1, 3], [3, 3]])
    assert plots.letters(words, alphabet="abc", alt="three words").png()[:4] == b"\x89PNG"
    drawn = plots.matrix(torch.eye(2), names=["a", "mask"])
    assert drawn.png()[:4] == b"\x89PNG" and "Probabilities" in drawn.alt
    assert plots.ink(torch.tensor([0, 1, 2])).tolist() == [-1.0, 1.0, 0.0]


def test_few_measured_numbers_become_ticks():
    axes = plots.panels(1)[0]
    plots.curves({"a": ([3, 30, 200], [1, 2, 3])}, ax=axes, xlabel="n", ylabel="y", log="x")
    assert [label.get_text() for label in axes.get_xticklabels()] == ["3", "30", "200"]


def test_image_rows_set_height_and_names():
    few = plots.images(torch.zeros(10, 1, 8, 8))
    many = plots.images(torch.zeros(40, 1, 8, 8), names=["a", "b", "c", "d"])
    assert many.figure.get_figheight() > 2.5 * few.figure.get_figheight()
    places = [text.get_position()[1] for text in many.figure.axes[0].texts]
    assert [text.get_text() for text in many.figure.axes[0].texts] == ["a", "b", "c", "d"]
    assert places == sorted(places, reverse=True)


def test_guide_line_is_grey_and_dashed():
    (ax, other) = plots.panels(2)
    series = {"guide: slope one": ([1, 2], [1, 2]), "measured": ([1, 2], [1, 3])}
    plots.curves(series, xlabel="x", ylabel="y", ax=ax)
    guide, measured = ax.get_lines()
    assert guide.get_color() == plots.GREY and guide.get_linestyle() == "--" and measured.get_linestyle() == "-"
    plots.density_map(lambda x: -x.square().sum(1), ax=other, top=5.0)
    assert other.images[0].get_clim() == (0.0, 5.0)


def test_bar_value_is_above_its_error():
    (ax,) = plots.panels(1)
    plots.bars({"a": 2.0, "b": 1.0}, ylabel="nats", spread=[0.5, 0.1], ax=ax)
    assert [text.xy[1] for text in ax.texts] == [2.5, 1.1]
