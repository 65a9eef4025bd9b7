"""How much of a network a sample costs: passes, counted by hooks, and seconds of one processor."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..autoregressive import Autoregressive
from ..autoregressive.model import Logits


class PassCounter:
    """Samples that went through a network: one for each of the batch, at each pass."""

    def __init__(self) -> None:
        self.samples = 0.0

    def __repr__(self) -> str:
        return f"{self.samples:g} samples went through"


@contextmanager
def _forward(module: nn.Module, tally: PassCounter, weight: float) -> Iterator[None]:
    """Every forward pass of the module counts its batch, times ``weight``."""

    def seen(_: nn.Module, given: tuple[Any, ...], __: Any) -> None:
        tally.samples += weight * len(given[0])

    handle = module.register_forward_hook(seen)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _places(model: Autoregressive, tally: PassCounter) -> Iterator[None]:
    """Every place that an autoregressive model answers while it samples counts its batch: it has no forward pass there."""
    uncounted = model.iter_logits

    def counted(n: int, label: Tensor) -> Logits:
        steps, token = uncounted(n, label), None
        while True:
            try:
                logits = steps.send(token)
            except StopIteration:
                return
            tally.samples += len(logits)
            token = yield logits

    model.iter_logits = counted
    try:
        yield
    finally:
        del model.iter_logits


@contextmanager
def counted(parts: list[nn.Module | list[nn.Module]]) -> Iterator[PassCounter]:
    """A tally of what passes through the parts; of a list of networks each counts as its share of one."""
    tally = PassCounter()
    with ExitStack() as stack:
        for part in parts:
            members = part if isinstance(part, list) else [part]
            for member in members:
                inner = _places(member, tally) if isinstance(member, Autoregressive) else None
                stack.enter_context(_forward(member, tally, 1 / len(members)))
                if inner is not None:
                    stack.enter_context(inner)
        yield tally


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for what is measured, also where a model would take every core: threads that wait use time as well."""
    before, allowed = torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"  # the most that `tensors.threads_for` takes
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        os.environ.pop("OMP_NUM_THREADS")
        if allowed is not None:
            os.environ["OMP_NUM_THREADS"] = allowed


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What the work gives, and its seconds of processor time, those of all threads added."""
    start = time.process_time()
    return work(), time.process_time() - start
