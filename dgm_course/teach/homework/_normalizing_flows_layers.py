"""The usual slips in the layers of flows, exercises 6.1, 6.2, 6.5 and 6.6: a hint, and the wrong form that earns it.

An answer whose values agree with a wrong form in every case gets its hint; tests hold that each is wrong.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Form = Callable[..., object]
Mistakes = tuple[tuple[str, Form], ...]
KEEP: Callable = lambda value: value


def _out(x: Tensor, mask: Tensor, s: Tensor, t: Tensor) -> Tensor:
    return mask * x + (1 - mask) * (x * s.exp() + t)


# --- 6.1 the coupling


def _forward(
    asked: Callable = lambda x, m: m * x,
    turn: Callable = KEEP,
    out: Callable = _out,
    ladj: Callable = lambda s, m, x: ((1 - m) * s).sum(1),
) -> Form:
    """The layer with one of its pieces exchanged: what the networks see, the mask, the formula, the determinant."""

    def form(x: Tensor, mask: Tensor, log_scale: Callable, shift: Callable) -> tuple[Tensor, Tensor]:
        m = turn(mask)
        seen = asked(x, m)
        s, t = log_scale(seen), shift(seen)
        return out(x, m, s, t), ladj(s, m, x)

    return form


def _first_half(mask: Tensor) -> Tensor:
    return (torch.arange(len(mask), device=mask.device) < len(mask) // 2).to(mask)


FORWARD: Mistakes = (
    (
        "The first half is kept, whatever the mask says: any coordinates may be kept.",
        _forward(turn=_first_half),
    ),
    (
        "The mask is turned around: where it is 1 the coordinate is kept, where it is 0 it is scaled and moved.",
        _forward(turn=lambda m: 1 - m),
    ),
    (
        "The networks see the whole point: then the Jacobian is not triangular, and nobody can go back. They may see only "
        "what is kept.",
        _forward(asked=lambda x, m: x),
    ),
    (
        "The networks see what is changed; they may see only what is kept, else the layer cannot be inverted.",
        _forward(asked=lambda x, m: (1 - m) * x),
    ),
    (
        "The kept coordinates are scaled and moved as well: they go through unchanged.",
        _forward(out=lambda x, m, s, t: x * s.exp() + t),
    ),
    (
        "The scale is used as it comes: the network gives its logarithm, so the factor is exp(s).",
        _forward(out=lambda x, m, s, t: m * x + (1 - m) * (x * s + t)),
    ),
    (
        "First scaled, then moved: here the shift is scaled along, (x + t)·exp(s).",
        _forward(out=lambda x, m, s, t: m * x + (1 - m) * (x + t) * s.exp()),
    ),
    (
        "That is the way back, (x − t)·exp(−s); towards the noise the layer multiplies by exp(s) and adds t.",
        _forward(out=lambda x, m, s, t: m * x + (1 - m) * (x - t) * (-s).exp()),
    ),
    (
        "The log-determinant sums over all coordinates: those that are kept have slope one, and count nothing.",
        _forward(ladj=lambda s, m, x: s.sum(1)),
    ),
    (
        "The log-determinant sums over the kept coordinates; it is the others that are scaled.",
        _forward(ladj=lambda s, m, x: (m * s).sum(1)),
    ),
    (
        "The sign of the log-determinant: this layer is f, towards the noise, and its slope is exp(+s).",
        _forward(ladj=lambda s, m, x: -((1 - m) * s).sum(1)),
    ),
    (
        "That is a sum of slopes exp(s): the determinant is their product, its logarithm the sum of s.",
        _forward(ladj=lambda s, m, x: ((1 - m) * s.exp()).sum(1)),
    ),
    (
        "That is the determinant itself, a product of exp(s): its logarithm is asked.",
        _forward(ladj=lambda s, m, x: ((1 - m) * s).sum(1).exp()),
    ),
    (
        "A mean over the coordinates: the logarithm of a product is the sum of the logarithms.",
        _forward(ladj=lambda s, m, x: ((1 - m) * s).mean(1)),
    ),
    (
        "The log-determinant is summed over the batch as well: each point has its own, (B,).",
        _forward(ladj=lambda s, m, x: ((1 - m) * s).sum().expand(len(x))),
    ),
)


# --- 6.2 the coupling backwards


def _backward(
    back: Callable = lambda z, s, t: (z - t) * (-s).exp(),
    asked: Callable = lambda z, m: m * z,
    turn: Callable = KEEP,
    kept: Callable = KEEP,
) -> Form:
    def form(z: Tensor, mask: Tensor, log_scale: Callable, shift: Callable) -> Tensor:
        m = turn(mask)
        seen = asked(z, m)
        return kept(m * z) + (1 - m) * back(z, log_scale(seen), shift(seen))

    return form


BACKWARD: Mistakes = (
    (
        "The first half is taken for what was kept, whatever the mask says.",
        _backward(turn=_first_half),
    ),
    (
        "That is the way forth once more: going back, the shift is subtracted first and then the scale divided out.",
        _backward(lambda z, s, t: z * s.exp() + t),
    ),
    (
        "In the wrong order: the scale came first and the shift last, so going back undoes the shift first.",
        _backward(lambda z, s, t: z * (-s).exp() - t),
    ),
    (
        "The shift is added where it must be subtracted.",
        _backward(lambda z, s, t: (z + t) * (-s).exp()),
    ),
    (
        "Multiplied by exp(s) where it must be divided out.",
        _backward(lambda z, s, t: (z - t) * s.exp()),
    ),
    (
        "Divided by s itself: the network gives the logarithm of the scale, so the factor is exp(−s).",
        _backward(lambda z, s, t: (z - t) / s),
    ),
    (
        "The mask is turned around: where it is 1 the coordinate was kept.",
        _backward(turn=lambda m: 1 - m),
    ),
    (
        "The networks see the whole of z: on the way there they saw the kept part of x alone, which is the kept part of z.",
        _backward(asked=lambda z, m: z),
    ),
    (
        "The kept coordinates are lost: they come through unchanged.",
        _backward(kept=torch.zeros_like),
    ),
    (
        "The shift is not undone: only the scale is divided out.",
        _backward(lambda z, s, t: z * (-s).exp()),
    ),
    (
        "The scale is not undone: only the shift is subtracted.",
        _backward(lambda z, s, t: z - t),
    ),
)


# --- 6.5 the autoregressive way back


def _sequential(
    back: Callable = lambda z, m, a: z * a.exp() + m,
    places: Callable = range,
    start: Callable = torch.zeros_like,
) -> Form:
    def form(z: Tensor, conditions: Callable) -> Tensor:
        x = start(z)
        for i in places(z.shape[1]):
            m, a = conditions(x)
            x = torch.cat([x[:, :i], back(z, m, a)[:, i : i + 1], x[:, i + 1 :]], 1)
        return x

    return form


def _at_once(seen: Callable) -> Form:
    def form(z: Tensor, conditions: Callable) -> Tensor:
        m, a = conditions(seen(z))
        return z * a.exp() + m

    return form


def _repeated(z: Tensor, conditions: Callable) -> Tensor:
    x = torch.zeros_like(z)
    for _ in range(z.shape[1] - 1):
        m, a = conditions(x)
        x = z * a.exp() + m
    return x


def _towards(z: Tensor, conditions: Callable) -> Tensor:
    m, a = conditions(z)
    return (z - m) * (-a).exp()


SEQUENTIAL: Mistakes = (
    (
        "One pass over z: the conditions of place i depend on the x before it, not on the z before it, so x grows place by "
        "place.",
        _at_once(KEEP),
    ),
    (
        "One pass over an empty x, or places filled from the last to the first, which is the same: each place needs the x "
        "before it, so begin with the first, and ask again after every place that is filled.",
        _at_once(torch.zeros_like),
    ),
    (
        "That is f, the way to the noise: (z − m)·exp(−a) in one pass. Back, x_i = z_i·exp(a_i) + m_i.",
        _towards,
    ),
    (
        "A pass too few: after D − 1 passes over all places the last one still stands on an unfinished x.",
        _repeated,
    ),
    (
        "(z − m)·exp(−a) goes to the noise; back, x_i = z_i·exp(a_i) + m_i.",
        _sequential(lambda z, m, a: (z - m) * (-a).exp()),
    ),
    (
        "The sign of a: the way there divides by exp(a), so the way back multiplies by it.",
        _sequential(lambda z, m, a: z * (-a).exp() + m),
    ),
    (
        "The mean is scaled along: x_i = z_i·exp(a_i) + m_i, and (z_i + m_i)·exp(a_i) came.",
        _sequential(lambda z, m, a: (z + m) * a.exp()),
    ),
    (
        "The mean is subtracted where it must be added.",
        _sequential(lambda z, m, a: z * a.exp() - m),
    ),
    (
        "The scale is used as it comes: a is its logarithm.",
        _sequential(lambda z, m, a: z * a + m),
    ),
    (
        "The last place was never filled: range(D) already leaves out D.",
        _sequential(places=lambda d: range(d - 1)),
    ),
    (
        "The last place was left as it was in z: range(D) already leaves out D.",
        _sequential(places=lambda d: range(d - 1), start=torch.clone),
    ),
    (
        "The first place was never filled: it depends on nothing, and still has to be scaled and moved.",
        _sequential(places=lambda d: range(1, d)),
    ),
)


# --- 6.6 the planar layer


def _planar(
    bend: Callable = lambda h: 1 - h**2,
    along: Callable = lambda w, u: (w * u).sum(),
    end: Callable = lambda d: d.abs().log(),
    one: float = 1.0,
    inner: Callable = lambda x, w, u, b: x @ w + b,
) -> Form:
    def form(x: Tensor, w: Tensor, u: Tensor, b: float) -> Tensor:
        h = torch.tanh(inner(x, w, u, b))
        return end(one + along(w, u) * bend(h))

    return form


PLANAR: Mistakes = (
    (
        "tanh where its slope belongs: the Jacobian holds the derivative 1 − tanh².",
        _planar(KEEP),
    ),
    (
        "The slope of tanh is 1 − tanh², and 1 − tanh came.",
        _planar(lambda h: 1 - h),
    ),
    (
        "The slope of tanh is 1 − tanh², and 1 + tanh² came.",
        _planar(lambda h: 1 + h**2),
    ),
    (
        "The 1 of the identity is missing: z = x + ..., so the determinant is 1 + u·w h'.",
        _planar(one=0.0),
    ),
    (
        "w·w where u·w belongs: the layer moves along u.",
        _planar(along=lambda w, u: (w * w).sum()),
    ),
    (
        "u·u where u·w belongs: how fast the argument of tanh changes is told by w.",
        _planar(along=lambda w, u: (u * u).sum()),
    ),
    (
        "u and w are exchanged inside tanh: its argument is w·x + b.",
        _planar(inner=lambda x, w, u, b: x @ u + b),
    ),
    (
        "The sign in front of u·w: the determinant is 1 + u·w h'.",
        _planar(along=lambda w, u: -(w * u).sum()),
    ),
    (
        "b is forgotten: the argument of tanh is w·x + b.",
        _planar(inner=lambda x, w, u, b: x @ w),
    ),
    (
        "That is the determinant, |1 + u·w h'|: its logarithm is asked.",
        _planar(end=torch.abs),
    ),
    (
        "The sign of the logarithm: log |det| of f itself is asked, not of the way back.",
        _planar(end=lambda d: -d.abs().log()),
    ),
)
