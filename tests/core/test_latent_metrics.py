"""What a latent space is good for: moments by loops, lines and arcs, and shares of variance that are known."""

import math

import pytest
import torch

from dgm_course.core import metrics as lm

F64 = torch.float64


def normal(rng, *shape):
    return torch.randn(*shape, dtype=F64, generator=rng)


def test_factors_are_moments_by_loops(rng):
    x = torch.rand(3, 1, 6, 5, dtype=F64, generator=rng) * 2 - 1
    found = lm.factors(x)
    for n in range(3):
        ink = [((float(x[n, 0, r, c]) + 1) / 2, r, c) for r in range(6) for c in range(5)]
        total = sum(w for w, _, _ in ink)
        row, column = sum(w * r for w, r, _ in ink) / total, sum(w * c for w, _, c in ink) / total
        var = sum(w * (r - row) ** 2 for w, r, _ in ink) / total
        cov = sum(w * (r - row) * (c - column) for w, r, c in ink) / total
        expected = (total / 30, math.sqrt(var), -cov / var)
        assert [float(f[n]) for f in found] == pytest.approx(expected)


def test_a_leaning_stroke_has_the_slant_it_was_drawn_with():
    x = torch.full((2, 1, 20, 40), -1.0)
    for r in range(20):
        x[0, 0, r, 30 - r] = 1.0  # one column to the right for each row upwards
        x[1, 0, r, 10] = 1.0
    assert lm.factors(x).slant.tolist() == pytest.approx([1.0, 0.0])
    empty = lm.factors(torch.full((1, 1, 8, 8), -1.0))
    assert [float(f) for f in empty] == [0.0, 0.0, 0.0]


def test_slerp_keeps_the_length_and_divides_the_angle(rng):
    a, b = (x / x.norm(dim=1, keepdim=True) for x in normal(rng, 2, 5, 7))
    third = lm.slerp(a, b, 1 / 3)
    assert torch.allclose(third.norm(dim=1), torch.ones(5, dtype=F64))
    angle = torch.acos((a * b).sum(1))
    assert torch.allclose(torch.acos((a * third).sum(1)), angle / 3)
    assert torch.allclose(lm.slerp(a, b, 0.0), a) and torch.allclose(lm.slerp(a, b, 1.0), b)


def test_a_detour_is_one_on_a_line_and_half_pi_on_a_half_circle(rng):
    start, step, t = normal(rng, 4, 3), normal(rng, 4, 3), torch.linspace(0, 1, 200, dtype=F64)
    assert lm.path_length_ratio(start + t[:, None, None] * step) == pytest.approx(1.0)
    circle = torch.stack([torch.cos(math.pi * t), torch.sin(math.pi * t)], 1)[:, None]
    assert lm.path_length_ratio(circle) == pytest.approx(math.pi / 2, rel=1e-4)


def test_what_one_coordinate_explains_and_what_only_all_do(rng):
    z, noise = normal(rng, 4000, 6), normal(rng, 4000)
    one = lm.explained(z, 3 * z[:, 4] + 1.5 * noise)  # 9 of 11.25
    assert one.one == pytest.approx(0.8, abs=0.03) and one.all == pytest.approx(0.8, abs=0.03)
    even = lm.explained(z, z.sum(1))
    assert even.one == pytest.approx(1 / 6, abs=0.05) and even.all == pytest.approx(1.0, abs=0.01)


def test_what_chance_alone_would_find_is_not_found(rng):
    found = lm.explained(normal(rng, 60, 500), normal(rng, 60))  # some coordinate fits the first half by luck
    assert found.one < 0.15 and found.all < 0.15


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: lm.factors(torch.zeros(2, 28, 28)), r"\(2, 28, 28\): expected \(N, 1, H, W\)"),
        (lambda: lm.slerp(torch.zeros(2, 3), torch.zeros(2, 4), 0.5), r"a has shape \(2, 3\) and b \(2, 4\)"),
        (lambda: lm.path_length_ratio(torch.zeros(2, 4, 3)), r"\(2, 4, 3\): expected \(T, B, D\), at least three"),
        (lambda: lm.path_length_ratio(torch.zeros(3, 4, 3)), "ends where it began"),
        (lambda: lm.explained(torch.zeros(5, 3), torch.zeros(5)), "z holds 5 samples and y 5"),
        (lambda: lm.explained(torch.zeros(9, 3), torch.zeros(8)), "z holds 9 samples and y 8"),
    ],
)
def test_what_cannot_be_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
