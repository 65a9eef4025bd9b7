"""Paths from noise (t = 0) to data (t = 1): spoil a sample, predict what it was, sample step by step.

``GaussianPath`` blends a sample with noise, ``MaskPath`` hides its tokens.  Both offer ``sample_source``, ``endpoints``,
``interpolate``, ``predict``, ``step`` and ``exact(data)``, the perfect model; so one ``PathModel`` with one loss and one
sampling loop (``ode.iter_solve``) serves them all.  The slides on diffusion use s = 1 − t.
"""

from .class_gaussians import ClassGaussians, GaussianSkip
from .fields import PathField
from .gaussian import VE, VP, Conical, Cosine, ExactField, GaussianPath, LinearPath, Prediction
from .guidance import Guided
from .masked import (
    ExactTokens,
    MaskPath,
    TokenPrediction,
    cosine_reveal,
    elbo_weight,
    geometric_reveal,
    linear_reveal,
    maskgit_step,
)
from .model import (
    Coupling,
    IndependentPairs,
    PathModel,
    ScaledInput,
    Times,
    absorbing,
    ddpm,
    flow_matching,
    heun_euler_last,
    independent,
    logit_normal,
    ncsn,
    optimal_transport,
    reflow_pairs,
    stratified,
    stratified_logit_normal,
    uniform,
)
from .samplers import ancestral, annealed_langevin, ddim
