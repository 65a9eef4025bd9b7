"""A class hands in: what is read, what is refused, and what code that means harm gets for it (nothing, with a reason)."""

from __future__ import annotations

import csv
import io
import json
import os
import pickle
import re
import socket
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from dgm_course import cli
from dgm_course.grade import report, sieve, table
from dgm_course.grade.archives import Refused, Submission, contents, submissions
from dgm_course.grade.books import Unreadable, asked, find, read, wanted
from dgm_course.grade.marks import ALWAYS, Assignment, Grader
from dgm_course.grade.pen import WORDS, Limits
from dgm_course.grade.wire import decode, encode
from dgm_course.grade.worker import FIRST_USER, USERS, Job, _running
from dgm_course.grade.workers import ROOTS, Bench, Worker, bare, recipes
from dgm_course.teach.build import solved
from dgm_course.teach.homework import Observation, exercise, exercises, pack

pytestmark = pytest.mark.skipif(os.name != "posix", reason="grading needs limits that only POSIX systems have")
ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = ROOT / "notebooks" / "08_flow_matching.ipynb"
ID, NAME = "fm.cfm_loss", "cfm_loss"
SHORT = Limits(cpu=10, wall=60)
GOOD = """def cfm_loss(net, x1, x0, t):
    x = (1 - t[:, None]) * x0 + t[:, None] * x1
    return (net(x, t) - (x1 - x0)).square().mean()
"""
BAD = GOOD.replace("x1 - x0)", "x1 + x0)")


def notebook(cells: dict[str, str] | None = None) -> dict:
    """Notebook 08 as handed out, some of its exercise cells filled."""
    data = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    for cell in data["cells"]:
        cell["source"] = (cells or {}).get(cell["id"], cell["source"])
        cell.pop("outputs", None)
    return data


