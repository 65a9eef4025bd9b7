"""Guidance: a field made of fields, that goes further in the direction in which one of them differs from another.

    v + weight · (v − v_other)

The other one knows less: it was not told the class.
Networks are called as in `nets`: net(x, t, y=None).
"""

from __future__ import annotations

from torch import Tensor, nn


class Guided(nn.Module):
    """Classifier-free guidance: v(x, t) + weight * (v(x, t | y) - v(x, t)).

    weight 1 is the conditional field itself; more than 1 exaggerates what makes the class: clearer digits,
    less variety. The result is the field of no known path: its samples follow no stated density. Without y it
    is v(x, t)."""

    def __init__(self, net: nn.Module, weight: float = 2.0):
        super().__init__()
        self.net, self.weight = net, weight

    def forward(self, x: Tensor, t: Tensor | float, y: Tensor | None = None) -> Tensor:
        free = self.net(x, t)
        return free if y is None else free + self.weight * (self.net(x, t, y) - free)

    def extra_repr(self) -> str:
        return f"v(x, t) + {self.weight:g} (v(x, t | y) - v(x, t))"
