"""A picture's features, quantised from coarse to fine: stage 1 of visual autoregressive modelling.      (lecture 14, VAR)

    f̂ = 0;    for k = 1 ... S:     r_k = down_k(f − f̂),      c_k = nearest(r_k),      f̂ ← f̂ + φ_k(up(e_(c_k)))

Each round looks at what the rounds before have left, at its own coarseness: first one vector for the whole picture, then
2 × 2, and so on up to the full grid, where nothing is shrunk any more.  One codebook serves all rounds.  It is residual
vector quantization whose rounds have different sizes; the sum of all rounds is what the decoder gets.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.checks import expect_batch, expect_some


class Round(NamedTuple):
    """One round: what was left, shrunk (B, C, s, s); its codes (B, s, s); the sum of all rounds so far (B, C, h, w)."""

    rest: Tensor
    codes: Tensor
    total: Tensor


class MultiScaleQuantized(NamedTuple):
    """What the scales make of z (B, C, h, w): what the decoder gets, the codes (B, L), and two costs, (B,) each."""

    z_q: Tensor
    codes: Tensor
    codebook: Tensor
    commitment: Tensor


def average_pool(z: Tensor, side: int) -> Tensor:
    """The means over side × side areas.  (B, C, h, w) -> (B, C, side, side)"""
    return F.adaptive_avg_pool2d(z, side)


def grow(z: Tensor, side: int) -> Tensor:
    """Bilinear interpolation between the middles of the cells.  (B, C, s, s) -> (B, C, side, side)"""
    return F.interpolate(z, size=(side, side), mode="bilinear", align_corners=False)


class Smooth(nn.Module):
    """φ(h) = ½ h + ½ conv(h): what interpolation has blurred may be mended; φ(h) = h at first.  (B, C, h, w) -> the same"""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.look = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.dirac_(self.look.weight)
        nn.init.zeros_(self.look.bias)

    def forward(self, h: Tensor) -> Tensor:
        return 0.5 * h + 0.5 * self.look(h)


class MultiScaleQuantizer(nn.Module):
    """A codebook of many scales, for use where a codebook is used: z -> L codes, coarse ones first -> Σ_k φ_k(up(e_(c_k))).

    codebook: an object with vectors (K, C), size, codes, lookup and learn (`vq.Codebook`).  sides: of the grids, rising, the
    last being that of z.  smooth: φ_k, one module a scale, or None for none.  drop_prob: share of the training samples of which
    the decoder gets the first rounds alone, a random number of them; so it learns what to make of an unfinished sum."""

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
            raise ValueError(
                f"smooth holds {len(smooth)} modules for {len(self.sides)} scales: expected one a scale."
            )
        if not 0 <= drop_prob < 1:
            raise ValueError(f"drop_prob is {drop_prob}: expected a share, at least 0 and below 1.")
        self.codebook, self.drop_prob = codebook, drop_prob
        self.smooth = nn.ModuleList(smooth if smooth is not None else [nn.Identity() for _ in self.sides])
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
        """L = Σ sides², codes of one picture."""
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
        """The sum of all scales: what the decoder gets.  codes (B, L) -> (B, C, h, w)"""
        return self.partial(codes)[-1]

    def forward(self, z: Tensor) -> MultiScaleQuantized:
        """Quantize, and in training mode let the codebook learn from all rounds at once.  z (B, C, h, w)

        Both costs are means over the rounds: every unfinished sum should be near z, so that coarse scales say much."""
        found = list(self.rounds(expect_some(self._expect(z), "z").detach()))
        totals = torch.stack([each.total for each in found])

        def apart(a, b):
            return (a - b).square().flatten(2).sum(2).mean(0)

        chosen = self._cut(totals) if self.training and self.drop_prob else totals[-1]
        if self.training:
            rows = torch.cat([each.rest.movedim(1, -1).flatten(0, -2) for each in found])
            self.codebook.learn(rows, torch.cat([each.codes.flatten() for each in found]))
        return MultiScaleQuantized(
            z + (chosen - z).detach(),
            torch.cat([each.codes.flatten(1) for each in found], 1),
            apart(z.detach()[None], totals),
            apart(z[None], totals.detach()),
        )

    def _cut(self, totals: Tensor) -> Tensor:
        """The last sum, and of a share ``drop_prob`` of the samples an earlier one.  (S, B, C, h, w) -> (B, C, h, w)"""
        scales, n = totals.shape[:2]
        early = torch.randint(scales, (n,), device=totals.device)
        last = torch.where(torch.rand(n, device=totals.device) < self.drop_prob, early, scales - 1)
        return totals[last, torch.arange(n, device=totals.device)]

    def _expect(self, z: Tensor) -> Tensor:
        """z where it is a batch of the finest grid, or a sentence."""
        return expect_batch(
            z, (self.vectors.shape[1], self.sides[-1], self.sides[-1]), "z", on=self.vectors.device
        )

    def _expect_codes(self, codes: Tensor) -> None:
        if (
            not isinstance(codes, Tensor)
            or codes.is_floating_point()
            or codes.dtype == torch.bool
            or (codes.ndim != 2 or codes.shape[1] != self.length)
        ):
            came = (
                f"shape {tuple(codes.shape)} and dtype {codes.dtype}"
                if isinstance(codes, Tensor)
                else (f"type {type(codes).__name__}")
            )
            raise ValueError(
                f"codes have {came}: expected whole numbers (B, {self.length}), the scales "
                f"{', '.join(f'{s} x {s}' for s in self.sides)} one after the other."
            )

    def extra_repr(self) -> str:
        nats = self.length * math.log(self.size)
        return (
            f"grids of {', '.join(map(str, self.sides))}: {self.length} codes of one table of {self.size}, "
            f"{nats:.0f} nats under a uniform prior"
        )


def centres(sides: Sequence[int]) -> Tensor:
    """Where the cells of all scales have their middles, in cells of the finest grid.  -> (Σ sides², 2)"""

    def middle(side):
        return (torch.arange(side, dtype=torch.float64) + 0.5) * max(sides) / side

    return torch.cat([torch.cartesian_prod(middle(side), middle(side)).view(-1, 2) for side in sides])


def block_causal_mask(sides: Sequence[int]) -> Tensor:
    """The block-causal mask: True where the column's scale is not finer than the row's.  -> (L, L) booleans

    A place sees its whole own scale, since the input there is made of coarser scales alone.    (lecture 14, VAR, stage 2)"""
    scale = torch.repeat_interleave(torch.arange(len(sides)), torch.tensor([side**2 for side in sides]))
    return scale[:, None] >= scale
