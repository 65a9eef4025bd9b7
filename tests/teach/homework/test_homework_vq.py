"""The references of the homework on vector quantization, held to oracles of another kind; and the cut gradients."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from dgm_course.teach.homework import exercise


def reference(name):
    return exercise(f"vq.{name}").reference


def test_the_nearest_vector_of_every_place_by_loops():
    z, book = torch.randn(3, 2, 4, 5, dtype=torch.float64), torch.randn(6, 2, dtype=torch.float64)
    codes = reference("nearest")(z, book)
    for b, r, c in itertools.product(range(3), range(4), range(5)):
        away = [math.dist(z[b, :, r, c].tolist(), e.tolist()) for e in book]
        assert away[codes[b, r, c]] == min(away)


def test_the_gradient_of_the_step_is_the_one_at_its_value():
    z_e, z_q = torch.randn(2, 4, 3, dtype=torch.float64)
    leaf = z_e.clone().requires_grad_()
    (found,) = torch.autograd.grad(reference("straight_through")(leaf, z_q).pow(3).sum(), leaf)
    torch.testing.assert_close(found, 3 * z_q**2)


def test_the_loss_moves_each_side_by_its_own_term():
    """Differences of the terms, each with one side held: what a stop-gradient says."""
    x, x_hat, z, e = torch.randn(4, 5, 3, dtype=torch.float64)
    leaves = [part.clone().requires_grad_() for part in (x_hat, z, e)]
    slopes = torch.autograd.grad(reference("loss")(x, *leaves, 0.3), leaves)
    terms = (
        lambda part: ((x - part) ** 2).sum() / 5,
        lambda part: 0.3 * ((part - e) ** 2).sum() / 5,
        lambda part: ((z - part) ** 2).sum() / 5,
    )
    for slope, term, part in zip(slopes, terms, (x_hat, z, e), strict=True):
        for i, j in ((0, 0), (3, 2)):
            step = torch.zeros_like(part)
            step[i, j] = 1e-5
            assert slope[i, j].item() == pytest.approx(
                ((term(part + step) - term(part - step)) / 2e-5).item(), abs=1e-6
            )


@pytest.mark.parametrize("counts, wanted", [((5, 5, 5, 5), 4.0), ((9, 0, 0, 0), 1.0), ((2, 2, 0, 0), 2.0)])
def test_the_perplexity_of_even_usage_is_the_number_of_codes_in_use(counts, wanted):
    codes = torch.repeat_interleave(torch.arange(4), torch.tensor(counts))[None]
    assert reference("perplexity")(codes, 4) == pytest.approx(wanted)


def test_cold_draws_come_as_often_as_the_softmax_says():
    logits = torch.tensor([1.0, 0.0, -1.0]).double().expand(40_000, 3)
    y = reference("gumbel_softmax")(logits, torch.rand(40_000, 3).double(), 1e-3)
    p = logits[0].softmax(0)
    assert ((y.mean(0) - p).abs() < 5 * (p * (1 - p) / 40_000).sqrt() + 1e-3).all()


def test_many_batches_of_the_same_points_end_at_their_means():
    z, codes = torch.randn(30, 2, dtype=torch.float64), torch.arange(30) % 3
    counts, sums = torch.ones(3).double(), torch.randn(3, 2, dtype=torch.float64)
    for _ in range(300):
        counts, sums, vectors = reference("ema_update")(counts, sums, z, codes, 0.9)
    torch.testing.assert_close(vectors, torch.stack([z[codes == k].mean(0) for k in range(3)]))
    torch.testing.assert_close(counts, torch.full((3,), 10.0).double())


def test_the_bound_over_all_grids_of_codes_is_log_of_a_whole():
    """log p(x|z_q) = 0: exp of the bound, summed over all codes, is one; and under equal logits it is −L log K."""
    logits = torch.randn(1, 3, 4, dtype=torch.float64)
    every = torch.tensor(list(itertools.product(range(4), repeat=3)))
    bound = reference("elbo")(torch.zeros(64).double(), every, logits.expand(64, 3, 4))
    assert bound.exp().sum().item() == pytest.approx(1)
    flat = reference("elbo")(torch.zeros(64).double(), every, torch.full((64, 3, 4), 2.0).double())
    torch.testing.assert_close(flat, torch.full((64,), -3 * math.log(4)).double())
