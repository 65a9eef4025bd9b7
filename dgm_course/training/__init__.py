"""Training: one loop for every model, its configuration, checkpoints and diagnostics."""
from .batches import feed
from .config import Recipe, Schedule, constant, cosine, held_then_linear, linear
from .loop import (
    History,
    Player,
    TrainingError,
    TrainState,
    finish,
    fit,
    players,
    read_history,
    set_rate,
    still,
    train_step,
)

__all__ = [
    "History",
    "Player",
    "Recipe",
    "Schedule",
    "TrainState",
    "TrainingError",
    "constant",
    "cosine",
    "feed",
    "finish",
    "fit",
    "held_then_linear",
    "linear",
    "players",
    "read_history",
    "set_rate",
    "still",
    "train_step",
]
