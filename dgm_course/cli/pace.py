"""How slow is this machine?  The quick budget fits into 90 seconds on two cores of one kind; on others it takes longer.

A training step on digits and one in the plane are what the notebooks spend their time on, and machines differ in the two by
different factors: bfloat16 makes the first several times faster where the processor has it, and the second not at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

from ..nets.mlp import MLP
from ..paths.model import PathModel, flow_matching
from ..pretrained import digits_flow

USUAL = {"digits": 0.029, "plane": 0.00071}  # seconds a step on two cores, on one core, with AVX-512 and bfloat16


def machine_speed(tries: int = 3) -> float:
    """Time of a training step over what it usually takes: 3 is three times as slow.

    The worse of the two kinds, since a notebook may spend nearly all of its time on one."""
    before = torch.get_num_threads()
    steps = {
        "digits": (2, _step(digits_flow(), torch.rand(32, 1, 28, 28))),
        "plane": (1, _step(flow_matching(MLP(2), (2,)), torch.rand(256, 2))),
    }
    try:
        return max(_seconds(step, threads, tries) / USUAL[name] for name, (threads, step) in steps.items())
    finally:
        torch.set_num_threads(before)


def _seconds(step: Callable[[], None], threads: int, tries: int) -> float:
    """The best of some tries on so many threads: what else runs on the machine counts as little as it can."""
    torch.set_num_threads(threads)
    step()
    best = float("inf")
    for _ in range(tries):
        start, count = time.perf_counter(), 0
        while time.perf_counter() - start < 0.2:
            step()
            count += 1
        best = min(best, (time.perf_counter() - start) / count)
    return best


def _step(model: PathModel, x: Tensor) -> Callable[[], None]:
    """A step of training, on the same batch each time."""
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)

    def step() -> None:
        optimizer.zero_grad()
        model.loss(x).backward()
        optimizer.step()

    return step
