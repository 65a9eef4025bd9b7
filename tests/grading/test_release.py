"""What a class receives gives no answer away, installs, and is taken by nbgrader."""

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
from dgm_course.teach.build.build import solved
from dgm_course.teach.homework import exercises

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def loaded(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def answered(stem: str) -> dict[str, str]:
    """Solutions of a master by cell."""
    cells = json.loads(json.dumps(solved(ROOT / "notebooks" / "source" / f"{stem}.py")))["cells"]
    return {
        cell["id"]: cell["source"]
        for cell in cells
        if cell["metadata"].get("nbgrader", {}).get("solution") and cell["cell_type"] == "code"
    }


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_notebook_gives_an_answer_away(path):
    """Sources, metadata and outputs of what is committed, against references, wrong answers, masters and test banks."""
    assert leaks(loaded(path), forbidden(path)) == []


@pytest.mark.parametrize("path", NOTEBOOKS[:2], ids=lambda path: path.stem)
def test_the_search_finds_answers_wherever_they_hide(path):
    answers = forbidden(path)
    assert len(answers) > 50 and all(len(answer) >= SHORTEST for answer in answers)
    master = path.parent / "source" / f"{path.stem}.py"
    filled = json.loads(json.dumps(solved(master)))
    assert len(leaks(filled, answers)) >= 3
    secret = max(answered(path.stem).values(), key=len)
    for hide in (
        lambda book: book["metadata"].update(note=secret),
        lambda book: book["cells"][0]["metadata"].update(solution=secret.split("\n")),
        lambda book: book["cells"].append({"cell_type": "markdown", "metadata": {}, "source": [f"\t{secret}"]}),
        lambda book: book["cells"].append(
            {
                "cell_type": "code",
                "metadata": {},
                "source": "",
                "outputs": [{"output_type": "stream", "text": [line + "\n" for line in secret.split("\n")]}],
            }
        ),
        lambda book: book["cells"].append({"cell_type": "raw", "metadata": {}, "source": "### BEGIN SOLUTION"}),
    ):
        book = loaded(path)
        hide(book)
        assert leaks(book, answers), hide


def test_the_bundle(tmp_path, capsys):
    assert main.main(["release", str(tmp_path / "class"), "--of", "08", "2"]) == 0
    said = capsys.readouterr().out
    files = sorted(
        path.relative_to(tmp_path / "class").as_posix()
        for path in (tmp_path / "class").rglob("*")
        if path.suffix != ".png" and path.is_file()
    )
    (wheel,) = [name for name in files if name.endswith(".whl")]
    books = ["notebooks/02_vae.ipynb", "notebooks/08_flow_matching.ipynb"]
    assert files == sorted(["START.md", "constraints.txt", wheel, *books])
    assert "none is in them" in said and wheel in (tmp_path / "class" / "START.md").read_text(encoding="utf-8")
    assert main.main(["release", str(tmp_path / "class")]) == 2
    assert "not an empty folder" in capsys.readouterr().err


def test_a_notebook_with_its_solution_is_not_handed_out(tmp_path, capsys):
    (tmp_path / "notebooks").mkdir()
    book = json.dumps(solved(ROOT / "notebooks" / "source" / "08_flow_matching.py"))
    (tmp_path / "notebooks" / "08_flow_matching.ipynb").write_text(book, encoding="utf-8")
    assert main.main(["release", str(tmp_path / "class"), "--notebooks", str(tmp_path / "notebooks")]) == 2
    assert "is not handed out: Cell" in capsys.readouterr().err and not (tmp_path / "class").exists()


def test_an_answer_in_nobody_elses_words_is_not_handed_out_either(tmp_path, capsys):
    """What no search can know: any cell of an exercise that is not the stub."""
    book = loaded(ROOT / "notebooks" / "00_introduction.ipynb")
    cell = next(
        c for c in book["cells"] if c["metadata"].get("nbgrader", {}).get("solution") and c["cell_type"] == "code"
    )
    cell["source"] = "".join(cell["source"]).replace(
        'raise NotImplementedError("your turn")', "return x.mean() * 0 + 42"
    )
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "00_introduction.ipynb").write_text(json.dumps(book), encoding="utf-8")
    assert main.main(["release", str(tmp_path / "class"), "--notebooks", str(tmp_path / "notebooks")]) == 2
    assert (
        "has something written into exercise intro." in capsys.readouterr().err
        and not (tmp_path / "class").exists()
    )


