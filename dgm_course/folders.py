"""Where the notebooks are, and which one a word means. Standard library only: `dgm lab` starts at once."""

from __future__ import annotations

from pathlib import Path


def notebooks(start: Path | None = None) -> Path:
    """The course's notebooks folder: in the current folder or one above it, else beside the package."""
    here = (start or Path.cwd()).resolve()
    beside = Path(__file__).resolve().parents[1]
    for folder in (*(p / "notebooks" for p in (here, *here.parents)), beside / "notebooks"):
        if any(folder.glob("[0-9][0-9]_*.ipynb")):
            return folder
    raise LookupError(f"No notebooks here, nor beside the package in {beside}: "
                      f"change into the folder of the course, or build them with `make notebooks`.")


def find(folder: Path, wanted: str, suffix: str = ".ipynb") -> Path:
    """The file in ``folder`` that ``wanted`` means: its name, its number (8 or 08) or any part (flow)."""
    files = sorted(p for p in folder.glob(f"[0-9]*{suffix}") if not p.name.startswith("."))
    name = wanted.removesuffix(suffix).lower()
    exact = [p for p in files if p.stem.lower() == name]
    number = [p for p in files if name.isdigit() and int(p.stem.split("_")[0]) == int(name)]
    part = [p for p in files if name and not name.isdigit() and name in p.stem.lower()]
    hits = exact or number or part
    if len(hits) == 1:
        return hits[0]
    have = ", ".join(p.stem for p in hits or files) or "none"
    what = f"{wanted!r} fits several notebooks" if hits else f"No notebook is called {wanted!r}"
    raise LookupError(f"{what}; {'they are' if hits else 'there are'}: {have}.")
