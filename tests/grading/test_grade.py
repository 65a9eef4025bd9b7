"""A class is graded: the table of exercises, and the way from a folder of submissions to a table of marks."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys

import pytest

from dgm_course.cli import main
from dgm_course.grading import listing
from dgm_course.grading.grade import Assignment, Grader
from dgm_course.grading.notebooks import Unreadable, asked
from dgm_course.grading.submissions import submissions
from dgm_course.teach.homework import exercises

from .classes import BAD, GOOD, MARK, NOTEBOOKS, RAW, ROOT, TASKS, book, notebook, put, with_solutions, zipped

pytestmark = pytest.mark.skipif(os.name != "posix", reason="grading needs limits that only POSIX systems have")
SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(1)>"
ACTIVE = r"<script|<img|<iframe|javascript:|\son\w+=|https?:"


def test_the_table_lists_every_exercise(capsys):
    assert main.main(["homework"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for task in exercises():
        (line,) = [line for line in lines if f" {task.id} " in line]
        number, id, points, hints, refused, *words = line.split()
        assert (number, id, points) == (task.number, task.id, str(task.points)) and " ".join(words) == task.prompt
        assert int(refused) >= 3 and int(hints) >= 2


def test_the_table_without_tests_names_the_gap(monkeypatch, tmp_path):
    monkeypatch.setattr(listing, "ANSWERS", tmp_path)
    lines = list(listing.homework("fm"))
    assert lines[-1] == listing.ELSEWHERE and len(lines) == len(exercises("fm")) + 3 and "?" not in lines[1]
    with pytest.raises(KeyError, match="No exercises on 'gardening'"):
        list(listing.homework("gardening"))


def test_a_filled_notebook_is_no_assignment():
    """Otherwise the answer in it would count as the unfilled cell."""
    with pytest.raises(Unreadable, match="has something written into exercise .*git restore"):
        asked(book(notebook({TASKS[0].mark: GOOD})))


@pytest.mark.slow
def test_own_solutions_get_full_marks(tmp_path):
    """Every recipe, import and earlier function that an answer needs is there in the sandbox."""
    for path in NOTEBOOKS:
        put(tmp_path / "ann" / path.name, with_solutions(path.stem))
    (ann,) = Grader([Assignment.of(path) for path in NOTEBOOKS], [5], workers=1).grade(submissions(tmp_path))
    assert ann.points == ann.out_of, [(mark.task.id, mark.verdict) for mark in ann.marks if not mark.points]
    assert {mark.task.id for mark in ann.marks} <= {task.id for task in exercises()}
    assert len(ann.marks) >= 3 * len(NOTEBOOKS)


@pytest.fixture
def handed_in(tmp_path):
    """Right, wrong, unfilled, hostile and unreadable submissions; files, a folder, zip files."""
    here, full = tmp_path / "handed in", with_solutions("08_flow_matching")
    noisy = notebook({MARK: f'print("{SCRIPT}")\nraise ValueError("{SCRIPT}")'})
    html = {"text/html": SCRIPT + "x" * 9_000_000}
    noisy["cells"][0]["outputs"] = [{"output_type": "display_data", "data": html}]
    noisy["cells"][1]["attachments"] = {"a.svg": {"image/svg+xml": SCRIPT}}
    widgets = {"state": {"a": {"model_module": SCRIPT}}}
    noisy["metadata"]["widgets"] = {"application/vnd.jupyter.widget-state+json": widgets}
    put(here / "ann.ipynb", full)
    put(here / "bob" / "08 (copy).ipynb", notebook({MARK: BAD}))
    put(here / "bob" / ".ipynb_checkpoints" / "08.ipynb", full)
    zipped(here / "cyn.zip", {"08.ipynb": json.dumps(full).encode(), "more/07.ipynb": b"{"})
    put(here / "=dan.ipynb", notebook())
    put(here / "eve.ipynb", "not a notebook")
    zipped(here / "fay.zip", {"../hw.ipynb": RAW})
    put(here / f"{SCRIPT.replace('/', '')}.ipynb", noisy)
    put(here / "gil.ipynb", notebook({MARK: "import os\nos.kill(os.getppid(), 9)\nos.kill(0, 9)"}))
    return here


def grade(where, output) -> int:
    return main.main(["grade", str(where), "-o", str(output), "--of", "08", "--seed", "3", "--workers", "1"])


@pytest.mark.slow
def test_a_mixed_class_is_graded(handed_in, tmp_path, capsys):
    """Each student gets their own marks, alone or in a class, and a page without active content."""
    out = tmp_path / "out" / "grades.csv"
    assert grade(handed_in, out) == 0
    printed, text = capsys.readouterr().out, out.read_text(encoding="utf-8")
    rows = {row["student"]: row for row in csv.DictReader(io.StringIO(text))}
    assert len(rows) == 8 and "seed 3" in printed and "Answers ran with" in printed
    points = {name: int(row["points"]) for name, row in rows.items()}
    full = sum(task.points for task in exercises("fm"))
    assert points["ann"] == points["cyn"] == full == int(rows["ann"]["out of"])
    assert sum(points.values()) == 2 * full
    remarks = {
        "cyn": "07.ipynb cannot be read",
        "bob": "8.2: Wrong in every case",
        "'=dan": "8.1: Not yet",
        "eve": "not JSON",
        "fay": "leads out",
        "gil": "8.2:",
    }
    for name, words in remarks.items():
        assert words in rows[name]["remarks"], name
    pages = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "out" / "grades_pages").iterdir()}
    assert len(pages) == 8 and {"ann.html", "cyn.html"} <= set(pages)
    for name, page in pages.items():
        assert len(page) < 100_000 and "Content-Security-Policy" in page, name
        assert not re.search(ACTIVE, re.sub(r"&lt;.*?&gt;", "", page)), name
    assert any("&lt;script&gt;alert(1)" in page for page in pages.values())
    assert grade(handed_in / "gil.ipynb", tmp_path / "gil.csv") == 0
    assert (tmp_path / "gil.csv").read_text(encoding="utf-8").splitlines()[1] in text.splitlines()


@pytest.mark.slow
def test_later_answers_use_the_student_s_earlier_ones(tmp_path):
    data = with_solutions("02_vae")
    (cell,) = [cell for cell in data["cells"] if cell["id"] == "vae-gaussian_kl"]
    cell["source"] = "def gaussian_kl(mean, log_std):\n    return (mean**2).sum(1)"
    put(tmp_path / "ann.ipynb", data)
    assignment = Assignment.of(ROOT / "notebooks" / "02_vae.ipynb")
    (ann,) = Grader([assignment], [5], workers=1).grade(submissions(tmp_path))
    lost = {mark.task.id: mark for mark in ann.marks if not mark.points}
    assert set(lost) == {"vae.gaussian_kl", "vae.loss"}
    assert "your own answer to vae.gaussian_kl" in lost["vae.loss"].notes[0]


def test_assignment_is_found_by_marks(tmp_path, capsys):
    path = put(tmp_path / "ann.ipynb", (ROOT / "notebooks" / "09_absorbing_diffusion.ipynb").read_bytes())
    assert main.main(["grade", str(path), "-o", str(tmp_path / "out" / "g.csv"), "--seed", "4"]) == 0
    printed = capsys.readouterr().out
    assert "Submissions: 1; 09_absorbing_diffusion, seed 4." in printed and "No code was run." in printed
    assert re.search(r"ann +0 of \d+", printed)


@pytest.mark.parametrize(
    "files, words, reason",
    [
        ([], ["none"], "nothing at"),
        ([], ["."], "holds no submission"),
        (["ann"], ["."], "None of the submissions"),
        (["ann", "bob"], [".", "-o", "grades.csv"], "outside of their folder"),
    ],
)
def test_wrong_commands_are_explained(tmp_path, monkeypatch, capsys, files, words, reason):
    monkeypatch.chdir(tmp_path)
    for name in files:
        put(tmp_path / f"{name}.ipynb", RAW)
    notebooks = ["--notebooks", str(ROOT / "notebooks")]
    assert main.main(["grade", *words, *notebooks]) == 2
    assert reason in capsys.readouterr().err


def test_the_command_starts_without_torch():
    code = "import sys; from dgm_course.cli import main; main.parser(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
