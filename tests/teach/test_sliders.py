"""A slider works after Run All as it did before: nothing that its picture reads is given another meaning further down."""

from __future__ import annotations

import ast
import symtable
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from dgm_course.teach.build import build

MASTERS = sorted((Path(__file__).resolve().parents[2] / "notebooks" / "source").glob("[0-9][0-9]_*.py"))


@pytest.mark.parametrize("master", MASTERS, ids=lambda m: m.stem)
def test_what_a_slider_draws_from_keeps_its_meaning(master):
    cells = [cell.source for cell in build.solved(master).cells if cell.cell_type == "code"]
    assert list(rebound(cells)) == []


def test_rebound_name_is_found():
    first = "x = 1\ndef helper(): return x\ndef picture(t):\n    y = t\n    return helper() + y\nplay(picture, t=(0, 1))"
    assert list(rebound([first, "for x in range(3): pass"])) == ["picture: x in code cell 1"]
    assert list(rebound(["play(lambda t: t + x, t=(0, 1))", "x, t = 2, 3"])) == ["lambda: x in code cell 1"]
    assert list(rebound([first, "y = 1\ndef other(x):\n    z = x\n[x for x in 'ab']"])) == []


def rebound(cells: Sequence[str]) -> Iterator[str]:
    """'picture: name in code cell k', for each name of the notebook that a slider's picture reads and cell k sets again."""
    tables = [symtable.symtable(cell, "cell", "exec") for cell in cells]
    uses = {table.get_name(): read(table) for cell in tables for table in cell.get_children()}
    for number, cell in enumerate(cells):
        for picture in pictures(ast.parse(cell)):
            if isinstance(picture, ast.Name):
                name, todo = picture.id, {picture.id}
            else:
                name, todo = "lambda", read(symtable.symtable(ast.unparse(picture), "cell", "eval"))
            known = set()
            while todo:
                known |= todo
                todo = set().union(*(uses.get(one, set()) for one in todo)) - known
            for later in range(number + 1, len(cells)):
                again = {
                    symbol.get_name()
                    for symbol in tables[later].get_symbols()
                    if symbol.is_assigned() or symbol.is_imported()
                }
                yield from (f"{name}: {one} in code cell {later}" for one in sorted(known & again))


def pictures(tree: ast.AST) -> Iterator[ast.expr]:
    """What `play` is called with."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name))
    yield from (call.args[0] for call in calls if call.func.id == "play")


def read(table: symtable.SymbolTable) -> set[str]:
    """The notebook's names that a function reads, and those within it."""
    own = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_global() and symbol.is_referenced()}
    return own.union(*(read(inner) for inner in table.get_children()))
