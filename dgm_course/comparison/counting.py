"""The cost of a sample: network passes, counted by hooks, and processor seconds."""

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
    """The number of samples that passed through a network, each pass counted."""

    def __init__(self) -> None:
        self.samples = 0.0

    def __repr__(self) -> str:
        return f"{self.samples:g} passes"


@contextmanager
def _forward(module: nn.Module, counter: PassCounter, weight: float) -> Iterator[None]:
    """Count the batch of each forward pass, times ``weight``."""

    def seen(_: nn.Module, given: tuple[Any, ...], __: Any) -> None:
        counter.samples += weight * len(given[0])

    handle = module.register_forward_hook(seen)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _sampling_steps(model: Autoregressive, counter: PassCounter) -> Iterator[None]:
    """Count the batch at each step of autoregressive sampling, which has no forward pass."""
    uncounted = model.iter_logits

    def counted(n: int, label: Tensor) -> Logits:
        steps, token = uncounted(n, label), None
        while True:
            try:
                logits = steps.send(token)
            except StopIteration:
                return
            counter.samples += len(logits)
            token = yield logits

    model.iter_logits = counted  # type: ignore[method-assign]
    try:
        yield
    finally:
        del model.iter_logits


@contextmanager
def counted(parts: list[nn.Module | list[nn.Module]]) -> Iterator[PassCounter]:
    """Count passes through the parts; the networks of a list together count as one."""
    counter = PassCounter()
    with ExitStack() as stack:
        for part in parts:
            members = part if isinstance(part, list) else [part]
            for member in members:
                stack.enter_context(_forward(member, counter, 1 / len(members)))
                if isinstance(member, Autoregressive):
                    stack.enter_context(_sampling_steps(member, counter))
        yield counter


@contextmanager
def one_thread() -> Iterator[None]:
    """Use one thread, since waiting threads use processor time too."""
    before, allowed = torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"  # the maximum of `tensors.threads_for`
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        os.environ.pop("OMP_NUM_THREADS")
        if allowed is not None:
            os.environ["OMP_NUM_THREADS"] = allowed


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """The result of work(), and its processor seconds over all threads."""
    start = time.process_time()
    return work(), time.process_time() - start
