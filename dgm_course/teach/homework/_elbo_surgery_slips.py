"""Where answers to the homework on ELBO surgery usually slip: (hint, the wrong form that earns it)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Slips = tuple[tuple[str, Callable], ...]
LOG_2PI = math.log(2 * math.pi)


def _each(z: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """log N(z_b; mean_i, std_i²), coordinate by coordinate.  (B, n, d)"""
    return -0.5 * ((z[:, None] - mean) / log_std.exp()) ** 2 - log_std - 0.5 * LOG_2PI


def _log_q(z: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    return _each(z, mean, log_std).sum(-1)


def _log_n(table: Tensor) -> float:
    return math.log(table.shape[-1])


AGGREGATED: Slips = (
    ("log n is missing: q_agg is the *average* of the posteriors; their sum integrates to n.",
     lambda z, mean, log_std: _log_q(z, mean, log_std).logsumexp(1)),
    ("log n is added where the average asks to divide.",
     lambda z, mean, log_std: _log_q(z, mean, log_std).logsumexp(1) + math.log(len(mean))),
    ("The sum is divided by n after its logarithm was taken: log(1/n Σ q) = log Σ q − log n.",
     lambda z, mean, log_std: _log_q(z, mean, log_std).logsumexp(1) / len(mean)),
    ("This is the mean of the log-densities: average the *densities*, then take the logarithm (the two differ by Jensen).",
     lambda z, mean, log_std: _log_q(z, mean, log_std).mean(1)),
    ("The posteriors are averaged coordinate by coordinate: a posterior is one density of all d coordinates, so sum over "
     "them first, and average over the data after that.",
     lambda z, mean, log_std: (_each(z, mean, log_std).logsumexp(1) - math.log(len(mean))).sum(1)),
    ("The parameters are averaged in place of the densities: q_agg is a mixture of n Gaussians, not one Gaussian.",
     lambda z, mean, log_std: _log_q(z, mean.mean(0, keepdim=True), log_std.mean(0, keepdim=True))[:, 0]),
    ("Only the nearest posterior counts here: all n of them add up.",
     lambda z, mean, log_std: _log_q(z, mean, log_std).amax(1) - math.log(len(mean))),
    ("log_std is read as the logarithm of the variance: the deviation itself is exp(log_std).",
     lambda z, mean, log_std: _log_q(z, mean, log_std / 2).logsumexp(1) - math.log(len(mean))),
    ("The deviation used is log_std itself: a network gives its logarithm, so take the exponential.",
     lambda z, mean, log_std: _log_q(z, mean, log_std.abs().log()).logsumexp(1) - math.log(len(mean))),
    ("− log σ is missing from the log-density: narrow posteriors would be no taller than wide ones.",
     lambda z, mean, log_std: (_each(z, mean, log_std) + log_std).sum(-1).logsumexp(1) - math.log(len(mean))),
    ("The constant ½ log 2π, once a coordinate, is missing.",
     lambda z, mean, log_std: (_each(z, mean, log_std) + 0.5 * LOG_2PI).sum(-1).logsumexp(1) - math.log(len(mean))),
    ("The square is divided by the deviation, not by the variance.",
     lambda z, mean, log_std: (-0.5 * (z[:, None] - mean) ** 2 / log_std.exp() - log_std - 0.5 * LOG_2PI).sum(-1)
     .logsumexp(1) - math.log(len(mean))),
    ("The log-density of z is averaged over its coordinates: it is their sum.",
     lambda z, mean, log_std: _each(z, mean, log_std).mean(-1).logsumexp(1) - math.log(len(mean))),
    ("The ½ before the square is missing.",
     lambda z, mean, log_std: (_each(z, mean, log_std) - 0.5 * ((z[:, None] - mean) / log_std.exp()) ** 2).sum(-1)
     .logsumexp(1) - math.log(len(mean))),
    ("log σ has the wrong sign: a wide Gaussian is a low one.",
     lambda z, mean, log_std: (_each(z, mean, log_std) + 2 * log_std).sum(-1).logsumexp(1) - math.log(len(mean))),
    ("The constant ½ log 2π is counted once a code, and it belongs to each coordinate.",
     lambda z, mean, log_std: (_each(z, mean, log_std) + 0.5 * LOG_2PI).sum(-1).logsumexp(1) - math.log(len(mean))
     - 0.5 * LOG_2PI),
    ("The average is over the n posteriors, and not over the codes: the wrong number is divided by.",
     lambda z, mean, log_std: _log_q(z, mean, log_std).logsumexp(1) - math.log(len(z))),
    ("This is the density of the *first* posterior alone.", lambda z, mean, log_std: _log_q(z, mean, log_std)[:, 0]),
    ("One Gaussian with the moments of q_agg came; q_agg itself is a mixture with as many humps as it likes.",
     lambda z, mean, log_std: _log_q(z, mean.mean(0, keepdim=True), 0.5 * (
         (2 * log_std).exp().mean(0, keepdim=True) + _between(mean)).log())[:, 0]),
)


def _own(log_q: Tensor) -> Tensor:
    return torch.diagonal(log_q, dim1=1, dim2=2)


MUTUAL: Slips = (
    ("log n is missing: q_agg is the average of the posteriors, so its logarithm is a logsumexp minus log n; without it the "
     "estimate would never be above zero.",
     lambda log_q: (_own(log_q) - log_q.logsumexp(2)).mean()),
    ("log n enters with the wrong sign.",
     lambda log_q: (_own(log_q) - log_q.logsumexp(2) - _log_n(log_q)).mean()),
    ("The sum over the posteriors runs over the wrong axis: q_agg(z_i) fixes the draw i and goes through all j.",
     lambda log_q: (_own(log_q) - log_q.logsumexp(1) + _log_n(log_q)).mean()),
    ("The average over the posteriors is of their logarithms: q_agg averages the densities themselves.",
     lambda log_q: (_own(log_q) - log_q.mean(2)).mean()),
    ("All pairs (i, j) are averaged: z_i was drawn from its own posterior, so the first term is log q(z_i|x_i), "
     "the diagonal.",
     lambda log_q: (log_q - log_q.logsumexp(2, keepdim=True) + _log_n(log_q)).mean()),
    ("The sign is turned: log q(z_i|x_i) minus log q_agg(z_i), the mean of KL(q_i ‖ q_agg).",
     lambda log_q: (log_q.logsumexp(2) - _log_n(log_q) - _own(log_q)).mean()),
    ("q_agg is left out: this is minus the entropy of the posteriors, and no information.",
     lambda log_q: _own(log_q).mean()),
    ("The datum itself is left out of q_agg: the average goes over all n, j = i included (so that it stays below log n).",
     lambda log_q: (_own(log_q) - log_q.masked_fill(torch.eye(log_q.shape[1], dtype=torch.bool), -math.inf).logsumexp(2)
                    + math.log(max(1, log_q.shape[1] - 1))).mean()),
    ("The average is over all k · n draws, not only over the k: there is one n too many in your value.",
     lambda log_q: (_own(log_q) - log_q.logsumexp(2) + _log_n(log_q)).sum(1).mean()),
    ("The draws are averaged inside the logarithm: each of the k draws has its own log-ratio, and their mean is taken last.",
     lambda log_q: ((_own(log_q) - log_q.logsumexp(2) + _log_n(log_q)).exp().mean()).log()),
    ("q_agg is built from the log-densities of all draws together: log q_agg(z) belongs to one draw, n numbers at a time.",
     lambda log_q: (_own(log_q) - log_q.logsumexp((0, 2)) + math.log(log_q.shape[0] * log_q.shape[1])).mean()),
    ("The average over the posteriors is divided by k: k counts the draws, and n, the last axis, the posteriors.",
     lambda log_q: (_own(log_q) - log_q.logsumexp(2)).mean() + math.log(len(log_q))),
    ("log n minus the mean entropy of the guess: right on average, too, but another number on these draws. Asked is "
     "the mean of log q(z_i|x_i) − log q_agg(z_i).",
     lambda log_q: _log_n(log_q) - torch.special.entr(log_q.softmax(2)).sum(2).mean()),
    ("The likeliest posterior of each draw is taken for its own: z_i was drawn from the i-th, likely or not.",
     lambda log_q: (log_q.amax(2) - log_q.logsumexp(2) + _log_n(log_q)).mean()),
    ("The log-ratios are cut off at zero: a single one may be negative, only their expectation may not.",
     lambda log_q: (_own(log_q) - log_q.logsumexp(2) + _log_n(log_q)).clamp(min=0).mean()),
    ("The draws are averaged before q_agg is formed: each draw has a q_agg of its own, and the mean comes last.",
     lambda log_q: (t := log_q.mean(0), (t.diagonal() - t.logsumexp(1) + _log_n(log_q)).mean())[1]),
    ("All draws are summed: their mean is asked.",
     lambda log_q: (_own(log_q) - log_q.logsumexp(2) + _log_n(log_q)).sum()),
    ("log n is the most that it can be; how much it is depends on how far the posteriors overlap.",
     lambda log_q: 0 * log_q.mean() + _log_n(log_q)),
    ("The probability of the right guess came: its logarithm is wanted, and log n beside it.",
     lambda log_q: _own(log_q.softmax(2)).mean()),
)

MARGINAL: Slips = (
    ("log n is missing: q_agg is the average of the posteriors.",
     lambda log_q, log_p: (log_q.logsumexp(2) - log_p).mean()),
    ("log n enters with the wrong sign.",
     lambda log_q, log_p: (log_q.logsumexp(2) + _log_n(log_q) - log_p).mean()),
    ("The sum over the posteriors runs over the wrong axis: q_agg(z_i) fixes the draw i and goes through all j.",
     lambda log_q, log_p: (log_q.logsumexp(1) - _log_n(log_q) - log_p).mean()),
    ("This is the mean KL of the posteriors to the prior, log q(z_i|x_i) − log p(z_i): the mutual information is still in "
     "it. The marginal KL compares q_agg with the prior.",
     lambda log_q, log_p: (_own(log_q) - log_p).mean()),
    ("This is the mutual information: the marginal KL compares q_agg with the *prior*.",
     lambda log_q, log_p: (_own(log_q) - log_q.logsumexp(2) + _log_n(log_q)).mean()),
    ("The average over the posteriors is of their logarithms: q_agg averages the densities themselves.",
     lambda log_q, log_p: (log_q.mean(2) - log_p).mean()),
    ("The sign is turned: log q_agg minus log p, since the expectation is over q_agg.",
     lambda log_q, log_p: (log_p - log_q.logsumexp(2) + _log_n(log_q)).mean()),
    ("The prior is left out: this is minus the entropy of q_agg.",
     lambda log_q, log_p: (log_q.logsumexp(2) - _log_n(log_q)).mean()),
    ("The prior is added: a KL is a log-ratio, log q_agg − log p.",
     lambda log_q, log_p: (log_q.logsumexp(2) - _log_n(log_q) + log_p).mean()),
    ("The datum itself is left out of q_agg: the average goes over all n, j = i included.",
     lambda log_q, log_p: (log_q.masked_fill(torch.eye(log_q.shape[1], dtype=torch.bool), -math.inf).logsumexp(2)
                           - math.log(max(1, log_q.shape[1] - 1)) - log_p).mean()),
    ("This weighs the log-ratio by p/q_agg, or takes the other KL: the draws come from q_agg, so a plain mean is right.",
     lambda log_q, log_p: (r := log_q.logsumexp(2) - _log_n(log_q) - log_p, ((-r).exp() * r).mean())[1]),
    ("The average is over all k · n draws, not only over the k: there is one n too many in your value.",
     lambda log_q, log_p: (log_q.logsumexp(2) - _log_n(log_q) - log_p).sum(1).mean()),
    ("The logarithm is taken of the average ratio: average the log-ratios.",
     lambda log_q, log_p: (log_q.logsumexp(2) - _log_n(log_q) - log_p).exp().mean().log()),
    ("The log-ratios are made positive one by one: a single one may be negative, only their expectation may not.",
     lambda log_q, log_p: (log_q.logsumexp(2) - _log_n(log_q) - log_p).abs().mean()),
    ("The log-ratios are cut off at zero: a single one may be negative, only their expectation may not.",
     lambda log_q, log_p: (log_q.logsumexp(2) - _log_n(log_q) - log_p).clamp(min=0).mean()),
    ("The average over the posteriors is divided by k: k counts the draws, and n, the last axis, the posteriors.",
     lambda log_q, log_p: (log_q.logsumexp(2) - math.log(len(log_q)) - log_p).mean()),
    ("log n is taken from the posterior's own density: q_agg averages the whole row, and a draw's own posterior is "
     "one of n.",
     lambda log_q, log_p: (_own(log_q) - _log_n(log_q) - log_p).mean()),
    ("The likeliest posterior stands for q_agg: all n of them are averaged.",
     lambda log_q, log_p: (log_q.amax(2) - log_p).mean()),
    ("The draws are averaged before q_agg is formed: each draw has a q_agg of its own, and the mean comes last.",
     lambda log_q, log_p: (log_q.mean(0).logsumexp(1) - _log_n(log_q) - log_p.mean(0)).mean()),
    ("All draws are summed: their mean is asked.",
     lambda log_q, log_p: (log_q.logsumexp(2) - _log_n(log_q) - log_p).sum()),
)


def _moments(mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    return mean.mean(0), 0.5 * variance.log()


def _between(mean: Tensor) -> Tensor:
    return (mean - mean.mean(0)).square().mean(0)


BEST_GAUSSIAN: Slips = (
    ("The variance of the means is missing: q_agg is wide also where its posteriors are narrow, because they sit in "
     "different places.",
     lambda mean, log_std: _moments(mean, (2 * log_std).exp().mean(0))),
    ("The variances of the posteriors are missing: a draw from q_agg is a mean *plus* its noise.",
     lambda mean, log_std: _moments(mean, _between(mean) + 1e-30)),
    ("The deviations are averaged and then squared: it is the variances that add up and average.",
     lambda mean, log_std: _moments(mean, log_std.exp().mean(0) ** 2 + _between(mean))),
    ("The log-deviations are averaged: it is the variances that average.",
     lambda mean, log_std: _moments(mean, (2 * log_std.mean(0)).exp() + _between(mean))),
    ("The deviations stand where the variances belong.",
     lambda mean, log_std: _moments(mean, log_std.exp().mean(0) + _between(mean))),
    ("log_std is read as the logarithm of the variance: the variance is exp(2 · log_std).",
     lambda mean, log_std: (mean.mean(0), (log_std.exp().mean(0) + _between(mean)).log())),
    ("The second moment is not centred: take the square of the overall mean away.",
     lambda mean, log_std: _moments(mean, ((2 * log_std).exp() + mean**2).mean(0))),
    ("The logarithm of the variance came, not of the deviation: half of it is asked.",
     lambda mean, log_std: (mean.mean(0), ((2 * log_std).exp().mean(0) + _between(mean)).log())),
    ("The deviation came, not its logarithm.",
     lambda mean, log_std: (mean.mean(0), ((2 * log_std).exp().mean(0) + _between(mean)).sqrt())),
    ("The variance came, not the logarithm of the deviation.",
     lambda mean, log_std: (mean.mean(0), (2 * log_std).exp().mean(0) + _between(mean))),
    ("The deviations of the two parts are added: variances add, deviations do not.",
     lambda mean, log_std: _moments(mean, ((2 * log_std).exp().mean(0).sqrt() + _between(mean).sqrt()) ** 2)),
    ("The mean is weighted by the precisions: that is how Gaussians *multiply*. Here their densities are averaged, each "
     "datum counting the same.",
     lambda mean, log_std: (
         w := (-2 * log_std).exp(),
         ((w * mean).sum(0) / w.sum(0), 0.5 * ((2 * log_std).exp().mean(0) + _between(mean)).log()))[1]),
    ("The variance of the means is divided by n − 1: no population is estimated here, q_agg *is* the average over these n "
     "(and with n = 1 nothing is left).",
     lambda mean, log_std: _moments(mean, (2 * log_std).exp().mean(0) + mean.var(0))),
    ("Both results are right, in the other order: (mean, log_std) is asked.",
     lambda mean, log_std: _moments(mean, (2 * log_std).exp().mean(0) + _between(mean))[::-1]),
    ("This is the product of the Gaussians, where precisions add up. Here their densities are averaged.",
     lambda mean, log_std: (w := (-2 * log_std).exp(), ((w * mean).sum(0) / w.sum(0), -0.5 * w.sum(0).log()))[1]),
    ("The average of the log-deviations came, and nothing of how far the means lie apart.",
     lambda mean, log_std: (mean.mean(0), log_std.mean(0))),
    ("The two deviations are added: variances add, deviations do not.",
     lambda mean, log_std: (mean.mean(0), (log_std.exp().mean(0) + _between(mean).sqrt()).log())),
    ("The mean of the variances is divided by n once more.",
     lambda mean, log_std: _moments(mean, (2 * log_std).exp().mean(0) / len(mean) + _between(mean))),
)


def _of(z: Tensor, inputs: Tensor, encoder: Callable, each: Callable = _log_q) -> Tensor:
    return each(z, *encoder(inputs))


VAMP: Slips = (
    ("log K is missing: the K posteriors are averaged, and without it p(z) integrates to K.",
     lambda z, inputs, encoder: _of(z, inputs, encoder).logsumexp(1)),
    ("log K is added where the average asks to divide.",
     lambda z, inputs, encoder: _of(z, inputs, encoder).logsumexp(1) + math.log(len(inputs))),
    ("This is the mean of the log-densities: average the densities, then take the logarithm.",
     lambda z, inputs, encoder: _of(z, inputs, encoder).mean(1)),
    ("The average input was encoded: encode each input on its own, and average the K densities.",
     lambda z, inputs, encoder: _of(z, inputs.mean(0, keepdim=True), encoder)[:, 0]),
    ("The parameters of the K posteriors are averaged: that makes one Gaussian, and a VampPrior is a mixture of K.",
     lambda z, inputs, encoder: (p := encoder(inputs), _log_q(z, *(part.mean(0, keepdim=True) for part in p))[:, 0])[1]),
    ("The posteriors are averaged coordinate by coordinate: sum over the coordinates of z first.",
     lambda z, inputs, encoder: (_of(z, inputs, encoder, _each).logsumexp(1) - math.log(len(inputs))).sum(1)),
    ("Only the likeliest of the K posteriors counts here: all of them add up.",
     lambda z, inputs, encoder: _of(z, inputs, encoder).amax(1) - math.log(len(inputs))),
    ("log_std is read as the logarithm of the variance: the deviation itself is exp(log_std).",
     lambda z, inputs, encoder: (p := encoder(inputs), _log_q(z, p[0], p[1] / 2).logsumexp(1) - math.log(len(inputs)))[1]),
    ("The deviations of the encoder are not used: each posterior has its own width.",
     lambda z, inputs, encoder: (p := encoder(inputs), _log_q(z, p[0], 0 * p[1]).logsumexp(1) - math.log(len(inputs)))[1]),
    ("The invented inputs are used as if they were codes: they live in the space of the data, and q(z | u) is the encoder's "
     "answer to them.",
     lambda z, inputs, encoder: (p := encoder(inputs), _log_q(z, inputs[:, :z.shape[1]], p[1]).logsumexp(1)
                                 - math.log(len(inputs)))[1]),
    ("The constant ½ log 2π, once a coordinate, is missing.",
     lambda z, inputs, encoder: _of(z, inputs, encoder).logsumexp(1) - math.log(len(inputs)) + 0.5 * z.shape[1] * LOG_2PI),
    ("The average is over the K inputs, and not over the codes: the wrong number is divided by.",
     lambda z, inputs, encoder: _of(z, inputs, encoder).logsumexp(1) - math.log(len(z))),
    ("− log σ is missing from the log-density.",
     lambda z, inputs, encoder: (p := encoder(inputs), (_log_q(z, *p) + p[1].sum(1)).logsumexp(1)
                                 - math.log(len(inputs)))[1]),
    ("The ½ before the square is missing.",
     lambda z, inputs, encoder: (p := encoder(inputs), (_each(z, *p) - 0.5 * ((z[:, None] - p[0]) / p[1].exp()) ** 2).sum(-1)
                                 .logsumexp(1) - math.log(len(inputs)))[1]),
    ("The square is divided by the deviation, not by the variance.",
     lambda z, inputs, encoder: (p := encoder(inputs), (-0.5 * (z[:, None] - p[0]) ** 2 / p[1].exp() - p[1] - 0.5 * LOG_2PI)
                                 .sum(-1).logsumexp(1) - math.log(len(inputs)))[1]),
    ("The deviation used is log_std itself: the encoder gives its logarithm, so take the exponential.",
     lambda z, inputs, encoder: (p := encoder(inputs), _log_q(z, p[0], p[1].abs().log()).logsumexp(1)
                                 - math.log(len(inputs)))[1]),
    ("The log-density of z is averaged over its coordinates: it is their sum.",
     lambda z, inputs, encoder: _of(z, inputs, encoder, _each).mean(-1).logsumexp(1) - math.log(len(inputs))),
    ("The constant ½ log 2π is counted once a code, and it belongs to each coordinate.",
     lambda z, inputs, encoder: _of(z, inputs, encoder).logsumexp(1) - math.log(len(inputs))
     + 0.5 * (z.shape[1] - 1) * LOG_2PI),
    ("Only the first invented input is used.", lambda z, inputs, encoder: _of(z, inputs, encoder)[:, 0]),
)


def _base(z_star: Tensor) -> Tensor:
    return (-0.5 * z_star**2 - 0.5 * LOG_2PI).sum(-1)


FLOW_ELBO: Slips = (
    ("The log-determinant is missing: log p(f(z)) alone is a density of z*, not of z.",
     lambda log_p_x, z_star, ladj, log_q: (log_p_x + _base(z_star) - log_q).mean(0)),
    ("The log-determinant is subtracted: it is that of the map *towards* the noise, z* = f(z), so it is added.",
     lambda log_p_x, z_star, ladj, log_q: (log_p_x + _base(z_star) - ladj - log_q).mean(0)),
    ("log q(z|x) is missing: the KL of the bound is E [log q(z|x) − log p(z|λ)].",
     lambda log_p_x, z_star, ladj, log_q: (log_p_x + _base(z_star) + ladj).mean(0)),
    ("log q(z|x) is added: the bound subtracts it.",
     lambda log_p_x, z_star, ladj, log_q: (log_p_x + _base(z_star) + ladj + log_q).mean(0)),
    ("The prior enters with the wrong sign: the KL is subtracted, so log p(z|λ) is added.",
     lambda log_p_x, z_star, ladj, log_q: (log_p_x - _base(z_star) - ladj - log_q).mean(0)),
    ("The whole KL enters with the wrong sign.",
     lambda log_p_x, z_star, ladj, log_q: (log_p_x - _base(z_star) - ladj + log_q).mean(0)),
    ("The prior is left out: only the reconstruction and the entropy of q are there.",
     lambda log_p_x, z_star, ladj, log_q: (log_p_x - log_q).mean(0)),
    ("The reconstruction is left out: this is minus the KL alone.",
     lambda log_p_x, z_star, ladj, log_q: (_base(z_star) + ladj - log_q).mean(0)),
    ("The constant ½ log 2π of the base, once a coordinate, is missing.",
     lambda log_p_x, z_star, ladj, log_q: (log_p_x - 0.5 * z_star.square().sum(-1) + ladj - log_q).mean(0)),
    ("The constant ½ log 2π is counted once a code, and it belongs to each coordinate.",
     lambda log_p_x, z_star, ladj, log_q: (log_p_x - 0.5 * z_star.square().sum(-1) - 0.5 * LOG_2PI + ladj - log_q).mean(0)),
    ("The ½ before the square of z* is missing.",
     lambda log_p_x, z_star, ladj, log_q: (log_p_x + _base(z_star) - 0.5 * z_star.square().sum(-1) + ladj - log_q).mean(0)),
    ("This is the importance-weighted bound: the ELBO averages the logarithms over the k draws.",
     lambda log_p_x, z_star, ladj, log_q: (log_p_x + _base(z_star) + ladj - log_q).logsumexp(0) - math.log(len(log_p_x))),
    ("The k draws are summed: an average is asked.",
     lambda log_p_x, z_star, ladj, log_q: (log_p_x + _base(z_star) + ladj - log_q).sum(0)),
    ("The determinant itself is asked for its logarithm once more: ladj *is* the logarithm.",
     lambda log_p_x, z_star, ladj, log_q: (log_p_x + _base(z_star) + ladj.abs().log() - log_q).mean(0)),
    ("The base's log-density is averaged over the coordinates: it is their sum.",
     lambda log_p_x, z_star, ladj, log_q: (log_p_x + _base(z_star) / z_star.shape[-1] + ladj - log_q).mean(0)),
    ("log|det| is counted once a coordinate: it is one number a code.",
     lambda log_p_x, z_star, ladj, log_q: (log_p_x + _base(z_star) + z_star.shape[-1] * ladj - log_q).mean(0)),
    ("The determinant came, its logarithm is wanted: ladj enters as it is.",
     lambda log_p_x, z_star, ladj, log_q: (log_p_x + _base(z_star) + ladj.exp() - log_q).mean(0)),
    ("The size of ladj is taken: a map that shrinks volumes has a negative one, and that counts.",
     lambda log_p_x, z_star, ladj, log_q: (log_p_x + _base(z_star) + ladj.abs() - log_q).mean(0)),
    ("The square has the wrong sign: N(0, I) is high where z* is small.",
     lambda log_p_x, z_star, ladj, log_q: (log_p_x + _base(z_star) + z_star.square().sum(-1) + ladj - log_q).mean(0)),
    ("The constant ½ log 2π has the wrong sign.",
     lambda log_p_x, z_star, ladj, log_q: (log_p_x + _base(z_star) + z_star.shape[-1] * LOG_2PI + ladj - log_q).mean(0)),
    ("Both the log-determinant and log q(z|x) are missing: this is log p(x|z) plus the base's log-density of z*.",
     lambda log_p_x, z_star, ladj, log_q: (log_p_x + _base(z_star)).mean(0)),
    ("The reconstruction alone came: the bound also has log p(z|λ) and log q(z|x).",
     lambda log_p_x, z_star, ladj, log_q: log_p_x.mean(0)),
    ("Only the first draw is used: an average over the k draws is asked.",
     lambda log_p_x, z_star, ladj, log_q: (log_p_x + _base(z_star) + ladj - log_q)[0]),
    ("The best draw is taken: an average over the k draws is asked.",
     lambda log_p_x, z_star, ladj, log_q: (log_p_x + _base(z_star) + ladj - log_q).amax(0)),
)
