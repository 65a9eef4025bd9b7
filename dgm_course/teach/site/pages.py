"""The pages: one for each notebook, a front page, and the index of slides with the cells that show them."""

from __future__ import annotations

import csv
import html
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

import nbformat

from .cells import Sheet
from .live import Places, players
from .words import Words

HERE = Path(__file__).parent
LINK = re.compile(r'\b(?:href|src|data-module|data-player)="([^"]*)"')
NAME = re.compile(r'\bid="([^"]*)"')
EXTERNAL = re.compile(r"[a-z]+:|//")
PAGE = Template((HERE / "page.html").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class NotebookPage:
    """What other pages and its own page need of a notebook."""

    stem: str
    title: str
    promise: str
    body: str
    headings: list[tuple[int, str, str]]
    shown: list[tuple[str, str, str]]

    @property
    def page(self) -> str:
        return f"{self.stem}.html"


def site(
    notebooks: Sequence[Path], folder: Path, moving: Callable[[Path, Path], Places] = players
) -> Iterator[str]:
    """Write the site of these notebooks into ``folder``, over an old site; yield a line for each page.

    moving: ``live.players``, or ``live.no_players`` to run nothing.  ValueError without notebooks or for a folder in use"""
    if not notebooks:
        raise ValueError("There is no notebook to make a page of: build them with `make notebooks`.")
    empty = not folder.exists() or folder.is_dir() and not any(folder.iterdir())
    if not empty and not (folder / "site.js").is_file():
        raise ValueError(f"{folder} is there already, and no site of this course: name a new folder.")
    shutil.copytree(HERE / "static", folder, dirs_exist_ok=True)
    if (pictures := notebooks[0].parent / "pictures").is_dir():
        shutil.copytree(pictures, folder / "pictures", dirs_exist_ok=True)
    books = []
    for path in notebooks:
        places = moving(path, folder)
        books.append(book(path, folder, places))
        yield f"{books[-1].page}: {len(places)} players, {len(books[-1].shown)} cells with slides."
    for number, one in enumerate(books):
        around = [books[i] if 0 <= i < len(books) else None for i in (number - 1, number + 1)]
        write(folder / one.page, one.title, contents(one) + f"<main>{one.body}{neighbours(*around)}</main>", books)
    write(folder / "slides.html", "The slides, and where they run", f"<main>{slides(books)}</main>", books)
    write(folder / "index.html", "Deep generative models, running", f"<main>{front(books)}</main>", books)
    yield from (f"{page} leads nowhere: {link}" for page, link in broken_links(folder))
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    yield f"Written: {folder / 'index.html'} ({size / 1e6:.1f} MB in all); open it in a browser, no server is needed."


def book(path: Path, folder: Path, places: Places) -> NotebookPage:
    """Read a notebook and make the HTML of its cells."""
    notebook = nbformat.read(path, as_version=4)
    sheet = Sheet(folder, places, {row["id"]: f"{row['lecture']} · {row['slide']}" for row in table()})
    body = "".join(sheet.cell(cell) for cell in notebook.cells)
    title = next((text for level, _, text in sheet.words.headings if level == 1), html.escape(path.stem))
    first = next((cell.source for cell in notebook.cells if cell.cell_type == "markdown"), "")
    promise = next((part for part in first.split("\n\n") if part.startswith("**The promise")), "")
    return NotebookPage(path.stem, title, Words().page(promise), body, sheet.words.headings, sheet.shown)


def table() -> list[dict[str, str]]:
    """The items of the lectures: id, notebook, lecture, slide, statement."""
    with (HERE / "slides.csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


# --- parts of a page


def write(path: Path, title: str, body: str, books: Sequence[NotebookPage]) -> None:
    """Write a page with this body and links to all notebooks."""
    plain = re.sub(r"<[^>]*>", "", title)
    links = "".join(
        f'<a href="{one.page}"{" aria-current=page" if one.page == path.name else ""}>{one.stem[:2]}'
        f'<span class="name">{shortened(one.title)}</span></a>'
        for one in books
    )
    path.write_text(PAGE.substitute(title=plain, body=body, links=links), encoding="utf-8")


def shortened(title: str) -> str:
    """A title without its number."""
    return re.sub(r"^\d+\s*[·:.-]\s*", "", title)


def contents(one: NotebookPage) -> str:
    """The sections of a page."""
    lines = "".join(f'<li><a href="#{name}">{text}</a></li>' for level, name, text in one.headings if level == 2)
    return f'<nav class="contents" aria-label="Sections"><ol>{lines}</ol></nav>'


def neighbours(before: NotebookPage | None, after: NotebookPage | None) -> str:
    """Links to the neighbouring notebooks."""
    back = f'<a href="{before.page}" rel="prev">← {before.title}</a>' if before else ""
    on = f'<a href="{after.page}" rel="next">{after.title} →</a>' if after else ""
    return f'<nav class="ways" aria-label="Next and previous"><span>{back}</span><span>{on}</span></nav>'


def front(books: Sequence[NotebookPage]) -> str:
    """The front page: every notebook and what it promises."""
    cards = "".join(f'<li><h2><a href="{one.page}">{one.title}</a></h2>{one.promise}</li>' for one in books)
    return (
        "<h1>Deep generative models, running</h1><p>Every equation of the lectures runs, is checked against an exact "
        "answer, and moves. These pages are for reading: what plays, plays here; what is moved by a slider of its own, "
        "and the homework, need the notebook itself.</p>"
        f'<p><a href="slides.html">From a slide to the cell that shows it</a></p><ol class="cards">{cards}</ol>'
    )


def slides(books: Sequence[NotebookPage]) -> str:
    """The slide index: lecture by lecture, each item with its cells."""
    where: dict[str, list[str]] = {}
    for one in books:
        for slide, anchor, above in one.shown:
            link = f'<a href="{one.page}#{anchor}">{one.stem[:2]}, {shortened(above)}</a>'
            where.setdefault(slide, []).append(link)
    lectures: dict[str, list[str]] = {}
    for row in table():
        cells = "<br>".join(dict.fromkeys(where.get(row["id"], []))) or "not on these pages"
        row_cells = "".join(f"<td>{html.escape(row[name])}</td>" for name in ("slide", "statement"))
        lectures.setdefault(row["lecture"], []).append(f'<tr id="{row["id"]}">{row_cells}<td>{cells}</td></tr>')
    head = "<thead><tr><th>slide</th><th>what the notebook shows</th><th>where</th></tr></thead>"
    parts = [
        f"<h2>{html.escape(name)}</h2><div class=wide><table>{head}<tbody>{''.join(lines)}</tbody></table></div>"
        for name, lines in lectures.items()
    ]
    find = '<p><label>Find a slide <input type="search" id="find" autocomplete="off"></label></p>'
    return f"<h1>The slides, and where they run</h1>{find}{''.join(parts)}"


# --- links


def broken_links(folder: Path) -> Iterator[tuple[str, str]]:
    """(page, link) of every link within the site to a missing file or anchor."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.html"))}
    names = {name: set(NAME.findall(text)) for name, text in texts.items()}
    for page, text in texts.items():
        for link in sorted(set(LINK.findall(text))):
            target, _, anchor = html.unescape(link).partition("#")
            if EXTERNAL.match(link):
                continue
            missing = target and not (folder / target).is_file()
            if missing or anchor and anchor not in names.get(target or page, ()):
                yield page, link