def put(path: Path, data: dict | str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = data if isinstance(data, bytes) else (data if isinstance(data, str) else json.dumps(data)).encode()
    path.write_bytes(raw)
    return path


# --- the table of exercises

def test_the_table_lists_every_exercise_and_what_proves_it(capsys):
    assert cli.main(["homework"]) == 0
    said = capsys.readouterr().out
    for task in exercises():
        (line,) = [line for line in said.splitlines() if f" {task.id} " in line]
        number, id, points, hints, refused, *words = line.split()
        assert (number, id, points) == (task.number, task.id, str(task.points)) and " ".join(words) == task.asks
        assert int(refused) >= 3 and int(hints) >= 2


def test_the_table_elsewhere_says_what_it_cannot_know(monkeypatch, tmp_path):
    monkeypatch.setattr(table, "TESTS", tmp_path)
    lines = list(table.homework("fm"))
    assert lines[-1] == table.ELSEWHERE and len(lines) == len(exercises("fm")) + 3 and "?" not in lines[1]
    with pytest.raises(KeyError, match="No exercises on 'gardening'"):
        list(table.homework("gardening"))


def test_marks_are_not_given_by_a_notebook_that_somebody_has_written_into():
    """Else the right answer, being the one that stands there, would be taken for the unwritten cell."""
    written = json.dumps(notebook({TASKS[0].mark: GOOD})).encode()
    with pytest.raises(Unreadable, match="has something written into exercise .*git restore"):
        asked(read("08.ipynb", written))


# --- what a worker holds

def test_the_sieve_lets_no_answer_through():
    """Neither a reference, nor a wrong form, nor a hint of any exercise is in what stands beside a student's code."""
    files = sieve.sieve([*ROOTS, *recipes([case for task in exercises() for case in task.inputs(1)])])
    text = "\n".join(files.values())
    assert "def observe" in text and "EXERCISES" not in text and "def judge" not in text and "class Exercise" not in text
    for task in exercises():
        assert task.more not in text and f"def {task.reference.__name__}(" not in text, task.id
        assert not any(hint in text for hint, _ in task.slips), task.id
    assert not any("slips" in name or "_sentences" in name for name in files)
    assert len(text) < 150_000


def test_the_sieve_follows_names_and_refuses_whole_modules():
    files = sieve.sieve([("teach.homework._absorbing_diffusion_cases", "Schedule")])
    assert "def cosine_reveal" in files["paths/masked.py"] and "class MaskPath" not in files["paths/masked.py"]
    assert files["teach/__init__.py"] == ""
    with pytest.raises(LookupError, match="single names only"):
        sieve.sieve([("teach.homework.vae", "EXERCISES")])
    with pytest.raises(LookupError, match="no file of the course called 'attic'"):
        sieve.sieve([("attic", "x")])


# --- how results come home

def test_the_wire_brings_observations_home():
    values = {"a": np.arange(6.0).reshape(2, 3), "b": np.array(2.5)}
    seen = (Observation(values, {"a": np.full(3, np.nan)}, manners=("random",)),
            Observation(trouble="raised", detail="ValueError: ∇"))
    home = decode(encode(pack(seen)))
    assert home.keys() == pack(seen).keys()
    assert all(np.array_equal(home[key], value, equal_nan=value.dtype.kind == "f") for key, value in pack(seen).items())


def test_half_a_letter_cannot_stop_the_report():
    (text,) = decode(b'{"0|text": ["text", "raised", "\\ud800!"]}\n').values()
    assert list(text) == ["raised", "?!"]


@pytest.mark.parametrize("message", [
    b"", b"no line", b"\n", b"{}x\n", b"[1]\n", b'{"a": 1}\n', b'{"a": []}\n', b'{"a": ["float64", -1]}\n',
    b"[" * 100_000 + b"\n",
    b'{"a": ["float64", 1e3]}\n', b'{"a": ["float64", NaN]}\n', b'{"a": ["float64", 4]}\n' + bytes(24), b"\xff\n",
    b'{"a": ["float64", 2000000000, 2000000000]}\n', b'{"a": ["float64", 1]}\n' + bytes(9), b'{"a": ["text", 3]}\n',
    b'{"a": ["objects", 1]}\n' + bytes(8), b'{"a": ["float64", 0,0,0,0,0,0,0,0,0]}\n', pickle.dumps({"a": 1}),
    b'{"a": ["float64", true]}\n' + bytes(8), b"x" * 300_000 + b"\n",
])
def test_the_wire_takes_nothing_else(message):
    with pytest.raises(ValueError, match="result|shape|promises|text"):
        decode(message)


# --- hostile code, one process each

@pytest.fixture(scope="module")
def desk():
    """One worker for all of this file, and what an exercise expects."""
    task = exercise(ID)
    cases = task.inputs(11)
    bench = Bench([case for other in exercises() for case in other.inputs(1)])
    worker = Worker(bench)

    def run(source, limits=SHORT, before=()):
        job = Job((*before, ("<answer>", source)), ALWAYS, NAME, bare(cases), task.watch, limits, bench.yard)
        return worker.ask(job)

    run.verdict = lambda outcome: task.judge(outcome.observed, expected)
    run.bench, expected = bench, task.expected(cases)
    yield run
    worker.stop()
    bench.close()
    assert not bench.folder.exists()


def test_a_right_answer_passes_and_the_pen_says_what_it_held(desk):
    outcome = desk(GOOD)
    assert outcome.reason == "" and desk.verdict(outcome).passed
    assert {"process", "limits"} <= set(outcome.held) <= set(WORDS)
    assert os.listdir(desk.bench.yard.root) == []


@pytest.mark.parametrize("source, said", [
    ("import os\nos._exit(0)", "something stopped the whole process"),
    (GOOD.replace("return", "import os; os._exit(0); return"), "something stopped the whole process"),
    ("import os\nif os.fork():\n    os._exit(0)\nos.setsid()\nimport time\ntime.sleep(60)", "something stopped the whole"),
    ("import time\ntime.sleep(60)", "still running"),
    ("import signal, time\nfor s in (1, 2, 3, 15): signal.signal(s, signal.SIG_IGN)\ntime.sleep(60)", "still running"),
    ("while True: pass", "still running|s of the processor"),
    ("import os\nwhile True:\n    os.fork()", "still running|s of the processor|more than one result"),
    ("while True: print('x' * 1000)", "printed more"),
    ("def cfm_loss(net, x1, x0, t):\n    while True: print('x' * 1000)", "still running|s of the processor"),
    ("print('x' * (200 << 20))", "printed more|without a result"),
    ("import os\nos.write(4, b'forged')\nos._exit(0)", "no result"),
    ("import os\nos.write(4, b'forged')\n" + GOOD, "no result"),
    ("import io, os\nimport numpy as np\nfile = io.BytesIO()\nnp.savez(file, result=np.array([print]))\n"
     "os.write(4, file.getvalue())\nos._exit(0)", "no result"),
    ("import os\nwhile True: os.write(4, bytes(1 << 20))", "more than any answer"),
    ("import ctypes\nctypes.string_at(0)", "SIGSEGV|stopped"),
], ids=range(15))
def test_what_brings_no_result_brings_no_points(desk, source, said):
    start = time.monotonic()
    outcome = desk(source, Limits(cpu=1, wall=5))
    assert re.search(said, outcome.reason), outcome
    assert outcome.observed == () and time.monotonic() - start < 60
    assert not _strangers()


def _strangers() -> set[int]:
    """Processes of the users that are lent which run now and go on running: those of a test beside this one end soon."""
    users = range(FIRST_USER, FIRST_USER + USERS) if os.getuid() == 0 else ()
    left = _of(users)
    until = time.monotonic() + 40
    while left and time.monotonic() < until:
        time.sleep(0.2)
        left &= _of(users)
    return left


def _of(users) -> set[int]:
    found = set()
    for path in Path("/proc").glob("[0-9]*") if users else ():
        try:
            found |= {path.stat().st_uid} & set(users)
        except OSError:
            continue
    return {pid for user in found for pid in _running(user)}


@pytest.mark.parametrize("source", [
    "raise SystemExit(0)",
    "import sys\nsys.exit(0)",
    "import atexit\natexit.register(print, 'passed')\nraise KeyError",
    "x = bytearray(10**11)",
    "import torch\ntorch.ones(10**11)",
    "def cfm_loss(net, x1, x0, t)\n    return 0",
    "def other(net, x1, x0, t):\n    return 0",
    "cfm_loss = 3",
    "def cfm_loss(net, x1, x0, t):\n    raise SystemExit",
    "import torch\ntorch.allclose = torch.equal = lambda *a, **k: True\ntorch.Tensor.__eq__ = lambda *a: True\n"
    + BAD,
    "class Same:\n    __eq__ = lambda *a: True\n    __array__ = lambda *a: np.zeros(())\ndef cfm_loss(*a): return Same()",
    "import json\njson.dumps = lambda *a: '{}'\n" + BAD,
    "import numpy\nnumpy.allclose = numpy.isclose = numpy.array_equal = lambda *a, **k: True\n" + BAD,
    "get_ipython().showtraceback = lambda *a, **k: None\n" + BAD,
    "import sys\ndef cfm_loss(*args):\n    frame = sys._getframe()\n    while frame := frame.f_back:\n"
    "        for held in frame.f_locals.values():\n            if hasattr(held, 'right'):\n"
    "                return held.right[0].values['result']\n"
    "            if hasattr(held, 'reference'):\n                return held.reference(*args)\n    return args[1].mean()",
    "from dgm_course.teach.homework import _observe, _cases\n_observe.pack = _cases.pack = lambda *a: {}\n"
    "import dgm_course.grade.worker as w\nw.pack = lambda *a: {}\n" + BAD,
    "import dgm_course.grade.worker as w\nw.observe = lambda *a: ()\n" + BAD,
    "import dgm_course.teach.homework._observe as o\no.named = lambda *a: {'loss': np.zeros(())}\n" + BAD,
    "from dgm_course.teach.homework import exercise\ncfm_loss = exercise('fm.cfm_loss').reference",
    "from dgm_course.teach.homework.flow_matching import cfm_loss",
    "from dgm_course.path_models import PathModel\n" + GOOD,
    "import torch\nclass T(torch.Tensor):\n    pass\ndef cfm_loss(net, x1, x0, t): return T(x1.mean())",
    "import gc\ncfm_loss = next(o for o in gc.get_objects() if getattr(o, '__name__', '') == 'cfm_loss')",
    "open('/proc/1/environ').read(); open('/etc/shadow').read()\n" + GOOD,
    "open('big', 'wb').write(bytes(1 << 30))\n" + GOOD,
    "from threading import Event, Thread\nfor _ in range(10_000): Thread(target=Event().wait, daemon=True).start()\n" + GOOD,
    "f = [open('/dev/null') for _ in range(5000)]\n" + GOOD,
], ids=range(27))
def test_tricks_earn_nothing(desk, source):
    outcome = desk(source)
    assert outcome.reason or not desk.verdict(outcome).passed


def test_a_forged_message_is_judged_like_any_other_by_its_values(desk):
    """Whoever writes a whole result by hand has written values, and wrong values are wrong."""
    forged = encode(pack([Observation({"result": np.array(1.0)})] * len(exercise(ID).inputs(11))))
    outcome = desk(f"import os\nos.write(4, {forged!r})\nos._exit(0)")
    assert outcome.reason == "" and not desk.verdict(outcome).passed


def test_what_a_prisoner_sees(desk):
    """Where the pen holds: another user, no environment, an empty home, no network, no course, no other process."""
    with socket.socket() as sentinel:
        sentinel.bind(("127.0.0.1", 0))
        sentinel.listen()
        probe = f"""
import os, sys, socket
def tell(name, see):
    try: print(name, see())
    except BaseException as wrong: print(name, type(wrong).__name__)
tell("user", os.getuid)
tell("environment", lambda: sorted(os.environ))
tell("home", lambda: os.listdir("."))
tell("course", lambda: os.path.exists({str(ROOT / "dgm_course" / "vae")!r}) or os.path.exists({str(ROOT / "tests")!r}))
tell("others", lambda: len([p for p in os.listdir("/proc") if p.isdigit()]))
tell("net", lambda: socket.create_connection(("127.0.0.1", {sentinel.getsockname()[1]}), 2))
tell("root", lambda: os.setuid(0))
tell("write", lambda: open("/usr/x", "w"))
tell("modules", lambda: sorted(m for m in sys.modules if m.startswith("dgm") and m.count(".") < 2))
tell("fds", lambda: os.listdir("/proc/self/fd"))
"""
        outcome = desk(probe + GOOD)
    assert desk.verdict(outcome).passed
    told = dict(line.split(" ", 1) for line in outcome.said.splitlines())
    assert told["environment"] == "['HOME', 'LANG', 'OMP_NUM_THREADS', 'PATH', 'TMPDIR']" and told["home"] == "[]"
    assert told["root"] != "None" and told["write"] in ("OSError", "PermissionError")
    assert told["modules"] == "['dgm_course', 'dgm_course.grade', 'dgm_course.teach', 'dgm_course.tensors']"
    if "user" in outcome.held:
        assert int(told["user"]) not in (0, os.getuid())
    if "network" in outcome.held:
        assert told["net"] == "OSError"
    if "files" in outcome.held:
        assert told["course"] == "False" and told["others"] in ("1", "FileNotFoundError")


def test_without_walls_there_are_still_a_process_and_its_limits(desk):
    """A system that refuses every namespace: marks are the same, what is missing is said, nothing is left behind."""
    poor = Bench(exercise(ID).inputs(11))
    pen = poor.package / "dgm_course" / "grade" / "pen.py"
    pen.write_text(pen.read_text(encoding="utf-8") + "\n\ndef unshare():\n    return set()\n", encoding="utf-8")
    worker = Worker(poor)

    def run(source):
        return worker.ask(Job((("<answer>", source),), ALWAYS, NAME, bare(exercise(ID).inputs(11)), exercise(ID).watch,
                              Limits(cpu=4, wall=20), poor.yard))

    try:
        good = run(GOOD)
        assert desk.verdict(good).passed and not {"files", "network", "processes"} & set(good.held)
        assert "did not grant: “no network”" in report.isolation(good.held)
        for source in ("import time\ntime.sleep(90)", "import os\nif os.fork(): os._exit(0)\nos.setsid()\nimport time\n"
                       "time.sleep(90)"):
            assert run(source).reason
        if os.getuid() == 0:
            assert not _strangers()
        assert os.listdir(poor.yard.root) == [] and desk.verdict(run(GOOD)).passed
    finally:
        worker.stop()
        poor.close()


def test_a_worker_that_dies_is_started_again(desk):
    worker = Worker(desk.bench)
    job = Job((("<answer>", GOOD),), ALWAYS, NAME, bare(exercise(ID).inputs(11)), exercise(ID).watch, SHORT, desk.bench.yard)
    assert desk.verdict(worker.ask(job)).passed
    worker.process.kill()
    worker.process.wait()
    assert desk.verdict(worker.ask(job)).passed
    worker.stop()
    assert worker.process is None and desk.verdict(desk(GOOD)).passed
    assert threading.active_count() < 20


# --- what was handed in: notebooks

TASKS = asked(read(NOTEBOOK.name, NOTEBOOK.read_bytes()))
(TASK,) = [task for task in TASKS if task.id == ID]


def book(data: dict, name: str = "hw.ipynb"):
    return read(name, json.dumps(data).encode())


def test_what_is_asked_is_read_off_the_notebook():
    assert [task.id for task in TASKS] == [task.id for task in exercises("fm")]
    assert TASK.function == NAME and "NotImplementedError" in TASK.stub
    assert "import torch" in Assignment.of(NOTEBOOK).imports
    lines = ("import a.b", "import a.b as c", "from d import e as f", "from g import *", "import h", "from i import j")
    assert wanted(lines, ["a.b(f)", "(", "j = 1"]) == (lines[0], lines[2], lines[3], lines[5])


@pytest.mark.parametrize("content, said", [
    (b"", "not JSON"), (b"hello", "not JSON"), (b'{"nbformat": 4, "cells": [NaN]}', "not JSON"),
    (b"[" * 200_000, "not JSON"),
    (b"\xff\xfe{}", "not UTF-8"), (b"[]", "no notebook of format 4"), (b"1" * 9000, "not JSON"),
    (b'{"nbformat": 3, "worksheets": []}', "its format is 3"), (b'{"nbformat": 5, "cells": []}', "its format is 5"),
    (b'{"nbformat": 4}', "no list of cells"),
    (b'{"nbformat": 4, "cells": {"a": 1}}', "no list of cells"),
])
def test_what_is_no_notebook_is_refused_in_a_sentence(content, said):
    with pytest.raises(Unreadable, match=said):
        read("hw.ipynb", content)


def test_odd_but_harmless_notebooks_are_read():
    plain = json.dumps(notebook({"fm-cfm_loss": GOOD})).encode()
    assert find([read("a", b"\xef\xbb\xbf" + plain)], TASK).source == GOOD
    odd = {"nbformat": 4, "cells": [3, None, {}, {"cell_type": "code", "source": 5}, {"cell_type": ["x"], "metadata": [1]},
                                    {"cell_type": "code", "source": "\ud800", "metadata": {"nbgrader": 3}},
                                    {"cell_type": "code", "source": "(" * 40_000, "metadata": {"nbgrader": {"grade_id": 1}}},
                                    {"cell_type": "code", "source": "1+" * 14_000 + "1"}]}
    assert find([book(odd)], TASK).reason == "No cell for this exercise was handed in."


def test_cells_are_found_moved_doubled_unmarked_and_changed():
    data = notebook({"fm-cfm_loss": GOOD})
    data["cells"].reverse()
    assert find([book(data)], TASK).source == GOOD and find([book(data)], TASK).notes == ()
    (cell,) = [cell for cell in data["cells"] if cell["id"] == "fm-cfm_loss"]
    twice = {**data, "cells": [*data["cells"], {**cell, "id": "x", "source": GOOD + "\n# later"}]}
    assert find([book(twice)], TASK).source.endswith("later") and "2 times; the last" in find([book(twice)], TASK).notes[0]
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
    assert "check cell was changed" in find([book(changed)], TASK).notes[0] and find([book(changed)], TASK).source == GOOD
    assert find([book(notebook({"fm-cfm_loss": "%timeit 1\n!ls\n" + GOOD}))], TASK).source.startswith("pass\npass\ndef")


def test_of_two_notebooks_the_filled_one_counts_and_two_answers_are_none():
    empty, full, other = (book(notebook(cells), name) for cells, name in
                          (({}, "a"), ({"fm-cfm_loss": GOOD}, "b"), ({"fm-cfm_loss": GOOD + "x = 1"}, "c")))
    assert find([empty, full], TASK).source == find([full, empty, full], TASK).source == GOOD
    assert find([full, other], TASK).reason == "Different answers were handed in, in b and c: one is wanted."


def test_the_notebook_of_another_lecture_is_not_searched_for_the_name():
    other = {"nbformat": 4, "cells": [{"cell_type": "code", "source": BAD}]}
    assert find([book(notebook({"fm-cfm_loss": GOOD})), book(other, "09.ipynb")], TASK).source == GOOD
    assert find([book(other, "09.ipynb")], TASK).source == BAD


# --- what was handed in: archives

def zipped(path: Path, members: dict[str, bytes], **attributes: int) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = attributes.get("mode", 0) << 16
            archive.writestr(info, content)
    return path


RAW = b'{"nbformat": 4, "cells": []}'


def test_a_zip_is_read_in_memory(tmp_path):
    path = zipped(tmp_path / "a.zip", {"x/hw.ipynb": RAW, "__MACOSX/hw.ipynb": b"", "x/.ipynb_checkpoints/hw.ipynb": b"",
                                       "notes.txt": b"hi", "x/": b"", "ünï.ipynb": RAW})
    assert [name for name, _ in contents(path)] == ["x/hw.ipynb", "ünï.ipynb"] and len(list(tmp_path.iterdir())) == 1


def test_a_name_in_a_zip_that_is_no_utf_8_is_read_and_written_out_harmlessly(tmp_path):
    raw = zipped(tmp_path / "a.zip", {"QQQQ.ipynb": RAW}).read_bytes().replace(b"QQQQ", b"\xff\x81\x1b\xfe")
    ((name, content),) = contents(put(tmp_path / "b.zip", raw))
    assert content == RAW and name.endswith(".ipynb") and name.isprintable()


@pytest.mark.parametrize("members, mode, said", [
    ({"../evil.ipynb": RAW}, 0, "leads out"), ({"a/../../evil.ipynb": RAW}, 0, "leads out"),
    ({"/etc/x.ipynb": RAW}, 0, "leads out"), ({"C:evil.ipynb": RAW}, 0, "leads out"),
    ({"..\\evil.ipynb": RAW}, 0, "leads out"), ({"x.ipynb": b"/etc/passwd"}, 0o120777, "link"),
    ({"x.ipynb": b""}, 0o010644, "link or a device"), ({"x.txt": RAW}, 0, "no notebook"), ({}, 0, "no notebook"),
    ({"x.ipynb": bytes(60_000_000)}, 0, "more than 20 MB"), ({f"{k}.txt": b"" for k in range(3000)}, 0, "3000 entries"),
    ({f"{k}.bin": bytes(45_000_000) for k in range(5)}, 0, "unpacks to more"),
], ids=range(12))
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


# --- a class

def test_the_course_s_own_solutions_get_full_marks(tmp_path):
    """Every recipe, import and earlier function that an answer needs is there, on the other side of all walls."""
    books = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    for path in books:
        put(tmp_path / "ann" / path.name, json.dumps(solved(path.parent / "source" / f"{path.stem}.py")))
    (ann,) = Grader([Assignment.of(path) for path in books], [5], workers=1).grade(submissions(tmp_path))
    assert ann.points == ann.out_of, [(mark.task.id, mark.verdict) for mark in ann.marks if not mark.points]
    assert {mark.task.id for mark in ann.marks} <= {task.id for task in exercises()} and len(ann.marks) >= 3 * len(books)


def test_a_class_is_graded_whoever_is_in_it(tmp_path, capsys):
    """Good, wrong, empty, hostile, unreadable; a folder, a zip; each gets its own, and a page that renders nothing."""
    here = tmp_path / "handed in"
    full = json.loads(json.dumps(solved(ROOT / "notebooks" / "source" / "08_flow_matching.py")))
    script = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    noisy = notebook({"fm-cfm_loss": f'print("{script}")\nraise ValueError("{script}")'})
    noisy["cells"][0]["outputs"] = [{"output_type": "display_data", "data": {"text/html": script + "x" * 9_000_000}}]
    noisy["cells"][1]["attachments"] = {"a.svg": {"image/svg+xml": script}}
    noisy["metadata"]["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {"a": {"model_module": script}}}}
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
    assert cli.main(command) == 0
    said, text = capsys.readouterr().out, out.read_text(encoding="utf-8")
    rows = {row["student"]: row for row in csv.DictReader(io.StringIO(text))}
    assert len(rows) == 8 and "seed 3" in said and "Answers ran with" in said
    points = {name: int(row["points"]) for name, row in rows.items()}
    full = sum(task.points for task in exercises("fm"))
    assert points["ann"] == points["cyn"] == full == int(rows["ann"]["out of"])
    assert sum(points.values()) == 2 * full and "'=dan" in rows
    assert "07.ipynb cannot be read" in rows["cyn"]["remarks"]
    for name, words in {"bob": "8.2: Wrong in every case", "'=dan": "8.1: Not yet", "eve": "not JSON", "fay": "leads out",
                        "gil": "8.2:"}.items():
        assert words in rows[name]["remarks"], name
    pages = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "out" / "grades_pages").iterdir()}
    assert len(pages) == 8 and {"ann.html", "cyn.html"} <= set(pages)
    for name, page in pages.items():
        assert len(page) < 100_000, name
        assert not re.search(r"<script|<img|<iframe|javascript:|\son\w+=|https?:", re.sub(r"&lt;.*?&gt;", "", page)), name
        assert "Content-Security-Policy" in page
    assert any("&lt;script&gt;alert(1)" in page for page in pages.values())
    again = ["grade", str(here / "gil.ipynb"), *command[2:3], str(tmp_path / "gil.csv"), *command[4:]]
    assert cli.main(again) == 0
    assert (tmp_path / "gil.csv").read_text(encoding="utf-8").splitlines()[1] in text.splitlines()


