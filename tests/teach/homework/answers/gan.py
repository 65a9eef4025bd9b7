"""Answers to the homework on adversarial networks, right and wrong."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn import functional as F

from . import Bank

# --- 5.1 the best discriminator


def optimal_discriminator(pi, p):
    return pi / (pi + p)


def optimal_discriminator_stub(pi, p):
    """D*(x).   pi, p (B,)  ->  (B,)"""
    raise NotImplementedError("your turn")


def optimal_by_loop(pi, p):
    return torch.stack([a / (a + b) for a, b in zip(pi, p)])


def optimal_by_search(pi, p):
    """Newton's method on the derivative of π log D + p log(1 − D), which is linear once multiplied out."""
    d = torch.full_like(pi, 0.5)
    for _ in range(3):
        d = d - (d * (pi + p) - pi) / (pi + p)
    return d


def optimal_with_epsilon(pi, p):
    return pi / (pi + p + 1e-8)


def optimal_clamped(pi, p):
    return (pi / (pi + p)).clamp(0.01, 0.99)


# --- 5.2 the discriminator's loss


def discriminator_loss(real, fake):
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def discriminator_loss_stub(real, fake):
    """−V from logits.   real (B,), fake (M,)  ->  ()"""
    ...


def discriminator_by_bce(real, fake):
    with_logits = F.binary_cross_entropy_with_logits
    return with_logits(real, torch.ones_like(real)) + with_logits(fake, torch.zeros_like(fake))


def discriminator_by_logsumexp(real, fake):
    zero = lambda x: torch.zeros_like(x)
    return (
        torch.logaddexp(zero(real), -real).sum() / real.numel()
        + torch.logaddexp(zero(fake), fake).sum() / fake.numel()
    )


def discriminator_by_loop(real, fake):
    total = 0
    for logit in real:
        total = total - F.logsigmoid(logit) / len(real)
    for logit in fake:
        total = total - F.logsigmoid(-logit) / len(fake)
    return total


def discriminator_by_probabilities(real, fake):
    return -real.sigmoid().log().mean() - (1 - fake.sigmoid()).log().mean()


def discriminator_with_epsilon(real, fake):
    return -(real.sigmoid() + 1e-3).log().mean() - (1 - fake.sigmoid() + 1e-3).log().mean()


def discriminator_over_both(real, fake):
    labels = torch.cat([torch.ones_like(real), torch.zeros_like(fake)])
    return F.binary_cross_entropy_with_logits(torch.cat([real, fake]), labels)


def discriminator_twice(real, fake):
    return 2 * discriminator_over_both(real, fake)


def discriminator_backward(real, fake):
    loss = discriminator_loss(real.clone().requires_grad_(), fake)
    loss.backward()
    return loss


# --- 5.3 the generator's losses


def generator_losses(fake):
    return -F.softplus(fake).mean(), F.softplus(-fake).mean()


def generator_losses_stub(fake):
    """(saturating, non_saturating).   fake (B,) logits  ->  (), ()"""
    raise NotImplementedError("your turn")


def generator_by_logsigmoid(fake):
    return F.logsigmoid(-fake).mean(), -F.logsigmoid(fake).mean()


def generator_by_bce(fake):
    with_logits = F.binary_cross_entropy_with_logits
    return -with_logits(fake, torch.zeros_like(fake)), with_logits(fake, torch.ones_like(fake))


def generator_by_difference(fake):
    """log D − log(1 − D) is the logit, so one follows from the other."""
    saturating = F.logsigmoid(-fake).mean()
    return saturating, -(saturating + fake.mean())


def generator_by_probabilities(fake):
    d = fake.sigmoid()
    return (1 - d).log().mean(), -d.log().mean()


def generator_half_detached(fake):
    return -F.softplus(fake).mean(), -(F.logsigmoid(-fake.detach()).mean() + fake.mean())


# --- 5.4 the Jensen-Shannon divergence


def jsd(p, q):
    m = (p + q) / 2
    return (torch.xlogy(p, p / m) + torch.xlogy(q, q / m)).nansum(1) / 2


def jsd_stub(p, q):
    """JSD of each pair of rows.   p, q (B, K)  ->  (B,)"""
    pass


def jsd_by_entropy(p, q):
    entropy = lambda t: -torch.xlogy(t, t).sum(-1)
    return entropy((p + q) / 2) - 0.5 * entropy(p) - 0.5 * entropy(q)


def jsd_by_loop(p, q):
    rows = []
    for a, b in zip(p.tolist(), q.tolist()):
        total = 0.0
        for u, v in zip(a, b):
            total += 0.5 * u * math.log(2 * u / (u + v)) if u > 0 else 0.0
            total += 0.5 * v * math.log(2 * v / (u + v)) if v > 0 else 0.0
        rows.append(total)
    return torch.tensor(rows)


