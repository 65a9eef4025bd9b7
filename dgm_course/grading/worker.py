"""The worker: a clean interpreter that loads torch once and then forks, for every exercise, a guard and its prisoner.

The template (this process) never sees an answer.  Told to, it forks a *guard*, which reads one job, cuts itself off
(`pen`), forks the *prisoner*, reads what comes out of it with one eye on the clock, kills it and all its children, and
replies.  The prisoner gives up every right, runs the student's cells, observes the function and writes one message.
The expected values are with the grader, in another process; there is nothing here to compare with.
"""

from __future__ import annotations

import contextlib
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
from .sandbox import Limits, SandboxPaths, close, unshare

FIRST_USER, USERS = 61184, 4000  # numbers that belong to nobody; several guards at a time have several of them


@dataclass(frozen=True)
class Job:
    """One exercise of one student: cells to run in order, the function to observe, the questions."""

    cells: tuple[tuple[str, str], ...]  # (name in error messages, source); the last one holds the function
    prelude: tuple[str, ...]  # single import statements; one that fails makes its name say so when used
    function: str
    cases: tuple[Case, ...]
    watch: ObserveSpec
    limits: Limits
    yard: SandboxPaths


def main() -> None:
    """Fork a guard for every byte on stdin, until there are no more."""
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


# --- the guard


def _supervisor() -> None:
    job: Job = pickle.loads(receive(0))  # from the grader itself
    isolated = unshare()
    user = FIRST_USER + os.getpid() % USERS
    yard = replace(job.yard, root=_folder(job.yard.root, user))
    results, outputs, news = os.pipe(), os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            _child(replace(job, yard=yard), isolated, user, (outputs[1], results[1], news[1]))
        os._exit(0)
    for pipe in (results, outputs, news):
        os.close(pipe[1])
    held = _all_of(news[0])
    ended, result, said = _watch(child, results[0], outputs[0], job.limits)
    _sweep(user)
    shutil.rmtree(yard.root, ignore_errors=True)
    header = {"ended": ended, "held": held.decode().split(), "said": said[-2000:].decode("utf-8", "replace")}
    send(1, json.dumps(header).encode())
    send(1, result)


def _folder(parent: str, user: int) -> str:
    """An empty folder for one exercise, which is the prisoner's where we can give it away."""
    made = tempfile.mkdtemp(dir=parent)
    if os.geteuid() == 0:
        os.chown(made, user, user)
    return made


def _all_of(fd: int) -> bytes:
    parts = []
    while part := os.read(fd, 4096):
        parts.append(part)
    return b"".join(parts)


def _watch(child: int, results: int, outputs: int, limits: Limits) -> tuple[str, bytes, bytes]:
    """Read both pipes until the prisoner ends or breaks a limit; how it ended, the result, what it printed."""
    came = {results: bytearray(), outputs: bytearray()}
    most = {results: (limits.result, "result"), outputs: (limits.output, "output")}
    deadline, ended, status = time.monotonic() + limits.wall, "", ""
    with selectors.DefaultSelector() as selector:
        for fd in came:
            os.set_blocking(fd, False)
            selector.register(fd, selectors.EVENT_READ)
        while not ended:
            readable = (
                [key.fd for key, _ in selector.select(0.05)] if selector.get_map() else time.sleep(0.01) or []
            )
            for fd in readable:
                if not _read(fd, came[fd]):
                    selector.unregister(fd)
                elif len(came[fd]) > most[fd][0]:
                    ended = most[fd][1]
            status = status or _ended(child, limits.cpu)
            if status and not readable:
                ended = ended or status
            elif time.monotonic() > deadline:
                ended = ended or "wall"
    _kill(child, waited=bool(status))
    for fd in came:
        _rest(fd, came[fd], most[fd][0])
    return ended, bytes(came[results][: limits.result]), bytes(came[outputs][: limits.output])


def _read(fd: int, into: bytearray) -> bool:
    """Take what is there; False at the end."""
    try:
        part = os.read(fd, 1 << 16)
    except BlockingIOError:
        return True
    into += part
    return bool(part)


def _rest(fd: int, into: bytearray, most: int) -> None:
    """What was written between the last look and the end."""
    with contextlib.suppress(BlockingIOError):
        while len(into) <= most and (part := os.read(fd, 1 << 16)):
            into += part


