"""Where answers to the homework on vector quantization usually slip: (hint, the wrong form that earns it).

The tables named ..._CUTS hold forms whose values are right and whose gradients are not.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

Slips = tuple[tuple[str, Callable], ...]


def _rows(z: Tensor) -> Tensor:
    return z.movedim(1, -1)  # (B, H, W, C)


def _squared(z: Tensor, codebook: Tensor) -> Tensor:
    return (_rows(z)[..., None, :] - codebook).square().sum(-1)  # (B, H, W, K)


NEAREST: Slips = (
    ("The farthest vector is taken: argmin over the distances is asked.",
     lambda z, codebook: _squared(z, codebook).argmax(-1)),
    ("The channels come second, (B, C, H, W): reshaped as they lie, numbers of different places are mixed into one vector. "
     "The channel axis has to be moved to the end first.",
     lambda z, codebook: torch.cdist(z.reshape(-1, z.shape[1]), codebook).argmin(1).view(len(z), *z.shape[2:])),
    ("This is the largest inner product: it favours long vectors. ‖z − e‖² holds ‖e‖² as well.",
     lambda z, codebook: (_rows(z) @ codebook.T).argmax(-1)),
    ("This is the smallest angle (cosine): two vectors in one direction are not equally far away.",
     lambda z, codebook: F.cosine_similarity(_rows(z)[..., None, :], codebook, dim=-1).argmax(-1)),
    ("The cross term has the wrong sign: ‖z − e‖² has −2 z·e.",
     lambda z, codebook: (2 * _rows(z) @ codebook.T + codebook.square().sum(1)).argmin(-1)),
    ("The factor 2 of the cross term is missing: ‖z − e‖² has −2 z·e.",
     lambda z, codebook: (codebook.square().sum(1) - _rows(z) @ codebook.T).argmin(-1)),
    ("Codes are numbered from 0 here: as rows of the codebook.",
     lambda z, codebook: _squared(z, codebook).argmin(-1) + 1),
    ("This is one code for the whole picture, repeated: every place has a vector of its own.",
     lambda z, codebook: _squared(z, codebook).sum((1, 2)).argmin(-1)[:, None, None].expand(len(z), *z.shape[2:])),
    ("Absolute differences are added up: that is another distance, with other borders; ‖z − e‖ asks for squares.",
     lambda z, codebook: (_rows(z)[..., None, :] - codebook).abs().sum(-1).argmin(-1)),
    ("The vector nearest to 0 is taken, whatever z is.",
     lambda z, codebook: codebook.square().sum(1).argmin().expand(len(z), *z.shape[2:])),
)

STRAIGHT_THROUGH: Slips = (
    ("The value is that of z_e: the decoder must be given z_q, and only the gradient goes to z_e.",
     lambda z_e, z_q: z_q + (z_e - z_q).detach()),
    ("The difference alone: it has to be added to z_e.", lambda z_e, z_q: z_q - z_e),
    ("The difference is taken the wrong way round: from z_e the step leads to z_q, by z_q − z_e.",
     lambda z_e, z_q: z_e + (z_e - z_q).detach()),
    ("Half of each: the value must be z_q, entirely.", lambda z_e, z_q: (z_e + z_q) / 2),
)

STRAIGHT_THROUGH_CUTS: Slips = (
    ("The gradient goes to z_q and none of it to z_e: the encoder would never learn from the reconstruction. If z_e stands "
     "in your formula, it is added and subtracted again with its gradient.",
     lambda z_e, z_q: z_q + 0 * z_e),
    ("The gradient reaches z_e, as it should, and z_q as well: the codebook would be pulled by the reconstruction too.",
     lambda z_e, z_q: z_e - z_e.detach() + z_q),
    ("The wrong part is stopped: z_e itself is, and the difference is not, so z_e gets its gradient with a minus sign, and "
     "z_q one that it should not have.",
     lambda z_e, z_q: z_e.detach() + (z_q - z_e)),
    ("The gradient arrives at z_e twice.", lambda z_e, z_q: z_q.detach() + 2 * (z_e - z_e.detach())),
    ("The gradient arrives with the wrong sign: the encoder would climb.",
     lambda z_e, z_q: z_q.detach() - (z_e - z_e.detach())),
)


def _sum(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().sum(1)


def _two(z_e: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
    """The codebook's term and the commitment's, their gradients as they should be."""
    return _sum(z_e.detach(), e), _sum(z_e, e.detach())


LOSS: Slips = (
    ("commitment is not used: it weighs the term that pulls z_e towards its vector.",
     lambda x, x_hat, z_e, e, commitment: (_sum(x, x_hat) + 2 * _sum(z_e, e)).mean()),
    ("commitment multiplies both terms of the codebook; it belongs to one of them.",
     lambda x, x_hat, z_e, e, commitment: (_sum(x, x_hat) + 2 * commitment * _sum(z_e, e)).mean()),
    ("A term is missing: the one that pulls the vectors towards the outputs, which has no weight.",
     lambda x, x_hat, z_e, e, commitment: (_sum(x, x_hat) + commitment * _sum(z_e, e)).mean()),
    ("A term is missing: the commitment, which pulls the outputs towards their vectors.",
     lambda x, x_hat, z_e, e, commitment: (_sum(x, x_hat) + _sum(z_e, e)).mean()),
    ("commitment multiplies the reconstruction.",
     lambda x, x_hat, z_e, e, commitment: (commitment * _sum(x, x_hat) + 2 * _sum(z_e, e)).mean()),
    ("commitment multiplies everything.",
     lambda x, x_hat, z_e, e, commitment: (commitment * (_sum(x, x_hat) + 2 * _sum(z_e, e))).mean()),
    ("The terms of the codebook are subtracted: all three are costs.",
     lambda x, x_hat, z_e, e, commitment: (_sum(x, x_hat) - (1 + commitment) * _sum(z_e, e)).mean()),
    ("The reconstruction is missing.",
     lambda x, x_hat, z_e, e, commitment: ((1 + commitment) * _sum(z_e, e)).mean()),
    ("The terms of the codebook are missing: this is the reconstruction alone.",
     lambda x, x_hat, z_e, e, commitment: _sum(x, x_hat).mean()),
    ("Norms and not squared norms are added up.",
     lambda x, x_hat, z_e, e, commitment: (
         _sum(x, x_hat).sqrt() + (1 + commitment) * _sum(z_e, e).sqrt()).mean()),
    ("The terms are averaged over their coordinates: pictures and outputs have different widths, so their balance is lost. "
     "Sums are asked.",
     lambda x, x_hat, z_e, e, commitment: (x - x_hat).square().mean() + (1 + commitment) * (z_e - e).square().mean()),
    ("The reconstruction is averaged over the pixels while the other terms are sums.",
     lambda x, x_hat, z_e, e, commitment: (x - x_hat).square().mean() + (1 + commitment) * _sum(z_e, e).mean()),
    ("The commitment is averaged over the coordinates while the other terms are sums.",
     lambda x, x_hat, z_e, e, commitment: (
         _sum(x, x_hat) + _sum(z_e, e)).mean() + commitment * (z_e - e).square().mean()),
)

LOSS_CUTS: Slips = (
    ("No gradient is stopped: both terms pull both sides, so they are one term of weight 1 + β. Each is to move one side "
     "alone.",
     lambda x, x_hat, z_e, e, commitment: (_sum(x, x_hat) + (1 + commitment) * _sum(z_e, e)).mean()),
    ("The two stop-gradients have changed places, which no value shows: commitment weighs the pull on z_e, and here it "
     "weighs the pull on e.",
     lambda x, x_hat, z_e, e, commitment: (_sum(x, x_hat) + commitment * _two(z_e, e)[0] + _two(z_e, e)[1]).mean()),
    ("In the commitment e is not stopped: it pulls the vectors as well, and they have their own term.",
     lambda x, x_hat, z_e, e, commitment: (_sum(x, x_hat) + _two(z_e, e)[0] + commitment * _sum(z_e, e)).mean()),
    ("In the codebook's term z_e is not stopped: it pulls the outputs as well, with weight 1.",
     lambda x, x_hat, z_e, e, commitment: (_sum(x, x_hat) + _sum(z_e, e) + commitment * _two(z_e, e)[1]).mean()),
    ("z_e is stopped in both terms: nothing keeps the outputs near their vectors.",
     lambda x, x_hat, z_e, e, commitment: (_sum(x, x_hat) + (1 + commitment) * _two(z_e, e)[0]).mean()),
    ("e is stopped in both terms: the vectors never move.",
     lambda x, x_hat, z_e, e, commitment: (_sum(x, x_hat) + (1 + commitment) * _two(z_e, e)[1]).mean()),
    ("Both sides are stopped in both terms: they have a value, and move nothing.",
     lambda x, x_hat, z_e, e, commitment: (
         _sum(x, x_hat) + (1 + commitment) * _sum(z_e, e).detach()).mean()),
    ("The reconstruction is cut off: nothing reaches what was decoded.",
     lambda x, x_hat, z_e, e, commitment: (
         _sum(x, x_hat.detach()) + _two(z_e, e)[0] + commitment * _two(z_e, e)[1]).mean()),
)


def _shares(codes: Tensor, size: int) -> Tensor:
    return torch.bincount(codes.flatten(), minlength=size).double() / codes.numel()


def _entropy(p: Tensor) -> Tensor:
    return torch.special.entr(p).sum(-1)


PERPLEXITY: Slips = (
    ("This is the entropy in nats: the perplexity is its exponential, a number of codes.",
     lambda codes, size: _entropy(_shares(codes, size))),
    ("This is the entropy in bits: the perplexity is a number of codes.",
     lambda codes, size: _entropy(_shares(codes, size)) / math.log(2)),
    ("Bases are mixed: an entropy in nats takes e to its power, one in bits takes 2.",
     lambda codes, size: 2 ** _entropy(_shares(codes, size))),
    ("Bases are mixed: an entropy in bits takes 2 to its power, one in nats takes e.",
     lambda codes, size: torch.exp(_entropy(_shares(codes, size)) / math.log(2))),
    ("This counts the codes that are used at all: a code used once in a thousand is not a whole code.",
     lambda codes, size: (_shares(codes, size) > 0).sum()),
    ("The perplexity of every row by itself, averaged: the usage is counted over the whole batch.",
     lambda codes, size: torch.stack([_entropy(_shares(row, size)).exp() for row in codes]).mean()),
    ("This is the share of the codebook in use: the division by K is too much.",
     lambda codes, size: _entropy(_shares(codes, size)).exp() / size),
    ("The sign of the entropy is lost: −Σ p log p is positive, and the perplexity at least 1.",
     lambda codes, size: (-_entropy(_shares(codes, size))).exp()),
    ("One over the sum of squares: another count of effective codes, and not the exponential of the entropy.",
     lambda codes, size: 1 / _shares(codes, size).square().sum()),
    ("The shares do not sum to one: divide by the number of all codes, B times L, and not by the batch alone.",
     lambda codes, size: torch.exp(-torch.xlogy(p := _shares(codes, size) * codes.shape[1], p).sum())),
    ("How often codes come is not counted: the entropy is that of the numbers of the codes themselves.",
     lambda codes, size: _entropy((codes.double() + 1).flatten() / (codes.double() + 1).sum()).exp()),
)


def _gumbel(u: Tensor) -> Tensor:
    return -(-u.log()).log()


GUMBEL: Slips = (
    ("The noise enters with the wrong sign: g = −log(−log u) is added, two minus signs in all.",
     lambda logits, u, temperature: ((logits - _gumbel(u)) / temperature).softmax(1)),
    ("The temperature divides the logits alone; the noise has to be divided with them, or the draws change their odds.",
     lambda logits, u, temperature: (logits / temperature + _gumbel(u)).softmax(1)),
    ("The temperature divides the noise alone.",
     lambda logits, u, temperature: (logits + _gumbel(u) / temperature).softmax(1)),
    ("The temperature scales the noise and leaves the logits alone: both are divided by it, together.",
     lambda logits, u, temperature: (logits + temperature * _gumbel(u)).softmax(1)),
    ("A sigmoid looks at each code by itself: over K codes the shares have to sum to one, so it is a softmax.",
     lambda logits, u, temperature: torch.sigmoid((logits + _gumbel(u)) / temperature)),
    ("The temperature multiplies: it divides, so that a low one makes the draw nearly one-hot.",
     lambda logits, u, temperature: ((logits + _gumbel(u)) * temperature).softmax(1)),
    ("The temperature is not used.", lambda logits, u, temperature: (logits + _gumbel(u)).softmax(1)),
    ("The softmax runs over the batch: the codes of each row have to sum to one.",
     lambda logits, u, temperature: ((logits + _gumbel(u)) / temperature).softmax(0)),
    ("The uniform numbers themselves are added: Gumbel noise is −log(−log u).",
     lambda logits, u, temperature: ((logits + u) / temperature).softmax(1)),
    ("This noise is −log u, an exponential: one logarithm more makes it Gumbel, −log(−log u).",
     lambda logits, u, temperature: ((logits - u.log()) / temperature).softmax(1)),
    ("The noise is log u, one logarithm and a sign short of −log(−log u).",
     lambda logits, u, temperature: ((logits + u.log()) / temperature).softmax(1)),
    ("There is no noise: this is the same in every draw.",
     lambda logits, u, temperature: (logits / temperature).softmax(1)),
    ("The noise is added to probabilities: it belongs to their logarithms, or to the logits.",
     lambda logits, u, temperature: ((logits.softmax(1) + _gumbel(u)) / temperature).softmax(1)),
    ("A hard draw: right as τ tends to 0, and without a gradient.",
     lambda logits, u, temperature: F.one_hot((logits + _gumbel(u)).argmax(1), logits.shape[1]).to(logits)),
    ("The logarithm of it came: probabilities are asked.",
     lambda logits, u, temperature: ((logits + _gumbel(u)) / temperature).log_softmax(1)),
)


def _chosen(counts: Tensor, z: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
    """How many chose each code, and the sum of those."""
    hot = F.one_hot(codes, len(counts)).to(z)
    return hot.sum(0), hot.T @ z


def _ema(n: Tensor, m: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return n, m, m / n[:, None]


def _means(counts: Tensor, z: Tensor, codes: Tensor) -> Tensor:
    n, total = _chosen(counts, z, codes)
    return total / n.clamp(min=1)[:, None]


def _kept(counts: Tensor, sums: Tensor, z: Tensor, codes: Tensor, decay: float) -> tuple[Tensor, Tensor, Tensor]:
    n, total = _chosen(counts, z, codes)
    new = decay * counts + (1 - decay) * n, decay * sums + (1 - decay) * total
    return _ema(torch.where(n > 0, new[0], counts), torch.where(n[:, None] > 0, new[1], sums))


def _mixed(a: float, b: float) -> Callable:
    """Old ones weighed by a, new ones by b, functions of the decay."""
    def form(counts: Tensor, sums: Tensor, z: Tensor, codes: Tensor, decay: float) -> tuple[Tensor, Tensor, Tensor]:
        n, total = _chosen(counts, z, codes)
        return _ema(a(decay) * counts + b(decay) * n, a(decay) * sums + b(decay) * total)
    return form


_right = _mixed(lambda d: d, lambda d: 1 - d)

EMA: Slips = (
    ("The weights are exchanged: decay is what stays of the old averages, 1 − decay what the batch adds.",
     _mixed(lambda d: 1 - d, lambda d: d)),
    ("The batch is added whole: weigh it by 1 − decay.", _mixed(lambda d: d, lambda d: 1.0)),
    ("The old averages do not fade: weigh them by decay.", _mixed(lambda d: 1.0, lambda d: 1 - d)),
    ("This adds up all batches: nothing is forgotten.", _mixed(lambda d: 1.0, lambda d: 1.0)),
    ("Codes that nobody chose keep their averages: these fade as well (their quotient, the vector, stays as it is).", _kept),
    ("The sums take up the mean of the outputs that chose a code: the sum of them is asked, the counts do the rest.",
     lambda counts, sums, z, codes, decay: _ema(
         decay * counts + (1 - decay) * _chosen(counts, z, codes)[0],
         decay * sums + (1 - decay) * _means(counts, z, codes))),
    ("The counts take up shares of the batch: how many chose a code is asked.",
     lambda counts, sums, z, codes, decay: _ema(
         decay * counts + (1 - decay) * _chosen(counts, z, codes)[0] / len(z),
         decay * sums + (1 - decay) * _chosen(counts, z, codes)[1])),
    ("The vectors are the sums themselves: divide by the counts.",
     lambda counts, sums, z, codes, decay: (*_right(counts, sums, z, codes, decay)[:2],
                                            _right(counts, sums, z, codes, decay)[1])),
    ("The new sums are divided by the counts of this batch alone, which are 0 for codes that nobody chose: divide by the "
     "running counts.",
     lambda counts, sums, z, codes, decay: (
         *_right(counts, sums, z, codes, decay)[:2],
         _right(counts, sums, z, codes, decay)[1] / _chosen(counts, z, codes)[0][:, None])),
    ("The new sums are divided by the old counts.",
     lambda counts, sums, z, codes, decay: (*_right(counts, sums, z, codes, decay)[:2],
                                            _right(counts, sums, z, codes, decay)[1] / counts[:, None])),
    ("The vectors are those from before: take the new sums and the new counts.",
     lambda counts, sums, z, codes, decay: (*_right(counts, sums, z, codes, decay)[:2], sums / counts[:, None])),
    ("The vectors are means of this batch alone: the quotient of the running averages is asked.",
     lambda counts, sums, z, codes, decay: (*_right(counts, sums, z, codes, decay)[:2], _means(counts, z, codes))),
    ("The vectors are averages of the old ones and the batch's means: not every batch counts the same, and so the quotient "
     "of the two running averages is asked.",
     lambda counts, sums, z, codes, decay: (*_right(counts, sums, z, codes, decay)[:2],
                                            decay * sums / counts[:, None] + (1 - decay) * _means(counts, z, codes))),
    ("Nothing is updated: these are the averages that came in.",
     lambda counts, sums, z, codes, decay: _ema(counts + 0.0, sums + 0.0)),
)


def _each(codes: Tensor, logits: Tensor) -> Tensor:
    return logits.log_softmax(-1).gather(-1, codes[..., None])[..., 0]  # (B, L)


ELBO: Slips = (
    ("The prior's logarithm is subtracted: the bound adds log p(codes), which is negative already.",
     lambda log_p_x, codes, logits: log_p_x - _each(codes, logits).sum(1)),
    ("The logarithms of the places are averaged: the log-probability of a grid is their sum.",
     lambda log_p_x, codes, logits: log_p_x + _each(codes, logits).mean(1)),
    ("Only the first place counts here: the log-probability of a grid is the sum over its places.",
     lambda log_p_x, codes, logits: log_p_x + _each(codes, logits)[:, 0]),
    ("log p(x|z_q) is missing: this is the prior's side alone.",
     lambda log_p_x, codes, logits: _each(codes, logits).sum(1)),
    ("The prior is missing: this is log p(x|z_q) alone.", lambda log_p_x, codes, logits: log_p_x + 0.0),
    ("The logits are not normalised: they are logarithms of probabilities only after log_softmax.",
     lambda log_p_x, codes, logits: log_p_x + logits.gather(-1, codes[..., None])[..., 0].sum(1)),
    ("Probabilities are added up: their logarithms are asked.",
     lambda log_p_x, codes, logits: log_p_x + _each(codes, logits).exp().sum(1)),
    ("log K is charged for every place beside the prior: it *is* the uniform prior's logarithm, and this prior stands in "
     "its place.",
     lambda log_p_x, codes, logits: log_p_x + _each(codes, logits).sum(1) - codes.shape[1] * math.log(logits.shape[-1])),
    ("This is the bound under a uniform prior: the logits of the prior that came are not used.",
     lambda log_p_x, codes, logits: log_p_x - codes.shape[1] * math.log(logits.shape[-1]) + 0 * logits.sum((1, 2))),
    ("log K is charged once, and the prior's logits are not used: a uniform prior costs it for every place.",
     lambda log_p_x, codes, logits: log_p_x - math.log(logits.shape[-1])),
    ("Under the uniform prior of the lecture every place costs log K, and here the prior is another one; its sign is wrong, "
     "too.",
     lambda log_p_x, codes, logits: log_p_x + codes.shape[1] * math.log(logits.shape[-1])),
    ("The softmax runs over the places: at each place the K codes are to be compared.",
     lambda log_p_x, codes, logits: log_p_x + logits.log_softmax(1).gather(-1, codes[..., None])[..., 0].sum(1)),
    ("The prior's entropy is subtracted: the codes that the encoder chose have to be looked up.",
     lambda log_p_x, codes, logits: log_p_x - torch.special.entr(logits.softmax(-1)).sum((1, 2))),
    ("The likeliest code of every place is taken, whatever the encoder chose.",
     lambda log_p_x, codes, logits: log_p_x + logits.log_softmax(-1).amax(-1).sum(1)),
    ("The log-likelihood enters with the wrong sign.",
     lambda log_p_x, codes, logits: _each(codes, logits).sum(1) - log_p_x),
)
