"""A class is graded: the table of exercises, what marks are given by, and the whole way from a folder to a table."""

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
from dgm_course.grading.notebooks import Unreadable, asked, read
from dgm_course.grading.submissions import submissions
from dgm_course.teach.build.build import solved
from dgm_course.teach.homework import exercises

from .classes import BAD, GOOD, RAW, ROOT, TASKS, notebook, put, zipped

pytestmark = pytest.mark.skipif(os.name != "posix", reason="grading needs limits that only POSIX systems have")


# --- the table of exercises


def test_the_table_lists_every_exercise_and_what_proves_it(capsys):
    assert main.main(["homework"]) == 0
    said = capsys.readouterr().out
    for task in exercises():
        (line,) = [line for line in said.splitlines() if f" {task.id} " in line]
        number, id, points, hints, refused, *words = line.split()
        assert (number, id, points) == (task.number, task.id, str(task.points)) and " ".join(words) == task.prompt
        assert int(refused) >= 3 and int(hints) >= 2


def test_the_table_elsewhere_says_what_it_cannot_know(monkeypatch, tmp_path):
    monkeypatch.setattr(listing, "ANSWERS", tmp_path)
    lines = list(listing.homework("fm"))
    assert lines[-1] == listing.ELSEWHERE and len(lines) == len(exercises("fm")) + 3 and "?" not in lines[1]
    with pytest.raises(KeyError, match="No exercises on 'gardening'"):
        list(listing.homework("gardening"))


def test_marks_are_not_given_by_a_notebook_that_somebody_has_written_into():
    """Else the right answer, being the one that stands there, would be taken for the unwritten cell."""
    written = json.dumps(notebook({TASKS[0].mark: GOOD})).encode()
    with pytest.raises(Unreadable, match="has something written into exercise .*git restore"):
        asked(read("08.ipynb", written))


# --- a class


def test_the_course_s_own_solutions_get_full_marks(tmp_path):
    """Every recipe, import and earlier function that an answer needs is there, on the other side of all walls."""
    books = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    for path in books:
        put(tmp_path / "ann" / path.name, json.dumps(solved(path.parent / "source" / f"{path.stem}.py")))
    (ann,) = Grader([Assignment.of(path) for path in books], [5], workers=1).grade(submissions(tmp_path))
    assert ann.points == ann.out_of, [(mark.task.id, mark.verdict) for mark in ann.marks if not mark.points]
    assert {mark.task.id for mark in ann.marks} <= {task.id for task in exercises()} and len(ann.marks) >= 3 * len(
        books
    )


