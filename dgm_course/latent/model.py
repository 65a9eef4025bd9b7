"""Latent space models: any generator, behind any encoder and decoder.                      (lecture 14, Latent Space Models)

    x --encode--> z --(learn, sample)--> z --decode--> x

The first stage is trained first and then frozen: it decides what may be forgotten.  The second stage, a generator of
codes, decides what is likely, and works where there are fewer numbers.  Flow matching and diffusion want codes of real
numbers (`ScaledModel`, so that they have unit size), an autoregressive model wants whole ones: to this class it is one.

What is lost is the likelihood of pictures: the generator's log p(codes) is exact or bounded as ever, but of codes.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from ..core.checks import expect_some
from ..training.gpu import graph_safe
from .stages import FirstStage


class Latent(nn.Module):
    """stage: encodes and decodes; a frozen copy of it is kept.  generator: learns and samples codes."""

    def __init__(self, stage: FirstStage, generator: nn.Module) -> None:
        super().__init__()
        for part, names in ((stage, ("encode", "decode")), (generator, ("sample",))):
            if lost := [name for name in names if not hasattr(part, name)]:
                raise TypeError(
                    f"{type(part).__name__} has no {', no '.join(lost)}: expected "
                    + (
                        "a first stage, such as latent.Continuous(vae) or latent.Discrete(vqvae)."
                        if part is stage
                        else "a generator of codes with sample(n, ...), and loss(codes, ...) if it is to learn."
                    )
                )
        self.stage = copy.deepcopy(stage).requires_grad_(False).eval()
        self.generator = generator

    @property
    def graph_safe(self) -> bool:
        """Whether a GPU may replay a training step: where it may replay the generator's."""
        return graph_safe(self.generator)

    def train(self, mode: bool = True) -> Latent:
        """The generator changes its mode; the first stage stays as it is used, so that no codebook or norm learns."""
        super().train(mode)
        self.stage.eval()
        return self

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """Codes of pictures, as the generator gets to see them.  x (B, *event) -> (B, *grid)"""
        return self.stage.encode(expect_some(x))

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """Pictures of codes.  (B, *grid) -> (B, *event)"""
        return self.stage.decode(codes)

    def loss(self, x: Tensor, *condition: Any) -> Tensor:
        """The generator's loss on the codes of x; what else is told (labels) goes through.  x (B, *event) -> ()"""
        return self.generator.loss(self.encode(x), *condition)

    def sample(self, *how: Any, **more: Any) -> Tensor:
        """decode(generator.sample(...)): the arguments are the generator's own.  -> (n, *event)"""
        return self.decode(self.generator.sample(*how, **more))

    def trajectory(self, *how: Any, **more: Any) -> Tensor:
        """Every point of the generator's way, decoded: pictures of half-finished codes.  -> (steps + 1, n, *event)"""
        way = self.generator.trajectory(*how, **more)
        return torch.stack([self.decode(codes) for codes in way])

    def with_label(self, *condition: Any) -> Latent:
        """The same with its class, and guidance, fixed (as the generator's `with_label`); weights are shared."""
        twin = copy.copy(self)
        twin._modules = {**self._modules, "generator": self.generator.with_label(*condition)}
        return twin

    def __repr__(self) -> str:
        return f"Latent: {self.generator!r}; behind a {self.stage!r}"
