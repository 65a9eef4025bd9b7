"""Vector quantization: codes against brute force, straight through, k-means as a fixed point, a codebook that learns."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from dgm_course.vq import (
    Codebook,
    DeadCodeReset,
    EMAUpdate,
    GradientUpdate,
    lookup,
    nearest,
    perplexity,
    straight_through,
)

from .models import images, normal, small, table

# --- nearest, lookup, straight through


@pytest.mark.parametrize("grid", [(), (1,), (4,), (2, 3)])
def test_codes_are_those_of_a_loop(grid):
    z, e = normal(7, 3, *grid), table()
    codes = nearest(z, e)
    rebuilt = lookup(codes, e)
    assert codes.shape == (7, *grid) and codes.dtype == torch.long and rebuilt.shape == z.shape
    for place in itertools.product(range(7), *map(range, grid)):
        at = (place[0], slice(None), *place[1:])
        away = [math.dist(z[at].tolist(), vector.tolist()) for vector in e]
        assert away[codes[place]] == min(away) and torch.equal(rebuilt[at], e[codes[place]])


def test_nearest_is_exact_far_from_the_origin():
    e = torch.randn(16, 4)
    z = e[torch.randint(16, (200,))] + 0.05 * torch.randn(200, 4)
    assert torch.equal(nearest(z + 3000.0, e + 3000.0), torch.cdist(z.double(), e.double()).argmin(1))


def test_of_two_equal_vectors_the_first():
    e = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    assert nearest(torch.tensor([[0.1, 2.0]]), e).tolist() == [1]


def test_straight_through_value_and_gradient():
    z, z_q = (torch.randn(4, 3, 2, 2, dtype=torch.float64, requires_grad=True) for _ in range(2))
    out = straight_through(z, z_q)
    torch.testing.assert_close(out.detach(), z_q.detach())
    weight = torch.randn_like(out)
    to_z, to_q = torch.autograd.grad((out * weight).sum(), (z, z_q), allow_unused=True)
    torch.testing.assert_close(to_z, weight)
    assert to_q is None


def test_the_encoder_gets_the_decoders_gradient():
    model, x = small(commitment=0.0), images()
    z_e = model.encoder(x).detach()
    z_q = model.codebook.lookup(model.codebook.codes(z_e)).detach()
    here, there = z_e.clone().requires_grad_(), z_q.clone().requires_grad_()
    surprise = lambda z: -model.decoder(z).log_prob(x).sum()
    (wanted,) = torch.autograd.grad(surprise(there), there)
    (found,) = torch.autograd.grad(surprise(model.codebook.eval()(here).z_q), here)
    torch.testing.assert_close(found, wanted)
    step = 1e-6 * torch.randn_like(z_e)
    codes = model.codebook.codes(z_e + step)
    assert torch.equal(model.codebook.lookup(codes), z_q) and wanted.abs().max() > 1e-3  # a step: nothing moves


# --- the codebook


def test_the_gradient_points_to_the_choosers_mean():
    book, z = Codebook(table(), GradientUpdate()), normal(50, 3)
    found = book(z)
    (slope,) = torch.autograd.grad(found.codebook.sum(), book.vectors)
    for k in range(book.size):
        chosen = z[found.codes == k]
        wanted = -2 * (chosen - book.vectors[k].detach()).sum(0) if len(chosen) else torch.zeros(3).double()
        torch.testing.assert_close(slope[k], wanted)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9])
def test_the_fixed_point_is_that_of_k_means(decay):
    """Where it stops, every vector is the mean of its cell, and a step of k-means by loops changes nothing."""
    book, z = Codebook(table(4, 2), EMAUpdate(decay)), normal(150, 2)
    for _ in range(600):
        book(z)
    cells = [[] for _ in range(4)]
    for point in z.tolist():
        away = [math.dist(point, vector) for vector in book.vectors.tolist()]
        cells[away.index(min(away))].append(point)
    for vector, cell in zip(book.vectors, cells):
        if cell:
            torch.testing.assert_close(vector, torch.tensor(cell, dtype=torch.float64).mean(0), atol=1e-6, rtol=0)


def test_k_means_never_raises_the_error():
    book, z, errors = Codebook(table(), EMAUpdate(0.0)), normal(300, 3), []
    for _ in range(20):
        errors.append(float(book(z).commitment.sum()))
    assert all(b <= a + 1e-12 for a, b in itertools.pairwise(errors)) and errors[-1] < 0.8 * errors[0]


@pytest.mark.parametrize("gamma", [0.0, 0.7])
def test_the_moving_average_written_out(gamma):
    """With decay 0, a step is one of Lloyd's."""
    book = Codebook(table(), EMAUpdate(gamma))
    counts, sums = torch.ones(5).double(), book.vectors.clone()
    for _ in range(8):
        z, before = normal(20, 3), book.vectors.clone()
        codes = book.codes(z)
        book(z)
        for k in range(5):
            chosen = z[codes == k]
            counts[k] = gamma * counts[k] + (1 - gamma) * len(chosen)
            sums[k] = gamma * sums[k] + (1 - gamma) * chosen.sum(0)
            torch.testing.assert_close(book.vectors[k], sums[k] / counts[k] if len(chosen) else before[k])


