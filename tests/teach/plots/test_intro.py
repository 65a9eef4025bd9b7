"""The pictures of the introduction, and its map: every notebook is on it once, and its links need no kernel."""

from __future__ import annotations

import math
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch

from dgm_course import data
from dgm_course.teach import plots
from dgm_course.teach.plots import intro as intro_plots

SOURCE = Path(__file__).resolve().parents[3] / "notebooks" / "source"


class Reader(HTMLParser):
    """Which tags stand open, and where the links lead."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag != "br":
            self.open.append(tag)
        if tag == "a":
            self.links.append(dict(attrs)["href"])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_every_other_notebook_is_on_the_map():
    leaves = [leaf.notebook for leaf in intro_plots.taxonomy().leaves]
    assert sorted(leaf[:2] for leaf in leaves) == [f"{k:02}" for k in range(1, 12)]
    masters = {path.stem for path in SOURCE.glob("[0-9][0-9]_*.py")} - {"00_introduction"}
    assert masters <= set(leaves), "A notebook is not on the map, or has another name there."


def test_map_is_valid_html_with_all_links():
    tree = intro_plots.taxonomy()
    reader = Reader()
    reader.feed(tree.html)
    assert reader.open == [] and reader.links == [f"{leaf.notebook}.ipynb" for leaf in tree.leaves]
    assert "background" not in tree.html and not re.search(r"[;\"]color:", tree.html)
    assert not re.search(r"<(script|svg|img|style)", tree.html)  # JupyterLab removes these from untrusted pages


def test_the_map_says_the_same_in_words():
    bundle = intro_plots.taxonomy()._repr_mimebundle_()
    for word in ("tractable", "approximate", "Implicit", "06_normalizing_flows"):
        assert word in bundle["text/plain"] and (word in bundle["text/html"])


def test_the_timeline_puts_each_year_where_it_belongs():
    milestones = [
        intro_plots.Milestone(name, year, "somebody", torch.zeros(16, 1, 8, 8))
        for name, year in (("first", 2000), ("second", 2003), ("third", 2010))
    ]
    shown = intro_plots.timeline(milestones, alt="three models")
    axis, *sheets = shown.figure.axes
    x = {text.get_text(): text.get_position()[0] for text in axis.texts}
    assert len(sheets) == 3 and (x["2003"] - x["2000"]) / (x["2010"] - x["2000"]) == pytest.approx(0.3)
    assert repr(shown) == "three models" and shown.png()[:4] == b"\x89PNG"


def test_boundary_is_where_the_probability_is_half():
    x, y = torch.tensor([[-1.0, 0.0], [1.0, 0.5]]), torch.tensor([0, 1])
    ax = intro_plots.boundary(lambda p: torch.sigmoid(3 * (p[:, 0] - 1.5)), x, y, ax=plots.panels(1)[0])
    border = next(path for c in ax.collections for path in c.get_paths() if len(path.vertices) > 50)
    assert abs(border.vertices[:, 0] - 1.5).max() < 0.05
    image = ax.images[0].get_array()
    assert image[70, 5] < 0.01 and image[70, -5] > 0.99  # rows are x2, columns x1


def test_shares_of_the_unknown_half_sum_to_one():
    line = torch.linspace(-3.5, 3.5, 141)
    joint = torch.stack([torch.exp(-(line**2)), 3 * torch.exp(-((line - 1) ** 2))])
    ax = intro_plots.half_known(0.5, line, joint, torch.zeros(2, 2), torch.tensor([0, 1]))
    assert "0.75" in ax.figure.axes[1].get_title()


def test_moments_count_the_steps_of_each_road():
    roads = {"one": torch.zeros(2, 5, 2), "many": torch.randn(11, 5, 2)}
    words = [text.get_text() for text in intro_plots.moments(roads, 0.3).texts]
    assert words == ["one\n0 of 1", "many\n3 of 10"]


def test_families_say_who_has_no_density():
    moons = data.moons()
    x = moons.sample(50)
    below = {"the data": moons.log_prob, "silent": "samples only"}
    shown = intro_plots.families({"the data": x, "silent": x}, below, alt="two families")
    upper, lower = shown.figure.axes[:2], shown.figure.axes[2:]
    assert [ax.get_title() for ax in upper] == ["the data", "silent"]
    assert len(lower[0].images) == 1 and not lower[1].images and "samples" in lower[1].texts[0].get_text()


def test_the_bell_is_as_wide_as_it_says():
    numbers, widths = torch.randn(200), torch.linspace(0.4, 2, 20)
    left = intro_plots.bell(numbers, 0.8, widths, -widths, -0.8)
    x, y = left.lines[0].get_data()
    assert max(y) == pytest.approx(1 / (0.8 * math.sqrt(2 * math.pi)), rel=1e-3)
    assert intro_plots.codes(torch.randn(9, 2), torch.arange(9.0), curve=torch.zeros(4, 2)).png()
    assert intro_plots.two_classes(torch.randn(4, 2), torch.arange(4) % 2, marks=torch.zeros(1, 2)).png()
