"""`dgm release DIR`: what a class receives, searched for answers before anything is written.

Notebooks as they are committed (solutions are stubs), the library as a wheel, the pinned versions, and a page that says
how to start and how to hand in.  The wheel holds the homework's references, as it must: the check cell in a student's own
kernel compares with them.  What is promised, and searched, are the notebooks: no solution, no wrong answer and no
reference in any cell, metadata or output.
"""

from __future__ import annotations

import ast
import base64
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
from .worker_package import HOUSE, NAME

PACKED = (".py", ".typed", ".js", ".css", ".json", ".safetensors", ".html", ".csv", ".woff2", ".txt")
FIXED = (2020, 1, 1, 0, 0, 0)  # the date of all files in the wheel: the same course gives the same wheel
SHORTEST = 40  # letters, blanks aside: what is shorter is said by every text on the subject

START = """# How to start

    python3 -m venv .venv                                   (Windows: python -m venv .venv)
    .venv/bin/pip install -c constraints.txt {wheel}        (Windows: .venv\\Scripts\\pip)
    .venv/bin/dgm lab                                       (Windows: .venv\\Scripts\\dgm lab)

On Linux without an NVIDIA card put `PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu ` before the second line, or
torch brings several gigabytes of CUDA.

Click into a cell and press *Shift-Enter* to run it; *Run, Run All Cells* runs all of them. Every notebook runs from top to
bottom before you have written anything. An exercise is a cell with one line to replace,
`raise NotImplementedError("your turn")`; run it and the locked cell below it, and a card tells you what is right, or which
law your answer breaks.

# How to hand in

Save the notebook and hand it in as it is, or several of them in a folder or a zip file. For the marks only the exercise
cells are taken out of it, and run on questions that you have not seen, so:

* everything that an answer needs stands in its own cell (imports are taken from all cells; your answers to earlier
  exercises of the same notebook are there, too);
* answers are written in torch, numpy and scipy: of the course's library nothing is there when marks are given;
* leave the name of the function and its arguments as they are, and have one answer to each exercise.
"""


def release(notebooks: Sequence[Path], folder: Path) -> Iterator[str]:
    """Write the bundle into a new or empty folder, a line for each thing; nothing where a notebook gives an answer away."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} is there already, and not an empty folder: name another.")
    searched = 0
    for path in notebooks:
        answers = forbidden(path)
        searched += len(answers)
        if found := leaks(json.loads(path.read_text(encoding="utf-8")), answers):
            raise ValueError(f"{path.name} is not handed out: " + " ".join(found))
        asked(
            read(path.name, path.read_bytes())
        )  # refuses what a teacher has written into it, in words of their own
    (folder / "notebooks").mkdir(parents=True, exist_ok=True)
    for path in notebooks:
        shutil.copyfile(path, folder / "notebooks" / path.name)
    pictures = notebooks[0].parent / "pictures" if notebooks else HOUSE
    if pictures.is_dir() and pictures.name == "pictures":
        shutil.copytree(pictures, folder / "notebooks" / "pictures")
    yield f"{len(notebooks)} notebooks, searched for {searched} pieces of answers: none is in them."
    made = wheel(folder)
    yield f"{made.name}: the library ({made.stat().st_size / 1e6:.1f} MB)."
    pins = HOUSE.parent / "constraints.txt"
    if pins.is_file():
        shutil.copyfile(pins, folder / pins.name)
    start = START if pins.is_file() else START.replace(" -c constraints.txt", "")
    (folder / "START.md").write_text(start.format(wheel=made.name), encoding="utf-8")
    yield f"Written: {folder}; students begin with START.md."


# --- the search


def forbidden(notebook: Path) -> set[str]:
    """Answers to a notebook's exercises, without blanks: references, wrong forms, in a checkout also master and tests."""
    homework, tests = HOUSE / "teach" / "homework", HOUSE.parent / "tests" / "teach" / "homework" / "answers"
    master = notebook.parent / "source" / f"{notebook.stem}.py"
    named = set(re.findall(r'check\(\\?"(\w+)\.', notebook.read_text(encoding="utf-8")))
    pieces: set[str] = set()
    for topic in (name for name in topics() if exercises(name)[0].topic in named):
        places = (*(homework / topic).glob("*.py"), tests / f"{topic}.py")
        for path in filter(Path.is_file, places):
            pieces |= set(_bodies(path.read_text(encoding="utf-8")))
    if master.is_file():
        pieces |= {_tight(block) for block in solution_blocks(master.read_text(encoding="utf-8"))}
    return {piece for piece in pieces if len(piece) >= SHORTEST}


