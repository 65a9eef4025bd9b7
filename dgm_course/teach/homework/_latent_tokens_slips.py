"""Where answers to the homework on models that write codes usually slip: (hint, the wrong form that earns it)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

Slips = tuple[tuple[str, Callable], ...]


def _mean_square(h: Tensor) -> Tensor:
    return h.square().mean(-1, keepdim=True)


RMS_NORM: Slips = (
    ("The mean is taken away first, as in a LayerNorm: this norm leaves it where it is, and only rescales.",
     lambda h, gain, epsilon: (h - h.mean(1, keepdim=True)) / (
         h.var(1, keepdim=True, unbiased=False) + epsilon).sqrt() * gain),
    ("Divided by the standard deviation, which is measured from the mean: the root of the mean square is measured from 0.",
     lambda h, gain, epsilon: h / (h.var(1, keepdim=True, unbiased=False) + epsilon).sqrt() * gain),
    ("The squares are summed: their mean is asked, so that the size does not depend on the width.",
     lambda h, gain, epsilon: h / (h.square().sum(1, keepdim=True) + epsilon).sqrt() * gain),
    ("The rows are brought to length one: the squares are summed, and epsilon is not used. Their mean square is to be one.",
     lambda h, gain, epsilon: h / h.norm(dim=1, keepdim=True) * gain),
    ("Epsilon is squared: it stands under the root as it is.",
     lambda h, gain, epsilon: h / (_mean_square(h) + epsilon**2).sqrt() * gain),
    ("The mean is squared: the mean of the squares is asked, in which signs do not cancel.",
     lambda h, gain, epsilon: h / (h.mean(1, keepdim=True).square() + epsilon).sqrt() * gain),
    ("The root is missing: divided by the mean square itself.",
     lambda h, gain, epsilon: h / (_mean_square(h) + epsilon) * gain),
    ("Epsilon is added after the root: it belongs under it.",
     lambda h, gain, epsilon: h / (_mean_square(h).sqrt() + epsilon) * gain),
    ("Epsilon is not used: a row of zeros would be divided by zero.",
     lambda h, gain, epsilon: h / _mean_square(h).sqrt() * gain),
    ("The mean runs over the batch: every row has a size of its own, the mean square of its own numbers.",
     lambda h, gain, epsilon: h / (h.square().mean(0, keepdim=True) + epsilon).sqrt() * gain),
    ("One size for the whole batch: the mean has to stop at the last axis.",
     lambda h, gain, epsilon: h / (h.square().mean() + epsilon).sqrt() * gain),
    ("The gain is not used.", lambda h, gain, epsilon: h / (_mean_square(h) + epsilon).sqrt()),
    ("Divided by the gain: it multiplies.", lambda h, gain, epsilon: h / (_mean_square(h) + epsilon).sqrt() / gain),
    ("The gain is added: it multiplies.", lambda h, gain, epsilon: h / (_mean_square(h) + epsilon).sqrt() + gain),
    ("One is added to the gain: some models store it so, but here the gain is the whole factor.",
     lambda h, gain, epsilon: h / (_mean_square(h) + epsilon).sqrt() * (1 + gain)),
    ("Multiplied by the root of the mean square: divided is asked, so that large rows become small.",
     lambda h, gain, epsilon: h * (_mean_square(h) + epsilon).sqrt() * gain),
    ("This is the mean of absolute values: squares, their mean, then the root.",
     lambda h, gain, epsilon: h / (h.abs().mean(-1, keepdim=True) + epsilon) * gain),
    ("Sizes, one a row, have lost their column: (B,) divides the columns of (B, C), where it does not fail altogether.",
     lambda h, gain, epsilon: h / (h.square().mean(1) + epsilon).sqrt() * gain),
    ("The gain is applied before the mean square is measured: first the row is brought to size one, then multiplied.",
     lambda h, gain, epsilon: h * gain / (_mean_square(h * gain) + epsilon).sqrt()),
)


def _size_without_graph(h: Tensor, gain: Tensor, epsilon: float) -> Tensor:
    return h / (_mean_square(h.detach()) + epsilon).sqrt() * gain


RMS_NORM_CUTS: Slips = (
    ("The size of a row depends on h as well: it is cut out of the graph, by detach or no_grad, and its share of the "
     "gradient is lost.", _size_without_graph),
)


def _turn(x: Tensor, y: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    return x * angle.cos() - y * angle.sin(), x * angle.sin() + y * angle.cos()


def _one_after_the_other(x: Tensor, y: Tensor, places: Tensor, speeds: Tensor) -> tuple[Tensor, Tensor]:
    angle = places[:, None] * speeds
    x = x * angle.cos() - y * angle.sin()
    return x, x * angle.sin() + y * angle.cos()


def _mirrored(x: Tensor, y: Tensor, places: Tensor, speeds: Tensor) -> tuple[Tensor, Tensor]:
    angle = places[:, None] * speeds
    return x * angle.cos() + y * angle.sin(), x * angle.sin() - y * angle.cos()


def _exchanged(x: Tensor, y: Tensor, places: Tensor, speeds: Tensor) -> tuple[Tensor, Tensor]:
    return _turn(x, y, places[:, None] * speeds)[::-1]


def _both_minus(x: Tensor, y: Tensor, places: Tensor, speeds: Tensor) -> tuple[Tensor, Tensor]:
    angle = places[:, None] * speeds
    return x * angle.cos() - y * angle.sin(), x * angle.sin() * -1 + y * angle.cos()


def _both_plus(x: Tensor, y: Tensor, places: Tensor, speeds: Tensor) -> tuple[Tensor, Tensor]:
    angle = places[:, None] * speeds
    return x * angle.cos() + y * angle.sin(), x * angle.sin() + y * angle.cos()


ROTARY: Slips = (
    ("Turned clockwise: the sign of the sines is exchanged. A positive angle leads from (1, 0) towards (0, 1).",
     lambda x, y, places, speeds: _turn(x, y, -places[:, None] * speeds)),
    ("The second number is computed from the first one's new value: both need the old pair. Where one name is used twice, "
     "keep the old value.", _one_after_the_other),
    ("The place is not used: the angle is the place times the speed, so place 0 is not turned at all.",
     lambda x, y, places, speeds: _turn(x, y, speeds.expand_as(x))),
    ("The speed is not used: every pair turns at its own.",
     lambda x, y, places, speeds: _turn(x, y, places[:, None].expand_as(x))),
    ("Place and speed are added: the angle is their product.",
     lambda x, y, places, speeds: _turn(x, y, places[:, None] + speeds)),
    ("The place is divided by the speed: the angle is their product.",
     lambda x, y, places, speeds: _turn(x, y, places[:, None] / speeds)),
    ("Places belong to rows, speeds to columns: here a column's number takes the place of a row's.",
     lambda x, y, places, speeds: _turn(x, y, places * speeds)),
    ("Sine and cosine are exchanged: place 0 must leave the pair as it is.",
     lambda x, y, places, speeds: _turn(x, y, torch.pi / 2 - places[:, None] * speeds)),
    ("This is a reflection and no rotation: its determinant is −1. One of the two sines has to have the minus sign, and no "
     "cosine.", _mirrored),
    ("Both sines have a minus sign: that is no rotation, since lengths change.", _both_minus),
    ("No sine has a minus sign: that is no rotation, since lengths change.", _both_plus),
    ("The two results are right and exchanged: the first number of the pair comes first.", _exchanged),
    ("The angle is multiplied by 2π: the speeds are radians a place already.",
     lambda x, y, places, speeds: _turn(x, y, 2 * torch.pi * places[:, None] * speeds)),
    ("Turned by twice the angle.", lambda x, y, places, speeds: _turn(x, y, 2 * places[:, None] * speeds)),
    ("First and second number have changed places before the turn.",
     lambda x, y, places, speeds: _turn(y, x, places[:, None] * speeds)),
    ("The sines are missing: a turn mixes the two numbers of a pair.",
     lambda x, y, places, speeds: (x * (places[:, None] * speeds).cos(), y * (places[:, None] * speeds).cos())),
    ("Places are given as they are to be used: one is added.",
     lambda x, y, places, speeds: _turn(x, y, (places[:, None] + 1) * speeds)),
    ("The first number is right; in the second the cosine has a minus sign, and that is no rotation.",
     lambda x, y, places, speeds: (_turn(x, y, places[:, None] * speeds)[0],
                                   _turn(x, -y, places[:, None] * speeds)[1])),
    ("The angle is taken for degrees: sine and cosine, and the speeds, are in radians.",
     lambda x, y, places, speeds: _turn(x, y, torch.deg2rad(places[:, None] * speeds))),
    ("The speeds are used in reverse order.", lambda x, y, places, speeds: _turn(x, y, places[:, None] * speeds.flip(0))),
    ("Turned by half the angle.", lambda x, y, places, speeds: _turn(x, y, places[:, None] * speeds / 2)),
    ("Places are counted from the row's number in the batch: they are given.",
     lambda x, y, places, speeds: _turn(x, y, torch.arange(len(x), dtype=x.dtype, device=x.device)[:, None] * speeds)),
    ("Places are given as they are to be used: one is subtracted, or counted from the wrong end.",
     lambda x, y, places, speeds: _turn(x, y, (places[:, None] - 1) * speeds)),
)


def _numbers(sides: Tensor) -> Tensor:
    return torch.repeat_interleave(torch.arange(len(sides)), sides**2)


def _compared(numbers: Callable, rule: Callable) -> Callable:
    def mask(sides: Tensor) -> Tensor:
        scale = numbers(sides)
        return rule(scale[:, None], scale[None, :])
    return mask


def _additive(sides: Tensor) -> Tensor:
    hidden = _compared(_numbers, lambda i, j: i < j)(sides)
    return torch.zeros(hidden.shape).masked_fill(hidden, -torch.inf)


MASK: Slips = (
    ("Right places, in another language: 0 and −∞ are what is added to the scores. True and False are asked, True where a "
     "place may look.", _additive),
    ("Right places, in another language: 0 and a large negative number are what is added to the scores. True and False are "
     "asked, True where a place may look.", lambda sides: _additive(sides).clamp(min=-1e9)),
    ("This mask shows the future and hides the past, place by place.",
     lambda sides: torch.ones(len(_numbers(sides)), len(_numbers(sides))).triu()),
    ("Places see earlier ones of their own scale alone: all of it may be seen, and all coarser scales.",
     lambda sides: torch.ones(len(_numbers(sides)), len(_numbers(sides))).tril() * _compared(
         _numbers, lambda i, j: i == j)(sides)),
    ("A place sees one finer scale as well: it is not written yet.", _compared(_numbers, lambda i, j: i + 1 >= j)),
    ("The mask is transposed: a coarse place sees finer ones, not written yet. Rows look, columns are seen.",
     _compared(_numbers, lambda i, j: i <= j)),
    ("A place does not see its own scale: it may, since the inputs there are made of coarser scales alone. As it stands, "
     "the first place has nothing to attend to.", _compared(_numbers, lambda i, j: i > j)),
    ("This mask is causal place by place, as in LlamaGen: here all places of one scale see each other.",
     lambda sides: torch.ones(len(_numbers(sides)), len(_numbers(sides))).tril()),
    ("Everything sees everything: finer scales have to be hidden from coarser ones.",
     lambda sides: torch.ones(len(_numbers(sides)), len(_numbers(sides)))),
    ("A place sees its own scale and no other: the coarser ones are missing.", _compared(_numbers, lambda i, j: i == j)),
    ("True and False are exchanged: True is where a place may look.", _compared(_numbers, lambda i, j: i < j)),
    ("A place sees its own scale and the one just before: all coarser ones are asked.",
     _compared(_numbers, lambda i, j: (i == j) | (i == j + 1))),
    ("Sizes of grids are compared, and two scales of one size taken for one: what counts is which scale comes first.",
     _compared(lambda sides: torch.repeat_interleave(sides, sides**2), lambda i, j: i >= j)),
    ("Own scale, place by place: coarser scales are right, but inside a scale all places see each other.",
     lambda sides: _compared(_numbers, lambda i, j: i > j)(sides).float() + torch.eye(len(_numbers(sides)))),
)


def _down(rest: Tensor, side: int) -> Tensor:
    return F.adaptive_avg_pool2d(rest, side)


def _codes(small: Tensor, vectors: Tensor) -> Tensor:
    return (small.movedim(1, -1)[..., None, :] - vectors).square().sum(-1).argmin(-1)


def _up(codes: Tensor, vectors: Tensor, size: int) -> Tensor:
    return F.interpolate(vectors[codes].movedim(-1, 1), size=(size, size), mode="bilinear")


def _scale(down: Callable = _down, codes: Callable = _codes, up: Callable = _up,
           left: Callable = lambda rest, predicted: rest - predicted) -> Callable:
    """One round of residual quantization, with one of its pieces exchanged."""
    def form(rest: Tensor, vectors: Tensor, side: int) -> tuple[Tensor, Tensor]:
        found = codes(down(rest, side), vectors)
        return found, left(rest, up(found, vectors, rest.shape[-1]))
    return form


def _mode(mode: str, **more: object) -> Callable:
    return lambda codes, vectors, size: F.interpolate(vectors[codes].movedim(-1, 1), size=(size, size), mode=mode, **more)


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


SCALE: Slips = (
    ("This is what the scale tells, raised to the full grid: what it leaves is asked.",
     _scale(left=lambda rest, predicted: predicted)),
    ("The sign of what is left is reversed: what was told is taken away from what there was.",
     _scale(left=lambda rest, predicted: predicted - rest)),
    ("What was told is added: it has to be taken away.", _scale(left=lambda rest, predicted: rest + predicted)),
    ("What is left is the residual that came, unchanged.", _scale(left=lambda rest, predicted: rest)),
    ("The shrunk residual itself is raised and taken away: the decoder will know only the vectors that were chosen for it.",
     _unquantized),
    ("Shrunk by picking single places: the mean over each area is asked (mode=\"area\").",
     _scale(down=lambda rest, side: F.interpolate(rest, size=(side, side), mode="nearest"))),
    ("Shrunk by interpolation, which looks at a few places of an area: the mean over all of it is asked (mode=\"area\").",
     _scale(down=lambda rest, side: F.interpolate(rest, size=(side, side), mode="bilinear"))),
    ("Shrunk by the largest value of an area: the mean is asked.",
     _scale(down=lambda rest, side: F.adaptive_max_pool2d(rest, side))),
    ("Raised by repeating the nearest vector: bilinear interpolation is asked.", _scale(up=_mode("nearest"))),
    ("Raised by repeating areas: bilinear interpolation is asked.", _scale(up=_mode("area"))),
    ("Shrunk by cubic interpolation: the mean over each area is asked (mode=\"area\").",
     _scale(down=lambda rest, side: F.interpolate(rest, size=(side, side), mode="bicubic"))),
    ("This is the smallest angle (cosine): two vectors in one direction are not equally far away.",
     _scale(codes=lambda small, vectors: F.cosine_similarity(
         small.movedim(1, -1)[..., None, :], vectors, dim=-1).argmax(-1))),
    ("One code for the whole map, repeated: every place of the scale has a vector of its own.",
     _scale(codes=lambda small, vectors: (small.movedim(1, -1)[..., None, :] - vectors).square().sum((1, 2, 4)).argmin(-1)[
         :, None, None].expand(len(small), *small.shape[2:]))),
    ("What was told is taken away twice.", _scale(left=lambda rest, predicted: rest - 2 * predicted)),
    ("Raised by cubic interpolation: bilinear is asked.", _scale(up=_mode("bicubic"))),
    ("Raised with align_corners=True: without it the middles of the cells lie where they lie in the picture.",
     _scale(up=_mode("bilinear", align_corners=True))),
    ("The farthest vector is taken: the nearest is asked.",
     _scale(codes=lambda small, vectors: (small.movedim(1, -1)[..., None, :] - vectors).square().sum(-1).argmax(-1))),
    ("This is the largest inner product: it favours long vectors. ‖r − e‖² holds ‖e‖² as well.",
     _scale(codes=lambda small, vectors: (small.movedim(1, -1) @ vectors.T).argmax(-1))),
    ("The channels come second, (B, C, H, W): reshaped as they lie, numbers of different places are mixed into one vector.",
     _scale(codes=_reshaped)),
    ("Quantized on the full grid, and shrunk afterwards: first the residual is shrunk, and then told.", _full_first),
    ("The vectors of the scale are scaled by what they cover: their sum and not their mean fills an area.",
     _scale(down=lambda rest, side: _down(rest, side) * (rest.shape[-1] / side) ** 2)),
)