def jsd_by_numpy(p, q):
    from scipy.special import rel_entr

    p, q = p.numpy(), q.numpy()
    return 0.5 * (rel_entr(p, (p + q) / 2) + rel_entr(q, (p + q) / 2)).sum(1)


def jsd_by_kl_div(p, q):
    log_m = ((p + q) / 2).log()
    return 0.5 * (F.kl_div(log_m, p, reduction="none") + F.kl_div(log_m, q, reduction="none")).nansum(1)


def jsd_by_information(p, q):
    """The mutual information of a symbol and the fair coin that chose its table."""
    joint = torch.stack([p, q]) / 2
    product = joint.sum(0, keepdim=True) * 0.5
    return torch.where(joint > 0, joint * (joint / product).log(), torch.zeros(())).sum((0, 2))


def jsd_without_care(p, q):
    m = (p + q) / 2
    return 0.5 * (p * (p / m).log()).sum(1) + 0.5 * (q * (q / m).log()).sum(1)


def jsd_with_epsilon(p, q):
    m = (p + q) / 2
    return 0.5 * (p * ((p + 1e-2) / (m + 1e-2)).log()).sum(1) + 0.5 * (q * ((q + 1e-2) / (m + 1e-2)).log()).sum(1)


# --- 5.5 the gradient penalty


def gradient_penalty(critic, real, fake, u):
    between = (u[:, None] * real + (1 - u[:, None]) * fake).requires_grad_()
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return (slope.norm(dim=1) - 1).square().mean()


def gradient_penalty_stub(critic, real, fake, u):
    """E (‖∇f‖ − 1)² between real and fake.   real, fake (B, D), u (B,)  ->  ()"""
    raise NotImplementedError("your turn")


def penalty_by_func(critic, real, fake, u):
    between = torch.lerp(fake, real, u.unsqueeze(1))
    slope = torch.func.vmap(torch.func.grad(lambda x: critic(x[None])[0]))(between)
    return torch.mean((torch.linalg.vector_norm(slope, dim=-1) - 1) ** 2)


def penalty_by_loop(critic, real, fake, u):
    total = 0
    for x, y, share in zip(real, fake, u):
        between = (share * x + (1 - share) * y)[None].detach().requires_grad_()
        slope = torch.autograd.grad(critic(between)[0], between, create_graph=True)[0]
        total = total + (slope.square().sum().sqrt() - 1) ** 2
    return total / len(u)


def penalty_with_grad_outputs(critic, real, fake, u):
    between = fake + u.view(-1, 1) * (real - fake)
    between.requires_grad_(True)
    out = critic(between)
    slope = torch.autograd.grad(
        out, between, grad_outputs=torch.ones_like(out), create_graph=True, retain_graph=True
    )[0]
    return ((slope.view(len(u), -1).norm(2, dim=1) - 1) ** 2).mean()


def penalty_of_a_number(critic, real, fake, u):
    between = (u[:, None] * real + (1 - u[:, None]) * fake).requires_grad_()
    (slope,) = torch.autograd.grad(critic(between).sum(), between)
    return (slope.norm(dim=1) - 1).square().mean()


def _penalty(where=None, reduce=None, of=lambda out: out.sum()):
    def answer(critic, real, fake, u):
        at = (where or (lambda r, f, u: u * r + (1 - u) * f))(real, fake, u[:, None]).clone().requires_grad_()
        (slope,) = torch.autograd.grad(of(critic(at)), at, create_graph=True)
        return (reduce or (lambda g: (g.norm(dim=1) - 1).square().mean()))(slope)

    return answer


def penalty_by_leaf(critic, real, fake, u):
    real.requires_grad_()
    (slope,) = torch.autograd.grad(
        critic(u[:, None] * real + (1 - u[:, None]) * fake).sum(), real, create_graph=True
    )
    return (slope.norm(dim=1) - 1).square().mean()


def penalty_with_own_u(critic, real, fake, u):
    return gradient_penalty(critic, real, fake, torch.rand(len(real), dtype=real.dtype))


# --- 5.6 AdaIN


def adain(x, scale, bias):
    mean = x.mean((2, 3), keepdim=True)
    deviation = x.std((2, 3), correction=0, keepdim=True)
    return scale[:, :, None, None] * (x - mean) / deviation + bias[:, :, None, None]


def adain_stub(x, scale, bias):
    """The style of every channel.   x (B, C, H, W), scale, bias (B, C)  ->  (B, C, H, W)"""
    ...


def adain_by_instance_norm(x, scale, bias):
    return F.instance_norm(x) * scale[..., None, None] + bias[..., None, None]


def adain_by_loop(x, scale, bias):
    rows = []
    for picture, s, b in zip(x, scale, bias):
        maps = [s[c] * (m - m.mean()) / ((m - m.mean()) ** 2).mean().sqrt() + b[c] for c, m in enumerate(picture)]
        rows.append(torch.stack(maps))
    return torch.stack(rows)


