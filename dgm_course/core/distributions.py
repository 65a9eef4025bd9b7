"""Distributions with exact answers.

* `DiagNormal`: torch's Independent(Normal), with batch and event shapes; `StandardNormal`: N(0, I) as a module.
* `Mixture` of Gaussians: log_prob, score and samples in closed form.  Scaled, with Gaussian noise added, it stays a
  mixture, so its marginal along any Gaussian path is exact.
* `TableDistribution`: short sequences of tokens, with their probabilities in a table.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal

from .checks import expect_batch

Count = int | Sequence[int]  # of samples: a number or a shape


class IndependentEvent(Independent):
    """torch's Independent over the last ``ndims`` axes; empty batches work, and samples are (n, *batch, *event)."""

    def __init__(self, base: Distribution, ndims: int, device: torch.device) -> None:
        super().__init__(base, ndims, validate_args=False)
        self.device = device

    def log_prob(self, x: Tensor) -> Tensor:
        """Σ over the event; torch's own fails on an empty batch.  x (..., *batch, *event) -> (..., *batch)"""
        each = self.base_dist.log_prob(self._expect(x))
        return each.flatten(-len(self.event_shape)).sum(-1) if self.event_shape else each

    def _extended_shape(self, n: Count = ()) -> torch.Size:
        """(n, *batch, *event)"""
        return super()._extended_shape(torch.Size((n,) if isinstance(n, int) else n))

    def _expect(self, x: Tensor) -> Tensor:
        """x itself, if it broadcasts to this batch and event and is on its device."""
        shape, event = self.batch_shape + self.event_shape, x.shape[max(0, x.ndim - len(self.event_shape)) :]
        if event != self.event_shape or any(
            a != b and 1 not in (a, b) for a, b in zip(x.shape[::-1], shape[::-1])
        ):
            expected = f"(..., {', '.join(map(str, shape))}), one sample for each condition"
            raise ValueError(f"x has shape {tuple(x.shape)}: expected {expected}.")
        if x.device != self.device:
            raise ValueError(f"x is on the device {x.device}: expected {self.device}.")
        return x


class DiagNormal(IndependentEvent):
    """N(mean, diag std²): torch's Independent(Normal).  mean (*batch, *event) with ``ndims`` axes of the event."""

    def __init__(self, mean: Tensor, std: Tensor | float, ndims: int = 1) -> None:
        if not isinstance(std, Tensor) and not std > 0:
            raise ValueError(f"a standard deviation is {std:.4g}: expected it above 0.")
        std = torch.as_tensor(std, dtype=mean.dtype, device=mean.device)
        super().__init__(Normal(mean, std, validate_args=False), ndims, mean.device)

    def rsample(self, n: Count = ()) -> Tensor:
        """mean + std ⊙ ε, ε ~ N(0, I), differentiable.                        (lecture 5, Reparameterization Trick)"""
        shape = self._extended_shape(n)
        eps = torch.randn(shape, dtype=self.mean.dtype, device=self.device)  # torch.normal would sync a GPU
        return self.mean + self.stddev * eps

    @torch.no_grad()
    def sample(self, n: Count = ()) -> Tensor:
        """As ``rsample``, without a gradient.  -> (n, *batch, *event)"""
        return self.rsample(n)

    def __repr__(self) -> str:
        mean, std = self.mean.mean(), self.stddev.mean()
        return f"Gaussian over {tuple(self.event_shape)}: mean {mean:.3g}, std {std:.3g} (averages)"


class StandardNormal(nn.Module):
    """N(0, I) over an event, as a module without weights: it follows the model's dtype and device."""

    def __init__(self, *event: int) -> None:
        super().__init__()
        self.event = torch.Size(event)
        self.register_buffer("zero", torch.zeros(()), persistent=False)

    @property
    def mean(self) -> Tensor:
        """(*event)"""
        return self.zero.expand(self.event)

    @property
    def stddev(self) -> Tensor:
        """(*event)"""
        return self.mean + 1

    def log_prob(self, z: Tensor) -> Tensor:
        """log N(z; 0, I).  z (B, *event) -> (B,)"""
        expect_batch(z, self.event, "z", on=self.zero.device)
        return DiagNormal(self.mean, 1.0, len(self.event)).log_prob(z)

    def sample(self, n: int) -> Tensor:
        """-> (n, *event)"""
        return torch.randn(n, *self.event, dtype=self.zero.dtype, device=self.zero.device)

    def __repr__(self) -> str:
        return f"N(0, I) over {tuple(self.event)}"