def _ended(child: int, cpu: float) -> str:
    """How the child ended, "" while it runs.  The kernel kills at the hard limit; SIGKILL before that is somebody else's."""
    pid, status, usage = os.wait4(child, os.WNOHANG)
    if not pid or not os.WIFSIGNALED(status):
        return "done" if pid else ""
    number, used = os.WTERMSIG(status), usage.ru_utime + usage.ru_stime
    if number == signal.SIGXCPU or number == signal.SIGKILL and used >= cpu:
        return "cpu"
    return f"signal {signal.Signals(number).name}"


def _kill(child: int, waited: bool) -> None:
    """The whole group; where the prisoner was the first of its namespace, everything in there dies with it."""
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(OSError):
            kill(child, signal.SIGKILL)
    if not waited:
        with contextlib.suppress(OSError):
            os.waitpid(child, 0)


def _sweep(user: int) -> None:
    """Where we are root: kill what still runs under the user that was lent, in whatever session it hides."""
    for _ in range(50):
        running = list(_running(user)) if os.geteuid() == 0 else []
        if not running:
            return
        for pid in running:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def _running(user: int) -> Iterator[int]:
    """The processes of a user that are not dead yet."""
    for name in filter(str.isdigit, os.listdir("/proc") if os.path.isdir("/proc") else ()):
        with contextlib.suppress(OSError):
            if os.stat(f"/proc/{name}").st_uid == user:
                with open(f"/proc/{name}/stat", "rb") as file:
                    state = file.read().rpartition(b")")[2].split()[0]
                if state not in (b"Z", b"X"):
                    yield int(name)


# --- the prisoner


def _child(job: Job, isolated: set[str], user: int, pipes: tuple[int, int, int]) -> None:
    """Give up every right, say what is held, and only then touch the student's code."""
    os.setsid()
    output, result, news = _only(pipes)
    held = close(job.yard, job.limits, isolated, user)
    os.write(news, " ".join(sorted(held)).encode())
    os.close(news)
    os.dup2(output, 1), os.dup2(output, 2), os.close(output)
    sys.stdout, sys.stderr = (os.fdopen(fd, "w", buffering=1, errors="replace", closefd=False) for fd in (1, 2))
    message = encode(pack(observe(_answer(job), job.cases, job.watch)))
    while message:
        message = message[os.write(result, message) :]


def _only(pipes: tuple[int, int, int]) -> list[int]:
    """No file stays open but an empty stdin and the three pipes, moved to 3, 4 and 5."""
    high = [os.dup(os.dup(fd)) for fd in pipes]
    high = [fd if fd > 5 else _above(fd) for fd in high]
    empty = os.open(os.devnull, os.O_RDWR)
    for low in (0, 1, 2):
        os.dup2(empty, low)
    for low, fd in enumerate(high, 3):
        os.dup2(fd, low)
    os.closerange(6, 4096)
    return [3, 4, 5]


def _above(fd: int) -> int:
    while fd <= 5:
        fd = os.dup(fd)
    return fd


def _answer(job: Job) -> object:
    """The student's function; whatever stops its cells is raised again when it is called, and so told as an error."""
    space: dict[str, object] = {"__name__": "__main__"}
    for line in job.prelude:
        _import(line, space)
    try:
        for name, source in job.cells:
            linecache.cache[name] = (len(source), None, source.splitlines(True), name)
            exec(compile(source, name, "exec"), space)
    except BaseException as error:
        return _Broken(error)
    return space.get(job.function, _Broken(NameError(f"the cell defines no function {job.function}")))


class _Broken:
    """Stands for a function whose cell did not run."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __call__(self, *_: object) -> object:
        raise self.error


def _import(line: str, space: dict[str, object]) -> None:
    """One import with one name; where it fails, the name says so on first use."""
    try:
        exec(line, space)
    except BaseException as error:
        name = line.split()[-1]
        space[name.partition(".")[0]] = _Absent(name, str(error).partition(" (/")[0])


class _Absent:
    """A name whose import failed in the worker."""

    def __init__(self, name: str, why: str) -> None:
        self._why = f"{name} is not here when marks are given ({why}): the formula itself is asked, in torch"

    def __getattr__(self, attribute: str) -> object:
        raise ImportError(self._why)

    def __call__(self, *_: object, **__: object) -> object:
        raise ImportError(self._why)
