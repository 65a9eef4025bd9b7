"""From a master to the notebook that a student opens.

A master ``notebooks/source/NN_topic.py`` is a notebook as text (jupytext ``py:percent``) with solutions:

    # %% [markdown]                                       prose
    # %% tags=["slide:fm.conical"]                        a code cell that shows item fm.conical
    # %% exercise="fm.velocity"                           a function with BEGIN / END SOLUTION inside
    # %% check="fm.velocity" points=2                     its check cell, locked
    # %% [markdown] exercise="fm.why_straight" points=1   a written answer, graded by hand

``student`` replaces each solution by a stub, ``solved`` keeps it without the markers; both write nbgrader's metadata and
cell ids made from the text.  A build runs the student's notebook on the CPU with the quick budget, removes what differs
between runs or machines, and writes nothing where something is wrong.  ``python -m dgm_course.teach.build --help``
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from ...core.notebook_dir import find
from .clean import LANGUAGE, faults, run, tidy
from .exercise_cells import MasterError, check_cells, without_markers, without_solutions

# OWNER/REPOSITORY on GitHub, once the course is published; then every notebook has the cell ELSEWHERE after its title.
PUBLISHED = ""
ELSEWHERE = """# On Colab and Kaggle this fetches the course; anywhere else it does nothing.
import os, sys
if "google.colab" in sys.modules or "KAGGLE_KERNEL_RUN_TYPE" in os.environ:
    get_ipython().run_line_magic("pip", "install -q git+https://github.com/{address}")"""

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def student(master: Path) -> NotebookNode:
    """The student's notebook, every solution a stub.  Not executed."""
    return _notebook(Path(master), without_solutions)


def solved(master: Path) -> NotebookNode:
    """The notebook with solutions and without markers.  Not executed."""
    return _notebook(Path(master), without_markers)


def execute(
    notebook: NotebookNode, timeout: int = 600, env: dict[str, str] | None = None, folder: Path | None = None
) -> NotebookNode:
    """Run a copy in ``folder`` on the CPU, the quick budget and two threads; ``env`` overrides, ``timeout`` seconds a cell.

    MasterError where a cell raises"""
    return run(notebook, timeout, env or {}, folder or Path.cwd())


