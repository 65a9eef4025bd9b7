"""2.7 Log p(x) without a bound."""

import numpy as np
import torch
from torch import Tensor

from ....vae import LinearGaussian
from .. import Exercise
from ..draws import Cases, Rng, points, sizes
from ._shared import ALONE, LOG_2PI, _batches, _case


def ppca_log_likelihood(x: Tensor, weight: Tensor, bias: Tensor, std: float) -> Tensor:
    """The marginal of the linear-Gaussian world."""
    return LinearGaussian(weight, bias, std).log_prob(x).detach()


def cases(rng: Rng) -> Cases:
    """x, and a linear-Gaussian world of d latents."""
    for name, (size, dim), hint in (*_batches(rng), ("d = 1", sizes(rng), ALONE)):
        latents = 1 if name == "d = 1" else int(rng.integers(1, 4))
        args = {
            "x": points(rng, size, dim),
            "weight": np.round(points(rng, dim, latents), 2),
            "bias": points(rng, dim),
            "std": float(np.round(rng.uniform(0.5, 0.8) + 0.7 * rng.integers(0, 2), 2)),
        }
        yield _case(name, args, hint)


def _gauss(x: Tensor, cov: Tensor) -> Tensor:
    eye = torch.eye(x.shape[1]).to(x)
    squares = (x @ torch.linalg.inv(cov + 0 * eye) * x).sum(1)
    return -0.5 * (squares + torch.logdet(cov) + x.shape[1] * LOG_2PI)


def _cov(weight: Tensor, noise: float) -> Tensor:
    return weight @ weight.T + noise * torch.eye(len(weight)).to(weight)


# fmt: off
MISTAKES = (
    ("σ stands where σ² belongs in the covariance.",
     lambda x, weight, bias, std: _gauss(x - bias, _cov(weight, std))),
    ("The bias b is left out: x is compared with 0, and its mean is b.",
     lambda x, weight, bias, std: _gauss(x, _cov(weight, std**2))),
    ("The latent is left out: W z adds W Wᵀ to the covariance of the noise.",
     lambda x, weight, bias, std: _gauss(x - bias, _cov(0 * weight, std**2))),
    ("The determinant is missing.",
     lambda x, weight, bias, std: (
         _gauss(x - bias, _cov(weight, std**2)) + 0.5 * torch.logdet(_cov(weight, std**2))
     )),
    ("The logarithm of the determinant lacks its ½ (it is of the covariance, not of its root).",
     lambda x, weight, bias, std: (
         _gauss(x - bias, _cov(weight, std**2)) - 0.5 * torch.logdet(_cov(weight, std**2))
     )),
    ("The determinant has the wrong sign.",
     lambda x, weight, bias, std: _gauss(x - bias, _cov(weight, std**2)) + torch.logdet(_cov(weight, std**2))),
    ("The constant (D/2) log 2π is missing.",
     lambda x, weight, bias, std: _gauss(x - bias, _cov(weight, std**2)) + 0.5 * x.shape[1] * LOG_2PI),
    ("The quadratic form lacks its ½.",
     lambda x, weight, bias, std: (
         2 * _gauss(x - bias, _cov(weight, std**2))
         + 0.5 * torch.logdet(_cov(weight, std**2))
         + 0.5 * x.shape[1] * LOG_2PI
     )),
    ("The square is multiplied by the covariance, not by its inverse.",
     lambda x, weight, bias, std: (
         -0.5
         * (
             ((x - bias) @ _cov(weight, std**2) * (x - bias)).sum(1)
             + torch.logdet(_cov(weight, std**2))
             + x.shape[1] * LOG_2PI
         )
     )),
    ("This is a Gaussian of the d numbers Wᵀ(x − b): WᵀW + σ² I belongs to the posterior; the covariance of x "
     "is D × D, WWᵀ + σ² I.",
     lambda x, weight, bias, std: (
         _gauss((x - bias) @ weight, _cov(weight.T, std**2)) - 0.5 * (x.shape[1] - weight.shape[1]) * LOG_2PI
     )),
    ("Only the diagonal of the covariance is used: the coordinates of x share the same z, and so they are "
     "correlated.",
     lambda x, weight, bias, std: _gauss(x - bias, torch.diag(_cov(weight, std**2).diagonal()))),
)

EXERCISE = Exercise(
    id="vae.ppca_log_likelihood", number="2.7", title="log p(x) without a bound",
    prompt="log p of x, a linear map of a standard normal with an offset and noise of one deviation, in closed "
           "form",
    more="x is Gaussian with mean b; its covariance is what W z and the noise add up to. Then the density of a "
         "D-dimensional Gaussian, its constant included.",
    cases=cases, reference=ppca_log_likelihood, mistakes=MISTAKES,
)
