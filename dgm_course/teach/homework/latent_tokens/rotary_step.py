"""10.5 Queries turned by their places."""

import torch
from torch import Tensor

from ....nets.transformer import turned
from .. import Exercise, ObserveSpec
from ..draws import Cases, Rng, case_of, numbers, points, square_first


def rotary_step(x: Tensor, y: Tensor, places: Tensor, speeds: Tensor) -> tuple[Tensor, Tensor]:
    """The library's turn of pairs that stand side by side."""
    by = places[:, None] * speeds
    done = turned(torch.stack([x, y], -1).flatten(-2), by.cos(), by.sin()).unflatten(-1, (-1, 2))
    return done[..., 0], done[..., 1]


def cases(rng: Rng) -> Cases:
    """The first and the second number of every pair (B, P), places (B,), speeds (P,)."""
    for name, shape, hint in square_first(rng):
        renamed = {"B = D": "B = P", "D = 1": "P = 1"}.get(name, name)
        args = {
            "x": points(rng, *shape),
            "y": points(rng, *shape),
            "places": rng.permutation(shape[0]) + 1.0,
            "speeds": numbers(rng, shape[1], low=0.12, high=0.98),
        }
        yield case_of(renamed, args, hint)


def _turn(x: Tensor, y: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    return x * angle.cos() - y * angle.sin(), x * angle.sin() + y * angle.cos()


def _one_after_the_other(x: Tensor, y: Tensor, places: Tensor, speeds: Tensor) -> tuple[Tensor, Tensor]:
    angle = places[:, None] * speeds
    x = x * angle.cos() - y * angle.sin()
    return x, x * angle.sin() + y * angle.cos()


def _mirrored(x: Tensor, y: Tensor, places: Tensor, speeds: Tensor) -> tuple[Tensor, Tensor]:
    angle = places[:, None] * speeds
    return x * angle.cos() + y * angle.sin(), x * angle.sin() - y * angle.cos()


def _both_minus(x: Tensor, y: Tensor, places: Tensor, speeds: Tensor) -> tuple[Tensor, Tensor]:
    angle = places[:, None] * speeds
    return x * angle.cos() - y * angle.sin(), x * angle.sin() * -1 + y * angle.cos()


def _both_plus(x: Tensor, y: Tensor, places: Tensor, speeds: Tensor) -> tuple[Tensor, Tensor]:
    angle = places[:, None] * speeds
    return x * angle.cos() + y * angle.sin(), x * angle.sin() + y * angle.cos()


# fmt: off
MISTAKES = (
    ("Turned clockwise: the sign of the sines is exchanged. A positive angle leads from (1, 0) towards (0, 1).",
     lambda x, y, places, speeds: _turn(x, y, -places[:, None] * speeds)),
    ("The second number is computed from the first one's new value: both need the old pair. Where one name is "
     "used twice, keep the old value.",
     _one_after_the_other),
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
    ("This is a reflection and no rotation: its determinant is −1. One of the two sines has to have the minus "
     "sign, and no cosine.",
     _mirrored),
    ("Both sines have a minus sign: that is no rotation, since lengths change.", _both_minus),
    ("No sine has a minus sign: that is no rotation, since lengths change.", _both_plus),
    ("The two results are right and exchanged: the first number of the pair comes first.",
     lambda x, y, places, speeds: _turn(x, y, places[:, None] * speeds)[::-1]),
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
     lambda x, y, places, speeds: (
         _turn(x, y, places[:, None] * speeds)[0],
         _turn(x, -y, places[:, None] * speeds)[1],
     )),
    ("The angle is taken for degrees: sine and cosine, and the speeds, are in radians.",
     lambda x, y, places, speeds: _turn(x, y, torch.deg2rad(places[:, None] * speeds))),
    ("The speeds are used in reverse order.",
     lambda x, y, places, speeds: _turn(x, y, places[:, None] * speeds.flip(0))),
    ("Turned by half the angle.", lambda x, y, places, speeds: _turn(x, y, places[:, None] * speeds / 2)),
    ("Places are counted from the row's number in the batch: they are given.",
     lambda x, y, places, speeds: _turn(
         x, y, torch.arange(len(x), dtype=x.dtype, device=x.device)[:, None] * speeds
     )),
    ("Places are given as they are to be used: one is subtracted, or counted from the wrong end.",
     lambda x, y, places, speeds: _turn(x, y, (places[:, None] - 1) * speeds)),
)

EXERCISE = Exercise(
    id="lat.rotary_step", number="10.5", title="queries turned by their places",
    prompt="the pairs of numbers of every query, each pair turned counterclockwise by its speed times the "
           "query's place",
    more="(x + iy) e^(iφ), real and imaginary part, with φ a table of places times speeds, (B, P).",
    cases=cases, reference=rotary_step, mistakes=MISTAKES,
    watch=ObserveSpec(outputs=("x_turned", "y_turned"), gradient=("x", "y"), tensors=True),
)
