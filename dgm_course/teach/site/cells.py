"""A notebook's cells and outputs as HTML; each picture in a file of its own, named by the hash of its bytes."""

from __future__ import annotations

import base64
import hashlib
import html
import struct
from dataclasses import dataclass, field
from pathlib import Path

from nbformat import NotebookNode

from ..build.clean import COLOUR, WIDGET
from .live import Places, WidgetFiles, output_key
from .words import Words, code, plain, to_pages

PLAY = "In the notebook this is moved by hand: run the cell and move"


@dataclass
class Sheet:
    """Renders the cells of one notebook; collects its headings and the cells that show slides."""

    folder: Path
    players: Places
    slides: dict[str, str] = field(default_factory=dict)  # id of a slide -> its name
    words: Words = field(default_factory=Words)
    shown: list[tuple[str, str, str]] = field(default_factory=list)  # (slide, anchor, heading above)

    def cell(self, cell: NotebookNode) -> str:
        if cell.cell_type == "markdown":
            return f'<section class="cell words">{self.words.page(cell.source)}</section>\n'
        if cell.cell_type != "code":
            return ""
        anchor = f"cell-{cell.id}"
        body = [self.chips(cell, anchor), f'<div class="source" tabindex="0">{code(cell.source)}</div>']
        body += [self.output(out, self.players.get(output_key(cell, i))) for i, out in enumerate(cell.outputs)]
        return f'<section class="cell code" id="{anchor}">{"".join(body)}</section>\n'

    def chips(self, cell: NotebookNode, anchor: str) -> str:
        """Links from a cell to its slides in the slide index."""
        names = [tag.removeprefix("slide:") for tag in cell.metadata.get("tags", []) if tag.startswith("slide:")]
        above = self.words.headings[-1][2] if self.words.headings else ""
        self.shown += [(name, anchor, above) for name in names]
        links = [f'<a href="slides.html#{name}">{html.escape(self.slides.get(name, name))}</a>' for name in names]
        return f'<p class="slides">{" ".join(links)}</p>' if links else ""

    def output(self, output: NotebookNode, player: WidgetFiles | None) -> str:
        """One output: the richest form that a page can show."""
        if output.output_type in ("stream", "error"):
            text = output.text if output.output_type == "stream" else "\n".join(output.traceback)
            return f'<div class="output">{plain(COLOUR.sub("", text))}</div>'
        data = output.get("data", {})
        if "image/png" in data:
            return self.picture(output, player)
        if "text/html" in data:
            return f'<div class="output">{to_pages(data["text/html"])}</div>'
        if "text/markdown" in data:
            return f'<div class="output words">{self.words.page(data["text/markdown"])}</div>'
        return f'<div class="output">{plain(data.get("text/plain", ""))}</div>'

    def picture(self, output: NotebookNode, player: WidgetFiles | None) -> str:
        """A figure, with the player that replaces it on the page, or a caption where only the notebook has the control."""
        about = output.metadata.get("image/png", {})
        image = image_tag(output.data["image/png"], about.get("alt", ""), self.folder)
        if player is not None:
            return f'<figure class="output" data-module="{player.module}" data-player="{player.data}">{image}</figure>'
        _, found, controls = output.data.get("text/plain", "").rpartition(" and move ")
        hint = (
            f"<figcaption>{PLAY} {html.escape(controls)}.</figcaption>" if WIDGET in output.data and found else ""
        )
        return f'<figure class="output">{image}{hint}</figure>'


def image_tag(encoded: str, alt: str, folder: Path) -> str:
    """Write the PNG into the site's `pictures/`; return its <img> with width and height."""
    content = base64.b64decode(encoded)
    name = f"pictures/{hashlib.sha256(content).hexdigest()[:16]}.png"
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    width, height = struct.unpack(">II", content[16:24])
    return f'<img src="{name}" alt="{html.escape(alt)}" width="{width}" height="{height}" loading="lazy">'
