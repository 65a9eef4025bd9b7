"""Pictures of the overview: heights by hand, labels that do not collide, a table and a map that say what they should."""

from __future__ import annotations

import io

import matplotlib.image
import numpy as np
import pytest
import torch

from dgm_course.comparison import SYSTEMS, LatentFigures, LikelihoodResult, Quality, Row, marks
from dgm_course.teach import import_graph
from dgm_course.teach.plots import comparison as comparison_plots
from dgm_course.teach.widgets.trilemma import SHOWN, TrilemmaPlayer, figures

FLOOR = Quality(0.9, 0.9, 0.8, 1.0, 15.0, 0.1)
BY_NAME = {system.name: system for system in SYSTEMS}


def row(name: str, seconds: float, precision: float, coverage: float) -> Row:
    samples = torch.linspace(-1, 1, 5 * 784).view(5, 1, 28, 28)
    latent = LatentFigures(0.8, 0.7, 1.3, 0.1, 0.4) if BY_NAME[name].source else None
    result = LikelihoodResult(90.0, 1.0, 1.0, 0.01) if BY_NAME[name].likelihood.log_prob else None
    quality = Quality(precision, 0.8, coverage, 0.9, 40.0, 0.05)
    return Row(BY_NAME[name], 5, seconds, 3.0, quality, FLOOR, result, latent, (0.5, 1.2), samples)


@pytest.fixture
def rows():
    return [row("DCGAN", 0.001, 0.45, 0.4), row("DDPM", 0.1, 0.9, 0.9), row("RealNVP", 0.01, 0.0, 0.2)]


def test_heights_match_hand_computed_values(rows):
    expected = torch.tensor([[1.0, 0.5, 0.5], [0.0, 1.0, 1.0], [0.5, 0.0, 0.25]])
    torch.testing.assert_close(comparison_plots.heights(rows), expected, atol=1e-6, rtol=0)


def test_labels_keep_their_order_and_their_distance():
    places = [0.5, 0.51, 0.1, 0.52, 0.99, 1.0]
    moved = comparison_plots.spread_labels(places, 0.06)
    assert np.array_equal(np.argsort(moved), np.argsort(places)) and max(moved) <= 1.0
    assert np.diff(sorted(moved)).min() > 0.059 and moved[2] == pytest.approx(0.1)


def test_the_trilemma_names_every_system(rows):
    ax = comparison_plots.trilemma(rows).figure.axes[0]
    words = {text.get_text() for text in ax.texts}
    assert {"DCGAN", "DDPM", "RealNVP", "speed", "sample quality", "coverage", "100 ms", "1 ms"} <= words
    drawn = [line.get_ydata() for line in ax.lines if len(line.get_xdata()) == 3]
    assert np.allclose(drawn, comparison_plots.heights(rows))


def test_table_holds_every_mark_and_figure(rows):
    table = marks(rows)
    shown = comparison_plots.MarksTable(table, "n = 5")
    page, lines = shown._repr_html_(), repr(shown)
    for name, line in table.items():
        assert name in page and name in lines
        for mark in line.values():
            assert f">{mark.sign}<" in page and mark.figure in page
    verdicts = [mark.verdict for line in table.values() for mark in line.values()]
    assert page.count("disagrees") == verdicts.count("disagrees") > 0
    assert page.count("<tr>") == page.count("</tr>") == 4 and "sample quality ✗ (0.45 of 0.90), lecture ✓" in lines
    with pytest.raises(ValueError, match="table is empty"):
        comparison_plots.MarksTable({})


def test_names_are_escaped(rows):
    table = {"<b>": marks(rows)["DDPM"]}
    assert "<b>" not in comparison_plots.MarksTable(table)._repr_html_()


def test_library_map_draws_every_import():
    graph = {"top": {"a", "b"}, "a": {"ground"}, "b": {"middle"}, "middle": {"ground"}, "ground": set()}
    ax = comparison_plots.library(graph, marked=["a", "b"]).figure.axes[0]
    assert len(ax.lines) == sum(map(len, graph.values()))
    place = {text.get_text(): text.get_position() for text in ax.texts}
    assert place["a"][1] == place["b"][1] == 2 and place["top"][1] == 3 and place["ground"][1] == 0
    assert import_graph.floors(graph)["a"] == 1


def test_the_player_sends_figures_heights_and_digits(rows):
    player = TrilemmaPlayer(rows, label="three models")
    spec = player.spec
    assert [line["name"] for line in spec["lines"]] == ["DCGAN", "DDPM", "RealNVP"] and spec["count"] == SHOWN
    heights = torch.tensor([line["heights"] for line in spec["lines"]])
    assert torch.allclose(heights, comparison_plots.heights(rows))
    sheet = np.frombuffer(player.buffer, "u1", SHOWN * 784, spec["lines"][1]["at"]).reshape(SHOWN, 28, 28)
    assert np.allclose(sheet[:5] / 255, (1 - rows[1].samples[:, 0].numpy()) / 2, atol=0.003)
    assert (sheet[5:] == 255).all()
    assert any("precision 0.45 (real digits 0.90)" in line for line in figures(rows[0]))


def test_player_has_a_still_picture(rows):
    player = TrilemmaPlayer(rows, label="three models")
    bundle, meta = player._repr_mimebundle_()
    assert meta["image/png"] == {"alt": "three models"} and "point at a line" in bundle["text/plain"]
    assert matplotlib.image.imread(io.BytesIO(player.strip())).shape[1] > 600
    with pytest.raises(ValueError, match="no rows"):
        TrilemmaPlayer([])
