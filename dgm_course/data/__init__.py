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

__all__ = ["DataError", "DynamicallyBinarized", "ImagePairs", "Images", "binarise", "digits", "mnist"]
__all__ += ["mnist_for_weights", "outline", "paired_digits", "pixelate", "shrink_to_10x10", "turned"]
__all__ += ["little_images", "little_language", "RINGS", "WORLDS", "RingSpec", "ToyDistribution", "checkerboard"]
__all__ += ["eight_gaussians", "grid25", "moons", "rings", "spiral"]