class Mixture:
    """p(x) = Σ_k w_k N(x; m_k, diag s_k²).

    weights (K,), positive, normalised here; means (K, D); stds a number, (K, 1) or (K, D), all above 0."""

    def __init__(self, weights: Tensor, means: Tensor, stds: Tensor | float, name: str = "mixture") -> None:
        if means.ndim != 2 or weights.shape != means.shape[:1]:
            came = f"weights of shape {tuple(weights.shape)} and means of shape {tuple(means.shape)}"
            raise ValueError(f"{came}: expected (K,) and (K, D).")
        expect_batch(means, name="means")
        if not (weights > 0).all():
            raise ValueError(f"a weight is {float(weights.min()):.4g}: expected all of them above 0.")
        stds = torch.as_tensor(stds).to(means)
        if tuple(stds.shape) not in ((), (len(means), 1), tuple(means.shape)) or not (stds > 0).all():
            expected = f"a number, (K, 1) or {tuple(means.shape)}, all above 0"
            raise ValueError(f"stds of shape {tuple(stds.shape)}: expected {expected}.")
        self.weights, self.means, self.stds = (weights / weights.sum()).to(means), means, stds.expand(means.shape)
        self.name = name

    @property
    def event(self) -> torch.Size:
        return self.means.shape[1:]

    @property
    def mean(self) -> Tensor:
        """E[x] = Σ_k w_k m_k.  (D,)"""
        return self.weights @ self.means

    @property
    def cov(self) -> Tensor:
        """Cov[x] = Σ_k w_k (diag s_k² + m_k m_kᵀ) − E[x] E[x]ᵀ.  (D, D)"""
        second = torch.diag(self.weights @ self.stds**2) + (self.means.T * self.weights) @ self.means
        return second - torch.outer(self.mean, self.mean)

    def to(self, like: Tensor | torch.dtype | torch.device) -> Mixture:
        """A copy in another dtype or on another device."""
        other = copy.copy(self)
        other.weights, other.means, other.stds = (part.to(like) for part in (self.weights, self.means, self.stds))
        return other

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """k ~ w, then x ~ N(m_k, diag s_k²).  -> (n, D)"""
        if not n:
            return self.means[:0]
        return self._of(torch.multinomial(self.weights, n, replacement=True, generator=generator), generator)

    def stratified(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """As ``sample``, with n w_k points of component k, rounded: the counts have no noise.  -> (n, D)

        Use it for the reference side of a distance between samples, most of whose noise is that of the counts."""
        edges = (self.weights.cumsum(0) * n).round().long()
        counts = edges.diff(prepend=edges.new_zeros(1))
        k = torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)
        return self._of(k[torch.randperm(len(k), generator=generator, device=k.device)], generator)

    def _of(self, k: Tensor, generator: torch.Generator | None) -> Tensor:
        """One point of each component k.  index_select is several times faster than means[k]."""
        means, stds = self.means.index_select(0, k), self.stds.index_select(0, k)
        return means + stds * torch.randn(means.shape, dtype=means.dtype, device=means.device, generator=generator)

    def joint_log_prob(self, x: Tensor) -> Tensor:
        """log w_k + log N(x; m_k, s_k²).  x (B, D) -> (B, K)"""
        expect_batch(x, self.event, on=self.means.device)
        return self.weights.log() + DiagNormal(self.means, self.stds).log_prob(x[:, None])

    def log_prob(self, x: Tensor) -> Tensor:
        """log Σ_k w_k N(x; m_k, s_k²).  x (B, D) -> (B,)"""
        return self.joint_log_prob(x).logsumexp(1)

    def responsibilities(self, x: Tensor) -> Tensor:
        """p(k | x) by Bayes.  x (B, D) -> (B, K), rows sum to one"""
        return self.joint_log_prob(x).softmax(1)

    def score(self, x: Tensor) -> Tensor:
        """∇ log p(x) = Σ_k p(k|x) (m_k − x) / s_k².  x (B, D) -> (B, D)"""
        each = (self.means - x[:, None]) / self.stds**2  # (B, K, D)
        return torch.einsum("bk,bkd->bd", self.responsibilities(x), each)

    def __repr__(self) -> str:
        k, d = self.means.shape
        std = float(self.stds.mean())
        return f"{self.name}: mixture of {k} Gaussians in {d} dimensions, std {std:.3g} (average)"


