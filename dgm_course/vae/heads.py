"""Heads: a network's numbers become a distribution, p(x | z) at one end of a VAE and q(z | x) at the other.

    Gaussian head, fixed std:   −log p(x|z) = ‖x − mean(z)‖² / 2σ² + const        the squared error of the slides
    Bernoulli head:             −log p(x|z) = −Σ x log p + (1 − x) log(1 − p)      the cross-entropy, for bits only

(Intro lecture, "VAE loss function": the slide pairs Bernoulli with the squared error; it belongs to the Gaussian.)

A distribution here belongs to a batch of conditions: its parameters are (B, *event), ``sample(n)`` is (n, B, *event) and
``log_prob`` takes (..., B, *event) to (..., B).  Samples of Gaussians are reparameterised: gradients pass through them.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.distributions import Gaussian, normal_log_prob

LOG_STD = 8.0  # e^±8: a guard against overflow, far from anything a trained model wants


class DiagonalGaussian:
    """N(mean, diag std²), one for each row of a batch.  mean, std (B, *event), std > 0"""

    def __init__(self, mean: Tensor, std: Tensor | float) -> None:
        self.mean = mean
        self.std = torch.as_tensor(std, dtype=mean.dtype, device=mean.device).expand_as(mean)

    @property
    def event(self) -> torch.Size:
        return self.mean.shape[1:]

    def sample(self, n: int) -> Tensor:
        """z = mean + std ⊙ ε, ε ~ N(0, I).  -> (n, B, *event), differentiable      (lecture 5, Reparameterization Trick)"""
        eps = torch.randn(n, *self.mean.shape, dtype=self.mean.dtype, device=self.mean.device)
        return self.mean + self.std * eps

    def log_prob(self, x: Tensor) -> Tensor:
        """log N(x; mean, std²), summed over the event.  x (..., B, *event) -> (..., B)"""
        x = _expect_event(x, self.mean)
        return normal_log_prob(x, self.mean, self.std).flatten(x.ndim - len(self.event)).sum(-1)

    def __repr__(self) -> str:
        return (f"{len(self.mean)} diagonal Gaussians over {tuple(self.event)}: mean {float(self.mean.detach().mean()):.3g}"
                f", std {float(self.std.detach().mean()):.3g} (averages)")


class Bernoulli:
    """Independent bits with P(1) = sigmoid(logits), one set for each row of a batch.  logits (B, *event)"""

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits

    @property
    def event(self) -> torch.Size:
        return self.logits.shape[1:]

    @property
    def mean(self) -> Tensor:
        """P(1), the grey picture that is usually shown.  (B, *event) in [0, 1]"""
        return self.logits.sigmoid()

    def sample(self, n: int) -> Tensor:
        """Bits.  -> (n, B, *event) of integers 0 and 1"""
        return torch.bernoulli(self.mean.detach().expand(n, *self.logits.shape)).long()

    def log_prob(self, x: Tensor) -> Tensor:
        """Σ x log p + (1 − x) log(1 − p) over the event: minus the cross-entropy.  x (..., B, *event) bits -> (..., B)"""
        x = expect_bits(_expect_event(x, self.logits)).to(self.logits.dtype)
        surprise = F.binary_cross_entropy_with_logits(self.logits.expand(x.shape), x, reduction="none")
        return -surprise.flatten(x.ndim - len(self.event)).sum(-1)

    def __repr__(self) -> str:
        average = float(self.mean.detach().mean())
        return f"{len(self.logits)} sets of bits over {tuple(self.event)}: P(1) {average:.3g} on average"


class CausalBernoulli(Bernoulli):
    """Bits that also hear each other: logit_i = logits_i + history(x_<i), places row by row.      (a strong decoder)

    history: a network that is causal, x (B, *event) -> (B, *event), such as masked convolutions."""

    def __init__(self, logits: Tensor, history: nn.Module) -> None:
        super().__init__(logits)
        self.history = history

    def log_prob(self, x: Tensor) -> Tensor:
        """The chain rule in one pass: every place is told the bits before it.  x (B, *event) -> (B,)"""
        x = expect_bits(_expect_event(x, self.logits)).to(self.logits.dtype)
        return Bernoulli(self.logits + self.history(x)).log_prob(x)

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """Bit by bit, each told those before it: as many passes as places.  -> (n, B, *event)"""
        logits = self.logits.expand(n, *self.logits.shape).flatten(0, 1)
        x = torch.zeros_like(logits)
        for place in range(math.prod(self.event)):
            chance = (logits + self.history(x)).flatten(1)[:, place].sigmoid()
            x.view(len(x), -1)[:, place] = torch.bernoulli(chance)
        return x.view(n, *self.logits.shape).long()


class Head(nn.Module):
    """A module called on a condition, and on a label where its network knows labels, that returns a distribution.

    net: condition (B, ...) -> parameters; event: shape of one sample of the distribution."""

    def __init__(self, net: nn.Module, event: Sequence[int] | int) -> None:
        super().__init__()
        self.net, self.event = net, torch.Size((event,) if isinstance(event, int) else event)

    def numbers(self, condition: Tensor, y: Tensor | int | None, each: int = 1) -> Tensor:
        """What the network says, `each` numbers for a coordinate of the event.  -> (B, each, *event)"""
        out = self.net(condition) if y is None else self.net(condition, y)
        wanted = each * math.prod(self.event)
        if out.numel() != len(condition) * wanted:
            raise ValueError(f"the network of {type(self).__name__} gave {out.numel() // max(1, len(condition))} numbers a "
                             f"sample: expected {wanted}, {each} for each coordinate of the event {tuple(self.event)}.")
        return out.reshape(len(condition), each, *self.event)


class GaussianHead(Head):
    """N(mean, diag std²), both from the network, which gives twice the event: means first, then log-deviations."""

    def forward(self, condition: Tensor, y: Tensor | int | None = None) -> DiagonalGaussian:
        mean, log_std = self.numbers(condition, y, 2).unbind(1)
        return DiagonalGaussian(mean, log_std.clamp(-LOG_STD, LOG_STD).exp())


class FixedGaussianHead(Head):
    """N(mean, std² I), the mean from the network, the deviation a given number: the squared error in disguise."""

    def __init__(self, net: nn.Module, event: Sequence[int] | int, std: float = 1.0) -> None:
        super().__init__(net, event)
        if not 0 < std < math.inf:
            raise ValueError(f"std is {std}: expected a number above 0.")
        self.register_buffer("log_std", torch.tensor(float(std)).log())

    def forward(self, condition: Tensor, y: Tensor | int | None = None) -> DiagonalGaussian:
        return DiagonalGaussian(self.numbers(condition, y)[:, 0], self.log_std.exp())


class SharedGaussianHead(FixedGaussianHead):
    """As the fixed one, but its one deviation is learned; at the optimum its square is the mean squared error a pixel."""

    def __init__(self, net: nn.Module, event: Sequence[int] | int, std: float = 1.0) -> None:
        super().__init__(net, event, std)
        log_std = self.log_std
        del self.log_std
        self.log_std = nn.Parameter(log_std)


class BernoulliHead(Head):
    """Bits with logits from the network."""

    def forward(self, condition: Tensor, y: Tensor | int | None = None) -> Bernoulli:
        return Bernoulli(self.numbers(condition, y)[:, 0])


class CausalHead(Head):
    """Bits with logits from the network *and* from the bits before: a decoder so strong that it may do without z.

    history: a causal network x (B, *event) -> (B, *event), passed in."""

    def __init__(self, net: nn.Module, event: Sequence[int] | int, history: nn.Module) -> None:
        super().__init__(net, event)
        self.history = history

    def forward(self, condition: Tensor, y: Tensor | int | None = None) -> CausalBernoulli:
        return CausalBernoulli(self.numbers(condition, y)[:, 0], self.history)


def is_diagonal(distribution: Any) -> bool:
    """Whether mean and std say everything about it, so that a KL has a closed form."""
    return isinstance(distribution, (DiagonalGaussian, Gaussian))


def gaussian_kl(q: DiagonalGaussian, p: DiagonalGaussian | Gaussian) -> Tensor:
    """KL(q ‖ p) = Σ_d log(s_p/s_q) + (s_q² + (m_q − m_p)²) / 2s_p² − ½.  -> (B,)    (intro lecture, VAE loss function)"""
    each = (p.std / q.std).log() + (q.std**2 + (q.mean - p.mean) ** 2) / (2 * p.std**2) - 0.5
    return each.flatten(1).sum(1)


def expect_bits(x: Tensor) -> Tensor:
    """x where it holds nothing but 0 and 1, or a sentence: on grey values the cross-entropy is no log-likelihood."""
    if x.device.type != "cpu":  # a look at a GPU's values would wait for it
        return x
    grey = x[~((x == 0) | (x == 1))]
    if grey.numel():
        raise ValueError(f"x holds {float(grey[0]):.3g} and {grey.numel() - 1:,} other values that are not bits: a Bernoulli"
                         " head expects 0 and 1 only. Draw bits by data.binarise(images, 'dynamic'), or take a Gaussian.")
    return x


def _expect_event(x: Tensor, parameters: Tensor) -> Tensor:
    """x (..., B, *event) for parameters (B, *event), or a sentence."""
    if tuple(x.shape[max(0, x.ndim - parameters.ndim):]) != tuple(parameters.shape):
        raise ValueError(f"x has shape {tuple(x.shape)}: expected (..., {', '.join(map(str, parameters.shape))}), one "
                         "sample for each condition.")
    if x.device != parameters.device:
        raise ValueError(f"x is on the device {x.device}: expected {parameters.device}.")
    return x
