"""Where every other file stands: time over data, the seed, the device, the budget, and the guards.

Three habits of the whole course begin here.

*Time is broadcast in one place.*  A time t is a scalar () or one value a sample (B,); a batch of data is
(B, *event) with any event.  ``over(t, x)`` gives t the trailing ones it needs, and nobody else reshapes it.

*Tensors follow their inputs.*  Nothing in the library moves data to a device by itself: what it creates has the
dtype and device of what it was given.  ``device()`` is for the notebook's set-up cell.

*Wrong input is a sentence.*  The guards name what came and what was expected.
"""
from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

Choice = TypeVar("Choice")


def over(t: Tensor | float, x: Tensor) -> Tensor:
    """t laid over x: (B,) -> (B, 1, ..., 1), a scalar stays (); dtype and device of a floating x.

    x (B, *event).  ValueError where t is neither a scalar nor one value a sample, or lies on another device."""
    _expect_near(t, x)
    t = torch.as_tensor(t, dtype=x.dtype if x.is_floating_point() else None, device=x.device)
    if t.ndim == 0:
        return t
    if t.shape[:1] != x.shape[:1] or t.numel() != t.shape[0]:
        raise ValueError(f"t of shape {tuple(t.shape)} does not fit x of shape {tuple(x.shape)}: "
                         f"expected a scalar or one time a sample, {tuple(x.shape[:1])}.")
    return t.reshape(-1, *[1] * (x.ndim - 1))


def flat(x: Tensor) -> Tensor:
    """(B, *event) -> (B, D), also for an empty batch."""
    return x.reshape(len(x), -1) if x.numel() else x.new_zeros(len(x), int(np.prod(x.shape[1:])))


def seed(value: int = 0) -> torch.Generator:
    """Seed Python, numpy and torch (every device), and return a CPU generator of the same seed."""
    random.seed(value)
    np.random.seed(value)
    return torch.manual_seed(value)


def device() -> torch.device:
    """The best device present: cuda, else mps, else cpu; the variable DGM_DEVICE decides otherwise.

    Of several processes that torchrun started on this machine each has the GPU of its own number."""
    wanted = os.environ.get("DGM_DEVICE", "")
    found = torch.device(wanted or ("cuda" if torch.cuda.is_available() else
                                    "mps" if torch.backends.mps.is_available() else "cpu"))
    number = os.environ.get("LOCAL_RANK", "") if "TORCHELASTIC_RUN_ID" in os.environ else ""
    if found.type != "cuda" or found.index is not None or not number:
        return found
    if int(number) >= torch.cuda.device_count():
        raise ValueError(f"torchrun started process {int(number) + 1} on a machine with {torch.cuda.device_count()} GPUs: "
                         "expected at most one process for each (or DGM_DEVICE=cpu).")
    return torch.device("cuda", int(number))


