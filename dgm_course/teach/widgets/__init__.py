"""Widgets that play in the browser alone: one parcel of bytes from the kernel, and nothing after it."""

from .frames import FramePlayer
from .trajectory import TrajectoryPlayer

__all__ = ["FramePlayer", "TrajectoryPlayer"]
