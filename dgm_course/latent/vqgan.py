"""VQGAN: an autoencoder that also has to please a critic.                            (lecture 14, Vector Quantized GAN)

    L_autoencoder = L_own + strength · λ · L_adversarial,      λ = ‖∇_last L_own‖ / (‖∇_last L_adversarial‖ + δ)

A squared error is content with the mean of all pictures that a code might stand for, and a mean of sharp pictures is not
sharp.  A critic that is shown real pictures and rebuilt ones, *patch by patch*, sees it at once; the decoder then has to
choose one of them.  The two losses live on different scales, and both change as they are played, so λ is measured at every
step: at the decoder's last layer, where all that either wants must pass, both then push equally hard (times the strength).
Esser, Rombach, Ommer (2021) train VQGAN so, and Rombach et al. (2022) the first stage of latent diffusion.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..core.checks import expect_batch, expect_some
from ..core.tensors import parameter_count
from ..training.diagnostics import Diagnostic, critic_won
from ..training.loop import Objective, frozen
from .stages import FirstStage, VQStage


class AdversarialLoss(Protocol):
    """What both sides want of the critic's numbers, as in `gan.losses`: hinge(), non_saturating(), ..."""

    name: str
    critic: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]
    penalties: tuple[Callable[..., Tensor], ...]


def adaptive_weight(
    own: Tensor, adversarial: Tensor, last: Tensor, delta: float = 1e-6, most: float = 1e4
) -> Tensor:
    """λ = ‖∇_last own‖ / (‖∇_last adversarial‖ + δ), at most `most`; a number without a gradient of its own.  -> ()

    own, adversarial: two losses (), on the graph of `last`, the weights of the decoder's last layer.   (VQGAN, eq. 7)"""
    for name, value in (("delta", delta), ("most", most)):
        if not 0 < value < math.inf:
            raise ValueError(f"{name} is {value}: expected a finite number above 0.")
    slopes = []
    for name, loss in (("own", own), ("adversarial", adversarial)):
        if loss.numel() != 1:
            raise ValueError(
                f"the {name} loss has shape {tuple(loss.shape)}: expected one number, a mean over the batch."
            )
        found = (
            torch.autograd.grad(loss, last, retain_graph=True, allow_unused=True)[0]
            if loss.requires_grad
            else None
        )
        if found is None:
            raise ValueError(
                f"the {name} loss does not depend on the last layer {tuple(last.shape)}: expected a loss of "
                "what this decoder drew, with its graph."
            )
        slopes.append(found.norm())
    return (slopes[0] / (slopes[1] + delta)).clamp(max=most).detach()


class Adversarial(nn.Module):
    """A first stage against a critic of patches, two players for ``fit``.

    critic: x (B, *event) -> one number a patch, (B, ...) (or one a picture).  rules: a game, as in `gan.losses`.
    strength: what the adversarial loss weighs after balancing.  start: steps before the critic enters, in which the first
    stage plays for its own loss alone (a critic of noise learns nothing worth hearing).  lr_ratio: the critic's learning rate
    over the first stage's."""

    def __init__(
        self,
        stage: FirstStage,
        critic: nn.Module,
        rules: AdversarialLoss,
        strength: float = 0.8,
        start: int = 0,
        lr_ratio: float = 1.0,
    ) -> None:
        super().__init__()
        if not 0 <= strength < math.inf or start < 0:
            raise ValueError(
                f"strength is {strength} and start {start}: expected a finite number and a number of steps, "
                "both at least 0."
            )
        self.stage, self.critic, self.rules = stage, critic, rules
        self.strength, self.start, self.lr_ratio = strength, start, lr_ratio
        self.register_buffer("turn", torch.zeros((), dtype=torch.long))  # finished training steps

    def objectives(self) -> dict[str, Objective]:
        """The two sides for ``fit``: the first stage, then its critic, at every step."""
        return {
            "autoencoder": Objective(self.stage, self.stage_loss),
            "critic": Objective(self.critic, self.critic_loss, lr_ratio=self.lr_ratio),
        }

    @property
    def critic_active(self) -> bool:
        """Whether the critic has entered."""
        return self.start == 0 or int(self.turn) >= self.start

    def after_step(self) -> None:
        """Count a training step: called by ``fit`` once, however many pieces the batch was taken in."""
        self.turn += 1

    @property
    def graph_safe(self) -> bool:
        """Each training step is the same operations, where nobody has to ask how many there were (``recorded``)."""
        return self.start == 0

    def terms(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(own loss, adversarial loss, λ), each ().  x (B, *event)"""
        own, picture = self.stage.rebuild(expect_some(expect_batch(x)))
        if picture.shape != x.shape:
            raise ValueError(
                f"the first stage gives {tuple(picture.shape)} for x of shape {tuple(x.shape)}: expected the same."
            )
        with frozen(self.critic):
            adversarial = self.rules.generator(self._scores(picture))
        return own, adversarial, adaptive_weight(own, adversarial, self.stage.last)

    def stage_loss(self, x: Tensor, *condition: Any) -> Tensor:
        """own + strength · λ · adversarial; own alone before the critic has entered.  Labels are not looked at."""
        if not self.critic_active or self.strength == 0:
            return self.stage.loss(expect_batch(x))
        own, adversarial, weight = self.terms(x)
        return own + self.strength * weight * adversarial

    def critic_loss(self, x: Tensor, *condition: Any) -> Tensor:
        """What the critic wants small, on real pictures and on the same ones rebuilt, which are held fixed."""
        if not self.critic_active or self.strength == 0:
            return 0.0 * sum(p.sum() for p in self.critic.parameters())
        reconstruction = self.stage.reconstruct(expect_some(expect_batch(x)))
        loss = self.rules.critic(self._scores(x), self._scores(reconstruction))
        return loss + sum(penalty(self.critic, x, reconstruction) for penalty in self.rules.penalties)

    def symptoms(self, x: Tensor, *condition: Any) -> list[Diagnostic]:
        """What ails the first stage, and a critic that has won.  x (B, *event)"""
        own = self.stage.symptoms(x)
        if not self.critic_active or self.strength == 0:
            return own
        return own + critic_won(
            self.rules.critic, self._scores(x), self._scores(self.stage.reconstruct(x)), "critic"
        )

    def _scores(self, x: Tensor) -> Tensor:
        """The critic's numbers, or a sentence where there is not at least one for each picture."""
        found = self.critic(x)
        if not found.ndim or len(found) != len(x):
            raise ValueError(
                f"the critic answers {tuple(x.shape)} with {tuple(found.shape)}: expected one number a patch, "
                f"({len(x)}, ...)."
            )
        return found

    def __repr__(self) -> str:
        enters = f", which enters after {self.start} steps" if self.start else ""
        return (
            f"{type(self.stage).__name__} first stage ({parameter_count(self.stage):,} weights) "
            f"against a critic of patches ({parameter_count(self.critic):,}){enters}; "
            f"{self.rules.name} game of strength {self.strength:g}"
        )


def vqgan(
    model: nn.Module,
    critic: nn.Module,
    rules: AdversarialLoss,
    strength: float = 0.8,
    start: int = 0,
    lr_ratio: float = 1.0,
) -> Adversarial:
    """A VQ-VAE and its objective, with the adversarial loss added.                  (lecture 14, Vector Quantized GAN)"""
    return Adversarial(VQStage(model), critic, rules, strength, start, lr_ratio)
