"""Broadcasting of time, the seed, the device and the budget.

A time t is a scalar () or one value a sample (B,); ``expand_time(t, x)`` broadcasts it over x (B, *event).  The library
moves no data between devices: what it creates has the dtype and device of its input.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import Tensor, nn

Choice = TypeVar("Choice")


def expand_time(t: Tensor | float, x: Tensor) -> Tensor:
    """t, broadcastable over x (B, *event): (B,) -> (B, 1, ..., 1); a scalar stays ().  ValueError for another shape."""
    t = time_like(t, x)
    if t.ndim == 0:
        return t
    if t.shape[:1] != x.shape[:1] or t.numel() != t.shape[0]:
        came = f"t of shape {tuple(t.shape)} does not fit x of shape {tuple(x.shape)}"
        raise ValueError(f"{came}: expected a scalar or one time a sample, {tuple(x.shape[:1])}.")
    return t.reshape(-1, *[1] * (x.ndim - 1))


def time_like(t: Tensor | float, x: Tensor) -> Tensor:
    """t as a tensor in the dtype of a floating x, on its device.  ValueError for a non-scalar t on another device."""
    if isinstance(t, Tensor) and t.device != x.device and (t.ndim or t.device.type == "meta"):
        raise ValueError(f"t is on the device {t.device} and x on {x.device}: expected one device.")
    return torch.as_tensor(t, dtype=x.dtype if x.is_floating_point() else None, device=x.device)


def flat(x: Tensor) -> Tensor:
    """(B, *event) -> (B, D), also for an empty batch."""
    return x.reshape(len(x), -1) if x.numel() else x.new_zeros(len(x), int(np.prod(x.shape[1:])))


def seed(value: int = 0) -> torch.Generator:
    """Seed Python, numpy and torch (every device), and return a CPU generator of the same seed."""
    random.seed(value)
    np.random.seed(value)
    return torch.manual_seed(value)


def device() -> torch.device:
    """DGM_DEVICE if it is set, else cuda, else mps, else cpu.  Each process of torchrun gets the GPU of its LOCAL_RANK."""
    wanted = os.environ.get("DGM_DEVICE") or ("cuda" if torch.cuda.is_available() else "")
    found = torch.device(wanted or ("mps" if torch.backends.mps.is_available() else "cpu"))
    number = os.environ.get("LOCAL_RANK", "") if "TORCHELASTIC_RUN_ID" in os.environ else ""
    if found.type != "cuda" or found.index is not None or not number:
        return found
    if int(number) >= torch.cuda.device_count():
        raise ValueError(
            f"torchrun started process {int(number) + 1} on a machine with {torch.cuda.device_count()} GPUs: "
            "expected at most one process for each (or DGM_DEVICE=cpu)."
        )
    return torch.device("cuda", int(number))


def budget(*, quick: Choice, full: Choice) -> Choice:
    """``quick`` on a CPU, ``full`` on a GPU; DGM_BUDGET ('quick', 'full' or 'brief') overrides it.

    'brief' is a tenth of a quick number of steps: enough to see that everything runs."""
    wanted = os.environ.get("DGM_BUDGET") or ("full" if device().type == "cuda" else "quick")
    if wanted not in ("quick", "full", "brief"):
        raise ValueError(f"DGM_BUDGET is {wanted!r}: expected 'quick', 'full' or 'brief'.")
    if wanted == "brief" and isinstance(quick, int):
        return cast(Choice, max(1, quick // 10))
    return full if wanted == "full" else quick


def strict() -> bool:
    """Whether a wrong answer or picture raises: DGM_STRICT is set (and not 0), or nbgrader executes the notebook."""
    return os.environ.get("DGM_STRICT", "") not in ("", "0") or bool(os.environ.get("NBGRADER_EXECUTION"))


def fast_dtype(on: torch.device | None = None) -> torch.dtype | None:
    """bfloat16 if the processor computes in it (about twice as fast for convolutions), else None: float32."""
    kind = (on or device()).type
    if kind == "cuda":
        able = torch.cuda.is_bf16_supported()
    else:
        known: dict[str, Any] = getattr(
            torch.cpu, "get_capabilities", dict
        )()  # an older torch has no such list; Arm calls it bf16
        able = kind == "cpu" and any(known.get(flag) for flag in ("avx512_bf16", "amx_bf16", "bf16"))
    return torch.bfloat16 if able else None


@contextmanager
def threads_for(module: Any) -> Iterator[None]:
    """One thread for a small network (fewer than 50,000 weights), all cores for a large one, afterwards as before.

    For a 64-wide layer, splitting the work costs more than it saves.  OMP_NUM_THREADS is the upper limit."""
    before = torch.get_num_threads()
    count = parameter_count(module) if isinstance(module, nn.Module) else 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    cores = min(cores, int(allowed)) if allowed.isdecimal() and int(allowed) else cores
    torch.set_num_threads(1 if count < 50_000 else cores)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def parameter_count(module: nn.Module, trained: bool = False) -> int:
    """The number of parameters of a module, or of its trainable ones."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad or not trained)
