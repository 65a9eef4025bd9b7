"""Callables among the arguments of a case, as plain data: `build` makes them where the answer runs.

This file holds no answer, and imports nothing that does: the grader copies it beside a student's code.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .cases import tensor_like


def _geometric(t: Tensor, low: float = 1e-4, high: float = 20.0) -> Tensor:
    first, last = math.exp(-high), math.exp(-low)
    return (torch.exp(-high * (low / high) ** t) - first) / (last - first)


SCHEDULES: dict[str, Callable[[Tensor], Tensor]] = {
    "α = t": lambda t: t,
    "cosine": lambda t: 1 - torch.cos(math.pi / 2 * t),
    "geometric": _geometric,
    "α = t²": lambda t: t**2,
    "α = 1 − (1 − t)³": lambda t: 1 - (1 - t) ** 3,
    "α = (t + t⁴)/2": lambda t: (t + t**4) / 2,
}


@dataclass(frozen=True)
class Schedule:
    """t -> the chance that a token is visible, by name; of any shape."""

    name: str

    def build(self, like: Tensor) -> Callable[[Tensor], Tensor]:
        return SCHEDULES[self.name]


@dataclass(frozen=True)
class Conditionals:
    """A model of tokens as a network would be one: log p(x_l | visible tokens) for every place at once.

    weights: a table of vectors (L, K, H) for the visible tokens, a bias (H,), and their logits (H, L, K).  Nothing
    makes one order of revealing agree with another, as nothing does in a trained network."""

    weights: tuple[np.ndarray, np.ndarray, np.ndarray]

    @classmethod
    def random(
        cls, rng: np.random.Generator, places: int, symbols: int, width: int = 6, context: float = 2.0
    ) -> Conditionals:
        table = context * rng.normal(size=(places, symbols, width))
        return cls((table, rng.normal(size=width), rng.normal(size=(width, places, symbols))))

    def build(self, like: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
        table, bias, out = (tensor_like(weight, like) for weight in self.weights)
        places, symbols = out.shape[1:]

        def log_conditional(visible: Tensor, x: Tensor) -> Tensor:
            _expect_tokens(visible, x, places, symbols)
            seen = visible.expand(x.shape)
            vectors = table[torch.arange(places, device=x.device), x] * seen[..., None]
            logits = torch.einsum("bh,hlk->blk", torch.tanh(vectors.sum(1) + bias), out)
            return logits.log_softmax(-1).gather(-1, x[..., None])[..., 0].masked_fill(seen, 0.0)

        return log_conditional


def _expect_tokens(visible: Tensor, x: Tensor, places: int, symbols: int) -> None:
    if not isinstance(visible, Tensor) or visible.dtype != torch.bool:
        came = visible.dtype if isinstance(visible, Tensor) else type(visible).__name__
        raise TypeError(
            f"visible came as {came}: log_conditional expects a tensor of torch.bool, True where it looks."
        )
    if x.ndim != 2 or x.shape[1] != places:
        raise ValueError(f"x has shape {tuple(x.shape)}: log_conditional expects whole sequences, (B, {places}).")
    if visible.shape not in ((places,), x.shape):
        raise ValueError(
            f"visible has shape {tuple(visible.shape)}: expected ({places},) or that of x, {tuple(x.shape)}."
        )
    if x.device.type != "meta" and x.numel() and not 0 <= int(x.min()) <= int(x.max()) < symbols:
        raise ValueError(
            "x holds masks: log_conditional expects the clean tokens; visible says which of them it sees."
        )


@dataclass(frozen=True)
class CausalTokens:
    """tokens (B, i) -> logits (B, i, K), those of a place being made from the tokens before it.

    weights: vectors of the tokens (L, K, H), a bias for every place (L, H), and the way to the logits (H, K)"""

    weights: tuple[np.ndarray, np.ndarray, np.ndarray]

    @classmethod
    def random(cls, rng: np.random.Generator, places: int, symbols: int, width: int = 6) -> CausalTokens:
        shapes = ((places, symbols, width), (places, width), (width, symbols))
        return cls(tuple(1.5 * rng.normal(size=shape) for shape in shapes))

    def build(self, like: Tensor) -> Callable[[Tensor], Tensor]:
        table, bias, out = (tensor_like(weight, like) for weight in self.weights)

        def logits_of(x: Tensor) -> Tensor:
            _expect_sequences(x, *table.shape[:2])
            places = torch.arange(x.shape[1], device=x.device)
            vectors = table[places, x]
            return torch.tanh(vectors.cumsum(1) - vectors + bias[places]) @ out

        return logits_of


def _expect_sequences(x: Tensor, places: int, symbols: int) -> None:
    if not isinstance(x, Tensor) or x.dtype != torch.long:
        came = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(f"logits_of takes tokens, a tensor of torch.int64; {came} came.")
    if x.ndim != 2 or not 1 <= x.shape[1] <= places:
        raise ValueError(f"logits_of takes a batch of sequences, (B, {places}); {tuple(x.shape)} came.")
    if x.device.type != "meta" and x.numel() and not 0 <= int(x.min()) <= int(x.max()) < symbols:
        raise ValueError(
            f"logits_of takes tokens 0 to {symbols - 1} everywhere, also where they are still to be filled in."
        )


@dataclass(frozen=True)
class ImageNet:
    """image (H, W) -> one number for every pixel, (H, W): convolutions with tanh between them.

    kernels: (o, i, rows, columns) each, the masks being multiplied in already"""

    kernels: tuple[np.ndarray, ...]

    @classmethod
    def random(
        cls, rng: np.random.Generator, masks: tuple[np.ndarray, ...], gain: float = 1.0, width: int = 3
    ) -> ImageNet:
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
                h = F.conv2d(
                    torch.tanh(h) if n else h, kernel, padding=(kernel.shape[2] // 2, kernel.shape[3] // 2)
                )
            return h[0, 0]

        return net


GENERATORS: dict[str, Callable[[Tensor], Tensor]] = {
    "f = t log t": lambda t: torch.xlogy(t, t),
    "f = −log t": lambda t: -torch.log(t),
    "f = (t − 1)²": lambda t: (t - 1) ** 2,
    "f = ½|t − 1|": lambda t: (t - 1).abs() / 2,
    "f = (√t − 1)²": lambda t: (t.sqrt() - 1) ** 2,
    "f = max(t − 2, 0)": lambda t: (t - 2).clamp(min=0),
    "f = t³ − 1": lambda t: t**3 - 1,
}


@dataclass(frozen=True)
class Generator:
    """A convex f with f(1) = 0 by its formula, elementwise."""

    formula: str

    def build(self, like: Tensor) -> Callable[[Tensor], Tensor]:
        return GENERATORS[self.formula]


SCORES: dict[str, Callable] = {
    "score = −x": lambda x: -x,
    "score = 4(1 − x)": lambda x: 4 * (1 - x),
    "score = 2 tanh(2x) − x": lambda x: 2 * torch.tanh(2 * x) - x,  # of two bumps, at −2 and 2
}


@dataclass(frozen=True)
class Score:
    """A score by its formula; called with x alone."""

    formula: str

    def build(self, like: torch.Tensor) -> Callable:
        return lambda x: SCORES[self.formula](x)


DENSITIES: dict[str, Callable] = {
    "a Gaussian that spreads": lambda x, s: torch.exp(-(x**2) / (2 * (1 + s))) / (6.2832 * (1 + s)).sqrt(),
    "a Gaussian that wanders": lambda x, s: torch.exp(-((x - 2 * s) ** 2) / 2) / 2.5066,
    "two bumps that merge": lambda x, s: (
        torch.exp(-((x - 1 + s) ** 2)) / 3.5449 + torch.exp(-((x + 1 - s) ** 2)) / 3.5449
    ),
    "a Gaussian at rest": lambda x, s: torch.exp(-(x**2) / 2) / 2.5066 + 0 * s,
}

DRIFTS: dict[str, Callable] = {
    "f = −x/2": lambda x, s: -x / 2,
    "f = −s x": lambda x, s: -s * x,
    "f = sin 2x": lambda x, s: torch.sin(2 * x) + 0 * s,
    "f = 1": lambda x, s: torch.ones_like(x),
}

DIFFUSIONS: dict[str, Callable] = {
    "g = 1": lambda s: torch.ones_like(s),
    "g = 1 + 2s": lambda s: 1 + 2 * s,
    "g = 1/2": lambda s: torch.full_like(s, 0.5),
}


@dataclass(frozen=True)
class Formula:
    """A density (x, s), a drift (x, s) or a diffusion (s), by name; it answers for each entry by itself."""

    name: str

    def build(self, like: torch.Tensor) -> Callable:
        return (DENSITIES | DRIFTS | DIFFUSIONS)[self.name]


@dataclass(frozen=True)
class Encoder:
    """A small encoder as plain arrays: x (K, D) -> mean (K, d) and log_std (K, d)."""

    weights: tuple[np.ndarray, np.ndarray]

    @classmethod
    def random(cls, rng: np.random.Generator, inputs: int, dim: int) -> Encoder:
        inner = np.round(rng.normal(size=(inputs, 5)), 2)
        return cls((inner, np.round(rng.normal(size=(5, 2 * dim)) * np.repeat([0.8, 0.3], dim), 2)))

    def build(self, like: Tensor) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        return _Encoder([tensor_like(w, like) for w in self.weights])


class _Encoder(nn.Module):
    def __init__(self, weights: list[Tensor]) -> None:
        super().__init__()
        self.weights = nn.ParameterList(nn.Parameter(w) for w in weights)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        inner, outer = self.weights
        if x.ndim != 2 or x.shape[1] != len(inner):
            raise ValueError(
                f"x has shape {tuple(x.shape)}: this encoder looks at inputs (K, {len(inner)}), not at codes."
            )
        mean, log_std = (torch.tanh(x @ inner) @ outer).chunk(2, 1)
        return mean, log_std - 0.4


@dataclass(frozen=True)
class SmallCritic:
    """A critic f(x) = tanh(x W + b) · v, its weights being arrays: (B, D) -> (B,)."""

    weights: tuple[np.ndarray, np.ndarray, np.ndarray]

    @classmethod
    def random(cls, rng: np.random.Generator, dim: int, steep: float = 1.0, width: int = 6) -> SmallCritic:
        shapes = ((dim, width), (width,), (width,))
        first, bias, last = (rng.normal(size=shape) for shape in shapes)
        return cls((first, bias, steep * last))

    def build(self, like: Tensor) -> nn.Module:
        return Judging([tensor_like(w, like) for w in self.weights])


class Judging(nn.Module):
    """tanh(x W + b) V + offset: one number a sample for a vector V, several for a matrix."""

    def __init__(self, weights: list[Tensor], offset: float = 0.0) -> None:
        super().__init__()
        self.weights, self.offset = nn.ParameterList(nn.Parameter(w) for w in weights), offset

    def forward(self, x: Tensor) -> Tensor:
        inner, bias, outer = self.weights
        if x.ndim != 2 or x.shape[1] != len(inner):
            raise ValueError(f"x has shape {tuple(x.shape)}: this critic expects (B, {len(inner)}).")
        return torch.tanh(x @ inner + bias) @ outer + self.offset


@dataclass(frozen=True)
class Layer:
    """A decoder's last layer, x̂ = h W, its `weight` being an array (w, D)."""

    weight: np.ndarray

    def build(self, like: Tensor) -> nn.Module:
        return _Layer(tensor_like(self.weight, like))


