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

from .classes import BAD, GOOD, NAME, NOTEBOOK, RAW, TASK, TASKS, book, notebook, put, zipped

pytestmark = pytest.mark.skipif(os.name != "posix", reason="grading needs limits that only POSIX systems have")


def test_what_is_asked_is_read_off_the_notebook():
    assert [task.id for task in TASKS] == [task.id for task in exercises("fm")]
    assert TASK.function == NAME and "NotImplementedError" in TASK.stub
    assert "import torch" in Assignment.of(NOTEBOOK).imports
    lines = (
        "import a.b",
        "import a.b as c",
        "from d import e as f",
        "from g import *",
        "import h",
        "from i import j",
    )
    assert wanted(lines, ["a.b(f)", "(", "j = 1"]) == (lines[0], lines[2], lines[3], lines[5])


@pytest.mark.parametrize(
    "content, said",
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
def test_what_is_no_notebook_is_refused_in_a_sentence(content, said):
    with pytest.raises(Unreadable, match=said):
        read("hw.ipynb", content)


def test_odd_but_harmless_notebooks_are_read():
    plain = json.dumps(notebook({"fm-cfm_loss": GOOD})).encode()
    assert find([read("a", b"\xef\xbb\xbf" + plain)], TASK).source == GOOD
    odd = {
        "nbformat": 4,
        "cells": [
            3,
            None,
            {},
            {"cell_type": "code", "source": 5},
            {"cell_type": ["x"], "metadata": [1]},
            {"cell_type": "code", "source": "\ud800", "metadata": {"nbgrader": 3}},
            {"cell_type": "code", "source": "(" * 40_000, "metadata": {"nbgrader": {"grade_id": 1}}},
            {"cell_type": "code", "source": "1+" * 14_000 + "1"},
        ],
    }
    assert find([book(odd)], TASK).reason == "No cell for this exercise was handed in."


def test_cells_are_found_moved_doubled_unmarked_and_changed():
    data = notebook({"fm-cfm_loss": GOOD})
    data["cells"].reverse()
    assert find([book(data)], TASK).source == GOOD and find([book(data)], TASK).notes == ()
    (cell,) = [cell for cell in data["cells"] if cell["id"] == "fm-cfm_loss"]
    twice = {**data, "cells": [*data["cells"], {**cell, "id": "x", "source": GOOD + "\n# later"}]}
    assert (
        find([book(twice)], TASK).source.endswith("later")
        and "2 times; the last" in find([book(twice)], TASK).notes[0]
    )
    bare_cell = {**cell, "metadata": {}}
    lost = {**data, "cells": [c for c in data["cells"] if c["id"] != cell["id"]]}
    assert find([book(lost)], TASK).reason == "No cell for this exercise was handed in."
    assert "without the exercise's mark" in find([book({**lost, "cells": [bare_cell]})], TASK).notes[0]
    beside = notebook()
    beside["cells"].append({**bare_cell, "source": GOOD})
    assert find([book(beside)], TASK).source == GOOD and len(find([book(beside)], TASK).notes) == 1
    prose = {**lost, "cells": [*lost["cells"], {**cell, "cell_type": "markdown"}]}
    assert "no code cell any more" in find([book(prose)], TASK).notes[0] and find([book(prose)], TASK).reason
    changed = notebook({"fm-cfm_loss": GOOD, "fm-cfm_loss-test": "cfm_loss = print"})
    assert (
        "check cell was changed" in find([book(changed)], TASK).notes[0]
        and find([book(changed)], TASK).source == GOOD
    )
    assert find([book(notebook({"fm-cfm_loss": "%timeit 1\n!ls\n" + GOOD}))], TASK).source.startswith(
        "pass\npass\ndef"
    )


def test_of_two_notebooks_the_filled_one_counts_and_two_answers_are_none():
    empty, full, other = (
        book(notebook(cells), name)
        for cells, name in (({}, "a"), ({"fm-cfm_loss": GOOD}, "b"), ({"fm-cfm_loss": GOOD + "x = 1"}, "c"))
    )
    assert find([empty, full], TASK).source == find([full, empty, full], TASK).source == GOOD
    assert find([full, other], TASK).reason == "Different answers were handed in, in b and c: one is wanted."


def test_the_notebook_of_another_lecture_is_not_searched_for_the_name():
    other = {"nbformat": 4, "cells": [{"cell_type": "code", "source": BAD}]}
    assert find([book(notebook({"fm-cfm_loss": GOOD})), book(other, "09.ipynb")], TASK).source == GOOD
    assert find([book(other, "09.ipynb")], TASK).source == BAD


# --- what was handed in: archives


def test_a_zip_is_read_in_memory(tmp_path):
    path = zipped(
        tmp_path / "a.zip",
        {
            "x/hw.ipynb": RAW,
            "__MACOSX/hw.ipynb": b"",
            "x/.ipynb_checkpoints/hw.ipynb": b"",
            "notes.txt": b"hi",
            "x/": b"",
            "ünï.ipynb": RAW,
        },
    )
    assert [name for name, _ in contents(path)] == ["x/hw.ipynb", "ünï.ipynb"] and len(
        list(tmp_path.iterdir())
    ) == 1


def test_a_name_in_a_zip_that_is_no_utf_8_is_read_and_written_out_harmlessly(tmp_path):
    raw = zipped(tmp_path / "a.zip", {"QQQQ.ipynb": RAW}).read_bytes().replace(b"QQQQ", b"\xff\x81\x1b\xfe")
    ((name, content),) = contents(put(tmp_path / "b.zip", raw))
    assert content == RAW and name.endswith(".ipynb") and name.isprintable()


@pytest.mark.parametrize(
    "members, mode, said",
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
def test_an_archive_that_wants_more_is_refused_whole(tmp_path, members, mode, said):
    path = zipped(tmp_path / "a.zip", {"hw.ipynb": RAW, **members} if "leads" in said else members, mode=mode)
    with pytest.raises(Refused, match=said):
        contents(path)


def test_what_is_no_zip_or_no_file_is_refused(tmp_path):
    with pytest.raises(Refused, match="no zip file"):
        contents(put(tmp_path / "b.zip", b"PK\x03\x04 and then nothing"))
    cut = zipped(tmp_path / "whole.zip", {"hw.ipynb": RAW * 100}).read_bytes()
    with pytest.raises(Refused, match="no zip file"):
        contents(put(tmp_path / "c.zip", cut[:20] + b"\0\0\0\0" + cut[24:40] + b"\xff" * 30 + cut[70:]))
    (tmp_path / "link.ipynb").symlink_to("/etc/passwd")
    with pytest.raises(Refused, match="link"):
        contents(tmp_path / "link.ipynb")
    folder = tmp_path / "bob"
    folder.mkdir()
    (folder / "way out").symlink_to("/", target_is_directory=True)
    with pytest.raises(Refused, match="link"):
        contents(folder)
    os.mkfifo(tmp_path / "pipe.ipynb")
    with pytest.raises(Refused, match="no regular file"):
        contents(tmp_path / "pipe.ipynb")
    with open(tmp_path / "long.ipynb", "wb") as long:
        long.truncate(500_000_000)
    with pytest.raises(Refused, match="500 MB"):
        contents(tmp_path / "long.ipynb")
    with pytest.raises(LookupError, match="nothing at"):
        submissions(tmp_path / "nowhere")


def test_names_of_students_are_made_harmless(tmp_path):
    os.mkdir(os.fsencode(tmp_path) + b"/\xff\n=cmd")
    put(tmp_path / "ann.ipynb", RAW)
    put(tmp_path / ".hidden.ipynb", RAW), put(tmp_path / "list.csv", "")
    assert [one.student for one in submissions(tmp_path)] == ["ann", "\\xff?=cmd"]
    assert submissions(tmp_path / "ann.ipynb") == [Submission("ann", tmp_path / "ann.ipynb")]
    harmless = ["'=1+1", "'@x", "'-2", "ann =1", "'=1"]
    assert [report.safe(text) for text in ("=1+1", "@x", "-2", "ann\n=1", "\t=1")] == harmless
    assert report.file_names(["../x", "x", "<b>", "∫"]) == ["x-1.html", "x-2.html", "b.html", "student.html"]
