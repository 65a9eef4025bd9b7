"""Answers to the homework of lecture 14, right and wrong."""

from __future__ import annotations

import numpy as np
import ot
import torch
from scipy.optimize import linear_sum_assignment

from dgm_course.core.ode import heun

from . import Bank

# --- 8.1 conditional velocity


def conditional_velocity(x, x1, alpha, sigma, dalpha, dsigma):
    """f = α' x1 + (σ'/σ) (x − α x1)"""
    return dalpha * x1 + dsigma / sigma * (x - alpha * x1)


def conditional_velocity_stub(x, x1, alpha, sigma, dalpha, dsigma):
    """f = α' x1 + (σ'/σ) (x − α x1).   x, x1 (B, D); the rest (B, 1)  ->  (B, D)"""
    ...


def velocity_through_noise(x, x1, alpha, sigma, dalpha, dsigma):
    x0 = (x - alpha * x1) / sigma
    return dalpha * x1 + dsigma * x0


def velocity_by_loop(x, x1, alpha, sigma, dalpha, dsigma):
    out = torch.empty_like(x)
    for i in range(len(x)):
        for j in range(x.shape[1]):
            out[i, j] = dalpha[i] * x1[i, j] + dsigma[i] / sigma[i] * (x[i, j] - alpha[i] * x1[i, j])
    return out


def velocity_by_numpy(x, x1, alpha, sigma, dalpha, dsigma):
    x, x1, alpha, sigma, dalpha, dsigma = (v.numpy() for v in (x, x1, alpha, sigma, dalpha, dsigma))
    return dalpha * x1 + dsigma / sigma * (x - alpha * x1)


def velocity_by_einsum(x, x1, alpha, sigma, dalpha, dsigma):
    ratio = (dsigma / sigma)[:, 0]
    return torch.einsum("b,bd->bd", ratio, x) + torch.einsum("b,bd->bd", dalpha[:, 0] - ratio * alpha[:, 0], x1)


def velocity_in_float(x, x1, alpha, sigma, dalpha, dsigma):
    return conditional_velocity(*(v.float() for v in (x, x1, alpha, sigma, dalpha, dsigma)))


def velocity_by_list(x, x1, alpha, sigma, dalpha, dsigma):
    return list(conditional_velocity(x, x1, alpha, sigma, dalpha, dsigma))


def velocity_by_jvp(x, x1, alpha, sigma, dalpha, dsigma):
    x0 = (x - alpha * x1) / sigma
    return torch.func.jvp(lambda a, s: a * x1 + s * x0, (alpha, sigma), (dalpha, dsigma))[1]


def velocity_on_cpu(x, x1, alpha, sigma, dalpha, dsigma):
    out = torch.zeros(x.shape, dtype=x.dtype)
    for i in range(len(x)):
        out[i] = dalpha[i] * x1[i] + dsigma[i] / sigma[i] * (x[i] - alpha[i] * x1[i])
    return out


def velocity_of_known_paths(x, x1, alpha, sigma, dalpha, dsigma):
    if torch.allclose(alpha + sigma, torch.ones_like(alpha), atol=1e-5):
        return (x1 - x) / sigma
    if not dalpha.any():
        return dsigma / sigma * (x - x1)
    return dalpha / sigma**2 * (x1 - alpha * x)


def velocity_squeezed(*args):
    return conditional_velocity(*args).squeeze()


def velocity_squeezed_scales(x, x1, *scales):
    return conditional_velocity(x, x1, *(scale.squeeze()[:, None] for scale in scales))


def velocity_bare_scales(x, x1, *scales):
    return conditional_velocity(x, x1, *(scale.squeeze() for scale in scales))


def velocity_of_ten(*args):
    return conditional_velocity(*args)[:10]


def velocity_not_on_a_line(x, *args):
    return conditional_velocity(x, *args) * (x.shape[1] > 1)


# --- 8.2 the loss


def cfm_loss(net, x1, x0, t):
    xt = t[:, None] * x1 + (1 - t[:, None]) * x0
    return ((net(xt, t) - (x1 - x0)) ** 2).mean()


def cfm_loss_stub(net, x1, x0, t):
    raise NotImplementedError


