"""Layers with a network inside and a cheap determinant; the network is evaluated both ways and never inverted.

Triangular Jacobians, whose determinant is the diagonal: `Coupling`, `MaskedCoupling`, `MaskedAutoregressive`.  The identity
plus a matrix of rank one: `Planar`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from ..nets.masked import MaskedLinear
from .bijections import Bijection, Change, Compose, expect_channels, total

Unit = type[nn.Module]
Order = Sequence[int] | Tensor


def bounded(raw: Tensor, bound: float) -> Tensor:
    """bound · tanh(raw / bound), a bounded log-scale; bound inf: raw itself."""
    return raw if math.isinf(bound) else bound * torch.tanh(raw / bound)


def mlp(inputs: int, outputs: int, width: int = 64, depth: int = 2, unit: Unit = nn.ReLU) -> nn.Sequential:
    """depth hidden layers and a last one that starts at zero, so an untrained flow is the identity.

    unit: sharp densities are learned several times sooner with ReLUs than with smooth units."""
    sizes = [inputs, *[width] * depth]
    hidden = [m for i, o in pairwise(sizes) for m in (nn.Linear(i, o), unit())]
    last = nn.Linear(sizes[-1], outputs)
    for p in last.parameters():
        nn.init.zeros_(p)
    return nn.Sequential(*hidden, last)


class Coupling(Bijection):
    """z_kept = x_kept,  z_rest = x_rest · exp(s(x_kept)) + t(x_kept);  ladj = Σ s.            (lecture 5, RealNVP)

    kept: indices along the first axis of the event (coordinates or channels) out of ``size``; net: (B, |kept|, ...) ->
    (B, 2 |rest|, ...), the raw log-scale first.  bound: the largest |s|."""

    def __init__(self, kept: Order, size: int, net: Callable[[Tensor], Tensor], bound: float = 3.0) -> None:
        super().__init__()
        kept = torch.as_tensor(kept, dtype=torch.long).reshape(-1)
        inside = torch.zeros(size, dtype=torch.bool)
        if not 0 < len(kept) < size or kept.min() < 0 or kept.max() >= size or len(kept.unique()) < len(kept):
            raise ValueError(f"kept is {kept.tolist()}: expected some of 0 to {size - 1}, each once, and not all.")
        inside[kept] = True
        self.net, self.bound, self.size = net, bound, size
        self.register_buffer("kept", kept)
        rest = (~inside).nonzero()[:, 0]
        self.register_buffer("rest", rest)
        self.register_buffer("places", torch.cat([kept, rest]).argsort(), persistent=False)

    def conditions(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        """s and t of the rest, from the kept part."""
        s, t = self.net(kept).chunk(2, 1)
        return bounded(s, self.bound), t

    def forward(self, x: Tensor) -> Change:
        kept, rest = self._parts(x, "x")
        s, t = self.conditions(kept)
        return self._joined(kept, rest * s.exp() + t), total(s)

    def inverse(self, z: Tensor) -> Tensor:
        kept, rest = self._parts(z, "z")
        s, t = self.conditions(kept)
        return self._joined(kept, (rest - t) * (-s).exp())

    def _parts(self, x: Tensor, name: str) -> tuple[Tensor, Tensor]:
        expect_channels(x, self.size, name)
        return x.index_select(1, self.kept), x.index_select(1, self.rest)

    def _joined(self, kept: Tensor, rest: Tensor) -> Tensor:
        return torch.cat([kept, rest], 1).index_select(1, self.places)

    def extra_repr(self) -> str:
        return f"{self.rest.tolist()} scaled and moved by what {self.kept.tolist()} say"


class MaskedCoupling(Bijection):
    """z = m x + (1 − m)(x · exp(s(m x)) + t(m x));  ladj = Σ (1 − m) s.

    mask (*event), True where x is kept, such as a checkerboard; net: (B, *event) -> (B, 2 event[0], ...)."""

    def __init__(self, mask: Tensor, net: Callable[[Tensor], Tensor], bound: float = 3.0) -> None:
        super().__init__()
        if mask.dtype != torch.bool or mask.all():
            share = f"{int(mask.sum())} of {mask.numel()}"
            raise ValueError(f"mask is {mask.dtype}, True in {share} places: expected torch.bool, not all True.")
        self.net, self.bound, self.event = net, bound, tuple(mask.shape)
        self.register_buffer("mask", mask)

    def conditions(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """s and t, zero where x is kept."""
        s, t = self.net(x * self.mask).chunk(2, 1)
        return bounded(s, self.bound) * ~self.mask, t * ~self.mask

    def forward(self, x: Tensor) -> Change:
        s, t = self.conditions(self.check_input(x))
        return x * s.exp() + t, total(s)

    def inverse(self, z: Tensor) -> Tensor:
        s, t = self.conditions(self.check_input(z, "z"))
        return (z - t) * (-s).exp()


class MaskedAutoregressive(Bijection):
    """z_i = (x_i − m_i(x_<i)) · exp(−a_i(x_<i));  ladj = −Σ a_i.                    (lecture 5, Autoregressive NF; MAF)

    All m and a come from one pass over x (masks, as in MADE); the inverse takes D passes, since x_i needs the x before it.
    order: the coordinates in the order of their dependence."""

    def __init__(
        self,
        dim: int,
        width: int = 64,
        depth: int = 2,
        order: Order | None = None,
        bound: float = 3.0,
        unit: Unit = nn.ReLU,
    ) -> None:
        super().__init__()
        order = torch.arange(dim) if order is None else torch.as_tensor(order)
        if not torch.equal(order.sort().values, torch.arange(dim)):
            raise ValueError(f"order is {order.tolist()}: expected a permutation of 0 to {dim - 1}.")
        self.event, self.bound = (dim,), bound
        self.register_buffer("order", order)
        rank = order.argsort()  # of each coordinate
        degree = torch.arange(width) % max(1, dim - 1)  # a unit of degree d depends on ranks 0 ... d
        sizes = [degree[:, None] >= rank] + [degree[:, None] >= degree] * (depth - 1)
        last = MaskedLinear((rank[:, None] > degree).repeat(2, 1))
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.net = nn.Sequential(*[m for mask in sizes for m in (MaskedLinear(mask), unit())], last)

    def conditions(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """m and a of each coordinate, from those before it.  (B, D) each"""
        m, a = self.net(x).chunk(2, 1)
        return m, bounded(a, self.bound)

    def forward(self, x: Tensor) -> Change:
        m, a = self.conditions(self.check_input(x))
        return (x - m) * (-a).exp(), -a.sum(1)

    def inverse(self, z: Tensor) -> Tensor:
        """x_i = z_i · exp(a_i) + m_i, one coordinate after the other"""
        x = torch.zeros_like(self.check_input(z, "z"))
        for i in self.order.tolist():
            m, a = self.conditions(x)
            x = x.index_copy(1, self.order.new_tensor([i]), (z * a.exp() + m)[:, i : i + 1])
        return x


class Planar(Bijection):
    """z = x + û tanh(w·x + b);  det = 1 + û·w (1 − tanh²): the identity plus a matrix of rank one.     x (B, D)

    û·w > −1, so that f is invertible (Rezende & Mohamed 2015).  The inverse bisects for the one unknown a = w·x in
    w·z = a + û·w tanh(a + b)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.event = (dim,)
        self.w, self.u = (nn.Parameter(0.5 * torch.randn(dim)) for _ in range(2))
        self.b = nn.Parameter(torch.zeros(()))

    @property
    def u_hat(self) -> Tensor:
        """û = u + (softplus(w·u) − 1 − w·u) w / |w|²"""
        along = self.w @ self.u
        return self.u + (nn.functional.softplus(along) - 1 - along) * self.w / self.w.square().sum()

    def forward(self, x: Tensor) -> Change:
        bend = torch.tanh(self.check_input(x) @ self.w + self.b)
        return x + bend[:, None] * self.u_hat, torch.log1p((1 - bend**2) * (self.w @ self.u_hat))

    def inverse(self, z: Tensor) -> Tensor:
        u_hat, goal = self.u_hat, self.check_input(z, "z") @ self.w
        reach = self.w @ u_hat
        low, high = goal - reach.abs(), goal + reach.abs()
        for _ in range(64):
            middle = (low + high) / 2
            above = middle + reach * torch.tanh(middle + self.b) > goal
            low, high = torch.where(above, low, middle), torch.where(above, middle, high)
        return z - torch.tanh((low + high) / 2 + self.b)[:, None] * u_hat


