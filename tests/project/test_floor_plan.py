"""The house: which room may import which, and how large a function or a file may be."""

from __future__ import annotations

import ast
import statistics
from graphlib import CycleError, TopologicalSorter

import pytest

from dgm_course.teach.import_graph import PACKAGE, floors, imports, modules, outside, parsed, rooms

# From the ground up.  A room imports only from earlier rows; rooms of one row never import each other.
FAMILIES = ("autoregressive", "vae", "vq", "gan", "flows", "paths", "latent")
PLAN = [
    ("core",),
    ("data", "nets", "training"),
    FAMILIES,
    ("pretrained",),
    ("comparison",),
    ("teach",),
    ("grading",),
    ("cli",),
]
FLOOR = {room: number for number, row in enumerate(PLAN) for room in row}
TEACH = ("teach", "grading", "cli")
DRAWING = {"matplotlib", "IPython", "ipywidgets", "anywidget", "ipykernel", "traitlets"}
MODULES = modules()


def functions() -> list[tuple[str, int, int]]:
    """(name, lines, parameters) of every function."""
    found = []
    for module in MODULES:
        for node in ast.walk(parsed(module)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                count = len([a for a in arguments if a.arg not in ("self", "cls")])
                found.append((f"{module}.{node.name}", node.end_lineno - node.lineno + 1, count))
    return found


def test_rooms_import_only_from_below():
    graph = rooms()
    assert set(graph) == set(FLOOR), "a room without a place in PLAN, or a place without a room"
    upwards = {(room, other) for room, others in graph.items() for other in others if FLOOR[other] >= FLOOR[room]}
    assert not upwards


def test_modules_import_without_circles():
    try:
        TopologicalSorter({m: imports(m) for m in MODULES}).prepare()
    except CycleError as circle:
        pytest.fail(f"These modules import each other in a circle: {' -> '.join(circle.args[1])}.")


def test_the_top_level_holds_rooms_only():
    entries = [p.name for p in PACKAGE.iterdir() if p.name != "__pycache__"]
    assert len(entries) <= 18
    assert {name for name in entries if name.endswith(".py")} == {"__init__.py", "__main__.py"}


def test_the_map_names_every_room():
    """`dgm_course/__init__.py` lists the rooms in the order of the plan and imports nothing."""
    text = ast.get_docstring(parsed(""))
    named = [line.split()[0] for line in text.splitlines() if line.startswith("    ")]
    assert sorted(named) == sorted(FLOOR) and [FLOOR[room] for room in named] == sorted(FLOOR.values())
    assert not imports("") and not outside("")


@pytest.mark.parametrize("module", [m for m in MODULES if m.partition(".")[0] not in (*TEACH, "", "__main__")])
def test_mathematics_draws_nothing(module):
    assert not outside(module) & DRAWING


@pytest.mark.parametrize("module", [m for m in MODULES if m])
def test_own_imports_are_relative(module):
    assert "dgm_course" not in outside(module), f"{module}: write `from .x import y`."


@pytest.mark.slow
def test_functions_and_files_are_short():
    long = {name: lines for name, lines, _ in functions() if lines > 40}
    many = {name: count for name, _, count in functions() if count > 7}
    files = {m: n for m, p in MODULES.items() if (n := len(p.read_text(encoding="utf-8").splitlines())) > 400}
    assert not long and not many and not files
    assert statistics.median(lines for _, lines, _ in functions()) <= 6


def test_a_circle_or_a_wrong_floor_is_noticed():
    assert floors({"a": set(), "b": {"a"}}) == {"a": 0, "b": 1}
    with pytest.raises(ValueError, match="cycle among a, b"):
        floors({"a": {"b"}, "b": {"a"}, "c": set()})
    with pytest.raises(KeyError, match="no module 'attic'"):
        imports("attic")
