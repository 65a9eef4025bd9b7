"""Gaussian paths: two functions of time, and everything that lecture 14 derives from them.

    x_t = alpha(t) x1 + sigma(t) x0,        x1 data,  x0 source,  t = 0 noise,  t = 1 data

That is all one chooses.  The conditional path is p_t(x | x1) = N(alpha x1, sigma² I) when x0 is standard normal, and
its vector field is alpha' x1 + sigma' x0, with derivatives by automatic differentiation: there is no second formula
to keep in step.  What a network may predict (the data, the noise, the score, the velocity, v) is in every case a row
a·x1 + b·x0; together with x_t itself these are two equations for two unknowns, so one 2×2 solve turns any of them
into any other.  The determinant of that solve says when a prediction is safe: it is 1 in size for the velocity of the
conical path at every time, while noise fails where alpha = 0 and data fails where sigma = 0.

DDPM, NCSN and flow matching are therefore one class with other arguments (``VP``, ``VE``, ``Conical``), and with a
Gaussian mixture for data every expectation is closed: ``path.exact(mixture)`` is the perfect model, a drop-in for a
network in every sampler, picture and law.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor, nn

from ..core.checks import expect_alike, expect_batch, expect_some, expect_time
from ..core.distributions import DiagNormal, Mixture
from ..core.ode import euler
from ..core.tensors import expand_time
from .fields import PathField

Schedule = Callable[[Tensor], Tensor]


class Source(Protocol):
    """Anything that samples: a distribution, a data set's sampler."""

    def sample(self, n: int) -> Tensor: ...


@dataclass(frozen=True)
class Prediction:
    """A pair (x̂1, x̂0) on a path at a time, and every other way to say it.

    x1, x0 (B, *event); at = (alpha, sigma, alpha', sigma') laid over them."""

    x1: Tensor
    x0: Tensor
    at: tuple[Tensor, Tensor, Tensor, Tensor]
    gaussian: bool = True

    @property
    def data(self) -> Tensor:
        return self.x1

    @property
    def noise(self) -> Tensor:
        return self.x0

    @property
    def velocity(self) -> Tensor:
        """u = alpha' x̂1 + sigma' x̂0                                                         (lecture 14)"""
        _, _, dalpha, dsigma = self.at
        return dalpha * self.x1 + dsigma * self.x0

    @property
    def score(self) -> Tensor:
        """∇ log p_t = −x̂0 / sigma, for a standard normal source only."""
        if not self.gaussian:
            raise ValueError(
                "score needs a standard normal source x0; this path starts from another distribution, "
                "where only data, noise, velocity and v are defined."
            )
        return -self.x0 / self.at[1]

    @property
    def v(self) -> Tensor:
        """v = alpha x̂0 − sigma x̂1, the rotated prediction."""
        alpha, sigma, _, _ = self.at
        return alpha * self.x0 - sigma * self.x1

    def bounded(self, xt: Tensor, low: float, high: float) -> Prediction:
        """The guess with x̂1 clamped to where data can be, and x̂0 what is then left of x_t: (x_t − alpha x̂1) / sigma.

        A pixel is never brighter than white, but a network may say so, and each step would build on it."""
        alpha, sigma, _, _ = self.at
        x1 = self.x1.clamp(low, high)
        left = (xt - alpha * x1) / torch.where(sigma > 0, sigma, 1.0)
        return replace(self, x1=x1, x0=torch.where(sigma > 0, left, self.x0))


