"""The usual slips in the densities of flows, exercises 6.3, 6.4 and 6.7, as in `_normalizing_flows_layers`."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ._normalizing_flows_layers import Form, Mistakes

LOG_2PI = math.log(2 * math.pi)


# --- 6.3 the change of variables


def _density(square: float = -0.5, constant: float = -0.5 * LOG_2PI, sign: float = 1.0, each: bool = True) -> Form:
    def form(z: Tensor, ladj: Tensor) -> Tensor:
        count = z.shape[1] if each else 1
        return square * (z**2).sum(1) + constant * count + sign * ladj

    return form


DENSITY: Mistakes = (
    (
        "The sign of the log-determinant: ladj is that of f, towards the noise, so it is added. (Where f stretches, the "
        "data were dense.)",
        _density(sign=-1.0),
    ),
    (
        "The log-determinant is missing: that is the density of z, not of x.",
        _density(sign=0.0),
    ),
    (
        "The constant of the normal is there for one coordinate only: −½ log 2π for each of the D.",
        _density(each=False),
    ),
    (
        "The constant −½ log 2π of each coordinate is missing: without it the density does not integrate to one.",
        _density(constant=0.0),
    ),
    (
        "log 2π without its ½: the normal has a root of 2π.",
        _density(constant=-LOG_2PI),
    ),
    (
        "The ½ in front of the square is missing.",
        _density(square=-1.0),
    ),
    (
        "The sign of the square: far from the middle the normal is small.",
        _density(square=0.5),
    ),
    (
        "That is −log p: the loss, and not the log-density.",
        lambda z, ladj: -_density()(z, ladj),
    ),
    (
        "A mean over the coordinates: the density of independent coordinates is a product, its logarithm a sum.",
        lambda z, ladj: -0.5 * (z**2).mean(1) - 0.5 * LOG_2PI + ladj,
    ),
    (
        "exp(ladj) is added, the determinant itself: what belongs here is its logarithm, which ladj already is.",
        lambda z, ladj: _density()(z, ladj) - ladj + ladj.exp(),
    ),
    (
        "A second logarithm of the determinant: ladj is one already.",
        lambda z, ladj: _density()(z, ladj) - ladj + ladj.abs().log(),
    ),
)


# --- 6.4 pixels to logits


def _inner(k: Tensor, u: Tensor, levels: int, margin: float) -> Tensor:
    return margin + (1 - 2 * margin) * (k + u) / levels


def _slope(s: Tensor, levels: int, margin: float) -> Tensor:
    return math.log((1 - 2 * margin) / levels) - s.log() - torch.log1p(-s)


def _logit(
    inner: Callable = _inner,
    z: Callable = lambda s: s.log() - torch.log1p(-s),
    ladj: Callable = lambda s, levels, margin: _slope(s, levels, margin).sum(1),
) -> Form:
    def form(k: Tensor, u: Tensor, levels: int, margin: float) -> tuple[Tensor, Tensor]:
        s = inner(k, u, levels, margin)
        return z(s), ladj(s, levels, margin)

    return form


LOGIT: Mistakes = (
    (
        "256 grey values are taken for granted: the number of levels comes in as an argument.",
        lambda k, u, levels, margin: _logit()(k, u, 256, margin),
    ),
    (
        "Divided by levels − 1: with the noise the pixel lies in [0, levels), so levels brings it into [0, 1).",
        _logit(lambda k, u, levels, margin: margin + (1 - 2 * margin) * (k + u) / (levels - 1)),
    ),
    (
        "The noise is not divided: it belongs to the pixel, (k + u)/levels, and fills one bin and not all of [0, 1].",
        _logit(lambda k, u, levels, margin: margin + (1 - 2 * margin) * (k / levels + u)),
    ),
    (
        "The noise is missing: without it the density of a grid of points is infinite, and a flow finds that out.",
        _logit(lambda k, u, levels, margin: _inner(k, 0 * u, levels, margin)),
    ),
    (
        "The margin is taken from one side only: margin + (1 − 2 margin) y leaves it at both ends.",
        _logit(lambda k, u, levels, margin: margin + (1 - margin) * (k + u) / levels),
    ),
    (
        "The logit is log s − log(1 − s), and log s + log(1 − s) came.",
        _logit(z=lambda s: s.log() + torch.log1p(-s)),
    ),
    (
        "The sigmoid where its inverse, the logit, is asked.",
        _logit(z=torch.sigmoid),
    ),
    (
        "The log-determinant lacks −log levels for each pixel: k + u was divided by it.",
        _logit(ladj=lambda s, levels, margin: _slope(s, 1, margin).sum(1)),
    ),
    (
        "The log-determinant lacks log(1 − 2 margin) for each pixel; it is a slope, too.",
        _logit(ladj=lambda s, levels, margin: _slope(s, levels, 0.0).sum(1)),
    ),
    (
        "The constants are counted once: each pixel has its own slope.",
        _logit(ladj=lambda s, levels, margin: _slope(s, 1, 0.0).sum(1) + math.log((1 - 2 * margin) / levels)),
    ),
    (
        "The sign of the log-determinant: the slope of the logit is 1/(s(1 − s)), at least 4, so its logarithm is positive.",
        _logit(ladj=lambda s, levels, margin: -_slope(s, levels, margin).sum(1)),
    ),
    (
        "The slope of the sigmoid, s(1 − s), where that of the logit, its reciprocal, is asked.",
        _logit(ladj=lambda s, levels, margin: (math.log((1 - 2 * margin) / levels) + s.log() + torch.log1p(-s)).sum(1)),
    ),
    (
        "A mean over the pixels: the logarithm of the determinant is a sum.",
        _logit(ladj=lambda s, levels, margin: _slope(s, levels, margin).mean(1)),
    ),
)


# --- 6.7 the trace by random probes


def _product(field: Callable, x: Tensor, probe: Tensor, transposed: bool = True) -> Tensor:
    """εᵀ J of each point.  (B, D)"""
    with torch.enable_grad():
        leaf = x.detach().clone().requires_grad_()
        return torch.autograd.grad((field(leaf) * probe).sum(), leaf)[0]


def _trace(join: Callable = lambda jp, p: (jp * p).sum(1), mean: Callable = lambda rows: rows.mean(0)) -> Form:
    def form(field: Callable, x: Tensor, probes: Tensor) -> Tensor:
        return mean(torch.stack([join(_product(field, x, probe), probe) for probe in probes]))

    return form


def _by_ones(field: Callable, x: Tensor, probes: Tensor) -> Tensor:
    return (_product(field, x, torch.ones_like(x))).sum(1)


def _exact(field: Callable, x: Tensor, probes: Tensor) -> Tensor:
    units = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    return sum(_product(field, x, unit.expand_as(x))[:, i] for i, unit in enumerate(units))


TRACE: Mistakes = (
    (
        "A sum over the probes where their mean is asked.",
        _trace(mean=lambda rows: rows.sum(0)),
    ),
    (
        "Only the first probe is used: the estimate is the mean over all of them.",
        _trace(mean=lambda rows: rows[0]),
    ),
    (
        "Only the last probe is used: does `return` stand inside the loop, or is a sum overwritten?",
        _trace(mean=lambda rows: rows[-1]),
    ),
    (
        "εᵀJ is summed without the second ε: the estimate is εᵀ J ε.",
        _trace(lambda jp, p: jp.sum(1)),
    ),
    (
        "A mean over the coordinates where εᵀJε is a sum.",
        _trace(lambda jp, p: (jp * p).mean(1)),
    ),
    (
        "That is the exact trace; here the estimate with exactly these probes is asked.",
        _exact,
    ),
    (
        "The probes are not used: a vector of ones came in their place.",
        _by_ones,
    ),
    (
        "The sign: tr J itself is asked; the minus belongs to d log p/dt.",
        lambda field, x, probes: -_trace()(field, x, probes),
    ),
    (
        "The field times the probe, without a derivative: εᵀf is not εᵀJε.",
        lambda field, x, probes: torch.stack([(field(x).detach() * probe).sum(1) for probe in probes]).mean(0),
    ),
    (
        "Averaged over the batch as well: each point has its own trace, (B,).",
        lambda field, x, probes: _trace()(field, x, probes).mean().expand(len(x)),
    ),
)