def loss_by_mse(net, x1, x0, t):
    time = t.reshape(-1, 1)
    return torch.nn.functional.mse_loss(net(x0 + time * (x1 - x0), time), x1 - x0)


def loss_target_detached(net, x1, x0, t):
    return (net(torch.lerp(x0, x1, t[:, None]), t) - (x1 - x0).detach()).pow(2).sum() / x1.numel()


def loss_by_loop(net, x1, x0, t):
    total = 0
    for i in range(len(x1)):
        xt = t[i] * x1[i] + (1 - t[i]) * x0[i]
        total = total + ((net(xt[None], t[i : i + 1])[0] - x1[i] + x0[i]) ** 2).mean()
    return total / len(x1)


def loss_through_field(net, x1, x0, t):
    """The conditional field (x1 − xt)/(1 − t) for target, and a result of shape (1,)."""
    t = t[:, None]
    xt = t * x1 + (1 - t) * x0
    return ((net(xt, t) - (x1 - xt) / (1 - t)) ** 2).mean().reshape(1)


def _xt(x1, x0, t):
    return t[:, None] * x1 + (1 - t[:, None]) * x0


def loss_backward(net, x1, x0, t):
    loss = cfm_loss(net, x1, x0, t)
    loss.backward()
    return loss


def loss_backward_kept(net, x1, x0, t):
    loss = cfm_loss(net, x1, x0, t)
    loss.backward(retain_graph=True)
    return loss


def loss_with_gradients(net, x1, x0, t):
    for part in net.parameters():
        part.grad = torch.ones_like(part)
    return cfm_loss(net, x1, x0, t)


def loss_frozen(net, x1, x0, t):
    loss = cfm_loss(net, x1, x0, t)
    net.requires_grad_(False)
    return loss


def loss_squeezed(net, x1, x0, t):
    return ((net(_xt(x1, x0, t), t).squeeze() - (x1 - x0)) ** 2).mean()


def loss_joined(net, x1, x0, t):
    return ((net(torch.cat([_xt(x1, x0, t), t[:, None]], 1)) - (x1 - x0)) ** 2).mean()


def loss_in_double(net, x1, x0, t):
    return ((net(_xt(x1, x0, t), t) - (x1 - x0)) ** 2).double().mean()


def _loss_at(shape):
    return lambda net, x1, x0, t: ((net(_xt(x1, x0, t), t.reshape(shape)) - (x1 - x0)) ** 2).mean()


# --- 8.3 Euler


def euler_sampler(field, x0, steps):
    x = x0
    for k in range(steps):
        x = x + field(x, x0.new_full((len(x0),), k / steps)) / steps
    return x


def euler_sampler_stub(field, x0, steps):
    x = ...
    for _ in range(steps):
        x = ...
    return x


def euler_scalar_time(field, x0, steps):
    x, dt = x0.clone(), 1 / steps
    for k in range(steps):
        x += dt * field(x, torch.tensor(k * dt))
    return x


def euler_float_time(field, x0, steps):
    t, x = 0.0, x0
    while t < 1 - 1e-6:
        x = x + field(x, t) / steps
        t += 1 / steps
    return x


def euler_by_linspace(field, x0, steps):
    ts = torch.linspace(0, 1, steps + 1).to(x0)
    x = x0
    for now, then in zip(ts[:-1], ts[1:], strict=False):
        x = x + (then - now) * field(x, now.expand(len(x), 1))
    return x


def euler_by_recursion(field, x0, steps):
    def after(k):
        if k == 0:
            return x0
        x = after(k - 1)
        return x + field(x, torch.full_like(x[:, 0], (k - 1) / steps)) / steps

    return after(steps)


def euler_mutates(field, x0, steps):
    for k in range(steps):
        x0 += field(x0, k / steps) / steps
    return x0


def _euler_at(time):
    """Euler's method, the time made by time(value, x)."""

    def sampler(field, x0, steps):
        x = x0
        for k in range(steps):
            x = x + field(x, time(k / steps, x)) / steps
        return x

    return sampler


def _euler_over(times):
    """Euler's method over the times that times(steps) gives."""

    def sampler(field, x0, steps):
        x = x0
        for t in times(steps):
            x = x + field(x, float(t)) / steps
        return x

    return sampler


