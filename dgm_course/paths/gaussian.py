"""Gaussian paths x_t = alpha(t) x1 + sigma(t) x0: x1 data, x0 source, t = 0 noise, t = 1 data.        (lecture 14)

Each prediction (data, noise, score, velocity, v) is a row a·x1 + b·x0.  With x_t it gives two equations for (x1, x0), so
one 2×2 solve turns any prediction into any other.  Its determinant is ±1 for the velocity of the conical path; the noise
fails where alpha = 0 and the data where sigma = 0.  ``path.exact(mixture)`` is the perfect model, in closed form.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from ..core.checks import expect_alike, expect_batch, expect_some, expect_time
from ..core.distributions import DiagNormal, Mixture
from ..core.ode import euler
from ..core.tensors import expand_time
from .fields import PathField

Schedule = Callable[[Tensor], Tensor]


NO_SCORE = (
    "score needs a standard normal source x0; this path starts from another distribution, "
    "where only data, noise, velocity and v are defined."
)


@dataclass(frozen=True)
class Prediction:
    """A pair (x̂1, x̂0) on a path at a time.  x1, x0 (B, *event); at = (alpha, sigma, alpha', sigma'), broadcast to them."""

    x1: Tensor
    x0: Tensor
    at: tuple[Tensor, Tensor, Tensor, Tensor]
    gaussian: bool = True

    data = property(lambda self: self.x1)
    noise = property(lambda self: self.x0)

    @property
    def velocity(self) -> Tensor:
        """u = alpha' x̂1 + sigma' x̂0                                                         (lecture 14)"""
        _, _, dalpha, dsigma = self.at
        return dalpha * self.x1 + dsigma * self.x0

    @property
    def score(self) -> Tensor:
        """∇ log p_t = −x̂0 / sigma, for a standard normal source only."""
        if not self.gaussian:
            raise ValueError(NO_SCORE)
        return -self.x0 / self.at[1]

    @property
    def v(self) -> Tensor:
        """v = alpha x̂0 − sigma x̂1"""
        alpha, sigma, _, _ = self.at
        return alpha * self.x0 - sigma * self.x1

    def bounded(self, xt: Tensor, low: float, high: float) -> Prediction:
        """x̂1 clamped to where data can be, and x̂0 = (x_t − alpha x̂1) / sigma from it."""
        alpha, sigma, _, _ = self.at
        x1 = self.x1.clamp(low, high)
        left = (xt - alpha * x1) / torch.where(sigma > 0, sigma, 1.0)
        return replace(self, x1=x1, x0=torch.where(sigma > 0, left, self.x0))


@dataclass(frozen=True)
class GaussianPath:
    """x_t = alpha(t) x1 + sigma(t) x0 + jitter · ε, with differentiable functions alpha and sigma of t.

    source: None for N(0, I), or an object with ``sample(n)``.  span: the times of samplers, inside [0, 1]; it ends before
    t = 1 where sigma' is infinite there.  slopes: (alpha', sigma') where they are constant, which saves a backward pass."""

    alpha: Schedule
    sigma: Schedule
    source: Any = None
    name: str = "path"
    span: tuple[float, float] = (0.0, 1.0)
    jitter: float = 0.0
    slopes: tuple[float, float] | None = None
    method = staticmethod(euler)  # the default of ``sample``
    predictions = ("velocity", "noise", "data", "v", "score")

    def at(self, t: Tensor | float, x: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(alpha, sigma, alpha', sigma') at t, broadcast to x where it is given.  t () or (B,) in [0, 1]"""
        t = expect_time(t, x)
        t = t if x is None else expand_time(t, x)
        if self.slopes:
            dalpha, dsigma = (torch.full_like(t, slope) for slope in self.slopes)
            return self.alpha(t), self.sigma(t), dalpha, dsigma
        with torch.inference_mode(False):  # inside which PyTorch 2.6 gives slopes of 0
            u = t.clone()  # a tensor of inference mode has no derivatives
            values, backward = torch.func.vjp(lambda u, w: (self.alpha(u), self.sigma(w)), u, u)[:2]
            slopes = backward(tuple(torch.ones_like(value) for value in values))
        alpha, sigma, dalpha, dsigma = (torch.broadcast_to(value, t.shape) for value in (*values, *slopes))
        return alpha, sigma, dalpha, dsigma

    @property
    def gaussian(self) -> bool:
        """Whether the source is N(0, I), so that a score exists."""
        return self.source is None

    def sample_source(self, like: Tensor) -> Tensor:
        """A batch of the source x0, as many as ``like`` and in its shape, dtype and device."""
        if self.source is None:
            return torch.randn_like(like)
        x0 = self.source.sample(len(like)).to(like)
        expect_alike(x0, like, ("the source's sample", "x1"))
        return x0

    def start(self, like: Tensor) -> Tensor:
        """x0 + jitter · ε: where samples start, before ``initial_state``."""
        return self.add_jitter(self.sample_source(like))

    def add_jitter(self, x: Tensor) -> Tensor:
        """x + jitter · ε"""
        return x + self.jitter * torch.randn_like(x) if self.jitter else x

    def initial_state(self, x0: Tensor, t: Tensor) -> Tensor:
        """sigma x0"""
        return self.sigma(t) * x0

    def corrupt(self, x1: Tensor, t: Tensor | float, x0: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(x_t, x0) with x_t = alpha x1 + sigma x0.  x1 (B, *event), t () or (B,); x0 drawn where not given"""
        expect_batch(x1, name="x1")
        x0 = self.sample_source(x1) if x0 is None else x0
        return self.interpolate(self.endpoints(x1, x0, t)), x0

    def interpolate(self, endpoints: Prediction) -> Tensor:
        """x_t = alpha x1 + sigma x0 + jitter · ε"""
        alpha, sigma, _, _ = endpoints.at
        return self.add_jitter(alpha * endpoints.x1 + sigma * endpoints.x0)

    def endpoints(self, x1: Tensor, x0: Tensor, t: Tensor | float) -> Prediction:
        """The known pair as a Prediction; its velocity alpha' x1 + sigma' x0 is the target of flow matching."""
        expect_alike(x0, x1, ("x0", "x1"))
        return Prediction(x1, x0, self.at(t, x1), self.gaussian)

    def velocity(self, x: Tensor, x1: Tensor, t: Tensor | float) -> Tensor:
        """f(x, x1, t) = alpha' x1 + (sigma'/sigma)(x − alpha x1).      (lecture 14, conditional vector field)

        x, x1 (B, *event), t () or (B,) with sigma > 0  ->  (B, *event)"""
        expect_alike(x, x1, ("x", "x1"))
        alpha, sigma, dalpha, dsigma = self.at(t, x)
        return dalpha * x1 + dsigma / sigma * (x - alpha * x1)

    def score(self, x: Tensor, x1: Tensor, t: Tensor | float) -> Tensor:
        """∇ log p_t(x | x1) = (alpha x1 − x) / sigma², for a standard normal source.  Shapes as ``velocity``"""
        expect_alike(x, x1, ("x", "x1"))
        at = alpha, sigma, _, _ = self.at(t, x)
        return Prediction(x1, (x - alpha * x1) / sigma, at, self.gaussian).score

    def rows(self, at: tuple[Tensor, Tensor, Tensor, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
        """(a, b) of each prediction a·x1 + b·x0.  at: the result of ``at(t, x)``"""
        alpha, sigma, dalpha, dsigma = at
        one, zero = torch.ones_like(alpha), torch.zeros_like(alpha)
        unscaled = {"data": (one, zero), "noise": (zero, one), "velocity": (dalpha, dsigma), "v": (-sigma, alpha)}
        return {**unscaled, "score": (zero, -1 / sigma)}

    def predict(self, xt: Tensor, t: Tensor | float, **known: Tensor) -> Prediction:
        """The pair behind x_t and one known prediction: solve [alpha sigma; a b] (x̂1, x̂0) = (x_t, value).

        For example ``path.predict(xt, t, velocity=u).score``.  xt, value (B, *event), t () or (B,)"""
        kind, value = self._only(known, xt)
        at = alpha, sigma, _, _ = self.at(t, xt)
        a, b = self.rows(at)[kind]
        det = alpha * b - sigma * a
        if det.device.type != "meta" and not bool((torch.isfinite(det) & (det != 0)).all()):
            low, high = (float(end) for end in torch.aminmax(torch.as_tensor(t)))
            raise ValueError(
                f"{kind} does not determine the pair at some t in [{low:.4g}, {high:.4g}]: noise and score do not where "
                "alpha = 0, data where sigma = 0; expected other times, or another prediction, such as velocity."
            )
        return Prediction((b * xt - sigma * value) / det, (alpha * value - a * xt) / det, at, self.gaussian)

    def _only(self, known: dict[str, Tensor], xt: Tensor) -> tuple[str, Tensor]:
        """The one prediction that is known: its name and its value, of the shape of x_t."""
        if len(known) != 1 or not known.keys() <= set(self.predictions):
            names = ", ".join(f"{name}=" for name in self.predictions)
            raise ValueError(f"predict was given {sorted(known) or 'nothing'}: expected exactly one of {names}.")
        ((kind, value),) = known.items()
        expect_alike(value, xt, (kind, "xt"))
        if kind == "score" and not self.gaussian:
            raise ValueError(NO_SCORE)
        return kind, value

    def step(self, prediction: Prediction, s: Tensor | float, noise_std: float | Tensor = 0.0) -> Tensor:
        """alpha_s x̂1 + √(sigma_s² − κ²) x̂0 + κ ε: κ = 0 is DDIM, κ = ``posterior_std`` DDPM's step.  -> (B, *event)"""
        alpha, sigma, _, _ = self.at(s, prediction.x1)
        if not isinstance(noise_std, Tensor) and noise_std == 0:
            return alpha * prediction.x1 + sigma * prediction.x0
        retained = (sigma**2 - noise_std**2).clamp(min=0).sqrt()
        return alpha * prediction.x1 + retained * prediction.x0 + noise_std * torch.randn_like(prediction.x0)

    def posterior_std(self, prediction: Prediction, s: Tensor | float) -> Tensor:
        """κ of q(x_s | x_t, x1), s > t: κ² = sigma_s² (1 − (alpha_t sigma_s / alpha_s sigma_t)²), DDPM's "beta tilde"."""
        alpha_t, sigma_t, _, _ = prediction.at
        alpha, sigma, _, _ = self.at(s, prediction.x1)
        ratio = alpha_t * sigma / (alpha * sigma_t)
        if not bool((ratio <= 1 + 1e-6).all()):
            raise ValueError("s lies before t: expected a step towards the data, s > t (0 is noise, 1 is data).")
        return sigma * (1 - ratio**2).clamp(min=0).sqrt()

    def diffusion(self, t: Tensor | float) -> Tensor:
        """g(t) of the SDE with this path's marginals, alpha > 0: g² = 2 sigma² (alpha'/alpha − sigma'/sigma).

        VP: g² = β.  VE: g² = dσ²/ds.  ``sample(noise=path.diffusion)`` is the lecture's reverse SDE."""
        alpha, sigma, dalpha, dsigma = self.at(t)
        return (2 * sigma * (sigma * dalpha / alpha - dsigma)).clamp(min=0).sqrt()

    def check_input(self, x1: Tensor, event: tuple[int, ...], device: torch.device) -> None:
        """A ValueError or TypeError where x1 is no batch to train on."""
        expect_some(expect_batch(x1, event, "x1", device), "x1")

    def check_output(self, output: Tensor, xt: Tensor) -> Tensor:
        """The network's output in the dtype of its input, or a ValueError where the shapes differ."""
        output = output.to(xt.dtype)
        expect_alike(output, xt, ("the net's output", "its input"))
        return output

    def loss(self, output: Tensor, endpoints: Prediction, prediction: str) -> Tensor:
        """Mean over batch and coordinates of (output − a·x1 − b·x0)²"""
        return nn.functional.mse_loss(output, getattr(endpoints, prediction))

    def marginal(self, data: Mixture, t: Tensor | float) -> Mixture:
        """p_t for data of a mixture: a mixture of all pairs of a source and a data component."""
        t = torch.as_tensor(t, dtype=data.means.dtype, device=data.means.device)
        if t.numel() != 1:
            raise ValueError(f"t has shape {tuple(t.shape)}: expected one time, as p_t is one distribution.")
        weights, means, variances = self._blend(data, t)
        name = f"{self.name} path of {data.name} at t = {float(t):.2f}"
        return Mixture(weights, means[0], variances[0].sqrt(), name)

    def _blend(self, data: Mixture, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Weights (K,), means and variances (B or 1, K, D) of the components of p_t, K = K0 K1."""
        origin = self._origin(data)
        alpha, sigma = (schedule(expect_time(t)).reshape(-1, 1, 1, 1) for schedule in (self.alpha, self.sigma))
        means = alpha * data.means + sigma * origin.means[:, None]  # (B, K0, K1, D)
        variances = (alpha * data.stds) ** 2 + (sigma * origin.stds[:, None]) ** 2 + self.jitter**2
        weights = origin.weights[:, None] * data.weights
        return weights.flatten(), means.flatten(1, 2), variances.flatten(1, 2)

    def _origin(self, data: Mixture) -> Mixture:
        if self.source is None:
            return Mixture(data.weights.new_ones(1), torch.zeros_like(data.means[:1]), 1.0, "N(0, I)")
        if not isinstance(self.source, Mixture):
            raise ValueError(f"the source is {self.source!r}: expected a Mixture, for an exact marginal.")
        return self.source.to(data.means)

    def exact(self, data: Mixture) -> ExactField:
        """The perfect model of this path for these data."""
        return ExactField(self, data)

    def __repr__(self) -> str:
        start = "N(0, I)" if self.source is None else repr(self.source)
        return f"{self.name} path: x_t = alpha(t)·x1 + sigma(t)·x0, x0 from {start}, t in [{self.span[0]}, {self.span[1]}]"


def Conical() -> GaussianPath:
    """x_t = t x1 + (1 − t) x0, x0 ~ N(0, I).                       (lecture 14, conical Gaussian paths)"""
    return GaussianPath(lambda t: t, lambda t: 1 - t, name="conical", slopes=(1.0, -1.0))


def LinearPath(source: Any, jitter: float = 0.0) -> GaussianPath:
    """x_t = t x1 + (1 − t) x0 + ε, any source x0, ε ~ N(0, jitter² I).      (lecture 14, linear interpolation)"""
    return GaussianPath(lambda t: t, lambda t: 1 - t, source, "linear", jitter=jitter, slopes=(1.0, -1.0))


def VP(beta_min: float = 0.1, beta_max: float = 20.0) -> GaussianPath:
    """Variance preserving (DDPM): alpha² + sigma² = 1, alpha = exp(−½ ∫₀ˢ β), s = 1 − t, β linear.

    sigma' is infinite at t = 1, so samplers stop at t = 0.999."""
    if not 0 < beta_min <= beta_max:
        raise ValueError(f"beta runs from {beta_min} to {beta_max}: expected 0 < beta_min <= beta_max.")

    def integral(t: Tensor) -> Tensor:  # ∫₀ˢ β at s = 1 − t
        return beta_min * (1 - t) + (beta_max - beta_min) * (1 - t) ** 2 / 2

    def sigma(t: Tensor) -> Tensor:
        return torch.sqrt(-torch.expm1(-integral(t)))

    return GaussianPath(lambda t: torch.exp(-integral(t) / 2), sigma, name="VP", span=(0.0, 1 - 1e-3))


def VE(sigma_min: float = 0.01, sigma_max: float = 10.0) -> GaussianPath:
    """Variance exploding (NCSN): alpha = 1, sigma² = σ²(s) − σ²(0), σ(s) = σ_min (σ_max/σ_min)ˢ, s = 1 − t.

    Samplers start from N(0, sigma(0)²) without the data's mean and variance, a small bias."""
    if not 0 < sigma_min < sigma_max:
        raise ValueError(f"sigma runs from {sigma_min} to {sigma_max}: expected 0 < sigma_min < sigma_max.")
    ratio = 2 * math.log(sigma_max / sigma_min)

    def sigma(t: Tensor) -> Tensor:
        return sigma_min * torch.sqrt(torch.expm1(ratio * (1 - t)))

    return GaussianPath(torch.ones_like, sigma, name="VE", span=(0.0, 1 - 1e-3))


def Cosine() -> GaussianPath:
    """x_t = sin(πt/2) x1 + cos(πt/2) x0: variance preserving, a rotation at constant speed."""
    return GaussianPath(lambda t: torch.sin(math.pi / 2 * t), lambda t: torch.cos(math.pi / 2 * t), name="cosine")


class ExactField(PathField):
    """The perfect model: E[x1 | x_t] and E[x0 | x_t] by Bayes' rule over the components k of a mixture.

    E[x1 | x_t, k] = m_k + alpha s_k² (x_t − mean_k) / var_k, and likewise for x0."""

    def __init__(self, path: GaussianPath, data: Mixture) -> None:
        super().__init__()
        self.path, self.data, self.origin = path, data, path._origin(data)

    def start(self, n: int) -> Tensor:
        return self.path.add_jitter(self.origin.sample(n))

    def predict(self, xt: Tensor, t: Tensor | float) -> Prediction:
        """E[(x1, x0) | x_t].  xt (B, D), t () or (B,)"""
        expect_batch(xt, self.data.event, "xt")
        t = expect_time(t, xt)
        at = self.path.at(t, xt)
        data, origin = (m.to(xt) for m in (self.data, self.origin))
        weights, means, variances = self.path._blend(data, t)
        joint = weights.log() + DiagNormal(means, variances.sqrt()).log_prob(xt[:, None])
        pull = (xt[:, None] - means) / variances  # (B, K, D)
        alpha, sigma = (value[..., None] for value in at[:2])
        m1, s1 = (part.repeat(len(origin.means), 1) for part in (data.means, data.stds))
        m0, s0 = (part.repeat_interleave(len(data.means), 0) for part in (origin.means, origin.stds))
        share = joint.softmax(1)[..., None]
        x1 = (share * (m1 + alpha * s1**2 * pull)).sum(1)
        x0 = (share * (m0 + sigma * s0**2 * pull)).sum(1)
        return Prediction(x1, x0, at, self.path.gaussian)

    def marginal(self, t: Tensor | float) -> Mixture:
        """p_t itself."""
        return self.path.marginal(self.data, t)

    def __repr__(self) -> str:
        return f"exact field of the {self.path.name} path for {self.data!r}"