def test_only_a_reset_moves_a_dead_code(rule):
    far = torch.cat([table(3), torch.full((2, 3), 50.0).double()])
    spread = []
    for cure in (None, DeadCodeReset(0.5)):
        book = Codebook(far, rule, cure)
        optimizer = torch.optim.SGD(book.parameters(), 1e-2) if isinstance(rule, GradientUpdate) else None
        for _ in range(150):
            loss = book(normal(64, 3)).codebook.mean()
            if optimizer:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        moved = (book.vectors.detach()[3:] - 50).abs().max() > 1
        assert bool(moved) == (cure is not None)
        used = book.codes(normal(500, 3)).unique().numel()
        assert used == (5 if cure else 3)
        spread.append(book.perplexity)
    assert spread[1] > spread[0] + 0.3


def test_a_reset_code_lies_on_an_output():
    book = Codebook(torch.full((3, 2), 90.0).double() + torch.eye(3, 2), EMAUpdate(), DeadCodeReset())
    book.share.copy_(torch.tensor([1.0, 0.0, 0.0]))
    z = normal(40, 2)
    book(z)
    for k in (1, 2):
        assert (z == book.vectors[k]).all(1).any() and book.share[k] == pytest.approx(1 / 3)
        assert book.counts[k] == 1 and torch.equal(book.sums[k], book.vectors[k])
    assert not torch.equal(book.vectors[1], book.vectors[2])  # each draws an output of its own
    assert not (z == book.vectors[0]).all(1).any() and book.share[0] > 0.9


def test_a_codebook_learns_in_training_mode_only(rule):
    book = Codebook(table(), rule).eval()
    before = {name: value.clone() for name, value in book.state_dict().items()}
    book(normal(30, 3))
    assert all(torch.equal(value, before[name]) for name, value in book.state_dict().items())
    book.train()(normal(30, 3))
    assert not torch.equal(book.share, before["share"])


@pytest.mark.parametrize("counts", [(4, 4, 4, 4), (16, 0, 0, 0), (8, 8, 0, 0), (1, 2, 3, 10)])
def test_the_perplexity_of_known_counts(counts):
    codes = torch.repeat_interleave(torch.arange(4), torch.tensor(counts))
    n = sum(counts)
    wanted = math.prod((n / c) ** (c / n) for c in counts if c)  # Π p^(−p)
    assert perplexity(codes, 4) == pytest.approx(wanted)
    book = Codebook(table(4))
    book.share.copy_(torch.tensor(counts).double() / n)
    assert book.perplexity == pytest.approx(wanted)
