"""Learned paths: a network, a Gaussian path, and what the network predicts.

    L(θ) = E_t E_(x0, x1) ‖ a·x1 + b·x0 − net(x_t, t) ‖²

One regression, four famous models.  With the conical path and the velocity it is flow matching; with VP and the noise
it is DDPM; with VE and the noise (which is −sigma times the score) it is NCSN; with pairs (x0, x1) of any two
distributions it is the lecture's linear interpolation.  At the minimum the network is the conditional expectation of
its target given x_t, and ``predict`` turns that into whatever a sampler wants.

The two choices besides path and prediction are objects as well: *when* to look (``times``) and *who travels with whom*
(``coupling``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from ..core.checks import expect_time
from ..core.ode import Field, Method, euler, heun
from ..core.tensors import expand_time, flat, parameter_count
from . import VE, VP, Conical, GaussianPath, MaskPath, PathField, Prediction, TokenPrediction
from .guidance import Guided

Times = Callable[[Tensor], Tensor]
Coupling = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def uniform(like: Tensor) -> Tensor:
    """t ~ U[0, 1], one a sample.  (B, *event) -> (B,)"""
    return torch.rand(len(like), dtype=like.dtype if like.is_floating_point() else None, device=like.device)


def stratified(like: Tensor) -> Tensor:
    """t = (u + π(b)/B) mod 1: each uniform, together spread evenly over [0, 1], so that their mean is less noisy."""
    spread = torch.randperm(len(like), device=like.device) / max(1, len(like))
    return (spread + torch.rand((), device=like.device)) % 1


def logit_normal(like: Tensor) -> Tensor:
    """t = 1/(1 + exp(−n)), n ~ N(0, 1): most looks at the middle, where the task is hardest.  (Stable Diffusion 3)"""
    return torch.randn(
        len(like), dtype=like.dtype if like.is_floating_point() else None, device=like.device
    ).sigmoid()


def stratified_logit_normal(like: Tensor) -> Tensor:
    """As ``logit_normal``, its B times at B stretches of equal probability: t = sigmoid(Φ⁻¹(u)), u ``stratified``."""
    return torch.special.ndtri(stratified(like).clamp(1e-4, 1 - 1e-4)).sigmoid()


def independent(x0: Tensor, x1: Tensor) -> tuple[Tensor, Tensor]:
    """p(x0) p(x1): the batch as it comes."""
    return x0, x1


def optimal_transport(x0: Tensor, x1: Tensor) -> tuple[Tensor, Tensor]:
    """The pairing of the batch with the least Σ ‖x0 − x1‖², by exact assignment: x0 reordered, x1 (and labels) kept.

    Both marginals stay; the roads hardly cross any more.  x0, x1 (B, *event), cost O(B³)"""
    cost = torch.cdist(flat(x1), flat(x0)).square()
    _, partner = linear_sum_assignment(cost.detach().cpu().numpy())
    return x0[torch.as_tensor(partner, device=x0.device)], x1


def heun_euler_last(field: Field, x: Tensor, t: Tensor, dt: Tensor) -> Tensor:
    """Heun's step, but Euler's for the one that ends at t = 1.           (Karras et al. 2022, there towards sigma = 0)

    At the data no noise is left to be guessed, so a second look there would spoil the step; order two remains."""
    return (euler if float(t + dt) > 1 - 1e-6 else heun)(field, x, t, dt)


class ScaledInput(nn.Module):
    """net(x / √(alpha² + sigma²), t): the input of a network at about unit size, on paths that leave it (VE)."""

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
    """A trained path: ``loss`` to fit it, then everything that a perfect model can do.

    net(x, t) or net(x, t, y) answers in the shape of x.  prediction: 'velocity', 'noise', 'data', 'v' or 'score'.
    event: shape of one sample, wanted by ``sample(n)``.  bounds: where data are known to lie, such as (-1, 1) for
    pixels; every guess is kept inside.  precision: a dtype for the network alone, by autocast."""

    graph_safe = True  # each training step is the same operations: a GPU may replay it (``recorded``)
    bounds: tuple[float, float] | None = None
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
        self.time_sampler, self.coupling, self.label = times, coupling, None

    def loss(self, x1: Tensor, x0: Tensor | None = None, y: Tensor | None = None) -> Tensor:
        """How far net(x_t, t) is from what it should predict: the mean of (target − net(x_t, t))² on Gaussian paths (lecture
        14, conditional flow matching), the weighted cross-entropy of the hidden tokens on mask paths.

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
        return self.path.add_jitter(
            self.path.sample_source(torch.empty(n, *self.event, dtype=weight.dtype, device=weight.device))
        )

    def predict(self, xt: Tensor, t: Tensor | float) -> Prediction | TokenPrediction:
        """What the network says about x_t, as a pair (x̂1, x̂0).  xt (B, *event), t () or (B,)"""
        t = expect_time(t, xt)
        prediction = self.path.predict(xt, t, **{self.prediction: self._net(xt, t, self._labels(xt))})
        return prediction if self.bounds is None else prediction.bounded(xt, *self.bounds)

    def forward(self, x: Tensor, t: Tensor | float) -> Tensor:
        """u_t(x); read off directly where the network predicts it."""
        if self.prediction == "velocity" and self.bounds is None:
            return self._net(x, expect_time(t, x), self._labels(x))
        return self.predict(x, t).velocity

    velocity = forward

    def with_label(self, label: Tensor | int, guidance: float = 1.0) -> PathModel:
        """The same model with its class fixed: a label for all, or one a sample (B,).  Weights are shared.

        guidance above 1 exaggerates what makes the class (``guidance.Guided``): clearer samples, less variety."""
        net = self.net if guidance == 1 else Guided(self.net, guidance)
        twin = PathModel(net, self.path, self.event, self.prediction, self.time_sampler, self.coupling)
        twin.label, twin.bounds, twin.precision = label, self.bounds, self.precision
        return twin.train(self.training)

    def _labels(self, x: Tensor) -> Tensor | None:
        if self.label is None:
            return None
        label = torch.as_tensor(self.label, device=x.device)
        if label.shape not in ((), x.shape[:1]):
            raise ValueError(
                f"label has shape {tuple(label.shape)} for a batch of {len(x)}: expected one for all or one "
                "a sample."
            )
        return label.expand(len(x))

    def __repr__(self) -> str:
        return (
            f"{self.path.name} path, {type(self.net).__name__} of {parameter_count(self.net):,} parameters predicts the "
            f"{self.prediction}"
        )


