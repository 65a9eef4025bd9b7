"""Every family on the same data: cost of a sample, quality, coverage, likelihood.

``survey(images)`` returns a ``Row`` for each system.  n samples are compared with n real digits of their kind (bits or
greys) in the features of one fixed classifier; the floor is the figure of n other real digits.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .. import pretrained
from ..core import metrics
from ..data.images import DynamicallyBinarized, Images, binarise
from .counting import counted, one_thread, timed
from .models import BITS, BITS_A_PIXEL, GREYS, NATS_OF_BITS, SYSTEMS, ModelSpec, available

K = 5  # neighbours
PAIRS, SURE = 64, 0.9  # interpolations; a digit is recognised where one class has at least this probability


class Quality(NamedTuple):
    """Digits compared with real ones in features, and the share of the rarest class."""

    precision: float
    recall: float
    coverage: float
    density: float
    frechet: float
    rarest: float


class LikelihoodResult(NamedTuple):
    """Mean over images and standard error, in the unit of the likelihood; passes and processor seconds per image."""

    value: float
    error: float
    passes: float
    seconds: float


class LatentFigures(NamedTuple):
    """own, middle: shares of samples, and of interpolations half-way, that are recognised; path_length_ratio: in features.

    one, all: shares of a factor's variance that the best coordinate, and all, explain: mean over ink, height, slant."""

    own: float
    middle: float
    path_length_ratio: float
    one: float
    all: float


def milliseconds(seconds: float) -> str:
    """At most three digits: 0.042 ms, 5.9 ms, 123 ms."""
    return f"{1000 * seconds:.{2 if seconds < 0.01 else 3}g} ms"


@dataclass(frozen=True, repr=False)
class Row:
    """The figures of one system.  seconds: of processor time per sample; passes: of networks per sample; floor: the quality
    of real digits; faded: middle and path_length_ratio of two real digits averaged in pixels."""

    system: ModelSpec
    n: int
    seconds: float
    passes: float
    quality: Quality
    floor: Quality
    likelihood_result: LikelihoodResult | None
    latent: LatentFigures | None
    faded: tuple[float, float]
    samples: Tensor

    @property
    def name(self) -> str:
        return self.system.name

    def __repr__(self) -> str:
        q, f = self.quality, self.floor
        found, kind = self.likelihood_result, self.system.likelihood
        figure = f"{found.value:.2f} ± {found.error:.2f} {kind.unit}" if found else "no figure"
        names = {"precision": "precision", "recall": "recall", "coverage": "coverage", "frechet": "Fréchet"}
        beside = ", ".join(f"{name} {getattr(q, k):.2f} ({getattr(f, k):.2f})" for k, name in names.items())
        return (
            f"{self.name}: {milliseconds(self.seconds)} and {self.passes:.3g} passes a sample; {beside}; likelihood "
            f"{kind.kind}, {figure}; n = {self.n}, in brackets real digits"
        )


class Evaluator:
    """n real digits of each kind in the features of the fixed classifier, and the quality of n others."""

    def __init__(self, images: Images, n: int, k: int = K) -> None:
        if not k < n <= len(images.test):
            raise ValueError(
                f"n is {n}: expected more than the {k} neighbours and at most {len(images.test)} test images."
            )
        self.net, self.n, self.k = pretrained.load("digit_classifier"), n, k
        generator = torch.Generator().manual_seed(0)

        def black(x: Tensor) -> Tensor:
            return 2 * binarise(x, "dynamic", generator) - 1

        self.pixels = real = spread(images.test, images.test_labels, n)
        other = spread(images.train, images.train_labels, n)
        self.real = {GREYS: self.see(real), BITS: self.see(black(real))}
        self.floor = {GREYS: self.compare(other, GREYS), BITS: self.compare(black(other), BITS)}

    @torch.no_grad()
    def see(self, x: Tensor) -> Tensor:
        """Features.  (N, 1, 28, 28) -> (N, 128)"""
        return torch.cat([self.net.features(part) for part in x.split(500)])

    @torch.no_grad()
    def classes(self, x: Tensor) -> Tensor:
        """The class of each.  (N, 1, 28, 28) -> (N,)"""
        return torch.cat([self.net(part).argmax(1) for part in x.split(500)])

    def compare(self, x: Tensor, color_mode: str) -> Quality:
        """The quality of x (N, 1, 28, 28) in [−1, 1], against real digits of that kind."""
        real, ours = self.real[color_mode], self.see(x)
        shares = metrics.precision_recall_coverage(real, ours, self.k)
        rarest = torch.bincount(self.classes(x), minlength=10).min() / len(x)
        density, frechet = metrics.density(real, ours, self.k), metrics.frechet_distance(real, ours)
        return Quality(*shares, density, frechet, float(rarest))

    @torch.no_grad()
    def recognised(self, x: Tensor) -> float:
        """The share to which the classifier gives one class with probability 0.9 or more."""
        logits = torch.cat([self.net(part) for part in x.split(500)])
        return float((logits.softmax(1).amax(1) >= SURE).double().mean())

    def along(self, start: Tensor, middle: Tensor, end: Tensor) -> tuple[float, float]:
        """The share of recognised pictures half-way, and the path length ratio in features.  three of (P, 1, 28, 28)"""
        path = torch.stack([self.see(x) for x in (start, middle, end)])
        return self.recognised(middle), metrics.path_length_ratio(path)

    def faded(self) -> tuple[float, float]:
        """The same for the mean of two real digits of different classes."""
        few = min(PAIRS, self.n - 1)
        start, end = self.pixels[:few], self.pixels[1 : few + 1]
        return self.along(start, (start + end) / 2, end)


