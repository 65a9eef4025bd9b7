"""6.1 A coupling layer."""

from collections.abc import Callable

from torch import Tensor

from .. import Exercise, ObserveSpec
from ._shared import KEEP, _coupling, _front, couplings


def coupling_forward(x: Tensor, mask: Tensor, log_scale: Callable, shift: Callable) -> tuple[Tensor, Tensor]:
    """The library's coupling with a mask."""
    return _coupling(mask, log_scale, shift)(x)


def _out(x: Tensor, mask: Tensor, s: Tensor, t: Tensor) -> Tensor:
    return mask * x + (1 - mask) * (x * s.exp() + t)


def _forward(
    asked: Callable = lambda x, m: m * x,
    turn: Callable = KEEP,
    out: Callable = _out,
    ladj: Callable = lambda s, m, x: ((1 - m) * s).sum(1),
) -> Callable:
    """The layer with one of its pieces exchanged: what the networks see, the mask, the formula, the
    determinant."""

    def form(x: Tensor, mask: Tensor, log_scale: Callable, shift: Callable) -> tuple[Tensor, Tensor]:
        m = turn(mask)
        seen = asked(x, m)
        s, t = log_scale(seen), shift(seen)
        return out(x, m, s, t), ladj(s, m, x)

    return form


# fmt: off
MISTAKES = (
    ("The first half is kept, whatever the mask says: any coordinates may be kept.", _forward(turn=_front)),
    ("The mask is turned around: where it is 1 the coordinate is kept, where it is 0 it is scaled and moved.",
     _forward(turn=lambda m: 1 - m)),
    ("The networks see the whole point: then the Jacobian is not triangular, and nobody can go back. They may "
     "see only what is kept.",
     _forward(asked=lambda x, m: x)),
    ("The networks see what is changed; they may see only what is kept, else the layer cannot be inverted.",
     _forward(asked=lambda x, m: (1 - m) * x)),
    ("The kept coordinates are scaled and moved as well: they go through unchanged.",
     _forward(out=lambda x, m, s, t: x * s.exp() + t)),
    ("The scale is used as it comes: the network gives its logarithm, so the factor is exp(s).",
     _forward(out=lambda x, m, s, t: m * x + (1 - m) * (x * s + t))),
    ("First scaled, then moved: here the shift is scaled along, (x + t)·exp(s).",
     _forward(out=lambda x, m, s, t: m * x + (1 - m) * (x + t) * s.exp())),
    ("That is the way back, (x − t)·exp(−s); towards the noise the layer multiplies by exp(s) and adds t.",
     _forward(out=lambda x, m, s, t: m * x + (1 - m) * (x - t) * (-s).exp())),
    ("The log-determinant sums over all coordinates: those that are kept have slope one, and count nothing.",
     _forward(ladj=lambda s, m, x: s.sum(1))),
    ("The log-determinant sums over the kept coordinates; it is the others that are scaled.",
     _forward(ladj=lambda s, m, x: (m * s).sum(1))),
    ("That is a sum of slopes exp(s): the determinant is their product, its logarithm the sum of s.",
     _forward(ladj=lambda s, m, x: ((1 - m) * s.exp()).sum(1))),
    ("The log-determinant is summed over the batch as well: each point has its own, (B,).",
     _forward(ladj=lambda s, m, x: ((1 - m) * s).sum().expand(len(x)))),
)

EXERCISE = Exercise(
    id="flow.coupling_forward", number="6.1", title="a coupling layer",
    prompt="z and the log-determinant of one coupling layer: what the mask keeps decides how the rest is scaled "
           "and moved",
    more="s and t come from mask · x. Kept: z = x. The others: z = x exp(s) + t. log |det| is the sum of their s.",
    cases=couplings("x"), reference=coupling_forward, mistakes=MISTAKES,
    watch=ObserveSpec(outputs=("z", "ladj"), gradient=("log_scale", "shift"), tensors=True),
)
