"""From a master to the notebook a student opens.

A master ``notebooks/source/NN_topic.py`` is a notebook as text (jupytext ``py:percent``), solutions included:

    # %% [markdown]                                       prose
    # %% tags=["slide:fm.conical"]                        a code cell that shows item fm.conical
    # %% exercise="fm.velocity"                           a function with BEGIN / END SOLUTION inside
    # %% check="fm.velocity" points=2                     its check cell, locked
    # %% [markdown] exercise="fm.why_straight" points=1   a written answer, graded by hand

``student`` replaces every solution by ``raise NotImplementedError("your turn")``, ``solved`` keeps it and
drops the markers; both write nbgrader's metadata, and cell ids made from the text alone. The build runs the
student's notebook on the CPU with the quick budget, removes what differs from one run or machine to the
next, and writes nothing where something is wrong.

    python -m dgm_course.teach.build.build                  all notebooks
    python -m dgm_course.teach.build.build 8 overview       some, by number or part of the name
    python -m dgm_course.teach.build.build --check          only say which are out of date
    python -m dgm_course.teach.build.build --solved DIR     solved copies, for teachers
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
from .exercise_cells import MasterError, dress, without_markers, without_solutions

# OWNER/REPOSITORY on GitHub, once the course is published: then every notebook gets the cell ELSEWHERE after its title,
# and has to be built again.  Until then no notebook knows of it.
PUBLISHED = ""
ELSEWHERE = """# On Colab and Kaggle this fetches the course; anywhere else it does nothing.
import os, sys
if "google.colab" in sys.modules or "KAGGLE_KERNEL_RUN_TYPE" in os.environ:
    get_ipython().run_line_magic("pip", "install -q git+https://github.com/{address}")"""

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def student(master: Path) -> NotebookNode:
    """The notebook as a student gets it: every solution a stub. Not executed."""
    return _notebook(Path(master), without_solutions)


def solved(master: Path) -> NotebookNode:
    """The same notebook with the solutions in and their markers gone. Not executed."""
    return _notebook(Path(master), without_markers)


def execute(
    notebook: NotebookNode, timeout: int = 600, env: dict[str, str] | None = None, folder: Path | None = None
) -> NotebookNode:
    """Run a copy from first cell to last as the build does, in ``folder``; ``timeout`` in seconds a cell.

    CPU, quick budget, two threads; ``env`` overrides. A cell that raises ends in a MasterError.
    """
    return run(notebook, timeout, env or {}, folder or Path.cwd())


def fingerprint(notebook: NotebookNode) -> str:
    """SHA-256 of the cells as the student gets them, before execution: what 'out of date' is judged by."""
    cells = [[c.cell_type, c.id, c.source, c.metadata] for c in notebook.cells]
    return hashlib.sha256(json.dumps(cells, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def is_current(master: Path, target: Path) -> bool:
    """Whether the built notebook has the cells that its master would give today."""
    if not target.exists():
        return False
    built, fresh = nbformat.read(target, as_version=4), student(master)
    return built.metadata.get("dgm", {}).get("source") == fingerprint(built) == fresh.metadata.dgm.source


def build(master: Path, target: Path, timeout: int = 600) -> None:
    """Write ``target`` from its master: strip, run, tidy, inspect; where that fails the old file stays."""
    target.parent.mkdir(parents=True, exist_ok=True)
    notebook = tidy(execute(student(master), timeout, folder=target.parent))
    if wrong := faults(notebook):
        raise MasterError(f"{master.name}: " + "\n".join(wrong))
    write(notebook, target)


def write(notebook: NotebookNode, target: Path) -> None:
    """To a temporary file, then renamed: an interrupted build leaves the old notebook whole."""
    nbformat.validate(notebook)
    with tempfile.NamedTemporaryFile(
        "w", dir=target.parent, suffix=".part", delete=False, encoding="utf-8", newline="\n"
    ) as part:
        part.write(nbformat.writes(notebook).rstrip("\n") + "\n")
    os.chmod(part.name, 0o644)
    os.replace(part.name, target)


def _notebook(master: Path, change: Callable[[str], str]) -> NotebookNode:
    """Read, dress the exercise cells, change the solutions, name the cells, sign."""
    try:
        cells = [_student_cell(cell) for cell in dress(_read(master))]
        cells[1:1] = _elsewhere()
        ids = _cell_ids(master.stem, cells)
        signed = _assemble(ids, cells, without_solutions)
        notebook = _assemble(ids, cells, change)
    except MasterError as wrong:
        raise MasterError(f"{master.name}: {wrong}") from None
    notebook.metadata.dgm = {"source": fingerprint(signed)}
    return notebook


def _read(master: Path) -> list[NotebookNode]:
    """The master's cells. jupytext belongs to the [test] set-up, so only those who build need it."""
    import jupytext

    return jupytext.reads(master.read_text(encoding="utf-8"), fmt="py:percent").cells


def _student_cell(cell: NotebookNode) -> NotebookNode:
    """A fresh cell with text and metadata alone, so that nothing random of the reader's slips in."""
    new = {"markdown": nbformat.v4.new_markdown_cell, "raw": nbformat.v4.new_raw_cell}
    return new.get(cell.cell_type, nbformat.v4.new_code_cell)(cell.source, metadata=cell.metadata)


def _elsewhere() -> list[NotebookNode]:
    """The first code cell of a published notebook, for machines that have no course yet; none before that."""
    return [nbformat.v4.new_code_cell(ELSEWHERE.format(address=PUBLISHED))] if PUBLISHED else []


def _cell_ids(name: str, cells: Iterable[NotebookNode]) -> list[str]:
    """An exercise cell is called by its exercise, any other by its text: inserting one renames no other."""
    seen: Counter[str] = Counter()
    ids = []
    for cell in cells:
        digest = hashlib.sha256(f"{name}\n{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
        seen[digest] += 1
        again = f"-{seen[digest]}" if seen[digest] > 1 else ""
        ids.append(cell.metadata.get("nbgrader", {}).get("grade_id", digest + again))
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
    """Do to one master what the options say; whether all is well with it."""
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
