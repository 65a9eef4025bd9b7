"""The library read as a map: which file imports which, and on which floor it stands.  Read from the files themselves."""
from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

HOUSE = Path(__file__).resolve().parents[1]


@cache
def modules() -> dict[str, Path]:
    """Every module of the package by its name from the package on ("" is the package itself), and its file."""
    return {".".join(p.relative_to(HOUSE).with_suffix("").parts).removesuffix("__init__").rstrip("."): p
            for p in sorted(HOUSE.rglob("*.py")) if "__pycache__" not in p.parts}


def _known(module: str) -> Path:
    if module not in modules():
        some = ", ".join(list(modules())[1:6])
        raise KeyError(f"there is no module {module!r} in the package: expected one of {some}, ...")
    return modules()[module]


def parsed(module: str) -> ast.Module:
    """The syntax tree of a module."""
    return ast.parse(_known(module).read_text(encoding="utf-8"))


def absolute(module: str, node: ast.ImportFrom) -> list[str]:
    """What `from ..x import a, b` in a module names, counted from the package: x, x.a, x.b."""
    inside = _known(module).name == "__init__.py"
    package = module.split(".") if module else []
    base = package[: len(package) - node.level + inside] + (node.module.split(".") if node.module else [])
    return [".".join(base), *(".".join([*base, alias.name]) for alias in node.names)]


def imports(module: str) -> set[str]:
    """The package's own modules that this one imports, anywhere in its text."""
    nodes = [n for n in ast.walk(parsed(module)) if isinstance(n, ast.ImportFrom) and n.level]
    found = {name for n in nodes for name in absolute(module, n)} & set(modules())
    # `from .homework import x` names homework too where x is a module; one's own package is no neighbour
    return {name for name in found - {module, ""} if not module.startswith(f"{name}.")}


def outside(module: str) -> set[str]:
    """The other packages it imports."""
    names: set[str] = set()
    for node in ast.walk(parsed(module)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.split(".")[0])
    return names


# files, clocks, stops and shares: no formula in them
SERVANTS = ("checkpoints", "folders", "mnist_files", "recipe", "batches", "pace", "interrupts", "pieces", "processes")


def wings(skip: tuple[str, ...] = ("grade", "cli", "lab", *SERVANTS)) -> dict[str, set[str]]:
    """The same with every package as one: the first part of the names, and which of them each imports."""
    graph: dict[str, set[str]] = {}
    for module in modules():
        first = module.partition(".")[0]
        if first and first not in skip:
            graph.setdefault(first, set()).update(name.partition(".")[0] for name in imports(module))
    return {name: {other for other in others - {name} if other in graph} for name, others in graph.items()}


def floors(graph: dict[str, set[str]], together: tuple[str, ...] = ()) -> dict[str, int]:
    """How far above the ground each stands: 0 where it imports nothing, else one above the highest that it imports.

    together: names that stand on one floor, the lowest that can hold them all.  ValueError where imports run in a circle."""
    height: dict[str, int] = {}
    needs = {name: set().union(*(graph[n] for n in (together if name in together else (name,)))) for name in graph}
    while len(height) < len(graph):
        ready = [name for name, others in needs.items() if name not in height and others <= height.keys()]
        if not ready:
            raise ValueError(f"imports run in a circle among {', '.join(sorted(graph.keys() - height.keys()))}.")
        height |= {name: 1 + max((height[other] for other in needs[name]), default=-1) for name in ready}
    return height
