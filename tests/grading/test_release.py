"""What a class receives holds no answer, installs, and works with nbgrader."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from importlib import util
from pathlib import Path

import pytest

from dgm_course.cli import main
from dgm_course.grading.release import SHORTEST, forbidden, leaks
from dgm_course.teach.homework import exercises

from .classes import NOTEBOOKS, ROOT, put, with_solutions


def loaded(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def answer_cells(book: dict) -> list[dict]:
    code = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    return [cell for cell in code if cell["metadata"].get("nbgrader", {}).get("solution")]


def answered(stem: str) -> dict[str, str]:
    """Solutions of a master by cell."""
    return {cell["id"]: cell["source"] for cell in answer_cells(with_solutions(stem))}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_notebook_holds_an_answer(path):
    """Sources, metadata and outputs of what is committed, against references, wrong answers, masters and test banks."""
    assert leaks(loaded(path), forbidden(path)) == []


@pytest.mark.parametrize("path", NOTEBOOKS[:2], ids=lambda path: path.stem)
def test_the_search_finds_hidden_answers(path):
    answers = forbidden(path)
    assert len(answers) > 50 and all(len(answer) >= SHORTEST for answer in answers)
    assert len(leaks(with_solutions(path.stem), answers)) >= 3
    secret = max(answered(path.stem).values(), key=len)
    empty = {"metadata": {}, "source": ""}
    stream = {"output_type": "stream", "text": secret.splitlines(keepends=True)}
    for hidden in (
        {**empty, "cell_type": "markdown", "metadata": {"solution": secret.split("\n")}},
        {**empty, "cell_type": "markdown", "source": [f"\t{secret}"]},
        {**empty, "cell_type": "code", "outputs": [stream]},
        {**empty, "cell_type": "raw", "source": "### BEGIN SOLUTION"},
    ):
        book = loaded(path)
        book["cells"].append(hidden)
        assert leaks(book, answers), hidden
    book = loaded(path)
    book["metadata"]["note"] = secret
    assert leaks(book, answers)


@pytest.mark.slow
def test_the_bundle(tmp_path, capsys):
    folder = tmp_path / "class"
    assert main.main(["release", str(folder), "--of", "08", "2"]) == 0
    printed = capsys.readouterr().out
    files = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    files = sorted(name for name in files if not name.endswith(".png"))
    (wheel,) = [name for name in files if name.endswith(".whl")]
    books = ["notebooks/02_vae.ipynb", "notebooks/08_flow_matching.ipynb"]
    assert files == sorted(["START.md", "constraints.txt", wheel, *books])
    assert "none is in them" in printed and wheel in (folder / "START.md").read_text(encoding="utf-8")
    assert main.main(["release", str(folder)]) == 2
    assert "not an empty folder" in capsys.readouterr().err


def with_new_answer() -> dict:
    """An answer that no search can know: an exercise's cell without its stub."""
    book = loaded(ROOT / "notebooks" / "00_introduction.ipynb")
    cell = answer_cells(book)[0]
    stub = 'raise NotImplementedError("your turn")'
    cell["source"] = "".join(cell["source"]).replace(stub, "return x.mean() * 0 + 42")
    return book


@pytest.mark.parametrize(
    "stem, make, reason",
    [
        ("08_flow_matching", lambda: with_solutions("08_flow_matching"), "is not handed out: Cell"),
        ("00_introduction", with_new_answer, "has something written into exercise intro."),
    ],
    ids=["solution", "new"],
)
def test_an_answered_notebook_is_not_released(tmp_path, capsys, stem, make, reason):
    put(tmp_path / "notebooks" / f"{stem}.ipynb", make())
    assert main.main(["release", str(tmp_path / "class"), "--notebooks", str(tmp_path / "notebooks")]) == 2
    assert reason in capsys.readouterr().err and not (tmp_path / "class").exists()


