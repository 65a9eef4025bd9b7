"""What the training loop is tried on: a small regression, data without an end, a game, a loss that turns NaN."""

import signal

import torch
from torch import nn

from dgm_course.training import Player, cosine

ROWS = torch.randn(50, 2, generator=torch.Generator().manual_seed(1))
TABLE = (ROWS, ROWS[:, :1] * 2 - 1)
FULL = {"batch": 16, "lr": 0.02, "warmup": 5, "decay": cosine, "ema": 0.9, "clip": 0.5, "weight_decay": 0.01}
FULL["seed"] = 4


class Curve(nn.Module):
    """A small regression; ``noisy`` draws from torch's generator in its loss, as every path model does."""

    def __init__(self, noise=0.1):
        super().__init__()
        self.noise, generator = noise, torch.Generator().manual_seed(9)
        self.a, self.b = (nn.Parameter(torch.randn(*s, generator=generator) / 2) for s in ((2, 8), (8, 1)))
        self.calls = 0

    def loss(self, x, y):
        self.calls += 1
        x = x + self.noise * torch.randn_like(x) if self.noise else x
        return (torch.tanh(x @ self.a) @ self.b - y).square().mean()


class Endless:
    """Data without an end, drawn from torch's generator."""

    def sample(self, n):
        x = torch.randn(n, 2)
        return x, x[:, :1] * 2 - 1


class Game(nn.Module):
    """Two players with opposite wishes."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(5)
        self.maker, self.critic = nn.Linear(2, 2), nn.Linear(2, 1)

    def made(self, x):
        return self.maker(torch.randn_like(x))

    def players(self):
        return {
            "critic": Player(
                self.critic,
                lambda x, y: (
                    (self.critic(self.made(x).detach()) - self.critic(x)).mean()
                    + 0.1 * self.critic(x).square().mean()
                ),
            ),
            "maker": Player(self.maker, lambda x, y: -self.critic(self.made(x)).mean()),
        }


def stop_at(step):
    """A reporter that presses 'stop' as soon as ``step`` steps are done: a real SIGINT."""

    def report(history):
        if history.step == step:
            signal.raise_signal(signal.SIGINT)

    return report


def weights(model):
    return [p.detach().clone() for p in model.parameters()]


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def finite(model):
    return all(bool(torch.isfinite(p).all()) for p in model.parameters())


class Poisoned(Curve):
    """A loss that is NaN (or infinite) at one call."""

    def __init__(self, at, value=float("nan")):
        super().__init__()
        self.at, self.value = at, value

    def loss(self, x, y):
        return super().loss(x, y) + (self.value if self.calls - 1 == self.at else 0.0)
