"""5.3 The generator's two losses."""

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional as F

from ....gan import nonsaturating_loss, saturating
from .. import Case, Exercise, ObserveSpec
from ..draws import Cases, Rng
from ._shared import two_batches


def generator_losses(fake: Tensor) -> tuple[Tensor, Tensor]:
    """The generator's side of the two games."""
    return saturating(fake), nonsaturating_loss(fake)


def cases(rng: Rng) -> Cases:
    for case in two_batches(rng):
        if case.name != "unequal numbers":
            yield Case(
                case.name.replace("two batches", "a batch").replace("two others", "another"),
                {"fake": case.args["fake"]},
                hint=case.hint,
            )


def _both(saturating: Callable, other: Callable) -> Callable:
    return lambda fake: (saturating(fake), other(fake))


def _low(fake: Tensor) -> Tensor:
    return -F.softplus(fake).mean()


def _high(fake: Tensor) -> Tensor:
    return F.softplus(-fake).mean()


# fmt: off
MISTAKES = (
    ("Both are right, in the other order: (saturating, non_saturating) is asked.", _both(_high, _low)),
    ("D and 1 − D are exchanged: sigmoid(logit) is the probability to be real.",
     _both(lambda f: -_high(f), lambda f: -_low(f))),
    ("The saturating loss came twice.", _both(_low, _low)),
    ("The non-saturating loss came twice.", _both(_high, _high)),
    ("The sigmoid is taken twice: a function that takes logits does it itself.",
     _both(lambda f: _low(f.sigmoid()), lambda f: _high(f.sigmoid()))),
    ("The logarithms are missing: these are means of probabilities.",
     _both(lambda f: (1 - f.sigmoid()).mean(), lambda f: -f.sigmoid().mean())),
    ("The logarithm is taken of the mean probability: it belongs to each sample, before the mean.",
     _both(lambda f: (-f).sigmoid().mean().log(), lambda f: -f.sigmoid().mean().log())),
)

EXERCISE = Exercise(
    id="gan.generator_losses", number="5.3", title="the generator's two losses", points=2,
    prompt="(saturating, non_saturating): the mean of log(1 − D) and the mean of −log D over the fake batch, "
           "from logits",
    more="Both are made small by raising D. log(1 − sigmoid(l)) = −softplus(l), −log sigmoid(l) = softplus(−l).",
    cases=cases, reference=generator_losses, mistakes=MISTAKES,
    watch=ObserveSpec(outputs=("saturating", "non_saturating"), gradient=("fake",), tensors=True),
)