def flow_matching(net: nn.Module, event: Sequence[int]) -> PathModel:
    """Conical path, velocity prediction."""
    return PathModel(net, Conical(), event, "velocity")


def ddpm(net: nn.Module, event: Sequence[int]) -> PathModel:
    """Variance-preserving path, noise prediction."""
    return PathModel(net, VP(), event, "noise")


def ncsn(net: nn.Module, event: Sequence[int], sigma_max: float = 10.0) -> PathModel:
    """Variance-exploding path, noise prediction: the score times −sigma.

    sigma_max: well above the norm of the data's mean, or sampling starts in the wrong place."""
    path = VE(sigma_max=sigma_max)
    return PathModel(ScaledInput(net, path), path, event, "noise")


def absorbing(net: nn.Module, event: Sequence[int], vocabulary: int) -> PathModel:
    """Mask path, prediction of the clean tokens, the ELBO's weights: masked diffusion."""
    return PathModel(net, MaskPath(vocabulary), event, "data", stratified)


def reflow_pairs(model: PathField, n: int, steps: int = 50, method: Method = heun) -> tuple[Tensor, Tensor]:
    """(x1, x0) with x1 where the model's own flow takes x0: the pairs of rectified flow, in ``fit``'s order."""
    x0 = model.start(n)
    return model.sample(x0, steps, method), x0
