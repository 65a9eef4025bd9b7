"""What readers do to a notebook: run all of it twice, cells out of order, after a restart, elsewhere, without a network.

One notebook stands for all, its beginning and its homework: what it meets, the library meets in each of them.  Two kernels
are started; every other test of a notebook starts one of its own.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest

from dgm_course.teach.build.clean import Client, quiet_environment

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "notebooks" / "06_normalizing_flows.ipynb"
BEGINNING = 8  # code cells: the set-up, the whole idea with its training, the first pictures, checks and a slider
pytestmark = pytest.mark.notebooks

# Before the notebook's first cell: nobody outside this machine answers, and nothing may be fetched.
OFFLINE = """
import socket
def refuse(self, address, *more):
    if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
        raise OSError(f"there is no network, and {address} was called")
    return connect(self, address, *more)
connect, socket.socket.connect = socket.socket.connect, refuse
def unknown(*address, **more):
    raise OSError(f"there is no network, and {address} was looked up")
socket.getaddrinfo = unknown
"""
LOADED = """
from dgm_course import data, pretrained
print(len(data.mnist().train), pretrained.load(pretrained.names()[0]).__class__.__name__)
"""

Run = Callable[[str], list]


def code() -> list[nbformat.NotebookNode]:
    return [cell for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]


def homework() -> list[nbformat.NotebookNode]:
    return [cell for cell in code() if "nbgrader" in cell.metadata]


@contextlib.contextmanager
def kernel(folder: Path, private: Path, **env: str) -> Iterator[Run]:
    """A kernel in ``folder``; what it runs comes back as outputs, errors among them."""
    notebook = nbformat.v4.new_notebook()
    client = Client(
        notebook,
        timeout=600,
        allow_errors=True,
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    )
    client.private = str(private)

    def run(source: str) -> list:
        notebook.cells.append(nbformat.v4.new_code_cell(source))
        return client.execute_cell(notebook.cells[-1], len(notebook.cells) - 1).outputs

    with client.setup_kernel(env=quiet_environment(str(private), DGM_BUDGET="brief", **env)):
        yield run


def words(outputs: list) -> str:
    """What outputs say; pictures, and how a widget is called, aside."""
    said = [o.get("text", "") or o.get("data", {}).get("text/plain", "") for o in outputs]
    return "".join(part if isinstance(part, str) else "".join(part) for part in said)


def errors(outputs: list) -> list[str]:
    return [f"{o.ename}: {o.evalue}" for o in outputs if o.output_type == "error"]


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Iterator[Run]:
    """A kernel at the notebook's own place, where nothing has been run yet."""
    with kernel(NOTEBOOK.parent, tmp_path_factory.mktemp("private")) as run:
        yield run


def test_run_all_twice_says_the_same_twice(desk):
    rounds = [[desk(cell.source) for cell in code()[:BEGINNING]] for _ in range(2)]
    assert [errors(o) for both in rounds for o in both if errors(o)] == []
    assert [words(o) for o in rounds[0]] == [words(o) for o in rounds[1]]
    assert len("".join(map(words, rounds[0]))) > 200


def test_homework_can_be_done_first_and_backwards(tmp_path_factory, tmp_path):
    """Set-up, then the exercises from the last to the first; a cell that came before its time says which name is missing."""
    with kernel(tmp_path, tmp_path_factory.mktemp("private")) as run:
        late = code()[BEGINNING - 1]
        assert errors(run(late.source))[0].startswith("NameError: name '")
        assert errors(run(code()[0].source)) == []
        cells = homework()
        pairs = [cells[i : i + 2] for i in range(0, len(cells), 2)]
        assert len(pairs) >= 4
        for exercise, check in reversed(pairs):
            assert errors(run(exercise.source)) == []
            outputs = run(check.source)
            assert errors(outputs) == [] and "Not yet" in words(outputs)


def files(folder: Path) -> dict[Path, tuple[int, int]]:
    return {
        path: (path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and ".git" not in path.parts
    }


def test_it_runs_elsewhere_without_network_and_writes_nothing(tmp_path):
    """From a folder with blanks and other alphabets, no cache or home to write to: nothing asks outside, nothing is written.

    Who writes nothing can be read-only; chmod alone would prove nothing where tests run as root."""
    folder = tmp_path / "été мир 2, a course"
    folder.mkdir()
    (folder / NOTEBOOK.name).write_bytes(NOTEBOOK.read_bytes())
    home, private = tmp_path / "home", tmp_path / "private"
    private.mkdir()
    home.write_text("a file: whoever makes a folder in it fails")
    before = {**files(ROOT / "dgm_course"), **files(ROOT / "notebooks"), **files(folder)}
    os.chmod(folder, 0o555)
    try:
        with kernel(
            folder,
            private,
            HOME=str(home),
            XDG_CACHE_HOME=str(home / "cache"),
            PYTHONDONTWRITEBYTECODE="1",
            MPLCONFIGDIR=str(private),
            PYTHONPATH=str(ROOT),
        ) as run:
            for source in (OFFLINE, *(cell.source for cell in code()[:BEGINNING]), LOADED):
                outputs = run(source)
                assert errors(outputs) == [] and not [o for o in outputs if o.get("name") == "stderr"]
            assert "4000" in words(outputs)
            asked = errors(run("import socket; socket.create_connection(('example.org', 80))"))
            assert asked[0].startswith("OSError: there is no network")
    finally:
        os.chmod(folder, 0o755)
    assert {**files(ROOT / "dgm_course"), **files(ROOT / "notebooks"), **files(folder)} == before
