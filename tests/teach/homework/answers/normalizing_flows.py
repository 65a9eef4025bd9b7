"""Answers to the homework on normalizing flows, right and wrong."""

from __future__ import annotations

import math

import numpy as np
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


def coupling_mask_turned(x, mask, log_scale, shift):
    return coupling_forward(x, 1 - mask, log_scale, shift)


def coupling_sees_all(x, mask, log_scale, shift):
    s, t = log_scale(x), shift(x)
    return mask * x + (1 - mask) * (x * torch.exp(s) + t), ((1 - mask) * s).sum(1)


def coupling_sum_of_all(x, mask, log_scale, shift):
    s = log_scale(mask * x)
    return coupling_forward(x, mask, log_scale, shift)[0], s.sum(1)


def coupling_no_exp(x, mask, log_scale, shift):
    s, t = log_scale(mask * x), shift(mask * x)
    return mask * x + (1 - mask) * (x * s + t), ((1 - mask) * s).sum(1)


def coupling_minus(x, mask, log_scale, shift):
    z, ladj = coupling_forward(x, mask, log_scale, shift)
    return z, -ladj


def coupling_determinant(x, mask, log_scale, shift):
    z, ladj = coupling_forward(x, mask, log_scale, shift)
    return z, ladj.exp()


def coupling_swapped(x, mask, log_scale, shift):
    z, ladj = coupling_forward(x, mask, log_scale, shift)
    return ladj, z


