"""Pictures of priors: shares that sum to the thick curve, places that are numbered, columns that fill to their share."""

from __future__ import annotations

import pytest
import torch

from dgm_course.core.distributions import StandardNormal
from dgm_course.teach import oracles, plots
from dgm_course.teach.plots import priors as prior_plots
from dgm_course.vae import DiagNormal


def test_thick_curve_sums_thin_ones_to_one():
    nodes, cell = oracles.lattice(1)
    log_q = oracles.density_on(nodes, DiagNormal(torch.tensor([[-1.0], [2.0]]).double(), 0.5))
    (ax,) = plots.panels(1)
    prior_plots.posteriors(nodes[:, 0], log_q, ax=ax, log_p=StandardNormal(1).double().log_prob(nodes))
    *thin, thick, prior = [torch.as_tensor(line.get_ydata()) for line in ax.lines]
    torch.testing.assert_close(sum(thin), thick)
    assert float(thick.sum() * cell) == pytest.approx(1) and float(prior.max()) == pytest.approx(0.3989, abs=1e-3)
    assert len(thin) == 2 and ax.get_legend() is not None
    (bare,) = plots.panels(1)
    prior_plots.posteriors(nodes[:, 0], log_q, ax=bare, legend=False)
    assert bare.get_legend() is None


def test_holes_and_pockets_are_numbered_where_they_are():
    holes, pockets = torch.tensor([[1.0, 0.5], [-1.0, 2.0]]), torch.tensor([[0.0, -2.0]])
    (ax,) = plots.panels(1)
    prior_plots.mismatch(torch.randn(100), holes, pockets, ax=ax)
    written = [(text.get_text(), text.get_position()) for text in ax.texts]
    assert written == [("1", (1.0, 0.5)), ("2", (-1.0, 2.0)), ("1", (0.0, -2.0))]
    assert ax.texts[0].get_color() != ax.texts[2].get_color() and len(ax.patches) == 1


def test_row_of_priors_uses_float32():
    seen = []

    def log_prob(z):
        seen.append(z.dtype)
        return StandardNormal(2).log_prob(z)

    shown = prior_plots.row_of_priors({"one": log_prob, "two": log_prob}, alt="two priors")
    assert [ax.get_title() for ax in shown.figure.axes] == ["one", "two"] and set(seen) == {torch.float32}
    assert shown.alt == "two priors" and shown.png()[:4] == b"\x89PNG"


def test_meters_fill_from_below():
    pictures = torch.rand(2, 3, 28, 28)
    left, right = torch.full((2, 3), 0.5), torch.tensor([[0.0, 0.25, 1.0], [2.0, -1.0, 1.0]])
    page = prior_plots.with_meters(pictures, left, right)
    assert page.shape == (2, 3, 28, 37) and torch.equal(page[..., :28], pictures)
    assert ((page[..., 31] > 0.5).sum(-1) == 14).all() and (page[..., 13, 31] < 0.1).all()  # the lower half
    assert (page[..., 35] > 0.9).sum(-1).tolist() == [[0, 7, 28], [28, 0, 28]]
