"""0.2 A classifier out of densities."""

import numpy as np
import torch
from torch import Tensor

from .. import Case, Exercise, ObserveSpec
from ..draws import Cases, Rng, points, sizes
from ._shared import _case, _ordinary_first, _shares


def posterior(log_p: Tensor, prior: Tensor) -> Tensor:
    """Bayes' rule without leaving logarithms before the end."""
    return torch.softmax(log_p + prior.log(), 1)


TINY = (
    "Wrong only where all log-densities are very negative, as they are for images: exp() of them is 0, "
    "and 0 divided by 0 is NaN. Adding one constant to all classes of a point changes nothing, so "
    "softmax takes the largest out first."
)

EVEN = "Wrong only where all classes are equally frequent."


def cases(rng: Rng) -> Cases:
    """log p(x|y) (B, K) and p(y) (K,)."""
    for name, (size, k), hint in _ordinary_first(rng):
        renamed = {"B = D": "B = K", "D = 1": "K = 1"}.get(name, name)
        yield _case(renamed, {"log_p": points(rng, size, k) - 2, "prior": _shares(rng, k)}, hint)
    size, k = sizes(rng)
    yield Case("equal priors", {"log_p": points(rng, size, k) - 2, "prior": np.full(k, 1 / k)}, hint=EVEN)
    level = rng.permutation(np.linspace(-2600, -800, size))[:, None]  # one constant cannot serve all points
    tiny = np.round(level + points(rng, size, k), 2)
    yield Case("tiny densities", {"log_p": tiny, "prior": _shares(rng, k)}, hint=TINY)


# fmt: off
MISTAKES = (
    ("The prior is not used: this is right only where all classes are equally frequent.",
     lambda log_p, prior: log_p.softmax(1)),
    ("The prior itself is added to log-densities: a product of probabilities is a sum of *logarithms*, of both.",
     lambda log_p, prior: (log_p + prior).softmax(1)),
    ("The log-densities are multiplied by the prior: a product of probabilities is a sum of logarithms.",
     lambda log_p, prior: (log_p * prior).softmax(1)),
    ("The prior comes in after the division by p(x), so the rows do not sum to one any more: it belongs into "
     "the numerator and the denominator.",
     lambda log_p, prior: log_p.softmax(1) * prior),
    ("The prior divides where it should multiply: rare classes win.",
     lambda log_p, prior: (log_p - prior.log()).softmax(1)),
    ("The prior counts twice.", lambda log_p, prior: (log_p + 2 * prior.log()).softmax(1)),
    ("The densities are not used: this is what one knows *before* seeing x.",
     lambda log_p, prior: prior.expand_as(log_p)),
    ("This is the joint p(x, y), the numerator: the division by p(x), which makes rows sum to one, is missing.",
     lambda log_p, prior: log_p.exp() * prior),
    ("This is the logarithm of the joint, log p(x|y) + log p(y): its exponential, divided by p(x), is asked.",
     lambda log_p, prior: log_p + prior.log()),
    ("The probabilities sum to one over the batch: it is over the classes, for each point, that they must.",
     lambda log_p, prior: (log_p + prior.log()).softmax(0)),
    ("The probabilities sum to one over the whole table: for each point they must.",
     lambda log_p, prior: (log_p + prior.log()).flatten().softmax(0).view_as(log_p)),
    ("This is the most probable class, as zeros and a one: its probability, and that of the others, is asked.",
     lambda log_p, prior: torch.nn.functional.one_hot((log_p + prior.log()).argmax(1), log_p.shape[1]).to(log_p)),
    ("Each class is asked by itself whether it is more likely than not (a sigmoid): classes compete, so all of "
     "them belong into the denominator.",
     lambda log_p, prior: (log_p + prior.log()).sigmoid()),
    ("The logarithms are divided by their sum: first go back to probabilities, then divide.",
     lambda log_p, prior: (log_p + prior.log()) / (log_p + prior.log()).sum(1, keepdim=True)),
    ("Logarithms are multiplied by the prior and divided by their sum: first go back to probabilities.",
     lambda log_p, prior: log_p * prior / (log_p * prior).sum(1, keepdim=True)),
)

EXERCISE = Exercise(
    id="intro.posterior", number="0.2", title="a classifier out of densities",
    prompt="the probability of each class given a point, by Bayes' rule, from the log-density of the point "
           "under each class and the prior probabilities of the classes; also where the densities are far too "
           "small for exp",
    more="The logarithm of p(x|y) p(y) is log_p + log prior; a softmax over the classes divides by p(x) and is "
         "safe.",
    cases=cases, reference=posterior, mistakes=MISTAKES, watch=ObserveSpec(tensors=True),
)
