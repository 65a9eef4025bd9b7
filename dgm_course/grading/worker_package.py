"""The part of the course that a worker may hold: what observes an answer, and nothing that knows one.

From a few names, followed through the syntax trees (annotations left out), every statement they need is copied, and
nothing else.  The result is a small package of the same name, so that what is pickled here is known there; the library,
the references, the hints and the wrong answers of the homework are not in it.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

HOUSE = Path(__file__).resolve().parents[1]
NAME = HOUSE.name
FIRST = "from __future__ import annotations\n\n"
Thing = tuple[str, str]  # (module within the house, name at its top level)
Kept = dict[str, dict[int, set[str]]]  # module -> place of a statement -> the names it is kept for


def sieve(roots: Iterable[Thing]) -> dict[str, str]:
    """File within the package -> text, of all that the roots need."""
    wanted = list(roots)
    kept: Kept = defaultdict(lambda: defaultdict(set))
    seen: set[Thing] = set()
    while wanted:
        thing = wanted.pop()
        if thing not in seen:
            seen.add(thing)
            wanted += _follow(*thing, kept)
    return _with_packages({_file(module): _text(module, places) for module, places in kept.items()})


def write(files: dict[str, str], folder: Path) -> None:
    """The package under `folder`, readable by everybody."""
    for name, text in files.items():
        path = folder / NAME / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _follow(module: str, name: str, kept: Kept) -> list[Thing]:
    """Keep the statements that bind a name; what they need in turn."""
    needed: list[Thing] = []
    for place, statement in enumerate(_body(module)):
        if name not in _bound(statement):
            continue
        kept[module][place].add(name)
        if isinstance(statement, ast.ImportFrom) and statement.level:
            needed.append(_imported(module, statement, name))
        needed += [(module, other) for other in _used(statement)]
    return needed


def _imported(module: str, statement: ast.ImportFrom, name: str) -> Thing:
    """What a relative import names. A whole module would bring everything, so it is refused."""
    source = _absolute(module, statement)
    alias = next(a for a in statement.names if (a.asname or a.name) == name)
    if _path(f"{source}.{alias.name}".strip(".")) is not None:
        raise LookupError(
            f"{module} imports the whole of {source}.{alias.name}; a worker is given single names only."
        )
    return source, alias.name


def _absolute(module: str, statement: ast.ImportFrom) -> str:
    """The module that `from ..x import y` names, counted from the package."""
    package = module.split(".") if module else []
    inside = _file(module).endswith("__init__.py")
    base = package[: len(package) - statement.level + inside]
    return ".".join([*base, *filter(None, [statement.module])])


def _bound(statement: ast.stmt) -> set[str]:
    """The names that a statement at the top level of a file binds."""
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        return {statement.name}
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return {(alias.asname or alias.name).split(".")[0] for alias in statement.names}
    if isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        return {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}
    return set()


def _used(node: ast.AST) -> Iterator[str]:
    """Every name below a node, those of annotations left out: they are never evaluated."""
    if isinstance(node, ast.Name):
        yield node.id
    for field, value in ast.iter_fields(node):
        if field not in ("annotation", "returns"):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _used(child)


def _text(module: str, places: dict[int, set[str]]) -> str:
    """The kept statements in their order, imports cut down to the names that are needed."""
    body = _body(module)
    return FIRST + "\n\n".join(ast.unparse(_lean(body[place], places[place])) for place in sorted(places)) + "\n"


def _lean(statement: ast.stmt, names: set[str]) -> ast.stmt:
    if not isinstance(statement, ast.ImportFrom):
        return statement
    aliases = [alias for alias in statement.names if (alias.asname or alias.name) in names]
    return ast.ImportFrom(statement.module, aliases, statement.level)


def _with_packages(files: dict[str, str]) -> dict[str, str]:
    """An `__init__.py` in every folder that has none."""
    folders = {parent for name in files for parent in Path(name).parents}
    return {**{(folder / "__init__.py").as_posix(): "" for folder in folders}, **files}


def _path(module: str) -> Path | None:
    base = HOUSE.joinpath(*module.split(".")) if module else HOUSE
    found = (base.with_suffix(".py"), base / "__init__.py")
    return next((path for path in found if path.is_file()), None)


def _file(module: str) -> str:
    return _path(module).relative_to(HOUSE).as_posix()


@cache
def _body(module: str) -> list[ast.stmt]:
    path = _path(module)
    if path is None:
        raise LookupError(f"There is no file of the course called {module!r}.")
    return ast.parse(path.read_text(encoding="utf-8")).body
