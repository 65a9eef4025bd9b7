"""10.3 A look ahead."""

from collections.abc import Callable

import numpy as np
from torch import Tensor

from ....latent import LatentScaler
from ....paths import Conical
from ....paths.guidance import Guided
from .. import Exercise, ObserveSpec
from ..draws import LARGE, NARROW, Cases, Rng, numbers, points
from ._shared import _case, _levels


def preview(
    zt: Tensor, t: Tensor, free: Tensor, conditional: Tensor, weight: float, mean: Tensor, std: Tensor
) -> Tensor:
    """The path's guess of the data, from the guided velocity, scaled back."""
    guided = Guided(lambda z, t, y=None: free if y is None else conditional, weight)(zt, t, 0)
    scale = LatentScaler(mean.cpu()[:, None, None], std.cpu()[:, None, None]).to(mean.device)
    return scale.inverse(Conical().predict(zt, t, velocity=guided).data)


PLAIN = (
    "Wrong only at weight 1, where guidance must change nothing: the answer is the field that was told the class."
)


def cases(rng: Rng) -> Cases:
    """Half-finished codes of unit size, their times, two velocities, and the size of real codes."""
    side, few = int(rng.integers(3, 6)), int(rng.integers(4, 8))
    for name, (size, channels, high, wide), hint in (
        ("B = C = W", (side, side, 2, side), ""),
        ("a batch", (few, int(rng.integers(2, 4)), 2, 3), ""),
        ("another batch", (few + 1, 3, 4, 2), ""),
        ("float32", (few, 2, 3, 3), ""),
        ("no guidance", (few, 3, 2, 2), PLAIN),
        ("B = 1", (1, 3, 2, 4), NARROW),
        ("C = 1, one place", (few, 1, 1, 1), NARROW),
        ("B = 40", (40, 2, 1, 2), LARGE),
    ):
        shape, (mean, std) = (size, channels, high, wide), _levels(rng, channels)
        weight = 1.0 if name == "no guidance" else float(np.round(rng.uniform(1.3, 3.2), 1) + 0.03)
        args = {
            "zt": points(rng, *shape),
            "t": numbers(rng, size),
            "free": points(rng, *shape),
            "conditional": points(rng, *shape),
            "weight": weight,
            "mean": mean,
            "std": std,
        }
        yield _case(name, args, hint)


def _look(
    mix: Callable = lambda f, t, w: f + w * (t - f),
    ahead: Callable = lambda z, t, v: z + (1 - t) * v,
    back: Callable = lambda z, m, s: m + s * z,
) -> Callable:
    """The preview with one of its three steps exchanged."""

    def form(
        zt: Tensor, t: Tensor, free: Tensor, conditional: Tensor, weight: float, mean: Tensor, std: Tensor
    ) -> Tensor:
        m, s = mean[:, None, None], std[:, None, None]
        return back(ahead(zt, t.view(-1, 1, 1, 1), mix(free, conditional, weight)), m, s)

    return form


