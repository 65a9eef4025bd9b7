"""Networks over grids of codes: a field that hears time and class, a critic of patches."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dgm_course.nets import GridField, PatchCritic


def test_a_field_over_grids_stands_still_at_first_and_is_told_time_and_class():
    net = GridField((4, 7, 7), 16, 2, classes=10).eval()
    z, t, y = torch.randn(5, 4, 7, 7), torch.rand(5), torch.arange(5)
    assert net(z, t, y).shape == z.shape and torch.equal(net(z, t, y), torch.zeros_like(z))
    for p in net.parameters():
        nn.init.normal_(p, std=0.2)
    assert not torch.allclose(net(z, t, y), net(z, t)) and not torch.allclose(net(z, t, y), net(z, 1 - t, y))
    torch.testing.assert_close(net(z, t)[2:3], net(z[2:3], float(t[2])), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(net(z, t), net(z, t, torch.full((5,), 10)))
    net.train()
    forgotten = torch.stack([(net.rows(z, y) == 10).float() for _ in range(400)]).mean()
    assert abs(float(forgotten) - 0.1) < 0.04


def test_a_patch_is_judged_from_eighteen_pixels_and_no_others():
    critic, x = PatchCritic(4).double(), torch.randn(1, 1, 28, 28, dtype=torch.float64, requires_grad=True)
    assert critic(x).shape == (1, 7, 7)
    seen = torch.autograd.grad(critic(x)[0, 3, 3], x)[0][0, 0] != 0
    rows, columns = seen.any(1).nonzero()[:, 0], seen.any(0).nonzero()[:, 0]
    assert len(rows) == len(columns) == 18 and int(rows.max() - rows.min()) == 17


@pytest.mark.parametrize(
    "wrong, words",
    [
        (lambda: GridField((4, 7), 16), "channels, height and width"),
        (lambda: GridField((4, 7, 7), 12), "multiple of 8"),
        (lambda: GridField((4, 7, 7), 16)(torch.randn(2, 3, 7, 7), 0.5), r"expects \(B, 4, 7, 7\)"),
        (
            lambda: GridField((4, 7, 7), 16)(torch.randn(2, 4, 7, 7), 0.5, torch.zeros(2).long()),
            "knows no classes",
        ),
        (
            lambda: GridField((4, 7, 7), 16, classes=3)(torch.randn(2, 4, 7, 7), 0.5, torch.tensor([0, 4])),
            "numbers 0 to 3",
        ),
        (lambda: GridField((4, 7, 7), 16, classes=3)(torch.randn(2, 4, 7, 7), 0.5, torch.zeros(2)), "dtype"),
        (lambda: PatchCritic()(torch.randn(2, 1, 27, 28)), "multiples of 4"),
        (lambda: PatchCritic(0), "at least 1"),
    ],
)
def test_networks_say_what_they_expect(wrong, words):
    with pytest.raises(ValueError, match=words):
        wrong()
