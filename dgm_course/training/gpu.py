"""CUDA graphs, compiled losses, and gradient accumulation where the memory is full.

A CUDA graph replays the operations of a captured step with one launch: a small network's step is hundreds of operations of
a few microseconds each, and launching one takes longer than running it.  A step is captured only if

* the model's class promises the same operations each time, with ``graph_safe = True`` beside its ``loss`` or ``objectives``;
* three watched steps neither sync nor draw from a CPU generator, and the memory has room for another step.

A changed hyperparameter triggers a new capture.
"""

from __future__ import annotations

import random
import types
import warnings
from collections.abc import Callable, Hashable
from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from .batches import Batch, batch_size

Turn = Callable[[Batch], list[Tensor]]
SYNCED = "called a synchronizing CUDA operation"  # torch's words
PROTOTYPE = "Synchronization debug mode is a prototype"
OUT_OF_MEMORY = ("DefaultCPUAllocator", "MPS backend out of memory")  # errors without a class of their own
WATCHED = 3  # steps before a capture: by then every buffer exists
HOOKS = vars(nn.Module()).keys() - {"training", "_parameters", "_buffers", "_modules"}


def graph_safe(model: nn.Module) -> bool:
    """Whether the class that defines the loss promises that each step is the same operations."""
    owner = next((kind for kind in type(model).__mro__ if {"loss", "objectives"} & vars(kind).keys()), None)
    own = {"loss", "objectives"} & vars(model).keys()
    return owner is not None and not own and "graph_safe" in vars(owner) and bool(model.graph_safe)


class Settings:
    """The numbers, names and functions that a model holds at any depth, such as the weight of a KL or a GAN's game."""

    def __init__(self, model: nn.Module) -> None:
        self.model, self.held = model, containers(model)

    def changed(self) -> bool:
        """Whether one of them differs from the last call."""
        try:
            same = all(now == before for now, before in self.held)
        except (RuntimeError, ValueError):  # == between two tensors has no single answer
            same = False
        if not same:
            self.held = containers(self.model)
        return not same


def containers(model: nn.Module) -> list[tuple[Any, Any]]:
    """Every dict and list that the model reaches through attributes and items, with a copy of it.

    Comparing a dict with its copy is fast: values that are the same object are equal."""
    found, queue, seen = [], [model], set()
    while queue:
        item = queue.pop()
        if id(item) in seen or isinstance(item, (Tensor, type, types.ModuleType, types.FunctionType)):
            continue
        seen.add(id(item))
        if isinstance(item, (dict, list)):
            found.append((item, item.copy()))
        if isinstance(item, nn.Module):  # without torch's many empty dicts of hooks
            found.append((vars(item), vars(item).copy()))
            queue += [value for name, value in vars(item).items() if value or name not in HOOKS]
        elif isinstance(item, dict):
            queue += item.values()
        elif isinstance(item, (list, tuple, set)):
            queue += item
        elif isinstance(item, types.MethodType):
            queue.append(item.__self__)
        else:
            queue += [vars(item)] if hasattr(item, "__dict__") else []
    return found


class Recording(NamedTuple):
    """A captured step: its graph, the batch that it reads, the losses that it writes."""

    graph: torch.cuda.CUDAGraph
    batch: Batch
    losses: list[Tensor]


class GraphRunner:
    """Runs steps, and replays a CUDA graph of each kind of step where it can.

    unwatched: first steps that may sync, because a loss is compiled in them."""

    def __init__(self, model: nn.Module, on: bool, unwatched: int = 0) -> None:
        self.on, self.unwatched = on, unwatched
        self.settings = Settings(model) if on else None
        self.reset()

    def reset(self) -> None:
        """Forget all captures."""
        self.taken: dict[Hashable, int] = {}
        self.recordings: dict[Hashable, Recording] = {}

    def take(self, kind: Hashable, batch: Batch, turn: Turn) -> list[Tensor]:
        """turn(batch), or a replay of it: the losses, which the next step overwrites."""
        if not self.on:
            return turn(batch)
        if self.settings.changed():
            self.reset()
        watched = self.taken.setdefault(kind, 0) - self.unwatched
        self.taken[kind] += 1
        if watched < 0:
            return turn(batch)
        if watched < WATCHED:
            losses, self.on = decided_on_the_device(turn, batch)
            self.on = self.on and (watched + 1 < WATCHED or room())
            return losses
        if kind not in self.recordings:
            self.recordings[kind] = record(batch, turn)
        recording = self.recordings[kind]
        for place, part in zip(recording.batch, batch):
            if part is not None:
                place.copy_(part)
        recording.graph.replay()
        return recording.losses


