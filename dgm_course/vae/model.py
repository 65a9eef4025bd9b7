"""The autoencoder and the VAE.

    log p(x) ≥ E_q(z|x) log p(x|z) − KL(q(z|x) ‖ p(z))                      (intro lecture, "How to train VAE?"; lecture 5)

An encoder q(z|x) and a decoder p(x|z), called on a condition, return a torch Distribution (see ``heads``); a prior has
``log_prob`` and ``sample``, or is a head called on labels (see ``priors``).  Labels, where given, go to all three.
All numbers are in nats, summed over the event.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..core.checks import expect_some
from ..core.tensors import parameter_count
from ..training.diagnostics import Diagnostic, posterior_collapse
from .heads import Labels, gaussian_kl, is_diagonal
from .priors import AggregatedPosterior


class Autoencoder(nn.Module):
    """x -> z -> x', trained on ‖x − x'‖²: no distribution anywhere, and no way to sample.  (intro lecture, Autoencoders)

    encoder: x (B, *event) -> (B, d); decoder: z -> (B, *event)"""

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))

    def loss(self, x: Tensor) -> Tensor:
        """mean over the batch of ‖x − x'‖², summed over the event.                   (intro lecture, Reconstruction loss)"""
        found = self(expect_some(x))
        if found.shape != x.shape:
            raise ValueError(f"the decoder gives {tuple(found.shape)} for x {tuple(x.shape)}: expected the same.")
        return (x - found).square().flatten(1).sum(1).mean()

    def __repr__(self) -> str:
        return f"Autoencoder: {parameter_count(self):,} parameters, squared error"


class ELBOTerms(NamedTuple):
    """The two sides of the ELBO, in nats, one a sample: E_q log p(x|z), and KL(q(z|x) ‖ p(z))."""

    reconstruction: Tensor
    kl: Tensor


