"""Rational-quadratic splines: monotone curves for one coordinate, invertible in closed form.

Grey values need one.  A white pixel, once dequantised, is uniform on [0, 1/256).  Affine layers cannot make it normal, which
costs ½ log(2πe/12) nats, a quarter of a bit, for each such pixel; a spline steep near both ends of the bin can.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.checks import expect_batch
from .bijections import Bijection, Change, total


class Spline(Bijection):
    """z = s(x), the same increasing curve for every coordinate; ladj = Σ log s'(x).    (Durkan et al. 2019, spline flows)

    Between two knots, with ξ = (x − x_k)/w, slope r = h/w and slopes d at the knots, a quotient of two parabolas:

        s = z_k + h [r ξ² + d_k ξ(1−ξ)] / [r + (d_k + d_(k+1) − 2r) ξ(1−ξ)]

    and straight lines outside.  knots, values (K + 1,): increasing, initial points of the curve; the knots stay fixed."""

    def __init__(self, knots: Tensor, values: Tensor) -> None:
        super().__init__()
        knots, values = torch.as_tensor(knots, dtype=torch.float64), torch.as_tensor(values, dtype=torch.float64)
        rises = [part.ndim == 1 and len(part) > 1 and bool((part.diff() > 0).all()) for part in (knots, values)]
        if not all(rises) or len(knots) != len(values):
            shapes = f"knots {tuple(knots.shape)} and values {tuple(values.shape)}"
            raise ValueError(f"{shapes}: expected two increasing rows of one length, at least 2.")
        slopes = values.diff() / knots.diff()
        inner = (slopes[1:] * slopes[:-1]).sqrt()
        self.register_buffer("knots", knots.float(), persistent=False)  # half precision would move those near 1
        self.start, self.log_heights = nn.Parameter(values[0].float()), nn.Parameter(values.diff().log().float())
        self.log_slopes = nn.Parameter(torch.cat([slopes[:1], inner, slopes[-1:]]).log().float())

    def forward(self, x: Tensor) -> Change:
        heights, slopes, widths = self.log_heights.exp(), self.log_slopes.exp(), self.knots.diff()
        inside = expect_batch(x).clamp(self.knots[0], self.knots[-1])
        k = self._piece(inside, self.knots)
        table = torch.stack([self._values(heights)[:-1], heights, heights / widths, slopes[:-1], slopes[1:]])
        low, h, r, left, right = F.embedding(k, table.T).unbind(-1)
        xi = (inside - self.knots[k]) / widths[k]
        mixed, bend = xi * (1 - xi), left + right - 2 * r
        under = r + bend * mixed
        z = low + h * (r * xi * xi + left * mixed) / under
        end = torch.where(x < self.knots[0], slopes[0], slopes[-1])
        rate = r * r * (right * xi * xi + 2 * r * mixed + left * (1 - xi) ** 2) / (under * under)
        return z + (x - inside) * end, total(torch.where(x == inside, rate, end).log())

    def inverse(self, z: Tensor) -> Tensor:
        heights, slopes = self.log_heights.exp(), self.log_slopes.exp()
        values = self._values(heights)
        inside = expect_batch(z, name="z").clamp(values[0], values[-1])
        k = self._piece(inside, values)
        h, w, up = heights[k], self.knots.diff()[k], inside - values[k]
        r, bend = h / w, slopes[k] + slopes[k + 1] - 2 * h / w
        a, b, c = h * (r - slopes[k]) + up * bend, h * slopes[k] - up * bend, -r * up
        root = 2 * c / (-b - (b * b - 4 * a * c).clamp(min=0).sqrt())
        beyond = (z - inside) / torch.where(z < values[0], slopes[0], slopes[-1])
        return self.knots[k] + root * w + beyond

    def _values(self, heights: Tensor) -> Tensor:
        return torch.cat([self.start[None], self.start + heights.cumsum(0)])

    def _piece(self, x: Tensor, ends: Tensor) -> Tensor:
        """Index of the interval that holds x.  (...) -> (...)"""
        right = torch.searchsorted(ends.detach().contiguous(), x.detach().contiguous(), right=True)
        return (right - 1).clamp(0, len(ends) - 2)


def grey_spline(levels: int = 256, greys: int = 8) -> Spline:
    """A spline for dequantised grey values in [0, 1) that makes the first and the last bin nearly normal.

    In those two bins the knots are quantiles of a uniform and of a normal number; between them they are equally spaced."""
    u = torch.tensor([0.01, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 0.99], dtype=torch.float64)
    normal = torch.special.ndtri(u)
    paper, ink = u / levels, 1 - (1 - u) / levels
    between = torch.linspace(1 / levels, 1 - 1 / levels, greys + 1, dtype=torch.float64)
    knots = torch.cat([u.new_zeros(1), paper, between, ink, u.new_ones(1)])
    edge, step = 3.0, 4.0 / greys
    ends = normal.new_tensor([-edge, 3 * edge + 4])
    middle = edge + step * torch.arange(greys + 1)
    values = torch.cat([ends[:1], normal, middle, 2 * edge + 4 + normal, ends[1:]])
    return Spline(knots, values - values.mean())