def room() -> bool:
    """Whether the memory holds another step: a graph keeps memory of its own."""
    torch.cuda.empty_cache()
    return torch.cuda.mem_get_info()[0] > 2 * (torch.cuda.max_memory_allocated() - torch.cuda.memory_allocated())


def record(batch: Batch, turn: Turn) -> Recording:
    """Capture turn(batch).  Nothing is computed yet."""
    batch = tuple(None if part is None else part.clone() for part in batch)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        losses = turn(batch)
    return Recording(graph, batch, losses)


def decided_on_the_device(turn: Turn, batch: Batch) -> tuple[list[Tensor], bool]:
    """turn(batch), and whether it neither synced nor drew from a CPU generator."""
    before, mode = cpu_random_state(), torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            losses = turn(batch)
        finally:
            torch.cuda.set_sync_debug_mode(mode)
    syncs = [warning for warning in seen if SYNCED in str(warning.message)]
    for warning in seen:
        if warning not in syncs and PROTOTYPE not in str(warning.message):
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return losses, not syncs and cpu_random_state() == before


def cpu_random_state() -> tuple:
    """The states of the CPU's generators: Python's, numpy's and torch's."""
    name, keys, *rest = np.random.get_state()
    return random.getstate(), name, np.asarray(keys).tobytes(), *rest, torch.get_rng_state().numpy().tobytes()


class Compiled:
    """loss(*batch), compiled by torch.compile at its first call, in some twenty seconds.

    Where that fails, for want of Triton or a C compiler, it prints why and computes uncompiled."""

    def __init__(self, loss: Callable[..., Tensor]) -> None:
        self.loss = loss
        self.quick: Callable[..., Tensor] | None = torch.compile(loss, dynamic=False)
        warnings.filterwarnings("ignore", module=r"torch\._inductor")  # its advice to those who write compilers

    def __call__(self, *batch: Tensor | None) -> Tensor:
        if self.quick is None:
            return self.loss(*batch)
        try:
            return self.quick(*batch)
        except torch.cuda.OutOfMemoryError:  # a smaller batch may fit
            raise
        except Exception as error:
            self.quick = None
            loss = self.loss(*batch)  # an error of the loss itself is raised here
            reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
            print(f"The loss is not compiled, and takes more time for the same numbers: {reason}")
            return loss


def out_of_memory(error: BaseException) -> bool:
    """Whether an allocator raised it: by its class, or for the CPU and mps by its message."""
    return isinstance(error, torch.cuda.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(message in str(error) for message in OUT_OF_MEMORY)
    )


class GradientAccumulator:
    """Splits each batch into ``number`` pieces and adds their gradients; doubles ``number`` each time the memory is full.

    The step equals that of the whole batch wherever the loss is a mean over samples."""

    def __init__(self) -> None:
        self.number = 1

    def gradient(
        self, loss: Callable[..., Tensor], batch: Batch, clear: Callable[[], None], weight: float = 1.0
    ) -> Tensor:
        """Leave ``weight`` times the gradient of the batch's loss in the parameters, and return the loss, detached ().

        A DistributedDataParallel reduces with the last piece only.  MemoryError where a single sample does not fit."""
        while True:
            clear()
            try:
                return self._accumulate(loss, batch, weight)
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
            self._double(batch_size(batch))  # outside the except, whose traceback holds the tensors

    def _accumulate(self, loss: Callable[..., Tensor], batch: Batch, weight: float) -> Tensor:
        parts = [[None] * self.number if part is None else part.tensor_split(self.number) for part in batch]
        losses, count, pieces = [], batch_size(batch), list(zip(*parts)) if self.number > 1 else [batch]
        for index, piece in enumerate(pieces):
            share, reduced = batch_size(piece) / count, index == len(pieces) - 1
            with nullcontext() if reduced else getattr(loss, "no_sync", nullcontext)():
                value = loss(*piece)
                self._backward(value, share * weight, reduced and hasattr(loss, "no_sync"))
            losses.append(share * value.detach())
        return sum(losses[1:], losses[0])

    def _backward(self, value: Tensor, weight: float, reduced: bool) -> None:
        try:
            value.backward(torch.full_like(value, weight))
        except RuntimeError as error:
            if reduced and out_of_memory(error):  # the other processes have begun to add this gradient
                raise MemoryError(
                    "The memory of one process is full in a backward pass, which the others cannot repeat: "
                    "a smaller batch, or more processes, would fit."
                ) from None
            raise

    def _double(self, count: int) -> None:
        if 2 * self.number > count:
            raise MemoryError(
                f"The memory is full even with {-(-count // self.number)} of the batch's {count} samples at a "
                "time: a smaller model, or a larger device, would fit."
            )
        self.number *= 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        print(
            f"The memory is full: from here on each batch of {count} is taken in {self.number} pieces, whose gradients "
            "are added. Steps and learning rate stay as they are."
        )
