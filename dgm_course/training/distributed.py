"""One training by several processes: ``torchrun`` starts them, each takes its share of every batch, all make the same step.

    torchrun --nproc-per-node 2 --no-python dgm train NAME

There is no second loop.  A step's batch is the recipe's, in the order that (seed, step) gives, however many processes there
are; process r computes its share of B_r samples, and since the loss is a mean over samples, so is its gradient:

    ∇ (1/B) Σᵢ ℓᵢ  =  Σ_r (B_r / B) ∇ (1/B_r) Σ_{i of r} ℓᵢ

*What agrees with a single process.*  Where a loss draws no noise: everything, up to the rounding of a sum in another order.
Where it does, each process draws its own (the first one from the recipe's seed, the others from seeds made of it), and the
run is one more of the same law: its figures agree as those of two seeds do.  What a loss computes across its batch, such as
batch normalisation, it computes within its share, and buffers (running means, codebooks) are the first process's.

The first process writes the checkpoints; every one reads them, so on several machines they lie where all can see them.
"""
from __future__ import annotations

import atexit
import os
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

from . import checkpoints

Batch = tuple[Tensor | None, ...]
LOOK = 10  # steps between two questions whether anybody was asked to stop: on a GPU each one waits


class LostProcess(RuntimeError):
    """Another process of the run is gone."""


