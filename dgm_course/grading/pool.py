"""The grader's side of a worker: start one, give it jobs, believe nothing that it sends."""

from __future__ import annotations

import json
import os
import pickle
import select
import shutil
import signal
import site
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..teach.homework import Case, Observation, unpack
from . import worker_package
from .messages import decode, receive, send
from .sandbox import Limits, SandboxPaths, usual_folders
from .worker import Job

START, SLACK = 300.0, 20.0
BEGIN = "import sys; sys.path.insert(0, sys.argv[1]); from dgm_course.grading.worker import main; main()"
ENDINGS = {
    "done": "It ended without a result: something stopped the whole process.",
    "wall": "It was stopped: still running after {wall:g} s.",
    "cpu": "It was stopped: it used up its {cpu:g} s of the processor.",
    "output": "It printed more than may be printed.",
    "result": "It returned more than any answer could need.",
    "worker": "Its process could not be started, or took its guard with it.",
}


@dataclass(frozen=True)
class Outcome:
    """What came of one job: observations, or none and the reason why; what holds of the pen; what was printed."""

    observed: tuple[Observation, ...] = ()
    reason: str = ""
    held: tuple[str, ...] = ()
    said: str = ""


class Workspace:
    """Folders that workers share for one run of the grader: the package of a worker, and the yard where pens stand."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="dgm-grade-"))
        self.package, yard = self.folder / "package", self.folder / "yard"
        worker_package.write(self.package)
        yard.mkdir()
        for folder in (self.folder, self.package, yard):
            folder.chmod(0o755)
        self.yard = SandboxPaths(
            str(yard), usual_folders([str(self.package), *_where_torch_is()]), _where_the_course_is()
        )

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def bare(cases: Sequence[Case]) -> tuple[Case, ...]:
    """The questions without their names and hints, which are the judge's."""
    return tuple(replace(case, name="", shown={}, hint="") for case in cases)


def _where_torch_is() -> list[str]:
    """The folders of packages, wherever they are; the checkout of an editable installation is none of them."""
    import torch

    return [str(Path(torch.__file__).resolve().parents[1]), *filter(os.path.isdir, site.getsitepackages())]


def _where_the_course_is() -> tuple[str, ...]:
    """The library and a checkout's answers, should they lie in a visible folder: empty ones are put in their place."""
    beside = worker_package.HOUSE.parent
    answers = [beside / "tests", beside / "notebooks"] if (beside / "pyproject.toml").is_file() else []
    places = {Path(folder).resolve() / worker_package.NAME for folder in [*sys.path, *_where_torch_is()] if folder}
    return tuple(sorted(str(place) for place in {*places, *answers, worker_package.HOUSE} if place.is_dir()))


class Worker:
    """One template process and the pipe to it; started again whenever it fails."""

    def __init__(self, bench: Workspace) -> None:
        self.bench, self.process = bench, None

    def ask(self, job: Job) -> Outcome:
        """Have a job done; whatever happens, an outcome comes back within the clock's limit."""
        try:
            self._start()
            until = time.monotonic() + job.limits.wall + SLACK
            self.process.stdin.write(b"g")
            send(self.process.stdin.fileno(), pickle.dumps(job))
            header = json.loads(self._next(until))
            return _outcome(header, self._next(until), job.limits)
        except (OSError, EOFError, ValueError, TimeoutError):
            self.stop()
            return Outcome(reason=ENDINGS["worker"])

    def _start(self) -> None:
        if self.process is not None and self.process.poll() is None:
            return
        kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-B", "-c", BEGIN, str(self.bench.package)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self.bench.yard.root,
            bufsize=0,
            start_new_session=True,
            env={
                "PATH": "/usr/bin:/bin",
                "LANG": "C.UTF-8",
                "OMP_NUM_THREADS": "1",
                "MKL_NUM_THREADS": "1",
                **kept,
            },
        )
        if self._next(time.monotonic() + START) != b"ready":
            raise ValueError("the worker did not say that it is ready.")

    def _next(self, until: float) -> bytes:
        fd = self.process.stdout.fileno()
        if not select.select([fd], [], [], max(0.0, until - time.monotonic()))[0]:
            raise TimeoutError("the worker does not answer.")
        return receive(fd)

    def stop(self) -> None:
        """End it with everything it started."""
        if self.process is not None:
            for end in (self.process.stdin, self.process.stdout):
                end.close()
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except OSError:
                pass
            self.process.wait()
            self.process = None


def _outcome(header: dict, result: bytes, limits: Limits) -> Outcome:
    """The guard's words, and the prisoner's message read with care."""
    held, said, ended = tuple(header["held"]), header["said"], header["ended"]
    if ended != "done" or not result:
        reason = ENDINGS.get(ended, f"It was stopped by {ended}.").format(cpu=limits.cpu, wall=limits.wall)
        return Outcome((), reason, held, said)
    try:
        return Outcome(unpack(decode(result)), "", held, said)
    except (ValueError, MemoryError) as wrong:
        return Outcome((), f"What came back is no result: {wrong}", held, said)