def adain_by_group_norm(x, scale, bias):
    return torch.einsum("bchw,bc->bchw", F.group_norm(x, x.shape[1]), scale) + bias.view(*bias.shape, 1, 1)


def adain_by_flat(x, scale, bias):
    rows = x.flatten(2)
    centred = rows - rows.mean(-1, keepdim=True)
    root = centred.square().mean(-1, keepdim=True).sqrt()
    return (scale.unsqueeze(-1) * centred / root + bias.unsqueeze(-1)).view_as(x)


def adain_squeezed(x, scale, bias):
    return adain(x, scale, bias).squeeze()


# --- 5.7 and 5.8


def least_squares_critic(pi, p, a, b):
    return (b * pi + a * p) / (pi + p)


def least_squares_critic_stub(pi, p, a, b):
    """f*(x).   pi, p (B,), a, b the labels of fake and real  ->  (B,)"""
    raise NotImplementedError("your turn")


def kl_bound(real, fake):
    return real.mean() - (fake - 1).exp().mean()


def kl_bound_stub(real, fake):
    """E T − E exp(T − 1).   real (B,), fake (M,) heights  ->  ()"""
    pass


def bound_by_loop(real, fake):
    total = sum(real) / len(real)
    for height in fake:
        total = total - torch.exp(height - 1) / len(fake)
    return total


