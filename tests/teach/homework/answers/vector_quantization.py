"""Answers to the homework on vector quantization, right and wrong."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import torch
from torch.nn import functional as F

from . import Bank

# --- 4.1 the nearest vector


def nearest(z, codebook):
    rows = z.movedim(1, -1)
    return (rows[..., None, :] - codebook).square().sum(-1).argmin(-1)


def nearest_stub(z, codebook):
    """k* at every place.   (B, C, H, W), (K, C)  ->  (B, H, W)"""
    raise NotImplementedError("your turn")


def nearest_by_cdist(z, codebook):
    b, c, h, w = z.shape
    rows = z.permute(0, 2, 3, 1).reshape(-1, c)
    return torch.cdist(rows, codebook).argmin(dim=1).reshape(b, h, w)


def nearest_by_loops(z, codebook):
    b, _, h, w = z.shape
    codes = torch.zeros(b, h, w, dtype=torch.long)
    for i in range(b):
        for r in range(h):
            for s in range(w):
                away = [float(((z[i, :, r, s] - e) ** 2).sum()) for e in codebook]
                codes[i, r, s] = int(np.argmin(away))
    return codes


def nearest_expanded(z, codebook):
    score = torch.einsum("bchw,kc->bkhw", z, codebook) - 0.5 * codebook.pow(2).sum(1)[None, :, None, None]
    return score.max(dim=1).indices


def nearest_by_channels(z, codebook):
    away = sum((z[:, c, :, :, None] - codebook[:, c]).abs() ** 2 for c in range(z.shape[1]))
    return torch.topk(away, 1, largest=False).indices[..., 0].float()


def nearest_vectors(z, codebook):
    return codebook[nearest(z, codebook)].movedim(-1, 1)


def nearest_flat(z, codebook):
    return nearest(z, codebook).flatten(1)


def nearest_turned(z, codebook):
    return nearest(z, codebook).transpose(1, 2)


def nearest_distances(z, codebook):
    return (z.movedim(1, -1)[..., None, :] - codebook).square().sum(-1).amin(-1)


# --- 4.2 straight through


def straight_through(z_e, z_q):
    return z_e + (z_q - z_e).detach()


def straight_through_stub(z_e, z_q): ...


def straight_through_turned(z_e, z_q):
    return z_q.detach() + (z_e - z_e.detach())


class Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z_e, z_q):
        return z_q.clone()

    @staticmethod
    def backward(ctx, slope):
        return slope, None


def straight_through_by_function(z_e, z_q):
    return Step.apply(z_e, z_q)


def straight_through_frozen(z_e, z_q):
    with torch.no_grad():
        step = z_q - z_e
    return z_e + step


def both_cut(z_e, z_q):
    return (z_e + (z_q - z_e)).detach()


# --- 4.3 the loss


def loss(x, x_hat, z_e, e, commitment):
    reconstruction = ((x - x_hat) ** 2).sum(1)
    codebook = ((z_e.detach() - e) ** 2).sum(1)
    commit = ((z_e - e.detach()) ** 2).sum(1)
    return (reconstruction + codebook + commitment * commit).mean()


def loss_stub(x, x_hat, z_e, e, commitment):
    """The three terms   ->  ()"""
    raise NotImplementedError


def loss_by_mse(x, x_hat, z_e, e, commitment):
    n = len(x)
    parts = [F.mse_loss(a, b, reduction="sum") / n for a, b in ((x_hat, x), (e, z_e.detach()), (z_e, e.detach()))]
    return parts[0] + parts[1] + commitment * parts[2]


def loss_by_norms(x, x_hat, z_e, e, commitment):
    squared = lambda a, b: torch.linalg.vector_norm(a - b, dim=1) ** 2
    with torch.no_grad():
        z, v = z_e.clone(), e.clone()
    return torch.mean(squared(x, x_hat)) + torch.mean(squared(z, e)) + commitment * torch.mean(squared(z_e, v))


def loss_by_rows(x, x_hat, z_e, e, commitment):
    total = 0
    for i in range(len(x)):
        total = total + torch.dot(x[i] - x_hat[i], x[i] - x_hat[i])
        to_z, to_e = z_e[i].detach() - e[i], z_e[i] - e[i].detach()
        total = total + to_z @ to_z + commitment * (to_e @ to_e)
    return total / x.shape[0]


def loss_summed(x, x_hat, z_e, e, commitment):
    return loss(x, x_hat, z_e, e, commitment) * len(x)


def loss_each(x, x_hat, z_e, e, commitment):
    latent = ((z_e.detach() - e) ** 2).sum(1) + commitment * ((z_e - e.detach()) ** 2).sum(1)
    return ((x - x_hat) ** 2).sum(1) + latent


# --- 4.4 perplexity


def perplexity(codes, size):
    p = torch.bincount(codes.flatten(), minlength=size).double() / codes.numel()
    return torch.exp(-torch.xlogy(p, p).sum())


def perplexity_stub(codes, size):
    pass


def perplexity_by_counter(codes, size):
    counts = Counter(codes.flatten().tolist())
    n = sum(counts.values())
    return math.exp(-sum(c / n * math.log(c / n) for c in counts.values()))


def perplexity_with_epsilon(codes, size):
    p = F.one_hot(codes, size).float().mean((0, 1))
    return torch.exp(-(p * (p + 1e-10).log()).sum())


def perplexity_by_distribution(codes, size):
    counts = torch.tensor([int((codes == k).sum()) for k in range(size)]).float()
    return torch.distributions.Categorical(counts / counts.sum()).entropy().exp()


def perplexity_in_bits(codes, size):
    _, counts = np.unique(codes.numpy(), return_counts=True)
    p = counts / counts.sum()
    return 2 ** (-(p * np.log2(p)).sum())


def perplexity_nan(codes, size):
    p = torch.bincount(codes.flatten(), minlength=size).double() / codes.numel()
    return torch.exp(-(p * p.log()).sum())


# --- 4.5 Gumbel-softmax


def gumbel_softmax(logits, u, temperature):
    g = -torch.log(-torch.log(u))
    return ((logits + g) / temperature).softmax(1)


def gumbel_softmax_stub(logits, u, temperature):
    """y   (B, K), (B, K), number  ->  (B, K)"""


def gumbel_by_exponentials(logits, u, temperature):
    """q_k / E_k with E exponential, to the power 1/τ, normalised: the same, since e^g = 1/E."""
    score = (F.log_softmax(logits, -1) - torch.log(-torch.log(u))) / temperature
    score = score - score.amax(-1, keepdim=True)
    return score.exp() / score.exp().sum(-1, keepdim=True)


def gumbel_by_logsumexp(logits, u, temperature):
    y = (logits - (-u.log()).log()) / temperature
    return torch.exp(y - y.logsumexp(1, keepdim=True))


def gumbel_overflowing(logits, u, temperature):
    y = torch.exp((logits - torch.log(-torch.log(u))) / temperature)
    return y / y.sum(1, keepdim=True)


def gumbel_own_noise(logits, u, temperature):
    return F.gumbel_softmax(logits, tau=temperature)


def gumbel_detached(logits, u, temperature):
    return gumbel_softmax(logits, u, temperature).detach()


# --- 4.6 moving averages


def ema_update(counts, sums, z, codes, decay):
    chosen = F.one_hot(codes, len(counts)).to(z.dtype)
    counts = decay * counts + (1 - decay) * chosen.sum(0)
    sums = decay * sums + (1 - decay) * chosen.T @ z
    return counts, sums, sums / counts[:, None]


def ema_update_stub(counts, sums, z, codes, decay):
    counts = ...
    return counts, sums, sums / counts


def ema_by_index_add(counts, sums, z, codes, decay):
    n = torch.zeros_like(counts).index_add(0, codes, torch.ones_like(z[:, 0]))
    m = torch.zeros_like(sums).index_add(0, codes, z)
    counts, sums = torch.lerp(n, counts, decay), torch.lerp(m, sums, decay)
    return counts, sums, sums / counts.unsqueeze(-1)


def ema_by_loop(counts, sums, z, codes, decay):
    counts, sums, vectors = counts.clone(), sums.clone(), sums.clone()
    for k in range(len(counts)):
        mine = z[codes == k]
        counts[k] = decay * counts[k] + (1 - decay) * len(mine)
        sums[k] = decay * sums[k] + (1 - decay) * mine.sum(0)
        vectors[k] = sums[k] / counts[k]
    return counts, sums, vectors


def ema_in_place(counts, sums, z, codes, decay):
    chosen = F.one_hot(codes, len(counts)).to(z.dtype)
    counts.mul_(decay).add_(chosen.sum(0), alpha=1 - decay)
    sums.mul_(decay).add_(chosen.T @ z, alpha=1 - decay)
    return counts, sums, sums / counts[:, None]


def ema_vectors_alone(counts, sums, z, codes, decay):
    return ema_update(counts, sums, z, codes, decay)[2]


# --- 4.7 the bound


def elbo(log_p_x, codes, logits):
    log_prior = logits.log_softmax(-1).gather(-1, codes[..., None]).squeeze(-1)
    return log_p_x + log_prior.sum(1)


def elbo_stub(log_p_x, codes, logits):
    """log p(x|z_q) + log p(codes)   (B,), (B, L), (B, L, K)  ->  (B,)"""
    raise NotImplementedError("your turn")


def elbo_by_cross_entropy(log_p_x, codes, logits):
    return log_p_x - F.cross_entropy(logits.transpose(1, 2), codes, reduction="none").sum(-1)


def elbo_by_categorical(log_p_x, codes, logits):
    return log_p_x + torch.distributions.Categorical(logits=logits).log_prob(codes).sum(1)


def elbo_by_one_hot(log_p_x, codes, logits):
    hot = F.one_hot(codes, logits.shape[-1]).to(logits.dtype)
    return log_p_x + ((logits - logits.logsumexp(-1, keepdim=True)) * hot).sum((1, 2))


def elbo_of_probabilities(log_p_x, codes, logits):
    p = logits.softmax(-1).gather(-1, codes[..., None])[..., 0]
    return log_p_x + p.log().sum(1)


def elbo_of_the_batch(log_p_x, codes, logits):
    return elbo(log_p_x, codes, logits).mean()


def elbo_of_places(log_p_x, codes, logits):
    return log_p_x[:, None] + logits.log_softmax(-1).gather(-1, codes[..., None])[..., 0]


def minus_elbo(log_p_x, codes, logits):
    return -elbo(log_p_x, codes, logits)


BANKS = {
    "vq.nearest": Bank(
        nearest,
        nearest_stub,
        {
            "vectors": (nearest_vectors, "should have the shape"),
            "flat": (nearest_flat, "reshape them"),
            "distances": (nearest_distances, "compare term by term"),
            "turned": (nearest_turned, "in another shape"),
        },
        {
            "cdist": nearest_by_cdist,
            "loops": nearest_by_loops,
            "expanded": nearest_expanded,
            "channels": nearest_by_channels,
        },
    ),
    "vq.straight_through": Bank(
        straight_through,
        straight_through_stub,
        {"cut": (both_cut, "cut the graph")},
        {
            "turned": straight_through_turned,
            "function": straight_through_by_function,
            "frozen": straight_through_frozen,
        },
    ),
    "vq.loss": Bank(
        loss,
        loss_stub,
        {
            "sum over the batch": (loss_summed, "a sum over the batch"),
            "one a sample": (loss_each, "their mean is missing"),
        },
        {"mse": loss_by_mse, "norms": loss_by_norms, "rows": loss_by_rows},
    ),
    "vq.perplexity": Bank(
        perplexity,
        perplexity_stub,
        {"NaN": (perplexity_nan, "NaN")},
        {
            "counter": perplexity_by_counter,
            "epsilon": perplexity_with_epsilon,
            "distribution": perplexity_by_distribution,
            "bits": perplexity_in_bits,
        },
    ),
    "vq.gumbel_softmax": Bank(
        gumbel_softmax,
        gumbel_softmax_stub,
        {
            "overflow": (gumbel_overflowing, "overflows"),
            "own noise": (gumbel_own_noise, "Every random number the exercise needs"),
            "no graph": (gumbel_detached, "cut the graph"),
        },
        {"exponentials": gumbel_by_exponentials, "logsumexp": gumbel_by_logsumexp},
    ),
    "vq.ema_update": Bank(
        ema_update,
        ema_update_stub,
        {
            "in place": (ema_in_place, "writes into the caller's"),
            "one output": (ema_vectors_alone, "Return 3 tensors"),
        },
        {"index_add": ema_by_index_add, "loop": ema_by_loop},
    ),
    "vq.elbo": Bank(
        elbo,
        elbo_stub,
        {
            "underflow": (elbo_of_probabilities, "log_softmax"),
            "negative": (minus_elbo, "The sign is reversed"),
            "one number": (elbo_of_the_batch, "A mean too many"),
            "one a place": (elbo_of_places, "should have the shape"),
        },
        {"cross-entropy": elbo_by_cross_entropy, "categorical": elbo_by_categorical, "one-hot": elbo_by_one_hot},
    ),
}
