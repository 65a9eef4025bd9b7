"""A regression of two numbers and its table, for what goes wrong in a training, and weights made of it in a moment."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
import torch
from torch import nn

from dgm_course import data, pretrained
from dgm_course.pretrained.files import Entry, itself
from dgm_course.training import Recipe, checkpoints

ROWS = torch.randn(50, 2, generator=torch.Generator().manual_seed(1))
TABLE = (ROWS, None, ROWS[:, :1] * 2 - 1)
RECIPE = Recipe(20, 16, 0.02, ema=0.9, clip=0.5, seed=4)
FULL = torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


class Curve(nn.Module):
    """A regression that fits into memory only where a batch is small; ``error`` is what a larger one meets."""

    def __init__(self, most: int = 1000, noise: float = 0.0, error: Exception = FULL) -> None:
        super().__init__()
        torch.manual_seed(9)
        self.net, self.most, self.noise, self.error = nn.Linear(2, 1), most, noise, error
        self.sizes: list[int] = []

    def loss(self, x, none, y):
        self.sizes.append(len(x))
        if len(x) > self.most:
            raise self.error
        return (self.net(x + self.noise * torch.randn_like(x)) - y).square().mean()


def weights(model: nn.Module) -> list[torch.Tensor]:
    return [p.detach().clone() for p in model.parameters()]


def tiny_in(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """Weights of a moment's training, made in a folder of the test."""
    patch.setattr(pretrained, "FOLDER", folder)
    patch.setattr(pretrained.files, "FOLDER", folder)
    patch.setattr(pretrained.data, "mnist_for_weights", data.mnist)
    entry = Entry(Curve, itself, lambda images: TABLE, lambda: RECIPE, lambda model, images: {"protocol": "none"})
    patch.setitem(pretrained.ENTRIES, "tiny", entry)
    return folder


def die_while_training(where: str, folder: str) -> None:
    """What the killed process of the next test does."""
    tiny_in(Path(folder), pytest.MonkeyPatch())
    die = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
    if where == "before the weights":
        pretrained.checkpoints.write = lambda path, *rest, write=checkpoints.write: (
            die() if path.name == "tiny.safetensors" else write(path, *rest))
    elif where == "between weights and card":
        pretrained.json.dumps = lambda *a, dumps=json.dumps, **k: die() if k.get("indent") else dumps(*a, **k)
    else:
        Path.write_text = lambda self, text, **_: (self.write_bytes(text[:9].encode()), die())
    pretrained.train("tiny")
