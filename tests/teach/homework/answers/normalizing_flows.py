"""Answers to the homework on normalizing flows, right and wrong."""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F

from . import Bank

# --- 6.1 a coupling layer


def coupling_forward(x, mask, log_scale, shift):
    kept = mask * x
    s, t = log_scale(kept), shift(kept)
    z = kept + (1 - mask) * (x * torch.exp(s) + t)
    return z, ((1 - mask) * s).sum(1)


def coupling_forward_stub(x, mask, log_scale, shift):
    """z (B, D) and ladj (B,)"""
    raise NotImplementedError("your turn")


def coupling_by_where(x, mask, log_scale, shift):
    keep = mask > 0.5
    kept = torch.where(keep, x, 0)
    s = torch.where(keep, 0, log_scale(kept))
    t = torch.where(keep, 0, shift(kept))
    return x * s.exp() + t, s.sum(-1)


def coupling_by_loop(x, mask, log_scale, shift):
    s, t = log_scale(mask * x), shift(mask * x)
    columns, total = [], torch.zeros_like(x[:, 0])
    for i in range(x.shape[1]):
        if mask[i] == 1:
            columns.append(x[:, i])
        else:
            columns.append(x[:, i] * s[:, i].exp() + t[:, i])
            total = total + s[:, i]
    return torch.stack(columns, 1), total


def coupling_ladj_as_column(x, mask, log_scale, shift):
    z, ladj = coupling_forward(x, mask, log_scale, shift)
    return [z, ladj[:, None]]


def coupling_minus(x, mask, log_scale, shift):
    z, ladj = coupling_forward(x, mask, log_scale, shift)
    return z, -ladj


def coupling_determinant(x, mask, log_scale, shift):
    z, ladj = coupling_forward(x, mask, log_scale, shift)
    return z, ladj.exp()


def coupling_swapped(x, mask, log_scale, shift):
    z, ladj = coupling_forward(x, mask, log_scale, shift)
    return ladj, z


def coupling_cut(x, mask, log_scale, shift):
    kept = mask * x
    s, t = log_scale(kept).detach(), shift(kept).detach()
    return kept + (1 - mask) * (x * torch.exp(s) + t), ((1 - mask) * s).sum(1)


# --- 6.2 the same layer backwards


def coupling_inverse(z, mask, log_scale, shift):
    kept = mask * z
    s, t = log_scale(kept), shift(kept)
    return kept + (1 - mask) * (z - t) * torch.exp(-s)


def coupling_inverse_stub(z, mask, log_scale, shift):
    """x with f(x) = z.  (B, D)"""
    ...


def inverse_by_division(z, mask, log_scale, shift):
    s, t = (net(z * mask) * (1 - mask) for net in (log_scale, shift))
    return (z - t) / s.exp()


def inverse_by_places(z, mask, log_scale, shift):
    s, t = log_scale(mask * z), shift(mask * z)
    x, free = z.clone(), mask == 0
    x[:, free] = (z[:, free] - t[:, free]) * (-s[:, free]).exp()
    return x


def inverse_in_place(z, mask, log_scale, shift):
    s, t = log_scale(mask * z), shift(mask * z)
    z -= (1 - mask) * t
    z *= torch.exp(-(1 - mask) * s)
    return z


# --- 6.3 the change of variables


def log_density(z, ladj):
    return -0.5 * (z**2).sum(1) - 0.5 * z.shape[1] * math.log(2 * math.pi) + ladj


def log_density_stub(z, ladj):
    """log p(x).  (B,)"""
    raise NotImplementedError("your turn")


def log_density_by_torch(z, ladj):
    return torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(-1) + ladj


def log_density_by_matrix(z, ladj):
    eye = torch.eye(z.shape[1], dtype=z.dtype, device=z.device)
    return torch.distributions.MultivariateNormal(torch.zeros_like(eye[0]), eye).log_prob(z) + ladj


def log_density_as_column(z, ladj):
    return log_density(z, ladj)[:, None]


def density_all_pairs(z, ladj):
    return -0.5 * (z**2).sum(1, keepdim=True) - 0.5 * z.shape[1] * math.log(2 * math.pi) + ladj


