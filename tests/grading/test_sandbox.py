"""Code that means harm: what stands beside an answer, what comes home of it, and what the walls hold."""

from __future__ import annotations

import os
import pickle
import re
import signal
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from dgm_course.grading import report, worker_package
from dgm_course.grading.grade import ALWAYS
from dgm_course.grading.messages import decode, encode
from dgm_course.grading.pool import Worker, Workspace, bare
from dgm_course.grading.sandbox import WORDS, Limits
from dgm_course.grading.worker import FIRST_USER, USERS, Job, _ended, _running
from dgm_course.teach.homework import Observation, exercise, exercises, pack
from dgm_course.teach.import_graph import imports

from .classes import BAD, GOOD, ID, NAME, ROOT, SHORT

pytestmark = pytest.mark.skipif(os.name != "posix", reason="grading needs limits that only POSIX systems have")


# --- what a worker holds


def test_the_worker_package_holds_no_answer(tmp_path):
    """Neither a reference, nor a wrong form, nor a hint of any exercise is in what stands beside a student's code."""
    package = worker_package.write(tmp_path)
    text = "\n".join(path.read_text(encoding="utf-8") for path in package.rglob("*.py"))
    assert (
        "def observe" in text
        and "MISTAKES" not in text
        and "def judge" not in text
        and "class Exercise" not in text
    )
    for task in exercises():
        assert task.more not in text and f"def {task.reference.__name__}(" not in text, task.id
        assert not any(hint in text for hint, _ in (*task.mistakes, *task.gradient_mistakes)), task.id
    assert len(text) < 150_000


def test_the_worker_package_is_complete(tmp_path):
    """Each file imports others of the list alone, and every recipe of every case is defined in one of them."""
    known = {name.removesuffix(".py").replace("/", ".") for name in worker_package.FILES}
    for name in known:
        assert imports(name) <= known, name
    kinds = {type(value) for task in exercises() for case in task.inputs(1) for value in case.args.values()}
    homes = {kind.__module__.partition(".")[2] for kind in kinds if hasattr(kind, "build")}
    assert homes == {"teach.homework.cases", "teach.homework.recipes"} <= known


# --- how results come home


def test_the_wire_brings_observations_home():
    values = {"a": np.arange(6.0).reshape(2, 3), "b": np.array(2.5)}
    seen = (
        Observation(values, {"a": np.full(3, np.nan)}, side_effects=("random",)),
        Observation(trouble="raised", detail="ValueError: ∇"),
    )
    home = decode(encode(pack(seen)))
    assert home.keys() == pack(seen).keys()
    assert all(
        np.array_equal(home[key], value, equal_nan=value.dtype.kind == "f") for key, value in pack(seen).items()
    )


def test_half_a_letter_cannot_stop_the_report():
    (text,) = decode(b'{"0|text": ["text", "raised", "\\ud800!"]}\n').values()
    assert list(text) == ["raised", "?!"]


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"no line",
        b"\n",
        b"{}x\n",
        b"[1]\n",
        b'{"a": 1}\n',
        b'{"a": []}\n',
        b'{"a": ["float64", -1]}\n',
        b"[" * 100_000 + b"\n",
        b'{"a": ["float64", 1e3]}\n',
        b'{"a": ["float64", NaN]}\n',
        b'{"a": ["float64", 4]}\n' + bytes(24),
        b"\xff\n",
        b'{"a": ["float64", 2000000000, 2000000000]}\n',
        b'{"a": ["float64", 1]}\n' + bytes(9),
        b'{"a": ["text", 3]}\n',
        b'{"a": ["objects", 1]}\n' + bytes(8),
        b'{"a": ["float64", 0,0,0,0,0,0,0,0,0]}\n',
        pickle.dumps({"a": 1}),
        b'{"a": ["float64", true]}\n' + bytes(8),
        b"x" * 300_000 + b"\n",
    ],
)
def test_the_wire_takes_nothing_else(message):
    with pytest.raises(ValueError, match="result|shape|promises|text"):
        decode(message)


