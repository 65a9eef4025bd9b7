"""Homework of the introduction: a likelihood, Bayes' rule, and a sample in two steps.

Three small formulas that every later lecture leans on.  Log-densities are sums over the coordinates of a sample; a figure
for a data set is the mean over its samples.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...core.distributions import DiagNormal
from . import Exercise, ObserveSpec
from . import _introduction_cases as cases
from . import _introduction_slips as slips

# --- the library's own answers


def log_likelihood(x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """What the library's Gaussian says, averaged over the batch."""
    return DiagNormal(mean, std).log_prob(x).mean()


def posterior(log_p: Tensor, prior: Tensor) -> Tensor:
    """Bayes' rule without leaving logarithms before the end."""
    return torch.softmax(log_p + prior.log(), 1)


def sample_mixture(u: Tensor, eps: Tensor, weights: Tensor, means: Tensor, stds: Tensor) -> Tensor:
    """The component by its place among the cumulated weights, then a Gaussian draw of it."""
    k = torch.searchsorted(weights.cumsum(0)[:-1].contiguous(), u, right=True)
    return means[k] + stds[k, None] * eps


EXERCISES = (
    Exercise(
        "intro.log_likelihood",
        "0.1",
        "the log-likelihood of a data set",
        "one number: the logarithm of the Gaussian density, summed over the coordinates of a sample, averaged over "
        "the samples",
        cases.data_sets,
        log_likelihood,
        slips.LOG_LIKELIHOOD,
        1,
        "−½ ((x − mean)/std)² − log std − ½ log 2π for each coordinate; .sum(1) over them, .mean() over the batch.",
        ObserveSpec(gradient=("mean", "std"), tensors=True),
    ),
    Exercise(
        "intro.posterior",
        "0.2",
        "a classifier out of densities",
        "the probability of each class given a point, by Bayes' rule, from the log-density of the point under each class "
        "and the prior probabilities of the classes; also where the densities are far too small for exp",
        cases.class_densities,
        posterior,
        slips.POSTERIOR,
        1,
        "The logarithm of p(x|y) p(y) is log_p + log prior; a softmax over the classes divides by p(x) and is safe.",
        ObserveSpec(tensors=True),
    ),
    Exercise(
        "intro.sample_mixture",
        "0.3",
        "a sample in two steps",
        "samples of a mixture of Gaussians: a component for each sample, chosen by its uniform number, and then a point of "
        "that component, made of its noise",
        cases.mixtures,
        sample_mixture,
        slips.SAMPLE_MIXTURE,
        1,
        "k = (u[:, None] >= weights.cumsum(0)).sum(1) counts the cumulated weights that u has passed; then m_k + s_k ε.",
        ObserveSpec(tensors=True),
    ),
)