def test_a_class_is_graded_whoever_is_in_it(tmp_path, capsys):
    """Good, wrong, empty, hostile, unreadable; a folder, a zip; each gets its own, and a page that renders nothing."""
    here = tmp_path / "handed in"
    full = json.loads(json.dumps(solved(ROOT / "notebooks" / "source" / "08_flow_matching.py")))
    script = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    noisy = notebook({"fm-cfm_loss": f'print("{script}")\nraise ValueError("{script}")'})
    noisy["cells"][0]["outputs"] = [
        {"output_type": "display_data", "data": {"text/html": script + "x" * 9_000_000}}
    ]
    noisy["cells"][1]["attachments"] = {"a.svg": {"image/svg+xml": script}}
    noisy["metadata"]["widgets"] = {
        "application/vnd.jupyter.widget-state+json": {"state": {"a": {"model_module": script}}}
    }
    put(here / "ann.ipynb", full)
    put(here / "bob" / "08 (copy).ipynb", notebook({"fm-cfm_loss": BAD}))
    put(here / "bob" / ".ipynb_checkpoints" / "08.ipynb", full)
    zipped(here / "cyn.zip", {"08.ipynb": json.dumps(full).encode(), "more/07.ipynb": b"{"})
    put(here / "=dan.ipynb", notebook())
    put(here / "eve.ipynb", "not a notebook")
    zipped(here / "fay.zip", {"../hw.ipynb": RAW})
    put(here / f"{script.replace('/', '')}.ipynb", noisy)
    put(here / "gil.ipynb", notebook({"fm-cfm_loss": "import os\nos.kill(os.getppid(), 9)\nos.kill(0, 9)"}))
    out = tmp_path / "out" / "grades.csv"
    command = ["grade", str(here), "-o", str(out), "--of", "08", "--seed", "3", "--workers", "1"]
    assert main.main(command) == 0
    said, text = capsys.readouterr().out, out.read_text(encoding="utf-8")
    rows = {row["student"]: row for row in csv.DictReader(io.StringIO(text))}
    assert len(rows) == 8 and "seed 3" in said and "Answers ran with" in said
    points = {name: int(row["points"]) for name, row in rows.items()}
    full = sum(task.points for task in exercises("fm"))
    assert points["ann"] == points["cyn"] == full == int(rows["ann"]["out of"])
    assert sum(points.values()) == 2 * full and "'=dan" in rows
    assert "07.ipynb cannot be read" in rows["cyn"]["remarks"]
    for name, words in {
        "bob": "8.2: Wrong in every case",
        "'=dan": "8.1: Not yet",
        "eve": "not JSON",
        "fay": "leads out",
        "gil": "8.2:",
    }.items():
        assert words in rows[name]["remarks"], name
    pages = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "out" / "grades_pages").iterdir()}
    assert len(pages) == 8 and {"ann.html", "cyn.html"} <= set(pages)
    for name, page in pages.items():
        assert len(page) < 100_000, name
        assert not re.search(
            r"<script|<img|<iframe|javascript:|\son\w+=|https?:", re.sub(r"&lt;.*?&gt;", "", page)
        ), name
        assert "Content-Security-Policy" in page
    assert any("&lt;script&gt;alert(1)" in page for page in pages.values())
    again = ["grade", str(here / "gil.ipynb"), *command[2:3], str(tmp_path / "gil.csv"), *command[4:]]
    assert main.main(again) == 0
    assert (tmp_path / "gil.csv").read_text(encoding="utf-8").splitlines()[1] in text.splitlines()


def test_answers_that_call_an_earlier_one_run_with_the_student_s_own(tmp_path):
    master = ROOT / "notebooks" / "source" / "02_vae.py"
    data = json.loads(json.dumps(solved(master)))
    for cell in data["cells"]:
        if cell["id"] == "vae-gaussian_kl":
            cell["source"] = "def gaussian_kl(mean, log_std):\n    return (mean**2).sum(1)"
    put(tmp_path / "ann.ipynb", data)
    (ann,) = Grader([Assignment.of(ROOT / "notebooks" / "02_vae.ipynb")], [5], workers=1).grade(
        submissions(tmp_path)
    )
    lost = {mark.task.id: mark for mark in ann.marks if not mark.points}
    assert set(lost) == {"vae.gaussian_kl", "vae.loss"}
    assert "your own answer to vae.gaussian_kl" in lost["vae.loss"].notes[0]


def test_what_was_set_is_read_off_the_marks_of_what_was_handed_in(tmp_path, capsys):
    put(tmp_path / "ann.ipynb", (ROOT / "notebooks" / "09_absorbing_diffusion.ipynb").read_bytes())
    assert (
        main.main(["grade", str(tmp_path / "ann.ipynb"), "-o", str(tmp_path / "out" / "g.csv"), "--seed", "4"])
        == 0
    )
    said = capsys.readouterr().out
    assert "Submissions: 1; 09_absorbing_diffusion, seed 4." in said and "No code was run." in said
    assert re.search(r"ann +0 of \d+", said)


def test_the_command_says_what_is_wrong_with_it(tmp_path, capsys):
    assert main.main(["grade", str(tmp_path / "none")]) == 2
    assert "nothing at" in capsys.readouterr().err
    assert main.main(["grade", str(tmp_path)]) == 2
    assert "holds no submission" in capsys.readouterr().err
    put(tmp_path / "ann.ipynb", RAW)
    assert main.main(["grade", str(tmp_path)]) == 2
    assert "None of the submissions" in capsys.readouterr().err
    put(tmp_path / "bob.ipynb", RAW)
    assert main.main(["grade", str(tmp_path), "-o", str(tmp_path / "grades.csv")]) == 2
    assert "outside of their folder" in capsys.readouterr().err
    code = "import sys; from dgm_course.cli import main; main.parser(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
