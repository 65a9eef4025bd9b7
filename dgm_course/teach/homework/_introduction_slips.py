"""Where answers to the introduction's homework usually slip: (hint, the wrong form that earns it)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Slips = tuple[tuple[str, Callable], ...]
HALF = 0.5 * math.log(2 * math.pi)


def _square(x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    return 0.5 * ((x - mean) / std) ** 2


LOG_LIKELIHOOD: Slips = (
    ("The constant ½ log 2π, once for each coordinate, is missing: without it the density does not integrate to one.",
     lambda x, mean, std: (-_square(x, mean, std) - std.log()).sum(1).mean()),
    ("The constant ½ log 2π is counted once a sample, and it belongs to each coordinate.",
     lambda x, mean, std: (-_square(x, mean, std) - std.log()).sum(1).mean() - HALF),
    ("log std is missing: a very wide Gaussian would explain anything for nothing.",
     lambda x, mean, std: (-_square(x, mean, std) - HALF).sum(1).mean()),
    ("log std has the wrong sign: the wider the Gaussian, the lower its peak.",
     lambda x, mean, std: (-_square(x, mean, std) + std.log() - HALF).sum(1).mean()),
    ("The logarithm of the variance stands where half of it, log std, belongs.",
     lambda x, mean, std: (-_square(x, mean, std) - 2 * std.log() - HALF).sum(1).mean()),
    ("The square is divided by the deviation, not by the variance: (x − mean)/std is squared as a whole.",
     lambda x, mean, std: (-0.5 * (x - mean) ** 2 / std - std.log() - HALF).sum(1).mean()),
    ("std is taken for a variance: it is a standard deviation here.",
     lambda x, mean, std: (-0.5 * (x - mean) ** 2 / std - 0.5 * std.log() - HALF).sum(1).mean()),
    ("The ½ in front of the square is missing.",
     lambda x, mean, std: (-2 * _square(x, mean, std) - std.log() - HALF).sum(1).mean()),
    ("The square has the wrong sign: far from the mean a density is low, and yours is high.",
     lambda x, mean, std: (_square(x, mean, std) - std.log() - HALF).sum(1).mean()),
    ("The residual is not divided by std.",
     lambda x, mean, std: (-0.5 * (x - mean) ** 2 - std.log() - HALF).sum(1).mean()),
    ("The distance to the mean is not squared.",
     lambda x, mean, std: (-0.5 * ((x - mean) / std).abs() - std.log() - HALF).sum(1).mean()),
    ("This is the squared error with a minus: no log-density, which needs the deviations and a constant too.",
     lambda x, mean, std: -(x - mean).square().sum(1).mean()),
    ("The density of the mean point: it is the log-densities of all samples that are averaged, not the samples themselves.",
     lambda x, mean, std: (-_square(x.mean(0, keepdim=True), mean, std) - std.log() - HALF).sum()),
    ("The mean of the densities is taken first, and then the logarithm: a likelihood is a *product* over the samples, so "
     "its logarithm is a mean of logarithms.",
     lambda x, mean, std: (-_square(x, mean, std) - std.log() - HALF).sum(1).logsumexp(0) - math.log(len(x))),
    ("The densities of all samples are multiplied, and the logarithm comes last: such a product soon rounds to 0. The "
     "logarithm of a product is a sum of logarithms.",
     lambda x, mean, std: (-_square(x, mean, std) - std.log() - HALF).exp().prod().log() / len(x)),
    ("The mean of the data stands where the mean of the Gaussian belongs, which is given.",
     lambda x, mean, std: (-_square(x, x.mean(0), std) - std.log() - HALF).sum(1).mean()),
    ("The mean over the coordinates and over the samples is taken: the log-density of a sample is a *sum* over its "
     "coordinates, and only samples are averaged.",
     lambda x, mean, std: (-_square(x, mean, std) - std.log() - HALF).mean()),
    ("Everything is summed up, over the samples as well: over those the mean is asked, so that data sets of different size "
     "can be compared.",
     lambda x, mean, std: (-_square(x, mean, std) - std.log() - HALF).sum()),
    ("That is the *negative* log-likelihood, the loss of a training run: here larger means better.",
     lambda x, mean, std: (_square(x, mean, std) + std.log() + HALF).sum(1).mean()),
)

POSTERIOR: Slips = (
    ("The prior is not used: this is right only where all classes are equally frequent.",
     lambda log_p, prior: log_p.softmax(1)),
    ("The prior itself is added to log-densities: a product of probabilities is a sum of *logarithms*, of both.",
     lambda log_p, prior: (log_p + prior).softmax(1)),
    ("The log-densities are multiplied by the prior: a product of probabilities is a sum of logarithms.",
     lambda log_p, prior: (log_p * prior).softmax(1)),
    ("The prior comes in after the division by p(x), so the rows do not sum to one any more: it belongs into the numerator "
     "and the denominator.",
     lambda log_p, prior: log_p.softmax(1) * prior),
    ("The prior divides where it should multiply: rare classes win.",
     lambda log_p, prior: (log_p - prior.log()).softmax(1)),
    ("The prior counts twice.", lambda log_p, prior: (log_p + 2 * prior.log()).softmax(1)),
    ("The densities are not used: this is what one knows *before* seeing x.",
     lambda log_p, prior: prior.expand_as(log_p)),
    ("This is the joint p(x, y), the numerator: the division by p(x), which makes rows sum to one, is missing.",
     lambda log_p, prior: log_p.exp() * prior),
    ("This is the logarithm of the joint, log p(x|y) + log p(y): its exponential, divided by p(x), is asked.",
     lambda log_p, prior: log_p + prior.log()),
    ("This is log p(y|x): its exponential is asked, a probability.",
     lambda log_p, prior: (log_p + prior.log()).log_softmax(1)),
    ("The probabilities sum to one over the batch: it is over the classes, for each point, that they must.",
     lambda log_p, prior: (log_p + prior.log()).softmax(0)),
    ("The probabilities sum to one over the whole table: for each point they must.",
     lambda log_p, prior: (log_p + prior.log()).flatten().softmax(0).view_as(log_p)),
    ("This is the most probable class, as zeros and a one: its probability, and that of the others, is asked.",
     lambda log_p, prior: torch.nn.functional.one_hot((log_p + prior.log()).argmax(1), log_p.shape[1]).to(log_p)),
    ("Each class is asked by itself whether it is more likely than not (a sigmoid): classes compete, so all of them belong "
     "into the denominator.",
     lambda log_p, prior: (log_p + prior.log()).sigmoid()),
    ("The logarithms are divided by their sum: first go back to probabilities, then divide.",
     lambda log_p, prior: (log_p + prior.log()) / (log_p + prior.log()).sum(1, keepdim=True)),
    ("Logarithms are multiplied by the prior and divided by their sum: first go back to probabilities.",
     lambda log_p, prior: log_p * prior / (log_p * prior).sum(1, keepdim=True)),
)


def _choice(u: Tensor, weights: Tensor) -> Tensor:
    return (u[:, None] >= weights.cumsum(0)[:-1]).sum(1)


SAMPLE_MIXTURE: Slips = (
    ("The means are averaged: that is one Gaussian in the middle, where there may be no data at all. Each sample belongs to "
     "*one* component.",
     lambda u, eps, weights, means, stds: weights @ means + (weights @ stds) * eps),
    ("The component of the largest weight is taken every time, and u is not used.",
     lambda u, eps, weights, means, stds: means[weights.argmax()] + stds[weights.argmax()] * eps),
    ("All components are equally likely here: u is compared with k/K, and the weights are not used.",
     lambda u, eps, weights, means, stds: means[(u * len(weights)).long()] + stds[(u * len(weights)).long(), None] * eps),
    ("u is compared with the weights themselves: it must be compared with their running sums, whose steps are the weights.",
     lambda u, eps, weights, means, stds: means[_not_summed(u, weights)] + stds[_not_summed(u, weights), None] * eps),
    ("The component whose weight is nearest to u is taken: a component must be chosen as *often* as its weight says.",
     lambda u, eps, weights, means, stds: means[_nearest(u, weights)] + stds[_nearest(u, weights), None] * eps),
    ("The components are counted from the wrong end: a small u belongs to the first.",
     lambda u, eps, weights, means, stds: means[_choice(1 - u, weights)] + stds[_choice(1 - u, weights), None] * eps),
    ("The component is one too far: while u lies below the first weight, it is the first, number 0.",
     lambda u, eps, weights, means, stds: means[_late(u, weights)] + stds[_late(u, weights), None] * eps),
    ("The component is one too early.",
     lambda u, eps, weights, means, stds: means[_early(u, weights)] + stds[_early(u, weights), None] * eps),
    ("One component is chosen for all samples, by the first u: each sample has its own.",
     lambda u, eps, weights, means, stds: means[_choice(u[:1], weights)] + stds[_choice(u[:1], weights)] * eps),
    ("The noise is scaled by the variance: a Gaussian sample is mean + deviation · noise.",
     lambda u, eps, weights, means, stds: means[_choice(u, weights)] + stds[_choice(u, weights), None] ** 2 * eps),
    ("The noise is scaled by the root of the deviation: stds are standard deviations already.",
     lambda u, eps, weights, means, stds: means[_choice(u, weights)] + stds[_choice(u, weights), None].sqrt() * eps),
    ("The noise is not scaled: every component has its own deviation.",
     lambda u, eps, weights, means, stds: means[_choice(u, weights)] + eps),
    ("There is no noise in it: these are the means of the components.",
     lambda u, eps, weights, means, stds: means[_choice(u, weights)] + 0 * eps),
    ("The deviation is that of the first component, whatever was chosen.",
     lambda u, eps, weights, means, stds: means[_choice(u, weights)] + stds[0] * eps),
    ("The noise is subtracted: its distribution is the same, but this noise asks for mean + deviation · noise.",
     lambda u, eps, weights, means, stds: means[_choice(u, weights)] - stds[_choice(u, weights), None] * eps),
    ("The mean is scaled together with the noise.",
     lambda u, eps, weights, means, stds: (means[_choice(u, weights)] + eps) * stds[_choice(u, weights), None]),
    ("The mean is missing: this is the noise of the right component, around 0.",
     lambda u, eps, weights, means, stds: stds[_choice(u, weights), None] * eps),
)


def _not_summed(u: Tensor, weights: Tensor) -> Tensor:
    return (u[:, None] >= weights[:-1]).sum(1)


def _nearest(u: Tensor, weights: Tensor) -> Tensor:
    return (u[:, None] - weights).abs().argmin(1)


def _late(u: Tensor, weights: Tensor) -> Tensor:
    return (_choice(u, weights) + 1).clamp(max=len(weights) - 1)


def _early(u: Tensor, weights: Tensor) -> Tensor:
    return (_choice(u, weights) - 1).clamp(min=0)
