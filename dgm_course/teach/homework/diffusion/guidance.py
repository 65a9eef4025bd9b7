"""7.9 Classifier-free guidance."""

import torch
from torch import Tensor

from .. import Case, Exercise
from ..draws import Cases, Rng, in_float32, odd_sizes, points, sizes


def guidance(free: Tensor, given: Tensor, weight: float) -> Tensor:
    """On the line through both predictions, at the weight."""
    return torch.lerp(free, given, weight)


WEIGHT = "Right for some weights alone: any number is allowed, above 1 (the usual case) and below 0, too."


def cases(rng: Rng) -> Cases:
    drawn = round(float(rng.uniform(1.5, 9)), 2)
    usual = (("weight 3", 3.0, ""), (f"weight {drawn:g}", drawn, ""), ("float32", 2.5, ""), ("weight ½", 0.5, ""))
    special = (("weight 1", 1.0, WEIGHT), ("weight 0", 0.0, WEIGHT), ("weight −2", -2.0, WEIGHT))
    rows = [(name, sizes(rng), weight, hint) for name, weight, hint in (*usual, *special)]
    for name, batch, weight, hint in (*rows, *((name, batch, 4.0, hint) for name, batch, hint in odd_sizes(rng))):
        args = {"free": points(rng, *batch), "given": points(rng, *batch), "weight": weight}
        yield Case(name, in_float32(args) if name == "float32" else args, hint=hint)


# fmt: off
MISTAKES = (
    ("That is the paper's convention, where weight 0 is the conditional prediction; here weight 1 is.",
     lambda free, given, w: (1 + w) * given - w * free),
    ("The two predictions are exchanged: weight 0 must give the free one, weight 1 the conditional one.",
     lambda free, given, w: given + w * (free - given)),
    ("The difference points the wrong way: guidance leads from the free prediction to the conditional one and "
     "beyond.",
     lambda free, given, w: free + w * (free - given)),
    ("The weighted conditional prediction is added to the free one; the weight belongs to their difference.",
     lambda free, given, w: free + w * given),
    ("The free prediction does not enter.", lambda free, given, w: w * given),
    ("The weighted difference alone came: from which prediction does it lead on?",
     lambda free, given, w: w * (given - free)),
    ("The weights of the two predictions do not add up to one: the conditional one has 1.",
     lambda free, given, w: given - w * free),
    ("The weights of the two predictions do not add up to one: the free one has −1.",
     lambda free, given, w: w * given - free),
    ("A weighted average came, which stays between the two predictions; guidance goes beyond.",
     lambda free, given, w: (free + w * given) / (1 + w)),
    ("Divided by the weight where it multiplies: at weight 0 nothing finite is left.",
     lambda free, given, w: free + (given - free) * (1 / w)),
    ("The weight is nowhere: half of each prediction came.", lambda free, given, w: (free + given) / 2),
    ("The weight counts one less: at weight 1 the free prediction came, where the conditional one is asked.",
     lambda free, given, w: free + (w - 1) * (given - free)),
    ("The weight enters squared.", lambda free, given, w: free + w**2 * (given - free)),
    ("The weight is cut to [0, 1]: guidance is meant to go beyond the conditional prediction.",
     lambda free, given, w: free + min(max(w, 0), 1) * (given - free)),
)

EXERCISE = Exercise(
    id="diff.guidance", number="7.9", title="classifier-free guidance",
    prompt="the guided prediction: on the line from the free prediction at weight 0 through the conditional one "
           "at weight 1",
    more="Start from the free prediction and go `weight` times the difference to the given one.",
    cases=cases, reference=guidance, mistakes=MISTAKES,
)
