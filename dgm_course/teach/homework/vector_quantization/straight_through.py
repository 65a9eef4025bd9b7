"""4.2 A gradient that steps over."""

from torch import Tensor

from ....vq import straight_through as stepped_over
from .. import Exercise, ObserveSpec
from ..draws import Cases, Rng, case_of, points, square_first
from ._shared import _table


def straight_through(z_e: Tensor, z_q: Tensor) -> Tensor:
    """The library's step."""
    return stepped_over(z_e, z_q)


def cases(rng: Rng) -> Cases:
    """An encoder's output and the vector that stands for it."""
    for name, shape, hint in square_first(rng):
        yield case_of(name, {"z_e": points(rng, *shape), "z_q": _table(rng, *shape)}, hint)


# fmt: off
MISTAKES = (
    ("The value is that of z_e: the decoder must be given z_q, and only the gradient goes to z_e.",
     lambda z_e, z_q: z_q + (z_e - z_q).detach()),
    ("The difference alone: it has to be added to z_e.", lambda z_e, z_q: z_q - z_e),
    ("The difference is taken the wrong way round: from z_e the step leads to z_q, by z_q − z_e.",
     lambda z_e, z_q: z_e + (z_e - z_q).detach()),
    ("Half of each: the value must be z_q, entirely.", lambda z_e, z_q: (z_e + z_q) / 2),
)

GRADIENT_MISTAKES = (
    ("The gradient goes to z_q and none of it to z_e: the encoder would never learn from the reconstruction. If "
     "z_e stands in your formula, it is added and subtracted again with its gradient.",
     lambda z_e, z_q: z_q + 0 * z_e),
    ("The gradient reaches z_e, as it should, and z_q as well: the codebook would be pulled by the "
     "reconstruction too.",
     lambda z_e, z_q: z_e - z_e.detach() + z_q),
    ("The wrong part is stopped: z_e itself is, and the difference is not, so z_e gets its gradient with a "
     "minus sign, and z_q one that it should not have.",
     lambda z_e, z_q: z_e.detach() + (z_q - z_e)),
    ("The gradient arrives at z_e twice.", lambda z_e, z_q: z_q.detach() + 2 * (z_e - z_e.detach())),
    ("The gradient arrives with the wrong sign: the encoder would climb.",
     lambda z_e, z_q: z_q.detach() - (z_e - z_e.detach())),
)

EXERCISE = Exercise(
    id="vq.straight_through", number="4.2", title="a gradient that steps over",
    prompt="something of the value of z_q whose gradient goes to z_e unchanged, and not to z_q",
    more="z_e and a difference whose gradient is stopped.",
    cases=cases, reference=straight_through, mistakes=MISTAKES, gradient_mistakes=GRADIENT_MISTAKES,
    watch=ObserveSpec(gradient=("z_e", "z_q"), tensors=True),
)
