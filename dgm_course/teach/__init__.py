"""The classroom: judges, pictures, widgets and checks, under the names that notebooks use."""
from . import draw, laws
from .check import check
from .play import FramePlayer, TrajectoryPlayer, play
from .progress import progress
from .reveal import reveal
from .verify import estimate, verify

__all__ = ["FramePlayer", "TrajectoryPlayer", "check", "draw", "estimate", "laws", "play", "progress", "reveal", "verify"]
