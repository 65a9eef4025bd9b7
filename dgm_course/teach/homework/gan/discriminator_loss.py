"""5.2 The discriminator's loss."""

from torch import Tensor
from torch.nn import functional as F

from ....gan import non_saturating
from .. import Exercise, ObserveSpec
from ._shared import two_batches


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """The critic's side of the non-saturating game."""
    return non_saturating().critic(real, fake)


def _bce(real: Tensor, fake: Tensor) -> Tensor:
    return F.softplus(-real).mean() + F.softplus(fake).mean()


# fmt: off
MISTAKES = (
    ("The labels are exchanged: log D is taken of real samples, log(1 − D) of fake ones.",
     lambda real, fake: _bce(-real, -fake)),
    ("One mean over both batches together: two means are added, one of the real and one of the fake samples.",
     lambda real, fake: (F.softplus(-real).sum() + F.softplus(fake).sum()) / (len(real) + len(fake))),
    ("The fake samples are missing.", lambda real, fake: F.softplus(-real).mean() + 0 * fake.sum()),
    ("The real samples are missing.", lambda real, fake: F.softplus(fake).mean() + 0 * real.sum()),
    ("Sums over the batches where their means are asked.",
     lambda real, fake: F.softplus(-real).sum() + F.softplus(fake).sum()),
    ("The sign between the two terms is wrong: the discriminator is to be right about both.",
     lambda real, fake: F.softplus(-real).mean() - F.softplus(fake).mean()),
    ("The sigmoid is taken twice: a function that takes logits does it itself.",
     lambda real, fake: _bce(real.sigmoid(), fake.sigmoid())),
    ("No logarithm occurs: that is the Wasserstein critic's loss, a difference of two means.",
     lambda real, fake: fake.mean() - real.mean()),
    ("The logarithm is missing: probabilities are averaged, 1 − D of the real and D of the fake samples.",
     lambda real, fake: (1 - real.sigmoid()).mean() + fake.sigmoid().mean()),
    ("Both batches are taken for real: fake samples enter with log(1 − D).", lambda real, fake: _bce(real, -fake)),
    ("The logarithm is taken of the mean probability: it belongs to each sample, before the mean.",
     lambda real, fake: -real.sigmoid().mean().log() - (-fake).sigmoid().mean().log()),
)

EXERCISE = Exercise(
    id="gan.discriminator_loss", number="5.2", title="the discriminator's loss",
    prompt="minus V from logits: the mean of −log D over the real batch plus the mean of −log(1 − D) over the "
           "fake one",
    more="−log sigmoid(l) = softplus(−l) and −log(1 − sigmoid(l)) = softplus(l): no sigmoid needs to be taken.",
    cases=two_batches, reference=discriminator_loss, mistakes=MISTAKES,
    watch=ObserveSpec(outputs=("loss",), gradient=("real", "fake"), tensors=True),
)
