"""Paths from noise to data: corrupt, guess both ends, stand between them anew.

A path says how a sample x1 is spoilt at time t (t = 0 noise, t = 1 data), and what a guess of the unspoilt sample is
good for.  ``GaussianPath`` blends it with noise, ``MaskPath`` hides its tokens one by one; both offer

    sample_source(like) -> x0          the randomness of one corruption            endpoints(x1, x0, t), interpolate(endpoints) -> x_t
    initial_state(x0, t) -> x         where sampling starts                       predict(x_t, t, kind=answer) -> Prediction
    step(prediction, s) -> x_s     from a guess to a later time                exact(data) -> the perfect model

and so one class of learned models, one loss and one loop of sampling serve them all (``path_models``, ``dynamics.iter_solve``).

Two clocks.  The slides on diffusion run from data at s = 0 to noise or masks at s = 1; everything here runs the other
way, t = 1 − s, as the slides on flow matching do.
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

__all__ = [
    "ClassGaussians",
    "Conical",
    "Cosine",
    "Coupling",
    "ExactField",
    "ExactTokens",
    "GaussianPath",
    "GaussianSkip",
    "Prediction",
    "Guided",
    "LinearPath",
    "MaskPath",
    "ScaledInput",
    "IndependentPairs",
    "PathField",
    "PathModel",
    "Times",
    "TokenPrediction",
    "VE",
    "VP",
    "absorbing",
    "ancestral",
    "annealed_langevin",
    "maskgit_step",
    "cosine_reveal",
    "ddpm",
    "elbo_weight",
    "flow_matching",
    "geometric_reveal",
    "heun_euler_last",
    "ddim",
    "independent",
    "linear_reveal",
    "logit_normal",
    "ncsn",
    "optimal_transport",
    "reflow_pairs",
    "stratified",
    "stratified_logit_normal",
    "uniform",
]
