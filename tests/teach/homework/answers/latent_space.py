"""Answers to the homework on latent spaces, right and wrong."""

from __future__ import annotations

import numpy as np
import torch

from . import Bank

# --- 10.1 codes of unit size


def rescale(codes, fresh):
    mean = codes.mean((0, 2, 3), keepdim=True)
    std = codes.std((0, 2, 3), correction=0, keepdim=True)
    return (fresh - mean) / std


def rescale_stub(codes, fresh):
    """fresh, each channel at unit size   (N, C, H, W), (B, C, H, W)  ->  (B, C, H, W)"""
    raise NotImplementedError("your turn")


def rescale_by_channels(codes, fresh):
    done = []
    for c in range(codes.shape[1]):
        known = codes[:, c]
        spread = ((known - known.mean()) ** 2).mean().sqrt()
        done.append((fresh[:, c] - known.mean()) / spread)
    return torch.stack(done, dim=1)


def rescale_by_rows(codes, fresh):
    rows = codes.transpose(0, 1).flatten(1)
    mean, square = rows.mean(1), rows.var(1, unbiased=False)
    return torch.einsum("bchw,c->bchw", fresh - mean.view(1, -1, 1, 1), square.rsqrt())


def rescale_by_batch_norm(codes, fresh):
    mean, var = codes.mean((0, 2, 3)), codes.var((0, 2, 3), correction=0)
    return torch.nn.functional.batch_norm(fresh, mean, var, eps=0.0)


def rescale_with_epsilon(codes, fresh):
    return (fresh - codes.mean((0, 2, 3), keepdim=True)) / (
        codes.std((0, 2, 3), correction=0, keepdim=True) + 1e-5
    )


def rescale_in_place(codes, fresh):
    fresh -= codes.mean((0, 2, 3), keepdim=True)
    return fresh / codes.std((0, 2, 3), correction=0, keepdim=True)


# --- 10.2 the balance


def balanced_loss(x, h, last, critic, strength, delta):
    x_hat = last(h)
    own = ((x - x_hat) ** 2).sum(1).mean()
    adversarial = -critic(x_hat).mean()
    norms = [torch.autograd.grad(loss, last.weight, retain_graph=True)[0].norm() for loss in (own, adversarial)]
    return own + strength * norms[0] / (norms[1] + delta) * adversarial


def balanced_loss_stub(x, h, last, critic, strength, delta):
    """The decoder's loss   ->  ()"""
    ...


def balanced_by_hand(x, h, last, critic, strength, delta):
    """The first gradient written out: ∇_W mean ‖x − h W‖² = 2/B hᵀ (h W − x)."""
    x_hat = last(h)
    slope = 2 / len(x) * h.T @ (x_hat - x)
    own, adversarial = (
        torch.nn.functional.mse_loss(x_hat, x, reduction="sum") / len(x),
        critic(x_hat).mean().neg(),
    )
    (there,) = torch.autograd.grad(adversarial, last.weight, retain_graph=True)
    weight = (slope.square().sum().sqrt() / (there.square().sum().sqrt() + delta)).detach()
    return torch.add(own, strength * weight * adversarial)


def balanced_by_a_copy(x, h, last, critic, strength, delta):
    weight = last.weight.detach().clone().requires_grad_(True)
    losses = lambda w: ((x - h @ w).pow(2).sum(-1).mean(), -critic(h @ w).mean())
    a, b = (torch.autograd.grad(loss, weight)[0].norm() for loss in losses(weight))
    own, adversarial = losses(last.weight)
    return own + strength * (a / (b + delta)).item() * adversarial


def balanced_by_backward(x, h, last, critic, strength, delta):
    x_hat = last(h)
    own, adversarial = ((x - x_hat) ** 2).sum(1).mean(), -critic(x_hat).mean()
    own.backward(retain_graph=True)
    a = last.weight.grad.norm()
    adversarial.backward(retain_graph=True)
    return own + strength * a / (last.weight.grad.norm() + delta) * adversarial


