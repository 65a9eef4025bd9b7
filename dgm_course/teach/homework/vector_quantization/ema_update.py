"""4.6 A codebook by moving averages."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ....vq import Codebook, EMAUpdate
from .. import Exercise, ObserveSpec
from ..draws import Cases, Rng, case_of, numbers, points, square_first


def ema_update(
    counts: Tensor, sums: Tensor, z: Tensor, codes: Tensor, decay: float
) -> tuple[Tensor, Tensor, Tensor]:
    """What a codebook that learns by moving averages does with a batch."""
    book = Codebook(sums / counts[:, None], EMAUpdate(decay))
    book.counts.copy_(counts)
    book.sums.copy_(sums)
    book.learn(z, codes)
    return book.counts, book.sums, book.vectors


def cases(rng: Rng) -> Cases:
    """Running counts (K,) and sums (K, C), a batch of outputs with their codes, of which one never comes."""
    for name, (size, dim), hint in square_first(rng):
        k = int(rng.integers(3, 6)) + (name == "B = D")
        chosen = rng.integers(0, k - 1, size=size)
        args = {
            "counts": numbers(rng, k, low=1.0, high=9.0),
            "sums": 3 * points(rng, k, dim),
            "z": points(rng, size, dim),
            "codes": chosen,
            "decay": float(np.round(rng.uniform(0.55, 0.9), 2) + 0.003),
        }
        yield case_of(name, args, hint, batch="z")


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

    def form(
        counts: Tensor, sums: Tensor, z: Tensor, codes: Tensor, decay: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        n, total = _chosen(counts, z, codes)
        return _ema(a(decay) * counts + b(decay) * n, a(decay) * sums + b(decay) * total)

    return form


_right = _mixed(lambda d: d, lambda d: 1 - d)

# fmt: off
MISTAKES = (
    ("The weights are exchanged: decay is what stays of the old averages, 1 − decay what the batch adds.",
     _mixed(lambda d: 1 - d, lambda d: d)),
    ("The batch is added whole: weigh it by 1 − decay.", _mixed(lambda d: d, lambda d: 1.0)),
    ("The old averages do not fade: weigh them by decay.", _mixed(lambda d: 1.0, lambda d: 1 - d)),
    ("This adds up all batches: nothing is forgotten.", _mixed(lambda d: 1.0, lambda d: 1.0)),
    ("Codes that nobody chose keep their averages: these fade as well (their quotient, the vector, stays as it "
     "is).",
     _kept),
    ("The sums take up the mean of the outputs that chose a code: the sum of them is asked, the counts do the "
     "rest.",
     lambda counts, sums, z, codes, decay: _ema(
         decay * counts + (1 - decay) * _chosen(counts, z, codes)[0],
         decay * sums + (1 - decay) * _means(counts, z, codes),
     )),
    ("The counts take up shares of the batch: how many chose a code is asked.",
     lambda counts, sums, z, codes, decay: _ema(
         decay * counts + (1 - decay) * _chosen(counts, z, codes)[0] / len(z),
         decay * sums + (1 - decay) * _chosen(counts, z, codes)[1],
     )),
    ("The vectors are the sums themselves: divide by the counts.",
     lambda counts, sums, z, codes, decay: (
         *_right(counts, sums, z, codes, decay)[:2],
         _right(counts, sums, z, codes, decay)[1],
     )),
    ("The new sums are divided by the counts of this batch alone, which are 0 for codes that nobody chose: "
     "divide by the running counts.",
     lambda counts, sums, z, codes, decay: (
         *_right(counts, sums, z, codes, decay)[:2],
         _right(counts, sums, z, codes, decay)[1] / _chosen(counts, z, codes)[0][:, None],
     )),
    ("The new sums are divided by the old counts.",
     lambda counts, sums, z, codes, decay: (
         *_right(counts, sums, z, codes, decay)[:2],
         _right(counts, sums, z, codes, decay)[1] / counts[:, None],
     )),
    ("The vectors are those from before: take the new sums and the new counts.",
     lambda counts, sums, z, codes, decay: (*_right(counts, sums, z, codes, decay)[:2], sums / counts[:, None])),
    ("The vectors are means of this batch alone: the quotient of the running averages is asked.",
     lambda counts, sums, z, codes, decay: (*_right(counts, sums, z, codes, decay)[:2], _means(counts, z, codes))),
    ("The vectors are averages of the old ones and the batch's means: not every batch counts the same, and so "
     "the quotient of the two running averages is asked.",
     lambda counts, sums, z, codes, decay: (
         *_right(counts, sums, z, codes, decay)[:2],
         decay * sums / counts[:, None] + (1 - decay) * _means(counts, z, codes),
     )),
)

EXERCISE = Exercise(
    id="vq.ema_update", number="4.6", title="a codebook by moving averages", points=2,
    prompt="the new running counts and sums of every code after a batch, and the vectors that they give",
    more="N ← γ N + (1 − γ) n with n the number of outputs that chose the code, m ← γ m + (1 − γ) Σ z over "
         "them, e = m / N.",
    cases=cases, reference=ema_update, mistakes=MISTAKES,
    watch=ObserveSpec(outputs=("counts", "sums", "vectors"), tensors=True),
)
