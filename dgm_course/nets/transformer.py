"""The layers of a Llama: RMSNorm, rotary embedding, SwiGLU, grouped-query attention with a key-value cache.

    rotary    (q_2j + i q_2j+1) e^(i m θ_j)     q·k depends on differences of positions alone
    SwiGLU    W₃ (SiLU(W₁ h) ⊙ W₂ h)

A `Llama` has fixed positions: integers for a text, (row, column) for a grid, real numbers for a pyramid of grids.  The
call takes a boolean attention mask; ``step`` extends a cache by a few places at a time.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.checks import expect_heads, expect_network_input
from ..core.tensors import parameter_count

Memory = list[tuple[Tensor, Tensor]]  # keys and values of each block, both (n, kv_heads, L, d)
EPSILON = 1e-6  # of every RMSNorm


def angles(positions: Tensor, size: int, base: float = 100.0) -> Tensor:
    """m θ_j, θ_j = base^(−2j/d): the angle of pair j at position m.  positions (L,) or (L, A) -> (L, d / 2)

    With A coordinates each gets an equal part of the pairs, in order; then d is size / A in θ_j."""
    positions = positions[:, None] if positions.ndim == 1 else positions
    if positions.ndim != 2 or not positions.shape[1] or size % (2 * positions.shape[1]):
        raise ValueError(
            f"positions have shape {tuple(positions.shape)} and a head {size} numbers: expected (L,) or "
            "(L, A), and one or more pairs of numbers for each of the A coordinates."
        )
    if not base > 1:
        raise ValueError(f"base is {base}: expected more than 1, so that the pairs turn at different speeds.")
    each = size // positions.shape[1]
    speeds = base ** (-torch.arange(0, each, 2, dtype=torch.float64, device=positions.device) / each)
    return (positions.double()[..., None] * speeds).flatten(1)


def turned(q: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotate each pair (q_2j, q_2j+1) by its angle.  q (..., L, d), cosine and sine (L, d / 2) -> (..., L, d)"""
    a, b = q.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack([a * cosine - b * sine, a * sine + b * cosine], -1).flatten(-2)


def rotary(q: Tensor, positions: Tensor, base: float = 100.0) -> Tensor:
    """Queries or keys, rotated.  q (..., L, d), positions (L,) or (L, A) -> (..., L, d)          (Su et al. 2021)"""
    if q.ndim < 2 or q.shape[-2] != len(positions):
        raise ValueError(
            f"q has shape {tuple(q.shape)}: expected (..., {len(positions)}, d), a row for each position."
        )
    by = angles(positions.to(q.device), q.shape[-1], base)
    return turned(q, by.cos().to(q), by.sin().to(q))


class SwiGLU(nn.Module):
    """W₃ (SiLU(W₁ h) ⊙ W₂ h), without biases.  (..., C) -> (..., C)                             (Shazeer 2020)"""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.both, self.down = nn.Linear(width, 2 * hidden, bias=False), nn.Linear(hidden, width, bias=False)

    def forward(self, h: Tensor) -> Tensor:
        gate, value = self.both(h).chunk(2, -1)
        return self.down(F.silu(gate) * value)


class RotaryAttention(nn.Module):
    """softmax(turned(q) turned(k)ᵀ / √d + mask) v in several heads, without biases.  (B, L, C) -> (B, L, C)

    heads: a number, or (heads, kv_heads) with keys and values that the heads share evenly (grouped queries)."""

    def __init__(self, width: int, heads: int | tuple[int, int]) -> None:
        super().__init__()
        self.heads, self.kv_heads = expect_heads(width, heads)
        self.size = width // self.heads
        self.parts = [width, self.kv_heads * self.size, self.kv_heads * self.size]
        self.qkv, self.proj = nn.Linear(width, sum(self.parts), bias=False), nn.Linear(width, width, bias=False)

    def split(self, h: Tensor, turn: tuple[Tensor, Tensor]) -> list[Tensor]:
        """q (B, heads, L, d) and k (B, kv_heads, L, d), both rotated, and v (B, kv_heads, L, d)"""
        parts = self.qkv(h).split(self.parts, -1)
        q, k, v = (part.unflatten(-1, (-1, self.size)).transpose(1, 2) for part in parts)
        return [turned(q, *turn), turned(k, *turn), v]

    def attend(self, q: Tensor, k: Tensor, v: Tensor, allowed: Tensor | None) -> Tensor:
        out = F.scaled_dot_product_attention(q, k, v, allowed, enable_gqa=self.heads != self.kv_heads)
        return self.proj(out.transpose(1, 2).flatten(2))

    def forward(self, h: Tensor, turn: tuple[Tensor, Tensor], allowed: Tensor) -> Tensor:
        q, k, v = self.split(h, turn)
        return self.attend(q, k, v, allowed)

    def step(self, h: Tensor, turn: tuple[Tensor, Tensor], memory: tuple[Tensor, Tensor], start: int) -> Tensor:
        """Store the keys and values of places start ... start + m − 1; they attend to all places before start + m.

        h (n, m, C) -> (n, m, C)"""
        q, k, v = self.split(h, turn)
        stop, (keys, values) = start + h.shape[1], memory
        keys[:, :, start:stop], values[:, :, start:stop] = k, v
        return self.attend(q, keys[:, :, :stop], values[:, :, :stop], None)


