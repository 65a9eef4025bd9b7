"""The rules of the game: what each side wants, written for the numbers that the discriminator gives.

A game has two losses, both to be made small: ``critic(real, fake)`` and ``generator(fake)``.  real and fake are logits (B,):
D = sigmoid(logit) is the lecture's probability that a sample is real.  For Wasserstein games they are heights of a function
f, and no probability is meant.

    V(G, D) = E_π log D(x) + E_z log(1 − D(G(z)))                                  (intro lecture, GAN objective)

The discriminator maximises V, so its loss is −V: a binary cross-entropy.  The generator minimises V (*minimax*, also called
saturating), or something with the same optimum and a better slope.  A *penalty* holds the critic's slope down; it is all
that ``wasserstein_gp`` adds to ``wasserstein``.
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
    """What the two sides want: critic(real, fake) -> (), generator(fake) -> (), both to be made small.

    penalties: each called with (net, real samples, fake samples), added to the critic's loss.  clip: the critic's weights
    are kept within ±clip.  logits: whether the critic's numbers stand for probabilities."""

    name: str
    critic: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]
    penalties: tuple[Penalty, ...] = ()
    clip: float | None = None
    logits: bool = True

    def with_penalty(self, penalty: Penalty) -> Game:
        """The same game with one penalty more on the critic."""
        name = f"{self.name} + {getattr(penalty, 'name', 'penalty')}"
        return replace(self, name=name, penalties=(*self.penalties, penalty))

    def __repr__(self) -> str:
        kept = f", weights within ±{self.clip:g}" if self.clip else ""
        return f"{self.name} game: the critic gives {'logits' if self.logits else 'any real numbers'}{kept}"


def cross_entropy(real: Tensor, fake: Tensor) -> Tensor:
    """−V = −E log D(x) − E log(1 − D(G(z))), from logits.      (intro lecture, Maths behind GANs: discriminator)"""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def saturating(fake: Tensor) -> Tensor:
    """E log(1 − D(G(z))): the generator's half of V, whose slope −D vanishes where the critic is sure.    (Algorithm 1)"""
    return -F.softplus(fake).mean()


def nonsaturating_loss(fake: Tensor) -> Tensor:
    """−E log D(G(z)): the same wish, whose slope −(1 − D) is largest where the critic is sure.   (Goodfellow et al. 2014)"""
    return F.softplus(-fake).mean()


def minimax() -> Game:
    """Both sides play for V; the generator's slope dies where it loses.            (intro lecture, GAN objective)"""
    return Game("minimax", cross_entropy, saturating)


def non_saturating() -> Game:
    """The critic plays for V, the generator for −E log D(G(z)).        (Goodfellow et al. 2014, what everybody uses)"""
    return Game("non-saturating", cross_entropy, nonsaturating_loss)


def least_squares(fake: float = 0.0, real: float = 1.0, wanted: float = 1.0) -> Game:
    """½ E(f(x) − real)² + ½ E(f(G(z)) − fake)², the generator ½ E(f(G(z)) − wanted)².                 (Mao et al. 2017)"""
    return Game(
        "least-squares",
        lambda r, f: ((r - real).square().mean() + (f - fake).square().mean()) / 2,
        lambda f: (f - wanted).square().mean() / 2,
        logits=False,
    )


def hinge() -> Game:
    """E max(0, 1 − f(x)) + E max(0, 1 + f(G(z))), the generator −E f(G(z)).                   (Lim & Ye 2017)"""
    return Game(
        "hinge", lambda r, f: F.relu(1 - r).mean() + F.relu(1 + f).mean(), lambda f: -f.mean(), logits=False
    )


def wasserstein(clip: float | None = 0.1) -> Game:
    """E f(G(z)) − E f(x), the generator −E f(G(z)): minus a distance, if f is no steeper than 1.     (Arjovsky et al. 2017)

    clip: keep the critic's weights within ±clip, a rough way to bound its slope."""
    return Game("Wasserstein", lambda r, f: f.mean() - r.mean(), lambda f: -f.mean(), clip=clip, logits=False)


def wasserstein_gp(weight: float = 10.0) -> Game:
    """The same without clipping; the slope is pulled to 1 between real and fake samples.         (Gulrajani et al. 2017)"""
    return wasserstein(clip=None).with_penalty(GradientPenalty(weight))


# --- penalties


def squared_grad_norm(net: Net, x: Tensor) -> Tensor:
    """‖∇_x f(x)‖² of each sample, on the graph: its own gradient reaches the weights of f.  x (B, *event) -> (B,)"""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(net(x).sum(), x, create_graph=True)
    return gradient.flatten(1).square().sum(1)


@dataclass(frozen=True)
class GradientPenalty:
    """weight · E(‖∇f(x̂)‖ − 1)², x̂ = u x + (1 − u) G(z) with one uniform u a pair.             (Gulrajani et al. 2017)"""

    weight: float = 10.0
    name = "gradient penalty"

    def __call__(self, net: Net, real: Tensor, fake: Tensor) -> Tensor:
        u = torch.rand(len(real), *[1] * (real.ndim - 1), dtype=real.dtype, device=real.device)
        return self.at(net, u * real + (1 - u) * fake)

    def at(self, net: Net, x: Tensor) -> Tensor:
        """The penalty at given points."""
        return self.weight * ((squared_grad_norm(net, x) + 1e-12).sqrt() - 1).square().mean()


@dataclass(frozen=True)
class R1:
    """weight/2 · E_π ‖∇f(x)‖²: flat where the data are, so that a critic who has nothing to say says nothing.

    With it the game of two parameters, which circles for ever without, comes to rest.      (Mescheder et al. 2018)"""

    weight: float = 0.1
    name = "R1"

    def __call__(self, net: Net, real: Tensor, fake: Tensor) -> Tensor:
        return self.weight / 2 * squared_grad_norm(net, real).mean()