def couplings(
    dim: int, count: int = 8, width: int = 64, depth: int = 2, bound: float = 3.0, unit: Unit = nn.ReLU
) -> Compose:
    """RealNVP for points (B, dim): couplings that keep the even and the odd coordinates in turn.    (lecture 5, RealNVP)"""
    if dim < 2:
        raise ValueError(f"dim is {dim}: expected at least 2, so that a coupling keeps some and changes some.")
    sides = [range(k % 2, dim, 2) for k in range(count)]
    nets = [mlp(len(kept), 2 * (dim - len(kept)), width, depth, unit) for kept in sides]
    return Compose([Coupling(kept, dim, net, bound) for kept, net in zip(sides, nets)])


def autoregressive(
    dim: int, count: int = 5, width: int = 64, depth: int = 2, bound: float = 3.0, unit: Unit = nn.ReLU
) -> Compose:
    """MAF for points (B, dim): masked autoregressive layers in forward and backward order in turn."""
    orders = [range(dim)[:: -1 if k % 2 else 1] for k in range(count)]
    return Compose([MaskedAutoregressive(dim, width, depth, order, bound, unit) for order in orders])


def planars(dim: int, count: int = 16) -> Compose:
    """count planar layers"""
    return Compose([Planar(dim) for _ in range(count)])