def spread(x: Tensor, y: Tensor, n: int) -> Tensor:
    """n of the images x (N, 1, H, W), the classes in turn."""
    places = [torch.where(y == label)[0] for label in range(10)]
    rank = torch.zeros(len(y), dtype=torch.long)
    for place in places:
        rank[place] = torch.arange(len(place))
    return x[(rank * 10 + y).argsort()[:n]]


@torch.no_grad()
def likelihood(system: ModelSpec, model: Any, images: Images, n: int) -> LikelihoodResult | None:
    """The mean of −log p over n test images; None where the system has no log_prob."""
    kind = system.likelihood
    if kind.log_prob is None:
        return None
    x, y = images.test[:n], images.test_labels[:n]
    x = DynamicallyBinarized(x).fixed() if kind.unit == NATS_OF_BITS else x
    with counted(system.parts(model)) as counter:
        found, seconds = timed(
            lambda: -torch.cat([kind.log_prob(model, *part) for part in zip(x.split(50), y.split(50))])
        )
    if kind.unit == BITS_A_PIXEL:
        found = metrics.bits_per_dim(found, x[0].numel())
    return LikelihoodResult(
        float(found.mean()), float(found.std() / len(found) ** 0.5), counter.samples / n, seconds / n
    )


@torch.no_grad()
def latent_figures(system: ModelSpec, model: Any, judge: Evaluator, x: Tensor, z: Tensor) -> LatentFigures:
    """The figures of a latent space, from samples x of latents z with the labels 0, 1, ..., 9, 0, ...

    An interpolation goes from one latent to another and keeps the first one's label."""
    few = min(PAIRS, len(x) // 2)
    start, end, y = z[:few], z[few : 2 * few], torch.arange(few) % 10
    middle = system.make(model, metrics.slerp(start, end, 0.5), y).clamp(-1, 1)
    last = system.make(model, end, y).clamp(-1, 1) if system.conditional else x[few : 2 * few]
    shares = [metrics.explained(z, factor.float()) for factor in metrics.factors(x)]
    one, together = (statistics.fmean(share[i] for share in shares) for i in (0, 1))
    return LatentFigures(judge.recognised(x), *judge.along(x[:few], middle, last), one, together)


@one_thread()
def survey(
    images: Images,
    n: int = 200,
    known: int = 200,
    systems: Sequence[ModelSpec] | None = None,
    rounds: int = 2,
    report: Callable[[str], None] | None = None,
) -> list[Row]:
    """A row for each system: n samples drawn in ``rounds``, likelihoods on ``known`` images.

    Seconds are the faster round's, on one thread; each round goes over all systems, so that a busy minute of the machine
    affects all.  Uses the global random stream."""
    chosen = available(SYSTEMS) if systems is None else tuple(systems)
    if n % rounds or n // rounds < 2:
        raise ValueError(f"n is {n} and rounds {rounds}: expected a whole number, at least 2, of samples a round.")
    judge, models = Evaluator(images, n), [system.load() for system in chosen]
    for system, model in zip(chosen, models):
        system.sample_digits(model, 2)  # warm-up
    parts: list[list[Any]] = [[] for _ in chosen]
    for turn in range(rounds):
        for system, model, mine in zip(chosen, models, parts):
            with counted(system.parts(model)) as counter:
                drawn, seconds = timed(partial(system.sample_digits, model, n // rounds))
            mine.append((drawn, seconds * rounds / n, counter.samples * rounds / n))
            if report is not None:
                report(f"round {turn + 1} of {rounds}: {system.name}")
    return [_row(system, model, mine, judge, images, known) for system, model, mine in zip(chosen, models, parts)]


def _row(system: ModelSpec, model: Any, mine: list[Any], judge: Evaluator, images: Images, known: int) -> Row:
    x = torch.cat([drawn[0] for drawn, _, _ in mine])
    z = None if system.source is None else torch.cat([drawn[1] for drawn, _, _ in mine])
    latent = None if z is None else latent_figures(system, model, judge, x, z)
    return Row(
        system,
        judge.n,
        min(s for _, s, _ in mine),
        statistics.fmean(p for _, _, p in mine),
        judge.compare(x, system.color_mode),
        judge.floor[system.color_mode],
        likelihood(system, model, images, known),
        latent,
        judge.faded(),
        x,
    )


def measure(system: ModelSpec, images: Images, n: int = 200, known: int = 200) -> Row:
    """The row of one system."""
    return survey(images, n, known, (system,))[0]