# --- hostile code, one process each


@pytest.fixture(scope="module")
def desk():
    """One worker for all of this file, and what an exercise expects."""
    task = exercise(ID)
    cases = task.inputs(11)
    bench = Workspace()
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


@pytest.mark.parametrize(
    "source, said",
    [
        ("import os\nos._exit(0)", "something stopped the whole process"),
        (GOOD.replace("return", "import os; os._exit(0); return"), "something stopped the whole process"),
        (
            "import os\nif os.fork():\n    os._exit(0)\nos.setsid()\nimport time\ntime.sleep(60)",
            "something stopped the whole",
        ),
        ("import time\ntime.sleep(60)", "still running"),
        (
            "import signal, time\nfor s in (1, 2, 3, 15): signal.signal(s, signal.SIG_IGN)\ntime.sleep(60)",
            "still running",
        ),
        ("while True: pass", "still running|s of the processor"),
        ("import os\nwhile True:\n    os.fork()", "still running|s of the processor|more than one result"),
        ("while True: print('x' * 1000)", "printed more"),
        ("def cfm_loss(net, x1, x0, t):\n    while True: print('x' * 1000)", "still running|s of the processor"),
        ("print('x' * (200 << 20))", "printed more|without a result"),
        ("import os\nos.write(4, b'forged')\nos._exit(0)", "no result"),
        ("import os\nos.write(4, b'forged')\n" + GOOD, "no result"),
        (
            "import io, os\nimport numpy as np\nfile = io.BytesIO()\nnp.savez(file, result=np.array([print]))\n"
            "os.write(4, file.getvalue())\nos._exit(0)",
            "no result",
        ),
        ("import os\nwhile True: os.write(4, bytes(1 << 20))", "more than any answer"),
        ("import ctypes\nctypes.string_at(0)", "SIGSEGV|stopped"),
    ],
    ids=range(15),
)
def test_what_brings_no_result_brings_no_points(desk, source, said):
    outcome = desk(source, Limits(cpu=1, wall=5))
    assert re.search(said, outcome.reason), outcome
    assert outcome.observed == ()
    assert not _strangers()


@pytest.mark.parametrize("cpu, said", [(100.0, "signal SIGKILL"), (0.0, "cpu")])
def test_a_kill_counts_as_used_up_time_only_past_the_limit(cpu, said):
    child = os.fork()
    if child == 0:
        signal.pause()
    assert _ended(child, cpu) == ""
    os.kill(child, signal.SIGKILL)
    ended = ""
    while not ended:
        ended = _ended(child, cpu)
    assert ended == said


def _strangers() -> set[int]:
    """Processes of the users that are lent which run now and go on running: those of a test beside this one end soon."""
    users = range(FIRST_USER, FIRST_USER + USERS) if os.getuid() == 0 else ()
    left = _of(users)
    until = time.monotonic() + 600
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


