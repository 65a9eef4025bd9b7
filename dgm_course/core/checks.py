"""Guards: wrong input becomes a sentence that names what came and what was expected."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .tensors import _expect_near, expand_time


def expect_batch(
    x: Tensor, event: Sequence[int] | None = None, name: str = "x", on: torch.device | None = None
) -> Tensor:
    """x itself where it is a floating batch (B, *event) without NaN, on the device ``on``; otherwise a sentence.

    Values are looked at on a CPU only: each look at a GPU's would hold up what is under way there.  An empty
    batch passes: what has no mean of nothing says so itself (``expect_some``)."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{name} is a {type(x).__name__}: expected a torch tensor (torch.as_tensor converts).")
    if not x.is_floating_point():
        raise TypeError(
            f"{name} has dtype {x.dtype}: expected floating point, such as torch.float32 "
            "(for pixels 0-255 divide first; for tokens use a discrete path)."
        )
    if event is not None and tuple(x.shape[1:]) != tuple(event) or x.ndim < 1:
        sizes = ["B", *map(str, ["..."] if event is None else event)]
        raise ValueError(
            f"{name} has shape {tuple(x.shape)}: expected ({', '.join(sizes)}{',' * (len(sizes) == 1)})."
        )
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


def expect_labels(
    y: Tensor | int | None, classes: int, n: int, device: torch.device, optional: bool = False
) -> Tensor:
    """Class numbers 0 ... classes - 1, one a sample: y () or (n,) integers -> (n,), or a ValueError.

    None becomes the number `classes` where y is optional or classes is 0; elsewhere it is refused."""
    if y is None and (optional or not classes):
        return torch.full((n,), classes, device=device)
    if y is None:
        raise ValueError(f"y was not given: expected one of {classes} classes.")
    if not classes:
        raise ValueError("y was given, but this network knows no classes: build it with classes=10.")
    y = torch.as_tensor(y, device=device)
    if y.is_floating_point() or y.dtype == torch.bool or tuple(y.shape) not in ((), (n,)):
        raise ValueError(
            f"y has shape {tuple(y.shape)} and dtype {y.dtype}: expected class numbers, integers of shape "
            f"() or ({n},)."
        )
    low, high = (int(end) for end in torch.aminmax(y)) if y.numel() and y.device.type == "cpu" else (0, 0)
    if low < 0 or high >= classes:
        raise ValueError(f"y runs from {low} to {high}: expected class numbers 0 to {classes - 1}.")
    return y.long().expand(n)


def expect_heads(width: int, heads: int | tuple[int, int]) -> tuple[int, int]:
    """(heads, kv_heads) of an attention of that width, both the same where one number is given; or a sentence."""
    heads, kv_heads = (heads, heads) if isinstance(heads, int) else heads
    if heads < 1 or width % heads:
        raise ValueError(f"{heads} heads do not divide the width {width}: expected width / heads to be whole.")
    if kv_heads < 1 or heads % kv_heads:
        raise ValueError(f"kv_heads is {kv_heads}: expected a number that divides the {heads} heads.")
    return heads, kv_heads


def expect_time(t: Tensor | float, x: Tensor | None = None, span: tuple[float, float] = (0.0, 1.0)) -> Tensor:
    """t as a tensor () or (B,) within [span], or a sentence; the library's clock has noise at 0 and data at 1.

    On a GPU the values are not looked at."""
    if x is not None:
        _expect_near(t, x)
    t = torch.as_tensor(
        t,
        dtype=x.dtype if x is not None and x.is_floating_point() else None,
        device=None if x is None else x.device,
    )
    if not t.is_floating_point():
        t = t.to(torch.get_default_dtype())
    low, high = (float(end) for end in torch.aminmax(t.detach())) if t.numel() and t.device.type == "cpu" else span
    slack = 1e-6
    if not (span[0] - slack <= low and high <= span[1] + slack):
        raise ValueError(
            f"t runs from {low:.4g} to {high:.4g}: expected times in [{span[0]:g}, {span[1]:g}] "
            "(0 is noise, 1 is data; diffusion slides use 1 - t)."
        )
    if x is not None:
        expand_time(t, x)
    return t
