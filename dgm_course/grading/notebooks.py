"""A notebook as the grader reads it: the kind, source and mark of each cell; outputs and attachments are dropped.

An exercise's cell is found by its mark (nbgrader's ``grade_id``), else by the name of its function.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..teach.build.exercise_cells import STUB
from .messages import strict_json

MOST_SOURCE = 30_000  # characters in a cell; bounds the work of the parser
UNPARSABLE = (SyntaxError, ValueError, RecursionError, MemoryError)


class Unreadable(ValueError):
    """A file that is not a notebook; the message gives the reason."""


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

    @property
    def code(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.kind == "code"]


@dataclass(frozen=True)
class ExerciseCell:
    """One exercise as handed out: id, function, stub and check cell."""

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
    """The cells of a notebook of format 4; Unreadable with the reason for anything else."""
    try:
        data = strict_json(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise Unreadable(f"{name} cannot be read: it is not UTF-8 text.") from None
    except (ValueError, RecursionError):
        raise Unreadable(f"{name} cannot be read: it is not JSON.") from None
    form = data.get("nbformat", "none") if isinstance(data, dict) else "none"
    if form != 4:
        raise Unreadable(
            f"{name} is no notebook of format 4 (its format is {str(form)[:20]}): save it with JupyterLab."
        )
    cells = data.get("cells")
    if not isinstance(cells, list):
        raise Unreadable(f"{name} is no notebook: it has no list of cells.")
    return Notebook(name, tuple(_cell(cell) for cell in cells if isinstance(cell, dict)))


def _cell(cell: dict) -> Cell:
    source, meta = cell.get("source", ""), cell.get("metadata")
    text = "".join(part for part in source if isinstance(part, str)) if isinstance(source, list) else source
    grader = meta.get("nbgrader") if isinstance(meta, dict) else None
    mark = grader.get("grade_id") if isinstance(grader, dict) else ""
    kind = str(cell.get("cell_type"))[:20]
    if not isinstance(text, str) or len(text) > MOST_SOURCE:
        kind, text = "unreadable", ""
    return Cell(kind, text.encode("utf-8", "replace").decode(), mark if isinstance(mark, str) else "")


# --- the notebook as handed out


def asked(book: Notebook) -> tuple[ExerciseCell, ...]:
    """The exercises of a notebook as handed out, in order, read from its check cells."""
    stubs = {cell.mark: cell.source for cell in book.code if cell.mark}
    found = []
    for cell in book.code:
        if not cell.mark.endswith("-test"):
            continue
        nodes = ast.walk(ast.parse(cell.source))
        call = next((node for node in nodes if isinstance(node, ast.Call) and len(node.args) == 2), None)
        stub = stubs.get(cell.mark.removesuffix("-test"))
        if call is None or stub is None:
            raise Unreadable(f"{book.name}: the check cell {cell.mark} has no exercise before it.")
        name, function = ast.literal_eval(call.args[0]), ast.unparse(call.args[1])
        if STUB not in stub:
            raise Unreadable(
                f"{book.name} has something written into exercise {name}, so it is not as it was handed out: "
                f"undo it (`git restore notebooks/{book.name}`), or name the folder that you released "
                "(`--notebooks class/notebooks`)."
            )
        found.append(ExerciseCell(name, function, stub, cell.source))
    return tuple(found)


def imports(books: Sequence[Notebook]) -> tuple[str, ...]:
    """Every import at the top level of a code cell, one name a line: exercise cells rely on those of the set-up cell."""
    return tuple(dict.fromkeys(line for book in books for cell in book.code for line in _imports(cell.source)))


def _imports(source: str) -> Iterator[str]:
    for node in _parsed(source).body:
        if isinstance(node, ast.Import):
            yield from (ast.unparse(ast.Import([alias])) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level and node.module != "__future__":
            yield from (ast.unparse(ast.ImportFrom(node.module, [alias], 0)) for alias in node.names)


def wanted(lines: Sequence[str], sources: Sequence[str]) -> tuple[str, ...]:
    """The single imports whose name a source uses: importing everything that a notebook imports takes seconds."""
    names = {"*"}.union(*map(_names, sources))
    return tuple(line for line in lines if line.split()[-1].partition(".")[0] in names)


# --- what was handed in


def find(books: Sequence[Notebook], task: ExerciseCell) -> AnswerCell:
    """The cell of one exercise in all notebooks of a student; two different answers count as none."""
    notes: list[str] = []
    answers: dict[str, tuple[str, str]] = {}
    for book in _of_the_lecture(books, task):
        source = _in_book(book, task, notes)
        if source is not None:
            answers.setdefault(_form(source), (book.name, source))
    filled = {form: answer for form, answer in answers.items() if form != _form(task.stub)} or answers
    if len(filled) == 1:
        ((_, source),) = filled.values()
        return AnswerCell(source, notes=tuple(notes))
    names = " and ".join(name for name, _ in filled.values())
    several = f"Different answers were handed in, in {names}: one is wanted."
    return AnswerCell(reason=several if names else "No cell for this exercise was handed in.", notes=tuple(notes))


def _of_the_lecture(books: Sequence[Notebook], task: ExerciseCell) -> Sequence[Notebook]:
    """The notebooks with marks of the exercise's lecture, else all: other lectures may define a function of that name."""
    lecture = f"{task.mark.partition('-')[0]}-"
    return [book for book in books if any(cell.mark.startswith(lecture) for cell in book.cells)] or books


