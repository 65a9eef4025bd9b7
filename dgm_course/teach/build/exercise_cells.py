"""Exercise cells of a master: their rules, and what a student and nbgrader get of them.

A solution is inside a function, between ``### BEGIN SOLUTION`` and ``### END SOLUTION``; its stub raises
NotImplementedError.  nbgrader's metadata (schema 3) allows no dots: exercise ``fm.velocity`` is cell ``fm-velocity``, its
check ``fm-velocity-test``.
"""

from __future__ import annotations

import ast
import re

from nbformat import NotebookNode

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
STUB = 'raise NotImplementedError("your turn")'
KEYS = {"exercise", "check", "points", "tags", "jupyter", "lines_to_next_cell"}
EXERCISE_ID = re.compile(r"[a-z0-9]+(\.[a-z0-9_]+)+")


class MasterError(ValueError):
    """A master that cannot become a notebook."""


def check_cells(cells: list[NotebookNode]) -> list[NotebookNode]:
    """Check the exercise cells of a master and give every cell its final metadata."""
    solutions: set[str] = set()
    checks: set[str] = set()
    for number, cell in enumerate(cells, 1):
        try:
            _check_cell(cell, solutions, checks)
        except MasterError as wrong:
            raise MasterError(f"cell {number}: {wrong}") from None
    written = {c.metadata.get("exercise") for c in cells if c.cell_type == "markdown"}
    if unchecked := sorted(solutions - checks - written):
        raise MasterError(f"exercise {unchecked[0]!r} has no check cell.")
    return [_with_metadata(cell) for cell in cells]


def without_solutions(source: str) -> str:
    """The source with a stub in place of each solution, at its indentation."""
    return "\n".join(line for kind, line in _lines(source) if kind in ("plain", "begin"))


def without_markers(source: str) -> str:
    """The source with its solutions and without their marker lines."""
    return "\n".join(line for kind, line in _lines(source) if kind in ("plain", "solution"))


def solution_blocks(source: str) -> list[str]:
    """The text of each solution."""
    blocks: list[list[str]] = []
    for kind, line in _lines(source):
        if kind == "begin":
            blocks.append([])
        elif kind == "solution":
            blocks[-1].append(line)
    return ["\n".join(block) for block in blocks]


def _lines(source: str) -> list[tuple[str, str]]:
    """Each line with its part: plain, begin (already the stub), solution, end."""
    parts: list[tuple[str, str]] = []
    inside = False
    for line in source.split("\n"):
        mark = line.strip()
        if mark == (BEGIN if inside else END):
            raise MasterError(f"`{mark}` comes where `{END if inside else BEGIN}` should.")
        if mark in (BEGIN, END):
            inside = mark == BEGIN
            indent = line[: len(line) - len(line.lstrip())]
            parts.append(("begin", indent + STUB) if inside else ("end", line))
        else:
            parts.append(("solution" if inside else "plain", line))
    if inside:
        raise MasterError(f"`{BEGIN}` is never followed by `{END}`.")
    return parts


def _check_cell(cell: NotebookNode, solutions: set[str], checks: set[str]) -> None:
    """Hold one cell to the rules, given the exercises and checks before it."""
    meta = cell.metadata
    if unknown := sorted(set(meta) - KEYS):
        raise MasterError(f"{unknown[0]!r} is no key of a cell; the keys are {', '.join(sorted(KEYS))}.")
    marked = cell.cell_type == "code" and bool(solution_blocks(cell.source))
    if marked and "exercise" not in meta:
        raise MasterError('a solution needs a cell that opens with `# %% exercise="topic.name"`.')
    if "exercise" in meta and "check" in meta:
        raise MasterError("one cell cannot be an exercise and a check.")
    if "check" in meta:
        _check_check(meta, solutions, checks)
    if "exercise" in meta:
        _check_exercise(cell, marked, solutions)


def _check_check(meta: NotebookNode, solutions: set[str], checks: set[str]) -> None:
    name = meta["check"]
    if name not in solutions:
        raise MasterError(f"the check of {name!r} stands before its exercise, or has none.")
    if name in checks:
        raise MasterError(f"exercise {name!r} has two check cells.")
    _need_points(meta, name)
    checks.add(name)


def _check_exercise(cell: NotebookNode, marked: bool, solutions: set[str]) -> None:
    name = cell.metadata["exercise"]
    if not isinstance(name, str) or not EXERCISE_ID.fullmatch(name):
        raise MasterError(f"an exercise must be named topic.name in small letters, digits and _; {name!r} came.")
    if name.replace(".", "-") in {n.replace(".", "-") for n in solutions}:
        raise MasterError(f"exercise {name!r} stands there twice.")
    if cell.cell_type == "markdown":
        _need_points(cell.metadata, name)
    elif not marked:
        raise MasterError(f"exercise {name!r} has no `{BEGIN}` ... `{END}`.")
    else:
        _need_stub(cell.source, name)
    solutions.add(name)


def _need_points(meta: NotebookNode, name: str) -> None:
    points = meta.get("points")
    if not isinstance(points, (int, float)) or isinstance(points, bool) or points <= 0:
        raise MasterError(f"the graded cell of {name!r} needs points=, a positive number; it has {points!r}.")


def _need_stub(source: str, name: str) -> None:
    """Both forms must parse, and each stub must be inside a function: else Run All would stop at the cell."""
    for form in (without_solutions(source), without_markers(source)):
        try:
            ast.parse(form)
        except SyntaxError as wrong:
            raise MasterError(f"exercise {name!r} is not Python: {wrong.msg}, line {wrong.lineno}.") from None
    functions = [n for n in ast.walk(ast.parse(without_solutions(source))) if isinstance(n, ast.FunctionDef)]
    inside = {line for f in functions for line in range(f.lineno, (f.end_lineno or f.lineno) + 1)}
    stubs = [i for i, line in enumerate(without_solutions(source).split("\n"), 1) if line.strip() == STUB]
    if not set(stubs) <= inside:
        raise MasterError(f"the solution of {name!r} must stand in a function, or its stub stops Run All.")


def _with_metadata(cell: NotebookNode) -> NotebookNode:
    """A new cell with nbgrader's metadata in place of the master's keys; tags and folding stay."""
    meta = cell.metadata
    kept = {key: meta[key] for key in ("jupyter", "tags") if key in meta}
    if name := meta.get("exercise"):
        markdown = cell.cell_type == "markdown"
        by_hand = {"grade": True, "points": meta["points"]} if markdown else {"grade": False}
        kept["nbgrader"] = _nbgrader(name, cell.cell_type, solution=True, locked=False, **by_hand)
    elif name := meta.get("check"):
        kept |= {"editable": False, "deletable": False}
        graded = {"solution": False, "locked": True, "grade": True, "points": meta["points"]}
        kept["nbgrader"] = _nbgrader(f"{name}-test", cell.cell_type, **graded)
    return NotebookNode(cell_type=cell.cell_type, source=cell.source, metadata=NotebookNode(kept))


def _nbgrader(name: str, cell_type: str, **rest: bool | float) -> NotebookNode:
    fixed = {"schema_version": 3, "grade_id": name.replace(".", "-"), "task": False, "cell_type": cell_type}
    return NotebookNode({**fixed, **rest})
