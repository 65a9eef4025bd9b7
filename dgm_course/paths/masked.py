"""Mask paths: absorbing diffusion, the discrete twin of a Gaussian path.

    x_t = x1 where x0 < alpha(t), the mask elsewhere;    x0 ~ U[0, 1], one number a token: its hour

alpha(t) is the probability that a token survives: 0 at t = 0 (all masked), 1 at t = 1 (data).  The hour x0 plays the part
that noise plays on a Gaussian path: it is all the randomness of a corruption, and for one x0 the tokens appear one by one
as t grows.  The chain of the slides, with matrices Q_k = (1 − β_k) I + β_k e_m 1ᵀ, is this path looked at in discrete
times t = 1 − k/T, and its alpha-bar is our alpha (no square: alpha is a probability here).

What a network can say about x_t is a distribution over the clean tokens at the masked places.  When a token appears is a
matter of the schedule alone; *which* appears, of the network alone.  All formulas below follow from that.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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
    """alpha = t: at t a share t of the tokens is visible."""
    return t


def cosine_reveal(t: Tensor) -> Tensor:
    """alpha = 1 − cos(πt/2): few tokens first, many later.                                    (MaskGIT)"""
    return 1 - torch.cos(math.pi / 2 * t)


def geometric_reveal(t: Tensor, low: float = 1e-4, high: float = 20.0) -> Tensor:
    """alpha = exp(−low^t high^(1−t)), stretched to run from 0 to 1 exactly: masking at a geometric rate.     (SEDD)"""

    def survive(rate):
        return torch.exp(-rate)

    first, last = math.exp(-high), math.exp(-low)
    return (survive(high * (low / high) ** t) - first) / (last - first)


def elbo_weight(path: MaskPath, t: Tensor) -> Tensor:
    """w_t = alpha' / (1 − alpha): with it the masked cross-entropy *is* the negative ELBO, in continuous time.  (B,)"""
    alpha, slope = path.at(t)
    return torch.where(alpha < 1, slope / (1 - alpha), 0.0)  # where all are visible, none is counted


@dataclass(frozen=True)
class TokenPair:
    """Clean tokens x1 at time t, and which of them are hidden.  x1, hidden (B, *event), t (B,)"""

    x1: Tensor
    hidden: Tensor
    t: Tensor


@dataclass(frozen=True)
class TokenPrediction:
    """What is thought of the clean tokens behind x_t.  logits (B, *event, K), xt (B, *event), t () or (B,)"""

    logits: Tensor
    xt: Tensor
    t: Tensor

    @property
    def masked(self) -> Tensor:
        """Where x_t hides its token.  (B, *event)"""
        return self.xt == self.logits.shape[-1]

    @property
    def data(self) -> Tensor:
        """p(x1 | x_t), token by token; where the token is visible, that token.  (B, *event, K)"""
        k = self.logits.shape[-1]
        visible = F.one_hot(self.xt.clamp(max=k - 1), k).to(self.logits.dtype)
        return torch.where(self.masked[..., None], self.logits.softmax(-1), visible)

    @property
    def velocity(self) -> Tensor:
        raise ValueError(
            "tokens jump and have no velocity: expected a method that hops (ddim, maskgit_step), not euler."
        )

    score = velocity

    def sample(self) -> Tensor:
        """A clean token at each place, drawn independently given x_t.  (B, *event)"""
        chances = self.data
        return torch.multinomial(chances.flatten(0, -2), 1).view(self.xt.shape)


