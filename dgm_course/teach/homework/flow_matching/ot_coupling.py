"""8.5 The optimal coupling of a batch."""

from collections.abc import Iterable

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from ....paths.model import optimal_transport
from .. import WRONG, Case, Exercise, ObserveSpec, SameValues, Verdict
from ..draws import Cases, Rng, points
from ._shared import _odd_sizes


def ot_coupling(x0: Tensor, x1: Tensor) -> tuple[Tensor, Tensor]:
    """The library's exact assignment, of least total squared distance."""
    return optimal_transport(x0, x1)


class BestPairs(SameValues):
    """Pairs of a batch: every point used once, least total squared distance, in any order."""

    drawn = False

    def canonical(self, values: dict[str, np.ndarray], case: Case) -> dict[str, np.ndarray]:
        order = np.lexsort(np.round(np.hstack([values["x0"], values["x1"]]), 3).T)
        return {name: rows[order] for name, rows in values.items()}

    def broken(self, values: dict[str, np.ndarray], right: dict[str, np.ndarray], case: Case) -> Verdict | None:
        for name in ("x0", "x1"):
            if not np.allclose(_sorted(values[name]), _sorted(case.args[name]), rtol=1e-6, atol=1e-6):
                return Verdict(
                    WRONG,
                    f"The returned {name} is not the batch {name} in another order.",
                    hint="Each point must appear exactly once: a coupling is a permutation.",
                )
        given, best = total(values.values()), total(right.values())
        if given <= best * (1 + 1e-6) + 1e-9:
            return None
        return Verdict(
            WRONG,
            "Every point is used once, but another pairing is cheaper.",
            f"{case.name}, total squared distance",
            f"{given:.6g}",
            f"{best:.6g}",
            "Is the assignment optimal for the sum of squared distances, and applied to the right batch?",
        )


def _sorted(rows: np.ndarray) -> np.ndarray:
    return rows[np.lexsort(np.round(rows, 3).T)]


EXACT = (
    "Right on small batches alone: is the pairing approximate, or made in parts? The assignment is exact at "
    "any size."
)


def cases(rng: Rng) -> Cases:
    """Ordinary batches on which the usual wrong pairings all cost more than the best one, and odd ones."""
    for name in ("one batch", "another batch", "float32"):
        yield _batch(rng, name, int(rng.integers(6, 12)), int(rng.integers(2, 5)))
    for name, size, dim, hint in _odd_sizes(rng, EXACT):
        yield _batch(rng, name, size, dim, hint)


def _batch(rng: Rng, name: str, size: int, dim: int, hint: str = "") -> Case:
    telling = False
    while not telling:
        x0, x1 = points(rng, size, dim), points(rng, size, dim) + 1
        telling = min(size, dim) == 1 or all_dearer(torch.from_numpy(x0), torch.from_numpy(x1))
    kind = np.float32 if name == "float32" else np.float64
    return Case(name, {"x0": x0.astype(kind), "x1": x1.astype(kind)}, hint=hint)


def _assigned(x0: Tensor, x1: Tensor, cost: Tensor) -> tuple[Tensor, Tensor]:
    rows, columns = linear_sum_assignment(cost.detach().cpu().numpy())
    return x0[torch.as_tensor(rows, device=x0.device)], x1[torch.as_tensor(columns, device=x1.device)]


def by_distance(x0: Tensor, x1: Tensor) -> tuple[Tensor, Tensor]:
    return _assigned(x0, x1, torch.cdist(x0, x1))


def inverse(x0: Tensor, x1: Tensor) -> tuple[Tensor, Tensor]:
    columns = linear_sum_assignment((torch.cdist(x0, x1) ** 2).numpy())[1]
    return x0[columns], x1


def by_coordinate(x0: Tensor, x1: Tensor) -> tuple[Tensor, Tensor]:
    return x0[x0[:, 0].argsort()], x1[x1[:, 0].argsort()]


def total(pairs: Iterable) -> float:
    """Σ ‖x0 − x1‖² over the rows."""
    x0, x1 = pairs
    return float(((x0 - x1) ** 2).sum())


def all_dearer(x0: Tensor, x1: Tensor) -> bool:
    """Whether the usual wrong pairings of this batch all cost at least a hundredth more than the best one."""
    best = total(_assigned(x0, x1, torch.cdist(x0, x1) ** 2))
    return all(total(form(x0, x1)) > best * 1.01 for form in (by_distance, inverse, by_coordinate))


# fmt: off
MISTAKES = (
    ("The pairs are those that came in (independent): nothing was permuted, or both sides alike.",
     lambda x0, x1: (x0, x1)),
    ("The order is swapped: noise x0 first, data x1 second.",
     lambda x0, x1: _assigned(x0, x1, torch.cdist(x0, x1) ** 2)[::-1]),
    ("That is the best pairing for the distance; the lecture's cost is the squared distance.", by_distance),
    ("The permutation is applied to the wrong side (or inverted): x0[i] belongs to x1[j[i]].", inverse),
    ("Sorting by a coordinate is optimal in one dimension only.", by_coordinate),
    ("Each x0 takes its nearest x1, so some x1 are used twice and others never: a coupling is a permutation.",
     lambda x0, x1: (x0, x1[torch.cdist(x0, x1).argmin(1)])),
    ("The dearest pairing instead of the cheapest: maximise=True, or a sign in the cost.",
     lambda x0, x1: _assigned(x0, x1, -(torch.cdist(x0, x1) ** 2))),
)

EXERCISE = Exercise(
    id="fm.ot_coupling", number="8.5", title="the optimal coupling of a batch", points=2,
    prompt="the one-to-one pairing of least total squared distance: x0 and x1, row beside row",
    more="The costs are a (B, B) table, c_ij = |x0_i − x1_j|²; its best assignment gives a number i and a "
         "number j for each pair.",
    cases=cases, reference=ot_coupling, mistakes=MISTAKES, watch=ObserveSpec(outputs=("x0", "x1"), tensors=True),
    law=BestPairs(),
)
