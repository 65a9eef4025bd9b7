"""Causal layers, of which autoregressive networks are made: the output at place i depends on the places before i alone.

    p(x) = Π_i p(x_i | x_<i)

`MaskedConv2d` masks the weights of its kernel, `MaskedLinear` those of its matrix, `CausalAttention` pairs of places;
`RowLSTM` reads rows in order.  The caches compute the numbers of ``forward`` a few places at a time, each once:
`CachedConv2d` and `CachedRowConv` for a convolution, `KVCache` for a `CausalBlock`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.checks import expect_heads


def raster_mask(kind: str, rows: int, columns: int) -> Tensor:
    """1 before the centre, row by row, 0 after it; the centre itself: 0 for kind A, 1 for B.  (rows, columns)

    The first layer is an A, which excludes the pixel itself.  All others are B: their inputs already exclude it."""
    mask = torch.zeros(rows * columns)
    mask[: rows * columns // 2 + (kind == "B")] = 1
    return mask.view(rows, columns)


def rows_mask(kind: str, rows: int, columns: int) -> Tensor:
    """1 on whole rows: those above the centre (A), and the centre's as well (B).  (rows, columns)"""
    above = torch.arange(rows) < rows // 2 + (kind == "B")
    return above.float()[:, None].repeat(1, columns)