def place() -> tuple[int, int]:
    """Which process this is, and of how many: what torchrun says, else the first of one."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return 0, 1
    return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])


def first() -> bool:
    """Whether this process is the one that writes and speaks."""
    return place()[0] == 0


def team(device: torch.device) -> Team:
    """The processes of this run, joined; a single one needs nothing of this file."""
    rank, size = place()
    if size > 1 and not dist.is_initialized():
        if device.type == "cuda":
            torch.cuda.set_device(device)
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        atexit.register(dist.destroy_process_group)
    return Team(rank, size)


@dataclass(frozen=True)
class Team:
    """The processes of one run: this one's rank, from 0, and their number.  A team of one leaves everything as it is."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that writes and reports."""
        return self.rank == 0

    @property
    def signals(self) -> tuple[signal.Signals, ...]:
        """What asks for a stop: Ctrl-C, and in a team the SIGTERM by which torchrun ends the others as well."""
        return (signal.SIGINT,) if self.size == 1 else (signal.SIGINT, signal.SIGTERM)

    def seed(self, seed: int) -> int:
        """Of this process's noise; the first one has the recipe's own."""
        return seed if self.first else (seed * 2_147_483_647 + self.rank * 1_000_000_007) % 2**63

    def share(self, batch: Batch) -> tuple[Batch, float]:
        """This process's samples of a batch, and how large a part of it they are."""
        if self.size == 1:
            return batch, 1.0
        count = len(next(part for part in batch if part is not None))
        if count < self.size:
            raise ValueError(f"A batch of {count} for {self.size} processes: expected at least one sample for each.")
        own = tuple(None if part is None else part.tensor_split(self.size)[self.rank] for part in batch)
        return own, len(next(part for part in own if part is not None)) / count

    def mean(self, parameters: Iterable[nn.Parameter], loss: Tensor, weight: float) -> Tensor:
        """The mean of the gradients, left in the parameters, and that of the losses: the same numbers in every process.

        weight: the part of the batch that this one's gradient is the mean of.  A gradient that is missing counts as zero,
        for another process may have one.  All travels in one message."""
        if self.size == 1:
            return loss
        weights = [p for p in parameters if p.requires_grad]
        slopes = [torch.zeros_like(p) if p.grad is None else p.grad for p in weights]
        flat = weight * torch.cat([loss.reshape(1), *(slope.reshape(-1) for slope in slopes)])
        self._together(lambda: dist.all_reduce(flat))
        total, *parts = flat.split([1, *(slope.numel() for slope in slopes)])
        for p, slope, part in zip(weights, slopes, parts):
            p.grad = slope.copy_(part.view_as(slope))  # in the strides that the optimizer expects
        return total[0]

    def follow(self, model: nn.Module) -> None:
        """Every process takes the first one's buffers, as torch's own DistributedDataParallel has it."""
        if self.size == 1:  # a walk through all modules costs a tenth of a small network's step
            return
        weights = {id(p) for p in model.parameters()}
        self._take([value for name, value in sorted(model.state_dict(keep_vars=True).items()) if id(value) not in weights])

    def begin(self, model: nn.Module, step: int, device: torch.device) -> None:
        """Every process takes the first one's weights and buffers; ValueError where they are not at the same step."""
        if self.size == 1:
            return
        mine, steps = torch.tensor([step], device=device), [torch.tensor([step], device=device) for _ in range(self.size)]
        self._together(lambda: dist.all_gather(steps, mine))
        if len(set(found := [int(other) for other in steps])) > 1:
            raise ValueError(f"The {self.size} processes start at steps {found}: expected one step for all, and so a "
                             "checkpoint that all of them can read.")
        self._take([value for _, value in sorted(model.state_dict(keep_vars=True).items())])

    def _take(self, tensors: list[Tensor]) -> None:
        """The first process's values, in place; all bytes travel in one message, whatever their dtypes."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([t.detach().contiguous().reshape(-1).view(torch.uint8) for t in tensors])
        self._together(lambda: dist.broadcast(flat, 0))
        with torch.no_grad():
            for t, part in zip(tensors, flat.split([t.numel() * t.element_size() for t in tensors])):
                t.copy_(part.clone().view(t.dtype).view_as(t))  # cloned: a slice may lie askew for its dtype

    def stops(self, asked: bool, step: int, device: torch.device) -> bool:
        """Whether to stop before this step: all do at the same one, within ten of the one at which any was asked."""
        if self.size == 1 or step % LOOK:
            return asked and self.size == 1
        told = torch.tensor(float(asked), device=device)
        self._together(lambda: dist.all_reduce(told))
        return bool(told)

    def key(self, kind: str, rank: int | None = None) -> str:
        """What a checkpoint calls the random state of a process (none: this one): random.cpu, random.cpu.1, ..."""
        rank = self.rank if rank is None else rank
        return f"random.{kind}" + (f".{rank}" if rank else "")

    def states(self, random: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
        """The random states of all processes by their keys, in every process."""
        found = {}
        for kind, state in sorted(random.items()):
            parts = [state]
            if self.size > 1:
                parts = [torch.empty_like(state, device=device) for _ in range(self.size)]
                self._together(lambda parts=parts, state=state: dist.all_gather(parts, state.to(device)))
            found |= {self.key(kind, rank): part.cpu() for rank, part in enumerate(parts)}
        return found

    def expect_states(self, tensors: dict[str, Tensor], kinds: Iterable[str]) -> dict[str, Tensor]:
        """This process's random states from a checkpoint, or a CheckpointError: another run's noise is not guessed."""
        held = sum(name.split(".")[:2] == ["random", "cpu"] for name in tensors)
        if held and held != self.size:
            raise checkpoints.CheckpointError(f"The checkpoint is of a run in {held} process(es) and this one has "
                                              f"{self.size}: to go on, start as many.")
        found = {}
        for kind in kinds:
            key = self.key(kind)
            if key not in tensors:
                raise checkpoints.CheckpointError(f"The checkpoint lacks {key}: resuming needs it.")
            try:
                torch.Generator(kind).set_state(tensors[key].cpu())
            except (RuntimeError, TypeError) as error:
                raise checkpoints.CheckpointError(f"{key} in the checkpoint is no random state ({error}).") from None
            found[kind] = tensors[key].cpu()
        return found

    def _together(self, message: Callable[[], object]) -> None:
        try:
            message()
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[0][:200]
            raise LostProcess(f"Another of the {self.size} processes is gone, so the run ends here. The checkpoint that was "
                              f"written last is whole: the same command goes on from it. ({reason})") from None