class _Layer(nn.Module):
    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, h: Tensor) -> Tensor:
        if h.ndim != 2 or h.shape[1] != len(self.weight):
            raise ValueError(f"h has shape {tuple(h.shape)}: this layer expects (B, {len(self.weight)}).")
        return h @ self.weight


@dataclass(frozen=True)
class Patches:
    """A critic with three numbers a picture: tanh(x W + b) V + 1.7, so that their mean is never about zero."""

    weights: tuple[np.ndarray, np.ndarray, np.ndarray]

    @classmethod
    def random(cls, rng: np.random.Generator, dim: int, steep: float = 1.0) -> Patches:
        return cls((rng.normal(size=(dim, 6)) * 0.6, rng.normal(size=6), steep * rng.normal(size=(6, 3))))

    def build(self, like: Tensor) -> nn.Module:
        return Judging([tensor_like(w, like) for w in self.weights], offset=1.7)


@dataclass(frozen=True)
class Causal:
    """x -> (m, a), each (B, D), where place i is answered from the places before it: strictly triangular
    weights."""

    weights: tuple[np.ndarray, np.ndarray]

    @classmethod
    def random(cls, rng: np.random.Generator, dim: int) -> Causal:
        return cls((0.8 * rng.normal(size=(2, dim, dim)), 0.5 * rng.normal(size=(2, dim))))

    def build(self, like: Tensor) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        matrices, biases = (tensor_like(weight, like) for weight in self.weights)
        before = matrices.tril(-1)

        def conditions(x: Tensor) -> tuple[Tensor, Tensor]:
            if x.ndim != 2 or x.shape[1] != before.shape[1]:
                raise ValueError(
                    f"x has shape {tuple(x.shape)}: conditions expects whole points, (B, {before.shape[1]})."
                )
            m, a = torch.einsum("kij,bj->kbi", before, torch.tanh(x)) + biases[:, None]
            return m, a

        return conditions
