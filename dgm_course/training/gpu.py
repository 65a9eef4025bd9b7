"""CUDA graphs: the operations of a training step, captured once and replayed by a single launch.

The step of a small network is hundreds of operations of a few microseconds, and launching one takes longer than running it.
A replay reads the batch, the weights and the learning rate at the addresses of the capture, and draws new random numbers.
A step is captured only if it is the same operations each time:

* the model's class promises it with ``graph_safe = True``, beside its ``loss`` or ``objectives``;
* three steps are run and watched: one that syncs, or draws from a CPU generator, ends all capturing;
* a changed hyperparameter triggers a new capture;
* the memory has room for another step.
"""

from __future__ import annotations

import random
import types
import warnings
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from .batches import Batch

Turn = Callable[[Batch], list[Tensor]]
SYNCED, PROTOTYPE = (
    "called a synchronizing CUDA operation",
    "Synchronization debug mode is a prototype",
)  # torch's words
WATCHED = 3  # steps that are watched before a capture: by then every buffer exists


def graph_safe(model: nn.Module) -> bool:
    """Whether the class that defines the loss promises that each step is the same operations."""
    owner = next((kind for kind in type(model).__mro__ if {"loss", "objectives"} & vars(kind).keys()), None)
    own = {"loss", "objectives"} & vars(model).keys()
    return owner is not None and not own and "graph_safe" in vars(owner) and bool(model.graph_safe)


class Settings:
    """The numbers, names and functions that a model holds at any depth, such as the weight of a KL or a GAN's game."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.held = containers(model)

    def changed(self) -> bool:
        """Whether one of them differs from the last call."""
        try:
            same = all(now == before for now, before in self.held)
        except (RuntimeError, ValueError):  # a tensor in the place of another: their == has no single answer
            same = False
        if not same:
            self.held = containers(self.model)
        return not same


def containers(model: nn.Module) -> list[tuple[Any, Any]]:
    """Every dict and list that the model reaches through attributes and items, with a copy of it.

    Comparing a dict with its copy looks at values only where they are no longer the same objects, so it is fast."""
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


HOOKS = vars(nn.Module()).keys() - {"training", "_parameters", "_buffers", "_modules"}


class Recording(NamedTuple):
    """A captured step: its graph, the batch that it reads, the losses that it writes."""

    graph: torch.cuda.CUDAGraph
    batch: Batch
    losses: list[Tensor]


class GraphRunner:
    """Runs steps, by replaying a CUDA graph where it can.  There is one graph for each kind of step.

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
    return random.getstate(), name, keys.tobytes(), *rest, torch.get_rng_state().numpy().tobytes()
