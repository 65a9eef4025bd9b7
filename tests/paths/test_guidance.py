"""Classifier-free guidance against its formula."""

from __future__ import annotations

import pytest
import torch

from dgm_course.nets import TokenUNet, UNet
from dgm_course.paths.guidance import Guided

from ..nets.models import images, stirred, tokens


@pytest.mark.parametrize(
    "net, x",
    [(UNet(channels=8, classes=10), images(3)), (TokenUNet(2, 8, classes=10), tokens(2, 3, 1, 28, 28))],
    ids=["UNet", "TokenUNet"],
)
def test_guidance_is_its_formula(net, x):
    net, y = stirred(net), torch.tensor([0, 4, 9])
    free, conditional = net(x, 0.5), net(x, 0.5, y)
    torch.testing.assert_close(Guided(net, 1.0)(x, 0.5, y), conditional)
    torch.testing.assert_close(Guided(net, 0.0)(x, 0.5, y), free)
    torch.testing.assert_close(Guided(net, 3.0)(x, 0.5, y), 3 * conditional - 2 * free)
    torch.testing.assert_close(Guided(net, 3.0)(x, 0.5), free)
    assert "3 (v(x, t | y) - v(x, t))" in repr(Guided(net, 3.0))
