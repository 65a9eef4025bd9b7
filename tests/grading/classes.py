"""What the grader's tests share: a notebook as handed out, answers right and wrong, and files."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from dgm_course.grading.notebooks import Notebook, asked, read
from dgm_course.grading.sandbox import Limits
from dgm_course.teach.build.build import solved

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
NOTEBOOK = ROOT / "notebooks" / "08_flow_matching.ipynb"
ID, MARK, NAME = "fm.cfm_loss", "fm-cfm_loss", "cfm_loss"
SHORT = Limits(cpu=10, wall=60)
RAW = b'{"nbformat": 4, "cells": []}'
GOOD = """def cfm_loss(net, x1, x0, t):
    x = (1 - t[:, None]) * x0 + t[:, None] * x1
    return (net(x, t) - (x1 - x0)).square().mean()
"""
BAD = GOOD.replace("x1 - x0)", "x1 + x0)")
TASKS = asked(read(NOTEBOOK.name, NOTEBOOK.read_bytes()))
(TASK,) = [task for task in TASKS if task.id == ID]


def notebook(cells: dict[str, str] | None = None) -> dict:
    """Notebook 08 as handed out, some of its exercise cells filled."""
    data = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    for cell in data["cells"]:
        cell["source"] = (cells or {}).get(cell["id"], cell["source"])
        cell.pop("outputs", None)
    return data


def with_solutions(stem: str) -> dict:
    """A notebook with the solutions of its master."""
    return json.loads(json.dumps(solved(ROOT / "notebooks" / "source" / f"{stem}.py")))


def book(data: dict, name: str = "hw.ipynb") -> Notebook:
    return read(name, json.dumps(data).encode())


def put(path: Path, data: dict | str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(data) if isinstance(data, dict) else data
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def zipped(path: Path, members: dict[str, bytes], mode: int = 0) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, content, zipfile.ZIP_DEFLATED)
    return path
