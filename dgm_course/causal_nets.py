"""Layers that cannot see the future: what autoregressive networks are made of.  No loss, no sampling.

    p(x) = Π_i p(x_i | x_<i)          so the answer at place i may depend on the places before i, and on nothing else

An ordinary layer mixes everything.  Each layer here forbids itself something, and always by the same means: a mask of
zeros and ones on what is multiplied.  `MaskedConv2d` masks the taps of its kernel, `MaskedLinear` the entries of its
matrix, `CausalAttention` the pairs of places; `RowLSTM` needs no mask between rows, since a recurrence has a direction.

The same masks make sampling cheap.  What a layer said about earlier places cannot change when later ones are filled in,
so it is kept, and a new pixel costs the arithmetic of one pixel.  `Walk` does it for a convolution, `step` for attention;
they give the numbers of ``forward``, one place at a time.
"""
from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def raster_mask(kind: str, rows: int, columns: int) -> Tensor:
    """1 on the taps before the centre, row by row, 0 after it; the centre itself: 0 for kind A, 1 for B.  (rows, columns)

    The first layer is an A: it looks at pixels.  All others are B: they look at features that have forgotten their pixel."""
    mask = torch.zeros(rows * columns)
    mask[: rows * columns // 2 + (kind == "B")] = 1
    return mask.view(rows, columns)


def rows_mask(kind: str, rows: int, columns: int) -> Tensor:
    """1 on whole rows: those above the centre (A), and the centre's as well (B).  (rows, columns)"""
    above = torch.arange(rows) < rows // 2 + (kind == "B")
    return above.float()[:, None].repeat(1, columns)


class MaskedConv2d(nn.Conv2d):
    """conv(h; w ⊙ mask): a convolution that sees only what comes before.  (B, i, H, W) -> (B, o, H, W)

    kernel: odd, a number or (rows, columns).  kind: "A" without the pixel itself, "B" with it.  mask: which taps."""

    def __init__(self, inputs: int, outputs: int, kernel: int | tuple[int, int], kind: str,
                 mask: Callable[[str, int, int], Tensor] = raster_mask) -> None:
        rows, columns = (kernel, kernel) if isinstance(kernel, int) else kernel
        if min(rows, columns) < 1 or not rows % 2 or not columns % 2:
            raise ValueError(f"kernel is {kernel}: expected odd sizes, so that there is a centre to mask from.")
        if kind not in ("A", "B"):
            raise ValueError(f"kind is {kind!r}: expected 'A' (without the pixel itself) or 'B' (with it).")
        super().__init__(inputs, outputs, (rows, columns), padding=(rows // 2, columns // 2))
        self.kind = kind
        self.register_buffer("mask", mask(kind, rows, columns), persistent=False)

    @property
    def taps(self) -> Tensor:
        """w ⊙ mask without the rows below the centre, which are all zeros: half the work.  (o, i, rows // 2 + 1, columns)"""
        return (self.weight * self.mask)[:, :, : self.padding[0] + 1]

    def forward(self, h: Tensor) -> Tensor:
        rows, columns = self.padding
        return F.conv2d(F.pad(h, (columns, columns, rows, 0)), self.taps, self.bias)

    def extra_repr(self) -> str:
        return f"{self.in_channels} -> {self.out_channels}, kernel {tuple(self.kernel_size)}, mask {self.kind}"


class Walk:
    """A masked convolution pixel by pixel in raster order: the numbers of ``forward``, each computed once.

    What the rows above say to a row is one convolution, when the row begins; a pixel adds what stands left of it.
    rows (n, rows // 2 + 1, W + columns - 1, i): the inputs that are still wanted, the last row under way."""

    def __init__(self, conv: MaskedConv2d, n: int, width: int) -> None:
        (p, margin), self.conv, self.taps = conv.padding, conv, conv.taps
        seen = int(conv.mask[p].sum())  # taps in the row under way
        self.left = self.taps[:, :, p, :seen].permute(2, 1, 0).flatten(0, 1).contiguous()
        self.rows = self.taps.new_zeros(n, p + 1, width + 2 * margin, conv.in_channels)
        self.row = self.rows[:, -1, margin : margin + width]
        self.pixels = self.row.unbind(1)  # views, made once: the walk itself is a few operations a pixel
        self.patches = [self.rows[:, -1, c : c + seen].view(n, seen * conv.in_channels) for c in range(width)]

    def begin(self, row: Tensor | None = None) -> Tensor:
        """The next row: what is known of the answer before it, or when it is given whole.  (n, W, i) -> (n, W, o)"""
        self.rows[:, :-1] = self.rows[:, 1:].clone()
        self.row[:] = 0 if row is None else row
        answer = self._known(self.rows.shape[1] - (row is None))  # an empty row says nothing
        self.above = answer.contiguous().unbind(1)  # a copy for the row is less than a strided one for each pixel
        return answer

    def _known(self, rows: int) -> Tensor:
        if not rows:
            return self.conv.bias.expand(*self.row.shape[:2], -1)
        above = self.rows[:, :rows].permute(0, 3, 1, 2)
        return F.conv2d(above, self.taps[:, :, :rows], self.conv.bias)[:, :, 0].transpose(1, 2)

    def put(self, column: int, h: Tensor) -> None:
        """The input at a pixel becomes known.  h (n, i)"""
        self.pixels[column].copy_(h)

    def at(self, column: int) -> Tensor:
        """The answer at a pixel, once all that it may see was put.  (n, o)"""
        return torch.addmm(self.above[column], self.patches[column], self.left)


def pointwise(conv: nn.Conv2d, h: Tensor) -> Tensor:
    """A 1 x 1 convolution where the channels come last.  h (..., i) -> (..., o)"""
    return F.linear(h, conv.weight.flatten(1), conv.bias)


def gate(h: Tensor, dim: int = 1) -> Tensor:
    """tanh(a) σ(b), where a and b are the halves of h: what to say, and how loudly."""
    a, b = h.chunk(2, dim)
    return torch.tanh(a) * torch.sigmoid(b)


class GatedLayer(nn.Module):
    """Two stacks that together see every pixel before, and no other.           (van den Oord et al. 2016, Gated PixelCNN)

        a = down(v)              v + gate(a)                   v knows the rows above, whole
        b = along(h) + link(a)   h + out(gate(b))              h knows them through v, and its own row up to the pixel

    One masked stack alone has a blind spot: its paths go to the right only while they go up, half a kernel a row, and
    what stands further right is never seen."""

    def __init__(self, width: int, kernel: int = 3) -> None:
        super().__init__()
        self.down = MaskedConv2d(width, 2 * width, kernel, "B", rows_mask)
        self.along = MaskedConv2d(width, 2 * width, (1, kernel), "B")
        self.link, self.out = nn.Conv2d(2 * width, 2 * width, 1), nn.Conv2d(width, width, 1)

    def forward(self, v: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        a = self.down(v)
        return v + gate(a), h + self.out(gate(self.along(h) + self.link(a)))


def lstm(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """c' = σ(f) c + σ(i) tanh(g),  h = σ(o) tanh(c').  gates (B, 4C, ...) = [f, i, o, g], cell (B, C, ...) -> (h, c')"""
    f, i, o, g = gates.chunk(4, 1)
    cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(cell), cell


class RowLSTM(nn.Module):
    """An LSTM that reads an image row by row; a state is a whole row.          (van den Oord et al. 2016, Pixel RNN)

    gates_r = within(x_r) + between(h_(r-1)): `within` is masked, since pixels of one row must not see the next ones;
    `between` is not, since all of the row above is known.  (B, C, H, W) -> (B, C, H, W)"""

    def __init__(self, width: int, kernel: int = 3) -> None:
        super().__init__()
        self.within = MaskedConv2d(width, 4 * width, (1, kernel), "B")
        self.between = nn.Conv1d(width, 4 * width, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        hidden = cell = x.new_zeros(len(x), x.shape[1], x.shape[3])
        rows = []
        for gates in self.within(x).unbind(2):
            hidden, cell = lstm(gates + self.between(hidden), cell)
            rows.append(hidden)
        return torch.stack(rows, 2)


class CausalAttention(nn.Module):
    """softmax(q kᵀ / √d + mask) v in several heads; place i attends to places 0 ... i.  (B, L, C) -> (B, L, C)

    heads: how many, or (heads, kv_heads), where a place has kv_heads keys and values and the heads share them evenly.
    Keys and values are all that a sampler keeps, and reading them again at each step is most of its time: with kv_heads = 1
    they are ``heads`` times less.                                           (multi-query attention, Shazeer 2019)"""

    def __init__(self, width: int, heads: int | tuple[int, int]) -> None:
        super().__init__()
        heads, self.kv_heads = (heads, heads) if isinstance(heads, int) else heads
        if heads < 1 or width % heads:
            raise ValueError(f"{heads} heads do not divide the width {width}: expected width / heads to be whole.")
        if self.kv_heads < 1 or heads % self.kv_heads:
            raise ValueError(f"kv_heads is {self.kv_heads}: expected a number that divides the {heads} heads.")
        self.heads, self.size = heads, width // heads
        self.parts = [width, self.kv_heads * self.size, self.kv_heads * self.size]  # of q, k and v
        self.qkv = nn.Linear(width, sum(self.parts))
        self.mix = nn.Linear(width, width)

    def split(self, h: Tensor) -> list[Tensor]:
        """q (B, heads, L, d), k and v (B, kv_heads, L, d)"""
        return [part.unflatten(-1, (-1, self.size)).transpose(1, 2) for part in self.qkv(h).split(self.parts, -1)]

    def join(self, h: Tensor) -> Tensor:
        return self.mix(h.transpose(1, 2).flatten(2))

    def forward(self, h: Tensor) -> Tensor:
        q, *kv = self.split(h)
        k, v = (part.repeat_interleave(self.heads // self.kv_heads, 1) for part in kv)
        return self.join(F.scaled_dot_product_attention(q, k, v, is_causal=True))

    def step(self, h: Tensor, memory: tuple[Tensor, Tensor], i: int) -> Tensor:
        """The formula written out for the query of place i alone.  h (n, C) -> (n, C)

        memory: the keys kᵀ (n · kv_heads, d, L) and values (n · kv_heads, L, d) of the places before; place i is added."""
        keys, values = memory
        q, k, v = self.qkv(h).split(self.parts, -1)
        keys[..., i], values[:, i] = (part.reshape(len(keys), self.size) for part in (k, v))
        q = q.reshape(len(keys), self.heads // self.kv_heads, self.size)
        share = torch.bmm(q / self.size ** 0.5, keys[..., : i + 1]).softmax(-1)
        return self.mix(torch.bmm(share, values[:, : i + 1]).view(h.shape))


class CausalBlock(nn.Module):
    """h + attention(norm(h)), then h + MLP(norm(h)): one layer of a GPT.  (B, L, C) -> (B, L, C)"""

    def __init__(self, width: int, heads: int | tuple[int, int]) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = CausalAttention(width, heads)
        self.think = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, h: Tensor) -> Tensor:
        h = h + self.attention(self.first(h))
        return h + self.think(self.second(h))

    def memory(self, n: int, length: int) -> tuple[Tensor, Tensor]:
        """Room for the keys and values of n sequences: (n · kv_heads, d, L) and (n · kv_heads, L, d)."""
        attention = self.attention
        keys = attention.mix.weight.new_empty(n * attention.kv_heads, attention.size, length)
        return keys, torch.empty_like(keys.mT)

    def step(self, h: Tensor, memory: tuple[Tensor, Tensor], i: int) -> Tensor:
        """``forward`` at place i alone, given the memory of those before.  h (n, C) -> (n, C)"""
        h = h + self.attention.step(self.first(h), memory, i)
        return h + self.think(self.second(h))


class MaskedLinear(nn.Linear):
    """(W ⊙ mask) h + b: a linear layer without some of its connections.  mask (outputs, inputs)"""

    def __init__(self, mask: Tensor) -> None:
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask.float(), persistent=False)

    @property
    def kept(self) -> Tensor:
        """W ⊙ mask"""
        return self.weight * self.mask

    def forward(self, h: Tensor) -> Tensor:
        return F.linear(h, self.kept, self.bias)
