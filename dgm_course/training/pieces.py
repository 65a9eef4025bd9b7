"""A batch in as many pieces as the memory asks for: the same step, in less space.

Where a batch does not fit, its halves are taken one after the other and their gradients added, each by its part of the
batch; the step that follows is that of the whole batch wherever the loss is a mean over samples.
"""
from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Batch = tuple[Tensor | None, ...]
WORDS = ("DefaultCPUAllocator", "MPS backend out of memory")  # errors without a class of their own


def out_of_memory(error: BaseException) -> bool:
    """Whether the allocator said so: by its class, or for a CPU and for mps by its words in a RuntimeError."""
    return isinstance(error, torch.cuda.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(word in str(error) for word in WORDS))


class Pieces:
    """How many pieces a batch is taken in: one, until the memory is full, and then twice as many each time."""

    def __init__(self) -> None:
        self.number = 1

    def gradient(self, loss: Callable[..., Tensor], batch: Batch, clear: Callable[[], None]) -> Tensor:
        """The gradient of the batch's loss, added where ``clear`` has emptied, and the loss itself, detached.

        MemoryError where not even one sample at a time fits."""
        while True:
            clear()
            try:
                return self._try(loss, batch)
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
            self._halve(_count(batch))  # outside of the except: until there, the error's frames hold the tensors

    def _try(self, loss: Callable[..., Tensor], batch: Batch) -> Tensor:
        if self.number == 1:
            value = loss(*batch)
            value.backward()
            return value.detach()
        total, count = 0.0, _count(batch)
        columns = [[None] * self.number if part is None else part.tensor_split(self.number) for part in batch]
        for piece in zip(*columns):
            value = loss(*piece) * (_count(piece) / count)
            value.backward()
            total = total + value.detach()
        return total

    def _halve(self, count: int) -> None:
        if 2 * self.number > count:
            raise MemoryError(f"The memory is full even with {-(-count // self.number)} of the batch's {count} samples at a "
                              "time: a smaller model, or a larger device, would fit.")
        self.number *= 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        print(f"The memory is full: from here on each batch of {count} is taken in {self.number} pieces, whose gradients "
              "are added. Steps and learning rate stay as they are.")


def _count(batch: Batch) -> int:
    return len(next(part for part in batch if part is not None))