def budget(*, quick: Choice, full: Choice) -> Choice:
    """``quick`` on a CPU, ``full`` on a GPU; the variable DGM_BUDGET ('quick', 'full' or 'brief') decides otherwise.

    'brief' is a tenth of a quick number of steps: enough to see that everything runs, and nothing more."""
    wanted = os.environ.get("DGM_BUDGET") or ("full" if device().type == "cuda" else "quick")
    if wanted not in ("quick", "full", "brief"):
        raise ValueError(f"DGM_BUDGET is {wanted!r}: expected 'quick', 'full' or 'brief'.")
    if wanted == "brief" and isinstance(quick, int):
        return max(1, quick // 10)
    return full if wanted == "full" else quick


def fast_dtype(on: torch.device | None = None) -> torch.dtype | None:
    """bfloat16 where the processor computes in it (about twice as fast for convolutions), else None: float32."""
    kind = (on or device()).type
    able = torch.cuda.is_bf16_supported() if kind == "cuda" else kind == "cpu" and any(
        torch.cpu.get_capabilities().get(flag) for flag in ("avx512_bf16", "amx_bf16", "arm_bf16"))
    return torch.bfloat16 if able else None


@contextmanager
def threads_for(module: Any) -> Iterator[None]:
    """One thread while a small network (fewer than 50,000 weights) works, every core for a large one, then as before.

    Handing a 64-wide layer to two cores costs more than it saves, and very much more on a busy machine.  OMP_NUM_THREADS,
    where it is set, is the most that is taken."""
    before, weights = torch.get_num_threads(), getattr(module, "parameters", tuple)()
    count = sum(p.numel() for p in weights)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    cores = min(cores, int(allowed)) if allowed.isdecimal() and int(allowed) else cores
    torch.set_num_threads(1 if count < 50_000 else cores)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def expect_batch(x: Tensor, event: Sequence[int] | None = None, name: str = "x",
                 on: torch.device | None = None) -> Tensor:
    """x itself where it is a floating batch (B, *event) without NaN, on the device ``on``; otherwise a sentence.

    Values are looked at on a CPU only: each look at a GPU's would hold up what is under way there.  An empty
    batch passes: what has no mean of nothing says so itself (``expect_some``)."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{name} is a {type(x).__name__}: expected a torch tensor (torch.as_tensor converts).")
    if not x.is_floating_point():
        raise TypeError(f"{name} has dtype {x.dtype}: expected floating point, such as torch.float32 "
                        "(for pixels 0-255 divide first; for tokens use a discrete path).")
    if event is not None and tuple(x.shape[1:]) != tuple(event) or x.ndim < 1:
        sizes = ["B", *map(str, ["..."] if event is None else event)]
        raise ValueError(f"{name} has shape {tuple(x.shape)}: expected ({', '.join(sizes)}{',' * (len(sizes) == 1)}).")
    if on is not None and x.device != on:
        raise ValueError(f"{name} is on the device {x.device}: expected {on}.")
    if x.device.type == "cpu" and torch.isnan(x).any():
        raise ValueError(f"{name} contains NaN in {int(torch.isnan(x).sum())} of {x.numel()} places.")
    return x


def expect_some(x: Tensor, name: str = "x") -> Tensor:
    """x where it holds at least one sample; a mean over an empty batch would silently be NaN."""
    if len(x) == 0:
        raise ValueError(f"{name} is an empty batch of shape {tuple(x.shape)}: a mean needs at least one sample.")
    return x


def expect_alike(x: Tensor, y: Tensor, names: tuple[str, str] = ("x", "y")) -> None:
    """x and y of one shape, dtype and device, or a sentence that says which of them differs."""
    for value, name in zip((x, y), names, strict=True):
        if not isinstance(value, Tensor):
            raise TypeError(f"{name} is a {type(value).__name__}: expected a torch tensor.")
    for what in ("device", "dtype", "shape"):
        left, right = getattr(x, what), getattr(y, what)
        if left != right:
            left, right = (tuple(s) if what == "shape" else s for s in (left, right))
            raise ValueError(f"{names[0]} and {names[1]} differ in {what}: {left} and {right}.")


def expect_heads(width: int, heads: int | tuple[int, int]) -> tuple[int, int]:
    """(heads, kv_heads) of an attention of that width, both the same where one number is given; or a sentence."""
    heads, kv_heads = (heads, heads) if isinstance(heads, int) else heads
    if heads < 1 or width % heads:
        raise ValueError(f"{heads} heads do not divide the width {width}: expected width / heads to be whole.")
    if kv_heads < 1 or heads % kv_heads:
        raise ValueError(f"kv_heads is {kv_heads}: expected a number that divides the {heads} heads.")
    return heads, kv_heads


def _expect_near(t: Tensor | float, x: Tensor) -> None:
    """A scalar t goes anywhere; times one a sample, and whatever holds no value at all, must be where x is."""
    if isinstance(t, Tensor) and t.device != x.device and (t.ndim or t.device.type == "meta"):
        raise ValueError(f"t is on the device {t.device} and x on {x.device}: expected one device.")


def expect_time(t: Tensor | float, x: Tensor | None = None, span: tuple[float, float] = (0.0, 1.0)) -> Tensor:
    """t as a tensor () or (B,) within [span], or a sentence; the library's clock has noise at 0 and data at 1.

    On a GPU the values are not looked at."""
    if x is not None:
        _expect_near(t, x)
    t = torch.as_tensor(t, dtype=x.dtype if x is not None and x.is_floating_point() else None,
                        device=None if x is None else x.device)
    if not t.is_floating_point():
        t = t.to(torch.get_default_dtype())
    low, high = (float(end) for end in torch.aminmax(t.detach())) if t.numel() and t.device.type == "cpu" else span
    slack = 1e-6
    if not (span[0] - slack <= low and high <= span[1] + slack):
        raise ValueError(f"t runs from {low:.4g} to {high:.4g}: expected times in [{span[0]:g}, {span[1]:g}] "
                         "(0 is noise, 1 is data; diffusion slides use 1 - t).")
    if x is not None:
        over(t, x)
    return t
