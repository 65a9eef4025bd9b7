"""What a class hands in, before anything is run: what is read, what is refused, and whose it is."""

from __future__ import annotations

import json
import os

import pytest

from dgm_course.grading import report
from dgm_course.grading.grade import Assignment
from dgm_course.grading.notebooks import Unreadable, find, read, wanted
from dgm_course.grading.submissions import Refused, Submission, contents, submissions
from dgm_course.teach.homework import exercises

from .classes import BAD, GOOD, MARK, NAME, NOTEBOOK, RAW, TASK, TASKS, book, notebook, put, zipped

pytestmark = pytest.mark.skipif(os.name != "posix", reason="grading needs limits that only POSIX systems have")
MISSING = "No cell for this exercise was handed in."


def test_exercises_are_read_from_the_notebook():
    assert [task.id for task in TASKS] == [task.id for task in exercises("fm")]
    assert TASK.function == NAME and "NotImplementedError" in TASK.stub
    assert "import torch" in Assignment.of(NOTEBOOK).imports


def test_only_used_imports_are_run():
    used = ("import a.b", "from d import e as f", "from g import *", "from i import j")
    assert wanted((*used, "import a.b as c", "import h"), ["a.b(f)", "(", "j = 1"]) == used


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"", "not JSON"),
        (b"hello", "not JSON"),
        (b'{"nbformat": 4, "cells": [NaN]}', "not JSON"),
        (b"[" * 200_000, "not JSON"),
        (b"\xff\xfe{}", "not UTF-8"),
        (b"[]", "no notebook of format 4"),
        (b"1" * 9000, "not JSON"),
        (b'{"nbformat": 3, "worksheets": []}', "its format is 3"),
        (b'{"nbformat": 5, "cells": []}', "its format is 5"),
        (b'{"nbformat": 4}', "no list of cells"),
        (b'{"nbformat": 4, "cells": {"a": 1}}', "no list of cells"),
    ],
)
def test_what_is_no_notebook_is_refused(content, reason):
    with pytest.raises(Unreadable, match=reason):
        read("hw.ipynb", content)


def test_odd_but_harmless_notebooks_are_read():
    data = json.dumps(notebook({MARK: GOOD})).encode()
    assert find([read("a", b"\xef\xbb\xbf" + data)], TASK).source == GOOD
    cells = [
        3,
        None,
        {},
        {"cell_type": "code", "source": 5},
        {"cell_type": ["x"], "metadata": [1]},
        {"cell_type": "code", "source": "\ud800", "metadata": {"nbgrader": 3}},
        {"cell_type": "code", "source": "(" * 40_000, "metadata": {"nbgrader": {"grade_id": 1}}},
        {"cell_type": "code", "source": "1+" * 14_000 + "1"},
    ]
    assert find([book({"nbformat": 4, "cells": cells})], TASK).reason == MISSING


FULL = notebook({MARK: GOOD})
(CELL,) = [cell for cell in FULL["cells"] if cell["id"] == MARK]
REST = [cell for cell in FULL["cells"] if cell["id"] != MARK]
UNMARKED = {**CELL, "metadata": {}}


@pytest.mark.parametrize(
    "cells, source, note",
    [
        (FULL["cells"][::-1], GOOD, None),
        ([*FULL["cells"], {**CELL, "source": GOOD + "\n# later"}], GOOD + "\n# later", "2 times; the last"),
        ([UNMARKED], GOOD, "without the exercise's mark"),
        ([*notebook()["cells"], UNMARKED], GOOD, "without the exercise's mark"),
        (notebook({MARK: GOOD, f"{MARK}-test": "cfm_loss = print"})["cells"], GOOD, "check cell was changed"),
        (notebook({MARK: "%timeit 1\n!ls\n" + GOOD})["cells"], "pass\npass\n" + GOOD, None),
        (REST, "", None),
        ([*REST, {**CELL, "cell_type": "markdown"}], "", "no code cell any more"),
    ],
    ids=["moved", "doubled", "unmarked", "beside", "check", "magics", "missing", "prose"],
)
def test_answer_cells_are_found(cells, source, note):
    found = find([book({**FULL, "cells": cells})], TASK)
    assert found.source == source and found.reason == ("" if source else MISSING)
    assert len(found.notes) == (note is not None) and (note or "") in "".join(found.notes)


def test_filled_notebook_counts_and_two_answers_none():
    sources = {"a": {}, "b": {MARK: GOOD}, "c": {MARK: GOOD + "x = 1"}}
    empty, full, other = (book(notebook(cells), name) for name, cells in sources.items())
    assert find([empty, full], TASK).source == find([full, empty, full], TASK).source == GOOD
    assert find([full, other], TASK).reason == "Different answers were handed in, in b and c: one is wanted."


