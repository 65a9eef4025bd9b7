"""From tensors to the bytes that a player sends to the browser, once.

Positions, images and vector fields become whole numbers of 8 or 16 bits,

    q = round((v - lo) / (hi - lo) * (2^bits - 1)),      |v - dequantise(q)| <= (hi - lo) / (2 (2^bits - 1)),

so that a position in [-8, 8] has an error of at most 0.00013 with 16 bits: a hundredth of a pixel.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

HERE = Path(__file__).parent
Array = NDArray[Any]


def script(*names: str) -> str:
    """One ES module from several files: ``common.js`` first, the one with ``export default`` last."""
    return "\n".join((HERE / f"{name}.js").read_text(encoding="utf-8") for name in names)


def style() -> str:
    """The players' style sheet."""
    return (HERE / "players.css").read_text(encoding="utf-8")


def array(x: Any, name: str) -> Array:
    """A numpy array (float64, or int for whole numbers) of finite numbers.  TypeError or ValueError for anything else"""
    try:
        out = x.detach().cpu().numpy() if isinstance(x, torch.Tensor) else np.asarray(x)
        out = out if out.dtype.kind in "iu" else out.astype(np.float64)
    except (TypeError, ValueError) as why:
        raise TypeError(f"{name} must be a tensor or array of numbers; {type(x).__name__} came.") from why
    if bad := int((~np.isfinite(out)).sum()):
        raise ValueError(f"{name} must be finite; {bad} values that are NaN or infinite came, of {out.size}.")
    return out


def quantise(values: Array, lo: float | Array, hi: float | Array, dtype: str) -> Array:
    """Whole numbers of ``dtype`` ("<u2" or "u1") for values clipped to [lo, hi]."""
    top = np.iinfo(dtype).max
    return np.clip(np.rint((values - lo) / (hi - lo) * top), 0, top).astype(dtype)


class BufferBuilder:
    """Many arrays in one bytes object; each starts at a multiple of eight bytes."""

    def __init__(self) -> None:
        self.data = bytearray()

    def add(self, values: Array) -> int:
        """Append an array and return where it starts."""
        at = len(self.data)
        self.data += np.ascontiguousarray(values).tobytes()
        self.data += b"\0" * (-len(self.data) % 8)
        return at

    def bytes(self) -> bytes:
        return bytes(self.data)


def square(limit: float, count: int) -> torch.Tensor:
    """Points (count², 2) of a square grid on [-limit, limit]²; x runs fastest, y from low to high."""
    line = torch.linspace(-limit, limit, count)
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], dim=1)


def _device(function: Any) -> torch.device:
    """Where a module, or the module of a bound method, keeps its parameters."""
    owner = getattr(function, "__self__", function)
    weights = owner.parameters() if isinstance(owner, torch.nn.Module) else iter(())
    return next((w.device for w in weights), torch.device("cpu"))


def evaluate(function: Callable[..., Any], x: torch.Tensor, t: float) -> Array:
    """``function(x, t)`` without gradients, as an array (B, 2).  ValueError where it fails or has another shape"""
    device = _device(function)
    try:
        with torch.no_grad():
            out = function(x.to(device), torch.tensor(t, dtype=x.dtype, device=device))
    except Exception as why:
        raise ValueError(
            f"field(x, t) failed with x of shape {tuple(x.shape)} and t = {t:.3g} of shape (): "
            f"{type(why).__name__}: {why}"
        ) from why
    out = np.asarray(out.detach().cpu() if isinstance(out, torch.Tensor) else out, dtype=np.float64)
    if out.shape != tuple(x.shape):
        shapes = f"shape {tuple(x.shape)}; {tuple(out.shape)} came."
        raise ValueError(f"field(x, t) must give one velocity for each point, {shapes}")
    return out


def sample_field(field: Any, limit: float, times: Array, count: int = 49) -> Array:
    """The field at the K times on a grid, (K, count, count, 2); row = y, column = x.  The browser interpolates.

    On the exact fields of moons and spiral a path through 49 x 49 nodes at 33 times ends within 0.003 of the true one
    (median).  Where a field has no finite value at an end of the clock, its value a thousandth inside is used."""
    function = getattr(field, "velocity", field)
    if not callable(function):
        raise TypeError(f"field must be a function (x (B, 2), t ()) -> (B, 2); {type(field).__name__} came.")
    grid, inside = square(limit, count), (times[-1] - times[0]) / 1000

    def at(t: float) -> Array:
        out = evaluate(function, grid, t)
        if not np.isfinite(out).all():
            out = evaluate(function, grid, float(np.clip(t, times[0] + inside, times[-1] - inside)))
        if not np.isfinite(out).all():
            raise ValueError(f"field(x, t) gives NaN or infinity at t = {t:.3g}, inside the frame.")
        return out.reshape(count, count, 2)

    return np.stack([at(float(t)) for t in times])


def sample_density(density: Any, limit: float, times: Array, count: int = 64) -> Array:
    """A density as frames (K, H, W) in [0, 1], each scaled by its own peak.

    density: an array (K, H, W) or (H, W), y from low to high; a constant density with ``log_prob(x)``; or one that
    changes, given by ``marginal(t)`` or as a function of t"""
    if hasattr(density, "log_prob"):
        frames = _density_on_grid(density, limit, count)[None]
    elif hasattr(density, "marginal") or callable(density):
        at = getattr(density, "marginal", density)
        frames = np.stack([_density_on_grid(at(torch.tensor(float(t))), limit, count) for t in times])
    else:
        frames = array(density, "density")
        frames = frames[None] if frames.ndim == 2 else frames
        if frames.ndim != 3:
            raise ValueError(f"density as an array must be (H, W) or (K, H, W); {frames.shape} came.")
    return frames / np.maximum(frames.max(axis=(1, 2), keepdims=True), 1e-300)


def _density_on_grid(density: Any, limit: float, count: int) -> Array:
    """exp(log_prob) on the grid, (count, count), up to a factor."""
    if not hasattr(density, "log_prob"):
        raise TypeError(f"density(t) must give something with log_prob(x); {type(density).__name__} came.")
    with torch.no_grad():
        log = density.log_prob(square(limit, count)).double().cpu().numpy().reshape(count, count)
    return np.exp(log - log.max())
