"""A notebook as the grader reads it: the source of its cells and their marks, and nothing else of it.

Outputs, widgets, attachments and every other cell are dropped on reading.  An exercise's cell is found by its mark
(nbgrader's ``grade_id``, which Jupyter keeps when cells are moved), else by the name of its function.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..teach.build.exercise_cells import STUB

MOST_SOURCE = 30_000  # letters in a cell; what a parser has to swallow is bounded by it


class Unreadable(ValueError):
    """A file that is no notebook; the message is the reason, in a sentence."""


@dataclass(frozen=True)
class Cell:
    """One cell: 'code' or another kind, its text, and its mark or ''."""

    kind: str
    source: str
    mark: str = ""


@dataclass(frozen=True)
class Notebook:
    """A notebook: its file's name and its cells."""

    name: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class ExerciseCell:
    """What one exercise looks like where it is handed out: mark, function, stub and check cell."""

    id: str
    function: str
    stub: str
    check: str

    @property
    def mark(self) -> str:
        return self.id.replace(".", "-")


@dataclass(frozen=True)
class AnswerCell:
    """The cell that counts (or the reason why there is none), and remarks for the report."""

    source: str = ""
    reason: str = ""
    notes: tuple[str, ...] = ()


def read(name: str, content: bytes) -> Notebook:
    """The cells of a notebook of format 4; an Unreadable with a sentence for anything else."""
    try:
        data = json.loads(content.decode("utf-8-sig"), parse_constant=_refuse)
    except UnicodeDecodeError:
        raise Unreadable(f"{name} cannot be read: it is not UTF-8 text.") from None
    except (ValueError, RecursionError):
        raise Unreadable(f"{name} cannot be read: it is not JSON.") from None
    if not isinstance(data, dict) or data.get("nbformat") != 4:
        form = data.get("nbformat", "none") if isinstance(data, dict) else "none"
        raise Unreadable(
            f"{name} is no notebook of format 4 (its format is {str(form)[:20]}): save it with JupyterLab."
        )
    cells = data.get("cells")
    if not isinstance(cells, list):
        raise Unreadable(f"{name} is no notebook: it has no list of cells.")
    return Notebook(name, tuple(_cell(cell) for cell in cells if isinstance(cell, dict)))


def _refuse(word: str) -> None:
    raise ValueError(word)


def _cell(cell: dict) -> Cell:
    source, meta = cell.get("source", ""), cell.get("metadata")
    text = "".join(part for part in source if isinstance(part, str)) if isinstance(source, list) else source
    grader = meta.get("nbgrader") if isinstance(meta, dict) else None
    mark = grader.get("grade_id") if isinstance(grader, dict) else ""
    kind = str(cell.get("cell_type"))[:20]
    if not isinstance(text, str) or len(text) > MOST_SOURCE:
        kind, text = "unreadable", ""
    return Cell(kind, text.encode("utf-8", "replace").decode(), mark if isinstance(mark, str) else "")


# --- what is asked


def asked(book: Notebook) -> tuple[ExerciseCell, ...]:
    """The exercises of a notebook as it is handed out, in order, from its check cells."""
    stubs = {cell.mark: cell.source for cell in book.cells if cell.kind == "code" and cell.mark}
    found = []
    for cell in book.cells:
        if cell.kind == "code" and cell.mark.endswith("-test"):
            call = next(
                (n for n in ast.walk(ast.parse(cell.source)) if isinstance(n, ast.Call) and len(n.args) == 2), None
            )
            stub = stubs.get(cell.mark.removesuffix("-test"))
            if call is None or stub is None:
                raise Unreadable(f"{book.name}: the check cell {cell.mark} has no exercise before it.")
            if STUB not in stub:
                raise Unreadable(
                    f"{book.name} has something written into exercise {call.args[0].value}, so it is not as it was handed "
                    f"out: take it back (`git restore notebooks/{book.name}`), or name the folder that you released "
                    "(`--notebooks class/notebooks`)."
                )
            found.append(ExerciseCell(call.args[0].value, call.args[1].id, stub, cell.source))
    return tuple(found)


def imports(books: Sequence[Notebook]) -> tuple[str, ...]:
    """Every import statement at the top level of code cells, one name a line: cells rely on those of the set-up cell."""
    lines = (
        line for book in books for cell in book.cells if cell.kind == "code" for line in _imports(cell.source)
    )
    return tuple(dict.fromkeys(lines))


