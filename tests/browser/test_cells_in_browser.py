"""The cell player in a real JupyterLab and browser: it counts as Python does, and obeys pointer, keys and buttons."""

from __future__ import annotations

import pytest
import torch

from dgm_course import vq
from dgm_course.core import metrics
from dgm_course.teach.widgets.cells import after_steps

from .in_lab import browser_page, failures, lab, missing, run_notebook, write_notebook

pytestmark = [pytest.mark.browser, pytest.mark.skipif(bool(missing()), reason=missing() or "runs")]

MADE = """
import torch
from dgm_course.teach.widgets.cells import CellPlayer
torch.manual_seed(0)
points = 0.8 * torch.randn(300, 2)
vectors = torch.tensor([[-1.0, 0.5], [1.0, 1.0], [0.2, -1.2], [3.6, 3.6]])
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    write_notebook(folder / "cells.ipynb", [MADE, "CellPlayer(points, vectors)"])
    with lab(folder) as address, browser_page() as page:
        run_notebook(page, address, "cells.ipynb")
        yield page


@pytest.fixture(scope="module")
def world():
    torch.manual_seed(0)
    return 0.8 * torch.randn(300, 2), torch.tensor([[-1.0, 0.5], [1.0, 1.0], [0.2, -1.2], [3.6, 3.6]])


@pytest.fixture
def player(page):
    root = page.locator(".dgm-player").first
    root.get_by_text("As at first").click()
    root.locator("canvas").scroll_into_view_if_needed()
    return root


def state(root) -> dict:
    return root.evaluate("root => root.dgm.state()")


def agrees(root, points, vectors) -> None:
    """Vectors, error, usage and perplexity are those of the library."""
    shown, codes = state(root), vq.nearest(points, vectors)
    assert torch.allclose(torch.tensor(shown["vectors"]), vectors, atol=1e-4)
    assert shown["error"] == pytest.approx(float((points - vectors[codes]).square().sum(1).mean()), abs=1e-4)
    assert shown["used"] == codes.unique().numel()
    assert shown["perplexity"] == pytest.approx(metrics.perplexity(codes, len(vectors)), abs=1e-4)


def test_it_counts_as_the_library_does(page, player, world):
    assert failures(page) == []
    agrees(player, *world)
    assert state(player)["used"] == 3


def test_button_and_key_step_k_means(page, player, world):
    points, vectors = world
    player.get_by_text("A step of k-means").click()
    agrees(player, points, after_steps(points.numpy(), vectors.numpy(), 1))
    player.locator(".dgm-stage").focus()
    page.keyboard.press("k")
    agrees(player, points, after_steps(points.numpy(), vectors.numpy(), 2))


def test_vector_can_be_dragged(page, player, world):
    points, vectors = world
    box = player.locator("canvas").bounding_box()
    spot = lambda x, y: (box["x"] + (x + 4) / 8 * box["width"], box["y"] + (4 - y) / 8 * box["height"])
    page.mouse.move(*spot(3.6, 3.6))
    page.mouse.down()
    page.mouse.move(*spot(1.0, 0.0))
    page.mouse.move(*spot(-0.5, -0.5))
    page.mouse.up()
    shown = state(player)
    assert shown["chosen"] == 3 and shown["used"] == 4
    assert torch.allclose(torch.tensor(shown["vectors"][3]), torch.tensor([-0.5, -0.5]), atol=0.03)
    agrees(player, points, torch.tensor(shown["vectors"]))
    page.mouse.move(*spot(2.0, 2.0))  # let go: it stays
    assert state(player)["vectors"] == shown["vectors"]


def test_keys_choose_a_vector_and_move_it(page, player):
    player.locator(".dgm-stage").focus()
    for key in ("n", "n", "p", "ArrowRight", "ArrowRight", "ArrowUp"):
        page.keyboard.press(key)
    shown = state(player)
    assert shown["chosen"] == 1 and shown["vectors"][1] == pytest.approx([1.2, 1.1])


def test_reset_moves_only_unused_vectors(player, world):
    points, vectors = world
    player.get_by_text("Revive the dead").click()
    shown = torch.tensor(state(player)["vectors"])
    assert torch.allclose(shown[:3], vectors[:3]) and bool((points - shown[3]).abs().sum(1).lt(1e-5).any())
    player.get_by_text("As at first").click()
    agrees(player, points, vectors)
