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
from .fields import PathField, ancestral, annealed_langevin, hop
from .gaussian import VE, VP, Conical, Cosine, ExactField, GaussianPath, Guess, Linear
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

__all__ = ["VE", "VP", "Conical", "Cosine", "ExactField", "ExactTokens", "GaussianPath", "Guess", "Linear", "MaskPath",
           "PathField", "TokenGuess", "ancestral", "annealed_langevin", "confident", "cosine_reveal", "elbo_weight",
           "geometric_reveal", "hop", "linear_reveal", "uniform_weight"]