def _imports(source: str) -> Iterator[str]:
    for node in _parsed(plain(source)).body:
        if isinstance(node, ast.Import):
            yield from (ast.unparse(ast.Import([alias])) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level and node.module != "__future__":
            yield from (ast.unparse(ast.ImportFrom(node.module, [alias], 0)) for alias in node.names)


def wanted(lines: Sequence[str], sources: Sequence[str]) -> tuple[str, ...]:
    """Of single imports those whose name some source uses: to import all that a notebook does takes seconds."""
    names = {node.id for source in sources for node in ast.walk(_parsed(source)) if isinstance(node, ast.Name)}
    return tuple(line for line in lines if line.split()[-1].partition(".")[0] in names | {"*"})


# --- what was handed in


def find(books: Sequence[Notebook], task: ExerciseCell) -> AnswerCell:
    """The cell of one exercise in all notebooks of a student."""
    notes: list[str] = []
    answers = {}
    for book in _of_the_lecture(books, task):
        source = _in_book(book, task, notes)
        if source is not None:
            answers.setdefault(_form(source), (book.name, source))
    filled = {form: answer for form, answer in answers.items() if form != _form(task.stub)} or answers
    if not filled:
        return AnswerCell(reason="No cell for this exercise was handed in.", notes=tuple(notes))
    if len(filled) > 1:
        names = " and ".join(name for name, _ in filled.values())
        return AnswerCell(
            reason=f"Different answers were handed in, in {names}: one is wanted.", notes=tuple(notes)
        )
    ((_, source),) = filled.values()
    return AnswerCell(source, notes=tuple(notes))


def _of_the_lecture(books: Sequence[Notebook], task: ExerciseCell) -> Sequence[Notebook]:
    """The notebooks with marks of the exercise's lecture, else all: another lecture may use the same name for its own."""
    lecture = f"{task.mark.partition('-')[0]}-"
    return [book for book in books if any(cell.mark.startswith(lecture) for cell in book.cells)] or books


def is_stub(source: str, task: ExerciseCell) -> bool:
    """Whether the cell is still as it was handed out, layout and comments aside."""
    return _form(source) == _form(task.stub)


def needed(source: str, task: ExerciseCell, others: Sequence[ExerciseCell]) -> list[ExerciseCell]:
    """The earlier exercises whose functions a cell calls."""
    names = {node.id for node in ast.walk(_parsed(plain(source))) if isinstance(node, ast.Name)}
    return [other for other in others if other.function in names and other.id != task.id]


def _in_book(book: Notebook, task: ExerciseCell, notes: list[str]) -> str | None:
    """The cell by its mark (the last of several); where that is missing or unfilled, the last that defines the function."""
    marked = [cell for cell in book.cells if cell.mark == task.mark]
    code = [cell.source for cell in marked if cell.kind == "code"]
    if any(cell.mark == f"{task.mark}-test" and cell.source.strip() != task.check.strip() for cell in book.cells):
        notes.append("The check cell was changed; it plays no part in the marks.")
    if len(marked) > len(code):
        notes.append("The exercise's cell is no code cell any more, or far too long for one.")
    if len(code) > 1:
        notes.append(f"The cell is there {len(code)} times; the last one counts.")
    if code and not is_stub(plain(code[-1]), task):
        return plain(code[-1])
    named = [
        cell.source
        for cell in book.cells
        if cell.kind == "code" and not cell.mark and _defines(cell.source, task.function)
    ]
    if named:
        notes.append(
            "The answer stands in a cell without the exercise's mark, and was found by the name of its function."
        )
    found = named or code
    return plain(found[-1]) if found else None


def _defines(source: str, function: str) -> bool:
    return any(
        isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == function
        for node in _parsed(plain(source)).body
    )


def plain(source: str) -> str:
    """Without IPython's own lines (%magic, !command), which are no Python: they are passed over."""
    if _readable(source):
        return source
    lines = [
        f"{line[: len(line) - len(line.lstrip())]}pass" if line.lstrip()[:1] in ("%", "!") else line
        for line in source.split("\n")
    ]
    return "\n".join(lines) if _readable("\n".join(lines)) else source


def _readable(source: str) -> bool:
    try:
        ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _parsed(source: str) -> ast.Module:
    return ast.parse(source) if _readable(source) else ast.Module([], [])


def _form(source: str) -> str:
    """The same text for cells that differ in layout and comments only."""
    try:
        return ast.dump(ast.parse(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return source
