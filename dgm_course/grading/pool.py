"""The grader's side of a worker: start it, give it jobs, and check everything it sends."""

from __future__ import annotations

import contextlib
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

START, SLACK = 300.0, 20.0  # seconds to start a worker; seconds beyond the limit before it counts as dead
BEGIN = "import sys; sys.path.insert(0, sys.argv[1]); from dgm_course.grading.worker import main; main()"
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
ENDINGS = {
    "done": "It ended without a result: something stopped the whole process.",
    "wall": "It was stopped: still running after {wall:g} s.",
    "cpu": "It was stopped: it used up its {cpu:g} s of the processor.",
    "output": "It printed more than may be printed.",
    "result": "It returned more than any answer could need.",
    "worker": "Its process could not be started, or ended its supervisor, too.",
}


@dataclass(frozen=True)
class Outcome:
    """Result of one job: observations, or none and the reason; the limits in force; what was printed."""

    observed: tuple[Observation, ...] = ()
    reason: str = ""
    enforced: tuple[str, ...] = ()
    printed: str = ""


class Workspace:
    """The folders that all workers of one run share: their package, and one that holds the sandbox roots."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="dgm-grade-"))
        self.package, roots = self.folder / "package", self.folder / "roots"
        worker_package.write(self.package)
        roots.mkdir()
        for folder in (self.folder, self.package, roots):
            folder.chmod(0o755)
        visible = usual_folders([str(self.package), *_package_folders()])
        self.paths = SandboxPaths(str(roots), visible, _folders_with_answers())

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


class Worker:
    """One worker process and its pipes; started again when it fails."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.process: subprocess.Popen | None = None

    def run(self, job: Job) -> Outcome:
        """Run a job; an outcome is returned within the wall limit, whatever happens."""
        try:
            self._start()
            until = time.monotonic() + job.limits.wall + SLACK
            self.process.stdin.write(b"g")
            send(self.process.stdin.fileno(), pickle.dumps(job))
            header = json.loads(self._receive(until))
            return _outcome(header, self._receive(until), job.limits)
        except (OSError, EOFError, ValueError, TimeoutError):
            self.stop()
            return Outcome(reason=ENDINGS["worker"])

    def stop(self) -> None:
        """End the worker and everything it started."""
        if self.process is not None:
            self.process.stdin.close()
            self.process.stdout.close()
            with contextlib.suppress(OSError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def _start(self) -> None:
        if self.process is not None and self.process.poll() is None:
            return
        kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-B", "-c", BEGIN, str(self.workspace.package)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self.workspace.paths.root,
            bufsize=0,
            start_new_session=True,
            env=ENVIRONMENT | kept,
        )
        if (first := self._receive(time.monotonic() + START)) != b"ready":
            raise ValueError(f"the worker sent {first[:20]!r}: expected b'ready'.")

    def _receive(self, until: float) -> bytes:
        fd = self.process.stdout.fileno()
        if not select.select([fd], [], [], max(0.0, until - time.monotonic()))[0]:
            raise TimeoutError("the worker sent nothing in time.")
        return receive(fd)


def bare(cases: Sequence[Case]) -> tuple[Case, ...]:
    """The cases without their names and hints, which only the grader needs."""
    return tuple(replace(case, name="", shown={}, hint="") for case in cases)


def _package_folders() -> list[str]:
    """The folders of installed packages; the checkout of an editable installation is not among them."""
    import torch

    return [str(Path(torch.__file__).resolve().parents[1]), *filter(os.path.isdir, site.getsitepackages())]


def _folders_with_answers() -> tuple[str, ...]:
    """The library, and the tests and notebooks of a checkout: the sandbox covers them if a visible folder holds them."""
    library = worker_package.LIBRARY
    checkout = library.parent
    answers = [checkout / "tests", checkout / "notebooks"] if (checkout / "pyproject.toml").is_file() else []
    places = {Path(folder).resolve() / library.name for folder in [*sys.path, *_package_folders()] if folder}
    return tuple(sorted(str(place) for place in {*places, *answers, library} if place.is_dir()))


def _outcome(header: dict, result: bytes, limits: Limits) -> Outcome:
    """The supervisor's header and the child's message, which is decoded as untrusted."""
    enforced, printed, ended = tuple(header["enforced"]), header["printed"], header["ended"]
    if ended != "done" or not result:
        reason = ENDINGS.get(ended, f"It was stopped by {ended}.").format(cpu=limits.cpu, wall=limits.wall)
        return Outcome((), reason, enforced, printed)
    try:
        return Outcome(unpack(decode(result)), "", enforced, printed)
    except (ValueError, MemoryError) as wrong:
        return Outcome((), f"What came back is no result: {wrong}", enforced, printed)