def test_other_lectures_are_not_searched():
    other = book({"nbformat": 4, "cells": [{"cell_type": "code", "source": BAD}]}, "09.ipynb")
    assert find([book(FULL), other], TASK).source == GOOD
    assert find([other], TASK).source == BAD


# --- archives and files


def test_a_zip_is_read_in_memory(tmp_path):
    ignored = {"__MACOSX/hw.ipynb": b"", "x/.ipynb_checkpoints/hw.ipynb": b"", "notes.txt": b"hi", "x/": b""}
    path = zipped(tmp_path / "a.zip", {"x/hw.ipynb": RAW, **ignored, "ünï.ipynb": RAW})
    assert [name for name, _ in contents(path)] == ["x/hw.ipynb", "ünï.ipynb"]
    assert list(tmp_path.iterdir()) == [path]


def test_zip_names_not_utf8_are_escaped(tmp_path):
    raw = zipped(tmp_path / "a.zip", {"QQQQ.ipynb": RAW}).read_bytes().replace(b"QQQQ", b"\xff\x81\x1b\xfe")
    ((name, content),) = contents(put(tmp_path / "b.zip", raw))
    assert content == RAW and name.endswith(".ipynb") and name.isprintable()


@pytest.mark.parametrize(
    "members, mode, reason",
    [
        ({"../evil.ipynb": RAW}, 0, "leads out"),
        ({"a/../../evil.ipynb": RAW}, 0, "leads out"),
        ({"/etc/x.ipynb": RAW}, 0, "leads out"),
        ({"C:evil.ipynb": RAW}, 0, "leads out"),
        ({"..\\evil.ipynb": RAW}, 0, "leads out"),
        ({"x.ipynb": b"/etc/passwd"}, 0o120777, "link"),
        ({"x.ipynb": b""}, 0o010644, "link or a device"),
        ({"x.txt": RAW}, 0, "no notebook"),
        ({}, 0, "no notebook"),
        ({"x.ipynb": bytes(60_000_000)}, 0, "more than 20 MB"),
        ({f"{k}.txt": b"" for k in range(3000)}, 0, "3000 entries"),
        ({f"{k}.bin": bytes(45_000_000) for k in range(5)}, 0, "unpacks to more"),
    ],
    ids=range(12),
)
def test_unsafe_archives_are_refused_whole(tmp_path, members, mode, reason):
    path = zipped(tmp_path / "a.zip", {"hw.ipynb": RAW, **members} if "leads" in reason else members, mode=mode)
    with pytest.raises(Refused, match=reason):
        contents(path)


def damaged(path):
    whole = zipped(path.with_name("whole.zip"), {"hw.ipynb": RAW * 100}).read_bytes()
    put(path, whole[:20] + b"\0\0\0\0" + whole[24:40] + b"\xff" * 30 + whole[70:])


def folder_with_link(path):
    path.mkdir()
    (path / "out").symlink_to("/", target_is_directory=True)


def long(path):
    path.touch()
    os.truncate(path, 500_000_000)


@pytest.mark.parametrize(
    "name, make, reason",
    [
        ("a.zip", lambda path: put(path, b"PK\x03\x04 and then nothing"), "no zip file"),
        ("a.zip", damaged, "no zip file"),
        ("link.ipynb", lambda path: path.symlink_to("/etc/passwd"), "link"),
        ("bob", folder_with_link, "link"),
        ("pipe.ipynb", os.mkfifo, "no regular file"),
        ("long.ipynb", long, "500 MB"),
    ],
    ids=["cut", "damaged", "link", "folder", "pipe", "long"],
)
def test_unsafe_files_are_refused(tmp_path, name, make, reason):
    make(tmp_path / name)
    with pytest.raises(Refused, match=reason):
        contents(tmp_path / name)


def test_names_of_students_are_made_harmless(tmp_path):
    os.mkdir(os.fsencode(tmp_path) + b"/\xff\n=cmd")
    for name in ("ann.ipynb", ".hidden.ipynb", "list.csv"):
        put(tmp_path / name, RAW)
    assert [one.student for one in submissions(tmp_path)] == ["ann", "\\xff?=cmd"]
    assert submissions(tmp_path / "ann.ipynb") == [Submission("ann", tmp_path / "ann.ipynb")]
    harmless = ["'=1+1", "'@x", "'-2", "ann =1", "'=1"]
    assert [report.safe(text) for text in ("=1+1", "@x", "-2", "ann\n=1", "\t=1")] == harmless
    assert report.file_names(["../x", "x", "<b>", "∫"]) == ["x-1.html", "x-2.html", "b.html", "student.html"]