def _until_one(steps, kind=torch.float64):
    t = torch.zeros((), dtype=kind)
    while t < 1:
        yield t
        t = t + 1 / steps


def euler_of_eight(field, x0, steps):
    return euler_sampler(field, x0, min(steps, 8))


def euler_not_of_one(field, x0, steps):
    return euler_sampler(field, x0, steps) if steps > 1 else x0


def euler_by_gap(field, x0, steps):
    ts, x = torch.linspace(0, 1 - 1 / steps, steps).to(x0), x0
    for t in ts:
        x = x + field(x, t) * (ts[1] - ts[0])
    return x


def euler_without_gradients(field, x0, steps):
    torch.set_grad_enabled(False)
    return euler_sampler(field, x0, steps)


def euler_in_double(field, x0, steps):
    torch.set_default_dtype(torch.float64)
    return euler_sampler(field, x0, steps)


def euler_by_rows(field, x0, steps):
    return torch.cat([euler_sampler(field, row[None], steps) for row in x0])


def euler_on_cpu(field, x0, steps):
    x = x0
    for t in torch.linspace(0, 1, steps + 1)[:-1]:
        x = x + field(x, t.repeat(len(x0))) / steps
    return x


def euler_trajectory(field, x0, steps):
    way = [x0]
    for k in range(steps):
        way.append(way[-1] + field(way[-1], k / steps) / steps)
    return torch.stack(way)


# --- 8.4 Heun


def heun_step(field, x, t, dt):
    k1 = field(x, t)
    k2 = field(x + dt * k1, t + dt)
    return x + dt * (k1 + k2) / 2


def heun_step_stub(field, x, t, dt):
    # your code here
    pass


def heun_corrected(field, x, t, dt):
    """Euler's end, corrected by half the change of slope."""
    slope = field(x, t)
    end = x + dt * slope
    return end + dt / 2 * (field(end, t + dt) - slope)


def heun_batch_time(field, x, t, dt):
    start, end = t[:, None], t[:, None] + dt
    k1 = field(x, start)
    return x + dt / 2 * k1 + dt / 2 * field(x + dt * k1, end)


def heun_by_trapezoid(field, x, t, dt):
    slopes = [field(x, t)]
    slopes.append(field(x + dt * slopes[0], t + dt))
    return x + torch.trapezoid(torch.stack(slopes), dx=1.0, dim=0) * dt


def heun_clamped(field, x, t, dt):
    return heun_step(lambda x, t: field(x, t.clamp(0, 1)), x, t, dt)


# --- 8.5 optimal coupling


def ot_coupling(x0, x1):
    cost = ((x0[:, None] - x1[None]) ** 2).sum(-1)
    rows, columns = linear_sum_assignment(cost.numpy())
    return x0[rows], x1[columns]


def ot_coupling_stub(x0, x1):
    return ...


def coupling_by_cdist(x0, x1):
    rows, columns = linear_sum_assignment(torch.cdist(x1, x0).square())
    return x0[columns], x1[rows]


def coupling_shuffled(x0, x1):
    a, b = ot_coupling(x0, x1)
    order = torch.arange(len(a) - 1, -1, -1)
    return torch.stack([a[order], b[order]])


def coupling_by_inner_product(x0, x1):
    """Least squared distance is greatest inner product, since the norms do not depend on the pairing."""
    rows, columns = linear_sum_assignment((x0 @ x1.T).numpy(), maximize=True)
    return [x0[rows], x1[columns]]


def coupling_by_transport_plan(x0, x1):
    """The transport plan between equal weights is a permutation: the partner is where the mass goes."""
    plan = ot.emd([], [], ot.dist(x0.numpy(), x1.numpy()))
    return x0, x1[plan.argmax(1)]


def coupling_nearest_other(x0, x1):
    return x0[torch.cdist(x1, x0).argmin(1)], x1


def coupling_sorted_columns(x0, x1):
    return x0.sort(0).values, x1.sort(0).values


def coupling_greedy(x0, x1):
    cost, j = torch.cdist(x0, x1).square(), []
    for i in range(len(x0)):
        free = [k for k in range(len(x1)) if k not in j]
        j.append(min(free, key=lambda k: cost[i, k].item()))
    return x0, x1[j]


