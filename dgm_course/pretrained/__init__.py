"""Trained weights by name, each with a card, each made again by ``dgm train NAME``.

``load("flow_matching_digits")`` is a model ready to sample; ``card(...)`` holds its training and its held-out figures.
Training data are the official MNIST images without the 1,000 of the embedded test split, on which notebooks evaluate.
"""
# ruff: noqa: F401

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from .. import data
from ..core.tensors import device, seed
from ..training import checkpoints, distributed
from ..training.loop import History, fit
from . import autoregressive, evaluation, flows, gan, latent, multiscale, paths, priors, published, vae, vq
from .evaluation import accuracy, balanced, judged, nats_of_bits
from .files import FOLDER, Entry, read_into
from .flows import bits, digits_nvp
from .gan import adversarial_recipe, classes_seen, digits_dcgan, digits_style
from .paths import (
    GUIDANCE,
    STEPS,
    bits_recipe,
    digits_absorbing,
    digits_ddpm,
    digits_flow,
    digits_ncsn,
    digits_recipe,
    live_digits,
    live_recipe,
    nats,
    sample_quality,
)

FAMILIES = (evaluation, paths, autoregressive, vae, priors, vq, flows, gan, latent, multiscale)
ENTRIES: dict[str, Entry] = {name: entry for family in FAMILIES for name, entry in family.ENTRIES.items()}


def names() -> list[str]:
    """All names that ``load`` and ``train`` know."""
    return sorted(ENTRIES)


def entry(name: str) -> Entry:
    """The entry of a name; KeyError with the known names."""
    if name not in ENTRIES:
        raise KeyError(f"There are no weights called {name!r}; there are {', '.join(names())}.")
    return ENTRIES[name]


def load(name: str) -> nn.Module:
    """The trained model, on the CPU and ready for use; CheckpointError where its file is missing or damaged."""
    return read_into(entry(name).blank(), name)


def card(name: str) -> dict[str, Any]:
    """Data, steps, seed, device, time, command, held-out figures with their protocol; CheckpointError where damaged."""
    entry(name)
    try:
        return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise checkpoints.CheckpointError(f"{FOLDER / name}.json is damaged ({error}).") from None


def train(name: str, folder: Path | None = None, report: Callable[[History], None] | None = None) -> Path:
    """Train the weights and write them with their card; an interrupted run resumes.

    Of several processes (torchrun) all train; the first one evaluates and writes."""
    made, folder = entry(name), Path(folder or FOLDER)
    images, half = data.mnist_for_weights().to(device()), folder / f"{name}.half.pt"
    seed(0)
    model = made.blank().to(device())
    before = half if half.exists() else None
    history = fit(
        made.training(model), made.batches(images), made.recipe(), save=half, report=report, resume=before
    )
    if not history.finished:
        return half
    path, start = folder / f"{name}.safetensors", time.perf_counter()
    if not distributed.first():
        return path
    checkpoints.write(path, {k: v.half() if v.is_floating_point() else v for k, v in model.state_dict().items()})
    recipe = made.recipe()
    record = {
        "name": name,
        "data": images.source,
        "images": len(images.train),
        "steps": history.step,
        "batch": recipe.batch,
        "seed": recipe.seed,
        "device": str(device()),
        "seconds": round(history.seconds),
        "command": f"dgm train {name}",
        "held_out": made.figure(model.eval(), images),
        "judging_seconds": round(time.perf_counter() - start),
    }
    _put(path.with_suffix(".json"), json.dumps(record, indent=1) + "\n")
    for left in folder.glob(f"{half.name}*"):  # the checkpoint, and the one before it
        left.unlink()
    return path


def _put(path: Path, text: str) -> None:
    """Write a small file, whole or not at all."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