class TableDistribution:
    """p(x) for every sequence of L symbols out of K.  probs (K, ..., K) with L axes, not negative, normalised here."""

    def __init__(self, probs: Tensor, name: str = "table") -> None:
        if probs.ndim < 1 or len(set(probs.shape)) != 1:
            raise ValueError(f"probs have shape {tuple(probs.shape)}: expected (K, ..., K), one axis a place.")
        if bool((probs < 0).any()) or not 0 < float(probs.sum()) < math.inf:
            raise ValueError("probs hold a negative or infinite number, or only zeros: expected probabilities.")
        self.probs, self.name = probs / probs.sum(), name

    @property
    def symbols(self) -> int:
        return self.probs.shape[0]

    @property
    def event(self) -> torch.Size:
        return torch.Size([self.probs.ndim])

    @property
    def sequences(self) -> Tensor:
        """All sequences, in the order of ``probs.flatten()``.  (K^L, L)"""
        symbols = torch.arange(self.symbols, device=self.probs.device)
        return torch.cartesian_prod(*[symbols] * self.probs.ndim).view(-1, self.probs.ndim)

    @property
    def entropy(self) -> Tensor:
        """−Σ p log p, in nats."""
        return torch.special.entr(self.probs).sum()

    def log_prob(self, x: Tensor) -> Tensor:
        """x (B, L) tokens -> (B,)"""
        self._expect(x, self.symbols)
        return self.probs[tuple(x.T.long())].log()  # uint8 would index as a mask

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """-> (n, L)"""
        if not n:
            return self.sequences[:0]
        return self.sequences[torch.multinomial(self.probs.flatten(), n, replacement=True, generator=generator)]

    def stratified(self, n: int) -> Tensor:
        """n p(x) copies of each sequence x, rounded.  -> (n, L)"""
        edges = (self.probs.flatten().double().cumsum(0) * n).round().long()
        return self.sequences[torch.repeat_interleave(edges.diff(prepend=edges.new_zeros(1)))]

    def conditional(self, x: Tensor) -> Tensor:
        """p(x_l = v | the visible tokens of x), where the token K means hidden.  x (B, L) -> (B, L, K)

        Visible tokens that have probability 0 give NaN."""
        self._expect(x, self.symbols + 1)
        fits = ((x[:, None] == self.sequences) | (x[:, None] == self.symbols)).all(-1)  # (B, K^L)
        weight = fits * self.probs.flatten()
        one_hot = torch.nn.functional.one_hot(self.sequences, self.symbols).to(weight)
        return torch.einsum("bn,nlk->blk", weight / weight.sum(1, keepdim=True), one_hot)

    def _expect(self, x: Tensor, symbols: int) -> None:
        if x.shape[1:] != self.event or x.is_floating_point() or x.dtype == torch.bool:
            came = f"x has shape {tuple(x.shape)} and dtype {x.dtype}"
            raise ValueError(f"{came}: expected integer tokens (B, {self.probs.ndim}).")
        low, high = (int(end) for end in torch.aminmax(x)) if x.numel() else (0, 0)
        if low < 0 or high >= symbols:
            raise ValueError(f"x runs from {low} to {high}: expected tokens 0 to {symbols - 1}.")

    def to(self, like: Tensor | torch.dtype | torch.device) -> TableDistribution:
        """A copy in another dtype or on another device."""
        return TableDistribution(self.probs.to(like), self.name)

    def __repr__(self) -> str:
        sequences = f"all {self.probs.numel():,} sequences of {self.probs.ndim} out of {self.symbols} symbols"
        return f"{self.name}: {sequences}, {float(self.entropy):.3g} nats"
