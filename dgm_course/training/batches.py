"""The batch of each training step: a function of (seed, step), so that a run can start at any step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .config import Recipe

Batch = tuple["Tensor | None", ...]
DRAWN = 64  # batches drawn at once: a small draw costs as much as a large one


def batch_size(batch: Batch) -> int:
    """The number of samples."""
    return len(next(part for part in batch if part is not None))


def batch_stream(data: Any, recipe: Recipe, device: torch.device) -> Callable[[int], Batch]:
    """step -> batch.  data: a tensor (N, *event), a tuple of them or None, an object with sample(n), or n -> batch."""
    if isinstance(data, Tensor):
        data = (data,)
    if isinstance(data, tuple):
        return _shuffled(tuple(None if part is None else part.to(device) for part in data), recipe)
    return _drawn(getattr(data, "sample", data), recipe, device)


def _shuffled(data: Batch, recipe: Recipe) -> Callable[[int], Batch]:
    """Whole batches of a finite set, in a new order each epoch."""
    counts = [len(part) for part in data if part is not None]
    n, size = counts[0], min(recipe.batch, counts[0])
    if n == 0 or set(counts) != {n}:
        raise ValueError(f"the data have {counts} samples: expected equal numbers, above 0.")
    order: dict[int, Tensor] = {}

    def batch(step: int) -> Batch:
        epoch, place = divmod(step, n // size)
        if epoch not in order:
            order.clear()
            order[epoch] = torch.randperm(n, generator=_generator(recipe.seed, epoch)).to(data[0].device)
        index = order[epoch][place * size : (place + 1) * size]
        return tuple(None if part is None else part.index_select(0, index) for part in data)

    return batch


def _drawn(sample: Callable[[int], Any], recipe: Recipe, device: torch.device) -> Callable[[int], Batch]:
    """Batches of an endless source."""
    cache: dict[int, list[Batch]] = {}

    def draw(number: int) -> list[Batch]:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.set_rng_state(_generator(recipe.seed, number).get_state())
            if device.type == "cuda":  # for data that are drawn on the device
                torch.cuda.set_rng_state(_generator(recipe.seed, number, device).get_state(), device)
            drawn = sample(DRAWN * recipe.batch)
        drawn = drawn if isinstance(drawn, tuple) else (drawn,)
        if any(len(part) != DRAWN * recipe.batch for part in drawn):
            raise ValueError(
                f"the data were asked for {DRAWN * recipe.batch} samples and gave "
                f"{[len(part) for part in drawn]}: expected sample(n) to give n."
            )
        return list(zip(*[part.to(device).split(recipe.batch) for part in drawn]))

    def batch(step: int) -> Batch:
        number, place = divmod(step, DRAWN)
        if number not in cache:
            cache.clear()
            cache[number] = draw(number)
        return cache[number][place]

    return batch


def _generator(seed: int, number: int, device: torch.device | str = "cpu") -> torch.Generator:
    return torch.Generator(device).manual_seed((seed * 1_000_003 + number) * 2_147_483_629 % 2**63)