@pytest.mark.parametrize(
    "source",
    [
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
        "class Same:\n    __eq__ = lambda *a: True\n    __array__ = lambda *a: np.zeros(())\n"
        "def cfm_loss(*a): return Same()",
        "import json\njson.dumps = lambda *a: '{}'\n" + BAD,
        "import numpy\nnumpy.allclose = numpy.isclose = numpy.array_equal = lambda *a, **k: True\n" + BAD,
        "get_ipython().showtraceback = lambda *a, **k: None\n" + BAD,
        "import sys\ndef cfm_loss(*args):\n    frame = sys._getframe()\n    while frame := frame.f_back:\n"
        "        for held in frame.f_locals.values():\n            if hasattr(held, 'right'):\n"
        "                return held.right[0].values['result']\n"
        "            if hasattr(held, 'reference'):\n                return held.reference(*args)\n"
        "    return args[1].mean()",
        "from dgm_course.teach.homework import observe, cases\nobserve.pack = cases.pack = lambda *a: {}\n"
        "import dgm_course.grading.worker as w\nw.pack = lambda *a: {}\n" + BAD,
        "import dgm_course.grading.worker as w\nw.observe = lambda *a: ()\n" + BAD,
        "import dgm_course.teach.homework.observe as o\no.named = lambda *a: {'loss': np.zeros(())}\n" + BAD,
        "from dgm_course.teach.homework import exercise\ncfm_loss = exercise('fm.cfm_loss').reference",
        "from dgm_course.teach.homework.flow_matching.cfm_loss import cfm_loss",
        "from dgm_course.paths.model import PathModel\n" + GOOD,
        "import torch\nclass T(torch.Tensor):\n    pass\ndef cfm_loss(net, x1, x0, t): return T(x1.mean())",
        "import gc\ncfm_loss = next(o for o in gc.get_objects() if getattr(o, '__name__', '') == 'cfm_loss')",
        "open('/proc/1/environ').read(); open('/etc/shadow').read()\n" + GOOD,
        "open('big', 'wb').write(bytes(1 << 30))\n" + GOOD,
        "from threading import Event, Thread\nfor _ in range(10_000): Thread(target=Event().wait, daemon=True).start()\n"
        + GOOD,
        "f = [open('/dev/null') for _ in range(5000)]\n" + GOOD,
    ],
    ids=range(27),
)
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
    message = dict(line.split(" ", 1) for line in outcome.said.splitlines())
    assert (
        message["environment"] == "['HOME', 'LANG', 'OMP_NUM_THREADS', 'PATH', 'TMPDIR']"
        and message["home"] == "[]"
    )
    assert message["root"] != "None" and message["write"] in ("OSError", "PermissionError")
    assert message["modules"] == "['dgm_course', 'dgm_course.core', 'dgm_course.grading', 'dgm_course.teach']"
    if "user" in outcome.held:
        assert int(message["user"]) not in (0, os.getuid())
    if "network" in outcome.held:
        assert message["net"] == "OSError"
    if "files" in outcome.held:
        assert message["course"] == "False" and message["others"] in ("1", "FileNotFoundError")


def test_without_walls_there_are_still_a_process_and_its_limits(desk):
    """A system that refuses every namespace: marks are the same, what is missing is said, nothing is left behind."""
    poor = Workspace()
    pen = poor.package / "dgm_course" / "grading" / "sandbox.py"
    pen.write_text(pen.read_text(encoding="utf-8") + "\n\ndef unshare():\n    return set()\n", encoding="utf-8")
    worker = Worker(poor)

    def run(source):
        return worker.ask(
            Job(
                (("<answer>", source),),
                ALWAYS,
                NAME,
                bare(exercise(ID).inputs(11)),
                exercise(ID).watch,
                Limits(cpu=4, wall=6),
                poor.yard,
            )
        )

    try:
        good = run(GOOD)
        assert desk.verdict(good).passed and not {"files", "network", "processes"} & set(good.held)
        assert "did not grant: “no network”" in report.isolation(good.held)
        for source in (
            "import time\ntime.sleep(90)",
            "import os\nif os.fork(): os._exit(0)\nos.setsid()\nimport time\ntime.sleep(90)",
        ):
            assert run(source).reason
        if os.getuid() == 0:
            assert not _strangers()
        assert os.listdir(poor.yard.root) == [] and desk.verdict(run(GOOD)).passed
    finally:
        worker.stop()
        poor.close()


def test_a_worker_that_dies_is_started_again(desk):
    worker = Worker(desk.bench)
    job = Job(
        (("<answer>", GOOD),),
        ALWAYS,
        NAME,
        bare(exercise(ID).inputs(11)),
        exercise(ID).watch,
        SHORT,
        desk.bench.yard,
    )
    assert desk.verdict(worker.ask(job)).passed
    worker.process.kill()
    worker.process.wait()
    assert desk.verdict(worker.ask(job)).passed
    worker.stop()
    assert worker.process is None and desk.verdict(desk(GOOD)).passed
    assert threading.active_count() < 20
