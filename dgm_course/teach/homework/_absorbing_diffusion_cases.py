"""The questions of the homework on absorbing diffusion: tokens, hours, schedules, and models of tokens.

Tokens are 0 ... K − 1 and the mask is K.  Chances have two digits and hours three, the last being a 5, so that
no hour ever equals a chance: below and not above says the same as below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...paths import cosine_reveal, geometric_reveal, linear_reveal
from .cases import Case, tensor_like

Rng = np.random.Generator
Cases = Iterator[Case]

NARROW = "Wrong where an axis has length one: squeeze() takes such an axis away, and torch then makes all pairs."
LARGE = "Right on small batches alone: is the number of sequences fixed somewhere?"
ENDS = "Wrong only where the chance is 0 or 1: is something clamped, added, or divided by zero?"
BITS = "Wrong for two symbols alone: K comes in as an argument; is it fixed somewhere, or read off the tokens?"
MASK = "Wrong where the tokens do not tell what the mask is: it comes in as an argument, and is not read off them."
ORDERS = "Right for three tokens alone: are the orders, or their number 6, written out?"


# --- recipes


SCHEDULES: dict[str, Callable[[Tensor], Tensor]] = {
    "α = t": linear_reveal,
    "cosine": cosine_reveal,
    "geometric": geometric_reveal,
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
    def random(cls, rng: Rng, places: int, symbols: int, width: int = 6, context: float = 2.0) -> Conditionals:
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
        raise TypeError(f"visible came as {came}: log_conditional expects a tensor of torch.bool, True where it looks.")
    if x.ndim != 2 or x.shape[1] != places:
        raise ValueError(f"x has shape {tuple(x.shape)}: log_conditional expects whole sequences, (B, {places}).")
    if visible.shape not in ((places,), x.shape):
        raise ValueError(f"visible has shape {tuple(visible.shape)}: expected ({places},) or that of x, {tuple(x.shape)}.")
    if x.device.type != "meta" and x.numel() and not 0 <= int(x.min()) <= int(x.max()) < symbols:
        raise ValueError("x holds masks: log_conditional expects the clean tokens; visible says which of them it sees.")


# --- pieces


def _sizes(rng: Rng) -> tuple[int, int]:
    """A batch and a length that differ from each other and from one."""
    return int(rng.integers(6, 11)), int(rng.integers(3, 6))


def _square(rng: Rng) -> tuple[int, int]:
    side = int(rng.integers(6, 9))
    return side, side


def _odd_sizes(rng: Rng) -> Iterator[tuple[str, int, int, str]]:
    """(name, B, L, hint) where squeezing, broadcasting and truncation show."""
    size, length = _sizes(rng)
    yield from (("B = 1", 1, length, NARROW), ("L = 1", size, 1, NARROW), ("B = 40", 40, length, LARGE))


def _batches(rng: Rng) -> Iterator[tuple[str, int, int, str]]:
    """(name, B, L, hint); the square batch comes first, where a wrong axis gives wrong values and not an error."""
    yield ("B = L", *_square(rng), "")
    yield ("a batch", *_sizes(rng), "")
    yield ("float32", *_sizes(rng), "")
    yield ("two symbols", *_sizes(rng), BITS)
    yield ("chances 0 and 1", *_sizes(rng), ENDS)
    yield from _odd_sizes(rng)


def _symbols(rng: Rng, name: str) -> int:
    return 2 if name == "two symbols" else int(rng.integers(3, 8))


def _tokens(rng: Rng, symbols: int, *shape: int) -> np.ndarray:
    """Tokens, the last of all K among them."""
    x = rng.integers(0, symbols, size=shape)
    x[0, 0] = symbols - 1
    return x


def _hours(rng: Rng, *shape: int) -> np.ndarray:
    return (rng.integers(0, 100, size=shape) * 10 + 5) / 1000


def _chances(rng: Rng, *shape: int, low: float = 0.15, high: float = 0.85) -> np.ndarray:
    return np.round(rng.uniform(low, high, size=shape), 2)


def _step(rng: Rng, *shape: int) -> tuple[np.ndarray, np.ndarray]:
    """(survive_before, survive_now), the former larger by at least 0.05."""
    now = _chances(rng, *shape, low=0.1, high=0.8)
    return np.round(now + 0.05 + (0.93 - now) * rng.uniform(0, 1, size=shape), 2), now


def _kind(name: str) -> type:
    return np.float32 if name == "float32" else np.float64


# --- 9.1 to 9.4


def transitions(rng: Rng) -> Cases:
    for name, beta, vocabulary in (
        ("K = 3", float(_chances(rng, low=0.1, high=0.4)), 3),
        ("K = 5", float(_chances(rng, low=0.6, high=0.9)), 5),
        ("another K", float(_chances(rng, low=0.1, high=0.4)), int(rng.integers(6, 12))),
        ("one symbol", float(_chances(rng, low=0.6, high=0.9)), 1),
        ("two symbols", float(_chances(rng, low=0.1, high=0.4)), 2),
        ("β = 1", 1.0, 4),
    ):
        states = np.arange(vocabulary + 1)
        shown = {"β": beta, "row (to)": states[:, None], "column (from)": states[None]}
        yield Case(name, {"beta": beta, "vocabulary": vocabulary}, shown, ENDS if name == "β = 1" else "")


def corruptions(rng: Rng) -> Cases:
    for name, size, length, hint in (*_batches(rng), ("the last symbol absent", *_sizes(rng), MASK)):
        symbols, survive = _symbols(rng, name), _chances(rng, size)
        x, hours = _tokens(rng, symbols - (name == "the last symbol absent"), size, length), _hours(rng, size, length)
        if name == "chances 0 and 1":
            survive[:2], hours[:2, 0] = (0.0, 1.0), (0.005, 0.995)
        args = {"x": x, "hours": hours.astype(_kind(name))}
        yield Case(name, args | {"survive": survive.astype(_kind(name)), "mask_id": symbols}, hint=hint)


def unmaskings(rng: Rng) -> Cases:
    for name, size, hint in (
        ("a schedule", int(rng.integers(6, 11)), ""),
        ("another schedule", int(rng.integers(6, 11)), ""),
        ("float32", int(rng.integers(6, 11)), ""),
        ("k = 1", int(rng.integers(6, 11)), ENDS),
        ("k = T", int(rng.integers(6, 11)), ENDS),
        ("small steps", int(rng.integers(6, 11)), "Wrong for small steps alone: is something approximated or rounded?"),
        ("B = 1", 1, NARROW),
        ("B = 40", 40, LARGE),
    ):
        before, now = _step(rng, size)
        before = np.ones(size) if name == "k = 1" else now + 0.01 if name == "small steps" else before
        now = np.zeros(size) if name == "k = T" else now
        args = {"survive_before": before.astype(_kind(name)), "survive_now": now.astype(_kind(name))}
        yield Case(name, args, hint=hint)


def posteriors(rng: Rng) -> Cases:
    for name, size, length, hint in _batches(rng):
        symbols, (before, now) = _symbols(rng, name), _step(rng, size)
        if name == "chances 0 and 1":
            before[0], now[1] = 1.0, 0.0
        x = _tokens(rng, symbols, size, length)
        xk = np.where(_hours(rng, size, length) < now[:, None], x, symbols)
        xk[0, 0] = symbols
        chances = {"survive_before": before.astype(_kind(name)), "survive_now": now.astype(_kind(name))}
        shown = {"x_k": xk, "x": x, "mask": symbols, **chances, "entry": np.arange(symbols + 1)[None, None]}
        yield Case(name, {"xk": xk, "x": x, **chances, "vocabulary": symbols}, shown, hint)


# --- 9.5 to 9.8


def losses(rng: Rng) -> Cases:
    """No batch is without a mask: a loop has no graph then, and the loss is zero."""
    for name, size, length, hint in _batches(rng):
        symbols = _symbols(rng, name)
        x = _tokens(rng, symbols, size, length)
        survive = _chances(rng, size)
        if name == "chances 0 and 1":
            survive[1:3] = 1.0, 0.0
        xt = np.where(_hours(rng, size, length) < survive[:, None], x, symbols)
        xt[0, 0] = symbols
        args = {
            "logits": np.round(rng.normal(size=(size, length, symbols)) * 1.5, 2).astype(_kind(name)),
            "x": x,
            "xt": xt,
            "weight": _chances(rng, size, low=0.3, high=3).astype(_kind(name)),
            "mask_id": symbols,
        }
        overlooked = "Wrong where a sequence holds no mask, or nothing else: is it divided by their number?"
        label, hint = ("sequences without a mask", overlooked) if name == "chances 0 and 1" else (name, hint)
        yield Case(label, args, hint=hint, batch="x")


def steps(rng: Rng) -> Cases:
    for name, size, length, hint in (
        *(("a step", *_sizes(rng), ""), ("another step", *_sizes(rng), ""), ("float32", *_sizes(rng), "")),
        *(("the first step", *_sizes(rng), ENDS), ("the last step", *_sizes(rng), ENDS)),
        *(("two symbols", *_sizes(rng), BITS), ("nothing masked", *_sizes(rng), MASK)),
        *_odd_sizes(rng),
    ):
        now = 0.0 if name == "the first step" else float(_chances(rng, low=0.1, high=0.7))
        share = 1.0 if name == "the last step" else rng.uniform(0.15, 0.4) if name == "a step" else rng.uniform(0.3, 0.8)
        after = round(now + share * (1 - now), 2)
        yield _one_step(rng, name, (size, length), (now, after), hint)


def _one_step(rng: Rng, name: str, batch: tuple[int, int], chances: tuple[float, float], hint: str) -> Case:
    symbols, (now, after) = _symbols(rng, name), chances
    x, proposal = _tokens(rng, symbols, *batch), _tokens(rng, symbols, *batch)
    xt = np.where(_hours(rng, *batch) < (1 if name == "nothing masked" else now), x, symbols)
    xt[0, 0] = xt[0, 0] if name == "nothing masked" else symbols
    hours, chance = _hours(rng, *batch), (after - now) / (1 - now)
    hours = np.where(np.abs(hours - chance) < 0.004, (hours + 0.5) % 1, hours)  # no ties here either
    if name == "the last step":
        hours[0, 0] = 0.995
    if name == "nothing masked":  # and what is proposed lacks the last symbol, which stands at the first place
        proposal, hours[0, 0] = np.minimum(proposal, symbols - 2), 0.005
    args = {"xt": xt, "proposal": proposal, "hours": hours.astype(_kind(name))}
    return Case(name, args | {"survive_now": now, "survive_next": after, "mask_id": symbols}, hint=hint)


def weights(rng: Rng) -> Cases:
    """In float64 throughout: a difference quotient is a derivative, too."""
    for name in SCHEDULES:
        yield Case(name, {"survive": Schedule(name), "t": _chances(rng, int(rng.integers(6, 11)), low=0.1, high=0.9)})
    size = int(rng.integers(6, 11))
    ends = np.where(np.arange(size) % 2, 0.02, 0.98) + np.round(rng.uniform(-0.01, 0.01, size=size), 3)
    yield Case("t near 0 and 1", {"survive": Schedule("cosine"), "t": ends}, hint=ENDS)
    for name, size, hint in (("B = 1", 1, NARROW), ("B = 40", 40, LARGE)):
        yield Case(name, {"survive": Schedule("α = t²"), "t": _chances(rng, size)}, hint=hint)


def orders(rng: Rng) -> Cases:
    for name, size, length, hint in (
        ("three tokens", int(rng.integers(6, 11)), 3, ""),
        ("another model", int(rng.integers(6, 11)), 3, ""),
        ("independent tokens", int(rng.integers(6, 11)), 3, ""),
        ("two tokens", int(rng.integers(6, 11)), 2, ORDERS),
        *(("B = 1", 1, 3, NARROW), ("L = 1", int(rng.integers(6, 11)), 1, NARROW), ("B = 40", 40, 3, LARGE)),
    ):
        symbols = int(rng.integers(2, 6))
        model = Conditionals.random(rng, length, symbols, context=0.0 if name == "independent tokens" else 2.0)
        x = _tokens(rng, symbols, size, length)
        yield Case(name, {"log_conditional": model, "x": x}, {f"x[{k}]": x[:, k] for k in range(length)}, hint)