# fmt: off
MISTAKES = (
    ("The time left is 1 − t: here the step has the length t, which is the time gone.",
     _look(ahead=lambda z, t, v: z + t * v)),
    ("The step goes against the arrow: this is not where the road leads.",
     _look(ahead=lambda z, t, v: z - (1 - t) * v)),
    ("This is the other end of the road, the noise zt − t·v.", _look(ahead=lambda z, t, v: z - t * v)),
    ("A step of length 1 from zt: only 1 − t is left of the way.", _look(ahead=lambda z, t, v: z + v)),
    ("Divided by the time left: the arrow is multiplied by it.", _look(ahead=lambda z, t, v: z + v / (1 - t))),
    ("zt was divided by t: that forgets the noise in it, of which 1 − t parts are left.",
     _look(ahead=lambda z, t, v: z / t)),
    ("zt was multiplied by t: it is a point of the road already, and the walk starts there.",
     _look(ahead=lambda z, t, v: t * z + (1 - t) * v)),
    ("zt itself was scaled back: the look ahead, along the arrow, is missing.",
     _look(ahead=lambda z, t, v: z + 0 * v)),
    ("The arrow itself was scaled back, without the point that it starts from.",
     _look(ahead=lambda z, t, v: (1 - t) * v)),
    ("Guidance starts from the field that was told the class and goes on towards the free one: it is the other "
     "way round.",
     _look(mix=lambda f, t, w: t + w * (f - t))),
    ("Guidance by 1 + weight: another paper's convention, or a difference added to the field that was told the "
     "class. Here weight 1 is that field itself.",
     _look(mix=lambda f, t, w: f + (1 + w) * (t - f))),
    ("Only the field that was told the class is used: no guidance.", _look(mix=lambda f, t, w: t)),
    ("Guidance by weight − 1: here weight 1 is the field that was told the class, and 0 the free one.",
     _look(mix=lambda f, t, w: f + (w - 1) * (t - f))),
    ("Only the free field is used.", _look(mix=lambda f, t, w: f)),
    ("The weight multiplies the field that was told the class: it multiplies the difference of the two.",
     _look(mix=lambda f, t, w: w * t)),
    ("The two fields are added: their difference is to be exaggerated.",
     _look(mix=lambda f, t, w: f + w * (t + f))),
    ("The way back to the size of codes is missing.", _look(back=lambda z, m, s: z)),
    ("Scaled the other way, (z − mean) / std: these codes have unit size already, and have to become as large "
     "as the decoder's.",
     _look(back=lambda z, m, s: (z - m) / s)),
    ("The mean is multiplied by std as well: first scale, then shift.", _look(back=lambda z, m, s: s * (z + m))),
    ("Divided by std: codes of unit size are to be brought to the size of the decoder's.",
     _look(back=lambda z, m, s: m + z / s)),
    ("mean and std have changed places.", _look(back=lambda z, m, s: s + m * z)),
    ("The time is laid along the last axis: it belongs to the batch, the first.",
     lambda zt, t, free, conditional, weight, mean, std: (
         mean[:, None, None] + std[:, None, None] * (zt + (1 - t) * (free + weight * (conditional - free)))
     )),
    ("The time is laid along the channels: it belongs to the batch, the first axis.",
     lambda zt, t, free, conditional, weight, mean, std: (
         mean[:, None, None]
         + std[:, None, None] * (zt + (1 - t.view(1, -1, 1, 1)) * (free + weight * (conditional - free)))
     )),
    ("The mean is not added.", _look(back=lambda z, m, s: s * z)),
    ("Only the mean is added; std is not used.", _look(back=lambda z, m, s: z + m)),
    ("The mean is subtracted on the way back: it was subtracted on the way in.",
     _look(back=lambda z, m, s: s * z - m)),
    ("zt was scaled back, and then an arrow of unit size added: walk first, scale what was reached.",
     lambda zt, t, free, conditional, weight, mean, std: (
         mean[:, None, None]
         + std[:, None, None] * zt
         + (1 - t.view(-1, 1, 1, 1)) * (free + weight * (conditional - free))
     )),
    ("Guidance was applied to zt as well: it mixes the two fields alone.",
     lambda zt, t, free, conditional, weight, mean, std: (
         mean[:, None, None]
         + std[:, None, None] * weight * (zt + (1 - t.view(-1, 1, 1, 1)) * conditional)
         + std[:, None, None] * (1 - weight) * (1 - t.view(-1, 1, 1, 1)) * free
     )),
    ("mean and std are laid along the last axis, the columns of the grid: they belong to the channels, the "
     "second axis.",
     lambda zt, t, free, conditional, weight, mean, std: (
         mean + std * (zt + (1 - t.view(-1, 1, 1, 1)) * (free + weight * (conditional - free)))
     )),
)

EXERCISE = Exercise(
    id="lat.preview", number="10.3", title="a look ahead", points=2,
    prompt="the codes that half-finished ones are on the way to: walk along the guided arrow for all the time "
           "left, then go back from unit size to the size of the decoder's codes",
    more="On the straight road zt lies between noise and data, and the arrow is data less noise; t[:, None, "
         "None, None] fits codes, mean[:, None, None] their channels.",
    cases=cases, reference=preview, mistakes=MISTAKES, watch=ObserveSpec(tensors=True),
)
