"""10.2 A decoder between two masters."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ....latent import adaptive_weight
from .. import Exercise, ObserveSpec
from ..draws import LARGE, NARROW, Cases, Rng, points
from ..recipes import Layer, Patches
from ._shared import _case


def balanced_loss(
    x: Tensor, h: Tensor, last: torch.nn.Module, critic: Callable, strength: float, delta: float
) -> Tensor:
    """A decoder's side of the game, λ measured at its last layer."""
    x_hat = last(h)
    own, adversarial = (x - x_hat).square().sum(1).mean(), -critic(x_hat).mean()
    return own + strength * adaptive_weight(own, adversarial, last.weight, delta, 1e30) * adversarial


WEAK = (
    "Wrong only where the critic is flat: δ stands below the line, beside the norm, so that λ stays finite there."
)


def cases(rng: Rng) -> Cases:
    """Pictures, what the last layer is given, the layer, a critic."""
    side, few = int(rng.integers(4, 7)), int(rng.integers(6, 10))
    for name, (size, dim), steep, hint in (
        ("B = D", (side, side), 1.0, ""),
        ("a game", (few, int(rng.integers(2, 5))), 1.0, ""),
        ("a loud critic", (few + 1, 3), 30.0, ""),
        ("a flat critic", (few, 4), 0.02, WEAK),
        ("float32", (few, 3), 1.0, ""),
        ("B = 1", (1, 3), 1.0, NARROW),
        ("D = 1", (few, 1), 1.0, NARROW),
        ("B = 40", (40, 2), 1.0, LARGE),
    ):
        width = dim + int(rng.integers(2, 4))
        x, h, weight = points(rng, size, dim), points(rng, size, width), points(rng, width, dim)
        reconstruction = float(np.square(x - h @ weight).sum(1).mean())
        args = {
            "x": x,
            "h": h,
            "last": Layer(weight),
            "critic": Patches.random(rng, dim, steep),
            "strength": float(np.round(rng.uniform(0.3, 0.9), 2) + 0.004),
            "delta": float(np.round(rng.uniform(0.05, 0.3), 2) + 0.003),
        }
        yield _case(name, args, hint, least=0.1 * reconstruction)  # the two losses may cancel: float32 rounds each


def _own(x: Tensor, x_hat: Tensor) -> Tensor:
    return (x - x_hat).square().sum(1).mean()


def _slope(loss: Tensor, last: Callable, graph: bool = False) -> Tensor:
    return torch.autograd.grad(loss, last.weight, retain_graph=True, create_graph=graph)[0]


def _game(
    weight: Callable | None = None,
    own: Callable = _own,
    adversarial: Callable = lambda f: -f.mean(),
    total: Callable = lambda o, a, w, s: o + s * w * a,
    size: Callable = torch.linalg.norm,
) -> Callable:
    """The loss with one of its parts exchanged.  weight: (norm of own, norm of adversarial, δ) -> λ"""
    weight = weight or (lambda a, b, d: a / (b + d))

    def form(x: Tensor, h: Tensor, last: Callable, critic: Callable, strength: float, delta: float) -> Tensor:
        x_hat = last(h)
        mine, fake = own(x, x_hat), adversarial(critic(x_hat))
        lam = weight(size(_slope(mine, last)), size(_slope(fake, last)), delta)
        return total(mine, fake, lam, strength)

    return form


def _with_strength_inside(
    x: Tensor, h: Tensor, last: Callable, critic: Callable, strength: float, delta: float
) -> Tensor:
    x_hat = last(h)
    own, fake = _own(x, x_hat), -strength * critic(x_hat).mean()
    return own + _slope(own, last).norm() / (_slope(fake, last).norm() + delta) * fake


def _by_values(x: Tensor, h: Tensor, last: Callable, critic: Callable, strength: float, delta: float) -> Tensor:
    x_hat = last(h)
    own, fake = _own(x, x_hat), -critic(x_hat).mean()
    return own + strength * (own.abs() / (fake.abs() + delta)).detach() * fake


def _at_the_picture(
    x: Tensor, h: Tensor, last: Callable, critic: Callable, strength: float, delta: float
) -> Tensor:
    x_hat = last(h)
    own, fake = _own(x, x_hat), -critic(x_hat).mean()
    norms = [torch.autograd.grad(loss, x_hat, retain_graph=True)[0].norm() for loss in (own, fake)]
    return own + strength * norms[0] / (norms[1] + delta) * fake


def _at_real(x: Tensor, h: Tensor, last: Callable, critic: Callable, strength: float, delta: float) -> Tensor:
    x_hat = last(h)
    own, fake = _own(x, x_hat), -critic(x_hat).mean()
    lam = _slope(own, last).norm() / (_slope(fake, last).norm() + delta)
    return own - strength * lam * critic(x).mean()


def _moving(x: Tensor, h: Tensor, last: Callable, critic: Callable, strength: float, delta: float) -> Tensor:
    x_hat = last(h)
    own, fake = _own(x, x_hat), -critic(x_hat).mean()
    return own + strength * _slope(own, last, True).norm() / (_slope(fake, last, True).norm() + delta) * fake


