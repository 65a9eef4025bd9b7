"""Answers to the homework of the introduction, right and wrong."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn import functional as F

from . import Bank

# --- 0.1 the log-likelihood of a data set


def log_likelihood(x, mean, std):
    each = -0.5 * ((x - mean) / std) ** 2 - torch.log(std) - 0.5 * math.log(2 * math.pi)
    return each.sum(1).mean()


def log_likelihood_stub(x, mean, std):
    """mean of log N(x; mean, std²).   (B, D), (D,), (D,)  ->  ()"""
    raise NotImplementedError("your turn")


def log_likelihood_by_torch(x, mean, std):
    return torch.distributions.Normal(mean, std).log_prob(x).sum(-1).mean()


def log_likelihood_by_determinant(x, mean, std):
    covariance = torch.diag(std**2)
    moved = torch.linalg.solve(covariance, (x - mean).T).T
    quadratic = ((x - mean) * moved).sum(1)
    return (-0.5 * (quadratic + torch.logdet(covariance) + x.shape[1] * math.log(2 * math.pi))).mean()


def log_likelihood_by_loops(x, mean, std):
    total = 0
    for row in x:
        for value, m, s in zip(row, mean, std):
            total = total - (value - m) ** 2 / (2 * s * s) - (s * math.sqrt(2 * math.pi)).log()
    return total / len(x)


def log_likelihood_in_a_vector(x, mean, std):
    return log_likelihood(x, mean, std)[None]


def no_reduction(x, mean, std):
    return torch.distributions.Normal(mean, std).log_prob(x).sum(1)


def per_coordinate(x, mean, std):
    return torch.distributions.Normal(mean, std).log_prob(x)


def through_densities(x, mean, std):
    density = torch.exp(-0.5 * ((x - mean) / std) ** 2) / (std * math.sqrt(2 * math.pi))
    return density.prod(1).log().mean()


def base_two(x, mean, std):
    return log_likelihood(x, mean, std) / math.log(2)


def density_itself(x, mean, std):
    return log_likelihood(x, mean, std).exp()


def likelihood_cut(x, mean, std):
    return log_likelihood(x, mean, std).detach()


def mean_over_batch_first(x, mean, std):
    return torch.distributions.Normal(mean, std).log_prob(x).mean(0)


# --- 0.2 a classifier out of densities


def posterior(log_p, prior):
    return torch.softmax(log_p + prior.log(), dim=1)


def posterior_stub(log_p, prior):
    """p(y|x).   (B, K), (K,)  ->  (B, K)"""
    ...


def posterior_by_logsumexp(log_p, prior):
    joint = log_p + prior.log()
    return (joint - joint.logsumexp(1, keepdim=True)).exp()


def posterior_shifted(log_p, prior):
    scaled = prior * (log_p - log_p.amax(1, keepdim=True)).exp()
    return scaled / scaled.sum(1, keepdim=True)


def posterior_by_loops(log_p, prior):
    rows = []
    for row in log_p.tolist():
        top = max(row)
        joint = [math.exp(v - top) * p for v, p in zip(row, prior.tolist())]
        rows.append([v / sum(joint) for v in joint])
    return torch.tensor(rows, dtype=log_p.dtype, device=log_p.device)


def posterior_by_ratios(log_p, prior):
    joint = log_p + prior.log()
    return 1 / (joint[:, None, :] - joint[:, :, None]).exp().sum(2)


def plain_bayes(log_p, prior):
    joint = log_p.exp() * prior
    return joint / joint.sum(1, keepdim=True)


def by_epsilon(log_p, prior):
    joint = log_p.exp() * prior
    return joint / (joint.sum(1, keepdim=True) + 1e-12)


def one_constant_for_all(log_p, prior):
    joint = (log_p - log_p.max()).exp() * prior
    return joint / joint.sum(1, keepdim=True)


def clamped(log_p, prior):
    joint = log_p.clamp(min=-80).exp() * prior
    return joint / joint.sum(1, keepdim=True)


def turned(log_p, prior):
    return posterior(log_p, prior).T


def most_probable(log_p, prior):
    return (log_p + prior.log()).argmax(1)


def best_probability(log_p, prior):
    return posterior(log_p, prior).amax(1)


def prior_of_the_rows(log_p, prior):
    return torch.softmax(log_p + prior.log()[:, None], 1)


# --- 0.3 a sample in two steps


def sample_mixture(u, eps, weights, means, stds):
    k = (u[:, None] >= weights.cumsum(0)[:-1]).sum(1)
    return means[k] + stds[k][:, None] * eps


def sample_mixture_stub(u, eps, weights, means, stds):
    """(B,), (B, D), (K,), (K, D), (K,)  ->  (B, D)"""
    raise NotImplementedError("your turn")


def sample_mixture_by_search(u, eps, weights, means, stds):
    k = torch.searchsorted(torch.cumsum(weights, 0), u).clamp(max=len(weights) - 1)
    return means[k] + stds[k].unsqueeze(1) * eps


def sample_mixture_by_loops(u, eps, weights, means, stds):
    rows = []
    for b in range(len(u)):
        k, left = 0, float(u[b])
        while k < len(weights) - 1 and left >= float(weights[k]):
            left -= float(weights[k])
            k += 1
        rows.append(means[k] + stds[k] * eps[b])
    return torch.stack(rows)


def sample_mixture_one_hot(u, eps, weights, means, stds):
    top = weights.cumsum(0)
    inside = ((u[:, None] < top) & (u[:, None] >= top - weights)).to(means)
    return inside @ means + (inside @ stds)[:, None] * eps


def sample_mixture_all_then_pick(u, eps, weights, means, stds):
    every = means + stds[:, None] * eps[:, None]
    k = (u[:, None] < weights.cumsum(0)).to(torch.int8).argmax(1)
    return every[torch.arange(len(u)), k]


def fresh_choice(u, eps, weights, means, stds):
    k = torch.multinomial(weights, len(u), replacement=True)
    return means[k] + stds[k, None] * eps


def fresh_noise(u, eps, weights, means, stds):
    k = (u[:, None] >= weights.cumsum(0)[:-1]).sum(1)
    return means[k] + stds[k, None] * torch.randn_like(eps)


def only_components(u, eps, weights, means, stds):
    return (u[:, None] >= weights.cumsum(0)[:-1]).sum(1)


def whole_table(u, eps, weights, means, stds):
    return means + stds[:, None] * eps[:, None]


def crossed(u, eps, weights, means, stds):
    k = (u[:, None] >= weights.cumsum(0)[:-1]).sum(1)
    return means[k] + stds[k] * eps


BANKS = {
    "intro.log_likelihood": Bank(
        log_likelihood,
        log_likelihood_stub,
        {
            "one number a sample": (no_reduction, "their mean is missing"),
            "a table": (per_coordinate, "One number is asked"),
            "through densities": (through_densities, "round"),
            "bits": (base_two, "base 2"),
            "the density": (density_itself, "exponential of the expected one"),
            "cut": (likelihood_cut, "cut the graph"),
            "one number a coordinate": (mean_over_batch_first, "One number is asked"),
        },
        {
            "torch": log_likelihood_by_torch,
            "determinant": log_likelihood_by_determinant,
            "loops": log_likelihood_by_loops,
            "(1,)": log_likelihood_in_a_vector,
            "double": lambda x, mean, std: log_likelihood(x.double(), mean.double(), std.double()).to(x.dtype),
        },
    ),
    "intro.posterior": Bank(
        posterior,
        posterior_stub,
        {
            "plain": (plain_bayes, "0 divided by 0"),
            "an epsilon": (by_epsilon, "very negative"),
            "one constant for all points": (one_constant_for_all, "very negative"),
            "clamped": (clamped, "very negative"),
            "turned": (turned, "exchanged"),
            "a class": (most_probable, "Too few numbers"),
            "its probability": (best_probability, "Too few numbers"),
            "prior by rows": (prior_of_the_rows, "Shapes do not fit"),
        },
        {
            "logsumexp": posterior_by_logsumexp,
            "shifted": posterior_shifted,
            "loops": posterior_by_loops,
            "ratios": posterior_by_ratios,
            "functional": lambda log_p, prior: F.softmax(prior.log() + log_p, -1),
        },
    ),
    "intro.sample_mixture": Bank(
        sample_mixture,
        sample_mixture_stub,
        {
            "a choice of its own": (fresh_choice, "argument"),
            "noise of its own": (fresh_noise, "argument"),
            "numbers of components": (only_components, "Too few numbers"),
            "all components": (whole_table, "should have the shape"),
            "deviations along the wrong axis": (crossed, "last axis"),
        },
        {
            "searchsorted": sample_mixture_by_search,
            "loops": sample_mixture_by_loops,
            "one-hot": sample_mixture_one_hot,
            "pick": sample_mixture_all_then_pick,
            "numpy choice": lambda u, eps, weights, means, stds: sample_mixture(
                u,
                eps,
                torch.as_tensor(np.asarray(weights)) if weights.device.type == "cpu" else weights,
                means,
                stds,
            ),
        },
    ),
}
