"""From a wheel alone, in a folder far from the checkout: commands, weights, players, pages and notebooks are there."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

import dgm_course
from dgm_course.core import notebook_dir

ROOT = Path(__file__).resolve().parents[2]
BUILDER = next((d.version for d in metadata.distributions() if d.metadata["Name"] == "setuptools"), "0")
builds = pytest.mark.skipif(int(BUILDER.split(".")[0]) < 77, reason="a wheel wants setuptools 77 or newer")


def source(target: Path) -> Path:
    """The files that a wheel is made of, apart from the checkout, for a build writes beside them."""
    target.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, target)
    skip = shutil.ignore_patterns("__pycache__", "source", ".ipynb_checkpoints")
    for name in ("dgm_course", "notebooks"):
        shutil.copytree(ROOT / name, target / name, ignore=skip)
    return target


def run(*command: object, **more: object) -> str:
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=env, **more)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
        "--disable-pip-version-check",
        "-w",
        folder,
        source(folder / "course"),
    )
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory) -> Path:
    """A new environment with the wheel in it; all else is this environment's, behind it."""
    place = tmp_path_factory.mktemp("an environment é")
    venv.create(place)
    python = place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    (site,) = json.loads(
        run(python, "-c", "import json, sysconfig; print(json.dumps([sysconfig.get_path('purelib')]))")
    )
    Path(site, "behind.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--disable-pip-version-check",
        "--force-reinstall",
        wheel,
    )
    return python


@pytest.mark.slow
@builds
def test_the_wheel_carries_everything_that_runs(wheel):
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if not name.endswith("/")}
    here = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "dgm_course").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    ours = {name for name in inside if name.startswith("dgm_course/")}
    assert ours == here
    shared = {Path(name).name for name in inside if "/share/dgm-course/notebooks/" in name}
    assert shared >= {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert any(name.endswith("licenses/LICENSE") for name in inside) and True


@pytest.mark.slow
@builds
def test_installed_far_away_it_has_weights_players_and_pages(python, tmp_path):
    code = (
        "import dgm_course, sys; from dgm_course import pretrained; from dgm_course.teach.widgets import serialize as wire;"
        "print(dgm_course.__file__); print(pretrained.load(sorted(pretrained.ENTRIES)[0]) is not None);"
        "print(len(wire.script('common')) > 1000)"
    )
    file, loaded, scripts = run(python, "-c", code, cwd=tmp_path).split("\n")[:3]
    assert Path(file).is_relative_to(python.parents[1]) and (loaded, scripts) == ("True", "True")


@pytest.mark.slow
@builds
def test_dgm_lab_copies_the_notebooks_once(python, tmp_path):
    """Up to the start of JupyterLab (tests/test_cli.py starts it): a second time what is there is left alone."""
    where = tmp_path / "my course é"
    where.mkdir()
    code = (
        "import argparse; from dgm_course.cli import main as cli;"
        "print(cli._lab_arguments(argparse.Namespace(name='08', port=None, no_browser=True))[1][0])"
    )
    first = run(python, "-c", code, cwd=where)
    assert "are yours to write in" in first and first.rstrip().endswith(f"--ServerApp.root_dir={where}")
    copied = where / "notebooks" / "08_flow_matching.ipynb"
    assert copied.read_bytes() == (ROOT / "notebooks" / "08_flow_matching.ipynb").read_bytes()
    copied.write_text("my answers")
    assert "yours" not in run(python, "-c", code, cwd=where) and copied.read_text() == "my answers"


def test_where_nothing_is_installed_it_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(notebook_dir, "_near", lambda start: None)
    monkeypatch.setattr(metadata, "files", lambda name: [])
    with pytest.raises(LookupError, match="No notebooks here"):
        notebook_dir.own(tmp_path)
    monkeypatch.setattr(metadata, "files", lambda name: (_ for _ in ()).throw(metadata.PackageNotFoundError(name)))
    assert notebook_dir.installed() is None


def test_the_version_stands_in_one_place():
    """And what must repeat it says the same."""
    version = dgm_course.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert re.search(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.M)[1] == version
    assert (
        re.search(r"^## (\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)[1] == version
    )
    assert 'dynamic = ["version"]' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_a_name_of_bytes_holds_none_of_their_content(request):
    """A gzip file holds the time at which it was made, and two workers of pytest-xdist must collect the same names."""
    name = request.config.hook.pytest_make_parametrize_id(
        config=request.config, val=gzip.compress(b""), argname="x"
    )
    assert name == "20_bytes"