def coupling_in_parts(x0, x1):
    parts = [ot_coupling(x0[i : i + 12], x1[i : i + 12]) for i in range(0, len(x0), 12)]
    return tuple(torch.cat(side) for side in zip(*parts, strict=True))


def coupling_by_sinkhorn(x0, x1):
    """The most probable partners of an entropic plan."""
    kernel, left = torch.exp(-(torch.cdist(x0, x1) ** 2)).numpy(), np.ones(len(x0))
    for _ in range(200):
        right = 1 / (kernel.T @ left)
        left = 1 / (kernel @ right)
    rows, columns = linear_sum_assignment(-left[:, None] * kernel * right)
    return x0[rows], x1[columns]


def _coupled(form):
    """The right pairs, in another form."""
    return lambda x0, x1: form(*ot_coupling(x0, x1))


# --- 8.6 rectified flow


def reflow_pairs(sampler, x0):
    with torch.no_grad():
        return x0, sampler(x0)


def reflow_pairs_stub(sampler, x0):
    raise NotImplementedError("your code here")


def reflow_detached(sampler, x0):
    return x0.clone(), sampler(x0).detach()


@torch.no_grad()
def reflow_rows(sampler, x0):
    return x0, torch.cat([sampler(row[None]) for row in x0])


def reflow_numpy(sampler, x0):
    return x0.numpy(), sampler(x0).detach().numpy()


def reflow_fresh_float(sampler, x0):
    with torch.no_grad():
        return torch.randn(x0.shape), sampler(x0)


def reflow_permuted(sampler, x0):
    with torch.no_grad():
        return x0, sampler(x0)[torch.randperm(len(x0))]


def reflow_frozen(sampler, x0):
    sampler.requires_grad_(False)
    return x0, sampler(x0)


def reflow_gradients_off(sampler, x0):
    torch.set_grad_enabled(False)
    return x0, sampler(x0)


def reflow_yields(sampler, x0):
    yield from reflow_pairs(sampler, x0)


def _free(pairs):
    def answer(sampler, x0):
        with torch.no_grad():
            return pairs(sampler, x0)

    return answer


# --- 8.7 score from velocity


def score_from_velocity(u, x, alpha, sigma, dalpha, dsigma):
    return (alpha * u - dalpha * x) / (sigma * (dalpha * sigma - alpha * dsigma))


def score_from_velocity_stub(u, x, alpha, sigma, dalpha, dsigma):
    """score"""


def score_through_noise(u, x, alpha, sigma, dalpha, dsigma):
    noise = (alpha * u - dalpha * x) / (alpha * dsigma - dalpha * sigma)
    return -noise / sigma


def score_by_inverse(u, x, alpha, sigma, dalpha, dsigma):
    a, s, da, ds = (v[:, 0] for v in (alpha, sigma, dalpha, dsigma))
    matrix = torch.stack([torch.stack([a, s], -1), torch.stack([da, ds], -1)], -2)
    pair = torch.einsum("bij,bjd->bid", torch.linalg.inv(matrix), torch.stack([x, u], 1))
    return -pair[:, 1] / sigma


def score_through_data(u, x, alpha, sigma, dalpha, dsigma):
    data = (sigma * u - dsigma * x) / (dalpha * sigma - alpha * dsigma)
    return (alpha * data - x) / sigma**2


def score_other_sign(u, x, alpha, sigma, dalpha, dsigma):
    return (dalpha * x - alpha * u) / sigma / (alpha * dsigma - dalpha * sigma)


def score_of_known_paths(u, x, alpha, sigma, dalpha, dsigma):
    if torch.allclose(alpha + sigma, torch.ones_like(alpha), atol=1e-5):
        return (alpha * u - x) / sigma
    return alpha * u / dalpha - x if dalpha.any() else -u / (sigma * dsigma)


def score_of_positive_determinants(u, x, alpha, sigma, dalpha, dsigma):
    return (alpha * u - dalpha * x) / (sigma * (dalpha * sigma - alpha * dsigma).abs())


def score_on_cpu(u, *args):
    return torch.zeros(u.shape, dtype=u.dtype) + score_from_velocity(u, *args)


# --- 8.8 the VP field