class LlamaBlock(nn.Module):
    """h + attention(norm(h)), then h + SwiGLU(norm(h)).  (B, L, C) -> (B, L, C)"""

    def __init__(self, width: int, heads: int | tuple[int, int], hidden: int) -> None:
        super().__init__()
        self.first, self.second = nn.RMSNorm(width, eps=EPSILON), nn.RMSNorm(width, eps=EPSILON)
        self.attention, self.mlp = RotaryAttention(width, heads), SwiGLU(width, hidden)

    def forward(self, h: Tensor, turn: tuple[Tensor, Tensor], allowed: Tensor) -> Tensor:
        h = h + self.attention(self.first(h), turn, allowed)
        return h + self.mlp(self.second(h))

    def step(self, h: Tensor, turn: tuple[Tensor, Tensor], memory: tuple[Tensor, Tensor], start: int) -> Tensor:
        h = h + self.attention.step(self.first(h), turn, memory, start)
        return h + self.mlp(self.second(h))


class Llama(nn.Module):
    """`depth` blocks and a last norm over L places.  h (B, L, width) -> (B, L, width)          (Touvron et al. 2023)

    positions (L,) or (L, A): the coordinates of the places.  heads: a number, or (heads, kv_heads).
    hidden: units of each SwiGLU, by default twice the width.  base: of the angles."""

    past: Tensor

    def __init__(
        self,
        positions: Tensor,
        width: int = 64,
        depth: int = 4,
        heads: int | tuple[int, int] = 4,
        hidden: int | None = None,
        base: float = 100.0,
    ) -> None:
        super().__init__()
        if depth < 1 or not len(positions):
            raise ValueError(
                f"depth is {depth} and there are {len(positions)} positions: expected at least 1 of both."
            )
        self.width, self.length = width, len(positions)
        self.blocks = nn.ModuleList(LlamaBlock(width, heads, hidden or 2 * width) for _ in range(depth))
        self.last = nn.RMSNorm(width, eps=EPSILON)
        by = angles(positions, self.blocks[0].attention.size, base)
        self.register_buffer("cosine", by.cos().float(), persistent=False)
        self.register_buffer("sine", by.sin().float(), persistent=False)
        self.register_buffer("past", torch.ones(self.length, self.length).tril().bool(), persistent=False)

    def forward(self, h: Tensor, allowed: Tensor | None = None) -> Tensor:
        """All places at once.  allowed (L, L): True where the row attends to the column; None: to the past and itself."""
        expect_network_input(h, (self.length, self.width), "Llama", name="h")
        allowed = self.past if allowed is None else allowed
        if allowed.dtype != torch.bool or allowed.shape != self.past.shape:
            came = f"allowed has shape {tuple(allowed.shape)} and dtype {allowed.dtype}"
            raise ValueError(f"{came}: expected booleans of shape {tuple(self.past.shape)}.")
        for block in self.blocks:
            h = block(h, (self.cosine, self.sine), allowed)
        return self.last(h)

    def memory(self, n: int) -> Memory:
        """An empty cache for n sequences."""
        shape = (n, self.blocks[0].attention.kv_heads, self.length, self.blocks[0].attention.size)
        like = self.last.weight
        return [(like.new_zeros(shape), like.new_zeros(shape)) for _ in self.blocks]

    def step(self, h: Tensor, memory: Memory, start: int) -> Tensor:
        """``forward`` at places start ... start + m − 1, which attend to each other and to all earlier places.

        h (n, m, width) -> (n, m, width).  memory: the cache of the earlier places; it is extended."""
        stop = start + h.shape[1]
        if not 0 <= start < stop <= self.length:
            raise ValueError(f"the places are {start} to {stop - 1}: expected some of 0 to {self.length - 1}.")
        turn = self.cosine[start:stop], self.sine[start:stop]
        for block, cache in zip(self.blocks, memory, strict=True):
            h = block.step(h, turn, cache, start)
        return self.last(h)

    def extra_repr(self) -> str:
        return f"{self.length} places, {parameter_count(self):,} parameters"


def grid_positions(rows: int, columns: int) -> Tensor:
    """(row, column) of every place of a grid, row by row.  -> (rows · columns, 2)"""
    return torch.cartesian_prod(torch.arange(rows), torch.arange(columns)).view(-1, 2)
