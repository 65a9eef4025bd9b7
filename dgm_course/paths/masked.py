"""Mask paths (absorbing diffusion): x_t = x1 where x0 < alpha(t), the mask elsewhere; x0 ~ U[0, 1] for each token.

alpha(t) is the probability that a token is visible: 0 at t = 0 (all masked), 1 at t = 1 (data).  x0 is all the randomness
of a corruption, like the noise of a Gaussian path; for a fixed x0 the tokens appear one by one as t grows.  The slides'
chain Q_k = (1 − β_k) I + β_k e_m 1ᵀ is this path at t = 1 − k/T, and its alpha-bar is our alpha.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.checks import expect_some, expect_time
from ..core.distributions import TableDistribution
from ..core.tensors import expand_time
from .fields import PathField
from .samplers import ddim, expect_model

Schedule = Callable[[Tensor], Tensor]


def linear_reveal(t: Tensor) -> Tensor:
    """alpha = t"""
    return t


def cosine_reveal(t: Tensor) -> Tensor:
    """alpha = 1 − cos(πt/2): few tokens first, many later.                                    (MaskGIT)"""
    return 1 - torch.cos(math.pi / 2 * t)


def geometric_reveal(t: Tensor, low: float = 1e-4, high: float = 20.0) -> Tensor:
    """alpha = exp(−low^t high^(1−t)), rescaled to run from 0 to 1 exactly: a geometric rate of masking.     (SEDD)"""
    first, last = math.exp(-high), math.exp(-low)
    return (torch.exp(-high * (low / high) ** t) - first) / (last - first)


def elbo_weight(path: MaskPath, t: Tensor) -> Tensor:
    """w_t = alpha' / (1 − alpha): with it the masked cross-entropy is the negative ELBO in continuous time.  (B,)"""
    alpha, slope = path.at(t)
    return torch.where(alpha < 1, slope / (1 - alpha), 0.0)


@dataclass(frozen=True)
class TokenPair:
    """Clean tokens x1 at time t, and which of them are hidden.  x1, hidden (B, *event), t (B,)"""

    x1: Tensor
    hidden: Tensor
    t: Tensor


@dataclass(frozen=True)
class TokenPrediction:
    """Logits of the clean tokens behind x_t.  logits (B, *event, K), xt (B, *event), t () or (B,)"""

    logits: Tensor
    xt: Tensor
    t: Tensor

    @property
    def masked(self) -> Tensor:
        """Where x_t is masked.  (B, *event)"""
        return self.xt == self.logits.shape[-1]

    @property
    def data(self) -> Tensor:
        """p(x1 | x_t) of each token; all mass on a visible token.  (B, *event, K)"""
        k = self.logits.shape[-1]
        visible = F.one_hot(self.xt.clamp(max=k - 1), k).to(self.logits.dtype)
        return torch.where(self.masked[..., None], self.logits.softmax(-1), visible)

    @property
    def velocity(self) -> Tensor:
        raise ValueError("tokens have no velocity and no score: expected ddim or maskgit_step, not a solver.")

    score = velocity

    def sample(self) -> Tensor:
        """A clean token at each place, drawn independently given x_t.  (B, *event)"""
        return torch.multinomial(self.data.flatten(0, -2), 1).view(self.xt.shape)