def _with_slopes(schedules: tuple[Schedule, Schedule], t: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Both schedules at t, then their derivatives, by one backward pass; differentiable again where t is.

    Forward differentiation reads better, but with plain numbers in a formula torch takes milliseconds for it."""
    with torch.inference_mode(False):  # inside which PyTorch 2.6 gives slopes of 0
        t = t.clone()  # a tensor of inference mode has no derivatives
        values, backward = torch.func.vjp(lambda *times: tuple(f(time) for f, time in zip(schedules, times)), t, t)
        return *values, *backward(tuple(torch.ones_like(value) for value in values))


@dataclass(frozen=True)
class GaussianPath:
    """x_t = alpha(t) x1 + sigma(t) x0 (+ jitter · ε).

    alpha, sigma: functions of t that torch can differentiate.  source: None for N(0, I), or anything that samples.
    span: the times that samplers use, inside [0, 1]; paths whose sigma' explodes at the data stop just before.
    slopes: (alpha', sigma') where they are constants; a backward pass for them would cost a tenth of a small training."""

    alpha: Schedule
    sigma: Schedule
    source: Source | None = None
    name: str = "path"
    span: tuple[float, float] = (0.0, 1.0)
    jitter: float = 0.0
    slopes: tuple[float, float] | None = None
    method = staticmethod(euler)  # how samplers step unless told otherwise
    predictions = ("velocity", "noise", "data", "v", "score")

    def at(self, t: Tensor | float, x: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(alpha, sigma, alpha', sigma') at t, laid over x where x is given.  t () or (B,) in [0, 1]"""
        t = expect_time(t, x)
        t = t if x is None else expand_time(t, x)
        if self.slopes:
            return self.alpha(t), self.sigma(t), *(torch.full_like(t, slope) for slope in self.slopes)
        return tuple(torch.broadcast_to(value, t.shape) for value in _with_slopes((self.alpha, self.sigma), t))

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

    def add_jitter(self, x: Tensor) -> Tensor:
        """x + jitter · ε"""
        return x + self.jitter * torch.randn_like(x) if self.jitter else x

    def initial_state(self, x0: Tensor, t: Tensor) -> Tensor:
        """sigma x0: where sampling starts, with nothing known of the data."""
        return self.sigma(t) * x0

    def corrupt(self, x1: Tensor, t: Tensor | float, x0: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(x_t, x0) with x_t = alpha x1 + sigma x0.  x1 (B, *event), t () or (B,); x0 drawn where not given"""
        expect_batch(x1, name="x1")
        x0 = self.sample_source(x1) if x0 is None else x0
        return self.interpolate(self.endpoints(x1, x0, t)), x0

    def interpolate(self, endpoints: Prediction) -> Tensor:
        """x_t = alpha x1 + sigma x0 (+ jitter · ε): where the pair stands at its time."""
        alpha, sigma, _, _ = endpoints.at
        return self.add_jitter(alpha * endpoints.x1 + sigma * endpoints.x0)

    def endpoints(self, x1: Tensor, x0: Tensor, t: Tensor | float) -> Prediction:
        """The known pair as a Prediction: its .velocity is what conditional flow matching regresses on, alpha' x1 + sigma' x0."""
        expect_alike(x0, x1, ("x0", "x1"))
        return Prediction(x1, x0, self.at(t, x1), self.gaussian)

    def velocity(self, x: Tensor, x1: Tensor, t: Tensor | float) -> Tensor:
        """f(x, x1, t) = alpha' x1 + (sigma'/sigma)(x − alpha x1).      (lecture 14, conditional vector field)
        x, x1 (B, *event), t () or (B,)  ->  (B, *event); for t where sigma > 0, that is t < 1 on most paths"""
        expect_alike(x, x1, ("x", "x1"))
        alpha, sigma, dalpha, dsigma = self.at(t, x)
        return dalpha * x1 + dsigma / sigma * (x - alpha * x1)

    def score(self, x: Tensor, x1: Tensor, t: Tensor | float) -> Tensor:
        """∇ log p_t(x | x1) = (alpha x1 − x) / sigma², for a standard normal source.  Shapes as ``velocity``"""
        expect_alike(x, x1, ("x", "x1"))
        alpha, sigma, _, _ = self.at(t, x)
        return Prediction(x1, (x - alpha * x1) / sigma, self.at(t, x), self.gaussian).score

    def rows(self, at: tuple[Tensor, Tensor, Tensor, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
        """Each prediction as a row (a, b): its value is a·x1 + b·x0.  at: what ``at(t, x)`` gives"""
        alpha, sigma, dalpha, dsigma = at
        one, zero = torch.ones_like(alpha), torch.zeros_like(alpha)
        return {
            "data": (one, zero),
            "noise": (zero, one),
            "velocity": (dalpha, dsigma),
            "v": (-sigma, alpha),
            "score": (zero, -1 / sigma),
        }

    def predict(self, xt: Tensor, t: Tensor | float, **known: Tensor) -> Prediction:
        """The pair behind x_t and one known prediction: solve [alpha sigma; a b] (x̂1, x̂0) = (x_t, value).

        ``path.predict(xt, t, velocity=u).score`` converts a velocity into a score, and likewise the other nineteen.
        xt, value (B, *event), t () or (B,)"""
        kind, value = self._prediction(known, xt)
        at = alpha, sigma, _, _ = self.at(t, xt)
        a, b = self.rows(at)[kind]
        det = self._solvable(alpha * b - sigma * a, kind, t)
        return Prediction((b * xt - sigma * value) / det, (alpha * value - a * xt) / det, at, self.gaussian)

    def _prediction(self, known: dict[str, Tensor], xt: Tensor) -> tuple[str, Tensor]:
        """The one prediction that ``predict`` was given, or a sentence."""
        if len(known) != 1 or not known.keys() <= {"data", "noise", "velocity", "v", "score"}:
            raise ValueError(
                f"predict was given {sorted(known) or 'nothing'}: expected exactly one of "
                "data=, noise=, velocity=, v=, score=."
            )
        ((kind, value),) = known.items()
        expect_alike(value, xt, (kind, "xt"))
        if kind == "score" and not self.gaussian:
            raise ValueError(
                "score needs a standard normal source x0; this path starts from another distribution."
            )
        return kind, value

    @staticmethod
    def _solvable(det: Tensor, kind: str, t: Tensor | float) -> Tensor:
        """The determinant where it is a number other than zero, or a sentence."""
        if det.device.type == "meta" or bool((torch.isfinite(det) & (det != 0)).all()):
            return det
        low, high = (float(end) for end in torch.aminmax(torch.as_tensor(t)))
        raise ValueError(
            f"{kind} does not determine the pair at some t in [{low:.4g}, {high:.4g}]: noise and score say "
            "nothing where alpha = 0, data nothing where sigma = 0; expected other times, or another "
            "prediction, such as velocity."
        )

    def step(self, prediction: Prediction, s: Tensor | float, noise_std: float | Tensor = 0.0) -> Tensor:
        """Re-noise a guess at the next time: alpha_s x̂1 + √(sigma_s² − κ²) x̂0 + κ ε, with κ = ``posterior_std``.

        κ = 0 is DDIM; κ = the posterior's deviation is DDPM's ancestral step.  -> (B, *event)"""
        alpha, sigma, _, _ = self.at(s, prediction.x1)
        if not isinstance(noise_std, Tensor) and noise_std == 0:
            return alpha * prediction.x1 + sigma * prediction.x0
        retained = (sigma**2 - noise_std**2).clamp(min=0).sqrt()
        return alpha * prediction.x1 + retained * prediction.x0 + noise_std * torch.randn_like(prediction.x0)

    def posterior_std(self, prediction: Prediction, s: Tensor | float) -> Tensor:
        """κ, the deviation of q(x_s | x_t, x1): κ² = sigma_s² (1 − (alpha_t sigma_s / alpha_s sigma_t)²), s after t.

        With it ``step`` draws from the posterior of the chain; for DDPM's discrete times κ² is its "beta tilde"."""
        alpha_t, sigma_t, _, _ = prediction.at
        alpha, sigma, _, _ = self.at(s, prediction.x1)
        ratio = alpha_t * sigma / (alpha * sigma_t)
        if not bool((ratio <= 1 + 1e-6).all()):
            raise ValueError("s lies before t: expected a step towards the data, s > t (0 is noise, 1 is data).")
        return sigma * (1 - ratio**2).clamp(min=0).sqrt()

    def diffusion(self, t: Tensor | float) -> Tensor:
        """g(t) of the SDE whose marginals this path has: g² = 2 sigma² (alpha'/alpha − sigma'/sigma); where alpha > 0.

        VP: g² = β.  VE: g² = dσ²/ds.  ``sample(noise=path.diffusion)`` is the lecture's reverse SDE."""
        alpha, sigma, dalpha, dsigma = self.at(t)
        return (2 * sigma * (sigma * dalpha / alpha - dsigma)).clamp(min=0).sqrt()

    def check_input(self, x1: Tensor, event: tuple[int, ...], device: torch.device) -> None:
        """A batch to train on, or a sentence."""
        expect_some(expect_batch(x1, event, "x1", device), "x1")

    def check_output(self, answer: Tensor, xt: Tensor) -> Tensor:
        """A network's answer, in the dtype and shape of its input; else (B, 1) would be spread over (B, D)."""
        answer = answer.to(xt.dtype)
        expect_alike(answer, xt, ("the net's answer", "its input"))
        return answer

    def loss(self, answer: Tensor, endpoints: Prediction, prediction: str) -> Tensor:
        """Mean over batch and coordinates of (answer − a·x1 − b·x0)², the row (a, b) being what is predicted."""
        return nn.functional.mse_loss(answer, getattr(endpoints, prediction))

    def marginal(self, data: Mixture, t: Tensor | float) -> Mixture:
        """p_t when the data are a mixture: again a mixture, one component a pair of source and data component."""
        t = torch.as_tensor(t, dtype=data.means.dtype, device=data.means.device)
        if t.numel() != 1:
            raise ValueError(
                f"t has shape {tuple(t.shape)}: expected one time, since the marginal is one distribution."
            )
        weights, means, variances = self._blend(data, t)
        return Mixture(
            weights, means[0], variances[0].sqrt(), f"{self.name} path of {data.name} at t = {float(t):.2f}"
        )

    def _blend(self, data: Mixture, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Weights (K,), means and variances (B or 1, K, D) of the components of p_t, K = source × data components."""
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
            raise ValueError(
                f"the exact marginal needs a Mixture as source; this path starts from {self.source!r}."
            )
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


def LinearPath(source: Source, jitter: float = 0.0) -> GaussianPath:
    """x_t = t x1 + (1 − t) x0 + ε, any source x0, ε ~ N(0, jitter² I).      (lecture 14, linear interpolation)

    The lecture's z = (x0, x1), mu = t x1 + (1 − t) x0, sigma = jitter: the velocity x1 − x0 is the conical one."""
    return GaussianPath(lambda t: t, lambda t: 1 - t, source, "linear", jitter=jitter, slopes=(1.0, -1.0))


def VP(beta_min: float = 0.1, beta_max: float = 20.0) -> GaussianPath:
    """Variance preserving (DDPM): alpha² + sigma² = 1, alpha = exp(−½ ∫₀ˢ β), s = 1 − t, β linear.

    0 < beta_min <= beta_max.  The data end has sigma' = ∞, so samplers stop at t = 0.999."""
    if not 0 < beta_min <= beta_max:
        raise ValueError(f"beta runs from {beta_min} to {beta_max}: expected 0 < beta_min <= beta_max.")

    def integral(t: Tensor) -> Tensor:  # ∫₀ˢ β at s = 1 − t
        return beta_min * (1 - t) + (beta_max - beta_min) * (1 - t) ** 2 / 2

    return GaussianPath(
        lambda t: torch.exp(-integral(t) / 2),
        lambda t: torch.sqrt(-torch.expm1(-integral(t))),
        name="VP",
        span=(0.0, 1 - 1e-3),
    )


def VE(sigma_min: float = 0.01, sigma_max: float = 10.0) -> GaussianPath:
    """Variance exploding (NCSN): alpha = 1, sigma² = σ²(s) − σ²(0), σ(s) = σ_min (σ_max/σ_min)ˢ, s = 1 − t.

    Samplers start from N(0, sigma(0)²), which forgets the data's own mean and spread: a small bias of the VE path."""
    if not 0 < sigma_min < sigma_max:
        raise ValueError(f"sigma runs from {sigma_min} to {sigma_max}: expected 0 < sigma_min < sigma_max.")
    ratio = 2 * math.log(sigma_max / sigma_min)
    return GaussianPath(
        torch.ones_like,
        lambda t: sigma_min * torch.sqrt(torch.expm1(ratio * (1 - t))),
        name="VE",
        span=(0.0, 1 - 1e-3),
    )


def Cosine() -> GaussianPath:
    """x_t = sin(πt/2) x1 + cos(πt/2) x0: variance preserving, and a rotation at constant speed."""
    return GaussianPath(lambda t: torch.sin(math.pi / 2 * t), lambda t: torch.cos(math.pi / 2 * t), name="cosine")


class ExactField(PathField):
    """The perfect model: E[x1 | x_t] and E[x0 | x_t] by Bayes' rule over the components of a mixture.

    Both are closed because, given its component, (x1, x0, x_t) is jointly Gaussian:
    E[x1 | x_t, k] = m_k + alpha s_k² (x_t − mean_k) / var_k, and likewise for x0."""

    def __init__(self, path: GaussianPath, data: Mixture) -> None:
        super().__init__()
        self.path, self.data, self.origin = path, data, path._origin(data)

    def start(self, n: int) -> Tensor:
        return self.path.add_jitter(self.origin.sample(n))

    def predict(self, xt: Tensor, t: Tensor | float) -> Prediction:
        """E[(x1, x0) | x_t]: the average over all pairs that could have made x_t.  xt (B, D), t () or (B,)"""
        expect_batch(xt, self.data.event, "xt")
        t = expect_time(t, xt)
        at = self.path.at(t, xt)
        data, origin = (m.to(xt) for m in (self.data, self.origin))
        weights, means, variances = self.path._blend(data, t)
        joint = weights.log() + DiagNormal(means, variances.sqrt()).log_prob(xt[:, None])
        pull = (xt[:, None] - means) / variances  # (B, K, D)
        alpha, sigma = (value[..., None] for value in at[:2])
        k1 = data.means.repeat(len(origin.means), 1), data.stds.repeat(len(origin.means), 1)
        k0 = [p.repeat_interleave(len(data.means), 0) for p in (origin.means, origin.stds)]
        share = joint.softmax(1)[..., None]
        x1 = (share * (k1[0] + alpha * k1[1] ** 2 * pull)).sum(1)
        x0 = (share * (k0[0] + sigma * k0[1] ** 2 * pull)).sum(1)
        return Prediction(x1, x0, at, self.path.gaussian)

    def marginal(self, t: Tensor | float) -> Mixture:
        """p_t itself."""
        return self.path.marginal(self.data, t)

    def __repr__(self) -> str:
        return f"exact field of the {self.path.name} path for {self.data!r}"