def _in_book(book: Notebook, task: ExerciseCell, notes: list[str]) -> str | None:
    """The last cell with the mark; where that is missing or unfilled, the last that defines the function."""
    marked = [cell for cell in book.cells if cell.mark == task.mark]
    code = [plain(cell.source) for cell in marked if cell.kind == "code"]
    if any(cell.mark == f"{task.mark}-test" and cell.source.strip() != task.check.strip() for cell in book.cells):
        notes.append("The check cell was changed; it plays no part in the marks.")
    if len(marked) > len(code):
        notes.append("The exercise's cell is no code cell any more, or far too long for one.")
    if len(code) > 1:
        notes.append(f"The cell is there {len(code)} times; the last one counts.")
    if code and not is_stub(code[-1], task):
        return code[-1]
    named = [plain(cell.source) for cell in book.code if not cell.mark and _defines(cell.source, task.function)]
    if named:
        notes.append(
            "The answer is in a cell without the exercise's mark; it was found by the name of its function."
        )
    found = named or code
    return found[-1] if found else None


def needed(source: str, task: ExerciseCell, others: Sequence[ExerciseCell]) -> list[ExerciseCell]:
    """The other exercises whose functions a cell uses."""
    names = _names(source)
    return [other for other in others if other.function in names and other.id != task.id]


def is_stub(source: str, task: ExerciseCell) -> bool:
    """Whether the cell is as it was handed out, layout and comments aside."""
    return _form(source) == _form(task.stub)


def plain(source: str) -> str:
    """The source with IPython's own lines (%magic, !command) replaced by `pass`, where that makes it Python."""
    if _parses(source):
        return source
    python = re.sub(r"(?m)^([ \t]*)[%!].*$", r"\1pass", source)
    return python if _parses(python) else source


def _defines(source: str, function: str) -> bool:
    body = _parsed(source).body
    return any(isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == function for node in body)


def _names(source: str) -> set[str]:
    return {node.id for node in ast.walk(_parsed(source)) if isinstance(node, ast.Name)}


def _parses(source: str) -> bool:
    try:
        ast.parse(source)
    except UNPARSABLE:
        return False
    return True


def _parsed(source: str) -> ast.Module:
    """The syntax tree; an empty one where the source is not Python."""
    source = plain(source)
    return ast.parse(source) if _parses(source) else ast.Module([], [])


def _form(source: str) -> str:
    """The same text for cells that differ only in layout and comments."""
    try:
        return ast.dump(ast.parse(source))
    except UNPARSABLE:
        return source
