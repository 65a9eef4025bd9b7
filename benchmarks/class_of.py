"""A class hands in: how long `dgm grade` takes for it, and what each kind of student gets.

The students are made from a notebook as it is handed out.  Most answers are the master's solution, some have one operation
exchanged (plus for minus, mean for sum), some are left unfilled; one student in ten means harm in one exercise (loops,
forks, floods, exits, forged results), and one in ten hands in what is no plain notebook (broken JSON, a zip that climbs
out, two notebooks, an output of megabytes).

    python benchmarks/class_of.py 08 [--students 100] [--workers 2] [--seed 0] [--keep DIR]
"""

from __future__ import annotations

import argparse
import ast
import csv
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import defaultdict
from pathlib import Path

from dgm_course.grading.notebooks import ExerciseCell, asked, read
from dgm_course.teach.build.build import solved

ROOT = Path(__file__).resolve().parents[1]
HARM = {
    "a loop": "while True: pass",
    "a sleep": "import time\ntime.sleep(3600)",
    "deaf": "import signal, time\nfor s in (1, 2, 3, 15): signal.signal(s, signal.SIG_IGN)\ntime.sleep(3600)",
    "forks": "import os\nwhile True:\n    os.fork()",
    "a flood": "while True: print('x' * 1000)",
    "an exit": "import os\nos._exit(0)",
    "memory": "x = bytearray(10**11)",
    "disk": "open('big', 'wb').write(bytes(1 << 30))",
    "forged": "import os\nos.write(4, b'{}')\nos._exit(0)",
    "patched": "import torch\ntorch.allclose = torch.equal = lambda *a, **k: True",
}
KINDS = ["solved", "solved", "slips", "slips", "slips", "slips", "half done", "unfilled", "harm", "odd"]
SWAPS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.Pow: ast.Mult}
NAMES = {"mean": "sum", "sum": "mean", "sin": "cos", "cos": "sin", "exp": "log", "sqrt": "exp"}


class Slip(ast.NodeTransformer):
    """One operation of a solution exchanged for another."""

    def __init__(self, place: int) -> None:
        self.left = place

    def _mine(self) -> bool:
        self.left -= 1
        return self.left == -1

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if type(node.op) in SWAPS and self._mine():
            node.op = SWAPS[type(node.op)]()
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        if node.attr in NAMES and self._mine():
            node.attr = NAMES[node.attr]
        return node


def slipped(source: str, rng: random.Random) -> str:
    """The source with one slip; as it was where nothing can be exchanged."""
    probe = Slip(-1)
    probe.visit(ast.parse(source))
    places = -1 - probe.left
    return ast.unparse(Slip(rng.randrange(places)).visit(ast.parse(source))) if places else source


class Room:
    """The notebook that was handed out, its solutions, and the students who make something of them."""

    def __init__(self, path: Path, seed: int) -> None:
        self.path, self.rng = path, random.Random(seed)
        self.tasks: tuple[ExerciseCell, ...] = asked(read(path.name, path.read_bytes()))
        cells = json.loads(json.dumps(solved(path.parent / "source" / f"{path.stem}.py")))["cells"]
        sources = {cell["id"]: cell["source"] for cell in cells}
        self.right = {task.mark: sources[task.mark] for task in self.tasks}

    def notebook(self, cells: dict[str, str], weight: int = 0) -> bytes:
        """As handed out, these cells filled; weight: bytes of an output that somebody left in."""
        book = json.loads(self.path.read_text(encoding="utf-8"))
        for cell in book["cells"]:
            cell["source"] = cells.get(cell["id"], cell["source"])
        if weight:
            text = {"output_type": "stream", "name": "stdout", "text": "x" * weight}
            next(cell for cell in book["cells"] if cell["cell_type"] == "code")["outputs"] = [text]
        return json.dumps(book).encode()

    def answers(self, kind: str) -> dict[str, str]:
        """Cells of one student: each right, with a slip, or missing."""
        share = {"slips": 0.4, "half done": 0.2}.get(kind, 0.0)
        done = {"half done": 0.5, "unfilled": 0.0}.get(kind, 1.0)
        return {
            mark: slipped(source, self.rng) if self.rng.random() < share else source
            for mark, source in self.right.items()
            if self.rng.random() < done
        }

    def hand_in(self, folder: Path, kind: str, number: int) -> None:
        """One student's file."""
        cells, name = self.answers(kind), f"{number:03} {kind}"
        if kind == "harm":
            label = list(HARM)[number // len(KINDS) % len(HARM)]
            name, mark = f"{name}, {label}", self.rng.choice(list(cells))
            cells[mark] = f"{HARM[label]}\n{cells[mark] if label != 'patched' else slipped(cells[mark], self.rng)}"
        if kind == "odd":
            self.odd(folder, name, cells, number // len(KINDS) % 5)
        else:
            (folder / f"{name}.ipynb").write_bytes(self.notebook(cells))

    def odd(self, folder: Path, name: str, cells: dict[str, str], which: int) -> None:
        """What is no plain notebook: cut off, a zip that climbs out, one that does not, two notebooks, megabytes."""
        book = self.notebook(cells, weight=15_000_000 if which == 4 else 0)
        if which in (1, 2):
            with zipfile.ZipFile(
                folder / f"{name}, {'a zip that climbs' if which == 1 else 'a zip'}.zip", "w"
            ) as archive:
                archive.writestr("../evil.ipynb" if which == 1 else "work/hw.ipynb", book)
        elif which == 3:
            (folder / f"{name}, two notebooks").mkdir()
            (folder / f"{name}, two notebooks" / "one.ipynb").write_bytes(book)
            (folder / f"{name}, two notebooks" / "two.ipynb").write_bytes(self.notebook(self.answers("slips")))
        else:
            label = "megabytes" if which else "cut off"
            (folder / f"{name}, {label}.ipynb").write_bytes(book if which else book[: len(book) // 2])


def grade(number: str, here: Path, workers: int) -> tuple[float, float]:
    """Seconds of clock and of processor of the command."""

    def spent() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    before, start = spent(), time.monotonic()
    words = ["grade", str(here / "handed in"), "-o", str(here / "out" / "grades.csv"), "--of", number]
    subprocess.run(
        [sys.executable, "-m", "dgm_course.cli.main", *words, "--workers", str(workers)],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return time.monotonic() - start, spent() - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebook", help="its number: 08")
    parser.add_argument("--students", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="an empty folder for what is handed in and what comes out")
    args = parser.parse_args()
    (path,) = (ROOT / "notebooks").glob(f"{args.notebook}_*.ipynb")
    with tempfile.TemporaryDirectory() as temporary:
        here = args.keep or Path(temporary)
        (here / "handed in").mkdir(parents=True)
        room = Room(path, args.seed)
        for number in range(args.students):
            room.hand_in(here / "handed in", KINDS[number % len(KINDS)], number)
        clock, cpu = grade(args.notebook, here, args.workers)
        points = defaultdict(list)
        for row in csv.DictReader((here / "out" / "grades.csv").read_text(encoding="utf-8").splitlines()):
            points[row["student"].partition(" ")[2]].append(int(row["points"]))
    print(
        f"{args.students} students, {path.stem}, {len(room.tasks)} exercises: {clock:.0f} s, {cpu:.0f} CPU s, "
        f"{args.workers} workers"
    )
    for kind, got in sorted(points.items()):
        print(f"  {kind:26} {len(got):3} students, points {min(got)} to {max(got)}")


if __name__ == "__main__":
    main()
