"""`dgm site DIR`: the notebooks as pages that need no kernel, no network and no server.

    words.py   markdown with formulas, highlighted code    cells.py   a notebook's cells and outputs
    live.py    the players of a notebook                   pages.py   pages, front page, slide index

A page shows what the committed notebook shows.  The notebook does not hold the players' data, so notebooks with players
are run and the data kept in files.  KaTeX in `static/katex/` sets the formulas.  Where no script runs, a player is its
still picture, and a formula is its TeX.
"""

from . import live
from .pages import site

__all__ = ["live", "site"]
