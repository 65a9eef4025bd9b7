"""The folder of the weights, and ``Entry``: how one set of weights is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ..data.images import Images
from ..training import checkpoints
from ..training.config import Recipe

FOLDER = Path(str(resources.files("dgm_course"))) / "pretrained" / "weights"


@dataclass(frozen=True)
class Entry:
    """The untrained model, the module whose ``loss`` is trained, its data, its recipe, its held-out figures."""

    blank: Callable[[], nn.Module]
    training: Callable[[nn.Module], nn.Module]
    batches: Callable[[Images], Any]
    recipe: Callable[[], Recipe]
    figure: Callable[[nn.Module, Images], dict[str, Any]]


def identity(model: nn.Module) -> nn.Module:
    """The model, which has a loss of its own."""
    return model


def train_images(images: Images) -> Tensor:
    return images.train


def images_and_labels(images: Images) -> tuple[Tensor, None, Tensor]:
    """The data of a path model: (images, no noise, labels)."""
    return images.train, None, images.train_labels


def read_into(model: nn.Module, name: str) -> nn.Module:
    """The model with these weights, frozen; CheckpointError where the file is missing or damaged."""
    tensors, _ = checkpoints.read(FOLDER / f"{name}.safetensors")
    checkpoints.load_into(model, tensors, f"{name}.safetensors")
    return model.eval().requires_grad_(False)
