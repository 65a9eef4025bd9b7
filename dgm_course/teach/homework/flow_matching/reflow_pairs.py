"""8.6 The pairs of a rectified flow."""

from collections.abc import Callable

import torch
from torch import Tensor

from .. import Case, Exercise, Network, ObserveSpec
from ..draws import Cases, Rng, points, sizes
from ._shared import _odd_sizes


def reflow_pairs(sampler: Callable, x0: Tensor) -> tuple[Tensor, Tensor]:
    """Each noise beside the point it flows to."""
    with torch.no_grad():
        return x0, sampler(x0)


def cases(rng: Rng) -> Cases:
    usual = (("a sampler", *sizes(rng), ""), ("another sampler", *sizes(rng), ""))
    for name, size, dim, hint in (*usual, *_odd_sizes(rng)):
        yield Case(name, {"sampler": Network.random(rng, dim), "x0": points(rng, size, dim)}, hint=hint)


# fmt: off
MISTAKES = (
    ("Fresh noise was put beside the image: the coupling is lost. The noise of a pair must be the one that "
     "flowed there.",
     lambda sampler, x0: (torch.randn_like(x0), sampler(x0))),
    ("Fresh noise was sent through the sampler: the coupling is lost. Send x0 itself.",
     lambda sampler, x0: (x0, sampler(torch.randn_like(x0)))),
    ("The pair is in the wrong order: noise first, its image second.", lambda sampler, x0: (sampler(x0), x0)),
    ("The sampler was run twice: once is one whole journey from noise to data.",
     lambda sampler, x0: (x0, sampler(sampler(x0)))),
    ("The second of the pair is the displacement; the point itself is asked, sampler(x0).",
     lambda sampler, x0: (x0, sampler(x0) - x0)),
)

EXERCISE = Exercise(
    id="fm.reflow_pairs", number="8.6", title="the pairs of a rectified flow",
    prompt="each noise and the point where the sampler takes it, without a gradient",
    more="The old model pairs them, x1 = sampler(x0) row by row, outside the graph.",
    cases=cases, reference=reflow_pairs, mistakes=MISTAKES, watch=ObserveSpec(outputs=("x0", "x1"), detached=True),
)
