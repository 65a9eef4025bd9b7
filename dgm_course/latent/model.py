"""Latent space models: any generator, behind any encoder and decoder.                      (lecture 14, Latent Space Models)

    x --encode--> z --(learn, sample)--> z --decode--> x

The first stage is trained first and then frozen.  Flow matching and diffusion expect real codes of unit size
(`ScaledModel`), an autoregressive model integers.  The generator's log p(codes) is no likelihood of images.
"""

from __future__ import annotations

import copy
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ..core.checks import expect_some
from ..training.gpu import graph_safe
from .stages import FirstStage

Model = TypeVar("Model", bound="GeneratorOfCodes")


class GeneratorOfCodes(nn.Module):
    """A generator between a subclass's ``encode``, (B, *event) -> (B, *grid), and its inverse ``decode``.

    All other arguments are the generator's."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    @property
    def graph_safe(self) -> bool:
        """Whether a GPU may replay a training step: as for the generator."""
        return graph_safe(self.generator)

    def loss(self, x: Tensor, *condition: Any) -> Tensor:
        """The generator's loss on the codes of x; `condition` (source, labels) is passed on.  x (B, *event) -> ()"""
        return self.generator.loss(self.encode(x), *condition)

    def sample(self, *args: Any, **kwargs: Any) -> Tensor:
        """decode(generator.sample(...)).  -> (n, *event)"""
        return self.decode(self.generator.sample(*args, **kwargs))

    def trajectory(self, *args: Any, **kwargs: Any) -> Tensor:
        """Every point of the generator's trajectory, decoded.  -> (steps + 1, n, *event)"""
        return torch.stack([self.decode(codes) for codes in self.generator.trajectory(*args, **kwargs)])

    def with_label(self: Model, *condition: Any) -> Model:
        """The same with its class, and guidance, fixed (the generator's `with_label`); weights are shared."""
        twin = copy.copy(self)
        twin._modules = {**self._modules, "generator": self.generator.with_label(*condition)}
        return twin


class Latent(GeneratorOfCodes):
    """stage: encodes and decodes; a frozen copy of it is kept.  generator: learns and samples codes."""

    def __init__(self, stage: FirstStage, generator: nn.Module) -> None:
        expect_methods(stage, ("encode", "decode"), "a first stage, such as latent.VAEStage(vae)")
        expect_methods(
            generator, ("sample",), "a generator of codes with sample(n, ...), and loss(codes, ...) to learn"
        )
        super().__init__(generator)
        self.stage = copy.deepcopy(stage).requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Latent:
        """The mode of the generator; the first stage stays in evaluation mode, so that no codebook or norm learns."""
        super().train(mode)
        self.stage.eval()
        return self

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """Codes of images.  x (B, *event) -> (B, *grid)"""
        return self.stage.encode(expect_some(x))

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """Images of codes.  (B, *grid) -> (B, *event)"""
        return self.stage.decode(codes)

    def __repr__(self) -> str:
        return f"Latent: {self.generator!r}; behind a {self.stage!r}"


def expect_methods(part: object, names: tuple[str, ...], expected: str) -> None:
    """TypeError where part lacks one of the attributes."""
    if missing := [name for name in names if not hasattr(part, name)]:
        raise TypeError(f"{type(part).__name__} has no {', no '.join(missing)}: expected {expected}.")
