"""Players that run in the browser alone: one buffer of bytes from the kernel, and nothing after it."""

from .frames import FramePlayer
from .trajectory import TrajectoryPlayer

__all__ = ["FramePlayer", "TrajectoryPlayer"]
