"""Games: the losses of critic and generator, both to be minimised, as functions of the critic's numbers (B,).

The numbers are logits, D = sigmoid(logit), or for Wasserstein games any real numbers.  A penalty, such as R1, is added to
the critic's loss and bounds the critic's slope.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

Net = Callable[[Tensor], Tensor]
Penalty = Callable[[Net, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Game:
    """The losses critic(real, fake) -> () and generator(fake) -> ().

    penalties: functions of (net, real samples, fake samples), added to the critic's loss.  clip: the critic's weights are
    kept within ±clip."""

    name: str
    critic: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]
    penalties: tuple[Penalty, ...] = ()
    clip: float | None = None

    def with_penalty(self, penalty: Penalty) -> Game:
        """The same game with one more penalty on the critic."""
        name = f"{self.name} + {getattr(penalty, 'name', 'penalty')}"
        return replace(self, name=name, penalties=(*self.penalties, penalty))


def cross_entropy(real: Tensor, fake: Tensor) -> Tensor:
    """−V = −E log D(x) − E log(1 − D(G(z))), from logits.      (intro lecture, Maths behind GANs: discriminator)"""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def saturating(fake: Tensor) -> Tensor:
    """E log(1 − D(G(z))), whose slope −D vanishes at D = 0.                          (Algorithm 1)"""
    return -F.softplus(fake).mean()


def nonsaturating_loss(fake: Tensor) -> Tensor:
    """−E log D(G(z)), whose slope −(1 − D) is largest at D = 0.              (Goodfellow et al. 2014)"""
    return F.softplus(-fake).mean()


def minimax() -> Game:
    """V = E_π log D(x) + E_z log(1 − D(G(z))) for both sides.                     (intro lecture, GAN objective)"""
    return Game("minimax", cross_entropy, saturating)


def non_saturating() -> Game:
    """V for the critic, −E log D(G(z)) for the generator.                                 (Goodfellow et al. 2014)"""
    return Game("non-saturating", cross_entropy, nonsaturating_loss)


def least_squares(fake: float = 0.0, real: float = 1.0, wanted: float = 1.0) -> Game:
    """½ E(f(x) − real)² + ½ E(f(G(z)) − fake)², the generator ½ E(f(G(z)) − wanted)².                 (Mao et al. 2017)"""

    def critic(r: Tensor, f: Tensor) -> Tensor:
        return ((r - real).square().mean() + (f - fake).square().mean()) / 2

    return Game("least-squares", critic, lambda f: (f - wanted).square().mean() / 2)


def hinge() -> Game:
    """E max(0, 1 − f(x)) + E max(0, 1 + f(G(z))), the generator −E f(G(z)).                   (Lim & Ye 2017)"""
    return Game("hinge", lambda r, f: F.relu(1 - r).mean() + F.relu(1 + f).mean(), lambda f: -f.mean())


def wasserstein(clip: float | None = 0.1) -> Game:
    """E f(G(z)) − E f(x), the generator −E f(G(z)); the critic's weights are kept within ±clip.  (Arjovsky et al. 2017)"""
    return Game("Wasserstein", lambda r, f: f.mean() - r.mean(), lambda f: -f.mean(), clip=clip)


def wasserstein_gp(weight: float = 10.0) -> Game:
    """``wasserstein`` with a ``GradientPenalty`` in place of the clipping.                        (Gulrajani et al. 2017)"""
    return wasserstein(clip=None).with_penalty(GradientPenalty(weight))


def squared_grad_norm(net: Net, x: Tensor) -> Tensor:
    """‖∇_x f(x)‖² of each sample, differentiable by the weights of f.  x (B, *event) -> (B,)"""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(net(x).sum(), x, create_graph=True)
    return gradient.flatten(1).square().sum(1)


@dataclass(frozen=True)
class GradientPenalty:
    """weight · E(‖∇f(x̂)‖ − 1)², x̂ = u x + (1 − u) G(z), one uniform u a pair.             (Gulrajani et al. 2017)"""

    weight: float = 10.0
    name = "gradient penalty"

    def __call__(self, net: Net, real: Tensor, fake: Tensor) -> Tensor:
        u = torch.rand(len(real), *[1] * (real.ndim - 1), dtype=real.dtype, device=real.device)
        return self.at(net, u * real + (1 - u) * fake)

    def at(self, net: Net, x: Tensor) -> Tensor:
        """The penalty at given points x̂ (B, *event)"""
        return self.weight * ((squared_grad_norm(net, x) + 1e-12).sqrt() - 1).square().mean()


@dataclass(frozen=True)
class R1:
    """weight/2 · E_π ‖∇f(x)‖²: with it the two-parameter game converges.                  (Mescheder et al. 2018)"""

    weight: float = 0.1
    name = "R1"

    def __call__(self, net: Net, real: Tensor, fake: Tensor) -> Tensor:
        return self.weight / 2 * squared_grad_norm(net, real).mean()
