"""Answers to the theory homework on diffusion, right and wrong."""

from __future__ import annotations

import torch

from . import Bank

grad = torch.autograd.grad


# --- 7.11 the covariance on the way to noise


def covariance(cov, abar):
    return abar * cov + (1 - abar) * torch.eye(cov.shape[-1]).to(cov)


def covariance_stub(cov, abar):
    """The covariance of x_k.   cov (B, D, D), abar (B, 1, 1)  ->  (B, D, D)"""
    ...


def covariance_on_the_diagonal(cov, abar):
    found = abar * cov
    found.diagonal(dim1=1, dim2=2).add_(1 - abar[:, :, 0])
    return found


def covariance_by_rows(cov, abar):
    return torch.stack([a * c + (1 - a) * torch.eye(len(c), dtype=c.dtype) for c, a in zip(cov, abar)])


def covariance_by_eigenvalues(cov, abar):
    values, vectors = torch.linalg.eigh(cov)
    return vectors @ torch.diag_embed(abar[:, 0] * values + 1 - abar[:, 0]) @ vectors.mT


def covariance_drawn(cov, abar):
    root = torch.linalg.cholesky(covariance(cov, abar))
    x = root @ torch.randn(len(cov), cov.shape[-1], 4000).to(cov)
    return x @ x.mT / 4000


# --- 7.12 implicit score matching


def implicit(score_net, x):
    x = x.detach().clone().requires_grad_()
    s = score_net(x)
    trace = sum(grad(s[:, i].sum(), x, create_graph=True)[0][:, i] for i in range(x.shape[1]))
    return (trace + (s**2).sum(1) / 2).mean()


def implicit_stub(score_net, x):
    """E[tr ∂s/∂x + ½‖s‖²].   x (B, D)  ->  ()"""
    ...


def implicit_by_jacrev(score_net, x):
    one = lambda row: score_net(row[None])[0]
    jacobian = torch.stack([torch.autograd.functional.jacobian(one, row, create_graph=True) for row in x])
    return (torch.einsum("bii->b", jacobian) + score_net(x).square().sum(1).div(2)).mean()


def implicit_by_directions(score_net, x):
    total = 0.5 * (score_net(x) ** 2).sum(1)
    for direction in torch.eye(x.shape[1]).to(x):
        _, along = torch.autograd.functional.jvp(score_net, x, direction.expand_as(x).clone(), create_graph=True)
        total = total + along @ direction
    return total.sum() / len(x)


def implicit_in_double(score_net, x):
    return torch.stack([implicit(score_net, row[None]) for row in x]).mean()


def _implicit(form, keep=True):
    def loss(score_net, x):
        x = x.detach().clone().requires_grad_()
        s = score_net(x)
        rows = [grad(s[:, i].sum(), x, create_graph=keep, retain_graph=True)[0] for i in range(x.shape[1])]
        return form(s, torch.stack(rows, 1))

    return loss


def _tr(j):
    return j.diagonal(dim1=1, dim2=2).sum(1)


def implicit_by_differences(score_net, x, h=0.05):
    trace = sum((score_net(x + h * e) - score_net(x - h * e)) @ e / (2 * h) for e in torch.eye(x.shape[1]).to(x))
    return (trace + (score_net(x) ** 2).sum(1) / 2).mean()


# --- 7.13 the Kolmogorov-Fokker-Planck equation


def kfp(p, f, g, x, s):
    x, s = x.detach().clone().requires_grad_(), s.detach().clone().requires_grad_()
    rate = grad(p(x, s).sum(), s)[0]
    slope = grad(p(x, s).sum(), x, create_graph=True)[0]
    flux = f(x, s) * p(x, s) - g(s) ** 2 / 2 * slope
    return (rate + grad(flux.sum(), x)[0]).detach()


def kfp_stub(p, f, g, x, s):
    """The residual of the equation.   x, s (B,)  ->  (B,)"""
    ...


def kfp_in_three_terms(p, f, g, x, s):
    x, s = x.detach().clone().requires_grad_(), s.detach().clone().requires_grad_()
    slope = grad(p(x, s).sum(), x, create_graph=True)[0]
    bent = grad(slope.sum(), x)[0]
    carried = grad((f(x, s) * p(x, s)).sum(), x)[0]
    return grad(p(x, s).sum(), s)[0] - (0.5 * g(s).square() * bent - carried).detach()


def kfp_by_vmap(p, f, g, x, s):
    def one(x, s):
        slope = torch.func.grad(p)
        carried = torch.func.grad(lambda y: f(y, s) * p(y, s))(x)
        return torch.func.grad(p, 1)(x, s) + carried - g(s) ** 2 / 2 * torch.func.grad(slope)(x, s)

    return torch.stack([one(a, b) for a, b in zip(x, s)])


