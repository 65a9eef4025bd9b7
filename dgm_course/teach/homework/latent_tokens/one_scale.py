"""10.7 A residual told at one scale."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ....latent import average_pool, grow
from ....vq import lookup, nearest
from .. import Case, Exercise, ObserveSpec
from ..draws import LARGE, NARROW, Cases, Rng, in_float32, points


def one_scale(rest: Tensor, vectors: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """One round of the library's scales, without smoothing."""
    codes = nearest(average_pool(rest, side), vectors)
    return codes, rest - grow(lookup(codes, vectors), rest.shape[-1])


WHOLE = "Wrong only at the finest scale, where nothing is shrunk and nothing has to be raised."

SINGLE = "Wrong only at the coarsest scale, one vector for the whole picture: its mean is what has to be told."


def cases(rng: Rng) -> Cases:
    """What is left to tell (B, C, H, H), vectors (K, C), and the side of the scale."""
    few = int(rng.integers(2, 5))
    shapes = (
        ("C = H", (few + 2, 5, 5, 5), 3, ""),
        ("7 to 3", (few, 3, 7, 7), 3, ""),
        ("6 to 4", (few + 1, 2, 6, 6), 4, ""),
        ("7 to 5, float32", (few, 2, 7, 7), 5, ""),
        ("the coarsest", (few, 3, 5, 5), 1, SINGLE),
        ("the finest", (few, 3, 4, 4), 4, WHOLE),
        ("B = 1", (1, few, 5, 5), 2, NARROW),
        ("C = 1, one place", (few + 2, 1, 1, 1), 1, NARROW),
        ("B = 40", (40, 2, 3, 3), 2, LARGE),
    )
    for name, shape, side, hint in shapes:
        vectors = np.round(rng.normal(size=(int(rng.integers(5, 10)), shape[1])) * 1.2, 4)
        args = {"rest": points(rng, *shape), "vectors": vectors, "side": side}
        yield Case(name, in_float32(args) if "float32" in name else args, hint=hint)


def _down(rest: Tensor, side: int) -> Tensor:
    return F.adaptive_avg_pool2d(rest, side)


def _codes(small: Tensor, vectors: Tensor) -> Tensor:
    return (small.movedim(1, -1)[..., None, :] - vectors).square().sum(-1).argmin(-1)


def _up(codes: Tensor, vectors: Tensor, size: int) -> Tensor:
    return F.interpolate(vectors[codes].movedim(-1, 1), size=(size, size), mode="bilinear")


def _scale(
    down: Callable = _down,
    codes: Callable = _codes,
    up: Callable = _up,
    left: Callable = lambda rest, predicted: rest - predicted,
) -> Callable:
    """One round of residual quantization, with one of its pieces exchanged."""

    def form(rest: Tensor, vectors: Tensor, side: int) -> tuple[Tensor, Tensor]:
        found = codes(down(rest, side), vectors)
        return found, left(rest, up(found, vectors, rest.shape[-1]))

    return form


def _mode(mode: str, **more: object) -> Callable:
    return lambda codes, vectors, size: F.interpolate(
        vectors[codes].movedim(-1, 1), size=(size, size), mode=mode, **more
    )


def _unquantized(rest: Tensor, vectors: Tensor, side: int) -> tuple[Tensor, Tensor]:
    small, size = _down(rest, side), rest.shape[-1]
    return _codes(small, vectors), rest - F.interpolate(small, size=(size, size), mode="bilinear")


def _reshaped(small: Tensor, vectors: Tensor) -> Tensor:
    rows = small.reshape(-1, small.shape[1])
    return torch.cdist(rows, vectors).argmin(1).view(len(small), *small.shape[2:])


def _full_first(rest: Tensor, vectors: Tensor, side: int) -> tuple[Tensor, Tensor]:
    predicted = vectors[_codes(rest, vectors)].movedim(-1, 1)
    small = _down(predicted, side)
    return _codes(small, vectors), rest - _up(_codes(small, vectors), vectors, rest.shape[-1])


