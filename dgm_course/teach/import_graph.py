"""Which module of the library imports which, read from the source files."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


@cache
def modules() -> dict[str, Path]:
    """Module name within the package ("" is the package itself) -> file."""
    files = [p for p in sorted(PACKAGE.rglob("*.py")) if "__pycache__" not in p.parts]
    return {
        ".".join(p.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").rstrip("."): p
        for p in files
    }


def parsed(module: str) -> ast.Module:
    """The syntax tree of a module; KeyError where there is none of that name."""
    if module not in modules():
        raise KeyError(
            f"there is no module {module!r} in the package: expected one of {', '.join(list(modules())[1:6])}, ..."
        )
    return ast.parse(modules()[module].read_text(encoding="utf-8"))


def _targets(module: str, node: ast.ImportFrom) -> list[str]:
    """What `from ..x import a, b` names: x, x.a, x.b, counted from the package."""
    parts = module.split(".") if module else []
    is_package = modules()[module].name == "__init__.py"
    base = parts[: len(parts) - node.level + is_package] + (node.module.split(".") if node.module else [])
    return [".".join(base), *(".".join([*base, alias.name]) for alias in node.names)]


def imports(module: str) -> set[str]:
    """The package's own modules that a module imports, inside functions too."""
    nodes = [n for n in ast.walk(parsed(module)) if isinstance(n, ast.ImportFrom) and n.level]
    found = {name for node in nodes for name in _targets(module, node)} & set(modules())
    return {name for name in found - {module, ""} if not module.startswith(f"{name}.")}


def outside(module: str) -> set[str]:
    """The other packages that a module imports."""
    names: set[str] = set()
    for node in ast.walk(parsed(module)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.split(".")[0])
    return names


def rooms(skip: tuple[str, ...] = ()) -> dict[str, set[str]]:
    """Room (first part of a module's name) -> the rooms that it imports, without those of ``skip``."""
    graph: dict[str, set[str]] = {}
    for module in modules():
        room = module.partition(".")[0]
        if room and room != "__main__" and room not in skip:
            graph.setdefault(room, set()).update(name.partition(".")[0] for name in imports(module))
    return {room: {other for other in others - {room} if other in graph} for room, others in graph.items()}


def floors(graph: dict[str, set[str]], together: tuple[str, ...] = ()) -> dict[str, int]:
    """Room -> its floor: 0 where it imports nothing, else one above the highest that it imports.

    together: rooms that share one floor.  ValueError where imports form a cycle."""
    height: dict[str, int] = {}
    needs = {name: set().union(*(graph[n] for n in (together if name in together else (name,)))) for name in graph}
    while len(height) < len(graph):
        ready = [name for name, others in needs.items() if name not in height and others <= height.keys()]
        if not ready:
            raise ValueError(f"imports form a cycle among {', '.join(sorted(graph.keys() - height.keys()))}.")
        height |= {name: 1 + max((height[other] for other in needs[name]), default=-1) for name in ready}
    return height


def drawing(graph: dict[str, set[str]]) -> str:
    """The graph as a mermaid flowchart, the top floor first, without arrows that follow from others."""

    def below(name: str) -> set[str]:
        return graph[name].union(*map(below, graph[name]))

    height, lines = floors(graph), ["flowchart TD"]
    for name in sorted(graph, key=lambda n: (-height[n], n)):
        direct = graph[name] - set().union(*map(below, graph[name]))
        if direct:
            lines.append(f"    {name} --> {' & '.join(sorted(direct))}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(drawing(rooms()))
