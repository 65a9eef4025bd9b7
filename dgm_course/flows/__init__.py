"""Normalizing flows: a density by bending space, and counting what the bending does to volumes.

    z = f(x),   x = g(z) = f⁻¹(z),   log p(x) = log p(z) + log |det ∂f/∂x|           (lecture 5, NF-Based VAE Prior)

A `Flow` is an invertible layer and a density for z; that is all.  Its ``log_prob`` is exact, its ``loss`` is the negative
mean of it, its ``sample`` goes the other way.  It has what a prior needs, so a VAE takes one as it is.

* `layers`: the protocol, and what can be inverted without a network; `triangular`: couplings, masked autoregression, planes;
* `splines`: a curve for one coordinate;  `images`: the way from pixels to noise and back;
* `continuous`: infinitely many layers, each infinitely thin: the determinant becomes an integral of a trace.
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

__all__ = [
    "ActNorm",
    "CouplingCNN",
    "Bijection",
    "Compose",
    "ContinuousFlow",
    "Coupling",
    "Dequantise",
    "Split",
    "Flow",
    "LULinear",
    "Logit",
    "MaskedAutoregressive",
    "MaskedCoupling",
    "Permutation",
    "Planar",
    "Spline",
    "Squeeze",
    "StandardNormal",
    "autoregressive",
    "couplings",
    "grey_spline",
    "mlp",
    "planars",
    "set_scales",
    "multiscale_realnvp",
]
