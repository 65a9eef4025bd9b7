"""Samplers of a path model: DDIM, ancestral (DDPM) and annealed Langevin steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from ..core.ode import langevin
from .fields import PathField


def expect_model(field: Any, gaussian: bool = False) -> PathField:
    """A model of a path, Gaussian if required, or a ValueError; with ``noise`` a method gets a plain function."""
    if not hasattr(field, "predict"):
        raise ValueError(
            "noise was given to a sampler that sets its own: expected a solver such as euler, or no noise."
        )
    if gaussian and not hasattr(field.path, "sigma"):
        raise ValueError(
            f"this sampler needs a Gaussian path, not the {field.path!r}: expected ddim or maskgit_step."
        )
    return field


def ddim(model: PathField, x: Tensor, t: Tensor, dt: Tensor) -> Tensor:
    """x_s = path.step(prediction at t, s), s = t + dt.  Gaussian: alpha_s x̂1 + sigma_s x̂0 (DDIM, Song et al. 2021).

    Masks: a draw from the posterior, token by token."""
    return expect_model(model).path.step(model.predict(x, t), t + dt)


def ancestral(model: PathField, x: Tensor, t: Tensor, dt: Tensor) -> Tensor:
    """x_s ~ q(x_s | x_t, x̂1), s = t + dt: the posterior of the chain with the predicted data.             (DDPM)"""
    path, prediction = expect_model(model, gaussian=True).path, model.predict(x, t)
    return path.step(prediction, t + dt, path.posterior_std(prediction, t + dt))


def annealed_langevin(steps: int = 10, ratio: float = 0.1) -> Callable[..., Tensor]:
    """Langevin steps of size ratio · sigma² at each noise level, then the next level.  (NCSN, Song & Ermon 2019)"""

    def method(model: PathField, x: Tensor, t: Tensor, dt: Tensor) -> Tensor:
        s = t + dt
        size = ratio * float(expect_model(model, gaussian=True).path.sigma(s)) ** 2
        return langevin(lambda y: model.score(y, s), x, size, steps)[-1]

    return method
