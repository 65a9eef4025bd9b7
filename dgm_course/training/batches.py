"""The batch of each training step, a function of (seed, step), so that a run can start at any step; random states."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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
                f"the data gave {[len(part) for part in drawn]} samples: expected sample(n) to give "
                f"n = {DRAWN * recipe.batch}."
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


@contextmanager
def defer_interrupt(signals: Sequence[signal.Signals] = (signal.SIGINT,)) -> Iterator[list[int]]:
    """Collect these signals in a list; a second one of the same kind acts at once.

    Outside the main thread, where Python delivers no signals, the list stays empty."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    def handle(number: int, frame: Any) -> None:
        received.append(number)
        signal.signal(number, before[number])

    before = {number: signal.signal(number, handle) for number in signals}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def own_random_numbers(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's generators, and restore the caller's states at the end."""
    kinds = ["cpu", "cuda"] if device.type == "cuda" else ["cpu"]
    with torch.random.fork_rng(devices=[device] * (len(kinds) - 1)):
        set_random_states([torch.Generator(kind).manual_seed(seed).get_state() for kind in kinds], device)
        yield


def random_states(device: torch.device) -> list[Tensor]:
    """The states of the CPU's generator, and of the GPU's."""
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]


def set_random_states(states: list[Tensor], device: torch.device) -> None:
    torch.set_rng_state(states[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states[1], device)
