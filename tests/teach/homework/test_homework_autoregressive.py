"""The references of the homework on autoregressive models, held to oracles of another kind: enumeration, paths, autograd."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.special import rel_entr
from torch.nn import functional as F

from dgm_course.teach.homework import exercise
from dgm_course.teach.homework.recipes import CausalTokens, ImageNet

from .answers.autoregressive import BANKS


def reference(name: str):
    return exercise(f"ar.{name}").reference


def model_of(places: int, symbols: int, seed: int = 4):
    """logits_of in float64, and all the sequences there are."""
    drawn = CausalTokens.random(np.random.default_rng(seed), places, symbols)
    return drawn.build(torch.zeros(0).double()), torch.tensor(
        list(itertools.product(range(symbols), repeat=places))
    )


def pair(*shape: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    p, q = torch.rand(2, *shape, generator=generator, dtype=torch.float64) + 0.05
    return p / p.sum(), q / q.sum()


@pytest.mark.parametrize("kind, rows, columns", [("A", 3, 5), ("B", 3, 5), ("A", 5, 3), ("B", 1, 7), ("A", 1, 1)])
def test_a_masked_convolution_sees_all_that_comes_before_and_nothing_else(kind, rows, columns):
    """The Jacobian of a random kernel times the mask: lower triangular, and full wherever the kernel reaches."""
    height, width = 4, 6
    kernel = torch.rand(rows, columns).double() + 0.1
    layer = lambda x: F.conv2d(
        x[None, None],
        (kernel * reference("mask")(kind, rows, columns))[None, None],
        padding=(rows // 2, columns // 2),
    )[0, 0]
    seen = torch.autograd.functional.jacobian(layer, torch.zeros(height, width).double()) != 0
    for r, c, i, j in itertools.product(range(height), range(width), range(height), range(width)):
        near = abs(i - r) <= rows // 2 and abs(j - c) <= columns // 2
        assert bool(seen[r, c, i, j]) == (near and ((i, j) < (r, c) or (kind == "B" and (i, j) == (r, c))))


def test_likelihoods_of_all_images_sum_to_one():
    logits_of, x = model_of(6, 2)
    pairs = logits_of(x)
    logits = (pairs[..., 1] - pairs[..., 0]).view(-1, 1, 2, 3)
    log_p = reference("log_likelihood")(logits, x.double().view(-1, 1, 2, 3))
    assert log_p.exp().sum().item() == pytest.approx(1, abs=1e-12) and log_p.std() > 0.5


def test_bits_are_the_length_of_the_best_code():
    """Σ 2^(−bits · L) = 1 over all sequences (Kraft); K equally likely symbols cost log2 K."""
    logits_of, x = model_of(4, 3)
    bits = reference("bits_per_dimension")(logits_of(x), x)
    assert (2 ** (-4 * bits)).sum().item() == pytest.approx(1, abs=1e-12)
    even = reference("bits_per_dimension")(torch.zeros(2, 5, 8).double() + 7, torch.zeros(2, 5).long())
    assert even.tolist() == pytest.approx([3, 3], abs=1e-12)


@pytest.mark.parametrize("known", [0, 1, 2])
def test_completions_come_as_often_as_the_exact_conditional_says(known):
    """By enumeration: p(x_rest | x_known) of 27 sequences, against 20,000 completions."""
    logits_of, every = model_of(3, 3)
    log_p = -3 * math.log(2) * reference("bits_per_dimension")(logits_of(every), every)
    start = torch.tensor([2, 1, 0])
    chance = log_p.exp() * (every[:, :known] == start[:known]).all(1)
    chance = chance / chance.sum()
    u = torch.rand(20_000, 3, generator=torch.Generator().manual_seed(known), dtype=torch.float64)
    found = reference("complete")(logits_of, start.expand(20_000, 3), known, u, 1.0)
    share = torch.bincount(found @ torch.tensor([9, 3, 1]), minlength=27) / 20_000
    assert ((share - chance).abs() <= 5 * (chance * (1 - chance) / 20_000).sqrt() + 1e-9).all()


def test_temperature_is_the_power_of_the_probabilities():
    logits, temperature = torch.tensor([0.3, -1.0, 1.2, 0.0]).double(), 0.6
    u = ((torch.arange(40_000) + 0.5) / 40_000).double()[:, None]
    found = reference("complete")(
        lambda x: logits.expand(len(x), 1, 4), torch.zeros(40_000, 1).long(), 0, u, temperature
    )
    power = logits.softmax(0) ** (1 / temperature)
    share = torch.bincount(found[:, 0], minlength=4) / 40_000
    assert torch.allclose(share.double(), power / power.sum(), atol=1e-4)


@pytest.mark.parametrize("place", [(5, 3), (4, 4), (0, 0), (6, 6)])
def test_the_receptive_field_is_where_a_path_of_open_taps_leads(place):
    """Paths counted backwards through the masks by additions alone, no network."""
    first, later = (reference("mask")(kind, 3, 3).numpy() for kind in "AB")
    net = ImageNet.random(np.random.default_rng(1), (first, later, later)).build(torch.zeros(0).double())
    ways = {place: 1}
    for mask in (later, later, first):
        before: dict[tuple[int, int], int] = {}
        for ((r, c), n), (i, j) in itertools.product(ways.items(), zip(*np.nonzero(mask))):
            there = (int(r + i - 1), int(c + j - 1))
            if min(there) >= 0 and max(there) < 7:
                before[there] = before.get(there, 0) + n
        ways = before
    came = reference("receptive_field")(net, torch.rand(7, 7).double(), *place)
    assert {tuple(pixel) for pixel in came.nonzero().tolist()} == set(ways)


def test_attention_is_an_average_of_the_past_and_hears_nothing_else():
    q, k, v = torch.randn(3, 2, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    attention = reference("attention")
    assert torch.allclose(attention(0 * q, k, v), v.cumsum(1) / torch.arange(1, 6)[:, None])
    assert torch.allclose(attention(q, k, torch.ones_like(v)), torch.ones_like(v))
    for slopes in torch.autograd.functional.jacobian(attention, (q, k, v)):
        heard = slopes[0, :, :, 0].abs().sum((1, 3))  # of the first sequence: row i for the output of place i
        assert not heard.triu(1).any() and heard.tril().any() and not slopes[0, :, :, 1].any()
    bare = sum(math.exp(float(q[0, 1] @ k[0, j]) / 2) * v[0, j] for j in range(2))
    total = sum(math.exp(float(q[0, 1] @ k[0, j]) / 2) for j in range(2))
    assert torch.allclose(attention(q, k, v)[0, 1], bare / total)


@pytest.mark.parametrize(
    "attention, step",
    [("reference", "reference"), ("solution", "solution"), ("reference", "solution"), ("solution", "reference")],
)
def test_steps_with_a_cache_are_the_whole_attention(attention, step):
    take = {"reference": reference, "solution": lambda name: BANKS[f"ar.{name}"].solution}
    q, k, v = torch.randn(3, 2, 6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    keys = values = q.new_zeros(2, 0, 4)
    rows = []
    for i in range(6):
        out, keys, values = take[step]("cache_step")(q[:, i], k[:, i], v[:, i], keys, values)
        rows.append(out)
    assert torch.allclose(torch.stack(rows, 1), take[attention]("attention")(q, k, v))
    assert torch.equal(keys, k) and torch.equal(values, v)


def test_the_kl_obeys_its_chain_rule_and_knows_its_limits():
    """KL of two tables = KL of their rows' sums + the average of the KLs of the rows."""
    (p, q), kl = pair(4, 5), reference("forward_kl")
    rows = sum(a.sum() * kl(a / a.sum(), b / b.sum()) for a, b in zip(p, q))
    assert torch.allclose(kl(p, q), kl(p.sum(1), q.sum(1)) + rows)
    half, whole = torch.tensor([0.5, 0.5]).double(), torch.tensor([1.0, 0.0]).double()
    assert (
        kl(whole, half).item() == pytest.approx(math.log(2))
        and kl(half, whole) == math.inf
        and kl(whole, whole) == 0
    )


