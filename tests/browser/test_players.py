"""The players in a real JupyterLab and browser: they move, obey keys and clicks, ask the kernel nothing."""

from __future__ import annotations

import json

import pytest
import torch

from dgm_course.core.ode import euler, heun, rk4, solve

from .in_lab import browser_page, comm_messages, failures, lab, missing, run_notebook, write_notebook

pytestmark = [pytest.mark.browser, pytest.mark.skipif(bool(missing()), reason=missing() or "runs")]

FIELD = """
import torch
from dgm_course.teach import FramePlayer, TrajectoryPlayer, play

def swirl(x, t):
    return torch.stack([-x[:, 1], x[:, 0]], dim=1) * (1 + t) - 0.3 * x

torch.manual_seed(0)
start, ts = torch.randn(10_000, 2), torch.linspace(0, 1, 100)
angle = (ts + ts ** 2 / 2)[:, None]
c, s, r = torch.cos(angle), torch.sin(angle), torch.exp(-0.3 * ts)[:, None]
x = torch.stack([r * (c * start[:, 0] - s * start[:, 1]), r * (s * start[:, 0] + c * start[:, 1])], dim=2)
"""


def swirl(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """The notebook's field once more."""
    return torch.stack([-x[:, 1], x[:, 0]], dim=1) * (1 + t) - 0.3 * x


CELLS = [
    FIELD,
    "TrajectoryPlayer(x, swirl, data=x[-1, :300])",
    "FramePlayer(torch.linspace(0, 1, 30)[:, None, None, None].expand(30, 4, 8, 8))",
    "FramePlayer(torch.rand(5, 7, 8, 8), plane=(range(7), range(5)))",
    """
from matplotlib.figure import Figure
def line(slope):
    figure = Figure(figsize=(5, 3)); figure.subplots().plot([0, 1], [0, slope]); return figure
play(line, slope=(0, 100))
""",
    """
import time
def slow(wide):
    time.sleep(0.3); return torch.zeros(300, 400 + wide)
play(slow, wide=(0, 100))
""",
]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The notebook, run once for all tests."""
    folder = tmp_path_factory.mktemp("lab")
    write_notebook(folder / "players.ipynb", CELLS)
    with lab(folder) as address, browser_page() as page:
        run_notebook(page, address, "players.ipynb")
        yield page


@pytest.fixture
def player(page):
    """The trajectory player, at its start and without particles of the reader's."""
    root = page.locator(".dgm-player").nth(0)
    root.evaluate("root => { root.dgm.clock.pause(); root.dgm.clock.seek(0); }")
    root.get_by_text("Clear").click()
    root.locator("canvas").first.scroll_into_view_if_needed()
    return root


def state(root) -> dict:
    """What the player says of itself."""
    return root.evaluate("root => root.dgm.state()")


def until(page, what: str, number: int = 0) -> None:
    """Wait until a player says so of itself."""
    page.wait_for_function(f"() => document.querySelectorAll('.dgm-player')[{number}].dgm.{what}")


def set_range(control, value: float) -> None:
    """Move a native slider, as a hand would."""
    control.evaluate("(node, v) => { node.value = v; node.dispatchEvent(new Event('input')); }", value)


RIGHT = """(handle, times) => { for (let i = 0; i < times; i++)
    handle.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight', bubbles: true })); }"""
COUNT = """image => { window.pictures = 0;
    new MutationObserver(() => window.pictures++).observe(image, { attributeFilter: ['src'] }); }"""


def hold_right(page, which: int, times: int) -> None:
    """Press the right arrow on a slider of `play` faster than it can draw, and count its pictures from here on."""
    handle = page.locator(".noUi-handle").nth(which)
    handle.scroll_into_view_if_needed()
    handle.focus()
    page.locator(".widget-image").nth(which).evaluate(COUNT)
    handle.evaluate(RIGHT, times)


def test_the_notebook_runs_without_errors(page):
    assert failures(page) == [] and page.locator(".dgm-player").count() == 3


def test_play_advances_and_pauses(page, player):
    draws = state(player)["draws"]
    player.get_by_label("Play", exact=True).click()
    until(page, "state().u > 0.05")
    assert state(player)["playing"] and state(player)["draws"] > draws
    player.get_by_label("Pause", exact=True).click()
    page.wait_for_timeout(100)
    held = state(player)["u"]
    page.wait_for_timeout(300)
    assert state(player)["u"] == held and not state(player)["playing"]


def test_the_canvas_shows_another_picture_when_time_moves(player):
    canvas = player.locator("canvas").first
    before = canvas.evaluate("node => node.toDataURL()")
    player.evaluate("root => root.dgm.clock.seek(1)")
    assert canvas.evaluate("node => node.toDataURL()") != before


@pytest.mark.parametrize("focus", [".dgm-stage", ".dgm-time"])
def test_keys_step_and_jump_and_play(page, player, focus):
    cells = page.locator(".jp-Notebook .jp-Cell").count()
    player.locator(focus).focus()
    keys = {"ArrowRight": 1 / 99, "End": 1, "ArrowLeft": 98 / 99, "Home": 0}
    for key, expected in keys.items():
        page.keyboard.press(key)
        assert state(player)["u"] == pytest.approx(expected, abs=1e-6), key
    page.keyboard.press("Space")
    until(page, "state().u > 0.02")
    assert state(player)["playing"]
    page.keyboard.press("Space")
    assert not state(player)["playing"]
    assert page.locator(".jp-Notebook .jp-Cell").count() == cells  # no shortcut of JupyterLab's went off


def test_a_click_on_the_picture_keeps_the_keyboard(page, player):
    player.locator("canvas").first.click(position={"x": 100, "y": 100})
    page.keyboard.press("ArrowRight")
    assert state(player)["u"] == pytest.approx(1 / 99, abs=1e-6)


@pytest.mark.parametrize("name, step", [("euler", euler), ("heun", heun), ("rk4", rk4)])
@pytest.mark.parametrize("steps", [3, 40])
def test_a_dropped_particle_ends_where_python_says(player, name, step, steps):
    player.get_by_label("solver").select_option(name)
    set_range(player.get_by_label("number of steps"), steps)
    canvas = player.locator("canvas").first
    box = canvas.bounding_box()
    canvas.click(position={"x": 0.75 * box["width"], "y": 0.375 * box["height"]})
    path = torch.tensor(state(player)["drops"][0][0]["path"])
    assert path.shape == (steps + 1, 2)
    assert torch.allclose(path[0], torch.tensor([2.0, 1.0]), atol=0.03)  # a click is right to about a pixel
    expected = solve(swirl, path[:1], torch.linspace(0, 1, steps + 1), method=step)[:, 0]
    assert (path - expected).norm(dim=1).max() < 2e-3


def test_coarse_solver_differs_from_fine_path(player):
    player.get_by_label("solver").select_option("euler")
    player.evaluate("root => root.dgm.drop([2, 1])")
    gaps = []
    for steps in (2, 8, 100):
        set_range(player.get_by_label("number of steps"), steps)
        gaps.append(float(player.locator(".dgm-gap b").inner_text()))
    assert gaps[0] > 3 * gaps[1] > 9 * gaps[2] > 0
    player.get_by_text("Clear").click()
    assert state(player)["drops"] == [[]] and "Click in the picture" in player.inner_text()


def test_drop_one_needs_no_mouse(page, player):
    player.get_by_text("Drop one").focus()
    page.keyboard.press("Enter")
    assert len(state(player)["drops"][0]) == 1


SCRUB = """root => { const bar = root.querySelector('.dgm-time'), before = root.dgm.state().draws;
    for (let i = 1; i <= 60; i++) { bar.value = i / 60; bar.dispatchEvent(new Event('input')); }
    return root.dgm.state().draws - before; }"""


def test_time_slider_draws_at_once(player):
    """In the event itself, not at some later frame; how long it takes: benchmarks/player.py."""
    assert player.evaluate(SCRUB) == 60


def test_frames_play_and_step(page):
    root = page.locator(".dgm-player").nth(1)
    root.locator(".dgm-stage").focus()
    page.keyboard.press("End")
    assert state(root)["frame"] == 29 and "frame 30 of 30" in root.inner_text()
    corner = "node => [...node.getContext('2d').getImageData(2, 2, 1, 1).data]"
    ink = root.locator("canvas").evaluate(corner)
    page.keyboard.press("Home")
    paper = root.locator("canvas").evaluate(corner)
    assert ink == [26, 26, 26, 255] and paper == [255, 255, 255, 255]
    page.keyboard.press("Space")
    until(page, "state().frame > 2", 1)
    page.keyboard.press("Space")


def test_the_plane_follows_cursor_and_keys(page):
    root = page.locator(".dgm-player").nth(2)
    box = root.locator(".dgm-map canvas").bounding_box()
    root.locator(".dgm-map").click(position={"x": box["width"] * 5.5 / 7, "y": box["height"] * 1.5 / 5})
    assert state(root) == {"row": 1, "column": 5} and "(5.00, 1.00)" in root.inner_text()
    for key in ("ArrowDown", "ArrowLeft", "ArrowLeft"):
        page.keyboard.press(key)
    assert state(root) == {"row": 2, "column": 3}


def test_the_players_ask_nothing_of_the_kernel(page, player):
    before = len(comm_messages(page))
    player.evaluate("root => root.dgm.clock.play()")
    player.locator("canvas").first.click(position={"x": 100, "y": 100})
    set_range(player.get_by_label("number of steps"), 33)
    set_range(player.locator(".dgm-time"), 0.4)
    page.locator(".dgm-player").nth(1).evaluate("root => root.dgm.clock.seek(1)")
    page.locator(".dgm-map").hover()
    page.wait_for_timeout(300)
    assert len(state(player)["drops"][0]) == 1 and len(comm_messages(page)) == before


def test_play_follows_a_held_key(page):
    before = page.locator(".widget-image").first.get_attribute("src")
    hold_right(page, 0, 30)
    page.wait_for_function(
        "before => document.querySelector('.widget-readout').innerText === '30' && "
        "document.querySelector('.widget-image').src !== before",
        arg=before,
    )
    assert page.locator(".widget-image").count() == 2  # one picture a cell, replaced in place


def test_a_slow_draw_skips_what_has_passed(page):
    hold_right(page, 1, 40)
    page.wait_for_function("() => document.querySelectorAll('.widget-image')[1].naturalWidth === 440")
    assert 1 <= page.evaluate("window.pictures") < 10


def test_a_player_that_is_cleared_stops_drawing(page, player):
    player.evaluate("root => { window.gone = root.dgm; root.dgm.clock.play(); }")
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    page.wait_for_timeout(500)
    draws = page.evaluate("() => window.gone.state().draws")
    page.wait_for_timeout(300)
    assert page.locator(".dgm-player").count() == 0
    assert page.evaluate("() => window.gone.state().draws") == draws


def test_the_browser_console_is_clean(page):
    assert [f for f in page.faults if "favicon" not in f] == [], json.dumps(page.faults)
