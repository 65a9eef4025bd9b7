"""Five networks for p(x_i | x_<i), each with a pass over all places (``read``) and one place by place (``iter_logits``).

The two share weights and no code, so each tests the other: the logits agree to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..nets import masked
from .model import Autoregressive, Logits, check_min

Order = Sequence[int] | Tensor | None


class _Raster(Autoregressive):
    """A network over a grid of places in row-major order.  event (1, H, W), or (H, W) for codes.

    depth: number of layers; first, kernel: sizes of the first kernel and of the others.  A subclass has ``_build``."""

    min_depth = 1

    def __init__(
        self,
        vocabulary: int,
        event: Sequence[int],
        width: int = 64,
        depth: int = 6,
        first: int = 7,
        kernel: int = 3,
        classes: int = 0,
    ) -> None:
        super().__init__(vocabulary, event, width, classes)
        if len(self.event) < 2 or self.length != self.event[-2] * self.event[-1]:
            raise ValueError(
                f"event is {self.event}: {type(self).__name__} expects images of one channel, (1, H, W), or (H, W)."
            )
        check_min(self.min_depth, depth=depth)
        self.rows, self.columns = self.event[-2:]
        self.out_proj = nn.Conv2d(width, vocabulary, 1)
        self._build(depth - 1, first, kernel)
        self.to(memory_format=torch.channels_last)

    def _image(self, seen: Tensor) -> Tensor:
        """(B, *event, K) -> (B, K, H, W)"""
        return seen.reshape(len(seen), self.rows, self.columns, self.vocabulary).permute(0, 3, 1, 2)

    def _add_label(self, h: Tensor, label: Tensor) -> Tensor:
        """h plus the embedding of the label, in the dtype of h (bfloat16 under autocast).  h (B, C, H, W)"""
        return h + self.label_embedding(label)[:, :, None, None].to(h.dtype)

    def _logits(self, h: Tensor) -> Tensor:
        """(B, width, H, W) -> (B, *event, K)"""
        return self.out_proj(F.relu(h)).permute(0, 2, 3, 1).reshape(len(h), *self.event, self.vocabulary)


class PixelCNN(_Raster):
    """h_1 = A(x),  h_(l+1) = h_l + B(relu(h_l)): masked convolutions.                       (intro lecture, PixelCNN)"""

    def _build(self, layers: int, first: int, kernel: int) -> None:
        self.in_proj = masked.MaskedConv2d(self.vocabulary, self.width, first, "A")
        self.layers = nn.ModuleList(
            masked.MaskedConv2d(self.width, self.width, kernel, "B") for _ in range(layers)
        )

    def read(self, seen: Tensor, label: Tensor) -> Tensor:
        h = self._add_label(self.in_proj(self._image(seen)), label)
        for layer in self.layers:
            h = h + layer(F.relu(h))
        return self._logits(h)

    def wavefronts(self) -> Sequence[Tensor]:
        """Step c + (R + 1) r draws pixel (r, c), R the reach of a kernel to the right: 136 steps for 784 pixels.

        A kernel looks to the right in the rows above only.  So (r, c) needs row r − 1 up to column c + R at most, which
        earlier steps have drawn, and it shares a step with (r + 1, c − R − 1).  The logits are those of one at a time."""
        reach = max(conv.padding[1] for conv in (self.in_proj, *self.layers))
        place = torch.arange(self.length, device=self.order.device)
        step = place % self.columns + min(reach + 1, self.columns) * (place // self.columns)
        return step.argsort(stable=True).split(step.bincount().tolist())

    def iter_logits(self, n: int, label: Tensor) -> Logits:
        wavefronts = self.wavefronts()
        convs = (self.in_proj, *self.layers)
        in_proj, *layers = [masked.CachedConv2d(conv, n, self.columns, wavefronts) for conv in convs]
        label_embedding = self.label_embedding(label)
        units = self.one_hot(torch.arange(self.vocabulary, device=label.device))
        for i, front in enumerate(wavefronts):
            h = in_proj.at(i) + label_embedding.repeat_interleave(len(front), 0)
            for cached in layers:
                cached.put(i, F.relu(h))
                h = h + cached.at(i)
            token = yield masked.pointwise(self.out_proj, F.relu(h))
            in_proj.put(i, units[token])


class GatedPixelCNN(_Raster):
    """A stack for the rows above and a stack for the row itself, gated: no blind spot.      (van den Oord et al. 2016)"""

    min_depth = 2

    def _build(self, layers: int, first: int, kernel: int) -> None:
        self.above = masked.MaskedConv2d(self.vocabulary, self.width, first, "A", masked.rows_mask)
        self.beside = masked.MaskedConv2d(self.vocabulary, self.width, (1, first), "A")
        self.layers = nn.ModuleList(masked.GatedLayer(self.width, kernel) for _ in range(layers))

    def read(self, seen: Tensor, label: Tensor) -> Tensor:
        x = self._image(seen)
        v, h = self._add_label(self.above(x), label), self._add_label(self.beside(x), label)
        for layer in self.layers:
            v, h = layer(v, h)
        return self._logits(h)

    def iter_logits(self, n: int, label: Tensor) -> Logits:
        above = masked.CachedRowConv(self.above, n, self.columns)
        beside = masked.CachedConv2d(self.beside, n, self.columns, self.wavefronts())
        downs = [masked.CachedRowConv(layer.down, n, self.columns) for layer in self.layers]
        alongs = [masked.CachedConv2d(layer.along, n, self.columns, self.wavefronts()) for layer in self.layers]
        label_embedding = self.label_embedding(label)
        for r in range(self.rows):
            v, links = above.next_row() + label_embedding[:, None], []
            for layer, down in zip(self.layers, downs):  # all rows above are known: the whole row at once
                a = down.next_row(v)
                links.append(masked.pointwise(layer.link, a))
                v = v + masked.gate(a, -1)
            for c in range(self.columns):
                i = r * self.columns + c
                h = beside.at(i) + label_embedding
                for layer, along, link in zip(self.layers, alongs, links):
                    along.put(i, h)
                    h = h + masked.pointwise(layer.out, masked.gate(along.at(i) + link[:, c]))
                token = self.one_hot((yield masked.pointwise(self.out_proj, F.relu(h))))
                above.put(c, token)
                beside.put(i, token)


class PixelRNN(_Raster):
    """h_1 = A(x),  h_(l+1) = h_l + RowLSTM(h_l): a state that runs down the rows.           (intro lecture, PixelRNN)

    Two layers reach the first row.  A row up, the state moves one column at most: a wedge on the right stays unseen."""

    min_depth = 2

    def __init__(
        self, vocabulary: int, event: Sequence[int], width: int = 64, depth: int = 3, **sizes: int
    ) -> None:
        super().__init__(vocabulary, event, width, depth, **sizes)

    def _build(self, layers: int, first: int, kernel: int) -> None:
        self.in_proj = masked.MaskedConv2d(self.vocabulary, self.width, first, "A")
        self.layers = nn.ModuleList(masked.RowLSTM(self.width, kernel) for _ in range(layers))

    def read(self, seen: Tensor, label: Tensor) -> Tensor:
        h = self._add_label(self.in_proj(self._image(seen)), label)
        for layer in self.layers:
            h = h + layer(h)
        return self._logits(h)

    def iter_logits(self, n: int, label: Tensor) -> Logits:
        convs = (self.in_proj, *(layer.within for layer in self.layers))
        in_proj, *layers = [masked.CachedConv2d(conv, n, self.columns, self.wavefronts()) for conv in convs]
        label_embedding = self.label_embedding(label)
        hidden, cell = label_embedding.new_zeros(2, len(layers), self.columns, n, self.width)
        for r in range(self.rows):  # between: (n, 4 width, W)
            between = [layer.between(row.permute(1, 2, 0)) for layer, row in zip(self.layers, hidden)]
            for c in range(self.columns):
                i = r * self.columns + c
                h = in_proj.at(i) + label_embedding
                for l, cached in enumerate(layers):
                    cached.put(i, h)
                    hidden[l, c], cell[l, c] = masked.lstm(cached.at(i) + between[l][:, :, c], cell[l, c])
                    h = h + hidden[l, c]
                token = yield masked.pointwise(self.out_proj, F.relu(h))
                in_proj.put(i, self.one_hot(token))


class ImageGPT(Autoregressive):
    """h_i = symbol(x at the place before i) + position_i, then `depth` causal blocks.     (intro lecture, Image GPT)

    The first place sees `label_embedding` instead of a symbol.  order: any; positions are counted in it.
    heads: their number, or (heads, kv_heads) for heads that share keys and values: (4, 1) caches least."""

    def __init__(
        self,
        vocabulary: int,
        event: Sequence[int],
        width: int = 64,
        depth: int = 4,
        heads: int | tuple[int, int] = (4, 1),
        classes: int = 0,
        order: Order = None,
    ) -> None:
        super().__init__(vocabulary, event, width, classes, order)
        check_min(1, depth=depth)
        self.symbol = nn.Parameter(0.02 * torch.randn(vocabulary, width))
        self.position = nn.Parameter(0.02 * torch.randn(self.length, width))
        self.blocks = nn.ModuleList(masked.CausalBlock(width, heads) for _ in range(depth))
        self.out_proj = nn.Sequential(nn.LayerNorm(width, elementwise_affine=False), nn.Linear(width, vocabulary))

    def read(self, seen: Tensor, label: Tensor) -> Tensor:
        seen = seen.flatten(1, -2).index_select(1, self.order[:-1]) @ self.symbol
        h = torch.cat([self.label_embedding(label)[:, None], seen], 1) + self.position
        for block in self.blocks:
            h = block(h)
        return self.out_proj(h).index_select(1, self.rank()).view(len(h), *self.event, self.vocabulary)

    def iter_logits(self, n: int, label: Tensor) -> Logits:
        caches = [masked.KVCache(block, n, self.length) for block in self.blocks]
        norm, out_proj = masked.fast_layer_norm(self.out_proj[0]), masked.fast_linear(self.out_proj[1])
        before = self.label_embedding(label)
        for i, position in enumerate(self.position):
            h = before + position
            for block, cache in zip(self.blocks, caches):
                h = block.step(h, cache, i)
            token = yield out_proj(norm(h))
            before = self.symbol[token]


class MADE(Autoregressive):
    """An MLP whose unit of degree m sees only the first m places of the order.               (Germain et al. 2015)

    W_first ⊙ [m > rank],  W_inner ⊙ [m' ≥ m],  W_last ⊙ [rank ≥ m]: `depth` hidden layers, degrees 0 ... L − 1 evenly."""

    def __init__(
        self,
        vocabulary: int,
        event: Sequence[int],
        width: int = 128,
        depth: int = 2,
        classes: int = 0,
        order: Order = None,
    ) -> None:
        super().__init__(vocabulary, event, width, classes, order)
        check_min(1, depth=depth)
        place = torch.arange(self.length)
        rank = place.repeat_interleave(vocabulary)  # of each input and of each logit
        degree = torch.arange(width) * self.length // width  # rising, so that equal ones are neighbours
        self.ready = torch.searchsorted(degree, place, right=True).tolist()  # units of degree <= i
        self.first = masked.MaskedLinear(degree[:, None] > rank)
        self.last = masked.MaskedLinear(rank[:, None] >= degree)
        self.inner = nn.ModuleList(masked.MaskedLinear(degree[:, None] >= degree) for _ in range(depth - 1))

    def read(self, seen: Tensor, label: Tensor) -> Tensor:
        h = F.relu(self.first(seen.flatten(1, -2)[:, self.order].flatten(1)) + self.label_embedding(label))
        for layer in self.inner:
            h = F.relu(layer(h))
        logits = self.last(h).unflatten(1, (self.length, self.vocabulary))
        return logits.index_select(1, self.rank()).view(len(h), *self.event, self.vocabulary)

    def iter_logits(self, n: int, label: Tensor) -> Logits:
        """Units of degree i are computed once, when i places are known: all places cost one pass together."""
        label_embedding, size, start = self.label_embedding(label), self.vocabulary, 0
        first, *inner, last = [(layer.masked_weight, layer.bias) for layer in (self.first, *self.inner, self.last)]
        seen = label_embedding.new_zeros(n, self.length * size)
        hidden = label_embedding.new_zeros(len(inner) + 1, n, self.width)
        for i, stop in enumerate(self.ready):
            new, symbols = slice(start, stop), slice(i * size, (i + 1) * size)
            h = F.linear(seen[:, : i * size], first[0][new, : i * size], first[1][new])
            hidden[0, :, new] = F.relu(h + label_embedding[:, new])
            for below, here, (weight, bias) in zip(hidden, hidden[1:], inner):
                here[:, new] = F.relu(F.linear(below[:, :stop], weight[new, :stop], bias[new]))
            token = yield F.linear(hidden[-1, :, :stop], last[0][symbols, :stop], last[1][symbols])
            seen[:, symbols], start = self.one_hot(token), stop
