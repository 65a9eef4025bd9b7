"""Training: one loop for every model, its configuration, checkpoints and diagnostics."""

from .batches import batch_stream
from .config import Recipe, Schedule, constant, constant_then_linear, cosine, linear
from .loop import (
    History,
    Objective,
    TrainingError,
    TrainState,
    finish,
    fit,
    frozen,
    objectives,
    read_history,
    set_rate,
    train_step,
)

__all__ = [
    "History",
    "Objective",
    "Recipe",
    "Schedule",
    "TrainState",
    "TrainingError",
    "constant",
    "cosine",
    "batch_stream",
    "finish",
    "fit",
    "constant_then_linear",
    "linear",
    "objectives",
    "read_history",
    "set_rate",
    "frozen",
    "train_step",
]