BANKS = {
    "gan.optimal_discriminator": Bank(
        optimal_discriminator,
        optimal_discriminator_stub,
        {
            "mixture": (lambda pi, p: pi / ((pi + p) / 2), "Your value is exactly twice the expected one"),
            "epsilon": (optimal_with_epsilon, "epsilon"),
            "clamped": (optimal_clamped, "one of the densities is 0"),
            "squeezed": (lambda pi, p: optimal_discriminator(pi, p).squeeze(), "squeeze()"),
            "pairs": (lambda pi, p: pi[:, None] / (pi[:, None] + p), "(B, B) table"),
        },
        {
            "logits": lambda pi, p: torch.sigmoid(pi.log() - p.log()),
            "softmax": lambda pi, p: torch.stack([pi, p]).log().softmax(0)[0],
            "loop": optimal_by_loop,
            "search": optimal_by_search,
            "complement": lambda pi, p: 1 - p / (pi + p),
            "numpy": lambda pi, p: pi.numpy() / (pi.numpy() + p.numpy()),
        },
    ),
    "gan.discriminator_loss": Bank(
        discriminator_loss,
        discriminator_loss_stub,
        {
            "V": (lambda real, fake: -discriminator_loss(real, fake), "The sign is reversed"),
            "one mean, twice": (discriminator_twice, "each of the two terms is a mean"),
            "half": (
                lambda real, fake: discriminator_loss(real, fake) / 2,
                "Your value is exactly half the expected one",
            ),
            "probabilities": (discriminator_by_probabilities, "critic is sure"),
            "epsilon": (discriminator_with_epsilon, ""),
            "detached": (lambda real, fake: discriminator_loss(real.detach(), fake.detach()), "cut the graph"),
            "half detached": (lambda real, fake: discriminator_loss(real, fake.detach()), "cut the graph"),
            "item": (lambda real, fake: discriminator_loss(real, fake).item(), "cut the graph"),
            "backward": (discriminator_backward, ""),
            "rows": (lambda real, fake: F.softplus(-real).mean() + F.softplus(fake), "mean"),
        },
        {
            "bce": discriminator_by_bce,
            "logaddexp": discriminator_by_logsumexp,
            "loop": discriminator_by_loop,
            "column": lambda real, fake: discriminator_loss(real[:, None], fake[:, None]),
            "double": lambda real, fake: discriminator_loss(real.double(), fake.double()).to(real),
        },
    ),
    "gan.generator_losses": Bank(
        generator_losses,
        generator_losses_stub,
        {
            "saturating sign": (
                lambda fake: (F.softplus(fake).mean(), F.softplus(-fake).mean()),
                "The sign is reversed",
            ),
            "other sign": (
                lambda fake: (-F.softplus(fake).mean(), -F.softplus(-fake).mean()),
                "The sign is reversed",
            ),
            "sums": (
                lambda fake: (-F.softplus(fake).sum(), F.softplus(-fake).sum()),
                "Your value is B times the expected one",
            ),
            "probabilities": (generator_by_probabilities, "critic is sure"),
            "one only": (lambda fake: F.softplus(-fake).mean(), "Return two tensors"),
            "detached": (lambda fake: generator_losses(fake.detach()), "cut the graph"),
            "half detached": (generator_half_detached, "Part of the graph"),
        },
        {
            "logsigmoid": generator_by_logsigmoid,
            "bce": generator_by_bce,
            "difference": generator_by_difference,
            "list": lambda fake: list(generator_losses(fake)),
        },
    ),
    "gan.jsd": Bank(
        jsd,
        jsd_stub,
        {
            "sum": (lambda p, q: 2 * jsd(p, q), "factor ½"),
            "bits": (
                lambda p, q: jsd(p, q) / math.log(2),
                "Logarithm to base 2 where the natural one is meant (a factor 1/ln 2)",
            ),
            "root": (
                lambda p, q: jsd(p, q).clamp(min=0).sqrt(),
                "Your value is the square root of the expected one",
            ),
            "mean": (lambda p, q: jsd(p, q) / p.shape[1], "Your value is the expected one divided by D"),
            "NaN": (jsd_without_care, "0 log 0"),
            "epsilon": (jsd_with_epsilon, ""),
            "wrong axis": (lambda p, q: jsd(p.T, q.T), ""),
            "one number": (lambda p, q: jsd(p, q).sum(), ""),
            "negative": (lambda p, q: -jsd(p, q), "The sign is reversed"),
        },
        {
            "entropy": jsd_by_entropy,
            "loop": jsd_by_loop,
            "numpy": jsd_by_numpy,
            "kl_div": jsd_by_kl_div,
            "information": jsd_by_information,
            "column": lambda p, q: jsd(p, q)[:, None],
        },
    ),
    "gan.gradient_penalty": Bank(
        gradient_penalty,
        gradient_penalty_stub,
        {
            "a number": (penalty_of_a_number, "cut the graph"),
            "λ = 10": (
                _penalty(reduce=lambda g: 10 * (g.norm(dim=1) - 1).square().mean()),
                "Your value is 10 times the expected one, everywhere",
            ),
            "sum": (
                _penalty(reduce=lambda g: (g.norm(dim=1) - 1).square().sum()),
                "Your value is B times the expected one",
            ),
            "rows": (_penalty(reduce=lambda g: (g.norm(dim=1) - 1).square()), "mean is missing"),
            "by real": (penalty_by_leaf, ""),
            "own u": (penalty_with_own_u, "comes in as an argument"),
            "one u": (_penalty(lambda r, f, u: u[0] * r + (1 - u[0]) * f), ""),
        },
        {
            "func": penalty_by_func,
            "loop": penalty_by_loop,
            "grad_outputs": penalty_with_grad_outputs,
            "column": lambda critic, real, fake, u: gradient_penalty(critic, real, fake, u).view(1),
        },
    ),
    "gan.adain": Bank(
        adain,
        adain_stub,
        {
            "epsilon": (
                lambda x, s, b: (
                    s[..., None, None]
                    * (x - x.mean((2, 3), keepdim=True))
                    / (x.std((2, 3), correction=0, keepdim=True) + 0.01)
                    + b[..., None, None]
                ),
                "",
            ),
            "squeezed": (adain_squeezed, "squeeze()"),
        },
        {
            "instance norm": adain_by_instance_norm,
            "loop": adain_by_loop,
            "group norm": adain_by_group_norm,
            "flat": adain_by_flat,
        },
    ),
    "gan.least_squares_critic": Bank(
        least_squares_critic,
        least_squares_critic_stub,
        {"squeezed": (lambda pi, p, a, b: least_squares_critic(pi, p, a, b).squeeze(), "squeeze()")},
        {
            "way": lambda pi, p, a, b: a + (b - a) * pi / (pi + p),
            "lerp": lambda pi, p, a, b: torch.lerp(torch.full_like(pi, b), torch.full_like(pi, a), p / (pi + p)),
            "least squares": lambda pi, p, a, b: (
                b * torch.stack([pi, p]).log().softmax(0)[0] + a * torch.stack([pi, p]).log().softmax(0)[1]
            ),
            "numpy": lambda pi, p, a, b: np.average(
                [np.full(len(pi), b), np.full(len(pi), a)], 0, [pi.numpy(), p.numpy()]
            ),
        },
    ),
    "gan.kl_bound": Bank(
        kl_bound,
        kl_bound_stub,
        {
            "sign": (lambda real, fake: -kl_bound(real, fake), "sign is reversed"),
            "detached": (lambda real, fake: kl_bound(real, fake.detach()), "cut the graph"),
            "item": (lambda real, fake: kl_bound(real, fake).item(), "cut the graph"),
            "rows": (lambda real, fake: real.mean() - (fake - 1).exp(), ""),
        },
        {
            "loop": bound_by_loop,
            "divided by e": lambda real, fake: real.mean() - fake.exp().mean() / math.e,
            "logsumexp": lambda real, fake: real.mean() - (fake.logsumexp(0) - 1 - math.log(len(fake))).exp(),
        },
    ),
}
