"""Notebooks as a reader runs them: Run All in JupyterLab, no cell fails, the console is clean, and one can look at it later.

With the brief budget, for what is trained is tested elsewhere.  Three notebooks by default, quick ones; DGM_BROWSER=all
runs all of them, DGM_BROWSER=07,08 those.  Pictures of every section stay in tests/browser/seen/, which git ignores.
"""
from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from in_lab import ROOT, browser_page, failures, lab, missing, run_notebook

pytestmark = [pytest.mark.browser, pytest.mark.skipif(bool(missing()), reason=missing() or "runs")]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
SEEN = Path(__file__).parent / "seen"
QUIET = ("favicon", "ResizeObserver loop")  # asked for by the browser; a notice of its layout, harmless and not ours


def chosen() -> list[Path]:
    """The notebooks that DGM_BROWSER names."""
    wanted = os.environ.get("DGM_BROWSER") or "03,04,06"
    return [path for path in NOTEBOOKS if wanted == "all" or path.stem[:2] in wanted.split(",")]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """One JupyterLab for all of them, the brief budget on the CPU."""
    folder = tmp_path_factory.mktemp("lab")
    for path in chosen():
        shutil.copy(path, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DGM_BUDGET", "brief")
        patch.setenv("DGM_DEVICE", "cpu")
        with lab(folder) as address:
            yield address


@pytest.mark.parametrize("path", chosen(), ids=lambda path: path.stem)
def test_run_all_in_the_browser(address, path):
    with browser_page() as page:
        run_notebook(page, address, path.name, seconds=1500)
        look(page, SEEN / path.stem)
        assert failures(page) == []
        assert page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']").all_inner_texts() == []
        prompts = page.locator(".jp-CodeCell .jp-InputPrompt").all_inner_texts()
        assert len(prompts) > 10 and all(re.fullmatch(r"\[\d+\]:?", prompt.strip()) for prompt in prompts)
        assert page.locator(".jp-OutputArea-output img, .jp-OutputArea-output canvas").count() > 5
        assert page.get_by_text("Error displaying widget").count() == 0
        assert [fault for fault in page.faults if not any(word in fault for word in QUIET)] == []


def look(page, folder: Path) -> None:
    """A picture of each section, for those who want to see it as a reader does."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, heading in enumerate(page.locator(".jp-RenderedMarkdown h2").all()):
        heading.evaluate("node => node.scrollIntoView()")
        page.wait_for_timeout(400)
        page.screenshot(path=folder / f"{number:02d}.png")