class VAE(nn.Module):
    """log p(x) ≥ E_q log p(x|z) − KL(q(z|x) ‖ p(z)); `loss` maximises it over encoder, decoder and, if a module, prior.

    kl_weight multiplies the KL in `loss`, never in `elbo`."""

    graph_safe = True  # a training step is the same operations each time

    def __init__(
        self, encoder: Callable[..., Any], decoder: Callable[..., Any], prior: Any, kl_weight: float = 1.0
    ) -> None:
        super().__init__()
        latent, wanted = (getattr(part, "event", None) for part in (encoder, prior))
        if None not in (latent, wanted) and tuple(latent) != tuple(wanted):
            raise ValueError(f"the prior is over {tuple(wanted)}, the encoder over {tuple(latent)}: expected one.")
        if not 0 <= kl_weight < math.inf:
            raise ValueError(f"kl_weight is {kl_weight}: expected a finite number, 0 or more.")
        self.encoder, self.decoder, self.prior, self.kl_weight = encoder, decoder, prior, kl_weight

    def with_prior(self, prior: Any) -> VAE:
        """The same encoder and decoder, shared, under another prior."""
        return VAE(self.encoder, self.decoder, prior, self.kl_weight).train(self.training)

    def encode(self, x: Tensor, y: Labels = None) -> Any:
        """q(z | x), one distribution a sample.  x (B, *event)"""
        self._expect(x)
        return self.encoder(x) if y is None else self.encoder(x, y)

    def decode(self, z: Tensor, y: Labels = None) -> Any:
        """p(x | z), one distribution a latent; its ``mean`` is the image usually shown.  z (B, d)"""
        return self.decoder(z) if y is None else self.decoder(z, y)

    def log_likelihood(self, x: Tensor, z: Tensor, y: Labels = None) -> Tensor:
        """log p(x | z) for n latents of each x.  x (B, *event), z (n, B, d) -> (n, B)"""
        many = x.expand(len(z), *x.shape).flatten(0, 1)
        return self.decode(z.flatten(0, 1), _repeated(y, len(z))).log_prob(many).view(z.shape[:2])

    def log_prior(self, z: Tensor, y: Labels = None) -> Tensor:
        """log p(z), or log p(z | y) where the prior knows labels.  z (n, B, d) -> (n, B)"""
        rows = z.flatten(0, 1)
        return self._prior(_repeated(y, len(z)), len(rows)).log_prob(rows).view(z.shape[:2])

    def kl(self, q: Any, z: Tensor, y: Labels = None) -> Tensor:
        """KL(q ‖ p): in closed form between diagonal Gaussians, else the mean of log q(z) − log p(z).  z (n, B, d)"""
        p = self._prior(y, z.shape[1])
        if is_diagonal(q) and is_diagonal(p):
            return gaussian_kl(q, p)
        return (q.log_prob(z) - self.log_prior(z, y)).mean(0)

    def terms(self, x: Tensor, n: int = 1, y: Labels = None) -> ELBOTerms:
        """E_q log p(x|z), by n samples z = mean + std ε, and KL(q ‖ p).  x (B, *event) -> two of (B,)"""
        q = self.encode(x, y)
        z = q.rsample((_check_count(n, "n"),))
        return ELBOTerms(self.log_likelihood(x, z, y).mean(0), self.kl(q, z, y))

    def elbo(self, x: Tensor, n: int = 1, y: Labels = None) -> Tensor:
        """E_q log p(x|z) − KL(q ‖ p) by n samples, unbiased, at most log p(x) on average.  x (B, *event) -> (B,)"""
        reconstruction, kl = self.terms(x, n, y)
        return reconstruction - kl

    def loss(self, x: Tensor, y: Labels = None) -> Tensor:
        """mean of −E_q log p(x|z) + kl_weight · KL(q ‖ p), one z each: minus the ELBO where kl_weight is 1."""
        reconstruction, kl = self.terms(expect_some(x), 1, y)
        return (self.kl_weight * kl - reconstruction).mean()

    def symptoms(self, x: Tensor, y: Labels = None) -> list[Diagnostic]:
        """Posterior collapse, where KL(q(z|x) ‖ p(z)) is near 0.  x (B, *event)"""
        q = self.encode(x, y)
        return posterior_collapse(self.kl(q, q.rsample((8,)), y))

    def log_weights(self, x: Tensor, k: int, y: Labels = None) -> Tensor:
        """log w = log p(x|z) + log p(z) − log q(z|x), k independent z for each x.  -> (k, B)"""
        q = self.encode(x, y)
        z = q.rsample((k,))
        return self.log_likelihood(x, z, y) + self.log_prior(z, y) - q.log_prob(z)

    def log_prob_bound(self, x: Tensor, k: int = 500, y: Labels = None, block: int = 20_000) -> Tensor:
        """log 1/k Σ_j w_j: the importance-weighted bound, tighter the larger k.  x (B, *event) -> (B,)   (Burda et al. 2016)

        block: how many (sample, latent) pairs are decoded at once."""
        size, left, parts = max(1, block // max(1, len(x))), _check_count(k, "k"), []
        while left:
            parts.append(self.log_weights(x, min(size, left), y).logsumexp(0))
            left -= min(size, left)
        return torch.stack(parts).logsumexp(0) - math.log(k)

    @torch.no_grad()
    def sample(self, n: int, y: Labels = None) -> Tensor:
        """z ~ p(z), then x ~ p(x | z); the encoder is not needed.  -> (n, *event)                  (lecture 5, Inference)"""
        return self.decode(self.latents(n, y), y).sample()

    @torch.no_grad()
    def latents(self, n: int, y: Labels = None) -> Tensor:
        """z ~ p(z), or p(z | y) where the prior knows labels.  -> (n, d)"""
        return self._prior(y, n).sample() if self._conditional else self.prior.sample(n)

    @property
    def _conditional(self) -> bool:
        """Whether the prior is a head: it has no density until it is called on labels."""
        return not hasattr(self.prior, "log_prob")

    def _prior(self, y: Labels, n: int) -> Any:
        """p(z), or p(z | y) for n labels."""
        if not self._conditional:
            return self.prior
        if y is None:
            raise ValueError(f"labels are not given: expected one for each sample, for the prior {self.prior!r}.")
        y = torch.as_tensor(y)
        if tuple(y.shape) not in ((), (n,)):
            raise ValueError(f"y has shape {tuple(y.shape)}: expected class numbers of shape () or ({n},).")
        return self.prior(y.expand(n))

    def _expect(self, x: Tensor) -> None:
        """An error unless x is a batch of the decoder's event, without NaN, on the device of the weights."""
        if not isinstance(x, Tensor):
            raise TypeError(f"x is a {type(x).__name__}: expected a torch tensor.")
        event = getattr(self.decoder, "event", None)
        if event is not None and tuple(x.shape[1:]) != tuple(event):
            raise ValueError(f"x has shape {tuple(x.shape)}: this VAE expects (B, {', '.join(map(str, event))}).")
        device = next((p.device for p in self.parameters()), x.device)
        if x.device != device:
            raise ValueError(f"x is on the device {x.device}: expected {device}, where the model is.")
        if x.is_floating_point() and x.device.type == "cpu" and bool(x.isnan().any()):
            raise ValueError(f"x contains NaN in {int(x.isnan().sum())} of {x.numel()} places.")

    def __repr__(self) -> str:
        weight = "" if self.kl_weight == 1 else f", KL weight {self.kl_weight:g}"
        return f"VAE: {parameter_count(self):,} parameters, prior: {self.prior}{weight}"


class MeanWithError(NamedTuple):
    """A mean over data, in nats, and its standard error from the sampled z (0 where nothing was sampled)."""

    mean: float
    error: float

    def __str__(self) -> str:
        return f"{self.mean:.2f} ± {self.error:.2g}"


@dataclass(frozen=True)
class Surgery:
    """mean ELBO = reconstruction − mutual_information − marginal_kl, and kl = mutual_information + marginal_kl, over n data.

    kl: the mean KL(q_i ‖ p), in closed form where there is one; most: log n, which the mutual information cannot exceed."""

    reconstruction: MeanWithError
    mutual_information: MeanWithError
    marginal_kl: MeanWithError
    kl: MeanWithError
    most: float

    @property
    def elbo(self) -> float:
        """reconstruction − mutual information − marginal KL."""
        return self.reconstruction.mean - self.mutual_information.mean - self.marginal_kl.mean

    def __repr__(self) -> str:
        return (
            f"reconstruction {self.reconstruction}, mutual information {self.mutual_information}, marginal KL "
            f"{self.marginal_kl}, mean KL {self.kl}; ELBO {self.elbo:.2f}; log n {self.most:.2f} (nats)"
        )


@torch.no_grad()
def surgery(vae: VAE, x: Tensor, n: int = 8, y: Labels = None) -> Surgery:
    """The ELBO over the data x (N, *event) split in three, by n samples z ~ q(z|x_i) of each.    (lecture 5, ELBO Surgery)

    q_agg is the exact mixture over these N data, at a cost of n N² Gaussians.  I = mean KL(q_i ‖ q_agg)"""
    if n < 2:
        raise ValueError(f"n is {n}: a standard error needs 2 samples of each datum or more.")
    q, p = vae.encode(expect_some(x), y), vae._prior(y, len(x))
    z = q.sample((n,))
    log_q, log_p = q.log_prob(z), vae.log_prior(z, y)
    log_agg = AggregatedPosterior(q).log_prob(z.flatten(0, 1)).view(z.shape[:2])
    closed = is_diagonal(q) and is_diagonal(p)
    kl = MeanWithError(float(gaussian_kl(q, p).mean()), 0.0) if closed else _mean(log_q - log_p)
    reconstruction = _mean(vae.log_likelihood(x, z, y))
    return Surgery(reconstruction, _mean(log_q - log_agg), _mean(log_agg - log_p), kl, math.log(len(x)))


def _mean(values: Tensor) -> MeanWithError:
    """Mean and standard error of n draws for each of N fixed data: √(Σ_i s_i² / n) / N.  values (n, N)"""
    values = values.double()
    return MeanWithError(float(values.mean()), float((values.var(0).sum() / len(values)).sqrt() / values.shape[1]))


def _repeated(y: Labels, n: int) -> Labels:
    return y.repeat(n) if isinstance(y, Tensor) and y.ndim else y


def _check_count(number: int, name: str) -> int:
    if number < 1:
        raise ValueError(f"{name} is {number}: a mean over samples of z needs at least 1.")
    return number
