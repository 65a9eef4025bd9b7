"""Notebooks as a reader runs them, in JupyterLab and in Notebook 7: no cell fails, the console is clean, all answers.

With the brief budget, for what is trained is tested elsewhere.  One notebook by default, a quick one; DGM_BROWSER=all
runs all of them, DGM_BROWSER=07,08 those.  Pictures of every section stay in tests/browser/seen/, which git ignores.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import nbformat
import pytest

from .in_lab import ROOT, browser_page, failures, lab, missing

pytestmark = [pytest.mark.browser, pytest.mark.skipif(bool(missing()), reason=missing() or "runs")]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
SEEN = Path(__file__).parent / "seen"
QUIET = (
    "favicon",
    "ResizeObserver loop",
)  # asked for by the browser; a notice of its layout, harmless and not ours


def chosen() -> list[Path]:
    """The notebooks that DGM_BROWSER names."""
    wanted = os.environ.get("DGM_BROWSER") or "06"
    return [path for path in NOTEBOOKS if wanted == "all" or path.stem[:2] in wanted.split(",")]


@pytest.fixture(scope="module", autouse=True)
def brief():
    """The kernels' budget and device."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DGM_BUDGET", "brief")
        patch.setenv("DGM_DEVICE", "cpu")
        yield


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """One JupyterLab for all of them."""
    folder = tmp_path_factory.mktemp("lab")
    for path in chosen():
        nbformat.write(emptied(path), folder / path.name)
    with lab(folder) as address:
        yield address


@pytest.mark.parametrize("path", chosen(), ids=lambda path: path.stem)
def test_run_all_in_the_browser(address, path):
    with browser_page() as page:
        run_all(page, f"{address}/lab/workspaces/test/tree/{path.name}?reset", seconds=1500)
        look(page, SEEN / path.stem)
        assert_it_ran_and_answers(page)


def test_run_all_in_notebook_7(tmp_path):
    """The other front end, where it is installed; the first of the chosen.

    Its shortcuts take the arrow keys away from every slider of ipywidgets, so those are dragged; players get both."""
    pytest.importorskip("notebook")
    path = chosen()[0]
    nbformat.write(emptied(path), tmp_path / path.name)
    with lab(tmp_path, app="notebook") as address, browser_page() as page:
        run_all(page, f"{address}/notebooks/{path.name}", seconds=1500)
        look(page, SEEN / f"{path.stem} in Notebook 7")
        page.faults = [
            fault for fault in page.faults if "reading 'schema'" not in fault
        ]  # its own, on an empty page too
        assert_it_ran_and_answers(page, keys=False)


def assert_it_ran_and_answers(page, keys: bool = True) -> None:
    """Every cell has its number, none failed or complained, each picture is there, each player and control answers."""
    assert failures(page) == []
    assert still(page, keys) == []
    assert (
        page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']").all_inner_texts() == []
    )
    prompts = page.locator(".jp-CodeCell .jp-InputPrompt").all_inner_texts()
    assert len(prompts) > 10 and all(re.fullmatch(r"\[\d+\]:?", prompt.strip()) for prompt in prompts)
    assert page.locator(".jp-OutputArea-output img, .jp-OutputArea-output canvas").count() > 5
    assert page.get_by_text("Error displaying widget").count() == 0
    assert [fault for fault in page.faults if not any(word in fault for word in QUIET)] == []


