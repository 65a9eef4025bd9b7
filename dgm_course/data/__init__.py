"""Data: toy distributions with their exact density, small images, MNIST, short discrete sequences."""

from .images import (
    DynamicallyBinarized,
    ImagePairs,
    Images,
    binarise,
    digits,
    mnist,
    mnist_for_weights,
    outline,
    paired_digits,
    pixelate,
    shrink_to_10x10,
    turned,
)
from .mnist_files import DataError
from .tokens import little_images, little_language
from .worlds import (
    RINGS,
    WORLDS,
    RingSpec,
    ToyDistribution,
    checkerboard,
    eight_gaussians,
    grid25,
    moons,
    rings,
    spiral,
)

__all__ = [
    "DynamicallyBinarized",
    "DataError",
    "Images",
    "ImagePairs",
    "RINGS",
    "RingSpec",
    "WORLDS",
    "ToyDistribution",
    "binarise",
    "checkerboard",
    "digits",
    "eight_gaussians",
    "grid25",
    "little_images",
    "little_language",
    "mnist",
    "mnist_for_weights",
    "moons",
    "outline",
    "paired_digits",
    "pixelate",
    "rings",
    "shrink_to_10x10",
    "spiral",
    "turned",
]
