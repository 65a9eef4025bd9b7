"""The questions of the homework on autoregressive models: kernels, images, tokens, causal networks, keys and values.

Everything causal here is causal by construction; whether an answer keeps it so is seen from its values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .cases import Case, tensor_like
from .draws import Cases, Rng, in_float32, points
from .judge import SameValues

NARROW = "Wrong where an axis has length one: squeeze() takes such an axis away, and torch then makes all pairs."
LARGE = "Right on small batches alone: is a size fixed somewhere?"
THIN = "Wrong for kernels of a single row or column alone: where is their centre, and what is left of it?"
SURE = (
    "Wrong only where logits are large: there a probability rounds to 0 or 1, its logarithm is lost (or clamped), or exp() "
    "overflows. Some functions of torch go from logits to logarithms without passing through probabilities."
)
LOUD = (
    "Wrong only where the scores q·k are large: either exp() overflows on the way, or places that are to be hidden get a "
    "number that is not low enough against such scores."
)
BITS = "Wrong for two symbols alone: is the number of symbols fixed somewhere, or read off the tokens?"
ALL_KNOWN = "Wrong only where all tokens are known: nothing is left to fill in, and they come back as they are."
ONE_LEFT = "Wrong only where a single token is left to fill in: where does the loop start, and where does it end?"
FAINT = "Derivatives that are small are lost: is there a threshold, a rounding or a tolerance? Any that is not 0 counts."
NOTHING = "Wrong only where no pixel at all is seen."
EMPTY = "Wrong only for the first place, where the cache is empty: what can it attend to?"


@dataclass(frozen=True)
class Ordinary(SameValues):
    """All cases are judged; but a slip is recognised by those whose hint is not among these.

    What an answer does with extreme numbers, beside its slip, is a question of its own."""

    extremes: tuple[str, ...] = (SURE, LOUD)

    def canonical(self, values: dict[str, np.ndarray], case: Case) -> dict[str, np.ndarray]:
        return {} if case.hint in self.extremes else values


# --- recipes


@dataclass(frozen=True)
class CausalTokens:
    """tokens (B, i) -> logits (B, i, K), those of a place being made from the tokens before it.

    weights: vectors of the tokens (L, K, H), a bias for every place (L, H), and the way to the logits (H, K)"""

    weights: tuple[np.ndarray, np.ndarray, np.ndarray]

    @classmethod
    def random(cls, rng: Rng, places: int, symbols: int, width: int = 6) -> CausalTokens:
        shapes = ((places, symbols, width), (places, width), (width, symbols))
        return cls(tuple(1.5 * rng.normal(size=shape) for shape in shapes))

    def build(self, like: Tensor) -> Callable[[Tensor], Tensor]:
        table, bias, out = (tensor_like(weight, like) for weight in self.weights)

        def logits_of(x: Tensor) -> Tensor:
            _expect_tokens(x, *table.shape[:2])
            places = torch.arange(x.shape[1], device=x.device)
            vectors = table[places, x]
            return torch.tanh(vectors.cumsum(1) - vectors + bias[places]) @ out

        return logits_of


def _expect_tokens(x: Tensor, places: int, symbols: int) -> None:
    if not isinstance(x, Tensor) or x.dtype != torch.long:
        came = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(f"logits_of takes tokens, a tensor of torch.int64; {came} came.")
    if x.ndim != 2 or not 1 <= x.shape[1] <= places:
        raise ValueError(f"logits_of takes a batch of sequences, (B, {places}); {tuple(x.shape)} came.")
    if x.device.type != "meta" and x.numel() and not 0 <= int(x.min()) <= int(x.max()) < symbols:
        raise ValueError(f"logits_of takes tokens 0 to {symbols - 1} everywhere, also where they are still to be filled in.")


@dataclass(frozen=True)
class ImageNet:
    """image (H, W) -> one number for every pixel, (H, W): convolutions with tanh between them.

    kernels: (o, i, rows, columns) each, the masks being multiplied in already"""

    kernels: tuple[np.ndarray, ...]

    @classmethod
    def random(cls, rng: Rng, masks: tuple[np.ndarray, ...], gain: float = 1.0, width: int = 3) -> ImageNet:
        channels = (1, *[width] * (len(masks) - 1), 1)
        kernels = []
        for mask, i, o in zip(masks, channels, channels[1:]):
            size = (o, i, *mask.shape)
            weight = rng.uniform(0.3, 1.0, size=size) * rng.choice([-1.0, 1.0], size=size)
            kernels.append(gain * weight * mask / np.sqrt(i * max(mask.sum(), 1)))
        return cls(tuple(kernels))

    def build(self, like: Tensor) -> Callable[[Tensor], Tensor]:
        kernels = [tensor_like(kernel, like) for kernel in self.kernels]

        def net(image: Tensor) -> Tensor:
            if image.ndim != 2:
                raise ValueError(f"net takes one image, (H, W); {tuple(image.shape)} came.")
            h = image[None, None]
            for n, kernel in enumerate(kernels):
                h = F.conv2d(torch.tanh(h) if n else h, kernel, padding=(kernel.shape[2] // 2, kernel.shape[3] // 2))
            return h[0, 0]

        return net


# --- pieces


def _sizes(rng: Rng) -> tuple[int, int]:
    """A batch and a length that differ from each other and from one."""
    return int(rng.integers(6, 11)), int(rng.integers(3, 6))


def _kind(name: str, args: dict[str, object]) -> dict[str, object]:
    return in_float32(args) if name == "float32" else args


def _tokens(rng: Rng, symbols: int, *shape: int) -> np.ndarray:
    """Tokens, the last of all K among them."""
    x = rng.integers(0, symbols, size=shape)
    x[0, 0] = symbols - 1
    return x


def _odd(rng: Rng, low: int, high: int) -> int:
    return 2 * int(rng.integers(low, high)) + 1


# --- 1.1 the mask


def masks(rng: Rng) -> Cases:
    square, wide, tall = _odd(rng, 2, 5), _odd(rng, 3, 7), _odd(rng, 3, 7)
    for kind in ("A", "B"):
        for rows, columns, hint in (
            *((3, 3, ""), (square, square, ""), (5, wide, ""), (tall, 3, "")),
            *((1, wide, THIN), (tall, 1, THIN), (1, 1, THIN)),
        ):
            shown = {"row": np.arange(rows)[:, None], "column": np.arange(columns)[None]}
            args = {"kind": kind, "rows": rows, "columns": columns}
            yield Case(f"{kind}, {rows} × {columns}", args, shown, hint)


# --- 1.2 and 1.3 likelihoods


def likelihoods(rng: Rng) -> Cases:
    """Black and white images, and sequences: all axes but the first are places."""
    side, size = int(rng.integers(4, 7)), int(rng.integers(6, 11))
    rows, columns = int(rng.integers(2, 5)), int(rng.integers(5, 8))
    for name, shape, hint in (
        *(("images", (size, 1, rows, columns), ""), ("B = H = W", (side, side, side), "")),
        *(("float32", (size, 1, rows, columns), ""), ("sequences", (size, columns), "")),
        ("sure logits", (size, 1, rows, columns), SURE),
        *(("B = 1", (1, 1, rows, columns), NARROW), ("one pixel", (size, 1, 1, 1), NARROW)),
        ("B = 40", (40, 1, rows, columns), LARGE),
    ):
        logits = points(rng, *shape)
        if name == "sure logits":
            logits.reshape(-1)[::3] = np.round(rng.uniform(150, 900, size=logits.reshape(-1)[::3].shape), 1)
            logits.reshape(-1)[::6] *= -1
        x = rng.integers(0, 2, size=shape).astype(float)
        x.reshape(-1)[:2] = (0, 1)[: x.size]
        args = _kind(name, {"logits": logits, "x": x})
        yield Case(name, args, hint=hint)


def bits(rng: Rng) -> Cases:
    side = int(rng.integers(5, 8))
    for name, size, length, hint in (
        *(("B = L = K", side, side, ""), ("a batch", *_sizes(rng), ""), ("float32", *_sizes(rng), "")),
        *(("two symbols", *_sizes(rng), BITS), ("sure logits", *_sizes(rng), SURE)),
        *(("B = 1", 1, 4, NARROW), ("L = 1", _sizes(rng)[0], 1, NARROW), ("B = 40", 40, 4, LARGE)),
    ):
        symbols = side if name == "B = L = K" else 2 if name == "two symbols" else int(rng.integers(3, 9))
        logits = points(rng, size, length, symbols)
        if name == "sure logits":
            logits[..., 0] += 900
        args = _kind(name, {"logits": logits, "x": _tokens(rng, symbols, size, length)})
        yield Case(name, args, hint=hint, batch="x")


# --- 1.4 completion


def completions(rng: Rng) -> Cases:
    """(name, B, L, known, temperature): which tokens stand where nothing is known yet must not matter."""
    size, length = _sizes(rng)
    for name, batch, known, temperature, hint in (
        *(("from nothing", (size, 5), 0, 1.0, ""), ("two known", (size, 6), 2, 1.0, "")),
        *(("three known", (size, 5), 3, 1.0, ""), ("float32", _sizes(rng), 1, 1.0, "")),
        *(("a low temperature", (size, 5), 1, 0.5, ""), ("a high temperature", (size, 5), 1, 2.0, "")),
        *(("two symbols", (size, 5), 1, 1.0, BITS), ("all known", (size, length), length, 1.0, ALL_KNOWN)),
        ("the last place", (size, length), length - 1, 1.0, ONE_LEFT),
        *(("B = 1", (1, 5), 1, 1.0, NARROW), ("L = 1", (size, 1), 0, 1.0, NARROW), ("B = 40", (40, 5), 2, 1.0, LARGE)),
    ):
        symbols = 2 if name == "two symbols" else int(rng.integers(3, 6))
        model, x = CausalTokens.random(rng, batch[1], symbols), _tokens(rng, symbols, *batch)
        u, drawn = _with_room(rng, model, x, known, temperature)
        args = _kind(name, {"logits_of": model, "x": x, "known": known, "u": u, "temperature": temperature})
        shown = {"known": known, "temperature": temperature, "place": np.arange(batch[1])[None], "x": x, "u": u}
        yield Case(name, args, shown, hint)


def _with_room(rng: Rng, model: CausalTokens, x: np.ndarray, known: int, temperature: float) -> tuple[np.ndarray, Tensor]:
    """Uniform numbers for a completion, none of them near a sum of probabilities that it meets; and the completion."""
    logits_of, tokens = model.build(torch.zeros(0, dtype=torch.float64)), torch.tensor(x)
    levels = (np.arange(100) * 10 + 5) / 1000
    u = rng.choice(levels, size=x.shape)
    for place in range(known, x.shape[1]):
        sums = (logits_of(tokens)[:, place] / temperature).softmax(-1).cumsum(-1).numpy()
        for row, cdf in enumerate(sums):
            room = np.abs(levels[:, None] - cdf[:-1]).min(1, initial=1.0) > 0.01
            u[row, place] = rng.choice(levels[room])
        tokens[:, place] = torch.tensor((u[:, place, None] >= sums[:, :-1]).sum(-1))
    return u, tokens


# --- 1.5 the receptive field


def _raster(kind: str, rows: int, columns: int) -> np.ndarray:
    mask = np.zeros(rows * columns)
    mask[: rows * columns // 2 + (kind == "B")] = 1
    return mask.reshape(rows, columns)


def _stack(depth: int, size: int = 3) -> tuple[np.ndarray, ...]:
    return (_raster("A", size, size), *[_raster("B", size, size)] * (depth - 1))


def fields(rng: Rng) -> Cases:
    """The last pixel of the first networks is never asked for: what lies after a place must be there to be seen."""
    side, rows, columns = int(rng.integers(6, 9)), int(rng.integers(5, 8)), int(rng.integers(8, 11))
    every = (np.ones((3, 3)), np.ones((3, 3)))
    for name, shape, layers, gain, hint in (
        *(("a PixelCNN", (side, side), _stack(3), 1.0, ""), ("another PixelCNN", (rows, columns), _stack(2, 5), 1.0, "")),
        *(("three masks B", (rows, columns), _stack(4)[1:], 1.0, ""), ("no masks", (rows, columns), every, 1.0, "")),
        ("small weights", (rows, columns), _stack(3), 1e-3, FAINT),
        ("the first pixel", (rows, columns), _stack(2), 1.0, NOTHING),
        *(("H = 1", (1, columns), _stack(2), 1.0, NARROW), ("W = 1", (rows, 1), _stack(2), 1.0, NARROW)),
        ("H = 40", (40, 3), _stack(2), 1.0, LARGE),
    ):
        place = [0, 0] if name == "the first pixel" else [int(rng.integers((n - 1) // 2, max(n - 1, 1))) for n in shape]
        if shape[0] == shape[1] and place[0] == place[1]:
            place[1] -= 1
        args = {"net": ImageNet.random(rng, layers, gain), "x": rng.integers(0, 2, size=shape).astype(float)}
        grid = {"pixel row": np.arange(shape[0])[:, None], "pixel column": np.arange(shape[1])[None]}
        shown = {"row": place[0], "column": place[1], **grid}
        yield Case(name, args | {"row": place[0], "column": place[1]}, shown, hint)


# --- 1.6 and 1.7 attention


def _batches(rng: Rng) -> Iterator[tuple[str, tuple[int, int, int], str]]:
    """(name, (B, L, d), hint)"""
    side, (size, length) = int(rng.integers(4, 7)), _sizes(rng)  # three rows could be taken for three results
    width = int(rng.integers(6, 9))
    yield from (("B = L = d", (side, side, side), ""), ("a batch", (size, length, width), ""))
    yield from (("narrow heads", (size, length, 2), ""), ("float32", (size, length, width), ""))
    yield "large scores", (size, length, width), LOUD
    yield from (("B = 1", (1, length, width), NARROW), ("L = 1", (size, 1, width), NARROW))
    yield from (("L = d = 1", (size, 1, 1), NARROW), ("B = 40", (40, length, width), LARGE))


def attentions(rng: Rng) -> Cases:
    for name, shape, hint in _batches(rng):
        q, k, v = (points(rng, *shape) for _ in "qkv")
        args = {"q": q * (40 if name == "large scores" else 1), "k": k * (20 if name == "large scores" else 1), "v": v}
        shown = {"sequence": np.arange(shape[0])[:, None, None], "place": np.arange(shape[1])[None, :, None]}
        yield Case(name, _kind(name, args), shown | {"coordinate": np.arange(shape[2])[None, None]}, hint)


def cache_steps(rng: Rng) -> Cases:
    """The length is that of the cache; for the first place it is empty."""
    empty = ("an empty cache", (int(rng.integers(3, 6)), 0, 4), EMPTY)
    for name, (size, length, width), hint in (*_batches(rng), empty):
        q, k, v = (points(rng, size, width) for _ in "qkv")
        keys, values = points(rng, size, length, width), points(rng, size, length, width)
        loud = 40 if name == "large scores" else 1
        args = {"q": q * loud, "k": k * loud, "v": v, "keys": keys * loud, "values": values}
        shown = {"sequence": np.arange(size)[:, None], "coordinate": np.arange(width)[None]}
        yield Case(name, _kind(name, args), shown, hint)
