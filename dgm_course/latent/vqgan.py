"""VQGAN: an autoencoder with an adversarial loss against a critic of patches.        (lecture 14, Vector Quantized GAN)

    L_autoencoder = L_own + strength · λ · L_adversarial,      λ = ‖∇_last L_own‖ / (‖∇_last L_adversarial‖ + δ)

The squared error is least at the mean of all images that share a code, which is blurred; a critic of patches penalises blur.
λ, measured at every step, balances the gradients of both losses at the decoder's last layer.   (Esser, Rombach, Ommer 2021)
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from ..core.checks import expect_batch, expect_some
from ..core.tensors import parameter_count
from ..training.diagnostics import Diagnostic, critic_won
from ..training.loop import Objective, frozen
from .stages import FirstStage, VQStage


def adaptive_weight(
    own: Tensor, adversarial: Tensor, last: Tensor, delta: float = 1e-6, most: float = 1e4
) -> Tensor:
    """λ = ‖∇_last own‖ / (‖∇_last adversarial‖ + δ), at most `most`, without a gradient.  -> ()       (VQGAN, eq. 7)

    own, adversarial: two losses (), on the graph of `last`, the weights of the decoder's last layer."""
    for name, value in (("delta", delta), ("most", most)):
        if not 0 < value < math.inf:
            raise ValueError(f"{name} is {value}: expected a finite number above 0.")
    a, b = (_grad_norm(name, loss, last) for name, loss in (("own", own), ("adversarial", adversarial)))
    return (a / (b + delta)).clamp(max=most).detach()


def _grad_norm(name: str, loss: Tensor, weights: Tensor) -> Tensor:
    """‖∇_weights loss‖, ()"""
    if loss.numel() != 1:
        raise ValueError(f"the {name} loss has shape {tuple(loss.shape)}: expected one number, such as a mean.")
    grad = None
    if loss.requires_grad:
        (grad,) = torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True)
    if grad is None:
        raise ValueError(f"the {name} loss does not depend on the last layer, {tuple(weights.shape)}.")
    return grad.norm()


class Adversarial(nn.Module):
    """A first stage and a critic of patches, two objectives for ``fit``.

    critic: x (B, *event) -> (B, ...), one number a patch or an image.  rules: an adversarial loss of `gan.losses`.
    strength: weight of the balanced adversarial loss.  start: steps of the first stage alone, before the critic enters.
    lr_ratio: the critic's learning rate over the first stage's."""

    turn: Tensor

    def __init__(
        self,
        stage: FirstStage,
        critic: nn.Module,
        rules: Any,
        strength: float = 0.8,
        start: int = 0,
        lr_ratio: float = 1.0,
    ) -> None:
        super().__init__()
        if not 0 <= strength < math.inf or start < 0:
            raise ValueError(f"strength is {strength} and start {start}: expected finite numbers, at least 0.")
        self.stage, self.critic, self.rules = stage, critic, rules
        self.strength, self.start, self.lr_ratio = strength, start, lr_ratio
        self.register_buffer("turn", torch.zeros((), dtype=torch.long))  # finished training steps

    def objectives(self) -> dict[str, Objective]:
        """The two sides for ``fit``: the first stage, then its critic, in every step."""
        return {
            "autoencoder": Objective(self.stage, self.stage_loss),
            "critic": Objective(self.critic, self.critic_loss, lr_ratio=self.lr_ratio),
        }

    @property
    def critic_active(self) -> bool:
        """Whether the critic has entered."""
        return self.start == 0 or int(self.turn) >= self.start

    def after_step(self) -> None:
        """Count a training step; ``fit`` calls this once a step, however many microbatches it took."""
        self.turn += 1

    @property
    def graph_safe(self) -> bool:
        """Whether a GPU may replay a training step: where it does not depend on the number of steps."""
        return self.start == 0

    def terms(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(own loss, adversarial loss, λ), each ().  x (B, *event)"""
        own, reconstruction = self.stage.rebuild(expect_some(expect_batch(x)))
        if reconstruction.shape != x.shape:
            shape = tuple(reconstruction.shape)
            raise ValueError(f"the first stage gives {shape} for x of shape {tuple(x.shape)}: expected the same.")
        with frozen(self.critic):
            adversarial = self.rules.generator(self._scores(reconstruction))
        return own, adversarial, adaptive_weight(own, adversarial, self.stage.last)

    def stage_loss(self, x: Tensor, *condition: Any) -> Tensor:
        """own + strength · λ · adversarial; own alone before the critic has entered.  `condition` is not used."""
        if not self.critic_active or self.strength == 0:
            return self.stage.loss(expect_batch(x))
        own, adversarial, weight = self.terms(x)
        return own + self.strength * weight * adversarial

    def critic_loss(self, x: Tensor, *condition: Any) -> Tensor:
        """The critic's loss on real images and on their reconstructions, which are constants."""
        if not self.critic_active or self.strength == 0:
            return 0.0 * torch.stack([p.sum() for p in self.critic.parameters()]).sum()
        reconstruction = self.stage.reconstruct(expect_some(expect_batch(x)))
        loss = self.rules.critic(self._scores(x), self._scores(reconstruction))
        return loss + sum(penalty(self.critic, x, reconstruction) for penalty in self.rules.penalties)

    def symptoms(self, x: Tensor, *condition: Any) -> list[Diagnostic]:
        """The first stage's diagnostics, and a critic that has won.  x (B, *event)"""
        own = self.stage.symptoms(x)
        if not self.critic_active or self.strength == 0:
            return own
        real, fake = self._scores(x), self._scores(self.stage.reconstruct(x))
        return own + critic_won(self.rules.critic, real, fake, "critic")

    def _scores(self, x: Tensor) -> Tensor:
        """The critic's outputs, or an error where there is not at least one for each image."""
        scores = self.critic(x)
        if not scores.ndim or len(scores) != len(x):
            raise ValueError(
                f"the critic gives {tuple(scores.shape)}: expected one number a patch ({len(x)}, ...)."
            )
        return scores

    def __repr__(self) -> str:
        enters = f", which enters after {self.start} steps" if self.start else ""
        return (
            f"{type(self.stage).__name__} first stage ({parameter_count(self.stage):,} weights) "
            f"against a critic of patches ({parameter_count(self.critic):,}){enters}; "
            f"{self.rules.name} loss of strength {self.strength:g}"
        )


def vqgan(model: nn.Module, critic: nn.Module, rules: Any, *args: Any, **kwargs: Any) -> Adversarial:
    """A VQ-VAE with the adversarial loss added; options as for `Adversarial`.       (lecture 14, Vector Quantized GAN)"""
    return Adversarial(VQStage(model), critic, rules, *args, **kwargs)
