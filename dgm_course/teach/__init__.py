"""Checks, pictures, widgets and oracles, under the names that notebooks use."""

from . import oracles, plots
from .check import check
from .reveal import reveal
from .verify import estimate, verify
from .widgets import FramePlayer, TrajectoryPlayer
from .widgets.play import play
from .widgets.progress import progress

__all__ = [
    "FramePlayer",
    "TrajectoryPlayer",
    "check",
    "estimate",
    "oracles",
    "play",
    "plots",
    "progress",
    "reveal",
    "verify",
]