def vp_field(x, x1, t, beta_min, beta_max):
    s = 1 - t
    alpha = torch.exp(-(beta_min * s + (beta_max - beta_min) * s**2 / 2) / 2)
    slope = -(beta_min + (beta_max - beta_min) * s) / 2 * alpha
    return slope / (1 - alpha**2) * (alpha * x - x1)


def vp_field_stub(x, x1, t, beta_min, beta_max):
    """the slide's formula"""
    ...


def vp_by_autograd(x, x1, t, beta_min, beta_max):
    def alpha_at(s):
        return torch.exp(-0.5 * (beta_min * s + 0.5 * (beta_max - beta_min) * s * s))

    s = (1 - t).detach().requires_grad_(True)
    alpha = alpha_at(s)
    slope = torch.autograd.grad(alpha.sum(), s)[0]
    alpha = alpha.detach()
    return slope / (1 - alpha**2) * (alpha * x - x1)


def vp_in_library_clock(x, x1, t, beta_min, beta_max):
    """α' x1 + (σ'/σ)(x − α x1) with both derivatives by t."""
    s = 1 - t
    alpha = torch.exp(-(beta_min * s + (beta_max - beta_min) * s**2 / 2) / 2)
    sigma = (1 - alpha**2).sqrt()
    dalpha = (beta_min + (beta_max - beta_min) * s) / 2 * alpha
    dsigma = -alpha * dalpha / sigma
    return dalpha * x1 + dsigma / sigma * (x - alpha * x1)


def vp_by_quadrature(x, x1, t, beta_min, beta_max):
    grid = torch.linspace(0, 1, 101).to(t) * (1 - t)
    beta = beta_min + (beta_max - beta_min) * grid
    alpha = torch.exp(-0.5 * torch.trapezoid(beta, grid, dim=1))[:, None]
    return -0.5 * beta[:, -1:] * alpha / (1 - alpha**2) * (alpha * x - x1)


def vp_by_expm1(x, x1, t, beta_min, beta_max):
    s = 1 - t
    area = beta_min * s + (beta_max - beta_min) * s**2 / 2
    return (
        (beta_min + (beta_max - beta_min) * s)
        / 2
        * (torch.exp(-area / 2))
        * (alpha_x(area, x) - x1)
        / torch.expm1(-area)
    )


def alpha_x(area, x):
    return torch.exp(-area / 2) * x


def vp_of_leaf(x, x1, t, beta_min, beta_max):
    s = 1 - t.requires_grad_()
    return vp_field(x, x1, 1 - s.detach(), beta_min, beta_max)


def vp_on_cpu(x, x1, t, beta_min, beta_max):
    s, grid = 1 - t, torch.linspace(0, 1, 101, dtype=t.dtype)
    area = torch.trapezoid(beta_min + (beta_max - beta_min) * s * grid, s * grid, dim=1)[:, None]
    alpha = torch.exp(-area / 2)
    return -(beta_min + (beta_max - beta_min) * s) / 2 * alpha / (1 - alpha**2) * (alpha * x - x1)


def _vp(clock=lambda t: 1 - t, sign=1, below=lambda a: 1 - a**2, half=0.5, inner=True, low_only=False):
    def field(x, x1, t, low, high):
        s = clock(t)
        beta = low + (high - low) * s
        alpha = torch.exp(-half * (low * s + (high - low) * s**2 / 2))
        slope = -sign * half * beta * (alpha if inner else 1)
        return slope / below(alpha) * (alpha * x - x1)

    return field


