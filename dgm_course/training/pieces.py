"""Gradient accumulation: a batch that does not fit into memory is split, and the gradients are added.

The step equals that of the whole batch wherever the loss is a mean over samples.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor

from .batches import Batch, batch_size

MESSAGES = ("DefaultCPUAllocator", "MPS backend out of memory")  # errors without a class of their own


def out_of_memory(error: BaseException) -> bool:
    """Whether an allocator raised it: by its class, or for the CPU and mps by its message."""
    return isinstance(error, torch.cuda.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(message in str(error) for message in MESSAGES)
    )


def split(batch: Batch, number: int) -> list[Batch]:
    """The batch in so many pieces of nearly equal size."""
    if number == 1:
        return [batch]
    return list(zip(*([None] * number if part is None else part.tensor_split(number) for part in batch)))


class GradientAccumulator:
    """Takes gradients in ``number`` pieces: 1, and twice as many each time the memory is full."""

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
        losses, count, pieces = [], batch_size(batch), split(batch, self.number)
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
