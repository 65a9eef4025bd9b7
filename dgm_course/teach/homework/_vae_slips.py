"""Where answers to the homework on VAEs usually slip: (hint, the wrong form that earns it)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

Slips = tuple[tuple[str, Callable], ...]
LOG_2PI = math.log(2 * math.pi)


def _kl(mean: Tensor, log_std: Tensor) -> Tensor:
    return 0.5 * (mean**2 + (2 * log_std).exp() - 1 - 2 * log_std)


GAUSSIAN_KL: Slips = (
    ("log_std is read as the logarithm of the variance: the variance is exp(2 · log_std), its logarithm 2 · log_std.",
     lambda mean, log_std: 0.5 * (mean**2 + log_std.exp() - 1 - log_std).sum(1)),
    ("The deviation stands where the variance belongs: σ² = exp(2 · log_std).",
     lambda mean, log_std: 0.5 * (mean**2 + log_std.exp() - 1 - 2 * log_std).sum(1)),
    ("The logarithm has the wrong sign: a narrow q is *far* from N(0, I), so −log σ must make the KL larger.",
     lambda mean, log_std: 0.5 * (mean**2 + (2 * log_std).exp() - 1 + 2 * log_std).sum(1)),
    ("The logarithm of the variance is 2 log σ: half of it is missing, so the KL does not vanish smoothly at σ = 1.",
     lambda mean, log_std: 0.5 * (mean**2 + (2 * log_std).exp() - 1 - log_std).sum(1)),
    ("A −1 a coordinate is missing: at mean 0 and σ = 1 the KL must be zero.",
     lambda mean, log_std: (_kl(mean, log_std) + 0.5).sum(1)),
    ("The −1 is taken once a sample, and it belongs to each coordinate: N(0, I) itself must give zero in any dimension.",
     lambda mean, log_std: (_kl(mean, log_std) + 0.5).sum(1) - 0.5),
    ("This is KL(N(0, I) ‖ q), the other way round: the expectation is over q, and q's variance is in no denominator.",
     lambda mean, log_std: (log_std + (1 + mean**2) / (2 * (2 * log_std).exp()) - 0.5).sum(1)),
    ("The mean must enter squared.",
     lambda mean, log_std: (_kl(mean, log_std) + 0.5 * (mean - mean**2)).sum(1)),
    ("The mean of q does not enter: a q that sits elsewhere is another distribution than N(0, I).",
     lambda mean, log_std: _kl(torch.zeros_like(mean), log_std).sum(1)),
    ("A single number for the whole batch: each sample has a KL of its own.",
     lambda mean, log_std: _kl(mean, log_std).sum().expand(len(mean))),
)


def _nll(x: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    return 0.5 * ((x - mean) / log_std.exp()) ** 2 + log_std + 0.5 * LOG_2PI


GAUSSIAN_NLL: Slips = (
    ("The constant ½ log 2π, once a coordinate, is missing: without it exp(−NLL) does not integrate to one.",
     lambda x, mean, log_std: (_nll(x, mean, log_std) - 0.5 * LOG_2PI).sum(1)),
    ("The constant ½ log 2π is counted once a sample, and it belongs to each coordinate.",
     lambda x, mean, log_std: (_nll(x, mean, log_std) - 0.5 * LOG_2PI).sum(1) + 0.5 * LOG_2PI),
    ("log σ is missing: a very wide Gaussian would explain anything for nothing.",
     lambda x, mean, log_std: (_nll(x, mean, log_std) - log_std).sum(1)),
    ("log σ has the wrong sign.", lambda x, mean, log_std: (_nll(x, mean, log_std) - 2 * log_std).sum(1)),
    ("log_std is read as the logarithm of the variance: the variance is exp(2 · log_std).",
     lambda x, mean, log_std: 0.5 * ((x - mean) ** 2 / log_std.exp() + log_std + LOG_2PI).sum(1)),
    ("The square is divided by the deviation, not by the variance: (x − mean)/σ is squared as a whole.",
     lambda x, mean, log_std: (0.5 * (x - mean) ** 2 / log_std.exp() + log_std + 0.5 * LOG_2PI).sum(1)),
    ("The ½ before the square is missing.",
     lambda x, mean, log_std: (_nll(x, mean, log_std) + 0.5 * ((x - mean) / log_std.exp()) ** 2).sum(1)),
    ("This is the squared error: where the deviation is not 1 it is no negative log-likelihood.",
     lambda x, mean, log_std: (x - mean).square().sum(1)),
    ("The residual is not divided by σ.",
     lambda x, mean, log_std: (0.5 * (x - mean) ** 2 + log_std + 0.5 * LOG_2PI).sum(1)),
)

REPARAMETERISE: Slips = (
    ("The noise is scaled by log σ: the network gives a logarithm, so take its exponential.",
     lambda mean, log_std, eps: mean + log_std * eps),
    ("The noise is scaled by the variance: N(mean, σ²) has deviation σ.",
     lambda mean, log_std, eps: mean + (2 * log_std).exp() * eps),
    ("log_std is read as the logarithm of the variance: its exponential is σ itself, no half is needed.",
     lambda mean, log_std, eps: mean + (log_std / 2).exp() * eps),
    ("The mean is scaled together with the noise: only ε is.",
     lambda mean, log_std, eps: (mean + eps) * log_std.exp()),
    ("The noise is subtracted: N(0, I) is symmetric, so the distribution is right, but this ε asks for mean + σ ε.",
     lambda mean, log_std, eps: mean - log_std.exp() * eps),
    ("This is (ε − mean)/σ, the way from z back to the noise.",
     lambda mean, log_std, eps: (eps - mean) / log_std.exp()),
    ("The deviation is not used: every q(z|x) would be equally wide.", lambda mean, log_std, eps: mean + eps),
)


def _cross(x: Tensor, logits: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none")


LOSS: Slips = (
    ("The KL has the wrong sign: the ELBO is E log p(x|z) *minus* the KL, so in the loss both terms are costs.",
     lambda x, logits, mean, log_std, kl_weight: (_cross(x, logits).sum(1) - kl_weight * _kl(mean, log_std).sum(1)).mean()),
    ("The cross-entropy is averaged over the pixels while the KL is a sum: that is a KL weight of D in disguise, and the "
     "posterior collapses.",
     lambda x, logits, mean, log_std, kl_weight: (_cross(x, logits).mean(1) + kl_weight * _kl(mean, log_std).sum(1)).mean()),
    ("The KL is averaged over the latent coordinates while the cross-entropy is a sum: the bound is no bound any more.",
     lambda x, logits, mean, log_std, kl_weight: (_cross(x, logits).sum(1) + kl_weight * _kl(mean, log_std).mean(1)).mean()),
    ("Both terms are averaged over their coordinates: D and d differ, so their balance is lost. Sums are asked.",
     lambda x, logits, mean, log_std, kl_weight: (
         _cross(x, logits).mean(1) + kl_weight * _kl(mean, log_std).mean(1)).mean()),
    ("kl_weight is not used.",
     lambda x, logits, mean, log_std, kl_weight: (_cross(x, logits).sum(1) + _kl(mean, log_std).sum(1)).mean()),
    ("kl_weight multiplies the reconstruction.",
     lambda x, logits, mean, log_std, kl_weight: (kl_weight * _cross(x, logits).sum(1) + _kl(mean, log_std).sum(1)).mean()),
    ("kl_weight multiplies both terms.",
     lambda x, logits, mean, log_std, kl_weight: (
         kl_weight * (_cross(x, logits).sum(1) + _kl(mean, log_std).sum(1)).mean())),
    ("The reconstruction is a squared error: bits have a Bernoulli likelihood, whose −log is the cross-entropy (the slide "
     "slips here).",
     lambda x, logits, mean, log_std, kl_weight: ((x - logits.sigmoid()).square().sum(1)
                                                  + kl_weight * _kl(mean, log_std).sum(1)).mean()),
    ("The KL is missing.", lambda x, logits, mean, log_std, kl_weight: _cross(x, logits).sum(1).mean()),
    ("The reconstruction is missing.",
     lambda x, logits, mean, log_std, kl_weight: kl_weight * _kl(mean, log_std).sum(1).mean()),
    ("The sigmoid is applied twice: what came are logits, and binary_cross_entropy_with_logits takes them as they are.",
     lambda x, logits, mean, log_std, kl_weight: (_cross(x, logits.sigmoid()).sum(1)
                                                  + kl_weight * _kl(mean, log_std).sum(1)).mean()),
    ("log_std is read as the logarithm of the variance in the KL.",
     lambda x, logits, mean, log_std, kl_weight: (_cross(x, logits).sum(1) + kl_weight * 0.5 * (
         mean**2 + log_std.exp() - 1 - log_std).sum(1)).mean()),
)

IWAE: Slips = (
    ("The mean of the logarithms is the ELBO: average the weights themselves, and take the logarithm of that.",
     lambda log_p_x, log_p_z, log_q_z: (log_p_x + log_p_z - log_q_z).mean(0)),
    ("log k is missing: a sum where an average is asked, so the bound would grow with k for nothing.",
     lambda log_p_x, log_p_z, log_q_z: (log_p_x + log_p_z - log_q_z).logsumexp(0)),
    ("log q(z|x) is added: z was drawn from q, so its density is divided out.",
     lambda log_p_x, log_p_z, log_q_z: (log_p_x + log_p_z + log_q_z).logsumexp(0) - math.log(len(log_p_x))),
    ("The prior is missing: the weight is p(x, z)/q(z|x), and p(x, z) = p(x|z) p(z).",
     lambda log_p_x, log_p_z, log_q_z: (log_p_x - log_q_z).logsumexp(0) - math.log(len(log_p_x))),
    ("This averages p(x|z) alone, as if z had been drawn from the prior; it was drawn from q.",
     lambda log_p_x, log_p_z, log_q_z: log_p_x.logsumexp(0) - math.log(len(log_p_x))),
    ("The prior is divided out and q multiplied: the two have changed places.",
     lambda log_p_x, log_p_z, log_q_z: (log_p_x - log_p_z + log_q_z).logsumexp(0) - math.log(len(log_p_x))),
    ("log k is added: an average is the sum divided by k.",
     lambda log_p_x, log_p_z, log_q_z: (log_p_x + log_p_z - log_q_z).logsumexp(0) + math.log(len(log_p_x))),
    ("The logarithm is divided by k: log(1/k Σ w) = log Σ w − log k.",
     lambda log_p_x, log_p_z, log_q_z: (log_p_x + log_p_z - log_q_z).logsumexp(0) / len(log_p_x)),
    ("The largest weight alone: that is the bound plus log k at most, and no average.",
     lambda log_p_x, log_p_z, log_q_z: (log_p_x + log_p_z - log_q_z).amax(0)),
)


def _scores(x: Tensor, means: Tensor, std: float) -> Tensor:
    return -(x[:, None] - means).square().sum(-1) / (2 * std**2)


def _after(x: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    return q, q.T @ x / q.sum(0)[:, None]


def _em(x: Tensor, weights: Tensor, means: Tensor, std: float) -> Tensor:
    return (weights.log() + _scores(x, means, std)).softmax(1)


EM_STEP: Slips = (
    ("The weights of the components do not enter the responsibilities: Bayes' rule multiplies the density by the prior.",
     lambda x, weights, means, std: _after(x, _scores(x, means, std).softmax(1))),
    ("The softmax runs over the points: each *point* has to be shared out among the components, rows sum to one.",
     lambda x, weights, means, std: _after(x, (weights.log() + _scores(x, means, std)).softmax(0))),
    ("Each point goes to its nearest component alone: that is k-means; the E-step shares it out.",
     lambda x, weights, means, std: _after(x, F.one_hot(_em(x, weights, means, std).argmax(1), len(means)).to(x))),
    ("The exponent lacks its ½: −‖x − m‖²/2σ².",
     lambda x, weights, means, std: _after(x, (weights.log() + 2 * _scores(x, means, std)).softmax(1))),
    ("The exponent is divided by σ, not by σ².",
     lambda x, weights, means, std: _after(x, (weights.log() + std * _scores(x, means, std)).softmax(1))),
    ("σ does not enter the responsibilities.",
     lambda x, weights, means, std: _after(x, (weights.log() + std**2 * _scores(x, means, std)).softmax(1))),
    ("The weights enter twice, or not as a logarithm: in the exponent stands log w.",
     lambda x, weights, means, std: _after(x, (weights + _scores(x, means, std)).softmax(1))),
    ("The new means are weighted sums: divide by the mass of each component, Σ_i r_ik.",
     lambda x, weights, means, std: (q := _em(x, weights, means, std), q.T @ x)),
    ("The new means are divided by the number of points: each component owns only the mass Σ_i r_ik.",
     lambda x, weights, means, std: (q := _em(x, weights, means, std), q.T @ x / len(x))),
    ("The means are those that came in: the M-step is missing.",
     lambda x, weights, means, std: (_em(x, weights, means, std), means)),
    ("The new means are weighted once more by the components' weights.",
     lambda x, weights, means, std: (q := _em(x, weights, means, std), weights[:, None] * (q.T @ x) / q.sum(0)[:, None])),
)


def _gauss(x: Tensor, cov: Tensor) -> Tensor:
    eye = torch.eye(x.shape[1]).to(x)
    squares = (x @ torch.linalg.inv(cov + 0 * eye) * x).sum(1)
    return -0.5 * (squares + torch.logdet(cov) + x.shape[1] * LOG_2PI)


def _cov(weight: Tensor, noise: float) -> Tensor:
    return weight @ weight.T + noise * torch.eye(len(weight)).to(weight)


PPCA: Slips = (
    ("σ stands where σ² belongs in the covariance.",
     lambda x, weight, bias, std: _gauss(x - bias, _cov(weight, std))),
    ("The bias b is left out: x is compared with 0, and its mean is b.",
     lambda x, weight, bias, std: _gauss(x, _cov(weight, std**2))),
    ("The latent is left out: W z adds W Wᵀ to the covariance of the noise.",
     lambda x, weight, bias, std: _gauss(x - bias, _cov(0 * weight, std**2))),
    ("The determinant is missing.",
     lambda x, weight, bias, std: _gauss(x - bias, _cov(weight, std**2)) + 0.5 * torch.logdet(_cov(weight, std**2))),
    ("The logarithm of the determinant lacks its ½ (it is of the covariance, not of its root).",
     lambda x, weight, bias, std: _gauss(x - bias, _cov(weight, std**2)) - 0.5 * torch.logdet(_cov(weight, std**2))),
    ("The determinant has the wrong sign.",
     lambda x, weight, bias, std: _gauss(x - bias, _cov(weight, std**2)) + torch.logdet(_cov(weight, std**2))),
    ("The constant (D/2) log 2π is missing.",
     lambda x, weight, bias, std: _gauss(x - bias, _cov(weight, std**2)) + 0.5 * x.shape[1] * LOG_2PI),
    ("The quadratic form lacks its ½.",
     lambda x, weight, bias, std: 2 * _gauss(x - bias, _cov(weight, std**2))
     + 0.5 * torch.logdet(_cov(weight, std**2)) + 0.5 * x.shape[1] * LOG_2PI),
    ("The square is multiplied by the covariance, not by its inverse.",
     lambda x, weight, bias, std: -0.5 * (((x - bias) @ _cov(weight, std**2) * (x - bias)).sum(1)
                                          + torch.logdet(_cov(weight, std**2)) + x.shape[1] * LOG_2PI)),
    ("This is a Gaussian of the d numbers Wᵀ(x − b): WᵀW + σ² I belongs to the posterior; the covariance of x is D × D, "
     "WWᵀ + σ² I.",
     lambda x, weight, bias, std: _gauss((x - bias) @ weight, _cov(weight.T, std**2))
     - 0.5 * (x.shape[1] - weight.shape[1]) * LOG_2PI),
    ("Only the diagonal of the covariance is used: the coordinates of x share the same z, and so they are correlated.",
     lambda x, weight, bias, std: _gauss(x - bias, torch.diag(_cov(weight, std**2).diagonal()))),
)
