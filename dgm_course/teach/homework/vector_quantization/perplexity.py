"""4.4 How many codes are in use."""

import math

import numpy as np
import torch
from torch import Tensor

from ....core.metrics import perplexity as codes_in_use
from .. import Case, Exercise
from ..draws import Cases, Rng, case_of, square_first


def perplexity(codes: Tensor, size: int) -> float:
    """The library's count of codes in use."""
    return codes_in_use(codes, size)


ONE_CODE = (
    "Wrong only where a single code is used: it has probability 1, and the others 0, whose logarithm must "
    "not count."
)

EVEN = "Wrong only where all codes are used equally often."


def cases(rng: Rng) -> Cases:
    """Codes (B, L) of which some never come, and how many there are."""
    for name, (size, length), hint in square_first(rng):
        if name == "float32":
            continue
        k = int(rng.integers(5, 9))
        chance = rng.permutation([0.5, 0.3, 0.2] + [0.0] * (k - 3))
        codes = rng.choice(k, size=(size, length), p=chance)
        codes[0, 0] = int(np.argmax(chance))
        yield case_of(name, {"codes": codes, "size": k}, hint)
    yield Case("a single code", {"codes": np.full((7, 3), 2), "size": 6}, hint=ONE_CODE)
    yield Case("all alike", {"codes": np.arange(24).reshape(6, 4) % 8, "size": 8}, hint=EVEN)


def _shares(codes: Tensor, size: int) -> Tensor:
    return torch.bincount(codes.flatten(), minlength=size).double() / codes.numel()


def _entropy(p: Tensor) -> Tensor:
    return torch.special.entr(p).sum(-1)


# fmt: off
MISTAKES = (
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
    ("One over the sum of squares: another count of effective codes, and not the exponential of the entropy.",
     lambda codes, size: 1 / _shares(codes, size).square().sum()),
    ("The shares do not sum to one: divide by the number of all codes, B times L, and not by the batch alone.",
     lambda codes, size: torch.exp(-torch.xlogy(p := _shares(codes, size) * codes.shape[1], p).sum())),
    ("How often codes come is not counted: the entropy is that of the numbers of the codes themselves.",
     lambda codes, size: _entropy((codes.double() + 1).flatten() / (codes.double() + 1).sum()).exp()),
)

EXERCISE = Exercise(
    id="vq.perplexity", number="4.4", title="how many codes are in use",
    prompt="the perplexity of the codes of a whole batch: e to the entropy, in nats, of how often each of the "
           "codes comes",
    more="Count with torch.bincount(..., minlength=size), divide by the number of codes; a code that never "
         "comes adds 0.",
    cases=cases, reference=perplexity, mistakes=MISTAKES,
)
