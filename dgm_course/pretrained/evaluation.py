"""Evaluation of trained models: digits in the features of one fixed classifier, likelihoods on one fixed draw of bits.

Every figure has its protocol, and a distance its floor: the distance of other real digits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .. import data
from ..core import metrics
from ..core.tensors import fast_dtype, seed
from ..nets.conv import DigitClassifier
from ..training.config import Recipe, linear
from ..training.loop import fit
from .files import Entry, read_into


class Classifying(nn.Module):
    """A classifier with its loss: the mean cross-entropy, on images moved by up to two pixels."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """x (B, 1, 28, 28), y (B,) -> ()"""
        right, down = torch.randint(0, 5, (2,)).tolist()
        moved = nn.functional.pad(x, (2, 2, 2, 2), value=-1.0)[..., down : down + 28, right : right + 28]
        return nn.functional.cross_entropy(self.net(moved).float(), y)


def accuracy(net: nn.Module, images: data.Images) -> dict[str, Any]:
    """The share of the test images whose class is recognised."""
    with torch.no_grad():
        predicted = torch.cat([net(x).argmax(1) for x in images.test.split(500)])
    return {
        "accuracy": round(float((predicted == images.test_labels).float().mean()), 4),
        "protocol": f"{len(predicted):,} test images of {images.source}",
    }


def balanced(n: int, like: Tensor) -> Tensor:
    """The labels 0 ... 9 in equal numbers, in order.  -> (n,), on the device of ``like``"""
    return torch.arange(10, device=like.device).repeat_interleave(n // 10)


@torch.no_grad()
def judged(sampler: Callable[[Tensor], Tensor], images: data.Images, how: str, n: int = 1000) -> dict[str, Any]:
    """Fréchet distance, precision, recall and coverage of n samples to n test images, in the classifier's features.

    sampler: labels (n,), as many of each class -> digits (n, 1, 28, 28) in [-1, 1].  how: the sampler, for the protocol."""
    seed(0)
    ours, real, other = (
        features(part) for part in (sampler(balanced(n, images.test)), images.test[:n], class_balanced(images, n))
    )
    precision, recall, coverage = (float(v) for v in metrics.precision_recall_coverage(real, ours))
    return {
        "frechet": round(float(metrics.frechet_distance(ours, real)), 2),
        "frechet_floor": round(float(metrics.frechet_distance(other, real)), 2),
        "precision": round(precision, 3),
        "recall": round(recall, 3),
        "coverage": round(coverage, 3),
        "protocol": f"{n} class-balanced samples, {how}, against {n} test images of {images.source}; "
        f"floor: {n} class-balanced training images; features of digit_classifier, k = 5",
    }


@torch.no_grad()
def judged_often(
    sampler: Callable[[Tensor], Tensor],
    images: data.Images,
    learned: data.Images,
    how: str,
    n: int = 1000,
    draws: int = 5,
    floors: int = 20,
) -> dict[str, Any]:
    """As ``judged``, with means and deviations over several sets of n samples.

    learned: the training set, whose draws are the floor: samples of a perfect model."""
    real, rows = features(images.test[:n]), []
    for number in range(draws):
        seed(number)
        ours = features(sampler(balanced(n, images.test)))
        rows.append([metrics.frechet_distance(ours, real), *metrics.precision_recall_coverage(real, ours)])
    generator = torch.Generator().manual_seed(0)
    floor = torch.tensor(
        [metrics.frechet_distance(features(class_balanced(learned, n, generator)), real) for _ in range(floors)]
    )
    found = torch.tensor(rows).double()
    figures = dict(zip(("frechet", "precision", "recall", "coverage"), found.mean(0)))
    figures |= {
        "frechet_spread": found[:, 0].std(),
        "frechet_floor": floor.mean(),
        "frechet_floor_spread": floor.std(),
    }
    return {name: round(float(value), 3) for name, value in figures.items()} | {
        "protocol": f"{draws} sets of {n} class-balanced samples, {how}, mean and deviation, each against the same {n} test "
        f"images of {images.source}; floor: {floors} sets of {n} class-balanced images of {learned.source}; "
        "features of digit_classifier, k = 5"
    }


def classification_accuracy_score(
    sampler: Callable[[Tensor], Tensor], images: data.Images, how: str, n: int = 5000, steps: int = 1500
) -> dict[str, Any]:
    """The accuracy on test images of a classifier trained on n samples alone, beside one trained on as many real digits.

    It falls where samples lack a way of writing, or show a class other than their label."""
    labels = balanced(n, images.train)
    with torch.no_grad():
        fake = torch.cat([sampler(part) for part in labels.split(1000)])
    found = []
    for examples in (fake, class_balanced(images, n)):
        seed(0)
        net = DigitClassifier().to(labels.device)
        recipe = Recipe(steps, 128, 3e-3, warmup=steps // 8, decay=linear, weight_decay=0.01)
        fit(Classifying(net), (examples, labels), recipe)
        found.append(accuracy(net.eval(), images)["accuracy"])
    return {
        "taught": found[0],
        "taught_by_real": found[1],
        "taught_protocol": f"a classifier that has seen {n:,} class-balanced samples alone, {how}, and one that has "
        f"seen as many real digits; {len(images.test):,} test images of {images.source}",
    }


@torch.no_grad()
def nats_of_bits(log_prob: Callable[[Tensor], Tensor], images: Tensor, what: str) -> dict[str, Any]:
    """Mean −log p of black and white digits, with its standard error over the images.  images (N, 1, 28, 28) in [-1, 1]

    log_prob: bits (B, 1, 28, 28) -> (B,), exact or a bound.  what: which of these, for the protocol."""
    seed(0)
    bits = data.DynamicallyBinarized(images).fixed()
    nats = -torch.cat([log_prob(x) for x in bits.split(500)])
    return mean_and_error("nats", nats) | {
        "protocol": f"{what}, {len(bits):,} images, each pixel one fixed Bernoulli draw of its brightness"
    }


def mean_and_error(name: str, values: Tensor, digits: int = 2) -> dict[str, float]:
    """The mean of values (N,) and its standard error."""
    error = float(values.std() / len(values) ** 0.5)
    return {name: round(float(values.mean()), digits), "standard_error": round(error, digits)}


def squared_error(x: Tensor, other: Tensor) -> float:
    """‖x − other‖² summed over pixels, mean over images (N, 1, H, W)."""
    return float((x - other).square().flatten(1).sum(1).mean())


def classify(images: Tensor) -> Tensor:
    """Logits of the fixed classifier.  (N, 1, 28, 28) -> (N, 10)"""
    net = read_into(DigitClassifier(), "digit_classifier").to(images.device)
    return torch.cat([net(x) for x in images.split(500)])


def features(images: Tensor) -> Tensor:
    """Features of the fixed classifier.  (N, 1, 28, 28) -> (N, 128)"""
    net = read_into(DigitClassifier(), "digit_classifier").to(images.device)
    return torch.cat([net.features(x) for x in images.split(500)])


def class_balanced(images: data.Images, n: int, generator: torch.Generator | None = None) -> Tensor:
    """n training images, as many of each class: the first ones, or random ones."""
    places = [torch.where(images.train_labels == label)[0] for label in range(10)]
    if generator is not None:
        places = [place[torch.randperm(len(place), generator=generator).to(place.device)] for place in places]
    return images.train[torch.cat([place[: n // 10] for place in places])]


ENTRIES = {
    "digit_classifier": Entry(
        DigitClassifier,
        Classifying,
        lambda images: (images.train, images.train_labels),
        lambda: Recipe(4000, 128, 3e-3, warmup=200, decay=linear, weight_decay=0.01, precision=fast_dtype()),
        accuracy,
    )
}
