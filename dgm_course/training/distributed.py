"""Training in several processes that torchrun starts, with torch's DistributedDataParallel.

    torchrun --nproc-per-node 2 --no-python dgm train NAME

Process r computes the loss on its B_r samples of each batch of B; the gradient of the mean is the weighted mean

    ∇ (1/B) Σᵢ ℓᵢ  =  Σ_r (B_r / B) ∇ (1/B_r) Σ_{i of r} ℓᵢ

A loss without noise gives the numbers of a single process, up to rounding; noise is each process's own.  Batch statistics
are those of a share, and buffers are the first process's.  The first process writes the checkpoints; all read them.
"""

from __future__ import annotations

import atexit
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from .batches import Batch, batch_size

LOOK = 10  # steps between two checks for a stop request: each one forces a sync


class LostProcess(RuntimeError):
    """Another process of the run has ended."""


def rank_and_size() -> tuple[int, int]:
    """(rank, size) from torchrun's environment variables, else (0, 1)."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return 0, 1
    return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])


def first() -> bool:
    """Whether this process writes and prints."""
    return rank_and_size()[0] == 0


def process_group(device: torch.device) -> ProcessGroup:
    """The group of this run's processes, joined."""
    rank, size = rank_and_size()
    if size > 1 and not dist.is_initialized():
        if device.type == "cuda":
            torch.cuda.set_device(device)
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        atexit.register(dist.destroy_process_group)
    return ProcessGroup(rank, size)


@dataclass(frozen=True)
class ProcessGroup:
    """The processes of one run.  A group of one changes nothing."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        return self.rank == 0

    @property
    def signals(self) -> tuple[signal.Signals, ...]:
        """The signals that request a stop; torchrun ends a group with SIGTERM."""
        return (signal.SIGINT,) if self.size == 1 else (signal.SIGINT, signal.SIGTERM)

    def seed(self, seed: int) -> int:
        """The seed of this process's noise; the first process has the recipe's."""
        return seed if self.first else (seed * 2_147_483_647 + self.rank * 1_000_000_007) % 2**63

    def wrap(self, loss: nn.Module) -> nn.Module:
        """The loss, whose gradients are averaged over the processes."""
        if self.size == 1:
            return loss
        return DistributedDataParallel(loss, broadcast_buffers=False, find_unused_parameters=True)

    def share(self, batch: Batch) -> tuple[Batch, float]:
        """This process's samples of a batch, and their part of it."""
        if self.size == 1:
            return batch, 1.0
        count = batch_size(batch)
        if count < self.size:
            raise ValueError(
                f"A batch of {count} for {self.size} processes: expected at least one sample for each."
            )
        own = tuple(None if part is None else part.tensor_split(self.size)[self.rank] for part in batch)
        return own, batch_size(own) / count

    def mean(self, loss: Tensor, share: float) -> Tensor:
        """The loss of the whole batch, from that of each share."""
        if self.size > 1:
            loss = share * loss
            dist.all_reduce(loss)
        return loss

    def broadcast_buffers(self, model: nn.Module) -> None:
        """Give every process the first one's buffers."""
        if self.size > 1:
            for buffer in model.buffers():
                dist.broadcast(buffer, 0)

    def prepare(self, model: nn.Module, step: int) -> None:
        """Give every process the first one's weights and buffers; ValueError where their steps differ."""
        if len(set(steps := self.gather(step))) > 1:
            raise ValueError(
                f"The {self.size} processes start at steps {steps}: expected one step for all, and so a "
                "checkpoint that all of them can read."
            )
        if self.size > 1:
            for p in model.parameters():
                dist.broadcast(p.detach(), 0)
        self.broadcast_buffers(model)

    def stops(self, asked: bool, step: int, device: torch.device) -> bool:
        """Whether to stop before this step: all processes at the same one, within ten of the request."""
        if self.size == 1 or step % LOOK:
            return asked and self.size == 1
        requests = torch.tensor(float(asked), device=device)
        dist.all_reduce(requests)
        return bool(requests)

    def gather(self, value: Any) -> list[Any]:
        """The values of all processes, in the order of their ranks."""
        values = [value] * self.size
        if self.size > 1:
            dist.all_gather_object(values, value)
        return values

    @contextmanager
    def guard(self) -> Iterator[None]:
        """LostProcess in place of the network's error where another process is gone."""
        try:
            yield
        except RuntimeError as error:
            if self.size == 1 or not (isinstance(error, dist.DistError) or "gloo" in str(error).lower()):
                raise
            reason = str(error).strip().splitlines()[0][:200]
            raise LostProcess(
                f"Another of the {self.size} processes is gone, so the run ends here. The checkpoint that was "
                f"written last is whole: the same command goes on from it. ({reason})"
            ) from None