def leaks(notebook: dict, answers: set[str]) -> list[str]:
    """Where a notebook gives an answer away, in sentences: in sources, metadata and outputs alike."""
    places = [("The notebook", _tight("\n".join(_texts(notebook["metadata"]))))]
    places += [
        (f"Cell {number}", _tight("\n".join(_texts(cell)))) for number, cell in enumerate(notebook["cells"], 1)
    ]
    everything = "\n".join(text for _, text in places)
    given = [answer for answer in sorted({*answers, _tight(BEGIN), _tight(END)}) if answer in everything]
    return [
        f"{name} holds an answer: {answer[:60]} …" for answer in given for name, text in places if answer in text
    ]


def _bodies(source: str) -> Iterator[str]:
    """The body of every function and lambda, as it stands and as Python would write it, docstrings aside."""
    lines = source.encode().split(b"\n")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Lambda):
            parts = [node.body]
        elif isinstance(node, ast.FunctionDef):
            parts = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
        else:
            continue
        if parts and not (len(parts) == 1 and _only_calls(parts[0])):
            yield _tight("\n".join(_segment(lines, part) for part in parts))
            yield _tight("\n".join(map(ast.unparse, parts)))


def _segment(lines: list[bytes], part: ast.AST) -> str:
    """The text of a node (ast.get_source_segment splits the whole file anew for each)."""
    piece = [*lines[part.lineno - 1 : part.end_lineno - 1], lines[part.end_lineno - 1][: part.end_col_offset]]
    return b"\n".join([piece[0][part.col_offset :], *piece[1:]]).decode()


def _only_calls(part: ast.AST) -> bool:
    """Whether nothing is done but to call another function with what came: that is no formula."""
    call = part.value if isinstance(part, (ast.Return, ast.Expr)) else part
    return isinstance(call, ast.Call) and all(
        isinstance(arg, (ast.Name, ast.Constant)) for arg in (call.func, *call.args)
    )


def _texts(thing: object) -> Iterator[str]:
    """Every text in a tree of JSON, lists of lines joined; pictures are left out."""
    if isinstance(thing, str):
        yield thing
    elif isinstance(thing, dict):
        for key, value in thing.items():
            if not key.startswith("image/"):
                yield key
                yield from _texts("".join(value) if _lines(value) else value)
        if thing.get("cell_type") == "code" and "source" in thing:
            yield _rewritten("".join(thing["source"]))
    elif isinstance(thing, list):
        for value in thing:
            yield from _texts(value)


def _rewritten(code: str) -> str:
    """Code as Python would write it, so that a line break or a bracket more hides nothing."""
    try:
        return ast.unparse(ast.parse(code))
    except (SyntaxError, ValueError):
        return ""


def _lines(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(part, str) for part in value)


def _tight(text: str) -> str:
    return "".join(text.split())


# --- the wheel


def wheel(folder: Path) -> Path:
    """The library as an archive that pip installs, made of the files that run here; no tool and no network is needed."""
    known = metadata.distribution("dgm-course")
    inner = f"{NAME}-{known.version}.dist-info"
    path = folder / f"{NAME}-{known.version}-py3-none-any.whl"
    about = (
        known.read_text("METADATA") or known.read_text("PKG-INFO") or ""
    )  # the second where a checkout is found first
    texts = {
        "METADATA": about,
        "entry_points.txt": known.read_text("entry_points.txt") or "",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: dgm\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files = {
        f"{NAME}/{file.relative_to(HOUSE).as_posix()}": file.read_bytes()
        for file in sorted(HOUSE.rglob("*"))
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
