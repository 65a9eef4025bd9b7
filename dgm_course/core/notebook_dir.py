"""The folder of the notebooks.  Standard library only, so that `dgm lab` starts without torch."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

KIND = "[0-9][0-9]_*.ipynb"


def notebooks(start: Path | None = None) -> Path:
    """The notebooks folder: here or above, else beside the package, else where the wheel put them."""
    beside = Path(__file__).resolve().parents[2]
    if folder := _near(start) or installed():
        return folder
    raise LookupError(
        f"No notebooks here, nor beside the package in {beside}: change into the folder that holds `notebooks/`."
    )


def own(start: Path | None = None) -> Path:
    """A notebooks folder to write in; if only the wheel has one, a copy in the current folder."""
    if folder := _near(start):
        return folder
    source, target = notebooks(start), (start or Path.cwd()).resolve() / "notebooks"
    shutil.copytree(source, target, dirs_exist_ok=True)
    print(f"The course's notebooks are copied to {target}: they are yours to write in.")
    return target


def installed() -> Path | None:
    """The notebooks folder of the wheel, or None."""
    try:
        files = metadata.files("dgm-course") or []
    except metadata.PackageNotFoundError:
        return None
    folders = {Path(file.locate()).resolve().parent for file in files if file.match(f"notebooks/{KIND}")}
    return next((folder for folder in folders if any(folder.glob(KIND))), None)


def _near(start: Path | None) -> Path | None:
    """The notebooks in the current folder, in one above it, or beside the package."""
    here = (start or Path.cwd()).resolve()
    places = (*(p / "notebooks" for p in (here, *here.parents)), Path(__file__).resolve().parents[2] / "notebooks")
    return next((folder for folder in places if any(folder.glob(KIND))), None)


def find(folder: Path, wanted: str, suffix: str = ".ipynb") -> Path:
    """The file in ``folder`` with the name ``wanted``, the number (8 or 08) or the part of a name (flow)."""
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


def thread_waits(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables to add to a kernel's environment, so that waiting threads of torch sleep soon (Linux).

    With torch's default, training takes 1.5 times as long beside one busy program (benchmarks/neighbour.py)."""
    chosen = "OMP_WAIT_POLICY" in environment or "GOMP_SPINCOUNT" in environment
    return {} if chosen else {"GOMP_SPINCOUNT": "1000"}
