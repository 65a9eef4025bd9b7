"""Five networks for p(x_i | x_<i).  Each has the pass over all places (``read``) and the same place by place (``iter_logits``).

The two share weights and no code, so each is the other's test: the logits agree to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..nets.masked import (
    CachedConv2d,
    CachedRowConv,
    CausalBlock,
    GatedLayer,
    KVCache,
    MaskedConv2d,
    MaskedLinear,
    RowLSTM,
    fast_layer_norm,
    fast_linear,
    gate,
    lstm,
    pointwise,
    rows_mask,
)
from .model import Autoregressive, Logits, check_min


class _Raster(Autoregressive):
    """What the families for images share: places in a grid, read row by row.  event (1, H, W), or (H, W) for codes."""

    def __init__(self, vocabulary: int, event: Sequence[int], width: int, classes: int) -> None:
        super().__init__(vocabulary, event, width, classes)
        if len(self.event) < 2 or self.length != self.event[-2] * self.event[-1]:
            raise ValueError(
                f"event is {self.event}: {type(self).__name__} expects images of one channel, (1, H, W), or "
                "codes, (H, W)."
            )
        self.rows, self.columns = self.event[-2:]
        self.out_proj = nn.Conv2d(width, vocabulary, 1)

    def _image(self, seen: Tensor) -> Tensor:
        """(B, *event, K) -> (B, K, H, W)"""
        return seen.reshape(len(seen), self.rows, self.columns, self.vocabulary).permute(0, 3, 1, 2)

    def _add_label(self, h: Tensor, label: Tensor) -> Tensor:
        """h and what the label adds, in the dtype of h: a float32 term would make all that follows so.  h (B, C, H, W)"""
        return h + self.label_embedding(label)[:, :, None, None].to(h.dtype)

    def _answer(self, h: Tensor) -> Tensor:
        """(B, width, H, W) -> (B, *event, K)"""
        return self.out_proj(F.relu(h)).permute(0, 2, 3, 1).reshape(len(h), *self.event, self.vocabulary)


class PixelCNN(_Raster):
    """h_1 = A(x),  h_(l+1) = h_l + B(relu(h_l)): masked convolutions, `depth` of them.      (intro lecture, PixelCNN)

    first, kernel: sizes of the first kernel and of the others.  What is further away than they reach is forgotten."""

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
        check_min(1, depth=depth)
        self.in_proj = MaskedConv2d(vocabulary, width, first, "A")
        self.layers = nn.ModuleList(MaskedConv2d(width, width, kernel, "B") for _ in range(depth - 1))
        self.to(memory_format=torch.channels_last)

    def read(self, seen: Tensor, label: Tensor) -> Tensor:
        h = self._add_label(self.in_proj(self._image(seen)), label)
        for layer in self.layers:
            h = h + layer(F.relu(h))
        return self._answer(h)

    def wavefronts(self) -> Sequence[Tensor]:
        """Pixels of several rows at a time, which makes 136 steps of 784.

        No kernel looks further to the right than R columns, and it does so in the rows above.  So (r, c) never waits for
        more of row r − 1 than its columns up to c + R, which are done before (r − 1, c + R + 1) is.  Hence these two may be
        drawn in the same step, and (r + 1, c − R − 1) with them, and so on: step c + (R + 1) r, every step a front that
        runs down the image and to the left.  Nobody misses anything: the logits are those of row by row."""
        reach = max(conv.padding[1] for conv in (self.in_proj, *self.layers))
        place = torch.arange(self.length, device=self.order.device)
        step = place % self.columns + min(reach + 1, self.columns) * (place // self.columns)
        return step.argsort(stable=True).split(step.bincount().tolist())

    def iter_logits(self, n: int, label: Tensor) -> Logits:
        wavefronts = self.wavefronts()
        in_proj, *walks = [
            CachedConv2d(conv, n, self.columns, wavefronts) for conv in (self.in_proj, *self.layers)
        ]
        label_embedding, units = (
            self.label_embedding(label),
            self.one_hot(torch.arange(self.vocabulary, device=label.device)),
        )
        for i, front in enumerate(wavefronts):
            h = in_proj.at(i) + label_embedding.repeat_interleave(len(front), 0)
            for cached in walks:
                cached.put(i, F.relu(h))
                h = h + cached.at(i)
            token = yield pointwise(self.out_proj, F.relu(h))
            in_proj.put(i, units[token])


class GatedPixelCNN(_Raster):
    """A stack for the rows above, a stack for the row itself, `depth` layers with gates: no blind spot.

    (van den Oord et al. 2016, Conditional Image Generation with PixelCNN Decoders.)"""

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
        check_min(2, depth=depth)
        self.above = MaskedConv2d(vocabulary, width, first, "A", rows_mask)
        self.beside = MaskedConv2d(vocabulary, width, (1, first), "A")
        self.layers = nn.ModuleList(GatedLayer(width, kernel) for _ in range(depth - 1))
        self.to(memory_format=torch.channels_last)

    def read(self, seen: Tensor, label: Tensor) -> Tensor:
        x = self._image(seen)
        v, h = self._add_label(self.above(x), label), self._add_label(self.beside(x), label)
        for layer in self.layers:
            v, h = layer(v, h)
        return self._answer(h)

    def iter_logits(self, n: int, label: Tensor) -> Logits:
        above, beside = (
            CachedRowConv(self.above, n, self.columns),
            CachedConv2d(self.beside, n, self.columns, self.wavefronts()),
        )
        downs = [CachedRowConv(layer.down, n, self.columns) for layer in self.layers]
        alongs = [CachedConv2d(layer.along, n, self.columns, self.wavefronts()) for layer in self.layers]
        label_embedding = self.label_embedding(label)
        for r in range(self.rows):
            v, links = above.next_row() + label_embedding[:, None], []
            for layer, down in zip(self.layers, downs):  # all rows above are known: the whole row at once
                a = down.next_row(v)
                links.append(pointwise(layer.link, a))
                v = v + gate(a, -1)
            for c in range(self.columns):
                i = r * self.columns + c
                h = beside.at(i) + label_embedding
                for layer, along, link in zip(self.layers, alongs, links):
                    along.put(i, h)
                    h = h + pointwise(layer.out, gate(along.at(i) + link[:, c]))
                token = self.one_hot((yield pointwise(self.out_proj, F.relu(h))))
                above.put(c, token)
                beside.put(i, token)


class PixelRNN(_Raster):
    """h_1 = A(x),  h_(l+1) = h_l + RowLSTM(h_l): a state that runs down the rows.           (intro lecture, PixelRNN)

    The past has no fixed height here: two layers reach the top.  A row up, the state moves one column at most, so a wedge on
    the right stays unseen (the paper's Row LSTM; its diagonal one has no such wedge)."""

    def __init__(
        self,
        vocabulary: int,
        event: Sequence[int],
        width: int = 64,
        depth: int = 3,
        first: int = 7,
        kernel: int = 3,
        classes: int = 0,
    ) -> None:
        super().__init__(vocabulary, event, width, classes)
        check_min(2, depth=depth)
        self.in_proj = MaskedConv2d(vocabulary, width, first, "A")
        self.layers = nn.ModuleList(RowLSTM(width, kernel) for _ in range(depth - 1))
        self.to(memory_format=torch.channels_last)

    def read(self, seen: Tensor, label: Tensor) -> Tensor:
        h = self._add_label(self.in_proj(self._image(seen)), label)
        for layer in self.layers:
            h = h + layer(h)
        return self._answer(h)

    def iter_logits(self, n: int, label: Tensor) -> Logits:
        convs = (self.in_proj, *(layer.within for layer in self.layers))
        in_proj, *walks = [CachedConv2d(conv, n, self.columns, self.wavefronts()) for conv in convs]
        label_embedding = self.label_embedding(label)
        hidden, cell = label_embedding.new_zeros(2, len(walks), self.columns, n, self.width)
        for r in range(self.rows):
            between = [
                layer.between(row.permute(1, 2, 0)) for layer, row in zip(self.layers, hidden)
            ]  # (n, 4 width, W)
            for c in range(self.columns):
                i = r * self.columns + c
                h = in_proj.at(i) + label_embedding
                for l, cached in enumerate(walks):
                    cached.put(i, h)
                    hidden[l, c], cell[l, c] = lstm(cached.at(i) + between[l][:, :, c], cell[l, c])
                    h = h + hidden[l, c]
                token = yield pointwise(self.out_proj, F.relu(h))
                in_proj.put(i, self.one_hot(token))


class ImageGPT(Autoregressive):
    """h_i = (what stands at the place before i) + position_i, then `depth` causal blocks.     (intro lecture, Image GPT)

    The first place sees `label_embedding` instead of a symbol.  order: any; positions are counted in it.
    heads: their number, or (heads, kv_heads), where heads share keys and values; with 1 there is least to remember."""

    def __init__(
        self,
        vocabulary: int,
        event: Sequence[int],
        width: int = 64,
        depth: int = 4,
        heads: int | tuple[int, int] = (4, 1),
        classes: int = 0,
        order: Sequence[int] | Tensor | None = None,
    ) -> None:
        super().__init__(vocabulary, event, width, classes, order)
        check_min(1, depth=depth)
        self.symbol = nn.Parameter(0.02 * torch.randn(vocabulary, width))
        self.position = nn.Parameter(0.02 * torch.randn(self.length, width))
        self.blocks = nn.ModuleList(CausalBlock(width, heads) for _ in range(depth))
        self.out_proj = nn.Sequential(nn.LayerNorm(width, elementwise_affine=False), nn.Linear(width, vocabulary))

    def read(self, seen: Tensor, label: Tensor) -> Tensor:
        seen = seen.flatten(1, -2).index_select(1, self.order[:-1]) @ self.symbol
        h = torch.cat([self.label_embedding(label)[:, None], seen], 1) + self.position
        for block in self.blocks:
            h = block(h)
        return self.out_proj(h).index_select(1, self.rank()).view(len(h), *self.event, self.vocabulary)

    def iter_logits(self, n: int, label: Tensor) -> Logits:
        memories = [KVCache(block, n, self.length) for block in self.blocks]
        norm, out_proj, before = (
            fast_layer_norm(self.out_proj[0]),
            fast_linear(self.out_proj[1]),
            self.label_embedding(label),
        )
        for i, position in enumerate(self.position):
            h = before + position
            for block, memory in zip(self.blocks, memories):
                h = block.step(h, memory, i)
            token = yield out_proj(norm(h))
            before = self.symbol[token]


class MADE(Autoregressive):
    """An MLP whose unit of degree m sees the first m places of the order, and no others.       (Germain et al. 2015)

    W_first ⊙ [m > rank],  W_inner ⊙ [m' ≥ m],  W_last ⊙ [rank ≥ m]: `depth` hidden layers, degrees 0 ... L − 1 evenly."""

    def __init__(
        self,
        vocabulary: int,
        event: Sequence[int],
        width: int = 128,
        depth: int = 2,
        classes: int = 0,
        order: Sequence[int] | Tensor | None = None,
    ) -> None:
        super().__init__(vocabulary, event, width, classes, order)
        check_min(1, depth=depth)
        rank = torch.arange(self.length).repeat_interleave(vocabulary)  # of each input and of each logit
        degree = torch.arange(width) * self.length // width  # rising, so that equal ones are neighbours
        self.ready = torch.searchsorted(
            degree, torch.arange(self.length), right=True
        ).tolist()  # units of degree <= i
        self.first, self.last = MaskedLinear(degree[:, None] > rank), MaskedLinear(rank[:, None] >= degree)
        self.inner = nn.ModuleList(MaskedLinear(degree[:, None] >= degree) for _ in range(depth - 1))

    def read(self, seen: Tensor, label: Tensor) -> Tensor:
        h = F.relu(self.first(seen.flatten(1, -2)[:, self.order].flatten(1)) + self.label_embedding(label))
        for layer in self.inner:
            h = F.relu(layer(h))
        logits = self.last(h).unflatten(1, (self.length, self.vocabulary))
        return logits.index_select(1, self.rank()).view(len(h), *self.event, self.vocabulary)

    def iter_logits(self, n: int, label: Tensor) -> Logits:
        """Units of degree i are computed when i places are known, and never again: all samples cost one pass in all."""
        label_embedding, size, start = self.label_embedding(label), self.vocabulary, 0
        layers = [(layer.masked_weight, layer.bias) for layer in (self.first, *self.inner, self.last)]
        seen = label_embedding.new_zeros(n, self.length * size)
        hidden = label_embedding.new_zeros(len(layers) - 1, n, self.width)
        for i, stop in enumerate(self.ready):
            new, (weight, bias) = slice(start, stop), layers[0]
            hidden[0, :, new] = F.relu(
                F.linear(seen[:, : i * size], weight[new, : i * size], bias[new]) + label_embedding[:, new]
            )
            for below, here, (weight, bias) in zip(hidden, hidden[1:], layers[1:]):
                here[:, new] = F.relu(F.linear(below[:, :stop], weight[new, :stop], bias[new]))
            symbols, (weight, bias) = slice(i * size, (i + 1) * size), layers[-1]
            token = yield F.linear(hidden[-1, :, :stop], weight[symbols, :stop], bias[symbols])
            seen[:, symbols], start = self.one_hot(token), stop
