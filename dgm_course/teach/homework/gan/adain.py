"""5.6 Adaptive instance normalisation."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ....nets.gan import adain as styled
from .. import Case, Exercise, ObserveSpec
from ..draws import NARROW, Cases, Rng
from ._shared import LARGE, _kind, _size


def adain(x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """The layer of the style generator."""
    return styled(x, scale, bias, eps=0.0)


def cases(rng: Rng) -> Cases:
    side = int(rng.integers(4, 6))
    for name, (size, channels, high, wide), hint in (
        ("B = C", (side, side, 2, 3), ""),
        ("feature maps", (_size(rng), int(rng.integers(2, 5)), 3, 2), ""),
        ("float32", (_size(rng), int(rng.integers(2, 5)), 2, 4), ""),
        ("C = 1", (_size(rng), 1, 3, 3), NARROW),
        ("B = 1", (1, 3, 3, 4), NARROW),
        ("one row", (_size(rng), 3, 1, 7), NARROW),
        ("B = 40", (40, 2, 2, 2), LARGE),
    ):
        level, spread = (
            rng.normal(size=(size, channels, 1, 1)) * 2,
            rng.uniform(0.7, 3, size=(size, channels, 1, 1)),
        )
        ramp = np.linspace(-1, 1, high * wide).reshape(1, 1, high, wide)  # so that no map is flat
        x = level + spread * (ramp + 0.5 * rng.normal(size=(size, channels, high, wide)))
        style = {
            "scale": np.round(rng.uniform(0.3, 2, size=(size, channels)), 2),
            "bias": np.round(rng.normal(size=(size, channels)) + 0.2, 2),
        }
        args = {"x": np.round(x, 3)} | style
        yield Case(name, {key: value.astype(_kind(name)) for key, value in args.items()}, hint=hint, batch="scale")


def _styled(form: Callable) -> Callable:
    """form(x, scale, bias), both of the style with the axes (B, C, 1, 1)"""
    return lambda x, scale, bias: form(x, scale[..., None, None], bias[..., None, None])


def _normal(x: Tensor, axes: tuple[int, ...] = (2, 3), correction: int = 0) -> Tensor:
    variance, mean = torch.var_mean(x, axes, correction=correction, keepdim=True)
    return (x - mean) / (variance + 1e-12).sqrt()


def _raw(x: Tensor) -> tuple[Tensor, Tensor]:
    variance, mean = torch.var_mean(x, (2, 3), correction=0, keepdim=True)
    return mean, variance


# fmt: off
MISTAKES = (
    ("Mean and deviation are taken over the batch as well, as batch normalisation does: here each picture is by "
     "itself.",
     _styled(lambda x, s, b: s * _normal(x, (0, 2, 3)) + b)),
    ("Mean and deviation are taken over all channels together, as layer normalisation does: each channel is by "
     "itself.",
     _styled(lambda x, s, b: s * _normal(x, (1, 2, 3)) + b)),
    ("The statistics run over the channels at each pixel: they run over the pixels of each channel, the last "
     "two axes.",
     _styled(lambda x, s, b: s * _normal(x, (1,)) + b)),
    ("The deviation divides by HW − 1 (torch's default): here by HW, so that the new deviation is exactly the "
     "scale.",
     _styled(lambda x, s, b: s * _normal(x, correction=1) + b)),
    ("Divided by the variance: the deviation is its root.",
     _styled(lambda x, s, b: s * (x - _raw(x)[0]) / _raw(x)[1] + b)),
    ("Scale and bias are exchanged.", _styled(lambda x, s, b: b * _normal(x) + s)),
    ("The mean is not subtracted: what came in shines through the new style.",
     _styled(lambda x, s, b: s * x / _raw(x)[1].sqrt() + b)),
    ("Divided by the root mean square of x itself: subtract the mean first.",
     _styled(lambda x, s, b: s * x / x.square().mean((2, 3), keepdim=True).sqrt() + b)),
    ("The scale is 1 + scale here: some networks are built so, the formula is not.",
     _styled(lambda x, s, b: (1 + s) * _normal(x) + b)),
    ("The bias is multiplied by the scale, too: a parenthesis too far.",
     _styled(lambda x, s, b: s * (_normal(x) + b))),
    ("The scale is missing.", _styled(lambda x, s, b: _normal(x) + b)),
    ("The bias is missing.", _styled(lambda x, s, b: s * _normal(x))),
    ("Not divided by the deviation: the contrast of what came in stays.",
     _styled(lambda x, s, b: s * (x - _raw(x)[0]) + b)),
    ("The bias is subtracted.", _styled(lambda x, s, b: s * _normal(x) - b)),
)

EXERCISE = Exercise(
    id="gan.adain", number="5.6", title="adaptive instance normalisation",
    prompt="every channel of every picture with mean bias and deviation scale, the deviation being that of all "
           "its pixels",
    more="Mean and deviation over the last two axes (keepdim=True); scale and bias want two more axes, [..., "
         "None, None].",
    cases=cases, reference=adain, mistakes=MISTAKES, watch=ObserveSpec(tensors=True),
)