class MaskedConv2d(nn.Conv2d):
    """conv(h; w ⊙ mask), a causal convolution.  (B, i, H, W) -> (B, o, H, W)

    kernel: odd, a number or (rows, columns).  kind: "A" without the pixel itself, "B" with it.  mask: `raster_mask` or
    `rows_mask`.  w and the mask leave out the rows below the centre, which are zero: (o, i, rows // 2 + 1, columns)."""

    padding: tuple[int, int]

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int | tuple[int, int],
        kind: str,
        mask: Callable[[str, int, int], Tensor] = raster_mask,
    ) -> None:
        rows, columns = (kernel, kernel) if isinstance(kernel, int) else kernel
        if min(rows, columns) < 1 or not rows % 2 or not columns % 2:
            raise ValueError(f"kernel is {kernel}: expected odd sizes, so that there is a centre to mask from.")
        if kind not in ("A", "B"):
            raise ValueError(f"kind is {kind!r}: expected 'A' (without the pixel itself) or 'B' (with it).")
        above = rows // 2
        super().__init__(inputs, outputs, (above + 1, columns), padding=(above, columns // 2))
        self.kind = kind
        self.register_buffer("mask", mask(kind, rows, columns)[: above + 1].clone(), persistent=False)

    @property
    def masked_weight(self) -> Tensor:
        """w ⊙ mask.  (o, i, rows // 2 + 1, columns)"""
        return self.weight * self.mask

    def forward(self, h: Tensor) -> Tensor:
        rows, columns = self.padding
        return F.conv2d(F.pad(h, (columns, columns, rows, 0)), self.masked_weight, self.bias)

    def extra_repr(self) -> str:
        kernel = tuple(2 * half + 1 for half in self.padding)
        return f"{self.in_channels} -> {self.out_channels}, kernel {kernel}, mask {self.kind}"


class CachedConv2d:
    """The numbers of a `MaskedConv2d`'s ``forward``, wavefront by wavefront, each computed once.

    A wavefront is a set of places r · W + c, ascending, that are computed together: their inputs lie in earlier wavefronts
    or in the same one.  seen (n, kept rows · W + 1, i) holds the inputs still needed; its last entry is zero and stands
    for all places outside the image."""

    def __init__(self, conv: MaskedConv2d, n: int, width: int, wavefronts: Sequence[Tensor]) -> None:
        mask, places = conv.mask.bool(), torch.cat(tuple(wavefronts))
        self.bias, self.weight = conv.bias, conv.weight[:, :, mask].permute(2, 1, 0).flatten(0, 1)  # (taps · i, o)
        self.sizes = [len(front) for front in wavefronts]
        here = torch.stack([places // width, places % width], -1)  # row and column
        offsets = mask.nonzero() - torch.tensor(conv.padding, device=mask.device)  # of each unmasked weight
        sizes = torch.tensor(self.sizes, device=mask.device)
        last = sizes.cumsum(0) - 1  # the last place of each wavefront
        rows = conv.padding[0] + int((here[last, 0] - here[last - sizes + 1, 0]).max()) + 1
        self.seen = self.weight.new_zeros(n, rows * width + 1, conv.in_channels)
        self.own = self._slots(here, rows, width).split(self.sizes)
        inputs = self._slots(here[:, None] + offsets, rows, width)
        self.inputs = inputs.flatten().split([size * len(offsets) for size in self.sizes])

    @staticmethod
    def _slots(places: Tensor, rows: int, width: int) -> Tensor:
        """The index of a place in ``seen``: a new row overwrites the oldest one.  (..., 2) -> (...)"""
        row, column = places.unbind(-1)
        inside = (row >= 0) & (column >= 0) & (column < width)
        return torch.where(inside, row % rows * width + column, rows * width)

    def put(self, front: int, h: Tensor) -> None:
        """Store the inputs of a wavefront.  h (n · m, i), its m places varying fastest"""
        self.seen.index_copy_(1, self.own[front], h.view(len(self.seen), self.sizes[front], h.shape[-1]))

    def at(self, front: int) -> Tensor:
        """The outputs at a wavefront, once all its inputs are stored.  (n · m, o)"""
        patches = self.seen.index_select(1, self.inputs[front])
        patches = patches.view(len(self.seen) * self.sizes[front], len(self.weight))
        return torch.addmm(self.bias, patches, self.weight)


class CachedRowConv:
    """The numbers of a `MaskedConv2d`'s ``forward`` with a `rows_mask`, row by row, each computed once.

    rows (n, rows // 2 + 1, W + columns - 1, i) holds the inputs still needed, the current row last."""

    def __init__(self, conv: MaskedConv2d, n: int, width: int) -> None:
        (p, margin), self.masked_weight, self.bias = conv.padding, conv.masked_weight, conv.bias
        self.rows = self.masked_weight.new_zeros(n, p + 1, width + 2 * margin, conv.in_channels)
        self.row = self.rows[:, -1, margin : margin + width]

    def next_row(self, row: Tensor | float = 0.0) -> Tensor:
        """The outputs of the next row; kind B needs its inputs.  (n, W, i) -> (n, W, o)"""
        self.rows[:, :-1] = self.rows[:, 1:].clone()
        self.row[:] = row
        return F.conv2d(self.rows.permute(0, 3, 1, 2), self.masked_weight, self.bias)[:, :, 0].transpose(1, 2)

    def put(self, column: int, h: Tensor) -> None:
        """Store the input at a pixel of the current row.  h (n, i)"""
        self.row[:, column] = h


def pointwise(conv: nn.Conv2d, h: Tensor) -> Tensor:
    """A 1 x 1 convolution on channels that come last.  h (..., i) -> (..., o)"""
    return F.linear(h, conv.weight.flatten(1), conv.bias)


def gate(h: Tensor, dim: int = 1) -> Tensor:
    """tanh(a) σ(b), where a and b are the halves of h."""
    a, b = h.chunk(2, dim)
    return torch.tanh(a) * torch.sigmoid(b)


class GatedLayer(nn.Module):
    """Two stacks that together depend on every earlier pixel.           (van den Oord et al. 2016, Gated PixelCNN)

        a = down(v)              v + gate(a)                   v: the rows above
        b = along(h) + link(a)   h + out(gate(b))              h: the rows above, by v, and its own row up to the pixel

    One masked stack alone has a blind spot to the upper right of the pixel."""

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
    """An LSTM over the rows of an image; a state is a whole row.          (van den Oord et al. 2016, Pixel RNN)

    gates_r = within(x_r) + between(h_(r-1)), with a masked `within`.  (B, C, H, W) -> (B, C, H, W)"""

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

    heads: a number, or (heads, kv_heads) with keys and values that the heads share evenly.  Fewer of them make a smaller
    cache, whose reads dominate sampling time.                               (multi-query attention, Shazeer 2019)"""

    def __init__(self, width: int, heads: int | tuple[int, int]) -> None:
        super().__init__()
        self.heads, self.kv_heads = expect_heads(width, heads)
        self.size = width // self.heads
        self.parts = [width, self.kv_heads * self.size, self.kv_heads * self.size]  # of q, k and v
        self.qkv = nn.Linear(width, sum(self.parts))
        self.proj = nn.Linear(width, width)

    def split(self, h: Tensor) -> list[Tensor]:
        """q (B, heads, L, d), k and v (B, kv_heads, L, d)"""
        return [part.unflatten(-1, (-1, self.size)).transpose(1, 2) for part in self.qkv(h).split(self.parts, -1)]

    def join(self, h: Tensor) -> Tensor:
        return self.proj(h.transpose(1, 2).flatten(2))

    def forward(self, h: Tensor) -> Tensor:
        q, *kv = self.split(h)
        k, v = (part[:, :, None].expand(-1, -1, self.heads // self.kv_heads, -1, -1).flatten(1, 2) for part in kv)
        return self.join(F.scaled_dot_product_attention(q, k, v, is_causal=True))

    def step(self, h: Tensor, cache: KVCache, i: int) -> Tensor:
        """The output at place i; the cache keeps its key and value.  h (n, C) -> (n, C)"""
        q, k, v = cache.qkv(h).split(self.parts, -1)
        cache.key_at[i].copy_(k.reshape(-1, self.size))
        cache.value_at[i].copy_(v.reshape(-1, self.size))
        q = q.reshape(len(cache.keys), self.heads // self.kv_heads, self.size)
        share = torch.bmm(q / self.size**0.5, cache.keys[..., : i + 1]).softmax(-1)
        return cache.proj(torch.bmm(share, cache.values[:, : i + 1]).view(h.shape))


class CausalBlock(nn.Module):
    """h + attention(norm(h)), then h + MLP(norm(h)): one layer of a GPT.  (B, L, C) -> (B, L, C)

    The norms have no gain and no shift, since the linear layer behind each has both."""

    def __init__(self, width: int, heads: int | tuple[int, int]) -> None:
        super().__init__()
        self.first, self.second = (nn.LayerNorm(width, elementwise_affine=False) for _ in range(2))
        self.attention = CausalAttention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, h: Tensor) -> Tensor:
        h = h + self.attention(self.first(h))
        return h + self.mlp(self.second(h))

    def step(self, h: Tensor, cache: KVCache, i: int) -> Tensor:
        """``forward`` at place i, given the cache of the earlier places.  h (n, C) -> (n, C)"""
        h = h + self.attention.step(cache.first(h), cache, i)
        return h + cache.mlp(cache.second(h))


class KVCache:
    """Keys kᵀ (n · kv_heads, d, L) and values (n · kv_heads, L, d) of a `CausalBlock` for n sequences of length L.

    It also holds the block's layers as bare functions: in a step of few numbers the module calls would cost as much."""

    def __init__(self, block: CausalBlock, n: int, length: int) -> None:
        attention = block.attention
        self.keys = attention.proj.weight.new_empty(n * attention.kv_heads, attention.size, length)
        self.values = torch.empty_like(self.keys.mT)
        self.key_at, self.value_at = self.keys.unbind(-1), self.values.unbind(1)  # views, made once
        self.first, self.second = fast_layer_norm(block.first), fast_layer_norm(block.second)
        self.qkv, self.proj = fast_linear(attention.qkv), fast_linear(attention.proj)
        widen, narrow = fast_linear(block.mlp[0]), fast_linear(block.mlp[2])
        self.mlp = lambda h: narrow(F.gelu(widen(h)))


def fast_linear(layer: nn.Linear) -> Callable[[Tensor], Tensor]:
    """h Wᵀ + b as one operation, with a contiguous Wᵀ, which is fast for few rows h.  (n, i) -> (n, o)"""
    bias, weight = layer.bias, layer.weight.mT.contiguous()
    return lambda h: torch.addmm(bias, h, weight)


def fast_layer_norm(layer: nn.LayerNorm) -> Callable[[Tensor], Tensor]:
    """A layer norm without gain and shift as one operation.  (n, C) -> (n, C)"""
    shape, epsilon = layer.normalized_shape, layer.eps
    return lambda h: F.layer_norm(h, shape, eps=epsilon)


class MaskedLinear(nn.Linear):
    """(W ⊙ mask) h + b.  mask (outputs, inputs)"""

    def __init__(self, mask: Tensor) -> None:
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask.float(), persistent=False)

    @property
    def masked_weight(self) -> Tensor:
        """W ⊙ mask"""
        return self.weight * self.mask

    def forward(self, h: Tensor) -> Tensor:
        return F.linear(h, self.masked_weight, self.bias)
