"""The worker: an interpreter that loads torch once and forks a supervisor and its child for every exercise.

The supervisor reads one job, enters new namespaces, forks the child, reads its output under limits, kills it with all its
children, and replies. The child drops its rights, runs the student's cells, observes the function and writes one message.
No expected value is in any of these processes.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import linecache
import os
import pickle
import selectors
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from ..teach.homework.cases import Case, ObserveSpec, pack
from ..teach.homework.observe import observe, warm_up
from .messages import encode, receive, send
from .sandbox import Limits, SandboxPaths, restrict, unshare

FIRST_USER, USERS = 61184, 4000  # user ids without an account; supervisors that run together use different ones


@dataclass(frozen=True)
class Job:
    """One exercise of one student: cells to run in order, the function to observe, the cases."""

    cells: tuple[tuple[str, str], ...]  # (name in error messages, source); the last one defines the function
    prelude: tuple[str, ...]  # single import statements; the name of a failed one raises when used
    function: str
    cases: tuple[Case, ...]
    watch: ObserveSpec
    limits: Limits
    paths: SandboxPaths


def main() -> None:
    """Fork a supervisor for every byte on stdin, until its end."""
    torch.set_num_threads(1)
    warm_up()
    send(1, b"ready")
    while os.read(0, 1):
        supervisor = os.fork()
        if supervisor == 0:
            with contextlib.suppress(BaseException):
                _supervisor()
            os._exit(0)
        os.waitpid(supervisor, 0)


# --- the supervisor


def _supervisor() -> None:
    job: Job = pickle.loads(receive(0))  # written by the grader itself
    isolated = unshare()
    user = FIRST_USER + os.getpid() % USERS
    paths = replace(job.paths, root=tempfile.mkdtemp(dir=job.paths.root))
    if os.geteuid() == 0:
        os.chown(paths.root, user, user)
    results, outputs, reports = os.pipe(), os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            _child(replace(job, paths=paths), isolated, user, (outputs[1], results[1], reports[1]))
        os._exit(0)
    for pipe in (results, outputs, reports):
        os.close(pipe[1])
    with os.fdopen(reports[0]) as file:
        enforced = file.read().split()
    ended, result, printed = _watch(child, results[0], outputs[0], job.limits)
    _kill_all(user)
    shutil.rmtree(paths.root, ignore_errors=True)
    header = {"ended": ended, "enforced": enforced, "printed": printed[-2000:].decode("utf-8", "replace")}
    send(1, json.dumps(header).encode())
    send(1, result)


def _watch(child: int, results: int, outputs: int, limits: Limits) -> tuple[str, bytes, bytes]:
    """Read both pipes until the child ends or exceeds a limit; return how it ended, its result and its output."""
    received = {results: bytearray(), outputs: bytearray()}
    most = {results: (limits.result, "result"), outputs: (limits.output, "output")}
    deadline, ended, status = time.monotonic() + limits.wall, "", ""
    with selectors.DefaultSelector() as selector:
        for fd in received:
            os.set_blocking(fd, False)
            selector.register(fd, selectors.EVENT_READ)
        while not ended:
            readable = [key.fd for key, _ in selector.select(0.05 if selector.get_map() else 0.01)]
            for fd in readable:
                if not _read(fd, received[fd]):
                    selector.unregister(fd)
                elif len(received[fd]) > most[fd][0]:
                    ended = most[fd][1]
            status = status or _ended(child, limits.cpu)
            if status and not readable:
                ended = ended or status
            elif time.monotonic() > deadline:
                ended = ended or "wall"
    _kill(child, waited=bool(status))
    for fd, content in received.items():  # what came between the last read and the end
        with contextlib.suppress(BlockingIOError):
            while len(content) <= most[fd][0] and (part := os.read(fd, 1 << 16)):
                content += part
    return ended, bytes(received[results][: limits.result]), bytes(received[outputs][: limits.output])


def _read(fd: int, into: bytearray) -> bool:
    """Append what can be read now; False at the end of the pipe."""
    try:
        part = os.read(fd, 1 << 16)
    except BlockingIOError:
        return True
    into += part
    return bool(part)


def _ended(child: int, cpu: float) -> str:
    """How the child ended, "" while it runs. SIGKILL counts as used-up time only once `cpu` seconds are used."""
    pid, status, usage = os.wait4(child, os.WNOHANG)
    if not pid or not os.WIFSIGNALED(status):
        return "done" if pid else ""
    number, used = os.WTERMSIG(status), usage.ru_utime + usage.ru_stime
    if number == signal.SIGXCPU or number == signal.SIGKILL and used >= cpu:
        return "cpu"
    return f"signal {signal.Signals(number).name}"


def _kill(child: int, waited: bool) -> None:
    """Kill the child's process group; in a process namespace, everything in it ends with the child."""
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(OSError):
            kill(child, signal.SIGKILL)
    if not waited:
        with contextlib.suppress(OSError):
            os.waitpid(child, 0)