def test_no_f_divergence_grows_when_cells_are_merged():
    (p, q), divergence = pair(6, 3), reference("f_divergence")
    for name in range(5):
        take = lambda t, which=name: reference("generators")(t)[which]
        fine, coarse = divergence(take, p, q), divergence(take, p.sum(1), q.sum(1))
        assert fine > coarse > 0, name
        assert divergence(take, q, q).abs() < 1e-15, name


def test_the_generators_give_the_divergences_as_they_are_defined():
    (p, q), kl = pair(4, 4, seed=3), lambda a, b: rel_entr(a.numpy(), b.numpy()).sum()
    m = (p + q) / 2
    wanted = (
        kl(p, q),
        kl(q, p),
        float(((p - q) ** 2 / q).sum()),
        (kl(p, m) + kl(q, m)) / 2,
        float((p - q).abs().sum()) / 2,
    )
    for answer in (reference("generators"), BANKS["ar.generators"].solution):
        came = [reference("f_divergence")(lambda t, n=n, f=answer: f(t)[n], p, q).item() for n in range(5)]
        assert came == pytest.approx(wanted, abs=1e-12)


def test_a_generator_is_judged_up_to_a_slope_and_no_further():
    task, right = exercise("ar.generators"), BANKS["ar.generators"].solution
    for c in (-2.0, 0.5):
        assert task.verdict(lambda t, c=c: tuple(f + c * (t - 1) for f in right(t))).passed
        offset = task.verdict(lambda t, c=c: (*right(t)[:4], right(t)[4] + c / 10))
        assert not offset.passed and "f(1) = 0" in offset.hint


def test_a_hint_on_the_mask_says_where_it_is_wrong():
    def odd(kind, rows, columns):
        mask = BANKS["ar.mask"].solution(kind, rows, columns)
        mask[0, -1] = 1 - mask[0, -1]
        return mask

    assert exercise("ar.mask").verdict(odd).hint == "Not as they should be: the rows above the centre."
