"""The command `dgm`: open the course, find what is missing, fetch the data, repeat a training.

An error is one sentence and exit code 2; `DGM_DEBUG=1` shows the traceback.
"""

from __future__ import annotations

import argparse
import os
import secrets
import socket
import sys
from collections.abc import Callable, Iterator
from importlib import util
from pathlib import Path

from .. import __version__
from ..core import notebook_dir
from .doctor import HOW, doctor

SETTINGS = Path(__file__).with_name("jupyter_settings")


class UserError(Exception):
    """An error that the user can correct; the message says how."""


# Errors whose message is already a sentence; other messages start with the error's class.
SENTENCES = (UserError, LookupError, ValueError, OSError, RuntimeError)


# --- dgm lab


def lab(options: argparse.Namespace) -> int:
    """JupyterLab on this machine only, behind a token, with one notebook open; returns when it is stopped."""
    address, arguments = _lab_arguments(options)
    if util.find_spec("jupyterlab") is None:
        raise UserError(f"JupyterLab is not installed here: {HOW}.")
    settings = filter(None, [str(SETTINGS), os.environ.get("JUPYTER_CONFIG_PATH", "")])
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(settings)
    os.environ.update(notebook_dir.thread_waits(os.environ))  # inherited by every kernel
    from jupyterlab.labapp import LabApp

    for server in _open_already(arguments):
        print(f"The course is open already at {server}; a second server opens: save in one of them only.")
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

    Port and token are chosen here, so that no setting of the user turns the token off and the address contains it."""
    where = notebook_dir.own()
    notebook = notebook_dir.find(where, options.name) if options.name else min(where.glob("[0-9][0-9]_*.ipynb"))
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
    """The given port, or the first free one from 8888 on."""
    if wanted is None:
        return next(port for port in range(8888, 9888) if not _port_error(port))
    if not 1 <= wanted <= 65535:
        raise UserError(f"A port is a number from 1 to 65535, not {wanted}.")
    if reason := _port_error(wanted):
        other = f"--port {wanted % 65535 + 1}"
        raise UserError(f"Port {wanted} cannot be used ({reason}): try another, such as {other}, or omit --port.")
    return wanted


def _port_error(port: int) -> str:
    """Why this machine's port is not available; empty where it is."""
    with socket.socket() as probe:
        if os.name == "posix":  # a port that was just released is free; on Windows the option would share ports
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as wrong:
            return wrong.strerror or str(wrong)
    return ""


# --- dgm data, dgm train, dgm anchors


def data(options: argparse.Namespace) -> int:
    """Fetch the official 60,000 and 10,000 images; `mnist` prints where they came from."""
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
        print(f"Training {options.name}{many}; after Ctrl-C the same command resumes.", flush=True)
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
    """Write HTML pages of the notebooks, which need no kernel, server or network."""
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
    """Grade submissions; 0 also where some could not be read, which the table shows."""
    if os.name != "posix":
        raise UserError("Grading needs Linux, or macOS with a weaker sandbox: on Windows, run it in WSL.")
    from ..grading.submissions import submissions
    from ..grading.workspace import mark

    for line in mark(submissions(options.submissions), _books(options), options):
        print(line, flush=True)
    return 0


def release(options: argparse.Namespace) -> int:
    """Write the student version of the notebooks."""
    from ..grading.release import release as lines

    print(*lines(_books(options), options.folder), sep="\n")
    return 0


def nbgrader(options: argparse.Namespace) -> int:
    """Write a course directory for nbgrader, which need not be installed."""
    from ..grading.nbgrader import course as lines

    print(*lines(_books(options), options.folder), sep="\n")
    return 0


def _books(options: argparse.Namespace) -> list[Path]:
    """The named notebooks, or all."""
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
        "submissions", type=Path, help="a folder: a notebook, folder or zip file for each student"
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
    """The message where it is a sentence (str of a KeyError would quote it), else with the error's class."""
    said = str(wrong.args[0]) if isinstance(wrong, KeyError) and wrong.args else str(wrong)
    if isinstance(wrong, SENTENCES) and " " in said:
        return said
    return f"{type(wrong).__name__}: {said} (DGM_DEBUG=1 shows where)"


if __name__ == "__main__":
    sys.exit(main())
