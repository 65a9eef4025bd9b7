"""The GAN, its optimal discriminator where both densities are known, the two-number game, and inversion by descent."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.checks import expect_batch, expect_some
from ..core.distributions import DiagNormal
from ..core.metrics import GRID, Grid
from ..core.tensors import flat, parameter_count
from ..training.diagnostics import Diagnostic, critic_won, mode_collapse
from ..training.loop import Objective, frozen
from .losses import Game, non_saturating

NO_SIGMOID = "since the game takes the sigmoid itself and log(1 − D) of a rounded D is −inf."


class GAN(nn.Module):
    """A generator against a discriminator.                                          (intro lecture, Algorithm 1)

    generator: z (B, latent) -> x, with an attribute ``latent``; discriminator: x -> (B,) logits, without a sigmoid.
    k: discriminator steps per generator step.  lr_ratio: the generator's learning rate over the discriminator's."""

    graph_safe = True  # every training step runs the same operations, so a GPU may replay it

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        game: Game | None = None,
        k: int = 1,
        lr_ratio: float = 1.0,
    ) -> None:
        super().__init__()
        if k < 1:
            raise ValueError(f"k is {k}: expected at least 1 discriminator step per generator step.")
        if not isinstance(getattr(generator, "latent", None), int):
            raise TypeError(f"{type(generator).__name__} has no latent: expected its number of inputs, such as 2.")
        last = list(discriminator.modules())[-1]
        if isinstance(last, (nn.Sigmoid, nn.LogSigmoid)):
            raise ValueError(f"the discriminator ends in a {type(last).__name__}: expected logits, {NO_SIGMOID}")
        self.generator, self.discriminator, self._logits_seen = generator, discriminator, False
        self.game, self.k, self.lr_ratio = non_saturating() if game is None else game, k, lr_ratio

    def objectives(self) -> dict[str, Objective]:
        """For ``fit``: the discriminator is updated at every step, the generator at every k-th."""
        return {
            "discriminator": Objective(self.discriminator, self.discriminator_loss),
            "generator": Objective(self.generator, self.generator_loss, self.k, self.lr_ratio),
        }

    def noise(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """z ~ N(0, I), in the dtype and on the device of the weights.  -> (n, latent)"""
        like = next(iter(self.generator.parameters()))
        return torch.randn(n, self.generator.latent, dtype=like.dtype, device=like.device, generator=generator)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """x = G(z).  -> (n, *event)"""
        with torch.no_grad():
            return self.generator(self.noise(n, generator))

    def scores(self, x: Tensor) -> Tensor:
        """The discriminator's logits (B,), or one a pack, or a ValueError.  x (B, *event)"""
        found = self.discriminator(x)
        if not self._logits_seen and _is_a_probability(found):
            raise ValueError(f"the discriminator gives probabilities: expected logits, {NO_SIGMOID}")
        self._logits_seen = self._logits_seen or found.grad_fn is not None
        if found.ndim > 2 or found.ndim == 2 and found.shape[1] != 1 or found.ndim == 0 or len(found) > len(x):
            shapes = f"{tuple(x.shape)} to {tuple(found.shape)}"
            raise ValueError(f"the discriminator maps {shapes}: expected one number a sample, ({len(x)},).")
        return found.reshape(-1)

    def discriminator_loss(self, x: Tensor, *condition: Any) -> Tensor:
        """The critic's loss on real x (B, *event) and as many fakes, with the generator fixed."""
        self._clip_weights()
        with torch.no_grad():
            fake = self.generator(self.noise(len(self._real(x, condition))))
        if fake.shape != x.shape:
            raise ValueError(f"x has shape {tuple(x.shape)}: expected {tuple(fake.shape)}, as G(z) has.")
        loss = self.game.critic(self.scores(x), self.scores(fake))
        return loss + sum(penalty(self.discriminator, x, fake) for penalty in self.game.penalties)

    def generator_loss(self, x: Tensor, *condition: Any) -> Tensor:
        """The generator's loss on as many fakes as x has samples, with the discriminator fixed."""
        self._clip_weights()
        with frozen(self.discriminator):
            return self.game.generator(self.scores(self.generator(self.noise(len(self._real(x, condition))))))

    def symptoms(self, x: Tensor, *condition: Any) -> list[Diagnostic]:
        """Whether the discriminator has won or the samples collapse, against real x (B, *event)"""
        fake = self.sample(len(x))
        return [*critic_won(self.game.critic, self.scores(x), self.scores(fake)), *mode_collapse(fake, x)]

    def _real(self, x: Tensor, condition: tuple[Any, ...]) -> Tensor:
        if any(some is not None for some in condition):
            raise ValueError("labels were given, but a GAN knows no classes: expected images alone.")
        return expect_some(expect_batch(x))

    @torch.no_grad()
    def _clip_weights(self) -> None:
        if self.game.clip is not None:
            for p in self.discriminator.parameters():
                p.clamp_(-self.game.clip, self.game.clip)

    def __repr__(self) -> str:
        turns = f", {self.k} discriminator steps to one" if self.k > 1 else ""
        return (
            f"GAN: z in R^{self.generator.latent} -> {type(self.generator).__name__} "
            f"({parameter_count(self.generator):,} weights) against {type(self.discriminator).__name__} "
            f"({parameter_count(self.discriminator):,}), {self.game.name} game{turns}; "
            "samples in one pass, no density, no encoder"
        )


