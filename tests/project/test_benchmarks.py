"""The benchmarks can start: they are run by hand, so nothing else notices when a name they import has gone."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.mark.parametrize("script", sorted(FOLDER.glob("[a-z]*.py")), ids=lambda path: path.stem)
def test_its_imports_exist(script, monkeypatch):
    if script.stem == "player":
        pytest.importorskip("playwright")
    monkeypatch.setattr(sys, "path", [str(FOLDER), *sys.path])
    runpy.run_path(str(script), run_name="benchmark")
