"""Every notebook agrees with its master, hides its solutions, and runs through: unfilled and solved."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import nbformat
import pytest

from dgm_course.teach.build import build
from dgm_course.teach.build.clean import faults, quiet_environment, tidy
from dgm_course.teach.build.exercise_cells import solution_blocks

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
MASTERS = sorted((NOTEBOOKS / "source").glob("[0-9][0-9]_*.py"))

every = pytest.mark.parametrize("master", MASTERS, ids=lambda m: m.stem)


def shipped(master: Path) -> nbformat.NotebookNode:
    target = NOTEBOOKS / f"{master.stem}.ipynb"
    assert target.exists(), f"{target.name} is not built: run `make notebooks`."
    return nbformat.read(target, as_version=4)


def test_each_notebook_has_its_master():
    built = {p.stem for p in NOTEBOOKS.glob("*.ipynb")}
    assert built == {m.stem for m in MASTERS}, "Without master, or not built: run `make notebooks`."
    numbers = Counter(m.stem.split("_")[0] for m in MASTERS)
    assert all(count == 1 for count in numbers.values()), f"Two masters share a number: {numbers}."


@every
def test_it_agrees_with_its_master(master):
    assert build.is_current(master, NOTEBOOKS / f"{master.stem}.ipynb"), (
        f"{master.stem}.ipynb is older than its master, or was edited by hand: run `make notebooks`."
    )
    for cell, fresh in zip(shipped(master).cells, build.student(master).cells, strict=True):
        assert (cell.id, cell.source, cell.metadata) == (fresh.id, fresh.source, fresh.metadata)


@every
def test_it_is_clean(master):
    notebook = shipped(master)
    nbformat.validate(notebook)
    assert faults(notebook) == []
    assert faults(build.solved(master)) == []
    code = [c for c in notebook.cells if c.cell_type == "code"]
    assert [c.execution_count for c in code] == list(range(1, len(code) + 1))
    headings = [c for c in notebook.cells if c.cell_type == "markdown" and c.source.startswith("# ")]
    assert len(headings) == 1 and notebook.cells[0] is headings[0], "One title, in the first cell."


@every
def test_every_exercise_has_a_stub_that_only_raises_and_a_locked_check(master):
    graded = {c.metadata.nbgrader.grade_id: c for c in shipped(master).cells if "nbgrader" in c.metadata}
    stubs = {k: c for k, c in graded.items() if c.cell_type == "code" and c.metadata.nbgrader.solution}
    assert len(stubs) >= (3 if master.stem[:2] in ("00", "11") else 4)
    for name, cell in stubs.items():
        raises = [n for n in ast.walk(ast.parse(cell.source)) if isinstance(n, ast.Raise)]
        assert {ast.unparse(r) for r in raises} == {"raise NotImplementedError('your turn')"}, name
        test = graded[f"{name}-test"].metadata
        assert test.nbgrader.grade and test.nbgrader.locked and test.nbgrader.points > 0 and not test.editable


def one_line(text: str) -> str:
    return " ".join(text.split())


@every
def test_no_solution_leaks(master):
    """No block of a solution stands in a cell nor, where it is long enough to be told, in an output."""
    notebook = shipped(master)
    blocks = {one_line(block) for cell in build._read(master) for block in solution_blocks(cell.source)}
    assert blocks
    code = "\n".join(one_line(c.source) for c in notebook.cells if c.cell_type == "code")
    rest = one_line(str([(c.metadata, c.get("outputs", [])) for c in notebook.cells]).replace("\\n", " "))
    for block in blocks:
        assert block not in code, f"a solution stands in a cell: {block}"
        assert len(block) < 40 or block not in rest, f"a solution stands in an output: {block}"


@pytest.mark.notebooks
@every
def test_it_runs_unfilled(master, tmp_path):
    """As a student first runs it: nothing filled in, and no cell fails.  Its seconds: `python -m benchmarks notebooks`."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--nbval-lax",
        "--nbval-current-env",
        "--nbval-cell-timeout=600",
        "-p",
        "no:cacheprovider",
        "-c",
        os.devnull,
        "--rootdir",
        str(NOTEBOOKS),
        str(NOTEBOOKS / f"{master.stem}.ipynb"),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=NOTEBOOKS, env=quiet_environment(str(tmp_path))
    )
    assert done.returncode == 0, done.stdout[-5000:]


@pytest.mark.solved
@every
def test_it_runs_solved_and_every_check_passes(master):
    """With the solutions in, and wrong answers raising: every check says pass.  Trainings are brief: they ran above."""
    env = {
        "DGM_STRICT": "1",
        "DGM_BUDGET": "brief",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }  # two run at a time
    done = build.execute(build.solved(master), timeout=600, env=env, folder=NOTEBOOKS)
    assert faults(tidy(done)) == []
