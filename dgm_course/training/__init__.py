"""Training: one loop for every model, its configuration, checkpoints and diagnostics."""
# ruff: noqa: F401

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