def balanced_without_retaining(x, h, last, critic, strength, delta):
    x_hat = last(h)
    own, adversarial = ((x - x_hat) ** 2).sum(1).mean(), -critic(x_hat).mean()
    a, b = (torch.autograd.grad(loss, last.weight)[0].norm() for loss in (own, adversarial))
    return own + strength * a / (b + delta) * adversarial


def balanced_detached(x, h, last, critic, strength, delta):
    return balanced_loss(x, h, last, critic, strength, delta).detach()


def balanced_each(x, h, last, critic, strength, delta):
    x_hat = last(h)
    own = ((x - x_hat) ** 2).sum(1)
    whole, adversarial = own.mean(), -critic(x_hat).mean()
    norms = [torch.autograd.grad(loss, last.weight, retain_graph=True)[0].norm() for loss in (whole, adversarial)]
    return own + strength * norms[0] / (norms[1] + delta) * adversarial


# --- 10.3 a look ahead


def preview(zt, t, free, conditional, weight, mean, std):
    arrow = free + weight * (conditional - free)
    z1 = zt + (1 - t)[:, None, None, None] * arrow
    return mean[:, None, None] + std[:, None, None] * z1


def preview_stub(zt, t, free, conditional, weight, mean, std):
    """The codes that zt is on the way to   (B, C, H, W), (B,), ...  ->  (B, C, H, W)"""


def preview_by_einsum(zt, t, free, conditional, weight, mean, std):
    arrow = torch.lerp(free, conditional, weight)
    ahead = torch.einsum("bchw,b->bchw", arrow, 1 - t) + zt
    return torch.einsum("bchw,c->bchw", ahead, std) + mean.view(1, -1, 1, 1)


def preview_by_channels(zt, t, free, conditional, weight, mean, std):
    left = 1 - t.reshape(-1, 1, 1)
    parts = []
    for c in range(zt.shape[1]):
        arrow = weight * conditional[:, c] + (1 - weight) * free[:, c]
        parts.append((zt[:, c] + left * arrow) * std[c] + mean[c])
    return torch.stack(parts, 1)


def preview_by_moving_axes(zt, t, free, conditional, weight, mean, std):
    last = lambda z: z.movedim(1, -1)
    ahead = last(zt) + (1 - t).view(-1, 1, 1, 1) * (last(free) + weight * (last(conditional) - last(free)))
    return (ahead * std + mean).movedim(-1, 1)


def preview_by_hand(zt, t, free, conditional, weight, mean, std):
    out = np.zeros(zt.shape)
    for b in range(len(zt)):
        for c in range(zt.shape[1]):
            arrow = free[b, c] + weight * (conditional[b, c] - free[b, c])
            out[b, c] = (mean[c] + std[c] * (zt[b, c] + (1 - t[b]) * arrow)).numpy()
    return torch.as_tensor(out, dtype=zt.dtype)


def preview_one_time(zt, t, free, conditional, weight, mean, std):
    return preview(zt, t[:1].expand_as(t), free, conditional, weight, mean, std)


BANKS = {
    "lat.rescale": Bank(
        rescale,
        rescale_stub,
        {"epsilon": (rescale_with_epsilon, "small"), "in place": (rescale_in_place, "writes into the caller's")},
        {"channels": rescale_by_channels, "rows": rescale_by_rows, "batch norm": rescale_by_batch_norm},
    ),
    "lat.balanced_loss": Bank(
        balanced_loss,
        balanced_loss_stub,
        {
            "backward": (balanced_by_backward, "Do not call backward"),
            "not retained": (balanced_without_retaining, "Read the error"),
            "cut": (balanced_detached, "cut the graph"),
            "each": (balanced_each, "mean is missing"),
        },
        {"by hand": balanced_by_hand, "a copy": balanced_by_a_copy},
    ),
    "lat.preview": Bank(
        preview,
        preview_stub,
        {"one time": (preview_one_time, "first row")},
        {
            "einsum": preview_by_einsum,
            "channels": preview_by_channels,
            "axes": preview_by_moving_axes,
            "loops": preview_by_hand,
        },
    ),
}