def density_through_exp(z, ladj):
    return (torch.exp(-0.5 * (z**2)) / (2 * math.pi) ** 0.5).prod(1).mul(torch.exp(ladj)).log()


def density_without_gradient(z, ladj):
    return log_density(z, ladj.detach())


def density_nll(z, ladj):
    return -log_density(z, ladj)


# --- 6.4 from pixels to logits


def pixels_to_logits(k, u, levels, margin):
    s = margin + (1 - 2 * margin) * (k + u) / levels
    z = torch.log(s) - torch.log(1 - s)
    slopes = math.log((1 - 2 * margin) / levels) - torch.log(s) - torch.log(1 - s)
    return z, slopes.sum(1)


def pixels_to_logits_stub(k, u, levels, margin):
    """z (B, D) and ladj (B,)"""
    pass


def logits_by_torch(k, u, levels, margin):
    z = torch.logit(margin + (1 - 2 * margin) * (k + u) / levels)
    one = F.softplus(z) + F.softplus(-z) + math.log(1 - 2 * margin) - math.log(levels)
    return z, one.sum(-1)


def logits_by_autograd(k, u, levels, margin):
    y = (k + u).detach().requires_grad_()
    z = torch.special.logit(margin + (1 - 2 * margin) * y / levels)
    (slope,) = torch.autograd.grad(z.sum(), y)
    return z.detach(), slope.log().sum(1)


def logits_minus(k, u, levels, margin):
    z, ladj = pixels_to_logits(k, u, levels, margin)
    return z, -ladj


# --- 6.5 the sequential way back


def autoregressive_inverse(z, conditions):
    x = torch.zeros_like(z)
    for i in range(z.shape[1]):
        m, a = conditions(x)
        x[:, i] = z[:, i] * torch.exp(a[:, i]) + m[:, i]
    return x


def autoregressive_inverse_stub(z, conditions):
    """x.  (B, D)"""
    raise NotImplementedError("your turn")


def inverse_of_all_places(z, conditions):
    x = z
    for _ in range(z.shape[1] + 1):
        m, a = conditions(x)
        x = m + a.exp() * z
    return x


def inverse_growing(z, conditions):
    done, width = [], z.shape[1]
    for i in range(width):
        x = torch.cat([torch.stack(done, 1), z[:, i:]], 1) if done else z
        m, a = conditions(x)
        done.append(m[:, i] + z[:, i] * a[:, i].exp())
    return torch.stack(done, 1)


def inverse_into_z(z, conditions):
    for i in range(z.shape[1]):
        m, a = conditions(z)
        z[:, i] = z[:, i] * torch.exp(a[:, i]) + m[:, i]
    return z


# --- 6.6 the determinant of a planar layer


def planar_log_det(x, w, u, b):
    slope = 1 - torch.tanh(x @ w + b) ** 2
    return torch.log(torch.abs(1 + slope * (u @ w)))


def planar_log_det_stub(x, w, u, b):
    """log |det|.  (B,)"""
    raise NotImplementedError("your turn")


def planar_by_matrices(x, w, u, b):
    slope = torch.cosh((x * w).sum(-1) + b) ** -2
    matrices = torch.eye(len(w)).to(x) + slope[:, None, None] * torch.outer(u, w)
    return torch.linalg.det(matrices).abs().log()


def planar_by_autograd(x, w, u, b):
    rows = [torch.autograd.functional.jacobian(lambda p: p + u * torch.tanh(p @ w + b), point) for point in x]
    return torch.stack([torch.linalg.slogdet(row)[1] for row in rows])


def planar_of_psi(x, w, u, b):
    psi = (1 - torch.tanh(x @ w[:, None] + b).square()) * w
    return (1 + psi @ u).abs().log()


def planar_no_abs(x, w, u, b):
    return torch.log(1 + (1 - torch.tanh(x @ w + b) ** 2) * (u @ w))


def planar_no_log(x, w, u, b):
    return torch.abs(1 + (1 - torch.tanh(x @ w + b) ** 2) * (u @ w))


def planar_sum(x, w, u, b):
    return planar_log_det(x, w, u, b).sum()


# --- 6.7 a trace by random probes


def hutchinson_trace(field, x, probes):
    x = x.detach().clone().requires_grad_()
    total = 0
    for probe in probes:
        (product,) = torch.autograd.grad((field(x) * probe).sum(), x)
        total = total + (product * probe).sum(1)
    return total / len(probes)


