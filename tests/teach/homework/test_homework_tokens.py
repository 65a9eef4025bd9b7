"""The references of the homework on models that write codes, held to oracles of another kind."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from dgm_course.teach.homework import exercise


def reference(name):
    return exercise(f"lat.{name}").reference


def test_a_normed_row_has_mean_square_one_and_its_direction():
    h = torch.randn(6, 5, dtype=torch.float64)
    out = reference("rms_norm")(h, torch.ones(5).double(), 0.0)
    torch.testing.assert_close(out.square().mean(1), torch.ones(6).double())
    torch.testing.assert_close(torch.nn.functional.cosine_similarity(out, h), torch.ones(6).double())
    half = reference("rms_norm")(h, torch.ones(5).double(), float(h[0].square().mean()))
    torch.testing.assert_close(half[0].square().mean(), torch.tensor(0.5).double())


def test_turned_pairs_keep_their_length_and_their_inner_products_know_differences_alone():
    pair = torch.randn(4, 2, 3, dtype=torch.float64)
    speeds, turn = torch.tensor([1.0, 0.3, 0.1]).double(), reference("rotary_step")
    q, k = pair[:2], pair[2:]
    places = lambda m: torch.full((2,), float(m)).double()
    product = lambda m, n: sum(
        (a * b).sum() for a, b in zip(turn(q[0], q[1], places(m), speeds), turn(k[0], k[1], places(n), speeds))
    )
    assert product(2, 5).item() == pytest.approx(product(7, 10).item())
    assert product(2, 5).item() != pytest.approx(product(2, 6).item())
    x, y = turn(q[0], q[1], places(3), speeds)
    torch.testing.assert_close(torch.hypot(x, y), torch.hypot(q[0], q[1]))
    assert [
        v.item()
        for v in turn(
            *torch.eye(2).double()[:, :, None][:, :1], torch.ones(1).double() * math.pi / 2, torch.ones(1).double()
        )
    ] == pytest.approx([0, 1])


def test_the_mask_allows_what_can_be_written_before():
    """A writer that fills scale after scale: whoever is there when a place is written, its own scale included, is seen."""
    sides = torch.tensor([1, 2, 2, 3])
    allowed, written, place = reference("block_causal")(sides), 0, 0
    for side in sides.tolist():
        written += side**2
        for _ in range(side**2):
            assert allowed[place].tolist() == [column < written for column in range(18)]
            place += 1


def test_one_scale_after_another_tells_the_residual():
    """Codes by loops; and with a codebook that holds every mean, shrinking what is left gives 0 at the finest scale."""
    rest, book = torch.randn(3, 2, 5, 5, dtype=torch.float64), torch.randn(6, 2, dtype=torch.float64)
    codes, left = reference("one_scale")(rest, book, 2)
    for b, r, c in itertools.product(range(3), range(2), range(2)):
        area = rest[b, :, r * 5 // 2 : -(-(r + 1) * 5 // 2), c * 5 // 2 : -(-(c + 1) * 5 // 2)]
        away = [math.dist(area.mean((1, 2)).tolist(), e.tolist()) for e in book]
        assert away[codes[b, r, c]] == min(away)
    everything = rest.movedim(1, -1).reshape(-1, 2)
    assert reference("one_scale")(rest, everything, 5)[1].abs().max() < 1e-12
    assert left.shape == rest.shape and left.abs().max() > 0.1
