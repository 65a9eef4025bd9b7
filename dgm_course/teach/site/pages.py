"""The pages: one a notebook, a front page, the slides with the cells that show them, and what stands beside these."""

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
STATIC = ("site.css", "site.js", "katex")
LINK = re.compile(r'\b(?:href|src|data-module|data-player)="([^"]*)"')
NAME = re.compile(r'\bid="([^"]*)"')
OUTWARDS = re.compile(r"[a-z]+:|//")
PAGE = Template((HERE / "page.html").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class NotebookPage:
    """A notebook as its page needs it."""

    stem: str
    title: str
    promise: str
    body: str
    headings: list[tuple[int, str, str]]
    shown: list[tuple[str, str, str]]

    @property
    def page(self) -> str:
        """The page's file."""
        return f"{self.stem}.html"


def site(
    notebooks: Sequence[Path], folder: Path, moving: Callable[[Path, Path], Places] = players
) -> Iterator[str]:
    """Write the site of these notebooks into ``folder``, a line for each page; an old site there is brought up to date.

    moving: how a notebook's players come about, `live.objectives` or `live.still`.  ValueError where nothing can be shown."""
    if not notebooks:
        raise ValueError("There is no notebook to make a page of: build them with `make notebooks`.")
    if (
        folder.exists()
        and not (folder / "site.js").is_file()
        and not (folder.is_dir() and not any(folder.iterdir()))
    ):
        raise ValueError(f"{folder} is there already, and no site of this course: name a new folder.")
    folder.mkdir(parents=True, exist_ok=True)
    for name in STATIC:
        beside(HERE / "static" / name, folder / name)
    if (pictures := notebooks[0].parent / "pictures").is_dir():
        beside(pictures, folder / "pictures")
    books = []
    for path in notebooks:
        places = moving(path, folder)
        books.append(book(path, folder, places))
        yield f"{books[-1].page}: {len(places)} players, {len(books[-1].shown)} cells with slides."
    for number, one in enumerate(books):
        around = [books[i] if 0 <= i < len(books) else None for i in (number - 1, number + 1)]
        write(folder / one.page, one.title, contents(one) + f"<main>{one.body}{ways(*around)}</main>", books)
    write(folder / "slides.html", "The slides, and where they run", f"<main>{slides(books)}</main>", books)
    write(folder / "index.html", "Deep generative models, running", f"<main>{front(books)}</main>", books)
    yield from (f"{page} leads nowhere: {link}" for page, link in astray(folder))
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    yield f"Written: {folder / 'index.html'} ({size / 1e6:.1f} MB in all); open it in a browser, no server is needed."


def beside(source: Path, target: Path) -> None:
    """A file or folder copied to its place."""
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        shutil.copyfile(source, target)


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


# --- what stands on a page


def write(path: Path, title: str, body: str, books: Sequence[NotebookPage]) -> None:
    """The page around a body."""
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


def ways(before: NotebookPage | None, after: NotebookPage | None) -> str:
    """To the neighbouring notebooks."""
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
            where.setdefault(slide, []).append(
                f'<a href="{one.page}#{anchor}">{one.stem[:2]}, {shortened(above)}</a>'
            )
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


def astray(folder: Path) -> Iterator[tuple[str, str]]:
    """(page, link) of every link within the site that leads to no file or to no place of its page."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.html"))}
    names = {name: set(NAME.findall(text)) for name, text in texts.items()}
    for page, text in texts.items():
        for link in sorted(set(LINK.findall(text))):
            target, _, anchor = html.unescape(link).partition("#")
            if OUTWARDS.match(link):
                continue
            if (
                target
                and not (folder / target).is_file()
                or anchor
                and anchor not in names.get(target or page, ())
            ):
                yield page, link
