"""The trilemma player in a real JupyterLab and browser: the pointer, the keys and the list choose a model."""

from __future__ import annotations

import pytest

from .in_lab import browser_page, failures, lab, missing, run_notebook, write_notebook

pytestmark = [pytest.mark.browser, pytest.mark.skipif(bool(missing()), reason=missing() or "runs")]

MADE = """
import torch
from dgm_course.comparison import SYSTEMS, Quality, Row
from dgm_course.teach.widgets.trilemma import TrilemmaPlayer
floor = Quality(1.0, 1.0, 1.0, 1.0, 10.0, 0.1)
rows = [Row(SYSTEMS[k], 4, 0.001 * 10**k, 1.0, Quality(share, share, 1 - share, 1.0, 20.0, 0.1), floor, None, None,
            (0.5, 1.2), torch.full((4, 1, 28, 28), 1.0 - k)) for k, share in enumerate((0.9, 0.5, 0.2))]
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    write_notebook(folder / "trilemma.ipynb", [MADE, "TrilemmaPlayer(rows)"])
    with lab(folder) as address, browser_page() as page:
        run_notebook(page, address, "trilemma.ipynb")
        yield page


@pytest.fixture
def player(page):
    root = page.locator(".dgm-player").first
    root.locator("canvas").first.scroll_into_view_if_needed()
    return root


def state(root) -> dict:
    return root.evaluate("root => root.dgm.state()")


def pixel(root) -> int:
    """A grey value of the sheet of digits."""
    return root.evaluate(
        "root => root.querySelectorAll('canvas')[1].getContext('2d').getImageData(3, 3, 1, 1).data[0]"
    )


def test_pointer_chooses_and_click_keeps_a_line(page, player):
    assert failures(page) == []
    shown = state(player)
    assert shown["count"] == 3 and shown["chosen"] == 0 and pixel(player) == 0
    box = player.locator("canvas").first.bounding_box()
    at = lambda k, i: (box["x"] + shown["spots"][k][i][0], box["y"] + shown["spots"][k][i][1])
    page.mouse.move(*at(2, 1))
    page.mouse.move(*at(2, 1), steps=2)
    assert state(player)["chosen"] == 2 and pixel(player) == 255
    page.mouse.down()
    page.mouse.up()
    page.mouse.move(*at(1, 1))
    assert state(player)["chosen"] == 2  # kept


def test_keys_and_the_list_go_through_the_models(page, player):
    player.locator("select").select_option("0")
    player.locator(".dgm-stage").focus()
    page.keyboard.press("n")
    assert state(player)["chosen"] == 1
    for _ in range(2):
        page.keyboard.press("p")
    assert state(player)["chosen"] == 2 and player.locator("select").input_value() == "2"
    assert state(player)["name"] in player.inner_text()
