"""Three lists of dependencies, one truth: pyproject.toml; conda's list and the pins must follow it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name as canonical
from packaging.version import Version

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
ON_CONDA = {"torch": "pytorch", "matplotlib": "matplotlib-base"}
# conda-forge's playwright comes without the driver that the browser tests start.
NOT_ON_CONDA = {"playwright"}


def bounds(lines) -> dict[str, str]:
    wanted = [Requirement(line) for line in lines]
    return {canonical(r.name): str(r.specifier) for r in wanted}


def conda() -> dict[str, str]:
    """The plain entries of environment.yml, read as text: no YAML reader is needed for that."""
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    entries = re.findall(r"^  - ([\w.-]+)(?: ([<>=][^\s#]*))?\s*$", text.split("dependencies:")[1], re.M)
    return dict(entries)


def pins() -> dict[str, list[Requirement]]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found: dict[str, list[Requirement]] = {}
    for line in lines:
        if line.strip() and not line.startswith("#"):
            pin = Requirement(line)
            found.setdefault(canonical(pin.name), []).append(pin)
    return found


def test_conda_lists_what_pip_lists():
    here = conda()
    assert here.pop("python") == PROJECT["requires-python"]
    here.pop("pip")
    wanted = bounds([*PROJECT["dependencies"], *EXTRAS["test"]])
    assert here == {ON_CONDA.get(n, n): bound for n, bound in wanted.items() if n not in NOT_ON_CONDA}


def test_torch_is_the_version_the_course_was_made_with():
    assert [str(pin.specifier) for pin in pins()["torch"]] == ["==2.13.0"]


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13"])
def test_every_direct_dependency_is_pinned_within_its_bounds(python):
    for line in (*PROJECT["dependencies"], *EXTRAS["test"], *EXTRAS["grading"]):
        wanted = Requirement(line)
        here = [
            p
            for p in pins().get(canonical(wanted.name), [])
            if p.marker is None or p.marker.evaluate({"python_version": python})
        ]
        assert len(here) == 1, f"constraints.txt has {len(here)} pins of {wanted.name} for Python {python}."
        (exact,) = here[0].specifier
        assert exact.operator == "==" and wanted.specifier.contains(exact.version), here[0]


def test_the_minimum_versions_are_the_lower_bounds():
    """constraints-minimum.txt: what `make test-minimum` installs is what pyproject.toml promises."""
    lines = (ROOT / "constraints-minimum.txt").read_text(encoding="utf-8").splitlines()
    exact = bounds(line for line in lines if line and not line.startswith("#"))
    promised = bounds([*PROJECT["dependencies"], *EXTRAS["test"]])
    assert exact.keys() == promised.keys()
    for name, bound in promised.items():
        assert Version(exact[name].removeprefix("==")) == Version(bound.removeprefix(">=")), name


def test_nbgrader_stays_out_of_the_students_environment():
    """It adds a menu, a button and a sidebar to every JupyterLab of the environment it is in."""
    assert "nbgrader" not in bounds(PROJECT["dependencies"]) | bounds(EXTRAS["test"]) | conda()


COMPILE = """
import sys, tokenize
for path in sys.argv[1:]:
    with tokenize.open(path) as file:
        compile(file.read(), path, "exec")
"""


def interpreter(minor: int) -> str | None:
    """A Python 3.minor that starts: one of pyenv's, or one on the path (which may be a stand-in that only complains)."""
    found = [
        *sorted(Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python")),
        shutil.which(f"python3.{minor}"),
    ]
    starts = (
        str(path)
        for path in found
        if path and subprocess.run([path, "-c", ""], capture_output=True).returncode == 0
    )
    return next(starts, None)


@pytest.mark.parametrize("minor", [10, 11, 12, 13])
def test_every_file_compiles_on_each_python_promised(minor):
    """With whatever interpreters this machine has: grammar alone, for torch need not be installed there."""
    python = interpreter(minor)
    if python is None:
        pytest.skip(f"no Python 3.{minor} on this machine")
    folders = [ROOT / part for part in ("dgm_course", "benchmarks", "tests", "notebooks/source")]
    files = [path for folder in folders for path in folder.rglob("*.py")]
    done = subprocess.run(
        [python, "-I", "-W", "error", "-c", COMPILE, *map(str, files)], capture_output=True, text=True
    )
    assert len(files) > 200 and done.returncode == 0, done.stderr[-1000:]
