"""What each process does in the tests of several: torchrun (or plain Python) runs ``crew.py SCENE FOLDER``.

Each process writes what it holds at the end to FOLDER/SCENE.RANK_of_SIZE.safetensors; the tests compare.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import torch
from torch import nn

from dgm_course import data, nets, paths, pretrained
from dgm_course.cli import main
from dgm_course.pretrained.files import Entry, identity
from dgm_course.training import History, Objective, Recipe, checkpoints, cosine, distributed, fit
from dgm_course.training.checkpoints import CheckpointError

ROWS = torch.randn(50, 2, generator=torch.Generator().manual_seed(1))
TABLE = (ROWS, None, ROWS[:, :1] * 2 - 1)
FULL = Recipe(30, 15, 0.02, warmup=5, decay=cosine, ema=0.9, clip=0.5, weight_decay=0.01, seed=4)
RANK, SIZE = distributed.rank_and_size()


class Curve(nn.Module):
    """A small regression; ``noise`` is drawn inside its loss, as every path model does."""

    def __init__(self, noise: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(9)
        self.noise, self.net = noise, nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))

    def loss(self, x, none, y):
        x = x + self.noise * torch.randn_like(x) if self.noise else x
        return (self.net(x) - y).square().mean()


class Normed(Curve):
    """Batch normalisation: each process has statistics of its share, the first one's are everyone's."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 1))


class Choosy(Curve):
    """A weight that only some samples use: in one share it may have no gradient at all."""

    def __init__(self) -> None:
        super().__init__()
        self.extra = nn.Parameter(torch.ones(1))

    def loss(self, x, none, y):
        chosen = y[:, 0] > 0.5  # in every batch somewhere, in eight of the sixty shares nowhere
        own = (self.net(x) - y).square().mean()
        return own + (self.extra * y[chosen]).square().sum() / len(y) if chosen.any() else own


class Game(nn.Module):
    """Two players; the second moves at each third step, at half the pace."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.maker, self.critic = nn.Linear(2, 2), nn.Linear(2, 1)

    def objectives(self):
        score = lambda x: self.critic(x).tanh()
        return {"critic": Objective(self.critic, lambda x, _, y: (score(self.maker(x).detach()) - score(x)).mean()),
                "maker": Objective(self.maker, lambda x, _, y: -score(self.maker(x)).mean(), 3, 0.5)}


class Stopped(Curve):
    """At its 13th call the last process is asked to stop, as by Ctrl-C."""

    calls = 0

    def loss(self, *batch):
        self.calls += 1
        if self.calls == 13 and RANK == SIZE - 1:
            signal.raise_signal(signal.SIGINT)
        return super().loss(*batch)


class Killed(Curve):
    """At its 17th call the last process is gone."""

    calls = 0

    def loss(self, *batch):
        self.calls += 1
        if self.calls == 17 and RANK == SIZE - 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().loss(*batch)


def together(folder: Path) -> None:
    """Runs that one process and two must do alike, or of one law."""
    resume(folder)
    for name, model in (("curve", Curve()), ("game", Game()), ("choosy", Choosy()), ("normed", Normed())):
        keep(folder, name, model, fit(model, TABLE, FULL))
    stray = Curve()
    with torch.no_grad():
        stray.net[0].weight += RANK  # a process that starts elsewhere takes the first one's weights
    keep(folder, "stray", stray, fit(stray, TABLE, FULL))
    noise(folder, 0)
    if SIZE > 1:
        refusals(folder)


def refusals(folder: Path) -> None:
    """What is no run for two is said."""
    file, message = folder / "run_of_1.pt", []
    for act in (lambda: fit(Curve(), TABLE, Recipe(3, 1)), lambda: fit(Curve(0.1), TABLE, FULL, resume=file)):
        try:
            act()
        except (ValueError, CheckpointError) as error:
            message.append(str(error))
    (folder / f"told.{RANK}.txt").write_text("\n".join(message))


def noise(folder: Path, seed: int) -> None:
    """A model whose loss draws noise and times."""
    torch.manual_seed(seed)
    model = paths.flow_matching(nets.MLP(2, width=32, depth=2), (2,))
    history = fit(model, data.moons(), Recipe(400, 128, 5e-3, seed=seed))
    torch.manual_seed(7)
    with torch.no_grad():
        held_out = torch.stack([model.loss(data.moons().sample(2000)) for _ in range(5)]).mean()
    keep(folder, f"noise{seed}", model, history, held_out=held_out)


def resume(folder: Path) -> None:
    """Stopped by a signal to the last process, gone on with from the first one's file."""
    whole, half, other, file = Curve(0.1), Stopped(0.1), Curve(0.1), folder / f"run_of_{SIZE}.pt"
    keep(folder, "whole", whole, fit(whole, TABLE, FULL))
    keep(folder, "half", half, fit(half, TABLE, FULL, save=file))
    keep(folder, "resumed", other, fit(other, TABLE, FULL, resume=file))


def killed(folder: Path) -> None:
    """The user's command, with weights of a moment's training; one process dies in the middle."""
    tiny = Entry(Killed, identity, lambda images: TABLE, lambda: FULL, lambda model, images: {"protocol": "none"})
    train(folder, tiny)


def train(folder: Path, tiny: Entry | None = None) -> None:
    """``dgm train tiny`` as torchrun starts it."""
    tiny = tiny or Entry(Curve, identity, lambda images: TABLE, lambda: FULL, lambda model, images: {"protocol": "none"})
    pretrained.ENTRIES["tiny"] = tiny
    pretrained.FOLDER = folder
    pretrained.data.mnist_for_weights = data.mnist
    sys.exit(main.main(["train", "tiny"]))


def keep(folder: Path, name: str, model: nn.Module, history: History, **more: torch.Tensor) -> None:
    """What this process holds at the end."""
    tensors = {f"model.{k}": v for k, v in model.state_dict().items()} | more
    tensors |= {f"losses.{k}": v[:history.step] for k, v in history.losses.items()}
    checkpoints.write(folder / f"{name}.{RANK}_of_{SIZE}.safetensors", tensors, {"step": history.step})


if __name__ == "__main__":
    globals()[sys.argv[1]](Path(sys.argv[2]))
