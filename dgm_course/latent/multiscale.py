"""Features quantized from coarse to fine, with one codebook: stage 1 of visual autoregressive modelling.  (lecture 14, VAR)

    f̂ = 0;    for k = 1 ... S:     r_k = down_k(f − f̂),      c_k = nearest(r_k),      f̂ ← f̂ + φ_k(up(e_(c_k)))

Each round quantizes what the rounds before have left, at its own size: one vector, then 2 × 2, up to the full grid.  It is
residual vector quantization with rounds of different sizes; the decoder gets the sum of all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.checks import expect_batch, expect_some


class Round(NamedTuple):
    """One round: the pooled residual (B, C, s, s), its codes (B, s, s), the sum of the rounds so far (B, C, h, w)."""

    rest: Tensor
    codes: Tensor
    total: Tensor


class MultiScaleQuantized(NamedTuple):
    """z (B, C, h, w) quantized: the decoder's input, the codes (B, L), and two costs, (B,) each."""

    z_q: Tensor
    codes: Tensor
    codebook: Tensor
    commitment: Tensor


def average_pool(z: Tensor, side: int) -> Tensor:
    """The means over side × side areas.  (B, C, h, w) -> (B, C, side, side)"""
    return F.adaptive_avg_pool2d(z, side)


def grow(z: Tensor, side: int) -> Tensor:
    """Bilinear interpolation.  (B, C, s, s) -> (B, C, side, side)"""
    return F.interpolate(z, size=(side, side), mode="bilinear", align_corners=False)


class Smooth(nn.Module):
    """φ(h) = ½ h + ½ conv(h), which starts as the identity.  (B, C, h, w) -> the same"""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.look = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.dirac_(self.look.weight)
        nn.init.zeros_(self.look.bias)

    def forward(self, h: Tensor) -> Tensor:
        return 0.5 * h + 0.5 * self.look(h)


