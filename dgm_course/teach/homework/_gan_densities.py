"""The usual slips where both densities are known, exercises 5.1, 5.4, 5.7 and 5.8: (hint, the wrong form)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Mistakes = tuple[tuple[str, Callable], ...]

# --- 5.1 the best discriminator

OPTIMAL: Mistakes = (
    ("That is the probability to be fake, 1 − D*: D is the probability that x is real.", lambda pi, p: p / (pi + p)),
    (
        "The ratio of the densities came: those are the odds D/(1 − D), and D itself lies between 0 and 1.",
        lambda pi, p: pi / p,
    ),
    ("Upside down, and the ratio of the densities only: D lies between 0 and 1.", lambda pi, p: p / pi),
    ("That is the logit, log π − log p: its sigmoid is asked.", lambda pi, p: pi.log() - p.log()),
    (
        "The sigmoid of the difference of the densities: it is the difference of their logarithms that is the logit.",
        lambda pi, p: torch.sigmoid(pi - p),
    ),
    ("½ is the answer where the two densities are equal, and only there.", lambda pi, p: 0.5 + 0 * pi),
    (
        "The densities are squared: set the derivative of π log D + p log(1 − D) to zero, both appear to the first power.",
        lambda pi, p: pi**2 / (pi**2 + p**2),
    ),
    (
        "All points are pooled: at each x the two densities there decide, and nothing else.",
        lambda pi, p: pi.sum() / (pi + p).sum() + 0 * pi,
    ),
    (
        "Below the line stands half the sum: ½(π + p) is the mixture of the Jensen-Shannon divergence, which enters later.",
        lambda pi, p: 2 * pi / (pi + p),
    ),
    (
        "A decision, 0 or 1, came: the best discriminator says how sure one can be.",
        lambda pi, p: (pi > p).to(pi),
    ),
)


# --- 5.4 the Jensen-Shannon divergence


def _kl(p: Tensor, q: Tensor) -> Tensor:
    return torch.where(p > 0, p * (p / q).log(), 0.0).sum(-1)


def _js(p: Tensor, q: Tensor) -> Tensor:
    return (_kl(p, (p + q) / 2) + _kl(q, (p + q) / 2)) / 2


JSD: Mistakes = (
    ("The two KLs are added: their average is asked (a factor ½).", lambda p, q: 2 * _js(p, q)),
    ("Only the half of p is there: q is compared with the mixture as well.", lambda p, q: _kl(p, (p + q) / 2)),
    ("Only the half of q is there: p is compared with the mixture as well.", lambda p, q: _kl(q, (p + q) / 2)),
    ("The ½ is there, but only the half of p: q is compared with the mixture as well.",
     lambda p, q: _kl(p, (p + q) / 2) / 2),
    ("That is KL(p ‖ q): the mixture (p + q)/2 does not occur, and where q is 0 it is infinite.", _kl),
    (
        "That is the average of KL(p ‖ q) and KL(q ‖ p): symmetric, too, but each is to be compared with the mixture.",
        lambda p, q: (_kl(p, q) + _kl(q, p)) / 2,
    ),
    (
        "The mixture is the second argument of each KL, not the first: KL(p ‖ m), not KL(m ‖ p).",
        lambda p, q: (_kl((p + q) / 2, p) + _kl((p + q) / 2, q)) / 2,
    ),
    (
        "Too small by log 2: the mixture is (p + q)/2, and p + q sums to two.",
        lambda p, q: (_kl(p, p + q) + _kl(q, p + q)) / 2,
    ),
    ("That is in bits: the natural logarithm is meant.", lambda p, q: _js(p, q) / math.log(2)),
    ("The root came: it is a distance, but the divergence itself is asked.", lambda p, q: _js(p, q).clamp(min=0).sqrt()),
    (
        "That is the value of the game, 2 JSD − 2 log 2: the divergence itself is asked.",
        lambda p, q: 2 * _js(p, q) - 2 * math.log(2),
    ),
    ("The mean over the symbols: a KL is a sum over them.", lambda p, q: _js(p, q) / p.shape[-1]),
    ("That is the total variation, ½ Σ|p − q|.", lambda p, q: (p - q).abs().sum(-1) / 2),
    ("The sign is reversed: a divergence is never negative.", lambda p, q: -_js(p, q)),
    ("All rows were added up: one number for each pair of tables is asked.", lambda p, q: _js(p, q).sum() + 0 * p[:, 0]),
)


# --- 5.7 the best critic of least squares

LEAST_SQUARES: Mistakes = (
    (
        "The labels are exchanged: b is what real samples should get, a what fake ones should.",
        lambda pi, p, a, b: (a * pi + b * p) / (pi + p),
    ),
    ("That is right for labels 0 and 1 only: a and b do not occur.", lambda pi, p, a, b: pi / (pi + p)),
    (
        "Not divided by the sum of the densities: the weights of the two labels sum to one.",
        lambda pi, p, a, b: b * pi + a * p,
    ),
    (
        "The sign between the two is wrong: an average of the two labels is asked, weighted by the densities.",
        lambda pi, p, a, b: (b * pi - a * p) / (pi + p),
    ),
    (
        "That is a + b·D*: on the way from a to b the distance is b − a.",
        lambda pi, p, a, b: a + b * pi / (pi + p),
    ),
    ("The middle of the labels is right only where the densities are equal.", lambda pi, p, a, b: (a + b) / 2 + 0 * pi),
    (
        "The density of the model does not count below the line: both terms of the loss pull, with weights π and p.",
        lambda pi, p, a, b: (b * pi + a * p) / pi,
    ),
    (
        "The weight of the fake label is missing: fake samples pull towards a, with weight p.",
        lambda pi, p, a, b: (b * pi + a) / (pi + p),
    ),
    (
        "The sigmoid was put around it: this critic gives any real number.",
        lambda pi, p, a, b: torch.sigmoid((b * pi + a * p) / (pi + p)),
    ),
)


# --- 5.8 a bound on KL from samples

BOUND: Mistakes = (
    (
        "The −1 is missing: the conjugate of u log u is exp(t − 1), not exp(t).",
        lambda real, fake: real.mean() - fake.exp().mean(),
    ),
    (
        "The 1 is subtracted outside of the exponential: the conjugate of u log u is exp(t − 1).",
        lambda real, fake: real.mean() - (fake.exp() - 1).mean(),
    ),
    (
        "That is the bound of Donsker and Varadhan, E T − log E exp(T): true, and another one; here the conjugate is asked.",
        lambda real, fake: real.mean() - fake.exp().mean().log(),
    ),
    (
        "Real and fake are exchanged: T is averaged over the data, its conjugate over the model.",
        lambda real, fake: fake.mean() - (real - 1).exp().mean(),
    ),
    (
        "The sign is reversed: the bound itself is asked, which the critic makes large.",
        lambda real, fake: (fake - 1).exp().mean() - real.mean(),
    ),
    (
        "The exponential is taken of the mean: the conjugate is applied to each sample, then averaged.",
        lambda real, fake: real.mean() - (fake.mean() - 1).exp(),
    ),
    (
        "The conjugate is added: what the model's samples reach is subtracted.",
        lambda real, fake: real.mean() + (fake - 1).exp().mean(),
    ),
    (
        "No conjugate occurs: that is the Wasserstein critic, the difference of two means.",
        lambda real, fake: real.mean() - fake.mean(),
    ),
    ("Sums where means are asked: each term is an expectation.", lambda real, fake: real.sum() - (fake - 1).exp().sum()),
    (
        "The conjugate is that of the reverse KL, −1 − log(−t), or its like: for KL(π ‖ p), f(u) = u log u.",
        lambda real, fake: real.mean() + 1 + (-fake).log().mean(),
    ),
    ("Only the data's half is there.", lambda real, fake: real.mean() + 0 * fake.mean()),
)
