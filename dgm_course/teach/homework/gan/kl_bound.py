"""5.8 Another divergence from samples."""

import torch
from torch import Tensor

from .. import Case, Exercise, ObserveSpec
from ..draws import NARROW, Cases, Rng
from ._shared import LARGE, UNEQUAL, _kind, _logits, _size


def kl_bound(real: Tensor, fake: Tensor) -> Tensor:
    """E_π T − E_p exp(T − 1)."""
    return real.mean() - torch.exp(fake - 1).mean()


def cases(rng: Rng) -> Cases:
    """As ``two_batches``, of moderate size, since exponentials are taken of them."""
    for name, size, other, hint in (
        ("two batches", n := _size(rng), n, ""),
        ("two others", n := _size(rng), n, ""),
        ("float32", n := _size(rng), n, ""),
        ("unequal numbers", n := _size(rng), n + 3, UNEQUAL),
        ("B = 1", 1, 1, NARROW),
        ("B = 40", 40, 40, LARGE),
    ):
        real, fake = _logits(rng, size) / 2 + 0.5, _logits(rng, other) / 2
        args = {"real": real.astype(_kind(name)), "fake": fake.astype(_kind(name))}
        yield Case(name, args, hint=hint, least=0.1)  # two means, whose difference may be nearly nothing


# fmt: off
MISTAKES = (
    ("The −1 is missing: the conjugate of u log u is exp(t − 1), not exp(t).",
     lambda real, fake: real.mean() - fake.exp().mean()),
    ("The 1 is subtracted outside of the exponential: the conjugate of u log u is exp(t − 1).",
     lambda real, fake: real.mean() - (fake.exp() - 1).mean()),
    ("That is the bound of Donsker and Varadhan, E T − log E exp(T): true, and another one; here the conjugate "
     "is asked.",
     lambda real, fake: real.mean() - fake.exp().mean().log()),
    ("Real and fake are exchanged: T is averaged over the data, its conjugate over the model.",
     lambda real, fake: fake.mean() - (real - 1).exp().mean()),
    ("The exponential is taken of the mean: the conjugate is applied to each sample, then averaged.",
     lambda real, fake: real.mean() - (fake.mean() - 1).exp()),
    ("The conjugate is added: what the model's samples reach is subtracted.",
     lambda real, fake: real.mean() + (fake - 1).exp().mean()),
    ("No conjugate occurs: that is the Wasserstein critic, the difference of two means.",
     lambda real, fake: real.mean() - fake.mean()),
    ("Sums where means are asked: each term is an expectation.",
     lambda real, fake: real.sum() - (fake - 1).exp().sum()),
    ("The conjugate is that of the reverse KL, −1 − log(−t), or its like: for KL(π ‖ p), f(u) = u log u.",
     lambda real, fake: real.mean() + 1 + (-fake).log().mean()),
    ("Only the data's half is there.", lambda real, fake: real.mean() + 0 * fake.mean()),
)

EXERCISE = Exercise(
    id="gan.kl_bound", number="5.8", title="another divergence from samples",
    prompt="the mean of T over the data less the mean of exp(T − 1) over the model, a lower bound of KL(π ‖ p)",
    more="f(u) = u log u has the conjugate f*(t) = exp(t − 1); the bound is E_π T − E_p f*(T).",
    cases=cases, reference=kl_bound, mistakes=MISTAKES,
    watch=ObserveSpec(outputs=("bound",), gradient=("real", "fake"), tensors=True),
)
