"""Hostile code: what a worker can see, how results return, and what the operating system's limits stop."""

from __future__ import annotations

import os
import pickle
import re
import signal
import socket
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
TASK = exercise(ID)
CASES = TASK.inputs(11)
FORK = "import os\nif os.fork():\n    os._exit(0)\nos.setsid()\nimport time\ntime.sleep(3600)"
STOPPED, TIMED = "something stopped the whole process", "still running|s of the processor"


# --- what a worker can see


def test_worker_package_holds_no_answer(tmp_path):
    """It contains no reference, no wrong answer and no hint of any exercise."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in worker_package.write(tmp_path).rglob("*.py"))
    assert "def observe" in text and len(text) < 150_000
    assert not [word for word in ("MISTAKES", "def judge", "class Exercise") if word in text]
    for task in exercises():
        assert task.more not in text and f"def {task.reference.__name__}(" not in text, task.id
        assert not any(hint in text for hint, _ in (*task.mistakes, *task.gradient_mistakes)), task.id


def test_worker_package_is_complete():
    """Each file imports others of the list alone, and every recipe of every case is defined in one of them."""
    known = {name.removesuffix(".py").replace("/", ".") for name in worker_package.FILES}
    for name in known:
        assert imports(name) <= known, name
    kinds = {type(value) for task in exercises() for case in task.inputs(1) for value in case.args.values()}
    modules = {kind.__module__.partition(".")[2] for kind in kinds if hasattr(kind, "build")}
    assert modules == {"teach.homework.cases", "teach.homework.recipes"} <= known


# --- how results return


def test_messages_round_trip():
    values = {"a": np.arange(6.0).reshape(2, 3), "b": np.array(2.5)}
    first = Observation(values, {"a": np.full(3, np.nan)}, side_effects=("random",))
    sent = pack((first, Observation(trouble="raised", detail="ValueError: ∇")))
    received = decode(encode(sent))
    assert received.keys() == sent.keys()
    for key, value in sent.items():
        assert np.array_equal(received[key], value, equal_nan=value.dtype.kind == "f"), key


def test_lone_surrogate_becomes_question_mark():
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
def test_malformed_messages_are_refused(message):
    with pytest.raises(ValueError, match="result|shape|promises|text"):
        decode(message)


# --- hostile code, one process each


class Runner:
    """One worker on the cases of one exercise."""

    def __init__(self) -> None:
        self.workspace, self.expected = Workspace(), TASK.expected(CASES)
        self.worker = Worker(self.workspace)

    def __call__(self, source: str, limits: Limits = SHORT):
        cells = (("<answer>", source),)
        return self.worker.run(Job(cells, ALWAYS, NAME, bare(CASES), TASK.watch, limits, self.workspace.paths))

    def passes(self, outcome) -> bool:
        return TASK.judge(outcome.observed, self.expected).passed

    def left(self) -> list[str]:
        return os.listdir(self.workspace.paths.root)

    def close(self) -> None:
        self.worker.stop()
        self.workspace.close()


@pytest.fixture(scope="module")
def run():
    runner = Runner()
    yield runner
    runner.close()
    assert not runner.workspace.folder.exists()


@pytest.mark.slow
def test_correct_answer_passes_and_limits_are_reported(run):
    outcome = run(GOOD)
    assert outcome.reason == "" and run.passes(outcome)
    assert {"process", "limits"} <= set(outcome.enforced) <= set(WORDS)
    assert run.left() == []


@pytest.mark.parametrize(
    "source, reason",
    [
        ("import os\nos._exit(0)", STOPPED),
        (GOOD.replace("return", "import os; os._exit(0); return"), STOPPED),
        (FORK, STOPPED),
        ("import time\ntime.sleep(60)", "still running"),
        (
            "import signal, time\nfor s in (1, 2, 3, 15): signal.signal(s, signal.SIG_IGN)\ntime.sleep(60)",
            "still running",
        ),
        ("while True: pass", TIMED),
        ("import os\nwhile True:\n    os.fork()", f"{TIMED}|more than one result"),
        ("while True: print('x' * 1000)", "printed more"),
        ("def cfm_loss(net, x1, x0, t):\n    while True: print('x' * 1000)", TIMED),
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
@pytest.mark.slow
def test_no_result_earns_no_points(run, source, reason):
    outcome = run(source, Limits(cpu=1, wall=5))
    assert re.search(reason, outcome.reason), outcome
    assert outcome.observed == ()
    assert not _left_running()


@pytest.mark.parametrize("cpu, ended", [(100.0, "signal SIGKILL"), (0.0, "cpu")])
def test_sigkill_means_time_only_past_limit(cpu, ended):
    child = os.fork()
    if child == 0:
        signal.pause()
    assert _ended(child, cpu) == ""
    os.kill(child, signal.SIGKILL)
    while not (found := _ended(child, cpu)):
        time.sleep(0.01)
    assert found == ended


def _left_running() -> set[int]:
    """Processes of the sandbox users that go on running; those of a test in parallel end soon."""
    users = range(FIRST_USER, FIRST_USER + USERS) if os.getuid() == 0 else ()
    left, until = _of(users), time.monotonic() + 120
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
def test_tricks_earn_nothing(run, source):
    outcome = run(source)
    assert outcome.reason or not run.passes(outcome)


def test_forged_values_are_compared_like_any(run):
    forged = encode(pack([Observation({"result": np.array(1.0)})] * len(CASES)))
    outcome = run(f"import os\nos.write(4, {forged!r})\nos._exit(0)")
    assert outcome.reason == "" and not run.passes(outcome)


PROBE = """
import os, sys, socket
def show(name, see):
    try: print(name, see())
    except BaseException as wrong: print(name, type(wrong).__name__)
