"""Run a notebook with fixed settings, remove what differs between runs, and list what is wrong with the result.

Committed outputs are compared by git: no widget state (a PNG stands in for it), no times, no random ids, no path and no
warning of the machine.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import re
import tempfile
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from ...core.notebook_dir import thread_waits
from .exercise_cells import MasterError

QUIET = {
    "DGM_BUDGET": "quick",
    "DGM_DEVICE": "cpu",
    "OMP_NUM_THREADS": "2",
    "MKL_NUM_THREADS": "2",
    "PYTHONHASHSEED": "0",
    "DGM_PREVIEW": "1",
}
LANGUAGE = {"file_extension": ".py", "mimetype": "text/x-python", "name": "python", "pygments_lexer": "ipython3"}
WIDGET = "application/vnd.jupyter.widget-view+json"
MOST_BYTES, MOST_LINES = 1_500_000, 20
# A folder of a machine; the look-behind skips addresses such as https://example.org/home/x.
MACHINE_PATH = re.compile(
    r"(?<![\w.:/-])/(?:home|root|tmp|work|Users|usr|opt|var|mnt|private)/[\w.-]+"
    r"|\b[A-Z]:\\\\?\w+"
)
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]{6,}")


class Client(NotebookClient):
    """nbclient with this interpreter as kernel, whatever kernels the user has registered."""

    private: str = ""

    def create_kernel_manager(self):
        """The native kernel, with its connection file in the private folder."""
        self.kernel_name = "python3"
        manager = super().create_kernel_manager()
        manager.kernel_spec_manager = KernelSpecManager(kernel_dirs=[])
        manager.connection_file = str(Path(self.private) / "kernel.json")
        return manager


def quiet_environment(private: str, **more: str) -> dict[str, str]:
    """This process's environment on the quick budget and the CPU, without the user's IPython start-up."""
    env = {**os.environ, **thread_waits(os.environ), **QUIET, "IPYTHONDIR": private, **more}
    env.pop("MPLBACKEND", None)  # else pictures would not go into the notebook
    return env


def run(notebook: NotebookNode, timeout: int, env: dict[str, str], folder: Path) -> NotebookNode:
    """Execute a copy.  MasterError, naming the cell, where one raises, hangs or kills the kernel"""
    import matplotlib.font_manager  # noqa: F401  builds the font cache, whose notice would land in a cell's stderr

    notebook = copy.deepcopy(notebook)
    with tempfile.TemporaryDirectory(prefix="dgm-") as private:
        where = {"metadata": {"path": str(folder)}}
        quiet = ["--log-level=ERROR"]
        client = Client(notebook, timeout=timeout, record_timing=False, extra_arguments=quiet, resources=where)
        client.private = private
        try:
            client.execute(env=quiet_environment(private, **env))
        except CellExecutionError as error:
            what = f"{_failed(notebook)} raised {error.ename}: {error.evalue}"
            raise MasterError(f"{what}\n{COLOUR.sub('', error.traceback)}") from None
        except CellTimeoutError:
            raise MasterError(f"{_failed(notebook)} was still running after {timeout} seconds.") from None
        except DeadKernelError:
            raise MasterError(f"{_failed(notebook)} killed the kernel.") from None
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = _joined(cell.outputs)
    return notebook


def _joined(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Neighbouring pieces of a stream as one output, each line from its last CR on.

    (nbclient joins them too, in a time quadratic in the longest line.)"""
    whole: list[NotebookNode] = []
    for output in outputs:
        if whole and output.output_type == "stream" and whole[-1].get("name") == output.name:
            whole[-1].text += output.text
        else:
            whole.append(output)
    for output in whole:
        if output.output_type == "stream":
            output.text = "\n".join(line.rstrip("\r").split("\r")[-1] for line in output.text.split("\n"))
    return whole


def tidy(notebook: NotebookNode) -> NotebookNode:
    """Drop widget state, times and facts of the machine; name each widget after its place."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata.language_info = NotebookNode(LANGUAGE)
    names: dict[str, str] = {}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for place, output in enumerate(cell.get("outputs", [])):
            output.pop("transient", None)
            if WIDGET in output.get("data", {}):
                stable = hashlib.sha256(f"{cell.id} {place}".encode()).hexdigest()[:32]
                names.setdefault(output.data[WIDGET]["model_id"], stable)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            text = json.dumps(cell.outputs)
            for random, stable in names.items():
                text = text.replace(random, stable)
            cell.outputs = [nbformat.from_dict(output) for output in json.loads(text)]
    return notebook


def faults(notebook: NotebookNode) -> list[str]:
    """What is wrong with a built notebook, in sentences."""
    cells = list(enumerate(notebook.cells, 1))
    found = [f"{_called(number, cell)} {what}" for number, cell in cells for what in _cell_faults(cell)]
    if "widgets" in notebook.metadata:
        found.append("The notebook carries widget state: drop metadata.widgets.")
    if (size := len(nbformat.writes(notebook).encode())) > MOST_BYTES:
        largest = _called(*max(cells, key=lambda c: len(json.dumps(c[1].get("outputs", []))))).lower()
        found.append(
            f"The notebook has {size / 1e6:.1f} MB, more than {MOST_BYTES / 1e6}; the largest is {largest}."
        )
    return found


def _cell_faults(cell: NotebookNode) -> list[str]:
    found = []
    outputs = cell.get("outputs", [])
    if cell.cell_type == "code" and (lines := len(cell.source.splitlines())) > MOST_LINES:
        found.append(f"has {lines} lines; a code cell has {MOST_LINES} at most.")
    for text in (cell.source, *map(_readable, outputs)):
        if path := MACHINE_PATH.search(text):
            found.append(f"names a folder of the machine, {path.group()}.")
    for output in outputs:
        if address := ADDRESS.search(_readable(output)):
            found.append(f"shows a memory address, {address.group()[3:]}: end its last line with `;`.")
        if output.output_type == "error":
            found.append(f"ends in {output.ename}: {output.evalue}")
        if output.get("name") == "stderr":
            found.append(f"writes to stderr: {output.text.strip().splitlines()[0][:200]!r}.")
    return found


def _readable(output: NotebookNode) -> str:
    """All text of an output without the base64 of its pictures."""
    data = {kind: value for kind, value in output.get("data", {}).items() if not kind.startswith("image/")}
    texts = (value if isinstance(value, str) else json.dumps(value) for value in data.values())
    return "\n".join([output.get("text", ""), *texts])


def _called(number: int, cell: NotebookNode) -> str:
    first = next((line for line in cell.source.splitlines() if line.strip()), "")
    return f"Cell {number} (`{first.strip()[:50]}`)"


def _failed(notebook: NotebookNode) -> str:
    """The last cell that was started."""
    cells = enumerate(notebook.cells, 1)
    started = [(i, c) for i, c in cells if c.get("execution_count") or c.get("outputs")]
    return _called(*started[-1]) if started else "The first cell"
