"""Answers to the homework on ELBO surgery, right and wrong."""

from __future__ import annotations

import math

import numpy as np
import torch

from . import Bank

LOG_2PI = math.log(2 * math.pi)

# --- 3.1 the aggregated posterior


def aggregated(z, mean, log_std):
    log_q = -0.5 * ((z[:, None] - mean) / log_std.exp()) ** 2 - log_std - 0.5 * LOG_2PI
    return torch.logsumexp(log_q.sum(-1), 1) - math.log(len(mean))


def aggregated_stub(z, mean, log_std):
    """log 1/n Σ q(z|x_i)   (M, d), (n, d), (n, d)  ->  (M,)"""
    raise NotImplementedError("your turn")


def aggregated_by_torch(z, mean, log_std):
    distributions = torch.distributions
    parts = distributions.Independent(distributions.Normal(mean, log_std.exp()), 1)
    weights = distributions.Categorical(torch.ones_like(mean[:, 0]))
    return distributions.MixtureSameFamily(weights, parts).log_prob(z)


def aggregated_by_loop(z, mean, log_std):
    rows = []
    for m, s in zip(mean, log_std):
        rows.append((-((z - m) ** 2) / (2 * torch.exp(2 * s)) - s - math.log(math.sqrt(2 * math.pi))).sum(-1))
    table = torch.stack(rows)
    top = table.max(0).values
    return top + torch.log(torch.exp(table - top).mean(0))


def aggregated_by_numpy(z, mean, log_std):
    z, mean, std = z.numpy()[:, None], mean.numpy(), np.exp(log_std.numpy())
    each = (-(((z - mean) / std) ** 2) / 2 - np.log(std * np.sqrt(2 * np.pi))).sum(-1)
    return np.logaddexp.reduce(each, axis=1) - np.log(len(mean))


def aggregated_naive(z, mean, log_std):
    log_q = -0.5 * ((z[:, None] - mean) / log_std.exp()) ** 2 - log_std - 0.5 * LOG_2PI
    return log_q.sum(-1).exp().mean(1).log()


def aggregated_over_the_codes(z, mean, log_std):
    log_q = (-0.5 * ((z[:, None] - mean) / log_std.exp()) ** 2 - log_std - 0.5 * LOG_2PI).sum(-1)
    return torch.logsumexp(log_q, 0) - math.log(len(z))


def aggregated_negative(z, mean, log_std):
    return -aggregated(z, mean, log_std)


# --- 3.2 the mutual information


def mutual(log_q):
    own = log_q.diagonal(dim1=1, dim2=2)
    return (own - torch.logsumexp(log_q, 2) + math.log(log_q.shape[2])).mean()


def mutual_stub(log_q):
    own = ...
    return own


def mutual_by_loop(log_q):
    k, n, _ = log_q.shape
    total = 0.0
    for s in range(k):
        for i in range(n):
            total = total + log_q[s, i, i] - (torch.logsumexp(log_q[s, i], 0) - math.log(n))
    return total / (k * n)


def mutual_by_responsibilities(log_q):
    r = torch.softmax(log_q, dim=2)
    eye = torch.eye(r.shape[1], dtype=r.dtype)
    return math.log(r.shape[1]) + ((r * eye).sum(2)).log().mean()


def mutual_naive(log_q):
    return (log_q.diagonal(dim1=1, dim2=2) - log_q.exp().mean(2).log()).mean()


def mutual_each(log_q):
    return log_q.diagonal(dim1=1, dim2=2) - torch.logsumexp(log_q, 2) + math.log(log_q.shape[2])


def mutual_in_bits(log_q):
    return mutual(log_q) / math.log(2)


# --- 3.3 the marginal KL


def marginal(log_q, log_p):
    return (torch.logsumexp(log_q, 2) - math.log(log_q.shape[2]) - log_p).mean()


