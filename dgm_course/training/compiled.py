"""A loss compiled by ``torch.compile``, which fuses the small operations of a GPU.

It takes some twenty seconds, so it pays in runs of thousands of steps.  It needs a C compiler and Triton.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor


class Compiled:
    """loss(*batch), compiled at its first call; uncompiled from then on where that fails, which is said once."""

    def __init__(self, loss: Callable[..., Tensor]) -> None:
        self.loss, self.quick = loss, torch.compile(loss, dynamic=False)
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
            loss = self.loss(*batch)  # an error of the loss itself is raised here, in its own words
            reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
            print(f"The loss is not compiled, and takes more time for the same numbers: {reason}")
            return loss
