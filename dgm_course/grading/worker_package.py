"""The files of the course that a worker holds: what observes an answer, and nothing that knows one.

They are copied as they are into a small package of the same name, so that what is pickled here is known there. Each imports
only others of the list. The library, the references, the hints and the wrong answers of the homework are not in it."""

from __future__ import annotations

from pathlib import Path

HOUSE = Path(__file__).resolve().parents[1]
NAME = HOUSE.name
FILES = (
    "core/tensors.py",
    "grading/messages.py",
    "grading/sandbox.py",
    "grading/worker.py",
    "teach/homework/arrays.py",
    "teach/homework/cases.py",
    "teach/homework/observe.py",
    "teach/homework/recipes.py",
    "teach/homework/side_effects.py",
)


def write(folder: Path) -> Path:
    """The package under `folder`, readable by everybody; the `__init__.py` of its folders are empty."""
    package = folder / NAME
    for name in FILES:
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((HOUSE / name).read_text(encoding="utf-8"), encoding="utf-8")
    for inner in {
        package,
        *(parent for name in FILES for parent in (package / name).parents if package in parent.parents),
    }:
        (inner / "__init__.py").touch()
    return package
