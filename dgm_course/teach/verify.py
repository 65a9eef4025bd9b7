"""Two sides of an equation, compared, in one line that a reader can believe.

``verify(item, left, right, what=...)`` raises where the sides differ beyond what is allowed: a stated tolerance where
both are computed, five standard errors where one is a Monte-Carlo ``Estimate``.  It also refuses to be fooled: a thing
compared with itself proves nothing, and an error bar as large as the claim would let anything pass.
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
    which is the largest size of the right side unless given (give it where the right side is zero)."""
    if _same(left, right):
        raise ValueError(f"{item}: both sides are the same object, which proves nothing.")
    sides = [side if isinstance(side, Estimate) else torch.as_tensor(side).detach() for side in (left, right)]
    l, r = (side.mean if isinstance(side, Estimate) else side.double() for side in sides)  # noqa: E741
    if l.shape != r.shape and r.numel() > 1:
        raise ValueError(
            f"{item}: the sides have shapes {tuple(l.shape)} and {tuple(r.shape)}: expected the same."
        )
    if not l.numel() or not r.numel():
        raise ValueError(
            f"{item}: the sides have shapes {tuple(l.shape)} and {tuple(r.shape)}: nothing to compare."
        )
    if tolerance > 0.5:
        raise ValueError(
            f"{item}: tolerance is {tolerance:g} of the size: expected one that can tell right from wrong."
        )
    size = float(r.abs().max()) if scale is None else scale
    if not size > 0:
        raise ValueError(
            f"{item}: the right side is {size}: give scale=, the size that a difference is to be judged by."
        )
    errors = [side.error for side in sides if isinstance(side, Estimate)]
    allowed = _allowed(item, errors, size) if errors else torch.full_like(l, tolerance * size)
    _compare(item, what, l, r if r.shape == l.shape else r.reshape(()).expand_as(l), allowed)
    n = max((side.n for side in sides if isinstance(side, Estimate)), default=l.numel())
    dtype = str(next((s.dtype for s in sides if isinstance(s, Tensor)), torch.float64)).removeprefix("torch.")
    how = (
        f"within five standard errors ({n:,} samples, the largest error is {_percent(allowed, size)} of the size)"
        if errors
        else f"to {tolerance:.0e} ({dtype}, {n:,} values)"
    )
    print(f"✓ {item} — {what} agrees {how}")


def _same(left: object, right: object) -> bool:
    """One object, or two views of the same numbers."""
    views = (
        isinstance(left, Tensor) and isinstance(right, Tensor) and left.shape == right.shape and left.numel() > 1
    )
    return left is right or views and left.data_ptr() == right.data_ptr() and left.stride() == right.stride()


def _allowed(item: str, errors: list[Tensor], size: float) -> Tensor:
    allowed = SIGMAS * torch.stack([e.double() for e in errors]).square().sum(0).sqrt()
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


def _percent(allowed: Tensor, size: float) -> str:
    return f"{float(f'{float(allowed.max()) / SIGMAS / size * 100:.1g}'):g} %"
