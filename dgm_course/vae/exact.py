"""Worlds in which everything about a latent variable is known: one with a continuous z, one with a discrete one.

*Linear-Gaussian* (probabilistic PCA):  z ~ N(0, I),  x = W z + b + σ ε.  log p, the posterior, the ELBO of any q and the gap
between them have closed forms.  Its parts fit a VAE as encoder, decoder and prior; the bound is then tight.

*Mixture of Gaussians*:  z is a component k, the exact E-step is Bayes' rule, the M-step a weighted mean.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal, kl_divergence, register_kl

from ..core.checks import expect_batch, expect_some
from ..core.distributions import DiagNormal, Mixture, StandardNormal
from .heads import gaussian_kl


@register_kl(DiagNormal, MultivariateNormal)
def _kl_to_full(q: DiagNormal, p: MultivariateNormal) -> Tensor:
    """KL(q ‖ p) of a diagonal q and a full p, in closed form.  -> (B,)"""
    return kl_divergence(MultivariateNormal(q.mean, scale_tril=torch.diag_embed(q.stddev), validate_args=False), p)


class LinearGaussian(nn.Module):
    """z ~ N(0, I), x = W z + b + σ ε: probabilistic PCA.  weight (D, d), bias (D,), std a number above 0

    ``VAE(world.posterior, world.likelihood, world.prior)`` is a VAE without a gap; its parameters can be trained."""

    def __init__(self, weight: Tensor, bias: Tensor, std: float) -> None:
        super().__init__()
        if weight.ndim != 2 or bias.shape != weight.shape[:1]:
            raise ValueError(f"weight is {tuple(weight.shape)}, bias {tuple(bias.shape)}: expected (D, d), (D,).")
        if not 0 < std < math.inf:
            raise ValueError(f"std is {std}: expected a number above 0 (without noise W Wᵀ is singular).")
        self.weight, self.bias = nn.Parameter(weight.detach().clone()), nn.Parameter(bias.detach().clone())
        self.log_std = nn.Parameter(weight.new_tensor(float(std)).log())
        self.prior = StandardNormal(weight.shape[1]).to(weight)

    @classmethod
    def fitted(cls, x: Tensor, dim: int) -> LinearGaussian:
        """The maximum-likelihood model of data (N, D): W = U (Λ − σ² I)^½, σ² the mean of the variances left over.

        The columns of W are orthogonal, so the exact posterior is diagonal.                 (Tipping & Bishop 1999)"""
        expect_batch(x, name="x")
        if not 1 <= dim < x.shape[1] or len(x) < 2:
            raise ValueError(f"dim is {dim} for data {tuple(x.shape)}: expected 1 to D − 1, at least two points.")
        values, vectors = torch.linalg.eigh(torch.cov(x.T, correction=0))
        values, vectors = values.flip(0), vectors.flip(1)
        noise = values[dim:].mean()
        if not noise > 1e-12 * values[0]:
            raise ValueError(f"the data lie in {dim} dimensions, a singular covariance: expected noise in all.")
        return cls(vectors[:, :dim] * (values[:dim] - noise).sqrt(), x.mean(0), float(noise.sqrt()))

    @property
    def std(self) -> Tensor:
        return self.log_std.exp()

    @property
    def marginal(self) -> MultivariateNormal:
        """p(x) = N(b, W Wᵀ + σ² I)"""
        eye = torch.eye(len(self.bias)).to(self.bias)
        return MultivariateNormal(self.bias, self.weight @ self.weight.T + self.std**2 * eye, validate_args=False)

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x), exactly.  x (B, D) -> (B,)"""
        return self.marginal.log_prob(expect_batch(x, self.bias.shape, on=self.bias.device))

    def posterior(self, x: Tensor) -> MultivariateNormal:
        """p(z | x) = N(M⁻¹ Wᵀ (x − b), σ² M⁻¹), M = Wᵀ W + σ² I.  x (B, D)"""
        expect_batch(x, self.bias.shape, on=self.bias.device)
        m = self.weight.T @ self.weight + self.std**2 * torch.eye(self.weight.shape[1]).to(self.bias)
        mean = torch.linalg.solve(m, self.weight.T @ (x - self.bias).T).T
        return MultivariateNormal(mean, precision_matrix=m / self.std**2, validate_args=False)

    def likelihood(self, z: Tensor) -> DiagNormal:
        """p(x | z) = N(W z + b, σ² I).  z (B, d)"""
        return DiagNormal(z @ self.weight.T + self.bias, self.std)

    def sample(self, n: int) -> Tensor:
        """-> (n, D)"""
        return self.likelihood(self.prior.sample(n)).sample()

    def elbo(self, x: Tensor, q: DiagNormal) -> Tensor:
        """E_q log p(x|z) − KL(q ‖ p(z)) of any diagonal Gaussian q, without sampling.  x (B, D), q of (B, d) -> (B,)

        E_q ‖x − Wz − b‖² = ‖x − W m − b‖² + Σ_j s_j² ‖w_j‖²"""
        squared = (x - self.likelihood(q.mean).mean).square().sum(1) + q.stddev**2 @ self.weight.square().sum(0)
        log_like = -0.5 * squared / self.std**2 - len(self.bias) * (self.log_std + math.log(2 * math.pi) / 2)
        return log_like - gaussian_kl(q, self.prior)

    def __repr__(self) -> str:
        (d, k), noise = self.weight.shape, float(self.std.detach())
        return f"linear-Gaussian world: {k} latent and {d} visible dimensions, noise {noise:.3g}"


# --- a discrete latent variable: EM for a mixture of Gaussians


def e_step(mixture: Mixture, x: Tensor) -> Tensor:
    """q*(k) = p(k | x), for which the bound is tight.  x (B, D) -> (B, K), rows sum to one  (lecture 5, EM-algorithm)"""
    return mixture.responsibilities(x)


def m_step(x: Tensor, q: Tensor, least: float = 0.0) -> Mixture:
    """The mixture that maximises the bound for this q: weighted shares, means and deviations.  x (B, D), q (B, K)

    least: the smallest deviation allowed; with 0, a component that shrinks onto a point is an error."""
    if q.ndim != 2 or len(q) != len(expect_some(expect_batch(x))):
        raise ValueError(f"q is {tuple(q.shape)} for x {tuple(x.shape)}: expected (B, K), a row for each point.")
    if float(q.min()) < 0 or float((q.sum(1) - 1).abs().max()) > 1e-4:
        raise ValueError("q is no distribution over the components: expected non-negative rows that sum to one.")
    mass = q.sum(0)[:, None]  # (K, 1)
    means = q.T @ x / mass
    variance = torch.stack([(w[:, None] * (x - m) ** 2).sum(0) for w, m in zip(q.T, means, strict=True)]) / mass
    stds = variance.sqrt().clamp(min=least)
    broken = ~(stds > 1e-9 * x.std()).all(1)  # NaN where a component owns no data
    if broken.any():
        bad = int(broken.nonzero()[0])
        raise ValueError(
            f"component {bad} has shrunk onto a point or owns no data (mass {float(mass[bad]):.3g} of {len(x)})"
            ": its covariance is singular, and the likelihood has no maximum there. Give least=0.1 or so."
        )
    return Mixture(mass[:, 0] / len(x), means, stds, "mixture after an M-step")


def mixture_bound(mixture: Mixture, x: Tensor, q: Tensor) -> Tensor:
    """Σ_k q_k (log p(x, k) − log q_k), at most log p(x), for any q.  x (B, D), q (B, K) -> (B,)"""
    return (q * mixture.joint_log_prob(x)).sum(1) + torch.special.entr(q).sum(1)