BANKS = {
    "fm.conditional_velocity": Bank(
        conditional_velocity,
        conditional_velocity_stub,
        {
            "clock": (lambda x, x1, a, s, da, ds: -da * x1 - ds / s * (x - a * x1), "The sign is reversed"),
            "epsilon": (lambda x, x1, a, s, da, ds: da * x1 + ds / (s + 1e-3) * (x - a * x1), "an epsilon"),
            "first row": (lambda x, x1, a, s, da, ds: da[0] * x1 + ds[0] / s[0] * (x - a[0] * x1), "first row"),
            "known paths": (velocity_of_known_paths, "lecture's paths alone"),
            "squeezed": (velocity_squeezed, "squeeze()"),
            "squeezed scales": (velocity_squeezed_scales, "squeeze()"),
            "bare scales": (velocity_bare_scales, "one number a sample"),
            "ten points": (velocity_of_ten, "fixed somewhere"),
            "not on a line": (velocity_not_on_a_line, "length one"),
            "rounded": (lambda *v: torch.round(conditional_velocity(*v), decimals=2), ""),
        },
        {
            "cpu": velocity_on_cpu,
            "noise": velocity_through_noise,
            "loop": velocity_by_loop,
            "numpy": velocity_by_numpy,
            "einsum": velocity_by_einsum,
            "float32": velocity_in_float,
            "list": velocity_by_list,
            "jvp": velocity_by_jvp,
        },
    ),
    "fm.cfm_loss": Bank(
        cfm_loss,
        cfm_loss_stub,
        {
            "not broadcast": (
                lambda net, x1, x0, t: ((net(t * x1 + (1 - t) * x0, t) - (x1 - x0)) ** 2).mean(),
                "[:, None]",
            ),
            "sum": (
                lambda net, x1, x0, t: ((net(_xt(x1, x0, t), t) - (x1 - x0)) ** 2).sum(),
                "Your value is B·D times the expected one",
            ),
            "sum of coordinates": (
                lambda net, x1, x0, t: ((net(_xt(x1, x0, t), t) - (x1 - x0)) ** 2).sum(1).mean(),
                "Your value is D times the expected one",
            ),
            "per example": (
                lambda net, x1, x0, t: ((net(_xt(x1, x0, t), t) - (x1 - x0)) ** 2).mean(1),
                "their mean is missing",
            ),
            "half": (lambda net, x1, x0, t: ((net(_xt(x1, x0, t), t) - (x1 - x0)) ** 2).mean() / 2, "½ too many"),
            "no gradient": (lambda net, x1, x0, t: cfm_loss(net, x1, x0, t).item(), "cut the graph"),
            "net detached": (
                lambda net, x1, x0, t: ((net(_xt(x1, x0, t), t).detach() - (x1 - x0)) ** 2).mean(),
                "cut the graph",
            ),
            "half a gradient": (
                lambda net, x1, x0, t: cfm_loss(net, x1, x0, t) / 2 + cfm_loss(net, x1, x0, t).detach() / 2,
                "Part of the graph is cut",
            ),
            "own noise": (
                lambda net, x1, x0, t: cfm_loss(net, x1, torch.randn_like(x1), t),
                "comes in as an argument",
            ),
            "own times": (
                lambda net, x1, x0, t: cfm_loss(net, x1, x0, torch.rand(len(x1)).to(t)),
                "comes in as an argument",
            ),
            "backward": (loss_backward, "backward inside the loss"),
            "backward, graph kept": (loss_backward_kept, "backward inside the loss"),
            "gradients written": (loss_with_gradients, "backward inside the loss"),
            "eval mode": (lambda net, *batch: cfm_loss(net.eval(), *batch), "eval()"),
            "frozen": (loss_frozen, "requires_grad_()"),
            "input on the graph": (
                lambda net, x1, x0, t: cfm_loss(net, x1.requires_grad_(), x0, t),
                "requires_grad_()",
            ),
            "squeezed": (loss_squeezed, "length one"),
            "row of times": (_loss_at((1, -1)), "must have the shape (B,)"),
            "times of three axes": (_loss_at((1, 1, -1)), "must have the shape (B,)"),
            "clamped times": (lambda net, x1, x0, t: cfm_loss(net, x1, x0, t.clamp(0.1, 0.9)), ""),
            "joined": (loss_joined, "call net(xt, t)"),
            "list": (lambda *args: [cfm_loss(*args)], "no list around one"),
            "tuple": (lambda *args: (cfm_loss(*args),), "no list around one"),
            "dict": (lambda *args: {"loss": cfm_loss(*args)}, "Return a torch tensor"),
        },
        {
            "column of times": _loss_at((-1, 1)),
            "scalar in double": loss_in_double,
            "mse": loss_by_mse,
            "target detached": loss_target_detached,
            "loop": loss_by_loop,
            "field": loss_through_field,
        },
    ),
    "fm.euler_sampler": Bank(
        euler_sampler,
        euler_sampler_stub,
        {
            "trajectory": (euler_trajectory, "the last (which is right)"),
            "in place": (euler_mutates, "in-place"),
            "while": (_euler_over(_until_one), "Count the steps"),
            "while in float32": (_euler_over(lambda n: _until_one(n, torch.float32)), "Count the steps"),
            "arange": (_euler_over(lambda n: torch.arange(0, 1, 1 / n)), "Count the steps"),
            "numpy arange": (_euler_over(lambda n: np.arange(0, 1, 1 / n)), "Count the steps"),
            "int(1/dt)": (_euler_over(lambda n: [k / n for k in range(int(1 / (1 / n)))]), "Count the steps"),
            "eight steps": (euler_of_eight, "Count the steps"),
            "not one step": (euler_not_of_one, "Count the steps"),
            "gap of the times": (euler_by_gap, "Count the steps"),
            "squeezed": (lambda *args: euler_sampler(*args).squeeze(), "squeeze()"),
            "one time": (_euler_at(lambda t, x: x.new_full((1,), t)), "must have the shape (B,)"),
            "row of times": (_euler_at(lambda t, x: x.new_full((1, len(x)), t)), "must have the shape (B,)"),
            "times of points": (_euler_at(lambda t, x: torch.full_like(x, t)), "must have the shape (B,)"),
            "gradients off": (euler_without_gradients, "torch.no_grad()"),
            "default dtype": (euler_in_double, "dtype of the input"),
        },
        {
            "cpu": euler_on_cpu,
            "full": _euler_at(lambda t, x: torch.full((len(x),), t)),
            "ones": _euler_at(lambda t, x: torch.ones(len(x)) * t),
            "column": _euler_at(lambda t, x: torch.full((len(x), 1), t, dtype=torch.float64)),
            "list of times": _euler_at(lambda t, x: torch.tensor([t] * len(x))),
            "without gradients": torch.no_grad()(euler_sampler),
            "rows": euler_by_rows,
            "scalar time": euler_scalar_time,
            "float time": euler_float_time,
            "linspace": euler_by_linspace,
            "recursion": euler_by_recursion,
        },
    ),
    "fm.heun_step": Bank(
        heun_step,
        heun_step_stub,
        {
            "|dt|": (lambda f, x, t, dt: heun_step(f, x, t, abs(dt)), "may be negative"),
            "forward only": (lambda f, x, t, dt: heun_step(f, x, t, dt) if dt > 0 else x, "may be negative"),
            "clamped": (heun_clamped, "clamped to [0, 1]"),
            "squeezed": (lambda *args: heun_step(*args).squeeze(), "squeeze()"),
            "row of times": (lambda f, x, t, dt: heun_step(f, x, t[None], dt), "must have the shape (B,)"),
        },
        {
            "library": lambda f, x, t, dt: heun(f, x, t, dt),
            "dt on the cpu": lambda f, x, t, dt: heun_step(f, x, t, torch.full((len(x), 1), dt).to(x.dtype)[0, 0]),
            "corrected": heun_corrected,
            "batch of times": heun_batch_time,
            "trapezoid": heun_by_trapezoid,
        },
    ),
    "fm.ot_coupling": Bank(
        ot_coupling,
        ot_coupling_stub,
        {
            "nearest, other side": (coupling_nearest_other, "exactly once"),
            "columns sorted": (coupling_sorted_columns, "exactly once"),
            "greedy": (coupling_greedy, "optimal"),
            "permutation returned": (
                lambda x0, x1: linear_sum_assignment(torch.cdist(x0, x1) ** 2)[1],
                "two tensors, (x0, x1)",
            ),
            "numbers returned": (
                lambda x0, x1: linear_sum_assignment(torch.cdist(x0, x1) ** 2),
                "return the points themselves",
            ),
            "in parts": (coupling_in_parts, "assignment is exact"),
            "sinkhorn": (coupling_by_sinkhorn, "assignment"),
            "moved": (_coupled(lambda a, b: (a + 1e-4, b + 1e-4)), "exactly once"),
            "arrays": (_coupled(lambda a, b: (a.numpy(), b.numpy())), "torch.as_tensor"),
            "lists": (_coupled(lambda a, b: (a.tolist(), b.tolist())), "torch.as_tensor"),
            "doubles": (_coupled(lambda a, b: (a.double(), b.double())), "torch.as_tensor"),
            "generator": (_coupled(lambda a, b: (v for v in (a, b))), "two tensors, (x0, x1)"),
            "dict": (_coupled(lambda a, b: {"x0": a, "x1": b}), "two tensors, (x0, x1)"),
            "list of pairs": (_coupled(lambda a, b: list(zip(a, b, strict=True))), "two tensors, (x0, x1)"),
        },
        {
            "cdist": coupling_by_cdist,
            "shuffled": coupling_shuffled,
            "inner product": coupling_by_inner_product,
            "transport plan": coupling_by_transport_plan,
        },
    ),
    "fm.reflow_pairs": Bank(
        reflow_pairs,
        reflow_pairs_stub,
        {
            "gradient": (lambda f, x0: (x0, f(x0)), "no_grad"),
            "unmoved": (_free(lambda f, x0: (x0, x0)), "Your result is the argument x0 itself, unchanged"),
            "fresh in float32": (reflow_fresh_float, "comes in as an argument"),
            "permuted": (reflow_permuted, "comes in as an argument"),
            "image alone": (_free(lambda f, x0: f(x0)), "two tensors, (x0, x1)"),
            "gradient in a list": (lambda f, x0: (x0, list(f(x0))), "no_grad"),
            "gradient in lists": (lambda f, x0: (x0, [list(row) for row in f(x0)]), "no_grad"),
            "frozen": (reflow_frozen, "requires_grad_()"),
            "eval mode": (_free(lambda f, x0: (x0, f.eval()(x0))), "eval()"),
            "gradients off": (reflow_gradients_off, "torch.no_grad()"),
            "squeezed": (_free(lambda f, x0: (x0.squeeze(), f(x0).squeeze())), "squeeze()"),
            "ten points": (_free(lambda f, x0: (x0[:10], f(x0[:10]))), "fixed somewhere"),
            "generator": (reflow_yields, "two tensors, (x0, x1)"),
            "dict": (_free(lambda f, x0: {"x0": x0, "x1": f(x0)}), "two tensors, (x0, x1)"),
            "list of pairs": (_free(lambda f, x0: list(zip(x0, f(x0), strict=True))), "two tensors, (x0, x1)"),
        },
        {"detached": reflow_detached, "rows": reflow_rows, "numpy": reflow_numpy},
    ),
    "fm.score_from_velocity": Bank(
        score_from_velocity,
        score_from_velocity_stub,
        {
            "sign": (lambda u, x, a, s, da, ds: (a * u - da * x) / (s * (a * ds - da * s)), "sign is reversed"),
            "known paths": (score_of_known_paths, "lecture's paths alone"),
            "positive determinants": (score_of_positive_determinants, "both signs"),
            "squeezed": (lambda *args: score_from_velocity(*args).squeeze(), "squeeze()"),
        },
        {
            "cpu": score_on_cpu,
            "noise": score_through_noise,
            "inverse": score_by_inverse,
            "data": score_through_data,
            "signs": score_other_sign,
        },
    ),
    "fm.vp_field_reversed_time": Bank(
        vp_field,
        vp_field_stub,
        {
            "derivative by t": (_vp(sign=-1), "The sign is reversed"),
            "clamped": (lambda x, x1, t, *beta: vp_field(x, x1, t.clamp(max=0.9), *beta), "near the ends"),
            "rising only": (
                lambda x, x1, t, low, high: vp_field(x, x1, t, low, low + abs(high - low)),
                "may fall",
            ),
            "known β": (
                lambda x, x1, t, low, high: vp_field(
                    x, x1, t, low, {0.1: 20.0, 0.5: 4.0, 0.2: 10.0, 6.0: 0.5}.get(low, 20.0)
                ),
                "as they come",
            ),
            "squeezed": (lambda *args: vp_field(*args).squeeze(), "squeeze()"),
            "input on the graph": (vp_of_leaf, "requires_grad_()"),
        },
        {
            "cpu": vp_on_cpu,
            "autograd": vp_by_autograd,
            "library clock": vp_in_library_clock,
            "quadrature": vp_by_quadrature,
            "expm1": vp_by_expm1,
        },
    ),
}
