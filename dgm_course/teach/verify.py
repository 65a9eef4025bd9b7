"""``verify(item, left, right, what=...)`` compares both sides of an equation and prints one line.

It raises ``LawBroken`` where they differ by more than a relative tolerance, or by more than five standard errors where
a side is a Monte-Carlo ``Estimate``.  It refuses comparisons that prove nothing: an object with itself, or an error bar
as large as the value.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

SIGMAS = 5.0


class LawBroken(AssertionError):
    """The two sides of an equation differ."""


@dataclass(frozen=True)
class Estimate:
    """A Monte-Carlo mean with its standard error, both (*shape), from n samples."""

    mean: Tensor
    error: Tensor
    n: int


def estimate(values: Tensor) -> Estimate:
    """mean ± s/√n over the first dimension.  values (n, *shape) of independent samples, n > 1"""
    if len(values) < 2:
        raise ValueError(f"values has shape {tuple(values.shape)}: a standard error needs two samples or more.")
    values = values.detach().double()
    return Estimate(values.mean(0), values.std(0) / math.sqrt(len(values)), len(values))


def verify(
    item: str,
    left: Tensor | Estimate,
    right: Tensor | Estimate | float,
    what: str,
    tolerance: float = 1e-10,
    scale: float | None = None,
) -> None:
    """Print one line where left = right, raise LawBroken where not.

    item: the lecture item's id; what: the equation in a few signs; tolerance: largest difference relative to ``scale``,
    which is the largest size of the right side unless given (give it where the right side is zero)"""
    if _same(left, right):
        raise ValueError(f"{item}: both sides are the same object, which proves nothing.")
    sides = [side if isinstance(side, Estimate) else torch.as_tensor(side).detach() for side in (left, right)]
    l, r = (side.mean if isinstance(side, Estimate) else side.double() for side in sides)
    _check_shapes(item, l, r)
    if tolerance > 0.5:
        raise ValueError(f"{item}: tolerance is {tolerance:g}, relative to the size: expected at most 0.5.")
    size = float(r.abs().max()) if scale is None else scale
    if not size > 0:
        raise ValueError(
            f"{item}: the right side is {size}: give scale=, the size that differences are relative to."
        )
    estimates = [side for side in sides if isinstance(side, Estimate)]
    allowed = _allowed(item, estimates, size) if estimates else torch.full_like(l, tolerance * size)
    _compare(item, what, l, r if r.shape == l.shape else r.reshape(()).expand_as(l), allowed)
    if estimates:
        n, error = max(side.n for side in estimates), f"{float(allowed.max()) / SIGMAS / size * 100:.1g}"
        how = f"within five standard errors ({n:,} samples, the largest error is {float(error):g} % of the size)"
    else:
        how = f"to {tolerance:.0e} ({str(sides[0].dtype).removeprefix('torch.')}, {l.numel():,} values)"
    print(f"✓ {item} — {what} agrees {how}")


def _check_shapes(item: str, left: Tensor, right: Tensor) -> None:
    shapes = f"{item}: the sides have shapes {tuple(left.shape)} and {tuple(right.shape)}"
    if left.shape != right.shape and right.numel() > 1:
        raise ValueError(f"{shapes}: expected the same.")
    if not left.numel() or not right.numel():
        raise ValueError(f"{shapes}: nothing to compare.")


def _same(left: object, right: object) -> bool:
    """Whether both are one object, or views of the same numbers."""
    if not (isinstance(left, Tensor) and isinstance(right, Tensor)) or left is right:
        return left is right
    views = left.shape == right.shape and left.stride() == right.stride() and left.numel() > 1
    return views and left.data_ptr() == right.data_ptr()


def _allowed(item: str, estimates: list[Estimate], size: float) -> Tensor:
    """Five standard errors of the difference, the root of the sum of squares."""
    allowed = SIGMAS * torch.stack([e.error.double() for e in estimates]).square().sum(0).sqrt()
    if float(allowed.max()) > size / 2:
        raise ValueError(
            f"{item}: five standard errors are {float(allowed.max()):.2g} where the quantity itself is "
            f"{size:.2g}: too few samples to tell right from wrong."
        )
    return allowed


def _compare(item: str, what: str, left: Tensor, right: Tensor, allowed: Tensor) -> None:
    excess = (left - right).abs() - allowed
    if bool((excess <= 0).all()):  # false for NaN as well
        return
    worst = int(torch.nan_to_num(excess, nan=math.inf).argmax())
    raise LawBroken(
        f"✗ {item} — {what} is broken: {float(left.flatten()[worst]):.6g} on the left, "
        f"{float(right.flatten()[worst]):.6g} on the right, allowed difference "
        f"{float(allowed.flatten()[worst]):.2g} (worst of {left.numel()} values)."
    )
