"""Answers to the homework on VAEs, right and wrong."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn import functional as F

from . import Bank

# --- 2.1 the KL


def gaussian_kl(mean, log_std):
    return 0.5 * (mean**2 + (2 * log_std).exp() - 1 - 2 * log_std).sum(1)


def gaussian_kl_stub(mean, log_std):
    """KL(N(mean, σ²) ‖ N(0, I)).   (B, D), (B, D)  ->  (B,)"""
    raise NotImplementedError("your turn")


def kl_by_torch(mean, log_std):
    normal = torch.distributions.Normal
    p = normal(torch.zeros_like(mean), torch.ones_like(mean))
    return torch.distributions.kl_divergence(normal(mean, log_std.exp()), p).sum(-1)


def kl_by_loop(mean, log_std):
    rows = []
    for m, s in zip(mean, log_std.exp()):
        total = 0
        for d in range(len(m)):
            total = total + 0.5 * (m[d] ** 2 + s[d] ** 2 - 1) - torch.log(s[d])
        rows.append(total)
    return torch.stack(rows)


def kl_column(mean, log_std):
    std = log_std.exp()
    return (torch.einsum("bd,bd->b", mean, mean) + (std**2 - 1).sum(1) - 2 * log_std.sum(1)) / 2


def kl_of_all(mean, log_std):
    return 0.5 * (mean**2 + (2 * log_std).exp() - 1 - 2 * log_std).sum()


def kl_mean(mean, log_std):
    return 0.5 * (mean**2 + (2 * log_std).exp() - 1 - 2 * log_std).mean(1)


def kl_without_half(mean, log_std):
    return 2 * gaussian_kl(mean, log_std)


def kl_without_graph(mean, log_std):
    return gaussian_kl(mean, log_std).detach()


# --- 2.2 the negative log-likelihood


def gaussian_nll(x, mean, log_std):
    return (0.5 * ((x - mean) / log_std.exp()) ** 2 + log_std + 0.5 * math.log(2 * math.pi)).sum(1)


def gaussian_nll_stub(x, mean, log_std): ...


def nll_by_torch(x, mean, log_std):
    return -torch.distributions.Independent(torch.distributions.Normal(mean, log_std.exp()), 1).log_prob(x)


def nll_by_functional(x, mean, log_std):
    return F.gaussian_nll_loss(mean, x, (2 * log_std).exp(), full=True, reduction="none").sum(1)


def nll_by_numpy(x, mean, log_std):
    x, mean, std = x.numpy(), mean.numpy(), np.exp(log_std.numpy())
    return -np.log(np.exp(-((x - mean) ** 2) / (2 * std**2)) / np.sqrt(2 * np.pi * std**2)).sum(1)


def nll_without_minus(x, mean, log_std):
    return -gaussian_nll(x, mean, log_std)


def nll_mean(x, mean, log_std):
    return gaussian_nll(x, mean, log_std) / x.shape[1]


# --- 2.3 reparameterisation


def reparameterise(mean, log_std, eps):
    return mean + log_std.exp() * eps


def reparameterise_stub(mean, log_std, eps):
    """z   (B, D), (B, D), (B, D)  ->  (B, D)"""
    pass


def reparameterise_by_rows(mean, log_std, eps):
    return torch.stack([m + torch.exp(l) * e for m, l, e in zip(mean, log_std, eps)])


def reparameterise_by_power(mean, log_std, eps):
    return torch.addcmul(mean, math.e**log_std, eps)


def reparameterise_detached(mean, log_std, eps):
    return (mean + log_std.exp() * eps).detach()


def reparameterise_half_detached(mean, log_std, eps):
    return mean + log_std.exp().detach() * eps


def reparameterise_with_own_noise(mean, log_std, eps):
    return mean + log_std.exp() * torch.randn_like(mean)


def reparameterise_by_torch_sample(mean, log_std, eps):
    return torch.distributions.Normal(mean, log_std.exp()).sample()


# --- 2.4 the loss


def loss(x, logits, mean, log_std, kl_weight):
    cross = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)
    return (cross + kl_weight * gaussian_kl(mean, log_std)).mean()


def loss_stub(x, logits, mean, log_std, kl_weight):
    cross = ...
    return cross


def loss_written(x, logits, mean, log_std, kl_weight):
    log_one, log_zero = F.logsigmoid(logits), F.logsigmoid(-logits)
    log_like = torch.where(x == 1, log_one, log_zero).sum(1)
    std = torch.exp(log_std)
    kl = 0.5 * torch.sum(std * std + mean * mean - 1 - torch.log(std * std), dim=1)
    return -(log_like - kl_weight * kl).mean()


def loss_by_sums(x, logits, mean, log_std, kl_weight):
    cross = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
    return (cross + kl_weight * gaussian_kl(mean, log_std).sum()) / len(x)


def loss_by_probabilities(x, logits, mean, log_std, kl_weight):
    cross = F.binary_cross_entropy(torch.sigmoid(logits), x, reduction="none").sum(-1)
    return cross.mean() + kl_weight * kl_by_torch(mean, log_std).mean()


def loss_summed(x, logits, mean, log_std, kl_weight):
    return loss(x, logits, mean, log_std, kl_weight) * len(x)


def elbo_itself(x, logits, mean, log_std, kl_weight):
    return -loss(x, logits, mean, log_std, kl_weight)


def loss_each(x, logits, mean, log_std, kl_weight):
    cross = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)
    return cross + kl_weight * gaussian_kl(mean, log_std)


def loss_kl_without_graph(x, logits, mean, log_std, kl_weight):
    cross = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)
    return (cross + kl_weight * gaussian_kl(mean, log_std).detach()).mean()


# --- 2.5 the importance-weighted bound


def iwae_bound(log_p_x, log_p_z, log_q_z):
    log_w = log_p_x + log_p_z - log_q_z
    return torch.logsumexp(log_w, 0) - math.log(len(log_w))


def iwae_bound_stub(log_p_x, log_p_z, log_q_z):
    """log 1/k Σ w   (k, B)  ->  (B,)"""
    raise NotImplementedError


def iwae_by_hand(log_p_x, log_p_z, log_q_z):
    log_w = log_p_x + log_p_z - log_q_z
    top = log_w.max(0).values
    return top + (log_w - top).exp().mean(0).log()


def iwae_by_loop(log_p_x, log_p_z, log_q_z):
    log_w = log_p_x - (log_q_z - log_p_z)
    total = log_w[0]
    for row in log_w[1:]:
        total = torch.logaddexp(total, row)
    return total - np.log(log_w.shape[0])


def iwae_naive(log_p_x, log_p_z, log_q_z):
    return (log_p_x + log_p_z - log_q_z).exp().mean(0).log()


def iwae_over_the_batch(log_p_x, log_p_z, log_q_z):
    log_w = log_p_x + log_p_z - log_q_z
    return torch.logsumexp(log_w, 1) - math.log(log_w.shape[1])


def iwae_negative(log_p_x, log_p_z, log_q_z):
    return -iwae_bound(log_p_x, log_p_z, log_q_z)


# --- 2.6 EM


def em_step(x, weights, means, std):
    logits = weights.log() - ((x[:, None] - means) ** 2).sum(-1) / (2 * std**2)
    r = logits.softmax(1)
    return r, r.T @ x / r.sum(0)[:, None]


def em_step_stub(x, weights, means, std):
    r = ...
    return r, r.T @ x


def em_by_loop(x, weights, means, std):
    r = torch.zeros(len(x), len(means), dtype=x.dtype)
    for i in range(len(x)):
        for k in range(len(means)):
            r[i, k] = torch.log(weights[k]) - torch.sum((x[i] - means[k]) ** 2) / (2 * std**2)
        r[i] = torch.exp(r[i] - r[i].max())
        r[i] = r[i] / r[i].sum()
    new = torch.stack([sum(r[i, k] * x[i] for i in range(len(x))) / r[:, k].sum() for k in range(len(means))])
    return r, new


def em_by_distributions(x, weights, means, std):
    p = torch.distributions.Normal(means, std)
    joint = p.log_prob(x[:, None]).sum(-1) + torch.log(weights)
    r = torch.exp(joint - joint.logsumexp(1, keepdim=True))
    return r, torch.einsum("bk,bd->kd", r, x) / torch.einsum("bk->k", r).unsqueeze(1)


def em_turned(x, weights, means, std):
    return em_step(x, weights, means, std)[::-1]


def em_responsibilities_alone(x, weights, means, std):
    return em_step(x, weights, means, std)[0]


# --- 2.7 probabilistic PCA


def ppca(x, weight, bias, std):
    cov = weight @ weight.T + std**2 * torch.eye(len(weight), dtype=x.dtype)
    away = x - bias
    squares = (away * torch.linalg.solve(cov, away.T).T).sum(1)
    return -0.5 * (squares + torch.logdet(cov) + x.shape[1] * math.log(2 * math.pi))


def ppca_stub(x, weight, bias, std):
    """log p(x)   x (B, D), weight (D, d), bias (D,)  ->  (B,)"""


def ppca_by_torch(x, weight, bias, std):
    cov = weight.double() @ weight.double().T + std**2 * torch.eye(len(weight)).double()
    return torch.distributions.MultivariateNormal(bias.double(), cov).log_prob(x.double())


def ppca_by_woodbury(x, weight, bias, std):
    """Through the small matrix M = WᵀW + σ² I."""
    d, k = weight.shape
    m = weight.T @ weight + std**2 * torch.eye(k, dtype=x.dtype)
    away = x - bias
    inner = away @ weight
    squares = (away.square().sum(1) - (inner @ torch.linalg.inv(m) * inner).sum(1)) / std**2
    log_det = (d - k) * math.log(std**2) + torch.logdet(m)
    return -0.5 * (squares + log_det + d * math.log(2 * math.pi))


def ppca_by_low_rank(x, weight, bias, std):
    diagonal = torch.full_like(bias, std**2)
    return torch.distributions.LowRankMultivariateNormal(bias, weight, diagonal).log_prob(x)


def ppca_negative(x, weight, bias, std):
    return -ppca(x, weight, bias, std)


BANKS = {
    "vae.gaussian_kl": Bank(
        gaussian_kl,
        gaussian_kl_stub,
        {
            "no half": (kl_without_half, "exactly twice"),
            "mean over the coordinates": (kl_mean, "a mean over the coordinates"),
            "one number": (kl_of_all, "sum"),
            "no graph": (kl_without_graph, "cut the graph"),
        },
        {"torch": kl_by_torch, "loop": kl_by_loop, "einsum": kl_column},
    ),
    "vae.gaussian_nll": Bank(
        gaussian_nll,
        gaussian_nll_stub,
        {
            "log-likelihood": (nll_without_minus, "The sign is reversed"),
            "mean over the coordinates": (nll_mean, "a mean over the coordinates"),
        },
        {"torch": nll_by_torch, "functional": nll_by_functional, "numpy": nll_by_numpy},
    ),
    "vae.reparameterise": Bank(
        reparameterise,
        reparameterise_stub,
        {
            "detached": (reparameterise_detached, "cut the graph"),
            "half detached": (reparameterise_half_detached, "cut the graph"),
            "own noise": (reparameterise_with_own_noise, "Every random number the exercise needs"),
            "sample of torch": (reparameterise_by_torch_sample, "Every random number the exercise needs"),
        },
        {"rows": reparameterise_by_rows, "power": reparameterise_by_power},
    ),
    "vae.loss": Bank(
        loss,
        loss_stub,
        {
            "sum over the batch": (loss_summed, "a sum over the batch"),
            "the ELBO": (elbo_itself, "The sign is reversed"),
            "one a sample": (loss_each, "their mean is missing"),
            "KL without graph": (loss_kl_without_graph, "cut the graph"),
        },
        {"written": loss_written, "sums": loss_by_sums, "probabilities": loss_by_probabilities},
    ),
    "vae.iwae_bound": Bank(
        iwae_bound,
        iwae_bound_stub,
        {
            "underflow": (iwae_naive, "torch.logsumexp"),
            "over the batch": (iwae_over_the_batch, "should have the shape"),
            "negative": (iwae_negative, "The sign is reversed"),
        },
        {"by hand": iwae_by_hand, "loop": iwae_by_loop},
    ),
    "vae.em_step": Bank(
        em_step,
        em_step_stub,
        {
            "turned": (em_turned, "in the other order"),
            "one output": (em_responsibilities_alone, "Return two tensors"),
        },
        {"loop": em_by_loop, "distributions": em_by_distributions},
    ),
    "vae.ppca_log_likelihood": Bank(
        ppca,
        ppca_stub,
        {"negative": (ppca_negative, "The sign is reversed")},
        {"torch": ppca_by_torch, "Woodbury": ppca_by_woodbury, "low rank": ppca_by_low_rank},
    ),
}
