"""4.5 A soft draw."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ....vq import gumbel_softmax as soft_draw
from .. import Case, Exercise, ObserveSpec
from ..draws import Cases, Rng, case_of, numbers, points, sizes, square_first


def gumbel_softmax(logits: Tensor, u: Tensor, temperature: float) -> Tensor:
    """The library's soft draw, its noise made of u."""
    return soft_draw(logits, -(-u.log()).log(), temperature)


LOUD = (
    "Wrong only where the logits are large, as they are at a low temperature too: exp() of such numbers "
    "overflows. torch's softmax takes the largest out first, and so is safe."
)


def cases(rng: Rng) -> Cases:
    """Logits, uniform noise in (0, 1), a temperature."""
    for name, shape, hint in square_first(rng):
        renamed = {"B = D": "B = K", "D = 1": "K = 1"}.get(name, name)
        temperature = float(np.round(rng.uniform(0.4, 0.8) + 1.1 * rng.integers(0, 2), 2))
        args = {
            "logits": points(rng, *shape),
            "u": numbers(rng, *shape, low=0.04, high=0.96),
            "temperature": temperature,
        }
        yield case_of(renamed, args, hint)
    shape = sizes(rng)
    large = {
        "logits": 700 + points(rng, *shape),
        "u": numbers(rng, *shape, low=0.04, high=0.96),
        "temperature": 0.83,
    }
    yield Case("large logits", large, hint=LOUD, least=1.0)  # terms of a saturated softmax's gradient cancel


def _gumbel(u: Tensor) -> Tensor:
    return -(-u.log()).log()


# fmt: off
MISTAKES = (
    ("The noise enters with the wrong sign: g = −log(−log u) is added, two minus signs in all.",
     lambda logits, u, temperature: ((logits - _gumbel(u)) / temperature).softmax(1)),
    ("The temperature divides the logits alone; the noise has to be divided with them, or the draws change "
     "their odds.",
     lambda logits, u, temperature: (logits / temperature + _gumbel(u)).softmax(1)),
    ("The temperature divides the noise alone.",
     lambda logits, u, temperature: (logits + _gumbel(u) / temperature).softmax(1)),
    ("The temperature scales the noise and leaves the logits alone: both are divided by it, together.",
     lambda logits, u, temperature: (logits + temperature * _gumbel(u)).softmax(1)),
    ("A sigmoid looks at each code by itself: over K codes the shares have to sum to one, so it is a softmax.",
     lambda logits, u, temperature: torch.sigmoid((logits + _gumbel(u)) / temperature)),
    ("The temperature multiplies: it divides, so that a low one makes the draw nearly one-hot.",
     lambda logits, u, temperature: ((logits + _gumbel(u)) * temperature).softmax(1)),
    ("The temperature is not used.", lambda logits, u, temperature: (logits + _gumbel(u)).softmax(1)),
    ("The softmax runs over the batch: the codes of each row have to sum to one.",
     lambda logits, u, temperature: ((logits + _gumbel(u)) / temperature).softmax(0)),
    ("The uniform numbers themselves are added: Gumbel noise is −log(−log u).",
     lambda logits, u, temperature: ((logits + u) / temperature).softmax(1)),
    ("This noise is −log u, an exponential: one logarithm more makes it Gumbel, −log(−log u).",
     lambda logits, u, temperature: ((logits - u.log()) / temperature).softmax(1)),
    ("The noise is log u, one logarithm and a sign short of −log(−log u).",
     lambda logits, u, temperature: ((logits + u.log()) / temperature).softmax(1)),
    ("There is no noise: this is the same in every draw.",
     lambda logits, u, temperature: (logits / temperature).softmax(1)),
    ("The noise is added to probabilities: it belongs to their logarithms, or to the logits.",
     lambda logits, u, temperature: ((logits.softmax(1) + _gumbel(u)) / temperature).softmax(1)),
    ("A hard draw: right as τ tends to 0, and without a gradient.",
     lambda logits, u, temperature: F.one_hot((logits + _gumbel(u)).argmax(1), logits.shape[1]).to(logits)),
)

EXERCISE = Exercise(
    id="vq.gumbel_softmax", number="4.5", title="a soft draw",
    prompt="the Gumbel-softmax sample over K codes made of the logits, the uniform noise that is given, and the "
           "temperature",
    more="g = −log(−log u); softmax of (logits + g)/τ over the codes.",
    cases=cases, reference=gumbel_softmax, mistakes=MISTAKES,
    watch=ObserveSpec(gradient=("logits",), tensors=True),
)
