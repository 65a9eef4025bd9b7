"""The frame player: images through time, or a plane of images under the cursor.

``FramePlayer(frames)`` plays (T, N, H, W): N images at each of T moments, such as digits that appear out of noise.
``FramePlayer(frames, plane=(xs, ys))`` takes (R, C, H, W), the image decoded at each point (xs[c], ys[r]) of a latent
plane, and shows the one under the cursor.  A pixel is one byte, sent once: 64 digits at 50 moments are 2.5 MB.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import preview
from .serialize import Array, BufferBuilder, array, quantise, script


def read_frames(frames: Any) -> Array:
    """(T, N, H, W) from that, from (T, H, W), or from one channel, (T, N, 1, H, W)."""
    frames = array(frames, "frames")
    given = tuple(frames.shape)
    if frames.ndim == 3:
        frames = frames[:, None]
    if frames.ndim == 5 and frames.shape[2] == 1:
        frames = frames[:, :, 0]
    if frames.ndim != 4:
        expected = "(T, N, H, W) or (T, H, W): T moments of N grey pictures"
        raise ValueError(f"frames must have shape {expected}; {given} came.")
    if min(frames.shape) < 1:
        raise ValueError(f"frames is empty: its shape is {given}.")
    return frames


def read_range(frames: Array, given: Any) -> tuple[float, float]:
    """The values of paper and ink; unless given, guessed from the sign and the type of the values."""
    if given is None:
        whole = frames.dtype.kind in "iu" and frames.max() > 1
        return (0.0, 255.0) if whole else (-1.0, 1.0) if frames.min() < 0 else (0.0, 1.0)
    try:
        lo, hi = (float(v) for v in given)
    except (TypeError, ValueError):
        raise ValueError(f"range must be two numbers, such as (-1, 1); {given!r} came.") from None
    if not lo < hi:
        raise ValueError(f"range must rise from paper to ink, such as (-1, 1); {given!r} came.")
    return lo, hi


def read_captions(captions: Sequence[Any] | None, times: Any, count: int) -> list[str]:
    """A line for each moment: the captions, else the times, else the number of the frame."""
    if captions is not None:
        if len(captions) != count:
            raise ValueError(
                f"captions must have one entry for each of the {count} moments; {len(captions)} came."
            )
        return [str(c) for c in captions]
    if times is None:
        return [f"frame {i + 1} of {count}" for i in range(count)]
    times = array(times, "times")
    if times.shape != (count,):
        raise ValueError(f"times must have shape ({count},), one for each moment; {tuple(times.shape)} came.")
    return [f"t = {t:.2f}" for t in times]


def read_plane(plane: Any, rows: int, columns: int) -> dict[str, list[float]]:
    """The coordinates of a plane's columns and rows."""
    try:
        xs, ys = plane
    except (TypeError, ValueError):
        raise ValueError("plane must be a pair (xs, ys): a coordinate for each column and row.") from None
    xs, ys = array(xs, "xs"), array(ys, "ys")
    if xs.shape != (columns,) or ys.shape != (rows,):
        raise ValueError(
            f"plane=(xs, ys) must have shapes ({columns},) and ({rows},) for frames of {rows} "
            f"rows and {columns} columns; {tuple(xs.shape)} and {tuple(ys.shape)} came."
        )
    return {"xs": xs.tolist(), "ys": ys.tolist()}


def tile(pictures: Array, columns: int) -> Array:
    """Pictures (N, H, W) as one sheet with ``columns`` a row and a pixel of paper (0) between them."""
    n, h, w = pictures.shape
    sheet = np.zeros((-(-n // columns) * columns, h + 1, w + 1))
    sheet[:n, :h, :w] = pictures
    return sheet.reshape(-1, columns, h + 1, w + 1).swapaxes(1, 2).reshape(-1, columns * (w + 1))[:-1, :-1]


class FramePlayer(preview.Player):
    """Grey images (T, N, H, W) or (T, H, W) played in the browser; with ``plane``, (R, C, H, W).

    times, captions: (T,) what stands under each moment; range: (paper, ink), values outside are clipped, by default
    (-1, 1) where any is negative, else (0, 1), (0, 255) for whole numbers; plane: (xs (C,), ys (R,)), the first row on
    top; label: alternative text; columns: images in a row; seconds: of one run; size: width in pixels"""

    _esm = script("common", "frames")

    def __init__(
        self,
        frames: Any,
        *,
        times: Any = None,
        captions: Sequence[Any] | None = None,
        range: Any = None,
        plane: Any = None,
        label: str = "",
        **layout: float,
    ) -> None:
        if unknown := sorted(set(layout) - {"columns", "seconds", "size"}):
            raise TypeError(f"FramePlayer has no option {', '.join(unknown)}; it has columns, seconds, size.")
        x = read_frames(frames)
        self.pixels = quantise(x, *read_range(x, range), "u1")
        moments, count = self.pixels.shape[:2]
        if plane is None and moments < 2:
            raise ValueError(f"frames needs at least two moments to play; {moments} came.")
        self.plane = None if plane is None else read_plane(plane, moments, count)
        self.captions = [] if self.plane else read_captions(captions, times, moments)
        self.columns = int(layout.get("columns") or np.ceil(np.sqrt(count)))
        self.label, buffer = label or self.default_label(), BufferBuilder()
        spec = {
            "shape": list(self.pixels.shape),
            "at": buffer.add(self.pixels),
            "captions": self.captions,
            "plane": self.plane,
            "columns": self.columns,
            "label": self.label,
            "size": layout.get("size", 0),
            "seconds": layout.get("seconds", np.clip(moments / 12, 2, 6)),
        }
        super().__init__(buffer=buffer.bytes(), spec=spec)

    def default_label(self) -> str:
        moments, count, h, w = self.pixels.shape
        if self.plane:
            size = f"{moments} by {count} pictures, {h} by {w} pixels each"
            return f"A plane of {size}; the one under the cursor is enlarged"
        return f"{count} picture{'s' if count > 1 else ''} of {h} by {w} pixels at {moments} moments"

    def strip(self) -> bytes:
        """Five moments side by side; for a plane, the whole sheet."""
        ink = self.pixels / 255.0
        if self.plane:
            row, column = preview.some(ink.shape[0], 11), preview.some(ink.shape[1], 11)
            chosen = ink[np.ix_(row, column)].reshape(-1, *ink.shape[2:])
            return preview.images([tile(chosen, len(column))], ["the whole plane"], 4.4)
        keep, columns = (16, 4) if ink.shape[1] > 16 else (ink.shape[1], min(self.columns, 4))
        moments = preview.some(len(ink), 5)
        return preview.images([tile(ink[i, :keep], columns) for i in moments], [self.captions[i] for i in moments])

    def __repr__(self) -> str:
        return f"FramePlayer({self.label}): run the cell to {'explore' if self.plane else 'play'}"
