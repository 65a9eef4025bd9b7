"""Homework of the lecture on ELBO surgery: the aggregated posterior, the two halves of the KL, and priors that are learned.

Deviations come as logarithms, ``log_std``, as networks give them.  log q(z_i | x_j) comes as a table, a draw a row.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ...core.distributions import DiagNormal, Mixture
from ...vae import AggregatedPosterior
from . import Exercise, ObserveSpec
from . import _elbo_surgery_cases as cases
from . import _elbo_surgery_slips as slips

# --- the library's own answers


def aggregated_log_prob(z: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """The library's exact mixture of all posteriors."""
    return AggregatedPosterior(DiagNormal(mean, log_std.exp())).log_prob(z)


def mutual_information(log_q: Tensor) -> Tensor:
    """log n minus the mean entropy of the responsibilities' own surprise: log n + mean log r_ii."""
    return math.log(log_q.shape[2]) + log_q.log_softmax(2).diagonal(dim1=1, dim2=2).mean()


def marginal_kl(log_q: Tensor, log_p: Tensor) -> Tensor:
    """The mean KL to the prior less the mutual information."""
    return (log_q.diagonal(dim1=1, dim2=2) - log_p).mean() - mutual_information(log_q)


def best_gaussian(mean: Tensor, log_std: Tensor) -> tuple[Tensor, Tensor]:
    """The moments of the exact mixture."""
    agg = Mixture(torch.ones_like(mean[:, 0]), mean, log_std.exp())
    return agg.mean, agg.cov.diagonal().log() / 2


def vamp_log_prob(z: Tensor, inputs: Tensor, encoder: Callable) -> Tensor:
    """The mixture of the encoder's answers."""
    mean, log_std = encoder(inputs)
    each = [DiagNormal(m, s).log_prob(z) for m, s in zip(mean, log_std.exp())]
    return torch.stack(each).logsumexp(0) - math.log(len(each))


def flow_elbo(log_p_x: Tensor, z_star: Tensor, ladj: Tensor, log_q: Tensor) -> Tensor:
    """The terms of the bound, one draw after the other."""
    prior = DiagNormal(torch.zeros_like(z_star), 1.0).log_prob(z_star) + ladj
    return (log_p_x + prior - log_q).mean(0)


EXERCISES = (
    Exercise(
        "surgery.aggregated_log_prob",
        "3.1",
        "the aggregated posterior",
        "the logarithm of the average of n diagonal Gaussians, at each of M codes",
        cases.mixtures,
        aggregated_log_prob,
        slips.AGGREGATED,
        1,
        "First a table (M, n) of log-densities, each summed over the d coordinates; then logsumexp over the n, minus log n.",
    ),
    Exercise(
        "surgery.mutual_information",
        "3.2",
        "the mutual information",
        "the Monte-Carlo estimate of the mutual information, one number, from the log-densities of every draw under every "
        "posterior",
        cases.tables,
        mutual_information,
        slips.MUTUAL,
        2,
        "For each draw: log q(z_i|x_i), which is on the diagonal, minus log q_agg(z_i), an average over the whole row. Then "
        "the mean over all draws.",
    ),
    Exercise(
        "surgery.marginal_kl",
        "3.3",
        "the marginal KL",
        "the Monte-Carlo estimate of the KL from the aggregated posterior to the prior, one number",
        cases.tables_and_priors,
        marginal_kl,
        slips.MARGINAL,
        1,
        "All draws together are draws from q_agg: the mean of log q_agg − log p over them.",
    ),
    Exercise(
        "surgery.best_gaussian",
        "3.4",
        "the best Gaussian prior",
        "mean and log-deviation of the diagonal Gaussian that is nearest, in forward KL, to the average of n Gaussians",
        cases.posteriors,
        best_gaussian,
        slips.BEST_GAUSSIAN,
        1,
        "Maximum likelihood for a Gaussian matches mean and variance. The variance of a mixture is the mean of the "
        "variances plus the variance of the means.",
        ObserveSpec(outputs=("mean", "log_std")),
    ),
    Exercise(
        "surgery.vamp_log_prob",
        "3.5",
        "the VampPrior",
        "the log-density of a VampPrior at each code, so that gradients reach the invented inputs",
        cases.pseudo_inputs,
        vamp_log_prob,
        slips.VAMP,
        2,
        "Call the encoder on the inputs, and you have K Gaussians; from there it is Exercise 3.1. Stay in torch, so that "
        "the inputs can learn.",
        ObserveSpec(gradient=("inputs",), tensors=True),
    ),
    Exercise(
        "surgery.flow_elbo",
        "3.6",
        "the ELBO with a flow as its prior",
        "the ELBO of every sample, the average over k draws, with a flow ending in a standard normal for its prior",
        cases.flow_codes,
        flow_elbo,
        slips.FLOW_ELBO,
        2,
        "log p(z|λ) is the log-density of z* under N(0, I), summed over its coordinates, plus ladj. Then reconstruction "
        "plus log p(z|λ) minus log q(z|x), and the mean over the draws.",
    ),
)
