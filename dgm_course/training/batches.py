"""Which samples a step of training sees: a function of (seed, step) alone, so that any step can be the first of a run."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .config import Recipe


def feed(data: Any, recipe: Recipe, device: torch.device) -> Callable[[int], tuple[Tensor, ...]]:
    """step -> batch, a function of (seed, step) alone, so that any step can be the first."""
    if isinstance(data, Tensor):
        data = (data,)
    if isinstance(data, tuple):
        return _shuffled(tuple(None if part is None else part.to(device) for part in data), recipe)
    return _drawn(getattr(data, "sample", data), recipe, device)


def _shuffled(data: tuple[Tensor | None, ...], recipe: Recipe) -> Callable[[int], tuple[Tensor, ...]]:
    """Batches of a finite set: epochs in a new order each, every sample at most once an epoch (whole batches only)."""
    counts = [len(part) for part in data if part is not None]
    n, size = counts[0], min(recipe.batch, counts[0])
    if n == 0 or set(counts) != {n}:
        raise ValueError(f"the data have {counts} samples: expected equal numbers, above 0.")
    order: dict[int, Tensor] = {}

    def batch(step: int) -> tuple[Tensor, ...]:
        epoch, place = divmod(step, n // size)
        if epoch not in order:
            order.clear()
            order[epoch] = torch.randperm(n, generator=_generator(recipe.seed, epoch)).to(data[0].device)
        index = order[epoch][place * size:(place + 1) * size]
        return tuple(None if part is None else part.index_select(0, index) for part in data)
    return batch


def _drawn(sample: Callable[[int], Any], recipe: Recipe, device: torch.device) -> Callable[[int], tuple[Tensor, ...]]:
    """Batches of an endless source, drawn 64 at a time: a small draw costs as much as a large one."""
    block, held = 64, {}

    def batch(step: int) -> tuple[Tensor, ...]:
        number, place = divmod(step, block)
        if number not in held:
            held.clear()
            with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
                torch.set_rng_state(_generator(recipe.seed, number).get_state())
                if device.type == "cuda":  # for data that lie on the device and are drawn there
                    torch.cuda.set_rng_state(_generator(recipe.seed, number, device).get_state(), device)
                drawn = sample(block * recipe.batch)
            drawn = drawn if isinstance(drawn, tuple) else (drawn,)
            if any(len(part) != block * recipe.batch for part in drawn):
                raise ValueError(f"the data were asked for {block * recipe.batch} samples and gave "
                                 f"{[len(part) for part in drawn]}: expected sample(n) to give n.")
            held[number] = list(zip(*[part.to(device).split(recipe.batch) for part in drawn]))
        return held[number][place]
    return batch


def _generator(seed: int, number: int, device: torch.device | str = "cpu") -> torch.Generator:
    return torch.Generator(device).manual_seed((seed * 1_000_003 + number) * 2_147_483_629 % 2**63)
