"""Markdown and code of a cell as HTML: formulas for KaTeX, named headings, and links between pages."""

from __future__ import annotations

import html
import re
from collections import Counter
from html import unescape
from typing import Any

from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

# Formulas inside a block of HTML: markdown leaves them alone, JupyterLab typesets them.
IN_HTML = re.compile(r"\$\$(.+?)\$\$|(?<![\\$])\$([^$]+?)\$", re.S)
NOTEBOOK = re.compile(r"""(href=["'])([^"'#:]*?)([0-9][0-9]_\w+)\.ipynb""")


def formula(tex: str, display: bool = False) -> str:
    """A span for KaTeX that shows the TeX until KaTeX has run.  tex: escaped as HTML"""
    return f'<span class="math{" display" if display else ""}">{tex.strip()}</span>'


class Words(IPythonRenderer):
    """Markdown as JupyterLab renders it; ``headings`` collects (level, name, HTML)."""

    def __init__(self) -> None:
        super().__init__(escape=False, exclude_anchor_links=True)
        self.headings: list[tuple[int, str, str]] = []
        self.names: Counter[str] = Counter()
        self.read = MarkdownWithMath(renderer=self)

    def page(self, source: str) -> str:
        """The HTML of one cell."""
        return to_pages(self.read.render(source))

    def block_math(self, body: str) -> str:
        return formula(self.escape_html(body), display=True)

    def inline_math(self, body: str) -> str:
        return formula(self.escape_html(body))

    def latex_environment(self, name: str, body: str) -> str:
        return formula(self.escape_html(f"\\begin{{{name}}}{body}\\end{{{name}}}"), display=True)

    def block_html(self, html: str) -> str:
        def marked(found: re.Match[str]) -> str:
            return formula(self.escape_html(unescape(found[1] or found[2])), display=found[1] is not None)

        return IN_HTML.sub(marked, html) + "\n"

    def heading(self, text: str, level: int, **attrs: Any) -> str:
        name = self.named(text)
        self.headings.append((level, name, text))
        return f'<h{level} id="{name}">{text}</h{level}>\n'

    def named(self, text: str) -> str:
        """An anchor made of a heading's words, with a number from its second use on."""
        plain = unescape(re.sub(r"<[^>]*>", "", text)).lower()
        name = "-".join(re.findall(r"\w+", plain)) or "section"
        self.names[name] += 1
        return name if self.names[name] == 1 else f"{name}-{self.names[name]}"


def to_pages(text: str) -> str:
    """Links to notebooks as links to their pages."""
    return NOTEBOOK.sub(lambda m: f"{m[1]}{m[2]}{m[3]}.html", text)


def code(source: str) -> str:
    return highlight(source, PythonLexer(), HtmlFormatter())


def plain(source: str) -> str:
    return f"<pre>{html.escape(source, quote=False)}</pre>"
