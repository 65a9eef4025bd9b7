"""Networks between data and latents: dense ones that may be told a label.  No distribution, no loss.

    h = SiLU(W x + b + e_y),  ...,  out = V h + c

The label y, where there is one, is a vector e_y that joins the first hidden layer: the same trick at both ends of a
conditional VAE.  What the numbers that come out mean (a mean and a deviation, the logits of pixels, a code) is said by a
head, which stands one floor higher.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.checks import expect_labels
from ..core.tensors import parameter_count


class DenseNet(nn.Module):
    """x (B, *event) laid out flat -> `depth` hidden layers of `width` SiLU units -> (B, *outputs).

    inputs: numbers in one x; outputs: a size or a shape; depth 0: one affine map; y (B,) labels if `classes` is above 0.
    Integers (bits) are taken as numbers."""

    def __init__(
        self, inputs: int, outputs: int | Sequence[int], width: int = 256, depth: int = 2, classes: int = 0
    ) -> None:
        super().__init__()
        self.inputs, self.classes = inputs, classes
        self.outputs = (outputs,) if isinstance(outputs, int) else tuple(outputs)
        sizes = [inputs, *[width] * depth, math.prod(self.outputs)]
        self.layers = nn.ModuleList(nn.Linear(i, o) for i, o in pairwise(sizes))
        self.label_embedding = nn.Embedding(classes, sizes[1]) if classes else None

    def forward(self, x: Tensor, y: Tensor | int | None = None) -> Tensor:
        x = x.reshape(len(x), math.prod(x.shape[1:])).to(self.layers[0].weight.dtype)
        if x.shape[1] != self.inputs:
            raise ValueError(f"x holds {x.shape[1]} numbers a sample: this DenseNet expects {self.inputs}.")
        label = expect_labels(y, self.classes, len(x), x.device)
        h = self.layers[0](x) + (0 if self.label_embedding is None else self.label_embedding(label))
        for layer in self.layers[1:]:
            h = layer(F.silu(h))
        return h.view(len(x), *self.outputs)

    @torch.no_grad()
    def start_at(self, output: Tensor) -> DenseNet:
        """Set the last bias, so that the untrained network answers about `output` (*outputs); returns itself.

        Decoders of images start at the logits of the mean image, and need not learn first that the border is dark."""
        self.layers[-1].bias.copy_(output.reshape(-1))
        return self

    def extra_repr(self) -> str:
        label = f", one of {self.classes} labels" if self.classes else ""
        return f"{self.inputs} numbers{label} -> {' x '.join(map(str, self.outputs))}, {parameter_count(self):,} parameters"
