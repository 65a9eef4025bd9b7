"""11.3 Density and coverage."""

from collections.abc import Callable

from torch import Tensor

from ....core.metrics import density, precision_recall_coverage
from .. import Exercise, ObserveSpec
from ._shared import _enough, _inside, _share, clouds


def coverage(real: Tensor, fake: Tensor, k: int) -> tuple[float, float]:
    """The library's two numbers."""
    many = _enough(fake, k)
    return density(real, many, k) * len(many) / len(fake), precision_recall_coverage(real, many, k).coverage


def _both(density: Callable, coverage: Callable) -> Callable:
    return lambda real, fake, k: (density(real, fake, k), coverage(real, fake, k))


def _density(real: Tensor, fake: Tensor, k: int) -> Tensor:
    return _inside(real, fake, k).double().sum(0).mean() / k


def _coverage(real: Tensor, fake: Tensor, k: int) -> Tensor:
    return _share(_inside(real, fake, k).any(1))


# fmt: off
MISTAKES = (
    ("Density and coverage are exchanged: density comes first.", _both(_coverage, _density)),
    ("The density is not divided by k.", _both(lambda *a: _density(*a) * a[2], _coverage)),
    ("The density is averaged over the real points, too: it counts the balls of a fake, divided by k alone.",
     _both(lambda *a: _share(_inside(*a)), _coverage)),
    ("The mean over all pairs is divided by k once more: a sum over the real balls, over k, then the mean over "
     "the fakes.",
     _both(lambda *a: _share(_inside(*a)) / a[2], _coverage)),
    ("The density is averaged over the real points instead of over the fakes.",
     _both(lambda real, fake, k: _inside(real, fake, k).double().sum(1).mean() / k, _coverage)),
    ("The density is cut off at 1: where fakes crowd it may be larger.",
     _both(lambda *a: _density(*a).clamp(max=1), _coverage)),
    ("The first number is precision: density counts all the balls that a fake lies in, over k.",
     _both(lambda *a: _share(_inside(*a).any(0)), _coverage)),
    ("The first number is precision over k: density counts all the balls that a fake lies in.",
     _both(lambda *a: _share(_inside(*a).any(0)) / a[2], _coverage)),
    ("The second number is precision, the share of the fakes in some real ball: coverage counts real points.",
     _both(_density, lambda *a: _share(_inside(*a).any(0)))),
    ("The second number is recall, with balls around the fakes: the balls of coverage stand around the real "
     "points.",
     _both(_density, lambda real, fake, k: _share(_inside(fake, real, k).any(0)))),
    ("Each point is its own nearest neighbour, at distance 0: among k smallest distances that hold this 0 there "
     "are only k − 1 others.",
     lambda real, fake, k: (_inside(real, fake, k - 1).double().sum(0).mean() / k, _coverage(real, fake, k - 1))),
    ("One neighbour too many: the radius reaches to the k-th other point, not to the next after it.",
     lambda real, fake, k: (_inside(real, fake, k + 1).double().sum(0).mean() / k, _coverage(real, fake, k + 1))),
    ("The roles are exchanged: the balls stand around the real points.",
     lambda real, fake, k: (_density(fake, real, k), _coverage(fake, real, k))),
    ("The second number is the share of real points whose ball holds k fakes: one is enough.",
     _both(_density, lambda real, fake, k: _share(_inside(real, fake, k).sum(1) >= k))),
    ("The second number is a count of real points: their share is asked.",
     _both(_density, lambda *a: _inside(*a).any(1).double().sum())),
    ("The second number is the share of real points without a fake in their ball: those with one are counted.",
     _both(_density, lambda *a: 1 - _coverage(*a))),
)

EXERCISE = Exercise(
    id="over.coverage", number="11.3", title="density and coverage", points=2,
    prompt="(density, coverage): in how many real balls a fake lies, over k, on average; and the share of the "
           "real balls that hold a fake",
    more="One table of truths says it all: inside[i, j], fake j in the ball of real i. Density is its sum over "
         "k and the number of fakes; coverage the mean over i of any over j.",
    cases=clouds, reference=coverage, mistakes=MISTAKES, watch=ObserveSpec(outputs=("density", "coverage")),
)
