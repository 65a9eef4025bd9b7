"""The pages of the site: whole, truthful, self-contained; players written once; colours that can be read."""

from __future__ import annotations

import json
import re
from pathlib import Path

import nbformat
import pytest

from dgm_course.cli import main
from dgm_course.teach import site as site_package
from dgm_course.teach.site import live, pages, site
from dgm_course.teach.site.words import Words

from ..contrast import contrast, luminance
from . import books as site_books

ROOT = Path(__file__).resolve().parents[3]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
STYLE = (Path(site_package.__file__).parent / "static" / "site.css").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def books(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("course") / "notebooks"
    folder.mkdir()
    small = site_books.write(folder)
    return [small, small.with_name("99_other.ipynb")]


@pytest.fixture(scope="module")
def small(books, tmp_path_factory) -> Path:
    """The site of the small notebook, its player with it."""
    folder = tmp_path_factory.mktemp("site")
    lines = list(site(books, folder))
    assert lines[0] == "98_small.html: 1 players, 1 cells with slides." and "leads nowhere" not in "".join(lines)
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[Path, list[str]]:
    """The site of all notebooks of the course, nothing run, and what was said."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, list(site(NOTEBOOKS, folder, live.no_players))


def text(folder: Path, name: str) -> str:
    return (folder / name).read_text(encoding="utf-8")


# --- words


@pytest.mark.parametrize(
    "source, html",
    [
        ("$a<b$", '<span class="math">a&lt;b</span>'),
        ("$$a_1 * b_2 * c_3$$", '<span class="math display">a_1 * b_2 * c_3</span>'),
        ("<details>\n$x<y$</details>", '<span class="math">x&lt;y</span></details>'),
        ("`$5` and `$6`", "<code>$5</code> and <code>$6</code>"),
        ("\\begin{align}a&b\\end{align}", '<span class="math display">\\begin{align}a&amp;b\\end{align}</span>'),
        ("[x](08_flow_matching.ipynb#end)", '<a href="08_flow_matching.html#end">x</a>'),
        ("[x](https://example.org/08_x.ipynb)", '<a href="https://example.org/08_x.ipynb">x</a>'),
    ],
)
def test_words(source, html):
    assert html in Words().page(source)


def test_headings_have_names_of_their_own():
    words = Words()
    page = words.page("# A $x$\n\n## B & c\n\n## B & c")
    assert [name for _, name, _ in words.headings] == ["a-x", "b-c", "b-c-2"]
    assert all(f'id="{name}"' in page for _, name, _ in words.headings)


# --- a page


@pytest.mark.slow
def test_the_page_shows_what_the_notebook_shows(small):
    page = text(small, "98_small.html")
    assert page.count("<h1") == 1 and "<pre>5 &lt; 6 &amp; so on\n</pre>" in page
    assert 'alt="Thirty particles &amp; more"' in page and 'alt="A line."' in page
    assert "run the cell and move slope." in page
    assert '<a href="slides.html#fm.conical">' in page
    assert "page.html" not in page and "$title" not in page and 'href="99_other.html#end"' in page


def test_front_page_and_slides_link_the_notebook(small):
    assert "It has <span" in text(small, "index.html") and 'href="98_small.html"' in text(small, "index.html")
    slides = text(small, "slides.html")
    assert slides.count("<tr id=") == len(pages.table()) > 100
    assert re.search(r'id="fm.conical">.*?href="98_small.html#cell-player"', slides)


def test_picture_file_has_its_size(small):
    image = r'<img src="(pictures/\w+\.png)" alt="[^"]+" width="(\d+)" height="(\d+)"'
    sizes = re.findall(image, text(small, "98_small.html"))
    assert len(sizes) == 2
    from PIL import Image

    for name, width, height in sizes:
        assert Image.open(small / name).size == (int(width), int(height))


# --- players


def test_the_players_data_are_those_of_the_widget(small):
    """The buffer on the page, read back, is where the particles are."""
    import base64

    import numpy as np
    import torch

    (name,) = re.findall(r'data-player="([^"]+)"', text(small, "98_small.html"))
    plain, held = re.fullmatch(r'dgmSite\.data\("[^"]+", (\{.*\}), (\{.*\})\);\n', text(small, name)).groups()
    spec, raw = json.loads(plain)["spec"], base64.b64decode(json.loads(held)["buffer"])
    x = torch.randn(20, 30, 2, generator=torch.Generator().manual_seed(0)).cumsum(0) / 4
    panel = spec["panels"][0]
    sent = np.frombuffer(raw, "<u2", 20 * 30 * 2, panel["x"]) / 65535 * 2 * panel["wide"] - panel["wide"]
    assert np.abs(sent.reshape(20, 30, 2) - x.numpy()).max() < 2e-4


def test_second_build_runs_nothing(books, small):
    def never(notebook, where):
        raise AssertionError("it was run again")

    assert len(live.players(books[0], small, never)) == 1
    known = small / "players" / "98_small.json"
    message = json.loads(known.read_text(encoding="utf-8"))
    known.write_text(json.dumps({**message, "stamp": "of another library"}), encoding="utf-8")
    with pytest.raises(AssertionError, match="again"):
        live.players(books[0], small, never)
    known.write_text(json.dumps(message), encoding="utf-8")


def test_only_cells_before_the_last_player_run(books, tmp_path):
    seen = []

    def watch(notebook, where):
        seen.extend(cell.id for cell in notebook.cells)
        return notebook

    assert live.players(books[0], tmp_path, watch) == {} and seen == ["prose", "player"]
    assert live.players(books[1], tmp_path, watch) == {} and len(seen) == 2


@pytest.mark.parametrize(
    "esm",
    [
        "import x from 'y';\nexport default { render };",
        "export const a = 1;\nexport default {};",
        "function render() {}",
        "export default {};\nexport default {};",
    ],
)
def test_module_with_imports_is_not_converted(esm):
    assert live.classic(esm) is None


# --- the whole course


def test_every_link_has_a_target(whole):
    folder, said = whole
    assert not [line for line in said if "leads nowhere" in line]
    assert list(pages.broken_links(folder)) == []


def test_broken_link_is_named(tmp_path):
    (tmp_path / "a.html").write_text('<p id="b"><a href="#b"></a><a href="#c"></a><a href="d.html"></a>')
    assert list(pages.broken_links(tmp_path)) == [("a.html", "#c"), ("a.html", "d.html")]


def test_no_page_requests_another_host(whole):
    folder, _ = whole
    for page in folder.glob("*.html"):
        pattern = r'(?:src|srcset|data)="([^"]*)"|<link[^>]*href="([^"]*)"|url\(([^)]*)\)'
        sources = re.findall(pattern, page.read_text())
        assert not [s for three in sources for s in three if re.match("https?:|//", s)], page.name


def test_the_size_of_the_site(whole):
    """Without the players of the real notebooks, which need their trainings: those are a third of it."""
    folder, _ = whole
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) < 20e6


def test_each_slide_has_a_cell(whole):
    ready = {path.stem for path in NOTEBOOKS}
    slides = text(whole[0], "slides.html")
    for row in pages.table():
        line = re.search(rf'<tr id="{re.escape(row["id"])}">.*?</tr>', slides)[0]
        assert "not on these pages" not in line or row["notebook"] not in ready, row["id"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_page_has_every_cell_and_one_title(whole, path):
    page, notebook = text(whole[0], f"{path.stem}.html"), nbformat.read(path, as_version=4)
    assert page.count("<h1") == 1
    assert page.count('<section class="cell code"') == sum(cell.cell_type == "code" for cell in notebook.cells)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert page.count("<img ") == sum("image/png" in output.get("data", {}) for output in outputs)
    prose = re.sub(r"<(pre|code)\b.*?</\1>", "", page, flags=re.S)
    assert not re.search(r"(?<![\\\w`>])\$[^$<>\n]{1,80}\$", prose)


# --- the command


def test_the_command(books, tmp_path, capsys):
    where = ["--notebooks", str(books[0].parent)]
    assert main.main(["site", str(tmp_path / "a site"), "--still", *where]) == 0
    assert "99_other.html: 0 players" in capsys.readouterr().out
    assert main.main(["site", str(tmp_path / "a site"), "--still", "--of", "98", *where]) == 0
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("all of it")
    assert main.main(["site", str(tmp_path / "mine"), "--still", *where]) == 2
    assert "no site of this course" in capsys.readouterr().err
    assert main.main(["site", str(tmp_path / "empty"), "--notebooks", str(tmp_path)]) == 2
    assert "no notebook" in capsys.readouterr().err


# --- colours


def themes() -> list[dict[str, str]]:
    """The light palette, and the dark one from both places where it stands."""
    blocks = re.findall(r":root[^{]*\{([^}]*)\}", STYLE)
    return [dict(re.findall(r"--(\w+): (#\w{6});", block)) for block in blocks]


def test_text_contrasts_in_both_themes():
    light, dark, chosen = themes()
    assert dark == chosen and light.keys() == dark.keys() and luminance(dark["ground"]) < luminance(dark["text"])
    for theme in (light, dark):
        for name in theme.keys() - {"ground", "raised", "line"}:
            for ground in ("ground", "raised"):
                assert contrast(theme[name], theme[ground]) >= 4.5, (name, ground, theme[name])
