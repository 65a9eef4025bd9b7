"""Generative adversarial networks: a generator makes noise into data, a discriminator distinguishes it from data.

    min_G max_D  E_π log D(x) + E_z log(1 − D(G(z)))                          (intro lecture, GAN objective)

Against the best discriminator D* = π/(π + p) the generator minimises 2 JSD(π, p) − 2 log 2.  A ``GAN`` has ``objectives()``
for ``fit``, one a network, and ``sample(n)``; `losses` holds the games and their penalties.
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