def marginal_stub(log_q, log_p):
    """KL(q_agg ‖ p)   (k, n, n), (k, n)  ->  ()"""
    pass


def marginal_by_loop(log_q, log_p):
    values = []
    for table, row in zip(log_q, log_p):
        for i in range(len(row)):
            top = table[i].max()
            values.append(top + torch.log(torch.mean(torch.exp(table[i] - top))) - row[i])
    return sum(values) / len(values)


def marginal_by_difference(log_q, log_p):
    mean_kl = (torch.einsum("sii->si", log_q) - log_p).mean()
    return mean_kl - mutual(log_q)


def marginal_naive(log_q, log_p):
    return (log_q.exp().mean(2).log() - log_p).mean()


def marginal_each(log_q, log_p):
    return torch.logsumexp(log_q, 2) - math.log(log_q.shape[2]) - log_p


# --- 3.4 the best Gaussian


def best_gaussian(mean, log_std):
    centre = mean.mean(0)
    variance = (2 * log_std).exp().mean(0) + ((mean - centre) ** 2).mean(0)
    return centre, 0.5 * variance.log()


def best_gaussian_stub(mean, log_std):
    """(n, d), (n, d)  ->  (d,), (d,)"""
    raise NotImplementedError


def best_by_second_moment(mean, log_std):
    centre = torch.einsum("nd->d", mean) / len(mean)
    second = (mean**2 + log_std.exp() ** 2).mean(0)
    return centre, (second - centre**2).sqrt().log()


def best_by_torch(mean, log_std):
    normal, category = torch.distributions.Normal, torch.distributions.Categorical
    weights = category(torch.ones(mean.shape[1], len(mean), dtype=mean.dtype))
    mixture = torch.distributions.MixtureSameFamily(weights, normal(mean.T, log_std.exp().T))
    return mixture.mean, mixture.stddev.log()


def best_by_var(mean, log_std):
    return mean.mean(0), torch.log(torch.sqrt(torch.exp(2 * log_std).mean(0) + mean.var(0, unbiased=False)))


def best_alone(mean, log_std):
    return best_gaussian(mean, log_std)[1]


def best_over_coordinates(mean, log_std):
    return mean.mean(1), 0.5 * ((2 * log_std).exp().mean(1) + mean.var(1, unbiased=False)).log()


# --- 3.5 the VampPrior


def vamp(z, inputs, encoder):
    mean, log_std = encoder(inputs)
    log_q = -0.5 * ((z[:, None] - mean) / log_std.exp()) ** 2 - log_std - 0.5 * LOG_2PI
    return torch.logsumexp(log_q.sum(-1), 1) - math.log(len(inputs))


def vamp_stub(z, inputs, encoder):
    mean, log_std = ...
    return mean


def vamp_by_torch(z, inputs, encoder):
    mean, log_std = encoder(inputs)
    return aggregated_by_torch(z, mean, log_std)


def vamp_one_by_one(z, inputs, encoder):
    total = None
    for u in inputs:
        mean, log_std = encoder(u[None])
        row = torch.distributions.Normal(mean, log_std.exp()).log_prob(z).sum(1)
        total = row if total is None else torch.logaddexp(total, row)
    return total - np.log(len(inputs))


def vamp_without_graph(z, inputs, encoder):
    with torch.no_grad():
        return vamp(z, inputs, encoder)


def vamp_encoder_of_detached(z, inputs, encoder):
    return vamp(z, inputs.detach(), encoder) + 0 * inputs.sum()


def vamp_encodes_codes(z, inputs, encoder):
    mean, log_std = encoder(z)
    return aggregated(z, mean, log_std)


def vamp_naive(z, inputs, encoder):
    mean, log_std = encoder(inputs)
    return aggregated_naive(z, mean, log_std)


# --- 3.6 the ELBO with a flow


def flow_elbo(log_p_x, z_star, ladj, log_q):
    base = (-0.5 * z_star**2 - 0.5 * LOG_2PI).sum(-1)
    return (log_p_x + base + ladj - log_q).mean(0)


