"""A small GAN in the plane, Gaussians on a line and a grid of it."""

from __future__ import annotations

import torch

from dgm_course import nets
from dgm_course.core.distributions import DiagNormal
from dgm_course.core.metrics import Grid
from dgm_course.gan import GAN

LINE = Grid(-12, 12, 4000, 1)


def gaussian(mean: float, std: float = 1.0) -> DiagNormal:
    return DiagNormal(torch.tensor([mean], dtype=torch.float64), std)


def plane(game=None, **options) -> GAN:
    torch.manual_seed(0)
    return GAN(nets.MLPGenerator(2, 2, 16, 1), nets.MLPDiscriminator(2, 16, 1), game, **options)
