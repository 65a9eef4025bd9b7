"""From tensors to bytes: what a player sends to the browser, once.

A player shows what has already been computed, so it needs the kernel a single time. Positions, images and
vector fields travel as whole numbers of 8 or 16 bits,

    q = round((v - lo) / (hi - lo) * (2^bits - 1)),      |v - dequantise(q)| <= (hi - lo) / (2 (2^bits - 1)),

far below what a screen can show: with 16 bits on [-8, 8] a position is right to 0.00013, a hundredth of a
pixel.
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
    """One ES module from several files: `common.js` first, the one with `export default` last."""
    return "\n".join((HERE / f"{name}.js").read_text(encoding="utf-8") for name in names)


def style() -> str:
    """The style sheet that the players share."""
    return (HERE / "players.css").read_text(encoding="utf-8")


def array(x: Any, name: str) -> Array:
    """A numpy array (float64, or int for whole numbers) from a tensor or array; refuses NaN and infinity."""
    try:
        out = x.detach().cpu().numpy() if isinstance(x, torch.Tensor) else np.asarray(x)
        out = out if out.dtype.kind in "iu" else out.astype(np.float64)
    except (TypeError, ValueError) as why:
        raise TypeError(f"{name} must be a tensor or array of numbers; {type(x).__name__} came.") from why
    bad = int((~np.isfinite(out)).sum())
    if bad:
        raise ValueError(
            f"{name} holds {bad} values that are NaN or infinite, of {out.size}; "
            "a player can only show finite ones."
        )
    return out


def quantise(values: Array, lo: float | Array, hi: float | Array, dtype: str) -> Array:
    """Whole numbers of `dtype` ("<u2" or "u1") for values in [lo, hi]; what lies outside is clipped."""
    top = np.iinfo(dtype).max
    return np.clip(np.rint((values - lo) / (hi - lo) * top), 0, top).astype(dtype)


class BufferBuilder:
    """Many arrays in one bytes object; `add` gives the place of each, a multiple of eight bytes."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.size = 0

    def add(self, values: Array) -> int:
        """Append an array and return where it starts."""
        at, raw = self.size, np.ascontiguousarray(values).tobytes()
        raw += b"\0" * (-len(raw) % 8)
        self.parts.append(raw)
        self.size += len(raw)
        return at

    def bytes(self) -> bytes:
        """All of it."""
        return b"".join(self.parts)


def square(limit: float, count: int) -> torch.Tensor:
    """Points (count^2, 2) of a square grid on [-limit, limit]^2; x runs fastest, y from low to high."""
    line = torch.linspace(-limit, limit, count)
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], dim=1)


def home(function: Any) -> torch.device:
    """The device on which a module (or the module that a bound method belongs to) keeps its parameters."""
    owner = getattr(function, "__self__", function)
    weights = owner.parameters() if isinstance(owner, torch.nn.Module) else iter(())
    return next((w.device for w in weights), torch.device("cpu"))


def evaluate(function: Callable[..., Any], x: torch.Tensor, t: float) -> Array:
    """`function(x, t)` as an array (B, 2), without gradients; a sentence where it cannot be had."""
    where = home(function)
    try:
        with torch.no_grad():
            out = function(x.to(where), torch.tensor(t, dtype=x.dtype, device=where))
    except Exception as why:
        raise ValueError(
            f"field(x, t) failed with x of shape {tuple(x.shape)} and t = {t:.3g} of shape (): "
            f"{type(why).__name__}: {why}"
        ) from why
    out = np.asarray(out.detach().cpu() if isinstance(out, torch.Tensor) else out, dtype=np.float64)
    if out.shape != tuple(x.shape):
        raise ValueError(
            f"field(x, t) must give one velocity for each point, shape {tuple(x.shape)}; {tuple(out.shape)} came."
        )
    return out


def sample_field(field: Any, limit: float, times: Array, count: int = 49) -> Array:
    """The field on a space-time grid, (K, count, count, 2), at the K given times; row = y, column = x.

    Between the nodes the browser interpolates; on the exact fields of moons and spiral a path through 49 x 49
    nodes at 33 times ends within 0.003 of the true one (median), a sixth of a pixel.
    Many fields divide by 1 - t or by sigma(t) and have no value at the very ends of the clock; there the
    value a thousandth of the way inside is taken, as a solver would that starts a little late.
    """
    function = field if not hasattr(field, "velocity") else field.velocity
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
    """A density as heat-map frames (K, count, count) in [0, 1], each frame scaled by its own peak.

    `density`: an array (K, H, W) or (H, W), y from low to high; anything with `log_prob(x)`, which stands
    still; anything with `marginal(t)`, or a function of t, that gives such a thing for each time.
    """
    if not (hasattr(density, "log_prob") or hasattr(density, "marginal") or callable(density)):
        frames = array(density, "density")
        frames = frames[None] if frames.ndim == 2 else frames
        if frames.ndim != 3:
            raise ValueError(f"density as an array must be (H, W) or (K, H, W); {frames.shape} came.")
    elif hasattr(density, "log_prob"):
        frames = heat(density, limit, count)[None]
    else:
        at = getattr(density, "marginal", density)
        frames = np.stack([heat(at(torch.tensor(float(t))), limit, count) for t in times])
    return frames / np.maximum(frames.max(axis=(1, 2), keepdims=True), 1e-300)


def heat(law: Any, limit: float, count: int) -> Array:
    """exp(log_prob) on the grid, (count, count), up to a factor."""
    if not hasattr(law, "log_prob"):
        raise TypeError(f"density(t) must give something with log_prob(x); {type(law).__name__} came.")
    with torch.no_grad():
        log = law.log_prob(square(limit, count)).double().cpu().numpy().reshape(count, count)
    return np.exp(log - log.max())
