"""The warm-up of notebook 00: a check whose card comes back as a value.

``rehearse(answer)`` judges −log₂ q as the homework is judged.  Nothing is counted, and strict mode raises nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .check import Card, timed_verdict
from .homework import Case, Exercise
from .homework.draws import LARGE, NARROW, Cases, Rng, numbers


def surprise(q: Tensor) -> Tensor:
    """−log₂ q"""
    return -torch.log2(q)


def _probabilities(rng: Rng) -> Cases:
    """q (B,), some of them very small."""
    for name, size, hint in (
        ("a batch", int(rng.integers(4, 9)), ""),
        ("B = 1", 1, NARROW),
        ("B = 40", 40, LARGE),
    ):
        yield Case(name, {"q": numbers(rng, size, low=0.02, high=0.98)}, hint=hint)
    hint = "Wrong only where the probability is tiny: a number added to it before the logarithm drowns it."
    yield Case("rare events", {"q": 10.0 ** -numbers(rng, 5, low=20, high=60)}, hint=hint)


WARM_UP = Exercise(
    "intro.surprise",
    "0.0",
    "the surprise of an event",
    "how surprised one should be, in bits, by something of probability q: one bit for a coin's head, two for two "
    "heads in a row",
    _probabilities,
    surprise,
    (
        (
            "The logarithm is the natural one: that is the surprise in *nats*. Bits count halvings, so their base is 2.",
            lambda q: -torch.log(q),
        ),
        (
            "The sign is missing: rare events must surprise *more*, and logarithms of probabilities are negative.",
            lambda q: torch.log2(q),
        ),
        (
            "This is the surprise weighted by how often it comes, one term of the entropy: the surprise itself is asked.",
            lambda q: -q * torch.log2(q),
        ),
        (
            "The mean over the batch is taken: each event has a surprise of its own.",
            lambda q: -torch.log2(q).mean().expand(len(q)),
        ),
        (
            "The base is 10: one unit for each factor of ten, and a bit is a factor of two.",
            lambda q: -torch.log10(q),
        ),
        ("This is 1/q, how many such events one would wait for: its logarithm counts halvings.", lambda q: 1 / q),
    ),
    1,
    "−log₂ q is torch.log2 with a minus, or −ln q / ln 2.",
)


def rehearse(answer: Callable) -> Card:
    """The card of this answer to the warm-up.  answer: q (B,) -> (B,)"""
    return Card(WARM_UP, timed_verdict(WARM_UP, answer), "A rehearsal: it counts for nothing")
