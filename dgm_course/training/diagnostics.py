"""Diagnostics of trainings that go wrong without a NaN: posterior collapse (lecture 5: VAE), dead codes (lecture 5: VQ-VAE),
a discriminator that has won, and mode collapse (intro lecture: GAN).

``fit`` checks a model that has ``symptoms(*batch) -> list[Diagnostic]``.  The thresholds are cautious: to lose a quarter of
the codes or one mode of ten is common, and is not reported.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

NATS = 0.1  # KL below which the posterior has collapsed: a fair bit is then guessed with 72 % accuracy
LIVE = 16  # one code in so many should be chosen
WON = 0.01  # share of the loss at output 0; D is then 99 % accurate
SPREAD = 0.05  # share of the variance of the data


@dataclass(frozen=True)
class Diagnostic:
    """A problem: its name, what is seen, what it usually means, what to try."""

    name: str
    seen: str
    means: str
    advice: str

    def __str__(self) -> str:
        return f"{self.name}: {self.seen}. {self.means}. To try: {self.advice}."


def posterior_collapse(kl: Tensor, z: str = "z") -> list[Diagnostic]:
    """A mean KL(q(z|x) ‖ p(z)) below 0.1 nats.  kl (B,), summed over the latent; z: its letter

    I(x; z) ≤ E KL(q(z|x) ‖ p(z)), for any prior.                                             (lecture 5, ELBO Surgery)"""
    mean = float(kl.detach().double().mean())
    if not abs(mean) < NATS:  # sampled, it may fall a little below 0
        return []
    return [
        Diagnostic(
            "Posterior collapse",
            f"KL(q({z}|x) ‖ p({z})) is {mean:.2g} nats a sample",
            f"The encoder answers every x alike, so {z} says nothing about x, and the decoder does without it",
            "a KL weight that is smaller or grows from 0; a decoder that knows less by itself (no neighbouring "
            "pixels), or one with a smaller deviation; a smaller learning rate",
        )
    ]


def dead_codes(codes: Tensor, size: int, name: str = "codebook") -> list[Diagnostic]:
    """At most a sixteenth of min(size, outputs) codes is chosen, or a single one.  codes (B, *grid), of `size` vectors"""
    live, outputs = int(codes.unique().numel()), codes.numel()
    if outputs < 2 or live > max(1, min(size, outputs) // LIVE):
        return []
    return [
        Diagnostic(
            "Dead codes",
            f"{outputs:,} outputs of the encoder choose {live} of the {size} vectors of the {name}",
            "The outputs lie far from the other vectors, which are never chosen and so never move: the codes hold "
            "almost no information",
            "codebook vectors initialised at outputs; revival=DeadCodeReset(), which moves dead vectors onto outputs "
            "after some 300 steps; EMAUpdate() in place of GradientUpdate(); a smaller learning rate",
        )
    ]


def critic_won(
    rule: Callable[[Tensor, Tensor], Tensor], real: Tensor, fake: Tensor, name: str = "discriminator"
) -> list[Diagnostic]:
    """A critic's loss below a hundredth of that of outputs 0, such as 2 log 2 for logits.  real, fake: its outputs

    rule: the critic's loss, (real, fake) -> ().  A Wasserstein critic has loss 0 at outputs 0, and never wins."""
    real, fake = real.detach(), fake.detach()
    blank, loss = float(rule(torch.zeros_like(real), torch.zeros_like(fake))), float(rule(real, fake))
    if not blank > 0 or not loss < WON * blank:
        return []
    return [
        Diagnostic(
            f"The {name} has won",
            f"its loss is {loss:.2g}, that of outputs 0 is {blank:.3g}",
            "It is certain of every sample, so its output hardly changes when a sample does, and the generator "
            "learns little from it",
            f"a smaller learning rate for the {name} (lr_ratio), or fewer steps of it (k); a gradient penalty "
            "(game.with_penalty(R1())); a loss whose gradient does not vanish (non_saturating or wasserstein_gp)",
        )
    ]


def mode_collapse(fake: Tensor, real: Tensor) -> list[Diagnostic]:
    """Samples of less than a twentieth of the data's variance: Σ Var G(z) < 0.05 Σ Var x.  both (B, *event)"""
    if min(len(fake), len(real)) < 2:
        return []
    own, wanted = (float(x.detach().double().var(0).sum()) for x in (fake, real))
    if not own < SPREAD * wanted:
        return []
    return [
        Diagnostic(
            "Mode collapse",
            f"{len(fake)} samples have {own / wanted:.2%} of the variance of as many data",
            "The generator makes one thing whatever its noise, which the other side has not yet learned to see, or "
            "cannot: it looks at one sample at a time",
            "both sides at an even pace; a penalty on the discriminator's slope (game.with_penalty(R1())); a "
            "discriminator that sees several samples at once (PacDiscriminator); noise of more dimensions",
        )
    ]


class TrainingMonitor:
    """Checks ten times per run (of 100 steps or more), and reports a problem once, after three positives in a row.

    A check changes no weight, buffer, mode or random number.  reported: the problems that a resumed run has reported."""

    looks, on_end, least = 10, 3, 100

    def __init__(self, model: nn.Module, steps: int, reported: Sequence[Diagnostic] = ()) -> None:
        self.model, self.every = model, steps // self.looks
        self.idle = steps < self.least or not hasattr(model, "symptoms")
        self.counts: dict[str, int] = {}
        self.said = {symptom.name for symptom in reported}

    def look(self, step: int, batch: tuple[Any, ...]) -> list[Diagnostic]:
        """The problems to report after this step."""
        if self.idle or step % self.every:
            return []
        try:
            with _untouched(self.model):
                seen = self.model.symptoms(*batch)
        except Exception:  # a loss in a subclass may take other arguments
            self.idle = True
            return []
        self.counts = {s.name: self.counts.get(s.name, 0) + 1 for s in seen}
        new = [s for s in seen if self.counts[s.name] >= self.on_end and s.name not in self.said]
        self.said |= {s.name for s in new}
        return new

    def report(self, step: int, batch: tuple[Any, ...]) -> list[Diagnostic]:
        """``look``, and print what it finds."""
        new = self.look(step, batch)
        for symptom in new:
            print(describe(symptom, step))
        return new


def describe(symptom: Diagnostic, step: int) -> str:
    """A report of three lines: what is seen and when, what it means, what to try."""
    lines = (f"{symptom.name}, step {step:,}: {symptom.seen}.", f"{symptom.means}.", f"To try: {symptom.advice}.")
    return "\n".join(
        textwrap.fill(line, 118, initial_indent="  " * (number > 0), subsequent_indent="  ")
        for number, line in enumerate(lines)
    )


@contextmanager
def _untouched(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, no gradients, random numbers of its own; the modes are restored."""
    modes = {part: part.training for part in model.modules()}
    devices = sorted({p.device.index or 0 for p in model.parameters() if p.device.type == "cuda"})
    model.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=devices):
            yield
    finally:
        for part, training in modes.items():
            part.training = training
