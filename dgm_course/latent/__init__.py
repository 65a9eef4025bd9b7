"""Models in latent spaces: what is generated is a code, and a finished decoder makes a picture of it.       (lecture 14)

* `Scales` quantises features from coarse to fine; `VAR` writes such codes one scale at a time.
"""
from .next_scale import VAR
from .scales import Round, Scales, Smooth, centres, grow, same_or_coarser, shrink

__all__ = ["Round", "Scales", "Smooth", "VAR", "centres", "grow", "same_or_coarser", "shrink"]
