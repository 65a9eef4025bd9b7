"""From whatever a student's function returns to float64 arrays, copied, of exactly the type ndarray.

Objects with an opinion (subclasses, things that define __eq__ or __array__) are refused, never asked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from .cases import AnswerError, ObserveSpec

MOST_NUMBERS = 10_000_000
PLAIN_SCALARS = (bool, int, float)


def text_of(error: BaseException) -> str:
    try:
        said = str(error)
    except BaseException:
        said = "(no message)"
    return re.sub(r"0x[0-9a-f]+", "0x…", said.strip().split("\n")[0])[:300]


def named(result: object, watch: ObserveSpec) -> dict[str, np.ndarray]:
    names = watch.outputs
    if len(names) == 1:
        return {names[0]: plain(result)}
    parts = list(result) if type(result) in (tuple, list) or isinstance(result, tuple) else plain(result)
    if isinstance(parts, np.ndarray) and parts.ndim == 0 or len(parts) != len(names):
        came = f"an array of shape {parts.shape}" if isinstance(parts, np.ndarray) else f"{len(parts)} values"
        raise AnswerError("count", f"{came} came, expected {len(names)}: ({', '.join(names)})")
    return {name: plain(part) for name, part in zip(names, parts, strict=False)}


def plain(value: object, depth: int = 0) -> np.ndarray:
    """A float64 copy, exactly an ndarray, of a tensor, array, number, or list of these; no subclasses."""
    if value is None:
        raise AnswerError("none")
    if value is Ellipsis:
        raise AnswerError("unfilled")
    if type(value) in (torch.Tensor, nn.Parameter):
        return _from_tensor(value)
    if type(value) is np.ndarray:
        return _from_array(value)
    if type(value) in PLAIN_SCALARS or (isinstance(value, np.generic) and type(value).__module__ == "numpy"):
        return _from_array(np.array(value))
    if type(value) in (list, tuple) and depth < 3 and 0 < len(value) <= 10_000:
        return _stacked([plain(part, depth + 1) for part in value])
    raise AnswerError("type", type(value).__name__)


def _from_tensor(value: torch.Tensor) -> np.ndarray:
    if value.is_complex():
        raise AnswerError("type", "complex tensor")
    if value.numel() > MOST_NUMBERS:
        raise AnswerError("type", f"tensor of {value.numel()} numbers")
    try:
        dense = value.detach().to_dense() if value.layout != torch.strided else value.detach()
        return np.array(dense.to(device="cpu", dtype=torch.float64).numpy(), dtype=np.float64, copy=True)
    except (RuntimeError, NotImplementedError) as error:
        raise AnswerError("type", f"tensor that cannot be read ({text_of(error)})") from None


def _from_array(value: np.ndarray) -> np.ndarray:
    if value.dtype.kind not in "biuf" or value.size > MOST_NUMBERS:
        raise AnswerError("type", f"array of {value.dtype} with {value.size} entries")
    return np.array(value, dtype=np.float64, copy=True)


def _stacked(parts: list[np.ndarray]) -> np.ndarray:
    if len({part.shape for part in parts}) > 1:
        raise AnswerError("type", f"list of arrays with shapes {[part.shape for part in parts][:4]}")
    return np.stack(parts)


def tracks_gradient(result: object) -> bool:
    """Whether any tensor in it, however deep in lists, still hangs on a graph."""
    if isinstance(result, (list, tuple)):
        return any(tracks_gradient(part) for part in result)
    return type(result) in (torch.Tensor, nn.Parameter) and result.requires_grad


def are_tensors(result: object, args: Sequence[object], watch: ObserveSpec) -> bool:
    """Whether each output is a tensor in the dtype of the first batch (of a scalar the dtype never matters).

    For tokens that is the first batch of whole numbers."""
    kinds = (v.dtype for v in args if isinstance(v, torch.Tensor) and v.is_floating_point() != watch.tokens)
    wanted = next(kinds, torch.get_default_dtype())
    parts = result if len(watch.outputs) > 1 and isinstance(result, (tuple, list)) else [result]
    return all(isinstance(part, torch.Tensor) and (part.dtype == wanted or not part.ndim) for part in parts)