@dataclass(frozen=True)
class MaskPath:
    """Absorbing diffusion over tokens 0 ... K − 1 with K = ``vocabulary``; ``mask_id`` is K.

    alpha: t -> probability that a token is visible, rising from 0 to 1.  weight: w_t of the training loss."""

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
            raise ValueError(
                "alpha does not rise from t = 0 to t = 1: expected a probability that grows towards the data."
            )
        if abs(float(values[0])) > 1e-6 or abs(float(values[-1]) - 1) > 1e-6:
            raise ValueError(
                f"alpha runs from {float(values[0]):.4g} to {float(values[-1]):.4g}: expected 0 at t = 0 (all "
                "masked, else the sampler starts where the chain never ends) and 1 at t = 1 (all visible)."
            )

    @property
    def mask_id(self) -> int:
        return self.vocabulary

    @staticmethod
    def chain(betas: Tensor, vocabulary: int) -> MaskPath:
        """The path of given β_1 ... β_T, from data to masks: alpha(1 − k/T) = Π_{j≤k} (1 − β_j), linear between.

        betas (T,) inside (0, 1); the last may be 1, so that the chain ends all masked"""
        betas = torch.as_tensor(betas, dtype=torch.float64)
        if betas.ndim != 1 or not len(betas):
            raise ValueError(f"betas have shape {tuple(betas.shape)}: expected (T,) with at least one step.")
        if not ((betas > 0) & (betas <= 1)).all() or (betas[:-1] == 1).any():
            raise ValueError(
                f"betas run from {float(betas.min()):.4g} to {float(betas.max()):.4g}: expected them "
                "inside (0, 1); only the last may be 1."
            )
        bars = torch.cat([betas.new_ones(1), (1 - betas).cumprod(0)]).flip(0)  # alpha at t = 0, 1/T, ... 1

        def alpha(t: Tensor) -> Tensor:
            place = (t * len(betas)).clamp(0, len(betas))
            low = place.detach().floor().clamp(max=len(betas) - 1).long()
            at, then = (bars.to(t)[index] for index in (low, low + 1))
            return at + (place - low) * (then - at)

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
        """alpha at t and at a later s, or a sentence."""
        t, s = expect_time(t), expect_time(s)
        if not bool((t < s).all()):
            raise ValueError(
                f"t = {_range(t)} and s = {_range(s)}: expected t < s, a step towards the "
                "data (0 is masks, 1 is data; the slides count the other way)."
            )
        return self.alpha(t), self.alpha(s)

    def transition(self, s: Tensor | float, t: Tensor | float) -> Tensor:
        """Q from s down to an earlier t (more masks): (alpha_t/alpha_s) I + (1 − alpha_t/alpha_s) e_m 1ᵀ.  (K+1, K+1)

        Columns are "from", rows "to": p_t = Q p_s, each column sums to one.        (lecture 14, Absorbing Diffusion)"""
        low, high = self._ordered(t, s)
        if low.numel() != 1 or high.numel() != 1:
            raise ValueError("s and t hold several times: expected one each, since the transition is one matrix.")
        keep, size = low / high, self.vocabulary + 1
        absorb = torch.zeros(size, size, dtype=keep.dtype, device=keep.device)
        absorb[self.mask_id] = 1
        return keep * torch.eye(size, dtype=keep.dtype, device=keep.device) + (1 - keep) * absorb

    def betas(self, steps: int) -> Tensor:
        """β_1 ... β_T of the slides for T equal steps: 1 − alpha(1 − k/T) / alpha(1 − (k−1)/T).  (T,)"""
        bars = self.alpha(_grid(steps)).flip(0)
        return 1 - bars[1:] / bars[:-1]

    def unmask(self, t: Tensor | float, s: Tensor | float) -> Tensor:
        """(alpha_s − alpha_t) / (1 − alpha_t): how likely a masked token appears between t and s, whichever it is.

        (Lecture 14, posterior, case 2; there alpha-bar_{k−1} β_k / (1 − alpha-bar_k).)"""
        low, high = self._ordered(t, s)
        return (high - low) / (1 - low)

    def weights(self, steps: int) -> Tensor:
        """The ELBO's weights of T equal steps, from data to masks: w_k = abar_{k−1} β_k / (1 − abar_k).  (T,)"""
        ts = _grid(steps)
        return self.unmask(ts[:-1], ts[1:]).flip(0)

    def marginal(self, data: TableDistribution, t: Tensor | float) -> TableDistribution:
        """p_t when the data are a table: again a table, over one more symbol, the mask."""
        self._same(data)
        q = (
            self.transition(1.0, t).to(data.probs)
            if float(t) < 1
            else torch.eye(self.vocabulary + 1).to(data.probs)
        )
        probs = data.probs
        for axis in range(probs.ndim):
            probs = torch.tensordot(q[:, :-1], probs, ([1], [axis])).movedim(0, axis)
        return TableDistribution(probs, f"{data.name}, masked at t = {float(t):.2f}")

    def posterior(self, xt: Tensor, x1: Tensor, t: Tensor | float, s: Tensor | float) -> Tensor:
        """q(x_s | x_t, x1) for t < s: x_t where it is visible; where masked, x1 with ``unmask(t, s)``, else the mask.

        xt, x1 (B, *event) -> (B, *event, K + 1)                                    (lecture 14, posterior, both cases)"""
        xt, x1 = self._tokens(xt, "xt", self.mask_id), self._tokens(x1, "x1", self.vocabulary - 1)
        size, masked = self.vocabulary + 1, (xt == self.mask_id)[..., None]
        if bool((~masked[..., 0] & (xt != x1)).any()):
            raise ValueError(
                "xt shows a token that differs from x1: expected each token of xt to be that of x1, or masked."
            )
        appear = expand_time(self.unmask(t, s), xt)[..., None]
        stay = F.one_hot(xt, size).to(appear)
        return torch.where(masked, (1 - appear) * stay + appear * F.one_hot(x1, size).to(appear), stay)

    # --- the protocol of paths

    def sample_source(self, like: Tensor) -> Tensor:
        """The hour of each token, x0 ~ U[0, 1].  (B, *event)"""
        return torch.rand(like.shape, device=like.device)

    def add_jitter(self, x0: Tensor) -> Tensor:
        return x0

    def posterior_std(self, prediction: TokenPrediction, s: Tensor | float) -> Tensor:
        raise ValueError(
            "tokens have no noise to renew, ddim draws from the posterior already: expected ddim or maskgit_step."
        )

    def sigma(self, t: Tensor) -> Tensor:
        raise ValueError(
            "a mask path has no sigma: expected method=ddim or maskgit_step, not one that follows a score."
        )

    def initial_state(self, x0: Tensor, t: Tensor) -> Tensor:
        """All masked; or, where x0 are tokens, these: what is visible is given, what is masked is to be filled in."""
        if not x0.is_floating_point():
            return self._tokens(x0, "x0", self.mask_id)
        return torch.full(x0.shape, self.mask_id, device=x0.device)

    def endpoints(self, x1: Tensor, x0: Tensor, t: Tensor | float) -> TokenPair:
        """Hidden where x0 >= alpha(t).  x1, x0 (B, *event), t () or (B,)"""
        t = expect_time(t)
        if x0.shape != x1.shape:
            raise ValueError(
                f"x0 has shape {tuple(x0.shape)}: expected an hour for each token, {tuple(x1.shape)}."
            )
        return TokenPair(x1.long(), x0 >= expand_time(self.alpha(t), x0), t)

    def interpolate(self, endpoints: TokenPair) -> Tensor:
        """x_t: the mask where the pair is hidden."""
        return torch.where(endpoints.hidden, self.mask_id, endpoints.x1)

    def corrupt(self, x1: Tensor, t: Tensor | float, x0: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(x_t, x0): every token hidden on its own with probability 1 − alpha(t).  x1 (B, *event), t () or (B,)"""
        x1 = self._tokens(x1, "x1", self.vocabulary - 1)
        x0 = self.sample_source(x1) if x0 is None else x0
        return self.interpolate(self.endpoints(x1, x0, t)), x0

    def predict(self, xt: Tensor, t: Tensor | float, **known: Tensor) -> TokenPrediction:
        """The logits of the clean tokens, ``data=`` (B, *event, K), with where and when they were given."""
        if set(known) != {"data"}:
            raise ValueError(
                f"predict was given {sorted(known) or 'nothing'}: on a mask path expected data=, the logits."
            )
        xt = self._tokens(xt, "xt", self.mask_id)
        return TokenPrediction(self.check_output(known["data"], xt), xt, expect_time(t))

    def step(self, prediction: TokenPrediction, s: Tensor | float) -> Tensor:
        """x_s ~ q(x_s | x_t, x̂1): each masked token appears with ``unmask(t, s)``, and then as the guess has it."""
        appear = torch.rand(prediction.xt.shape, device=prediction.xt.device) < expand_time(
            self.unmask(prediction.t, s), prediction.xt
        )
        return torch.where(prediction.masked & appear, prediction.sample(), prediction.xt)

    def check_input(self, x1: Tensor, event: tuple[int, ...], device: torch.device) -> None:
        """A batch to train on, or a sentence."""
        expect_some(self._tokens(x1, "x1", self.vocabulary - 1), "x1")
        if tuple(x1.shape[1:]) != event or x1.device != device:
            raise ValueError(
                f"x1 has shape {tuple(x1.shape)} on {x1.device}: expected (B, {', '.join(map(str, event))}) "
                f"on {device}."
            )

    def check_output(self, answer: Tensor, xt: Tensor) -> Tensor:
        """A network's logits as float32, or a sentence."""
        if answer.shape != (*xt.shape, self.vocabulary):
            raise ValueError(
                f"the net's answer has shape {tuple(answer.shape)}: expected logits "
                f"{(*xt.shape, self.vocabulary)}, one for each clean token."
            )
        return answer.float() if answer.dtype in (torch.bfloat16, torch.float16) else answer

    def loss(self, answer: Tensor, endpoints: TokenPair, prediction: str) -> Tensor:
        """Mean over the batch of w_t Σ_masked −log p(x1 | x_t): in nats a sample.      (lecture 14, Simplified Training)"""
        surprise = F.cross_entropy(answer.flatten(0, -2), endpoints.x1.flatten(), reduction="none").view(
            endpoints.x1.shape
        )
        weight = self.weight(self, endpoints.t.clamp(max=1 - 1e-6))
        return (weight * (surprise * endpoints.hidden).flatten(1).sum(1)).mean()

    def elbo(self, field: PathField, x1: Tensor, steps: int | None = None, draws: int = 8) -> Tensor:
        """−E Σ_k w_k Σ_masked −log p(x1 | x_t) ≤ log p(x1), in nats; steps None: continuous time.  -> (B,)

        With steps T every one of the T terms is looked at once a draw; without, ``draws`` stratified times a sample."""
        x1 = self._tokens(x1, "x1", self.vocabulary - 1)
        if draws < 1:
            raise ValueError(f"draws is {draws}: expected at least one.")
        bounds = [
            torch.stack([self._term(field, x1, t, weight) for t, weight in self._looks(x1, steps, draws)]).sum(0)
            for _ in range(1 if steps is None else draws)
        ]
        return -torch.stack(bounds).mean(0)

    def _looks(self, x1: Tensor, steps: int | None, draws: int) -> list[tuple[Tensor, Tensor]]:
        """Times and weights, each () or (B,), whose weighted terms add up to the bound."""
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
        surprise = -prediction.logits.log_softmax(-1).gather(-1, x1[..., None])[..., 0]
        return weight * torch.where(endpoints.hidden, surprise, 0.0).flatten(1).sum(1)

    def _same(self, data: TableDistribution) -> None:
        if data.symbols != self.vocabulary:
            raise ValueError(
                f"the table has {data.symbols} symbols, the path {self.vocabulary} tokens: expected the same."
            )

    def exact(self, data: TableDistribution) -> ExactTokens:
        """The perfect model of this path for these data."""
        return ExactTokens(self, data)

    def _tokens(self, x: Tensor, name: str, highest: int) -> Tensor:
        """x as int64 where it holds integers from 0 to ``highest``, or a sentence."""
        if not isinstance(x, Tensor) or x.is_floating_point() or x.dtype == torch.bool:
            came = f"dtype {x.dtype}" if isinstance(x, Tensor) else f"type {type(x).__name__}"
            raise TypeError(f"{name} has {came}: expected tokens, a tensor of integers (x.long() converts).")
        low, high = (int(end) for end in torch.aminmax(x)) if x.numel() and x.device.type == "cpu" else (0, 0)
        if high == self.mask_id > highest and low >= 0:
            raise ValueError(
                f"{name} is masked already in {int((x == self.mask_id).sum())} of {x.numel()} places "
                f"(token {self.mask_id}): expected clean tokens, 0 to {highest}."
            )
        if low < 0 or high > highest:
            raise ValueError(f"{name} runs from {low} to {high}: expected tokens 0 to {highest}.")
        return x.long()

    def __repr__(self) -> str:
        return f"{self.name} path: one of {self.vocabulary} tokens is visible with probability alpha(t), else {self.mask_id}"


class ExactTokens(PathField):
    """The perfect model of a mask path: p(x1 | what is visible), by Bayes' rule over every sequence of a table."""

    def __init__(self, path: MaskPath, data: TableDistribution) -> None:
        super().__init__()
        path._same(data)
        self.path, self.data = path, data

    def start(self, n: int) -> Tensor:
        return self.path.sample_source(torch.empty(n, *self.data.event, device=self.data.probs.device))

    def predict(self, xt: Tensor, t: Tensor | float) -> TokenPrediction:
        """p(x1 | x_t): the time does not matter, only what is visible; any token where the data never look so.  xt (B, L)"""
        probs = self.data.conditional(xt).nan_to_num(
            1 / self.data.symbols
        )  # tokens drawn together may fit no sequence
        return self.path.predict(xt, t, data=probs.log())

    def __repr__(self) -> str:
        return f"exact tokens of the {self.path.name} path for {self.data!r}"


def maskgit_step(field: PathField, x: Any, t: Tensor, dt: Tensor) -> Tensor:
    """As many tokens as ``ddim`` reveals on average, but those first whose drawn value the model is surest of.

    (MaskGIT, Chang et al. 2022.)  Greedy in the order: its samples follow no stated distribution."""
    prediction = expect_model(field).predict(x, t)
    tokens, share = prediction.sample(), float(field.path.unmask(t, t + dt))
    sure = prediction.data.gather(-1, tokens[..., None])[..., 0].masked_fill(~prediction.masked, -1.0).flatten(1)
    rank = sure.argsort(1, descending=True).argsort(1)
    chosen = rank < (prediction.masked.flatten(1).sum(1, keepdim=True) * share).round()
    return torch.where(prediction.masked & chosen.view(x.shape), tokens, x)


def _grid(steps: int) -> Tensor:
    """steps + 1 equal times, or a sentence."""
    if steps < 1:
        raise ValueError(f"steps is {steps}: expected at least one.")
    return torch.linspace(0, 1, steps + 1, dtype=torch.float64)


def _range(t: Tensor) -> str:
    low, high = (float(end) for end in torch.aminmax(t))
    return f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
