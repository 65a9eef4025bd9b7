"""3.6 The ELBO with a flow as its prior."""

import math

import numpy as np
import torch
from torch import Tensor

from ....core.distributions import DiagNormal
from .. import Exercise
from ..draws import Cases, Rng, points
from ._shared import LOG_2PI, _batches, _case


def flow_elbo(log_p_x: Tensor, z_star: Tensor, ladj: Tensor, log_q: Tensor) -> Tensor:
    """The terms of the bound, one draw after the other."""
    prior = DiagNormal(torch.zeros_like(z_star), 1.0).log_prob(z_star) + ladj
    return (log_p_x + prior - log_q).mean(0)


def cases(rng: Rng) -> Cases:
    """k draws of B data: log-likelihood, what a flow made of the codes, its log-determinant, log q(z|x)."""
    for name, (k, size), hint in _batches(rng):
        renamed = {"B = 1": "k = 1", "D = 1": "B = 1", "B = 40": "k = 40"}.get(name, name)
        dim = int(rng.integers(2, 5))
        args = {
            "log_p_x": np.round(1.5 * points(rng, k, size) - 60, 2),
            "z_star": points(rng, k, size, dim),
            "ladj": np.round(points(rng, k, size) + 0.4, 2),
            "log_q": np.round(points(rng, k, size) - 1, 2),
        }
        yield _case(renamed, args, "" if renamed == "k = 40" else hint)


def _base(z_star: Tensor) -> Tensor:
    return (-0.5 * z_star**2 - 0.5 * LOG_2PI).sum(-1)


# fmt: off
MISTAKES = (
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
     lambda log_p_x, z_star, ladj, log_q: (
         log_p_x - 0.5 * z_star.square().sum(-1) - 0.5 * LOG_2PI + ladj - log_q
     ).mean(0)),
    ("The ½ before the square of z* is missing.",
     lambda log_p_x, z_star, ladj, log_q: (
         log_p_x + _base(z_star) - 0.5 * z_star.square().sum(-1) + ladj - log_q
     ).mean(0)),
    ("This is the importance-weighted bound: the ELBO averages the logarithms over the k draws.",
     lambda log_p_x, z_star, ladj, log_q: (
         (log_p_x + _base(z_star) + ladj - log_q).logsumexp(0) - math.log(len(log_p_x))
     )),
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
     lambda log_p_x, z_star, ladj, log_q: (
         log_p_x + _base(z_star) + z_star.square().sum(-1) + ladj - log_q
     ).mean(0)),
    ("The constant ½ log 2π has the wrong sign.",
     lambda log_p_x, z_star, ladj, log_q: (
         log_p_x + _base(z_star) + z_star.shape[-1] * LOG_2PI + ladj - log_q
     ).mean(0)),
    ("Both the log-determinant and log q(z|x) are missing: this is log p(x|z) plus the base's log-density of z*.",
     lambda log_p_x, z_star, ladj, log_q: (log_p_x + _base(z_star)).mean(0)),
    ("The reconstruction alone came: the bound also has log p(z|λ) and log q(z|x).",
     lambda log_p_x, z_star, ladj, log_q: log_p_x.mean(0)),
    ("Only the first draw is used: an average over the k draws is asked.",
     lambda log_p_x, z_star, ladj, log_q: (log_p_x + _base(z_star) + ladj - log_q)[0]),
    ("The best draw is taken: an average over the k draws is asked.",
     lambda log_p_x, z_star, ladj, log_q: (log_p_x + _base(z_star) + ladj - log_q).amax(0)),
)

EXERCISE = Exercise(
    id="surgery.flow_elbo", number="3.6", title="the ELBO with a flow as its prior", points=2,
    prompt="the ELBO of every sample, the average over k draws, with a flow ending in a standard normal for its "
           "prior",
    more="log p(z|λ) is the log-density of z* under N(0, I), summed over its coordinates, plus ladj. Then "
         "reconstruction plus log p(z|λ) minus log q(z|x), and the mean over the draws.",
    cases=cases, reference=flow_elbo, mistakes=MISTAKES,
)
