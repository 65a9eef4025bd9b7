"""Heads: modules called on a condition that return a torch Distribution, q(z | x) and p(x | z) of a VAE.

    Gaussian head, fixed std:   −log p(x|z) = ‖x − mean(z)‖² / 2σ² + const        the squared error of the slides
    Bernoulli head:             −log p(x|z) = −Σ x log p + (1 − x) log(1 − p)      the cross-entropy, for bits only

(Intro lecture, "VAE loss function": the slide pairs Bernoulli with the squared error; it belongs to the Gaussian.)
A batch of B conditions gives B distributions: sample(n) is (n, B, *event), log_prob takes (..., B, *event).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..core.distributions import Count, DiagNormal, IndependentEvent, StandardNormal

LOG_STD = 8.0  # e^±8: against overflow, far from any trained model
Event = Sequence[int] | int
Labels = Tensor | int | None


class IndependentBernoulli(IndependentEvent):
    """Independent bits with P(1) = sigmoid(logits).  logits (*batch, *event) with ``ndims`` axes of the event"""

    def __init__(self, logits: Tensor, ndims: int = 1) -> None:
        super().__init__(torch.distributions.Bernoulli(logits=logits, validate_args=False), ndims, logits.device)

    @property
    def logits(self) -> Tensor:
        return self.base_dist.logits

    @torch.no_grad()
    def sample(self, n: Count = ()) -> Tensor:
        """-> (n, *batch, *event) of integers 0 and 1"""
        return torch.bernoulli(self.mean.expand(self._extended_shape(n))).long()

    def log_prob(self, x: Tensor) -> Tensor:
        """Σ x log p + (1 − x) log(1 − p): minus the cross-entropy.  x (..., *batch, *event) bits -> (..., *batch)"""
        return super().log_prob(expect_bits(self._expect(x)).to(self.logits.dtype))


class CausalBernoulli(IndependentBernoulli):
    """Bits that depend on earlier bits: logit_i = logits_i + history(x_<i), in row-major order.

    logits (B, *event); history: a causal network x (B, *event) -> (B, *event), such as masked convolutions."""

    def __init__(self, logits: Tensor, history: nn.Module) -> None:
        super().__init__(logits, logits.ndim - 1)
        self.history = history

    def log_prob(self, x: Tensor) -> Tensor:
        """The chain rule in one pass.  x (B, *event) -> (B,)"""
        x = expect_bits(self._expect(x)).to(self.logits.dtype)
        return IndependentBernoulli(self.logits + self.history(x), len(self.event_shape)).log_prob(x)

    @torch.no_grad()
    def sample(self, n: Count = ()) -> Tensor:
        """Bit by bit, one pass for each place.  -> (n, B, *event)"""
        logits = self.logits.expand(self._extended_shape(n))
        rows = logits.reshape(-1, *self.event_shape)
        x = torch.zeros_like(rows)
        for place in range(math.prod(self.event_shape)):
            chance = (rows + self.history(x)).flatten(1)[:, place].sigmoid()
            x.view(len(x), -1)[:, place] = torch.bernoulli(chance)
        return x.view(logits.shape).long()


class Head(nn.Module):
    """A module that returns a distribution for a condition, and a label where its network takes labels.

    net: condition (B, ...) -> parameters; event: shape of one sample of the distribution."""

    def __init__(self, net: nn.Module, event: Event) -> None:
        super().__init__()
        self.net, self.event = net, torch.Size((event,) if isinstance(event, int) else event)

    def numbers(self, condition: Tensor, y: Labels, each: int = 1) -> Tensor:
        """The network's output, `each` numbers for a coordinate of the event.  -> (B, each, *event)"""
        out = self.net(condition) if y is None else self.net(condition, y)
        wanted = each * math.prod(self.event)
        if out.numel() != len(condition) * wanted:
            count = out.numel() // max(1, len(condition))
            raise ValueError(
                f"{type(self).__name__}: the network gave {count} numbers a sample, expected {wanted}."
            )
        return out.reshape(len(condition), each, *self.event)


class GaussianHead(Head):
    """N(mean, diag std²), both from the network, which gives twice the event: means first, then log-deviations."""

    def forward(self, condition: Tensor, y: Labels = None) -> DiagNormal:
        mean, log_std = self.numbers(condition, y, 2).unbind(1)
        return DiagNormal(mean, log_std.clamp(-LOG_STD, LOG_STD).exp(), len(self.event))


class FixedGaussianHead(Head):
    """N(mean, std² I), the mean from the network, the deviation given: the squared error."""

    log_std: Tensor

    def __init__(self, net: nn.Module, event: Event, std: float = 1.0) -> None:
        super().__init__(net, event)
        if not 0 < std < math.inf:
            raise ValueError(f"std is {std}: expected a number above 0.")
        self.register_buffer("log_std", torch.tensor(float(std)).log())

    def forward(self, condition: Tensor, y: Labels = None) -> DiagNormal:
        return DiagNormal(self.numbers(condition, y)[:, 0], self.log_std.exp(), len(self.event))


class SharedGaussianHead(FixedGaussianHead):
    """As the fixed one, with its one deviation learned; at the optimum its square is the mean squared error a pixel."""

    def __init__(self, net: nn.Module, event: Event, std: float = 1.0) -> None:
        super().__init__(net, event, std)
        log_std = self.log_std
        del self.log_std
        self.log_std = nn.Parameter(log_std)


class BernoulliHead(Head):
    """Bits with logits from the network."""

    def forward(self, condition: Tensor, y: Labels = None) -> IndependentBernoulli:
        return IndependentBernoulli(self.numbers(condition, y)[:, 0], len(self.event))


class CausalHead(Head):
    """Bits with logits from the network *and* from the bits before: a decoder so strong that it may ignore z.

    history: a causal network x (B, *event) -> (B, *event), passed in."""

    def __init__(self, net: nn.Module, event: Event, history: nn.Module) -> None:
        super().__init__(net, event)
        self.history = history

    def forward(self, condition: Tensor, y: Labels = None) -> CausalBernoulli:
        return CausalBernoulli(self.numbers(condition, y)[:, 0], self.history)


def is_diagonal(distribution: Any) -> bool:
    """Whether it is a Gaussian with independent coordinates, for which a KL has a closed form."""
    return isinstance(distribution, (DiagNormal, StandardNormal))


def gaussian_kl(q: DiagNormal, p: DiagNormal | StandardNormal) -> Tensor:
    """KL(q ‖ p) = Σ_d log(s_p/s_q) + (s_q² + (m_q − m_p)²) / 2s_p² − ½.  -> (B,)    (intro lecture, VAE loss function)"""
    each = (p.stddev / q.stddev).log() + (q.stddev**2 + (q.mean - p.mean) ** 2) / (2 * p.stddev**2) - 0.5
    return each.flatten(-len(q.event_shape)).sum(-1)


def expect_bits(x: Tensor) -> Tensor:
    """x where it holds nothing but 0 and 1, or an error: on grey values the cross-entropy is no log-likelihood."""
    if x.device.type != "cpu":  # a check would sync a GPU
        return x
    grey = x[~((x == 0) | (x == 1))]
    if grey.numel():
        raise ValueError(f"x holds {float(grey[0]):.3g}, not bits: expected 0 and 1, as data.binarise gives.")
    return x