def test_the_wheel_is_whole_and_repeatable(tmp_path, capsys):
    """Installed by pip into an empty folder it imports from there, weights and all; made again it is the same."""
    for name in ("one", "two"):
        assert main.main(["release", str(tmp_path / name), "--of", "08"]) == 0
    capsys.readouterr()
    one, two = (next((tmp_path / name).glob("*.whl")) for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    with zipfile.ZipFile(one) as archive:
        names = archive.namelist()
    assert any(name.endswith(".safetensors") for name in names) and not any(
        "__pycache__" in name for name in names
    )
    target = tmp_path / "site"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--no-deps",
            "--no-index",
            "--disable-pip-version-check",
            "--target",
            str(target),
            str(one),
        ],
        check=True,
        capture_output=True,
    )
    code = "import dgm_course, dgm_course.cli.main; print(dgm_course.__file__); dgm_course.cli.main.parser()"
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(target)},
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    assert found.stdout.strip() == str(target / "dgm_course" / "__init__.py")


# --- nbgrader


def test_a_course_directory_for_nbgrader(tmp_path, capsys):
    assert main.main(["nbgrader", str(tmp_path / "course"), "--of", "08", "02"]) == 0
    assert "generate_assignment 08_flow_matching" in capsys.readouterr().out
    copy = tmp_path / "course" / "source" / "02_vae" / "02_vae.ipynb"
    assert copy.read_bytes() == (ROOT / "notebooks" / "02_vae.ipynb").read_bytes()
    compile((tmp_path / "course" / "nbgrader_config.py").read_text(encoding="utf-8"), "config", "exec")
    assert main.main(["nbgrader", str(tmp_path / "course")]) == 2
    assert "is there already" in capsys.readouterr().err


def slim(path: Path, fill: dict[str, str] | None = None) -> None:
    """Only the first code cell and the homework stay: the rest of a notebook has its own tests, and takes a minute."""
    book = loaded(path)
    cells = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    book["cells"] = [cells[0], *(cell for cell in cells[1:] if "nbgrader" in cell["metadata"])]
    for cell in book["cells"]:
        cell["source"] = (fill or {}).get(cell["id"], cell["source"])
        cell["outputs"], cell["execution_count"] = [], None
    path.write_text(json.dumps(book), encoding="utf-8")


def scores(course: Path, stem: str) -> dict[str, float]:
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        return {one.student.id: one.score for one in book.assignment_submissions(stem)}


def nbgrader(course: Path, *words: str) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # it calls alembic by its name
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", *words],
        cwd=course,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.notebooks
@pytest.mark.skipif(
    util.find_spec("nbgrader") is None, reason="nbgrader is not installed: pip install -e '.[grading]'"
)
def test_round_trip_through_the_real_nbgrader(tmp_path, capsys):
    """Two notebooks, each solved, wrong and as it was handed out: full marks, some, none."""
    course = tmp_path / "course"
    assert main.main(["nbgrader", str(course), "--of", "08", "02"]) == 0
    wrong = {
        "08_flow_matching": ("fm-cfm_loss", "def cfm_loss(net, x1, x0, t):\n    return x1.mean()", 2),
        "02_vae": ("vae-em_step", "def em_step(x, weights, means, std):\n    return x, means", 2),
    }
    for stem, (cell, source, lost) in wrong.items():
        slim(course / "source" / stem / f"{stem}.ipynb")
        nbgrader(course, "generate_assignment", stem)
        released = course / "release" / stem / f"{stem}.ipynb"
        assert 'raise NotImplementedError("your turn")' in released.read_text(encoding="utf-8").replace("\\", "")
        for student, fill in (
            ("solved", answered(stem)),
            ("wrong", {**answered(stem), cell: source}),
            ("unfilled", {}),
        ):
            copy = course / "submitted" / student / stem / f"{stem}.ipynb"
            copy.parent.mkdir(parents=True)
            shutil.copyfile(released, copy)
            slim(copy, fill)
        nbgrader(course, "autograde", stem)
        full = sum(task.points for task in exercises(stem[3:]))
        assert scores(course, stem) == {"solved": full, "wrong": full - lost, "unfilled": 0}
