"""A loss as kernels that were made for it, by ``torch.compile``.

The loss of a small network is hundreds of operations on a GPU, and most of them only read numbers, do one thing to them and
write them back.  A compiler joins those that follow each other.  It takes some twenty seconds, once, so it pays in runs of
many thousands of steps; and it needs a C compiler and Triton, which not every machine has: where they are missing the loss
is taken as it is.
"""
from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor


class Compiled:
    """loss(*batch), compiled when it is first called; as it is from then on where that fails, which is said once."""

    def __init__(self, loss: Callable[..., Tensor]) -> None:
        self.loss, self.quick = loss, torch.compile(loss, dynamic=False)
        warnings.filterwarnings("ignore", module=r"torch\._inductor")  # its advice to those who write compilers

    def __call__(self, *batch: Tensor | None) -> Tensor:
        if self.quick is None:
            return self.loss(*batch)
        try:
            return self.quick(*batch)
        except torch.cuda.OutOfMemoryError:  # no fault of the compiler, and there may be smaller batches
            raise
        except Exception as error:
            self.quick = None
            loss = self.loss(*batch)  # where the loss itself is at fault it says so here, in its own words
            print(f"The loss is not compiled, and takes more time for the same numbers: {_first_line(error)}")
            return loss


def _first_line(error: Exception) -> str:
    """What is the matter, without the compiler's own pages about it."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
