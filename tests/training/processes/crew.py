"""What each process does in test_distributed: torchrun, or plain Python, runs ``crew.py SCENE FOLDER``.

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
from dgm_course.cli.main import main
from dgm_course.pretrained.files import Entry, identity
from dgm_course.training import History, Recipe, checkpoints, cosine, distributed, fit
from dgm_course.training.checkpoints import CheckpointError
from tests.training.models import TABLE, Curve, Game

RECIPE = Recipe(30, 15, 0.02, warmup=5, decay=cosine, ema=0.9, clip=0.5, weight_decay=0.01, seed=4)
RANK, SIZE = distributed.rank_and_size()
LAST = RANK == SIZE - 1


class Normed(Curve):
    """Batch normalisation: each process has statistics of its share."""

    def __init__(self) -> None:
        super().__init__(0)
        self.net = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 1))


class Choosy(Curve):
    """A weight that only some samples use: in eight of the sixty shares it has no gradient."""

    def __init__(self) -> None:
        super().__init__(0)
        self.extra = nn.Parameter(torch.ones(1))

    def loss(self, x, none, y):
        chosen = y[:, 0] > 0.5
        own = super().loss(x, none, y)
        return own + (self.extra * y[chosen]).square().sum() / len(y) if chosen.any() else own


class Signalled(Curve):
    """At its n-th call the last process receives a signal."""

    def __init__(self, call: int, number: int) -> None:
        super().__init__()
        self.call, self.number = call, number

    def loss(self, *batch):
        if LAST and len(self.sizes) == self.call - 1:
            os.kill(os.getpid(), self.number)
        return super().loss(*batch)


def together(folder: Path) -> None:
    """Runs that one process and two must do alike, or of one law."""
    resume(folder)
    models = {
        "curve": Curve(0),
        "game": Game(3, 0.5, noise=0),
        "choosy": Choosy(),
        "normed": Normed(),
        "stray": Curve(0),
        "full": Curve(0, most=3 if SIZE > 1 and LAST else 15),
    }  # the memory of the last process holds 3 samples
    with torch.no_grad():
        models["stray"].net[0].weight += RANK  # a process that starts elsewhere takes the first one's weights
    for name, model in models.items():
        keep(folder, name, model, fit(model, TABLE, RECIPE))
    noise(folder, 0)
    if SIZE > 1:
        refusals(folder)


def refusals(folder: Path) -> None:
    """What two processes cannot run is said."""
    file, messages = folder / "run_of_1.pt", []
    for act in (lambda: fit(Curve(), TABLE, Recipe(3, 1)), lambda: fit(Curve(), TABLE, RECIPE, resume=file)):
        try:
            act()
        except (ValueError, CheckpointError) as error:
            messages.append(str(error))
    (folder / f"messages.{RANK}.txt").write_text("\n".join(messages))


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
    whole, half, other, file = Curve(), Signalled(13, signal.SIGINT), Curve(), folder / f"run_of_{SIZE}.pt"
    keep(folder, "whole", whole, fit(whole, TABLE, RECIPE))
    keep(folder, "half", half, fit(half, TABLE, RECIPE, save=file))
    keep(folder, "resumed", other, fit(other, TABLE, RECIPE, resume=file))


def killed(folder: Path) -> None:
    """The user's command; one process dies in the middle."""
    train(folder, lambda: Signalled(17, signal.SIGKILL))


def train(folder: Path, model: type = Curve) -> None:
    """``dgm train tiny`` as torchrun starts it, with weights of a moment's training."""
    pretrained.ENTRIES["tiny"] = Entry(
        model, identity, lambda images: TABLE, lambda: RECIPE, lambda model, images: {"protocol": "none"}
    )
    pretrained.FOLDER = folder
    pretrained.data.mnist_for_weights = data.mnist
    sys.exit(main(["train", "tiny"]))


def keep(folder: Path, name: str, model: nn.Module, history: History, **more: torch.Tensor) -> None:
    """What this process holds at the end."""
    tensors = {f"model.{k}": v for k, v in model.state_dict().items()} | more
    tensors |= {f"losses.{k}": v[: history.step] for k, v in history.losses.items()}
    checkpoints.write(folder / f"{name}.{RANK}_of_{SIZE}.safetensors", tensors, {"step": history.step})


if __name__ == "__main__":
    globals()[sys.argv[1]](Path(sys.argv[2]))
