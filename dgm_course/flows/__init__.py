"""Normalizing flows: z = f(x), x = f⁻¹(z), log p(x) = log p(z) + log |det ∂f/∂x|        (lecture 5, NF-Based VAE Prior)

A `Flow` is an invertible layer and a density of z; its ``log_prob`` is exact and it can be the prior of a VAE.
`bijections`: the protocol and layers without networks; `couplings`: layers with networks; `splines`, `images`: for pixels;
`continuous`: an ODE, with the integral of a trace in place of the determinant.
"""

from ..core.distributions import StandardNormal
from .bijections import ActNorm, Bijection, Compose, LULinear, Permutation
from .continuous import ContinuousFlow
from .couplings import (
    Coupling,
    MaskedAutoregressive,
    MaskedCoupling,
    Planar,
    autoregressive,
    couplings,
    mlp,
    planars,
)
from .flow import Flow
from .images import CouplingCNN, Dequantise, Logit, Split, Squeeze, multiscale_realnvp, set_scales
from .splines import Spline, grey_spline