def fingerprint(notebook: NotebookNode) -> str:
    """SHA-256 of the student's cells before execution, which tells whether a notebook is out of date."""
    cells = [[c.cell_type, c.id, c.source, c.metadata] for c in notebook.cells]
    return hashlib.sha256(json.dumps(cells, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def is_current(master: Path, target: Path) -> bool:
    """Whether the built notebook has the cells that its master gives."""
    if not target.exists():
        return False
    built, fresh = nbformat.read(target, as_version=4), student(master)
    return built.metadata.get("dgm", {}).get("source") == fingerprint(built) == fresh.metadata.dgm.source


def build(master: Path, target: Path, timeout: int = 600) -> None:
    """Write ``target`` from its master: strip, run, tidy, inspect.  On an error the old file stays."""
    target.parent.mkdir(parents=True, exist_ok=True)
    notebook = tidy(execute(student(master), timeout, folder=target.parent))
    if wrong := faults(notebook):
        raise MasterError(f"{master.name}: " + "\n".join(wrong))
    write(notebook, target)


def write(notebook: NotebookNode, target: Path) -> None:
    """Write to a temporary file and rename it, so that an interrupted build keeps the old notebook."""
    nbformat.validate(notebook)
    with tempfile.NamedTemporaryFile(
        "w", dir=target.parent, suffix=".part", delete=False, encoding="utf-8", newline="\n"
    ) as part:
        part.write(nbformat.writes(notebook).rstrip("\n") + "\n")
    os.chmod(part.name, 0o644)
    os.replace(part.name, target)


def _notebook(master: Path, change: Callable[[str], str]) -> NotebookNode:
    """Read the master, check its exercise cells, change the solutions, name the cells, add the fingerprint."""
    try:
        cells = [_student_cell(cell) for cell in check_cells(_read(master))]
        if PUBLISHED:
            cells[1:1] = [nbformat.v4.new_code_cell(ELSEWHERE.format(address=PUBLISHED))]
        ids = _cell_ids(master.stem, cells)
        signed = _assemble(ids, cells, without_solutions)
        notebook = _assemble(ids, cells, change)
    except MasterError as wrong:
        raise MasterError(f"{master.name}: {wrong}") from None
    notebook.metadata.dgm = {"source": fingerprint(signed)}
    return notebook


def _read(master: Path) -> list[NotebookNode]:
    """The master's cells."""
    import jupytext  # of the [test] set-up: only builds need it

    return jupytext.reads(master.read_text(encoding="utf-8"), fmt="py:percent").cells


def _student_cell(cell: NotebookNode) -> NotebookNode:
    """A new cell with the text and the metadata alone, without what jupytext adds at random."""
    new = {"markdown": nbformat.v4.new_markdown_cell, "raw": nbformat.v4.new_raw_cell}
    return new.get(cell.cell_type, nbformat.v4.new_code_cell)(cell.source, metadata=cell.metadata)


def _cell_ids(name: str, cells: Iterable[NotebookNode]) -> list[str]:
    """Ids from the exercise or from the hash of the text, so that a new cell renames no other."""
    seen: Counter[str] = Counter()
    ids = []
    for cell in cells:
        digest = hashlib.sha256(f"{name}\n{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
        seen[digest] += 1
        number = f"-{seen[digest]}" if seen[digest] > 1 else ""
        ids.append(cell.metadata.get("nbgrader", {}).get("grade_id", digest + number))
    return ids


def _assemble(ids: list[str], cells: list[NotebookNode], change: Callable[[str], str]) -> NotebookNode:
    """A notebook of copies of the cells, each code cell's source changed."""
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": KERNEL, "language_info": LANGUAGE})
    notebook.nbformat_minor = 5
    for name, cell in zip(ids, cells, strict=True):
        source = change(cell.source) if cell.cell_type == "code" else cell.source
        notebook.cells.append(NotebookNode({**cell, "id": name, "source": source}))
    return notebook


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m dgm_course.teach.build.build", description="Build notebooks.")
    parser.add_argument("names", nargs="*", help="number or part of the name; none means all")
    parser.add_argument("--check", action="store_true", help="run nothing, say what is out of date")
    parser.add_argument("--solved", type=Path, metavar="DIR", help="write solved copies there, not executed")
    parser.add_argument("--notebooks", type=Path, default=Path("notebooks"), help="where source/ is")
    parser.add_argument("--timeout", type=int, default=600, help="seconds a single cell may take")
    return parser.parse_args(argv)


def _one(master: Path, options: argparse.Namespace) -> bool:
    """Build, check or solve one master; return whether it is right."""
    target = options.notebooks / f"{master.stem}.ipynb"
    if options.solved:
        options.solved.mkdir(parents=True, exist_ok=True)
        write(solved(master), options.solved / target.name)
    elif options.check:
        current = is_current(master, target)
        print(f"{target} is {'up to date.' if current else 'out of date: run `make notebooks`.'}")
        return current
    else:
        build(master, target, options.timeout)
        print(f"{target}: {target.stat().st_size / 1e6:.2f} MB")
    return True


def main(argv: list[str] | None = None) -> int:
    """The command line; 0 all well, 1 a notebook is wrong or out of date, 2 no such notebook."""
    options = _arguments(argv)
    source = options.notebooks / "source"
    try:
        masters = [find(source, name, ".py") for name in options.names] or sorted(source.glob("[0-9]*.py"))
    except LookupError as unknown:
        print(unknown, file=sys.stderr)
        return 2
    well = True
    for master in masters:
        try:
            well = _one(master, options) and well
        except MasterError as wrong:
            print(wrong, file=sys.stderr)
            well = False
    if not masters:
        print(f"There is no master in {source}: nothing to build.")
    return 0 if well else 1
