"""The course files that a worker may see: they observe an answer and contain no reference, hint or wrong answer.

They are copied unchanged into a small package of the same name. Each imports only others of the list."""

from __future__ import annotations

from pathlib import Path

LIBRARY = Path(__file__).resolve().parents[1]
NAME = LIBRARY.name
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
    """Write the package under `folder`, with an empty `__init__.py` in each of its folders; return its path."""
    for name in map(Path, FILES):
        path = folder / NAME / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((LIBRARY / name).read_bytes())
        for parent in name.parents:
            (folder / NAME / parent / "__init__.py").touch()
    return folder / NAME