show("user", os.getuid)
show("environment", lambda: sorted(os.environ))
show("home", lambda: os.listdir("."))
show("course", lambda: any(map(os.path.exists, FOLDERS)))
show("others", lambda: len([p for p in os.listdir("/proc") if p.isdigit()]))
show("net", lambda: socket.create_connection(("127.0.0.1", PORT), 2))
show("root", lambda: os.setuid(0))
show("write", lambda: open("/usr/x", "w"))
show("modules", lambda: sorted(m for m in sys.modules if m.startswith("dgm") and m.count(".") < 2))
show("fds", lambda: os.listdir("/proc/self/fd"))
"""


def test_what_the_child_sees(run):
    """Where the limits are in force: another user, an empty home, no environment, network, course or other process."""
    folders = [str(ROOT / "dgm_course" / "vae"), str(ROOT / "tests")]
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        outcome = run(f"FOLDERS, PORT = {folders!r}, {port}\n{PROBE}{GOOD}")
    assert run.passes(outcome)
    seen = dict(line.split(" ", 1) for line in outcome.printed.splitlines())
    assert seen["environment"] == "['HOME', 'LANG', 'OMP_NUM_THREADS', 'PATH', 'TMPDIR']" and seen["home"] == "[]"
    assert seen["root"] != "None" and seen["write"] in ("OSError", "PermissionError")
    assert seen["modules"] == "['dgm_course', 'dgm_course.core', 'dgm_course.grading', 'dgm_course.teach']"
    if "user" in outcome.enforced:
        assert int(seen["user"]) not in (0, os.getuid())
    if "network" in outcome.enforced:
        assert seen["net"] == "OSError"
    if "files" in outcome.enforced:
        assert seen["course"] == "False" and seen["others"] in ("1", "FileNotFoundError")


@pytest.mark.slow
def test_without_namespaces_process_and_limits_remain():
    """A system that refuses every namespace: same marks, the missing limits are named, nothing is left behind."""
    run = Runner()
    sandbox = run.workspace.package / "dgm_course" / "grading" / "sandbox.py"
    source = sandbox.read_text(encoding="utf-8")
    sandbox.write_text(source + "\n\ndef unshare():\n    return set()\n", encoding="utf-8")
    try:
        good = run(GOOD)
        assert run.passes(good) and not {"files", "network", "processes"} & set(good.enforced)
        assert "did not grant: “no network”" in report.isolation(good.enforced)
        for source in ("import time\ntime.sleep(90)", FORK):
            assert run(source, Limits(cpu=4, wall=6)).reason
        assert not _left_running()
        assert run.left() == [] and run.passes(run(GOOD))
    finally:
        run.close()


@pytest.mark.slow
def test_dead_worker_is_started_again(run):
    assert run.passes(run(GOOD))
    run.worker.process.kill()
    run.worker.process.wait()
    assert run.passes(run(GOOD))
    run.worker.stop()
    assert run.worker.process is None and run.passes(run(GOOD))
