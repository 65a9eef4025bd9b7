"""Generative adversarial networks: noise made into data by a generator, judged by a discriminator, both learning.

    min_G max_D  E_π log D(x) + E_z log(1 − D(G(z)))                          (intro lecture, GAN objective)

Against the best discriminator, D* = π/(π + p), the generator plays for 2 JSD(π, p) − 2 log 2.  In practice neither is best,
and the game decides whether they meet at all: see the games in `games`, their penalties, and the two-number `DiracGAN`.

A ``GAN`` offers ``objectives()`` to `fit` where other models have a ``loss``, and ``sample(n)``.
"""

from .losses import (
    R1,
    Game,
    GradientPenalty,
    cross_entropy,
    hinge,
    least_squares,
    minimax,
    non_saturating,
    nonsaturating_loss,
    saturating,
    squared_grad_norm,
    wasserstein,
    wasserstein_gp,
)
from .model import (
    GAN,
    AffineGenerator,
    DiracGAN,
    Inversion,
    OptimalDiscriminator,
    alternating,
    invert,
    value_on_grid,
)

__all__ = [
    "GAN",
    "R1",
    "AffineGenerator",
    "DiracGAN",
    "Game",
    "GradientPenalty",
    "Inversion",
    "OptimalDiscriminator",
    "alternating",
    "cross_entropy",
    "hinge",
    "invert",
    "least_squares",
    "minimax",
    "non_saturating",
    "saturating",
    "squared_grad_norm",
    "nonsaturating_loss",
    "value_on_grid",
    "wasserstein",
    "wasserstein_gp",
]