def kfp_by_the_log(p, f, g, x, s):
    """(p · residual of log p): ∂log p + f' + f·∂log p − ½g²(∂²log p + (∂log p)²)."""
    x, s = x.detach().clone().requires_grad_(), s.detach().clone().requires_grad_()
    log = p(x, s).log()
    slope = grad(log.sum(), x, create_graph=True)[0]
    bent = grad(slope.sum(), x, retain_graph=True)[0]
    drift = f(x, s)
    rise = grad(drift.sum(), x)[0] if drift.requires_grad else torch.zeros_like(x)
    rate = grad(log.sum(), s)[0]
    return (p(x, s) * (rate + rise + drift * slope - g(s) ** 2 / 2 * (bent + slope**2))).detach()


def _kfp(form):
    def residual(p, f, g, x, s):
        x, s = x.detach().clone().requires_grad_(), s.detach().clone().requires_grad_()
        rate = grad(p(x, s).sum(), s)[0]
        slope = grad(p(x, s).sum(), x, create_graph=True)[0]
        carried = grad((f(x, s) * p(x, s)).sum(), x)[0]
        return form(rate, carried, grad(slope.sum(), x)[0], g(s), f(x, s), slope, p(x, s)).detach()

    return residual


def kfp_of_the_ou_process(p, f, g, x, s):
    return kfp(p, lambda y, r: -y / 2, g, x, s)


def kfp_with_g_of_one(p, f, g, x, s):
    return kfp(p, f, lambda r: torch.ones_like(r), x, s)


# --- 7.14 a step of the reverse SDE


def step_back(score, x, beta, z):
    return x + (x / 2 + score(x)) * beta + beta**0.5 * z


def step_back_stub(score, x, beta, z):
    """One step back.   x, z (B, D), beta a number  ->  (B, D)"""
    ...


def step_back_by_drift(score, x, beta, z):
    forward, g2 = -0.5 * beta * x, beta
    return x - (forward - g2 * score(x)) + (torch.as_tensor(g2).sqrt() * z).to(x)


def step_back_by_rows(score, x, beta, z):
    s = score(x)
    return torch.stack([(1 + beta / 2) * x[i] + beta * s[i] + beta**0.5 * z[i] for i in range(len(x))])


def step_back_in_double(score, x, beta, z):
    return x.double() * (1 + beta / 2) + beta * score(x).double() + beta**0.5 * z.double()


def step_back_twice(score, x, beta, z):
    half = x + (x / 2 + score(x)) * beta / 2
    return half + (half / 2 + score(half)) * beta / 2 + beta**0.5 * z


BANKS = {
    "diff.forward_covariance": Bank(
        covariance,
        covariance_stub,
        {
            "clamped": (lambda cov, abar: covariance(cov, abar.clamp(0.05, 0.95)), "ends"),
            "inverse": (lambda cov, abar: torch.linalg.inv(covariance(cov, abar)), ""),
            "sampled": (covariance_drawn, ""),
        },
        {
            "diagonal": covariance_on_the_diagonal,
            "rows": covariance_by_rows,
            "eigenvalues": covariance_by_eigenvalues,
            "from the identity": lambda cov, abar: torch.lerp(
                torch.eye(cov.shape[-1]).to(cov).expand_as(cov), cov, abar
            ),
        },
    ),
    "diff.implicit_score_matching": Bank(
        implicit,
        implicit_stub,
        {
            "mean of coordinates": (
                _implicit(lambda s, j: (_tr(j) + (s**2).sum(1) / 2).mean() / s.shape[1]),
                "Your value is the expected one divided by D",
            ),
            "sum": (_implicit(lambda s, j: (_tr(j) + (s**2).sum(1) / 2).sum()), "sum over the batch"),
            "differences": (implicit_by_differences, ""),
            "a number": (lambda score_net, x: float(implicit(score_net, x)), ""),
        },
        {"jacobian": implicit_by_jacrev, "directions": implicit_by_directions, "rows": implicit_in_double},
    ),
    "diff.kfp_residual": Bank(
        kfp,
        kfp_stub,
        {
            "turned": (_kfp(lambda r, c, b, g, f, d, p: g**2 / 2 * b - c - r), "The sign is reversed"),
            "always OU": (kfp_of_the_ou_process, ""),
            "always g = 1": (kfp_with_g_of_one, "one diffusion alone"),
            "mean": (lambda *args: kfp(*args).mean(), ""),
        },
        {"three terms": kfp_in_three_terms, "one by one": kfp_by_vmap, "log p": kfp_by_the_log},
    ),
    "diff.reverse_sde_step": Bank(
        step_back,
        step_back_stub,
        {"two halves": (step_back_twice, ""), "squeezed": (lambda *args: step_back(*args).squeeze(), "squeeze()")},
        {"by the drift": step_back_by_drift, "rows": step_back_by_rows, "float64": step_back_in_double},
    ),
}
