"""The usual slips in losses, penalties and styles, exercises 5.2, 5.3, 5.5 and 5.6: (hint, the wrong form)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

Mistakes = tuple[tuple[str, Callable], ...]


# --- 5.2 the discriminator's loss


def _bce(real: Tensor, fake: Tensor) -> Tensor:
    return F.softplus(-real).mean() + F.softplus(fake).mean()


DISCRIMINATOR: Mistakes = (
    (
        "That is V itself, which the discriminator wants large: a loss is made small.",
        lambda real, fake: -_bce(real, fake),
    ),
    (
        "The labels are exchanged: log D is taken of real samples, log(1 − D) of fake ones.",
        lambda real, fake: _bce(-real, -fake),
    ),
    (
        "One mean over both batches together: two means are added, one of the real and one of the fake samples.",
        lambda real, fake: (F.softplus(-real).sum() + F.softplus(fake).sum()) / (len(real) + len(fake)),
    ),
    ("Half of it: the two means are added, not averaged.", lambda real, fake: _bce(real, fake) / 2),
    ("The fake samples are missing.", lambda real, fake: F.softplus(-real).mean() + 0 * fake.sum()),
    ("The real samples are missing.", lambda real, fake: F.softplus(fake).mean() + 0 * real.sum()),
    (
        "Sums over the batches where their means are asked.",
        lambda real, fake: F.softplus(-real).sum() + F.softplus(fake).sum(),
    ),
    (
        "The sign between the two terms is wrong: the discriminator is to be right about both.",
        lambda real, fake: F.softplus(-real).mean() - F.softplus(fake).mean(),
    ),
    (
        "The sigmoid is taken twice: a function that takes logits does it itself.",
        lambda real, fake: _bce(real.sigmoid(), fake.sigmoid()),
    ),
    (
        "No logarithm occurs: that is the Wasserstein critic's loss, a difference of two means.",
        lambda real, fake: fake.mean() - real.mean(),
    ),
    (
        "The logarithm is missing: probabilities are averaged, 1 − D of the real and D of the fake samples.",
        lambda real, fake: (1 - real.sigmoid()).mean() + fake.sigmoid().mean(),
    ),
    (
        "Both batches are taken for real: fake samples enter with log(1 − D).",
        lambda real, fake: _bce(real, -fake),
    ),
    (
        "The logarithm is taken of the mean probability: it belongs to each sample, before the mean.",
        lambda real, fake: -real.sigmoid().mean().log() - (-fake).sigmoid().mean().log(),
    ),
)


# --- 5.3 the generator's two losses


def _both(saturating: Callable, other: Callable) -> Callable:
    return lambda fake: (saturating(fake), other(fake))


def _low(fake: Tensor) -> Tensor:
    return -F.softplus(fake).mean()


def _high(fake: Tensor) -> Tensor:
    return F.softplus(-fake).mean()


GENERATOR: Mistakes = (
    ("Both are right, in the other order: (saturating, non_saturating) is asked.", _both(_high, _low)),
    (
        "The sign of the saturating loss is reversed: the generator makes E log(1 − D) small, as it stands in V.",
        _both(lambda f: -_low(f), _high),
    ),
    (
        "The sign of the non-saturating loss is reversed: −E log D is made small.",
        _both(_low, lambda f: -_high(f)),
    ),
    (
        "Both signs are reversed: these are what the generator would maximise.",
        _both(lambda f: -_low(f), lambda f: -_high(f)),
    ),
    (
        "D and 1 − D are exchanged: sigmoid(logit) is the probability to be real.",
        _both(lambda f: -_high(f), lambda f: -_low(f)),
    ),
    ("The saturating loss came twice.", _both(_low, _low)),
    ("The non-saturating loss came twice.", _both(_high, _high)),
    (
        "Sums over the batch where means are asked.",
        _both(lambda f: _low(f) * len(f), lambda f: _high(f) * len(f)),
    ),
    (
        "The sigmoid is taken twice: a function that takes logits does it itself.",
        _both(lambda f: _low(f.sigmoid()), lambda f: _high(f.sigmoid())),
    ),
    (
        "The logarithms are missing: these are means of probabilities.",
        _both(lambda f: (1 - f.sigmoid()).mean(), lambda f: -f.sigmoid().mean()),
    ),
    (
        "The logarithm is taken of the mean probability: it belongs to each sample, before the mean.",
        _both(lambda f: (-f).sigmoid().mean().log(), lambda f: -f.sigmoid().mean().log()),
    ),
)


# --- 5.5 the gradient penalty


def _slope(critic: Callable, x: Tensor) -> Tensor:
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        return torch.autograd.grad(critic(x).sum(), x)[0]


def _between(real: Tensor, fake: Tensor, u: Tensor) -> Tensor:
    return u[:, None] * real + (1 - u[:, None]) * fake


def _penalty(form: Callable, where: Callable = _between) -> Callable:
    """form(gradient (B, D), u (B,)) at where(real, fake, u)"""
    return lambda critic, real, fake, u: form(_slope(critic, where(real, fake, u)), u)


def _usual(g: Tensor, u: Tensor) -> Tensor:
    return (g.norm(dim=1) - 1).square().mean()


PENALTY: Mistakes = (
    (
        "The slope is taken at the real samples: the points lie between real and fake, x̂ = u·real + (1 − u)·fake.",
        _penalty(_usual, lambda real, fake, u: real),
    ),
    (
        "The slope is taken at the fake samples: the points lie between real and fake, x̂ = u·real + (1 − u)·fake.",
        _penalty(_usual, lambda real, fake, u: fake),
    ),
    (
        "Real and fake are exchanged: u is the share of the real sample.",
        _penalty(_usual, lambda real, fake, u: _between(fake, real, u)),
    ),
    (
        "The middle of each pair was taken: u says how far along it the point lies.",
        _penalty(_usual, lambda real, fake, u: (real + fake) / 2),
    ),
    (
        "The square of the norm is compared with 1: a root is missing.",
        _penalty(lambda g, u: (g.square().sum(1) - 1).square().mean()),
    ),
    (
        "The slope is pulled to 0: this penalty pulls its norm to 1.",
        _penalty(lambda g, u: g.square().sum(1).mean()),
    ),
    (
        "One norm was taken of the gradients of the whole batch: each sample has a norm of its own.",
        _penalty(lambda g, u: (g.norm() - 1).square()),
    ),
    (
        "The norms are averaged before they are compared with 1: each sample is compared, then the squares are averaged.",
        _penalty(lambda g, u: (g.norm(dim=1).mean() - 1).square()),
    ),
    (
        "Every coordinate of the gradient is compared with 1: it is its norm over a sample's coordinates that counts.",
        _penalty(lambda g, u: (g - 1).square().mean()),
    ),
    (
        "The norm of the sum over the batch, or over the wrong axis: dim=1 holds the coordinates of a sample.",
        _penalty(lambda g, u: (g.norm(dim=0) - 1).square().mean()),
    ),
    (
        "Only slopes above 1 are punished: those below 1 count as well.",
        _penalty(lambda g, u: F.relu(g.norm(dim=1) - 1).square().mean()),
    ),
    (
        "The gradient is that of the mean of the critic, B times too small: take that of its sum.",
        _penalty(lambda g, u: (g.norm(dim=1) / len(g) - 1).square().mean()),
    ),
    (
        "The gradient is with respect to the real samples: that loses the factor u; it is asked with respect to x̂.",
        _penalty(lambda g, u: ((u[:, None] * g).norm(dim=1) - 1).square().mean()),
    ),
    (
        "Ten times too much: the weight λ is left to the caller.",
        _penalty(lambda g, u: 10 * _usual(g, u)),
    ),
    ("Sum over the batch where its mean is asked.", _penalty(lambda g, u: len(g) * _usual(g, u))),
    ("The square is missing: (‖∇f‖ − 1)².", _penalty(lambda g, u: (g.norm(dim=1) - 1).mean())),
    ("The absolute value came: the difference to 1 is squared.", _penalty(lambda g, u: (g.norm(dim=1) - 1).abs().mean())),
)


# --- 5.6 AdaIN


def _styled(form: Callable) -> Callable:
    """form(x, scale, bias), both of the style with the axes (B, C, 1, 1)"""
    return lambda x, scale, bias: form(x, scale[..., None, None], bias[..., None, None])


def _normal(x: Tensor, axes: tuple[int, ...] = (2, 3), correction: int = 0) -> Tensor:
    variance, mean = torch.var_mean(x, axes, correction=correction, keepdim=True)
    return (x - mean) / (variance + 1e-12).sqrt()


def _raw(x: Tensor) -> tuple[Tensor, Tensor]:
    variance, mean = torch.var_mean(x, (2, 3), correction=0, keepdim=True)
    return mean, variance


ADAIN: Mistakes = (
    (
        "Mean and deviation are taken over the batch as well, as batch normalisation does: here each picture is by itself.",
        _styled(lambda x, s, b: s * _normal(x, (0, 2, 3)) + b),
    ),
    (
        "Mean and deviation are taken over all channels together, as layer normalisation does: each channel is by itself.",
        _styled(lambda x, s, b: s * _normal(x, (1, 2, 3)) + b),
    ),
    (
        "The statistics run over the channels at each pixel: they run over the pixels of each channel, the last two axes.",
        _styled(lambda x, s, b: s * _normal(x, (1,)) + b),
    ),
    (
        "The deviation divides by HW − 1 (torch's default): here by HW, so that the new deviation is exactly the scale.",
        _styled(lambda x, s, b: s * _normal(x, correction=1) + b),
    ),
    (
        "Divided by the variance: the deviation is its root.",
        _styled(lambda x, s, b: s * (x - _raw(x)[0]) / _raw(x)[1] + b),
    ),
    ("Scale and bias are exchanged.", _styled(lambda x, s, b: b * _normal(x) + s)),
    (
        "The mean is not subtracted: what came in shines through the new style.",
        _styled(lambda x, s, b: s * x / _raw(x)[1].sqrt() + b),
    ),
    (
        "Divided by the root mean square of x itself: subtract the mean first.",
        _styled(lambda x, s, b: s * x / x.square().mean((2, 3), keepdim=True).sqrt() + b),
    ),
    ("The scale is 1 + scale here: some networks are built so, the formula is not.",
     _styled(lambda x, s, b: (1 + s) * _normal(x) + b)),
    ("The bias is multiplied by the scale, too: a parenthesis too far.", _styled(lambda x, s, b: s * (_normal(x) + b))),
    ("The scale is missing.", _styled(lambda x, s, b: _normal(x) + b)),
    ("The bias is missing.", _styled(lambda x, s, b: s * _normal(x))),
    ("Not divided by the deviation: the contrast of what came in stays.", _styled(lambda x, s, b: s * (x - _raw(x)[0]) + b)),
    ("The bias is subtracted.", _styled(lambda x, s, b: s * _normal(x) - b)),
)
