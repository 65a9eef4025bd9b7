"""Paths from noise to data: corrupt, guess both ends, stand between them anew.

A path says how a sample x1 is spoilt at time t (t = 0 noise, t = 1 data), and what a guess of the unspoilt sample is
good for.  ``GaussianPath`` blends it with noise, ``MaskPath`` hides its tokens one by one; both offer

    draw(like) -> x0          the randomness of one corruption            pair(x1, x0, t), place(pair) -> x_t
    begin(x0, t) -> x         where sampling starts                       guess(x_t, t, kind=answer) -> Guess
    step(guess, s) -> x_s     from a guess to a later time                exact(data) -> the perfect model

and so one class of learned models, one loss and one loop of sampling serve them all (``path_models``, ``dynamics.walk``).

Two clocks.  The slides on diffusion run from data at s = 0 to noise or masks at s = 1; everything here runs the other
way, t = 1 − s, as the slides on flow matching do.
"""
from .class_gaussians import ClassGaussians, GaussianSkip
from .fields import PathField
from .gaussian import VE, VP, Conical, Cosine, ExactField, GaussianPath, Guess, Linear
from .guidance import Autoguided, Guided
from .masked import (
    ExactTokens,
    MaskPath,
    TokenGuess,
    confident,
    cosine_reveal,
    elbo_weight,
    geometric_reveal,
    linear_reveal,
    uniform_weight,
)
from .model import (
    Coupling,
    Normalised,
    Pairs,
    PathModel,
    Times,
    absorbing,
    ddpm,
    flow_matching,
    heun_to_data,
    independent,
    logit_normal,
    ncsn,
    optimal_transport,
    reflow_pairs,
    stratified,
    stratified_logit_normal,
    uniform,
)
from .samplers import ancestral, annealed_langevin, hop

__all__ = ["Autoguided", "ClassGaussians", "Conical", "Cosine", "Coupling", "ExactField", "ExactTokens", "GaussianPath", "GaussianSkip", "Guess", "Guided", "Linear", "MaskPath", "Normalised", "Pairs", "PathField", "PathModel", "Times", "TokenGuess", "VE", "VP", "absorbing", "ancestral", "annealed_langevin", "confident", "cosine_reveal", "ddpm", "elbo_weight", "flow_matching", "geometric_reveal", "heun_to_data", "hop", "independent", "linear_reveal", "logit_normal", "ncsn", "optimal_transport", "reflow_pairs", "stratified", "stratified_logit_normal", "uniform", "uniform_weight"]