def coupling_half(x, mask, log_scale, shift):
    """The first half is kept whatever the mask says."""
    half = (torch.arange(x.shape[1]) < x.shape[1] // 2).to(x)
    return coupling_forward(x, half, log_scale, shift)


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


def inverse_forward(z, mask, log_scale, shift):
    return coupling_forward(z, mask, log_scale, shift)[0]


def inverse_wrong_order(z, mask, log_scale, shift):
    s, t = log_scale(mask * z), shift(mask * z)
    return mask * z + (1 - mask) * (z * torch.exp(-s) - t)


def inverse_sees_all(z, mask, log_scale, shift):
    return mask * z + (1 - mask) * (z - shift(z)) * torch.exp(-log_scale(z))


def inverse_divides_by_s(z, mask, log_scale, shift):
    s, t = log_scale(mask * z), shift(mask * z)
    return mask * z + (1 - mask) * (z - t) / s


def inverse_adds(z, mask, log_scale, shift):
    s, t = log_scale(mask * z), shift(mask * z)
    return mask * z + (1 - mask) * (z + t) * torch.exp(-s)


def inverse_loses_kept(z, mask, log_scale, shift):
    return (1 - mask) * coupling_inverse(z, mask, log_scale, shift)


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


def density_minus(z, ladj):
    return -0.5 * (z**2).sum(1) - 0.5 * z.shape[1] * math.log(2 * math.pi) - ladj


def density_of_z(z, ladj):
    return log_density(z, 0 * ladj)


def density_one_constant(z, ladj):
    return -0.5 * (z**2).sum(1) - 0.5 * math.log(2 * math.pi) + ladj


def density_no_constant(z, ladj):
    return -0.5 * (z**2).sum(1) + ladj


def density_no_half(z, ladj):
    return -(z**2).sum(1) - 0.5 * z.shape[1] * math.log(2 * math.pi) + ladj


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


def logits_no_levels(k, u, levels, margin):
    z, ladj = pixels_to_logits(k, u, levels, margin)
    return z, ladj + k.shape[1] * math.log(levels)


def logits_no_margin_slope(k, u, levels, margin):
    z, ladj = pixels_to_logits(k, u, levels, margin)
    return z, ladj - k.shape[1] * math.log(1 - 2 * margin)


def logits_minus(k, u, levels, margin):
    z, ladj = pixels_to_logits(k, u, levels, margin)
    return z, -ladj


def logits_by_255(k, u, levels, margin):
    return pixels_to_logits(k, u, 256, margin)


def logits_no_noise(k, u, levels, margin):
    return pixels_to_logits(k, 0 * u, levels, margin)


def logits_sigmoid_slope(k, u, levels, margin):
    s = margin + (1 - 2 * margin) * (k + u) / levels
    z, _ = pixels_to_logits(k, u, levels, margin)
    return z, (math.log((1 - 2 * margin) / levels) + torch.log(s) + torch.log(1 - s)).sum(1)


def logits_one_constant(k, u, levels, margin):
    s = margin + (1 - 2 * margin) * (k + u) / levels
    z, _ = pixels_to_logits(k, u, levels, margin)
    return z, (-torch.log(s) - torch.log(1 - s)).sum(1) + math.log((1 - 2 * margin) / levels)


def logits_clamped(k, u, levels, margin):
    s = (margin + (1 - 2 * margin) * (k + u) / levels).clamp(0.05, 0.95)
    slopes = math.log((1 - 2 * margin) / levels) - torch.log(s) - torch.log(1 - s)
    return torch.logit(s), slopes.sum(1)


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


def inverse_at_once(z, conditions):
    m, a = conditions(z)
    return z * torch.exp(a) + m


def inverse_of_nothing(z, conditions):
    m, a = conditions(torch.zeros_like(z))
    return z * torch.exp(a) + m


def inverse_is_forward(z, conditions):
    m, a = conditions(z)
    return (z - m) * torch.exp(-a)


def inverse_minus_a(z, conditions):
    x = torch.zeros_like(z)
    for i in range(z.shape[1]):
        m, a = conditions(x)
        x[:, i] = z[:, i] * torch.exp(-a[:, i]) + m[:, i]
    return x


def inverse_backwards(z, conditions):
    x = torch.zeros_like(z)
    for i in reversed(range(z.shape[1])):
        m, a = conditions(x)
        x[:, i] = z[:, i] * torch.exp(a[:, i]) + m[:, i]
    return x


def inverse_pass_too_few(z, conditions):
    x = torch.zeros_like(z)
    for _ in range(1, z.shape[1]):
        m, a = conditions(x)
        x = z * torch.exp(a) + m
    return x


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


def planar_tanh(x, w, u, b):
    return torch.log(torch.abs(1 + torch.tanh(x @ w + b) * (u @ w)))


def planar_no_one(x, w, u, b):
    return torch.log(torch.abs((1 - torch.tanh(x @ w + b) ** 2) * (u @ w)))


def planar_no_abs(x, w, u, b):
    return torch.log(1 + (1 - torch.tanh(x @ w + b) ** 2) * (u @ w))


def planar_no_log(x, w, u, b):
    return torch.abs(1 + (1 - torch.tanh(x @ w + b) ** 2) * (u @ w))


def planar_no_bias(x, w, u, b):
    return planar_log_det(x, w, u, 0.0)


def planar_w_squared(x, w, u, b):
    return torch.log(torch.abs(1 + (1 - torch.tanh(x @ w + b) ** 2) * (w @ w)))


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


def trace_summed(field, x, probes):
    return hutchinson_trace(field, x, probes) * len(probes)


def trace_first(field, x, probes):
    return hutchinson_trace(field, x, probes[:1])


def trace_exact(field, x, probes):
    jacobian = torch.func.vmap(torch.func.jacrev(lambda point: field(point[None])[0]))(x)
    return jacobian.diagonal(dim1=1, dim2=2).sum(1).detach()


def trace_one_probe_short(field, x, probes):
    x = x.detach().clone().requires_grad_()
    rows = [torch.autograd.grad((field(x) * probe).sum(), x)[0].sum(1) for probe in probes]
    return torch.stack(rows).mean(0)


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


def by_numpy(k, u, levels, margin):
    s = margin + (1 - 2 * margin) * (np.asarray(k) + np.asarray(u)) / levels
    z = np.log(s / (1 - s))
    return torch.as_tensor(z), torch.as_tensor((np.log((1 - 2 * margin) / levels) - np.log(s * (1 - s))).sum(1))


BANKS = {
    "flow.coupling_forward": Bank(
        coupling_forward,
        coupling_forward_stub,
        {
            "mask turned": (coupling_mask_turned, "mask is turned around"),
            "networks see all": (coupling_sees_all, "The networks see the whole point"),
            "all of s summed": (coupling_sum_of_all, "sums over all coordinates"),
            "no exp": (coupling_no_exp, "the network gives its logarithm"),
            "ladj negative": (coupling_minus, "sign of the log-determinant"),
            "determinant": (coupling_determinant, "its logarithm is asked"),
            "outputs exchanged": (coupling_swapped, "in the other order"),
            "always the first half": (coupling_half, "The first half is kept"),
            "gradient cut": (coupling_cut, "cut the graph"),
        },
        {"where": coupling_by_where, "loop": coupling_by_loop, "column": coupling_ladj_as_column},
    ),
    "flow.coupling_inverse": Bank(
        coupling_inverse,
        coupling_inverse_stub,
        {
            "forward": (inverse_forward, "the way forth once more"),
            "wrong order": (inverse_wrong_order, "In the wrong order"),
            "networks see all": (inverse_sees_all, "The networks see the whole of z"),
            "divided by s": (inverse_divides_by_s, "Divided by s itself"),
            "shift added": (inverse_adds, "The shift is added"),
            "kept lost": (inverse_loses_kept, "The kept coordinates are lost"),
            "in place": (inverse_in_place, "in-place operation"),
        },
        {"division": inverse_by_division, "places": inverse_by_places},
    ),
    "flow.log_density": Bank(
        log_density,
        log_density_stub,
        {
            "minus ladj": (density_minus, "The sign of the log-determinant"),
            "no ladj": (density_of_z, "the density of z, not of x"),
            "one constant": (density_one_constant, "for one coordinate only"),
            "no constant": (density_no_constant, "of each coordinate is missing"),
            "no half": (density_no_half, "½ in front of the square"),
            "all pairs": (density_all_pairs, "(B, B) table"),
            "through exp": (density_through_exp, "Wrong only for large numbers"),
            "ladj detached": (density_without_gradient, "cut the graph"),
            "loss": (density_nll, "That is −log p"),
        },
        {"torch": log_density_by_torch, "matrix": log_density_by_matrix, "column": log_density_as_column},
    ),
    "flow.pixels_to_logits": Bank(
        pixels_to_logits,
        pixels_to_logits_stub,
        {
            "no levels": (logits_no_levels, "lacks −log levels"),
            "no margin in the slope": (logits_no_margin_slope, "lacks log(1 − 2 margin)"),
            "ladj negative": (logits_minus, "sign of the log-determinant"),
            "256 always": (logits_by_255, "256 grey values are taken for granted"),
            "no noise": (logits_no_noise, "The noise is missing"),
            "slope of the sigmoid": (logits_sigmoid_slope, "The slope of the sigmoid"),
            "constants once": (logits_one_constant, "The constants are counted once"),
        },
        {"torch": logits_by_torch, "autograd": logits_by_autograd},
    ),
    "flow.autoregressive_inverse": Bank(
        autoregressive_inverse,
        autoregressive_inverse_stub,
        {
            "one pass over z": (inverse_at_once, "One pass over z"),
            "one pass over nothing": (inverse_of_nothing, "One pass over an empty x"),
            "forward": (inverse_is_forward, "That is f, the way to the noise"),
            "sign of a": (inverse_minus_a, "The sign of a"),
            "from the end": (inverse_backwards, "from the last to the first"),
            "a pass too few": (inverse_pass_too_few, "A pass too few"),
            "into z": (inverse_into_z, "in-place operation"),
        },
        {"all places again and again": inverse_of_all_places, "growing": inverse_growing},
    ),
    "flow.planar_log_det": Bank(
        planar_log_det,
        planar_log_det_stub,
        {
            "tanh for its slope": (planar_tanh, "tanh where its slope belongs"),
            "no identity": (planar_no_one, "The 1 of the identity is missing"),
            "no absolute value": (planar_no_abs, "Wrong only where the determinant is negative"),
            "no logarithm": (planar_no_log, "its logarithm is asked"),
            "no bias": (planar_no_bias, "b is forgotten"),
            "w twice": (planar_w_squared, "w·w where u·w belongs"),
            "summed": (planar_sum, "over the batch"),
        },
        {"matrices": planar_by_matrices, "autograd": planar_by_autograd, "psi": planar_of_psi},
    ),
    "flow.hutchinson_trace": Bank(
        hutchinson_trace,
        hutchinson_trace_stub,
        {
            "summed": (trace_summed, "A sum over the probes"),
            "first probe": (trace_first, "Only the first probe"),
            "exact": (trace_exact, "That is the exact trace"),
            "second probe forgotten": (trace_one_probe_short, "without the second ε"),
            "normalised": (trace_normalised, "whatever ε is"),
            "minus": (trace_minus, "The sign"),
            "whole batch": (trace_of_the_batch, "over the batch"),
            "flag": (trace_sets_a_flag, "a tensor of your own"),
        },
        {"jvp": trace_by_jvp, "vjp": trace_by_vjp, "matrices": trace_by_matrices},
    ),
}
