"""Priors p(z): an object with ``log_prob(z) -> (B,)`` and ``sample(n) -> (n, D)``, or a head called on labels.

A VAE takes those below, a distribution, a flow or another model, and trains it where it is a module.  The best prior for a
given encoder is the encoder's own average over the data:

    q_agg(z) = 1/n Σ_i q(z | x_i)                                                  (lecture 5, Optimal VAE Prior)
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..core.checks import expect_batch, expect_labels, expect_some
from ..core.distributions import DiagNormal, Mixture


class LearnedPrior(nn.Module):
    """A prior p(z | λ) that can be fitted to codes alone: ``fit(prior, AggregatedPosterior(q), recipe)``.

    Only the marginal KL depends on λ: KL(q_agg ‖ p(z|λ)) = −E_q_agg log p(z|λ) − H(q_agg), maximum likelihood on codes."""

    graph_safe = True  # a training step is the same operations each time

    def loss(self, z: Tensor) -> Tensor:
        """−mean log p(z | λ): the forward KL up to the entropy of q_agg.  z (B, D) -> ()   (lecture 5, ELBO Revisiting)"""
        return -self.log_prob(expect_some(z, "z")).mean()


class ClassPrior(nn.Module):
    """p(z | y) = N(m_y, diag s_y²), one learned Gaussian a label: a head called on labels.              (conditional VAE)"""

    def __init__(self, classes: int, dim: int) -> None:
        super().__init__()
        self.means = nn.Parameter(torch.zeros(classes, dim))
        self.log_stds = nn.Parameter(torch.zeros(classes, dim))

    @property
    def event(self) -> torch.Size:
        return self.means.shape[1:]

    def forward(self, y: Tensor) -> DiagNormal:
        """The Gaussians of n labels.  y (n,)"""
        y = expect_labels(y, len(self.means), len(y), self.means.device)
        return DiagNormal(self.means[y], self.log_stds[y].exp())

    def __repr__(self) -> str:
        return f"a Gaussian for each of {len(self.means)} labels in {self.means.shape[1]} dimensions, learned"


class MixturePrior(LearnedPrior):
    """p(z) = Σ_k w_k N(z; m_k, diag s_k²), all of it learned; the means start at random with deviation `spread`."""

    def __init__(self, components: int, dim: int, spread: float = 1.0) -> None:
        super().__init__()
        if components < 1 or dim < 1:
            raise ValueError(f"components is {components} and dim {dim}: expected at least 1 of each.")
        self.logits = nn.Parameter(torch.zeros(components))
        self.means = nn.Parameter(spread * torch.randn(components, dim))
        self.log_stds = nn.Parameter(torch.zeros(components, dim))

    @property
    def event(self) -> torch.Size:
        return self.means.shape[1:]

    @property
    def mixture(self) -> Mixture:
        """The same as a `Mixture`, which has a score and moments."""
        weights, means, log_stds = self.logits.detach().softmax(0), self.means.detach(), self.log_stds.detach()
        return Mixture(weights, means, log_stds.exp(), "mixture prior")

    def log_prob(self, z: Tensor) -> Tensor:
        """log Σ_k w_k N(z; m_k, s_k²).  z (B, D) -> (B,)"""
        expect_batch(z, self.event, "z", self.means.device)
        each = DiagNormal(self.means, self.log_stds.exp()).log_prob(z[:, None])  # (B, K)
        return (self.logits.log_softmax(0) + each).logsumexp(1)

    def sample(self, n: int) -> Tensor:
        """A component k ~ w, then a point of it.  -> (n, D)"""
        return self.mixture.sample(n)

    def __repr__(self) -> str:
        return f"mixture of {len(self.means)} Gaussians in {self.means.shape[1]} dimensions, learned"


class VampPrior(LearnedPrior):
    """p(z) = 1/K Σ_k q(z | u_k): the encoder's posteriors of K learned pseudo-inputs u_k.     (Tomczak & Welling 2018)

    encoder: the VAE's own, shared; inputs (K, *event): where the u_k start, such as K images."""

    def __init__(self, encoder: nn.Module, inputs: Tensor) -> None:
        super().__init__()
        expect_some(inputs, "inputs")
        self.inputs = nn.Parameter((inputs if inputs.is_floating_point() else inputs.float()).detach().clone())
        self._shared = (encoder,)  # in a tuple, so that its weights are not counted as the prior's

    def _apply(self, change: Callable[[Tensor], Tensor], recurse: bool = True) -> VampPrior:
        """The encoder follows the inputs to another device or dtype."""
        self._shared[0]._apply(change)
        return super()._apply(change, recurse)

    @property
    def posteriors(self) -> DiagNormal:
        """q(z | u_k), K of them."""
        return self._shared[0](self.inputs)

    def log_prob(self, z: Tensor) -> Tensor:
        """log 1/K Σ_k q(z | u_k).  z (B, D) -> (B,)"""
        q = self.posteriors
        expect_batch(z, q.event_shape, "z", q.mean.device)
        return q.log_prob(z[:, None]).logsumexp(1) - math.log(len(q.mean))

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """A pseudo-input at random, then a latent of it.  -> (n, D)"""
        q = self.posteriors
        which = torch.randint(len(q.mean), (n,), device=q.mean.device)
        return DiagNormal(q.mean[which], q.stddev[which]).sample()

    def __repr__(self) -> str:
        return f"VampPrior of {len(self.inputs)} pseudo-inputs {tuple(self.inputs.shape[1:])}"


class AggregatedPosterior(Mixture):
    """q_agg(z) = 1/n Σ_i q(z | x_i) over given data, exactly: a mixture of n Gaussians, O(nD) an evaluation.

    Nothing here is learned, and a VAE with this prior must keep its training set."""

    block = 4_000_000  # numbers held at once by log_prob

    def __init__(self, q: DiagNormal) -> None:
        expect_some(q.mean, "q")
        super().__init__(q.mean.new_ones(len(q.mean)), q.mean.detach(), q.stddev.detach(), "aggregated posterior")

    def joint_log_prob(self, z: Tensor) -> Tensor:
        """log 1/n + log q(z | x_i), in blocks of rows.  z (B, D) -> (B, n)"""
        return torch.cat([super(AggregatedPosterior, self).joint_log_prob(part) for part in z.split(self._rows)])

    def log_prob(self, z: Tensor) -> Tensor:
        """log 1/n Σ_i q(z | x_i), in blocks of rows.  z (B, D) -> (B,)"""
        joint = super().joint_log_prob
        return torch.cat([joint(part).logsumexp(1) for part in z.split(self._rows)])

    @property
    def _rows(self) -> int:
        return max(1, self.block // self.means.numel())
