"""Homework of lectures 5 and 14: normalizing flows, from one coupling layer to the trace of a continuous flow.

f goes towards the noise, z = f(x), and ladj = log |det ∂f/∂x| is its log-determinant, one number a sample.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ...flows import Logit, MaskedCoupling, StandardNormal
from . import Exercise, ObserveSpec
from . import _normalizing_flows_cases as cases
from . import _normalizing_flows_densities as densities
from . import _normalizing_flows_layers as layers

# --- the library's own answers, and where it has none in this form, automatic differentiation


def _coupling(mask: Tensor, log_scale: Callable, shift: Callable) -> MaskedCoupling:
    """The library's layer with these two networks inside, and no bound on the scale."""
    return MaskedCoupling(mask.bool(), lambda seen: torch.cat([log_scale(seen), shift(seen)], 1), math.inf)


def coupling_forward(x: Tensor, mask: Tensor, log_scale: Callable, shift: Callable) -> tuple[Tensor, Tensor]:
    """The library's coupling with a mask."""
    return _coupling(mask, log_scale, shift)(x)


def coupling_inverse(z: Tensor, mask: Tensor, log_scale: Callable, shift: Callable) -> Tensor:
    """The same layer backwards."""
    return _coupling(mask, log_scale, shift).inverse(z)


def log_density(z: Tensor, ladj: Tensor) -> Tensor:
    """The library's noise, and the change of volume."""
    return StandardNormal(z.shape[1]).to(z).log_prob(z) + ladj


def pixels_to_logits(k: Tensor, u: Tensor, levels: int, margin: float) -> tuple[Tensor, Tensor]:
    """The library's logit of the dequantised pixels, with the slope of the division."""
    z, ladj = Logit(margin)((k + u) / levels)
    return z, ladj - k.shape[1] * math.log(levels)


def autoregressive_inverse(z: Tensor, conditions: Callable) -> Tensor:
    """Solve z = (x − m(x)) exp(−a(x)) by repetition: after pass i the first i places stand."""
    x = torch.zeros_like(z)
    for _ in range(z.shape[1]):
        m, a = conditions(x)
        x = z * a.exp() + m
    return x


def planar_log_det(x: Tensor, w: Tensor, u: Tensor, b: float) -> Tensor:
    """log |det| of the whole Jacobian matrix, by automatic differentiation."""
    layer = lambda point: point + u * torch.tanh((w * point).sum() + b)
    jacobians = torch.func.vmap(torch.func.jacrev(layer))(x)
    return torch.linalg.slogdet(jacobians).logabsdet


def hutchinson_trace(field: Callable, x: Tensor, probes: Tensor) -> Tensor:
    """The mean of the products ε · (J ε), each by forward differentiation."""
    rows = [(torch.func.jvp(field, (x,), (probe,))[1] * probe).sum(1) for probe in probes]
    return torch.stack(rows).mean(0).detach()


EXERCISES = (
    Exercise(
        "flow.coupling_forward",
        "6.1",
        "a coupling layer",
        "z and the log-determinant of one coupling layer: what the mask keeps decides how the rest is scaled and moved",
        cases.couplings("x"),
        coupling_forward,
        layers.FORWARD,
        1,
        "s and t come from mask · x. Kept: z = x. The others: z = x exp(s) + t. log |det| is the sum of their s.",
        ObserveSpec(outputs=("z", "ladj"), gradient=("log_scale", "shift"), tensors=True),
    ),
    Exercise(
        "flow.coupling_inverse",
        "6.2",
        "the same layer backwards",
        "the x whose image under the coupling layer is z",
        cases.couplings("z"),
        coupling_inverse,
        layers.BACKWARD,
        1,
        "What was kept is there in z already, so s and t can be asked again. Then undo the last thing first.",
        ObserveSpec(tensors=True),
    ),
    Exercise(
        "flow.log_density",
        "6.3",
        "the change of variables",
        "log p of each sample, from where the flow takes it, the log-determinant and a standard normal there",
        cases.densities,
        log_density,
        densities.DENSITY,
        1,
        "log p(x) = log N(z; 0, I) + ladj; the normal of D coordinates is a sum of D logarithms, constants and all.",
        ObserveSpec(outputs=("log_p",), gradient=("z", "ladj"), tensors=True),
    ),
    Exercise(
        "flow.pixels_to_logits",
        "6.4",
        "from pixels to logits",
        "the logits of the dequantised grey values, kept off the ends by the margin, and the summed log-derivative",
        cases.pixels,
        pixels_to_logits,
        densities.LOGIT,
        2,
        "Three slopes a pixel by the chain rule: 1/levels, 1 − 2 margin, 1/(s(1 − s)) of the logit. Add their logarithms.",
        ObserveSpec(outputs=("z", "ladj"), tensors=True),
    ),
    Exercise(
        "flow.autoregressive_inverse",
        "6.5",
        "the sequential way back",
        "the x that the flow takes to z: mean and log-scale of each place are answered from the places before it",
        cases.sequences,
        autoregressive_inverse,
        layers.SEQUENTIAL,
        2,
        "Begin with any x. For i = 0, 1, ...: ask for m and a at the x you have so far, and set x_i = z_i exp(a_i) + m_i.",
        ObserveSpec(outputs=("x",), tensors=True),
    ),
    Exercise(
        "flow.planar_log_det",
        "6.6",
        "the determinant of a planar layer",
        "the log-determinant of a planar layer's Jacobian, one number a point, without building the matrix",
        cases.planes,
        planar_log_det,
        layers.PLANAR,
        1,
        "The Jacobian is I + h' u wᵀ with h' = 1 − tanh²(w·x + b), and det(I + v wᵀ) = 1 + w·v.",
        ObserveSpec(outputs=("ladj",), tensors=True),
    ),
    Exercise(
        "flow.hutchinson_trace",
        "6.7",
        "a trace by random probes",
        "the mean over the probes of what they see of the Jacobian's trace, one number a point, without building the matrix",
        cases.traces,
        hutchinson_trace,
        densities.TRACE,
        1,
        "The gradient of sum(f(x) · ε) with respect to x is εᵀ ∂f/∂x. Multiply by ε, sum over the coordinates, average.",
        ObserveSpec(outputs=("trace",), tensors=True),
    ),
)
