"""Learned paths: a network, a path, and what the network predicts.

    L(θ) = E_t E_(x0, x1) ‖ a·x1 + b·x0 − net(x_t, t) ‖²

Flow matching: conical path, velocity.  DDPM: VP, noise.  NCSN: VE, noise (−sigma times the score).  Linear interpolation:
pairs (x0, x1) of any two distributions.  At the minimum the network is E[target | x_t].  ``times`` draws t, ``coupling``
pairs x0 with x1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from ..core.checks import expect_time
from ..core.ode import Field, Method, euler, heun
from ..core.tensors import expand_time, flat, parameter_count
from .fields import PathField
from .gaussian import VE, VP, Conical, GaussianPath, Prediction
from .guidance import Guided
from .masked import MaskPath, TokenPrediction

Times = Callable[[Tensor], Tensor]
Coupling = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def _like(x: Tensor) -> dict[str, Any]:
    return {"dtype": x.dtype if x.is_floating_point() else None, "device": x.device}


def uniform(like: Tensor) -> Tensor:
    """t ~ U[0, 1], one a sample.  (B, *event) -> (B,)"""
    return torch.rand(len(like), **_like(like))


def stratified(like: Tensor) -> Tensor:
    """t_b = (u + π(b)/B) mod 1, π a random permutation: each uniform, together evenly spread, so a less noisy mean."""
    spread = torch.randperm(len(like), device=like.device) / max(1, len(like))
    return (spread + torch.rand((), device=like.device)) % 1


def logit_normal(like: Tensor) -> Tensor:
    """t = 1/(1 + exp(−n)), n ~ N(0, 1): most times in the middle, where prediction is hardest.  (Stable Diffusion 3)"""
    return torch.randn(len(like), **_like(like)).sigmoid()


def stratified_logit_normal(like: Tensor) -> Tensor:
    """t = sigmoid(Φ⁻¹(u)), u ``stratified``: as ``logit_normal``, evenly spread."""
    return torch.special.ndtri(stratified(like).clamp(1e-4, 1 - 1e-4)).sigmoid()


def independent(x0: Tensor, x1: Tensor) -> tuple[Tensor, Tensor]:
    """p(x0) p(x1): the batch as it comes."""
    return x0, x1


def optimal_transport(x0: Tensor, x1: Tensor) -> tuple[Tensor, Tensor]:
    """The pairing of the batch with the least Σ ‖x0 − x1‖², by exact assignment: x0 reordered, x1 (and labels) kept.

    x0, x1 (B, *event), cost O(B³)"""
    cost = torch.cdist(flat(x1), flat(x0)).square()
    _, partner = linear_sum_assignment(cost.detach().cpu().numpy())
    return x0[torch.as_tensor(partner, device=x0.device)], x1


def heun_euler_last(field: Field, x: Tensor, t: Tensor, dt: Tensor) -> Tensor:
    """Heun's step, but Euler's where it ends at t = 1, where the noise is unknown.        (Karras et al. 2022)"""
    return (euler if float(t + dt) > 1 - 1e-6 else heun)(field, x, t, dt)


class ScaledInput(nn.Module):
    """net(x / √(alpha² + sigma²), t): an input of about unit size on every path, such as VE."""

    def __init__(self, net: nn.Module, path: GaussianPath) -> None:
        super().__init__()
        self.net, self.path = net, path

    def forward(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        size = expand_time((self.path.alpha(t) ** 2 + self.path.sigma(t) ** 2).sqrt(), x)
        return self.net(x / size, t) if y is None else self.net(x / size, t, y)


class IndependentPairs:
    """Independent samples of two distributions as one source of batches (x1, x0), for ``fit``."""

    def __init__(self, data, source) -> None:
        self.data, self.source = data, source

    def sample(self, n: int) -> tuple[Tensor, Tensor]:
        return self.data.sample(n), self.source.sample(n)


class PathModel(PathField):
    """A learned path: ``loss`` to fit it, then everything that a perfect model does.

    net(x, t) or net(x, t, y) -> the shape of x.  prediction: 'velocity', 'noise', 'data', 'v' or 'score'.  event: shape of
    one sample.  bounds: the range of the data, such as (-1, 1) for pixels, to which predictions are clamped.
    precision: a dtype for the network alone, by autocast."""

    graph_safe = True  # every training step runs the same operations, so a GPU may replay it
    bounds: tuple[float, float] | None = None
    label: Tensor | int | None = None
    precision: torch.dtype | None = None

    def __init__(
        self,
        net: nn.Module,
        path: GaussianPath | MaskPath,
        event: Sequence[int],
        prediction: str = "velocity",
        times: Times = uniform,
        coupling: Coupling = independent,
    ) -> None:
        super().__init__()
        if prediction not in path.predictions:
            known = " or ".join(", ".join(path.predictions).rsplit(", ", 1))
            raise ValueError(f"prediction is {prediction!r}: expected {known} on this path.")
        self.net, self.path, self.event, self.prediction = net, path, tuple(event), prediction
        self.time_sampler, self.coupling = times, coupling

    def loss(self, x1: Tensor, x0: Tensor | None = None, y: Tensor | None = None) -> Tensor:
        """Mean (target − net(x_t, t))² on Gaussian paths, weighted cross-entropy of hidden tokens on mask paths.

        x1 (B, *event); x0 the same, drawn here where not given; y (B,) labels, if the net takes them"""
        self.path.check_input(x1, self.event, next(self.net.parameters(), x1).device)
        x0, x1 = self.coupling(self.path.sample_source(x1) if x0 is None else x0, x1)
        low, high = self.path.span
        t = low + (high - low) * self.time_sampler(x1)
        endpoints = self.path.endpoints(x1, x0, t)
        return self.path.loss(self._net(self.path.interpolate(endpoints), t, y), endpoints, self.prediction)

    def _net(self, xt: Tensor, t: Tensor, y: Tensor | None) -> Tensor:
        with torch.autocast(xt.device.type, self.precision) if self.precision else nullcontext():
            return self.path.check_output(self.net(xt, t) if y is None else self.net(xt, t, y), xt)

    def start(self, n: int) -> Tensor:
        weight = next(self.net.parameters())
        return self.path.start(torch.empty(n, *self.event, dtype=weight.dtype, device=weight.device))

    def predict(self, xt: Tensor, t: Tensor | float) -> Prediction | TokenPrediction:
        """The network's prediction at x_t, as a pair (x̂1, x̂0) or as tokens.  xt (B, *event), t () or (B,)"""
        t = expect_time(t, xt)
        prediction = self.path.predict(xt, t, **{self.prediction: self._net(xt, t, self._labels(xt))})
        return prediction if self.bounds is None else prediction.bounded(xt, *self.bounds)

    def forward(self, x: Tensor, t: Tensor | float) -> Tensor:
        """u_t(x), without a conversion where the network predicts it."""
        if self.prediction == "velocity" and self.bounds is None:
            return self._net(x, expect_time(t, x), self._labels(x))
        return self.predict(x, t).velocity

    velocity = forward

    def with_label(self, label: Tensor | int, guidance: float = 1.0) -> PathModel:
        """The same model (shared weights) for a fixed class: a label for all, or one a sample (B,).

        guidance: weight of ``Guided``; above 1 samples are clearer and less varied."""
        net = self.net if guidance == 1 else Guided(self.net, guidance)
        twin = PathModel(net, self.path, self.event, self.prediction, self.time_sampler, self.coupling)
        twin.label, twin.bounds, twin.precision = label, self.bounds, self.precision
        return twin.train(self.training)

    def _labels(self, x: Tensor) -> Tensor | None:
        if self.label is None:
            return None
        label = torch.as_tensor(self.label, device=x.device)
        if label.shape not in ((), x.shape[:1]):
            raise ValueError(f"label has shape {tuple(label.shape)}: expected () or ({len(x)},), one a sample.")
        return label.expand(len(x))

    def __repr__(self) -> str:
        net = f"{type(self.net).__name__} of {parameter_count(self.net):,} parameters"
        return f"{self.path.name} path, {net} predicts the {self.prediction}"


def flow_matching(net: nn.Module, event: Sequence[int]) -> PathModel:
    """Conical path, velocity prediction."""
    return PathModel(net, Conical(), event, "velocity")


def ddpm(net: nn.Module, event: Sequence[int]) -> PathModel:
    """Variance-preserving path, noise prediction."""
    return PathModel(net, VP(), event, "noise")


def ncsn(net: nn.Module, event: Sequence[int], sigma_max: float = 10.0) -> PathModel:
    """Variance-exploding path, noise prediction; sigma_max: well above the norm of the data's mean."""
    path = VE(sigma_max=sigma_max)
    return PathModel(ScaledInput(net, path), path, event, "noise")


def absorbing(net: nn.Module, event: Sequence[int], vocabulary: int) -> PathModel:
    """Masked diffusion: mask path, prediction of the clean tokens, the ELBO's weights."""
    return PathModel(net, MaskPath(vocabulary), event, "data", stratified)


def reflow_pairs(model: PathField, n: int, steps: int = 50, method: Method = heun) -> tuple[Tensor, Tensor]:
    """The pairs (x1, x0) of rectified flow, in ``fit``'s order: x1 is the end of the model's flow from x0."""
    x0 = model.start(n)
    return model.sample(x0, steps, method), x0
