"""Samplers of a path model: DDIM, ancestral (DDPM) and annealed Langevin steps."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..core.ode import Method, langevin
from .fields import PathField


def expect_model(field: Any) -> PathField:
    """A model of a path, or a ValueError: with ``noise`` a method is given the SDE's drift, a plain function, instead."""
    if not hasattr(field, "predict"):
        raise ValueError(
            "noise was given to a method that has its own (ddim, ancestral, annealed_langevin, maskgit_step): "
            "expected noise with a solver such as euler."
        )
    return field


def ddim(field: PathField, x: Any, t: Tensor, dt: Tensor) -> Tensor:
    """x_s = path.step(guess at t, s), s = t + dt: both ends guessed, then a place between them.

    Gaussian: alpha_s x̂1 + sigma_s x̂0, that is DDIM (Song et al. 2021).  Masks: the posterior's step, token by token."""
    return expect_model(field).path.step(field.predict(x, t), t + dt)


def ancestral(field: PathField, x: Tensor, t: Tensor, dt: Tensor) -> Tensor:
    """x_s ~ q(x_s | x_t, x̂1), s = t + dt: the posterior of the chain, with the guess for the data.        (DDPM)"""
    prediction = expect_model(field).predict(x, t)
    return field.path.step(prediction, t + dt, field.path.posterior_std(prediction, t + dt))


def annealed_langevin(steps: int = 10, ratio: float = 0.1) -> Method:
    """At each noise level some Langevin steps of size ratio · sigma², then the next level.  (NCSN, Song & Ermon 2019)"""

    def method(field: PathField, x: Tensor, t: Tensor, dt: Tensor) -> Tensor:
        s = t + dt
        size = ratio * float(expect_model(field).path.sigma(s)) ** 2
        return langevin(lambda y: field.score(y, s), x, size, steps)[-1]

    return method