def hutchinson_trace_stub(field, x, probes):
    """εᵀ J ε.  (B,)"""
    raise NotImplementedError("your turn")


def trace_by_jvp(field, x, probes):
    values = [torch.func.jvp(field, (x,), (probe,))[1].mul(probe).sum(-1) for probe in probes]
    return sum(values) / len(values)


def trace_by_vjp(field, x, probes):
    _, pull = torch.func.vjp(field, x)
    return torch.stack([(pull(probe)[0] * probe).sum(1) for probe in probes]).mean(0).detach()


def trace_by_matrices(field, x, probes):
    jacobian = torch.func.vmap(torch.func.jacrev(lambda point: field(point[None])[0]))(x)
    return torch.einsum("kbi,bij,kbj->kb", probes, jacobian, probes).mean(0).detach()


def trace_normalised(field, x, probes):
    """As if the probes had length one: right for signs only."""
    scale = (probes**2).sum(-1, keepdim=True) / x.shape[1]
    return hutchinson_trace(field, x, probes / scale.sqrt())


def trace_minus(field, x, probes):
    return -hutchinson_trace(field, x, probes)


def trace_of_the_batch(field, x, probes):
    return hutchinson_trace(field, x, probes).sum()


def trace_sets_a_flag(field, x, probes):
    x.requires_grad_()
    (product,) = torch.autograd.grad((field(x) * probes[0]).sum(), x)
    return (product * probes[0]).sum(1)


BANKS = {
    "flow.coupling_forward": Bank(
        coupling_forward,
        coupling_forward_stub,
        {
            "ladj negative": (coupling_minus, "The sign is reversed"),
            "determinant": (coupling_determinant, "Your value is the exponential of the expected one"),
            "outputs exchanged": (coupling_swapped, "in the other order"),
            "gradient cut": (coupling_cut, "cut the graph"),
        },
        {"where": coupling_by_where, "loop": coupling_by_loop, "column": coupling_ladj_as_column},
    ),
    "flow.coupling_inverse": Bank(
        coupling_inverse,
        coupling_inverse_stub,
        {"in place": (inverse_in_place, "in-place operation")},
        {"division": inverse_by_division, "places": inverse_by_places},
    ),
    "flow.log_density": Bank(
        log_density,
        log_density_stub,
        {
            "all pairs": (density_all_pairs, "(B, B) table"),
            "through exp": (density_through_exp, "Wrong only for large numbers"),
            "ladj detached": (density_without_gradient, "cut the graph"),
            "loss": (density_nll, "The sign is reversed"),
        },
        {"torch": log_density_by_torch, "matrix": log_density_by_matrix, "column": log_density_as_column},
    ),
    "flow.pixels_to_logits": Bank(
        pixels_to_logits,
        pixels_to_logits_stub,
        {"ladj negative": (logits_minus, "The sign is reversed")},
        {"torch": logits_by_torch, "autograd": logits_by_autograd},
    ),
    "flow.autoregressive_inverse": Bank(
        autoregressive_inverse,
        autoregressive_inverse_stub,
        {"into z": (inverse_into_z, "in-place operation")},
        {"all places again and again": inverse_of_all_places, "growing": inverse_growing},
    ),
    "flow.planar_log_det": Bank(
        planar_log_det,
        planar_log_det_stub,
        {
            "no absolute value": (planar_no_abs, "Wrong only where the determinant is negative"),
            "no logarithm": (planar_no_log, "Your value is the exponential of the expected one"),
            "summed": (planar_sum, "over the batch"),
        },
        {"matrices": planar_by_matrices, "autograd": planar_by_autograd, "psi": planar_of_psi},
    ),
    "flow.hutchinson_trace": Bank(
        hutchinson_trace,
        hutchinson_trace_stub,
        {
            "normalised": (trace_normalised, "whatever ε is"),
            "minus": (trace_minus, "The sign"),
            "whole batch": (trace_of_the_batch, "over the batch"),
            "flag": (trace_sets_a_flag, "a tensor of your own"),
        },
        {"jvp": trace_by_jvp, "vjp": trace_by_vjp, "matrices": trace_by_matrices},
    ),
}
