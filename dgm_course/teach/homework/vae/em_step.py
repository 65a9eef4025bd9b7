"""2.6 A step of EM."""

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from ....core.distributions import Mixture
from ....vae import e_step, m_step
from .. import Exercise, ObserveSpec
from ..draws import Cases, Rng, points, sizes
from ._shared import ALONE, _batches, _case


def em_step(x: Tensor, weights: Tensor, means: Tensor, std: float) -> tuple[Tensor, Tensor]:
    """E- and M-step of the exact mixture; the deviations, which are not asked, may not shrink to nothing."""
    q = e_step(Mixture(weights, means, std), x)
    return q, m_step(x, q, least=1.0).means


def cases(rng: Rng) -> Cases:
    """Points, and a mixture of K Gaussians with one deviation."""
    for name, (size, dim), hint in (*_batches(rng), ("K = 1", sizes(rng), ALONE)):
        k = 1 if name == "K = 1" else int(rng.integers(2, 5)) + (name == "B = D")
        shares = rng.uniform(0.5, 3.0, size=k)
        args = {
            "x": points(rng, size, dim),
            "weights": shares / shares.sum(),
            "means": points(rng, k, dim),
            "std": float(np.round(rng.uniform(0.6, 0.9) + 0.8 * rng.integers(0, 2), 2)),
        }
        yield _case(name, args, hint)


def _scores(x: Tensor, means: Tensor, std: float) -> Tensor:
    return -(x[:, None] - means).square().sum(-1) / (2 * std**2)


def _after(x: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    return q, q.T @ x / q.sum(0)[:, None]


def _em(x: Tensor, weights: Tensor, means: Tensor, std: float) -> Tensor:
    return (weights.log() + _scores(x, means, std)).softmax(1)


# fmt: off
MISTAKES = (
    ("The weights of the components do not enter the responsibilities: Bayes' rule multiplies the density by "
     "the prior.",
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
    ("The new means are weighted once more by the components' weights.",
     lambda x, weights, means, std: (
         q := _em(x, weights, means, std),
         weights[:, None] * (q.T @ x) / q.sum(0)[:, None],
     )),
)

EXERCISE = Exercise(
    id="vae.em_step", number="2.6", title="a step of EM", points=2,
    prompt="the responsibilities (B, K) of a mixture with one common deviation, and the new means (K, D) they "
           "give",
    more="E: softmax over the components of log w_k − ‖x − m_k‖²/2σ². M: Σ_i r_ik x_i / Σ_i r_ik.",
    cases=cases, reference=em_step, mistakes=MISTAKES, watch=ObserveSpec(outputs=("responsibilities", "means")),
)