def emptied(path: Path) -> nbformat.NotebookNode:
    """The notebook without its outputs and numbers: what is seen afterwards was made here."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


READY = (
    "() => { const kernel = window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel; "
    "return kernel?.connectionStatus === 'connected' && kernel.status === 'idle'; }"
)
RUN = (
    "() => document.querySelectorAll('.jp-CodeCell .jp-InputPrompt').length > 10 && "
    "[...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].every(e => /^\\[\\d+\\]/.test(e.textContent.trim()))"
)


def run_all(page, url: str, seconds: float) -> None:
    """Open it, wait for its kernel (JupyterLab may ask which), run all cells, wait until each has its number."""
    page.goto(url)
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=600_000)
    page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area').catch(() => 0)")
    for _ in range(120):
        if page.locator(".jp-Dialog").count():
            page.locator(".jp-Dialog .jp-mod-accept").first.click()
        elif page.evaluate(READY):
            break
        page.wait_for_timeout(1000)
    assert page.locator(".jp-Dialog").count() == 0, page.locator(".jp-Dialog").first.inner_text()
    page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells') }")
    page.wait_for_function(RUN, timeout=seconds * 1000, polling=1000)
    page.wait_for_timeout(1500)
    assert page.locator(".jp-Dialog").count() == 0, page.locator(".jp-Dialog").first.inner_text()


STATE = "root => JSON.stringify(root.dgm.state())"


def still(page, keys: bool) -> list[str]:
    """Each player and each control is used once, by the keyboard (sliders by the pointer without `keys`); back come those
    that did not answer."""
    players = [(f"player {number}", root) for number, root in enumerate(page.locator(".dgm-player").all())]
    silent = [name for name, root in players if not answers(page, root)]
    for number, box in enumerate(page.locator(".widget-vbox:has(> img.widget-image)").all()):
        handles = box.locator(".noUi-handle, input[type=checkbox], select").all()
        silent += [
            f"control {place} of slider picture {number}"
            for place, handle in enumerate(handles)
            if not redraws(page, box, handle, keys)
        ]
    return silent + page.locator("div[role=alert]").all_inner_texts()


def answers(page, root) -> bool:
    """Whether a player's state changes by an arrow key, and by its play button where it has one."""
    root.scroll_into_view_if_needed()
    play = root.locator("button.dgm-play")
    if play.count():
        before = root.evaluate(STATE)
        play.first.click()
        page.wait_for_timeout(300)
        play.first.click()
        if root.evaluate(STATE) == before:
            return False
    before = root.evaluate(STATE)
    root.locator("input.dgm-time, [tabindex]").first.focus()
    for key in ("ArrowRight", "ArrowLeft", "ArrowLeft"):  # one of them, wherever it stands
        page.keyboard.press(key)
        if root.evaluate(STATE) != before:
            return True
    return False


def redraws(page, box, handle, keys: bool) -> bool:
    """Whether the kernel's picture is another one after a control has moved a step, or back from its end."""
    picture = box.locator("img.widget-image").first
    before, kind = picture.get_attribute("src"), handle.evaluate("node => node.tagName")
    handle.scroll_into_view_if_needed()
    if kind == "SELECT":
        handle.select_option(
            index=(handle.evaluate("node => node.selectedIndex") + 1) % handle.locator("option").count()
        )
    elif kind == "INPUT":
        handle.click()
    elif not keys:
        drag(page, handle)
    else:
        handle.focus()
        at = handle.get_attribute("aria-valuenow")
        page.keyboard.press("ArrowRight")
        if handle.get_attribute("aria-valuenow") == at:
            page.keyboard.press("ArrowLeft")
    for _ in range(100):
        if picture.get_attribute("src") != before:
            return True
        page.wait_for_timeout(100)
    return False


def drag(page, handle) -> None:
    """A slider's handle to the middle of its rail, or away from there."""
    base = handle.locator("xpath=ancestor::*[contains(@class, 'noUi-base')]")
    rail, knob = base.bounding_box(), handle.bounding_box()
    x, y = (knob[k] + knob[side] / 2 for k, side in (("x", "width"), ("y", "height")))
    middle = rail["x"] + rail["width"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(middle if abs(x - middle) > 30 else middle + 60, y, steps=5)
    page.mouse.up()


def look(page, folder: Path) -> None:
    """A picture of each section, for those who want to see it as a reader does."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, heading in enumerate(page.locator(".jp-RenderedMarkdown h2").all()):
        heading.evaluate("node => node.scrollIntoView()")
        page.wait_for_timeout(400)
        page.screenshot(path=folder / f"{number:02d}.png")