def test_answers_that_call_an_earlier_one_run_with_the_student_s_own(tmp_path):
    master = ROOT / "notebooks" / "source" / "02_vae.py"
    data = json.loads(json.dumps(solved(master)))
    for cell in data["cells"]:
        if cell["id"] == "vae-gaussian_kl":
            cell["source"] = "def gaussian_kl(mean, log_std):\n    return (mean**2).sum(1)"
    put(tmp_path / "ann.ipynb", data)
    (ann,) = Grader([Assignment.of(ROOT / "notebooks" / "02_vae.ipynb")], [5], workers=1).grade(submissions(tmp_path))
    lost = {mark.task.id: mark for mark in ann.marks if not mark.points}
    assert set(lost) == {"vae.gaussian_kl", "vae.loss"}
    assert "your own answer to vae.gaussian_kl" in lost["vae.loss"].notes[0]


def test_what_was_set_is_read_off_the_marks_of_what_was_handed_in(tmp_path, capsys):
    put(tmp_path / "ann.ipynb", (ROOT / "notebooks" / "09_absorbing_diffusion.ipynb").read_bytes())
    assert cli.main(["grade", str(tmp_path / "ann.ipynb"), "-o", str(tmp_path / "out" / "g.csv"), "--seed", "4"]) == 0
    said = capsys.readouterr().out
    assert "Submissions: 1; 09_absorbing_diffusion, seed 4." in said and "No code was run." in said
    assert re.search(r"ann +0 of \d+", said)


def test_the_command_says_what_is_wrong_with_it(tmp_path, capsys):
    assert cli.main(["grade", str(tmp_path / "none")]) == 2
    assert "nothing at" in capsys.readouterr().err
    assert cli.main(["grade", str(tmp_path)]) == 2
    assert "holds no submission" in capsys.readouterr().err
    put(tmp_path / "ann.ipynb", RAW)
    assert cli.main(["grade", str(tmp_path)]) == 2
    assert "None of the submissions" in capsys.readouterr().err
    put(tmp_path / "bob.ipynb", RAW)
    assert cli.main(["grade", str(tmp_path), "-o", str(tmp_path / "grades.csv")]) == 2
    assert "outside of their folder" in capsys.readouterr().err
    code = "import sys; from dgm_course import cli; cli.parser(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
