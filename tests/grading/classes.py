"""What the tests of the grader share: a notebook as handed out, cells to fill it with, and answers right and wrong."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from dgm_course.grading.notebooks import asked, read
from dgm_course.grading.sandbox import Limits

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "notebooks" / "08_flow_matching.ipynb"
ID, NAME = "fm.cfm_loss", "cfm_loss"
SHORT = Limits(cpu=10, wall=60)
GOOD = """def cfm_loss(net, x1, x0, t):
    x = (1 - t[:, None]) * x0 + t[:, None] * x1
    return (net(x, t) - (x1 - x0)).square().mean()
"""
BAD = GOOD.replace("x1 - x0)", "x1 + x0)")


def notebook(cells: dict[str, str] | None = None) -> dict:
    """Notebook 08 as handed out, some of its exercise cells filled."""
    data = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    for cell in data["cells"]:
        cell["source"] = (cells or {}).get(cell["id"], cell["source"])
        cell.pop("outputs", None)
    return data


def put(path: Path, data: dict | str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = data if isinstance(data, bytes) else (data if isinstance(data, str) else json.dumps(data)).encode()
    path.write_bytes(raw)
    return path


TASKS = asked(read(NOTEBOOK.name, NOTEBOOK.read_bytes()))
(TASK,) = [task for task in TASKS if task.id == ID]


def book(data: dict, name: str = "hw.ipynb"):
    return read(name, json.dumps(data).encode())


def zipped(path: Path, members: dict[str, bytes], **attributes: int) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = attributes.get("mode", 0) << 16
            archive.writestr(info, content)
    return path


RAW = b'{"nbformat": 4, "cells": []}'