# fmt: off
MISTAKES = (
    ("This is what the scale tells, raised to the full grid: what it leaves is asked.",
     _scale(left=lambda rest, predicted: predicted)),
    ("What was told is added: it has to be taken away.", _scale(left=lambda rest, predicted: rest + predicted)),
    ("The shrunk residual itself is raised and taken away: the decoder will know only the vectors that were "
     "chosen for it.",
     _unquantized),
    ('Shrunk by picking single places: the mean over each area is asked (mode="area").',
     _scale(down=lambda rest, side: F.interpolate(rest, size=(side, side), mode="nearest"))),
    ("Shrunk by interpolation, which looks at a few places of an area: the mean over all of it is asked "
     '(mode="area").',
     _scale(down=lambda rest, side: F.interpolate(rest, size=(side, side), mode="bilinear"))),
    ("Shrunk by the largest value of an area: the mean is asked.",
     _scale(down=lambda rest, side: F.adaptive_max_pool2d(rest, side))),
    ("Raised by repeating the nearest vector: bilinear interpolation is asked.", _scale(up=_mode("nearest"))),
    ("Raised by repeating areas: bilinear interpolation is asked.", _scale(up=_mode("area"))),
    ('Shrunk by cubic interpolation: the mean over each area is asked (mode="area").',
     _scale(down=lambda rest, side: F.interpolate(rest, size=(side, side), mode="bicubic"))),
    ("This is the smallest angle (cosine): two vectors in one direction are not equally far away.",
     _scale(
         codes=lambda small, vectors: F.cosine_similarity(
             small.movedim(1, -1)[..., None, :], vectors, dim=-1
         ).argmax(-1)
     )),
    ("One code for the whole map, repeated: every place of the scale has a vector of its own.",
     _scale(
         codes=lambda small, vectors: (
             (small.movedim(1, -1)[..., None, :] - vectors)
             .square()
             .sum((1, 2, 4))
             .argmin(-1)[:, None, None]
             .expand(len(small), *small.shape[2:])
         )
     )),
    ("What was told is taken away twice.", _scale(left=lambda rest, predicted: rest - 2 * predicted)),
    ("Raised by cubic interpolation: bilinear is asked.", _scale(up=_mode("bicubic"))),
    ("Raised with align_corners=True: without it the middles of the cells lie where they lie in the picture.",
     _scale(up=_mode("bilinear", align_corners=True))),
    ("The farthest vector is taken: the nearest is asked.",
     _scale(
         codes=lambda small, vectors: (small.movedim(1, -1)[..., None, :] - vectors).square().sum(-1).argmax(-1)
     )),
    ("This is the largest inner product: it favours long vectors. ‖r − e‖² holds ‖e‖² as well.",
     _scale(codes=lambda small, vectors: (small.movedim(1, -1) @ vectors.T).argmax(-1))),
    ("The channels come second, (B, C, H, W): reshaped as they lie, numbers of different places are mixed into "
     "one vector.",
     _scale(codes=_reshaped)),
    ("Quantized on the full grid, and shrunk afterwards: first the residual is shrunk, and then told.",
     _full_first),
    ("The vectors of the scale are scaled by what they cover: their sum and not their mean fills an area.",
     _scale(down=lambda rest, side: _down(rest, side) * (rest.shape[-1] / side) ** 2)),
)

EXERCISE = Exercise(
    id="lat.one_scale", number="10.7", title="a residual told at one scale", points=2,
    prompt="the codes of a residual at one scale, and what they leave of it on the full grid: shrunk by means "
           "over areas, told by the nearest vectors, raised by bilinear interpolation, taken away",
    more="F.interpolate shrinks with mode='area' and raises with mode='bilinear'; the nearest vector as in "
         "exercise 4.1.",
    cases=cases, reference=one_scale, mistakes=MISTAKES,
    watch=ObserveSpec(outputs=("codes", "left"), tensors=False),
)
