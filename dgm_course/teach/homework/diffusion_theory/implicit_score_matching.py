"""7.12 Implicit score matching."""

from collections.abc import Callable

import torch
from torch import Tensor

from ....core.ode import divergence
from .. import Case, Exercise, Network, ObserveSpec
from ..draws import Cases, Rng, in_float32, odd_sizes, points, sizes


def implicit_score_matching(score_net: Callable, x: Tensor) -> Tensor:
    """Hyvärinen's objective, with the library's divergence."""
    trace = divergence(lambda y, t: score_net(y), x, torch.zeros((), dtype=x.dtype, device=x.device))
    return (trace + score_net(x).square().sum(1) / 2).mean()


def cases(rng: Rng) -> Cases:
    usual = (("a small network", sizes(rng), ""), ("another", sizes(rng), ""), ("float32", sizes(rng), ""))
    for name, batch, hint in (*usual, *odd_sizes(rng)):
        args = {"x": points(rng, *batch)}
        args = in_float32(args) if name == "float32" else args
        yield Case(name, {"score_net": Network.random(rng, batch[1]), **args}, hint=hint)


def _jacobian(score_net: Callable, x: Tensor, keep: bool = True) -> tuple[Tensor, Tensor]:
    """s (B, D) and ∂s_i/∂x_j (B, D, D)."""
    leaf = x.detach().clone().requires_grad_()
    with torch.enable_grad():
        s = score_net(leaf)
        rows = [
            torch.autograd.grad(s[:, i].sum(), leaf, create_graph=keep, retain_graph=True)[0]
            for i in range(x.shape[1])
        ]
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


# fmt: off
MISTAKES = (
    ("The squared length is whole, where half of it is asked.", _implicit(length=lambda s: (s**2).sum(1))),
    ("The trace has the wrong sign: integration by parts turns −s·∇log p into plus its divergence.",
     _implicit(lambda j: -_trace(j))),
    ("The squared length has the wrong sign: nothing would keep the scores from growing.",
     _implicit(length=lambda s: -(s**2).sum(1) / 2)),
    ("The trace is missing: without it the best score is zero.", _implicit(lambda j: 0 * _trace(j))),
    ("The squared length is missing: the trace alone has no least value.",
     _implicit(length=lambda s: 0 * s.sum(1))),
    ("The trace is halved, too; the ½ belongs to the squared length alone.", _implicit(lambda j: _trace(j) / 2)),
    ("The ½ stands with the trace; it belongs to the squared length.",
     _implicit(lambda j: _trace(j) / 2, lambda s: (s**2).sum(1))),
    ("All entries of the Jacobian are summed; the trace has only those of a coordinate by itself. (The gradient "
     "of s.sum() gives whole columns.)",
     _implicit(lambda j: j.sum((1, 2)))),
    ("Only the first coordinate's slope is counted; the trace runs over all of them.",
     _implicit(lambda j: j[:, 0, 0])),
    ("The length is not squared.", _implicit(length=lambda s: s.norm(dim=1) / 2)),
    ("The coordinates are averaged in the squared length, where their sum is asked.",
     _implicit(length=lambda s: (s**2).mean(1) / 2)),
    ("The slopes are squared before they are summed: the trace is a plain sum.",
     _implicit(lambda j: (j.diagonal(dim1=1, dim2=2) ** 2).sum(1))),
    ("The determinant came where the trace is asked.", _implicit(torch.linalg.det)),
)

GRADIENT_MISTAKES = (
    ("The trace is right and teaches nothing: the gradient by x must keep its graph (create_graph).",
     _implicit(keep=False)),
    ("The squared length is cut off from the network (detach), so that its gradient is lost.",
     _implicit(length=lambda s: (s.detach() ** 2).sum(1) / 2)),
)

EXERCISE = Exercise(
    id="diff.implicit_score_matching", number="7.12", title="implicit score matching", points=2,
    prompt="the mean over the batch of the trace of the network's Jacobian and half of its squared length",
    more="The trace is Σ_i ∂s_i/∂x_i: one call of torch.autograd.grad for each coordinate, on s[:, i].sum(), of "
         "which entry i is kept. With create_graph=True the network can learn from it.",
    cases=cases, reference=implicit_score_matching, mistakes=MISTAKES, gradient_mistakes=GRADIENT_MISTAKES,
    watch=ObserveSpec(outputs=("loss",), gradient=("score_net",), tensors=True),
)
