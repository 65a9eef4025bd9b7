"""Small models for the training loop: a regression that fails on request, endless data, a game, weights made in a moment."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
import torch
from torch import nn

from dgm_course import data, pretrained
from dgm_course.pretrained.files import Entry, identity
from dgm_course.training import Objective, Recipe, checkpoints, cosine

ROWS = torch.randn(50, 2, generator=torch.Generator().manual_seed(1))
TABLE = (ROWS, None, ROWS[:, :1] * 2 - 1)
FULL = {
    "batch": 16,
    "lr": 0.02,
    "warmup": 5,
    "decay": cosine,
    "ema": 0.9,
    "clip": 0.5,
    "weight_decay": 0.01,
    "seed": 4,
}
RECIPE = Recipe(20, **FULL)
OUT_OF_MEMORY = torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


class Curve(nn.Module):
    """A regression whose loss draws noise; a batch of more than ``most`` samples raises ``error``."""

    def __init__(self, noise: float = 0.1, most: int = 1000, error: Exception = OUT_OF_MEMORY) -> None:
        super().__init__()
        torch.manual_seed(9)
        self.net = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
        self.noise, self.most, self.error = noise, most, error
        self.sizes: list[int] = []

    def loss(self, x, none, y):
        self.sizes.append(len(x))
        if len(x) > self.most:
            raise self.error
        return (self.net(x + self.noise * torch.randn_like(x)) - y).square().mean()


class BrokenBackward(torch.autograd.Function):
    """The identity, with a gradient of NaN."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, slope):
        return slope * float("nan")


class Broken(Curve):
    """A loss, or its gradient, that is not finite at one call."""

    def __init__(self, at: int, value: float | None = float("nan")) -> None:
        super().__init__()
        self.at, self.value = at, value

    def loss(self, *batch):
        loss = super().loss(*batch)
        if len(self.sizes) - 1 != self.at:
            return loss
        return BrokenBackward.apply(loss) if self.value is None else loss + self.value


class Game(nn.Module):
    """Two players with opposite wishes; the second moves at each ``every``-th step."""

    def __init__(self, every: int = 1, lr_ratio: float = 1.0, noise: float = 1.0) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.maker, self.critic = nn.Linear(2, 2), nn.Linear(2, 1)
        self.every, self.lr_ratio, self.noise = every, lr_ratio, noise

    def fake(self, x):
        return self.maker(x + self.noise * torch.randn_like(x))

    def critic_loss(self, x, none, y):
        return (self.critic(self.fake(x).detach()) - self.critic(x)).mean() + 0.1 * self.critic(x).square().mean()

    def maker_loss(self, x, none, y):
        return -self.critic(self.fake(x)).mean()

    def objectives(self):
        return {
            "critic": Objective(self.critic, self.critic_loss),
            "maker": Objective(self.maker, self.maker_loss, self.every, self.lr_ratio),
        }


class Endless:
    """Data drawn from torch's generator."""

    def sample(self, n):
        x = torch.randn(n, 2)
        return x, x, x[:, :1] * 2 - 1


def stop_at(step: int):
    """A report that presses Ctrl-C after ``step`` steps: a real SIGINT."""
    return lambda history: history.step == step and signal.raise_signal(signal.SIGINT)


def weights(model: nn.Module) -> list[torch.Tensor]:
    return [p.detach().clone() for p in model.parameters()]


def same(one, other) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def near(one, other) -> bool:
    return all(torch.allclose(a, b, rtol=1e-5, atol=1e-6) for a, b in zip(one, other, strict=True))


def finite(model: nn.Module) -> bool:
    return all(bool(p.isfinite().all()) for p in model.parameters())


def tiny_in(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """Weights of a moment's training, made in a folder of the test."""
    patch.setattr(pretrained, "FOLDER", folder)
    patch.setattr(pretrained.files, "FOLDER", folder)
    patch.setattr(pretrained.data, "mnist_for_weights", data.mnist)
    entry = Entry(
        Curve, identity, lambda images: TABLE, lambda: RECIPE, lambda model, images: {"protocol": "none"}
    )
    patch.setitem(pretrained.ENTRIES, "tiny", entry)
    return folder


def die_while_training(where: str, folder: str) -> None:
    """What the killed process of test_weight_faults does."""
    tiny_in(Path(folder), pytest.MonkeyPatch())
    die = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
    if where == "before the weights":
        pretrained.checkpoints.write = lambda path, *rest, write=checkpoints.write: (
            die() if path.name == "tiny.safetensors" else write(path, *rest)
        )
    elif where == "between weights and card":
        pretrained.json.dumps = lambda *a, dumps=json.dumps, **k: die() if k.get("indent") else dumps(*a, **k)
    else:
        Path.write_text = lambda self, text, **_: (self.write_bytes(text[:9].encode()), die())
    pretrained.train("tiny")