@dataclass(frozen=True)
class MaskPath:
    """Absorbing diffusion over tokens 0 ... K − 1 with K = ``vocabulary``; ``mask_id`` is K.

    alpha: t -> probability that a token is visible, from 0 to 1.  weight: w_t of the training loss."""

    vocabulary: int
    alpha: Schedule = linear_reveal
    weight: Callable[[MaskPath, Tensor], Tensor] = elbo_weight
    name: str = "absorbing"
    span: tuple[float, float] = (0.0, 1.0)
    method = staticmethod(ddim)
    predictions = ("data",)
    gaussian = False

    def __post_init__(self) -> None:
        if self.vocabulary < 1:
            raise ValueError(f"vocabulary is {self.vocabulary}: expected the number of clean tokens, at least 1.")
        values = torch.as_tensor(self.alpha(torch.linspace(0, 1, 257, dtype=torch.float64)))
        if values.shape != (257,) or not (values.diff() >= -1e-9).all():  # so that NaN is refused as well
            raise ValueError("alpha does not rise from t = 0 to t = 1: expected a probability that does.")
        low, high = float(values[0]), float(values[-1])
        if abs(low) > 1e-6 or abs(high - 1) > 1e-6:
            raise ValueError(
                f"alpha runs from {low:.4g} to {high:.4g}: expected 0 (all masked) to 1 (all visible)."
            )

    @property
    def mask_id(self) -> int:
        return self.vocabulary

    @staticmethod
    def chain(betas: Tensor, vocabulary: int) -> MaskPath:
        """The path of β_1 ... β_T, from data to masks: alpha(1 − k/T) = Π_{j≤k} (1 − β_j), linear between.

        betas (T,) inside (0, 1); the last is 1, or nearly, so that the chain ends all masked"""
        betas = torch.as_tensor(betas, dtype=torch.float64)
        if betas.ndim != 1 or not len(betas):
            raise ValueError(f"betas have shape {tuple(betas.shape)}: expected (T,) with at least one step.")
        if not ((betas > 0) & (betas <= 1)).all() or (betas[:-1] == 1).any():
            raise ValueError(f"betas are {betas.tolist()}: expected them inside (0, 1); the last may be 1.")
        bars = torch.cat([betas.new_ones(1), (1 - betas).cumprod(0)]).flip(0)  # alpha at t = 0, 1/T, ... 1

        def alpha(t: Tensor) -> Tensor:
            place = (t * len(betas)).clamp(0, len(betas))
            low = place.detach().floor().clamp(max=len(betas) - 1).long()
            return bars.to(t)[low] + (place - low) * (bars.to(t)[low + 1] - bars.to(t)[low])

        return MaskPath(vocabulary, alpha, name=f"absorbing chain of {len(betas)} steps")

    def at(self, t: Tensor | float) -> tuple[Tensor, Tensor]:
        """(alpha, alpha') at t.  () or (B,) -> two of the same shape"""
        t = expect_time(t)
        with torch.inference_mode(False), torch.enable_grad():
            times = t.detach().clone().requires_grad_()
            alpha = self.alpha(times)
            (slope,) = torch.autograd.grad(alpha.sum(), times)
        return alpha.detach(), slope

    def _ordered(self, t: Tensor | float, s: Tensor | float) -> tuple[Tensor, Tensor]:
        """alpha at t and at a later s, or a ValueError."""
        t, s = expect_time(t), expect_time(s)
        if not bool((t < s).all()):
            ranges = [" to ".join(f"{u:.4g}" for u in torch.stack(v.aminmax()).unique()) for v in (t, s)]
            raise ValueError(f"t = {ranges[0]} and s = {ranges[1]}: expected t < s, a step from masks to data.")
        return self.alpha(t), self.alpha(s)

    def transition(self, s: Tensor | float, t: Tensor | float) -> Tensor:
        """Q = (alpha_t/alpha_s) I + (1 − alpha_t/alpha_s) e_m 1ᵀ from s to an earlier t, p_t = Q p_s.  (K+1, K+1)"""
        low, high = self._ordered(t, s)
        if low.numel() != 1 or high.numel() != 1:
            raise ValueError("s and t hold several times: expected one each, since the transition is one matrix.")
        keep = low / high
        same = torch.eye(self.vocabulary + 1, dtype=keep.dtype, device=keep.device)
        absorb = torch.zeros_like(same)
        absorb[self.mask_id] = 1
        return keep * same + (1 - keep) * absorb

    def betas(self, steps: int) -> Tensor:
        """β_1 ... β_T of the slides for T equal steps: 1 − alpha(1 − k/T) / alpha(1 − (k−1)/T).  (T,)"""
        bars = self.alpha(_grid(steps)).flip(0)
        return 1 - bars[1:] / bars[:-1]

    def unmask(self, t: Tensor | float, s: Tensor | float) -> Tensor:
        """(alpha_s − alpha_t) / (1 − alpha_t): probability that a masked token appears between t and s.

        (Lecture 14, posterior, case 2: alpha-bar_{k−1} β_k / (1 − alpha-bar_k).)"""
        low, high = self._ordered(t, s)
        return (high - low) / (1 - low)

    def weights(self, steps: int) -> Tensor:
        """The ELBO's weights of T equal steps, from data to masks: w_k = abar_{k−1} β_k / (1 − abar_k).  (T,)"""
        ts = _grid(steps)
        return self.unmask(ts[:-1], ts[1:]).flip(0)

    def marginal(self, data: TableDistribution, t: Tensor | float) -> TableDistribution:
        """p_t for data of a table: a table over one more symbol, the mask."""
        self._expect_same(data)
        q = self.transition(1.0, t) if float(t) < 1 else torch.eye(self.vocabulary + 1)
        q = q.to(data.probs)
        probs = data.probs
        for axis in range(probs.ndim):
            probs = torch.tensordot(q[:, :-1], probs, ([1], [axis])).movedim(0, axis)
        return TableDistribution(probs, f"{data.name}, masked at t = {float(t):.2f}")

    def posterior(self, xt: Tensor, x1: Tensor, t: Tensor | float, s: Tensor | float) -> Tensor:
        """q(x_s | x_t, x1), t < s: x_t where visible; where masked, x1 with probability ``unmask(t, s)``, else the mask.

        xt, x1 (B, *event) -> (B, *event, K + 1)                                    (lecture 14, posterior, both cases)"""
        xt, x1 = self._tokens(xt, "xt", self.mask_id), self._tokens(x1, "x1", self.vocabulary - 1)
        size, masked = self.vocabulary + 1, (xt == self.mask_id)[..., None]
        if bool((~masked[..., 0] & (xt != x1)).any()):
            raise ValueError("xt shows a token that differs from x1: expected the token of x1, or the mask.")
        appear = expand_time(self.unmask(t, s), xt)[..., None]
        stay = F.one_hot(xt, size).to(appear)
        return torch.where(masked, (1 - appear) * stay + appear * F.one_hot(x1, size).to(appear), stay)

    # --- the protocol of paths

    def sample_source(self, like: Tensor) -> Tensor:
        """x0 ~ U[0, 1] for each token.  (B, *event)"""
        return torch.rand(like.shape, device=like.device)

    start = sample_source

    def initial_state(self, x0: Tensor, t: Tensor) -> Tensor:
        """All masked; or x0 itself where it holds tokens, whose masked places are to be filled in."""
        if not x0.is_floating_point():
            return self._tokens(x0, "x0", self.mask_id)
        return torch.full(x0.shape, self.mask_id, device=x0.device)

    def endpoints(self, x1: Tensor, x0: Tensor, t: Tensor | float) -> TokenPair:
        """Hidden where x0 >= alpha(t).  x1, x0 (B, *event), t () or (B,)"""
        t = expect_time(t)
        if x0.shape != x1.shape:
            raise ValueError(f"x0 has shape {tuple(x0.shape)}: expected one number a token, {tuple(x1.shape)}.")
        return TokenPair(x1.long(), x0 >= expand_time(self.alpha(t), x0), t)

    def interpolate(self, endpoints: TokenPair) -> Tensor:
        """x_t: the mask where the pair is hidden."""
        return torch.where(endpoints.hidden, self.mask_id, endpoints.x1)

    def corrupt(self, x1: Tensor, t: Tensor | float, x0: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(x_t, x0): each token is masked independently with probability 1 − alpha(t).  x1 (B, *event), t () or (B,)"""
        x1 = self._tokens(x1, "x1", self.vocabulary - 1)
        x0 = self.sample_source(x1) if x0 is None else x0
        return self.interpolate(self.endpoints(x1, x0, t)), x0

    def predict(self, xt: Tensor, t: Tensor | float, **known: Tensor) -> TokenPrediction:
        """A TokenPrediction of the logits ``data=`` (B, *event, K) of the clean tokens."""
        if set(known) != {"data"}:
            raise ValueError(f"predict was given {sorted(known) or 'nothing'}: expected data=, the logits.")
        xt = self._tokens(xt, "xt", self.mask_id)
        return TokenPrediction(self.check_output(known["data"], xt), xt, expect_time(t))

    def step(self, prediction: TokenPrediction, s: Tensor | float) -> Tensor:
        """x_s ~ q(x_s | x_t, x̂1): each masked token appears with probability ``unmask(t, s)``, drawn from p(x1 | x_t)."""
        xt = prediction.xt
        appear = torch.rand(xt.shape, device=xt.device) < expand_time(self.unmask(prediction.t, s), xt)
        return torch.where(prediction.masked & appear, prediction.sample(), xt)

    def check_input(self, x1: Tensor, event: tuple[int, ...], device: torch.device) -> None:
        """A ValueError or TypeError where x1 is no batch to train on."""
        expect_some(self._tokens(x1, "x1", self.vocabulary - 1), "x1")
        if tuple(x1.shape[1:]) != event or x1.device != device:
            shape = ", ".join(map(str, event))
            raise ValueError(f"x1 has shape {tuple(x1.shape)} on {x1.device}: expected (B, {shape}) on {device}.")

    def check_output(self, output: Tensor, xt: Tensor) -> Tensor:
        """The network's logits, at least float32, or a ValueError."""
        if output.shape != (*xt.shape, self.vocabulary):
            expected = (*xt.shape, self.vocabulary)
            raise ValueError(f"the net's output has shape {tuple(output.shape)}: expected logits {expected}.")
        return output.float() if output.dtype in (torch.bfloat16, torch.float16) else output

    def loss(self, output: Tensor, endpoints: TokenPair, prediction: str) -> Tensor:
        """Mean over the batch of w_t Σ_masked −log p(x1 | x_t), in nats a sample.      (lecture 14, Simplified Training)"""
        x1, weight = endpoints.x1, self.weight(self, endpoints.t.clamp(max=1 - 1e-6))
        nats = F.cross_entropy(output.flatten(0, -2), x1.flatten(), reduction="none").view(x1.shape)
        return (weight * (nats * endpoints.hidden).flatten(1).sum(1)).mean()

    def elbo(self, field: PathField, x1: Tensor, steps: int | None = None, draws: int = 8) -> Tensor:
        """−E Σ_k w_k Σ_masked −log p(x1 | x_t) ≤ log p(x1), in nats; steps None: continuous time.  -> (B,)

        Each draw is a corruption at every one of the T steps; in continuous time at one of ``draws`` stratified times."""
        x1 = self._tokens(x1, "x1", self.vocabulary - 1)
        if draws < 1:
            raise ValueError(f"draws is {draws}: expected at least one.")
        bounds = [
            torch.stack([self._term(field, x1, t, weight) for t, weight in self._terms(x1, steps, draws)]).sum(0)
            for _ in range(1 if steps is None else draws)
        ]
        return -torch.stack(bounds).mean(0)

    def _terms(self, x1: Tensor, steps: int | None, draws: int) -> list[tuple[Tensor, Tensor]]:
        """Times and weights, each () or (B,), of the terms of the bound."""
        if steps is not None:
            ts = _grid(steps).float()
            return list(zip(ts[:-1], self.unmask(ts[:-1], ts[1:])))
        shift = torch.rand(len(x1), device=x1.device)
        times = [((k + shift) / draws).clamp(max=1 - 1e-6) for k in range(draws)]
        return [(t, elbo_weight(self, t) / draws) for t in times]

    def _term(self, field: PathField, x1: Tensor, t: Tensor, weight: Tensor) -> Tensor:
        """weight · Σ_masked −log p(x1 | x_t) at one corruption.  (B,)"""
        endpoints = self.endpoints(x1, self.sample_source(x1), t)
        prediction = field.predict(self.interpolate(endpoints), t)
        nats = -prediction.logits.log_softmax(-1).gather(-1, x1[..., None])[..., 0]
        return weight * torch.where(endpoints.hidden, nats, 0.0).flatten(1).sum(1)

    def _expect_same(self, data: TableDistribution) -> None:
        if data.symbols != self.vocabulary:
            raise ValueError(f"the table has {data.symbols} symbols: expected {self.vocabulary}, as the path has.")

    def exact(self, data: TableDistribution) -> ExactTokens:
        """The perfect model of this path for these data."""
        return ExactTokens(self, data)

    def _tokens(self, x: Tensor, name: str, highest: int) -> Tensor:
        """x as int64 where it holds integers from 0 to ``highest``, or a ValueError or TypeError."""
        if not isinstance(x, Tensor) or x.is_floating_point() or x.dtype == torch.bool:
            kind = f"dtype {x.dtype}" if isinstance(x, Tensor) else f"type {type(x).__name__}"
            raise TypeError(f"{name} has {kind}: expected tokens, a tensor of integers (x.long() converts).")
        low, high = (int(end) for end in torch.aminmax(x)) if x.numel() and x.device.type == "cpu" else (0, 0)
        if high == self.mask_id > highest and low >= 0:
            count = f"{int((x == self.mask_id).sum())} of {x.numel()}"
            raise ValueError(f"{name} has masks in {count} places: expected clean tokens, 0 to {highest}.")
        if low < 0 or high > highest:
            raise ValueError(f"{name} runs from {low} to {high}: expected tokens 0 to {highest}.")
        return x.long()

    def __repr__(self) -> str:
        return f"{self.name} path: one of {self.vocabulary} tokens is visible with probability alpha(t), else {self.mask_id}"


class ExactTokens(PathField):
    """The perfect model of a mask path: p(x1 | visible tokens), by Bayes' rule over every sequence of a table."""

    def __init__(self, path: MaskPath, data: TableDistribution) -> None:
        super().__init__()
        path._expect_same(data)
        self.path, self.data = path, data

    def start(self, n: int) -> Tensor:
        return self.path.sample_source(torch.empty(n, *self.data.event, device=self.data.probs.device))

    def predict(self, xt: Tensor, t: Tensor | float) -> TokenPrediction:
        """p(x1 | x_t), at any time; uniform where x_t fits no sequence of the table.  xt (B, L)"""
        probs = self.data.conditional(xt).nan_to_num(1 / self.data.symbols)
        return self.path.predict(xt, t, data=probs.log())

    def __repr__(self) -> str:
        return f"exact tokens of the {self.path.name} path for {self.data!r}"


def maskgit_step(model: PathField, x: Tensor, t: Tensor, dt: Tensor) -> Tensor:
    """Reveal as many tokens as ``ddim`` does on average, the most probable drawn tokens first.  (MaskGIT, Chang et al. 2022)

    The order is greedy, so the samples follow no stated distribution."""
    prediction = expect_model(model).predict(x, t)
    tokens, share = prediction.sample(), float(model.path.unmask(t, t + dt))
    p = prediction.data.gather(-1, tokens[..., None])[..., 0].masked_fill(~prediction.masked, -1.0).flatten(1)
    rank = p.argsort(1, descending=True).argsort(1)
    chosen = rank < (prediction.masked.flatten(1).sum(1, keepdim=True) * share).round()
    return torch.where(prediction.masked & chosen.view(x.shape), tokens, x)


def _grid(steps: int) -> Tensor:
    """steps + 1 equal times from 0 to 1, or a ValueError."""
    if steps < 1:
        raise ValueError(f"steps is {steps}: expected at least one.")
    return torch.linspace(0, 1, steps + 1, dtype=torch.float64)
