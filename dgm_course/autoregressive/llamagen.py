"""LlamaGen: an image is a sequence of codes, and a language model generates it.              (lecture 14, LlamaGen)

    p(c | y) = Π_i softmax(f(y, c_<i))[c_i]                            f: a Llama whose first input is the class
    logits = free + w (conditional − free)                             (classifier-free guidance, on logits)

Part of the training samples come without their class, so one network is p(c | y) and p(c).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.checks import expect_labels, expect_some
from ..nets.transformer import Llama
from .model import Autoregressive, Labels, Logits, LogitsIterator, at_least_float32


class LlamaGen(Autoregressive):
    """Codes of the shape event, such as (7, 7), one after the other by a Llama.                   (Sun et al. 2024)

    net: over as many places as the event has.  classes: labels; without a label it models all of them together.
    drop: share of the training samples whose label is dropped."""

    graph_safe = True  # a training step is the same operations each time

    def __init__(
        self, vocabulary: int, event: Sequence[int], net: Llama, classes: int = 0, drop: float = 0.1
    ) -> None:
        super().__init__(vocabulary, event, net.width, classes)
        if net.length != self.length:
            raise ValueError(
                f"the net has {net.length} places and event {self.event} has {self.length}: expected equal."
            )
        if not 0 <= drop < 1:
            raise ValueError(f"drop is {drop}: expected a share, at least 0 and below 1.")
        self.net, self.drop = net, drop
        self.label_embedding = nn.Embedding(classes + 1, net.width)  # the last row: no class
        self.symbol = nn.Parameter(0.02 * torch.randn(vocabulary, net.width))
        self.out_proj = nn.Linear(net.width, vocabulary, bias=False)
        nn.init.normal_(self.label_embedding.weight, std=0.02)

    def read(self, seen: Tensor, label: Tensor) -> Tensor:
        seen = seen.flatten(1, -2)[:, :-1] @ self.symbol
        h = self.net(torch.cat([self.label_embedding(label)[:, None], seen], 1))
        return self.out_proj(h).view(len(h), *self.event, self.vocabulary)

    def iter_logits(self, n: int, label: Tensor) -> Logits:
        cache, before = self.net.memory(n), self.label_embedding(label)
        for i in range(self.length):
            token = yield self.out_proj(self.net.step(before[:, None], cache, i)[:, 0])
            before = self.symbol[token]

    def loss(self, x: Tensor, y: Labels = None) -> Tensor:
        """−mean log p(x | y), in training mode with the label of a share of the samples dropped."""
        label = self._labels(y, len(self._symbols(expect_some(x))))
        if self.training and self.drop:
            label = torch.where(torch.rand(len(x), device=label.device) < self.drop, self.classes, label)
        logits = at_least_float32(self.read(self.one_hot(x), label))
        return F.cross_entropy(logits.flatten(0, -2), x.flatten().long()) * self.length

    def _labels(self, y: Labels, n: int) -> Tensor:
        """Rows of ``label_embedding``; without labels the last one.  (n,)"""
        return expect_labels(y, self.classes, n, self.order.device, optional=True)


def guided(weight: float) -> LogitsIterator:
    """The ``iter_logits`` of ``sample`` with logits = free + weight · (conditional − free).

    weight 0: no class; 1: the conditional; above 1 exaggerates what makes the class, and follows no stated density."""

    def iter_logits(model: Autoregressive, n: int, label: Tensor) -> Logits:
        if not model.classes:
            raise ValueError("guidance needs a model with classes: build it with classes=10.")
        both, token = model.iter_logits(2 * n, torch.cat([label, torch.full_like(label, model.classes)])), None
        for _ in range(model.length):
            conditional, free = both.send(token).chunk(2)
            token = yield free + weight * (conditional - free)
            token = token.repeat(2)

    return iter_logits
