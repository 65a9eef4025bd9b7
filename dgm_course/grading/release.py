"""`dgm release DIR`: what a class receives: notebooks, the library as a wheel, pinned versions, and how to start.

The notebooks are first searched for solutions, wrong answers and references, in cells, metadata and outputs.
The wheel holds the references, because the check cell in a student's kernel compares with them.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import hashlib
import json
import re
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path

from ..teach.build.exercise_cells import BEGIN, END, solution_blocks
from ..teach.homework import exercises, topics
from .notebooks import asked, read
from .worker_package import LIBRARY, NAME

PACKED = (".py", ".typed", ".js", ".css", ".json", ".safetensors", ".html", ".csv", ".woff2", ".txt")
FIXED = (2020, 1, 1, 0, 0, 0)  # the date of every file in the wheel: the same course gives the same wheel
SHORTEST = 40  # characters without blanks; a shorter formula occurs in any text on the subject

START = """# How to start

    python3 -m venv .venv                                   (Windows: python -m venv .venv)
    .venv/bin/pip install -c constraints.txt {wheel}        (Windows: .venv\\Scripts\\pip)
    .venv/bin/dgm lab                                       (Windows: .venv\\Scripts\\dgm lab)

On Linux without an NVIDIA card put `PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu ` before the second line, or
torch brings several gigabytes of CUDA.

Click into a cell and press *Shift-Enter* to run it; *Run, Run All Cells* runs all of them. Every notebook runs from top to
bottom before you have written anything. An exercise is a cell with one line to replace,
`raise NotImplementedError("your turn")`; run it and the locked cell below it, and a card shows what is right, or which
law your answer breaks.

# How to hand in

Save the notebook and hand it in as it is, or several of them in a folder or a zip file. Only its exercise cells are graded.
They run on questions that you have not seen, so:

* put everything that an answer needs into its own cell (imports of all cells and your answers to earlier exercises of the
  same notebook are there, too);
* write answers in torch, numpy and scipy: the course's library is not there when marks are given;
* keep the name of the function and its arguments, and hand in one answer to each exercise.
"""


def release(notebooks: Sequence[Path], folder: Path) -> Iterator[str]:
    """Write the bundle into a new or empty folder, one line for each part; nothing where a notebook holds an answer."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} is there already, and not an empty folder: name another.")
    searched = sum(map(_search, notebooks))
    (folder / "notebooks").mkdir(parents=True, exist_ok=True)
    for path in notebooks:
        shutil.copyfile(path, folder / "notebooks" / path.name)
    if notebooks and (pictures := notebooks[0].parent / "pictures").is_dir():
        shutil.copytree(pictures, folder / "notebooks" / "pictures")
    yield f"{len(notebooks)} notebooks, searched for {searched} pieces of answers: none is in them."
    made = wheel(folder)
    yield f"{made.name}: the library ({made.stat().st_size / 1e6:.1f} MB)."
    pins, start = LIBRARY.parent / "constraints.txt", START
    if pins.is_file():
        shutil.copyfile(pins, folder / pins.name)
    else:
        start = START.replace(" -c constraints.txt", "")
    (folder / "START.md").write_text(start.format(wheel=made.name), encoding="utf-8")
    yield f"Written: {folder}; students begin with START.md."


def _search(path: Path) -> int:
    """The number of answers searched for; ValueError where one is in the notebook or an exercise is not a stub."""
    answers = forbidden(path)
    if found := leaks(json.loads(path.read_text(encoding="utf-8")), answers):
        raise ValueError(f"{path.name} is not handed out: " + " ".join(found))
    asked(read(path.name, path.read_bytes()))
    return len(answers)


# --- the search


def forbidden(notebook: Path) -> set[str]:
    """Answers to a notebook's exercises, without blanks: references, wrong forms; in a checkout also master and tests."""
    homework, tests = LIBRARY / "teach" / "homework", LIBRARY.parent / "tests" / "teach" / "homework" / "answers"
    master = notebook.parent / "source" / f"{notebook.stem}.py"
    named = set(re.findall(r'check\(\\?"(\w+)\.', notebook.read_text(encoding="utf-8")))
    chosen = [name for name in topics() if exercises(name)[0].topic in named]
    places = [path for name in chosen for path in (*(homework / name).glob("*.py"), tests / f"{name}.py")]
    pieces = {body for path in places if path.is_file() for body in _bodies(path.read_text(encoding="utf-8"))}
    if master.is_file():
        pieces |= {_tight(block) for block in solution_blocks(master.read_text(encoding="utf-8"))}
    return {piece for piece in pieces if len(piece) >= SHORTEST}


