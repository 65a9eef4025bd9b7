"""The players of a notebook: run it once, keep their state, and let a page load it when they come into view.

A widget whose state has an ES module (``_esm``, as every player) needs no kernel.  Its module and its state become two
classic scripts, because a page opened from a disk may load those but not fetch.  Other widgets stay still pictures.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from ..build.build import execute
from ..build.clean import WIDGET

PACKAGE = Path(__file__).resolve().parents[2]
STATES = "application/vnd.jupyter.widget-state+json"
EXPORT = re.compile(r"^export default ", re.M)


@dataclass(frozen=True)
class WidgetFiles:
    """The files of a player's module and data, relative to the site's folder."""

    module: str
    data: str


Places = dict[str, WidgetFiles]  # "CELL ID/number of the output" -> its player
Run = Callable[[NotebookNode, Path], NotebookNode]


def output_key(cell: NotebookNode, number: int) -> str:
    return f"{cell.id}/{number}"


def no_players(path: Path, folder: Path) -> Places:
    """No players: nothing is run, and every page shows their still pictures."""
    return {}


def run(notebook: NotebookNode, where: Path) -> NotebookNode:
    """Run a notebook in its folder on the budget DGM_BUDGET, by default quick."""
    return execute(notebook, timeout=1200, env={"DGM_BUDGET": os.environ.get("DGM_BUDGET", "quick")}, folder=where)


def players(path: Path, folder: Path, run: Run = run) -> Places:
    """Write the players of the notebook ``path`` into the site's ``folder``; return the files of each.

    Files of an earlier run are kept while cells, library and budget are the same.  MasterError where a cell raises."""
    notebook = nbformat.read(path, as_version=4)
    last = _last_player(notebook)
    if last is None:
        return {}
    notebook.cells = notebook.cells[: last + 1]
    known, stamp = folder / "players" / f"{path.stem}.json", _stamp(notebook)
    if (found := _kept(known, stamp, folder)) is not None:
        return found
    done = run(notebook, path.parent)
    known.parent.mkdir(parents=True, exist_ok=True)
    places = dict(_written(done, path.stem, folder))
    record = {"stamp": stamp, "players": {name: asdict(player) for name, player in places.items()}}
    known.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return places


def _last_player(notebook: NotebookNode) -> int | None:
    """The last cell with a widget that needs no kernel: any but those of ``play``."""

    def is_player(output: NotebookNode) -> bool:
        data = output.get("data", {})
        return WIDGET in data and not data.get("text/plain", "").startswith("play(")

    found = [i for i, cell in enumerate(notebook.cells) if any(map(is_player, cell.get("outputs", [])))]
    return found[-1] if found else None


def _stamp(notebook: NotebookNode) -> str:
    """A hash of what the players depend on: the cells, every file of the library, the budget."""
    digest = hashlib.sha256(os.environ.get("DGM_BUDGET", "quick").encode())
    for cell in notebook.cells:
        digest.update(f"{cell.id}\n{cell.source}\n".encode())
    for file in sorted(p for p in PACKAGE.rglob("*") if p.suffix in (".py", ".js", ".css", ".safetensors")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _kept(known: Path, stamp: str, folder: Path) -> Places | None:
    """The players of an earlier run, where its stamp is the same and every file is there."""
    if not known.is_file():
        return None
    record = json.loads(known.read_text(encoding="utf-8"))
    places = {name: WidgetFiles(**player) for name, player in record["players"].items()}
    whole = all((folder / file).is_file() for player in places.values() for file in (player.module, player.data))
    return places if record["stamp"] == stamp and whole else None


def _written(notebook: NotebookNode, stem: str, folder: Path) -> Iterator[tuple[str, WidgetFiles]]:
    """Write the files of each player; yield its place and its files."""
    states = notebook.metadata.get("widgets", {}).get(STATES, {}).get("state", {})
    for cell in notebook.cells:
        for number, output in enumerate(cell.get("outputs", [])):
            model = states.get(output.get("data", {}).get(WIDGET, {}).get("model_id"))
            script = None if model is None else classic(model["state"].get("_esm", ""))
            if script is not None:
                digest = hashlib.sha256(script.encode()).hexdigest()[:12]
                files = WidgetFiles(f"players/module-{digest}.js", f"players/{stem}-{cell.id}-{number}.js")
                module = f'dgmSite.module("{files.module}", {script});\n'
                (folder / files.module).write_text(module, encoding="utf-8")
                (folder / files.data).write_text(_data(files.data, model), encoding="utf-8")
                yield output_key(cell, number), files


def classic(esm: str) -> str | None:
    """An ES module as a function that returns its default export; None where it imports or exports more."""
    if len(EXPORT.findall(esm)) != 1 or re.search(r"^(import|export (?!default))\b", esm, re.M):
        return None
    return f'() => {{ "use strict";\n{EXPORT.sub("return ", esm)}\n}}'


def _data(name: str, model: NotebookNode) -> str:
    """A widget's state with its style sheet as a script; bytes in base64."""
    values = {key: value for key, value in model["state"].items() if key == "_css" or not key.startswith("_")}
    held = {buffer["path"][0]: buffer["data"] for buffer in model.get("buffers", []) if len(buffer["path"]) == 1}
    plain = json.dumps({key: value for key, value in values.items() if key not in held}, ensure_ascii=False)
    return f'dgmSite.data("{name}", {plain}, {json.dumps(held)});\n'
