"""`dgm site DIR`: the notebooks as pages that need no kernel, no network and no server.

    words.py   markdown with formulas, code with colours            -> HTML
    cells.py   a notebook's cells and outputs                       -> HTML, pictures in files of their own
    live.py    the players of a notebook, by running it once        -> files that a page reads when they come into view
    pages.py   pages, index, slide index, and what stands beside them

What a page shows is what the committed notebook shows. Only the bulk data of the players is not in it (a notebook with them
would have several megabytes), so the notebooks that have players are run, and what the players hold is kept. Formulas are
set by KaTeX, which lies in `static/katex/`; a page opened from a disk asks no other host for anything. Where scripts do not
run, a player is the strip of pictures that the notebook shows too, and a formula is its TeX.
"""

from . import live
from .pages import site

__all__ = ["live", "site"]
