"""11.1 Precision by nearest neighbours."""

import torch
from torch import Tensor

from ....core.metrics import precision_recall_coverage
from .. import Exercise
from ._shared import _away, _enough, _inside, _radius, _share, clouds


def precision(real: Tensor, fake: Tensor, k: int) -> float:
    """The library's share; what was added counts as outside."""
    many = _enough(fake, k)
    return precision_recall_coverage(real, many, k).precision * len(many) / len(fake)


def _in_the_nearest(real: Tensor, fake: Tensor, k: int) -> Tensor:
    away, place = _away(real, fake).min(0)
    return _share(away <= _radius(real, k)[place])


def _mean_of_neighbours(real: Tensor, fake: Tensor, k: int) -> Tensor:
    radius = _away(real, real).sort(1).values[:, 1 : k + 1].mean(1)
    return _share((_away(real, fake) <= radius[:, None]).any(0))


def _to_fakes(real: Tensor, fake: Tensor, k: int) -> Tensor:
    away = _away(real, fake)
    return _share((away <= away.sort(1).values[:, min(k, len(fake)) - 1 :][:, :1]).any(0))


def _by_absolute_differences(real: Tensor, fake: Tensor, k: int) -> Tensor:
    radius = torch.cdist(real, real, p=1.0).sort(1).values[:, k]
    return _share((torch.cdist(real, fake, p=1.0) <= radius[:, None]).any(0))


# fmt: off
MISTAKES = (
    ("Each point is its own nearest neighbour, at distance 0: among k smallest distances that hold this 0 there "
     "are only k − 1 others.",
     lambda real, fake, k: _share(_inside(real, fake, k - 1).any(0))),
    ("One neighbour too many: the radius reaches to the k-th other point, not to the next after it.",
     lambda real, fake, k: _share(_inside(real, fake, k + 1).any(0))),
    ("That is recall, the share of the reals that lie in some ball around a fake: the roles are exchanged.",
     lambda real, fake, k: _share(_inside(fake, real, k).any(0))),
    ("That is coverage, the share of the reals whose own ball holds a fake: here the fakes are counted.",
     lambda real, fake, k: _share(_inside(real, fake, k).any(1))),
    ("The balls have the fakes' radii: each ball stands around a real point and has that point's radius.",
     lambda real, fake, k: _share((_away(real, fake) <= _radius(fake, k)).any(0))),
    ("The share of all pairs came: a fake counts once, in however many balls it lies.",
     lambda real, fake, k: _share(_inside(real, fake, k))),
    ("That is the density, in how many balls a fake lies over k: here it counts once, in however many balls it "
     "lies.",
     lambda real, fake, k: _inside(real, fake, k).double().sum(0).mean() / k),
    ("Only the ball of the nearest real point is asked: a fake may lie outside that one and inside another, "
     "larger one.",
     _in_the_nearest),
    ("One radius for all: each real point has a ball of its own size, small where reals are dense.",
     lambda real, fake, k: _share((_away(real, fake) <= _radius(real, k).mean()).any(0))),
    ("One radius, the largest, for all: each real point has a ball of its own size.",
     lambda real, fake, k: _share((_away(real, fake) <= _radius(real, k).max()).any(0))),
    ("Squared distances are compared with radii that are not squared, or the other way round.",
     lambda real, fake, k: _share((_away(real, fake) ** 2 <= _radius(real, k)[:, None]).any(0))),
    ("The mean distance to the k nearest is taken: the radius is the distance to the k-th of them.",
     _mean_of_neighbours),
    ("The radius was measured to the k-th nearest fake: a real point's neighbours are other real points.",
     _to_fakes),
    ("Every ball must hold the fake here: one is enough (any, not all).",
     lambda real, fake, k: _share(_inside(real, fake, k).all(0))),
    ("The share outside came: those inside some ball are counted.",
     lambda real, fake, k: 1 - _share(_inside(real, fake, k).any(0))),
    ("The radius is measured in the two sets together: a real point's neighbours are other real points.",
     lambda real, fake, k: _share(
         (_away(real, fake) <= _away(real, torch.cat([real, fake])).sort(1).values[:, k : k + 1]).any(0)
     )),
    ("Absolute differences are added up: distances are roots of sums of squares.", _by_absolute_differences),
)

EXERCISE = Exercise(
    id="over.precision", number="11.1", title="precision by nearest neighbours", points=2,
    prompt="the share of the fakes that lie in the ball of at least one real point, a ball reaching to the k-th "
           "nearest other real point",
    more="torch.cdist(real, real) sorted along a row begins with the point itself, at 0, so the k-th other "
         "stands at index k. Compare torch.cdist(real, fake) with these radii, any over the real points, mean "
         "over the fakes.",
    cases=clouds, reference=precision, mistakes=MISTAKES,
)
