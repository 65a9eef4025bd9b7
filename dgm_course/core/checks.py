"""Guards: each raises an error that names what came and what was expected.

Values are checked on the CPU only: on a GPU each check would force a sync.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .tensors import expand_time, time_like


def expect_batch(
    x: Tensor, event: Sequence[int] | None = None, name: str = "x", on: torch.device | None = None
) -> Tensor:
    """x itself, if it is a floating batch (B, *event) without NaN, on the device ``on``.  It may be empty."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{name} is a {type(x).__name__}: expected a torch tensor (torch.as_tensor converts).")
    if not x.is_floating_point():
        advice = "for pixels 0-255 divide first; for tokens use a discrete path"
        raise TypeError(f"{name} has dtype {x.dtype}: expected floating point, such as torch.float32 ({advice}).")
    if event is not None and tuple(x.shape[1:]) != tuple(event) or x.ndim < 1:
        sizes = ", ".join(map(str, ["..."] if event is None else event))
        raise ValueError(f"{name} has shape {tuple(x.shape)}: expected (B,{sizes and ' ' + sizes}).")
    if on is not None and x.device != on:
        raise ValueError(f"{name} is on the device {x.device}: expected {on}.")
    if x.device.type == "cpu" and torch.isnan(x).any():
        raise ValueError(f"{name} contains NaN in {int(torch.isnan(x).sum())} of {x.numel()} places.")
    return x


def expect_some(x: Tensor, name: str = "x") -> Tensor:
    """x itself, if it holds at least one sample: a mean over an empty batch would be NaN."""
    if len(x) == 0:
        raise ValueError(f"{name} is an empty batch of shape {tuple(x.shape)}: a mean needs at least one sample.")
    return x


def expect_alike(x: Tensor, y: Tensor, names: tuple[str, str] = ("x", "y")) -> None:
    """Raise unless x and y have the same device, dtype and shape."""
    for value, name in zip((x, y), names, strict=True):
        if not isinstance(value, Tensor):
            raise TypeError(f"{name} is a {type(value).__name__}: expected a torch tensor.")
    for what in ("device", "dtype", "shape"):
        left, right = getattr(x, what), getattr(y, what)
        if left != right:
            left, right = (tuple(s) if what == "shape" else s for s in (left, right))
            raise ValueError(f"{names[0]} and {names[1]} differ in {what}: {left} and {right}.")


def expect_labels(
    y: Tensor | int | None, classes: int, n: int, device: torch.device, optional: bool = False
) -> Tensor:
    """Class numbers 0 ... classes - 1, one a sample.  y () or (n,) integers -> (n,)

    None becomes the number `classes` if y is optional or classes is 0."""
    if y is None and (optional or not classes):
        return torch.full((n,), classes, device=device)
    if y is None:
        raise ValueError(f"y was not given: expected one of {classes} classes.")
    if not classes:
        raise ValueError("y was given, but this network knows no classes: build it with classes=10.")
    y = torch.as_tensor(y, device=device)
    if y.is_floating_point() or y.dtype == torch.bool or tuple(y.shape) not in ((), (n,)):
        came = f"y has shape {tuple(y.shape)} and dtype {y.dtype}"
        raise ValueError(f"{came}: expected class numbers, integers of shape () or ({n},).")
    low, high = (int(end) for end in torch.aminmax(y)) if y.numel() and y.device.type == "cpu" else (0, 0)
    if low < 0 or high >= classes:
        raise ValueError(f"y runs from {low} to {high}: expected class numbers 0 to {classes - 1}.")
    return y.long().expand(n)


def expect_heads(width: int, heads: int | tuple[int, int]) -> tuple[int, int]:
    """(heads, kv_heads) of an attention of that width; one number gives both."""
    heads, kv_heads = (heads, heads) if isinstance(heads, int) else heads
    if heads < 1 or width % heads:
        raise ValueError(f"{heads} heads do not divide the width {width}: expected width / heads to be whole.")
    if kv_heads < 1 or heads % kv_heads:
        raise ValueError(f"kv_heads is {kv_heads}: expected a number that divides the {heads} heads.")
    return heads, kv_heads


def expect_network_input(
    x: Tensor, event: Sequence[int | str], who: str, name: str = "x", what: str = "", multiple: int = 1
) -> None:
    """Raise unless x is (B, *event).  A str in ``event`` is a free size, which must be a multiple of ``multiple``."""
    sizes = tuple(x.shape[1:])
    if sizes == event:
        return
    fits = (size % multiple == 0 if isinstance(want, str) else size == want for size, want in zip(sizes, event))
    if len(sizes) != len(event) or not all(fits):
        expected = f"{what} ({', '.join(map(str, ('B', *event)))})".strip()
        rest = f", H and W multiples of {multiple}" if multiple > 1 else ""
        raise ValueError(f"{name} has shape {tuple(x.shape)}: this {who} expects {expected}{rest}.")


def expect_time(t: Tensor | float, x: Tensor | None = None, span: tuple[float, float] = (0.0, 1.0)) -> Tensor:
    """t as a tensor () or (B,) within ``span``, in the dtype of x.  Noise is at 0, data at 1."""
    t = torch.as_tensor(t) if x is None else time_like(t, x)
    if not t.is_floating_point():
        t = t.to(torch.get_default_dtype())
    low, high = (float(end) for end in torch.aminmax(t.detach())) if t.numel() and t.device.type == "cpu" else span
    slack = 1e-6
    if not (span[0] - slack <= low and high <= span[1] + slack):
        expected = (
            f"expected times in [{span[0]:g}, {span[1]:g}] (0 is noise, 1 is data; diffusion slides use 1 - t)"
        )
        raise ValueError(f"t runs from {low:.4g} to {high:.4g}: {expected}.")
    if x is not None:
        expand_time(t, x)
    return t
