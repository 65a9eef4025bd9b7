"""Exercise cells of a master: what they must look like, and what a student and nbgrader see of them.

A solution stands inside a function between ``### BEGIN SOLUTION`` and ``### END SOLUTION``; the stub that
replaces it parses and does one thing, raise NotImplementedError. The metadata is nbgrader's schema 3, whose
``grade_id`` knows no dots: exercise ``fm.velocity`` is cell ``fm-velocity``, its check ``fm-velocity-test``.
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
    """A master that cannot become a notebook; the message is a sentence to its author."""


def dress(cells: list[NotebookNode]) -> list[NotebookNode]:
    """Check the exercise cells of a whole master and give every cell its final metadata."""
    solutions: set[str] = set()
    checks: set[str] = set()
    for number, cell in enumerate(cells, 1):
        try:
            _accept(cell, solutions, checks)
        except MasterError as wrong:
            raise MasterError(f"cell {number}: {wrong}") from None
    written = {c.metadata.get("exercise") for c in cells if c.cell_type == "markdown"}
    if unchecked := sorted(solutions - checks - written):
        raise MasterError(f"exercise {unchecked[0]!r} has no check cell.")
    return [_with_metadata(cell) for cell in cells]


def without_solutions(source: str) -> str:
    """Every solution block replaced by the stub's one line, at the block's own indentation."""
    return "\n".join(line for kind, line in _lines(source) if kind in ("plain", "begin"))


def without_markers(source: str) -> str:
    """The solutions stay, the two marker lines of each go."""
    return "\n".join(line for kind, line in _lines(source) if kind in ("plain", "solution"))


def solution_blocks(source: str) -> list[str]:
    """The text of each solution block, for those who test that none of it leaks."""
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


def _accept(cell: NotebookNode, solutions: set[str], checks: set[str]) -> None:
    """One cell against the rules, the exercises seen so far in hand."""
    meta = cell.metadata
    if unknown := sorted(set(meta) - KEYS):
        raise MasterError(f"{unknown[0]!r} is no key of a cell; the keys are {', '.join(sorted(KEYS))}.")
    marked = cell.cell_type == "code" and bool(solution_blocks(cell.source))
    if marked and "exercise" not in meta:
        raise MasterError('a solution needs a cell that opens with `# %% exercise="topic.name"`.')
    if "exercise" in meta and "check" in meta:
        raise MasterError("one cell cannot be an exercise and a check.")
    if "check" in meta:
        _accept_check(meta, solutions, checks)
    if "exercise" in meta:
        _accept_exercise(cell, marked, solutions)


def _accept_check(meta: NotebookNode, solutions: set[str], checks: set[str]) -> None:
    name = meta["check"]
    if name not in solutions:
        raise MasterError(f"the check of {name!r} stands before its exercise, or has none.")
    if name in checks:
        raise MasterError(f"exercise {name!r} has two check cells.")
    _need_points(meta, name)
    checks.add(name)


def _accept_exercise(cell: NotebookNode, marked: bool, solutions: set[str]) -> None:
    name = cell.metadata["exercise"]
    if not isinstance(name, str) or not EXERCISE_ID.fullmatch(name):
        raise MasterError(f"an exercise is called topic.name in small letters, digits and _, not {name!r}.")
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
    """Both forms must parse, and each stub stand inside a function: else the cell itself would raise."""
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
    """The master's keys replaced by what notebooks and nbgrader know; tags and folding pass through."""
    meta = cell.metadata
    kept = {key: meta[key] for key in ("jupyter", "tags") if key in meta}
    if name := meta.get("exercise"):
        markdown = cell.cell_type == "markdown"
        by_hand = {"grade": True, "points": meta["points"]} if markdown else {"grade": False}
        kept["nbgrader"] = _nbgrader(name, cell.cell_type, solution=True, locked=False, **by_hand)
    elif name := meta.get("check"):
        kept |= {"editable": False, "deletable": False}
        kept["nbgrader"] = _nbgrader(
            f"{name}-test", cell.cell_type, solution=False, locked=True, grade=True, points=meta["points"]
        )
    return NotebookNode(cell_type=cell.cell_type, source=cell.source, metadata=NotebookNode(kept))


def _nbgrader(name: str, cell_type: str, **rest: bool | float) -> NotebookNode:
    fixed = {"schema_version": 3, "grade_id": name.replace(".", "-"), "task": False, "cell_type": cell_type}
    return NotebookNode({**fixed, **rest})
