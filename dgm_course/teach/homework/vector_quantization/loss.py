"""4.3 The loss of a VQ-VAE."""

import numpy as np
from torch import Tensor

from .. import Exercise, ObserveSpec
from ..draws import Cases, Rng, case_of, points, square_first
from ._shared import _table


def loss(x: Tensor, x_hat: Tensor, z_e: Tensor, e: Tensor, commitment: float) -> Tensor:
    """The three terms, each with its own gradient."""
    terms = (x - x_hat).square().sum(1), (z_e.detach() - e).square().sum(1), (z_e - e.detach()).square().sum(1)
    return (terms[0] + terms[1] + commitment * terms[2]).mean()


def cases(rng: Rng) -> Cases:
    """Pictures, what was decoded, outputs and their vectors, of another width."""
    for name, (size, dim), hint in square_first(rng):
        width = dim + int(rng.integers(1, 4))
        args = {
            "x": points(rng, size, dim),
            "x_hat": points(rng, size, dim),
            "z_e": points(rng, size, width),
            "e": _table(rng, size, width),
            "commitment": float(np.round(rng.uniform(0.2, 0.6), 2) + 0.003),
        }
        yield case_of(name, args, hint)


def _sum(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().sum(1)


def _two(z_e: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
    """The codebook's term and the commitment's, their gradients as they should be."""
    return _sum(z_e.detach(), e), _sum(z_e, e.detach())


# fmt: off
MISTAKES = (
    ("commitment is not used: it weighs the term that pulls z_e towards its vector.",
     lambda x, x_hat, z_e, e, commitment: (_sum(x, x_hat) + 2 * _sum(z_e, e)).mean()),
    ("commitment multiplies both terms of the codebook; it belongs to one of them.",
     lambda x, x_hat, z_e, e, commitment: (_sum(x, x_hat) + 2 * commitment * _sum(z_e, e)).mean()),
    ("A term is missing: the one that pulls the vectors towards the outputs, which has no weight.",
     lambda x, x_hat, z_e, e, commitment: (_sum(x, x_hat) + commitment * _sum(z_e, e)).mean()),
    ("A term is missing: the commitment, which pulls the outputs towards their vectors.",
     lambda x, x_hat, z_e, e, commitment: (_sum(x, x_hat) + _sum(z_e, e)).mean()),
    ("commitment multiplies the reconstruction.",
     lambda x, x_hat, z_e, e, commitment: (commitment * _sum(x, x_hat) + 2 * _sum(z_e, e)).mean()),
    ("commitment multiplies everything.",
     lambda x, x_hat, z_e, e, commitment: (commitment * (_sum(x, x_hat) + 2 * _sum(z_e, e))).mean()),
    ("The terms of the codebook are subtracted: all three are costs.",
     lambda x, x_hat, z_e, e, commitment: (_sum(x, x_hat) - (1 + commitment) * _sum(z_e, e)).mean()),
    ("The reconstruction is missing.",
     lambda x, x_hat, z_e, e, commitment: ((1 + commitment) * _sum(z_e, e)).mean()),
    ("The terms of the codebook are missing: this is the reconstruction alone.",
     lambda x, x_hat, z_e, e, commitment: _sum(x, x_hat).mean()),
    ("Norms and not squared norms are added up.",
     lambda x, x_hat, z_e, e, commitment: (_sum(x, x_hat).sqrt() + (1 + commitment) * _sum(z_e, e).sqrt()).mean()),
    ("The terms are averaged over their coordinates: pictures and outputs have different widths, so their "
     "balance is lost. Sums are asked.",
     lambda x, x_hat, z_e, e, commitment: (
         (x - x_hat).square().mean() + (1 + commitment) * (z_e - e).square().mean()
     )),
    ("The reconstruction is averaged over the pixels while the other terms are sums.",
     lambda x, x_hat, z_e, e, commitment: (x - x_hat).square().mean() + (1 + commitment) * _sum(z_e, e).mean()),
    ("The commitment is averaged over the coordinates while the other terms are sums.",
     lambda x, x_hat, z_e, e, commitment: (
         (_sum(x, x_hat) + _sum(z_e, e)).mean() + commitment * (z_e - e).square().mean()
     )),
)

GRADIENT_MISTAKES = (
    ("No gradient is stopped: both terms pull both sides, so they are one term of weight 1 + β. Each is to move "
     "one side alone.",
     lambda x, x_hat, z_e, e, commitment: (_sum(x, x_hat) + (1 + commitment) * _sum(z_e, e)).mean()),
    ("The two stop-gradients have changed places, which no value shows: commitment weighs the pull on z_e, and "
     "here it weighs the pull on e.",
     lambda x, x_hat, z_e, e, commitment: (
         _sum(x, x_hat) + commitment * _two(z_e, e)[0] + _two(z_e, e)[1]
     ).mean()),
    ("In the commitment e is not stopped: it pulls the vectors as well, and they have their own term.",
     lambda x, x_hat, z_e, e, commitment: (_sum(x, x_hat) + _two(z_e, e)[0] + commitment * _sum(z_e, e)).mean()),
    ("In the codebook's term z_e is not stopped: it pulls the outputs as well, with weight 1.",
     lambda x, x_hat, z_e, e, commitment: (_sum(x, x_hat) + _sum(z_e, e) + commitment * _two(z_e, e)[1]).mean()),
    ("z_e is stopped in both terms: nothing keeps the outputs near their vectors.",
     lambda x, x_hat, z_e, e, commitment: (_sum(x, x_hat) + (1 + commitment) * _two(z_e, e)[0]).mean()),
    ("e is stopped in both terms: the vectors never move.",
     lambda x, x_hat, z_e, e, commitment: (_sum(x, x_hat) + (1 + commitment) * _two(z_e, e)[1]).mean()),
    ("Both sides are stopped in both terms: they have a value, and move nothing.",
     lambda x, x_hat, z_e, e, commitment: (_sum(x, x_hat) + (1 + commitment) * _sum(z_e, e).detach()).mean()),
    ("The reconstruction is cut off: nothing reaches what was decoded.",
     lambda x, x_hat, z_e, e, commitment: (
         _sum(x, x_hat.detach()) + _two(z_e, e)[0] + commitment * _two(z_e, e)[1]
     ).mean()),
)

EXERCISE = Exercise(
    id="vq.loss", number="4.3", title="the loss of a VQ-VAE", points=2,
    prompt="the mean over the batch of three squared errors, each a sum: reconstruction, codebook, and the "
           "commitment weighed; each with its gradient stopped where the slide stops it",
    more="‖x − x̂‖² + ‖sg[z_e] − e‖² + β ‖z_e − sg[e]‖² of each sample; sg is .detach(); then the mean.",
    cases=cases, reference=loss, mistakes=MISTAKES, gradient_mistakes=GRADIENT_MISTAKES,
    watch=ObserveSpec(outputs=("loss",), gradient=("x_hat", "z_e", "e"), tensors=True),
)
