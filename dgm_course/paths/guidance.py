"""Guidance: a field made of fields, that goes further in the direction in which one of them differs from another.

    v + weight · (v − v_other)

The other one knows less: it was not told the class (`Guided`), or it has learned for a shorter time (`Autoguided`).
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


class Autoguided(nn.Module):
    """v + weight * (v - v_worse) + (guidance - 1) * (v - v(x, t)), all but the last told y: away from one's own weaknesses.

    worse: the same network after little training. What it gets wrong the better one gets wrong as well, in the same
    direction and less; going on the way of improvement mends samples without making them alike. (Karras et al. 2024)"""

    def __init__(self, net: nn.Module, worse: nn.Module, weight: float = 0.5, guidance: float = 1.0):
        super().__init__()
        self.net, self.worse, self.weight, self.guidance = net, worse, weight, guidance

    def forward(self, x: Tensor, t: Tensor | float, y: Tensor | None = None) -> Tensor:
        conditional = self.net(x, t, y)
        better = conditional + self.weight * (conditional - self.worse(x, t, y))
        return better if y is None or self.guidance == 1 else better + (self.guidance - 1) * (conditional - self.net(x, t))

    def extra_repr(self) -> str:
        return f"v + {self.weight:g} (v - v_worse) + {self.guidance - 1:g} (v - v(x, t))"