def _is_a_probability(x: Tensor) -> bool:
    """Whether x is a sigmoid's output, perhaps reshaped."""
    node = x.grad_fn
    for _ in range(4):
        name = type(node).__name__
        if "Sigmoid" in name:
            return True
        reshapes = any(word in name for word in ("View", "Squeeze", "Select", "Reshape", "Slice"))
        if not reshapes or not node.next_functions:
            return False
        node = node.next_functions[0][0]
    return False


class OptimalDiscriminator(nn.Module):
    """D*(x) = π(x) / (π(x) + p(x)) of data and model with ``log_prob``, as logits log π − log p.   (intro lecture, Proof)"""

    def __init__(self, data: Any, model: Any) -> None:
        super().__init__()
        for role, density in (("data", data), ("model", model)):
            if not hasattr(density, "log_prob"):
                raise TypeError(f"the {role} are a {type(density).__name__}: expected an object with log_prob.")
        self.data, self.model = data, model

    def forward(self, x: Tensor) -> Tensor:
        """x (B, *event) -> logits (B,)"""
        return self.data.log_prob(x) - self.model.log_prob(x)


def value_on_grid(data: Any, model: Any, discriminator: Any, grid: Grid = GRID) -> float:
    """V = ∫ π log D + p log(1 − D), by midpoints; the discriminator gives logits.  In nats, at most 0.   (GAN objective)

    With ``OptimalDiscriminator(data, model)`` it is 2 JSD(π, p) − 2 log 2 (intro lecture, Proof continued)."""
    nodes: list[Tensor] = []

    def log_prob(x: Tensor) -> Tensor:
        nodes.append(x)
        return data.log_prob(x)

    real = grid.log_masses(log_prob, "the data").exp()
    fake = grid.log_masses(model.log_prob, "the model").exp()
    with torch.no_grad():
        logits = torch.cat([discriminator(x) for x in nodes]).double()
    return float(real @ F.logsigmoid(logits) + fake @ F.logsigmoid(-logits))


