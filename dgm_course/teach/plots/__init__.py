"""Pictures that many notebooks draw, and the palette.  Those of one notebook are modules of this package."""
# ruff: noqa: F401

from .base import (
    arrows,
    bars,
    conditional_paths,
    curves,
    density_map,
    flow,
    gallery,
    heat,
    images,
    ink,
    letters,
    losses,
    matrix,
    points,
    schedules,
    snapshots,
    tiles,
    trajectories,
    vote,
)
from .style import BLUE, GREEN, GREY, INK, SERIES, VERMILION, Picture, panels, shown
