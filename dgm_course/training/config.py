"""How to train, written down: the numbers that one would put beside a result, and how the learning rate goes down."""
from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

Schedule = Callable[[float], float]


def constant(done: float) -> float:
    """1 throughout."""
    return 1.0


def linear(done: float) -> float:
    """1 − done: from the full learning rate to zero, which is worth more than most other tricks in a short run."""
    return 1.0 - done


def cosine(done: float) -> float:
    """(1 + cos π·done) / 2."""
    return 0.5 * (1 + math.cos(math.pi * done))


def held_then_linear(done: float) -> float:
    """The full rate for 70 % of the run, then linearly to zero: a long run may be prolonged before it cools."""
    return min(1.0, (1 - done) / 0.3)


@dataclass(frozen=True)
class Recipe:
    """How to train: the numbers one would write beside a result.

    steps and batch; lr of AdamW, its warm-up in steps and its decay (a function of the done share, 0 to 1); ema: decay
    of the weights' running average, 0 for none; clip: largest gradient norm; precision: dtype of autocast, or None;
    compiled: whether a GPU takes the loss as kernels made for it (`Compiled`), which pays in long runs."""

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