def flow_elbo_stub(log_p_x, z_star, ladj, log_q): ...


def flow_elbo_by_torch(log_p_x, z_star, ladj, log_q):
    eye = torch.eye(z_star.shape[-1], dtype=z_star.dtype)
    base = torch.distributions.MultivariateNormal(torch.zeros_like(eye[0]), eye)
    kl = (log_q - (base.log_prob(z_star) + ladj)).mean(0)
    return log_p_x.mean(0) - kl


def flow_elbo_by_loop(log_p_x, z_star, ladj, log_q):
    k, size, d = z_star.shape
    rows = []
    for b in range(size):
        values = [
            log_p_x[s, b] - torch.dot(z_star[s, b], z_star[s, b]) / 2 - d / 2 * LOG_2PI + ladj[s, b] - log_q[s, b]
            for s in range(k)
        ]
        rows.append(sum(values) / k)
    return torch.stack(rows)


def flow_elbo_negative(log_p_x, z_star, ladj, log_q):
    return -flow_elbo(log_p_x, z_star, ladj, log_q)


def flow_elbo_one_number(log_p_x, z_star, ladj, log_q):
    return flow_elbo(log_p_x, z_star, ladj, log_q).mean()


def flow_elbo_of_each_draw(log_p_x, z_star, ladj, log_q):
    return log_p_x + (-0.5 * z_star**2 - 0.5 * LOG_2PI).sum(-1) + ladj - log_q


BANKS = {
    "surgery.aggregated_log_prob": Bank(
        aggregated,
        aggregated_stub,
        {
            "underflow": (aggregated_naive, "torch.logsumexp"),
            "over the codes": (aggregated_over_the_codes, "should have the shape"),
            "negative": (aggregated_negative, "The sign is reversed"),
        },
        {"torch": aggregated_by_torch, "loop": aggregated_by_loop, "numpy": aggregated_by_numpy},
    ),
    "surgery.mutual_information": Bank(
        mutual,
        mutual_stub,
        {
            "underflow": (mutual_naive, "torch.logsumexp"),
            "each": (mutual_each, "One number is asked"),
            "bits": (mutual_in_bits, "base 2"),
        },
        {"loop": mutual_by_loop, "responsibilities": mutual_by_responsibilities},
    ),
    "surgery.marginal_kl": Bank(
        marginal,
        marginal_stub,
        {"underflow": (marginal_naive, "torch.logsumexp"), "each": (marginal_each, "One number is asked")},
        {"loop": marginal_by_loop, "difference": marginal_by_difference},
    ),
    "surgery.best_gaussian": Bank(
        best_gaussian,
        best_gaussian_stub,
        {
            "one output": (best_alone, "Return two tensors"),
            "over the coordinates": (best_over_coordinates, "should have the shape"),
        },
        {"second moment": best_by_second_moment, "torch": best_by_torch, "var": best_by_var},
    ),
    "surgery.vamp_log_prob": Bank(
        vamp,
        vamp_stub,
        {
            "no graph": (vamp_without_graph, "cut the graph"),
            "detached inputs": (vamp_encoder_of_detached, "cut the graph"),
            "encodes codes": (vamp_encodes_codes, "Read the error"),
            "underflow": (vamp_naive, "torch.logsumexp"),
        },
        {"torch": vamp_by_torch, "one by one": vamp_one_by_one},
    ),
    "surgery.flow_elbo": Bank(
        flow_elbo,
        flow_elbo_stub,
        {
            "negative": (flow_elbo_negative, "The sign is reversed"),
            "one number": (flow_elbo_one_number, "over the"),
            "each draw": (flow_elbo_of_each_draw, "their mean over the first axis is missing"),
        },
        {"torch": flow_elbo_by_torch, "loop": flow_elbo_by_loop},
    ),
}
