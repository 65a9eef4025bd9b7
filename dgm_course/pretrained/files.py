"""Where trained weights lie, and what is known of each set: an ``Entry`` says how it is made, a card how it did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from torch import nn

from ..data.images import Images
from ..training import checkpoints
from ..training.config import Recipe

FOLDER = Path(str(resources.files("dgm_course"))) / "pretrained" / "weights"


@dataclass(frozen=True)
class Entry:
    """How one set of weights is made: the untrained model, what is trained (its ``loss``), on what, how, how well."""

    blank: Callable[[], nn.Module]
    training: Callable[[nn.Module], nn.Module]
    batches: Callable[[Images], Any]
    recipe: Callable[[], Recipe]
    figure: Callable[[nn.Module, Images], dict[str, Any]]


def identity(model: nn.Module) -> nn.Module:
    """The model, which has a loss of its own."""
    return model


def read_into(model: nn.Module, name: str) -> nn.Module:
    """The model with the weights of that name, ready for use; CheckpointError where the file is missing or damaged."""
    tensors, _ = checkpoints.read(FOLDER / f"{name}.safetensors")
    checkpoints.load_into(model, tensors, f"{name}.safetensors")
    return model.eval().requires_grad_(False)
