"""Who does not see a picture reads what it shows, who moves by headings finds them in order, and colours can be told apart.

Keys of the players are tried in a browser: tests/browser/test_players.py, test_cells_in_browser.py, test_site.py.
"""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest

from dgm_course.teach import plots
from dgm_course.teach.check import MARKS, Card
from dgm_course.teach.homework import NOT_YET, WRONG, Verdict
from dgm_course.teach.widgets import preview, serialize
from dgm_course.teach.widgets.play import play

from .contrast import contrast

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("[0-9][0-9]_*.ipynb"))
PAPER, NIGHT = "#ffffff", "#111111"  # what JupyterLab's two themes lay under an output
INK = {PAPER: "#1a1a1a", NIGHT: "#e0e0e0"}

every = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def faded(colour: str, ground: str, opacity: float) -> str:
    mixed = (opacity * int(colour[i : i + 2], 16) + (1 - opacity) * int(ground[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(value):02x}" for value in mixed)


def headings(notebook: nbformat.NotebookNode) -> list[int]:
    """The levels of all headings, top to bottom; a # in a block of code is none."""
    cells = (
        re.sub(r"^```.*?^```", "", c.source, flags=re.S | re.M)
        for c in notebook.cells
        if c.cell_type == "markdown"
    )
    return [len(marks) for text in cells for marks in re.findall(r"^(#{1,6}) \S", text, flags=re.M)]


# --- notebooks


@every
def test_each_picture_has_words_of_its_own(path):
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                alt = output.metadata.get("image/png", {}).get("alt", "")
                assert len(re.findall(r"\w+", alt)) >= 2, f"{cell.source[:200]!r} shows a picture called {alt!r}"
        if cell.cell_type == "markdown":
            assert not re.findall(r"!\[\s*\]\(", cell.source)
            assert all("alt=" in tag for tag in re.findall(r"<img\b[^>]*>", cell.source))


@every
def test_headings_come_in_order(path):
    levels = headings(nbformat.read(path, as_version=4))
    assert levels[0] == 1 and levels.count(1) == 1
    steps = [after - before for before, after in zip(levels, levels[1:])]
    assert max(steps) <= 1, "a heading skips a level"


def test_headings_would_be_missed():
    cell = nbformat.v4.new_markdown_cell
    notebook = nbformat.v4.new_notebook(cells=[cell("# A\n```\n# no\n```\n### C"), cell("#no\n## B")])
    assert headings(notebook) == [1, 3, 2]


def test_undocumented_picture_is_named_by_its_sliders():
    assert play(lambda t: plots.np.zeros((4, 4)) + t, t=(0.0, 1.0)).label == "a picture for t"


# --- colours


def test_contrast_is_what_wcag_says():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert faded("#000000", "#ffffff", 0.5) == "#808080"


@pytest.mark.parametrize("colour", [*plots.SERIES[:3], plots.GREEN, plots.INK, plots.GREY, preview.BLUE])
def test_lines_and_marks_stand_out_from_paper(colour):
    """2.9 and not 3 for one of them: #CC79A7 of the colour-blind safe palette is never alone, always with its label."""
    assert contrast(colour, PAPER) >= (2.9 if colour == "#CC79A7" else 3)


@pytest.mark.parametrize("ground", [PAPER, NIGHT])
def test_card_edge_contrasts_and_text_keeps_page_colour(ground):
    for _, colour in MARKS.values():
        assert contrast(colour, ground) >= 3
    verdict = Verdict(WRONG, "It is wrong.", hint="Look.", more="There.")
    assert not re.search(r"(?<![-\w])color:", Card(None, verdict).html)


@pytest.mark.parametrize("ground", [PAPER, NIGHT])
def test_faint_text_keeps_its_contrast(ground):
    """All faint words there are: the page's colour with an opacity."""
    card = Card(None, Verdict(NOT_YET, "Not yet.")).html
    rules = [
        rule
        for rule in re.findall(r"\{([^}]*)\}", serialize.style())
        if "opacity" in rule and "content" not in rule and "width" not in rule
    ]
    found = re.findall(r"opacity:\s*([\d.]+)", "".join([*rules, card]))
    assert len(found) >= 4
    for opacity in map(float, found):
        assert contrast(faded(INK[ground], ground, opacity), ground) >= 4.5, opacity


def test_the_play_button_can_be_read():
    for rule in re.findall(r"\.dgm-play[^{]*\{([^}]*)\}", serialize.style()):
        for ground in re.findall(r"background: (#\w{6})", rule):
            assert contrast("#ffffff", ground) >= 4.5
