"""The players and `play` from the kernel's side: what is sent, how exactly, and what is said of bad input."""

from __future__ import annotations

import base64
import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from dgm_course.teach.widgets import FramePlayer, TrajectoryPlayer
from dgm_course.teach.widgets.play import control, play, samples
from dgm_course.teach.widgets.serialize import quantise, sample_density, sample_field


def turning(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """A field that is linear in x and in t, so that its grid holds it exactly but for rounding."""
    return torch.stack([-x[:, 1], x[:, 0]], dim=1) * (1 + t) - 0.3 * x


@pytest.fixture
def cloud() -> torch.Tensor:
    return torch.randn(20, 50, 2, generator=torch.Generator().manual_seed(0))


def sent(player, at: int, count: int, dtype: str = "<u2") -> np.ndarray:
    """Numbers read back from the buffer, as the browser reads them."""
    return np.frombuffer(player.buffer, dtype=dtype, count=count, offset=at)


def picture(widget) -> Image.Image:
    """The PNG beside the live view."""
    data, _ = widget._repr_mimebundle_()
    return Image.open(io.BytesIO(base64.b64decode(data["image/png"])))


def test_positions_come_back_within_half_a_step(cloud):
    player = TrajectoryPlayer(cloud)
    panel = player.spec["panels"][0]
    back = sent(player, panel["x"], cloud.numel()) / 65535 * 2 * panel["wide"] - panel["wide"]
    error = np.abs(back.reshape(cloud.shape) - cloud.numpy()).max()
    assert error <= 16 / 65535 / 2 + 1e-9
    assert error > 1e-6  # the bound is about rounding, and rounding there is


@pytest.mark.parametrize("dtype", ["u1", "<u2"])
def test_quantisation_error_is_half_a_step(dtype):
    values = np.random.default_rng(0).uniform(-2, 2, 1000)
    top = np.iinfo(dtype).max
    assert np.abs(quantise(values, -2, 2, dtype) / top * 4 - 2 - values).max() <= 4 / top / 2 + 1e-12
    assert quantise(np.array([-9.0, 9.0]), -2, 2, dtype).tolist() == [0, top]


def test_ten_thousand_particles_are_under_five_megabytes():
    player = TrajectoryPlayer(
        torch.zeros(100, 10_000, 2), turning, data=torch.zeros(1000, 2), density=torch.ones(17, 64, 64)
    )
    assert 4e6 < len(player.buffer) < 5e6


def test_every_array_starts_on_eight_bytes(cloud):
    player = TrajectoryPlayer(cloud[:, :7], turning, color=torch.arange(7), data=torch.zeros(3, 2))
    panel = player.spec["panels"][0]
    places = [panel["x"], panel["data"]["at"], panel["field"]["at"], panel["codes"]]
    assert all(p % 8 == 0 for p in places) and len(set(places)) == len(places)


def test_field_is_sampled_at_its_nodes():
    times = np.linspace(0, 1, 5)
    grid = sample_field(turning, 4.0, times, 9)
    line = torch.linspace(-4, 4, 9)
    x = torch.tensor([[line[2], line[7]]])  # column 2, row 7
    assert np.allclose(grid[3, 7, 2], turning(x, torch.tensor(0.75))[0], atol=1e-5)


def test_field_without_end_value_is_sampled_inside():
    grid = sample_field(lambda x, t: (1 - x) / (1 - t), 4.0, np.linspace(0, 1, 5), 9)
    assert np.isfinite(grid).all()
    with pytest.raises(ValueError, match="NaN or infinity at t = 0"):
        sample_field(lambda x, t: x / 0, 4.0, np.linspace(0, 1, 5), 9)


class Standing:
    """exp(-|x - (2, 0)|^2): a density that says where x and where y is."""

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        return -((x - torch.tensor([2.0, 0.0])) ** 2).sum(1)


@pytest.mark.parametrize("density", [Standing(), lambda t: Standing()])
def test_density_peaks_where_it_should(density):
    frames = sample_density(density, 4.0, np.linspace(0, 1, 3), 65)
    row, column = np.unravel_index(frames[0].argmax(), frames[0].shape)
    assert (row, column) == (32, 48) and frames.max() == 1


def test_players_have_a_picture_and_text(cloud):
    pixels = torch.rand(5, 3, 8, 8)
    for widget in (TrajectoryPlayer(cloud, label="a cloud"), FramePlayer(pixels, label="a cloud")):
        data, meta = widget._repr_mimebundle_()
        assert "application/vnd.jupyter.widget-view+json" in data
        assert meta["image/png"]["alt"] == "a cloud" and "run the cell" in data["text/plain"]
        assert len(data["image/png"]) < 120_000
        assert np.asarray(picture(widget).convert("L")).std() > 1


def test_panels_share_only_the_clock(cloud):
    player = TrajectoryPlayer([cloud, cloud[::19]], [turning, None], titles=["many", "two"])
    first, second = player.spec["panels"]
    assert [first["title"], second["title"]] == ["many", "two"]
    assert (first["shape"][0], second["shape"][0]) == (20, 2) and "field" in first and "field" not in second
    assert picture(player).height > 1.7 * picture(TrajectoryPlayer(cloud)).height


def test_second_clock_is_a_function_of_the_first(cloud):
    clock = TrajectoryPlayer(cloud, clock=("s", lambda t: 1 - t)).spec["clock"]
    assert clock["name"] == "s" and np.allclose(clock["values"], np.linspace(1, 0, 101))


def test_clock_is_t_by_default(cloud):
    layers = TrajectoryPlayer(cloud, time="layer")
    assert (TrajectoryPlayer(cloud).spec["time"], layers.spec["time"]) == ("t", "layer")
    assert "from layer = 0 to 1" in layers.spec["label"] and "from layer = 0 to 1" in repr(layers)
    assert picture(layers).tobytes() != picture(TrajectoryPlayer(cloud)).tobytes()


def test_labels_become_a_palette(cloud):
    player = TrajectoryPlayer(cloud, color=torch.arange(50) % 3)
    panel = player.spec["panels"][0]
    assert len(panel["palette"]) == 3
    assert sent(player, panel["codes"], 50, "u1").tolist() == [i % 3 for i in range(50)]


def test_note_warns_of_particles_outside():
    player = TrajectoryPlayer(torch.full((3, 5, 2), 9.0))
    assert "100% of the particles are outside the frame" in player.note and "frame=9" in player.note
    assert not TrajectoryPlayer(torch.zeros(3, 5, 2)).note


WRONG = [
    (lambda x: TrajectoryPlayer(x[0]), ValueError, r"\(T, N, 2\).*\(50, 2\) came"),
    (lambda x: TrajectoryPlayer(x[:1]), ValueError, "at least two times"),
    (lambda x: TrajectoryPlayer(x * float("nan")), ValueError, "2000 values that are NaN"),
    (lambda x: TrajectoryPlayer("path"), TypeError, "tensor or array of numbers; str came"),
    (lambda x: TrajectoryPlayer([]), ValueError, "at least one trajectory"),
    (lambda x: TrajectoryPlayer(x, times=torch.linspace(1, 0, 20)), ValueError, "times must increase"),
    (lambda x: TrajectoryPlayer(x, times=torch.linspace(0, 1, 5)), ValueError, r"shape \(20,\); \(5,\) came"),
    (lambda x: TrajectoryPlayer(x, lambda x, t: x[:, 0]), ValueError, "one velocity for each point"),
    (lambda x: TrajectoryPlayer(x, lambda x: x), ValueError, r"field\(x, t\) failed"),
    (lambda x: TrajectoryPlayer(x, 3), TypeError, "field must be a function"),
    (lambda x: TrajectoryPlayer(x, data=x), ValueError, r"data must have shape \(M, 2\)"),
    (lambda x: TrajectoryPlayer(x, density=torch.zeros(4)), ValueError, "density as an array"),
    (lambda x: TrajectoryPlayer(x, color=["red"] * 50), ValueError, "hex colours"),
    (lambda x: TrajectoryPlayer(x, color=[1, 2]), ValueError, "each of 50 particles; 2 came"),
    (lambda x: TrajectoryPlayer(x, trail=3), TypeError, "no option trail; it has titles"),
    (lambda x: TrajectoryPlayer(x, solver="leapfrog"), ValueError, "euler, heun, rk4"),
    (lambda x: TrajectoryPlayer(x, frame=-1), ValueError, "positive number"),
    (lambda x: TrajectoryPlayer([x, x], titles=["one"]), ValueError, "list of 1, but there are 2 panels"),
    (
        lambda x: TrajectoryPlayer([x, x], times=[torch.linspace(0, 1, 20), torch.linspace(0, 2, 20)]),
        ValueError,
        "share one clock",
    ),
    (lambda x: FramePlayer(x[:, 0]), ValueError, r"frames must have shape .*\(20, 2\) came"),
    (lambda x: FramePlayer(x[:1]), ValueError, "at least two moments"),
    (lambda x: FramePlayer(x[:0]), ValueError, "frames is empty"),
    (lambda x: FramePlayer(x, range=(1, -1)), ValueError, "must rise from paper to ink"),
    (lambda x: FramePlayer(x, range=3), ValueError, "two numbers"),
    (lambda x: FramePlayer(x, captions=["a"]), ValueError, "each of the 20 moments; 1 came"),
    (lambda x: FramePlayer(x, speed=3), TypeError, "no option speed"),
    (lambda x: FramePlayer(x[:, :, None], plane=([1, 2], [3])), ValueError, r"shapes \(50,\) and \(20,\)"),
]


@pytest.mark.parametrize("make, kind, said", WRONG)
def test_bad_input_is_refused(make, kind, said, cloud):
    with pytest.raises(kind, match=said):
        make(cloud)


@pytest.mark.parametrize(
    "values, shown",
    [
        (torch.tensor([-1.0, 0.0, 1.0]), [0, 128, 255]),
        (torch.tensor([0.0, 0.5, 1.0]), [0, 128, 255]),
        (torch.tensor([0, 128, 255], dtype=torch.uint8), [0, 128, 255]),
        (torch.tensor([-3.0, 0.0, 3.0]), [0, 128, 255]),
        (torch.tensor([False, True, True]), [0, 255, 255]),
    ],
)
def test_pixels_are_bytes_from_paper_to_ink(values, shown):
    player = FramePlayer(values.view(3, 1, 1).expand(3, 2, 2))
    assert player.pixels[:, 0, 0, 0].tolist() == shown and len(player.buffer) == 16
    assert player.spec["captions"][0] == "frame 1 of 3"


def test_frames_accept_a_channel_and_times():
    player = FramePlayer(torch.rand(4, 6, 1, 5, 5), times=torch.linspace(0, 1, 4))
    assert player.spec["shape"] == [4, 6, 5, 5] and player.spec["captions"][-1] == "t = 1.00"


def test_a_plane_has_its_own_still_picture():
    player = FramePlayer(torch.rand(6, 8, 5, 5), plane=(np.arange(8), np.arange(6)))
    assert player.spec["plane"]["ys"] == [0, 1, 2, 3, 4, 5] and picture(player).width > 300


def bars(height: float, kind: str = "a") -> Figure:
    """Bars as high as the slider says."""
    if height > 4:
        raise ValueError("too <high>")
    figure = Figure(figsize=(3, 2))
    figure.subplots().bar([0, 1], [height, 1])
    return figure


def test_a_slider_redraws_the_one_picture():
    shown = play(bars, height=(0.0, 4.0))
    before, count = shown.image.value, len(shown.children)
    shown.controls["height"].value = 3.0
    assert shown.image.value != before and shown.image.value[:4] == b"\x89PNG"
    assert len(shown.children) == count


def test_equal_values_are_not_drawn_twice():
    calls = []
    shown = play(lambda h: calls.append(h) or bars(h), h=(0, 4))
    shown.redraw()
    assert calls == [0]


def test_strip_shows_five_slider_values(monkeypatch):
    monkeypatch.setenv("DGM_PREVIEW", "1")
    shown = play(bars, height=(0.0, 4.0, 0.5), kind=["a", "b"])
    data, meta = shown._repr_mimebundle_()
    assert meta["image/png"]["alt"] == "Bars as high as the slider says."
    assert len(data["image/png"]) < 120_000
    assert picture(shown).width > 4 * picture(shown).height


def test_strip_contains_exact_zero():
    assert samples(control("u", (-2.4, 2.4, 0.4, 0.0)))[2] == 0.0


def test_wide_pictures_of_a_strip_are_stacked(monkeypatch):
    monkeypatch.setenv("DGM_PREVIEW", "1")

    def wide(height):
        figure = Figure((6.0, 1.2))
        figure.subplots().barh([0], [height])
        return figure

    shown = picture(play(wide, height=(0.0, 4.0, 0.5)))
    assert shown.height > shown.width > 500


def test_draw_error_keeps_the_picture():
    shown = play(bars, height=(0.0, 5.0))
    before = shown.image.value
    shown.controls["height"].value = 4.5
    assert "draw(height=4.5) did not draw: ValueError: too &lt;high&gt;" in shown.note.value
    assert shown.image.value == before
    shown.controls["height"].value = 1.0
    assert shown.note.value == "" and shown.image.value != before


def test_a_live_display_draws_nothing_more(monkeypatch):
    """The picture that is shown is the still picture; a strip of five is drawn for built notebooks alone."""
    calls = []
    shown = play(lambda h: calls.append(h) or bars(h), h=(0, 4))
    assert base64.b64decode(shown._repr_mimebundle_()[0]["image/png"]) == shown.image.value and calls == [0]
    monkeypatch.setenv("DGM_PREVIEW", "1")
    assert picture(shown).width > Image.open(io.BytesIO(shown.image.value)).width and calls == [0, 0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "name, value", [("DGM_STRICT", "1"), ("DGM_STRICT", "true"), ("NBGRADER_EXECUTION", "autograde")]
)
def test_strict_mode_raises(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match="too <high>"):
        play(bars, height=(5.0, 6.0))


def test_pyplot_figures_do_not_pile_up():
    shown = play(lambda a: plt.subplots()[1], a=(0, 9))
    for value in range(1, 9):
        shown.controls["a"].value = value
    assert plt.get_fignums() == []


@pytest.mark.parametrize("image", [torch.rand(4, 4), np.zeros((4, 4, 3)), np.zeros((4, 4), dtype=np.uint8)])
def test_play_takes_images(image):
    assert Image.open(io.BytesIO(play(lambda a: image, a=(0, 1)).image.value)).size == (320, 320)


@pytest.mark.parametrize(
    "spec, start, least, most", [((0, 5), 0, 0, 5), ((0.0, 1.0, 0.1, 0.3), 0.3, 0.0, 1.0), ((1, 9, 2), 1, 1, 9)]
)
def test_tuples_become_sliders(spec, start, least, most):
    widget = play(lambda a: torch.zeros(2, 2), a=spec).controls["a"]
    assert (widget.value, widget.min, widget.max) == (start, least, most)


@pytest.mark.parametrize(
    "spec, kind, said",
    [
        ((1,), ValueError, r"\(lo, hi\)"),
        (("a", "b"), ValueError, "use a list"),
        ((3, 1), ValueError, "rise from lo"),
        ((0, 1, 1, 7), ValueError, "start between them"),
        ("word", TypeError, "must be a tuple"),
        ([], TypeError, "must be a tuple"),
    ],
)
def test_invalid_slider_is_refused(spec, kind, said):
    with pytest.raises(kind, match=said):
        play(bars, height=spec)


def test_play_says_what_it_needs():
    with pytest.raises(TypeError, match="a function that draws; int came"):
        play(3, a=(0, 1))
    with pytest.raises(TypeError, match="at least one slider"):
        play(bars)
    assert "NoneType came" in play(lambda a: None, a=(0, 1)).note.value
