"""The codebook of many scales: loops over places, sums of rounds, and a tokeniser that learns."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import nn

from dgm_course import vq
from dgm_course.latent import MultiScaleQuantizer, Smooth, average_pool, block_causal_mask, centres, grow
from dgm_course.nets import GridDecoder, GridEncoder
from dgm_course.training import Recipe, fit
from dgm_course.vae import FixedGaussianHead


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def book(size: int = 6, dim: int = 3, **rules) -> vq.Codebook:
    return vq.Codebook(normal(size, dim), **rules)


def scales(sides=(1, 2, 4), smooth: bool = False, **more) -> MultiScaleQuantizer:
    made = MultiScaleQuantizer(book(), sides, [Smooth(3) for _ in sides] if smooth else None, **more).double()
    with torch.no_grad():
        for p in made.smooth.parameters():
            p.add_(0.2 * torch.randn_like(p))
    return made.eval()


# --- down and up


@pytest.mark.parametrize("side", [1, 2, 3, 5, 7])
def test_average_pool_takes_means_over_areas(side):
    z = normal(2, 3, 7, 7)
    for r, c in itertools.product(range(side), repeat=2):
        rows, columns = (slice(i * 7 // side, -(-(i + 1) * 7 // side)) for i in (r, c))
        torch.testing.assert_close(average_pool(z, side)[:, :, r, c], z[:, :, rows, columns].mean((2, 3)))


@pytest.mark.parametrize("side", [1, 2, 3, 4])
def test_grow_weighs_the_four_nearest_centres(side):
    z = normal(1, 1, side, side)
    for r, c in itertools.product(range(4), repeat=2):
        total = 0.0
        (r0, r1, a), (c0, c1, b) = (_between(i, side) for i in (r, c))
        for i, wi in ((r0, 1 - a), (r1, a)):
            for j, wj in ((c0, 1 - b), (c1, b)):
                total += wi * wj * float(z[0, 0, i, j])
        assert float(grow(z, 4)[0, 0, r, c]) == pytest.approx(total)


def _between(i: int, side: int) -> tuple[int, int, float]:
    at = max(0.0, (i + 0.5) * side / 4 - 0.5)
    low = min(int(at), side - 1)
    return low, min(low + 1, side - 1), at - low


# --- rounds


@pytest.mark.parametrize("smooth", [False, True])
def test_codes_and_sums_round_by_round(smooth):
    made, z = scales(smooth=smooth), normal(2, 3, 4, 4)
    total, found = torch.zeros_like(z), []
    for k, side in enumerate((1, 2, 4)):
        rest = average_pool(z - total, side)
        codes = torch.zeros(2, side, side).long()
        for b, r, c in itertools.product(range(2), range(side), range(side)):
            away = [math.dist(rest[b, :, r, c].tolist(), e.tolist()) for e in made.vectors]
            codes[b, r, c] = away.index(min(away))
        up = grow(made.vectors[codes].movedim(-1, 1), 4)
        total = total + (made.smooth[k](up) if smooth else up)
        found.append(codes)
    assert all(torch.equal(a, b) for a, b in zip(made.split(made.codes(z)), found))
    torch.testing.assert_close(made.lookup(made.codes(z)), total)


@pytest.mark.parametrize("smooth", [False, True])
def test_z_q_is_the_sum_of_all_scales(smooth):
    made, z = scales(smooth=smooth), normal(3, 3, 4, 4)
    codes = made.codes(z)
    parts = [made.upsampled(part, k) for k, part in enumerate(made.split(codes))]
    torch.testing.assert_close(made(z).z_q, sum(parts))
    for k, partial in enumerate(made.partial(codes), 1):
        torch.testing.assert_close(partial, sum(parts[:k]))
    assert torch.equal(made(z).codes, codes) and codes.shape == (3, 21) and made.length == 21


def test_one_scale_without_smoothing_is_an_ordinary_codebook():
    plain, z = book(), normal(4, 3, 5, 5)
    made = MultiScaleQuantizer(plain, (5,)).eval()
    assert torch.equal(made.codes(z).view(4, 5, 5), plain.codes(z))
    torch.testing.assert_close(made(z).z_q, plain.lookup(plain.codes(z)))
    torch.testing.assert_close(made(z).commitment, plain.eval()(z).commitment)


def test_the_gradient_is_straight_through():
    made, z = scales(smooth=True), normal(2, 3, 4, 4).requires_grad_()
    cost = lambda q: (q.pow(3)).sum()
    (slope,) = torch.autograd.grad(cost(made(z).z_q), z)
    torch.testing.assert_close(slope, 3 * made.lookup(made.codes(z.detach())).pow(2))


def test_each_cost_is_a_mean_over_rounds():
    made, z = scales(smooth=True), normal(2, 3, 4, 4).requires_grad_()
    found = made(z)
    sums = torch.stack(made.partial(found.codes))
    by_hand = (sums - z).square().flatten(2).sum(2).mean(0)
    torch.testing.assert_close(found.codebook, by_hand)
    torch.testing.assert_close(found.commitment, by_hand)
    weights = list(made.smooth.parameters())
    grads = lambda cost: torch.autograd.grad(cost.sum(), [z, *weights], retain_graph=True, allow_unused=True)
    moved = grads(found.codebook), grads(found.commitment)
    assert moved[0][0] is None and all(slope.abs().sum() > 0 for slope in moved[0][1:])
    assert moved[1][0].abs().sum() > 0 and all(slope is None for slope in moved[1][1:])


def test_the_codebook_learns_from_all_rounds_at_once():
    made = MultiScaleQuantizer(book(rule=vq.EMAUpdate(0.0)), (1, 2, 4)).train()
    z, before = normal(5, 3, 4, 4), made.vectors.clone()
    rounds = list(made.eval().rounds(z))
    rows = torch.cat([each.rest.movedim(1, -1).reshape(-1, 3) for each in rounds])
    codes = torch.cat([each.codes.flatten() for each in rounds])
    made.train()(z)
    for k in range(6):
        wanted = rows[codes == k].mean(0) if (codes == k).any() else before[k]
        torch.testing.assert_close(made.vectors[k], wanted)


def test_a_share_of_training_samples_is_truncated():
    made, z = scales(drop_prob=0.5), normal(400, 3, 4, 4)
    torch.testing.assert_close(made(z).z_q, made.lookup(made.codes(z)))  # not in use
    codes, sums = made.codes(z), torch.stack(made.partial(made.codes(z)))
    given = made.train()(z).z_q.detach()
    same = [(given - each).abs().flatten(1).amax(1) < 1e-9 for each in sums]
    assert torch.stack(same).any(0).all() and codes.shape == (400, 21)
    shares = [float(each.double().mean()) for each in same]
    assert shares == pytest.approx([1 / 6, 1 / 6, 4 / 6], abs=5 * math.sqrt(0.25 / 400))


def test_after_training_every_round_helps():
    """Vectors placed by moving averages: every round makes the sum better, on samples that were not trained on."""
    torch.manual_seed(0)
    table = vq.Codebook(0.3 * normal(24, 2), vq.EMAUpdate(0.9), vq.DeadCodeReset())
    made, wave = MultiScaleQuantizer(table, (1, 2, 4)).double(), torch.linspace(0, 3, 4).double()

    def field(n):
        first = normal(n, 1, 1) + torch.sin(wave + normal(n, 1, 1)).expand(n, 4, 4)
        return torch.stack([first, (normal(n, 1, 1) * torch.cos(wave + normal(n, 1, 1))).expand(n, 4, 4)], 1)

    for _ in range(150):
        made(field(64))
    z = field(500)
    left = [float((z - total).square().mean()) for total in made.eval().partial(made.codes(z))]
    assert left[0] > 1.2 * left[1] > 1.2**2 * left[2] and left[2] < 0.35 * float(z.square().mean())


def test_it_replaces_a_codebook_in_a_vqvae():
    """A VQ-VAE with it inside: codes, decodings, its bound with L log K, and a loss that falls."""
    torch.manual_seed(1)
    head = FixedGaussianHead(GridDecoder(4, 8, 1), (1, 8, 8), 0.5**0.5)
    table = vq.Codebook(0.5 * torch.randn(16, 4), vq.EMAUpdate(0.9), vq.DeadCodeReset())
    inside = MultiScaleQuantizer(table, (1, 2, 4), [Smooth(4) for _ in range(3)], drop_prob=0.2)
    model, x = vq.VQVAE(GridEncoder(4, 8, 1), head, inside), torch.randn(64, 1, 8, 8).cumsum(2).cumsum(3) / 8
    history = fit(model, x, Recipe(120, 32, 5e-3))
    assert history.smooth(20)[-1] < history.smooth(20)[20] - 3
    codes = model.encode(x)
    assert codes.shape == (64, 21) and model.picture(codes).shape == x.shape
    bound = model.elbo(x) - model.decode(codes).log_prob(x)
    torch.testing.assert_close(bound, torch.full((64,), -21 * math.log(16)))
    assert "21 codes of one table of 16" in repr(model)


# --- places and masks


def test_centres_of_cells():
    places = centres((1, 2, 7))
    assert places[[0, 1, 4]].tolist() == [[3.5, 3.5], [1.75, 1.75], [5.25, 5.25]]
    assert torch.equal(places[5:].view(7, 7, 2)[2, 4], torch.tensor([2.5, 4.5]).double()) and len(places) == 54


def test_the_mask_is_block_causal():
    allowed, scale = block_causal_mask((1, 2, 3)), [0] + [1] * 4 + [2] * 9
    for i, j in itertools.product(range(14), repeat=2):
        assert bool(allowed[i, j]) == (scale[j] <= scale[i])


@pytest.mark.parametrize(
    "wrong, said",
    [
        (lambda: scales((2, 2)), r"sides are \(2, 2\): expected rising"),
        (lambda: scales(()), "sides are"),
        (lambda: MultiScaleQuantizer(book(), (1, 2), [nn.Identity()]), "smooth holds 1 modules for 2 scales"),
        (lambda: scales(drop_prob=1.0), "drop_prob is 1.0: expected a share"),
        (lambda: scales().codes(normal(2, 3, 5, 5)), r"z has shape \(2, 3, 5, 5\): expected \(B, 3, 4, 4\)"),
        (lambda: scales()(normal(0, 3, 4, 4)), "empty batch"),
        (
            lambda: scales().lookup(torch.zeros(2, 20).long()),
            r"\(2, 20\).*\(B, 21\), the scales 1 x 1, 2 x 2, 4 x 4",
        ),
        (lambda: scales().split(torch.zeros(2, 21)), "torch.float32: expected integers"),
        (lambda: scales().lookup(torch.full((2, 21), 6)), "codes run from 6 to 6: expected 0 to 5"),
    ],
)
def test_wrong_input(wrong, said):
    with pytest.raises(ValueError, match=said):
        wrong()
