"""Trainings that go wrong in a way that has a name, and go on as if nothing were the matter.

A loss that is no number stops a run (`fit`).  These do not stop it, and the loss alone does not show them:

    posterior collapse    KL(q(z|x) ‖ p(z)) → 0        the code says nothing about x                       (lecture 5: VAE)
    dead codes            hardly an e_k is chosen       a picture is told by the same number everywhere  (lecture 5: VQ-VAE)
    a critic that won     its loss → 0                  the generator learns from it no more             (intro lecture: GAN)
    mode collapse         Var G(z) ≪ Var x              every noise becomes the same sample              (intro lecture: GAN)

A model that can be ill so offers ``symptoms(*batch) -> list[Symptom]``, a look at its present state: empty where it is well.
`fit` looks now and then, and says what it sees in several looks on end, once (`Watch`).

What each asks is on the safe side.  A quarter of the codes dead, a few latent numbers unused, one mode of ten missed are
common, are no reason for alarm, and are not told; measures of them are `Codebook.perplexity`, `vae.surgery`,
`measures.mode_counts`.
"""
from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

NATS = 0.1  # a KL below it is next to none: log 2 = 0.69 would tell one bit; with 0.1 one guesses it 72 times in 100
LIVE = 16  # of so many codes at least one should be chosen
WON = 0.01  # of the loss of a critic that has no opinion; where D is right, it is right with 99 % and more
SPREAD = 0.05  # of the variance of the data


@dataclass(frozen=True)
class Symptom:
    """What is seen, with its number; what it usually means; what to try.  name: what one would look for in a book."""

    name: str
    seen: str
    means: str
    advice: str

    def __str__(self) -> str:
        return f"{self.name}: {self.seen}. {self.means}. To try: {self.advice}."


def posterior_collapse(kl: Tensor, z: str = "z") -> list[Symptom]:
    """Seen where the mean KL(q(z|x) ‖ p(z)) is below 0.1 nats.  kl (B,), summed over the latent; z: its letter

    It bounds what z tells about x: I(x; z) ≤ E KL(q(z|x) ‖ p(z)), for any prior.             (lecture 5, ELBO Surgery)"""
    mean = float(kl.detach().double().mean())
    if not abs(mean) < NATS:  # sampled, it may fall a little below 0
        return []
    return [Symptom("Posterior collapse", f"KL(q({z}|x) ‖ p({z})) is {mean:.2g} nats a sample",
                    f"The encoder answers every x alike, so {z} says nothing about x, and the decoder does without it",
                    "a KL weight that is smaller or grows from 0; a decoder that knows less by itself (no neighbouring "
                    "pixels), or one with a smaller deviation; a smaller learning rate")]


def dead_codes(codes: Tensor, size: int, name: str = "codebook") -> list[Symptom]:
    """Seen where a batch chooses one code in sixteen or fewer, or a single one.  codes (B, *grid), of `size` vectors

    A batch of fewer outputs than codes can choose no more than it has outputs, and is asked for one in sixteen of those."""
    live, outputs = int(codes.unique().numel()), codes.numel()
    if outputs < 2 or live > max(1, min(size, outputs) // LIVE):
        return []
    return [Symptom("Dead codes", f"{outputs:,} outputs of the encoder choose {live} of the {size} vectors of the {name}",
                    "The outputs lie far from the other vectors, which are never chosen, and so never moved: the codes "
                    "say next to nothing",
                    "codebook vectors that start where the outputs are; revival=Revival(), which after some 300 "
                    "steps moves the dead onto outputs; MovingAverage() in place of ByGradient(); a smaller learning rate")]


def critic_won(rule: Callable[[Tensor, Tensor], Tensor], real: Tensor, fake: Tensor,
               name: str = "discriminator") -> list[Symptom]:
    """Seen where the critic's loss is below a hundredth of what a critic without opinion has.  real, fake: its numbers

    rule: the critic's loss in this game, (real, fake) -> ().  Without opinion is 0 for every sample: 2 log 2 where it gives
    logits.  In a Wasserstein game that loss is 0, and no loss means victory: nothing is seen."""
    real, fake = real.detach(), fake.detach()
    blank, loss = float(rule(torch.zeros_like(real), torch.zeros_like(fake))), float(rule(real, fake))
    if not blank > 0 or not loss < WON * blank:
        return []
    return [Symptom(f"The {name} has won", f"its loss is {loss:.2g}, that of one without opinion {blank:.3g}",
                    "It is sure of every sample, so its answer hardly changes when a sample does, and the generator learns "
                    "little from it",
                    f"a smaller learning rate for the {name} (pace), or fewer steps of it (k); a penalty on its slope "
                    "(game.plus(R1())); a game whose slope lives on (non_saturating, not minimax; wasserstein_gp)")]


def mode_collapse(fake: Tensor, real: Tensor) -> list[Symptom]:
    """Seen where samples vary less than a twentieth of what data do: Σ Var G(z) < 0.05 Σ Var x.  both (B, *event)"""
    if min(len(fake), len(real)) < 2:
        return []
    own, wanted = (float(x.detach().double().var(0).sum()) for x in (fake, real))
    if not own < SPREAD * wanted:
        return []
    return [Symptom("Mode collapse", f"{len(fake)} samples have {own / wanted:.2%} of the variance of as many data",
                    "The generator makes one thing whatever its noise, which the other side has not yet learned to see, or "
                    "cannot: it looks at one sample at a time",
                    "both sides at an even pace; a penalty on the discriminator's slope (game.plus(R1())); a discriminator "
                    "that sees several samples at once (Packed); noise of more dimensions")]


class Watch:
    """Looks at a model ten times a run, and tells, once, what it saw three times on end.  (Runs of 100 steps or more.)

    A run begins ill in every one of these ways, and recovers: a fresh encoder knows nothing, a fresh generator is grey.
    A look leaves no trace: weights, buffers, modes and random numbers are what they were."""

    looks, on_end, least = 10, 3, 100

    def __init__(self, model: nn.Module, steps: int) -> None:
        self.model, self.every = model, steps // self.looks
        self.idle = steps < self.least or not hasattr(model, "symptoms")
        self.counts: dict[str, int] = {}
        self.said: set[str] = set()

    def look(self, step: int, batch: tuple[Any, ...]) -> list[Symptom]:
        """After a step: the symptoms that are to be told now."""
        if self.idle or step % self.every:
            return []
        try:
            with _untouched(self.model):
                seen = self.model.symptoms(*batch)
        except Exception:  # a loss of the reader's own may take other arguments, and its training must not end here
            self.idle = True
            return []
        self.counts = {s.name: self.counts.get(s.name, 0) + 1 for s in seen}
        new = [s for s in seen if self.counts[s.name] >= self.on_end and s.name not in self.said]
        self.said |= {s.name for s in new}
        return new


def told(symptom: Symptom, step: int) -> str:
    """Three short lines for a reader: what is seen and when, what it means, what to try."""
    lines = (f"{symptom.name}, step {step:,}: {symptom.seen}.", f"{symptom.means}.", f"To try: {symptom.advice}.")
    return "\n".join(textwrap.fill(line, 118, initial_indent="  " * (number > 0), subsequent_indent="  ")
                     for number, line in enumerate(lines))


@contextmanager
def _untouched(model: nn.Module) -> Iterator[None]:
    """The model in the mode in which it is used, without gradients, on random numbers of its own."""
    modes = {part: part.training for part in model.modules()}
    devices = sorted({p.device.index or 0 for p in model.parameters() if p.device.type == "cuda"})
    model.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=devices):
            yield
    finally:
        for part, training in modes.items():
            part.training = training
