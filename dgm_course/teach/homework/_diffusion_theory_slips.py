"""The usual slips of the theory homework on diffusion: pairs (hint, wrong form)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ._diffusion_kernels import Mistakes

# --- 7.11: the covariance on the way to noise


def _eye(cov: Tensor) -> Tensor:
    return torch.eye(cov.shape[-1], dtype=cov.dtype, device=cov.device)


COVARIANCE: Mistakes = (
    (
        "The data's covariance has the factor of the vector; of a covariance it is the square.",
        lambda cov, abar: abar.sqrt() * cov + (1 - abar) * _eye(cov),
    ),
    (
        "The noise has the factor of the vector; of a covariance it is the square.",
        lambda cov, abar: abar * cov + (1 - abar).sqrt() * _eye(cov),
    ),
    (
        "Both factors are those of the vector; of a covariance they are the squares.",
        lambda cov, abar: abar.sqrt() * cov + (1 - abar).sqrt() * _eye(cov),
    ),
    (
        "Both factors are squared once too often: abar is a square already.",
        lambda cov, abar: abar**2 * cov + (1 - abar) ** 2 * _eye(cov),
    ),
    (
        "abar is squared once too often: it is the square of the data's factor already.",
        lambda cov, abar: abar**2 * cov + (1 - abar**2) * _eye(cov),
    ),
    (
        "The two weights are exchanged: at abar near 1 the data are hardly touched.",
        lambda cov, abar: (1 - abar) * cov + abar * _eye(cov),
    ),
    (
        "The noise is missing: the data's part alone came.",
        lambda cov, abar: abar * cov,
    ),
    (
        "The data are not shrunk: that is the variance-exploding way, on this chain they fade as noise comes in.",
        lambda cov, abar: cov + (1 - abar) * _eye(cov),
    ),
    (
        "The noise is added to every entry: noises of two coordinates are independent, so only the diagonal grows.",
        lambda cov, abar: abar * cov + (1 - abar),
    ),
    (
        "The noise is given the data's covariance; it is standard normal.",
        lambda cov, abar: abar * cov + (1 - abar) * cov,
    ),
    (
        "Everything off the diagonal is lost: the data's coordinates stay correlated, only less so.",
        lambda cov, abar: (abar * cov + (1 - abar)) * _eye(cov),
    ),
    (
        "The noise keeps its full size: its share is what the data have lost.",
        lambda cov, abar: abar * cov + _eye(cov),
    ),
    (
        "The noise is subtracted: variances of independent parts add.",
        lambda cov, abar: abar * cov - (1 - abar) * _eye(cov),
    ),
)

# --- 7.12: implicit score matching


def _jacobian(score_net: Callable, x: Tensor, keep: bool = True) -> tuple[Tensor, Tensor]:
    """s (B, D) and ∂s_i/∂x_j (B, D, D)."""
    leaf = x.detach().clone().requires_grad_()
    with torch.enable_grad():
        s = score_net(leaf)
        rows = [torch.autograd.grad(s[:, i].sum(), leaf, create_graph=keep, retain_graph=True)[0] for i in range(x.shape[1])]
    return s, torch.stack(rows, 1)


def _implicit(
    trace: Callable = lambda jacobian: jacobian.diagonal(dim1=1, dim2=2).sum(1),
    length: Callable = lambda s: (s**2).sum(1) / 2,
    reduce: Callable = lambda value: value.mean(),
    keep: bool = True,
) -> Callable:
    """The objective with one of its pieces exchanged."""

    def loss(score_net: Callable, x: Tensor) -> Tensor:
        s, jacobian = _jacobian(score_net, x, keep)
        return reduce(trace(jacobian) + length(s))

    return loss


def _trace(jacobian: Tensor) -> Tensor:
    return jacobian.diagonal(dim1=1, dim2=2).sum(1)


IMPLICIT: Mistakes = (
    ("The squared length is whole, where half of it is asked.", _implicit(length=lambda s: (s**2).sum(1))),
    ("The trace has the wrong sign: integration by parts turns −s·∇log p into plus its divergence.",
     _implicit(lambda j: -_trace(j))),
    ("The squared length has the wrong sign: nothing would keep the scores from growing.",
     _implicit(length=lambda s: -(s**2).sum(1) / 2)),
    ("The trace is missing: without it the best score is zero.", _implicit(lambda j: 0 * _trace(j))),
    ("The squared length is missing: the trace alone has no least value.", _implicit(length=lambda s: 0 * s.sum(1))),
    ("The trace is halved, too; the ½ belongs to the squared length alone.", _implicit(lambda j: _trace(j) / 2)),
    ("The ½ stands with the trace; it belongs to the squared length.",
     _implicit(lambda j: _trace(j) / 2, lambda s: (s**2).sum(1))),
    ("All entries of the Jacobian are summed; the trace has only those of a coordinate by itself. (The gradient of "
     "s.sum() gives whole columns.)", _implicit(lambda j: j.sum((1, 2)))),
    ("Only the first coordinate's slope is counted; the trace runs over all of them.", _implicit(lambda j: j[:, 0, 0])),
    ("The length is not squared.", _implicit(length=lambda s: s.norm(dim=1) / 2)),
    ("The coordinates are averaged in the squared length, where their sum is asked.",
     _implicit(length=lambda s: (s**2).mean(1) / 2)),
    ("The coordinates are averaged, where their sum is asked: only the batch is averaged.",
     lambda score_net, x: _implicit()(score_net, x) / x.shape[1]),
    ("A sum over the batch where its mean is asked.", _implicit(reduce=lambda value: value.sum())),
    ("The slopes are squared before they are summed: the trace is a plain sum.",
     _implicit(lambda j: (j.diagonal(dim1=1, dim2=2) ** 2).sum(1))),
    ("The determinant came where the trace is asked.", _implicit(torch.linalg.det)),
)
IMPLICIT_CUTS: Mistakes = (
    ("The trace is right and teaches nothing: the gradient by x must keep its graph (create_graph).", _implicit(keep=False)),
    ("The squared length is cut off from the network (detach), so that its gradient is lost.",
     _implicit(length=lambda s: (s.detach() ** 2).sum(1) / 2)),
)

# --- 7.13: the Kolmogorov-Fokker-Planck equation


def _terms(p: Callable, f: Callable, g: Callable, x: Tensor, s: Tensor) -> dict[str, Tensor]:
    """Everything that a residual may be made of."""
    x, s = x.detach().clone().requires_grad_(), s.detach().clone().requires_grad_()
    with torch.enable_grad():
        height, drift = p(x, s), f(x, s) + 0 * x
        rate, slope = torch.autograd.grad(height.sum(), (s, x), create_graph=True)
        (bent,) = torch.autograd.grad(slope.sum(), x, retain_graph=True)
        (rise,) = torch.autograd.grad(drift.sum(), x)
    terms = {"rate": rate, "pushed": drift * slope, "squeezed": height * rise, "bent": bent, "slope": slope, "g": g(s),
             "p": height, "carried": drift * slope + height * rise, "logarithm": bent / height - (slope / height) ** 2}
    return {name: value.detach() for name, value in terms.items()}


def _residual(form: Callable) -> Callable:
    """A residual from the terms, by name."""
    return lambda p, f, g, x, s: form(**_terms(p, f, g, x, s))


KFP: Mistakes = (
    ("The sign of the drift term is lost: p changes by minus the divergence of f p.",
     _residual(lambda rate, carried, bent, g, **_: rate - carried - g**2 / 2 * bent)),
    ("The sign of the diffusion term is lost: noise fills valleys and wears peaks down.",
     _residual(lambda rate, carried, bent, g, **_: rate + carried + g**2 / 2 * bent)),
    ("Both signs on the right are lost.", _residual(lambda rate, carried, bent, g, **_: rate - carried + g**2 / 2 * bent)),
    ("The diffusion term lacks its ½.", _residual(lambda rate, carried, bent, g, **_: rate + carried - g**2 * bent)),
    ("g stands in the diffusion term; its square counts.",
     _residual(lambda rate, carried, bent, g, **_: rate + carried - g / 2 * bent)),
    ("Diffusion is missing: that is the continuity equation of an ODE.",
     _residual(lambda rate, carried, **_: rate + carried)),
    ("The drift is missing: that is the heat equation.", _residual(lambda rate, bent, g, **_: rate - g**2 / 2 * bent)),
    ("The rate of change is missing: only the right side came.",
     _residual(lambda carried, bent, g, **_: carried - g**2 / 2 * bent)),
    ("The right side alone came: its difference to the rate of change is asked.",
     _residual(lambda carried, bent, g, **_: g**2 / 2 * bent - carried)),
    ("The drift stands outside of the derivative: where f changes along x it squeezes the density, too.",
     _residual(lambda rate, pushed, bent, g, **_: rate + pushed - g**2 / 2 * bent)),
    ("Only f is differentiated in the drift term: the density moves, too.",
     _residual(lambda rate, squeezed, bent, g, **_: rate + squeezed - g**2 / 2 * bent)),
    ("The density is differentiated once in the diffusion term, where twice is asked.",
     _residual(lambda rate, carried, slope, g, **_: rate + carried - g**2 / 2 * slope)),
    ("The logarithm of the density is differentiated in the diffusion term; the equation is about p itself.",
     _residual(lambda rate, carried, logarithm, g, **_: rate + carried - g**2 / 2 * logarithm)),
    ("The whole is divided by p: that is the equation of log p.",
     _residual(lambda rate, carried, bent, g, p, **_: (rate + carried - g**2 / 2 * bent) / p)),
    ("The difference is turned round: the right side minus the rate of change came.",
     _residual(lambda rate, carried, bent, g, **_: g**2 / 2 * bent - carried - rate)),
)

# --- 7.14: a step of the reverse SDE


def _back(drift: Callable = lambda x, score: x / 2 + score, size: Callable = lambda b: b,
          noise: Callable = lambda b: b**0.5) -> Callable:
    """The step with one of its pieces exchanged."""
    return lambda score, x, beta, z: x + size(beta) * drift(x, score(x)) + noise(beta) * z


STEP_BACK: Mistakes = (
    ("That is DDPM's own step: it agrees with this one up to β², and here the Euler step of the SDE is asked.",
     lambda score, x, beta, z: (x + beta * score(x)) / (1 - beta) ** 0.5 + beta**0.5 * z),
    ("That is a step of the probability-flow ODE with noise added: half the score is the ODE's, the whole one the SDE's.",
     _back(lambda x, s: x / 2 + s / 2)),
    ("That is a step of the probability-flow ODE; the SDE has the whole score and fresh noise.",
     _back(lambda x, s: x / 2 + s / 2, noise=lambda b: 0.0)),
    ("The noise is missing.", _back(noise=lambda b: 0.0)),
    ("The drift −½x is gone through forwards: going back in time it pushes outwards.", _back(lambda x, s: -x / 2 + s)),
    ("The score's sign is lost: the way back climbs the density.", _back(lambda x, s: x / 2 - s)),
    ("Both signs of the drift are lost: that is the reverse drift, but gone through forwards.",
     _back(lambda x, s: -x / 2 - s)),
    ("The forward drift has no ½ here: the variance-preserving SDE shrinks x at half the rate β.",
     _back(lambda x, s: x + s)),
    ("The part of the drift without a score is missing: ½ x.", _back(lambda x, s: s)),
    ("The score is missing: without it the step undoes the shrinking and knows nothing of the data.",
     _back(lambda x, s: x / 2)),
    ("The noise lacks its root: its variance is β.", _back(noise=lambda b: b)),
    ("The noise is that of Langevin dynamics, of variance 2β; here it is β.", _back(noise=lambda b: (2 * b) ** 0.5)),
    ("The noise comes in at full size: its variance is β.", _back(noise=lambda b: 1.0)),
    ("The drift is taken without the step: it belongs to a stretch of β.", _back(size=lambda b: 1.0)),
    ("The drift is multiplied with the root of β, which belongs to the noise.", _back(size=lambda b: b**0.5)),
    ("The noise is subtracted: the same in distribution, but another point than the one asked.",
     _back(noise=lambda b: -(b**0.5))),
    ("The change alone came: it starts from x, which is missing.", lambda score, x, beta, z: _back()(score, x, beta, z) - x),
    ("x and z are exchanged.", lambda score, x, beta, z: _back()(score, z, beta, x)),
)
