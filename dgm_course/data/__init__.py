"""Data: toy distributions with their exact density, small images, MNIST, short discrete sequences."""
from .images import (
    Bits,
    Images,
    Pairs,
    binarise,
    digits,
    mnist,
    mnist_for_weights,
    outline,
    paired_digits,
    pixelate,
    shrink,
    turned,
)
from .mnist_files import DataError
from .tokens import little_images, little_language
from .worlds import RINGS, WORLDS, Ring, World, checkerboard, eight_gaussians, grid25, moons, rings, spiral

__all__ = ["Bits", "DataError", "Images", "Pairs", "RINGS", "Ring", "WORLDS", "World", "binarise", "checkerboard", "digits", "eight_gaussians", "grid25", "little_images", "little_language", "mnist", "mnist_for_weights", "moons", "outline", "paired_digits", "pixelate", "rings", "shrink", "spiral", "turned"]
