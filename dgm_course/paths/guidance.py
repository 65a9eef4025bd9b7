"""Classifier-free guidance of a network net(x, t, y=None)."""

from __future__ import annotations

from torch import Tensor, nn


class Guided(nn.Module):
    """Classifier-free guidance: v(x, t) + weight * (v(x, t | y) - v(x, t)); without y it is v(x, t).

    weight 1 is the conditional field; a larger one gives clearer digits with less variety, of no known density."""

    def __init__(self, net: nn.Module, weight: float = 2.0):
        super().__init__()
        self.net, self.weight = net, weight

    def forward(self, x: Tensor, t: Tensor | float, y: Tensor | None = None) -> Tensor:
        free = self.net(x, t)
        return free if y is None else free + self.weight * (self.net(x, t, y) - free)

    def extra_repr(self) -> str:
        return f"v(x, t) + {self.weight:g} (v(x, t | y) - v(x, t))"
