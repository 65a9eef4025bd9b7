"""Homework of the introductory lecture: generative adversarial networks.

Critics give logits unless an exercise says heights.  Means over a batch are asked wherever the lecture writes an
expectation, and where V has two expectations there are two means, added.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ...gan import GradientPenalty, OptimalDiscriminator, non_saturating, nonsaturating_loss, saturating
from ...nets.gan import adain as styled
from . import Exercise, ObserveSpec
from . import _gan_cases as cases
from . import _gan_densities as known
from . import _gan_networks as networks

# --- the library's own answers


class _Values:
    """Densities that are given by their values: log_prob of anything is their logarithm."""

    def __init__(self, values: Tensor) -> None:
        self.values = values

    def log_prob(self, x: Tensor) -> Tensor:
        return self.values.log()


def optimal_discriminator(pi: Tensor, p: Tensor) -> Tensor:
    """The sigmoid of log π − log p."""
    return OptimalDiscriminator(_Values(pi), _Values(p))(pi).sigmoid()


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """The critic's side of the non-saturating game."""
    return non_saturating().critic(real, fake)


def generator_losses(fake: Tensor) -> tuple[Tensor, Tensor]:
    """The generator's side of the two games."""
    return saturating(fake), nonsaturating_loss(fake)


def jsd(p: Tensor, q: Tensor) -> Tensor:
    """By entropies: that of the mixture less the mean of the two."""
    entropy = lambda table: torch.special.entr(table.double()).sum(-1)
    return (entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2).clamp(min=0).to(p.dtype)


def gradient_penalty(critic: Callable, real: Tensor, fake: Tensor, u: Tensor) -> Tensor:
    """The penalty of the Wasserstein game, its points being given."""
    return GradientPenalty(1.0).at(critic, torch.lerp(fake, real, u[:, None]))


def adain(x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """The layer of the style generator."""
    return styled(x, scale, bias, eps=0.0)


def least_squares_critic(pi: Tensor, p: Tensor, a: float, b: float) -> Tensor:
    """From a to b by D*."""
    return torch.lerp(torch.full_like(pi, a), torch.full_like(pi, b), optimal_discriminator(pi, p))


def kl_bound(real: Tensor, fake: Tensor) -> Tensor:
    """E_π T − E_p exp(T − 1)."""
    return real.mean() - torch.exp(fake - 1).mean()


EXERCISES = (
    Exercise(
        "gan.optimal_discriminator",
        "5.1",
        "the best discriminator",
        "the probability that x is real, where both densities are known at x",
        cases.densities,
        optimal_discriminator,
        known.OPTIMAL,
        1,
        "At each x, π log D + p log(1 − D) is largest where π/D = p/(1 − D).",
    ),
    Exercise(
        "gan.discriminator_loss",
        "5.2",
        "the discriminator's loss",
        "minus V from logits: the mean of −log D over the real batch plus the mean of −log(1 − D) over the fake one",
        cases.two_batches,
        discriminator_loss,
        networks.DISCRIMINATOR,
        1,
        "−log sigmoid(l) = softplus(−l) and −log(1 − sigmoid(l)) = softplus(l): no sigmoid needs to be taken.",
        ObserveSpec(outputs=("loss",), gradient=("real", "fake"), tensors=True),
    ),
    Exercise(
        "gan.generator_losses",
        "5.3",
        "the generator's two losses",
        "(saturating, non_saturating): the mean of log(1 − D) and the mean of −log D over the fake batch, from logits",
        cases.fakes,
        generator_losses,
        networks.GENERATOR,
        2,
        "Both are made small by raising D. log(1 − sigmoid(l)) = −softplus(l), −log sigmoid(l) = softplus(−l).",
        ObserveSpec(outputs=("saturating", "non_saturating"), gradient=("fake",), tensors=True),
    ),
    Exercise(
        "gan.jsd",
        "5.4",
        "the Jensen-Shannon divergence",
        "of each pair of tables: the average of their KLs to their even mixture, in nats",
        cases.tables,
        jsd,
        known.JSD,
        1,
        "½ Σ p log(p/m) + ½ Σ q log(q/m), m = (p + q)/2, where a zero times its logarithm counts as zero (torch.xlogy).",
    ),
    Exercise(
        "gan.gradient_penalty",
        "5.5",
        "the gradient penalty",
        "the mean squared distance of the critic's gradient norm from one, at the mixed points; its own "
        "gradient reaches the critic",
        cases.critics,
        gradient_penalty,
        networks.PENALTY,
        2,
        "torch.autograd.grad(critic(x̂).sum(), x̂, create_graph=True): without create_graph the penalty is a mere number, and "
        "the critic does not learn from it. The norm runs over the coordinates of each sample.",
        ObserveSpec(outputs=("penalty",), gradient=("critic",), tensors=True),
    ),
    Exercise(
        "gan.adain",
        "5.6",
        "adaptive instance normalisation",
        "every channel of every picture with mean bias and deviation scale, the deviation being that of all its pixels",
        cases.features,
        adain,
        networks.ADAIN,
        1,
        "Mean and deviation over the last two axes (keepdim=True); scale and bias want two more axes, [..., None, None].",
        ObserveSpec(tensors=True),
    ),
    Exercise(
        "gan.least_squares_critic",
        "5.7",
        "the best critic of least squares",
        "the answer of the critic, at each x, that makes the expected squared distances from its two targets least",
        cases.targets,
        least_squares_critic,
        known.LEAST_SQUARES,
        1,
        "Set the derivative by f to zero: π(f − b) + p(f − a) = 0.",
    ),
    Exercise(
        "gan.kl_bound",
        "5.8",
        "another divergence from samples",
        "the mean of T over the data less the mean of exp(T − 1) over the model, a lower bound of KL(π ‖ p)",
        cases.heights,
        kl_bound,
        known.BOUND,
        1,
        "f(u) = u log u has the conjugate f*(t) = exp(t − 1); the bound is E_π T − E_p f*(T).",
        ObserveSpec(outputs=("bound",), gradient=("real", "fake"), tensors=True),
    ),
)
