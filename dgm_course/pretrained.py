"""Trained weights by name, each with a card, each made again by one command.

``load("flow_matching_digits")`` is a model ready to sample; ``card(...)`` says what it was trained on, for how long, and
how well it does on images that it has not seen.  ``dgm train NAME`` (``train``) repeats it.  Training data are the official
MNIST images without the 1,000 that are the embedded test split, so a notebook may always judge on those.
"""
from __future__ import annotations

import json
import time
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Callable

import torch
from torch import Tensor, nn

from . import checkpoints, data, measures
from .dynamics import heun
from .fit import History, Recipe, cosine, fit, linear
from .nets import DigitClassifier, UNet
from .path_models import PathModel, flow_matching, logit_normal
from .tensors import device, fast_dtype, seed

FOLDER = Path(str(resources.files("dgm_course"))) / "weights"


class Classifying(nn.Module):
    """A classifier with its loss: the mean cross-entropy, on images moved by up to two pixels."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """x (B, 1, 28, 28), y (B,) -> ()"""
        right, down = torch.randint(0, 5, (2,)).tolist()
        moved = nn.functional.pad(x, (2, 2, 2, 2), value=-1.0)[..., down:down + 28, right:right + 28]
        return nn.functional.cross_entropy(self.net(moved).float(), y)


@dataclass(frozen=True)
class Entry:
    """How one set of weights is made: the untrained model, what is trained (its ``loss``), on what, how, how well."""

    blank: Callable[[], nn.Module]
    training: Callable[[nn.Module], nn.Module]
    batches: Callable[[data.Images], tuple]
    recipe: Callable[[], Recipe]
    figure: Callable[[nn.Module, data.Images], dict[str, Any]]


def digits_flow() -> PathModel:
    """Class-conditional flow matching on 28 × 28 digits: conical path, velocity, logit-normal times."""
    model = flow_matching(UNet(channels=32, classes=10), (1, 28, 28))
    model.times_of = logit_normal
    return model


def accuracy(net: nn.Module, images: data.Images) -> dict[str, Any]:
    """The share of the test images whose class is recognised."""
    with torch.no_grad():
        guesses = torch.cat([net(x).argmax(1) for x in images.test.split(500)])
    return {"accuracy": round(float((guesses == images.test_labels).float().mean()), 4),
            "protocol": f"{len(guesses):,} test images of {images.source}"}


def likeness(model: PathModel, images: data.Images, n: int = 1000) -> dict[str, Any]:
    """How n class-balanced samples compare with n test images in the classifier's features, beside real ones."""
    judge = load("digit_classifier").to(next(model.parameters()).device)
    seed(0)
    labels = torch.arange(10, device=images.test.device).repeat_interleave(n // 10)
    other = images.train[torch.randperm(len(images.train))[:n]]
    with torch.no_grad():
        fake = model.given(labels).sample(n, steps=20, method=heun)
        ours, real, floor = (judge.features(x) for x in (fake, images.test[:n], other))
    precision, recall, coverage = (float(v) for v in measures.precision_recall_coverage(real, ours))
    return {"frechet": round(float(measures.frechet_distance(ours, real)), 2),
            "frechet_floor": round(float(measures.frechet_distance(floor, real)), 2),
            "precision": round(precision, 3), "recall": round(recall, 3), "coverage": round(coverage, 3),
            "protocol": f"{n} class-balanced samples, Heun, 20 steps, against {n} test images of {images.source}; floor: "
                        f"{n} training images; classifier features, k = 5"}


ENTRIES: dict[str, Entry] = {
    "digit_classifier": Entry(
        DigitClassifier, Classifying, lambda images: (images.train, images.train_labels),
        lambda: Recipe(steps=6000, batch=128, lr=2e-3, warmup=100, decay=cosine, weight_decay=0.05, ema=0.999), accuracy),
    "flow_matching_digits": Entry(
        digits_flow, lambda model: model, lambda images: (images.train, None, images.train_labels),
        lambda: Recipe(steps=60_000, batch=64, lr=2e-3, warmup=200, decay=linear, ema=0.999, precision=fast_dtype()),
        likeness),
}


def names() -> list[str]:
    """All names that ``load`` and ``train`` know."""
    return sorted(ENTRIES)


def entry(name: str) -> Entry:
    """The entry of a name, or a sentence that lists the names."""
    if name not in ENTRIES:
        raise KeyError(f"There are no weights called {name!r}; there are {', '.join(names())}.")
    return ENTRIES[name]


def load(name: str) -> nn.Module:
    """The trained model, on the CPU and ready for use; CheckpointError where its file is missing or damaged."""
    model = entry(name).blank()
    tensors, _ = checkpoints.read(FOLDER / f"{name}.safetensors")
    checkpoints.load_into(model, tensors, f"{name}.safetensors")
    return model.eval().requires_grad_(False)


def card(name: str) -> dict[str, Any]:
    """What is known of the weights: data, steps, seed, device, time, command, held-out figure with its protocol."""
    entry(name)
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def train(name: str, folder: Path | None = None, report: Callable[[History], None] | None = None) -> Path:
    """Make the weights again and write them with their card; an interrupted run goes on where it stopped."""
    made, folder = entry(name), Path(folder or FOLDER)
    images, half = data.mnist_for_weights().to(device()), folder / f"{name}.half.safetensors"
    seed(0)
    model = made.blank().to(device())
    history = fit(made.training(model), made.batches(images), made.recipe(), save=half, report=report,
                  resume=half if half.exists() else None)
    if not history.finished:
        return half
    start = time.perf_counter()
    path = checkpoints.write(folder / f"{name}.safetensors", {k: v.half() if v.is_floating_point() else v
                                                              for k, v in model.state_dict().items()})
    told = {"name": name, "data": images.source, "images": len(images.train), "steps": history.step, "batch": made.recipe().batch,
            "seed": made.recipe().seed, "device": str(device()), "seconds": round(history.seconds),
            "command": f"dgm train {name}", "held_out": made.figure(model.eval(), images),
            "judging_seconds": round(time.perf_counter() - start)}
    path.with_suffix(".json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    half.unlink(missing_ok=True)
    return path