# fmt: off
MISTAKES = (
    ("The quotient is upside down: where the critic pushes too hard, λ has to make it weaker.",
     _game(lambda a, b, d: b / (a + d))),
    ("λ is missing: the two losses are added as they come.", _game(lambda a, b, d: 1.0)),
    ("Squared norms stand in λ: norms are asked.", _game(lambda a, b, d: a**2 / (b**2 + d))),
    ("λ compares the values of the two losses: their gradients at the last layer are to be compared.", _by_values),
    ("The gradients were taken at the picture x̂: they are asked at the weight of the last layer.",
     _at_the_picture),
    ("strength is not used.", _game(total=lambda o, a, w, s: o + w * a)),
    ("strength stands inside the gradient of λ as well, where it cancels itself.", _with_strength_inside),
    ("strength weighs the reconstruction, too: it belongs to the adversarial loss alone.",
     _game(total=lambda o, a, w, s: s * (o + w * a))),
    ("λ multiplies the reconstruction: it belongs to the adversarial loss.",
     _game(total=lambda o, a, w, s: w * o + s * a)),
    ("The adversarial loss enters with the wrong sign: this decoder wants low numbers from the critic.",
     _game(adversarial=lambda f: f.mean())),
    ("δ is not used.", _game(lambda a, b, d: a / b)),
    ("δ stands above the line as well: it only keeps the line below from being zero.",
     _game(lambda a, b, d: (a + d) / (b + d))),
    ("δ is added to the quotient: it belongs below the line.", _game(lambda a, b, d: a / b + d)),
    ("δ replaces small norms: it is added to the norm.", _game(lambda a, b, d: a / b.clamp(min=d))),
    ("Absolute errors: squared ones are asked.", _game(own=lambda x, y: (x - y).abs().sum(1).mean())),
    ("The critic's numbers are summed: their mean over all patches is asked. λ hides the factor, up to δ.",
     _game(adversarial=lambda f: -f.sum())),
    ("A logarithm was taken of the critic's numbers: here they are heights, and their plain mean counts.",
     _game(adversarial=lambda f: torch.nn.functional.softplus(-f).mean())),
    ("These are sums of absolute entries: the norm is the root of the sum of their squares.",
     _game(size=lambda g: g.abs().sum())),
    ("These are the largest entries of the gradients: the norm is the root of the sum of squares of all.",
     _game(size=lambda g: g.abs().max())),
    ("The critic judged the real pictures: the decoder has no hand in them. What it drew is to be judged.",
     _at_real),
    ("The norm of each row of the weights was taken, and these averaged: one norm of the whole gradient is asked.",
     _game(size=lambda g: g.norm(dim=1).mean())),
    ("Root mean squares in place of norms: λ hides the factor, up to δ.",
     _game(size=lambda g: g.square().mean().sqrt())),
    ("The critic's own hinge at 1 stands in the decoder's loss: the decoder plays for minus the mean, without a "
     "bound.",
     _game(adversarial=lambda f: torch.relu(1 - f).mean())),
    ("The two losses share one weight, 1 − strength and strength: here the reconstruction keeps weight 1.",
     _game(total=lambda o, a, w, s: (1 - s) * o + s * w * a)),
    ("The reconstruction is missing: this is the adversarial part alone.",
     _game(total=lambda o, a, w, s: s * w * a)),
    ("The adversarial part is missing: this is the reconstruction alone.",
     _game(total=lambda o, a, w, s: o + 0 * a)),
    ("This is λ itself: the whole loss of the decoder is asked.", _game(total=lambda o, a, w, s: w)),
)

GRADIENT_MISTAKES = (
    ("λ has a gradient of its own: it is a number that balances, not a thing to be made small. Detach it, or "
     "leave create_graph away.",
     _moving),
    ("The adversarial loss is detached: it has a value, and moves nothing.",
     _game(total=lambda o, a, w, s: o + s * w * a.detach())),
    ("The reconstruction is detached: nothing holds the picture to what it should be.",
     _game(total=lambda o, a, w, s: o.detach() + s * w * a)),
)

EXERCISE = Exercise(
    id="lat.balanced_loss", number="10.2", title="a decoder between two masters", points=2,
    prompt="the reconstruction loss, and to it added: strength times λ times the adversarial loss, where λ is "
           "the norm of the gradient of the first at the weight of the last layer, divided by that of the "
           "second and delta together; λ moves nothing itself",
    more="torch.autograd.grad(loss, last.weight, retain_graph=True)[0].norm() for each of the two losses; "
         "retain_graph, since the losses are still to be differentiated by the training loop.",
    cases=cases, reference=balanced_loss, mistakes=MISTAKES, gradient_mistakes=GRADIENT_MISTAKES,
    watch=ObserveSpec(outputs=("loss",), gradient=("last",), tensors=True),
)
