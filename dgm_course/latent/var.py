"""VAR: the next symbol is a whole map of codes.  Stage 2 of visual autoregressive modelling.    (lecture 14, VAR, stage 2)

    p(c | y) = Π_k p(c_k | y, c_<k),        p(c_k | ·) = Π_places softmax(f_k)[c_k]       all places of a scale at once

The input at scale k is the pooled sum of the coarser scales, and at the first scale a start token with the class.  So a
place may attend to its whole own scale and to all coarser ones, and sampling takes one pass a scale.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.checks import expect_labels, expect_some
from ..core.tensors import parameter_count, threads_for
from ..nets.transformer import Llama
from .multiscale import MultiScaleQuantizer, average_pool, block_causal_mask

Labels = Tensor | int | None


class VAR(nn.Module):
    """A transformer over the codes of all scales, one pass a scale.                                  (Tian et al. 2024)

    scales: the trained quantizer, of which a frozen copy is kept; net: over its L places; classes: at least 1; drop: share
    of the training samples whose label is dropped.  Without a label it models all classes together."""

    graph_safe = True  # a training step is the same operations each time

    def __init__(self, scales: MultiScaleQuantizer, net: Llama, classes: int = 10, drop: float = 0.1) -> None:
        super().__init__()
        if net.length != scales.length:
            raise ValueError(
                f"the net has {net.length} places and the scales {scales.length} codes: expected equal."
            )
        if scales.sides[0] != 1:
            raise ValueError(f"the first scale has side {scales.sides[0]}: expected 1, for one start token.")
        if classes < 1 or not 0 <= drop < 1:
            raise ValueError(f"classes is {classes} and drop {drop}: expected 1 or more, and a share below 1.")
        self.scales, self.net = copy.deepcopy(scales).requires_grad_(False), net
        self.classes, self.drop = classes, drop
        self.label_embedding = nn.Parameter(0.02 * torch.randn(classes + 1, net.width))  # the last row: no class
        self.in_proj = nn.Linear(scales.vectors.shape[1], net.width)
        self.level = nn.Parameter(0.02 * torch.randn(len(scales.sides), net.width))
        self.out_proj = nn.Linear(net.width, scales.size)
        self.register_buffer("allowed", block_causal_mask(scales.sides), persistent=False)

    def start(self, label: Tensor) -> Tensor:
        """The start token: the class, in place of the sum of no scales.  label (B,) -> (B, 1, width)"""
        return self.label_embedding[label][:, None] + self.level[0]

    def seen(self, total: Tensor, k: int) -> Tensor:
        """The input at scale k: the sum of the coarser ones, pooled to its size.  (B, C, h, w) -> (B, s², width)"""
        small = average_pool(total, self.scales.sides[k])
        return self.in_proj(small.flatten(2).mT) + self.level[k]

    def forward(self, codes: Tensor, y: Labels = None) -> Tensor:
        """Logits of every code, all scales in one masked pass.  codes (B, L), y () or (B,) labels -> (B, L, K)"""
        return self._logits(codes, self._labels(y, len(codes)))

    def _logits(self, codes: Tensor, label: Tensor) -> Tensor:
        sums = self.scales.partial(codes)
        later = [self.seen(total, k) for k, total in enumerate(sums[:-1], 1)]
        return self.out_proj(self.net(torch.cat([self.start(label), *later], 1), self.allowed))

    def log_prob(self, codes: Tensor, y: Labels = None) -> Tensor:
        """log p(codes | y) = Σ over scales and places, exact, in nats.  codes (B, L) -> (B,)"""
        return -self._nll(codes, self._labels(y, len(codes))).sum(1)

    def loss(self, codes: Tensor, y: Labels = None) -> Tensor:
        """−mean log p(codes | y), in training mode with the label of a share of the samples dropped."""
        label = self._labels(y, len(expect_some(codes, "codes")))
        if self.training and self.drop:
            label = torch.where(torch.rand(len(codes), device=label.device) < self.drop, self.classes, label)
        return self._nll(codes, label).sum(1).mean()

    def _nll(self, codes: Tensor, label: Tensor) -> Tensor:
        """−log p of each code, at least in float32.  (B, L)"""
        logits = self._logits(codes, label)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return F.cross_entropy(logits.mT, codes.long(), reduction="none")

    def sample(
        self,
        n: int,
        y: Labels = None,
        guidance: float = 1.0,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """One pass a scale, with the keys and values of coarser scales cached.  y () or (n,) labels -> (n, L)

        guidance: w in free + w (conditional − free); 1 is the model itself, without a second pass."""
        if n < 0 or not 0 < temperature < math.inf:
            raise ValueError(f"n is {n} and temperature {temperature}: expected 0 or more, and finite above 0.")
        labels = self._labels(y, n)
        twice = guidance != 1 and y is not None
        label = torch.cat([labels, torch.full_like(labels, self.classes)]) if twice else labels
        size, dtype = (n, self.scales.length), self.label_embedding.dtype
        u = torch.rand(size, generator=generator, dtype=dtype, device=labels.device)
        with torch.inference_mode(), threads_for(self):
            codes = self._descend(label, u, guidance if twice else 1.0, temperature)
        return codes.clone()

    def _descend(self, label: Tensor, u: Tensor, guidance: float, temperature: float) -> Tensor:
        """The scales one after the other; label (n,), or (2n,) with and without the class; u (n, L) in [0, 1)."""
        cache, start, drawn, n = self.net.memory(len(label)), 0, [], len(u)
        h, total = self.start(label), u.new_zeros(())
        for k, side in enumerate(self.scales.sides):
            stop = start + side**2
            logits = self.out_proj(self.net.step(h, cache, start))
            conditional, free = logits[:n], logits[len(label) - n :]  # the same where guidance is 1
            codes = _sample((free + guidance * (conditional - free)) / temperature, u[:, start:stop])
            drawn.append(codes)
            total = total + self.scales.upsampled(codes.view(-1, side, side), k)
            if k + 1 < len(self.scales.sides):
                h = self.seen(total, k + 1).repeat(len(label) // max(1, n), 1, 1)
            start = stop
        return torch.cat(drawn, 1)

    def _labels(self, y: Labels, n: int) -> Tensor:
        """Rows of ``label_embedding``; without labels the last one.  (n,)"""
        return expect_labels(y, self.classes, n, self.label_embedding.device, optional=True)

    def __repr__(self) -> str:
        return (
            f"VAR: {self.scales.length} codes in {len(self.scales.sides)} passes, grids of "
            f"{', '.join(map(str, self.scales.sides))}, given one of {self.classes} classes or none; "
            f"{parameter_count(self, trained=True):,} parameters"
        )


def _sample(logits: Tensor, u: Tensor) -> Tensor:
    """A sample of each softmax, by its cumulative sums.  logits (n, L, K), u (n, L) -> (n, L)"""
    cdf = logits.softmax(-1).cumsum(-1)
    return (u[..., None] * cdf[..., -1:] >= cdf).sum(-1).clamp(max=logits.shape[-1] - 1)