@pytest.mark.slow
def test_the_wheel_is_whole_and_repeatable(tmp_path):
    """pip installs it into an empty folder, from which it imports; made again it is the same."""
    for name in ("one", "two"):
        assert main.main(["release", str(tmp_path / name), "--of", "08"]) == 0
    one, two = (next((tmp_path / name).glob("*.whl")) for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    with zipfile.ZipFile(one) as archive:
        names = archive.namelist()
    assert any(name.endswith(".safetensors") for name in names)
    assert not any("__pycache__" in name for name in names)
    target = tmp_path / "site"
    words = ["--no-deps", "--no-index", "--disable-pip-version-check", "--target", target, one]
    subprocess.run([sys.executable, "-m", "pip", "install", *words], check=True, capture_output=True)
    code = "import dgm_course, dgm_course.cli.main; print(dgm_course.__file__); dgm_course.cli.main.parser()"
    environment = {**os.environ, "PYTHONPATH": str(target)}
    found = subprocess.check_output([sys.executable, "-c", code], env=environment, cwd=tmp_path, text=True)
    assert found.strip() == str(target / "dgm_course" / "__init__.py")


# --- nbgrader


def test_a_course_folder_for_nbgrader(tmp_path, capsys):
    folder = tmp_path / "course"
    assert main.main(["nbgrader", str(folder), "--of", "08", "02"]) == 0
    assert "generate_assignment 08_flow_matching" in capsys.readouterr().out
    copy = folder / "source" / "02_vae" / "02_vae.ipynb"
    assert copy.read_bytes() == (ROOT / "notebooks" / "02_vae.ipynb").read_bytes()
    compile((folder / "nbgrader_config.py").read_text(encoding="utf-8"), "config", "exec")
    assert main.main(["nbgrader", str(folder)]) == 2
    assert "is there already" in capsys.readouterr().err


def slim(path: Path, fill: dict[str, str] | None = None) -> None:
    """Keep the first code cell and the exercises; the rest of a notebook has its own tests."""
    book = loaded(path)
    cells = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    book["cells"] = [cells[0], *(cell for cell in cells[1:] if "nbgrader" in cell["metadata"])]
    for cell in book["cells"]:
        cell["source"] = (fill or {}).get(cell["id"], cell["source"])
        cell["outputs"], cell["execution_count"] = [], None
    put(path, book)


def scores(course: Path, stem: str) -> dict[str, float]:
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        return {one.student.id: one.score for one in book.assignment_submissions(stem)}


def nbgrader(course: Path, *words: str) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # it calls alembic by its name
    command, environment = [sys.executable, "-m", "nbgrader", *words], {**os.environ, "PATH": path}
    done = subprocess.run(command, cwd=course, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.notebooks
@pytest.mark.skipif(
    util.find_spec("nbgrader") is None, reason="nbgrader is not installed: pip install -e '.[grading]'"
)
@pytest.mark.parametrize(
    "stem, cell, source",
    [
        ("08_flow_matching", "fm-cfm_loss", "def cfm_loss(net, x1, x0, t):\n    return x1.mean()"),
        ("02_vae", "vae-em_step", "def em_step(x, weights, means, std):\n    return x, means"),
    ],
)
def test_round_trip_through_the_real_nbgrader(tmp_path, stem, cell, source):
    """A notebook solved, with one wrong answer of two points, and unfilled: full marks, two less, none."""
    course = tmp_path / "course"
    assert main.main(["nbgrader", str(course), "--of", stem[:2]]) == 0
    slim(course / "source" / stem / f"{stem}.ipynb")
    nbgrader(course, "generate_assignment", stem)
    released = course / "release" / stem / f"{stem}.ipynb"
    assert 'raise NotImplementedError("your turn")' in released.read_text(encoding="utf-8").replace("\\", "")
    right = answered(stem)
    for student, fill in {"solved": right, "wrong": {**right, cell: source}, "unfilled": {}}.items():
        copy = course / "submitted" / student / stem / f"{stem}.ipynb"
        copy.parent.mkdir(parents=True)
        shutil.copyfile(released, copy)
        slim(copy, fill)
    nbgrader(course, "autograde", stem)
    full = sum(task.points for task in exercises(stem[3:]))
    assert scores(course, stem) == {"solved": full, "wrong": full - 2, "unfilled": 0}
