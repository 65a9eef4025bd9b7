"""A training step that a GPU was told once: recorded as a graph of its operations, then replayed by a single launch.

The step of a small network is some hundreds of operations of a few microseconds each, and to tell a GPU about one of them
takes longer than to do it.  CUDA graphs keep the whole sequence, addresses and all; a replay reads the batch, the weights
and the learning rate where they lay when it was recorded, and draws new random numbers.

What is recorded must be the same operations each time, whatever the numbers.  So

* a model's class says so, ``steady = True``, beside the ``loss`` (or ``players``) that it speaks of; a subclass with a loss
  of its own has to say it again;
* the first steps are taken as they are, and watched: one that waits for the GPU, or draws from a generator of the CPU,
  makes a decision outside of it, and the run goes on without a recording (where a loss is compiled, the watch begins with
  the step after that);
* where a number that the model holds is changed between two steps, the next one is of another kind, and watched anew;
* nothing is recorded where the memory is nearly full.
"""
from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Hashable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

Batch = tuple[Tensor | None, ...]
Turn = Callable[[Batch], list[Tensor]]
WAITED, PROTOTYPE = "called a synchronizing CUDA operation", "Synchronization debug mode is a prototype"  # torch's words
WATCHED = 3  # steps of a kind that are taken and watched before one is recorded: by then every buffer has been made


def steady(model: nn.Module) -> bool:
    """Whether the class that says what the loss is promises, beside it, that each step is the same operations."""
    owner = next((kind for kind in type(model).__mro__ if {"loss", "players"} & vars(kind).keys()), None)
    own = {"loss", "players"} & vars(model).keys()
    return owner is not None and not own and "steady" in vars(owner) and bool(model.steady)


def settings(model: nn.Module) -> tuple[Hashable, ...]:
    """The numbers, names and functions that the model holds, such as the weight of a KL: what a recording holds for."""
    plain = (bool, int, float, str)
    return tuple(value if isinstance(value, plain) else id(value) for value in vars(model).values()
                 if isinstance(value, plain) or callable(value))


class Recording(NamedTuple):
    """A step as a graph, where it reads its batch, and where it leaves its losses."""

    graph: torch.cuda.CUDAGraph
    batch: Batch
    losses: list[Tensor]


class Recorder:
    """Takes steps: by replaying what was recorded, as they are where nothing can be.  One recording for each kind of step
    (in a game with k turns of one side to the other's one, there are two).

    unwatched: steps of a kind that are taken before the watch begins: one where the loss is compiled in it, which waits."""

    def __init__(self, on: bool, unwatched: int = 0) -> None:
        self.on, self.unwatched = on, unwatched
        self.taken: dict[Hashable, int] = {}
        self.recordings: dict[Hashable, Recording] = {}

    def take(self, kind: Hashable, batch: Batch, turn: Turn) -> list[Tensor]:
        """turn(batch), or the same from the recording of its kind: the losses, which the next step overwrites."""
        if not self.on:
            return turn(batch)
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
    """Whether the memory holds another step: a recording keeps its own apart, and one that fails half-way ends the run."""
    torch.cuda.empty_cache()  # what lies ready for ordinary steps
    return torch.cuda.mem_get_info()[0] > 2 * (torch.cuda.max_memory_allocated() - torch.cuda.memory_allocated())


def record(batch: Batch, turn: Turn) -> Recording:
    """turn(batch) as a graph.  Nothing is computed yet."""
    batch = tuple(None if part is None else part.clone() for part in batch)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        losses = turn(batch)
    return Recording(graph, batch, losses)


def decided_on_the_device(turn: Turn, batch: Batch) -> tuple[list[Tensor], bool]:
    """turn(batch), and whether it neither waited for the GPU nor drew from a generator of the CPU."""
    before, mode = chance(), torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            losses = turn(batch)
        finally:
            torch.cuda.set_sync_debug_mode(mode)
    waits = [warning for warning in seen if WAITED in str(warning.message)]
    for warning in seen:
        if warning not in waits and PROTOTYPE not in str(warning.message):
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return losses, not waits and chance() == before


def chance() -> tuple:
    """Where the generators of the CPU stand: Python's, numpy's and torch's."""
    name, keys, *rest = np.random.get_state()
    return random.getstate(), name, keys.tobytes(), *rest, torch.get_rng_state().numpy().tobytes()