def _kill_all(user: int) -> None:
    """As root: kill every process of the user, whatever its session."""
    for _ in range(50):
        running = list(_running(user)) if os.geteuid() == 0 else []
        if not running:
            return
        for pid in running:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def _running(user: int) -> Iterator[int]:
    """The user's processes, zombies left out."""
    for name in filter(str.isdigit, os.listdir("/proc") if os.path.isdir("/proc") else ()):
        with contextlib.suppress(OSError):
            if os.stat(f"/proc/{name}").st_uid == user:
                with open(f"/proc/{name}/stat", "rb") as file:
                    state = file.read().rpartition(b")")[2].split()[0]
                if state not in (b"Z", b"X"):
                    yield int(name)


# --- the child


def _child(job: Job, isolated: set[str], user: int, pipes: tuple[int, int, int]) -> None:
    """Drop all rights, report the limits in force, and only then run the student's code."""
    os.setsid()
    output, result, report = _keep_only(pipes)
    enforced = restrict(job.paths, job.limits, isolated, user)
    os.write(report, " ".join(sorted(enforced)).encode())
    os.close(report)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    sys.stdout, sys.stderr = (os.fdopen(fd, "w", buffering=1, errors="replace", closefd=False) for fd in (1, 2))
    message = encode(pack(observe(_answer(job), job.cases, job.watch)))
    while message:
        message = message[os.write(result, message) :]


def _keep_only(pipes: tuple[int, int, int]) -> list[int]:
    """Close every file but an empty stdin, stdout, stderr and the three pipes, which become 3, 4 and 5."""
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 6) for fd in pipes]
    empty = os.open(os.devnull, os.O_RDWR)
    for low, fd in enumerate((empty, empty, empty, *high)):
        os.dup2(fd, low)
    os.closerange(6, 4096)
    return [3, 4, 5]


def _answer(job: Job) -> object:
    """The student's function; an error in its cells is raised again when it is called."""
    space: dict[str, object] = {"__name__": "__main__"}
    for line in job.prelude:
        _import(line, space)
    try:
        for name, source in job.cells:
            linecache.cache[name] = (len(source), None, source.splitlines(True), name)
            exec(compile(source, name, "exec"), space)
    except BaseException as error:
        return _Raising(error)
    return space.get(job.function, _Raising(NameError(f"the cell defines no function {job.function}")))


def _import(line: str, space: dict[str, object]) -> None:
    """Run an import of one name; where it fails, the name raises when used."""
    try:
        exec(line, space)
    except BaseException as error:
        name, why = line.split()[-1], str(error).partition(" (/")[0]
        text = f"{name} cannot be imported when marks are given ({why}): write the formula itself in torch"
        space[name.partition(".")[0]] = _Absent(ImportError(text))


class _Raising:
    """Stands for a function whose cell did not run; a call raises the error."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __call__(self, *_: object, **__: object) -> object:
        raise self._error


class _Absent(_Raising):
    """Stands for a name whose import failed; an attribute raises, too."""

    def __getattr__(self, attribute: str) -> object:
        raise self._error
