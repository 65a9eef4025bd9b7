"""The pages beside the code: their code runs, their links and names exist, and the drawing is that of the imports."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from dgm_course.cli.main import parser
from dgm_course.core.metrics import energy_distance
from dgm_course.teach.import_graph import drawing, rooms

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    name: (ROOT / name).read_text(encoding="utf-8")
    for name in ("README.md", "TEACHING.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md")
}
COMMANDS = parser()._subparsers._group_actions[0].choices
TARGETS = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)

every = pytest.mark.parametrize("page", PAGES)


def test_the_readme_is_short():
    assert PAGES["README.md"].count("\n") <= 90


@pytest.mark.slow
def test_the_ten_lines_train_and_sample():
    names: dict = {}
    exec(re.search(r"```python\n(.*?)```", PAGES["README.md"], re.S)[1], names)
    trajectory, moons = names["trajectory"], names["moons"]
    noise, samples = (energy_distance(x, moons.sample(2000)) for x in (trajectory[0], trajectory[-1]))
    assert trajectory.shape == (51, 1500, 2) and torch.isfinite(trajectory).all()
    assert samples < 0.1 * noise


@every
def test_links_lead_to_files(page):
    for target in re.findall(r"\]\(([^)#]+?)\)", PAGES[page]):
        assert target.startswith("https://") or ((ROOT / page).parent / target).exists(), target


@every
def test_commands_exist(page):
    code = " ".join(map("".join, re.findall(r"```sh\n(.*?)```|`([^`]+)`", PAGES[page], re.S)))
    for name in re.findall(r"\bdgm ([a-z]+)", code):
        assert name in COMMANDS, f"dgm {name}"
    for name in re.findall(r"\bmake ([a-z-]+)", code):
        assert name in TARGETS, f"make {name}"


@every
def test_paths_exist(page):
    """Paths in code quotes start at the root, the package or the page; one with two capitals is a placeholder."""
    for path in re.findall(r"`([\w.-]+/[\w./-]*)`", PAGES[page]):
        if not re.search("[A-Z]{2}", path):
            assert any((where / path).exists() for where in (ROOT, ROOT / "dgm_course", (ROOT / page).parent)), (
                path
            )


@pytest.mark.parametrize("pins", ["constraints.txt", "constraints-minimum.txt"])
@pytest.mark.parametrize("name", ["torch", "numpy"])
def test_the_table_of_versions_is_that_of_the_pins(pins, name):
    exact = re.search(rf"^{name}==([\d.]+)", (ROOT / pins).read_text(encoding="utf-8"), re.M)[1]
    assert f"| {exact} |" in PAGES["README.md"]


def test_the_drawing_is_that_of_the_imports():
    drawn = re.search(r"```mermaid\n(.*?)\n```", PAGES["CONTRIBUTING.md"], re.S)[1]
    assert drawn == drawing(rooms()), "Renew it: python -m dgm_course.teach.import_graph"


def test_an_arrow_that_follows_from_others_is_left_out():
    graph = {"roof": {"wall", "ground"}, "wall": {"ground"}, "ground": set()}
    assert drawing(graph).splitlines()[1:] == ["    roof --> wall", "    wall --> ground"]