class MultiScaleQuantizer(nn.Module):
    """A codebook of many scales: z -> L codes, coarse ones first -> Σ_k φ_k(up(e_(c_k))).

    codebook: with vectors (K, C), size, codes, lookup and learn (`vq.Codebook`).  sides: of the grids, rising, the last that
    of z.  smooth: φ_k, one module a scale, or None.  drop_prob: share of the training samples of which the decoder gets only
    the first rounds, a random number of them."""

    codebook: Any

    def __init__(
        self,
        codebook: nn.Module,
        sides: Sequence[int] = (1, 2, 3, 5, 7),
        smooth: Sequence[nn.Module] | None = None,
        drop_prob: float = 0.0,
    ) -> None:
        super().__init__()
        self.sides = tuple(sides)
        if not self.sides or min(self.sides) < 1 or any(a >= b for a, b in zip(self.sides, self.sides[1:])):
            raise ValueError(f"sides are {self.sides}: expected rising whole numbers, such as (1, 2, 3, 5, 7).")
        if smooth is not None and len(smooth) != len(self.sides):
            raise ValueError(f"smooth holds {len(smooth)} modules for {len(self.sides)} scales: expected as many.")
        if not 0 <= drop_prob < 1:
            raise ValueError(f"drop_prob is {drop_prob}: expected a share, at least 0 and below 1.")
        self.codebook, self.drop_prob = codebook, drop_prob
        self.smooth = nn.ModuleList([nn.Identity() for _ in self.sides] if smooth is None else smooth)
        self.counts = [side**2 for side in self.sides]

    @property
    def size(self) -> int:
        """K"""
        return self.codebook.size

    @property
    def vectors(self) -> Tensor:
        """(K, C)"""
        return self.codebook.vectors

    @property
    def length(self) -> int:
        """L = Σ sides², codes of one image."""
        return sum(self.counts)

    def split(self, codes: Tensor) -> list[Tensor]:
        """The maps of the scales.  codes (B, L) -> [(B, s, s), ...]"""
        self._expect_codes(codes)
        return [part.view(-1, side, side) for part, side in zip(codes.split(self.counts, 1), self.sides)]

    def upsampled(self, codes: Tensor, k: int) -> Tensor:
        """φ_k(up(e_c)): what the codes of scale k add.  codes (B, s, s) -> (B, C, h, w)"""
        return self.smooth[k](grow(self.codebook.lookup(codes), self.sides[-1]))

    def rounds(self, z: Tensor) -> Iterator[Round]:
        """f̂ ← f̂ + φ_k(up(e_(c_k))), one round after the other.  z (B, C, h, w)             (lecture 14, VAR, stage 1)"""
        total = torch.zeros_like(z)
        for k, side in enumerate(self.sides):
            rest = average_pool(z - total.detach(), side)
            codes = self.codebook.codes(rest)
            total = total + self.upsampled(codes, k)
            yield Round(rest, codes, total)

    def codes(self, z: Tensor) -> Tensor:
        """The codes of all scales, coarse ones first.  z (B, C, h, w) -> (B, L)"""
        return torch.cat([found.codes.flatten(1) for found in self.rounds(self._expect(z).detach())], 1)

    def partial(self, codes: Tensor) -> list[Tensor]:
        """The sums of the first k scales, k = 1 ... S.  codes (B, L) -> [(B, C, h, w), ...]"""
        sums: list[Tensor] = []
        for k, part in enumerate(self.split(codes)):
            more = self.upsampled(part, k)
            sums.append(sums[-1] + more if sums else more)
        return sums

    def lookup(self, codes: Tensor) -> Tensor:
        """The sum of all scales.  codes (B, L) -> (B, C, h, w)"""
        return self.partial(codes)[-1]

    def forward(self, z: Tensor) -> MultiScaleQuantized:
        """Quantize, and in training mode let the codebook learn from all rounds at once.  z (B, C, h, w)

        Both costs are means over the rounds, so that every partial sum comes near z and coarse scales say much."""
        rounds = list(self.rounds(expect_some(self._expect(z), "z").detach()))
        totals = torch.stack([each.total for each in rounds])
        total = self._truncated(totals) if self.training and self.drop_prob else totals[-1]
        if self.training:
            rows = torch.cat([each.rest.movedim(1, -1).flatten(0, -2) for each in rounds])
            self.codebook.learn(rows, torch.cat([each.codes.flatten() for each in rounds]))
        return MultiScaleQuantized(
            z + (total - z).detach(),
            torch.cat([each.codes.flatten(1) for each in rounds], 1),
            _mean_squared_error(z.detach(), totals),
            _mean_squared_error(z, totals.detach()),
        )

    def _truncated(self, totals: Tensor) -> Tensor:
        """The last sum, and of a share ``drop_prob`` of the samples an earlier one.  (S, B, C, h, w) -> (B, C, h, w)"""
        scales, n = totals.shape[:2]
        early = torch.randint(scales, (n,), device=totals.device)
        last = torch.where(torch.rand(n, device=totals.device) < self.drop_prob, early, scales - 1)
        return totals[last, torch.arange(n, device=totals.device)]

    def _expect(self, z: Tensor) -> Tensor:
        """z where it is a batch of the finest grid, or an error."""
        side = self.sides[-1]
        return expect_batch(z, (self.vectors.shape[1], side, side), "z", on=self.vectors.device)

    def _expect_codes(self, codes: Tensor) -> None:
        """An error unless codes are integers (B, L)."""
        if codes.is_floating_point() or codes.dtype == torch.bool or codes.shape[1:] != (self.length,):
            expected = f"(B, {self.length}), the scales {', '.join(f'{s} x {s}' for s in self.sides)}"
            raise ValueError(
                f"codes have shape {tuple(codes.shape)}, {codes.dtype}: expected integers {expected}."
            )

    def extra_repr(self) -> str:
        nats = self.length * math.log(self.size)
        return (
            f"grids of {', '.join(map(str, self.sides))}: {self.length} codes of one table of {self.size}, "
            f"{nats:.0f} nats under a uniform prior"
        )


def _mean_squared_error(z: Tensor, totals: Tensor) -> Tensor:
    """The mean over the rounds of ‖z − total‖².  z (B, C, h, w), totals (S, B, C, h, w) -> (B,)"""
    return (z - totals).square().flatten(2).sum(2).mean(0)


def centres(sides: Sequence[int]) -> Tensor:
    """The centres of the cells of all scales, in cells of the finest grid.  -> (Σ sides², 2)"""
    axes = [(torch.arange(side, dtype=torch.float64) + 0.5) * max(sides) / side for side in sides]
    return torch.cat([torch.cartesian_prod(axis, axis).view(-1, 2) for axis in axes])


def block_causal_mask(sides: Sequence[int]) -> Tensor:
    """The block-causal mask: True where the column's scale is not finer than the row's.  -> (L, L) booleans

    A place attends to its whole own scale, whose input is made of coarser scales alone.   (lecture 14, VAR, stage 2)"""
    scale = torch.repeat_interleave(torch.arange(len(sides)), torch.tensor([side**2 for side in sides]))
    return scale[:, None] >= scale