def leaks(notebook: dict, answers: set[str]) -> list[str]:
    """A sentence for each place of a notebook (source, metadata, output) that holds an answer."""
    places = {"The notebook": notebook["metadata"]}
    places |= {f"Cell {number}": cell for number, cell in enumerate(notebook["cells"], 1)}
    texts = {name: _tight("\n".join(_texts(place))) for name, place in places.items()}
    everything = "\n".join(texts.values())
    given = [answer for answer in sorted({*answers, _tight(BEGIN), _tight(END)}) if answer in everything]
    return [f"{name} holds an answer: {it[:60]} …" for it in given for name, text in texts.items() if it in text]


def _bodies(source: str) -> Iterator[str]:
    """The body of every function and lambda without docstring, as written and as `ast.unparse` writes it."""
    lines = source.encode().split(b"\n")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Lambda):
            parts: Sequence[ast.stmt | ast.expr] = [node.body]
        elif isinstance(node, ast.FunctionDef):
            parts = node.body[ast.get_docstring(node, clean=False) is not None :]
        else:
            continue
        if parts and not (len(parts) == 1 and _only_calls(parts[0])):
            yield _tight("\n".join(_segment(lines, part) for part in parts))
            yield _tight("\n".join(map(ast.unparse, parts)))


def _segment(lines: list[bytes], part: ast.stmt | ast.expr) -> str:
    """The text of a node (`ast.get_source_segment` splits the whole file again for each node)."""
    piece = [*lines[part.lineno - 1 : part.end_lineno - 1], lines[part.end_lineno - 1][: part.end_col_offset]]
    return b"\n".join([piece[0][part.col_offset :], *piece[1:]]).decode()


def _only_calls(part: ast.AST) -> bool:
    """Whether a body only passes names and constants to another function, which is no formula."""
    call = part.value if isinstance(part, (ast.Return, ast.Expr)) else part
    if not isinstance(call, ast.Call):
        return False
    return all(isinstance(arg, (ast.Name, ast.Constant)) for arg in (call.func, *call.args))


def _texts(value: object) -> Iterator[str]:
    """Every text in a JSON tree, lists of lines joined, pictures left out; code also as `ast.unparse` writes it."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        if value and all(isinstance(part, str) for part in value):
            yield "".join(value)
        else:
            for part in value:
                yield from _texts(part)
    elif isinstance(value, dict):
        for key, part in value.items():
            if not key.startswith("image/"):
                yield key
                yield from _texts(part)
        if value.get("cell_type") == "code" and "source" in value:
            with contextlib.suppress(SyntaxError, ValueError):
                yield ast.unparse(ast.parse("".join(value["source"])))


def _tight(text: str) -> str:
    return "".join(text.split())


# --- the wheel


def wheel(folder: Path) -> Path:
    """Write the files of this library as a wheel that pip installs; needs no build tool and no network."""
    known = metadata.distribution("dgm-course")
    inner = f"{NAME}-{known.version}.dist-info"
    path = folder / f"{NAME}-{known.version}-py3-none-any.whl"
    texts = {
        "METADATA": known.read_text("METADATA") or known.read_text("PKG-INFO") or "",  # the second: in a checkout
        "entry_points.txt": known.read_text("entry_points.txt") or "",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: dgm\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files = {
        f"{NAME}/{file.relative_to(LIBRARY).as_posix()}": file.read_bytes()
        for file in sorted(LIBRARY.rglob("*"))
        if file.suffix in PACKED and "__pycache__" not in file.parts
    }
    files |= {f"{inner}/{name}": text.encode() for name, text in texts.items()}
    record = [f"{name},sha256={_digest(content)},{len(content)}" for name, content in files.items()]
    files[f"{inner}/RECORD"] = "\n".join([*record, f"{inner}/RECORD,,", ""]).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name, FIXED)
            info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o100644 << 16
            archive.writestr(info, content)
    return path


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
