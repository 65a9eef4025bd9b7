"""2.5 The importance-weighted bound."""

import math

import numpy as np
from torch import Tensor

from .. import Case, Exercise
from ..draws import Cases, Rng, points, sizes
from ._shared import _batches, _case


def iwae_bound(log_p_x: Tensor, log_p_z: Tensor, log_q_z: Tensor) -> Tensor:
    """log of the average weight."""
    return (log_p_x + log_p_z - log_q_z).logsumexp(0) - math.log(len(log_p_x))


SMALL = (
    "Exponentials of such weights are zero in any floating point: take the largest out first, or use "
    "torch.logsumexp."
)


def cases(rng: Rng) -> Cases:
    """The three logarithms whose sum and difference is log w, each (k, B)."""
    for name, (k, size), hint in _batches(rng):
        renamed = {"B = D": "k = B", "B = 1": "k = 1", "D = 1": "B = 1", "B = 40": "k = 40"}.get(name, name)
        yield _case(renamed, _logs(rng, k, size, 8.0), "" if renamed == "k = 40" else hint)
    yield Case("images", _logs(rng, *sizes(rng), 900.0), hint=SMALL)


def _logs(rng: Rng, k: int, size: int, level: float) -> dict[str, object]:
    return {
        "log_p_x": np.round(-level + 1.5 * points(rng, k, size), 2),
        "log_p_z": np.round(points(rng, k, size) - 3, 2),
        "log_q_z": np.round(points(rng, k, size) - 1, 2),
    }


# fmt: off
MISTAKES = (
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

EXERCISE = Exercise(
    id="vae.iwae_bound", number="2.5", title="the importance-weighted bound",
    prompt="the logarithm of the average of the k importance weights of every sample, from the three logarithms "
           "(k, B)",
    more="The logarithm of each weight is a sum and a difference; logsumexp over the k draws adds the weights "
         "up safely.",
    cases=cases, reference=iwae_bound, mistakes=MISTAKES,
)