class AffineGenerator(nn.Module):
    """G(z) = shift + exp(log_scale) z, with a known density.  z (B, dim) -> (B, dim)"""

    def __init__(self, shift: Tensor, scale: Tensor | float = 1.0) -> None:
        super().__init__()
        self.latent = len(shift)
        self.shift = nn.Parameter(shift.clone())
        self.log_scale = nn.Parameter(torch.as_tensor(scale).to(shift).expand_as(shift).log())

    @property
    def distribution(self) -> DiagNormal:
        """N(shift, scale² I)"""
        return DiagNormal(self.shift.detach(), self.log_scale.detach().exp())

    def forward(self, z: Tensor) -> Tensor:
        return self.shift + self.log_scale.exp() * z


class DiracGAN:
    """The two-number game: data all at 0, the generator always θ, the critic f(x) = ψ x.           (Mescheder et al. 2018)

    A field of simultaneous gradient descent, dirac((θ, ψ), t).  r1: weight of the R1 penalty, here r1/2 · ψ²."""

    def __init__(self, game: Game, r1: float = 0.0) -> None:
        self.game, self.r1 = game, r1

    def __call__(self, x: Tensor, t: Tensor | float = 0.0) -> Tensor:
        """x (B, 2) pairs (θ, ψ) -> their velocity (B, 2)"""
        if x.ndim != 2 or x.shape[1] != 2:
            raise ValueError(f"x has shape {tuple(x.shape)}: expected pairs (θ, ψ), (B, 2).")
        with torch.enable_grad():
            theta, psi = x.detach().requires_grad_().unbind(1)
            fake = theta * psi
            (dtheta,) = torch.autograd.grad(self.game.generator(fake) * len(x), theta, retain_graph=True)
            loss = self.game.critic(0 * psi, fake) * len(x) + self.r1 / 2 * psi.square().sum()
            (dpsi,) = torch.autograd.grad(loss, psi)
        return -torch.stack([dtheta, dpsi], 1).detach()

    def __repr__(self) -> str:
        return f"Dirac GAN, {self.game.name} game" + (f", R1 penalty {self.r1:g}" if self.r1 else "")


def alternating(field: DiracGAN, x: Tensor, t: Tensor, dt: Tensor) -> Tensor:
    """A method of ``ode.solve``: a step of the critic, then one of the generator against the new critic."""
    theta, psi = x.unbind(1)
    psi = psi + dt * field(x, t)[:, 1]
    return torch.stack([theta + dt * field(torch.stack([theta, psi], 1), t)[:, 0], psi], 1)


class Inversion(NamedTuple):
    """The noise z (B, latent), its image G(z) and the mean squared error of each sample (B,)"""

    z: Tensor
    image: Tensor
    error: Tensor


def invert(
    generator: nn.Module, x: Tensor, steps: int = 200, lr: float = 0.1, starts: int = 4, prior: float = 0.0
) -> Inversion:
    """The z whose G(z) is nearest to x, by gradient descent on z from several starts.  x (B, *event)

    Minimises the mean of (G(z) − x)² plus prior·‖z‖²/latent for each sample and keeps the start of least error."""
    expect_some(expect_batch(x))
    if steps < 1 or starts < 1:
        raise ValueError(f"steps is {steps} and starts {starts}: expected at least 1 of each.")
    target, was = x.detach().repeat_interleave(starts, 0), generator.training
    z = torch.randn(len(target), generator.latent, dtype=x.dtype, device=x.device, requires_grad=True)
    optimizer = torch.optim.Adam([z], lr)
    generator.eval()
    try:
        with frozen(generator), torch.enable_grad():
            for step in range(steps):
                optimizer.param_groups[0]["lr"] = lr * 0.5 * (1 + math.cos(math.pi * step / steps))
                error = flat(generator(z) - target).square().mean(1)
                optimizer.zero_grad()
                (error + prior * z.square().mean(1)).sum().backward()
                optimizer.step()
        with torch.no_grad():
            image = generator(z)
    finally:
        generator.train(was)
    error = flat(image - target).square().mean(1)
    best = error.view(len(x), starts).argmin(1) + starts * torch.arange(len(x), device=x.device)
    return Inversion(z.detach()[best], image[best], error[best])
