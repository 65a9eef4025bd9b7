"""Samplers of a path model: DDIM, ancestral (DDPM) and annealed Langevin steps."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..core.ode import Method, langevin
from .fields import PathField


def ddim(field: PathField, x: Any, t: Tensor, dt: Tensor) -> Tensor:
    """x_s = path.step(guess at t, s), s = t + dt: both ends guessed, then a place between them.

    Gaussian: alpha_s x̂1 + sigma_s x̂0, that is DDIM (Song et al. 2021).  Masks: the posterior's step, token by token."""
    return field.path.step(field.predict(x, t), t + dt)


ddim.hops = True  # it uses the model itself, not an arrow, so no noise can be added from outside


def ancestral(field: PathField, x: Tensor, t: Tensor, dt: Tensor) -> Tensor:
    """x_s ~ q(x_s | x_t, x̂1), s = t + dt: the posterior of the chain, with the guess for the data.        (DDPM)"""
    prediction = field.predict(x, t)
    return field.path.step(prediction, t + dt, field.path.posterior_std(prediction, t + dt))


ancestral.hops = True


def annealed_langevin(steps: int = 10, ratio: float = 0.1) -> Method:
    """At each noise level some Langevin steps of size ratio · sigma², then the next level.  (NCSN, Song & Ermon 2019)"""

    def method(field: PathField, x: Tensor, t: Tensor, dt: Tensor) -> Tensor:
        s = t + dt
        size = ratio * float(field.path.sigma(s)) ** 2
        return langevin(lambda y: field.score(y, s), x, size, steps)[-1]

    method.hops = True
    return method
