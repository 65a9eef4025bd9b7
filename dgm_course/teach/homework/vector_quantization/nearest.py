"""4.1 The nearest vector."""

import torch
from torch import Tensor
from torch.nn import functional as F

from ....vq import nearest as nearest_codes
from .. import Exercise
from ..draws import LARGE, NARROW, Cases, Rng, case_of, points
from ._shared import _table


def nearest(z: Tensor, codebook: Tensor) -> Tensor:
    """The library's codes."""
    return nearest_codes(z, codebook)


def cases(rng: Rng) -> Cases:
    """z (B, C, H, W) and a codebook (K, C)."""
    few, side = int(rng.integers(3, 6)), int(rng.integers(3, 5))
    shapes = (
        ("C = H = W", (side + 2, side, side, side), ""),
        ("a batch", (few + 1, few, 2, 3), ""),
        ("a tall grid", (few, 2, 5, 3), ""),
        ("float32", (few, 3, 2, 4), ""),
        ("B = 1", (1, few, 3, 2), NARROW),
        ("one place", (few, 3, 1, 1), NARROW),
        ("C = 1, one place", (few + 2, 1, 1, 1), NARROW),
        ("B = 40", (40, 2, 2, 2), LARGE),
    )
    for name, shape, hint in shapes:
        args = {"z": points(rng, *shape), "codebook": _table(rng, int(rng.integers(5, 10)), shape[1])}
        yield case_of(name, args, hint)


def _rows(z: Tensor) -> Tensor:
    return z.movedim(1, -1)  # (B, H, W, C)


def _squared(z: Tensor, codebook: Tensor) -> Tensor:
    return (_rows(z)[..., None, :] - codebook).square().sum(-1)  # (B, H, W, K)


# fmt: off
MISTAKES = (
    ("The farthest vector is taken: argmin over the distances is asked.",
     lambda z, codebook: _squared(z, codebook).argmax(-1)),
    ("The channels come second, (B, C, H, W): reshaped as they lie, numbers of different places are mixed into "
     "one vector. The channel axis has to be moved to the end first.",
     lambda z, codebook: torch.cdist(z.reshape(-1, z.shape[1]), codebook).argmin(1).view(len(z), *z.shape[2:])),
    ("This is the largest inner product: it favours long vectors. ‖z − e‖² holds ‖e‖² as well.",
     lambda z, codebook: (_rows(z) @ codebook.T).argmax(-1)),
    ("This is the smallest angle (cosine): two vectors in one direction are not equally far away.",
     lambda z, codebook: F.cosine_similarity(_rows(z)[..., None, :], codebook, dim=-1).argmax(-1)),
    ("The cross term has the wrong sign: ‖z − e‖² has −2 z·e.",
     lambda z, codebook: (2 * _rows(z) @ codebook.T + codebook.square().sum(1)).argmin(-1)),
    ("The factor 2 of the cross term is missing: ‖z − e‖² has −2 z·e.",
     lambda z, codebook: (codebook.square().sum(1) - _rows(z) @ codebook.T).argmin(-1)),
    ("Codes are numbered from 0 here: as rows of the codebook.",
     lambda z, codebook: _squared(z, codebook).argmin(-1) + 1),
    ("This is one code for the whole picture, repeated: every place has a vector of its own.",
     lambda z, codebook: _squared(z, codebook).sum((1, 2)).argmin(-1)[:, None, None].expand(len(z), *z.shape[2:])),
    ("Absolute differences are added up: that is another distance, with other borders; ‖z − e‖ asks for squares.",
     lambda z, codebook: (_rows(z)[..., None, :] - codebook).abs().sum(-1).argmin(-1)),
    ("The vector nearest to 0 is taken, whatever z is.",
     lambda z, codebook: codebook.square().sum(1).argmin().expand(len(z), *z.shape[2:])),
)

EXERCISE = Exercise(
    id="vq.nearest", number="4.1", title="the nearest vector",
    prompt="the number of the nearest vector of the codebook (K, C) at every place of z (B, C, H, W), as (B, H, "
           "W)",
    more="Move the channels to the end, compute ‖z − e_k‖² for all k (broadcast, torch.cdist, or expand the "
         "square), argmin.",
    cases=cases, reference=nearest, mistakes=MISTAKES,
)
