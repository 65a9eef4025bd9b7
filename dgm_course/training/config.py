"""Training configuration and learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

Schedule = Callable[[float], float]


def constant(done: float) -> float:
    """1 throughout."""
    return 1.0


def linear(done: float) -> float:
    """1 − done."""
    return 1.0 - done


def cosine(done: float) -> float:
    """(1 + cos π·done) / 2."""
    return 0.5 * (1 + math.cos(math.pi * done))


def constant_then_linear(done: float) -> float:
    """1 for the first 70 % of the run, then linearly to 0."""
    return min(1.0, (1 - done) / 0.3)


@dataclass(frozen=True)
class Recipe:
    """How to train with AdamW.

    warmup: in steps.  decay: of the learning rate, a function of the share of the run done, in [0, 1).  ema: decay of the
    average of the weights, 0 for none.  clip: largest gradient norm.  precision: dtype of autocast, or None.  compiled:
    compile the loss on a GPU, which takes some twenty seconds."""

    steps: int
    batch: int = 128
    lr: float = 1e-3
    warmup: int = 0
    decay: Schedule = constant
    ema: float = 0.0
    clip: float | None = None
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    precision: torch.dtype | None = None
    seed: int = 0
    compiled: bool = False

    def __post_init__(self) -> None:
        for name, low in (("steps", 0), ("batch", 1), ("lr", 0), ("warmup", 0), ("ema", 0)):
            if getattr(self, name) < low:
                raise ValueError(f"{name} is {getattr(self, name)}: expected at least {low}.")

    def rate(self, step: int) -> float:
        """The learning rate of a step: lr · min(1, (step + 1)/warmup) · decay(step/steps)."""
        return self.lr * min(1.0, (step + 1) / max(1, self.warmup)) * self.decay(step / max(1, self.steps))

    def describe(self) -> dict[str, Any]:
        """The recipe as plain data; the schedule as its values at a hundred points, so that equal functions are equal."""
        decay = [round(float(self.decay(k / 100)), 9) for k in range(100)]
        return vars(self) | {"decay": decay, "betas": list(self.betas), "precision": str(self.precision)}

    def expect_equal(self, other: dict[str, Any], name: str) -> None:
        """ValueError where another recipe's description differs from this one's."""
        own = self.describe()
        differing = [key for key in own if other.get(key) != own[key]]
        if differing:
            pairs = [f"{k} {other.get(k)} (here {own[k]})" if k != "decay" else "another decay" for k in differing]
            raise ValueError(f"{name} had another recipe: {', '.join(pairs)}. Expected an equal one.")
