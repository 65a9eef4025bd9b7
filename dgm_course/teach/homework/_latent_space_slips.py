"""The usual slips of the homework on latent spaces: (what the card says, the wrong form that earns it)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Slips = tuple[tuple[str, Callable], ...]
PLACES = (0, 2, 3)


def _stats(codes: Tensor, axes: tuple[int, ...] = PLACES, correction: int = 0) -> tuple[Tensor, Tensor]:
    variance, mean = torch.var_mean(codes, axes, correction=correction, keepdim=True)
    return mean, variance.sqrt()


def _scaled(fresh: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    return (fresh - mean) / std


RESCALE: Slips = (
    ("Mean and deviation were measured on the fresh codes: they belong to the training codes, or every batch gets a scale "
     "of its own, which nobody can undo.",
     lambda codes, fresh: _scaled(fresh, *_stats(fresh))),
    ("One mean and one deviation for all channels together: each channel is asked to have its own.",
     lambda codes, fresh: _scaled(fresh, *_stats(codes, (0, 1, 2, 3)))),
    ("Every place of the grid has its own mean and deviation, over the batch alone: they are to be shared by all places "
     "of a channel.",
     lambda codes, fresh: _scaled(fresh, *_stats(codes, (0,)))),
    ("Mean and deviation run over the channels of each place: the channels are what should be kept apart.",
     lambda codes, fresh: _scaled(fresh, *_stats(codes, (0, 1)))),
    ("Every fresh code is scaled by its own channels' mean and deviation: that is a normalisation layer, and it forgets how "
     "large this code was.",
     lambda codes, fresh: _scaled(fresh, *_stats(fresh, (2, 3)))),
    ("Divided by the variance: the deviation is its root.",
     lambda codes, fresh: (fresh - _stats(codes)[0]) / _stats(codes)[1] ** 2),
    ("The mean is not taken off.", lambda codes, fresh: fresh / _stats(codes)[1]),
    ("The mean is taken off, and nothing is divided.", lambda codes, fresh: fresh - _stats(codes)[0]),
    ("Divided first, and the mean taken off afterwards: then the mean has the wrong size.",
     lambda codes, fresh: fresh / _stats(codes)[1] - _stats(codes)[0]),
    ("This is the way back, from unit size to the size of codes.",
     lambda codes, fresh: _stats(codes)[0] + _stats(codes)[1] * fresh),
    ("Multiplied by the deviation: codes that are too large have to become smaller.",
     lambda codes, fresh: (fresh - _stats(codes)[0]) * _stats(codes)[1]),
    ("Divided by the root mean square: the deviation is measured from the mean, not from zero.",
     lambda codes, fresh: (fresh - _stats(codes)[0]) / codes.square().mean(PLACES, keepdim=True).sqrt()),
    ("Deviations with N − 1 below the line (the default of torch.std): here the mean square itself is asked, correction=0.",
     lambda codes, fresh: _scaled(fresh, *_stats(codes, correction=1))),
    ("Mean and deviation of every channel were measured with the fresh codes among the training codes.",
     lambda codes, fresh: _scaled(fresh, *_stats(torch.cat([codes, fresh])))),
    ("The deviation is that of the fresh codes: both numbers belong to the training codes.",
     lambda codes, fresh: (fresh - _stats(codes)[0]) / _stats(fresh)[1]),
    ("The mean is that of the fresh codes: both numbers belong to the training codes.",
     lambda codes, fresh: (fresh - _stats(fresh)[0]) / _stats(codes)[1]),
    ("A mean of the deviations that single codes have: the deviation is asked of all numbers of a channel together.",
     lambda codes, fresh: (fresh - _stats(codes)[0]) / codes.std((2, 3), correction=0).mean(0).view(1, -1, 1, 1)),
    ("One mean is taken off all channels; each has its own.",
     lambda codes, fresh: (fresh - codes.mean()) / _stats(codes)[1]),
    ("mean and deviation (C,) are laid along the last axis, the columns of the grid: keepdim=True keeps their place.",
     lambda codes, fresh: (fresh - codes.mean(PLACES)) / codes.std(PLACES, correction=0)),
    ("Channels brought to the range from 0 to 1: largest and smallest value say little about the size of most.",
     lambda codes, fresh: (fresh - codes.amin(PLACES, keepdim=True))
     / (codes.amax(PLACES, keepdim=True) - codes.amin(PLACES, keepdim=True))),
)


def _own(x: Tensor, x_hat: Tensor) -> Tensor:
    return (x - x_hat).square().sum(1).mean()


def _slope(loss: Tensor, last: Callable, graph: bool = False) -> Tensor:
    return torch.autograd.grad(loss, last.weight, retain_graph=True, create_graph=graph)[0]


def _game(weight: Callable | None = None, own: Callable = _own, adversarial: Callable = lambda f: -f.mean(),
          total: Callable = lambda o, a, w, s: o + s * w * a, size: Callable = torch.linalg.norm) -> Callable:
    """The loss with one of its parts exchanged.  weight: (norm of own, norm of adversarial, δ) -> λ"""
    weight = weight or (lambda a, b, d: a / (b + d))

    def form(x: Tensor, h: Tensor, last: Callable, critic: Callable, strength: float, delta: float) -> Tensor:
        x_hat = last(h)
        mine, fake = own(x, x_hat), adversarial(critic(x_hat))
        lam = weight(size(_slope(mine, last)), size(_slope(fake, last)), delta)
        return total(mine, fake, lam, strength)

    return form


def _with_strength_inside(x: Tensor, h: Tensor, last: Callable, critic: Callable, strength: float, delta: float) -> Tensor:
    x_hat = last(h)
    own, fake = _own(x, x_hat), -strength * critic(x_hat).mean()
    return own + _slope(own, last).norm() / (_slope(fake, last).norm() + delta) * fake


def _by_values(x: Tensor, h: Tensor, last: Callable, critic: Callable, strength: float, delta: float) -> Tensor:
    x_hat = last(h)
    own, fake = _own(x, x_hat), -critic(x_hat).mean()
    return own + strength * (own.abs() / (fake.abs() + delta)).detach() * fake


def _at_the_picture(x: Tensor, h: Tensor, last: Callable, critic: Callable, strength: float, delta: float) -> Tensor:
    x_hat = last(h)
    own, fake = _own(x, x_hat), -critic(x_hat).mean()
    norms = [torch.autograd.grad(loss, x_hat, retain_graph=True)[0].norm() for loss in (own, fake)]
    return own + strength * norms[0] / (norms[1] + delta) * fake


def _at_real(x: Tensor, h: Tensor, last: Callable, critic: Callable, strength: float, delta: float) -> Tensor:
    x_hat = last(h)
    own, fake = _own(x, x_hat), -critic(x_hat).mean()
    lam = _slope(own, last).norm() / (_slope(fake, last).norm() + delta)
    return own - strength * lam * critic(x).mean()


BALANCE: Slips = (
    ("The quotient is upside down: where the critic pushes too hard, λ has to make it weaker.",
     _game(lambda a, b, d: b / (a + d))),
    ("λ is missing: the two losses are added as they come.", _game(lambda a, b, d: 1.0)),
    ("Squared norms stand in λ: norms are asked.", _game(lambda a, b, d: a**2 / (b**2 + d))),
    ("λ compares the values of the two losses: their gradients at the last layer are to be compared.", _by_values),
    ("The gradients were taken at the picture x̂: they are asked at the weight of the last layer.", _at_the_picture),
    ("strength is not used.", _game(total=lambda o, a, w, s: o + w * a)),
    ("strength stands inside the gradient of λ as well, where it cancels itself.", _with_strength_inside),
    ("strength weighs the reconstruction, too: it belongs to the adversarial loss alone.",
     _game(total=lambda o, a, w, s: s * (o + w * a))),
    ("λ multiplies the reconstruction: it belongs to the adversarial loss.", _game(total=lambda o, a, w, s: w * o + s * a)),
    ("The adversarial loss enters with the wrong sign: this decoder wants low numbers from the critic.",
     _game(adversarial=lambda f: f.mean())),
    ("δ is not used.", _game(lambda a, b, d: a / b)),
    ("δ stands above the line as well: it only keeps the line below from being zero.",
     _game(lambda a, b, d: (a + d) / (b + d))),
    ("δ is added to the quotient: it belongs below the line.", _game(lambda a, b, d: a / b + d)),
    ("δ replaces small norms: it is added to the norm.", _game(lambda a, b, d: a / b.clamp(min=d))),
    ("The squared error is averaged over the pixels: their sum is asked, then the mean over the batch.",
     _game(own=lambda x, y: (x - y).square().mean())),
    ("The squared error is summed over the batch: its mean is asked.", _game(own=lambda x, y: (x - y).square().sum())),
    ("Absolute errors: squared ones are asked.", _game(own=lambda x, y: (x - y).abs().sum(1).mean())),
    ("The critic's numbers are summed: their mean over all patches is asked. λ hides the factor, up to δ.",
     _game(adversarial=lambda f: -f.sum())),
    ("A logarithm was taken of the critic's numbers: here they are heights, and their plain mean counts.",
     _game(adversarial=lambda f: torch.nn.functional.softplus(-f).mean())),
    ("These are sums of absolute entries: the norm is the root of the sum of their squares.",
     _game(size=lambda g: g.abs().sum())),
    ("These are the largest entries of the gradients: the norm is the root of the sum of squares of all.",
     _game(size=lambda g: g.abs().max())),
    ("The critic judged the real pictures: the decoder has no hand in them. What it drew is to be judged.", _at_real),
    ("The norm of each row of the weights was taken, and these averaged: one norm of the whole gradient is asked.",
     _game(size=lambda g: g.norm(dim=1).mean())),
    ("Root mean squares in place of norms: λ hides the factor, up to δ.", _game(size=lambda g: g.square().mean().sqrt())),
    ("The critic's own hinge at 1 stands in the decoder's loss: the decoder plays for minus the mean, without a bound.",
     _game(adversarial=lambda f: torch.relu(1 - f).mean())),
    ("The two losses share one weight, 1 − strength and strength: here the reconstruction keeps weight 1.",
     _game(total=lambda o, a, w, s: (1 - s) * o + s * w * a)),
    ("The reconstruction is missing: this is the adversarial part alone.", _game(total=lambda o, a, w, s: s * w * a)),
    ("The adversarial part is missing: this is the reconstruction alone.", _game(total=lambda o, a, w, s: o + 0 * a)),
    ("This is λ itself: the whole loss of the decoder is asked.", _game(total=lambda o, a, w, s: w)),
)


def _moving(x: Tensor, h: Tensor, last: Callable, critic: Callable, strength: float, delta: float) -> Tensor:
    x_hat = last(h)
    own, fake = _own(x, x_hat), -critic(x_hat).mean()
    return own + strength * _slope(own, last, True).norm() / (_slope(fake, last, True).norm() + delta) * fake


BALANCE_CUTS: Slips = (
    ("λ has a gradient of its own: it is a number that balances, not a thing to be made small. Detach it, or leave "
     "create_graph away.", _moving),
    ("The adversarial loss is detached: it has a value, and moves nothing.",
     _game(total=lambda o, a, w, s: o + s * w * a.detach())),
    ("The reconstruction is detached: nothing holds the picture to what it should be.",
     _game(total=lambda o, a, w, s: o.detach() + s * w * a)),
)


def _look(mix: Callable = lambda f, t, w: f + w * (t - f), ahead: Callable = lambda z, t, v: z + (1 - t) * v,
          back: Callable = lambda z, m, s: m + s * z) -> Callable:
    """The preview with one of its three steps exchanged."""
    def form(zt: Tensor, t: Tensor, free: Tensor, conditional: Tensor, weight: float, mean: Tensor, std: Tensor) -> Tensor:
        m, s = mean[:, None, None], std[:, None, None]
        return back(ahead(zt, t.view(-1, 1, 1, 1), mix(free, conditional, weight)), m, s)
    return form


PREVIEW: Slips = (
    ("The time left is 1 − t: here the step has the length t, which is the time gone.",
     _look(ahead=lambda z, t, v: z + t * v)),
    ("The step goes against the arrow: this is not where the road leads.", _look(ahead=lambda z, t, v: z - (1 - t) * v)),
    ("This is the other end of the road, the noise zt − t·v.", _look(ahead=lambda z, t, v: z - t * v)),
    ("A step of length 1 from zt: only 1 − t is left of the way.", _look(ahead=lambda z, t, v: z + v)),
    ("Divided by the time left: the arrow is multiplied by it.", _look(ahead=lambda z, t, v: z + v / (1 - t))),
    ("zt was divided by t: that forgets the noise in it, of which 1 − t parts are left.",
     _look(ahead=lambda z, t, v: z / t)),
    ("zt was multiplied by t: it is a point of the road already, and the walk starts there.",
     _look(ahead=lambda z, t, v: t * z + (1 - t) * v)),
    ("zt itself was scaled back: the look ahead, along the arrow, is missing.", _look(ahead=lambda z, t, v: z + 0 * v)),
    ("The arrow itself was scaled back, without the point that it starts from.", _look(ahead=lambda z, t, v: (1 - t) * v)),
    ("Guidance starts from the field that was told the class and goes on towards the free one: it is the other way round.",
     _look(mix=lambda f, t, w: t + w * (f - t))),
    ("Guidance by 1 + weight: another paper's convention, or a difference added to the field that was told the class. Here "
     "weight 1 is that field itself.",
     _look(mix=lambda f, t, w: f + (1 + w) * (t - f))),
    ("Only the field that was told the class is used: no guidance.", _look(mix=lambda f, t, w: t)),
    ("Guidance by weight − 1: here weight 1 is the field that was told the class, and 0 the free one.",
     _look(mix=lambda f, t, w: f + (w - 1) * (t - f))),
    ("Only the free field is used.", _look(mix=lambda f, t, w: f)),
    ("The weight multiplies the field that was told the class: it multiplies the difference of the two.",
     _look(mix=lambda f, t, w: w * t)),
    ("The two fields are added: their difference is to be exaggerated.", _look(mix=lambda f, t, w: f + w * (t + f))),
    ("The way back to the size of codes is missing.", _look(back=lambda z, m, s: z)),
    ("Scaled the other way, (z − mean) / std: these codes have unit size already, and have to become as large as the "
     "decoder's.", _look(back=lambda z, m, s: (z - m) / s)),
    ("The mean is multiplied by std as well: first scale, then shift.", _look(back=lambda z, m, s: s * (z + m))),
    ("Divided by std: codes of unit size are to be brought to the size of the decoder's.",
     _look(back=lambda z, m, s: m + z / s)),
    ("mean and std have changed places.", _look(back=lambda z, m, s: s + m * z)),
    ("The time is laid along the last axis: it belongs to the batch, the first.",
     lambda zt, t, free, conditional, weight, mean, std: mean[:, None, None] + std[:, None, None] * (
         zt + (1 - t) * (free + weight * (conditional - free)))),
    ("The time is laid along the channels: it belongs to the batch, the first axis.",
     lambda zt, t, free, conditional, weight, mean, std: mean[:, None, None] + std[:, None, None] * (
         zt + (1 - t.view(1, -1, 1, 1)) * (free + weight * (conditional - free)))),
    ("The mean is not added.", _look(back=lambda z, m, s: s * z)),
    ("Only the mean is added; std is not used.", _look(back=lambda z, m, s: z + m)),
    ("The mean is subtracted on the way back: it was subtracted on the way in.", _look(back=lambda z, m, s: s * z - m)),
    ("zt was scaled back, and then an arrow of unit size added: walk first, scale what was reached.",
     lambda zt, t, free, conditional, weight, mean, std: mean[:, None, None] + std[:, None, None] * zt
     + (1 - t.view(-1, 1, 1, 1)) * (free + weight * (conditional - free))),
    ("Guidance was applied to zt as well: it mixes the two fields alone.",
     lambda zt, t, free, conditional, weight, mean, std: mean[:, None, None] + std[:, None, None]
     * weight * (zt + (1 - t.view(-1, 1, 1, 1)) * conditional) + std[:, None, None] * (1 - weight)
     * (1 - t.view(-1, 1, 1, 1)) * free),
    ("mean and std are laid along the last axis, the columns of the grid: they belong to the channels, the second axis.",
     lambda zt, t, free, conditional, weight, mean, std: mean + std * (
         zt + (1 - t.view(-1, 1, 1, 1)) * (free + weight * (conditional - free)))),
)
